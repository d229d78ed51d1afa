"""From what is to be measured to a report: answers first, then times, then all of it in one record."""

import base64
import io
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.measure.candidates.candidate import Candidate, Samples, count_of
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import Answers, Timings, answers_of, time_candidates
from edgeport.benchmarks.report.raw.changed import DRAWN, change_of
from edgeport.benchmarks.report.raw.packed import packed
from edgeport.benchmarks.report.raw.record import (
    BASELINE,
    ENGINE_CALL,
    LABEL,
    PREDICT,
    JudgedOutput,
    Measured,
    Report,
)
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.engines.installed import engine_for
from edgeport.runtime.errors import ArtefactError, EdgeportError, InputError, MissingDependencyError
from edgeport.runtime.golden.answers import digest_of
from edgeport.runtime.host.machine import version_of
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor
from edgeport.runtime.tensors.quantization import softmax

_MOST_PICTURES, _MOST_CHANGED = 100, 6

OnStep = Callable[[str], None]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Entry:
    """One candidate of a report.

    Attributes:
        file: Its file name in the report.
        format: ``tflite``, ``onnx`` or ``keras``.
        precision: Its precision.
        bytes: Its size; 0 if it is not known.
        sha256: The digest of its file.
        candidate: How it is run; None if its answers were recorded elsewhere.
        recorded: The recorded answers, for each output (n, ...); one of any name for a model that chooses a class.
        engine: ``name`` and ``version`` of what gave the recorded answers.
        same_as: The entry of the same file under its default engine, by ``file``; empty for that one itself.
    """

    file: str
    format: str
    precision: str
    bytes: int
    sha256: str
    candidate: Candidate | None = None
    recorded: Mapping[str, Tensor] | None = None
    engine: Mapping[str, str] | None = None
    same_as: str = ""


