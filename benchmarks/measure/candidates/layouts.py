"""Where the channels of a tensor stand: last, as TensorFlow has them, or first, as PyTorch does."""

from collections.abc import Sequence

Shape = Sequence[int | None]

FIRST, LAST, SAME = "channels-first", "channels-last", "same"
LAYOUTS = (FIRST, LAST, SAME)


def layout_of(own: Shape, wanted: Shape) -> str:
    """Return where a tensor has its channels, if it is another one with these moved from one end to the other.

    Args:
        own: Its axes, the samples first.
        wanted: Those of the other.

    Returns:
        ``channels-first`` or ``channels-last``; ``same`` for the same axes; empty for others.
    """
    given, axes = tuple(own[1:]), tuple(wanted[1:])
    if len(given) == len(axes) and all(None in pair or pair[0] == pair[1] for pair in zip(given, axes, strict=True)):
        return SAME
    if len(axes) < 2 or len(given) != len(axes):
        return ""
    return {axes[1:] + axes[:1]: LAST, axes[-1:] + axes[:-1]: FIRST}.get(given, "")


def is_ambiguous(own: Shape) -> bool:
    """Return whether a tensor has as many channels as places along each other axis: no shape says where they stand."""
    axes = tuple(own[1:])
    return len(axes) > 1 and len(set(axes)) == 1 and axes[0] not in (None, 1)


def axes_to(layout: str, rank: int) -> tuple[int, ...]:
    """Return how the axes of the other layout are put for this one, as ``numpy.transpose`` takes it.

    Args:
        layout: ``channels-first`` or ``channels-last``.
        rank: How many axes there are, that of the samples included.
    """
    middle = tuple(range(1, rank))
    return (0, *middle[-1:], *middle[:-1]) if layout == FIRST else (0, *middle[1:], *middle[:1])
