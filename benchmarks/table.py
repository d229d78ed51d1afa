"""The benchmark's table, for the terminal and for Markdown."""

from rich.table import Table

from edgeport.benchmarks.report import Report

_COLUMNS = (
    ("artefact", "left"),
    ("top-1", "right"),
    ("flips", "right"),
    ("agreement", "right"),
    ("size", "right"),
    ("p50", "right"),
    ("p90", "right"),
    ("from pixels", "right"),
    ("load", "right"),
)


def terminal_table(report: Report) -> Table:
    """Return the report as a table for a rich console."""
    table = Table(title=_title(report), title_justify="left", caption=LEGEND, caption_justify="left")
    for name, side in _COLUMNS:
        table.add_column(name, justify="left" if side == "left" else "right", no_wrap=True)
    for row in table_rows(report):
        table.add_row(*row)
    return table


def markdown_table(report: Report) -> str:
    """Return the report as a Markdown table, ending with a newline."""
    lines = [
        "| " + " | ".join(name for name, _ in _COLUMNS) + " |",
        "| " + " | ".join(":--" if side == "left" else "--:" for _, side in _COLUMNS) + " |",
        *("| " + " | ".join(row) + " |" for row in table_rows(report)),
    ]
    return "\n".join(lines) + "\n"


def markdown_report(report: Report) -> str:
    """Return report.md: the table and what one must know to read it."""
    host, dataset = report.host, report.dataset
    engines = sorted({f"{each.engine['name']} {each.engine['version']}" for each in report.artefacts})
    threads = report.artefacts[0].engine["threads"]
    return (
        f"# {_title(report)}\n\n{markdown_table(report)}\n{LEGEND}\n\n"
        f"- Host: {host['cpu_model']}, {host['cores']} cores ({', '.join(host['flags'])}), {host['os']}, "
        f"Python {host['python']}\n"
        f"- Engines: {', '.join(engines)}; threads: {threads}\n"
        f"- Data: {dataset['name']}, {dataset['split']} split, SHA-256 {dataset['sha256']}\n"
        f"- Latency: {report.protocol['rounds']} rounds in shuffled order, {report.protocol['calls_per_round']} timed "
        f"calls each, after {report.protocol['warmup_calls']} untimed ones; batch of 1\n"
        f"- Written by edgeport {report.edgeport['version']}, {report.created_utc}\n"
    )


LEGEND = (
    "flips and agreement: against the Keras model on the same images. p50 and p90: one engine call on one image. "
    "from pixels: p50 of predict(), from raw pixels to probabilities. load: from the file to a predictor."
)


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """Return the cells of the table as text, one row a contender."""
    return [
        (
            each.name,
            f"{each.accuracy:.2%}",
            str(each.flips_from(report.reference)),
            f"{each.agreement_with(report.reference):.2%}",
            f"{each.bytes / 1e3:.0f} kB",
            f"{each.latency_us(50):.1f} us",
            f"{each.latency_us(90):.1f} us",
            f"{each.predict_us(50):.1f} us",
            f"{each.load_ms:.1f} ms",
        )
        for each in report.artefacts
    ]


def _title(report: Report) -> str:
    return f"{report.model} on {report.dataset['count']:,} test images of {report.dataset['name']}"
