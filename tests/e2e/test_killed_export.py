"""`edgeport export` over an export folder, killed at random moments: the folder is wholly the old one or the new one.

The killing is done by this file as a program of its own. It imports what the command imports, once, and forks
every victim from there; a victim then runs the command line's own `main`. What that leaves out of the command's
life is the import of TensorFlow, seconds in which it has not yet looked at the folder. Forking is safe here because
TensorFlow and the engines start their threads with the first model that they run, which only the victims do;
a fork that hangs all the same is ended by its alarm, and the test fails.

Half of the kills come at any moment of the command's life. The other half come after its last artefact is
announced, since the folder is replaced in the milliseconds that follow.
"""

import hashlib
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

KILLS = 14
MINE = {"mine.txt": "mine", "notes/day.txt": "sunny"}
LAST_ARTEFACT, DONE = b"digits.float32.onnx", b"Written to"
IMPORTED = (
    "edgeport.export.export_command", "edgeport.export.conversion.exporting", "edgeport.export.tflite.convert",
    "edgeport.export.onnx.convert",
    "edgeport.train.datasets.mnist_5k",
)  # fmt: skip


def test_kills_tear_no_export(edgeport, tmp_path: Path) -> None:
    import keras

    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        image = keras.Input((28, 28, 1))
        x = keras.layers.Conv2D(6, 5, strides=3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
        x = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(x))
        keras.Model(image, x).save(tmp_path / f"{seed}.keras")
    output = tmp_path / "here" / "out"
    for name, text in MINE.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(text)
    printed = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=False, timeout=600
    )
    assert printed.returncode == 0, printed.stderr
    seen = json.loads(printed.stdout)
    print(seen)
    assert seen["torn"] == 0
    assert seen["old"] + seen["new"] == KILLS
    assert seen["cut short"] > KILLS / 3
    assert min(seen["old"], seen["new"]) > 0
    # The real command once more, as it is: it removes what the last victim has left behind.
    edgeport(*command(tmp_path, 1))
    assert model_of(output) == digest(tmp_path / "1.keras")
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def command(work: Path, model: int) -> Sequence[str]:
    # Both models' artefacts have the same names: only their digests tell whose they are.
    output = str(work / "here" / "out")
    options = ("--name", "digits", "--calibration", "mnist-5k", "--precisions", "float32", "--overwrite")
    return ("export", str(work / f"{model}.keras"), "-o", output, *options)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def model_of(output: Path) -> str:
    """Return the digest of the model whose export the folder is, or "torn" if it is not all of one."""
    manifest = json.loads((output / "manifest.json").read_text())
    digests = {artefact["file"]: artefact["sha256"] for artefact in manifest["artefacts"]}
    whole = (
        len(digests) == 2
        and {path.name for path in output.iterdir()} == {*digests, "manifest.json", "mine.txt", "notes"}
        and all(digest(output / name) == message for name, message in digests.items())
        and all((output / name).read_text() == text for name, text in MINE.items())
    )
    return manifest["source"]["sha256"] if whole else "torn"


def fork_an_export(work: Path, model: int) -> tuple[int, int]:
    """Return the process, and the end of a pipe where its output can be read."""
    from edgeport.runtime.cli import main

    reading, writing = os.pipe()
    victim = os.fork()
    if not victim:
        signal.alarm(60)
        os.dup2(writing, 1)
        os._exit(main(command(work, model)))
    os.close(writing)
    return victim, reading


def wait_for(text: bytes, reading: int, printed: bytearray) -> None:
    """Add to ``printed`` what is read, until ``text`` is in it."""
    while text not in printed:
        more = os.read(reading, 65536)
        assert more, f"the export ended before it said {text!r}: {printed!r}"
        printed += more


def end(victim: int, reading: int) -> int:
    os.close(reading)
    return os.waitpid(victim, 0)[1]


def kill_again_and_again(work: Path) -> dict[str, int]:
    for module in IMPORTED:
        importlib.import_module(module)
    output = work / "here" / "out"
    models = {digest(work / f"{number}.keras"): number for number in (1, 2)}
    for number in (1, 2):
        started = time.monotonic()
        victim, reading = fork_an_export(work, number)
        printed = bytearray()
        wait_for(LAST_ARTEFACT, reading, printed)
        announced = time.monotonic()
        wait_for(DONE, reading, printed)
        spans = [time.monotonic() - announced, time.monotonic() - started]
        assert end(victim, reading) == 0
        assert models[model_of(output)] == number
    moments = random.Random(0)
    seen = {"old": 0, "new": 0, "torn": 0, "cut short": 0}
    held = 2
    for kill in range(KILLS):
        wanted = 3 - held
        victim, reading = fork_an_export(work, wanted)
        if kill % 2 == 0:
            wait_for(LAST_ARTEFACT, reading, bytearray())
        time.sleep(moments.uniform(0, spans[kill % 2]))
        os.kill(victim, signal.SIGKILL)
        seen["cut short"] += os.WIFSIGNALED(end(victim, reading)) and (output.parent / ".out.partial").exists()
        found = models.get(model_of(output))
        seen["torn" if found is None else "old" if found == held else "new"] += 1
        if found is None:
            break
        # The machine may be busier or idler than a moment ago: aim so that one kill in five comes too late.
        spans[kill % 2] *= 1.1 if found == held else 0.7
        held = found
    return seen


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    print(json.dumps(kill_again_and_again(Path(sys.argv[1]))))
