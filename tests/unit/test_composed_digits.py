"""The tasks composed from the installed digits: what they say is true is true, pixel by pixel."""

import hashlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from edgeport.export.verification.calibration import load_calibration
from edgeport.export.verification.calibration_files import read_splits
from edgeport.runtime import InputError
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.samples.array_names import ONLY
from edgeport.train import Dataset, load_dataset
from edgeport.train.datasets.data import Part
from edgeport.train.datasets.digits import composed
from edgeport.train.datasets.digits.composed import TASKS, load_composed
from edgeport.train.datasets.digits.scenes import SIDE
from edgeport.train.datasets.digits.strokes import drawn
from edgeport.train.datasets.mnist_5k import load_mnist_5k
from edgeport.train.datasets.named import load_data

# Of the samples and targets of the test split.
DIGESTS = {
    "boxes": "d8013da07e526a68",
    "masks": "9f2e6dac3657d3b0",
    "labels": "92ad3fd0546fdc12",
    "angle": "39ecefb12a98e861",
    "anomaly": "76f0785f75c7404b",
    "strokes": "71f1bfcc39f94930",
}


@pytest.fixture(scope="module", autouse=True)
def digits() -> Iterator[Dataset]:
    """The digits that everything is composed from, read once: reading them takes longer than most of the tests."""
    read = cache(load_mnist_5k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composed, "load_mnist_5k", read)
        yield read()


