"""report.json: the raw samples and the facts of one benchmark; every figure is computed by its reader."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import ArtefactError

Result = TypeVar("Result")

SCHEMA = 1
FILE_NAME = "report.json"

_FORMAT_NAMES = {"keras": "Keras", "tflite": "TFLite", "onnx": "ONNX"}


@dataclass(frozen=True)
class Measured:
    """What was measured of one contender: an artefact, or the Keras model that it came from.

    Attributes:
        file: Its file name.
        format: ``tflite``, ``onnx`` or, for the reference, ``keras``.
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``.
        bytes: Its size on disk; 0 if it is not known.
        sha256: The digest of its file.
        engine: ``name``, ``version`` and ``threads``.
        predictions: The top-1 class of each test image, in order.
        correct: How many of them are right.
        latency_ns: Nanoseconds of each timed engine call on one image; empty for a reference whose answers were
            recorded elsewhere, like the other times.
        predict_ns: Nanoseconds of each timed ``predict``: from raw pixels to probabilities.
        load_ns: Nanoseconds of each loading, from the file to a predictor.
    """

    file: str
    format: str
    precision: str
    bytes: int
    sha256: str
    engine: Mapping[str, Any]
    predictions: list[int]
    correct: int
    latency_ns: list[int]
    predict_ns: list[int]
    load_ns: list[int]

    @property
    def name(self) -> str:
        """How tables and pictures call it: format and precision."""
        return f"{_FORMAT_NAMES.get(self.format, self.format)} {self.precision}"

    @property
    def timed(self) -> bool:
        """Whether it has run here, and so has times."""
        return bool(self.latency_ns)

    @property
    def accuracy(self) -> float:
        """The share of test images whose top-1 class is right, 0 to 1."""
        return self.correct / len(self.predictions)

    def latency_us(self, percent: float) -> float:
        """Return a percentile of the engine call's latency, in microseconds; NaN if it was not timed."""
        return _percentile(self.latency_ns, percent) / 1e3

    def predict_us(self, percent: float) -> float:
        """Return a percentile of predict's latency, in microseconds; NaN if it was not timed."""
        return _percentile(self.predict_ns, percent) / 1e3

    @property
    def load_ms(self) -> float:
        """The median time to load, in milliseconds; NaN if it was not timed."""
        return _percentile(self.load_ns, 50) / 1e6

    @cached_property
    def _classes(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.predictions, np.int64)

    def flips_from(self, reference: "Measured") -> int:
        """Return on how many test images the top-1 class differs from the reference's."""
        return int((self._classes != reference._classes).sum())

    def agreement_with(self, reference: "Measured") -> float:
        """Return the share of test images with the reference's top-1 class, 0 to 1."""
        return 1 - self.flips_from(reference) / len(self.predictions)


@dataclass(frozen=True)
class Report:
    """One benchmark run.

    Attributes:
        created_utc: When, in ISO 8601.
        edgeport: ``version``.
        model: The model's name.
        host: See host_facts.
        dataset: ``name``, ``split``, ``count`` and ``sha256``.
        protocol: How latency was measured.
        artefacts: What was measured; the Keras reference comes first.
        skipped: What could not be run on this machine: ``file`` and ``reason``.
    """

    created_utc: str
    edgeport: Mapping[str, str]
    model: str
    host: Mapping[str, Any]
    dataset: Mapping[str, Any]
    protocol: Mapping[str, Any]
    artefacts: tuple[Measured, ...]
    skipped: tuple[Mapping[str, str], ...] = ()

    @property
    def reference(self) -> Measured:
        """The Keras model that the artefacts came from."""
        return self.artefacts[0]


def report_text(report: Report) -> str:
    """Return the text of report.json, with each list of samples on one line."""
    content: dict[str, Any] = {"schema": SCHEMA, **asdict(report)}
    measured = [_lines(entry) for entry in content.pop("artefacts")]
    if not content["skipped"]:
        del content["skipped"]
    head = json.dumps(content, indent=1)[:-2]
    return f'{head},\n "artefacts": [\n' + ",\n".join(measured) + "\n ]\n}\n"


def read_report(path: Path) -> Report:
    """Return a report.

    Raises:
        ArtefactError: The file is missing, damaged or of another schema.
    """

    def parse(content: dict[str, Any]) -> Report:
        measured = tuple(Measured(**entry) for entry in content.pop("artefacts"))
        skipped = tuple(content.pop("skipped", ()))
        return Report(**content, artefacts=measured, skipped=skipped)

    return read_result(path, parse, what="benchmark report", schema=SCHEMA)


def read_result(
    path: Path, parse: Callable[[dict[str, Any]], Result], *, what: str, schema: int, kind: str | None = None
) -> Result:
    """Return what a JSON file with a result says.

    Args:
        path: The file.
        parse: Makes the result of the rest of its content.
        what: What to call it in an error.
        schema: The schema that it must have.
        kind: The kind that it must have, if files of several kinds lie side by side.

    Raises:
        ArtefactError: The file is missing, damaged or of another kind or schema.
    """
    try:
        content = json.loads(path.read_bytes())
        found = content.pop("kind", None), content.pop("schema")
        if found != (kind, schema):
            raise ArtefactError(f"{path}: expected a {what} of schema {schema}: make it again with this edgeport")
        return parse(content)
    except ArtefactError:
        raise
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{path} is no {what}, or a damaged one ({error})") from error


def _percentile(samples: list[int], percent: float) -> float:
    return float(np.percentile(samples, percent)) if samples else math.nan


def _lines(entry: dict[str, Any]) -> str:
    fields = ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items())
    return f"  {{\n{fields}\n  }}"
