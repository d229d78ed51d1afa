"""The table of precisions: what each keeps as integers, and what its artefacts must prove."""

from dataclasses import dataclass, replace

from edgeport.runtime.errors import unknown_name


@dataclass(frozen=True)
class Limits:
    """What an artefact must reach on held-out samples, compared with the model it was made from.

    Attributes:
        error: The largest difference allowed in any output value, as a share of the range of the reference's.
        sqnr_db: The least signal-to-quantization-noise ratio, in dB.
        agreement: Where the output is classes, the least share of samples with the same top-1 class, 0 to 1.
    """

    error: float
    sqnr_db: float
    agreement: float

    def at_least(self, *, samples: int, agreement: float, sqnr_db: float) -> "Limits":
        """Return these limits for so many samples, and no less than the caller's own.

        One changed sample is no finding, however few there are; what the caller asked for is kept to the letter.
        """
        allowed = min(self.agreement, (samples - 1) / samples)
        return replace(self, sqnr_db=max(self.sqnr_db, sqnr_db), agreement=max(allowed, agreement))


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
    Precision("float32", ("tflite", "onnx"), False, Limits(1e-4, 60.0, 0.99), "as the model is"),
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
