"""The export stage: convert, embed metadata and checksum, run in the real engine, verify, and only then deliver."""

import hashlib
import importlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.export.conversion.interrupts import interrupts_kept
from edgeport.export.conversion.memory import cycles_freed_early, free_memory
from edgeport.export.conversion.options import OnNote, Options, check_layers
from edgeport.export.conversion.ranges.methods import MINMAX
from edgeport.export.conversion.ranges.trial import MethodChooser, check_method
from edgeport.export.manifest import FILE_NAME, Artefact, Manifest, Refusal, manifest_text, read_manifest
from edgeport.export.sources.source import Source
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.class_names import contradicted, named, naming_notes
from edgeport.export.verification.engine_process import EngineAnswer, run_in_engines
from edgeport.export.verification.reference import Reference
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, with_checksum
from edgeport.runtime.artefact.formats import FORMATS, Format
from edgeport.runtime.artefact.input_kinds import kind_text
from edgeport.runtime.artefact.precisions import PRECISIONS, Precision, precision_named
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import ArtefactError, EdgeportError, ExportError, InputError
from edgeport.runtime.files.output import staged_folder
from edgeport.train.models.scaling import scales_pixels


@dataclass(frozen=True)
class Progress:
    """How far an export has come.

    Attributes:
        done: How many steps are behind it.
        steps: How many there are.
        doing: What comes now, in a few words.
        outcome: What has just become of an artefact, if anything.
        seconds: How long that took to convert.
    """

    done: int
    steps: int
    doing: str
    outcome: Artefact | Refusal | None = None
    seconds: float = 0.0


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class _Job:
    """What every artefact of an export shares."""

    source: Source
    calibration: CalibrationSet
    options: Options

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
    def naming(self) -> tuple[str, ...]:
        """What a user should know about the names of the classes, which the model's answers are held against."""
        contrary = contradicted(self.source, self.calibration, self.reference.answers[self.source.outputs[0].name])
        return (*naming_notes(self.source, self.calibration), *([contrary] if contrary else []))


def export(
    source: Source,
    output: Path,
    calibration: CalibrationSet,
    *,
    options: Options | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Manifest:
    """Write the verified artefacts of a model, and the manifest, to a folder.

    An artefact that cannot be made, or that does not answer like the model, stops none of the others: the manifest
    lists it with the reason.

    Args:
        source: The model.
        output: The folder; files of other names in it are left alone.
        calibration: What the quantizer sees, and what the artefacts are verified on.
        options: Which artefacts, how, and what they must reach.
        on_progress: Called at every step, and with every artefact as soon as its fate is known.

    Raises:
        ExportError: The model cannot answer, or no artefact at all could be delivered.
        InputError: The folder cannot be written, or the options do not fit the model.
    """
    options = options or Options()
    check_pixels(source, calibration)
    source = named(source, calibration)
    _check_kept(source, options)
    check_method(source, options)
    job = _Job(source.with_lengths(calibration.shapes), calibration, options)
    options.batch_of(job.source.inputs[0], usual=None)
    if options.tflite_metadata and not (source.ends_in_probabilities and calibration.inputs[0].range):
        raise InputError(
            "TFLite metadata is for classifiers of one image that end in a softmax or sigmoid, and "
            f"{source.opened.what} is none: leave --tflite-metadata out"
        )
    if options.tflite_metadata and calibration.inputs[0].channels == "bgr":
        raise InputError("TFLite metadata has no word for channels with blue first: leave --tflite-metadata out")
    steps = 2 * len(options.variants) + 1
    now = Progress(0, steps, f"answers of {source.opened.what}")
    on_progress(now)
    # The model must answer before anything is converted.
    with interrupts_kept():
        _ = job.reference.answers
    _ = job.naming
    _check_required(job)
    _check_probabilities(job)
    outcomes: list[Artefact | Refusal] = []
    with cycles_freed_early(), staged_folder(output, record=FILE_NAME, stale=_earlier_files(output)) as folder:
        for event in _outcomes(job, folder):
            if isinstance(event, str):
                now = Progress(now.done + 1, steps, event)
                on_progress(now)
            else:
                outcome, seconds = event
                outcomes.append(outcome)
                on_progress(replace(now, outcome=outcome, seconds=seconds))
        artefacts = tuple(outcome for outcome in outcomes if isinstance(outcome, Artefact))
        refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Refusal))
        if not artefacts and not any(folder.iterdir()):
            raise ExportError(
                f"nothing of {source.opened.what} can be delivered: {refused[0].file} {refused[0].outcome}: "
                f"{refused[0].reason}"
            )
        manifest = _manifest(job, output, artefacts, refused)
        (folder / FILE_NAME).write_text(manifest_text(manifest), "utf-8")
    return manifest


