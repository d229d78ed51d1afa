"""Checks whether a .tflite file is sound before an engine sees it: some engines check nothing and crash.

``check_structure`` walks the flatbuffer inside its bounds, and then looks at what the numbers mean: that each index
names something that exists, that constants are as long as their shapes say, that operators read only what has been
written. A file that passes may still compute nonsense; it only is what its format says.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgeport.runtime.artefact.foreign.flatbuffer import Record, Walk
from edgeport.runtime.artefact.foreign.tflite_schema import BITS, CALLS, INTEGERS, NEEDS, STRING, WINDOWS

_VERSION = 3
_CUSTOM = 32
_MOST_AXES = 32
_MOST_BYTES = 2**31 - 1
_CONVOLUTION, _DEPTHWISE = 1, 2
_LONGEST_STEP = 2**24
# Subgraphs that call others: loops in loops. Engines recurse here.
_DEEPEST = 64


def check_structure(content: bytes, *, name: str) -> None:
    """Raise ArtefactError if a .tflite file is not sound.

    Takes time in proportion to the file's size, whatever is in it.

    Args:
        content: The whole file; what is appended behind the flatbuffer is not looked at.
        name: What to call it in an error.
    """
    walk = Walk(content, name=name)
    model = walk.root("Model", b"TFL3")
    if model.get("version") != _VERSION:
        raise walk.refusal(f"its schema is version {model.get('version', 0)}, expected {_VERSION}")
    for field in ("operator_codes", "subgraphs", "buffers"):
        if field not in model:
            raise walk.refusal(f"it has no {field}")
    if not model["subgraphs"]:
        raise walk.refusal("it has no graph")
    sizes = [_stored_bytes(each, walk, len(content)) for each in model["buffers"]]
    _check_model(model, walk)
    for graph in model["subgraphs"]:
        tensors = graph.get("tensors", ())
        walk.spend(4 * len(tensors))
        constant = [_check_tensor(tensor, tensors, model, sizes, walk) for tensor in tensors]
        _check_graph(graph, constant, model, walk, len(content))
    _check_calls(model["subgraphs"], walk)


def sound_content(content: bytes, *, name: str, folder: Path | None) -> bytes:
    """Return a .tflite file as it is, once its structure has been checked; it needs no other files.

    Raises:
        ArtefactError: The file is not sound.
    """
    check_structure(content, name=name)
    return content


def _stored_bytes(buffer: Record, walk: Walk, size: int) -> int:
    """Return how many bytes a buffer takes: inside the flatbuffer, or behind it in files above 2 GB."""
    # 0 and 1 stand for an offset that is not used.
    start, length = buffer.get("offset", 0), buffer.get("size", 0)
    if start <= 1:
        return len(buffer.get("data", b""))
    if start + length > size:
        raise walk.refusal(f"a buffer of {length} bytes at byte {start} is outside the file")
    return int(length)


def _check_model(model: Record, walk: Walk) -> None:
    for code in model["operator_codes"]:
        builtin = _builtin(code)
        if builtin < 0 or code.get("version", 1) < 0 or (builtin == _CUSTOM and not code.get("custom_code")):
            raise walk.refusal("an operator code is none")
    _indices(model.get("metadata_buffer", ()), len(model["buffers"]), "metadata", walk)
    for entry in model.get("metadata", ()):
        _named(entry, "name", "metadata", walk)
        _index(entry.get("buffer", 0), len(model["buffers"]), "metadata", walk)
    for signature in model.get("signature_defs", ()):
        _named(signature, "signature_key", "a signature", walk)
        graph = model["subgraphs"][_index(signature.get("subgraph_index", 0), len(model["subgraphs"]), "a call", walk)]
        for tensor in (*signature.get("inputs", ()), *signature.get("outputs", ())):
            walk.spend(4)
            _named(tensor, "name", "a signature", walk)
            _index(tensor.get("tensor_index", 0), len(graph.get("tensors", ())), "a signature", walk)
    for external in model.get("external_buffers", ()):
        _index(external.get("group", 0), len(model.get("external_buffer_groups", ())), "an external buffer", walk)


def _check_tensor(tensor: Record, tensors: Sequence[Record], model: Record, sizes: list[int], walk: Walk) -> bool:
    """Check one tensor; return whether it can be read without anything having been written to it."""
    shape, dtype = tensor.get("shape", ()), tensor.get("type", 0)
    walk.spend(4 * len(shape))
    if len(shape) > _MOST_AXES or any(axis < 0 for axis in shape):
        raise walk.refusal(f"a tensor has {len(shape)} axes, or one below 0")
    if not 0 <= dtype < len(BITS):
        raise walk.refusal(f"a tensor has the unknown type {dtype}")
    if any(axis < -1 for axis in tensor.get("shape_signature", ())):
        raise walk.refusal("a tensor has a free axis that is not -1")
    count, bits = math.prod(shape), BITS[dtype]
    expected = None if bits is None else -(-count * bits // 8)
    if count > _MOST_BYTES or (expected or 0) > _MOST_BYTES:
        raise walk.refusal(f"a tensor of {count} elements is too large")
    index = _index(tensor.get("buffer", 0), len(sizes), "a tensor's buffer", walk)
    stored = sizes[index]
    if stored and dtype == STRING:
        _check_strings(model["buffers"][index].get("data", b""), count, walk)
    elif stored and expected is not None and "sparsity" not in tensor and stored != expected:
        raise walk.refusal(f"a tensor of {expected} bytes has {stored} stored")
    _check_quantization(tensor, shape, dtype, tensors, walk)
    _check_sparsity(tensor, shape, walk)
    return bool(stored or count == 0 or tensor.get("is_variable") or tensor.get("external_buffer"))


def _check_strings(data: memoryview, count: int, walk: Walk) -> None:
    """Texts are stored as their number, where each begins and where the last ends, as int32, and the characters."""
    head = data[: len(data) // 4 * 4].cast("i")
    ends = list(head[1 : count + 2])
    if len(ends) != count + 1 or head[0] != count or ends[0] < 4 * (count + 2) or ends[-1] > len(data):
        raise walk.refusal("a tensor of texts does not hold as many as it should")
    if ends != sorted(ends):
        raise walk.refusal("a tensor of texts has one that ends before it begins")


def _check_quantization(
    tensor: Record, shape: Sequence[int], dtype: int, tensors: Sequence[Record], walk: Walk
) -> None:
    quantization = tensor.get("quantization", {})
    scales, zeros = quantization.get("scale", ()), quantization.get("zero_point", ())
    walk.spend(4 * len(scales) + 8 * len(zeros))
    if scales and zeros and len(scales) != len(zeros):
        raise walk.refusal(f"a tensor has {len(scales)} scales and {len(zeros)} zero points")
    axis = quantization.get("quantized_dimension", 0)
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise walk.refusal(f"a tensor has {len(scales)} scales for axis {axis} of its {len(shape)}")
    if not all(math.isfinite(scale) and scale >= 0 for scale in scales):
        raise walk.refusal("a scale is negative, infinite or no number")
    least, greatest = INTEGERS.get(dtype, (-(2**63), 2**63 - 1))
    if not all(least <= zero <= greatest for zero in zeros):
        raise walk.refusal("a zero point is outside its type")
    if quantization.get("details_type", 0) > 1:
        details = quantization.get("details", {})
        for field in ("0", "1"):
            _index(details.get(field, 0), len(tensors), "a scale", walk, least=-1)


def _check_sparsity(tensor: Record, shape: Sequence[int], walk: Walk) -> None:
    if "sparsity" not in tensor:
        return
    sparsity = tensor["sparsity"]
    order, blocks = sparsity.get("traversal_order", ()), sparsity.get("block_map", ())
    axes = sparsity.get("dim_metadata", ())
    _indices(blocks, len(shape), "a sparse tensor", walk)
    if len(order) > 2 * _MOST_AXES or not len(shape) + len(blocks) == len(order) == len(axes):
        raise walk.refusal("a sparse tensor has another number of axes than its shape")
    if sorted(order) != list(range(len(order))):
        raise walk.refusal("a sparse tensor takes an axis twice")
    for axis in axes:
        if axis.get("format", 0) == 0:
            if axis.get("dense_size", 0) < 1:
                raise walk.refusal("a sparse tensor has an empty axis")
            continue
        segments, indices = (axis.get(field, {}).get("0", ()) for field in ("segments", "indices"))
        walk.spend(len(segments) + len(indices))
        ends = list(segments)
        if not ends or ends[0] != 0 or ends != sorted(ends) or ends[-1] != len(indices):
            raise walk.refusal("a sparse tensor has segments that do not fit its indices")
        _indices(indices, _MOST_BYTES if not shape else max(shape), "a sparse tensor", walk)


def _check_graph(graph: Record, constant: list[bool], model: Record, walk: Walk, size: int) -> None:
    """Check that a graph's operators name what exists, and read only what an earlier one has written."""
    count, known = len(constant), list(constant)
    written = [False] * count
    for index in _indices(graph.get("inputs", ()), count, "an input", walk):
        known[index] = True
    for operator in graph.get("operators", ()):
        walk.spend(4)
        _check_operator(operator, model["operator_codes"], walk, size)
        for index in _indices(operator.get("inputs", ()), count, "an operator's input", walk, least=-1):
            if index >= 0 and not known[index]:
                raise walk.refusal("an operator reads a tensor that nothing has written")
        _indices(operator.get("intermediates", ()), count, "an operator's intermediate", walk, least=-1)
        for index in _indices(operator.get("outputs", ()), count, "an operator's output", walk):
            if written[index] or (constant[index] and math.prod(graph["tensors"][index].get("shape", ()))):
                raise walk.refusal("an operator writes to a constant, or to what another has written")
            known[index] = written[index] = True
        _check_window(operator, model["operator_codes"], graph.get("tensors", ()), walk)
    for index in _indices(graph.get("outputs", ()), count, "an output", walk):
        if not known[index]:
            raise walk.refusal("an output is a tensor that nothing has written")


