"""HTML and SVG as trees: whatever text a report holds becomes text, never markup."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Child = ET.Element | str | None
Attribute = str | int | float | None

# Neither HTML nor UTF-8 has a place for these, and a file from elsewhere may hold them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LONGEST_LABEL = 14


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its head.
        numeric: Whether it holds figures, which stand at the right.
        unit: Of its figures, shown under the name.
        whole: Whether it takes a whole line of a card, without its name.
    """

    name: str
    numeric: bool = True
    unit: str = ""
    whole: bool = False


def element(name: str, /, *children: Child, **attributes: Attribute) -> ET.Element:
    """Return an element with its children.

    Args:
        name: Its tag.
        children: Elements and text in order; None is left out.
        attributes: Those that are None are left out. An underscore stands for a hyphen, and one at the end for
            nothing: ``class_="wide"``, ``aria_label="..."``.
    """
    made = ET.Element(name)
    for key, value in attributes.items():
        if value is not None:
            made.set(key.rstrip("_").replace("_", "-"), number(value) if isinstance(value, float) else clean(value))
    return append(made, *children)


def append(parent: ET.Element, *children: Child) -> ET.Element:
    """Add children to an element, and return it."""
    for child in children:
        if isinstance(child, ET.Element):
            parent.append(child)
        elif child is not None:
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + clean(child)
            else:
                parent.text = (parent.text or "") + clean(child)
    return parent


def clean(value: object) -> str:
    """Return text without characters that no page may hold."""
    return _UNPRINTABLE.sub("\ufffd", str(value))


def number(value: float) -> str:
    """Return a coordinate or a length for SVG and CSS, to two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def paragraph(*children: Child, class_: str | None = None) -> ET.Element:
    """Return a paragraph."""
    return element("p", *children, class_=class_)


def listed(items: Iterable[Child], *, class_: str | None = None) -> ET.Element:
    """Return a list with bullets."""
    return element("ul", *(element("li", item) for item in items), class_=class_)


def folded(summary: str, *children: Child, opened: bool = False) -> ET.Element:
    """Return what opens on a click, without JavaScript."""
    return element("details", element("summary", summary), *children, open="open" if opened else None)


def two_lines(first: str, second: str, *, class_: str = "below") -> ET.Element:
    """Return a cell's figure, with its interval or the like in small type under it."""
    return element("span", first, element("span", second, class_=class_) if second else None, class_="stack")


def table(
    caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Child]], *, cards: bool = False, class_: str = ""
) -> ET.Element:
    """Return a table in a box of its own, in which it scrolls where it is too wide.

    Args:
        caption: What it shows.
        columns: Its columns; the first one names the rows.
        rows: The cells of each row.
        cards: Whether each row becomes a card on a narrow screen.
        class_: More CSS classes.
    """
    # Styled as cards, the parts of a table lose what they are for a screen reader unless their roles are spelled out.
    roles = {
        part: part if cards else None for part in ("table", "rowgroup", "row", "columnheader", "rowheader", "cell")
    }
    head = element(
        "tr",
        *(
            element(
                "th",
                column.name,
                element("span", column.unit, class_="unit") if column.unit else None,
                scope="col",
                role=roles["columnheader"],
                class_="number" if column.numeric else None,
            )
            for column in columns
        ),
        role=roles["row"],
    )
    body = [
        element("tr", *(_cell(columns[place], cell, place, roles, cards) for place, cell in enumerate(row)),
                role=roles["row"])
        for row in rows
    ]  # fmt: skip
    made = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", head, role=roles["rowgroup"]),
        element("tbody", *body, role=roles["rowgroup"]),
        class_=f"{'cards ' if cards else ''}{class_}".strip() or None,
        role=roles["table"],
    )
    # A box that scrolls must be reachable from the keyboard.
    return element("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)


def facts_list(facts: Iterable[tuple[str, Child]]) -> ET.Element:
    """Return names and values side by side."""
    pairs = (element("div", element("dt", name), element("dd", value)) for name, value in facts)
    return element("dl", *pairs, class_="facts")


def _cell(column: Column, cell: Child, place: int, roles: dict[str, str | None], cards: bool) -> ET.Element:
    return element(
        "td" if place else "th",
        cell,
        scope=None if place else "row",
        role=roles["cell" if place else "rowheader"],
        class_="number" if column.numeric else "whole" if column.whole else None,
        data_label=_label(column) if cards and place else None,
    )


def _label(column: Column) -> str:
    """Return what a cell of a card is called; a unit that is too long for it is left to the text below the table."""
    label = f"{column.name}, {column.unit}" if column.unit else column.name
    return label if len(label) <= _LONGEST_LABEL else column.name
