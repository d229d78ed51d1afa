"""The tables of the frontier: the family beside its goals, what int8 loses, and the designs that were tried."""

from statistics import mean, median

from edgeport.benchmarks.lab.family.family_results import (
    PUBLISHED,
    REFERENCE,
    EmptyCall,
    Loss,
    Losses,
    Search,
    TeacherScores,
)
from edgeport.benchmarks.report.looks import FORMAT_NAMES
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.statistics.paired import mcnemar_p
from edgeport.benchmarks.sweep.results import Results
from edgeport.benchmarks.sweep.summary import SweepLine, lines_of, ratios_of

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
    ("edge-10k", "onnx"): 0.8,
    ("edge-35k", "tflite"): 1.0,
    ("edge-35k", "onnx"): 0.65,
    ("edge-100k", "tflite"): 0.25,
    ("edge-100k", "onnx"): 0.45,
}
# model: how many microseconds its int8 TFLite file may take beyond the engine's empty call.
EMPTY_CALL_GOALS = {"edge-10k": 8.0}


def goals_table(results: Results) -> str:
    """Return each goal beside what was reached, and the distance, as Markdown."""
    lines = {(line.model, line.recipe, line.format, line.precision): line for line in lines_of(results)}
    rows: list[tuple[str, str, str, str]] = []
    for model, (most, float32, int8) in ACCURACY_GOALS.items():
        reference = lines.get((model, REFERENCE, "keras", "float32"))
        if reference is None:
            continue
        weights = reference.parameters
        verdict = _verdict(most - weights, "{:,.0f}")
        rows.append((f"{model}, deployed parameters", f"≤ {most:,}", f"{weights:,}", verdict))
        rows.append(_accuracy(model, "float32, Keras", float32, reference))
        for format_ in ("tflite", "onnx"):
            line = lines[model, PUBLISHED.get(model, REFERENCE), format_, "int8"]
            rows.append(_accuracy(model, f"int8, {FORMAT_NAMES[format_]}", int8, line))
    for model, format_, _, ratio in ratios_of(results):
        wanted, what = RATIO_GOALS[model, format_], f"{model}, time of int8 beside float32, {FORMAT_NAMES[format_]}"
        verdict = _verdict(wanted - ratio.ratio, "{:.2f}")
        rows.append((what, f"≤ {wanted:.2f}", f"{ratio.ratio:.2f}", verdict))
    return markdown_table(("goal", "wanted", "reached", ""), rows, left=(0, 3))


def _accuracy(model: str, what: str, wanted: float, line: SweepLine) -> tuple[str, str, str, str]:
    reached = 100 * mean(line.test)
    verdict = _verdict(reached - wanted, "{:.3f} points")
    return f"{model}, {what}", f"≥ {wanted:.2f} %", f"{reached:.3f} %", verdict


def _verdict(margin: float, form: str) -> str:
    # What is missed by less than the figures show is missed all the same.
    return "met" if margin >= 0 else "missed by " + form.format(-margin)


def loss_table(losses: Losses) -> str:
    """Return what int8 loses and wins beside float32 over all seeds, and McNemar's p-value, as Markdown."""
    groups: dict[tuple[str, str, str], list[Loss]] = {}
    for row in losses.rows:
        groups.setdefault((row.model, row.recipe, row.format), []).append(row)
    rows = []
    for (model, recipe, format_), seeds in groups.items():
        lost, won = sum(each.right_to_wrong for each in seeds), sum(each.wrong_to_right for each in seeds)
        points = 100 * (lost - won) / sum(each.count for each in seeds)
        figures = (str(len(seeds)), str(lost), str(won), f"{points:.3f}", f"{mcnemar_p(lost, won):.2g}")
        rows.append((model, recipe, f"{FORMAT_NAMES[format_]} int8", *figures))
    heads = ("model", "recipe", "file", "seeds", "right to wrong", "wrong to right", "loss, points", "p")
    return markdown_table(heads, rows, left=(0, 1, 2))


def empty_call_table(result: EmptyCall) -> str:
    """Return what each model's int8 TFLite file takes beyond the engine's empty call, as Markdown."""
    rows = []
    for model, calls in result.p50_us.items():
        beyond = median(call - empty for call, empty in zip(calls, result.p50_us["empty"], strict=True))
        goal = EMPTY_CALL_GOALS.get(model)
        wanted = ("", "") if goal is None else (f"≤ {goal:.1f}", _verdict(goal - beyond, "{:.1f}"))
        rows.append((model, f"{median(calls):.1f}", f"{beyond:.1f}", *wanted))
    return markdown_table(("int8 TFLite", "call, us", "beyond the empty call, us", "wanted", ""), rows, left=(0, 4))


def teachers_table(scores: TeacherScores) -> str:
    """Return what the teachers have right one by one and together, as Markdown."""
    heads = ("model", "weights", "validation, %", "test, %")
    rows = [
        (
            each.name,
            f"{each.parameters:,}",
            f"{100 * each.validation_correct / each.validation_count:.2f}",
            f"{100 * each.test_correct / each.test_count:.2f}",
        )
        for each in scores.rows
    ]
    return markdown_table(heads, rows)


def search_table(search: Search) -> str:
    """Return the designs that were tried, the most accurate first, as Markdown."""
    heads = ("design", "parameters", "epochs", "validation, %", "loss", "int8 TFLite, us", "beside float32", "ONNX")
    rows = [
        (
            f"`{row.design}`", f"{row.parameters:,}", str(row.epochs), f"{100 * row.correct / row.count:.2f}",
            f"{row.validation_loss:.4f}", f"{row.tflite_int8_us:.1f}", f"{row.tflite_int8_ratio:.2f}",
            f"{row.onnx_int8_ratio:.2f}",
        )
        for row in sorted(search.rows, key=lambda row: -row.correct)
    ]  # fmt: skip
    return markdown_table(heads, rows)
