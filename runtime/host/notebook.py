"""How results show themselves in a notebook: plain tables, in whatever look the notebook has."""

import html
from collections.abc import Sequence

from edgeport.runtime.host.terminal import visible

_RIGHT = ' style="text-align: right"'


def html_table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return a table as HTML; text of others in it is text, and nothing else.

    Args:
        caption: What it shows.
        heads: A head for each column.
        rows: The cells of each row.
        left: How many columns hold words and stand to the left; the rest are figures.
    """
    head = "".join(_cell("th", place, text, left) for place, text in enumerate(heads))
    body = "".join(
        f"<tr>{''.join(_cell('td', place, text, left) for place, text in enumerate(row))}</tr>" for row in rows
    )
    return (
        f"<table><caption>{html.escape(visible(caption))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def html_lines(lines: Sequence[str]) -> str:
    """Return sentences as a list in HTML; empty without any."""
    return f"<ul>{''.join(f'<li>{html.escape(visible(line))}</li>' for line in lines)}</ul>" if lines else ""


def _cell(tag: str, place: int, text: str, left: int) -> str:
    return f"<{tag}{_RIGHT if place >= left else ''}>{html.escape(visible(text))}</{tag}>"
