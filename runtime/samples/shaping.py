"""Arrays of people as the input of a model takes them: one sample or many, checked for shape, kind and values."""

from collections.abc import Sequence
from math import prod

import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.spec import Spec, TensorSpec
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.csv_table import CsvTable
from edgeport.runtime.samples.pictures.resizing import DIGITS, KERAS_LOADER
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.checks import fits

_LARGEST = float(np.finfo(np.float32).max)


def ports_of(spec: Spec) -> tuple[Input, ...]:
    """Return the inputs of a loaded artefact: what its metadata says of each, with the tensor's own shape and type.

    Of a file without metadata nobody knows more than the shapes: what looks like pictures takes pixels from 0 to 255,
    as they are, and real numbers too; its kind stays empty.

    Raises:
        InputError: An input is a single number, so that there are no samples.
    """
    if not all(tensor.shape for tensor in spec.inputs):
        inputs = "; ".join(map(str, spec.inputs))
        raise InputError(f"{spec.name} takes {inputs}, where no axis counts samples: use it from Python")
    facts = spec.metadata.inputs if spec.metadata else (Input(""),) * len(spec.inputs)
    return tuple(_port(*each, known=spec.metadata is not None) for each in zip(facts, spec.inputs, strict=True))


def _port(facts: Input, tensor: TensorSpec, *, known: bool) -> Input:
    real = tensor.quantized or "float" in tensor.dtype
    port = facts._replace(name=tensor.name, shape=tensor.shape, dtype="float32" if real else tensor.dtype)
    if not known:
        pixels = len(tensor.shape) == 4 and tensor.shape[3] in (1, 3)
        return port._replace(range=(0.0, 255.0), resizing=KERAS_LOADER) if pixels else port
    if port.range is None:
        return port._replace(kind=port.kind or ("real" if real else "ids"))
    # Artefacts that say nothing of resizing are from before it was a choice.
    return port._replace(kind="pixels", resizing=port.resizing or DIGITS)


def shaped(array: Tensor, port: Input, *, named: str) -> tuple[Tensor, bool]:
    """Return an array with the axes of an input, the samples' first, and whether it was one sample without that axis.

    Args:
        array: One sample, or many of them; grey images may lack the axis of their channel.
        port: The input.
        named: What messages call the array.

    Raises:
        InputError: Its shape is neither, or it is empty.
    """
    own = port.shape[1:]
    grey = own[:-1] if len(own) == 3 and own[-1] == 1 else None
    single = True
    if fits(array.shape, own):
        array = array[np.newaxis]
    elif grey and fits(array.shape, grey):
        array = array[np.newaxis, ..., np.newaxis]
    elif grey and fits(array.shape[1:], grey):
        array, single = array[..., np.newaxis], False
    elif array.ndim and fits(array.shape[1:], own):
        single = False
    else:
        raise InputError(f"{named}: got {array.dtype} {_text(array.shape)}, expected {_expected(port)}")
    if not array.size:
        raise InputError(f"{named}: got an empty array {_text(array.shape)}, expected {_expected(port)}")
    return array, single


def wanted_columns(ports: Sequence[Input]) -> tuple[str, ...]:
    """Return the columns of a table that the inputs of a model take, in their order; empty if nobody knows them."""
    if not ports:
        return ()
    return ports[0].columns if len(ports) == 1 else tuple(port.name for port in ports)


def notes_on(table: CsvTable, ports: Sequence[Input], *, named: str) -> tuple[str, ...]:
    """Return what a user should know about the columns of a table, which ``wanted_columns`` has read."""
    if table.unread:
        return (f"{named}: left out the columns {', '.join(table.unread)}, which the model does not take",)
    if len(ports) == 1 and ports[0].columns and not table.columns:
        return (f"{named}: no line of names, so its columns are taken to be {', '.join(ports[0].columns)}",)
    return ()


