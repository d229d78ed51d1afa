"""The published models as a table of the docs."""

from collections.abc import Sequence

from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.train.zoo.published import PublishedModel
from edgeport.train.zoo.table import pair, sizes

_HEADS = (
    "model", "parameters", "int8 bytes, TFLite / ONNX", "float32, TFLite / ONNX", "int8, TFLite / ONNX", "seeds",
    "mean float32", "mean int8",
)  # fmt: skip


def zoo_table(models: Sequence[PublishedModel]) -> str:
    """Return a Markdown table; its first columns are of the published seed, its last ones of all seeds."""
    rows = [
        (
            f"`{model.name}`",
            f"{model.parameters:,}",
            sizes(model, " / "),
            *(pair(precision, model.score.share, " / ") for precision in ("float32", "int8")),
            f"{len(model.scores)}",
            *(pair(precision, model.mean_share, " / ") for precision in ("float32", "int8")),
        )
        for model in models
    ]
    return markdown_table(_HEADS, rows)
