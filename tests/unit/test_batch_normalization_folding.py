"""A normalisation carried by the layer before it gives the same answers."""

import numpy as np
import pytest

from edgeport.train.quantization_aware.batch_normalization_folding import Affine, batch_normalization, fold_after

RANDOM = np.random.default_rng(0)


def test_a_matrix_product_and_its_normalisation_are_one_product() -> None:
    x, kernel, bias = (RANDOM.normal(size=shape).astype(np.float32) for shape in ((20, 6), (6, 4), (4,)))
    mean, variance, gamma, beta = RANDOM.uniform(0.5, 2, (4, 4))
    folded_kernel, folded_bias = fold_after(
        kernel, bias, batch_normalization(mean=mean, variance=variance, epsilon=1e-3, gamma=gamma, beta=beta)
    )
    expected = gamma * (x @ kernel + bias - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(x @ folded_kernel + folded_bias, expected, rtol=1e-4, atol=1e-5)


def test_a_depthwise_kernel_counts_its_channels_on_two_axes() -> None:
    kernel = np.ones((3, 3, 2, 2), np.float32)
    affine = Affine(np.array([1, 2, 3, 4], np.float32), np.zeros(4, np.float32))
    folded, bias = fold_after(kernel, None, affine, channel_axes=2)
    assert folded[0, 0].tolist() == [[1, 2], [3, 4]]
    assert bias.tolist() == [0, 0, 0, 0]


def test_a_normalisation_may_have_neither_gamma_nor_beta() -> None:
    affine = batch_normalization(mean=[1.0], variance=[4.0], epsilon=0.0)
    assert (affine.scale.tolist(), affine.offset.tolist()) == ([0.5], [-0.5])


@pytest.mark.parametrize(
    ("scale", "offset", "pure"), [(0.5, 0.0, True), (0.5, 0.1, False), (-0.5, 0.0, False), ([0.5, 0.5], 0.0, False)]
)
def test_only_one_positive_factor_changes_no_integer(scale: object, offset: float, pure: bool) -> None:
    assert Affine(np.asarray(scale, np.float32), np.asarray(offset, np.float32)).is_pure_scale is pure
