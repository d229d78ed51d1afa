"""Run edgeport beside its peers, on the same weights and images.

Run it with: python -m edgeport.benchmarks.lab.peers.comparison -o docs/results/peers.json
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgeport.benchmarks.lab.peers.environments import tflite_runtime_python
from edgeport.benchmarks.lab.peers.line_up import BY_TF2ONNX, EDGEPORT, KERAS_FILE, Entrant, line_up, under
from edgeport.benchmarks.lab.peers.peers_report import RESULT, ModelFacts, PeersReport, Row, markdown
from edgeport.benchmarks.lab.peers.subjects import Subject, exported_subject, mobilenet_subject
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import Answers, answers_of, time_candidates
from edgeport.benchmarks.report.raw.record import Condition
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError, MissingDependencyError
from edgeport.runtime.files.output import write_whole

OnStep = Callable[[str], None]
_RUNS = (Path("runs/mnist-classic/export"), Path("runs/mnist-edge/export"))
_WORK = Path("build/peers")
_PROTOCOL = Protocol(launches=8, turns=3, turn_seconds=0.03, warmup_seconds=0.15)


@dataclass(eq=False)
class _Found:
    """What has been measured so far."""

    models: list[ModelFacts] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    conditions: dict[str, list[Condition]] = field(default_factory=dict)
    partial: str = ""


def compare_with_peers(
    subjects: Sequence[Subject],
    *,
    tflite_runtime: Path | str,
    protocol: Protocol = _PROTOCOL,
    on_step: OnStep = lambda what: None,
) -> PeersReport:
    """Run every model in every way, those of a model in turns in one run; Ctrl-C keeps what was measured.

    Args:
        subjects: The models.
        tflite_runtime: The interpreter of an environment with tflite-runtime, or why there is none.
        protocol: How latency is measured.
        on_step: Called with a few words before each step.

    Raises:
        EdgeportError: The Keras model, or edgeport, cannot run here.
        KeyboardInterrupt: Ctrl-C before anything was measured.
    """
    found = _Found()
    for subject in subjects:
        try:
            if isinstance(tflite_runtime, str):
                files = ("float32.tflite", "int8.tflite")
                found.skipped += [_skip(subject, file, under("tflite-runtime"), tflite_runtime) for file in files]
            python = tflite_runtime if isinstance(tflite_runtime, Path) else None
            _measure(found, subject, python, protocol, on_step)
        except KeyboardInterrupt:
            if not found.rows:
                raise
            found.partial = found.partial or "interrupted between models"
        if found.partial:
            break
    return PeersReport(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgeport={"version": version("edgeport")},
        host=host_facts(),
        protocol={**asdict(protocol), "threads": 1, "batch": 1},
        **vars(found),
    )


def _measure(found: _Found, subject: Subject, python: Path | None, protocol: Protocol, on_step: OnStep) -> None:
    """Add what one model shows."""
    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        converted = _converted(found, subject, Path(folder, "int8.onnx"), on_step)
        entrants = line_up(subject, tf2onnx_file=converted, tflite_runtime=python)
        running, answers = _asked(found, subject, entrants, on_step)
        timings = time_candidates(
            [entrant.candidate for entrant in running],
            subject.images[:1],
            protocol=protocol,
            on_step=lambda what: on_step(f"{subject.name}: {what}"),
        )
    keras = answers[running[0].candidate.name].values.argmax(axis=1)
    found.models.append(_facts(subject))
    found.conditions[subject.name] = timings.conditions
    found.partial = timings.partial
    for entrant in running:
        name = entrant.candidate.name
        found.rows.append(
            Row(
                model=subject.name,
                file=entrant.file,
                by=entrant.by,
                beside=entrant.beside,
                engine=answers[name].engine,
                agreeing=int((answers[name].values.argmax(axis=1) == keras).sum()),
                series=tuple(timings.series[name]),
            )
        )


def _converted(found: _Found, subject: Subject, path: Path, on_step: OnStep) -> Path | None:
    """Return what tf2onnx makes of the int8 TFLite file, or None if it cannot."""
    on_step(f"{subject.name}: {BY_TF2ONNX}")
    try:
        with quiet_stderr():
            from edgeport.benchmarks.lab.peers.ways.tf2onnx_int8 import convert

            convert(subject.path("int8.tflite"), path)
    except Exception as error:  # tf2onnx raises whatever an operator leads it into
        found.skipped.append(_skip(subject, BY_TF2ONNX, "onnxruntime", " ".join(str(error).split())[:200]))
        return None
    return path


def _asked(
    found: _Found, subject: Subject, entrants: Sequence[Entrant], on_step: OnStep
) -> tuple[list[Entrant], dict[str, Answers]]:
    """Return those who can run here, and their answers; raises if the Keras model or edgeport cannot."""
    answers: dict[str, Answers] = {}
    candidates = [entrant.candidate for entrant in entrants]
    replies = answers_of(candidates, subject.images, on_step=on_step)
    for entrant, (candidate, answer) in zip(entrants, replies, strict=True):
        if isinstance(answer, Answers):
            answers[candidate.name] = answer
        elif entrant.by == EDGEPORT or entrant.file == KERAS_FILE:
            raise answer
        else:
            found.skipped.append(_skip(subject, entrant.file, entrant.by, str(answer)))
    return [entrant for entrant in entrants if entrant.candidate.name in answers], answers


def _facts(subject: Subject) -> ModelFacts:
    digests = {file: artefact.sha256 for file, artefact in subject.artefacts.items()}
    return ModelFacts(
        name=subject.name,
        sha256={KERAS_FILE: hashlib.sha256(subject.keras.read_bytes()).hexdigest(), **digests},
        images={
            "source": subject.source,
            "count": len(subject.images),
            "shape": list(subject.images.shape[1:]),
            "sha256": hashlib.sha256(np.ascontiguousarray(subject.images).data).hexdigest(),
        },
    )


def _skip(subject: Subject, file: str, by: str, reason: str) -> dict[str, str]:
    return {"model": subject.name, "file": file, "by": by, "reason": reason}


def _tflite_runtime(folder: Path | None, on_step: OnStep) -> Path | str:
    """Return the interpreter of an environment with tflite-runtime, or why there is none."""
    if folder is None:
        return "no environment for it was asked for: --tflite-runtime"
    on_step(f"environment for tflite-runtime in {folder}")
    try:
        return tflite_runtime_python(folder)
    except MissingDependencyError as error:
        return str(error)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "exports",
        nargs="*",
        type=Path,
        metavar="EXPORT",
        help=f"export folders of models that edgeport has trained (default {' '.join(map(str, _RUNS))})",
    )
    parser.add_argument(
        "--tflite-runtime",
        type=Path,
        metavar="DIR",
        help="measure tflite-runtime too, from this environment; it is made if it is not there (Python 3.11 or older)",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=_WORK,
        metavar="DIR",
        help=f"where MobileNetV2 is kept once it is made (default {_WORK})",
    )
    parser.add_argument("--no-mobilenet", action="store_true", help="leave MobileNetV2 out")
    parser.add_argument(
        "--images", type=int, default=1000, metavar="N", help="images on which answers are compared (default 1000)"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=_PROTOCOL.launches,
        metavar="N",
        help=f"processes of each candidate; more make the intervals shorter (default {_PROTOCOL.launches})",
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")


def _run(arguments: argparse.Namespace) -> None:
    for name, least in (("images", 1), ("processes", 2)):
        if getattr(arguments, name) < least:
            raise InputError(f"--{name}: got {getattr(arguments, name)}, expected {least} or more")
    on_step: OnStep = partial(print, flush=True)
    # All of them first: what is wrong with the last is reported before the first is measured.
    subjects = [
        exported_subject(folder, count=arguments.images, data_dir=arguments.data_dir)
        for folder in arguments.exports or _RUNS
    ]
    tflite_runtime = _tflite_runtime(arguments.tflite_runtime, on_step)
    if not arguments.no_mobilenet:
        subjects.append(mobilenet_subject(arguments.work / "mobilenetv2", on_step=on_step))
    report = compare_with_peers(
        subjects,
        tflite_runtime=tflite_runtime,
        protocol=replace(_PROTOCOL, launches=arguments.processes),
        on_step=on_step,
    )
    write_whole(arguments.output, RESULT.text(report).encode())
    print(markdown(report), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.peers.comparison",
            "Run edgeport beside its peers, on the same weights and images.",
            run=_run,
            extra="peers",
            add_arguments=_add_arguments,
        )
    )
