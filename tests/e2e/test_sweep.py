"""A sweep as a user runs it: interrupted, killed, resumed, changed; and on a local Ray cluster with two workers."""

import io
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from edgeport.benchmarks.sweep.cells.cell import RECORD
from edgeport.benchmarks.sweep.cells.compiled_cell import targets_for
from edgeport.benchmarks.sweep.results import Decider, read_results
from edgeport.benchmarks.sweep.sweeping import COPY
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.train.loop.compiled import CompiledEpoch, Lesson, best_epoch, fit_compiled

ROOT = Path(__file__).parents[2]
CELLS = ("edge/short/seed-0", "edge/short/seed-1")
SWEEPS: list["subprocess.Popen[str]"] = []
SWEEP = """
dataset = "mnist-5k"
models = ["edge"]
seeds = [0, 1]
precisions = ["int8"]
latency = false

[recipes.short]
epochs = {epochs}
"""
CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster()
cluster.add_node(num_cpus=0)
for _ in range(2):
    cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def write_sweep(folder: Path, *, epochs: int, more: str = "") -> Path:
    (folder / "sweep.toml").write_text(SWEEP.format(epochs=epochs) + more)
    return folder / "sweep.toml"


@pytest.fixture(scope="module", autouse=True)
def no_sweep_is_left() -> Iterator[None]:
    yield
    for process in SWEEPS:
        process.kill()


def started(file: Path, output: Path, *options: str, python: Path | str = sys.executable) -> "subprocess.Popen[str]":
    command = [str(python), "-m", "edgeport.runtime.cli", "sweep", str(file), "-o", str(output), *options]
    SWEEPS.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    return SWEEPS[-1]


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(output: Path) -> list[str]:
    """The processes of cells whose log lies in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/2"):
        try:
            if Path(os.readlink(link)).is_relative_to(output):
                found.append(str(link))
        except OSError:
            continue
    return found


def weights_of(cell: Path) -> list[bytes]:
    with zipfile.ZipFile(cell / "train" / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found: list[bytes] = []
    with h5py.File(content) as file:
        file.visititems(lambda name, each: found.append(each[()].tobytes()) if isinstance(each, h5py.Dataset) else None)
    return found


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two cells that was killed, then interrupted, then run to its end; a machine may be slow."""
    folder = tmp_path_factory.mktemp("swept")
    file, output = write_sweep(folder, epochs=3), folder / "out"
    history = output / CELLS[0] / "train" / ".training" / "history.json"
    first = started(file, output, "--jobs", "1")
    wait_for(history, first)
    assert workers_of(output)
    first.kill()
    first.communicate()
    deadline = time.monotonic() + 10
    while workers_of(output):
        assert time.monotonic() < deadline, "a killed sweep leaves processes behind"
        time.sleep(0.05)
    epochs = len(json.loads(history.read_bytes())["history"])

    second = started(file, output, "--jobs", "1")
    wait_for(output / CELLS[0] / "export", second)
    wait_for(output / CELLS[1] / "train" / ".training" / "history.json", second)
    second.send_signal(signal.SIGINT)
    printed = second.communicate(timeout=300)[0]
    assert second.returncode == 130, printed
    assert "0 are done already, 1 go on from where they were interrupted" in printed
    assert "Interrupted with 1 of 2 cells done, which are kept." in printed
    assert f"Go on with the same command: edgeport sweep {file}" in printed
    assert not workers_of(output)
    training = json.loads((output / CELLS[0] / "train" / "training.json").read_bytes())
    assert len(training["history"]) == 3
    assert (output / CELLS[0] / "cell.log").read_text().count(f"epoch   {epochs}/3") == 1

    third = started(file, output, "--jobs", "2")
    printed = third.communicate(timeout=300)[0]
    assert third.returncode == 0, printed
    assert "1 are done already, 1 go on from where they were interrupted" in printed
    assert f"{CELLS[0]}: started" not in printed
    assert "| edge  |" in printed
    assert "Next: open" in printed
    return output


