"""Prove an artefact: run it in its real engine and compare it with the Keras model on held-out images."""

from dataclasses import dataclass

import numpy as np

from edgeport.runtime.errors import ExportError
from edgeport.runtime.predictor import Predictor
from edgeport.runtime.quantization import FloatArray
from edgeport.train.dataset import Images


@dataclass(frozen=True)
class Limits:
    """What an artefact of a precision must reach.

    Attributes:
        error: The largest difference allowed in any output value, as a share of the range of the reference's.
        sqnr_db: The least signal-to-quantization-noise ratio, in dB.
        agreement: The least share of images with the same top-1 class, 0 to 1.
    """

    error: float
    sqnr_db: float
    agreement: float


LIMITS: dict[str, Limits] = {
    "float32": Limits(error=1e-4, sqnr_db=60.0, agreement=0.99),
    "int8": Limits(error=1.0, sqnr_db=15.0, agreement=0.95),
}


@dataclass(frozen=True)
class Verification:
    """How close an artefact's answers are to the Keras model's.

    Attributes:
        samples: How many held-out images were compared.
        max_abs_error: The largest difference in any output value.
        sqnr_db: ``10 log10(sum(reference^2) / sum((reference - artefact)^2))``.
        agreement: The share of images with the same top-1 class, 0 to 1.
    """

    samples: int
    max_abs_error: float
    sqnr_db: float
    agreement: float


def verify(predictor: Predictor, images: Images, reference: FloatArray, *, precision: str) -> Verification:
    """Compare a loaded artefact with the reference.

    Args:
        predictor: The artefact in its engine.
        images: uint8 pixels of shape (n, height, width, channels).
        reference: The Keras model's float32 output for them, of shape (n, classes).
        precision: Decides the limits.

    Raises:
        ExportError: The artefact misses the limits of its precision.
    """
    result = compare(predictor.predict(images), reference)
    limits = LIMITS[precision]
    largest = limits.error * float(np.ptp(reference))
    if not (
        result.max_abs_error <= largest and result.sqnr_db >= limits.sqnr_db and result.agreement >= limits.agreement
    ):
        raise ExportError(
            f"{predictor.spec.name} does not answer like the Keras model on {result.samples} held-out images: "
            f"got max error {result.max_abs_error:.2g}, SQNR {result.sqnr_db:.1f} dB, agreement "
            f"{result.agreement:.2%}; expected up to {largest:.2g}, from {limits.sqnr_db:g} dB, and from "
            f"{limits.agreement:.0%}. Calibrate with images like those it will see, check --input-range, and export a "
            "trained model: one without clear answers has none to keep."
        )
    return result


def compare(outputs: FloatArray, reference: FloatArray) -> Verification:
    """Return the differences between two float32 arrays of shape (n, classes)."""
    error = outputs.astype(np.float64) - reference
    noise, signal = float(np.square(error).sum()), float(np.square(reference.astype(np.float64)).sum())
    return Verification(
        samples=len(reference),
        max_abs_error=float(np.abs(error).max()),
        # Exact equality has no finite ratio; 300 dB is beyond what float64 can resolve.
        sqnr_db=300.0 if noise <= signal * 1e-30 else 10 * float(np.log10(signal / noise)),
        agreement=float((outputs.argmax(axis=1) == reference.argmax(axis=1)).mean()),
    )
