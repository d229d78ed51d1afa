"""Masks and boxes side by side, on the samples that an artefact answers least like the reference."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.document import Block, DrawnBox, Paragraph, Pictures, SamplePicture
from edgeport.benchmarks.report.findings import Candidate, Findings
from edgeport.benchmarks.report.raw.changed import change_of
from edgeport.benchmarks.report.raw.record import JudgedOutput
from edgeport.runtime.prediction.showing.drawing import class_picture

FILE = "changed-samples.png"
# From this score on a box is drawn; without a threshold hundreds would be.
SHOWN_SCORE = 0.5
_MOST_BOXES = 30
_COLOURS = ("step-2", "machine-1", "machine-3", "machine-4", "machine-5", "step-3")
_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, eq=False)
class ShownOutput:
    """An output of which somebody says what is true.

    Attributes:
        findings: The report.
        judged: The output.
        place: Which one it is.
        shown: The candidates that are drawn, the reference first.
    """

    findings: Findings
    judged: JudgedOutput
    place: int
    shown: Sequence[Candidate]

    @property
    def truth(self) -> npt.NDArray[np.generic]:
        """Its targets."""
        assert self.judged.targets is not None, "only what somebody says the truth of is drawn"
        return self.judged.targets.array

    def answers(self, candidate: Candidate) -> npt.NDArray[np.generic]:
        """Return what a candidate answers."""
        return candidate.measured.answers[self.place].array


def masks(output: ShownOutput) -> list[Block]:
    """Return the masks of a few samples: the true one, the reference's and those of the artefacts."""
    rows = []
    for index, picture in _samples(output):
        true = _mask(output.truth[index])
        panels = [SamplePicture("sample", picture), SamplePicture("true", true)]
        panels += [SamplePicture(each.name, _mask(output.answers(each)[index])) for each in output.shown]
        rows.append((_title(output, index), panels))
    return _blocks(output, rows, "Each class has a colour of its own, the same in all pictures; class 0 is black.")


def boxes(output: ShownOutput) -> list[Block]:
    """Return the boxes of a few samples, likewise."""
    rows = []
    for index, picture in _samples(output):
        true = np.asarray(output.truth[index], np.float64)
        drawn = [_box(output, int(row[0]), row[1:], "") for row in true if row[0] >= 0]
        panels = [SamplePicture("true", picture, drawn)]
        for each in output.shown:
            found = np.asarray(output.answers(each)[index], np.float64)
            best = found[np.argsort(-found[:, 1], kind="stable")][:_MOST_BOXES]
            drawn = [_box(output, int(row[0]), row[2:], f" {row[1]:.0%}") for row in best if row[1] >= SHOWN_SCORE]
            panels.append(SamplePicture(each.name, picture, drawn))
        rows.append((_title(output, index), panels))
    return _blocks(output, rows, f"Boxes whose score is {SHOWN_SCORE:.0%} or more are drawn, at most {_MOST_BOXES}.")


def _blocks(output: ShownOutput, rows: list[tuple[str, list[SamplePicture]]], note: str) -> list[Block]:
    if not rows:
        return []
    reference = output.findings.reference.name
    words = f"The samples for which an artefact's answer ({output.judged.name}) differs most from that of {reference}."
    return [Paragraph(f"{words} {note}"), Pictures("The samples that changed most", rows, FILE)]


def _samples(output: ShownOutput) -> list[tuple[int, str]]:
    """Return the samples that the report has pictures of, those that changed most first."""
    report = output.findings.report
    kept = {
        int(key): picture
        for key, picture in report.pictures.items()
        if key.isascii() and key.isdecimal() and int(key) < report.count and _BASE64.fullmatch(str(picture))
    }
    change = change_of(report, output.place)
    return [(index, kept[index]) for index in sorted(kept, key=lambda index: (-change[index], index))]


def _title(output: ShownOutput, index: int) -> str:
    if output.judged.task != "map":
        return f"sample {index:,}"
    return f"sample {index:,}: up to {change_of(output.findings.report, output.place)[index]:.1%} of the places changed"


def _mask(numbers: npt.NDArray[np.generic]) -> str:
    return base64.b64encode(class_picture(np.atleast_2d(np.asarray(numbers, np.int64)))).decode()


def _box(output: ShownOutput, number: int, corners: npt.NDArray[np.float64], score: str) -> DrawnBox:
    top, left, bottom, right = (float(min(max(each, 0.0), 1.0)) for each in corners)
    names = output.judged.columns
    name = names[number] if 0 <= number < len(names) and output.judged.task != "boxes" else str(number)
    colour = _COLOURS[number % len(_COLOURS)]
    return DrawnBox(min(left, right), min(top, bottom), abs(right - left), abs(bottom - top), colour, f"{name}{score}")
