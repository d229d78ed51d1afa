"""Peak memory of what once took too much: one figure each, in a process of its own.

python tests/robustness/memory.py -o docs/results/memory.json            this edgeport
PYTHONPATH=OLD python tests/robustness/memory.py --earlier -o OLD.json   one before, whose packages lie in OLD/edgeport
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Not getrusage: its figure starts with that of the process that started this one.
_PEAK = """
print(next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
_PICTURE = """
import sys
from pathlib import Path
from edgeport.runtime import load, InputError
from edgeport.runtime.samples.pictures.images import read_images
predictor = load(sys.argv[1])
try: predictor.predict(read_images([Path(sys.argv[2])], shape=(28, 28, 1), resizing=predictor.spec.resizing))
except InputError as error: print(error, file=sys.stderr)
"""
_PREDICT = """
import sys
import numpy as np
from edgeport.runtime import load
images = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), np.uint8)
load(sys.argv[1]).predict(images)
"""
_BOMB = """
import sys
from pathlib import Path
content = Path(sys.argv[1]).read_bytes()
from edgeport.train.models.unpacked_size import check_unpacked_size
try: check_unpacked_size(content, name=sys.argv[1])
except ValueError as error: print(error, file=sys.stderr)
"""
_BOMB_EARLIER = """
import sys
import keras
try: keras.models.load_model(sys.argv[1])
except Exception as error: print(str(error)[:100], file=sys.stderr)
"""


def peak(code: str, *arguments: object) -> int:
    """Return the most memory in bytes that a process had which ran this."""
    command = [sys.executable, "-c", code + _PEAK, *map(str, arguments)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout.split()[-1])


def make_pictures(folder: Path) -> dict[str, Path]:
    """Write large pictures that take little to store."""
    from PIL import Image

    made = {}
    for name, mode, size, suffix in (
        ("RGBA, 16 megapixels, PNG", "RGBA", (4000, 4000), "png"),
        ("RGBA, 50 megapixels, PNG", "RGBA", (10_000, 5000), "png"),
        ("RGBA, 88 megapixels, PNG", "RGBA", (11_000, 8000), "png"),
        ("RGB, 50 megapixels, JPEG", "RGB", (10_000, 5000), "jpg"),
        ("RGB, 24 megapixels, WebP", "RGB", (6000, 4000), "webp"),
    ):
        made[name] = folder / f"{len(made)}.{suffix}"
        Image.new(mode, size, 7).save(made[name])
    return made


def make_bomb(path: Path) -> Path:
    """Write a .keras file of some MB whose weights are 4 GB of zeros."""
    import zipfile

    with zipfile.ZipFile(ROOT / "train" / "zoo" / "edge-2k" / "model.keras") as model:
        others = {name: model.read(name) for name in model.namelist() if not name.endswith(".h5")}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in others.items():
            archive.writestr(name, content)
        with archive.open("model.weights.h5", "w", force_zip64=True) as entry:
            for _ in range(4096):
                entry.write(bytes(1 << 20))
    return path


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description="Peak memory of pictures, predictions and archives.")
    parser.add_argument("-o", "--output", type=Path, help="a JSON file with the figures")
    parser.add_argument("--earlier", action="store_true", help="let Keras open the bomb, as edgeport once did")
    arguments = parser.parse_args()
    models = ROOT / "tests" / "data"
    figures = {}
    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        for name, path in make_pictures(Path(folder)).items():
            figures[f"picture: {name}"] = peak(_PICTURE, models / "tiny.int8.onnx", path)
        for suffix in ("onnx", "tflite"):
            figures[f"60,000 predictions: float32 {suffix}"] = peak(_PREDICT, models / f"tiny.float32.{suffix}")
        figures["a .keras bomb of 4 MB"] = peak(
            _BOMB_EARLIER if arguments.earlier else _BOMB, make_bomb(Path(folder, "bomb.keras"))
        )
    text = json.dumps({"schema": 1, "kind": "peak memory in bytes", "figures": figures}, indent=1) + "\n"
    print(text, end="")
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
