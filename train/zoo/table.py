"""The published models as a table for a terminal of 80 columns."""

from collections.abc import Callable, Sequence

from edgeport.train.zoo.published import PublishedModel

FORMATS = ("tflite", "onnx")
NOTE = (
    "Pairs are TFLite/ONNX. float32, int8: per cent right of the test images;\n"
    "mean: that of int8 over several seeds, their number in brackets."
)


def text_table(models: Sequence[PublishedModel]) -> str:
    """Return one line a model under a line of headings."""
    heads = ("model", "params", "int8 bytes", "float32", "int8", "mean", "data")
    rows = [
        (
            model.name,
            f"{model.parameters:,}",
            sizes(model, "/"),
            pair("float32", model.score.share, "/"),
            pair("int8", model.score.share, "/"),
            f"{pair('int8', model.mean_share, '/')} ({len(model.scores)})" if model.others else "-",
            model.dataset,
        )
        for model in models
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return "\n".join(
        f"{row[0]:<{widths[0]}} "
        + " ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in (heads, *rows)
    )


def sizes(model: PublishedModel, between: str) -> str:
    """Return the bytes of the int8 files, one of each format."""
    return between.join(f"{model.artefact(f'int8.{name}').bytes:,}" for name in FORMATS)


def pair(precision: str, share: Callable[[str], float], between: str) -> str:
    """Return the per cent of a precision, one of each format."""
    return between.join(f"{share(f'{precision}.{name}') * 100:.2f}" for name in FORMATS)
