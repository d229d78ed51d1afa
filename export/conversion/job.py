"""What every artefact of an export shares, and how one of them is made and verified."""

import hashlib
import importlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from edgeport.export.conversion.foreign_messages import cleaned, foreign_errors
from edgeport.export.conversion.interrupts import interrupts_kept
from edgeport.export.conversion.options import OnNote, Options
from edgeport.export.conversion.ranges.choice import CURES
from edgeport.export.conversion.ranges.methods import MINMAX
from edgeport.export.diagnosis.judge import Judge, Times
from edgeport.export.manifest import Artefact, Refusal
from edgeport.export.sources.source import Source
from edgeport.export.verification.advice.advising import warnings_of
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.class_names import contradicted, naming_notes
from edgeport.export.verification.engine_process import EngineAnswer
from edgeport.export.verification.reference import Reference
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, with_checksum
from edgeport.runtime.artefact.formats import Format
from edgeport.runtime.artefact.precisions import Precision
from edgeport.runtime.errors import ExportError
from edgeport.runtime.tensors.arrays import Tensor


@dataclass(frozen=True, eq=False)
class Job:
    """What every artefact of an export shares.

    Attributes:
        source: The model.
        calibration: What the quantizer sees, and what the artefacts are verified on.
        options: Which artefacts, how, and what they must reach.
        judge: Who says whether int8 is good enough; None if nobody asks.
        times: What times files, for layers that run faster in floats; None if nobody asks.
    """

    source: Source
    calibration: CalibrationSet
    options: Options
    judge: Judge | None = None
    times: Times | None = None

    def with_options(self, options: Options) -> "Job":
        """Return the same job with other choices; what the model answers stays known."""
        other = replace(self, options=options)
        known = ("reference", "judged_answers", "mistakes", "naming")
        vars(other).update({name: vars(self)[name] for name in known if name in vars(self)})
        return other

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What the model takes, and how pixels and pictures become it."""
        known = self.calibration.inputs
        return tuple(each._replace(shape=port.shape) for port, each in zip(self.source.inputs, known, strict=True))

    @cached_property
    def reference(self) -> Reference:
        """What the artefacts are verified against."""
        return Reference(self.source, self.calibration)

    @cached_property
    def judged_answers(self) -> dict[str, Tensor]:
        """What the model itself answers to the samples of the judge."""
        assert self.judge is not None, "who asks has one"
        if self.judge.samples is self.calibration.held_out:
            return self.reference.answers
        return self.source.answers(self.judge.samples, to_real=self.calibration.to_real)

    @cached_property
    def mistakes(self) -> tuple[str, ...]:
        """What may be wrong with the samples that give the ranges of integers, if any are asked for."""
        return warnings_of(self.source, self.calibration, self.reference) if self.options.needs_calibration else ()

    @cached_property
    def naming(self) -> tuple[str, ...]:
        """What a user should know about the names of the classes, which the model's answers are held against."""
        contrary = contradicted(self.source, self.calibration, self.reference.answers[self.source.outputs[0].name])
        return (*naming_notes(self.source, self.calibration), *([contrary] if contrary else []))


def converted(job: Job, row: Format, precision: Precision, on_note: OnNote) -> bytes:
    """Return an artefact with its metadata and checksum; raises EdgeportError if the model cannot be converted so."""
    exporter = importlib.import_module(row.exporter)
    with foreign_errors():
        content: bytes = exporter.convert(
            job.source,
            precision=precision.name,
            calibration=job.calibration,
            options=job.options,
            on_note=on_note,
        )
    return with_metadata(job, row, precision, content, in_floats=job.options.keep_float if precision.for_layers else ())


def with_metadata(
    job: Job, row: Format, precision: Precision, content: bytes, *, in_floats: Sequence[str] = ()
) -> bytes:
    """Return the bytes of a converter with metadata and checksum."""
    metadata = _metadata(job, precision)._replace(in_floats=tuple(in_floats))
    return with_checksum(importlib.import_module(row.exporter).embed(content, metadata))


def own_answers(job: Job, answer: EngineAnswer, path: Path) -> dict[str, Tensor]:
    """Return what an engine answers, by the model's outputs.

    Raises:
        ExportError: It gives no answers, or those of other outputs.
    """
    if answer.answers is None:
        raise ExportError(cleaned(answer.error, file=path))
    names = [port.name for port in job.source.outputs]
    if set(names) != answer.answers.keys():
        raise ExportError(f"the file has the outputs {', '.join(answer.answers)}, expected {', '.join(names)}")
    return {name: answer.answers[name] for name in names}


def verified(
    job: Job, path: Path, row: Format, precision: Precision, answer: EngineAnswer, *, in_floats: Sequence[str] = ()
) -> Artefact | Refusal:
    """Return a verified artefact; one that failed is removed, or renamed if it shall be kept."""
    try:
        answers = own_answers(job, answer, path)
    except ExportError as error:
        path.unlink()
        return Refusal(path.name, row.name, precision.name, "failed", str(error))
    with interrupts_kept():
        found = job.reference.verify(answers, precision)
    missed = found.misses(precision.limits, job.options.required)
    if missed:
        if job.options.keep_rejected:
            path.rename(path.with_name(rejected_name(path.name, row)))
        else:
            path.unlink()
        return Refusal(path.name, row.name, precision.name, "rejected", missed, found)
    content = path.read_bytes()
    return Artefact(
        file=path.name,
        format=row.name,
        precision=precision.name,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        inputs=answer.inputs,
        outputs=answer.outputs,
        activations=tuple(output.activation for output in _metadata(job, precision).outputs),
        verified=found,
        in_floats=tuple(in_floats),
    )


def _metadata(job: Job, precision: Precision) -> EmbeddedMetadata:
    source = job.source
    # What an artefact that ends at the logits leaves to the runtime.
    left = dict.fromkeys(source.activations, "none")
    if precision.in_integers:
        left.update({name: source.activations[name] for name in source.logits})
    trained = source.is_quantization_aware and precision.trained_for
    calibration = {"source": "quantization-aware training"} if trained else job.calibration.facts
    if job.options.calibration_method != MINMAX and not precision.wide_activations:
        calibration = {**calibration, "method": job.options.calibration_method}
    for cure, (what, done) in CURES.items():
        if getattr(job.options, cure):
            calibration = {**calibration, what: done}
    if source.applied != "none":
        left[source.outputs[0].name] = source.applied
    return EmbeddedMetadata(
        model=source.name,
        precision=precision.name,
        inputs=job.inputs,
        outputs=tuple(port._replace(activation=left[port.name]) for port in source.outputs),
        dataset=source.dataset,
        calibration=calibration if precision.in_integers else {},
        source_sha256=source.opened.sha256,
        versions=versions(),
    )


def rejected_name(file: str, row: Format) -> str:
    """Return what a file is called that failed verification and is kept."""
    return f"{file.removesuffix(row.suffix)}.rejected{row.suffix}"


def versions() -> Mapping[str, str]:
    """Return the versions of what makes artefacts."""
    names = ("edgeport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
