"""Numbers and counts as people read them."""

import math
from collections.abc import Sequence

THIN = "\u202f"
DASH = "\u2013"
MINUS = "\u2212"


def figures(value: float, *, digits: int = 3) -> str:
    """Return a number with so many figures that count, never with an exponent: 0.183, 12.7, 1,520."""
    if not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    decimals = max(0, min(digits - 1 - math.floor(math.log10(abs(value))), 6))
    return signed(f"{value:,.{decimals}f}")


def amount(value: float) -> str:
    """Return an amount with two decimals below 10, one below 100, and else none: 4.10, 12.7, 1,520."""
    return signed(f"{value:,.{_decimals_of(value)}f}") if math.isfinite(value) else DASH


def amounts(low: float, high: float) -> str:
    """Return an interval of amounts, both ends with the decimals of the larger one."""
    return between(*(f"{end:,.{_decimals_of(max(abs(low), abs(high)))}f}" for end in (low, high)))


def signed(text: str) -> str:
    """Return a number with a true minus."""
    return text.replace("-", MINUS)


def span(low: float, high: float, *, digits: int = 3) -> str:
    """Return an interval; both ends have the decimals of the larger one."""
    return between(*(f"{value:,.{_decimals(max(abs(low), abs(high)), digits)}f}" for value in (low, high)))


def between(low: str, high: str) -> str:
    """Return an interval of which both ends are text."""
    separator = f"{THIN}to{THIN}" if "-" in low or "-" in high else DASH
    return signed(f"{low}{separator}{high}")


def percent(share: float, *, decimals: int = 2) -> str:
    """Return a share, 0 to 1, in percent, without the sign."""
    return f"{100 * share:.{decimals}f}"


def percent_span(ends: tuple[float, float], *, decimals: int = 2) -> str:
    """Return an interval of shares in percent, without the sign."""
    return between(percent(ends[0], decimals=decimals), percent(ends[1], decimals=decimals))


def counted(count: int, thing: str, things: str = "") -> str:
    """Return a count with the word for it: 1 image, 2 images."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def size(count: float) -> str:
    """Return bytes in the unit that suits them."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{figures(count / factor)}{THIN}{unit}"
    return f"{count:.0f}{THIN}B"


def enumerated(words: Sequence[str]) -> str:
    """Return words as an English list: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def moment(iso: str) -> str:
    """Return a time in ISO 8601 without seconds and offset: 2026-11-22 23:49 UTC."""
    date, _, clock = iso.partition("T")
    return f"{date} {clock[:5]} UTC" if clock.endswith(("+00:00", "Z")) else iso


def p_value(value: float) -> str:
    """Return the p-value of a test."""
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def shortened(text: str, most: int) -> str:
    """Return a text, cut in its middle if it is longer."""
    return text if len(text) <= most else f"{text[: most // 2]}\u2026{text[-(most - most // 2 - 1) :]}"


def _decimals_of(amount_: float) -> int:
    return 2 if abs(amount_) < 9.995 else 1 if abs(amount_) < 99.95 else 0


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(value))) if value > 0 and math.isfinite(value) else 0
