"""A Keras model as a list of steps: which layer computes which tensor from which, nested models laid open."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from edgeport.runtime.errors import InputError


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a layer.

    Attributes:
        layer: The layer.
        inputs: The numbers of the tensors that it takes.
        output: The number of the tensor that it gives.
    """

    layer: Any
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """A model as calls of layers, in the order of computation.

    Attributes:
        inputs: The numbers of the model's inputs.
        steps: The calls.
        outputs: The numbers of the model's outputs.
    """

    inputs: tuple[int, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def consumers(self, tensor: int) -> list[Step]:
        """Return the steps that take a tensor."""
        return [step for step in self.steps if tensor in step.inputs]

    def only_consumer(self, tensor: int) -> Step | None:
        """Return the one step that takes a tensor, or None if there are more or fewer, or if it is an output."""
        consumers = self.consumers(tensor)
        return consumers[0] if len(consumers) == 1 and tensor not in self.outputs else None

    def is_shared(self, layer: Any) -> bool:
        """Return whether a layer is called more than once."""
        return sum(step.layer is layer for step in self.steps) > 1


@dataclass(eq=False)
class _Reading:
    """What has been read so far: the steps, how many tensors there are, and the parts of separable convolutions."""

    steps: list[Step] = field(default_factory=list)
    count: int = 0
    parts: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def new(self) -> int:
        self.count += 1
        return self.count

    def add(self, layer: Any, inputs: Sequence[int]) -> int:
        """Note one call of a layer, and return the tensor that it gives."""
        if type(layer) is keras.layers.SeparableConv2D:
            depthwise, pointwise = self.parts.setdefault(id(layer), _parts_of(layer))
            return self.add(pointwise, [self.add(depthwise, inputs)])
        self.steps.append(Step(layer, tuple(inputs), self.new()))
        return self.steps[-1].output


def read_layers(model: keras.Model) -> LayerGraph:
    """Return a Sequential or Functional model as a list of steps.

    Models inside it are laid open, and a SeparableConv2D is the two convolutions that it stands for.

    Raises:
        InputError: The model is of another kind, was never built, or has a layer with several outputs.
    """
    inputs = getattr(model, "inputs", None)
    if not isinstance(model, keras.Model) or not inputs or not getattr(model, "outputs", None):
        raise InputError(
            f"got a {type(model).__name__} whose layers cannot be followed, expected a Sequential or Functional model "
            "that knows its input shape: rebuild it with keras.Model(inputs, outputs)"
        )
    reading = _Reading()
    numbers = [reading.new() for _ in inputs]
    outputs = _read(model, numbers, reading)
    return LayerGraph(tuple(numbers), tuple(reading.steps), tuple(outputs))


def layer_names(graph: LayerGraph) -> dict[int, str]:
    """Return a name for each step, by its output: its layer's, or a numbered one if an earlier step has that."""
    names: dict[int, str] = {}
    own = {step.layer.name for step in graph.steps}
    taken: set[str] = set()
    for step in graph.steps:
        name = step.layer.name
        variants = (f"{name}_{number}" for number in range(2, len(graph.steps) + 2))
        if name in taken:
            name = next(each for each in variants if each not in taken | own)
        taken.add(name)
        names[step.output] = name
    return names


def _read(model: keras.Model, inputs: Sequence[int], reading: _Reading) -> list[int]:
    """Add the steps of a model whose inputs are the given tensors, and return its outputs."""
    # A Sequential model keeps its graph out of sight; over the same tensors this shows it.
    functional = keras.Model(model.inputs, model.outputs)
    tensors = {id(tensor): number for tensor, number in zip(functional.inputs, inputs, strict=True)}
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if node.is_input:
                continue
            taken = [tensors[id(tensor)] for tensor in node.input_tensors]
            layer = node.operation
            if isinstance(layer, keras.Model):
                given = _read(layer, taken, reading)
            elif len(node.outputs) == 1:
                given = [reading.add(layer, taken)]
            else:
                raise InputError(f"layer {layer.name} ({type(layer).__name__}) has several outputs, expected one")
            tensors |= {id(tensor): number for tensor, number in zip(node.outputs, given, strict=True)}
    return [tensors[id(tensor)] for tensor in functional.outputs]


def _parts_of(layer: Any) -> tuple[Any, Any]:
    """Return a SeparableConv2D as a depthwise convolution and one of 1 x 1."""
    config = layer.get_config()
    common = {"data_format": layer.data_format, "trainable": layer.trainable}
    depthwise = keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        depth_multiplier=layer.depth_multiplier,
        depthwise_regularizer=layer.depthwise_regularizer,
        use_bias=False,
        name=f"{layer.name}_depthwise",
        **common,
    )
    pointwise = keras.layers.Conv2D(
        layer.filters,
        1,
        activation=config["activation"],
        use_bias=layer.use_bias,
        kernel_regularizer=layer.pointwise_regularizer,
        bias_regularizer=layer.bias_regularizer,
        name=layer.name,
        **common,
    )
    depthwise.build((None, None, None, layer.depthwise_kernel.shape[2]))
    pointwise.build((None, None, None, layer.pointwise_kernel.shape[2]))
    weights = layer.get_weights()
    depthwise.set_weights(weights[:1])
    pointwise.set_weights(weights[1:])
    return depthwise, pointwise
