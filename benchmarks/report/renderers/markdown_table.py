"""The one way in which a table is written as Markdown, in reports and in what the lab writes."""

from collections.abc import Collection, Iterable, Sequence


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[int] = (0,)) -> str:
    """Return a Markdown table, ending with a newline.

    Args:
        heads: The heads of its columns.
        rows: The cells of each row, as text.
        left: Which columns hold words, and stand at the left; the others hold figures.
    """
    rule = [":--" if place in left else "--:" for place in range(len(heads))]
    lines = [_escaped(heads), rule, *map(_escaped, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(cells: Sequence[str]) -> list[str]:
    """Return cells that keep to their columns and to one line."""
    return [" ".join(cell.splitlines()).replace("|", "\\|") for cell in cells]
