"""A predictor on a local Dask cluster: the example of docs/guides/runtime.md, as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"

MAIN = """

if __name__ == "__main__":
    import sys

    with np.load(sys.argv[1], allow_pickle=False) as golden:
        images = np.tile(golden["images"], (500, 1, 1))
    # A dynamic batch may be computed in another order: single images are the same everywhere.
    alone = load(sys.argv[2]).predict(images)
    together = score(sys.argv[2], images)
    assert together.shape == (10_000, 10)
    print(float(np.abs(together - alone).max()), int((together.argmax(axis=1) != alone.argmax(axis=1)).sum()))
"""


@pytest.fixture(scope="module")
def python(wheel: Path, environment) -> Path:
    return environment("cluster", f"{wheel}[tflite,onnx,cluster]")


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.int8.onnx", "tiny.float32.tflite"])
def test_a_cluster_gives_the_answers_of_one_process(name: str, python: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs/guides/runtime.md").read_text()
    example = re.search(r"<!-- example: dask -->\n```python\n(.*?)```\n", text, re.DOTALL)[1]
    (tmp_path / "score.py").write_text(example + MAIN)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(python), "score.py", str(DATA / "golden.npz"), str(DATA / name)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=clean, cwd=tmp_path, timeout=300)
    assert ended.returncode == 0, ended.stderr
    largest, changed = ended.stdout.splitlines()[-1].split()
    assert (float(largest), int(changed)) == (0.0, 0)


ASK = """

if __name__ == "__main__":
    import json
    import sys
    import urllib.request

    deploy(sys.argv[2])
    with np.load(sys.argv[1], allow_pickle=False) as golden:
        images = golden["images"]
    expected = load(sys.argv[2]).predict(images)
    for image, row in zip(images, expected, strict=True):
        asked = urllib.request.Request("http://127.0.0.1:8000/", image.tobytes(), method="POST")
        with urllib.request.urlopen(asked, timeout=60) as response:
            assert np.array_equal(np.float32(json.load(response)[0]), row)
    print(len(images))
    serve.shutdown()
"""


@pytest.mark.skipif("RAY" not in os.environ, reason="Ray takes minutes to install: RAY=1 runs it")
@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.float32.onnx"])
def test_ray_serve_gives_the_answers_of_one_process(name: str, wheel: Path, environment, tmp_path: Path) -> None:
    python = environment("ray", f"{wheel}[tflite,onnx]", "ray[serve]")
    text = (ROOT / "docs" / "guides" / "other-servers.md").read_text()
    example = re.search(r"<!-- example: ray -->\n```python\n(.*?)```\n", text, re.DOTALL)[1]
    (tmp_path / "served.py").write_text(example + ASK)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(python), "served.py", str(DATA / "golden.npz"), str(DATA / name)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=clean, cwd=tmp_path, timeout=300)
    assert ended.returncode == 0, ended.stderr[-2000:]
    # Ray prints too.
    assert "20" in ended.stdout.splitlines()
