"""The golden inputs of a bundle: what every artefact answers on the workstation, to be answered alike on the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.manifest import Manifest
from edgeport.export.verification.calibration import ARRAYS, RANDOM, load_calibration
from edgeport.export.verification.calibration_files import read_parts
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.train.datasets.data import Data, NoClassesError, Part, classes_of, inputs_of, numbered_as, numbers_of
from edgeport.train.datasets.function import check_user_named_it

_MOST = 10_000
# The least that load_calibration draws.
_LEAST_DRAWN = 10
_SEED = 0


@dataclass(frozen=True, eq=False)
class GoldenSamples:
    """Inputs whose answers travel along.

    Attributes:
        source: What they are, in words.
        inputs: For each input of the model uint8 pixels, or the values that it takes, of shape (n, ...).
        labels: int64 class numbers of shape (n,); None if they are not known.
        targets: What is true of each sample as the source has it, numbers of shape (n, ...); None if it is not known,
            or is text.
        groups: Which group each sample is in, int64 of shape (n,); None where each stands for itself.
        is_random: Whether they are made up.
        notes: Why they are no better ones, one line each.
    """

    source: str
    inputs: Mapping[str, npt.NDArray[Any]]
    labels: npt.NDArray[np.int64] | None = None
    targets: npt.NDArray[Any] | None = None
    groups: npt.NDArray[np.int64] | None = None
    is_random: bool = False
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(next(iter(self.inputs.values())))


def golden_samples(
    manifest: Manifest,
    *,
    folder: Path = Path(),
    count: int = 100,
    source: str = "",
    data_dir: Path | None = None,
    groups: str = "",
) -> GoldenSamples:
    """Return samples that the model was not fitted to, wherever any are known; the same ones every time.

    Those are the first of the test split of the data set that the model was trained on, as many of each class as
    possible; else the first of those that the export was verified on, which the quantizer has not seen.

    Args:
        manifest: The export's, which names the data and the inputs.
        folder: The export folder, which the paths in the manifest begin at.
        count: How many samples, at most; fewer if there are fewer.
        source: A data set (its test split), or whatever calibrates an export; ``random`` for made-up ones. Empty for
            what the manifest names, or random ones if it names none that is still there.
        data_dir: Where the files of mnist lie; see load_dataset.
        groups: Which samples belong together, see ``with_groups``: whole groups are taken. Empty if nobody says.

    Raises:
        InputError: The samples are asked for, and are unknown, unreadable, or not what the model takes.
    """
    if not 1 <= count <= _MOST:
        raise InputError(f"--samples: got {count}, expected 1 to {_MOST:,}")
    if groups and source in ("", RANDOM):
        raise InputError(f"--group-by: got {groups}, expected it with --samples-from SOURCE, which has such groups")
    if source == RANDOM:
        return _random_samples(manifest, count)
    if source:
        data = read_parts(source, manifest.inputs, data_dir=data_dir, resizing=manifest.resizing, groups=groups)
        return _asked_samples(manifest, data, count)
    missed = []
    if manifest.dataset:
        try:
            check_user_named_it(manifest.dataset, record="the manifest", option="--samples-from")
            data = read_parts(manifest.dataset, manifest.inputs, data_dir=data_dir, resizing=manifest.resizing)
            return _test_samples(manifest, data, count)
        except InputError as error:
            missed.append(f"the test split of {manifest.dataset} cannot be taken ({error})")
    try:
        known = _verified_samples(manifest, folder, count, data_dir)
    except InputError as error:
        missed.append(f"the samples that verified the export cannot be taken ({error})")
    else:
        return replace(known, notes=(*missed, *known.notes))
    return replace(_random_samples(manifest, count), notes=tuple(missed))


def _random_samples(manifest: Manifest, count: int) -> GoldenSamples:
    drawn = load_calibration(RANDOM, inputs=manifest.inputs, count=max(count, _LEAST_DRAWN), seed=_SEED).samples
    inputs = {name: array[:count] for name, array in drawn.items()}
    return GoldenSamples(f"random, seed {_SEED}", inputs, is_random=True)


def _asked_samples(manifest: Manifest, data: Data, count: int) -> GoldenSamples:
    if "test" in data.parts:
        return _test_samples(manifest, data, count)
    part = next(iter(data.parts.values()))
    part = part.at(np.arange(len(part))[:count] if part.groups is None else whole_groups(part, count))
    inputs = inputs_of(part, manifest.inputs, named=data.name)
    named = f"the first samples of {Path(data.name).name}"
    return _checked(GoldenSamples(named, inputs, targets=_numeric(part.targets), groups=_numbers_of(part)), manifest)


def _verified_samples(manifest: Manifest, folder: Path, count: int, data_dir: Path | None) -> GoldenSamples:
    """Return the first of the held-out samples of an export, drawn anew from what calibrated it.

    Raises:
        InputError: The manifest names none, or they cannot be drawn any more.
    """
    facts = manifest.calibration
    source, drawn, seed = facts.get("source"), facts.get("count"), facts.get("seed")
    if not (isinstance(source, str) and isinstance(drawn, int) and isinstance(seed, int)) or source == RANDOM:
        raise InputError("it was verified on random ones")
    if source == ARRAYS:
        raise InputError("they were given as arrays, and no file holds them")
    check_user_named_it(source, record="the manifest", option="--samples-from")
    file = folder / str(facts.get("file") or "")
    found = str(file) if facts.get("file") and file.exists() else source
    known = load_calibration(
        found,
        inputs=manifest.inputs,
        # The fewest samples give fewer for the quantizer than can be asked for.
        count=max(drawn, _LEAST_DRAWN),
        seed=seed,
        resizing=manifest.resizing if manifest.image else None,
        data_dir=data_dir,
    )
    name, classes = Path(source).name, known.held_out_classes
    chosen = np.arange(len(next(iter(known.held_out.values()))))[:count]
    if classes is not None:
        chosen, classes = balanced(classes, count), numbers_of(known.labels, manifest.labels, named=source)[classes]
    inputs = {name: array[chosen] for name, array in known.held_out.items()}
    labels = None if classes is None else classes[chosen]
    if known.facts["sha256"] == facts.get("sha256"):
        return _checked(GoldenSamples(f"held-out samples of {name}", inputs, labels), manifest)
    note = f"{source} is not what calibrated the export any more: the quantizer may have seen the golden samples"
    return _checked(GoldenSamples(f"samples of {name}", inputs, labels, notes=(note,)), manifest)


def _test_samples(manifest: Manifest, data: Data, count: int) -> GoldenSamples:
    if "test" not in data.parts:
        raise InputError(f"{data.name}: got {' and '.join(data.parts)} samples alone, expected test samples")
    data = numbered_as(data, manifest.labels)
    test = data.parts["test"]
    classes = _classes(data)
    if test.groups is not None:
        chosen = whole_groups(test, count)
    else:
        chosen = np.arange(len(test))[:count] if classes is None else balanced(classes, count)
    part, labels = test.at(chosen), None if classes is None else classes[chosen]
    inputs = inputs_of(part, manifest.inputs, named=data.name)
    named = f"the test split of {Path(data.name).name}"
    known = GoldenSamples(named, inputs, labels=labels, targets=_numeric(part.targets), groups=_numbers_of(part))
    return _checked(known, manifest)


def whole_groups(part: Part, count: int) -> npt.NDArray[np.int64]:
    """Return the places of the first groups that have no more samples than ``count`` together, in ascending order.

    Where samples have targets of one value each, as many groups of each value as possible: that of a group's first.

    Raises:
        InputError: They have not room for two groups.
    """
    _, first, numbers = np.unique(np.asarray(part.groups), return_index=True, return_inverse=True)
    sizes = np.bincount(numbers)
    order = np.argsort(first, kind="stable")
    if part.targets is not None and part.targets.ndim == 1 and part.targets.dtype.kind in "iubUS":
        kinds = np.unique(part.targets[first[order]], return_inverse=True)[1]
        rank = np.array([(kinds[:place] == kind).sum() for place, kind in enumerate(kinds)])
        order = order[np.argsort(rank, kind="stable")]
    fitting = order[np.cumsum(sizes[order]) <= count]
    if len(fitting) < 2:
        raise InputError(
            f"--samples: got {count}, expected {int(sizes[order][:2].sum())} or more: whole groups come along, and at "
            "least two of them"
        )
    return np.flatnonzero(np.isin(numbers, fitting))


def _numbers_of(part: Part) -> npt.NDArray[np.int64] | None:
    """Return the number of each sample's group, from 0."""
    if part.groups is None:
        return None
    return np.unique(part.groups, return_inverse=True)[1].astype(np.int64)


