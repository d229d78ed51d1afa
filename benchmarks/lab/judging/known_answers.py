"""Answers to the composed digits by models in closed form: real errors on real ink, in seconds and without an engine.

What judges answers never sees the model. So these stand for an artefact's, and can be made noisy or worse by as much as
is wanted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from edgeport.benchmarks.tasks.answers import classes_of, reconstruction_errors
from edgeport.runtime.samples.array_names import ONLY
from edgeport.train.datasets.data import Part
from edgeport.train.datasets.digits.composed import load_composed
from edgeport.train.datasets.named import load_dataset

Array = npt.NDArray[Any]
Random = np.random.Generator
Changed = Callable[[Array, float, Random], Array]

# The digit that a yes-or-no question is about.
_ASKED = 7
_COMPONENTS = 24
_INK_SIDE, _LEAST_INK, _MOST_FOUND = 28, 12, 6
# COCO's evaluation takes its time.
_SCENES = 200


@dataclass(frozen=True, eq=False)
class Known:
    """One task, what is true of its test samples, and what a model answers.

    Attributes:
        task: How answers are judged: a row of the table of tasks.
        data: The data set.
        truth: What is true, as the task's metrics take it.
        answers: What the model answers, as a report keeps it.
        noisy: From answers, a strength and random numbers to as good answers with that much noise.
        noise: The strength that is about what int8 does to answers.
        worse: From answers, a strength from 0 to 1 and random numbers to worse ones, a little in each sample.
    """

    task: str
    data: str
    truth: Array
    answers: Array
    noisy: Changed
    noise: float
    worse: Changed


def known_answers() -> Iterator[Known]:
    """Yield an example of each task."""
    yield from _of_digits()
    yield from _of_scenes()
    angle = load_composed("digits:angle").parts
    seen, test = _pixels(angle["train"]), _pixels(angle["test"])
    turned = _ridge(seen, _true(angle["train"]))(test)
    truth = _true(angle["test"]).astype(np.float64)
    yield Known("values", "digits:angle", truth, turned, _normal, 0.02, _pushed(turned - truth))
    anomaly = load_composed("digits:anomaly").parts
    seen, test = _pixels(anomaly["train"]), _pixels(anomaly["test"])
    far = reconstruction_errors(test, _narrowed(seen, test))[:, np.newaxis]
    truth = _true(anomaly["test"])
    nearer = _pushed(np.where(truth[:, np.newaxis] == 1, -1.0, 1.0))
    yield Known("anomaly", "digits:anomaly", truth, far, _normal, 0.02, nearer)
    strokes = load_composed("digits:strokes").parts
    steps = _digits_at_each_step(strokes["train"], strokes["test"])
    yield Known("sequence", "digits:strokes", _true(strokes["test"]), steps, _exchanged, 0.01, _exchanged)


def _of_digits() -> Iterator[Known]:
    digits = load_dataset("mnist-5k")
    seen, test = (split.samples.reshape(len(split), -1) / 255.0 for split in (digits.train, digits.test))
    scores = _softmax(_ridge(seen, np.eye(10)[digits.train.classes])(test))
    yield Known("classes", "mnist-5k", digits.test.classes, scores, _normal, 0.02, _mixed)
    asked = _ridge(seen, (digits.train.classes == _ASKED)[:, np.newaxis])(test).clip(0, 1)
    true = (digits.test.classes == _ASKED).astype(np.int64)
    yield Known("yes-no", f"mnist-5k, is it {_ASKED}", true, asked, _normal, 0.02, _mixed)
    near = _narrow(seen)(test)
    yield Known("similarity", "mnist-5k", digits.test.classes, near, _normal, 0.1, _mixed)


def _of_scenes() -> Iterator[Known]:
    boxes, masks, labels = (load_composed(f"digits:{name}").parts["test"] for name in ("boxes", "masks", "labels"))
    found, classified = _found(boxes.inputs[ONLY])
    there = np.stack([np.where(found[..., 0] == digit, found[..., 1], 0).max(axis=1) for digit in range(10)], axis=1)
    yield Known("labels", "digits:labels", _true(labels), there, _normal, 0.02, _mixed)
    truth = _true(boxes).astype(np.float64)
    yield Known("boxes", "digits:boxes", truth[:_SCENES], found[:_SCENES], _jolted, 0.02, _shifted)
    yield Known("map", "digits:masks", _true(masks).astype(np.int64), classified, _exchanged, 0.0005, _exchanged)


def _pixels(part: Part) -> Array:
    return np.asarray(part.inputs[ONLY].reshape(len(part), -1) / 255.0)


def _true(part: Part) -> Array:
    assert part.targets is not None, "composed test samples have targets"
    return part.targets


def _ridge(samples: Array, targets: Array) -> Callable[[Array], Array]:
    """Return the least squares solution with a penalty, as a function of samples."""
    rows = np.concatenate([samples, np.ones((len(samples), 1))], axis=1)
    penalty = 1e-3 * np.trace(rows.T @ rows) / rows.shape[1] * np.eye(rows.shape[1])
    solved = np.linalg.solve(rows.T @ rows + penalty, rows.T @ np.asarray(targets, np.float64))
    return lambda others: np.asarray(others @ solved[:-1] + solved[-1])


def _narrow(samples: Array) -> Callable[[Array], Array]:
    """Return the projection on the first principal components of samples."""
    mean = samples.mean(axis=0)
    axes = np.linalg.eigh(np.cov(samples - mean, rowvar=False))[1][:, -_COMPONENTS:]
    return lambda others: np.asarray((others - mean) @ axes)


def _narrowed(samples: Array, others: Array) -> Array:
    """Return others as the principal components of samples restore them: an autoencoder in closed form."""
    mean = samples.mean(axis=0)
    axes = np.linalg.eigh(np.cov(samples - mean, rowvar=False))[1][:, -_COMPONENTS:]
    return np.asarray((others - mean) @ axes @ axes.T + mean)


def _softmax(scores: Array) -> Array:
    powers = np.exp(8 * (scores - scores.max(axis=1, keepdims=True)))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _digits_at_each_step(train: Part, test: Part) -> Array:
    """Return the digit that each step decides for, by a least squares solution of the steps so far."""
    seen, asked = (part.inputs[ONLY].reshape(len(part), -1).astype(np.float64) for part in (train, test))
    one_hot, steps = np.eye(10)[_true(train)[:, 0]], _true(test).shape[1]
    answers = [_ridge(seen[:, : 3 * step], one_hot)(asked[:, : 3 * step]) for step in range(1, steps + 1)]
    return classes_of(np.stack(answers, axis=1)).astype(np.uint8)


def _found(scenes: Array) -> tuple[Array, Array]:
    """Return the digits of scenes as boxes (n, 6, 6), and the class of each place: connected ink, classified."""
    digits = load_dataset("mnist-5k").train
    classify = _ridge(np.stack([_centred(image[..., 0]) for image in digits.samples]), np.eye(10)[digits.classes])
    boxes = np.full((len(scenes), _MOST_FOUND, 6), -1.0)
    classified = np.zeros(scenes.shape[:3], np.uint8)
    height, width = scenes.shape[1:3]
    for place, scene in enumerate(scenes[..., 0]):
        parts, _ = ndimage.label(scene > 0, np.ones((3, 3)))
        spots = [(number + 1, at) for number, at in enumerate(ndimage.find_objects(parts))]
        spots = [(number, at) for number, at in spots if (parts[at] == number).sum() >= _LEAST_INK][:_MOST_FOUND]
        for row, (number, (rows, columns)) in enumerate(spots):
            ink = np.where(parts[rows, columns] == number, scene[rows, columns], 0)
            scores = _softmax(classify(_centred(ink)[np.newaxis]))[0]
            edges = rows.start / height, columns.start / width, rows.stop / height, columns.stop / width
            boxes[place, row] = scores.argmax(), scores.max(), *edges
            classified[place][parts == number] = scores.argmax() + 1
    return boxes, classified


def _centred(image: Array) -> Array:
    """Return the ink of an image in the middle of a square, as a row of numbers from 0 to 1."""
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][:_INK_SIDE, :_INK_SIDE]
    square = np.zeros((_INK_SIDE, _INK_SIDE))
    top, left = (_INK_SIDE - ink.shape[0]) // 2, (_INK_SIDE - ink.shape[1]) // 2
    square[top : top + ink.shape[0], left : left + ink.shape[1]] = ink / 255.0
    return square.ravel()


def _normal(answers: Array, strength: float, random: Random) -> Array:
    return np.asarray(answers + strength * answers.std() * random.normal(size=answers.shape))


def _mixed(answers: Array, strength: float, random: Random) -> Array:
    """Return answers with a part of another sample's in each."""
    return np.asarray((1 - strength) * answers + strength * answers[random.permutation(len(answers))])