def test_a_killed_and_interrupted_sweep_ends_with_every_cell(swept: Path) -> None:
    results = read_results(swept)
    assert [(cell["model"], cell["recipe"], cell["seed"]) for cell in results.cells] == [
        ("edge", "short", 0), ("edge", "short", 1),
    ]  # fmt: skip
    for cell in results.cells:
        assert [(each["format"], each["precision"]) for each in cell["contenders"]] == [
            ("keras", "float32"), ("tflite", "int8"), ("onnx", "int8"),
        ]  # fmt: skip
        for each in cell["contenders"]:
            for split in ("validation", "test"):
                assert each[split]["count"] == 500
                assert each[split]["correct"] > 400
        assert cell["epochs"] == 3
        # Four convolutions and a dense layer, batch normalisation folded.
        assert cell["parameters"] == 94_186
        folder = swept / "edge" / "short" / f"seed-{cell['seed']}"
        training = json.loads((folder / "train" / "training.json").read_bytes())
        assert cell["contenders"][0]["test"] == training["test"]
    assert (swept / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert (swept / COPY).read_text() == results.sweep


def test_a_changed_recipe_is_reported_and_a_cell_that_fails_stops_no_other(
    swept: Path, tmp_path: Path, edgeport
) -> None:
    before = (swept / CELLS[0] / RECORD).read_bytes()
    file = write_sweep(tmp_path, epochs=4)
    ended = edgeport("sweep", file, "-o", swept, code=2)
    assert ended.stderr.strip().splitlines() == [
        f"edgeport: {swept} holds {CELLS[0]} and 1 more with another epochs: choose another folder with -o, or make "
        "these cells anew with --overwrite"
    ]
    with zipfile.ZipFile(tmp_path / "teacher.keras", "w") as archive:
        archive.writestr("config.json", "no model")
    file = write_sweep(tmp_path, epochs=3, more='[recipes.taught]\nteacher = "teacher.keras"\n')
    ended = edgeport("sweep", file, "-o", swept, code=1)
    assert "2 cells failed" in ended.stdout
    assert ended.stdout.count("no Keras model") == 4  # when it happens, and at the end
    assert [each["recipe"] for each in read_results(swept).failed] == ["taught", "taught"]
    assert (swept / CELLS[0] / RECORD).read_bytes() == before


@pytest.fixture(scope="module")
def ray_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with Ray, and with all packages of this one."""
    folder = tmp_path_factory.mktemp("ray")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), "--only-binary", "ray"]
    ended = subprocess.run([*install, "ray>=2.9"], capture_output=True, text=True, check=False)
    if "No matching distribution found for ray" in ended.stderr:
        pytest.skip(f"Ray has no wheel for Python {sys.version_info.major}.{sys.version_info.minor}")
    assert ended.returncode == 0, ended.stderr
    packages = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    here = sysconfig.get_path("purelib")
    Path(packages, "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    return python


@pytest.fixture(scope="module")
def cluster(ray_python: Path) -> Iterator[str]:
    """The address of a cluster with two workers of one core each."""
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(
        [str(ray_python), "-c", CLUSTER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address = next((line.strip() for line in process.stdout if ":" in line), "")
        assert address
        yield address


def test_a_cluster_makes_the_same_cells_and_makes_up_for_a_lost_worker(
    cluster: str, ray_python: Path, swept: Path, tmp_path: Path
) -> None:
    file, output = write_sweep(tmp_path, epochs=3), tmp_path / "out"
    process = started(file, output, "--ray", cluster, python=ray_python)
    killed = kill_a_worker(process)
    printed = process.communicate(timeout=400)[0]
    assert process.returncode == 0, printed
    assert killed
    assert f"2 at a time on the Ray cluster at {cluster}" in printed
    for name in CELLS:
        assert (output / name / RECORD).is_file()
        assert weights_of(output / name) == weights_of(swept / name)


def kill_a_worker(process: "subprocess.Popen[str]") -> bool:
    """Kill a worker of the cluster that has begun a cell, as an operating system that runs out of memory does."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                inside = b"edgeport.benchmarks.sweep.cells.worker" in (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
                if inside and b"ray::" in Path(f"/proc/{parent}/cmdline").read_bytes():
                    os.kill(parent, signal.SIGKILL)
                    return True
            except (OSError, ValueError):
                continue
        time.sleep(0.1)
    return False


OWN = """
dataset = "rows.csv"
target = "kind"
models = ["mine.keras", "nets.py:build"]
seeds = [0]
precisions = ["float32"]
latency = false
metric = "metric.py:up_found"
[recipes.short]
epochs = 1
"""
NETS = """
import keras

def build():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model
"""
METRIC = """
import numpy as np

def up_found(truth, answers):
    return np.mean(answers[truth == 1].argmax(axis=1) == 1)

up_found.better, up_found.unit = "up", "points"
"""


def test_models_and_data_of_ones_own(edgeport, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(120, 3))
    lines = [",".join([*map(repr, row.tolist()), "up" if row[0] > 0 else "down"]) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "metric.py").write_text(METRIC)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")]).save(tmp_path / "mine.keras")
    (tmp_path / "sweep.toml").write_text(OWN)
    printed = edgeport("sweep", tmp_path / "sweep.toml", "-o", tmp_path / "out", "--jobs", 2).stdout
    results = read_results(tmp_path / "out")
    assert [cell["model"] for cell in results.cells] == ["mine", "build"]
    assert all(len(cell["contenders"]) == 3 and not cell["refused"] for cell in results.cells)
    # What answers in float32 answers as Keras does.
    for cell in results.cells:
        assert len({each["test"]["figure"] for each in cell["contenders"]}) == 1
    assert results.metric == Decider("up_found")
    assert "12 test samples. Figures of up_found (more is better)" in printed
    # The first is taught by a recipe; the other one learns by its own loss, and needs no training.json.
    folders = [tmp_path / "out" / cell["model"] / "short" / "seed-0" / "train" for cell in results.cells]
    assert [(each / "training.json").is_file() for each in folders] == [True, False]
    refused = edgeport("sweep", tmp_path / "sweep.toml", "-o", tmp_path / "o", "--ray", "127.0.0.1:1", code=2).stderr
    assert "a model of your own, which does not travel" in refused
    again = edgeport("sweep", tmp_path / "sweep.toml", "-o", tmp_path / "out").stdout
    assert "2 are done already" in again


def small_net() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def learned(state: Path, *, epochs: int) -> tuple[keras.Model, list[CompiledEpoch]]:
    samples = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    lessons = [Lesson({"x": part}, part[:, :1] * 3) for part in (samples[:150], samples[150:])]
    model = small_net()
    port = Input("x", (None, 4), "float32")
    return model, fit_compiled(model, [port], *lessons, epochs=epochs, batch_size=32, seed=3, state=state)


def test_a_compiled_model_that_was_killed_ends_with_the_weights_that_it_would_have_had(tmp_path: Path) -> None:
    whole, history = learned(tmp_path / "whole", epochs=4)
    learned(tmp_path / "cut", epochs=2)
    again, resumed = learned(tmp_path / "cut", epochs=4)
    assert [each.validation_loss for each in resumed] == [each.validation_loss for each in history]
    assert all(np.array_equal(*pair) for pair in zip(whole.get_weights(), again.get_weights(), strict=True))
    # The lowest loss on validation is taken.
    assert best_epoch(history) == 1 + int(np.argmin([each.validation_loss for each in history]))


@pytest.mark.parametrize(
    ("loss", "units", "targets", "expected"),
    [
        ("sparse_categorical_crossentropy", 3, np.array([0, 2]), np.array([0, 2])),
        (keras.losses.CategoricalCrossentropy(), 3, np.array([0, 2]), np.eye(3)[[0, 2]]),
        ("mse", 1, np.array([0.5, 2]), np.array([[0.5], [2]])),
        ("binary_crossentropy", 1, np.array([0, 1]), np.array([[0], [1]])),
        (lambda true, given: true - given, 3, np.array([0, 2]), np.array([0, 2])),
        # Numbers of which nobody says that they are classes.
        ("mse", 3, np.array([0, 2]), None),
        ("categorical_crossentropy", 2, np.array([0, 2]), None),
        ("mse", 3, np.zeros((2, 2)), None),
    ],
)
def test_targets_are_what_the_loss_takes(loss, units: int, targets: np.ndarray, expected: np.ndarray | None) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    model.compile("sgd", loss)
    if expected is None:
        with pytest.raises(InputError, match=r"models: got targets .*expected"):
            targets_for(model, targets, False, named="mine")
    else:
        np.testing.assert_array_equal(targets_for(model, targets, False, named="mine"), expected)


def test_what_ray_cannot_reach_is_reported(ray_python: Path, tmp_path: Path) -> None:
    file = write_sweep(tmp_path, epochs=1)
    process = started(file, tmp_path / "out", "--ray", "127.0.0.1:1", python=ray_python)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 2, printed
    assert printed.startswith("edgeport: --ray: got 127.0.0.1:1, expected the address of a running cluster")
    assert len(printed.splitlines()) == 1
