"""Compare what an artefact answers with what the model answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgeport.export.conversion.options import Required
from edgeport.export.verification.evidence import decided, inconclusive_figures
from edgeport.export.verification.rounding_error import Rounding
from edgeport.runtime.artefact.precisions import VerificationLimits
from edgeport.runtime.tensors.arrays import Tensor

# An output that hardly varies has no range to speak of: errors are then taken relative to a share of its size.
_LEAST_RANGE = 1e-2
# The least ratio, in dB, of how much a column varies to how far it is off. Below it the column says nothing.
LEAST_COLUMN_DB = 3.0


@dataclass(frozen=True)
class Verification:
    """How close an artefact's answers are to the model's; of several outputs, the worst of each figure.

    Attributes:
        samples: How many held-out samples were compared.
        max_abs_error: The largest difference in any output value; None if every output is a decision (booleans,
            integers), as are the next two.
        relative_error: The same as a share of the range of that output's values in the reference.
        sqnr_db: ``10 log10(sum(reference^2) / sum((reference - artefact)^2))``.
        agreement: The share of decisions (classes, yes and no, ids) that are the same, 0 to 1; None if no output is
            known to be one.
        column_db: The least SQNR of a column (a place on the last axis), taken after its mean is removed: large values
            or a large mean must not hide that a small one is lost. None if every output is known to be decisions.
        rounding: For float32, how many times the error is what float32 rounding alone does to the model's own answers;
            None if that was not measured.
        inconclusive: Which figures (``agreement``, ``sqnr_db``) show nothing about accuracy, and why: the reference
            answers the same, or nearly so, to all samples.
    """

    samples: int
    max_abs_error: float | None
    relative_error: float | None
    sqnr_db: float | None
    agreement: float | None
    column_db: float | None
    rounding: float | None = None
    inconclusive: Mapping[str, str] = field(default_factory=dict)

    def misses(self, limits: VerificationLimits, required: Required = Required()) -> str:  # noqa: B008 (frozen)
        """Return in words which limits of a precision, and which of the caller's own, are missed, or an empty text."""
        missed = self._own_misses(limits)
        for figure, name, value, least, text in (
            ("agreement", "agreement", self.agreement, required.agreement, f"{required.agreement:.2%}"),
            ("sqnr_db", "SQNR", self.sqnr_db, required.sqnr_db, f"{required.sqnr_db:g} dB"),
        ):
            if least <= 0 or value is None:
                continue
            if not value >= least:
                got = f"{value:.2%}" if figure == "agreement" else f"{value:.1f} dB"
                missed[figure] = f"{name} {got}, required {text}"
            elif figure in self.inconclusive:
                missed[figure] = f"the {name} that is required cannot be shown: {self.inconclusive[figure]}"
        return "; ".join(missed.values())

    def _own_misses(self, limits: VerificationLimits) -> dict[str, str]:
        missed = {}
        if limits.rounding is not None and self.rounding is not None:
            # What rounding explains is no fault, however large; and nothing else is allowed.
            if not self.rounding <= limits.rounding:
                missed["rounding"] = (
                    f"{self._error_text()}, {self.rounding:,.0f} times what float32 rounding explains, expected up to "
                    f"{limits.rounding:g} times"
                )
        else:
            if self.relative_error is not None and not self.relative_error <= limits.error:
                missed["error"] = f"max error {self.relative_error:.2g} of the range, expected up to {limits.error:g}"
            if self.sqnr_db is not None and not self.sqnr_db >= limits.sqnr_db:
                missed["sqnr_db"] = f"SQNR {self.sqnr_db:.1f} dB, expected from {limits.sqnr_db:g} dB"
            # One changed sample is no finding, however few there are.
            agreement = min(limits.agreement, (self.samples - 1) / self.samples)
            if self.agreement is not None and not self.agreement >= agreement:
                missed["agreement"] = f"agreement {self.agreement:.2%}, expected from {agreement:.2%}"
        if self.column_db is not None and not self.column_db >= LEAST_COLUMN_DB:
            missed["column_db"] = f"one column of an output is lost (SQNR {self.column_db:.1f} dB without its mean)"
        return missed

    def _error_text(self) -> str:
        if self.relative_error is None:
            return f"agreement {self.agreement or 0:.2%}"
        return f"max error {self.relative_error:.2g} of the range"


