"""Show on this machine that the engines answer on a Raspberry Pi's CPU as they do here.

    python tests/pi/run.py [EXPORT] [--model NAME] [--data-dir DIR] [--save]

Debian's userlands for the Pi are downloaded and run by QEMU, without root; nothing outside ``build/pi`` is written. A
bundle is made and installed for each, its selftest is run, and 500 test digits are compared row by row with what the
same version of the same engine answers on this machine's own CPU. Ends with 0 if all promises hold, 1 if one is broken,
2 if it could not be tried. Times mean nothing under QEMU, and none are reported.
"""

import argparse
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from comparison import Compared, Selftest, broken_promises, compare_rows
from debian import host_source
from devices import Installed, answers, build_emulators, build_userland, emulator_version, install, selftest
from processes import StoppedError, end_all, run
from report import Report, table, write_report
from systems import DEVICES, EMULATED, NATIVE, PC_BOOKWORM, Device, Trial

from edgeport.export.bundle.packages.targets import engine_named
from edgeport.runtime.errors import EdgeportError
from edgeport.train.datasets.named import load_dataset

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "pi"
SAVED = ROOT / "docs" / "results" / "test-pi.json"
COUNT = 500
_EPOCHS = 10
# Under QEMU it takes half the time of the larger `edge`.
_MODEL = "classic"
_PAIR = ("tflite-runtime", "ai-edge-litert")

