"""The sections of report.md below its summary: each function returns one in Markdown, empty if there is none."""

from collections.abc import Sequence
from typing import Any

from edgeport.benchmarks.mlperf.loadgen import LoadgenResult
from edgeport.benchmarks.mlperf.loadgen import markdown as loadgen_markdown
from edgeport.benchmarks.profile.profile_facts import from_document
from edgeport.benchmarks.profile.profile_table import profile_markdown
from edgeport.benchmarks.report.findings import PERCENTS, Findings, Subject
from edgeport.benchmarks.report.html_machine import command_line
from edgeport.benchmarks.report.record import LABEL, PREDICT, TIMED, Condition, Report
from edgeport.benchmarks.report.words import between, counted, percent, percent_span, size
from edgeport.benchmarks.statistics.confidence import confidence_change, expected_calibration_error
from edgeport.benchmarks.statistics.paired import loss_interval
from edgeport.benchmarks.statistics.verdicts import class_losses

_UNKNOWN = "-"


def markdown_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, ending with a newline; its first column is text, the others are figures."""
    lines = [columns, (":--", *["--:"] * (len(columns) - 1)), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def answers(findings: Findings) -> str:
    """Return how the answers differ from the reference's."""
    if not findings.others:
        return ""
    columns = ("artefact", "agreement, %", "95 %", "right to wrong", "wrong to right", "wrong to other",
               "points lost", "95 %", "p")  # fmt: skip
    rows = []
    for subject in findings.others:
        if (paired := subject.paired) is None:
            continue
        counts = (paired.right_to_wrong, paired.wrong_to_right, paired.wrong_to_other)
        rows.append(
            (
                subject.name,
                percent(paired.agreement),
                percent_span(paired.agreement_interval),
                *(f"{count:,}" for count in counts),
                f"{100 * paired.loss:.2f}",
                percent_span(loss_interval(paired)),
                _p(paired.p_value),
            )
        )
    return (
        f"## Answers beside those of {findings.reference.name}\n\n{markdown_of(columns, rows)}\n"
        "Agreement: the share of images with the same answer, with its Wilson interval. Points lost: of accuracy, with "
        "a bootstrap interval over images. p: of the exact McNemar test.\n"
    )


def confidence(findings: Findings) -> str:
    """Return how sure the answers are."""
    truth, reference = findings.report.true_classes, findings.reference.measured
    rows = []
    for subject in findings.subjects:
        measured = subject.measured
        mean, most = confidence_change(reference.confidence, measured.confidence)
        changes = (_UNKNOWN, _UNKNOWN) if measured is reference else (f"{100 * mean:.2f}", f"{100 * most:.2f}")
        error = expected_calibration_error(measured.confidence, measured.classes == truth)
        rows.append((subject.name, *changes, percent(float(measured.confidence.mean())), f"{100 * error:.2f}"))
    columns = ("artefact", "mean change", "99th percentile", "mean confidence, %", "calibration error")
    return (
        f"## How sure the answers are\n\n{markdown_of(columns, rows)}\n"
        "Change: of the probability of the answer beside the reference's, without its sign. Calibration error: how far "
        "confidence and accuracy are apart (15 bins, arXiv 1706.04599). Both in percentage points.\n"
    )


def classes(findings: Findings) -> str:
    """Return the classes that lost accuracy; empty if none did."""
    report = findings.report
    labels = [str(label) for label in report.dataset["labels"]]
    rows = [
        (
            subject.name,
            loss.label,
            f"{loss.count:,}",
            f"{loss.paired.right_to_wrong:,}",
            f"{loss.paired.wrong_to_right:,}",
            f"{100 * loss.paired.loss:.2f}",
            _p(loss.p_value),
        )
        for subject in findings.others
        for loss in class_losses(report.true_classes, report.reference.classes, subject.measured.classes, labels)
    ]
    if not rows:
        return ""
    columns = ("artefact", "class", "images", "right to wrong", "wrong to right", "points lost", "p")
    return (
        f"## Classes that lost accuracy\n\n{markdown_of(columns, rows)}\n"
        "Exact McNemar test in each class at 5 %, p with Holm's correction over all classes of an artefact.\n"
    )


def latency(findings: Findings) -> str:
    """Return the percentiles of one call on one image, as far as there are calls enough."""
    if not findings.timed:
        return ""
    columns = ("artefact", "calls", *(f"p{each}, us" for each in PERCENTS), "predict p50, us", "label p50, us")
    rows = []
    for subject in findings.timed:
        main = subject.main
        percentiles = (_percentile(subject, each) for each in PERCENTS)
        calls = f"{len(main.samples):,}" if main else _UNKNOWN
        rows.append((subject.name, calls, *percentiles, *(_median(subject, what) for what in (PREDICT, LABEL))))
    timed = "".join(f"- *{what}*: {told}\n" for what, told in TIMED.items())
    return (
        f"## Latency\n\n{markdown_of(columns, rows)}\n"
        "In parentheses the 95 % interval, of a bootstrap over processes and their calls. A percentile is left out "
        f"where fewer than ten calls lie beyond it. Unless a column says otherwise, *engine* was timed.\n\n{timed}"
    )