def compare(
    answers: Mapping[str, Tensor],
    reference: Mapping[str, Tensor],
    decisions: Mapping[str, str],
    rounding: Mapping[str, Rounding] | None = None,
) -> Verification:
    """Return the differences between the outputs of an artefact and of the model.

    Args:
        answers: Values of shape (n, ...) for each output.
        reference: The same from the model; its first n samples are compared.
        decisions: How outputs decide: ``largest`` of the last axis, ``half`` for values above one half, or ``equal``
            for booleans and integers, which are decisions themselves.
        rounding: For each output what rounding explains, if that was measured.
    """
    results = {
        name: _compare_one(answer, reference[name][: len(answer)], decisions.get(name), (rounding or {}).get(name))
        for name, answer in answers.items()
    }
    inconclusive: dict[str, list[str]] = {}
    for name, result in results.items():
        for figure, why in result.inconclusive.items():
            whose = f"for {name} " if len(results) > 1 else ""
            inconclusive.setdefault(figure, []).append(f"{whose}{why}")

    def figures(name: str) -> list[float]:
        return [value for result in results.values() if (value := getattr(result, name)) is not None]

    return Verification(
        samples=next(iter(results.values())).samples,
        max_abs_error=max(figures("max_abs_error"), default=None),
        relative_error=max(figures("relative_error"), default=None),
        sqnr_db=min(figures("sqnr_db"), default=None),
        agreement=min(figures("agreement"), default=None),
        column_db=min(figures("column_db"), default=None),
        rounding=max(figures("rounding"), default=None),
        inconclusive={figure: "; ".join(reasons) for figure, reasons in inconclusive.items()},
    )


def _compare_one(answer: Tensor, reference: Tensor, decision: str | None, rounding: Rounding | None) -> Verification:
    inconclusive = inconclusive_figures(reference, decision)
    if decision == "equal":
        same = decided(answer, decision, like=reference) == reference
        times = rounding.times_flips(~same) if rounding else None
        return Verification(
            len(reference), None, None, None, float(same.mean()), None, rounding=times, inconclusive=inconclusive
        )
    error = np.abs(answer.astype(np.float64) - reference)
    noise, signal = float(np.square(error).sum()), float(np.square(reference.astype(np.float64)).sum())
    size = float(np.abs(reference).max())
    largest = float(error.max())
    agreement = None
    if decision is not None:
        finite = np.isfinite(largest)
        agreement = float((decided(answer, decision) == decided(reference, decision)).mean()) if finite else 0.0
    return Verification(
        samples=len(reference),
        max_abs_error=largest,
        relative_error=largest / (max(float(np.ptp(reference)), _LEAST_RANGE * size) or 1.0),
        # Exact equality has no finite ratio; 300 dB is beyond what float64 can resolve.
        sqnr_db=300.0
        if noise <= signal * 1e-30
        else 10 * float(np.log10(max(signal / noise, 1e-30)))
        if signal
        else 0.0,
        agreement=agreement,
        column_db=None if decision else _worst_column(answer, reference),
        rounding=rounding.times(error, size) if rounding else None,
        inconclusive=inconclusive,
    )


def _worst_column(answer: Tensor, reference: Tensor) -> float:
    """Return the least SQNR of a column without its mean; columns that do not vary beyond rounding are left out."""
    columns = reference.astype(np.float64).reshape(-1, reference.shape[-1] if reference.ndim > 1 else 1)
    signal = columns.var(axis=0)
    noise = np.square(answer.astype(np.float64).reshape(columns.shape) - columns).mean(axis=0)
    varies = signal > np.square(1e-5 * np.abs(columns).max())
    if not varies.any():
        return 300.0
    ratio = signal[varies] / np.maximum(noise[varies], 1e-30 * signal[varies])
    return float(10 * np.log10(np.maximum(ratio.min(), 1e-30)))
