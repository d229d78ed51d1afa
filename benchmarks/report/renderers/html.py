"""A document as one HTML page that needs no network and runs no script: Jinja2 writes it, and escapes what it holds."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.markers import MarkerStyle

from edgeport.benchmarks.report.charts.drawing import WIDTHS, svg_of
from edgeport.benchmarks.report.charts.inline_svg import inline_svg
from edgeport.benchmarks.report.document import Chart, Code, Column, Document, Strong, charts_in
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.looks import CHART_PALETTE, MARKS, PAGE_PALETTE
from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.sections.whole import document_of

# Neither HTML nor UTF-8 has a place for these, and a file from elsewhere may hold them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_STYLE = re.compile(r'style="([^"]*)"')
_LONGEST_LABEL = 14
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f5fa8"/>'
    '<path d="M7 23h18" stroke="#fff" stroke-width="2.5"/><path d="M9 19v-4M16 19V8M23 19v-7" stroke="#ffc078" '
    'stroke-width="4"/></svg>'
)


def html_report(reports: Sequence[Report]) -> str:
    """Return a page that needs no network and no JavaScript.

    Args:
        reports: One run, or the runs of several machines, of which the first is what the others are compared with.
    """
    return html_page(document_of([findings_of(report) for report in reports]))


def html_page(document: Document) -> str:
    """Return a document as a page, in ASCII with character references, so that no locale or server can spoil it."""
    environment = Environment(
        loader=PackageLoader("edgeport.benchmarks.report.renderers"), autoescape=True, undefined=StrictUndefined
    )
    environment.tests |= {"strong": lambda run: isinstance(run, Strong), "code": lambda run: isinstance(run, Code)}
    environment.filters["card_label"] = _card_label
    assert environment.loader is not None
    stylesheet, _, _ = environment.loader.get_source(environment, "page.css")
    drawings, styles = _with_classes(_drawings(document))
    page = environment.get_template("page.html").render(
        document=document,
        drawings=drawings,
        icon=_ICON,
        marks={mark: _mark_path(mark) for mark in MARKS},
        palette=CHART_PALETTE | PAGE_PALETTE,
        stylesheet=Markup(stylesheet + styles),
    )
    return _UNPRINTABLE.sub("\ufffd", page).encode("ascii", "xmlcharrefreplace").decode("ascii") + "\n"


def _drawings(document: Document) -> Mapping[str, Mapping[str, str]]:
    """Return all charts by their names on the page: one drawing for each width of screen."""
    found: dict[str, Any] = {}
    for name, chart in charts_in(document.sections):
        words = {"title": _clean(chart.title), "words": _clean(chart.words)}
        widths = WIDTHS if isinstance(chart, Chart) else {"wide": 0.0}
        found[name] = {
            key: inline_svg(svg_of(chart.data, width), identifier=f"{name}-{key}", **words)
            for key, width in widths.items()
        }
    return found


def _with_classes(
    drawings: Mapping[str, Mapping[str, str]],
) -> tuple[Mapping[str, Mapping[str, Markup]], str]:
    """Return the drawings with a class for each style, since a few come hundreds of times, and the rules of these."""
    classes: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f'class="{classes.setdefault(found[1], f"s{len(classes)}")}"'

    made = {
        name: {key: Markup(_STYLE.sub(named, drawing)) for key, drawing in widths.items()}
        for name, widths in drawings.items()
    }
    return made, "".join(f"svg .{short} {{ {style} }}\n" for style, short in classes.items())


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)


def _card_label(column: Column) -> str:
    """Return what a cell of a card is called; a unit that is too long for it is left to the text below the table."""
    label = f"{column.name}, {column.unit}" if column.unit else column.name
    return label if len(label) <= _LONGEST_LABEL else column.name


def _mark_path(mark: str) -> str:
    """Return the outline of one of matplotlib's marks, with its middle at 0 and a size of about 1."""
    style = MarkerStyle(mark)
    outlines: list[Any] = style.get_path().transformed(style.get_transform()).to_polygons(closed_only=True)
    return "".join("M" + "L".join(f"{x:.3f} {-y:.3f}" for x, y in outline) + "Z" for outline in outlines)
