"""What the reference's own answers can show: nothing, where it answers the same to all samples."""

from typing import Any

import numpy as np

from edgeport.runtime.tensors.arrays import Tensor

# So many of the samples with one answer are nearly all of them.
_NEARLY_ALL = 0.99
# Values that vary by a smaller share of their size than this do not vary beyond rounding ...
_LEAST_CHANGE = 1e-5
# ... and probabilities that vary by less than this give 60 dB to a file that answers them with a constant.
_LEAST_CHANGE_OF_PROBABILITIES = 1e-3


def decided(values: Tensor, decision: str, *, like: Tensor | None = None) -> Tensor:
    """Return what an output decides.

    Args:
        values: Of shape (n, ...).
        decision: ``largest`` of the last axis, ``half`` for values above one half, or ``equal`` for values that are
            decisions themselves.
        like: For ``equal``, the reference, whose integers an artefact may give as floats.
    """
    if decision == "largest":
        largest: Tensor = values.argmax(axis=-1)
        return largest
    if decision == "half":
        return values > 0.5
    return np.rint(values) if like is not None and values.dtype.kind == "f" else values


def inconclusive_figures(reference: Tensor, decision: str | None) -> dict[str, str]:
    """Return which of ``agreement`` and ``sqnr_db`` a file would reach that answers the same to every sample, and why.

    Args:
        reference: The model's answers on the held-out samples, of shape (n, ...).
        decision: How the output decides; None if it holds values.
    """
    count = len(reference)
    figures = ["agreement"] * (decision is not None) + ["sqnr_db"] * (decision != "equal")
    if count < 2:
        return dict.fromkeys(figures, "there is one held-out sample only")
    shown = {}
    if decision is not None:
        answers = decided(reference, decision).reshape(count, -1)
        if _share_of_one_answer(answers) >= _NEARLY_ALL:
            shown["agreement"] = f"the model {_one_answer(answers, decision)} {_all_of(count, answers)}"
    if decision != "equal" and not _varies(reference, decision):
        shown["sqnr_db"] = f"the model's answers hardly vary over all {count} samples"
    return shown


def constant_columns(reference: Tensor) -> list[int]:
    """Return the columns (places on the last axis) of an output of values that do not vary, while others do."""
    if reference.ndim < 2 or len(reference) < 2:
        return []
    columns = reference.astype(np.float64).reshape(-1, reference.shape[-1])
    still = np.ptp(columns, axis=0) <= _LEAST_CHANGE * np.abs(columns).max()
    return [] if still.all() else np.flatnonzero(still).tolist()


def _share_of_one_answer(answers: Tensor) -> float:
    """Return the agreement that the best constant answer would reach: at each place the most common decision."""
    ordered = np.sort(answers, axis=0)
    places = np.arange(len(ordered))[:, np.newaxis]
    begins = np.concatenate([np.ones_like(ordered[:1], bool), ordered[1:] != ordered[:-1]])
    runs = places - np.maximum.accumulate(np.where(begins, places, 0), axis=0) + 1
    return float(runs.max(axis=0).sum() / answers.size)


def _varies(reference: Tensor, decision: str | None) -> bool:
    values = reference.astype(np.float64)
    if decision is None:
        return bool(np.ptp(values, axis=0).max() > _LEAST_CHANGE * np.abs(values).max())
    change = np.square(values - values.mean(axis=0)).mean()
    return bool(change > _LEAST_CHANGE_OF_PROBABILITIES**2 * np.square(values).mean())


def _one_answer(answers: Tensor, decision: str) -> str:
    kinds, counts = np.unique(answers, return_counts=True)
    if counts.max() < _NEARLY_ALL * answers.size:
        return "answers the same"
    usual: Any = kinds[counts.argmax()]
    if answers.dtype.kind == "b":
        return f"says {'yes' if usual else 'no'}"
    return f"says class {usual}" if decision == "largest" else f"answers {usual}"


def _all_of(count: int, answers: Tensor) -> str:
    same = bool((answers == answers[0]).all())
    return f"to all {count} samples" if same else f"to nearly all of {count} samples"
