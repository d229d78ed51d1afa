"""How channels between two layers are scaled, without TensorFlow."""

import numpy as np
import pytest

from edgeport.export.graphs.integers.channel_scales import channel_scales

RANDOM = np.random.default_rng(0)


def noise(reach: np.ndarray, weights: np.ndarray) -> float:
    """The noise of a product whose activations have one 8-bit step, and whose weights one for each output."""
    activations = RANDOM.uniform(0, 1, (4_000, len(reach))) * reach
    step, steps = reach.max() / 255, np.abs(weights).max(axis=0) / 127
    rounded = np.round(activations / step) * step @ (np.round(weights / steps) * steps)
    exact = activations @ weights
    return float(np.square(rounded - exact).mean() / np.square(exact).mean())


def test_an_outlier_channel_takes_the_steps_of_the_others_no_more() -> None:
    reach, weights = np.ones(16), RANDOM.normal(size=(16, 8))
    sound = noise(reach, weights)
    reach[3], weights[3] = 2000, weights[3] / 2000
    scales = channel_scales(reach, [weights])
    assert noise(reach, weights) > 1000 * sound
    assert noise(reach / scales, weights * scales[:, None]) < 4 * sound


def test_a_channel_that_nobody_looks_at_is_made_small() -> None:
    reach, weights = np.ones(16), RANDOM.normal(size=(16, 8))
    reach[3], weights[3] = 2000, 0
    scales = channel_scales(reach, [weights])
    assert reach[3] / scales[3] <= (reach / scales)[:3].max()


def test_floats_stay_the_same_to_the_last_bit() -> None:
    scales = channel_scales(RANDOM.uniform(1e-6, 1e6, 64), [RANDOM.normal(size=(64, 3))])
    assert scales.dtype == np.float32
    assert set(np.frexp(scales)[0].tolist()) == {0.5}
    assert len(set(scales.tolist())) > 3


def test_a_channel_that_hardly_fired_is_not_made_much_larger() -> None:
    reach = np.ones(9)
    reach[2], reach[5] = 1e-9, 0
    scales = channel_scales(reach, [])
    assert scales.tolist() == [1, 1, 0.25, 1, 1, 1, 1, 1, 1]
    assert channel_scales(np.zeros(3), []).tolist() == [1, 1, 1]


def test_weights_of_its_own_for_each_channel_leave_the_reach_alone_to_count() -> None:
    reach = np.array([1.0, 1.0, 1.0, 64.0])
    assert channel_scales(reach, []).tolist() == [1, 1, 1, 64]
    # A step that the weights share is left half of it.
    assert channel_scales(reach, [np.ones((4, 2))]).tolist() == [1, 1, 1, 8]


def test_the_largest_of_all_places_counts_where_channels_were_laid_in_a_row() -> None:
    weights = np.ones((6, 1))
    # The places of channel 1 are 1 and 4.
    weights[[1, 4, 5], 0] = 1 / 64, 1 / 16, 1 / 64
    assert channel_scales(np.ones(3), [weights]).tolist() == pytest.approx([1, 4, 1])
