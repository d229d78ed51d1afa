"""What the quantizer sees, and the held-out samples that verify the result; test data is never among them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.verification.calibration_files import Splits, read_splits, splits_of
from edgeport.runtime.artefact.contract import RAW, Input
from edgeport.runtime.artefact.input_kinds import check_scaled, parsed_input, with_kinds
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.pictures.resizing import KERAS_LOADER, Resizing
from edgeport.runtime.tensors.checks import fits
from edgeport.runtime.tensors.encoding import real_pixels
from edgeport.train.datasets.dataset import Classes

Samples = Mapping[str, npt.NDArray[Any]]

RANDOM = "random"
# What records call samples that were given as arrays.
ARRAYS = "arrays in Python"
_HELD_OUT_COUNT = 1_000
_FEW = 100
# So many times the samples to calibrate on are enough of a source that may have no end: others verify.
_TIMES = 2
_LEAST, _MOST = 10, 100_000
_TEST_NAMES = re.compile(r"(?:^|[^a-z])(?:test|t10k)(?:[^a-z]|$)")


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Representative inputs for quantization, and held-out ones to verify the artefacts on.

    Attributes:
        source: The data set or file that the samples come from, or ``random``.
        seed: Decides which samples are drawn.
        inputs: The inputs of the model, each of the kind that it was given, or else that its samples are of: uint8 are
            raw pixels, floats real values, and what an integer input takes are ids.
        samples: For the quantizer, by input: uint8 pixels, real values or integers, of shape (n, ...).
        held_out: Of the same kinds; the quantizer does not see them.
        labels: The class names of the data set, or empty.
        resizing: How pictures of any size take the model's.
        warnings: What a user should know about these samples.
        held_out_classes: int64, which of ``labels`` each of ``held_out`` is; None where that is not known.
        classes: The same of ``samples``.
    """

    source: str
    seed: int
    inputs: tuple[Input, ...]
    samples: Samples
    held_out: Samples
    labels: tuple[str, ...] = ()
    resizing: Resizing = KERAS_LOADER
    warnings: tuple[str, ...] = ()
    held_out_classes: Classes | None = None
    classes: Classes | None = None

    def __post_init__(self) -> None:
        # Also of a set that is put together by hand.
        found = tuple(_as_found(port, self.samples[port.name], self.source) for port in self.inputs)
        how = self.resizing
        object.__setattr__(self, "inputs", tuple(port._replace(resizing=how if port.range else None) for port in found))

    @property
    def count(self) -> int:
        """How many samples the quantizer sees."""
        return len(next(iter(self.samples.values())))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of the samples of each input; the first axis counts them."""
        return {name: array.shape for name, array in self.samples.items()}

    @property
    def raw_pixels(self) -> tuple[str, ...]:
        """The inputs that take pixels from 0 to 255 as they are."""
        return tuple(port.name for port in self.inputs if port.kind == "pixels" and port.range == RAW)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What a manifest records: source, count, seed and the SHA-256 of the samples."""
        digest = hashlib.sha256()
        for name in sorted(self.samples):
            digest.update(np.ascontiguousarray(self.samples[name]).data)
        return {"source": self.source, "count": self.count, "seed": self.seed, "sha256": digest.hexdigest()}

    def part(self, start: int, count: int, *, filled: bool) -> Samples:
        """Return some of the quantizer's samples; ``filled`` begins anew at the end, so that it is always ``count``."""
        places = np.arange(start, start + count)
        places = places % self.count if filled else places[places < self.count]
        return {name: array[places] for name, array in self.samples.items()}

    def first(self, count: int) -> "CalibrationSet":
        """Return the set with no more than so many samples for the quantizer."""
        return replace(self, samples=self.part(0, min(count, self.count), filled=False))

    def to_real(self, samples: Samples) -> dict[str, npt.NDArray[Any]]:
        """Return samples in the model's own types: pixels as the real values that they stand for."""
        return {
            port.name: real_pixels(samples[port.name], port)
            if samples[port.name].dtype == np.uint8 and port.range
            else samples[port.name].astype(port.dtype, copy=False)
            for port in self.inputs
        }