def check_pixels(source: Source, calibration: CalibrationSet) -> None:
    """Raise InputError if nobody knows what pixels are to the model: it would answer at random on the device."""
    for port, found in zip(source.inputs, calibration.inputs, strict=True):
        if port.kind and (found.kind, found.range, found.channels) != (port.kind, port.range, port.channels):
            raise InputError(
                f"{port.name} of {source.opened.what}: got samples for {kind_text(found)}, expected {kind_text(port)}"
            )
        if port.kind or found.kind != "pixels" or scales_pixels(source.graph.definition, port.name):
            continue
        name = f"{port.name}=" if len(source.inputs) > 1 else ""
        raise InputError(
            f"{source.opened.what} has nothing that scales the pixels of {port.name}, 0 to 255, before its first "
            f"weights: say what 0 and 255 are to it with --input {name}pixels:-1:1 or {name}pixels:0:1, or "
            f"{name}pixels:0:255 if it was trained on raw pixels; or give float samples and {name}real"
        )


def _check_kept(source: Source, options: Options) -> None:
    """Raise InputError if a layer that shall stay in floats is none of the model's."""
    if options.keep_float and source.is_quantization_aware:
        raise InputError(
            f"--keep-float: {source.opened.what} was trained quantization-aware, with the ranges of int8: leave it out"
        )
    if source.graph.layers:
        check_layers(options.keep_float, source.graph.layers[1:])


def _check_required(job: _Job) -> None:
    """Raise InputError if the caller asks for a figure that no output of the model has."""
    decisions, names = job.reference.decisions, [port.name for port in job.source.outputs]
    if job.options.require_agreement and not decisions:
        raise InputError(
            f"--require-agreement: no output of {job.source.opened.what} is known to be classes ({', '.join(names)}): "
            "say with --activation how the first one decides, or ask for --require-sqnr"
        )
    if job.options.require_sqnr_db and all(decisions.get(name) == "equal" for name in names):
        raise InputError(
            f"--require-sqnr: the outputs of {job.source.opened.what} are decisions and no real values "
            f"({', '.join(names)}): ask for --require-agreement"
        )


def _check_probabilities(job: _Job) -> None:
    """Raise InputError if what is said to be a probability is none: a threshold of one half would mean nothing."""
    for port in job.source.outputs:
        answers = job.reference.answers[port.name]
        if port.kind in ("labels", "yes-no") and not (answers.min() >= 0 and answers.max() <= 1):
            cure = "--activation sigmoid" if port == job.source.outputs[0] else "end it in a sigmoid"
            raise InputError(
                f"--outputs {port.name}={port.kind}: got answers from {answers.min():.4g} to {answers.max():.4g}, "
                f"expected probabilities from 0 to 1: if they are logits, {cure}"
            )


def _unsaid(job: _Job) -> list[str]:
    """Return a warning if the first output could be the scores of classes, and nothing says so."""
    first, classes = job.source.outputs[0], len(job.calibration.labels)
    if first.kind != "any" or first.name in job.source.meanings or first.shape[1:] != (classes,) or classes < 2:
        return []
    return [
        f"the output {first.name} has a column for each of the {classes} classes of {job.calibration.facts['source']}, "
        f"but no softmax: give --outputs {first.name}=classes, or --activation softmax, if it gives their scores"
    ]


def _outcomes(job: _Job, folder: Path) -> Iterator[str | tuple[Artefact | Refusal, float]]:
    """Convert all variants, then run all that came out of it.

    Yields:
        What is done next, in words; and what became of each variant, with the seconds that its conversion took.
    """
    converted: dict[str, tuple[Format, Precision, tuple[str, ...], float]] = {}
    methods = MethodChooser(job.source, job.calibration, job.options, job.inputs, job.reference)
    for row, precision in job.options.variants:
        free_memory()
        file = f"{job.source.name}.{precision.name}{row.suffix}"
        yield f"converting {file}"
        started = time.perf_counter()
        notes: list[str] = []
        try:
            with interrupts_kept():
                options = methods.options_for(row, precision, notes.append)
                content = _convert(replace(job, options=options), row, precision, notes.append)
        except EdgeportError as error:
            yield Refusal(file, row.name, precision.name, "failed", str(error)), time.perf_counter() - started
            continue
        (folder / file).write_bytes(content)
        converted[file] = row, precision, tuple(notes), time.perf_counter() - started
    free_memory()
    answers = run_in_engines(folder, list(converted), job.calibration.held_out, at_once=job.source.samples_at_once)
    for file, (row, precision, noted, seconds) in converted.items():
        yield f"verifying {file}"
        outcome = _verify(job, folder / file, row, precision, next(answers))
        free_memory()
        yield replace(outcome, notes=noted), seconds


