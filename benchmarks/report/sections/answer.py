"""The answer in words: which artefact to take, what it gains, and what one must know before one believes it."""

from collections.abc import Sequence

from edgeport.benchmarks.report.document import Block, Notice, Paragraph, Strong, Tile, Tiles
from edgeport.benchmarks.report.findings import Candidate, Findings
from edgeport.benchmarks.report.sections.names import is_bounded
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
from edgeport.benchmarks.statistics.latency import Ratio
from edgeport.benchmarks.statistics.margins import margin_text
from edgeport.benchmarks.statistics.verdicts import LOSS, TOO_FEW


def lead(findings: Findings) -> list[Block]:
    """Return what stands first: the answer, its figures in large type, and what one must know."""
    best = findings.best
    words = _of_best(findings, best) if best else _without_best(findings)
    lost = [each.name for each in findings.others if each.verdict and each.verdict.kind == LOSS]
    if lost and best:
        words.append(f" {enumerated(lost)} {'has' if len(lost) == 1 else 'have'} lost accuracy.")
    blocks: list[Block] = [Paragraph(tuple(words), "answer")]
    blocks += [Paragraph(f"Not judged: {each}.") for each in findings.problems]
    if findings.max_loss is not None:
        blocks.append(Paragraph(margin_sentence(findings)))
    if best:
        blocks.append(_tiles(findings, best))
    warnings = _warnings(findings)
    return [*blocks, Notice("Before you believe it", warnings)] if warnings else blocks


def verdicts(findings: Findings) -> list[tuple[str, str]]:
    """Return the verdicts on accuracy, each with the candidates of which it says the same."""
    names: dict[str, list[str]] = {}
    for candidate in findings.others:
        if candidate.verdict:
            names.setdefault(candidate.verdict.sentence, []).append(candidate.name)
    return [(enumerated(each), sentence) for sentence, each in names.items()]


def verdict_lines(findings: Findings) -> list[str]:
    """Return the verdicts on accuracy, a sentence each, for a terminal and for Markdown."""
    return [f"{names}: {sentence}" for names, sentence in verdicts(findings)]


def margin_sentence(findings: Findings) -> str:
    """Return whether each loss is below the largest that is accepted; empty if nobody asks."""
    asked = [each for each in findings.others if each.margin and each.change]
    if not asked or findings.max_loss is None or asked[0].change is None:
        return ""
    what = margin_text(asked[0].change, findings.max_loss)
    said = []
    for below, words in ((True, "Below"), (False, "Not below")):
        names = [f"{each.name} ({each.margin.words})" for each in asked if each.margin and each.margin.below == below]
        said += [f"{words} {what} (--max-loss): {enumerated(names)}."] if names else []
    return " ".join(said)


def _tiles(findings: Findings, best: Candidate) -> Tiles:
    unit, factor = findings.unit
    interval = best.percentiles[50].interval
    ends = f"{amounts(interval[0] / factor, interval[1] / factor)}{THIN}{unit}" if interval else ""
    tiles = [
        Tile(f"{amount(best.median_ns / factor)}{THIN}{unit}", f"one {findings.report.sample}",
             f"95{THIN}% interval" if ends else "median of all calls", ends)
    ]  # fmt: skip
    if best.ratio and best.base:
        value, what, more = _ratio_words(best.ratio, best.base.name)
        before, _, ends = more.rpartition(" ") if is_bounded(best.ratio) else (more, "", "")
        tiles.append(Tile(f"{value}\u00d7", what.removeprefix("times "), before, ends))
    tiles.append(_metric_tile(findings, best) if best.judged else _accuracy_tile(findings, best))
    if best.measured.bytes:
        base = best.base.bytes if best.base else 0
        less = f"{figures(base / best.measured.bytes, digits=2)} times smaller than {size(base)}" if base else ""
        tiles.append(Tile(size(best.measured.bytes), "file", less))
    return Tiles(f"{best.name} in figures", tiles)


def _accuracy_tile(findings: Findings, best: Candidate) -> Tile:
    name = findings.reference.name
    difference = 100 * (best.accuracy - findings.reference.accuracy)
    points = f"{difference:+.2f} points".replace("-", MINUS) if round(difference, 2) else ""
    what = f"right; {points} against {name}" if points else f"right; as many as {name}"
    ends = percent_span(best.accuracy_interval)
    return Tile(f"{percent(best.accuracy)}{THIN}%", what, f"95{THIN}% interval", ends)


