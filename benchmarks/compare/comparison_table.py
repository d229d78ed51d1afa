"""A comparison for people: a table for the terminal, the same in Markdown, and the verdict in words."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from edgeport.benchmarks.compare.comparability import way_of
from edgeport.benchmarks.compare.comparison import AnswersChange, ArtefactChange, Comparison, Figure, LatencyChange
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.statistics.verdicts import NO_LOSS, TOO_FEW
from edgeport.benchmarks.tasks.metric import SHARE

_TIMES = ("p50, us", "ratio (95 %)", "verdict")
_FIGURE_COLUMNS = ("artefact", "kB", "cold start, ms", "peak memory, MB")
_WORDS = ("artefact", "verdict")
_UNKNOWN = "-"
_FINITE = 1e300


def comparison_table(comparison: Comparison) -> Table:
    """Return a comparison as a table for a rich console: a line for each artefact, and for each further slowdown."""
    return _terminal_table(_columns(comparison), comparison_rows(comparison))


def figures_table(comparison: Comparison) -> Table:
    """Return what is shown and not judged as a table for a rich console: sizes, cold starts and memory."""
    return _terminal_table(_FIGURE_COLUMNS, _figure_rows(comparison))


def _columns(comparison: Comparison) -> tuple[str, ...]:
    answers = next((each.answers for each in comparison.artefacts if each.answers), None)
    if answers is None:
        return "artefact", *_TIMES
    unit = {"points": "%", "": ""}.get(answers.unit, answers.unit)
    return "artefact", f"{answers.metric}, {unit}".removesuffix(", "), *_TIMES


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the cells of the table as text."""
    rows: list[tuple[str, ...]] = []
    for each in comparison.artefacts:
        first, *further = each.latencies or (None,)
        figures = [each.answers.shown] if each.answers else []
        rows.append((each.name, *figures, *_times(first), _verdict(each, first)))
        rows += [
            ("", *("" for _ in figures), *_times(latency), f"{latency.verdict} ({way_of(latency)})")
            for latency in further
            if latency is not None and (latency.regressed or latency.undecided)
        ]
    return rows


def comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown: the verdict, the tables and what one must know to read them."""
    lines = verdict_lines(comparison)
    parts = [f"**{lines.pop()}**\n"]
    if comparison.artefacts:
        parts += [
            _markdown(_columns(comparison), comparison_rows(comparison)),
            _markdown(_FIGURE_COLUMNS, _figure_rows(comparison)),
        ]
    if lines:
        parts.append("".join(f"- {line}\n" for line in lines))
    return "\n".join(parts)


def verdict_lines(comparison: Comparison) -> list[str]:
    """Return what one must know, a sentence each, and the verdict last."""
    lines = [f"Note: {each}" for each in (*comparison.notes, *_detectable(comparison))]
    lines += [f"Missing in NEW: {each}" for each in comparison.missing]
    lines += [f"Only in NEW: {each}" for each in comparison.added]
    if comparison.obstacles:
        return [*lines, *(f"Not comparable: {each}" for each in comparison.obstacles)]
    if comparison.regressions:
        return [*lines, f"Regressed: {'; '.join(comparison.regressions)}"]
    limits = comparison.limits
    judged = _judged(comparison)
    if not judged:
        return [*lines, f"OK: answers not judged (nobody says what is true), {_latency_summary(comparison)}"]
    what = judged[0].metric
    if limits.max_loss is not None:
        loss = f"each loss of {what} is below {limits.max_loss:g} {judged[0].unit}".rstrip()
    else:
        few = sum(each.verdict == TOO_FEW for each in judged)
        doubt = f" (too few samples to tell, for {few} of {len(judged)})" if few else ""
        accepted = limits.max_accuracy_loss
        size = f" of more than {accepted:g} {judged[0].unit}".rstrip() if accepted else ""
        loss = f"no loss{size} of {what} found{doubt}"
    return [*lines, f"OK: {loss}, {_latency_summary(comparison)}"]


def _judged(comparison: Comparison) -> list[AnswersChange]:
    return [each.answers for each in comparison.artefacts if each.answers]


def next_step(comparison: Comparison) -> str:
    """Return what to do about the verdict, in a line."""
    if comparison.obstacles:
        return (
            "measure both on one machine, in one run: edgeport benchmark NEW_EXPORT --baseline BASE_EXPORT; "
            "answers alone compare across machines with --any-host"
        )
    if not comparison.regressions:
        return "keep the new report as the base of the next comparison"
    steps = []
    if any(each.regressed for each in _judged(comparison)):
        limit = "--max-accuracy-loss" if comparison.limits.max_loss is None else "--max-loss"
        steps.append(f"look at the answers in report.html; what you accept, say with {limit}")
    if any(latency.regressed for each in comparison.artefacts for latency in each.latencies):
        steps.append("edgeport benchmark --profile shows where time goes; what you accept, say with --max-slowdown")
    if comparison.missing and not comparison.limits.allow_missing:
        steps.append("make the missing artefacts again, or accept that they are gone with --allow-missing")
    return ". ".join(steps)


def _latency_summary(comparison: Comparison) -> str:
    judged = [latency for each in comparison.artefacts for latency in each.latencies]
    if not judged:
        return "latency not judged"
    undecided = sum(latency.undecided for latency in judged)
    doubt = f", but {undecided} of {len(judged)} latencies too noisy to tell: measure longer" if undecided else ""
    return f"no slowdown of more than {_percent(comparison.limits.max_slowdown)}{doubt}"


def _detectable(comparison: Comparison) -> list[str]:
    """Return which losses could have been seen where none was."""
    unseen = [each for each in _judged(comparison) if not each.regressed]
    shares = any(each.unit == SHARE for each in unseen)
    sizes = [each.smallest_loss for each in unseen if 0 < each.smallest_loss <= (100 if shares else _FINITE)]
    if not sizes:
        return []
    least, most = (f"{each:.2f}" if shares else f"{each:.3g}" for each in (min(sizes), max(sizes)))
    size = f"{least if least == most else f'{least} to {most}'} {unseen[0].unit}".rstrip()
    return [f"A loss of {size} of {unseen[0].metric} would have been seen"]


def _times(latency: LatencyChange | None) -> tuple[str, str]:
    if latency is None:
        return _UNKNOWN, _UNKNOWN
    ratio = f"{latency.ratio:.3f} ({latency.low:.3f}-{latency.high:.3f})"
    return f"{_us(latency.base_us)} -> {_us(latency.new_us)}", ratio


def _us(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _verdict(change: ArtefactChange, latency: LatencyChange | None) -> str:
    """Return what is to be said of an artefact; of its accuracy only if it is not the usual, where there is more."""
    if latency is None:
        return change.answers.verdict if change.answers else _UNKNOWN
    usual = change.answers is None or change.answers.verdict in (NO_LOSS, TOO_FEW)
    return latency.verdict if usual or not change.answers else f"{change.answers.verdict}; {latency.verdict}"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):.3g} %"


def _figure_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    return [(each.name, *map(_change, each.figures)) for each in comparison.artefacts]


def _change(figure: Figure) -> str:
    before, now = (_UNKNOWN if value is None else f"{value:.1f}" for value in (figure.base, figure.new))
    return _UNKNOWN if before == now == _UNKNOWN else f"{before} -> {now}"


def _terminal_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=name != "verdict")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown_table(columns, rows, left=[place for place, name in enumerate(columns) if name in _WORDS])
