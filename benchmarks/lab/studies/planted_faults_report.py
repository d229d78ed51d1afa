"""What became of planted faults: the result file of ``planted_faults``, its table, and its counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

OUTLIER, DEAD, SATURATED = "an outlier channel", "a dead range", "a saturated activation"
# What a cause may be called, of those that fit a fault.
_NAMES = {
    OUTLIER: ("outlier channel",),
    DEAD: ("dead channel", "wide range"),
    SATURATED: ("saturated activation",),
}


@dataclass(frozen=True)
class Planted:
    """What became of one fault in one format.

    Attributes:
        model: The kind of model.
        data: What it was trained on.
        fault: What was planted.
        format: ``tflite`` or ``onnx``.
        metric: What judges it.
        figure: What the model itself reaches on test samples, in points.
        spoilt: The bad layer.
        first: The layer that is ranked first.
        share: The share of the error that this one is to blame for.
        cause: The cause that is named.
        int8_up_to: The upper end of int8's loss on the held-out samples, in points.
        mixed_up_to: That of the mixed file; None if none was found.
        in_floats: The layers in floats.
        layers: How many layers there are.
        macs_in_floats: The share of MACs in floats.
        trials: How many files were judged.
        test_up_to: The upper end of the mixed file's loss on test samples, in points.
        test_below: Whether that is below the margin.
    """

    model: str
    data: str
    fault: str
    format: str
    metric: str
    figure: float
    spoilt: str
    first: str
    share: float
    cause: str
    int8_up_to: float | None
    mixed_up_to: float | None
    in_floats: tuple[str, ...]
    layers: int
    macs_in_floats: float | None
    trials: int
    test_up_to: float | None
    test_below: bool

    @property
    def named(self) -> bool:
        """Whether the cause is the one that was planted."""
        return self.cause in _NAMES[self.fault]


@dataclass(frozen=True)
class PlantedFaults:
    """All faults.

    Attributes:
        created_utc: When.
        versions: Of what took part.
        margin: What the loss must be below, in points.
        faults: Each fault in each format.
    """

    created_utc: str
    versions: Mapping[str, str]
    margin: float
    faults: tuple[Planted, ...]


RESULT = ResultFile("planted-faults", PlantedFaults, "planted faults")


def markdown(result: PlantedFaults) -> str:
    """Return a row for each fault in each format."""
    heads = (
        "model", "fault", "format", "ranked first", "share", "cause", "int8 loses", "mixed loses", "in floats", "MACs",
        "files", "on test",
    )  # fmt: skip
    rows = [
        (
            each.model, each.fault, each.format, f"`{each.first}`", f"{each.share:.0%}", each.cause,
            _up_to(each.int8_up_to), _up_to(each.mixed_up_to), f"{len(each.in_floats)} of {each.layers}",
            "" if each.macs_in_floats is None else f"{each.macs_in_floats:.1%}", f"{each.trials}",
            _up_to(each.test_up_to),
        )
        for each in result.faults
    ]  # fmt: skip
    return markdown_table(heads, rows, left=(0, 1, 2, 3, 5))


def summary(result: PlantedFaults) -> str:
    """Return the counts in a line."""
    faults = result.faults
    counts = (
        ("ranked first", sum(each.first == each.spoilt for each in faults)),
        ("cause named", sum(each.named for each in faults)),
        ("repaired", sum(each.mixed_up_to is not None for each in faults)),
        ("with 20 % of the MACs or less", sum((each.macs_in_floats or 1) <= 0.2 for each in faults)),
        ("below the margin on test samples", sum(each.test_below for each in faults)),
    )
    return f"of {len(faults)}: " + ", ".join(f"{what} {count}" for what, count in counts)


def _up_to(points: float | None) -> str:
    return "" if points is None else f"{points:.2f}"
