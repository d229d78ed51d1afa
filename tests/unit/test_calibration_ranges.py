"""Ranges of activations from their values, and the choice between ways of finding them, without TensorFlow."""

import numpy as np
import pytest

from edgeport.export.conversion.options import Options, check_chosen
from edgeport.export.conversion.ranges.choice import Judged, chosen, cured, divided, is_better, judged
from edgeport.export.conversion.ranges.histogram import Histogram
from edgeport.export.conversion.ranges.methods import METHODS, range_of
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.runtime import InputError
from edgeport.runtime.artefact.contract import Input

RANDOM = np.random.default_rng(0)


def histogram_of(values: np.ndarray, parts: int = 7) -> Histogram:
    histogram = Histogram()
    for part in np.array_split(values, parts):
        histogram.add(part)
    return histogram


def rounding_error(values: np.ndarray, ends: tuple[float, float]) -> float:
    """The mean squared error of 8-bit integers with a range, computed as a kernel does it."""
    step = (ends[1] - ends[0]) / 255
    zero = np.round(-ends[0] / step)
    integers = np.clip(np.round(values / step) + zero, 0, 255)
    return float(np.square((integers - zero) * step - values).mean())


def test_a_histogram_does_not_depend_on_how_values_come() -> None:
    values = np.sort(RANDOM.standard_t(3, 20_000)).astype(np.float32)
    at_once, in_parts = histogram_of(values, 1), histogram_of(values, 50)
    assert at_once.counts.sum() == in_parts.counts.sum() == len(values)
    assert np.array_equal(at_once.edges, in_parts.edges)
    # Bins that were joined hold what the wider ones would have held.
    assert np.array_equal(at_once.counts, in_parts.counts)
    assert (at_once.low, at_once.high) == (values.min(), values.max())


def test_a_histogram_leaves_out_what_is_no_number() -> None:
    histogram = histogram_of(np.array([1.0, np.nan, np.inf, -2.0], np.float32), 1)
    assert (histogram.low, histogram.high, histogram.counts.sum()) == (-2, 1, 2)


@pytest.mark.parametrize("method", METHODS)
def test_every_range_has_0_and_reaches_no_further_than_the_values(method: str) -> None:
    for values in (
        RANDOM.normal(5, 1, 5_000), RANDOM.normal(-5, 1, 5_000), np.maximum(RANDOM.normal(size=5_000), 0),
        RANDOM.standard_t(2, 5_000), np.full(50, 3.0), np.array([-1e-30, 1e30]),
    ):  # fmt: skip
        values = values.astype(np.float32)
        low, high = range_of(histogram_of(values), method)
        assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)
        assert low < high


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_zeros_has_an_empty_range(method: str) -> None:
    assert range_of(histogram_of(np.zeros(10, np.float32)), method) == (0, 0)
    assert range_of(Histogram(), method) == (0, 0)


@pytest.mark.parametrize("name", ["normal", "laplace", "relu", "student"])
def test_mse_finds_a_range_with_less_error_than_any_other(name: str) -> None:
    values = {
        "normal": RANDOM.normal(size=100_000),
        "laplace": RANDOM.laplace(size=100_000),
        "relu": np.maximum(RANDOM.normal(size=100_000), 0),
        "student": RANDOM.standard_t(4, 100_000),
    }[name]
    histogram = histogram_of(values)
    errors = {method: rounding_error(values, range_of(histogram, method)) for method in METHODS}
    assert errors["mse"] < 0.96 * errors["minmax"]
    assert errors["mse"] <= 1.02 * min(errors.values())


def test_percentile_leaves_a_ten_thousandth_out() -> None:
    values = np.concatenate([RANDOM.uniform(-1, 1, 100_000), [50.0, -90.0]])
    low, high = range_of(histogram_of(values), "percentile")
    assert -1.1 < low < -0.9
    assert 0.9 < high < 1.1


def test_entropy_gives_up_a_rare_outlier() -> None:
    values = np.concatenate([RANDOM.normal(size=100_000), [40.0]])
    _, high = range_of(histogram_of(values), "entropy")
    assert 3 < high < 20


def judgement(errors: np.ndarray, flips: int = 0) -> Judged:
    return Judged(np.asarray(errors, float), flips)


