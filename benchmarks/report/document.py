"""What a report says, as data: sections of sentences, tables and charts, which renderers show and do not compute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgeport.benchmarks.report.charts.data import ChartData, Spark
from edgeport.benchmarks.report.words import (
    DASH,
    amount,
    amounts,
    figures,
    p_value,
    percent,
    percent_span,
    span,
)


class Strong(str):
    """Words that stand out."""


class Code(str):
    """What a machine reads: a digest, a command."""


# One run of words, or several of which some stand out.
Words = str | tuple[str, ...]

_WRITTEN: dict[str, Callable[[float], str]] = {
    "amount": amount,
    "count": lambda value: f"{value:,.0f}",
    "percent": percent,
    "percent1": lambda value: percent(value, decimals=1),
    "ratio": figures,
    "p": p_value,
}
_SPANS: dict[str, Callable[[float, float], str]] = {
    "amount": amounts,
    "percent": lambda low, high: percent_span((low, high)),
    "ratio": span,
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its head.
        unit: Of its figures.
        numeric: Whether it holds figures, which stand at the right.
        whole: Whether it takes a whole line where a row is shown as a card.
        rank: Where there is no room for all, columns with the highest ranks are left out.
    """

    name: str
    unit: str = ""
    numeric: bool = True
    whole: bool = False
    rank: int = 0


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        value: A figure, words, or None for what is not known.
        kind: How a figure is written: a key of the table of kinds above.
        interval: The ends of its interval, written likewise.
        note: What else stands below the figure.
        look: How it looks: ``good``, ``bad``, ``unknown``, ``neutral`` for a verdict; ``diagonal``, ``zero``, ``wrong``
            in a confusion matrix; ``best``; ``code``.
        strength: How strong the colour of a cell is, 0 to 1.
        mark: The colour and the mark in front of a candidate's name.
        spark: A line of how a figure went, in place of words.
    """

    value: str | float | None
    kind: str = "text"
    interval: tuple[float, float] | None = None
    note: str = ""
    look: str = ""
    strength: float = 0.0
    mark: tuple[str, str] | None = None
    spark: "SparkLine | None" = None

    @property
    def text(self) -> str:
        """The figure in words; a dash for what is not known."""
        if self.value is None:
            return DASH
        return self.value if isinstance(self.value, str) else _WRITTEN[self.kind](self.value)

    @property
    def below(self) -> str:
        """What stands below the figure; empty if nothing does."""
        return _SPANS[self.kind](*self.interval) if self.interval else self.note


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows.

    Attributes:
        caption: What it shows.
        columns: Its columns.
        rows: The cells of each row.
        cards: Whether each row becomes a card on a narrow screen.
        look: ``summary``, ``matrix`` or ``compact``.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    cards: bool = False
    look: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: No other chart of a report has it.
        title: What it is.
        words: What is to be seen, for those who do not see it.
        data: What is drawn.
        caption: What stands below it.
        legend: What colours mean: the colour, the mark (empty for a plain patch), and the name.
        file: The picture beside the page; empty if there is none.
    """

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    words: str
    data: ChartData
    caption: str = ""
    legend: tuple[tuple[str, str, str], ...] = ()
    file: str = ""


@dataclass(frozen=True)
class SparkLine:
    """A chart that fits into a cell."""

    name: str
    title: str
    words: str
    data: Spark


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; its look is ``answer``, ``note``, ``subtitle`` or plain."""

    kind: ClassVar[str] = "paragraph"
    words: Words
    look: str = ""


@dataclass(frozen=True)
class Listed:
    """A list with bullets."""

    kind: ClassVar[str] = "listed"
    items: Sequence[Words]


@dataclass(frozen=True)
class Notice:
    """What one must know before one believes the rest."""

    kind: ClassVar[str] = "notice"
    label: str
    items: Sequence[str]


@dataclass(frozen=True)
class Tile:
    """A figure in large type: what it is, and below in small type more, of which the last words are an interval."""

    value: str
    what: str
    more: str = ""
    interval: str = ""


@dataclass(frozen=True)
class Tiles:
    """Figures in large type."""

    kind: ClassVar[str] = "tiles"
    label: str
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Facts:
    """Names and values side by side."""

    kind: ClassVar[str] = "facts"
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Console:
    """A command to type."""

    kind: ClassVar[str] = "console"
    command: str


@dataclass(frozen=True)
class FlipCard:
    """An image with what is true and what two models answered.

    Attributes:
        picture: PNG in base64.
        alt: The image in words.
        change: ``right to wrong`` and the like.
        truth: The true class.
        answers: Who answered, what, whether that is right, and how sure, as text.
    """

    picture: str
    alt: str
    change: str
    truth: str
    answers: Sequence[tuple[str, str, bool, str]]


@dataclass(frozen=True)
class Gallery:
    """Images side by side."""

    kind: ClassVar[str] = "gallery"
    cards: Sequence[FlipCard]


@dataclass(frozen=True)
class DrawnBox:
    """A box on a picture, in shares of it: its corner, its size, its colour, and what it is."""

    left: float
    top: float
    width: float
    height: float
    colour: str
    text: str


@dataclass(frozen=True)
class SamplePicture:
    """One picture of a sample: PNG in base64, what it shows, and boxes on it."""

    name: str
    picture: str
    boxes: Sequence[DrawnBox] = ()


@dataclass(frozen=True)
class Pictures:
    """Samples, a row of pictures each.

    Attributes:
        title: What they are.
        rows: What is said of each sample, and its pictures.
        file: The picture beside the page.
    """

    kind: ClassVar[str] = "pictures"
    title: str
    rows: Sequence[tuple[str, Sequence[SamplePicture]]]
    file: str


@dataclass(frozen=True)
class Folded:
    """What opens on a click."""

    kind: ClassVar[str] = "folded"
    summary: str
    blocks: Sequence["Block"]
    opened: bool = False


@dataclass(frozen=True)
class Section:
    """A section with its heading.

    Attributes:
        name: No other section beside it has it.
        title: Its heading.
        blocks: What it says; sections within sections are those of one of several machines.
        page_only: Whether only the page shows it.
        look: ``machine`` or plain.
    """

    kind: ClassVar[str] = "section"
    name: str
    title: str
    blocks: Sequence["Block"]
    page_only: bool = False
    look: str = ""


Block = (
    Table | Chart | Heading | Paragraph | Listed | Notice | Tiles | Facts | Console | Gallery | Pictures | Folded
    | Section
)  # fmt: skip


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        title: Its name.
        subtitle: Of what and when.
        lead: What stands first.
        sections: The rest.
        footer: What stands last.
        command: What has made it.
    """

    title: str
    subtitle: str
    lead: Sequence[Block]
    sections: Sequence[Section]
    footer: str = ""
    command: str = "edgeport benchmark"


def charts_in(blocks: Sequence[Block], prefix: str = "") -> list[tuple[str, "Chart | SparkLine"]]:
    """Return all charts with the names that they have on the page, in order."""
    found: list[tuple[str, Chart | SparkLine]] = []
    for block in blocks:
        if isinstance(block, Chart):
            found.append((prefix + block.name, block))
        elif isinstance(block, Table):
            sparks = (cell.spark for row in block.rows for cell in row if cell.spark)
            found += [(prefix + spark.name, spark) for spark in sparks]
        elif isinstance(block, Section):
            inner = f"{block.name}-" if block.look == "machine" else prefix
            found += charts_in(block.blocks, inner)
        elif isinstance(block, Folded):
            found += charts_in(block.blocks, prefix)
    return found
