"""Boxes around objects: which outputs belong together, and what is shown of them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.errors import InputError
from edgeport.runtime.prediction.showing.drawing import box_picture
from edgeport.runtime.prediction.showing.rows import name_of
from edgeport.runtime.prediction.showing.shown import Choices, Shown, with_values
from edgeport.runtime.tensors.arrays import Pixels, Tensor

_MOST_BOXES = 100


class Boxes(NamedTuple):
    """Which outputs say something of the same boxes.

    Attributes:
        boxes: The output with four numbers for each box.
        scores: The output with a score for each, or one for each class; None where there is none.
        classes: The output with the number of the class of each; None where there is none.
    """

    boxes: Output
    scores: Output | None = None
    classes: Output | None = None

    @property
    def partners(self) -> list[str]:
        """The names of the outputs that the boxes say all of."""
        return [port.name for port in (self.scores, self.classes) if port]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.classes.columns if self.classes else self.scores.columns if self.scores else ()


def box_outputs(outputs: Sequence[Output]) -> list[Boxes]:
    """Return the outputs of kind boxes, each with those that go with it by their shapes: see docs/reference/outputs.md.

    Args:
        outputs: All outputs of a model, with shapes: the batch first.

    Raises:
        InputError: More than one output could have the scores or the classes of the same boxes.
    """
    return [_with_partners(port, outputs) for port in outputs if port.kind == "boxes"]


def _with_partners(boxes: Output, outputs: Sequence[Output]) -> Boxes:
    count = boxes.shape[1]
    beside = [port for port in outputs if port.kind != "boxes" and len(port.shape) in (2, 3) and port.shape[1] == count]
    # Scores of each class are as many rows as there are boxes; a row of values is none of these.
    classes = [port for port in beside if port.kind == "classes" and len(port.shape) == 2]
    scores = [port for port in beside if port not in classes and port.kind not in ("map", "values")]
    for found, what in ((classes, "classes"), (scores, "scores")):
        if len(found) > 1:
            names = " and ".join(port.name for port in found)
            raise InputError(
                f"--outputs {boxes.name}=boxes: got {names} with as many rows, expected one output with their {what}: "
                "say with NAME=values which is none"
            )
    return Boxes(boxes, scores[0] if scores else None, classes[0] if classes else None)


def show_boxes(group: Boxes, answers: Mapping[str, Tensor], choices: Choices, pixels: Pixels | None) -> Shown:
    """Show the boxes that reach the threshold, the best first, and a picture of them.

    Args:
        group: The outputs.
        answers: For each output by its name what it gave for one sample.
        choices: The threshold.
        pixels: What the model saw, of shape (height, width, channels); None if that was no picture.
    """
    raw = answers[group.boxes.name].astype(np.float64)
    scores, numbers = _scored(group, answers, len(raw))
    order = [each for each in np.argsort(-scores, kind="stable").tolist() if scores[each] >= choices.threshold]
    corners = corners_of(raw[order], group.boxes)
    found: list[dict[str, Any]] = [
        {
            "label": name_of(int(numbers[each]), group.names) if numbers is not None else None,
            "score": float(scores[each]) if group.scores else None,
            "box": dict(zip(("ymin", "xmin", "ymax", "xmax"), corner.tolist(), strict=True)),
        }
        for each, corner in zip(order, corners, strict=True)
    ]
    texts = [" ".join(filter(None, (each["label"], _share(each["score"])))) for each in found]
    unit = group.boxes.units[0] if group.boxes.units else "share"
    lines = [f"{text or 'box'}  {_place(corner, unit)}" for text, corner in zip(texts, corners, strict=True)]
    kept = "" if group.scores is None else f" from {choices.threshold:.0%} on"
    head = f"{len(found)} of {len(raw)} boxes{kept}"
    if len(lines) > _MOST_BOXES:
        lines = [*lines[:_MOST_BOXES], f"and {len(lines) - _MOST_BOXES} others"]
    facts = {"kind": "boxes", "unit": unit, "boxes": found}
    shown = with_values(Shown((head, *lines), facts), answers[group.boxes.name])
    if pixels is None:
        return shown
    scale = np.array(pixels.shape[:2] * 2) if unit == "share" else np.ones(4)
    classes = [int(numbers[each]) if numbers is not None else 0 for each in order]
    draw = partial(box_picture, pixels, corners * scale, texts, classes)
    return shown._replace(files={**shown.files, "picture": (".png", draw)})


def corners_of(boxes: npt.NDArray[np.float64], port: Output) -> npt.NDArray[np.float64]:
    """Return boxes of shape (count, 4) as ymin, xmin, ymax and xmax, whatever order they have."""
    columns = dict(zip(port.columns or ("ymin", "xmin", "ymax", "xmax"), boxes.T, strict=True))
    if "h" in columns:
        height, width = columns["h"], columns["w"]
        top = columns["ymin"] if "ymin" in columns else columns["cy"] - height / 2
        left = columns["xmin"] if "xmin" in columns else columns["cx"] - width / 2
        return np.stack([top, left, top + height, left + width], axis=1)
    return np.stack([columns[name] for name in ("ymin", "xmin", "ymax", "xmax")], axis=1)


def _scored(
    group: Boxes, answers: Mapping[str, Tensor], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64] | None]:
    """Return the score of each box, 1 where none is known, and the number of its class."""
    numbers = None
    if group.classes is not None:
        numbers = np.rint(answers[group.classes.name]).astype(np.int64)
    if group.scores is None:
        return np.ones(count), numbers
    scores = answers[group.scores.name].astype(np.float64)
    if scores.ndim == 2 and scores.shape[1] > 1:
        return scores.max(axis=1), scores.argmax(axis=1) if numbers is None else numbers
    return scores.reshape(count), numbers


def detections(group: Boxes, answers: Mapping[str, Tensor]) -> npt.NDArray[np.float32]:
    """Return all boxes of some samples as rows of class, score, top, left, bottom and right: (n, count, 6).

    Args:
        group: The outputs.
        answers: For each output by its name what it gave, the samples first. Boxes without a class are of class 0.
    """
    found = []
    for place, raw in enumerate(answers[group.boxes.name].astype(np.float64)):
        scores, numbers = _scored(group, {name: each[place] for name, each in answers.items()}, len(raw))
        classes = np.zeros(len(raw)) if numbers is None else numbers
        found.append(np.column_stack([classes, scores, corners_of(raw, group.boxes)]))
    return np.stack(found).astype(np.float32)


def _share(score: object) -> str:
    return f"{score:.1%}" if isinstance(score, float) else ""


def _place(corner: npt.NDArray[np.float64], unit: str) -> str:
    style = ".3f" if unit == "share" else ".1f"
    names = ("ymin", "xmin", "ymax", "xmax")
    return " ".join(f"{name} {value:{style}}" for name, value in zip(names, corner.tolist(), strict=True))
