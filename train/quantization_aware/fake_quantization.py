"""Layers that compute in floats and round as int8 artefacts do, so that training learns to live with it.

Rounding has no slope, so gradients pass as if it were not there, and stop where a value is cut off (the
straight-through estimator of Bengio et al., arXiv 1308.3432; its use here follows Jacob et al., arXiv 1712.05877).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import layers, ops

_PACKAGE = "edgeport"
# A range without any width has no step.
_LEAST_WIDTH = 1e-6
_LEAST_LIMIT = 1e-12
# 8 bits: between the ends of an activation's range, and on either side of 0 in a kernel.
_STEPS = 255
_LARGEST_WEIGHT = 127
# The kernel of a transposed convolution is (height, width, outputs, inputs): there and back.
OUTPUTS_LAST = (0, 1, 3, 2)


@keras.saving.register_keras_serializable(_PACKAGE)
class FakeQuantize(layers.Layer):  # type: ignore[misc]
    """Rounds a tensor to the 256 steps of its range, and cuts off what lies beyond.

    The range follows the data while the model is trained, and is frozen at inference: it grows at once to hold what it
    sees, and shrinks slowly. It always holds 0, which int8 represents exactly. One layer may be called on several
    tensors, which then share a range.

    Args:
        follows: Whether the range follows the data in training.
        rate: How much of the way to a narrower batch the range shrinks in one step, 0 to 1.
        kwargs: As of every Keras layer.
    """

    def __init__(self, *, follows: bool = True, rate: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.follows = follows
        self.rate = rate
        self._observes = False

    def build(self, input_shape: Any) -> None:
        """Make the two ends of the range."""
        self.low = self.add_weight(name="low", shape=(), initializer="zeros", trainable=False, dtype="float32")
        self.high = self.add_weight(name="high", shape=(), initializer="zeros", trainable=False, dtype="float32")

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Return the inputs rounded, float of the same shape, and the size of a step, of shape ()."""
        if self._observes:
            self.widen(ops.cast(ops.min(inputs), "float32"), ops.cast(ops.max(inputs), "float32"))
        elif training and self.follows:
            self._follow(inputs)
        high = ops.maximum(self.high, self.low + _LEAST_WIDTH)
        step = (high - self.low) / _STEPS
        if self._observes:
            return inputs, step
        return keras.quantizers.fake_quant_with_min_max_vars(inputs, self.low, high), step

    def get_config(self) -> dict[str, Any]:
        """Return what it takes to make the layer again."""
        return {**super().get_config(), "follows": self.follows, "rate": self.rate}

    def widen(self, low: Any, high: Any) -> None:
        """Make the range hold all values from ``low`` to ``high``."""
        self.low.assign(ops.minimum(self.low, low))
        self.high.assign(ops.maximum(self.high, high))

    def _follow(self, inputs: Any) -> None:
        low = ops.minimum(ops.cast(ops.min(inputs), "float32"), 0.0)
        high = ops.maximum(ops.cast(ops.max(inputs), "float32"), 0.0)
        self.low.assign(ops.minimum(low, self.low + self.rate * (low - self.low)))
        self.high.assign(ops.maximum(high, self.high + self.rate * (high - self.high)))


def observe(model: keras.Model, batches: Iterable[Sequence[Any]]) -> None:
    """Widen the range of each FakeQuantize layer of a model to hold all that it meets.

    Args:
        model: A model with such layers, which round nothing meanwhile.
        batches: For each batch the list of the model's inputs.
    """
    ranges = [layer for layer in model.layers if isinstance(layer, FakeQuantize)]
    for layer in ranges:
        layer._observes = True
    try:
        for batch in batches:
            # Called eagerly: a traced function would have the observing, or not, built in.
            model(batch, training=False)
    finally:
        for layer in ranges:
            layer._observes = False


def rounded_kernel(kernel: Any, *, scale: float = 1.0, channel_axes: int = 1) -> tuple[Any, Any]:
    """Return a kernel rounded to 8 bits per output channel, symmetric around 0 (-127 to 127), and each channel's step.

    Args:
        kernel: Float of any shape.
        scale: What it is multiplied by before.
        channel_axes: How many of the last axes count output channels.
    """
    shape = kernel.shape
    flat = ops.reshape(ops.multiply(kernel, scale), (*shape[:-channel_axes], -1))
    limits = ops.max(ops.abs(flat), axis=tuple(range(len(flat.shape) - 1)))
    limits = ops.stop_gradient(ops.maximum(limits, _LEAST_LIMIT))
    rounded = keras.quantizers.fake_quant_with_min_max_vars(
        flat, ops.negative(limits), limits, narrow_range=True, axis=-1
    )
    return ops.reshape(rounded, shape), limits / _LARGEST_WEIGHT


def rounded_bias(bias: Any, step: Any) -> Any:
    """Return a bias as int32 holds it, which counts in the product of the steps of input and kernel.

    Without this the sums are off by a small part of a step, which decides ties otherwise than the integers do.

    Args:
        bias: Float of shape (channels,).
        step: The product of both steps, of the same shape.
    """
    rounded = ops.round(bias / step) * step
    # The value is that of the first term, the slope that of the others.
    return ops.stop_gradient(rounded) + (bias - ops.stop_gradient(bias))


