"""Messages of the Open Inference Protocol, version 2, over HTTP: tensors in JSON, or behind it as bytes.

Its pages: ``inference_rest`` of KServe's open-inference-protocol, and ``extension_binary_data`` of Triton.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import parse_json
from edgeport.runtime.serving.limits import MOST_JSON, Limits, RequestError
from edgeport.runtime.serving.served import Answers, Served
from edgeport.runtime.tensors.arrays import Tensor

VERSION = "1"
EXTENSIONS = ["binary_tensor_data", "model_repository(index)"]
DTYPES = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip
DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}
_SIZE = "binary_data_size"


class Inference(NamedTuple):
    """A request to infer.

    Attributes:
        id: What the client calls it; None if it does not.
        tensors: For each input its array.
        outputs: For each output that is wanted whether it shall come as bytes.
        raw: Whether the tensors are the artefact's own, as ``Predictor.run`` takes them.
    """

    id: str | None
    tensors: Mapping[str, Tensor]
    outputs: Mapping[str, bool]
    raw: bool


class Reply(NamedTuple):
    """The body of a response, and how much of it is JSON; None if all of it is."""

    body: bytes
    header: int | None


def metadata_of(served: Served) -> dict[str, Any]:
    """Return the protocol's metadata of a model.

    Its tensors are those of the contract, the same for every artefact of one model: uint8 for pixels, float32 for real
    values, integers as they are.
    """
    spec = served.predictor.spec
    inputs = [(port.name, _contract_dtype(served, port.name), port.shape) for port in served.ports]
    outputs = [(tensor.name, _answer_dtype(tensor), tensor.shape) for tensor in spec.outputs]
    batch = spec.input.shape[0]
    return {
        "name": served.name,
        "versions": [VERSION],
        "platform": f"{spec.format}_{spec.engine}",
        "inputs": [_described(*each, batch) for each in inputs],
        "outputs": [_described(*each, batch) for each in outputs],
    }


def _described(name: str, dtype: str, shape: tuple[int | None, ...], batch: int | None) -> dict[str, Any]:
    axes = [-1 if axis is None else axis for axis in shape]
    # Any number of samples is answered, whatever the file's own batch is.
    if shape and shape[0] == batch:
        axes[0] = -1
    return {"name": name, "datatype": DATATYPES[dtype], "shape": axes}


def _contract_dtype(served: Served, name: str) -> str:
    port = next(each for each in served.ports if each.name == name)
    return "uint8" if port.range is not None else port.dtype


def _answer_dtype(tensor: TensorSpec) -> str:
    return tensor.dtype if np.dtype(tensor.dtype).kind in "iub" and not tensor.quantized else "float32"


def read_inference(body: bytes, header: str | None, served: Served, limits: Limits) -> Inference:
    """Return what a request asks for.

    Args:
        body: JSON, and behind it the bytes of binary tensors.
        header: The value of ``Inference-Header-Content-Length``: how many bytes are JSON; None if all are.
        served: The artefact that is asked.
        limits: What a request may take.

    Raises:
        RequestError: It is no such request, or too large.
        InputError: Its tensors are not what the artefact takes.
    """
    length = _header_length(header, len(body))
    message = parsed(body[:length])
    _expect(isinstance(message.get("inputs"), list) and message["inputs"], "inputs: expected a list of tensors")
    parameters = _mapping(message, "parameters")
    raw = parameters.get("raw", False)
    _expect(isinstance(raw, bool), "parameters.raw: expected true or false")
    name = message.get("id")
    _expect(name is None or (isinstance(name, str) and len(name) <= 256), "id: expected a text of up to 256 letters")
    dtypes = {
        tensor.name: tensor.dtype if raw else _contract_dtype(served, tensor.name)
        for tensor in served.predictor.spec.inputs
    }
    tensors, rest = {}, memoryview(body)[length:]
    room = limits.tensors
    for entry in message["inputs"]:
        tensor_name, tensor, rest = _tensor(entry, dtypes, rest, room)
        _expect(tensor_name not in tensors, f"inputs: got {tensor_name} twice, expected each input once")
        tensors[tensor_name] = tensor
        room -= tensor.nbytes
    _expect(not len(rest), f"got {len(rest):,} bytes behind the last binary tensor, expected none")
    missing = [each for each in dtypes if each not in tensors]
    _expect(not missing, f"inputs: got {', '.join(tensors)}, expected {', '.join(missing)} too")
    return Inference(name, tensors, _wanted(message, parameters, served), raw)


def parsed(content: bytes) -> dict[str, Any]:
    """Return the JSON object of a request; raises RequestError if it is none, or too large."""
    if len(content) > MOST_JSON:
        raise RequestError(
            413, f"got {len(content):,} bytes of JSON, expected at most {MOST_JSON:,}: send arrays as bytes"
        )
    try:
        message = parse_json(content)
    except ValueError as error:
        raise RequestError(400, f"the body is no JSON ({error})") from error
    _expect(isinstance(message, dict), f"the body: got a JSON {type(message).__name__}, expected an object")
    plain: dict[str, Any] = message
    return plain


def _header_length(header: str | None, size: int) -> int:
    if header is None:
        return size
    # Not str.isdecimal, which other scripts' digits are too.
    if not (header.isascii() and header.isdigit() and len(header) < 16 and int(header) <= size):
        raise RequestError(400, f"Inference-Header-Content-Length: got {header[:32]!r}, expected 0 to {size}")
    return int(header)


def _tensor(entry: Any, dtypes: Mapping[str, str], rest: memoryview, room: int) -> tuple[str, Tensor, memoryview]:
    """Return the name and the array of one input, and the bytes behind it."""
    _expect(isinstance(entry, dict), "inputs: expected an object for each tensor")
    name, datatype, shape = entry.get("name"), entry.get("datatype"), entry.get("shape")
    if not isinstance(name, str) or name not in dtypes:
        raise RequestError(400, f"inputs: got {_short(name)}, expected {', '.join(dtypes)}")
    expected = DATATYPES[dtypes[name]]
    _expect(datatype == expected, f"{name}: got the datatype {_short(datatype)}, expected {expected}")
    whole = isinstance(shape, list) and len(shape) <= 16 and all(type(axis) is int and axis >= 0 for axis in shape)
    _expect(whole, f"{name}: got the shape {_short(shape)}, expected a list of whole numbers")
    count, dtype = math.prod(shape), np.dtype(dtypes[name])
    if count * dtype.itemsize > room:
        raise RequestError(413, f"{name}: got {count:,} values, expected {room:,} bytes of inputs at most")
    size = _mapping(entry, "parameters").get(_SIZE)
    if size is None:
        return name, _from_json(name, entry, count, dtype).reshape(shape), rest
    _expect("data" not in entry, f"{name}: got data and {_SIZE}, expected one of them")
    fits = type(size) is int and size == count * dtype.itemsize and size <= len(rest)
    _expect(
        fits,
        f"{name}: got {_SIZE} {_short(size)}, expected {count * dtype.itemsize:,} for this shape, "
        f"of the {len(rest):,} bytes that are left",
    )
    # The protocol's byte order is little-endian.
    array = np.frombuffer(rest[:size], dtype.newbyteorder("<")).astype(dtype)
    return name, array.reshape(shape), rest[size:]


def _from_json(name: str, entry: Mapping[str, Any], count: int, dtype: np.dtype[Any]) -> Tensor:
    data = entry.get("data")
    _expect(isinstance(data, list), f"{name}: expected data, a list of numbers, or {_SIZE}")
    array = numbers(data, name).ravel()
    _expect(array.size == count, f"{name}: got {array.size:,} values, expected {count:,} for this shape")
    if not count:
        return np.empty(0, dtype)
    kinds = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}[dtype.kind]
    _expect(array.dtype.kind in kinds, f"{name}: got {array.dtype} values, expected {DATATYPES[dtype.name]}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        least, largest = array.min().item(), array.max().item()
        _expect(
            limits.min <= least and largest <= limits.max,
            f"{name}: got values from {least} to {largest}, expected {limits.min} to {limits.max}",
        )
    with np.errstate(over="ignore"):
        # What a type does not hold becomes infinite, which the artefact's own check refuses.
        return array.astype(dtype)


def numbers(data: Any, name: str) -> Tensor:
    """Return nested lists of JSON as an array of numbers or booleans; raises RequestError if they are none."""
    # First: beside a long text, numpy makes each number as long.
    lists = [data]
    while lists:
        level = lists.pop()
        kinds = set(map(type, level))
        if kinds == {list}:
            lists.extend(level)
        else:
            _expect(kinds <= {bool, int, float}, f"{name}: got what is no number in its lists, expected numbers alone")
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError) as error:
        raise RequestError(400, f"{name}: got lists of uneven lengths, or numbers beyond all types") from error
    _expect(array.dtype.kind in "biuf", f"{name}: got numbers beyond all types")
    return array


def _wanted(message: Mapping[str, Any], parameters: Mapping[str, Any], served: Served) -> dict[str, bool]:
    usual = parameters.get("binary_data_output", False)
    known = [tensor.name for tensor in served.predictor.spec.outputs]
    entries = message.get("outputs") or [{"name": name} for name in known]
    _expect(isinstance(usual, bool), "parameters.binary_data_output: expected true or false")
    _expect(isinstance(entries, list), "outputs: expected a list")
    wanted = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("name") not in known:
            got = entry.get("name") if isinstance(entry, dict) else entry
            raise RequestError(400, f"outputs: got {_short(got)}, expected {', '.join(known)}")
        asked = _mapping(entry, "parameters")
        if "classification" in asked:
            raise RequestError(400, "outputs: the extension classification is not offered: ask POST /classify")
        as_bytes = asked.get("binary_data", usual)
        _expect(isinstance(as_bytes, bool), "outputs: expected binary_data to be true or false")
        wanted[entry["name"]] = as_bytes
    return wanted


def reply_to(request: Inference, served: Served, answers: Answers) -> Reply:
    """Return the response: what was asked for, in the order in which it was.

    Raises:
        InputError: An answer is no number, which JSON has no word for.
    """
    entries, parts = [], []
    for name, as_bytes in request.outputs.items():
        array = answers.values[name]
        entry: dict[str, Any] = {
            "name": name,
            "datatype": DATATYPES[array.dtype.name],
            "shape": list(array.shape),
        }
        if as_bytes:
            content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
            entry["parameters"] = {_SIZE: len(content)}
            parts.append(content)
        else:
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise InputError(
                    f"{served.name} answers with values that are no numbers ({name}): ask for it as binary data"
                )
            entry["data"] = array.ravel().tolist()
        entries.append(entry)
    message = {"model_name": served.name, "model_version": VERSION, "outputs": entries}
    if request.id is not None:
        message["id"] = request.id
    text = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    return Reply(b"".join([text, *parts]), len(text) if parts else None)


def index_of(artefacts: Sequence[Served]) -> list[dict[str, str]]:
    """Return the protocol's index of the repository."""
    return [{"name": each.name, "version": VERSION, "state": "READY", "reason": ""} for each in artefacts]


def _mapping(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = message.get(key)
    if value is None:
        return {}
    _expect(isinstance(value, dict), f"{key}: expected an object")
    plain: Mapping[str, Any] = value
    return plain


def _expect(true: Any, line: str) -> None:
    if not true:
        raise RequestError(400, line)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