Key = TypeVar("Key")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Tried:
    """What a trial gave: the file with its answers and the checks of its selftest, or why it gave nothing."""

    answers: Path | None = None
    checks: tuple[dict[str, Any], ...] = ()
    error: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything and print what came out."""
    options = _parsed(arguments)
    try:
        return _run(options)
    except (StoppedError, EdgeportError) as error:
        print(f"test-pi: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        end_all()
        print("\nStopped. What was downloaded whole is kept.", file=sys.stderr)
        return 130


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/pi/run.py", description="The same answers on a Pi's CPU as here?")
    parser.add_argument("export", nargs="?", type=Path, metavar="EXPORT", help="an export of digits; else one is made")
    parser.add_argument("--model", default=_MODEL, metavar="NAME", help=f"the model to make (default {_MODEL})")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="the files of MNIST (default: EDGEPORT_DATA)")
    parser.add_argument("--save", action="store_true", help=f"write {SAVED.relative_to(ROOT)} too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so much at once")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    source = host_source()
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoppedError(f"another run works in {BUILD}: wait for it to end") from error
        digits, facts = _digits(options.data_dir)
        userlands = dict.fromkeys(device.userland for device in DEVICES)
        # Training takes a core while the downloads wait for the network.
        ready = _all(
            {
                "export": lambda: options.export or _quick_export(options.model),
                "QEMU": partial(build_emulators, source, BUILD),
                **{each.name: partial(build_userland, each, source, BUILD) for each in userlands},
            },
            jobs=options.jobs + 1, say=lambda each, _: f"{each}: ready",
        )  # fmt: skip
        export, emulators = ready["export"], ready["QEMU"]
        roots = {each: ready[each.name] for each in userlands}
        devices = _all(
            {each: partial(install, each, export, roots[each.userland], emulators, BUILD) for each in DEVICES},
            jobs=options.jobs, say=lambda each, _: f"{each.name}: bundle installed",
        )  # fmt: skip
        tried = _all(
            {each: partial(_try, each, devices[each.device], digits, emulators) for each in NATIVE + EMULATED},
            jobs=options.jobs, say=lambda each, made: f"{each.name}: {made.error or 'answered'}",
        )  # fmt: skip
        report = _compared(tried, devices, digits=facts, model=_model(export), qemu=emulator_version(emulators))
    return _told(report, save=options.save)


def _told(report: Report, *, save: bool) -> int:
    paths = [BUILD / "summary.json", *([SAVED] if save else [])]
    for path in paths:
        write_report(report, path)
    print(f"\n{table(report)}\n")
    print(f"Written to {', '.join(str(path.relative_to(ROOT)) for path in paths)}")
    for line in report.broken:
        print(f"BROKEN  {line}", file=sys.stderr)
    if report.broken:
        print(f"{len(report.broken)} promises are broken.", file=sys.stderr)
        return 1
    print("Every integer artefact answered bit for bit alike, and all selftests passed.")
    return 0


def _quick_export(model: str) -> Path:
    """Return an export of a model that was trained on the digits of mnist-5k; made once."""
    folder = BUILD / "models" / model
    export = folder / "export"
    edgeport = [sys.executable, "-m", "edgeport.runtime.cli"]
    if not (folder / "train" / "training.json").exists():
        _say(f"Training {model} on mnist-5k, {_EPOCHS} epochs")
        options = ["--dataset", "mnist-5k", "--model", model, "--epochs", str(_EPOCHS), "--overwrite"]
        run([*edgeport, "train", *options, "-o", folder / "train"], what="edgeport train")
    _say("Exporting it")
    run([*edgeport, "export", folder / "train" / "model.keras", "-o", export, "--overwrite"], what="edgeport export")
    return export


def _digits(data_dir: Path | None) -> tuple[Path, dict[str, Any]]:
    """Write the digits to compare, the first ones of a test split, and return the file and what they are."""
    name = "mnist" if data_dir or os.environ.get("EDGEPORT_DATA") else "mnist-5k"
    images = load_dataset(name, data_dir=data_dir).test.samples[:COUNT]
    path = BUILD / "digits.npz"
    np.savez(path, images=images)
    sha256 = hashlib.sha256(images.tobytes()).hexdigest()
    return path, {"dataset": name, "split": "test", "count": len(images), "sha256": sha256}


def _model(export: Path) -> dict[str, Any]:
    manifest = json.loads((export / "manifest.json").read_text("utf-8"))
    digests = {artefact["file"]: artefact["sha256"] for artefact in manifest["artefacts"]}
    return {"name": manifest["name"], "dataset": manifest.get("dataset", ""), "sha256": digests}


def _try(trial: Trial, installed: Installed, digits: Path, emulators: Path) -> Tried:
    """Run the selftest and the digits; a crash is a result, and goes on with the next trial."""
    try:
        checks = selftest(trial, installed, emulators)
        return Tried(answers(trial, installed, digits, emulators, BUILD), tuple(checks))
    except StoppedError as error:
        return Tried(error=str(error))


def _all(steps: Mapping[Key, Callable[[], Made]], *, jobs: int, say: Callable[[Key, Made], str]) -> dict[Key, Made]:
    """Return what each step makes; ``jobs`` of them run at once, and each is reported when it is done."""
    with ThreadPoolExecutor(jobs) as pool:
        futures: dict[Future[Made], Key] = {pool.submit(step): key for key, step in steps.items()}
        try:
            for place, future in enumerate(as_completed(futures), 1):
                _say(f"[{place}/{len(futures)}] {say(futures[future], future.result())}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise
    return {key: future.result() for future, key in futures.items()}


def _compared(
    tried: Mapping[Trial, Tried], devices: Mapping[Device, Installed], *, digits: dict[str, Any], model: dict[str, Any],
    qemu: str,
) -> Report:  # fmt: skip
    raw = {trial: dict(np.load(made.answers, allow_pickle=False)) for trial, made in tried.items() if made.answers}
    facts = {trial: json.loads(arrays.pop("facts").tobytes()) for trial, arrays in raw.items()}

    def rows(ours: Trial, theirs: Trial) -> list[Compared]:
        if ours not in raw or theirs not in raw:
            return []
        precisions = devices[ours.device].precisions
        return [
            Compared(
                ours.device.userland.name, facts[ours]["python"], ours.cpu, ours.engine, facts[ours]["version"],
                facts[theirs]["version"], file, precisions[file], str(raw[ours][file].dtype),
                compare_rows(raw[ours][file], raw[theirs][file]),
            )
            for file in raw[ours] if file in raw[theirs]
        ]  # fmt: skip

    native = {(trial.device, trial.engine): trial for trial in NATIVE}
    compared = [row for trial in EMULATED for row in rows(trial, native[trial.reference, trial.engine])]
    here = [trial for trial in NATIVE if trial.device.userland == PC_BOOKWORM]
    pair = [trial for name in _PAIR for trial in here if trial.engine == name]
    selftests = [_selftest(trial, check) for trial, made in tried.items() for check in made.checks]
    errors = [made.error for made in tried.values() if made.error]
    expected = {
        (trial.device.userland.name, trial.cpu, trial.engine): [
            file
            for file, precision in devices[trial.device].precisions.items()
            if engine_named(trial.engine).runs(precision, file.rpartition(".")[2], arch=trial.device.userland.arch)
        ]
        for trial in EMULATED
    }
    broken = broken_promises(compared, selftests, expected=expected, rows=COUNT)
    return Report(
        qemu, digits, model, tuple(compared), tuple(rows(*pair)), tuple(selftests), (*errors, *broken)
    )  # fmt: skip


def _selftest(trial: Trial, check: Mapping[str, Any]) -> Selftest:
    return Selftest(
        trial.device.userland.name, trial.cpu, trial.engine, check["file"], check["status"], check["rows"],
        check["note"],
    )  # fmt: skip


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
