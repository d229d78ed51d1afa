"""The benchmark's table, for the terminal and for Markdown."""

from rich import box
from rich.table import Table

from edgeport.benchmarks.report import Report

_COLUMNS = ("artefact", "top-1", "flips", "agree", "kB", "p50 us", "p90 us", "pixels us", "load ms")
_UNKNOWN = "-"


def terminal_table(report: Report) -> Table:
    """Return the report as a table for a rich console, narrow enough for 80 columns."""
    table = Table(
        title=_title(report),
        caption=LEGEND,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "artefact" else "right", no_wrap=True)
    for row in table_rows(report):
        table.add_row(*row)
    return table


def markdown_table(report: Report) -> str:
    """Return the report as a Markdown table, ending with a newline."""
    lines = [
        "| " + " | ".join(_COLUMNS) + " |",
        "|" + " --: |" * len(_COLUMNS),
        *("| " + " | ".join(row) + " |" for row in table_rows(report)),
    ]
    return "\n".join(lines) + "\n"


def markdown_report(report: Report) -> str:
    """Return report.md: the table and what one must know to read it."""
    host, dataset = report.host, report.dataset
    engines = sorted({f"{each.engine['name']} {each.engine['version']}" for each in report.artefacts if each.timed})
    threads = report.artefacts[0].engine["threads"]
    notes = "".join(f"- {note}\n" for note in report_notes(report))
    return (
        f"# {_title(report)}\n\n{markdown_table(report)}\n{LEGEND}\n\n{notes}"
        f"- Host: {host['cpu_model']}, {host['cores']} cores ({', '.join(host['flags'])}), {host['os']}, "
        f"Python {host['python']}\n"
        f"- Engines: {', '.join(engines)}; threads: {threads}\n"
        f"- Data: {dataset['name']}, {dataset['split']} split, SHA-256 {dataset['sha256']}\n"
        f"- Latency: {report.protocol['rounds']} rounds in shuffled order, {report.protocol['calls_per_round']} timed "
        f"calls each, after {report.protocol['warmup_calls']} untimed ones; batch of 1\n"
        f"- Written by edgeport {report.edgeport['version']}, {report.created_utc}\n"
    )


def report_notes(report: Report) -> list[str]:
    """Return what was not run on this machine, one sentence each: a recorded reference, and skipped artefacts."""
    notes = [f"Skipped: {each['file']}: {each['reason']}" for each in report.skipped]
    if not report.reference.timed:
        notes.insert(0, "The Keras model was not run here, and so not timed: its answers are recorded ones")
    return notes


LEGEND = (
    "flips, agree: against the Keras model on the same images. p50, p90: one engine call on one image. "
    "pixels: p50 of predict(), from raw pixels to probabilities. load: from the file to a predictor."
)


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the cells of the table as text, one row a contender."""
    return [
        (
            each.name,
            f"{each.accuracy:.2%}",
            str(each.flips_from(report.reference)),
            f"{each.agreement_with(report.reference):.2%}",
            f"{each.bytes / 1e3:.0f}" if each.bytes else _UNKNOWN,
            *(
                f"{figure:.1f}" if each.timed else _UNKNOWN
                for figure in (each.latency_us(50), each.latency_us(90), each.predict_us(50), each.load_ms)
            ),
        )
        for each in report.artefacts
    ]


def _title(report: Report) -> str:
    return f"{report.model} on {report.dataset['count']:,} test images of {report.dataset['name']}"