@pytest.fixture(scope="module")
def parts(digits: Dataset) -> dict[str, dict[str, Part]]:
    return {task: dict(load_data(f"digits:{task}").parts) for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_everybody_has_the_same_samples(parts: dict[str, dict[str, Part]], task: str) -> None:
    test = parts[task]["test"]
    assert test.targets is not None
    digest = hashlib.sha256(test.inputs[ONLY].tobytes() + np.ascontiguousarray(test.targets).tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[task]
    assert test.inputs[ONLY].dtype == (np.float32 if task == "strokes" else np.uint8)


def test_another_seed_composes_other_scenes() -> None:
    one, other = (load_composed("digits:labels", seed=seed).parts["test"].inputs[ONLY] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_boxes_masks_and_labels_are_three_truths_of_the_same_scenes(parts: dict[str, dict[str, Part]]) -> None:
    boxes, masks, labels = (parts[task]["test"] for task in ("boxes", "masks", "labels"))
    assert np.array_equal(boxes.inputs[ONLY], masks.inputs[ONLY])
    assert np.array_equal(boxes.inputs[ONLY], labels.inputs[ONLY])
    assert {int(count) for count in (boxes.targets[..., 0] >= 0).sum(axis=1)} == {1, 2, 3}
    for pixels, rows, mask, there in zip(
        boxes.inputs[ONLY][..., 0], boxes.targets, masks.targets, labels.targets, strict=True
    ):
        assert np.array_equal(mask > 0, pixels > 0)
        found = rows[rows[:, 0] >= 0]
        assert set(np.flatnonzero(there)) == set(found[:, 0].astype(int)) == set(np.unique(mask)[1:].astype(int) - 1)
        covered = np.zeros_like(mask, bool)
        for digit, *shares in found:
            top, left, bottom, right = np.rint(np.array(shares) * SIDE).astype(int)
            ink = mask[top:bottom, left:right] == digit + 1
            # Close around the ink, and nobody else's ink is inside.
            assert ink.any(axis=1)[[0, -1]].all()
            assert ink.any(axis=0)[[0, -1]].all()
            assert not covered[top:bottom, left:right].any()
            assert np.array_equal(ink, mask[top:bottom, left:right] > 0)
            covered[top:bottom, left:right] = True
        assert not pixels[~covered].any()


def test_a_digit_of_one_split_is_in_none_of_the_others(parts: dict[str, dict[str, Part]], digits: Dataset) -> None:
    inks = {name: {_ink(image) for image in split.samples[..., 0]} for name, split in digits.splits.items()}
    for name, part in parts["boxes"].items():
        scenes = zip(part.inputs[ONLY][:100, ..., 0], part.targets[:100, 0, 1:], strict=True)
        for pixels, shares in scenes:
            top, left, bottom, right = np.rint(shares * SIDE).astype(int)
            found = _ink(pixels[top:bottom, left:right])
            assert [split for split, members in inks.items() if found in members] == [name]


def _ink(image: np.ndarray) -> bytes:
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    return np.ascontiguousarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).tobytes()


def test_a_digit_is_turned_counter_clockwise_by_the_degrees_that_are_said(
    parts: dict[str, dict[str, Part]], digits: Dataset
) -> None:
    turned = parts["angle"]["test"]
    ones = np.flatnonzero(digits.test.classes == 1)
    before, after = (
        np.array([_lean(image[..., 0]) for image in each[ones]]) for each in (digits.test.samples, turned.inputs[ONLY])
    )
    said = turned.targets[ones, 0]
    difference = (after - before + 90) % 180 - 90
    assert np.abs(difference - said).mean() < 2
    assert (said.min() < -35, said.max() > 35) == (True, True)


def _lean(image: np.ndarray) -> float:
    """Return the angle of the longest axis of some ink in degrees, counter-clockwise from the horizontal."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = image.astype(np.float64) / image.sum()
    x, y = (axis - (weights * axis).sum() for axis in (columns, -rows))
    return float(np.degrees(np.arctan2(2 * (weights * x * y).sum(), (weights * (x**2 - y**2)).sum()) / 2))


def test_training_never_shows_the_anomaly(parts: dict[str, dict[str, Part]], digits: Dataset) -> None:
    split = parts["anomaly"]
    twos = {image.tobytes() for each in digits.splits.values() for image in each.samples[each.classes == 2]}
    seen = {image.tobytes() for name in ("train", "validation") for image in split[name].inputs[ONLY]}
    assert not twos & seen
    assert [split[name].targets for name in ("train", "validation")] == [None, None]
    test = split["test"]
    assert [image.tobytes() in twos for image in test.inputs[ONLY]] == (test.targets == 1).tolist()
    assert np.bincount(test.targets).tolist() == [450, 500]
    assert not seen & {image.tobytes() for image in test.inputs[ONLY]}


def test_a_pen_follows_the_middle_of_the_ink(parts: dict[str, dict[str, Part]], digits: Dataset) -> None:
    strokes = parts["strokes"]["test"]
    assert np.array_equal(strokes.targets, np.repeat(digits.test.classes[:, None], 40, axis=1))
    places = np.floor(strokes.inputs[ONLY][..., :2] * 28).astype(int)
    on_ink = digits.test.samples[np.arange(500)[:, None], places[..., 0], places[..., 1], 0]
    assert (on_ink > 100).all()
    # A pen on the paper makes small steps, and a lifted one may jump.
    steps = np.abs(np.diff(places, axis=1)).max(axis=2)
    assert steps[strokes.inputs[ONLY][:, 1:, 2] == 1].max() <= 4
    assert not strokes.inputs[ONLY][:, 0, 2].any()


def test_a_cross_is_drawn_in_two_lines_from_its_upper_end() -> None:
    cross = np.zeros((1, 28, 28), np.uint8)
    cross[0, 4:24, 14] = cross[0, 12, 6:23] = 255
    (way,) = drawn(cross)
    assert np.floor(way[0, :2] * 28).tolist() == [4, 14]
    assert int((way[:, 2] == 0).sum()) in (2, 3)
    assert (way[:, 0].max() * 28 > 22, way[:, 1].min() * 28 < 8, way[:, 1].max() * 28 > 21) == (True, True, True)


def test_they_calibrate_a_model_of_their_own_kind() -> None:
    port = Input("image", (None, 28, 28, 1), "float32", "NHWC", range=(0.0, 255.0), kind="pixels")
    drawn = load_calibration("digits:angle", inputs=[port], count=50)
    assert drawn.shapes == {"image": (50, 28, 28, 1)}
    assert len(drawn.held_out["image"]) == 500


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits:box", r"unknown data set 'digits:box': did you mean digits:boxes\?"),
        ("digits:angle", "got targets float32"),
        ("digits:anomaly", "lacks y_train and y_val"),
    ],
)
def test_what_is_no_data_set_of_classes_says_so(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(name)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_calibrates_whatever_its_targets_are(task: str) -> None:
    data = load_data(f"digits:{task}")
    (array,) = data.parts["train"].inputs.values()
    kind = "real" if array.dtype.kind == "f" else "pixels"
    port = Input("x", (None, *array.shape[1:]), "float32", "any", kind=kind)
    splits = read_splits(f"digits:{task}", (port,))
    assert len(splits.train["x"]) == len(array)
    assert splits.labels == data.labels
    assert splits.train_classes is None
