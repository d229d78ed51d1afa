"""Who decides whether a model in integers answers well enough: whoever knows what answers are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from edgeport.export.conversion.options import Options
from edgeport.export.verification.calibration import CalibrationSet

if TYPE_CHECKING:
    from edgeport.export.sources.source import Source

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Judgement:
    """What became of a model's answers.

    Attributes:
        below: Whether the loss is below the margin: its interval's upper end.
        loss: The loss that was seen, as the margin is written.
        upper: The upper end of its interval; infinite if there are too few samples for one.
        words: The loss for people, ``up to 0.72``.
    """

    below: bool
    loss: float
    upper: float
    words: str


class Judge(Protocol):
    """Says what a file in integers has lost against the model, on samples that no quantizer has seen.

    Attributes:
        margin: What the loss must stay below.
        measure: The margin with its unit and what is lost, ``0.5 points of accuracy``.
        data: On which samples, in words.
        samples: The same by input, as the files take them: pixels as uint8, all else as real values or ids.
    """

    margin: float
    measure: str
    data: str
    samples: Arrays

    def judge(self, reference: Arrays, answers: Arrays) -> Judgement:
        """Return what other answers have lost against the reference's, by output."""

    def enough(self, judgement: Judgement) -> int | None:
        """Return about how many samples would show that a loss is below the margin; None if none would."""

    def times(self, files: Sequence[Path]) -> list[float]:
        """Return the median time of a call of each file on one sample; see Times."""


class Times(Protocol):
    """What times files."""

    def __call__(self, files: Sequence[Path], sample: Arrays) -> list[float]:
        """Return the median time of a call of each file, measured side by side, in microseconds.

        Args:
            files: Artefacts of one model.
            sample: One sample by input, as ``Judge.samples``.
        """


class JudgeOf(Protocol):
    """What makes a judge of an opened model, its calibration set and the options of an export."""

    def __call__(
        self, source: "Source", calibration: CalibrationSet, options: Options, *, data_dir: Path | None = None
    ) -> Judge:
        """Return the judge; raises InputError if there is nothing to judge by."""
