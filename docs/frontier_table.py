"""The tables of docs/frontier.md: the family beside what it was meant to reach, and what int8 loses."""

from statistics import mean
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
