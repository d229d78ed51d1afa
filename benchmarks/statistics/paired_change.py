"""How a figure of any kind changes from one model to another on the same samples, and whether chance could do it."""

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from edgeport.benchmarks.statistics.paired import SIGNIFICANCE, Paired, loss_interval, paired_answers, smallest_loss
from edgeport.benchmarks.tasks.metric import SHARE, Array, Floats, Metric, MetricError

DRAWS = 2000
# What a slow metric gets, after as many draws as say how slow it is.
_FEWER, _TRIED = (1000, 500, 200), 10
# Of fewer samples, the spread of draws is too rough to judge by.
FEWEST = 20
# A change of less, as a share of the figure, is that of rounding, however sure it is.
_ROUNDING = 1e-5
# A figure that most draws leave without a value (one class only, say) has no interval.
_LEAST_DRAWN = 0.9


@dataclass(frozen=True)
class Change:
    """A figure of a reference, the same of another model, and how far the difference can be trusted.

    Attributes:
        metric: What was computed.
        reference: The figure of the reference.
        other: That of the other model.
        loss: By how much it is worse, in the metric's own unit; negative if it is better.
        low: Where the 95 % interval of the loss begins; minus infinity if there are too few samples for one.
        high: Where it ends; infinite likewise.
        detectable: The smallest loss that would have been called significant; infinite likewise.
        p_value: How often chance alone would give such a change, by the same test as the interval.
        count: How many samples, or groups of samples, were drawn from.
        same: Whether both models answered every sample alike, bit for bit.
        paired: What became of the samples, where every answer is right or wrong.
        draws: How many draws of the samples the interval rests on; 0 if on none.
    """

    metric: Metric
    reference: float
    other: float
    loss: float
    low: float
    high: float
    detectable: float
    p_value: float
    count: int
    same: bool = False
    paired: Paired | None = None
    draws: int = 0

    @property
    def significant(self) -> bool:
        """Whether chance alone hardly explains it, at 5 %, and it is more than rounding."""
        return self.p_value < SIGNIFICANCE and not self.rounded

    @property
    def rounded(self) -> bool:
        """Whether the change is so small, as a share of the figure, that rounding explains it."""
        return self.paired is None and abs(self.loss) <= _ROUNDING * abs(self.reference)

    def detectable_among(self, tests: int) -> float:
        """Return the smallest loss that would have been called significant as the first of so many tests by Holm."""
        if self.paired is not None:
            return smallest_loss(self.paired, tests=tests) / self.count
        if not math.isfinite(self.detectable) or tests < 2:
            return self.detectable
        strict, usual = (stats.t.ppf(1 - SIGNIFICANCE / 2 / each, max(self.count - 1, 1)) for each in (tests, 1))
        return self.detectable * float(strict / usual)


