"""The affine mapping and the activations, against their definitions."""

import numpy as np
import pytest

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.tensors.decoding import Decoder
from edgeport.runtime.tensors.quantization import activate, dequantize, quantize, sigmoid, softmax


def test_quantize_rounds_to_even_and_saturates() -> None:
    real = np.array([0.5, 1.5, 2.5, -0.5, 1e9, -1e9])
    assert quantize(real, scale=1.0, zero_point=0, dtype="int8").tolist() == [0, 2, 2, 0, 127, -128]


@pytest.mark.parametrize(("scale", "zero_point"), [(1.0, -128), (1 / 255, -128), (0.037, 5)])
def test_every_integer_survives_the_round_trip(scale: float, zero_point: int) -> None:
    integers = np.arange(-128, 128, dtype=np.int8)
    real = dequantize(integers, scale=scale, zero_point=zero_point)
    assert real.dtype == np.float32
    np.testing.assert_array_equal(quantize(real, scale=scale, zero_point=zero_point, dtype="int8"), integers)


def test_softmax_sums_to_one_and_does_not_overflow() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [1e4, 0.0, -1e4]], np.float32)
    expected = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    np.testing.assert_allclose(softmax(logits)[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(softmax(logits)[1], [1.0, 0.0, 0.0])


def test_sigmoid_is_its_definition_and_does_not_overflow() -> None:
    logits = np.array([-1e4, -2.0, 0.0, 2.0, 1e4], np.float32)
    with np.errstate(over="raise"):
        answers = sigmoid(logits)
    np.testing.assert_allclose(answers, [0.0, 1 / (1 + np.exp(2.0)), 0.5, 1 / (1 + np.exp(-2.0)), 1.0], atol=1e-7)
    assert answers.dtype == np.float32


@pytest.mark.parametrize("classes", [2, 10, 32, 33])
def test_a_row_has_the_same_softmax_alone_and_in_a_batch(classes: int) -> None:
    logits = np.random.default_rng(0).normal(scale=8, size=(500, classes)).astype(np.float32)
    together = softmax(logits)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([softmax(row[np.newaxis]) for row in logits]), together)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_integers_decode_as_their_real_values_do(dtype: str, activation: str) -> None:
    spec = TensorSpec("y", (None, 10), dtype, scale=0.17, zero_point=3)
    integers = (
        np.random.default_rng(0).integers(*((-128, 128) if dtype == "int8" else (0, 256)), (300, 10)).astype(dtype)
    )
    decode = Decoder(spec, activation)
    expected = activate(dequantize(integers, scale=0.17, zero_point=3), activation)
    together = decode(integers)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, expected, atol=1e-6, rtol=1e-5)
    np.testing.assert_array_equal(np.concatenate([decode(row[np.newaxis]) for row in integers]), together)
