"""The export stage: convert, embed metadata and checksum, run in the real engine, verify, and only then deliver."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgeport.export.conversion.interrupts import interrupts_kept
from edgeport.export.conversion.job import Job, converted, rejected_name, verified, versions
from edgeport.export.conversion.memory import cycles_freed_early, free_memory
from edgeport.export.conversion.options import Options, check_layers
from edgeport.export.conversion.ranges.trial import MethodChooser, check_method
from edgeport.export.diagnosis.bought import FLOAT32, INT8, INT16X8, MIXED
from edgeport.export.diagnosis.faster import faster
from edgeport.export.diagnosis.judge import Judge, Times
from edgeport.export.diagnosis.repairing import repaired
from edgeport.export.graphs.weighted_ends import weighted_ends
from edgeport.export.manifest import FILE_NAME, Artefact, Manifest, Refusal, Search, manifest_text, read_manifest
from edgeport.export.sources.source import Source
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.class_names import named
from edgeport.export.verification.engine_process import run_in_engines
from edgeport.runtime.artefact.formats import FORMATS, Format
from edgeport.runtime.artefact.input_kinds import kind_text
from edgeport.runtime.artefact.precisions import PRECISIONS, Precision, precision_named
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
        search: What was found of layers that must stay in floats, if anything.
    """

    done: int
    steps: int
    doing: str
    outcome: Artefact | Refusal | None = None
    seconds: float = 0.0
    search: Search | None = None


OnProgress = Callable[[Progress], None]


