"""A sweep as a table in Markdown, made from its results alone."""

import math
from collections.abc import Sequence

from edgeport.benchmarks.report.looks import FORMAT_NAMES
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.report.words import DASH, amount, amounts, between, counted, signed
from edgeport.benchmarks.sweep.results import Decider, Results
from edgeport.benchmarks.sweep.summary import SweepLine, lines_of, ratios_of, spread
from edgeport.benchmarks.tasks.metric import DOWN, UP

# A change of less, as a share of the figure, is that of float32.
_ROUNDING = 1e-5


def sweep_table(results: Results) -> str:
    """Return the table, the ratios of latencies, and what they mean, as Markdown that reads well as it is."""
    lines = lines_of(results)
    if not lines:
        return "No cell of the sweep has ended.\n" + _failures(results)
    recipes = len({line.recipe for line in lines}) > 1
    heads = _header(results, recipes)
    parts = [_table(heads, [_row(line, results, recipes) for line in lines]), _legend(results)]
    ratios = [
        (model, f"{FORMAT_NAMES[format_]} {precision}", f"{ratio.ratio:.2f}", f"{ratio.low:.2f}{DASH}{ratio.high:.2f}")
        for model, format_, precision, ratio in ratios_of(results)
    ]
    if ratios:
        parts.append("Time beside the float32 file in the same engine, from pairs of processes side by side:\n")
        parts.append(_table(("model", "file", "ratio", "95 % interval"), ratios))
    return "\n".join(parts) + _failures(results)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    left = [place for place, name in enumerate(heads) if name in ("model", "recipe", "file")]
    return markdown_table(heads, rows, left=left, aligned=True)


def _header(results: Results, recipes: bool) -> tuple[str, ...]:
    metric = results.metric
    unit = f", {'%' if metric.is_share else metric.unit}" if metric.unit else ""
    what = "" if metric == Decider() else f" {metric.name}"
    test = (f"test{what}{unit}", "min\u2013max") if results.split == "test" else ("min\u2013max",)
    recipe = ("recipe",) if recipes else ()
    timed = ("p50, us",) if results.latency else ()
    return (
        "model",
        *recipe,
        "file",
        "parameters",
        "bytes",
        "seeds",
        f"validation{what}{unit}",
        *test,
        "less Keras",
        *timed,
    )


def _row(line: SweepLine, results: Results, recipes: bool) -> tuple[str, ...]:
    metric = results.metric
    test = (_mean(line.test, metric),) if results.split == "test" else ()
    figures = line.figures
    timed = line.latency
    latency = f"{amount(timed.p50_us)} ({amounts(timed.low_us, timed.high_us)})" if timed else DASH
    return (
        line.model,
        *((line.recipe,) if recipes else ()),
        f"{FORMAT_NAMES[line.format]} {line.precision}",
        f"{line.parameters:,}",
        f"{line.bytes:,}",
        f"{len(line.seeds)}",
        _mean(line.validation, metric),
        *test,
        between(metric.shown(min(figures)), metric.shown(max(figures))),
        DASH if line.format == "keras" else _change(line, metric),
        *((latency,) if results.latency else ()),
    )


def _change(line: SweepLine, metric: Decider) -> str:
    change = sum(line.changes) / len(line.changes)
    # A mean of nothing but rounding errors has no sign.
    if metric.is_share:
        return signed(f"{round(100 * change, 3) + 0.0:+.3f}")
    return signed(f"{change:+.3g}") if abs(change) > _ROUNDING * max(map(abs, line.figures)) else "0"


def _mean(figures: Sequence[float], metric: Decider) -> str:
    if not figures:
        return DASH
    deviation = spread(tuple(figures))
    mean = metric.shown(sum(figures) / len(figures), decimals=3)
    shown = f"{100 * deviation:.3f}" if metric.is_share else f"{deviation:.2g}"
    return signed(mean if math.isnan(deviation) else f"{mean} \u00b1 {shown}")


def _legend(results: Results) -> str:
    split = results.split
    count = results.cells[0]["contenders"][0][split]["count"]
    sample = results.sample
    words = [
        f"{results.dataset['name']}, {counted(count, f'{split} {sample}')}. {_figures(results.metric)} are means over "
        f"the seeds \u00b1 their standard deviation, with the range on the {split} {sample}s; each file answers in its "
        f"own engine. 'less Keras' is the mean change from the Keras model of the same seed{_unit(results.metric)}. "
        "Parameters are those of the deployed file, after folding; a Keras file holds more than weights.",
    ]
    if results.latency:
        latency = results.latency
        words.append(
            f"p50: one engine call on one {sample} with one thread on {latency.host['cpu_model']}, with its 95 % "
            f"interval, from {counted(latency.protocol['launches'], 'process', 'processes')} a file in turns, with the "
            "weights of one seed of each model."
        )
        words += [f"{each}." for each in latency.disturbances]
        words += [f"The timing was {latency.partial}."] if latency.partial else []
    return " ".join(words) + "\n"


def _figures(metric: Decider) -> str:
    if metric == Decider():
        return "Accuracies"
    better = {UP: "more is better", DOWN: "less is better"}.get(metric.better, "nearest to 0 is best")
    return f"Figures of {metric.name} ({better})"


def _unit(metric: Decider) -> str:
    return f", in {metric.unit}" if metric.unit else ""


def _failures(results: Results) -> str:
    failed = [f"- {each['model']}/{each['recipe']}/seed-{each['seed']}: {each['reason']}" for each in results.failed]
    refused = [
        f"- {cell['model']}/{cell['recipe']}/seed-{cell['seed']}: {each['file']} was refused: {each['reason']}"
        for cell in results.cells
        for each in cell["refused"]
    ]
    return "\nNot made:\n\n" + "\n".join(failed + refused) + "\n" if failed or refused else ""
