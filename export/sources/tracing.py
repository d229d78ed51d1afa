"""A Keras model, of Keras 3 or of tf-keras, traced to one graph."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import tensorflow as tf

from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.export.graphs.graph import Graph, freeze
from edgeport.export.sources.opened import ModelOrigin, Opened, Shapes
from edgeport.export.sources.untrusted_operators import check_graph_def
from edgeport.runtime.errors import ExportError

# Of free axes that a model cannot be traced with; what halves them a few times needs a multiple of 32.
_STAND_IN_LENGTHS = (64, 96, 256, 512)


@dataclass(frozen=True, eq=False)
class Signature:
    """What a model is called with.

    Attributes:
        positional: TensorSpecs, in the structure of the positional arguments.
        named: TensorSpecs by the name of a keyword argument.
    """

    positional: tuple[Any, ...] = ()
    named: Mapping[str, tf.TensorSpec] | None = None

    @property
    def structure(self) -> Any:
        """Both, as ``tf.nest`` flattens and packs them: keyword arguments as a list, which keeps their order."""
        return self.positional, list((self.named or {}).values())

    @property
    def flat(self) -> list[tf.TensorSpec]:
        """The TensorSpecs, in the order of the graph's inputs."""
        return list(tf.nest.flatten(self.structure))


def open_traced(
    call: Callable[..., Any],
    signature: Signature,
    origin: ModelOrigin,
    *,
    output_names: Callable[[Any], Sequence[str]],
    layers: Sequence[str] = (),
    vocabulary: int | None = None,
) -> Opened:
    """Trace a model and freeze it.

    Args:
        call: The model's forward pass.
        signature: Its arguments.
        origin: Where it comes from.
        output_names: From the structure of the outputs to a name for each, in the order of ``tf.nest``.
        layers: See Graph.
        vocabulary: See Opened.

    Raises:
        ExportError: The model takes text, or cannot be traced.
    """
    _check_no_text(signature, origin.what)
    function, one_size = _traced_at_any_size(call, signature, origin.what)
    check_graph_def(function.graph.as_graph_def().SerializeToString(), name=origin.what)
    inputs = [spec.name for spec in signature.flat]
    outputs = output_names(function.structured_outputs)

    def trace(shapes: Shapes) -> Graph:
        return freeze(_traced(call, signature, shapes), inputs=inputs, outputs=outputs, layers=layers)

    @lru_cache(maxsize=1)
    def at_size(*shapes: tuple[int | None, ...]) -> Any:
        return _traced(call, signature, dict(zip(inputs, shapes, strict=True)))

    def answer(arrays: Sequence[Any]) -> list[Any]:
        tensors = [tf.convert_to_tensor(array) for array in arrays]
        traced = at_size(*((None, *array.shape[1:]) for array in arrays)) if one_size else function
        return [tensor.numpy() for tensor in tf.nest.flatten(traced(*tensors))]

    graph = freeze(function, inputs=inputs, outputs=outputs, layers=layers)
    if one_size:
        shapes = [tuple(spec.shape) for spec in signature.flat]
        ports = (port._replace(shape=shape) for port, shape in zip(graph.inputs, shapes, strict=True))
        graph = replace(graph, inputs=tuple(ports))
    return Opened(
        what=origin.what,
        name=origin.name,
        file=origin.file,
        sha256=origin.sha256,
        graph=graph,
        call=answer,
        trace=trace,
        one_size=one_size,
        vocabulary=vocabulary,
    )


def path_names(structure: Any) -> list[str]:
    """Return a name for each tensor of a structure, in the order in which TensorFlow flattens it: keys sorted."""
    return unique_names(_paths(structure))


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names that TensorFlow takes and that differ, also where case does not count."""
    unique: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_") or "tensor"
        plain = f"output_{plain}" if plain[0].isdigit() else plain
        taken = {each.lower() for each in unique}
        variants = (f"{plain}_{number}" for number in range(2, len(names) + 3))
        unique.append(plain if plain.lower() not in taken else next(v for v in variants if v.lower() not in taken))
    return unique


def with_names(structure: Any, names: Sequence[str]) -> Any:
    """Return a structure of TensorSpecs with other names, in the order in which TensorFlow flattens it."""
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name)
        for spec, name in zip(tf.nest.flatten(structure), names, strict=True)
    ]
    return tf.nest.pack_sequence_as(structure, specs)


def _check_no_text(signature: Signature, what: str) -> None:
    strings = [spec.name for spec in signature.flat if spec.dtype == tf.string]
    if strings:
        raise ExportError(
            f"{what} takes text ({', '.join(strings)}), and neither format's engine does: look up the tokens, "
            "or decode the pictures, before the model, and export the rest"
        )


def _traced_at_any_size(call: Callable[..., Any], signature: Signature, what: str) -> tuple[Any, bool]:
    """Return the forward pass as a concrete function, and whether it is one for stand-in lengths alone.

    Some layers (UpSampling2D, bilinear) cannot be traced for images of any size.
    """
    try:
        return _traced(call, signature), False
    except Exception as error:  # a layer's own code runs here, and raises what it likes
        specs = [spec for spec in signature.flat if spec.shape.rank is not None]
        for length in _STAND_IN_LENGTHS if any(None in spec.shape[1:] for spec in specs) else ():
            shapes = {spec.name: (spec.shape[0], *(axis or length for axis in spec.shape[1:])) for spec in specs}
            with suppress(Exception):
                return _traced(call, signature, shapes), True
        raise ExportError(f"{what} cannot be traced for export ({cleaned(error)})") from error


def _traced(call: Callable[..., Any], signature: Signature, shapes: Shapes | None = None) -> Any:
    """Return the forward pass as a concrete function of its flat inputs, for other shapes if they are given."""
    flat = [tf.TensorSpec((shapes or {}).get(spec.name, spec.shape), spec.dtype, spec.name) for spec in signature.flat]

    def forward(*tensors: Any) -> Any:
        positional, named = tf.nest.pack_sequence_as(signature.structure, tensors)
        return call(*positional, **dict(zip(signature.named or (), named, strict=True)))

    return tf.function(forward, autograph=False).get_concrete_function(*flat)


def _paths(structure: Any) -> list[str]:
    if isinstance(structure, Mapping):
        parts = [(str(key), structure[key]) for key in sorted(structure)]
    elif isinstance(structure, (list, tuple)):
        parts = [(str(place), each) for place, each in enumerate(structure)]
    else:
        return ["output"]
    return [name if path == "output" else f"{name}_{path}" for name, each in parts for path in _paths(each)]
