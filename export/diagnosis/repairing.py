"""The search for the layers that must stay in floats, in one format: what is tried, what is found, what it costs."""

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeport.export.conversion.interrupts import interrupts_kept
from edgeport.export.conversion.job import Job, converted, foreign_errors, own_answers, sealed, verified
from edgeport.export.conversion.memory import free_memory
from edgeport.export.conversion.mixing import PORTS, Mixing
from edgeport.export.conversion.options import OnNote, ignored
from edgeport.export.diagnosis.bought import FLOAT32, INT8, MIXED, not_reached
from edgeport.export.diagnosis.diagnosis import FormatDiagnosis, diagnose, readers_of
from edgeport.export.diagnosis.judge import Arrays, Judge, Judgement
from edgeport.export.diagnosis.search import Found, search
from edgeport.export.graphs.places import owner_of
from edgeport.export.inspection.facts import FLOAT, INTEGER, ArtefactGraph
from edgeport.export.manifest import Artefact, Refusal, Search
from edgeport.export.verification.engine_process import EngineAnswer, run_in_engines
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
        outcome: The mixed artefact, or why there is none; None where int8 is good enough.
    """

    search: Search
    outcome: Artefact | Refusal | None


@dataclass(frozen=True, eq=False)
class _Trial:
    """One file that was tried.

    Attributes:
        judgement: What the judge says; None if it gives no answers.
        problem: Why it is not good enough, whatever the judge says; empty if nothing is wrong.
        too_many: Whether nothing is left in integers.
        content: The file, if the judge finds it good enough.
        answer: What its engine answers to the held-out samples of the verification, likewise.
    """

    judgement: Judgement | None
    problem: str = ""
    too_many: bool = False
    content: bytes = b""
    answer: EngineAnswer | None = None

    @property
    def good(self) -> bool:
        """Whether it is good enough."""
        return self.judgement is not None and self.judgement.below and not self.problem

    @property
    def upper(self) -> float:
        """The upper end of the loss."""
        return self.judgement.upper if self.judgement else math.inf

    @property
    def words(self) -> str:
        """What it has lost."""
        return self.problem or (self.judgement.words if self.judgement else "")


@dataclass(frozen=True, eq=False)
class _Bench:
    """Where files of one format are tried.

    Attributes:
        job: The export, with its judge.
        row: The format.
        reference: The model's own answers to the judge's samples.
        folder: Where the files that are tried lie.
    """

    job: Job
    judge: Judge
    row: Format
    reference: Arrays
    folder: Path

    def path(self, precision: str) -> Path:
        """Return where a file lies."""
        return self.folder / f"{self.job.source.name}.{precision}{self.row.suffix}"

    def tried(self, content: bytes, *, precision: str) -> _Trial:
        """Return what becomes of a file."""
        path = self.path(precision)
        path.write_bytes(content)
        try:
            answers = self._answer(path, self.judge.samples)
            judgement = self.judge.judge(self.reference, own_answers(self.job, answers, path))
        except ExportError as error:
            return _Trial(None, str(error))
        if not judgement.below:
            return _Trial(judgement)
        same = self.judge.samples is self.job.calibration.held_out
        held_out = answers if same else self._answer(path, self.job.calibration.held_out)
        row = precision_named(precision)
        with interrupts_kept():
            found = self.job.reference.verify(own_answers(self.job, held_out, path), row)
        missed = found.misses(row.limits, self.job.options.required)
        return _Trial(judgement, missed, content=content, answer=held_out)

    def _answer(self, path: Path, samples: Arrays) -> EngineAnswer:
        return next(run_in_engines(self.folder, [path.name], samples, at_once=self.job.source.samples_at_once))


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
    """Search the fewest layers that must stay in floats so that the loss is below the margin, and write the file.

    Args:
        job: The export, with its judge.
        row: The format.
        made: By precision the files in float32 and int8 that were made of it, as far as they could be.
        reference: The model's own answers to the judge's samples.
        output: Where a mixed file goes.
        on_step: Called before each trial with what comes.
        on_note: Called with what was done to the model that its user should know.

    Raises:
        EdgeportError: The model cannot be made in integers in this format.
    """
    assert job.judge is not None, "who asks has one"
    name, always = f"{job.source.name}.{MIXED}{row.suffix}", job.options.keep_float
    with temporary_folder() as folder:
        bench = _Bench(job, job.judge, row, reference, folder)
        on_step(f"{name}: is int8 good enough?")
        int8 = bench.tried(made[INT8], precision=INT8) if INT8 in made else None
        if int8 is not None and int8.good and not always:
            return Repair(_record(bench, Found((), int8, 1), int8, layers=0, enough=INT8), None)
        with foreign_errors():
            mixing: Mixing = importlib.import_module(row.exporter).mixing(
                job.source, calibration=job.calibration, options=job.options, on_note=on_note
            )
        floats = made.get(FLOAT32) or converted(job, row, precision_named(FLOAT32), ignored)
        bench.path(FLOAT32).write_bytes(floats)
        integers = made[INT8] if int8 and not always else _mixed(job, row, mixing, always)
        on_step(f"{name}: which layers lose most?")
        diagnosis = _diagnosed(bench, floats, integers)

        def attempt(in_floats: tuple[str, ...]) -> _Trial:
            if not in_floats and int8 is not None:
                return int8
            on_step(f"{name}: {len(set(in_floats) - {PORTS})} of {len(diagnosis.layers)} layers in floats")
            free_memory()
            try:
                content = _mixed(job, row, mixing, in_floats)
            except ExportError as error:
                # onnxruntime's quantizer stops where it is left nothing.
                return _Trial(None, str(error), too_many=True)
            if not any(operator.arithmetic == INTEGER for operator in _graph(content, row).operators):
                return _Trial(None, "nothing is left in integers", too_many=True)
            return bench.tried(content, precision=MIXED)

        macs = _macs_by_layer(_graph(floats, row), job, row)
        ranked = _ranked(diagnosis, mixing.layers)
        result = search(ranked, attempt, always=always, cost=lambda layer: float(macs.get(layer, 0)))
        enough = MIXED if result.trial.good else ""
        record = _record(bench, result, int8, layers=len(diagnosis.layers), enough=enough)
        if not enough:
            return Repair(record, Refusal(name, row.name, MIXED, "rejected", not_reached(record)))
        assert result.trial.answer is not None, "what is good was verified"
        (output / name).write_bytes(result.trial.content)
        return Repair(
            record,
            verified(job, output / name, row, precision_named(MIXED), result.trial.answer, in_floats=result.layers),
        )


def _mixed(job: Job, row: Format, mixing: Mixing, in_floats: Sequence[str]) -> bytes:
    with foreign_errors(), interrupts_kept():
        content = mixing.mixed(in_floats)
    return sealed(job, row, precision_named(MIXED), content, in_floats=in_floats)


def _diagnosed(bench: _Bench, floats: bytes, integers: bytes) -> FormatDiagnosis:
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

    Behind them comes what nobody knows the cost of. The ports stand in the middle: what they cost is not measured, and
    they are taken back if it is little.
    """
    ranked = sorted(diagnosis.layers, key=lambda each: -1.0 if each.at_outputs is None else -each.at_outputs - 1)
    together = [
        tuple(dict.fromkeys(name for each in (layer, *readers_of(diagnosis, layer)) for name in each.names))
        for layer in ranked
    ]
    groups = [tuple(name for name in names if name in known) for names in together]
    groups = [group for group in groups if group]
    if PORTS in known:
        groups.insert((len(groups) + 1) // 2, (PORTS,))
    others = known.difference(*groups)
    return [*groups, tuple(sorted(others))] if others else groups


def _graph(content: bytes, row: Format) -> ArtefactGraph:
    reader = importlib.import_module(f"edgeport.export.inspection.{row.name}.file")
    graph: ArtefactGraph = reader.read_graph(content, name=f"the {row.name} file")
    return graph


def _macs_by_layer(graph: ArtefactGraph, job: Job, row: Format) -> dict[str, int]:
    found: dict[str, int] = {}
    for operator in graph.operators:
        names = (operator.name, *(constant.name for constant in operator.constants))
        layer = owner_of(names, job.source.graph.layers, format=row.name)
        found[layer] = found.get(layer, 0) + (operator.macs or 0)
    return found


def _share_in_floats(graph: ArtefactGraph) -> float | None:
    """Return the share of MACs in floats, 0 to 1; None if nobody knows how many there are."""
    whole = sum(operator.macs or 0 for operator in graph.operators)
    floating = sum(operator.macs or 0 for operator in graph.operators if operator.arithmetic == FLOAT)
    return floating / whole if whole else None


def _record(bench: _Bench, result: Found[_Trial], int8: _Trial | None, *, layers: int, enough: str) -> Search:
    trials = {INT8: int8} if int8 else {}
    if enough != INT8:
        trials[MIXED] = result.trial
    us: dict[str, float] = {}
    sizes: dict[str, int] = {}
    if enough == MIXED:
        files = {name: bench.path(name) for name in (FLOAT32, *trials)}
        bench.path(MIXED).write_bytes(result.trial.content)
        sizes = {name: file.stat().st_size for name, file in files.items()}
        us = dict(zip(files, bench.judge.times(list(files.values())), strict=True))
    more = None if enough or result.trial.judgement is None else bench.judge.enough(result.trial.judgement)
    return Search(
        format=bench.row.name,
        measure=bench.judge.measure,
        data=bench.judge.data,
        enough=enough,
        in_floats=result.layers,
        layers=layers,
        trials=result.trials,
        losses={name: trial.words for name, trial in trials.items()},
        uppers={name: trial.upper if math.isfinite(trial.upper) else None for name, trial in trials.items()},
        macs_in_floats=_share_in_floats(_graph(result.trial.content, bench.row)) if enough == MIXED else None,
        bytes=sizes,
        us=us,
        advice=f"the loss that is seen is smaller: about {more:,} samples may show it (--data)" if more else "",
    )
