"""The tables of docs/frontier.md: the family beside its goals, what int8 loses, and the designs that were tried."""

from statistics import mean, median
from typing import Any

from edgeport.benchmarks.statistics.paired import mcnemar_p
from edgeport.benchmarks.sweep.results import Results
from edgeport.benchmarks.sweep.summary import Line, lines_of, ratios_of

# model: most weights, least accuracy in float32 and in int8, percent of MNIST's test images, means over the seeds.
ACCURACY_GOALS = {
    "edge-2k": (2_000, 99.2, 99.15),
    "edge-10k": (10_000, 99.55, 99.5),
    "edge-35k": (35_000, 99.65, 99.62),
    "edge-100k": (100_000, 99.72, 99.7),
}
# model and format: how long int8 may take beside float32.
RATIO_GOALS = {
    ("edge-2k", "tflite"): 1.0,
    ("edge-2k", "onnx"): 1.0,
    ("edge-10k", "tflite"): 1.0,
    ("edge-10k", "onnx"): 1.0,
    ("edge-35k", "tflite"): 1.0,
    ("edge-35k", "onnx"): 1.0,
    ("edge-100k", "tflite"): 0.25,
    ("edge-100k", "onnx"): 0.5,
}
# model: how many microseconds its int8 TFLite file may take beyond the engine's empty call.
EMPTY_CALL_GOALS = {"edge-10k": 8.0}
_NAMES = {"tflite": "TFLite", "onnx": "ONNX"}


def goals_table(results: Results) -> str:
    """Return each goal beside what was reached, and the distance, as Markdown."""
    lines = {(line.model, line.format, line.precision): line for line in lines_of(results)}
    rows = ["| goal | wanted | reached | |", "| :-- | --: | --: | :-- |"]
    for model, (most, float32, int8) in ACCURACY_GOALS.items():
        if (model, "keras", "float32") not in lines:
            continue
        weights = lines[model, "keras", "float32"].parameters
        verdict = _verdict(most - weights, "{:,.0f}")
        rows.append(f"| {model}, deployed parameters | ≤ {most:,} | {weights:,} | {verdict} |")
        rows.append(_accuracy(model, "float32, Keras", float32, lines[model, "keras", "float32"]))
        for format_ in ("tflite", "onnx"):
            rows.append(_accuracy(model, f"int8, {_NAMES[format_]}", int8, lines[model, format_, "int8"]))
    for model, format_, _, ratio in ratios_of(results):
        wanted, what = RATIO_GOALS[model, format_], f"{model}, time of int8 beside float32, {_NAMES[format_]}"
        verdict = _verdict(wanted - ratio.ratio, "{:.2f}")
        rows.append(f"| {what} | ≤ {wanted:.2f} | {ratio.ratio:.2f} | {verdict} |")
    return "\n".join(rows) + "\n"


def _accuracy(model: str, what: str, wanted: float, line: Line) -> str:
    reached = 100 * mean(line.test)
    return f"| {model}, {what} | ≥ {wanted:.2f} % | {reached:.3f} % | {_verdict(reached - wanted, '{:.3f} points')} |"


def _verdict(margin: float, form: str) -> str:
    # What is missed by less than the figures show is missed all the same.
    return "met" if margin >= 0 else "missed by " + form.format(-margin)


def loss_table(rows: list[dict[str, Any]]) -> str:
    """Return what int8 loses and wins beside float32 over all seeds, and McNemar's p-value, as Markdown."""
    lines = ["| model | file | seeds | right to wrong | wrong to right | loss, points | p |"]
    lines.append("| :-- | :-- | --: | --: | --: | --: | --: |")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["format"]), []).append(row)
    for (model, format_), cells in groups.items():
        losses, gains, count = (
            sum(cell[key] for cell in cells) for key in ("right_to_wrong", "wrong_to_right", "count")
        )
        lines.append(
            f"| {model} | {_NAMES[format_]} int8 | {len(cells)} | {losses} | {gains} "
            f"| {100 * (losses - gains) / count:.3f} | {mcnemar_p(losses, gains):.2g} |"
        )
    return "\n".join(lines) + "\n"


def empty_call_table(p50_us: dict[str, list[float]]) -> str:
    """Return what each model's int8 TFLite file takes beyond the engine's empty call, as Markdown.

    Args:
        p50_us: The median call of each process in microseconds, by model; ``empty`` is the empty call. Processes of the
            same index ran side by side.
    """
    rows = ["| int8 TFLite | call, us | beyond the empty call, us | wanted | |", "| :-- | --: | --: | --: | :-- |"]
    for model, calls in p50_us.items():
        beyond = median(call - empty for call, empty in zip(calls, p50_us["empty"], strict=True))
        goal = EMPTY_CALL_GOALS.get(model)
        verdict = f"≤ {goal:.1f} | {_verdict(goal - beyond, '{:.1f}')} |" if goal is not None else "| |"
        rows.append(f"| {model} | {median(calls):.1f} | {beyond:.1f} | {verdict}")
    return "\n".join(rows) + "\n"


def search_table(rows: list[dict[str, Any]]) -> str:
    """Return the designs that were tried, the most accurate first, as Markdown."""
    lines = ["| design | parameters | epochs | validation, % | loss | int8 TFLite, us | beside float32 | ONNX |"]
    lines.append("| :-- | --: | --: | --: | --: | --: | --: | --: |")
    for row in sorted(rows, key=lambda row: -row["correct"]):
        right = 100 * row["correct"] / row["count"]
        lines.append(
            f"| `{row['design']}` | {row['parameters']:,} | {row['epochs']} | {right:.2f} "
            f"| {row['validation_loss']:.4f} | {row['tflite_int8_us']:.1f} | {row['tflite_int8_ratio']:.2f} "
            f"| {row['onnx_int8_ratio']:.2f} |"
        )
    return "\n".join(lines) + "\n"
