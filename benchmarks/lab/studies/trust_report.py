"""The result of measuring what is known: raw samples; its figures are computed here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.report.report_file import read_result
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio

KIND = "trust"
SCHEMA = 1


@dataclass(frozen=True)
class Repetition:
    """One whole benchmark of two candidates.

    Attributes:
        base_ns: The median engine call of each launch of the first.
        other_ns: Of the second.
        within: What ``compare`` says of the two in this run: its exit code.
        across: What it says of this run's first candidate against that of the run before; None for the first run.
        disturbed: Whether the report says that the machine was disturbed.
    """

    base_ns: Sequence[int]
    other_ns: Sequence[int]
    within: int
    across: int | None
    disturbed: bool

    @property
    def ratio(self) -> Ratio:
        """The second candidate's latency as a multiple of the first one's, with its interval."""
        return latency_ratio([[ns] for ns in self.base_ns], [[ns] for ns in self.other_ns])


@dataclass(frozen=True)
class Trial:
    """Repetitions of a benchmark whose right answer is known.

    Attributes:
        file: The artefact that both candidates run.
        factor: How much slower the second one was made: 1 for the same artefact entered twice.
        repetitions: The benchmarks.
    """

    file: str
    factor: float
    repetitions: Sequence[Repetition]

    @property
    def containing_one(self) -> int:
        """In how many repetitions the interval contains 1."""
        return sum(each.ratio.contains_one for each in self.repetitions)

    @property
    def half_width(self) -> float:
        """The median half-width of the interval, as a share."""
        return float(np.median([(each.ratio.high - each.ratio.low) / 2 for each in self.repetitions]))

    @property
    def regressed_within(self) -> int:
        """In how many repetitions ``compare`` reports a regression between the two."""
        return sum(each.within == 1 for each in self.repetitions)

    @property
    def regressed_across(self) -> int:
        """How often it reports one between two runs of the same artefact."""
        return sum(each.across == 1 for each in self.repetitions)


@dataclass(frozen=True)
class PlantedLoss:
    """The verdict on an artefact some of whose right answers were made wrong.

    Attributes:
        planted: How many.
        count: Of how many images.
        kind: The verdict.
        sentence: The verdict in words.
    """

    planted: int
    count: int
    kind: str
    sentence: str


@dataclass(frozen=True)
class Trust:
    """What the benchmark says of things that are known.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        protocol: How each benchmark measured.
        sha256: The digest of each artefact.
        trials: Latency.
        losses: Accuracy.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    protocol: Mapping[str, Any]
    sha256: Mapping[str, str]
    trials: Sequence[Trial]
    losses: Sequence[PlantedLoss]


def report_text(report: Trust) -> str:
    """Return the text of the result file."""
    return json.dumps({"kind": KIND, "schema": SCHEMA, **asdict(report)}, indent=1) + "\n"


def read_report(path: Path) -> Trust:
    """Return a result.

    Raises:
        ArtefactError: The file is missing, damaged or of another kind or schema.
    """
    return read_result(path, _from_json, what="measurement of what is known", schema=SCHEMA, kind=KIND)


def markdown(report: Trust) -> str:
    """Return the figures as Markdown tables, ending with a newline."""
    latency = [
        "| planted | artefact | benchmarks | interval contains 1 | half-width | ratio | regressed within the run "
        "| regressed between runs |",
        "| :-- | :-- | --: | --: | --: | --: | --: | --: |",
    ]
    for trial in report.trials:
        count = len(trial.repetitions)
        across = sum(each.across is not None for each in trial.repetitions)
        ratio = float(np.median([each.ratio.ratio for each in trial.repetitions]))
        planted = f"{trial.factor - 1:.0%} slower" if trial.factor != 1 else "nothing"
        latency.append(
            f"| {planted} | {trial.file} | {count} | {trial.containing_one} | ±{trial.half_width:.2%} | {ratio:.3f} "
            f"| {trial.regressed_within} | {f'{trial.regressed_across} of {across}' if across else '-'} |"
        )
    losses = ["| right answers made wrong | verdict |", "| --: | :-- |"]
    losses += [f"| {loss.planted} of {loss.count:,} | {loss.sentence} |" for loss in report.losses]
    return "\n".join([*latency, "", *losses]) + "\n"


def _from_json(content: dict[str, Any]) -> Trust:
    trials = [
        Trial(**{**each, "repetitions": [Repetition(**one) for one in each["repetitions"]]})
        for each in content["trials"]
    ]
    return Trust(**{**content, "trials": trials, "losses": [PlantedLoss(**each) for each in content["losses"]]})
