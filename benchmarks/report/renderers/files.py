"""What a benchmark writes for people beside its record: report.md, report.html and pictures."""

import io
from collections.abc import Iterator

from matplotlib.figure import Figure

from edgeport.benchmarks.report.charts.drawing import png_of
from edgeport.benchmarks.report.charts.pictures import confusion_figure, flips_figure, panels_figure
from edgeport.benchmarks.report.document import Chart, Pictures, charts_in
from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.renderers.html import html_page
from edgeport.benchmarks.report.renderers.markdown import markdown_report
from edgeport.benchmarks.report.sections.whole import document_of

_DPI = 120


def shown_files(findings: Findings) -> Iterator[tuple[str, bytes]]:
    """Yield the names and the content of all files that show a benchmark to people."""
    document = document_of([findings])
    yield "report.md", markdown_report(findings, document).encode()
    yield "report.html", html_page(document).encode()
    report = findings.report
    for _, chart in charts_in(document.sections):
        if isinstance(chart, Chart) and chart.file:
            # ROC stays in capitals.
            what = chart.title if chart.title[1:2].isupper() else chart.title[:1].lower() + chart.title[1:]
            title = f"{report.model} on {report.dataset['name']}: {what}"
            yield chart.file, png_of(chart.data, title=title, legend=chart.legend)
    for pictures in (block for section in document.sections for block in section.blocks if isinstance(block, Pictures)):
        yield pictures.file, _png(panels_figure(pictures))
    if findings.confusions:
        yield "confusion-matrices.png", _png(confusion_figure(findings))
    if any(each.compared and each.compared.flipped for each in findings.others):
        yield "flips.png", _png(flips_figure(findings))


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()
