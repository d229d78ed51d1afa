"""What verification can show, what float32 rounding explains, and how outputs that are decisions are judged."""

import numpy as np
import pytest

from edgeport.export.conversion.options import Required
from edgeport.export.verification.comparison import Verification, compare
from edgeport.export.verification.evidence import constant_columns, inconclusive_figures
from edgeport.export.verification.rounding_error import Rounding, measured, sampled
from edgeport.runtime.artefact.precisions import PRECISIONS, precision_named

RANDOM = np.random.default_rng(0)
FLOAT32 = precision_named("float32").limits


def verified(answer: np.ndarray, reference: np.ndarray, decision: str | None = None, **more: object) -> Verification:
    return compare({"y": answer}, {"y": reference}, {"y": decision} if decision else {}, **more)


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64"])
def test_decisions_are_judged_by_agreement_alone(dtype: str) -> None:
    reference = RANDOM.integers(0, 2, (200, 5)).astype(dtype)
    answer = reference.copy()
    answer[:10, 0] = 1 - answer[:10, 0].astype(int)
    result = verified(answer, reference, "equal")
    assert (result.agreement, result.sqnr_db, result.max_abs_error) == (0.99, None, None)
    assert not result.misses(precision_named("int8").limits)
    assert "agreement 99.00%" in result.misses(precision_named("int8").limits, Required(agreement=0.995))
    turned = verified(1 - reference.astype(int), reference, "equal")
    assert all("agreement" in turned.misses(precision.limits) for precision in PRECISIONS.values())


def test_ids_beyond_float32_are_reported_apart() -> None:
    reference = np.arange(50, dtype=np.int64) + 2**40
    assert verified(reference, reference, "equal").agreement == 1
    assert verified(reference + 1, reference, "equal").agreement == 0
    # An artefact that gives whole numbers as floats, a hair off.
    assert verified(np.arange(50) + np.float32(1e-3), np.arange(50), "equal").agreement == 1


def probabilities(winners: np.ndarray, sure: np.ndarray) -> np.ndarray:
    rest = ((1 - sure) / 2)[:, None].repeat(3, axis=1)
    rest[np.arange(len(winners)), winners] = sure
    return rest.astype(np.float32)


ZEROS, MIXED = np.zeros(100, int), np.arange(100) % 3
SURE, UNSURE = np.full(100, 0.9), np.linspace(0.5, 0.9, 100)
MAPS = np.zeros((30, 8, 8), np.int64)
SHAPED = np.broadcast_to(np.eye(8, dtype=np.int64), (30, 8, 8))


@pytest.mark.parametrize(
    ("reference", "decision", "silent"),
    [
        (probabilities(MIXED, UNSURE), "largest", {}),
        (probabilities(ZEROS, UNSURE), "largest", {"agreement": "the model says class 0 to all 100 samples"}),
        (probabilities(ZEROS, SURE), "largest", {"agreement": "class 0", "sqnr_db": "hardly vary over all 100"}),
        (probabilities(ZEROS + (np.arange(100) == 7), UNSURE), "largest", {"agreement": "0 to nearly all of 100"}),
        (probabilities(ZEROS + (np.arange(100) < 3), UNSURE), "largest", {}),
        (np.linspace(0.6, 0.9, 50)[:, None], "half", {"agreement": "says yes to all 50"}),
        (np.linspace(0.4, 0.9, 50)[:, None], "half", {}),
        (MAPS, "equal", {"agreement": "answers 0 to all 30"}),
        (SHAPED, "equal", {"agreement": "answers the same to all 30"}),
        (np.roll(SHAPED, 1, axis=1) * (np.arange(30) % 2)[:, None, None], "equal", {}),
        (MAPS.astype(bool), "equal", {"agreement": "says no to all 30"}),
        (np.full((40, 3), 7.0), None, {"sqnr_db": "hardly vary"}),
        (np.broadcast_to(np.arange(6.0), (40, 6)), None, {"sqnr_db": "hardly vary"}),
        (np.zeros((40, 3)), None, {"sqnr_db": "hardly vary"}),
        (1e3 + 1e-4 * RANDOM.normal(size=(40, 3)), None, {"sqnr_db": "hardly vary"}),
        (1e3 + RANDOM.normal(size=(40, 3)), None, {}),
        (RANDOM.normal(size=(1, 500)), None, {"sqnr_db": "one held-out sample only"}),
        (RANDOM.normal(size=(1, 9)), "largest", {"agreement": "one held-out sample", "sqnr_db": "one held-out sample"}),
    ],
)  # fmt: skip
def test_one_answer_to_all_samples_shows_nothing(reference: np.ndarray, decision: str | None, silent: dict) -> None:
    found = inconclusive_figures(reference, decision)
    assert found.keys() == silent.keys()
    assert all(silent[figure] in found[figure] for figure in silent)