def throughput(findings: Findings) -> str:
    """Return the images a second over batches and threads; empty if there was one way alone."""
    ways = sorted(
        {
            (series.threads, series.batch)
            for subject in findings.timed
            for series in subject.measured.series
            if series.what == PREDICT
        }
    )
    if len(ways) < 2:
        return ""
    rows = []
    for subject in findings.timed:
        found = [subject.measured.find(PREDICT, batch=batch, threads=threads) for threads, batch in ways]
        rows.append((subject.name, *(f"{each.images_per_second:,.0f}" if each else _UNKNOWN for each in found)))
    columns = ("artefact", *(f"{counted(threads, 'thread')}, batch {batch}" for threads, batch in ways))
    return f"## Throughput\n\nImages a second of predict(), at its median call.\n\n{markdown_of(columns, rows)}"


def start(findings: Findings) -> str:
    """Return what a start costs, step by step, and the memory; empty if nothing was started."""
    started = [subject for subject in findings.subjects if subject.starts]
    if not started:
        return ""
    figures = ("import_ns", "load_ns", "first_ns", "total_ns", "peak_rss_bytes", "steady_rss_bytes")
    rows = []
    for subject in started:
        values = [subject.of_starts(each) for each in figures]
        rows.append((subject.name, *(f"{each / 1e6:.1f}" if each else _UNKNOWN for each in values)))
    columns = (
        "artefact",
        "import, ms",
        "load, ms",
        "first prediction, ms",
        "cold start, ms",
        "peak, MB",
        "at the end, MB",
    )
    return (
        f"## Start-up and memory\n\n{markdown_of(columns, rows)}\n"
        "Medians over the starts. Import: from the start of the process until its engine is imported; memory is what "
        "is resident.\n"
    )


def profiles(findings: Findings) -> str:
    """Return the time by operator of each artefact that was profiled."""
    found = [profile_markdown(from_document(document)) for document in findings.report.profiles.values()]
    return "\n".join(["## Time by operator\n", *found]) if found else ""


def mlperf(findings: Findings) -> str:
    """Return what MLPerf LoadGen measured, beside edgeport's own clock."""
    found = [LoadgenResult(**each) for each in findings.report.mlperf.values()]
    return f"## MLPerf LoadGen\n\n{loadgen_markdown(found)}" if found else ""


def machine(findings: Findings) -> str:
    """Return the machine, what went on in it meanwhile, and how to do the same again."""
    report = findings.report
    engines = sorted({" ".join(each.engine.get(key, "") for key in ("name", "version")) for each in report.artefacts})
    protocol = ", ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in report.protocol.items())
    written = " ".join(filter(None, (report.edgeport.get("version"), report.edgeport.get("commit", "")[:12])))
    lines = [
        *_host(report),
        *_meanwhile(report.conditions),
        f"Engines: {', '.join(engines)}",
        f"Data: {report.dataset['name']}, {report.dataset['split']} split, SHA-256 {report.dataset['sha256']}",
        f"Measured in rounds of fresh processes, timed in turns in shuffled order: {protocol}",
        f"Written by edgeport {written}, {report.created_utc}",
    ]
    items = "".join(f"- {line}\n" for line in lines)
    return f"## The machine, and how to reproduce this\n\n```console\n$ {command_line(report)}\n```\n\n{items}"


SECTIONS = (answers, confidence, classes, latency, throughput, start, profiles, mlperf, machine)


def _host(report: Report) -> list[str]:
    host = report.host
    processor = [host["cpu_model"], host.get("cpu_core"), f"{host['cores']} cores", ", ".join(host["flags"])]
    if host.get("hypervisor"):
        processor.append("a virtual machine")
    clock = [
        f"{host[key]:,.0f} MHz {words}"
        for key, words in (("frequency_mhz", "at the end"), ("max_frequency_mhz", "at most"))
        if host.get(key)
    ]
    if host.get("governor"):
        clock.append(f"governor {host['governor']}")
    if host.get("temperature_c") is not None:
        clock.append(f"{host['temperature_c']:.0f} degrees Celsius at the end")
    system = [host.get("board"), f"{size(host['ram_bytes'])} of memory", host["os"], host.get("kernel")]
    system += [f"Python {host['python']}", f"numpy {host['numpy']}" if host.get("numpy") else None]
    groups = (("Processor", processor), ("Clock", clock), ("System", system))
    return [f"{name}: {'; '.join(str(each) for each in facts if each)}" for name, facts in groups if any(facts)]


def _meanwhile(conditions: Sequence[Condition]) -> list[str]:
    """Return the range of each condition, in one line."""
    told = (
        ("others_busy", 1.0, "cores used by others", 2),
        ("stolen", 1.0, "cores taken by the hypervisor", 2),
        ("yardstick_ns", 1e3, "us for the reference workload", 1),
        ("frequency_mhz", 1.0, "MHz", 0),
        ("temperature_c", 1.0, "degrees Celsius", 0),
    )
    parts = []
    for name, factor, words, decimals in told:
        values = [value / factor for each in conditions if (value := getattr(each, name)) is not None]
        if values:
            parts.append(f"{min(values):,.{decimals}f} to {max(values):,.{decimals}f} {words}")
    return [f"Meanwhile, by round: {'; '.join(parts)}"] if parts else []


def _percentile(subject: Subject, percent_: int) -> str:
    found = subject.percentiles.get(percent_)
    if found is None:
        return _UNKNOWN
    interval = f" ({between(*(f'{end / 1e3:.1f}' for end in found.interval))})" if found.interval else ""
    return f"{found.value / 1e3:.1f}{interval}"


def _median(subject: Subject, what: str) -> str:
    main = subject.main
    series = subject.measured.find(what, threads=main.threads) if main else None
    return f"{series.percentile_us(50):.1f}" if series else _UNKNOWN


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
