"""The search for the layers that must stay in floats, in one format: what is tried, what is found, what it costs."""

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgeport.export.conversion.foreign_messages import foreign_errors
from edgeport.export.conversion.interrupts import interrupts_kept
from edgeport.export.conversion.job import Job, converted, rejected_name, verified, with_metadata
from edgeport.export.conversion.memory import free_memory
from edgeport.export.conversion.mixing import PORTS, Mixing
from edgeport.export.conversion.options import OnNote, ignored
from edgeport.export.diagnosis.bench import Bench, Trial, operators_by_layer
from edgeport.export.diagnosis.bought import FLOAT32, INT8, INT16X8, MIXED, PLAIN, not_reached
from edgeport.export.diagnosis.cheaper import MOST_CURES, Cured, Wider, cured, wider
from edgeport.export.diagnosis.diagnosis import FormatDiagnosis, diagnose, readers_of
from edgeport.export.diagnosis.judge import Arrays
from edgeport.export.diagnosis.search import MOST_TRIALS, Found, search
from edgeport.export.inspection.facts import FLOAT, ArtefactGraph
from edgeport.export.manifest import Artefact, Refusal, Search
from edgeport.runtime.artefact.formats import Format
from edgeport.runtime.artefact.precisions import precision_named
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import ExportError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.tensors.arrays import Tensor

# Each layer is run alone on so many samples: ranks need no more.
_DIAGNOSED = 16


@dataclass(frozen=True)
class Repair:
    """What a search has made.

    Attributes:
        search: What it has found.
        outcome: The artefact that is good enough, or why there is none; None where int8 is, as it was made.
    """

    search: Search
    outcome: Artefact | Refusal | None


@dataclass(frozen=True, eq=False)
class _Tried:
    """All that was tried.

    Attributes:
        int8: The int8 file as it was asked for; None if there is none.
        cures: What cheaper cures give; None if none was tried.
        mixed: What was found of layers in floats; None if none was searched.
        layers: How many layers there are.
        wide: The same model with wider activations; None if that was not tried.
    """

    int8: Trial | None
    cures: Cured | None = None
    mixed: Found[Trial] | None = None
    layers: int = 0
    wide: Wider | None = None

    @property
    def best_int8(self) -> Trial | None:
        """The int8 file with the cures that help."""
        return self.cures.trial if self.cures and self.cures.trial else self.int8

    @property
    def files(self) -> int:
        """How many files were made to be judged."""
        cures = self.cures.files if self.cures else 0
        wide = 1 if self.wide and self.wide.trial else 0
        return (self.mixed.trials if self.mixed else int(self.int8 is not None)) + cures + wide


def repaired(
    job: Job,
    row: Format,
    made: Mapping[str, bytes],
    reference: Arrays,
    output: Path,
    *,
    on_step: Callable[[str], None],
    on_note: OnNote,
) -> Repair:
    """Find what brings the loss below the margin, the cheapest first, and write the file.

    That is int8 as it is, int8 with cheaper cures, or the fewest layers in floats; where the format has integers of 16
    bits, these if they are smaller and faster than the layers in floats, or the only way.

    Args:
        job: The export, with its judge.
        row: The format.
        made: By precision the files in float32, int8 and int16x8 that were made of it, as far as they could be.
        reference: The model's own answers to the judge's samples.
        output: Where the file goes.
        on_step: Called before each trial with what comes.
        on_note: Called with what was done to the model that its user should know.

    Raises:
        EdgeportError: The model cannot be made in integers in this format.
    """
    assert job.judge is not None, "who asks has one"
    with temporary_folder() as folder:
        bench = Bench(job, job.judge, row, reference, folder)
        on_step(f"{bench.path(MIXED).name}: is int8 good enough?")
        tried = _Tried(bench.tried(made[INT8], precision=INT8) if INT8 in made else None)
        if tried.int8 is not None and not job.options.keep_float:
            if tried.int8.good:
                return Repair(_record(bench, tried, INT8), None)
            if job.options.try_cures:
                tried = replace(tried, cures=cured(bench, tried.int8, on_step=on_step))
        if tried.cures and tried.cures.trial and tried.cures.trial.good:
            for note in tried.cures.notes:
                on_note(note)
            return _delivered(bench.with_options(tried.cures.options), tried, INT8, tried.cures.trial, output)
        if tried.cures:
            bench = bench.with_options(tried.cures.in_floats)
        tried, mixed = _searched(bench, made, tried, on_step=on_step, on_note=on_note)
        tried = replace(tried, mixed=mixed, wide=wider(bench, made.get(INT16X8), on_step=on_step))
        wide = tried.wide.trial if tried.wide else None
        if wide is not None and wide.good and (not mixed.trial.good or _is_cheaper(bench, tried, mixed.trial)):
            return _delivered(bench, tried, INT16X8, wide, output)
        if mixed.trial.good:
            return _delivered(bench, tried, MIXED, mixed.trial, output)
        record = _record(bench, tried, "")
        return Repair(record, Refusal(bench.path(MIXED).name, row.name, MIXED, "rejected", not_reached(record)))


