"""The machine, what went on in it meanwhile, and how to do the same again."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from edgeport.benchmarks.report.charts.data import Spark
from edgeport.benchmarks.report.document import (
    Block,
    Cell,
    Code,
    Column,
    Console,
    Facts,
    Folded,
    Heading,
    Listed,
    Paragraph,
    Section,
    SparkLine,
    Strong,
    Table,
)
from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.raw.record import Condition, Report, timed_in
from edgeport.benchmarks.report.sections.names import ARTEFACT
from edgeport.benchmarks.report.words import THIN, amount, counted, moment, size

_HOST = {
    "cpu_model": "processor",
    "cpu_core": "core",
    "usable_cores": "usable cores",
    "flags": "CPU flags",
    "ram_bytes": "memory",
    "load_1min": "load before",
    "os": "system",
    "python": "Python",
    "frequency_mhz": "frequency, MHz",
    "min_frequency_mhz": "lowest frequency, MHz",
    "max_frequency_mhz": "highest frequency, MHz",
    "hypervisor": "virtual machine",
    "throttled": "throttling bits",
    "numpy": "NumPy",
    "temperature_c": "temperature, \u00b0C",
}
# Each figure of a condition: its name, its unit, and by what it is divided.
_CONDITIONS = {
    "yardstick_ns": ("reference workload", "\u00b5s", 1e3),
    "others_busy": ("other processes", "cores", 1.0),
    "stolen": ("taken by the hypervisor", "cores", 1.0),
    "frequency_mhz": ("frequency", "MHz", 1.0),
    "temperature_c": ("temperature", "\u00b0C", 1.0),
    "seconds": ("time of a round", "s", 1.0),
}


def machine(findings: Findings) -> Section:
    """Return the section with the machine and its condition."""
    report = findings.report
    facts = [(_HOST.get(key, key.replace("_", " ")), _fact(key, value)) for key, value in report.host.items()]
    calm = "Nothing disturbed the machine during the run, as far as the system reports."
    if not report.conditions:
        calm = "The report does not say what went on meanwhile."
    found = [f"{each}." for each in findings.disturbances]
    blocks: list[Block] = [
        Facts([(name, value) for name, value in facts if value]),
        Heading("Meanwhile"),
        Listed(found) if found else Paragraph(calm),
    ]
    if report.conditions:
        blocks.append(_conditions(report.conditions))
    return Section("machine", "The machine", blocks)


def reproduce(findings: Findings) -> Section:
    """Return the section with commands, versions and digests."""
    report = findings.report
    engines = sorted({_engine(candidate.measured.engine) for candidate in findings.candidates} - {""})
    facts = [
        ("edgeport", f"{report.edgeport.get('version', '')} {report.edgeport.get('commit', '')[:12]}".strip()),
        ("engines", ", ".join(engines)),
        ("model", report.model),
        ("measured", moment(report.created_utc)),
        ("data", f"{report.dataset['name']}, {report.dataset['split']} split, {counted(report.count, report.sample)}"),
        ("SHA-256 of the data", Code(report.dataset["sha256"])),
    ]
    protocol = [[Cell(key.replace("_", " ")), Cell(_fact(key, value))] for key, value in report.protocol.items()]
    columns = [ARTEFACT, Column("file", numeric=False), Column("SHA-256", numeric=False)]
    files = [
        [Cell(each.name), Cell(each.measured.file), Cell(each.measured.sha256, look="code")]
        for each in findings.candidates
    ]
    settings = [Column("setting", numeric=False), Column("value")]
    blocks: list[Block] = [
        Console(command_line(report)),
        Facts(facts),
        Folded("Protocol", [Table("How latency was measured", settings, protocol)]),
        Folded("Files", [Table("What was measured", columns, files)]),
    ]
    return Section("reproduce", "How to reproduce", blocks)


def legend(report: Report) -> Section:
    """Return the section that says what the figures of a report are."""
    timed = Listed([(Strong(name), f": {what}.") for name, what in timed_in(report).items()])
    if report.judged:
        losses = (
            "a paired bootstrap over samples, or over whole groups of them, for losses",
            "the same samples answered by both show none",
        )
    else:
        losses = (
            "Wilson for shares, a bootstrap over images for losses",
            "the exact McNemar test on the same images finds none",
        )
    facts = [
        "Every candidate is started anew several times, and all that live at the same time are timed in turns, in "
        "shuffled order. Intervals count processes, not calls.",
        f"All intervals are 95{THIN}% intervals: {losses[0]}, a bootstrap "
        "over processes and calls for percentiles, and the signed-rank test over pairs of processes for ratios.",
        f"\u201cNo detectable loss\u201d means that {losses[1]}; the sentence "
        "says how large a loss it would have found. It does not mean that there is none.",
        f"Each artefact is judged at 5{THIN}%: among many, expect a false alarm now and then.",
    ]
    return Section("legend", "How to read this", [Paragraph("What is timed:"), timed, Listed(facts)])


def command_line(report: Report) -> str:
    """Return the command that measures the same again."""
    protocol = report.protocol
    words = ["edgeport", "benchmark"]
    words += [shlex.quote(each.file) for each in report.artefacts] if report.of_files else ["EXPORT_FOLDER"]
    if report.dataset["split"] != "golden":
        words += ["--data", shlex.quote(str(report.dataset["name"]))]
    for key, option in (("batches", "--batches"), ("threads", "--threads"), ("launches", "--rounds")):
        if key in protocol:
            value = protocol[key]
            words += [option, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)]
    words += ["--profile"] if report.profiles else []
    words += ["--mlperf"] if report.mlperf else []
    return " ".join(words)


def _conditions(conditions: Sequence[Condition]) -> Table:
    rows = []
    for index, (key, (name, unit, factor)) in enumerate(_CONDITIONS.items()):
        values = [float(value) / factor for each in conditions if (value := getattr(each, key)) is not None]
        if not values:
            continue
        ordered = sorted(values)
        middle = ordered[len(ordered) // 2]
        words = f"From {amount(ordered[0])} to {amount(ordered[-1])} {unit}."
        spark = Cell(words, spark=SparkLine(f"condition-{index}", name, words, Spark(values)))
        figures = (Cell(each, "amount") for each in (ordered[0], middle, ordered[-1]))
        rows.append([Cell(f"{name}, {unit}"), *figures, spark])
    throttled = [each.throttled for each in conditions if each.throttled is not None]
    if throttled:
        hit = sum(bool(each) for each in throttled)
        rows.append([Cell("throttled"), *[Cell(None)] * 3, Cell(f"in {hit} of {len(throttled)} rounds")])
    columns = [
        Column("condition", numeric=False),
        Column("least"),
        Column("median"),
        Column("most"),
        Column("from the first round to the last", numeric=False),
    ]
    rounds = counted(len(conditions), "round")
    caption = f"The machine during {rounds} of processes; the reference workload is a fixed piece of arithmetic"
    return Table(caption, columns, rows)


def _fact(key: str, value: Any) -> str:
    """Return a fact of the machine or of the protocol as text; empty if it is not known."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_bytes") and isinstance(value, (int, float)):
        return size(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(name, each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _engine(engine: Mapping[str, str]) -> str:
    return f"{engine.get('name', '')} {engine.get('version', '')}".strip()