def paired_change(
    metric: Metric,
    truth: Array,
    reference: Array,
    other: Array,
    *,
    groups: npt.NDArray[np.int64] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    drawn: Floats | None = None,
    patience: float = math.inf,
) -> Change:
    """Return how a metric changes from a reference's answers to another model's, on the same samples.

    Where every answer is right or wrong, McNemar's exact test decides. Otherwise samples are drawn with replacement,
    the same for both models (the paired bootstrap of Efron and Tibshirani, "An introduction to the bootstrap", 1993),
    and the interval is widened for few samples as Student's is (Hesterberg, "What teachers should know about the
    bootstrap", 2015): it is significant if the interval leaves out zero, and more than rounding has changed.

    Args:
        metric: What is computed.
        truth: The truth of n samples.
        reference: The reference's answers.
        other: The other model's.
        groups: Which group each sample is in, 0 to n - 1: whole groups are drawn, as samples of one file or one speaker
            are alike. None if each sample stands for itself.
        draws: How many times samples are drawn.
        seed: Of the random numbers; the same seed gives the same interval.
        drawn: ``drawn_figures`` of the reference's answers, with the same groups and the same seed, for who has them.
        patience: See ``drawn_figures``.

    Raises:
        MetricError: The metric has no figure for the answers of one of the two.

    Examples:
        >>> import numpy as np
        >>> from edgeport.benchmarks.tasks.rankings import ROC_AUC
        >>> random = np.random.default_rng(0)
        >>> truth = random.integers(0, 2, 500)
        >>> scores = truth + random.normal(size=500)
        >>> change = paired_change(ROC_AUC, truth, scores, scores + random.normal(size=500))
        >>> change.significant, round(change.reference, 2), round(change.loss, 2)
        (True, 0.77, 0.07)
    """
    figures = _figure(metric, truth, reference), _figure(metric, truth, other)
    loss = metric.loss(*figures)
    count = len(truth) if groups is None else int(groups.max()) + 1
    # That one decision a sample is the same says less than that real values are, bit for bit.
    decides = reference.dtype.kind == "f" or reference.size > len(reference)
    same = decides and bool(np.array_equal(reference, other))
    if metric.right is not None and groups is None and not same:
        was, is_ = metric.right(truth, reference), metric.right(truth, other)
        paired = paired_answers(np.ones(len(truth), np.int64), was.astype(np.int64), is_.astype(np.int64))
        return change_of_answers(metric, paired, *figures)
    if count < FEWEST:
        return Change(metric, *figures, loss, -math.inf, math.inf, math.inf, 1.0, count, same)
    losses = np.zeros(1)
    if not same:
        if drawn is None:
            drawn = drawn_figures(metric, truth, reference, groups=groups, draws=draws, seed=seed, patience=patience)
        others = drawn_figures(metric, truth, other, groups=groups, draws=len(drawn), seed=seed)
        losses = np.array([metric.loss(float(one), float(two)) for one, two in zip(drawn, others, strict=True)])
        losses = losses[np.isfinite(losses)]
        if len(losses) < _LEAST_DRAWN * len(drawn):
            return Change(metric, *figures, loss, -math.inf, math.inf, math.inf, 1.0, count, same)
    tail = stats.norm.cdf(math.sqrt(count / (count - 1)) * stats.t.ppf(SIGNIFICANCE / 2, count - 1))
    low, high = (float(each) for each in np.quantile(losses, (tail, 1 - tail)))
    if low == high and metric.unit == SHARE and not same:
        # No draw changed anything, and neither would those of so many samples if a few of all could.
        hidden = 1 - (SIGNIFICANCE / 2) ** (1 / count)
        low, high = low - hidden, high + hidden
    size = 0 if same else len(losses)
    return Change(metric, *figures, loss, low, high, (high - low) / 2, _p_value(losses, count), count, same, draws=size)


def drawn_figures(
    metric: Metric,
    truth: Array,
    answers: Array,
    *,
    groups: npt.NDArray[np.int64] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    patience: float = math.inf,
) -> Floats:
    """Return the figure of a model's answers in each of many draws of the samples; NaN in one that gives none.

    The first draws of two models with the same seed are of the same samples, however many there are.

    Args:
        metric: What is computed.
        truth: The truth of n samples.
        answers: The model's answers.
        groups: See ``paired_change``.
        draws: How many times samples are drawn.
        seed: Of the random numbers.
        patience: Seconds that all draws may take: a metric that is slower gets 1,000, 500 or 200 of them.
    """
    random = np.random.default_rng(seed)
    count = len(truth) if groups is None else int(groups.max()) + 1
    weighted = metric.drawn(truth, answers)
    figures: list[float] = []
    began = time.perf_counter()
    while len(figures) < draws:
        weights = np.bincount(random.integers(count, size=count), minlength=count).astype(np.float64)
        figures.append(weighted(weights if groups is None else weights[groups]))
        if len(figures) == _TRIED and draws > _TRIED:
            one = (time.perf_counter() - began) / _TRIED
            draws = next((each for each in (draws, *_FEWER) if each * one <= patience), min(_FEWER))
    return np.array(figures)


def _figure(metric: Metric, truth: Array, answers: Array) -> float:
    figure = metric.value(truth, answers)
    if not math.isfinite(figure):
        raise MetricError(f"metric {metric.name}: got {figure} for all {len(truth):,} answers, expected a number")
    return figure


def _p_value(losses: Floats, count: int) -> float:
    """Return at which level the interval of the draws, widened as it is, would begin to leave out zero."""
    beyond = min(int((losses <= 0).sum()), int((losses >= 0).sum()))
    tail = stats.norm.ppf(min((beyond + 1) / (len(losses) + 1), 0.5)) * math.sqrt((count - 1) / count)
    return float(min(1.0, 2 * stats.t.cdf(tail, count - 1)))


def change_of_answers(metric: Metric, paired: Paired, reference: float, other: float) -> Change:
    """Return how a share of right answers changes, by McNemar's exact test.

    Args:
        metric: What the share is called.
        paired: What became of each answer.
        reference: The share of the reference, 0 to 1.
        other: That of the other model.
    """
    interval, detectable = loss_interval(paired), smallest_loss(paired) / paired.count
    figures = metric, reference, other, paired.loss
    return Change(*figures, *interval, detectable, paired.p_value, paired.count, paired=paired)
