"""The table of precisions: what each keeps as integers, and what its artefacts must reach."""

from dataclasses import dataclass

from edgeport.runtime.errors import unknown_name


@dataclass(frozen=True)
class Limits:
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


@dataclass(frozen=True)
class Required:
    """What the caller asks of every artefact, beyond the limits of its precision; 0 for nothing.

    Attributes:
        agreement: The least share of equal decisions, 0 to 1.
        sqnr_db: The least SQNR, in dB.
    """

    agreement: float = 0.0
    sqnr_db: float = 0.0


@dataclass(frozen=True)
class Precision:
    """One row of the table.

    Attributes:
        name: What the user calls it, and the middle of an artefact's name.
        formats: The formats that know it.
        calibrated: Whether its activations are integers, so that it needs calibration samples and ends at the logits.
        limits: What its artefacts must reach.
        help: What it is, in a few words.
    """

    name: str
    formats: tuple[str, ...]
    calibrated: bool
    limits: Limits
    help: str


PRECISIONS: tuple[Precision, ...] = (
    Precision("float32", ("tflite", "onnx"), False, Limits(1e-4, 60.0, 0.99, rounding=32.0), "as the model is"),
    Precision("float16", ("tflite", "onnx"), False, Limits(0.05, 40.0, 0.98), "weights of half the size"),
    Precision("dynamic", ("tflite", "onnx"), False, Limits(0.5, 20.0, 0.95), "int8 weights, float activations"),
    Precision("int8", ("tflite", "onnx"), True, Limits(1.0, 15.0, 0.95), "int8 weights and activations"),
    Precision("int16x8", ("tflite",), True, Limits(0.5, 25.0, 0.97), "int8 weights, int16 activations"),
)


def precision_named(name: str) -> Precision:
    """Return the row that users call ``name``; raises InputError with the nearest name if there is none."""
    for known in PRECISIONS:
        if known.name == name:
            return known
    raise unknown_name("precision", name, (known.name for known in PRECISIONS))
