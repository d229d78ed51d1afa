"""From the layers of a float model to those that round as int8 kernels do: the rule for each kind of layer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

from edgeport.runtime.errors import InputError
from edgeport.train.quantization_aware.batch_normalization_folding import Affine, batch_normalization, fold_after
from edgeport.train.quantization_aware.fake_quantization import (
    OUTPUTS_LAST,
    FakeQuantize,
    QuantizedConv1D,
    QuantizedConv2D,
    QuantizedConv2DTranspose,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
)
from edgeport.train.quantization_aware.layer_graph import LayerGraph, Step, layer_names

# What gives nothing but values that it takes, or zeros: these are on the steps of the same range already.
_PASSES = (
    layers.MaxPooling2D, layers.GlobalMaxPooling2D, layers.Flatten, layers.Reshape, layers.Permute, layers.Dropout,
    layers.SpatialDropout2D, layers.ZeroPadding2D, layers.Cropping2D, layers.UpSampling2D, layers.Identity,
    layers.MaxPooling1D, layers.GlobalMaxPooling1D, layers.SpatialDropout1D, layers.ZeroPadding1D, layers.Cropping1D,
)  # fmt: skip
# What TFLite computes only where the output has the range of the input.
_KEEPS_RANGE = (*_PASSES, layers.AveragePooling1D, layers.AveragePooling2D, layers.Concatenate)
# The layers with a kernel: what takes their place, and how many axes of the kernel count output channels.
_PRODUCTS = {
    layers.Conv1D: (QuantizedConv1D, 1),
    layers.Conv2D: (QuantizedConv2D, 1),
    layers.Conv2DTranspose: (QuantizedConv2DTranspose, 1),
    layers.DepthwiseConv2D: (QuantizedDepthwiseConv2D, 2),
    layers.Dense: (QuantizedDense, 1),
}
_AVERAGES = (
    layers.AveragePooling1D, layers.AveragePooling2D, layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D,
)  # fmt: skip
_AFFINE = (layers.BatchNormalization, layers.Rescaling, layers.Normalization)
_ENDS = ("softmax", "sigmoid")
_RELUS = ("relu", "relu6")
SUPPORTED = (
    "Conv1D, Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D, Dense, BatchNormalization, Rescaling, "
    "Normalization, ReLU, ReLU6, pooling, Add, Concatenate, Flatten, Reshape, Permute, Dropout, padding, cropping, "
    "UpSampling2D, and a softmax or sigmoid at the end"
)


def build_quantized(graph: LayerGraph, inputs: Sequence[Any]) -> tuple[list[Any], list[FakeQuantize]]:
    """Return the outputs of the model with rounded kernels and activations, and the ranges of its inputs.

    All ranges are still empty.

    Args:
        graph: The float model.
        inputs: A KerasTensor for each of its inputs.

    Raises:
        InputError: It has a layer, or an activation, that has no rule here.
    """
    building = _Building(graph, layer_names(graph), _range_groups(graph))
    for number, tensor in zip(graph.inputs, inputs, strict=True):
        building.round(number, tensor, name=tensor.name)
    for step in graph.steps:
        if step.output not in building.tensors:
            _convert(building, step)
    outputs = [building.settled(number) for number in graph.outputs]
    return outputs, [building.ranges[building.groups[number]] for number in graph.inputs]


@dataclass(eq=False)
class _Building:
    """The quantized model as far as it has been built.

    Attributes:
        graph: The float model.
        names: The name of each step's layer, by its output.
        groups: For each tensor, the tensor that stands for all that share its range.
        tensors: What has been built, by the number of the float model's tensor.
        steps: The size of a tensor's steps, itself a tensor.
        scales: What a tensor lacks as a factor, which the layer that takes it has in its kernel instead.
        ranges: The FakeQuantize layer of each group.
        shared: What takes the place of a layer that is called more than once.
    """

    graph: LayerGraph
    names: dict[int, str]
    groups: dict[int, int]
    tensors: dict[int, Any] = field(default_factory=dict)
    steps: dict[int, Any] = field(default_factory=dict)
    scales: dict[int, float] = field(default_factory=dict)
    ranges: dict[int, FakeQuantize] = field(default_factory=dict)
    shared: dict[int, Any] = field(default_factory=dict)

    def inner_name(self, number: int) -> str:
        """Return a name for a layer that makes a tensor, but not as an output gives it."""
        name = self.names[number]
        ends = {self.names.get(output) for output in self.graph.outputs}
        return f"{name}_unrounded" if name in ends else name

    def round(self, number: int, tensor: Any, *, name: str) -> None:
        """Note a tensor rounded to the range of its group, which is made if it is the first of it."""
        group = self.groups[number]
        if group not in self.ranges:
            fixed = any(self.groups[each] == group for each in self.graph.inputs)
            self.ranges[group] = FakeQuantize(follows=not fixed, name=f"{name}_range", dtype="float32")
        self.tensors[number], self.steps[number] = self.ranges[group](tensor)

    def give(self, number: int, tensor: Any) -> None:
        """Note what a step has computed, rounded unless the activation that follows is rounded instead."""
        follower = self.graph.only_consumer(number)
        if follower is not None and _is_relu(follower.layer):
            self.tensors[number] = tensor
            return
        self.round(number, tensor, name=self.names[number])
        if number in self.graph.outputs:
            self.tensors[number] = layers.Identity(name=self.names[number], dtype="float32")(self.tensors[number])

    def passed(self, source: int, number: int, tensor: Any) -> None:
        """Note a tensor whose values are those of another one, or zeros."""
        self.tensors[number], self.steps[number] = tensor, self.steps[source]
        if source in self.scales:
            self.scales[number] = self.scales[source]

    def settled(self, number: int) -> Any:
        """Return a tensor as the float model has it: a scale that it still lacks is applied first."""
        if number in self.scales:
            scale = np.float32(self.scales.pop(number))
            affine = Affine(np.asarray(scale), np.zeros((), np.float32))
            made = _apply_affine(self.tensors[number], self.steps[number], affine, name=self.names[number])
            self.round(number, made, name=self.names[number])
        return self.tensors[number]


def _range_groups(graph: LayerGraph) -> dict[int, int]:
    groups = {number: number for number in (*graph.inputs, *(step.output for step in graph.steps))}
    for step in graph.steps:
        if type(step.layer) in _KEEPS_RANGE or _is_nothing(step.layer):
            tied = {groups[number] for number in (*step.inputs, step.output)}
            groups = {number: min(tied) if group in tied else group for number, group in groups.items()}
    return groups


def _convert(building: _Building, step: Step) -> None:
    layer, kind = step.layer, type(step.layer)
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise InputError(f"layer {layer.name}: got channels first, expected channels last: rebuild the model so")
    if kind in _PRODUCTS:
        _convert_product(building, step)
    elif kind in _AFFINE:
        _convert_affine(building, step)
    elif kind in _PASSES:
        _convert_pass(building, step)
    elif _activation_of(layer) in _ENDS:
        _check_last(building.graph, step.output, layer, _activation_of(layer))
        building.tensors[step.output] = _copied(layer, building.names[step.output])(building.settled(step.inputs[0]))
    elif _is_nothing(layer):
        building.passed(step.inputs[0], step.output, building.tensors[step.inputs[0]])
    else:
        _convert_others(building, step)


def _convert_others(building: _Building, step: Step) -> None:
    """Convert what computes something new from whole tensors and has no weights."""
    layer, name = step.layer, building.inner_name(step.output)
    inputs = [building.settled(number) for number in step.inputs]
    if _is_relu(layer):
        made = layers.ReLU(6.0 if _activation_of(layer) == "relu6" else None, name=name, dtype="float32")
    elif _is_sum(step):
        made, inputs = layers.Add(name=name, dtype="float32"), [inputs]
    elif type(layer) is layers.Concatenate:
        made, inputs = _copied(layer, name), [inputs]
    elif type(layer) in _AVERAGES:
        made = _copied(layer, name)
    else:
        raise InputError(
            f"layer {layer.name} ({type(layer).__name__}) has no rule in quantization-aware training, which knows "
            f"{SUPPORTED}: replace it, or export the float model, whose int8 files are calibrated instead"
        )
    building.give(step.output, made(*inputs))


def _convert_pass(building: _Building, step: Step) -> None:
    layer = step.layer
    if type(layer) is layers.UpSampling2D and layer.interpolation != "nearest":
        raise InputError(f"layer {layer.name}: got interpolation {layer.interpolation!r}, expected 'nearest'")
    name = building.names[step.output]
    source = step.inputs[0]
    building.passed(source, step.output, _copied(layer, name)(building.tensors[source]))


def _convert_product(building: _Building, step: Step) -> None:
    """Convert a layer with a kernel, together with the batch normalisation that follows it."""
    layer, graph = step.layer, building.graph
    made, channel_axes = _PRODUCTS[type(layer)]
    activation = _activation_of(layer)
    if activation not in ("linear", *_RELUS, *_ENDS):
        raise InputError(
            f"layer {layer.name}: got the activation {activation}, expected relu or relu6 in quantization-aware "
            "training: replace it and train anew, or export the float model, whose int8 files are calibrated instead"
        )
    kernel, bias = _numbers(layer.kernel), _numbers(layer.bias) if layer.use_bias else None
    transposed = type(layer) is layers.Conv2DTranspose
    kernel = kernel.transpose(OUTPUTS_LAST) if transposed else kernel
    end = step.output
    follower = graph.only_consumer(end)
    if activation == "linear" and follower is not None and _folds(graph, layer, follower):
        kernel, bias = fold_after(kernel, bias, _affine_of(follower.layer), channel_axes=channel_axes)
        end = follower.output
    kernel = kernel.transpose(OUTPUTS_LAST) if transposed else kernel
    if activation in _ENDS:
        _check_last(graph, end, layer, activation)
    settings = {
        "activation": activation if activation in _RELUS else "linear",
        "use_bias": bias is not None,
        "name": building.inner_name(step.output),
    }
    weights = [each for each in (kernel, bias) if each is not None]
    product = _product(building, step, made, settings, weights)
    if activation not in _ENDS:
        building.give(end, product)
        return
    building.round(end, product, name=building.names[end])
    last = layers.Activation(activation, name=building.names[end], dtype="float32")
    building.tensors[end] = last(building.tensors[end])


def _product(building: _Building, step: Step, made: Any, settings: dict[str, Any], weights: list[Any]) -> Any:
    """Call what takes the place of a layer with a kernel, give it the weights, and return what it computes."""
    layer, source = step.layer, step.inputs[0]
    if building.graph.is_shared(layer):
        building.settled(source)
    if id(layer) not in building.shared:
        # The kernel of a layer with low-rank adapters (LoRA) has them added already.
        own = {key: value for key, value in layer.get_config().items() if not key.startswith("lora_")}
        config = {**own, **settings, "dtype": "float32"}
        building.shared[id(layer)] = made.from_config({**config, "input_scale": building.scales.get(source, 1.0)})
    built = building.shared[id(layer)]
    fresh = not built.built
    product = built(building.tensors[source], building.steps[source])
    if fresh:
        built.set_weights(weights)
    return product


def _convert_affine(building: _Building, step: Step) -> None:
    affine, source = _affine_of(step.layer), step.inputs[0]
    scale = building.scales.get(source, 1.0)
    if affine.is_pure_scale:
        building.passed(source, step.output, building.tensors[source])
        building.scales[step.output] = scale * float(affine.scale)
        return
    name = building.inner_name(step.output)
    tensor, size = building.tensors[source], building.steps[source]
    building.give(step.output, _apply_affine(tensor, size, affine, name=name, input_scale=scale))


def _apply_affine(tensor: Any, step: Any, affine: Affine, *, name: str, input_scale: float = 1.0) -> Any:
    """Return ``scale * tensor + offset`` by a depthwise convolution of 1 x 1, for which there are integer kernels."""
    shape = tensor.shape
    channels = shape[-1]
    if len(shape) == 2:
        tensor = layers.Reshape((1, 1, channels), name=f"{name}_as_image", dtype="float32")(tensor)
    elif len(shape) == 3:
        tensor = layers.Reshape((-1, 1, channels), name=f"{name}_as_image", dtype="float32")(tensor)
    elif len(shape) != 4:
        raise InputError(f"layer {name}: got a tensor of shape {tuple(shape)}, expected an image, a series or a vector")
    product = QuantizedDepthwiseConv2D(1, name=name, input_scale=input_scale, dtype="float32")
    tensor = product(tensor, step)
    scale, offset = (np.broadcast_to(each, (channels,)) for each in (affine.scale, affine.offset))
    product.set_weights([scale.reshape(1, 1, channels, 1), offset])
    return tensor if len(shape) == 4 else layers.Reshape(shape[1:], name=f"{name}_as_it_was", dtype="float32")(tensor)


def _affine_of(layer: Any) -> Affine:
    """Return what a normalisation does at inference."""
    if type(layer) is layers.Rescaling:
        return Affine(np.asarray(layer.scale, np.float32), np.asarray(layer.offset, np.float32))
    if type(layer) is layers.Normalization:
        mean, variance = _numbers(layer.mean), _numbers(layer.variance)
        scale = (1.0 / np.maximum(np.sqrt(variance), keras.config.epsilon())).reshape(-1)
        return Affine(scale, -mean.reshape(-1) * scale)
    if layer.axis not in (-1, layer.input_spec.ndim - 1):
        raise InputError(f"layer {layer.name}: got axis {layer.axis}, expected the last one: rebuild the model so")
    return batch_normalization(
        mean=_numbers(layer.moving_mean),
        variance=_numbers(layer.moving_variance),
        epsilon=layer.epsilon,
        gamma=_numbers(layer.gamma) if layer.scale else None,
        beta=_numbers(layer.beta) if layer.center else None,
    )


def _numbers(variable: Any) -> Any:
    return keras.ops.convert_to_numpy(variable)


def _folds(graph: LayerGraph, layer: Any, follower: Step) -> bool:
    """Return whether a layer can carry the batch normalisation that follows it."""
    normalisation = follower.layer
    shared = graph.is_shared(layer) or graph.is_shared(normalisation)
    return type(normalisation) is layers.BatchNormalization and not shared


def _activation_of(layer: Any) -> str:
    """Return the name of a layer's activation; empty for a layer that is, and has, none."""
    kind = type(layer)
    if kind is layers.ReLU:
        plain = not layer.negative_slope and not layer.threshold
        return {None: "relu", 6.0: "relu6"}.get(layer.max_value, "") if plain else ""
    if kind is layers.Softmax:
        return "softmax"
    if kind in (*_PRODUCTS, layers.Activation):
        return str(getattr(layer.activation, "__name__", layer.activation))
    # keras.ops.relu(x), without a layer.
    return "relu" if not isinstance(layer, layers.Layer) and kind.__name__ == "Relu" else ""


def _is_relu(layer: Any) -> bool:
    return type(layer) not in _PRODUCTS and _activation_of(layer) in _RELUS


def _is_nothing(layer: Any) -> bool:
    return type(layer) is layers.Activation and _activation_of(layer) == "linear"


def _is_sum(step: Step) -> bool:
    # x + y makes an operation without a layer.
    plain = not isinstance(step.layer, layers.Layer) and type(step.layer).__name__ == "Add" and len(step.inputs) == 2
    return type(step.layer) is layers.Add or plain


def _check_last(graph: LayerGraph, number: int, layer: Any, activation: str) -> None:
    if number not in graph.outputs or graph.consumers(number):
        raise InputError(
            f"layer {layer.name}: got a {activation} that other layers take, expected it at the end of the model only"
        )


def _copied(layer: Any, name: str) -> Any:
    return type(layer).from_config({**layer.get_config(), "name": name, "dtype": "float32"})
