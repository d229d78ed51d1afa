"""Check what would be released: `make release-check` builds both archives and runs this on them.

Each extra is installed from the wheel into an environment of its own, and does what it is for; README.md
runs where all is installed. It takes some minutes and some gigabytes in build/release.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "release"
DATA = ROOT / "tests" / "data"
REPORT = ROOT / "docs" / "results" / "mnist-edge" / "report.json"
PICTURE = """
import numpy as np
from PIL import Image
with np.load("{golden}") as golden:
    Image.fromarray(golden["images"][0]).save("digit.png")
"""
SAMPLES = """
import numpy as np
from PIL import Image
from edgeport.train import load_dataset
digits = load_dataset("mnist-5k").train
np.savez("samples.npz", x=digits.samples[:1000], y=digits.classes[:1000])
Image.fromarray(digits.samples[0, :, :, 0]).save("picture.png")
"""
# An extra, and what a user does with it: a command each, run in a folder with digit.png.
USES: Mapping[str, Sequence[str]] = {
    "": ("edgeport --version", "edgeport zoo"),
    "tflite": (f"edgeport predict {DATA}/tiny.int8.tflite digit.png",),
    "onnx": (f"edgeport predict {DATA}/tiny.int8.onnx digit.png",),
    "openvino": (f"edgeport predict {DATA}/tiny.int8.onnx digit.png --engine openvino",),
    "report": (f"edgeport report {REPORT} -o report.html",),
    "train": ("edgeport train --dataset mnist-5k --model edge-2k --epochs 1 -o train",),
    "export": ("edgeport export zoo:edge-2k -o export --precisions float32",),
    "serve": ("edgeport serve --help",),
    "completion": ("edgeport completion bash",),
}


def installed(name: str, *what: str) -> Path:
    """Return the bin folder of a new environment with some packages, in the versions that are tested together."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *what], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)
    return folder / "bin"


def run(binaries: Path, command: Sequence[str], folder: Path) -> None:
    """Run a command of an environment in a folder, outside of the checkout's own packages."""
    print(f"  $ {' '.join(command)[:110]}", flush=True)
    program = [str(binaries / command[0]), *command[1:]]
    ended = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}")


def readme(binaries: Path, folder: Path) -> None:
    """Run each command and the Python of the README's section on a model of one's own."""
    section = (ROOT / "README.md").read_text("utf-8").split("## Sixty seconds with your own model")[1].split("\n## ")[0]
    shutil.copy(ROOT / "train" / "zoo" / "edge-35k" / "model.keras", folder / "model.keras")
    run(binaries, ["python", "-c", SAMPLES], folder)
    for command in re.findall(r"^\$ (edgeport .*)$", section, re.MULTILINE):
        run(binaries, command.split(), folder)
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        run(binaries, ["python", "-c", code], folder)


def main() -> None:
    """Check the archives in dist that have the version of pyproject.toml."""
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    wheel, sdist = (ROOT / "dist" / f"edgeport-{found[1]}{end}" for end in ("-py3-none-any.whl", ".tar.gz"))
    print(f"twine check {wheel.name} {sdist.name}", flush=True)
    subprocess.run([installed("tools", "twine>=6") / "twine", "check", "--strict", wheel, sdist], check=True)
    chosen = sys.argv[1:] or [*USES, "sdist", "all"]
    for extra in chosen:
        print(f"[{extra}]", flush=True)
        source = sdist if extra == "sdist" else wheel
        brackets = f"[{extra}]" if extra and extra != "sdist" else ""
        binaries = installed(extra or "bare", f"{source}{brackets}")
        folder = WORK / f"{extra or 'bare'}-used"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        run(binaries, ["python", "-c", PICTURE.format(golden=DATA / "golden.npz")], folder)
        for command in USES.get(extra, USES[""]):
            run(binaries, command.split(), folder)
        if extra == "all":
            readme(binaries, folder)
        shutil.rmtree(binaries.parent)
    print("The release is what it should be.")


if __name__ == "__main__":
    main()
