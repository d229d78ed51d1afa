"""Compare what an artefact answers with what the model answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeport.export.precisions import Limits
from edgeport.runtime.arrays import FloatArray

# An output that hardly varies has no range to speak of: errors are then taken relative to a share of its size.
_LEAST_RANGE = 1e-2
# The least ratio, in dB, of how much a column varies to how far it is off. Below it the column says nothing.
LEAST_COLUMN_DB = 3.0


@dataclass(frozen=True)
class Verification:
    """How close an artefact's answers are to the model's; of several outputs, the worst of each figure.

    Attributes:
        samples: How many held-out samples were compared.
        max_abs_error: The largest difference in any output value.
        relative_error: The same as a share of the range of that output's values in the reference.
        sqnr_db: ``10 log10(sum(reference^2) / sum((reference - artefact)^2))``.
        agreement: The share of decisions (classes, or yes and no) that are the same, 0 to 1; None if no output is
            known to be classes.
        column_db: The least SQNR of a column (a place on the last axis), taken after its mean is removed: large values
            or a large mean must not hide that a small one is lost. None if every output is known to be classes.
    """

    samples: int
    max_abs_error: float
    relative_error: float
    sqnr_db: float
    agreement: float | None
    column_db: float | None

    def misses(self, limits: Limits) -> str:
        """Return in words which of the limits are missed, or an empty text."""
        missed = []
        if not self.relative_error <= limits.error:
            missed.append(f"max error {self.relative_error:.2g} of the range, expected up to {limits.error:g}")
        if not self.sqnr_db >= limits.sqnr_db:
            missed.append(f"SQNR {self.sqnr_db:.1f} dB, expected from {limits.sqnr_db:g}")
        if self.agreement is not None and not self.agreement >= limits.agreement:
            missed.append(f"agreement {self.agreement:.2%}, expected from {limits.agreement:.2%}")
        if self.column_db is not None and not self.column_db >= LEAST_COLUMN_DB:
            missed.append(f"one column of an output is lost (SQNR {self.column_db:.1f} dB without its mean)")
        return "; ".join(missed)


def compare(
    answers: Mapping[str, FloatArray], reference: Mapping[str, FloatArray], decisions: Mapping[str, str]
) -> Verification:
    """Return the differences between the outputs of an artefact and of the model.

    Args:
        answers: float32 of shape (n, ...) for each output.
        reference: The same from the model; its first n samples are compared.
        decisions: How outputs decide: ``largest`` of the last axis, or ``half`` for values above one half.
    """
    results = [
        _compare_one(answer, reference[name][: len(answer)], decisions.get(name)) for name, answer in answers.items()
    ]
    agreements = [result.agreement for result in results if result.agreement is not None]
    columns = [result.column_db for result in results if result.column_db is not None]
    return Verification(
        samples=results[0].samples,
        max_abs_error=max(result.max_abs_error for result in results),
        relative_error=max(result.relative_error for result in results),
        sqnr_db=min(result.sqnr_db for result in results),
        agreement=min(agreements, default=None),
        column_db=min(columns, default=None),
    )


def _compare_one(answer: FloatArray, reference: FloatArray, decision: str | None) -> Verification:
    error = np.abs(answer.astype(np.float64) - reference)
    noise, signal = float(np.square(error).sum()), float(np.square(reference.astype(np.float64)).sum())
    size = float(np.abs(reference).max())
    largest = float(error.max())
    return Verification(
        samples=len(reference),
        max_abs_error=largest,
        relative_error=largest / (max(float(np.ptp(reference)), _LEAST_RANGE * size) or 1.0),
        # Exact equality has no finite ratio; 300 dB is beyond what float64 can resolve.
        sqnr_db=300.0 if noise <= signal * 1e-30 else 10 * float(np.log10(signal / noise)) if signal else 0.0,
        agreement=_agreement(answer, reference, decision) if np.isfinite(largest) else None if not decision else 0.0,
        column_db=None if decision else _worst_column(answer, reference),
    )


def _worst_column(answer: FloatArray, reference: FloatArray) -> float:
    """Return the least SQNR of a column without its mean; columns that do not vary beyond rounding are left out."""
    columns = reference.astype(np.float64).reshape(-1, reference.shape[-1] if reference.ndim > 1 else 1)
    signal = columns.var(axis=0)
    noise = np.square(answer.astype(np.float64).reshape(columns.shape) - columns).mean(axis=0)
    varies = signal > np.square(1e-5 * np.abs(columns).max())
    if not varies.any():
        return 300.0
    ratio = signal[varies] / np.maximum(noise[varies], 1e-30 * signal[varies])
    return float(10 * np.log10(ratio.min()))


def _agreement(answer: FloatArray, reference: FloatArray, decision: str | None) -> float | None:
    if decision is None:
        return None
    if decision == "half":
        return float(((answer > 0.5) == (reference > 0.5)).mean())
    return float((answer.argmax(axis=-1) == reference.argmax(axis=-1)).mean())
