"""Choose how activations get their ranges, by what each way does to the answers.

Every way makes a file from most of the calibration samples, and its engine answers the others. What verifies the
artefact afterwards, the held-out samples, is not looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgeport.export.conversion.ranges.methods import METHODS, MINMAX
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.evidence import decided
from edgeport.runtime.tensors.arrays import Tensor

SIGN = "sign"
# What options do to a graph so that integers lose less, in the order in which they are tried: what it is done to.
CURES = {"equalize": ("channels", "equalized"), "correct_biases": ("biases", "corrected")}
# A fifth of the samples judges, and no more than these.
_MOST_JUDGING = 200
# Another way must gain so much, and at so many standard errors, since three are tried.
_WORTH_DB, _CERTAIN = 0.5, 2.4
# Below this share of the signal a sample's error is none.
_EXACT = 1e-12

Answers = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a way of finding ranges does to the answers.

    Attributes:
        errors: For each sample its noise over the mean signal of all, summed over the outputs.
        flips: How many decisions change.
    """

    errors: npt.NDArray[np.float64]
    flips: int

    @property
    def sqnr_db(self) -> float:
        """The signal-to-quantization-noise ratio over all samples."""
        return float(-10 * np.log10(max(self.errors.mean(), _EXACT)))


@dataclass(frozen=True)
class Choice:
    """How the ranges of a file were chosen.

    Attributes:
        method: One of ``METHODS``.
        judged: What it does to the answers.
        text: What each way gave, in words.
    """

    method: str
    judged: Judged
    text: str


def divided(calibration: CalibrationSet) -> tuple[CalibrationSet, dict[str, Tensor]]:
    """Return the samples that ranges are taken from, and others that judge them."""
    judging = min(max(calibration.count // 5, 1), _MOST_JUDGING)
    kept = calibration.count - judging
    return (
        replace(calibration, samples={name: array[:kept] for name, array in calibration.samples.items()}),
        {name: array[kept:] for name, array in calibration.samples.items()},
    )


def judged(answers: Answers, reference: Answers, decisions: Mapping[str, str]) -> Judged:
    """Return what a file's answers have lost.

    Args:
        answers: Of the file, values of shape (n, ...) by output.
        reference: Of the model.
        decisions: How outputs decide: see ``compare``; ``sign`` for logits of what decides by one half.
    """
    errors, flips = np.zeros(len(next(iter(reference.values())))), 0
    for name, expected in reference.items():
        answer, decision = answers[name], decisions.get(name)
        if decision is not None:
            changed = _decided(answer, decision, expected) != _decided(expected, decision, expected)
            flips += int(changed.sum())
        if decision == "equal":
            errors += changed.reshape(len(expected), -1).mean(axis=1)
            continue
        signal, noise = expected.astype(np.float64), answer.astype(np.float64) - expected
        if decision == "largest":
            # What all classes share decides nothing, and a softmax takes it off.
            signal, noise = (each - each.mean(axis=-1, keepdims=True) for each in (signal, noise))
        noise = np.square(noise).reshape(len(noise), -1).mean(axis=1)
        errors += noise / (float(np.square(signal).mean()) or 1.0)
    return Judged(errors, flips)


def _decided(values: Tensor, decision: str, like: Tensor) -> Tensor:
    return values > 0 if decision == SIGN else decided(values, decision, like=like)


def is_better(one: Judged, other: Judged) -> bool:
    """Whether ``one`` is measurably better: in total, sample by sample beyond chance, and with no more flips."""
    if one.flips > other.flips or one.sqnr_db < other.sqnr_db + _WORTH_DB:
        return False
    gains = np.log(np.maximum(other.errors, _EXACT) / np.maximum(one.errors, _EXACT))
    spread = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    return bool(gains.mean() > _CERTAIN * spread)


def chosen(make: Callable[[str], Judged]) -> Choice:
    """Return the method with the least error of those that are measurably better than min-max, else min-max.

    Args:
        make: Returns what a method does.
    """
    tried = {method: make(method) for method in METHODS}
    usual = tried[MINMAX]
    better = [method for method, each in tried.items() if is_better(each, usual)]
    best = max(better, key=lambda method: tried[method].sqnr_db, default=MINMAX)
    return Choice(best, tried[best], _text(best, tried))


def cured(cure: str, one: Judged, other: Judged) -> tuple[bool, str]:
    """Return whether a cure makes a file measurably better, and what it gave, in words.

    Args:
        cure: One of ``CURES``.
        one: What a file does with it.
        other: What it does without.
    """
    better = is_better(one, other)
    what, done = CURES[cure]
    count = len(one.errors)
    figures = f"{_figure(one)} with it, {_figure(other)} without, on {count} sample{'s' * (count != 1)} apart"
    return better, f"{what} {'' if better else 'not '}{done} ({figures})"


def _text(best: str, tried: Mapping[str, Judged]) -> str:
    figures = ", ".join(f"{method} {_figure(each)}" for method, each in tried.items())
    reason = "" if best != MINMAX else ": no other is measurably better"
    count = len(tried[best].errors)
    return f"ranges by {best}{reason} ({figures}, on {count} sample{'s' * (count != 1)} apart)"


def _figure(judged: Judged) -> str:
    changed = f" and {judged.flips} other decision{'s' * (judged.flips != 1)}" if judged.flips else ""
    return f"{judged.sqnr_db:.1f} dB{changed}"