@dataclass(frozen=True)
class Timing:
    """What is timed.

    Attributes:
        batches: Images a call.
        threads: Threads of each engine; the first one's latency on one image is what tables show.
        protocol: How.
        labels: Whether the answers are classes, for which ``classify`` is timed too.
        engines: Under which engines each file is measured beside its default one, by their import names.
    """

    batches: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = (1,)
    protocol: Protocol = field(default_factory=Protocol)
    labels: bool = True
    engines: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says of it."""
        facts = {**asdict(self.protocol), "batches": list(self.batches), "threads": list(self.threads)}
        return facts | ({"engines": list(self.engines)} if self.engines else {})

    @property
    def ways(self) -> tuple[tuple[str, int], ...]:
        """What is timed, and samples a call: all that a user can call on one sample, and predict on batches."""
        single = ((ENGINE_CALL, 1), (PREDICT, 1), *(((LABEL, 1),) if self.labels else ()))
        return (*single, *((PREDICT, batch) for batch in self.batches if batch != 1))


def assembled_report(
    entries: Sequence[Entry],
    samples: Samples,
    truth: Classes | None,
    *,
    model: str,
    dataset: Mapping[str, Any],
    timing: Timing,
    judged: Sequence[JudgedOutput] = (),
    kept: Callable[[Mapping[str, Tensor]], list[Tensor]] = lambda outputs: list(outputs.values()),
    groups: Sequence[int] = (),
    skip_refused: bool = False,
    on_step: OnStep = lambda what: None,
) -> Report:
    """Ask every entry for its answers, time it, and return the report.

    Args:
        entries: The reference first.
        samples: What is answered: see ``Opened.answers``.
        truth: The true class of each image; None for a model that does not choose a class.
        model: The model's name.
        dataset: ``name``, ``split``, ``count``, ``sha256`` and ``labels``.
        timing: What is timed.
        judged: The outputs of a model that does not choose a class.
        kept: From a candidate's outputs to what is kept of each of these.
        groups: Which group each sample is in; empty if each stands for itself.
        skip_refused: Go on without an entry that cannot run here, and name it in ``skipped``.
        on_step: Called with a few words before each step.

    Raises:
        EdgeportError: An entry cannot run here.
        MissingDependencyError: None can.
    """

    def answered(entry: Entry, answers: Answers) -> Measured:
        if judged:
            return _kept(entry, answers, kept, least=len(judged), count=count_of(samples))
        return _answered(entry, answers, count=count_of(samples), classes=len(dataset["labels"]))

    timing = replace(timing, labels=not judged)
    entries = [each for entry in entries for each in (entry, *_under(entry, timing.engines))]
    measured, running, left_out, stopped = _asked(
        entries, samples, answered, skip_refused=skip_refused, on_step=on_step
    )
    sweeping = [
        replace(each, name=_name(each, threads), threads=threads)
        for threads in timing.threads
        for each in running.values()
    ]
    try:
        timings = (
            Timings(partial=stopped)
            if stopped
            else time_candidates(sweeping, samples, protocol=timing.protocol, ways=timing.ways, on_step=on_step)
        )
    except KeyboardInterrupt:
        timings = Timings(partial=f"interrupted in the first of {timing.protocol.launches} rounds")
    report = Report(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgeport={"version": version_of("edgeport"), **_commit()},
        model=model,
        host=host_facts(),
        dataset=dataset,
        truth=[] if truth is None else [int(each) for each in truth],
        protocol=timing.facts,
        artefacts=tuple(_timed(each, running.get(each.file), timings, timing.threads) for each in measured),
        skipped=tuple(left_out),
        conditions=tuple(timings.conditions),
        partial=timings.partial,
        judged=tuple(judged),
        groups=list(groups),
    )
    return replace(report, pictures=pictures_of(report, samples))


def _under(entry: Entry, engines: Sequence[str]) -> list[Entry]:
    """Return the same file under other engines than its default one, each as a candidate of its own."""
    row = next((each for each in FORMATS if each.name == entry.format), None)
    if row is None or entry.candidate is None or entry.file.startswith(BASELINE):
        return []
    others = [name for name in row.engines if name in engines and name != engine_for(row)]
    return [
        replace(
            entry,
            file=(file := f"{entry.file} ({name.replace('_', '-')})"),
            candidate=replace(entry.candidate, name=file, arguments={**entry.candidate.arguments, "engine": name}),
            same_as=entry.file,
        )
        for name in others
    ]


def check_file(path: Path, sha256: str, *, described_by: str, cure: str) -> None:
    """Raise ArtefactError if a file is missing or is not the one with this digest.

    Args:
        path: The file.
        sha256: Its digest.
        described_by: What knows the digest.
        cure: What to do about another one.
    """
    if digest_of(path) != sha256:
        raise ArtefactError(f"{path} is not the file that {described_by} describes (its SHA-256 differs): {cure}")


def check_samples(truth: Classes, labels: Sequence[str], *, source: str) -> None:
    """Raise InputError if nothing can be learned from images of these classes.

    Args:
        truth: The true class of each image.
        labels: The names of the classes.
        source: What to call the images.
    """
    if len(truth) < 2:
        raise InputError(f"{source}: got {len(truth)} test images, expected at least 2")
    least, largest = int(truth.min()), int(truth.max())
    if least < 0 or largest >= len(labels):
        raise InputError(
            f"{source}: got classes from {least} to {largest}, expected 0 to {len(labels) - 1}, as there are "
            f"{len(labels)} labels"
        )
    if least == largest:
        raise InputError(
            f"{source}: all {len(truth)} test images are of class {labels[least]}, and accuracy on one class says "
            "nothing: expected at least 2 classes"
        )


def _asked(
    entries: Sequence[Entry],
    samples: Samples,
    answered: Callable[[Entry, Answers], Measured],
    *,
    skip_refused: bool,
    on_step: OnStep,
) -> tuple[list[Measured], dict[str, Candidate], list[dict[str, str]], str]:
    """Return the answers of all entries, the candidates that can be timed by file, what was left out, and why it ended.

    Ctrl-C keeps the answers of those that have given all, if there is a reference and another one.
    """
    measured = [
        answered(entry, Answers(entry.engine or {}, entry.recorded)) for entry in entries if entry.recorded is not None
    ]
    asked = {entry.candidate.name: entry for entry in entries if entry.candidate is not None}
    candidates = [entry.candidate for entry in entries if entry.candidate is not None]
    running: dict[str, Candidate] = {}
    left_out: list[dict[str, str]] = []
    stopped = ""
    try:
        for candidate, found in answers_of(candidates, samples, on_step=on_step):
            entry = asked[candidate.name]
            if isinstance(found, EdgeportError):
                if not (skip_refused or entry.same_as):
                    raise found
                # The file is the right one, so it is the engine that is missing, or too old for it.
                left_out.append({"file": entry.file, "reason": str(found)})
            else:
                measured.append(answered(entry, found))
                running[entry.file] = candidate
    except KeyboardInterrupt:
        if len(measured) < 2:
            raise
        stopped = f"interrupted after the answers of {len(measured)} of {len(entries)}"
    if not running:
        raise MissingDependencyError(f"nothing could be measured: {left_out[0]['file']}: {left_out[0]['reason']}")
    return measured, running, left_out, stopped


def _name(candidate: Candidate, threads: int) -> str:
    return f"{candidate.name}, {threads} threads"


def _answered(entry: Entry, answers: Answers, *, count: int, classes: int) -> Measured:
    if answers.values.shape != (count, classes):
        raise InputError(
            f"{entry.file}: got answers of shape {answers.values.shape}, expected {(count, classes)}: one row for each "
            f"image, and as many classes as there are labels"
        )
    if not np.isfinite(answers.values).all():
        raise InputError(f"{entry.file} answers with values that are no numbers: it cannot tell classes apart")
    return _measured(entry, answers.engine, answers.values)


def _kept(
    entry: Entry, answers: Answers, kept: Callable[[Mapping[str, Tensor]], list[Tensor]], *, least: int, count: int
) -> Measured:
    """Return an entry with what its tasks need of its answers."""
    if len(answers.outputs) < least:
        raise InputError(f"{entry.file}: got {len(answers.outputs)} outputs, expected {least}, as the reference has")
    for name, values in answers.outputs.items():
        if len(values) != count:
            raise InputError(f"{entry.file}: got {len(values)} answers of {name}, expected {count}: one a sample")
        if not np.isfinite(values).all():
            raise InputError(f"{entry.file}: its output {name} holds values that are no numbers")
    return _record(entry, answers.engine, [], [], kept(answers.outputs))


def _measured(entry: Entry, engine: Mapping[str, str], values: FloatArray) -> Measured:
    inside = values.min() >= 0 and values.max() <= 1
    probabilities = values if inside else softmax(values.astype(np.float32))
    classes = [int(each) for each in values.argmax(axis=1)]
    return _record(entry, engine, classes, [round(1e6 * float(each)) for each in probabilities.max(axis=1)])


def _record(
    entry: Entry,
    engine: Mapping[str, str],
    classes: list[int],
    confidence_ppm: list[int],
    answers: Sequence[Tensor] = (),
) -> Measured:
    """Return an entry with its answers: classes and how sure they are, or arrays."""
    return Measured(
        file=entry.file,
        format=entry.format,
        precision=entry.precision,
        bytes=entry.bytes,
        sha256=entry.sha256,
        engine=dict(engine),
        predictions=classes,
        confidence_ppm=confidence_ppm,
        answers=tuple(map(packed, answers)),
        same_as=entry.same_as,
    )


def _timed(measured: Measured, candidate: Candidate | None, timings: Timings, threads: Sequence[int]) -> Measured:
    """Return a candidate with its times, if it was timed."""
    if candidate is None:
        return measured
    names = [_name(candidate, count) for count in threads]
    return replace(
        measured,
        series=tuple(series for name in names for series in timings.series.get(name, ())),
        starts=tuple(start for name in names for start in timings.starts.get(name, ())),
    )


def pictures_of(report: Report, samples: Samples) -> dict[str, str]:
    """Return the first images that some artefact answers unlike the reference, as PNG in base64.

    Of masks and boxes those are that changed most.
    """
    # Not before there is something to draw.
    from PIL import Image

    images = next(iter(samples.values())) if isinstance(samples, Mapping) else samples
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
        return {}
    place = next((place for place, each in enumerate(report.judged) if each.task in DRAWN and each.targets), None)
    if place is not None:
        change = change_of(report, place)
        chosen = [int(index) for index in np.argsort(-change, kind="stable")[:_MOST_CHANGED] if change[index] > 0]
    elif report.judged:
        return {}
    else:
        chosen = sorted({int(index) for each in report.artefacts for index in report.flips(each)})[:_MOST_PICTURES]
    pictures = {}
    for index in chosen:
        pixels = _pixels(images, index)
        content = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3]).save(content, "PNG")
        pictures[str(index)] = base64.b64encode(content.getvalue()).decode()
    return pictures


def _pixels(images: Tensor, index: int) -> Pixels:
    """Return one sample as a picture: pixels as they are, real values from the least of all samples to the largest."""
    if images.dtype == np.uint8:
        return np.asarray(images[index])
    low, high = float(images.min()), float(images.max())
    scaled = (np.asarray(images[index], np.float64) - low) / ((high - low) or 1.0) * 255
    return np.rint(scaled).astype(np.uint8)


def _commit() -> dict[str, str]:
    """Return the commit that edgeport runs from, if it runs from a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return {}
    try:
        ended = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, encoding="ascii", check=False
        )
    except FileNotFoundError:
        return {}
    return {"commit": ended.stdout.strip()} if ended.returncode == 0 else {}
