"""Two models on the same images: what changed, and whether chance could have done it.

Both answer the same images, so only the images on which one is right and the other wrong tell them apart. That is
why a paired test sees a loss of six images in 10,000, where two separate accuracies differ by chance by 20 or more.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

SIGNIFICANCE = 0.05
_TINY = 1e-12


@dataclass(frozen=True)
class Paired:
    """How the answers of a model changed from a reference's, image by image.

    Attributes:
        count: Images that both answered.
        right_to_wrong: Images that the reference has right and the other wrong.
        wrong_to_right: Images that the reference has wrong and the other right.
        wrong_to_other: Images that both have wrong, with different answers.
    """

    count: int
    right_to_wrong: int
    wrong_to_right: int
    wrong_to_other: int

    @property
    def flips(self) -> int:
        """Images that the two answer differently."""
        return self.right_to_wrong + self.wrong_to_right + self.wrong_to_other

    @property
    def agreement(self) -> float:
        """The share of images that the two answer alike, 0 to 1."""
        return (self.count - self.flips) / self.count

    @property
    def agreement_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the agreement."""
        return wilson_interval(self.count - self.flips, self.count)

    @property
    def loss(self) -> float:
        """The accuracy lost, as a share of the images: 0.01 is one point; a gain is negative."""
        return (self.right_to_wrong - self.wrong_to_right) / self.count

    @property
    def p_value(self) -> float:
        """The exact two-sided McNemar p-value of the loss or gain."""
        return mcnemar_p(self.right_to_wrong, self.wrong_to_right)


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927. Unlike the normal
    approximation it stays within 0 and 1, and holds for shares near 1 such as accuracies.

    Args:
        successes: How many of ``count`` trials succeeded.
        count: How many trials there were, at least 1.
    """
    interval = binomtest(successes, count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def paired_answers(
    truth: npt.NDArray[np.integer], reference: npt.NDArray[np.integer], other: npt.NDArray[np.integer]
) -> Paired:
    """Return how another model's answers differ from the reference's.

    Args:
        truth: The true class of each image, of shape (n,).
        reference: The reference's answers, of shape (n,).
        other: The other model's answers, of shape (n,).
    """
    was_right, is_right = reference == truth, other == truth
    return Paired(
        count=len(truth),
        right_to_wrong=int((was_right & ~is_right).sum()),
        wrong_to_right=int((~was_right & is_right).sum()),
        wrong_to_other=int((~was_right & ~is_right & (reference != other)).sum()),
    )


def mcnemar_p(losses: int, gains: int) -> float:
    """Return the exact two-sided p-value of McNemar's test.

    McNemar, "Note on the sampling error of the difference between correlated proportions", 1947. If neither model
    is better, each image on which one alone is right is a fair coin, so the p-value is that of a binomial test.

    Args:
        losses: Images that the reference alone has right.
        gains: Images that the other model alone has right.
    """
    return float(binomtest(losses, losses + gains).pvalue) if losses + gains else 1.0


def smallest_loss(paired: Paired, *, tests: int = 1) -> int:
    """Return the smallest net loss, in images, that the test would have called significant at 5 %.

    The images that were won stay as they are: they are the noise above which a loss must stand out. It is 6 without
    any, since five coins that fall alike are still chance (p = 0.0625), and six are not (p = 0.031).

    Args:
        paired: What became of the images.
        tests: Of how many tests it is the first, by Holm.
    """
    gains = paired.wrong_to_right
    too_few, enough = gains, gains + 6
    while tests * mcnemar_p(enough, gains) >= SIGNIFICANCE:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if tests * mcnemar_p(middle, gains) < SIGNIFICANCE:
            enough = middle
        else:
            too_few = middle
    return enough - gains


def loss_interval(paired: Paired) -> tuple[float, float]:
    """Return the 95 % score interval of the loss, as shares of the images.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    1998. It holds for few images and for few that changed: without lost or won images it ends at 3.84 / (n + 3.84), the
    largest loss that may be hidden.

    Args:
        paired: What became of each image.
    """
    lost, won, count = paired.right_to_wrong, paired.wrong_to_right, paired.count

    def score(loss: float) -> float:
        """Return how far the loss that was seen is from another one, in standard errors under that one."""
        one = 2 * count - lost + won
        linear, constant = one * loss - lost - won, -won * loss * (1 - loss)
        # The share of won images that is most likely if the loss is that one.
        share = (math.sqrt(max(linear**2 - 8 * count * constant, 0.0)) - linear) / (4 * count)
        variance = count * (2 * share + loss * (1 - loss))
        return (lost - won - count * loss) / math.sqrt(max(variance, _TINY))

    seen, limit = paired.loss, float(norm.ppf(1 - SIGNIFICANCE / 2))
    low = brentq(lambda loss: score(loss) - limit, -1 + _TINY, seen) if seen > -1 else -1.0
    high = brentq(lambda loss: score(loss) + limit, seen, 1 - _TINY) if seen < 1 else 1.0
    return float(low), float(high)