def load_calibration(
    source: str | Path | npt.NDArray[Any] | Samples,
    *,
    inputs: Sequence[Input],
    count: int = 500,
    seed: int = 0,
    vocabulary: int | None = None,
    resizing: Resizing | None = None,
    data_dir: Path | None = None,
) -> CalibrationSet:
    """Draw calibration samples from a data set's train split, and held-out ones from its validation split.

    Args:
        source: Whatever ``load_dataset`` takes, without targets too: a .npz file with ``x_train`` (and ``x_val``), or
            with one array for each input, by its name; a .npy or .csv file; a folder of images; a function, which gives
            twice ``count`` samples at most; or ``random``. In Python also arrays: one, or a mapping from names.
        inputs: The inputs of the model; those that do not say of which kind they are become what their samples are.
        count: How many samples the quantizer sees, at least 10; fewer if there are fewer.
        seed: Decides which.
        vocabulary: One more than the largest token that the model can take, if known.
        resizing: How pictures take the model's size, if known; else as the data set has it, or Keras' own loader.
        data_dir: See load_dataset.

    Raises:
        InputError: The source is unknown, unreadable, of another shape, kind or dtype, holds NaN or values beyond the
            range of pixels, or is test data.
    """
    if not _LEAST <= count <= _MOST:
        raise InputError(f"calibration count: got {count}, expected {_LEAST} to {_MOST:,} (a few hundred are usual)")
    if seed < 0:
        raise InputError(f"calibration seed: got {seed}, expected 0 or more")
    if not isinstance(source, (str, Path)):
        arrays = source if isinstance(source, Mapping) else {"samples": source}
        source, splits = ARRAYS, splits_of(arrays, inputs, ARRAYS)
    elif (source := str(source)) == RANDOM:
        splits = _random(inputs, count, seed, vocabulary)
    else:
        check_no_test_data(source, kind="calibration data")
        splits = read_splits(source, inputs, data_dir=data_dir, resizing=resizing, most=_TIMES * count)
    for samples, least in ((splits.train, _LEAST), (splits.held_out, 1)):
        if samples is not None:
            check_fits(samples, inputs, kind="calibration", source=source, least=least, vocabulary=vocabulary)
    if splits.held_out is not None and _kinds(splits.train) != _kinds(splits.held_out):
        raise InputError(
            f"calibration data {source}: got {_kinds(splits.train)} to calibrate on and {_kinds(splits.held_out)} to "
            "verify on, expected the same dtype"
        )
    train, held_out, classes, held_out_classes = _draw(splits, count, seed)
    if all(array.min() == array.max() for array in train.values()):
        value = next(iter(train.values())).flat[0]
        raise InputError(f"calibration samples of {source}: got {value} everywhere, expected real ones")
    how = resizing or splits.resizing or KERAS_LOADER
    ports = tuple(port._replace(columns=port.columns or splits.columns) for port in inputs)
    chosen = CalibrationSet(
        source, seed, ports, train, held_out, splits.labels, how, held_out_classes=held_out_classes, classes=classes
    )
    return replace(chosen, warnings=_warnings(source, train, chosen.inputs))


def check_no_test_data(source: str, *, kind: str) -> None:
    """Raise InputError for what its name calls test data: it must stay unseen."""
    if _TEST_NAMES.search(Path(source).name.lower()):
        raise InputError(f"{kind} {source}: got what its name calls test data, expected other samples")