def test_what_shows_nothing_meets_no_requirement() -> None:
    constant, lively = np.full((40, 3), 7.0, np.float32), RANDOM.normal(size=(40, 3)).astype(np.float32)
    limits = precision_named("int8").limits
    one = verified(constant, constant)
    assert not one.misses(limits)
    assert "the SQNR that is required cannot be shown: the model's answers hardly" in one.misses(
        limits, Required(sqnr_db=10)
    )
    assert not verified(lively, lively).misses(limits, Required(sqnr_db=10))
    # What is missed twice is said once.
    far = verified(-lively, lively).misses(limits, Required(sqnr_db=10))
    assert far.count("SQNR -6.0 dB") == 1
    # Of several outputs the one that shows nothing is named, and counts.
    both = {"a": lively, "b": constant}
    assert compare(both, both, {}).inconclusive == {
        "sqnr_db": "for b the model's answers hardly vary over all 40 samples"
    }
    assert "cannot be shown: for b" in compare(both, both, {}).misses(limits, Required(sqnr_db=10))
    # A requirement of values is met where the decisions alone are always the same.
    same = probabilities(ZEROS, UNSURE)
    assert not verified(same, same, "largest").misses(limits, Required(sqnr_db=10))
    assert "agreement that is required" in verified(same, same, "largest").misses(limits, Required(agreement=0.5))


def test_columns_that_do_not_vary_are_found() -> None:
    values = RANDOM.normal(size=(40, 4))
    assert constant_columns(values) == []
    values[:, [1, 3]] = 5.0
    assert constant_columns(values) == [1, 3]
    assert constant_columns(np.ones((40, 4))) == []


def rounded(reference: np.ndarray, scale: float) -> dict[str, Rounding]:
    """What rounding explains where it moves answers by so much of their size."""
    places = sampled(np.zeros(len(reference)), 16)
    noise = scale * np.abs(reference).max() * RANDOM.uniform(-1, 1, reference.shape)
    return {"y": measured(places, reference[list(places)], (reference + noise)[list(places)])}


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-4])
def test_float32_may_be_off_by_what_rounding_explains_and_no_more(scale: float) -> None:
    reference = RANDOM.normal(size=(200, 6)).astype(np.float32)
    rounding = rounded(reference, scale)
    for times, fails in ((3, False), (100, True)):
        error = times * max(scale, 2e-7) * np.abs(reference).max() * RANDOM.uniform(-1, 1, reference.shape)
        missed = verified((reference + error).astype(np.float32), reference, rounding=rounding).misses(FLOAT32)
        assert ("times what float32 rounding explains" in missed) is fails, (times, missed)


def test_a_fault_that_rounding_is_too_small_for_fails_however_small() -> None:
    reference = RANDOM.normal(size=(200, 6)).astype(np.float32)
    assert verified(reference * np.float32(1.001), reference, rounding=rounded(reference, 1e-6)).misses(FLOAT32)
    assert verified(reference * np.float32(1.00005), reference, rounding=rounded(reference, 1e-6)).misses(FLOAT32)
    assert not verified(reference * np.float32(1.00005), reference).misses(FLOAT32), "without it 1e-4 is the limit"


def test_one_bad_sample_does_not_excuse_a_fault_in_all() -> None:
    reference = RANDOM.normal(size=(200, 6)).astype(np.float32)
    other = reference.astype(np.float64)
    other[0] += 1e-3
    places = tuple(range(16))
    rounding = {"y": measured(places, reference[:16], other[:16])}
    assert not verified(other.astype(np.float32), reference, rounding=rounding).misses(FLOAT32)
    assert verified(reference * np.float32(1.005), reference, rounding=rounding).misses(FLOAT32)


def test_decisions_in_float32_may_flip_where_rounding_flips_them() -> None:
    reference = RANDOM.integers(0, 5, (200, 10))
    flipped = reference.copy()
    flipped[:8, :8] += 1
    places = tuple(range(16))
    none, many = (Rounding(places, 0.0, 0.0, flips=share) for share in (0.0, 0.1))
    one = reference.copy()
    one[0] += 1
    assert not verified(one, reference, "equal", rounding={"y": none}).misses(FLOAT32)
    assert "agreement" in verified(flipped, reference, "equal", rounding={"y": none}).misses(FLOAT32)
    assert not verified(flipped, reference, "equal", rounding={"y": many}).misses(FLOAT32)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_rounding_explains_answers_that_are_no_numbers(value: float) -> None:
    reference = RANDOM.normal(size=(20, 6)).astype(np.float32)
    answer = reference.copy()
    answer[3, 3] = value
    assert verified(answer, reference, rounding=rounded(reference, 1e-3)).misses(FLOAT32)


def test_rounding_is_measured_where_the_errors_are_and_evenly_elsewhere() -> None:
    errors = np.zeros(100)
    errors[[17, 55]] = 1.0
    places = sampled(errors, 16)
    assert {0, 17, 55, 99} <= set(places)
    assert len(places) <= 16
    assert sampled(np.zeros(3), 16) == (0, 1, 2)
