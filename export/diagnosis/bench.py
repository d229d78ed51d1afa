"""Where the files of a search are tried: each in its engine, before the judge, and by verification."""

import importlib
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

from edgeport.export.conversion.interrupts import interrupts_kept
from edgeport.export.conversion.job import Job, own_answers
from edgeport.export.conversion.options import Options
from edgeport.export.diagnosis.judge import Arrays, Judge, Judgement
from edgeport.export.graphs.places import owner_of
from edgeport.export.inspection.facts import INTEGER, ArtefactGraph, Operator
from edgeport.export.verification.engine_process import EngineAnswer, run_in_engines
from edgeport.runtime.artefact.formats import Format
from edgeport.runtime.artefact.precisions import precision_named
from edgeport.runtime.errors import ExportError

# So many samples show how long one takes.
_TIMED = (1, 9)


@dataclass(frozen=True, eq=False)
class Trial:
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
class Bench:
    """Where files of one format are tried.

    Attributes:
        job: The export, with its judge.
        judge: The same judge.
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

    def with_options(self, options: Options) -> "Bench":
        """Return the same with other choices for what is made."""
        return replace(self, job=self.job.with_options(options))

    def tried(self, content: bytes, *, precision: str) -> Trial:
        """Return what becomes of a file."""
        path = self.path(precision)
        path.write_bytes(content)
        try:
            answers = self._answer(path, self.judge.samples)
            judgement = self.judge.judge(self.reference, own_answers(self.job, answers, path))
        except ExportError as error:
            return Trial(None, str(error))
        if not judgement.below:
            return Trial(judgement)
        same = self.judge.samples is self.job.calibration.held_out
        held_out = answers if same else self._answer(path, self.job.calibration.held_out)
        row = precision_named(precision)
        with interrupts_kept():
            found = self.job.reference.verify(own_answers(self.job, held_out, path), row)
        missed = found.misses(row.limits, self.job.options.required)
        return Trial(judgement, missed, content=content, answer=held_out)

    def has_integers(self, content: bytes) -> bool:
        """Return whether a file computes anything in integers."""
        return any(operator.arithmetic == INTEGER for operator in self.graph(content).operators)

    def seconds_of(self, precision: str) -> float:
        """Return about how long a file takes to answer all samples of the judge; raises ExportError if it cannot."""
        spent = []
        # The difference leaves out what it takes to start.
        for count in _TIMED:
            few = {name: array[:count] for name, array in self.judge.samples.items()}
            began = time.perf_counter()
            own_answers(self.job, self._answer(self.path(precision), few), self.path(precision))
            spent.append(time.perf_counter() - began)
        whole = len(next(iter(self.judge.samples.values())))
        return max(spent[1] - spent[0], 0.0) / (_TIMED[1] - _TIMED[0]) * whole

    def graph(self, content: bytes) -> ArtefactGraph:
        """Return the facts of a file."""
        return graph_of(content, self.row)

    def _answer(self, path: Path, samples: Arrays) -> EngineAnswer:
        return next(run_in_engines(self.folder, [path.name], samples, at_once=self.job.source.samples_at_once))


def graph_of(content: bytes, row: Format) -> ArtefactGraph:
    """Return the facts of a file."""
    reader = importlib.import_module(f"edgeport.export.inspection.{row.name}.file")
    graph: ArtefactGraph = reader.read_graph(content, name=f"the {row.name} file")
    return graph


def operators_by_layer(content: bytes, job: Job, row: Format) -> dict[str, list[Operator]]:
    """Return the operators of a file by their layers, in the order of computation."""
    found: dict[str, list[Operator]] = {}
    for operator in graph_of(content, row).operators:
        names = (operator.name, *(constant.name for constant in operator.constants))
        found.setdefault(owner_of(names, job.source.graph.layers, format=row.name), []).append(operator)
    return found