def _numeric(targets: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    """Return targets that are numbers; a report judges by no others."""
    return None if targets is None or targets.dtype.kind not in "biuf" else targets


def _classes(data: Data) -> npt.NDArray[np.int64] | None:
    """Return the classes of the test samples; None where nobody names them, or targets are something else: boxes ..."""
    if data.parts["test"].targets is None or not data.labels:
        return None
    try:
        return classes_of(data)[0]["test"]
    except NoClassesError:
        return None


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


def _checked(samples: GoldenSamples, manifest: Manifest) -> GoldenSamples:
    """Return the samples, or raise InputError if an input of the model does not take them."""
    if not samples.count:
        raise InputError(f"{samples.source}: got none, expected at least one")
    lengths = {len(array) for array in samples.inputs.values()}
    if len(lengths) > 1:
        raise InputError(f"{samples.source}: got {_listed(sorted(lengths))} of the inputs, expected as many of each")
    for each in manifest.inputs:
        _check_input(samples.inputs[each.name], each, samples.source)
    return samples


def _check_input(array: npt.NDArray[Any], spec: Input, source: str) -> None:
    fits = array.shape[1:] == spec.shape[1:]
    pixels_for_real = spec.kind == "real" and array.dtype == np.uint8
    if not fits or pixels_for_real or array.dtype.kind not in ("uif" if "float" in spec.dtype else "uib"):
        expected = f"{spec.dtype} (n, {_listed(spec.shape[1:])})" + (" or uint8 pixels" if spec.range else "")
        raise InputError(
            f"{source}: got {array.dtype} {array.shape} for {spec.name}, expected {expected}: give other samples"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{source}: got NaN or infinity for {spec.name}, expected numbers")


def _listed(numbers: Sequence[int | None]) -> str:
    return ", ".join(map(str, numbers))
