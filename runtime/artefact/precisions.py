"""The table of precisions: what each keeps as integers, and how far its answers may be off, here and on a device.

How a format makes a precision stands in that format's ``schemes.py``.
"""

from typing import NamedTuple

from edgeport.runtime.errors import unknown_name


class VerificationLimits(NamedTuple):
    """What an artefact must reach on held-out samples, compared with the model it was made from.

    Attributes:
        error: The largest difference allowed in any output value, as a share of the range of the reference's.
        sqnr_db: The least signal-to-quantization-noise ratio, in dB.
        agreement: Where the output is decisions, the least share that is the same, 0 to 1.
        rounding: How many times what float32 rounding explains an error may be. Where that was measured, it takes the
            place of the other three; None for precisions that round more.
    """

    error: float
    sqnr_db: float
    agreement: float
    rounding: float | None = None


class GoldenLimits(NamedTuple):
    """How far the answers of an artefact may be off its golden ones.

    Attributes:
        share: Of real values in the engine that made the golden answers, as a share of their range.
        share_elsewhere: The same in another engine.
        steps_elsewhere: Of integers in another engine, in steps; in the same one they match bit for bit.
    """

    share: float = 1e-4
    share_elsewhere: float = 1e-4
    steps_elsewhere: int = 0


class Precision(NamedTuple):
    """One row of the table.

    Attributes:
        name: What the user calls it, and the middle of an artefact's name.
        formats: The formats that know it, each in its table ``SCHEMES``.
        limits: What its artefacts must reach.
        golden: How far they may be off on a device.
        in_integers: Whether its activations are integers, so that it needs calibration samples and ends at the logits.
        trained_for: Whether a quantization-aware model rounds as it does.
        for_layers: Whether it is made only where layers are named that stay in floats.
        wide_activations: Whether its activations have so many steps that their ranges may hold every value.
    """

    name: str
    formats: tuple[str, ...]
    limits: VerificationLimits
    golden: GoldenLimits
    in_integers: bool = False
    trained_for: bool = False
    for_layers: bool = False
    wide_activations: bool = False


# An activation near the middle of two steps may be rounded the other way, and some CPUs compute float16 in float16.
_ROUNDED = GoldenLimits(2e-2, 2e-2)

_ROWS = (
    Precision("float32", ("tflite", "onnx"), VerificationLimits(1e-4, 60.0, 0.99, rounding=32.0), GoldenLimits()),
    # Weights of half the size.
    Precision("float16", ("tflite", "onnx"), VerificationLimits(0.05, 40.0, 0.98), _ROUNDED),
    # Weights of int8, activations in floats.
    Precision("dynamic", ("tflite", "onnx"), VerificationLimits(0.5, 20.0, 0.95), _ROUNDED),
    # Real values at the end of integers come from the same integers, or elsewhere from integers some steps apart.
    Precision(
        "int8",
        ("tflite", "onnx"),
        VerificationLimits(1.0, 15.0, 0.95),
        GoldenLimits(1e-4, 2e-2, 2),
        in_integers=True,
        trained_for=True,
    ),
    # Weights of int8, activations of int16, whose steps are 256 times finer.
    Precision(
        "int16x8",
        ("tflite",),
        VerificationLimits(0.5, 25.0, 0.97),
        GoldenLimits(1e-4, 2e-2, 16),
        in_integers=True,
        wide_activations=True,
    ),
    # int8 but for the layers that it would spoil.
    Precision(
        "mixed",
        ("tflite", "onnx"),
        VerificationLimits(1.0, 15.0, 0.95),
        GoldenLimits(1e-4, 2e-2, 2),
        in_integers=True,
        for_layers=True,
    ),
)
PRECISIONS: dict[str, Precision] = {row.name: row for row in _ROWS}


def precision_named(name: str) -> Precision:
    """Return the row that users call ``name``; raises InputError with the nearest name if there is none."""
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS)
    return PRECISIONS[name]


def is_in_integers(name: str) -> bool:
    """Whether the activations of a precision are integers; not of one that only a later edgeport knows."""
    return name in PRECISIONS and PRECISIONS[name].in_integers