def _delivered(bench: Bench, tried: _Tried, enough: str, trial: Trial, output: Path) -> Repair:
    """Write what is good enough, and verify it as every artefact is."""
    assert trial.answer is not None, "what is good was verified"
    path = output / bench.path(enough).name
    path.write_bytes(trial.content)
    # What failed verification under this name is replaced.
    path.with_name(rejected_name(path.name, bench.row)).unlink(missing_ok=True)
    in_floats = tried.mixed.layers if enough == MIXED and tried.mixed else ()
    outcome = verified(bench.job, path, bench.row, precision_named(enough), trial.answer, in_floats=in_floats)
    return Repair(_record(bench, tried, enough), outcome)


def _is_cheaper(bench: Bench, tried: _Tried, mixed_trial: Trial) -> bool:
    """Whether wider integers are smaller and faster than the layers in floats that were found."""
    if tried.wide is None or tried.wide.size >= len(mixed_trial.content):
        return False
    bench.path(MIXED).write_bytes(mixed_trial.content)
    mixed, wide = bench.judge.times([bench.path(MIXED), bench.path(INT16X8)])
    return wide < mixed


def _searched(
    bench: Bench, made: Mapping[str, bytes], tried: _Tried, *, on_step: Callable[[str], None], on_note: OnNote
) -> tuple[_Tried, Found[Trial]]:
    """Return the fewest layers in floats that are good enough, or came nearest."""
    job, row, always = bench.job, bench.row, bench.job.options.keep_float
    name, int8 = bench.path(MIXED).name, tried.best_int8
    with foreign_errors():
        mixing: Mixing = importlib.import_module(row.exporter).mixing(
            job.source, calibration=job.calibration, options=job.options, on_note=on_note
        )
    floats = made.get(FLOAT32) or converted(job, row, precision_named(FLOAT32), ignored)
    bench.path(FLOAT32).write_bytes(floats)
    integers = made[INT8] if int8 and int8 is tried.int8 and not always else _mixed(job, row, mixing, always)
    on_step(f"{name}: which layers lose most?")
    diagnosis = _diagnosed(bench, floats, integers)
    layers = {name for each in diagnosis.layers if not each.is_input for name in each.names}

    def attempt(in_floats: tuple[str, ...]) -> Trial:
        if not in_floats and int8 is not None:
            return int8
        on_step(f"{name}: {len(set(in_floats) - {PORTS})} of {len(layers)} layers in floats")
        free_memory()
        try:
            content = _mixed(job, row, mixing, in_floats)
        except ExportError as error:
            # onnxruntime's quantizer stops where it is left nothing.
            return Trial(None, str(error), too_many=True)
        if not bench.has_integers(content):
            return Trial(None, "nothing is left in integers", too_many=True)
        return bench.tried(content, precision=MIXED)

    operators = operators_by_layer(floats, job, row)
    macs = {layer: sum(each.macs or 0 for each in of_layer) for layer, of_layer in operators.items()}
    ranked = _ranked(diagnosis, mixing.layers)
    most = MOST_TRIALS - (MOST_CURES if tried.cures else 0) - 1
    found = search(ranked, attempt, always=always, cost=lambda layer: float(macs.get(layer, 0)), most=most)
    return replace(tried, layers=len(layers.union(found.layers) - {PORTS})), found


def _mixed(job: Job, row: Format, mixing: Mixing, in_floats: Sequence[str]) -> bytes:
    with foreign_errors(), interrupts_kept():
        content = mixing.mixed(in_floats)
    return with_metadata(job, row, precision_named(MIXED), content, in_floats=in_floats)