def test_better_is_more_than_chance_and_more_than_nothing() -> None:
    usual = RANDOM.uniform(0.5, 1.5, 100)
    assert is_better(judgement(usual * 0.7), judgement(usual))
    assert not is_better(judgement(usual * 0.95), judgement(usual))  # 0.2 dB
    assert not is_better(judgement(usual * 0.7, flips=1), judgement(usual))
    # Half of the samples gain what the other half loses, but for one.
    chance = usual * np.where(np.arange(100) % 2, 0.1, 10.0)
    assert not is_better(judgement(chance), judgement(usual))
    # One sample gains a lot, all others lose.
    one = np.concatenate([[100.0], np.full(99, 0.1)])
    assert not is_better(judgement(np.concatenate([[0.0], np.full(99, 0.2)])), judgement(one))
    # One sample shows nothing.
    assert not is_better(judgement([0.1]), judgement([1.0]))


def test_min_max_stays_unless_another_is_measurably_better() -> None:
    errors = RANDOM.uniform(0.5, 1.5, 50) * 1e-3
    made = {"minmax": 1.0, "percentile": 0.97, "mse": 1.2, "entropy": 3.0}
    choice = chosen(lambda method: judgement(errors * made[method]))
    assert choice.method == "minmax"
    assert choice.text.startswith("ranges by minmax: no other is measurably better (minmax 3")
    made["mse"] = 0.5
    choice = chosen(lambda method: judgement(errors * made[method], flips=int(method == "entropy")))
    assert choice.method == "mse"
    assert "entropy 25" in choice.text
    assert "and 1 other decision, on 50 samples apart" in choice.text


def test_channels_stay_as_they_are_unless_equal_ones_are_measurably_better() -> None:
    errors = RANDOM.uniform(0.5, 1.5, 50) * 1e-3
    plain = judgement(errors, flips=2)
    assert cured("equalize", judgement(errors * 0.97), plain)[0] is False
    assert cured("equalize", judgement(errors * 0.1, flips=3), plain)[0] is False
    better, text = cured("equalize", judgement(errors * 0.1), plain)
    assert better
    figures = f"{10 - 10 * np.log10(errors.mean()):.1f} dB with it, {-10 * np.log10(errors.mean()):.1f} dB and 2 other"
    assert text == f"channels equalized ({figures} decisions without, on 50 samples apart)"
    assert cured("equalize", plain, plain)[1].startswith("channels not equalized (")
    assert cured("correct_biases", plain, plain)[1].startswith("biases not corrected (")


def test_errors_count_for_each_output_and_decisions_beside_them() -> None:
    reference = {"scores": np.array([[1.0, 2.0], [4.0, 3.0]]), "yes": np.array([[True], [False]])}
    answers = {"scores": np.array([[2.0, 1.0], [5.0, 4.0]]), "yes": np.array([[True], [True]])}
    found = judged(answers, reference, {"scores": "largest", "yes": "equal"})
    # What both classes share decides nothing: the second sample has lost its yes alone.
    assert found.errors.tolist() == [4.0, 1.0]
    assert found.flips == 2
    assert judged({"x": np.array([[-0.1], [0.6]])}, {"x": np.array([[0.1], [0.4]])}, {"x": "sign"}).flips == 1


def test_what_judges_gives_no_ranges() -> None:
    port = Input("x", (None, 1), "float32", kind="real")
    samples = np.arange(103, dtype=np.float32)[:, None]
    calibration = CalibrationSet("here", 0, (port,), {"x": samples}, {"x": samples + 1_000})
    ranged, judging = divided(calibration)
    assert ranged.count == 83
    assert sorted([*ranged.samples["x"].ravel(), *judging["x"].ravel()]) == samples.ravel().tolist()


def test_a_method_must_be_known_and_have_something_to_choose() -> None:
    with pytest.raises(InputError, match="calibration method"):
        Options(calibration_method="mean")
    with pytest.raises(InputError, match="without int8, whose ranges alone"):
        Options(calibration_method="mse", precisions=("float32", "int16x8"))
    with pytest.raises(InputError, match=r"export\(\) chooses"):
        check_chosen(Options(calibration_method="auto"))
    with pytest.raises(InputError, match="--equalize: got it without int8"):
        Options(equalize=True, precisions=("float32", "dynamic"))
    with pytest.raises(InputError, match="--correct-biases: got it without int8"):
        Options(correct_biases=True, precisions=("float32", "dynamic"))
    Options(equalize=True, precisions=("int16x8",))
    check_chosen(Options(calibration_method="mse"))
