"""What ``judging_time`` has measured, read and shown without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

# What all of it may take, as a multiple of the engine's own time.
MOST = 3.0


@dataclass(frozen=True)
class JudgingTime:
    """What judging two candidates on 10,000 samples takes.

    Attributes:
        what: What is judged.
        draws: How many draws each interval rests on.
        answers: Seconds until both have answered, each in a process of its own; 0 where answers were made up.
        judging: Seconds of the metric, for both, and of all draws.
        engine: Seconds that the two engines' own calls take for as many answers of MobileNetV2.
    """

    what: str
    draws: int
    answers: float
    judging: float
    engine: float

    @property
    def times(self) -> float:
        """All of it as a multiple of the engine's own time; made-up answers count as those of the engine."""
        return ((self.answers or self.engine) + self.judging) / self.engine


@dataclass(frozen=True)
class JudgingTimes:
    """What a benchmark takes beside the engine.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        samples: How many there are.
        rows: What was judged.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    samples: int
    rows: tuple[JudgingTime, ...]


RESULT = ResultFile("judging time", JudgingTimes, "measurement of what judging takes")


def markdown(result: JudgingTimes) -> str:
    """Return the rows as a Markdown table."""
    heads = ("judged", "draws", "answers, s", "metric and draws, s", "the engine's calls, s", "all, times the engine")
    rows = [
        (row.what, f"{row.draws:,}", f"{row.answers:.1f}" if row.answers else "-", f"{row.judging:.1f}",
         f"{row.engine:.1f}", f"{row.times:.2f}")
        for row in result.rows
    ]  # fmt: skip
    return markdown_table(heads, rows, left=(0,))