def _diagnosed(bench: Bench, floats: bytes, integers: bytes) -> FormatDiagnosis:
    """Return what each layer loses, on samples that the quantizer has not seen."""
    calibration = bench.job.calibration
    few = {name: array[:_DIAGNOSED] for name, array in calibration.held_out.items()}
    real = calibration.to_real(few)
    with quiet_stderr(), load(bench.path(FLOAT32)) as opened:
        arrays = [real[spec.name] for spec in opened.spec.inputs]
        batch = opened.spec.inputs[0].shape[0] or 1
    count = len(arrays[0])
    samples: list[list[Tensor]] = [
        [array[(np.arange(batch) + place) % count] for array in arrays] for place in range(0, count, batch)
    ]
    with interrupts_kept(), quiet_stderr():
        return diagnose(
            floats,
            integers,
            samples,
            format=bench.row.name,
            names=(bench.path(FLOAT32).name, bench.path(INT8).name),
            layers=bench.job.source.graph.layers,
        )


def _ranked(diagnosis: FormatDiagnosis, known: frozenset[str]) -> list[tuple[str, ...]]:
    """Return each layer with those that read it, the costliest first.

    Behind them comes what nobody knows the cost of. What inputs lose, layers in floats behind the ports win back; else
    the ports stand in the middle: what they cost is not measured, and they are taken back if it is little.
    """
    ranked = sorted(diagnosis.layers, key=lambda each: -1.0 if each.at_outputs is None else -each.at_outputs - 1)
    together = [
        tuple(
            dict.fromkeys(
                name
                for each in (layer, *readers_of(diagnosis, layer))
                for name in ((PORTS,) if each.is_input else each.names)
            )
        )
        for layer in ranked
    ]
    groups = [tuple(name for name in names if name in known) for names in together]
    groups = [group for group in groups if group]
    if PORTS in known.difference(*groups):
        groups.insert((len(groups) + 1) // 2, (PORTS,))
    others = known.difference(*groups)
    return [*groups, tuple(sorted(others))] if others else groups


def _share_in_floats(graph: ArtefactGraph) -> float | None:
    """Return the share of MACs in floats, 0 to 1; None if nobody knows how many there are."""
    whole = sum(operator.macs or 0 for operator in graph.operators)
    floating = sum(operator.macs or 0 for operator in graph.operators if operator.arithmetic == FLOAT)
    return floating / whole if whole else None


def _record(bench: Bench, tried: _Tried, enough: str) -> Search:
    """Return what was found; where more than int8 was needed, with what it costs beside what else there is."""
    int8, mixed, wide = tried.best_int8, tried.mixed, tried.wide
    trials = {INT8: int8} if int8 else {}
    if int8 is not tried.int8 and tried.int8:
        trials[PLAIN] = tried.int8
    if mixed:
        trials[MIXED] = mixed.trial
    if wide and wide.trial:
        trials[INT16X8] = wide.trial
    if mixed:
        # What was tried last lies there.
        bench.path(MIXED).unlink(missing_ok=True)
    if mixed and mixed.trial.good:
        bench.path(MIXED).write_bytes(mixed.trial.content)
    sizes, us = _costs(bench, trials) if enough in (MIXED, INT16X8) else ({}, {})
    judgement = mixed.trial.judgement if mixed and not enough else None
    more = bench.judge.enough(judgement) if judgement else None
    return Search(
        format=bench.row.name,
        measure=bench.judge.measure,
        data=bench.judge.data,
        enough=enough,
        in_floats=mixed.layers if mixed and enough != INT16X8 else (),
        layers=tried.layers,
        trials=tried.files,
        losses={name: trial.words for name, trial in trials.items()},
        uppers={name: trial.upper if math.isfinite(trial.upper) else None for name, trial in trials.items()},
        macs_in_floats=_share_in_floats(bench.graph(mixed.trial.content)) if mixed and enough == MIXED else None,
        bytes=sizes,
        us=us,
        cures=(*(tried.cures.notes if tried.cures else ()), *([wide.note] if wide and wide.note else [])),
        advice=f"the loss that is seen is smaller: about {more:,} samples may show it (--data)" if more else "",
    )


def _costs(bench: Bench, trials: Mapping[str, Trial]) -> tuple[dict[str, int], dict[str, float]]:
    """Return the bytes and the time of a call, in microseconds, of the files on the bench that gave answers."""
    ran = [FLOAT32, *(name for name in (INT8, MIXED, INT16X8) if name in trials and trials[name].judgement)]
    files = {name: bench.path(name) for name in ran if bench.path(name).is_file()}
    times = bench.judge.times(list(files.values()))
    return {name: file.stat().st_size for name, file in files.items()}, dict(zip(files, times, strict=True))