def export(
    source: Source,
    output: Path,
    calibration: CalibrationSet,
    *,
    options: Options | None = None,
    judge: Judge | None = None,
    times: Times | None = None,
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
        judge: Who says whether int8 is good enough, where the options ask for a largest loss.
        times: What times files, where the options ask for the layers that run faster in floats.
        on_progress: Called at every step, and with every artefact as soon as its fate is known.

    Raises:
        ExportError: The model cannot answer, or no artefact at all could be delivered.
        InputError: The folder cannot be written, or the options do not fit the model.
    """
    options = options or Options()
    check_pixels(source, calibration)
    source = named(source, calibration)
    options = _with_ends(source, options)
    _check_kept(source, options)
    check_method(source, options)
    assert (judge is None) == (options.max_loss is None), "who asks for a largest loss says who judges it"
    assert (times is None) == (not options.keep_float_where_faster), "who asks for the fastest says who times it"
    job = Job(source.with_lengths(calibration.shapes), calibration, options, judge, times)
    options.batch_of(job.source.inputs[0], usual=None)
    if options.tflite_metadata:
        _check_described(source, calibration)
    steps = 2 * len(options.variants) + len(options.searched) + 1
    now = Progress(0, steps, f"answers of {source.opened.what}")
    on_progress(now)
    # The model must answer before anything is converted.
    with interrupts_kept():
        _ = job.reference.answers
        _ = job.naming, job.mistakes
    _check_required(job)
    _check_probabilities(job)
    outcomes: list[Artefact | Refusal] = []
    searches: list[Search] = []
    with cycles_freed_early(), staged_folder(output, record=FILE_NAME, stale=_earlier_files(output)) as folder:
        for event in _outcomes(job, folder, lambda doing: on_progress(Progress(steps, steps + 1, doing))):
            if isinstance(event, str):
                now = Progress(now.done + 1, steps, event)
                on_progress(now)
            elif isinstance(event, Search):
                searches.append(event)
                on_progress(replace(now, search=event))
            else:
                outcome, seconds = event
                outcomes = _with(outcomes, outcome)
                on_progress(replace(now, outcome=outcome, seconds=seconds))
        artefacts = tuple(outcome for outcome in outcomes if isinstance(outcome, Artefact))
        refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Refusal))
        if not artefacts and not any(folder.iterdir()):
            raise ExportError(
                f"nothing of {source.opened.what} can be delivered: {refused[0].file} {refused[0].outcome}: "
                f"{refused[0].reason}"
            )
        manifest = replace(_manifest(job, output, artefacts, refused), searches=tuple(searches))
        (folder / FILE_NAME).write_text(manifest_text(manifest), "utf-8")
    return manifest


def _with(outcomes: Sequence[Artefact | Refusal], latest: Artefact | Refusal) -> list[Artefact | Refusal]:
    """Return what became of all files; a search may have put a better one in the place of another."""
    known = {each.file: each for each in outcomes}
    return list({**known, latest.file: latest}.values())


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


def _check_described(source: Source, calibration: CalibrationSet) -> None:
    """Raise InputError if the standard TFLite metadata cannot describe the model."""
    if not (source.ends_in_probabilities and calibration.inputs[0].range):
        raise InputError(
            "TFLite metadata is for classifiers of one image that end in a softmax or sigmoid, and "
            f"{source.opened.what} is none: leave --tflite-metadata out"
        )
    if calibration.inputs[0].channels == "bgr":
        raise InputError("TFLite metadata has no word for channels with blue first: leave --tflite-metadata out")


def _with_ends(source: Source, options: Options) -> Options:
    """Return the options with the names of the first and last layers, if these shall stay in floats."""
    if not options.keep_float_io:
        return options
    ends = weighted_ends(source.graph)
    if not ends:
        raise InputError(
            f"--keep-float-io: got {source.opened.what}, which has no layers with weights that have names: name what "
            "shall stay in floats with --keep-float"
        )
    return replace(options, keep_float=tuple(dict.fromkeys((*options.keep_float, *ends))))


def _check_kept(source: Source, options: Options) -> None:
    """Raise InputError if a layer that shall stay in floats is none of the model's."""
    if options.wants_mixed and source.is_quantization_aware:
        said = "--keep-float-where-faster" if options.keep_float_where_faster else "--keep-float"
        said = "--max-loss" if options.max_loss is not None else said
        raise InputError(
            f"{said}: {source.opened.what} was trained quantization-aware, with the ranges of int8: leave it out"
        )
    if source.graph.layers:
        check_layers(options.keep_float, source.graph.layers[1:])


def _check_required(job: Job) -> None:
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


def _check_probabilities(job: Job) -> None:
    """Raise InputError if what is said to be a probability is none: a threshold of one half would mean nothing."""
    for port in job.source.outputs:
        answers = job.reference.answers[port.name]
        if port.kind in ("labels", "yes-no") and not (answers.min() >= 0 and answers.max() <= 1):
            cure = "--activation sigmoid" if port == job.source.outputs[0] else "end it in a sigmoid"
            raise InputError(
                f"--outputs {port.name}={port.kind}: got answers from {answers.min():.4g} to {answers.max():.4g}, "
                f"expected probabilities from 0 to 1: if they are logits, {cure}"
            )


def _unsaid(job: Job) -> list[str]:
    """Return a warning if the first output could be the scores of classes, and nothing says so."""
    first, classes = job.source.outputs[0], len(job.calibration.labels)
    if first.kind != "any" or first.name in job.source.meanings or first.shape[1:] != (classes,) or classes < 2:
        return []
    return [
        f"the output {first.name} has a column for each of the {classes} classes of {job.calibration.facts['source']}, "
        f"but no softmax: give --outputs {first.name}=classes, or --activation softmax, if it gives their scores"
    ]


def _outcomes(
    job: Job, folder: Path, on_trial: Callable[[str], None]
) -> Iterator[str | Search | tuple[Artefact | Refusal, float]]:
    """Convert all variants, then run all that came out of it, then search the layers that must stay in floats.

    Yields:
        What is done next, in words; what became of each variant, with the seconds that its conversion took; and what a
        search has found.
    """
    made: dict[str, tuple[Format, Precision, tuple[str, ...], float]] = {}
    contents: dict[str, dict[str, bytes]] = {row.name: {} for row in job.options.searched}
    methods = MethodChooser(job.source, job.calibration, job.options, job.reference)
    for row, precision in job.options.variants:
        free_memory()
        file = f"{job.source.name}.{precision.name}{row.suffix}"
        yield f"converting {file}"
        started = time.perf_counter()
        notes: list[str] = []
        try:
            with interrupts_kept():
                options = methods.options_for(row, precision, notes.append)
                content = converted(job.with_options(options), row, precision, notes.append)
        except EdgeportError as error:
            yield Refusal(file, row.name, precision.name, "failed", str(error)), time.perf_counter() - started
            continue
        (folder / file).write_bytes(content)
        if row.name in contents and precision.name in (FLOAT32, INT8, INT16X8):
            contents[row.name][precision.name] = content
        made[file] = row, precision, tuple(notes), time.perf_counter() - started
    free_memory()
    answers = run_in_engines(folder, list(made), job.calibration.held_out, at_once=job.source.samples_at_once)
    for file, (row, precision, noted, seconds) in made.items():
        yield f"verifying {file}"
        kept = job.options.keep_float if precision.for_layers else ()
        outcome = verified(job, folder / file, row, precision, next(answers), in_floats=kept)
        free_memory()
        yield replace(outcome, notes=noted), seconds
    for row in job.options.searched:
        yield f"searching {job.source.name}.{MIXED}{row.suffix}"
        yield from _searched(job, row, methods, contents[row.name], folder, on_trial)


def _searched(
    job: Job,
    row: Format,
    methods: MethodChooser,
    contents: dict[str, bytes],
    folder: Path,
    on_trial: Callable[[str], None],
) -> Iterator[Search | tuple[Artefact | Refusal, float]]:
    """Search the layers of a format that must stay in floats."""
    started = time.perf_counter()
    notes: list[str] = []
    try:
        options = methods.options_for(row, precision_named(MIXED), notes.append)
        job = job.with_options(options)
        if options.keep_float_where_faster:
            repair = faster(job, row, contents, folder, on_step=on_trial, on_note=notes.append)
        else:
            answers = job.judged_answers
            repair = repaired(job, row, contents, answers, folder, on_step=on_trial, on_note=notes.append)
    except EdgeportError as error:
        file = f"{job.source.name}.{MIXED}{row.suffix}"
        yield Refusal(file, row.name, MIXED, "failed", str(error)), time.perf_counter() - started
        return
    if repair.outcome is not None:
        yield replace(repair.outcome, notes=tuple(notes)), time.perf_counter() - started
    yield repair.search


def _manifest(job: Job, output: Path, artefacts: tuple[Artefact, ...], refused: tuple[Refusal, ...]) -> Manifest:
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
            *job.mistakes,
            *job.naming,
            *_unsaid(job),
            *job.reference.warnings,
            *_uncertain(job, artefacts),
        ),
        options=asdict(job.options),
        versions=versions(),
        artefacts=artefacts,
        refused=refused,
        layers=source.graph.layers,
    )


def _way(file: str | Path, output: Path) -> str:
    """Return the path of a file from the export folder."""
    # Between the real paths: through symlinks a path up from the folder leads elsewhere.
    return os.path.relpath(os.path.realpath(file), os.path.realpath(output))


def _uncertain(job: Job, artefacts: tuple[Artefact, ...]) -> list[str]:
    """Return the warnings of float32 files that rounding could hide a fault of, one at the most."""
    texts = (job.reference.uncertainty(each.verified, precision_named(each.precision)) for each in artefacts)
    return [text for text in texts if text][:1]


def _earlier_files(output: Path) -> Iterable[str]:
    """Return the files of the export that ``output`` holds now, if it holds one that can be read."""
    try:
        earlier = read_manifest(output)
    except ArtefactError:
        return []
    # Only what an export names so: a manifest that was edited must not get other files removed.
    listed = {artefact.file for artefact in earlier.artefacts} | {refusal.file for refusal in earlier.refused}
    possible = {f"{earlier.name}.{precision}{row.suffix}": row for precision in PRECISIONS for row in FORMATS}
    return {name for file in listed & possible.keys() for name in (file, rejected_name(file, possible[file]))}