def _pushed(away: Array) -> Changed:
    """Return what moves each answer the way that is worse, by a part of how far answers spread.

    Another sample's part would move it to and fro, by far more than is lost, and drown a loss that small.
    """
    return lambda answers, strength, random: np.asarray(answers + strength * answers.std() * np.sign(away))


def _exchanged(answers: Array, strength: float, random: Random) -> Array:
    """Return classes of places with a share of them exchanged for other classes."""
    others = random.integers(0, answers.max() + 1, answers.shape).astype(answers.dtype)
    return np.where(random.random(answers.shape) < strength, others, answers)


def _jolted(answers: Array, strength: float, random: Random) -> Array:
    moved = answers.copy()
    moved[..., 1:] += strength * random.normal(size=moved[..., 1:].shape) * [1, 0.2, 0.2, 0.2, 0.2]
    return np.where(answers[..., :1] >= 0, moved, answers)


def _shifted(answers: Array, strength: float, random: Random) -> Array:
    """Return boxes that are moved by a share of their own size, each to another side."""
    moved = answers.copy()
    sizes = np.tile(answers[..., 4:] - answers[..., 2:4], 2)
    sides = np.tile(random.choice([-1.0, 1.0], (*answers.shape[:2], 2)), 2)
    moved[..., 2:] += strength * sizes * sides
    return np.where(answers[..., :1] >= 0, moved, answers)
