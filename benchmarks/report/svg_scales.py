"""Scales and ticks of charts, and how wide a text will be."""

import itertools
import math
from dataclasses import dataclass

# Of sans-serif fonts, on the generous side: fonts differ, and labels must not run into each other in any.
_CHARACTER, _WIDE, _THIN = 0.62, 0.78, 0.39
_WIDE_ONES = frozenset("ABCDEFGHKMNOPQRUVWXYZmw_%\u2026")
_THIN_ONES = frozenset("fijlrtI.,:;'|()[] \u202f\u2013")


@dataclass(frozen=True)
class Scale:
    """From values to coordinates.

    Attributes:
        low: The least value, above 0 on a logarithmic scale.
        high: The largest value, above ``low``.
        start: The coordinate of ``low``.
        end: The coordinate of ``high``.
        logarithmic: Whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value; one beyond the ends is moved to the end."""
        low, high = self._bent(self.low), self._bent(self.high)
        share = (self._bent(value) - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return round values between the ends, ``most`` of them or fewer."""
        return _log_ticks(self.low, self.high, most) if self.logarithmic else _linear_ticks(self.low, self.high, most)

    def _bent(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.logarithmic else value


def scale_over(
    values: list[float], start: float, end: float, *, logarithmic: bool = False, margin: float = 0.05
) -> Scale:
    """Return a scale that holds all of some values, with a margin.

    Args:
        values: At least one; above 0 if the scale is logarithmic.
        start: The coordinate of the least.
        end: The coordinate of the largest.
        logarithmic: Whether equal distances are equal ratios.
        margin: What to leave free at each end, as a share of the whole.
    """
    low, high = min(values), max(values)
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    room = margin * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - room, high + room
    return Scale(10**low if logarithmic else low, 10**high if logarithmic else high, start, end, logarithmic)


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is.

    Args:
        text: One line.
        size: The font size.
    """
    widths = (_WIDE if one in _WIDE_ONES else _THIN if one in _THIN_ONES else _CHARACTER for one in text)
    return size * sum(widths)


def fitted(text: str, size: float, width: float) -> str:
    """Return a text, cut in its middle if it is wider than there is room for.

    Args:
        text: One line.
        size: The font size.
        width: How wide it may be.
    """
    cut, kept = text, len(text)
    while text_width(cut, size) > width and kept > 3:
        kept -= 1
        cut = f"{text[: (kept + 1) // 2]}\u2026{text[len(text) - kept // 2 :]}"
    return cut


def tick_texts(values: list[float]) -> list[str]:
    """Return the texts of the ticks of an axis; those of a linear one have the same number of decimals."""
    steps = [after - before for before, after in itertools.pairwise(values)]
    if steps and max(steps) - min(steps) < 1e-6 * max(steps):
        decimals = max(0, min(-math.floor(math.log10(steps[0]) + 1e-9), 6))
        return [f"{value + 0.0:,.{decimals}f}".replace("-", "\u2212") for value in values]
    return [f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}".replace("-", "\u2212") for value in values]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            # Within a narrow range hardly a round number of these lies, but many of a linear scale.
            return ticks if len(ticks) >= 3 or high > 10 * low else _linear_ticks(low, high, most)
    return ticks[:: math.ceil(len(ticks) / most)]


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    power = 10.0 ** math.floor(math.log10((high - low) / max(most, 1)))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [place * step for place in range(first, last + 1)]
    return [low, high]
