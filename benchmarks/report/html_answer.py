"""The answer in words: which artefact to take, what it gains, and what one must know before believing it."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from edgeport.benchmarks.report.findings import Findings, Subject
from edgeport.benchmarks.report.html_elements import Child, element, listed, paragraph
from edgeport.benchmarks.report.words import (
    MINUS,
    THIN,
    amount,
    amounts,
    counted,
    enumerated,
    figures,
    percent,
    percent_span,
    size,
    span,
)
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio
from edgeport.benchmarks.statistics.verdicts import LOSS, TOO_FEW


def answer(findings: Findings) -> ET.Element:
    """Return a paragraph with the answer."""
    best = findings.best
    sentences = [*_of_best(findings, best)] if best else [*_without_best(findings)]
    lost = [subject.name for subject in findings.others if subject.verdict and subject.verdict.kind == LOSS]
    if lost and best:
        sentences.append(f" {enumerated(lost)} {'has' if len(lost) == 1 else 'have'} lost accuracy.")
    return paragraph(*sentences, class_="answer")


def tiles(findings: Findings) -> ET.Element | None:
    """Return the figures of the best artefact in large type; None if there is none."""
    best = findings.best
    if best is None:
        return None
    unit, factor = findings.unit
    shown: list[tuple[str, str, Child]] = [
        (f"{amount(best.median_ns / factor)}{THIN}{unit}", "one image", _unbroken(_middle_interval(best, unit, factor)))
    ]
    if best.ratio and best.base:
        value, what, interval = ratio_words(best.ratio, best.base.name)
        shown.append((f"{value}\u00d7", what.removeprefix("times "), _unbroken(interval)))
    name = findings.reference.name
    difference = 100 * (best.accuracy - findings.reference.accuracy)
    points = f"{difference:+.2f} points".replace("-", MINUS) if round(difference, 2) else ""
    shown.append(
        (
            f"{percent(best.accuracy)}{THIN}%",
            f"right; {points} against {name}" if points else f"right; as many as {name}",
            _unbroken(f"95{THIN}% interval {percent_span(best.accuracy_interval)}"),
        )
    )
    if best.measured.bytes:
        base = best.base.bytes if best.base else 0
        less = f"{figures(base / best.measured.bytes, digits=2)} times smaller than {size(base)}" if base else ""
        shown.append((size(best.measured.bytes), "file", less))
    return element(
        "ul",
        *(
            element("li", element("b", value), element("span", what), element("small", more) if more else None)
            for value, what, more in shown
        ),
        class_="tiles",
        aria_label=f"{best.name} in figures",
    )


def warnings(findings: Findings) -> ET.Element | None:
    """Return what one must know before believing the page; None if all went well."""
    report = findings.report
    told: list[Child] = []
    if report.partial:
        told.append(f"The run is partial: {report.partial}.")
    told += [f"The machine was disturbed. {each}." for each in findings.disturbances]
    if not findings.reference.main:
        told.append(
            f"{findings.reference.name} was not run on this machine, and so not timed: its answers are recorded ones."
        )
    told += [f"{each.get('file', '')} was left out: {each.get('reason', '')}" for each in report.skipped]
    if not told:
        return None
    return element("div", listed(told), class_="warning", role="note", aria_label="Before you believe it")


def ratio_words(ratio: Ratio, base: str) -> tuple[str, str, str]:
    """Return a ratio of latencies in words: how many times, as fast or as slow as what, and the interval.

    Args:
        ratio: The latency as a multiple of the base's.
        base: What the base is called.
    """
    faster = ratio.ratio < 1
    value = 1 / ratio.ratio if faster else ratio.ratio
    if ratio.low <= 0 or ratio.high == float("inf"):
        interval = "too few processes for an interval"
    else:
        ends = (1 / ratio.high, 1 / ratio.low) if faster else (ratio.low, ratio.high)
        interval = f"95{THIN}% interval {span(*ends)}"
    if ratio.contains_one:
        return figures(value), f"not told apart from {base}", interval
    return figures(value), f"times as {'fast' if faster else 'slow'} as {base}", interval


def _unbroken(words: str) -> ET.Element:
    """Return words of which the last ones, an interval, stay on one line."""
    before, _, interval = words.rpartition("interval ")
    return element("span", f"{before}interval " if before else "", element("span", interval))


def _of_best(findings: Findings, best: Subject) -> Sequence[Child]:
    unit, factor = findings.unit
    took = f"{amount(best.median_ns / factor)}{THIN}{unit}"
    words: list[Child] = [
        element("strong", best.name),
        f" is the fastest artefact without a detectable loss of accuracy: {took} for one image",
    ]
    words += _gain(best)
    words.append(". ")
    told = best.verdict.sentence.partition(": ")[2] if best.verdict else ""
    words.append(f"Beside {findings.reference.name}: {told}.")
    alike = [other.name for other in findings.others if other is not best and _alike(best, other)]
    if alike:
        words.append(f" This run cannot tell its speed from that of {enumerated(alike)}.")
    quantized = any(other.measured.precision != "float32" for other in findings.others)
    if best.measured.precision == "float32" and quantized:
        words.append(" No smaller precision is faster without a loss here.")
    return words


def _gain(best: Subject) -> Sequence[Child]:
    """Return what it gains over the float32 artefact of its format."""
    if not (best.ratio and best.base):
        return [f", in a file of {size(best.measured.bytes)}"] if best.measured.bytes else []
    value, what, interval = ratio_words(best.ratio, best.base.name)
    if best.ratio.contains_one:
        words: list[Child] = [f", which this run cannot tell from {best.base.name} ({interval})"]
    else:
        times = what.removesuffix(f" as {best.base.name}")
        words = [", ", element("strong", f"{value} {times}"), f" as {best.base.name} ({interval})"]
    if best.measured.bytes and best.base.bytes:
        words.append(f", in a file of {size(best.measured.bytes)} instead of {size(best.base.bytes)}")
    return words


def _alike(best: Subject, other: Subject) -> bool:
    if not (best.main and other.main and other.lossless):
        return False
    return latency_ratio(best.main.launches, other.main.launches).contains_one


def _without_best(findings: Findings) -> Sequence[Child]:
    judged = [subject for subject in findings.others if subject.verdict]
    if not judged:
        return [f"Nothing was compared: this report holds {findings.reference.name} alone."]
    kinds = {subject.verdict.kind for subject in judged if subject.verdict}
    fastest = min((subject for subject in judged if subject.main), key=lambda one: one.median_ns, default=None)
    if kinds == {TOO_FEW}:
        words = f"{counted(len(findings.report.truth), 'image')} are too few to tell whether accuracy was lost."
    elif kinds == {LOSS}:
        words = "Every artefact has lost accuracy."
    else:
        words = "No artefact that was timed is free of a detectable loss of accuracy."
    if fastest is None or fastest.verdict is None:
        return [words, " None was timed."]
    unit, factor = findings.unit
    took = f"{amount(fastest.median_ns / factor)}{THIN}{unit}"
    return [words, f" The fastest is {fastest.name}, with {took} for one image: {fastest.verdict.sentence}."]


def _middle_interval(subject: Subject, unit: str, factor: float) -> str:
    middle = subject.percentiles[50]
    if middle.interval is None:
        return "median of all calls"
    low, high = (end / factor for end in middle.interval)
    return f"95{THIN}% interval {amounts(low, high)}{THIN}{unit}"
