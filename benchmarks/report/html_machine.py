"""The machine, what went on in it meanwhile, and how to do the same again."""

import shlex
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.html_elements import (
    Child,
    Column,
    element,
    facts_list,
    folded,
    listed,
    paragraph,
    table,
)
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.record import TIMED, Condition, Report
from edgeport.benchmarks.report.svg_bars import draw_spark
from edgeport.benchmarks.report.words import DASH, THIN, amount, counted, moment, size

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


def machine(findings: Findings, place: Place) -> ET.Element:
    """Return the section with the machine and its condition."""
    report = findings.report
    facts = [(_HOST.get(key, key.replace("_", " ")), _fact(key, value)) for key, value in report.host.items()]
    calm = "Nothing disturbed the machine during the run, as far as the system tells."
    if not report.conditions:
        calm = "The report does not tell what went on meanwhile."
    disturbed = (
        listed((f"{each}." for each in findings.disturbances), class_="disturbances")
        if findings.disturbances
        else paragraph(calm)
    )
    return place.section(
        "machine",
        "The machine",
        facts_list((name, value) for name, value in facts if value),
        place.heading("Meanwhile"),
        disturbed,
        _conditions(report.conditions, place) if report.conditions else None,
    )


def reproduce(findings: Findings, place: Place) -> ET.Element:
    """Return the section with commands, versions and digests."""
    report = findings.report
    engines = sorted({_engine(subject.measured.engine) for subject in findings.subjects} - {""})
    facts: list[tuple[str, Child]] = [
        ("edgeport", f"{report.edgeport.get('version', '')} {report.edgeport.get('commit', '')[:12]}".strip()),
        ("engines", ", ".join(engines)),
        ("model", report.model),
        ("measured", moment(report.created_utc)),
        ("data", f"{report.dataset['name']}, {report.dataset['split']} split, {counted(len(report.truth), 'image')}"),
        ("SHA-256 of the data", element("code", report.dataset["sha256"])),
    ]
    protocol: list[list[Child]] = [[key.replace("_", " "), _fact(key, value)] for key, value in report.protocol.items()]
    columns = [Column("artefact", numeric=False), Column("file", numeric=False), Column("SHA-256", numeric=False)]
    files: list[list[Child]] = [
        [subject.name, subject.measured.file, element("code", subject.measured.sha256)] for subject in findings.subjects
    ]
    return place.section(
        "reproduce",
        "How to reproduce",
        element("pre", element("code", command_line(report)), tabindex=0),
        facts_list(facts),
        folded(
            "Protocol", table("How latency was measured", [Column("setting", numeric=False), Column("value")], protocol)
        ),
        folded("Files", table("What was measured", columns, files)),
    )


def legend(place: Place) -> ET.Element:
    """Return the section that says what the figures are."""
    timed = (element("span", element("strong", name), f": {what}.") for name, what in TIMED.items())
    return place.section(
        "legend",
        "How to read this",
        paragraph("What is timed:"),
        listed(timed),
        listed(
            [
                "Every candidate is started anew several times, and all that live at the same time are timed in turns, "
                "in shuffled order. Intervals count processes, not calls.",
                f"All intervals are 95{THIN}% intervals: Wilson for shares, a bootstrap over images for losses, a "
                "bootstrap over processes and calls for percentiles, and the signed-rank test over pairs of processes "
                "for ratios.",
                "\u201cNo detectable loss\u201d means that the exact McNemar test on the same images finds none; the "
                "sentence says how large a loss it would have found. It does not mean that there is none.",
                f"Each artefact is judged at 5{THIN}%: among many, expect a false alarm now and then.",
            ]
        ),
    )


def command_line(report: Report) -> str:
    """Return the command that measures the same again."""
    protocol = report.protocol
    words = ["edgeport", "benchmark", "EXPORT_FOLDER"]
    if report.dataset["split"] != "golden":
        words += ["--dataset", shlex.quote(str(report.dataset["name"]))]
    for key in ("batches", "threads", "launches"):
        if key in protocol:
            value = protocol[key]
            words += [f"--{key}", ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)]
    words += ["--profile"] if report.profiles else []
    words += ["--mlperf"] if report.mlperf else []
    return " ".join(words)


def _conditions(conditions: Sequence[Condition], place: Place) -> ET.Element:
    rows: list[list[Child]] = []
    for index, (key, (name, unit, factor)) in enumerate(_CONDITIONS.items()):
        values = [float(value) / factor for each in conditions if (value := getattr(each, key)) is not None]
        if not values:
            continue
        ordered = sorted(values)
        middle = ordered[len(ordered) // 2]
        words = f"From {amount(ordered[0])} to {amount(ordered[-1])} {unit}."
        spark = draw_spark(values, f"{place.prefix}condition-{index}", title=name, words=words)
        rows.append([f"{name}, {unit}", *(amount(each) for each in (ordered[0], middle, ordered[-1])), spark])
    throttled = [each.throttled for each in conditions if each.throttled is not None]
    if throttled:
        hit = sum(bool(each) for each in throttled)
        rows.append(["throttled", DASH, DASH, DASH, f"in {hit} of {len(throttled)} rounds"])
    columns = [
        Column("condition", numeric=False),
        Column("least"),
        Column("median"),
        Column("most"),
        Column("from the first round to the last", numeric=False),
    ]
    rounds = counted(len(conditions), "round")
    caption = f"The machine during {rounds} of processes; the reference workload is a fixed piece of arithmetic"
    return table(caption, columns, rows)


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
