"""The one way in which a table is written as Markdown, in reports and in what the lab writes."""

from collections.abc import Collection, Iterable, Sequence


def markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[int] = (0,), aligned: bool = False
) -> str:
    """Return a Markdown table, ending with a newline.

    Args:
        heads: The heads of its columns.
        rows: The cells of each row, as text.
        left: Which columns hold words, and stand at the left; the others hold figures.
        aligned: Whether its columns are aligned in the source too, for a terminal.
    """
    lines = [_escaped(heads), *map(_escaped, rows)]
    widths = [max(3, *map(len, column)) if aligned else 3 for column in zip(*lines, strict=True)]
    rule = [":" + "-" * (width - 1) if place in left else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    if aligned:
        lines = [
            [cell.ljust(width) if place in left else cell.rjust(width) for place, (cell, width) in enumerate(pairs)]
            for pairs in (list(zip(line, widths, strict=True)) for line in lines)
        ]
    lines.insert(1, rule)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(cells: Sequence[str]) -> list[str]:
    """Return cells that keep to their columns and to one line."""
    return [" ".join(cell.splitlines()).replace("|", "\\|") for cell in cells]
