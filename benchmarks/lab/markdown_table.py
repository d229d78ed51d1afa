"""The one way in which the lab writes a table as Markdown."""

from collections.abc import Collection, Iterable, Sequence


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[int] = (0,)) -> str:
    """Return a Markdown table, ending with a newline.

    Args:
        heads: The heads of its columns.
        rows: The cells of each row.
        left: Which columns hold words, and stand at the left; the others hold figures.
    """
    rule = [":--" if place in left else "--:" for place in range(len(heads))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rule, *rows))