def _check_operator(operator: Record, codes: Sequence[Record], walk: Walk, size: int) -> None:
    code = codes[_index(operator.get("opcode_index", 0), len(codes), "an operator", walk)]
    member, fields = NEEDS.get(_builtin(code), (0, {}))
    options = operator.get("options", {})
    if member and ("options" not in operator or operator.get("options_type", 0) != member):
        raise walk.refusal("an operator lacks its options")
    for field, default in fields.items():
        if not 0 < options.get(str(field), default) <= _LONGEST_STEP:
            raise walk.refusal("an operator that moves a window has no step, or one that is out of range")
    start, length = operator.get("large_custom_options_offset", 0), operator.get("large_custom_options_size", 0)
    if start > 1 and start + length > size:
        raise walk.refusal("an operator's options are outside the file")


def _builtin(code: Record) -> int:
    # Files have the old field, of one byte, and the new one; engines take the greater.
    return int(max(code.get("deprecated_builtin_code", 0), code.get("builtin_code", 0)))


def _check_window(operator: Record, codes: Sequence[Record], tensors: Sequence[Record], walk: Walk) -> None:
    """Check that a convolution or pool gives what its output says: engines crash on images without pixels."""
    member, _ = NEEDS.get(_builtin(codes[operator.get("opcode_index", 0)]), (0, {}))
    options = operator.get("options", {})
    named = [tensors[index] for field in ("inputs", "outputs") for index in operator.get(field, ()) if index >= 0]
    shapes = [tensor.get("shape", ()) for tensor in named]
    # A free batch changes nothing here; with a free height or width the sizes are known when it runs.
    free = any(axis < 0 for tensor in named for axis in tensor.get("shape_signature", ())[1:])
    if member not in WINDOWS or len(named) < 2 or free or not len(shapes[0]) == len(shapes[1]) == len(shapes[-1]) == 4:
        return
    for axis, (stride, dilation, window) in enumerate(WINDOWS[member], start=1):
        size = shapes[1][axis] if window is None else options.get(str(window), 0)
        reach = (size - 1) * (1 if dilation is None else options.get(str(dilation), 1))
        left = shapes[0][axis] - (reach if options.get("0", 0) else 0)
        if shapes[-1][axis] != max(0, -(-left // options[str(stride)])):
            raise walk.refusal("an operator that moves a window has an output of another size")
    if member in (_CONVOLUTION, _DEPTHWISE) and not _weights_fit(shapes[0][3], shapes[1], member):
        raise walk.refusal("a convolution has weights for another number of channels")


def _weights_fit(channels: int, weights: Sequence[int], member: int) -> bool:
    # Engines divide the channels by those of one group, and the filters by the groups.
    if member == _DEPTHWISE:
        return channels > 0 and weights[3] % channels == 0
    groups = channels // weights[3] if weights[3] else 0
    return groups > 0 and channels % weights[3] == 0 and weights[0] % groups == 0


def _check_calls(graphs: Sequence[Record], walk: Walk) -> None:
    """Check that graphs run only others that exist, and not themselves, however long the way round."""
    called = [sorted(set(_called(graph, len(graphs), walk))) for graph in graphs]
    # Those that call nothing are the lowest; each round takes those away that call only what is gone.
    left = set(range(len(graphs)))
    for _ in range(_DEEPEST):
        left = {number for number in left if any(other in left for other in called[number])}
        if not left:
            return
    raise walk.refusal(f"its graphs run each other in a circle, or more than {_DEEPEST} deep")


def _called(graph: Record, count: int, walk: Walk) -> Iterable[int]:
    for operator in graph.get("operators", ()):
        for field, members in CALLS.items():
            options = operator.get(field, {})
            for number in members.get(operator.get(f"{field}_type", 0), ()):
                got = options.get(str(number), 0)
                indices = (got,) if isinstance(got, int) else got
                yield from _indices(indices, count, "a call", walk, least=-1 if field == "options_2" else 0)


def _named(record: Record, field: str, what: str, walk: Walk) -> None:
    if field not in record:
        raise walk.refusal(f"{what} has no name")


def _index(index: int, count: int, what: str, walk: Walk, *, least: int = 0) -> int:
    if not least <= index < count:
        raise walk.refusal(f"{what} is number {index} of {count}")
    return index


def _indices(indices: Any, count: int, what: str, walk: Walk, *, least: int = 0) -> Sequence[int]:
    walk.spend(4 * len(indices))
    if len(indices) and not least <= min(indices) <= max(indices) < count:
        wrong = next(index for index in indices if not least <= index < count)
        raise walk.refusal(f"{what} is number {wrong} of {count}")
    found: Sequence[int] = indices
    return found