def _convert(job: _Job, row: Format, precision: Precision, on_note: OnNote) -> bytes:
    exporter = importlib.import_module(row.exporter)
    try:
        with quiet_stderr():
            content = exporter.convert(
                job.source,
                precision=precision.name,
                calibration=job.calibration,
                options=job.options,
                on_note=on_note,
            )
    except EdgeportError:
        raise
    except Exception as error:  # the converters raise whatever they meet
        raise ExportError(cleaned(error)) from error
    return with_checksum(exporter.embed(content, _metadata(job, precision)))


def _verify(job: _Job, path: Path, row: Format, precision: Precision, answer: EngineAnswer) -> Artefact | Refusal:
    """Return a verified artefact; one that failed is removed, or renamed if it shall be kept."""
    if answer.answers is None:
        path.unlink()
        return Refusal(path.name, row.name, precision.name, "failed", cleaned(answer.error, file=path))
    names = [port.name for port in job.source.outputs]
    if set(names) != answer.answers.keys():
        path.unlink()
        reason = f"the file has the outputs {', '.join(answer.answers)}, expected {', '.join(names)}"
        return Refusal(path.name, row.name, precision.name, "failed", reason)
    answers = {name: answer.answers[name] for name in names}
    with interrupts_kept():
        verified = job.reference.verify(answers, precision)
    missed = verified.misses(precision.limits, job.options.required)
    if missed:
        if job.options.keep_rejected:
            path.rename(path.with_name(_rejected_name(path.name, row)))
        else:
            path.unlink()
        return Refusal(path.name, row.name, precision.name, "rejected", missed, verified)
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
        verified=verified,
    )


def _metadata(job: _Job, precision: Precision) -> EmbeddedMetadata:
    source = job.source
    # What an artefact that ends at the logits leaves to the runtime.
    left = dict.fromkeys(source.activations, "none")
    if precision.in_integers:
        left.update({name: source.activations[name] for name in source.logits})
    trained = source.is_quantization_aware and precision.trained_for
    calibration = {"source": "quantization-aware training"} if trained else job.calibration.facts
    if job.options.calibration_method != MINMAX and not precision.wide_activations:
        calibration = {**calibration, "method": job.options.calibration_method}
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
        versions=_versions(),
    )


def _manifest(job: _Job, output: Path, artefacts: tuple[Artefact, ...], refused: tuple[Refusal, ...]) -> Manifest:
    source, calibration = job.source, job.calibration.facts
    if Path(calibration["source"]).exists():
        # What was named from where the export ran is found again from where it lies.
        calibration = {**calibration, "file": _way(calibration["source"], output)}
    return Manifest(
        name=source.name,
        source={
            "file": _way(source.opened.file, output) if source.opened.file else "",
            "sha256": source.opened.sha256,
        },
        inputs=job.inputs,
        outputs=source.outputs,
        dataset=source.dataset,
        dataset_sha256=source.dataset_sha256,
        calibration=calibration,
        warnings=(
            *job.calibration.warnings,
            *job.naming,
            *_unsaid(job),
            *job.reference.warnings,
            *_uncertain(job, artefacts),
        ),
        options=asdict(job.options),
        versions=_versions(),
        artefacts=artefacts,
        refused=refused,
        layers=source.graph.layers,
    )


def _way(file: str | Path, output: Path) -> str:
    """Return the path of a file from the export folder."""
    # Between the real paths: through symlinks a path up from the folder leads elsewhere.
    return os.path.relpath(os.path.realpath(file), os.path.realpath(output))


def _uncertain(job: _Job, artefacts: tuple[Artefact, ...]) -> list[str]:
    """Return the warnings of float32 files that rounding could hide a fault of, one at the most."""
    texts = (job.reference.uncertainty(each.verified, precision_named(each.precision)) for each in artefacts)
    return [text for text in texts if text][:1]


def _rejected_name(file: str, row: Format) -> str:
    return f"{file.removesuffix(row.suffix)}.rejected{row.suffix}"


def _earlier_files(output: Path) -> Iterable[str]:
    """Return the files of the export that ``output`` holds now, if it holds one that can be read."""
    try:
        earlier = read_manifest(output)
    except ArtefactError:
        return []
    # Only what an export names so: a manifest that was edited must not get other files removed.
    listed = {artefact.file for artefact in earlier.artefacts} | {refusal.file for refusal in earlier.refused}
    possible = {f"{earlier.name}.{precision}{row.suffix}": row for precision in PRECISIONS for row in FORMATS}
    return {name for file in listed & possible.keys() for name in (file, _rejected_name(file, possible[file]))}


def _versions() -> Mapping[str, str]:
    names = ("edgeport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
