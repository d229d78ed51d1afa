"""How far a model's probabilities can be trusted, and how far another's are from them."""

import numpy as np
import numpy.typing as npt


def expected_calibration_error(
    confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_], *, bins: int = 15
) -> float:
    """Return the mean gap between how sure a model is and how often it is right, 0 to 1.

    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017: the answers are put in bins of
    equal width by their probability, and the gaps of the bins are weighted with their number of answers.

    Args:
        confidence: The probability of the winning class of each image, of shape (n,), 0 to 1.
        right: Whether that class is the true one, of shape (n,).
        bins: How many bins there are; each holds its upper bound and not its lower one.
    """
    inner_bounds = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    place = np.searchsorted(inner_bounds, confidence, side="left")
    # The weight of a bin, its number of answers, cancels with that of its two means.
    gaps = np.bincount(place, weights=np.asarray(right, np.float64) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def confidence_change(reference: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return the mean and the 99th percentile of the absolute change of the winning probability.

    Args:
        reference: The probability of the reference's winning class for each image, of shape (n,), 0 to 1.
        other: The same of another model on the same images.
    """
    change = np.abs(other - reference)
    return float(change.mean()), float(np.percentile(change, 99))
