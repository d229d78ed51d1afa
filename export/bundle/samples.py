"""The golden inputs of a bundle: what every artefact answers on the workstation, to be answered alike on the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.manifest import Manifest
from edgeport.export.verification.calibration import RANDOM, load_calibration
from edgeport.export.verification.calibration_files import read_splits
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.train.datasets.named import DATASETS, load_dataset
from edgeport.train.datasets.npz_file import read_arrays

_MOST = 10_000
# The least that load_calibration draws.
_LEAST_DRAWN = 10
_SEED = 0
_SPLITS = {"x_train", "y_train", "x_test", "y_test"}


@dataclass(frozen=True, eq=False)
class GoldenSamples:
    """Inputs whose answers travel along.

    Attributes:
        source: What they are, in words.
        inputs: For each input of the model uint8 pixels, or the values that it takes, of shape (n, ...).
        labels: int64 class numbers of shape (n,); None if they are not known.
        is_random: Whether they are made up.
    """

    source: str
    inputs: Mapping[str, npt.NDArray[Any]]
    labels: npt.NDArray[np.int64] | None = None
    is_random: bool = False

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(next(iter(self.inputs.values())))


def golden_samples(
    manifest: Manifest, *, count: int = 100, source: str = "", data_dir: Path | None = None
) -> GoldenSamples:
    """Return the first test samples, as many of each class as possible; the same ones every time.

    Args:
        manifest: The export's, which names the data set and the inputs.
        count: How many samples, at most; fewer if there are fewer.
        source: A data set (its test split), or whatever calibrates an export; ``random`` for made-up ones. Empty for
            the data set that the model was trained on, or random ones if that is not known.
        data_dir: Where the files of mnist lie; see load_dataset.

    Raises:
        InputError: The samples are unknown, unreadable, or not what the model takes.
    """
    if not 1 <= count <= _MOST:
        raise InputError(f"--samples: got {count}, expected 1 to {_MOST:,}")
    source = source or manifest.dataset or RANDOM
    ports = manifest.inputs
    if source == RANDOM:
        drawn = load_calibration(RANDOM, inputs=ports, count=max(count, _LEAST_DRAWN), seed=_SEED).samples
        inputs = {name: array[:count] for name, array in drawn.items()}
        return GoldenSamples(f"random, seed {_SEED}", inputs, is_random=True)
    if _has_test_split(source):
        return _test_samples(manifest, source, count, data_dir)
    splits = read_splits(source, ports, data_dir=data_dir, resizing=manifest.resizing)
    inputs = {name: array[:count] for name, array in splits.train.items()}
    name = Path(source).name
    return _checked(GoldenSamples(f"the first samples of {name}", inputs), manifest)


def _test_samples(manifest: Manifest, source: str, count: int, data_dir: Path | None) -> GoldenSamples:
    dataset = load_dataset(source, data_dir=data_dir, image_shape=manifest.picture_shape, resizing=manifest.resizing)
    if len(manifest.inputs) > 1:
        raise InputError(
            f"{source} has one array of images, and {manifest.name} has {len(manifest.inputs)} inputs: "
            "give --samples-from FILE.npz with one array for each, or --samples-from random"
        )
    chosen = balanced(dataset.test.classes, count)
    inputs = {manifest.inputs[0].name: dataset.test.images[chosen]}
    name = Path(source).name
    samples = GoldenSamples(f"the test split of {name}", inputs, labels=dataset.test.classes[chosen])
    return _checked(samples, manifest)


def balanced(classes: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return the places of the first samples, as many of each class as possible, in ascending order.

    Args:
        classes: int64 class numbers of shape (n,).
        count: How many places to return; n if that is less.
    """
    rank = np.empty(len(classes), np.int64)
    for each in np.unique(classes):
        places = np.flatnonzero(classes == each)
        rank[places] = np.arange(len(places))
    return np.sort(np.argsort(rank, kind="stable")[:count])


def _has_test_split(source: str) -> bool:
    path = Path(source)
    if path.suffix == ".npz":
        return read_arrays(path).keys() >= _SPLITS
    if path.is_dir():
        return any(entry.is_dir() for entry in path.iterdir())
    return source in DATASETS or path.suffix != ".npy"


def _checked(samples: GoldenSamples, manifest: Manifest) -> GoldenSamples:
    """Return the samples, or raise InputError if an input of the model does not take them."""
    if not samples.count:
        raise InputError(f"golden samples: got none of {samples.source}, expected at least one")
    lengths = {len(array) for array in samples.inputs.values()}
    if len(lengths) > 1:
        raise InputError(f"golden samples: got {_listed(sorted(lengths))} of the inputs, expected as many of each")
    for each in manifest.inputs:
        _check_input(samples.inputs[each.name], each, samples.source)
    return samples


def _check_input(array: npt.NDArray[Any], spec: Input, source: str) -> None:
    fits = array.shape[1:] == spec.shape[1:]
    if not fits or array.dtype.kind not in ("uif" if "float" in spec.dtype else "uib"):
        expected = f"{spec.dtype} (n, {_listed(spec.shape[1:])})" + (" or uint8 pixels" if spec.range else "")
        raise InputError(
            f"golden samples: got {array.dtype} {array.shape} of {source} for {spec.name}, expected {expected}; "
            "give others with --samples-from"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"golden samples: got NaN or infinity in {source} for {spec.name}, expected numbers")


def _listed(numbers: Sequence[int | None]) -> str:
    return ", ".join(map(str, numbers))