def _draw(splits: Splits, count: int, seed: int) -> tuple[Samples, Samples, Classes | None, Classes | None]:
    """Return the samples for the quantizer and others, and the classes of both."""
    random = np.random.default_rng(seed)
    available = _count(splits.train)
    order = random.permutation(available)
    held_out, classes = splits.held_out, splits.held_out_classes
    if held_out is None:
        # Samples that the quantizer does not see verify the result: a fifth of them at the least.
        count = min(count, available * 4 // 5)
        held_out = _take(splits.train, order[count:])
        classes = None if splits.train_classes is None else splits.train_classes[order[count:]]
    chosen = random.permutation(_count(held_out))[:_HELD_OUT_COUNT]
    return (
        _take(splits.train, order[:count]),
        _take(held_out, chosen),
        None if splits.train_classes is None else splits.train_classes[order[:count]],
        None if classes is None else classes[chosen],
    )


def _random(inputs: Sequence[Input], count: int, seed: int, vocabulary: int | None) -> Splits:
    """Return pixels, real values with mean 0 and standard deviation 1, or tokens: all without meaning."""
    random = np.random.default_rng(seed)
    samples: dict[str, npt.NDArray[Any]] = {}
    for port in inputs:
        if None in port.shape[1:]:
            raise InputError(f"input {port} has a free axis, so random samples have no length: give real ones")
        shape = (count + count // 4 + 1, *(axis or 1 for axis in port.shape[1:]))
        if port.kind == "pixels" or (port.is_image and not port.kind):
            samples[port.name] = random.integers(0, 256, shape, np.uint8)
        elif port.is_real:
            samples[port.name] = random.normal(size=shape).astype(np.float32)
        else:
            samples[port.name] = random.integers(0, vocabulary or 2, shape).astype(port.dtype)
    return Splits(samples)


def check_fits(
    samples: Samples, inputs: Sequence[Input], *, kind: str, source: str, least: int = 1, vocabulary: int | None = None
) -> None:
    """Raise InputError if samples are not what the inputs of a model take: names, counts, shapes, types, ranges.

    Args:
        samples: By input an array.
        inputs: The inputs.
        kind: What the samples are for, in a word.
        source: What a message calls their source.
        least: How many there must be.
        vocabulary: One more than the largest token that the model can take, if known.
    """
    if samples.keys() != {port.name for port in inputs}:
        raise InputError(
            f"{kind} data {source}: got arrays for {', '.join(samples) or 'nothing'}, "
            f"expected one for each input: {'; '.join(map(str, inputs))}"
        )
    if any(not array.ndim for array in samples.values()):
        raise InputError(f"{kind} data {source}: got a single number, expected an array of samples")
    if len({len(array) for array in samples.values()}) > 1:
        raise InputError(f"{kind} data {source}: expected as many samples of each input, got {_shapes(samples)}")
    for port in inputs:
        array = samples[port.name]
        if not fits(array.shape[1:], port.shape[1:]) or len(array) < least:
            axes = ", ".join("any" if axis is None else str(axis) for axis in port.shape[1:])
            raise InputError(
                f"{kind} samples of {source}: got {array.dtype} {array.shape} for {port.name}, "
                f"expected {least} or more of shape (n, {axes}), as the model takes"
            )
        _check_values(array, port, f"{kind} samples of {source}", vocabulary)


def _check_values(array: npt.NDArray[Any], port: Input, named: str, vocabulary: int | None) -> None:
    kinds = "uif" if port.is_real else "b" if port.dtype == "bool" else "ui"
    if array.dtype.kind not in kinds or (port.is_real and array.dtype.kind in "ui" and array.dtype != np.uint8):
        expected = "real values (float32) or uint8 pixels" if port.is_real else f"{port.dtype} values"
        raise InputError(f"{named}: got {array.dtype} for {port.name}, expected {expected}")
    if array.dtype.kind == "f" and not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise InputError(f"{named}: got NaN, infinity or beyond float32 for {port.name}")
    if port.kind == "real" and array.dtype == np.uint8:
        raise InputError(
            f"{named}: got uint8 pixels for {port.name}, which takes real values: give floats, or say what pixels 0 "
            "and 255 are to the model with --input pixels:LOW:HIGH"
        )
    if array.dtype != np.uint8:
        check_scaled(port, float(array.min()), float(array.max()), named=named)
    if not port.is_real and vocabulary and (array.min() < 0 or array.max() >= vocabulary):
        raise InputError(
            f"{named}: got tokens from {array.min()} to {array.max()} for {port.name}, expected 0 to {vocabulary - 1}"
        )


def _as_found(port: Input, samples: npt.NDArray[Any], source: str) -> Input:
    """Return an input as it was given, or of the kind that its samples are of."""
    if port.kind:
        return port
    kind = "ids" if not port.is_real else "pixels" if samples.dtype == np.uint8 else "real"
    return with_kinds([port], [parsed_input(kind)], what=source)[0]


def _warnings(source: str, samples: Samples, inputs: Sequence[Input]) -> tuple[str, ...]:
    warnings = []
    count = _count(samples)
    if source == RANDOM:
        warnings.append(
            "random data: integer ranges taken from it are guesses, and verification on it says nothing about real "
            "inputs; give real samples with --calibration"
        )
    elif count < _FEW:
        warnings.append(f"calibrated on {count} samples only: a few hundred give ranges that hold")
    for port in inputs:
        array = samples[port.name]
        low, high = port.range or RAW
        # They fill so little of the range that another one may be meant.
        if port.range and array.dtype != np.uint8 and array.max() - array.min() <= (high - low) / 4:
            warnings.append(
                f"the samples of {port.name} lie between {array.min():.3g} and {array.max():.3g}, while pixels will be "
                f"fed as {low:g} to {high:g}: check --input"
            )
    return tuple(warnings)


def _count(samples: Samples) -> int:
    return len(next(iter(samples.values())))


def _take(samples: Samples, order: npt.NDArray[np.int64]) -> Samples:
    return {name: array[order] for name, array in samples.items()}


def _kinds(samples: Samples) -> str:
    return ", ".join(array.dtype.name for _, array in sorted(samples.items()))


def _shapes(samples: Samples) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in samples.items())