def _metric_tile(findings: Findings, best: Candidate) -> Tile:
    change = next(each.changes[0] for each in best.judged if each.changes)
    shown = change.metric.shown
    return Tile(shown(change.other), change.metric.name, f"{shown(change.reference)} with {findings.reference.name}")


def _warnings(findings: Findings) -> list[str]:
    report = findings.report
    words = [f"The run is partial: {report.partial}."] if report.partial else []
    words += [f"The machine was disturbed. {each}." for each in findings.disturbances]
    if not findings.reference.main and findings.timed:
        words.append(
            f"{findings.reference.name} was not run on this machine, and so not timed: its answers are recorded ones."
        )
    return words + [f"{each.get('file', '')} was left out: {each.get('reason', '')}" for each in report.skipped]


def _ratio_words(ratio: Ratio, base: str) -> tuple[str, str, str]:
    """Return a ratio of latencies in words: how many times, as fast or as slow as what, and the interval."""
    faster = ratio.ratio < 1
    value = 1 / ratio.ratio if faster else ratio.ratio
    if not is_bounded(ratio):
        interval = "too few processes for an interval"
    else:
        ends = (1 / ratio.high, 1 / ratio.low) if faster else (ratio.low, ratio.high)
        interval = f"95{THIN}% interval {span(*ends)}"
    if ratio.contains_one:
        return figures(value), f"not distinguishable from {base}", interval
    return figures(value), f"times as {'fast' if faster else 'slow'} as {base}", interval


def _of_best(findings: Findings, best: Candidate) -> list[str]:
    took = f"{_took(findings, best)} for one {findings.report.sample}"
    words = [
        Strong(best.name),
        f" is the fastest artefact without a detectable loss of accuracy: {took}",
        *_gain(best),
        ". ",
    ]
    sentence = best.verdict.sentence.partition(": ")[2] if best.verdict else ""
    words.append(f"Beside {findings.reference.name}: {sentence}.")
    if findings.as_fast:
        words.append(f" This run cannot tell its speed from that of {enumerated(findings.as_fast)}.")
    quantized = any(other.measured.precision != "float32" for other in findings.others)
    if best.measured.precision == "float32" and quantized:
        words.append(" No smaller precision is faster without a loss here.")
    return words


def _gain(best: Candidate) -> Sequence[str]:
    """Return what it gains over the float32 artefact of its format."""
    if not (best.ratio and best.base):
        return [f", in a file of {size(best.measured.bytes)}"] if best.measured.bytes else []
    value, what, interval = _ratio_words(best.ratio, best.base.name)
    if best.ratio.contains_one:
        words = [f", which this run cannot tell from {best.base.name} ({interval})"]
    else:
        times = what.removesuffix(f" as {best.base.name}")
        words = [", ", Strong(f"{value} {times}"), f" as {best.base.name} ({interval})"]
    if best.measured.bytes and best.base.bytes:
        words.append(f", in a file of {size(best.measured.bytes)} instead of {size(best.base.bytes)}")
    return words


def _without_best(findings: Findings) -> list[str]:
    judged = [candidate for candidate in findings.others if candidate.verdict]
    sample = findings.report.sample
    if not findings.others:
        return [f"Nothing was compared: this report holds {findings.reference.name} alone."]
    if not judged and findings.problems:
        return ["The answers are not judged, as the metric gives no number."]
    if not judged:
        return ["Nobody said what is true of the samples (--targets), so nothing says what a change of answers costs."]
    kinds = {each.verdict.kind for each in judged if each.verdict}
    if kinds == {TOO_FEW}:
        words = f"{counted(findings.report.count, sample)} are too few to tell whether accuracy was lost."
    elif kinds == {LOSS}:
        words = "Every artefact has lost accuracy."
    else:
        words = "No artefact that was timed is free of a detectable loss of accuracy."
    fastest = min((each for each in judged if each.main), key=lambda each: each.median_ns, default=None)
    if fastest is None or fastest.verdict is None:
        return [words, " None was timed."]
    took = f"with {_took(findings, fastest)} for one {sample}"
    return [words, f" The fastest is {fastest.name}, {took}: {fastest.verdict.sentence}."]


def _took(findings: Findings, candidate: Candidate) -> str:
    unit, factor = findings.unit
    return f"{amount(candidate.median_ns / factor)}{THIN}{unit}"