class _Rounded(layers.Layer):  # type: ignore[misc]
    """What the layers with a rounded kernel share: they are given the step of their inputs, and may scale them."""

    def __init__(self, *args: Any, input_scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.input_scale = input_scale

    def build(self, inputs_shape: Any, step_shape: Any = ()) -> None:
        """Make the weights."""
        super().build(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        """Return what it takes to make the layer again."""
        return {**super().get_config(), "input_scale": self.input_scale}

    def _finished(self, products: Any, step: Any) -> Any:
        outputs = ops.add(products, rounded_bias(self.bias, step)) if self.use_bias else products
        return self.activation(outputs) if self.activation is not None else outputs


@keras.saving.register_keras_serializable(_PACKAGE)
class QuantizedConv2D(_Rounded, layers.Conv2D):  # type: ignore[misc]
    """A Conv2D whose kernel is rounded to int8 per output channel; it takes channels last.

    Args:
        args: As of Conv2D.
        input_scale: What the kernel is multiplied by before it is rounded: a pixel scaling such as 1/255, folded.
        kwargs: As of Conv2D.
    """

    def call(self, inputs: Any, step: Any) -> Any:
        """Return the convolution of inputs on steps of that size with the rounded kernel."""
        kernel, kernel_step = rounded_kernel(self.kernel, scale=self.input_scale)
        return self._finished(self.convolution_op(inputs, kernel), step * kernel_step)


@keras.saving.register_keras_serializable(_PACKAGE)
class QuantizedConv1D(_Rounded, layers.Conv1D):  # type: ignore[misc]
    """A Conv1D whose kernel is rounded to int8 per output channel; it takes channels last.

    Args:
        args: As of Conv1D.
        input_scale: What the kernel is multiplied by before it is rounded.
        kwargs: As of Conv1D.
    """

    def call(self, inputs: Any, step: Any) -> Any:
        """Return the convolution of inputs on steps of that size with the rounded kernel."""
        kernel, kernel_step = rounded_kernel(self.kernel, scale=self.input_scale)
        causal = self.padding == "causal"
        if causal:
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            inputs = ops.pad(inputs, [[0, 0], [before, 0], [0, 0]])
        products = ops.conv(
            inputs,
            kernel,
            strides=list(self.strides),
            padding="valid" if causal else self.padding,
            dilation_rate=self.dilation_rate,
        )
        return self._finished(products, step * kernel_step)


@keras.saving.register_keras_serializable(_PACKAGE)
class QuantizedConv2DTranspose(_Rounded, layers.Conv2DTranspose):  # type: ignore[misc]
    """A Conv2DTranspose whose kernel is rounded to int8 per output channel; it takes channels last.

    Args:
        args: As of Conv2DTranspose.
        input_scale: What the kernel is multiplied by before it is rounded.
        kwargs: As of Conv2DTranspose.
    """

    def call(self, inputs: Any, step: Any) -> Any:
        """Return the transposed convolution of inputs on steps of that size with the rounded kernel."""
        kernel, kernel_step = rounded_kernel(ops.transpose(self.kernel, OUTPUTS_LAST), scale=self.input_scale)
        products = ops.conv_transpose(
            inputs,
            ops.transpose(kernel, OUTPUTS_LAST),
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
        )
        return self._finished(products, step * kernel_step)


@keras.saving.register_keras_serializable(_PACKAGE)
class QuantizedDepthwiseConv2D(_Rounded, layers.DepthwiseConv2D):  # type: ignore[misc]
    """A DepthwiseConv2D whose kernel is rounded to int8 per output channel; it takes channels last.

    Args:
        args: As of DepthwiseConv2D.
        input_scale: What the kernel is multiplied by before it is rounded.
        kwargs: As of DepthwiseConv2D.
    """

    def call(self, inputs: Any, step: Any) -> Any:
        """Return the convolution of inputs on steps of that size with the rounded kernel."""
        kernel, kernel_step = rounded_kernel(self.kernel, scale=self.input_scale, channel_axes=2)
        products = ops.depthwise_conv(
            inputs, kernel, strides=self.strides, padding=self.padding, dilation_rate=self.dilation_rate
        )
        return self._finished(products, step * kernel_step)


@keras.saving.register_keras_serializable(_PACKAGE)
class QuantizedDense(_Rounded, layers.Dense):  # type: ignore[misc]
    """A Dense layer whose kernel is rounded to int8 per output.

    Args:
        args: As of Dense.
        input_scale: What the kernel is multiplied by before it is rounded.
        kwargs: As of Dense.
    """

    def call(self, inputs: Any, step: Any) -> Any:
        """Return the matrix product of inputs on steps of that size with the rounded kernel."""
        kernel, kernel_step = rounded_kernel(self.kernel, scale=self.input_scale)
        return self._finished(ops.matmul(inputs, kernel), step * kernel_step)
