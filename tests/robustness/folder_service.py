"""Feed the folder service of a bundle with damaged pictures, links and vanishing files, and count its answers.

python tests/robustness/folder_service.py --files 5000 -o docs/results/folder-service.json
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from edgeport.export.bundle.device import text_of

ROOT = Path(__file__).parents[2]
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "DDS", "BLP", "SPIDER", "EPS", "PPM", "ICNS", "TGA")
_SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".gif", ".tif")


def feed(inbox: Path, count: int, *, seed: int) -> set[str]:
    """Put files into a folder as fast as it goes; return the names of the good pictures."""
    chance = random.Random(seed)
    contents = _contents()
    good = set()
    for number in range(count):
        name = f"{number:05}{chance.choice(_SUFFIXES)}"
        match chance.choice(
            ("good", "good", "damaged", "damaged", "damaged", "link", "loop", "vanishes", "pipe", "bytes")
        ):
            case "good":
                good.add(name)
                (inbox / f".{name}").write_bytes(contents["PNG"])
                os.rename(inbox / f".{name}", inbox / name)
            case "damaged":
                content = bytearray(chance.choice(list(contents.values())))
                for _ in range(chance.randint(1, 20)):
                    content[chance.randrange(min(len(content), 500))] = chance.randrange(256)
                (inbox / name).write_bytes(content[: chance.choice((len(content), chance.randrange(len(content))))])
            case "link":
                (inbox / name).symlink_to("gone.png")
            case "loop":
                (inbox / name).symlink_to(name)
            case "vanishes":
                (inbox / name).write_bytes(contents["PNG"])
                (inbox / name).unlink()
            case "pipe":
                os.mkfifo(inbox / name)
            case _:
                raw = os.fsencode(inbox) + b"/" + os.fsencode(name[:5]) + b"\xe9\n.png"
                Path(os.fsdecode(raw)).write_bytes(b"no picture")
    return good


def run(count: int, *, seed: int = 0, artefact: Path = ROOT / "tests/data/tiny.int8.tflite") -> dict[str, int]:
    """Run the service over so many files, and return what came of it."""
    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        script, inbox = Path(folder, "predict_folder.py"), Path(folder, "inbox")
        script.write_bytes(text_of("predict_folder.py"))
        inbox.mkdir()
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            command = [sys.executable, str(script), str(artefact), str(inbox), "--seconds", "0.05"]
            service = subprocess.Popen(command, stdout=stdout, stderr=stderr)
            try:
                # In two halves: the folder is gone for a moment in between.
                good = feed(inbox, count // 2, seed=seed)
                time.sleep(1)
                os.rename(inbox, Path(folder, "away"))
                time.sleep(0.3)
                os.rename(Path(folder, "away"), inbox)
                second = Path(folder, "second")
                second.mkdir()
                more = {f"b{name}" for name in feed(second, count - count // 2, seed=seed + 1)}
                for path in sorted(second.iterdir()):
                    os.rename(path, inbox / f"b{path.name}")
                good |= more
                ended = time.monotonic() + 60 + count / 20
                while time.monotonic() < ended and service.poll() is None and not good <= _answers(out).keys():
                    time.sleep(0.2)
                # Whatever is answered twice is so now.
                time.sleep(1)
                alive = service.poll() is None
            finally:
                service.kill()
                service.wait()
        answers, errors = _answers(out), err.read_text("utf-8", "backslashreplace")
    return {
        "files": count,
        "good pictures": len(good),
        "answered once": sum(answers[name] == 1 for name in good),
        "answered more than once": sum(times > 1 for times in answers.values()),
        "lines for files that are none": errors.count("cannot read"),
        "tracebacks": errors.count("Traceback"),
        "ended": int(not alive),
    }


def _contents() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8))
    contents = {}
    for kind in _FORMATS:
        for mode in ("L", "RGB", "P", "F"):
            content = io.BytesIO()
            try:
                noise.convert(mode).save(content, format=kind)
            except Exception:  # not every format has every mode
                continue
            contents[kind] = content.getvalue()
            break
    return contents


def _answers(path: Path) -> Counter[str]:
    lines = path.read_text("utf-8", "backslashreplace").splitlines()[1:]
    return Counter(line.partition("  ")[0] for line in lines)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description="Feed the folder service with what it cannot read.")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    counts = run(arguments.files)
    text = json.dumps({"schema": 1, "kind": "folder service", "counts": counts}, indent=1) + "\n"
    print(text, end="")
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