def table_inputs(table: CsvTable, ports: Sequence[Input], *, named: str) -> dict[str, Tensor]:
    """Return the numbers of a table as the inputs of a model take them, in types that they take.

    A model of one input gets all columns, in their order; the values of a row fill its axes, the last one fastest. One
    of several inputs gets the column that has the name of each.

    Raises:
        InputError: A row has another count of numbers, or there are no such columns, or they are of another kind.
    """
    # Only what is written without a point is surely no real number.
    numbers = table.numbers.astype(np.int64) if table.whole else table.numbers
    names = [port.name for port in ports]
    if len(ports) == 1:
        columns = {names[0]: numbers}
    elif sorted(names) == sorted(table.columns):
        columns = {name: numbers[:, [table.columns.index(name)]] for name in names}
    else:
        got = f"the columns {', '.join(table.columns)}" if table.columns else "no names of columns"
        raise InputError(
            f"{named}: got {got}, expected one for each input of the model, {' and '.join(names)}: give FILE.npz where "
            "an input has more"
        )
    return {port.name: valued(_rows(columns[port.name], port, named), port, named=named) for port in ports}


def _rows(numbers: Tensor, port: Input, named: str) -> Tensor:
    own, width = port.shape[1:], numbers.shape[1]
    fixed, free = prod(axis for axis in own if axis is not None), own.count(None)
    if free > 1 or (width % max(1, fixed) if free else width != fixed):
        many = f"a multiple of {fixed}" if free else f"{fixed}"
        raise InputError(
            f"{named}: got {width} number{'s' * (width != 1)} a row, expected {many}, for {port}; columns that are no "
            "input, such as the target, must be left out or named"
        )
    return numbers.reshape(len(numbers), *(-1 if axis is None else axis for axis in own))


def valued(array: Tensor, port: Input, *, named: str) -> Tensor:
    """Return samples in a type that an input takes: uint8 for pixels, float32 for real numbers, else integers.

    Raises:
        InputError: They are of another kind, or no finite numbers.
    """
    kind = array.dtype.kind
    if port.kind == "pixels" or (port.range is not None and array.dtype == np.uint8):
        return _pixels(array, port, named)
    if port.kind == "real" and array.dtype == np.uint8 and port.is_image:
        raise InputError(
            f"{named}: got uint8 pixels for {port.name}, which takes real values as they are, expected float32: scale "
            "them as in training, or export with --input pixels:LOW:HIGH"
        )
    allowed = "fiu" if port.is_real else "b" if port.dtype == "bool" else "iu"
    if kind not in allowed:
        expected = "numbers" if port.is_real else f"whole numbers ({port.dtype})"
        raise InputError(f"{named}: got {array.dtype} for {port.name}, expected {expected}")
    if not port.is_real:
        return array
    beyond = ~(np.abs(array) <= _LARGEST)
    if beyond.any():
        where = tuple(int(axis) for axis in np.argwhere(beyond)[0])
        raise InputError(
            f"{named}: got {array[where]} at {list(where)} of {port.name}, and {int(beyond.sum())} such values in all, "
            "expected finite numbers that float32 holds"
        )
    return array.astype(np.float32)


def _pixels(array: Tensor, port: Input, named: str) -> Tensor:
    if array.dtype == np.uint8:
        return array
    whole = array.dtype.kind in "iu"
    if not whole or array.min() < 0 or array.max() > 255:
        got = f"{array.dtype} from {array.min()} to {array.max()}" if array.dtype.kind in "iuf" else f"{array.dtype}"
        low, high = port.range or (0, 255)
        raise InputError(
            f"{named}: got {got} for the pixels of {port.name}, expected whole numbers from 0 to 255 (uint8); the "
            f"model's own range, {low:g} to {high:g}, is made of them here"
        )
    return array.astype(np.uint8)


def _expected(port: Input) -> str:
    axes = _text(port.shape[1:])
    return f"{axes} for one sample of {port.name}, or (n, {axes[1:]} for n of them"


def _text(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if axis is None else str(axis) for axis in shape)})"
