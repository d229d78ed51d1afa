"""The forms in which data come, each a row of a table, for training, calibration and evaluation alike."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.numpy_file import read_npy, read_npz
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.runtime.samples.csv_table import read_table
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.runtime.samples.shaping import table_inputs, wanted_columns
from edgeport.train.datasets.data import Data, Part
from edgeport.train.datasets.digits.composed import is_composed, load_composed
from edgeport.train.datasets.function import is_function, read_function
from edgeport.train.datasets.image_folder import FREE, FreeShape, read_class_folders, read_image_folder
from edgeport.train.datasets.named_arrays import data_of
from edgeport.train.datasets.spoken_digits import is_spoken_digits, load_spoken_digits

_MOST_CSV = 1 << 32
_CSV = re.compile(r"(.+\.csv)(?::(.+))?", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d{1,18}")


class Wanted(NamedTuple):
    """What is known about the samples that are wanted.

    Attributes:
        ports: The inputs of the model; empty if they are not known.
        image_shape: (height, width, channels) that pictures take; None for what is not known.
        resizing: How they take it; None for Keras' way.
        most: How many samples are enough, for a source that may have no end.
        groups: The column or array that says which samples belong together; empty if there shall be none.
    """

    ports: Sequence[Input] = ()
    image_shape: FreeShape = FREE
    resizing: Resizing | None = None
    most: int | None = None
    groups: str = ""

    @property
    def names(self) -> list[str]:
        """The names of the inputs."""
        return [port.name for port in self.ports]


class DataForm(NamedTuple):
    """A form of data.

    Attributes:
        what: How it is named on the command line.
        is_it: Whether a source is of this form.
        read: Reads it.
    """

    what: str
    is_it: Callable[[str], bool]
    read: Callable[[str, Wanted], Data]


def read_data(source: str, wanted: Wanted) -> Data | None:
    """Return the data of a source, or None if it is of no known form.

    Raises:
        InputError: It cannot be read, or does not say what it holds.
    """
    form = next((form for form in FORMS if form.is_it(source)), None)
    return form.read(source, wanted) if form else None


@overload
def with_target(source: str, target: str | None) -> str: ...
@overload
def with_target(source: str | None, target: str | None) -> str | None: ...
def with_target(source: str | None, target: str | None) -> str | None:
    """Return a source with the column of targets that an option names: ``FILE.csv:TARGET``.

    Raises:
        InputError: It is no CSV file, or names its target already.
    """
    if target is None:
        return source
    found = _CSV.fullmatch(source or "")
    if found is None or found[2]:
        raise InputError(f"--target: got {target!r} with {source or 'no data'}, expected it with FILE.csv")
    return f"{source}:{target}"


def _read_npz(source: str, wanted: Wanted) -> Data:
    return data_of(read_npz(Path(source)), wanted.names, named=source, groups=wanted.groups)


def _read_npy(source: str, wanted: Wanted) -> Data:
    return Data(source, {ALL: Part({ONLY: read_npy(Path(source))})})


def _read_csv(source: str, wanted: Wanted) -> Data:
    found = _CSV.fullmatch(source)
    assert found is not None, "only what is of this form is read"
    content = read_plain(found[1], most=_MOST_CSV, error=InputError)
    columns = wanted_columns(wanted.ports)
    table = read_table(content, named=found[1], target=found[2], group=wanted.groups or None, wanted=columns)
    if wanted.ports:
        inputs = table_inputs(table, wanted.ports, named=found[1])
    else:
        inputs = {ONLY: table.numbers.astype(np.float32)}
    groups = np.array(table.groups) if table.groups else None
    # A model of several inputs finds them by their own names.
    columns = table.columns if len(inputs) == 1 else ()
    return Data(source, {ALL: Part(inputs, _targets(table.targets), groups)}, columns=columns)


def _targets(texts: Sequence[str]) -> npt.NDArray[Any] | None:
    """Return the cells of a column of targets: whole numbers, or numbers, or text."""
    if not texts:
        return None
    if all(_WHOLE.fullmatch(text) for text in texts):
        return np.array(list(map(int, texts)), np.int64)
    try:
        return np.array(list(map(float, texts)), np.float32)
    except ValueError:
        return np.array(texts)


def _folder_of(source: str, *, classes: bool) -> bool:
    path = Path(source)
    return path.is_dir() and any(entry.is_dir() for entry in path.iterdir()) == classes


FORMS = (
    DataForm("digits:TASK", is_composed, lambda source, wanted: load_composed(source)),
    DataForm("fsdd:FOLDER", is_spoken_digits, lambda source, wanted: load_spoken_digits(source, wanted.ports)),
    DataForm("FILE.npz", lambda source: Path(source).suffix == ".npz", _read_npz),
    DataForm("FILE.npy", lambda source: Path(source).suffix == ".npy", _read_npy),
    DataForm("FILE.csv[:TARGET]", lambda source: _CSV.fullmatch(source) is not None, _read_csv),
    DataForm(
        "FILE.py:FUNCTION", is_function, lambda source, wanted: read_function(source, wanted.names, most=wanted.most)
    ),
    DataForm(
        "a folder of class folders",
        lambda source: _folder_of(source, classes=True),
        lambda source, wanted: read_class_folders(Path(source), shape=wanted.image_shape, resizing=wanted.resizing),
    ),
    DataForm(
        "a folder of images",
        lambda source: _folder_of(source, classes=False),
        lambda source, wanted: read_image_folder(Path(source), shape=wanted.image_shape, resizing=wanted.resizing),
    ),
)
