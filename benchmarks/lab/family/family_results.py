"""What the scripts about the family write: its int8 losses, the engine's empty call, the designs that were tried."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeport.benchmarks.lab.result_file import ResultFile

# The recipe of the sweep whose float32 file each int8 file of the same model and seed is compared with.
REFERENCE = "ptq"
# The recipe whose models are published, where it is another one.
PUBLISHED = {"edge-2k": "qat"}


@dataclass(frozen=True)
class Loss:
    """How the answers of one int8 file differ from those of its float32 file.

    Attributes:
        model: The model.
        recipe: What the sweep calls the recipe that it was trained by.
        seed: Of its training.
        format: ``tflite`` or ``onnx``.
        count: How many images.
        right_to_wrong: How many only float32 has right.
        wrong_to_right: How many only int8 has right.
    """

    model: str
    recipe: str
    seed: int
    format: str
    count: int
    right_to_wrong: int
    wrong_to_right: int


@dataclass(frozen=True)
class Losses:
    """What int8 loses, file by file.

    Attributes:
        rows: One for each file.
    """

    rows: tuple[Loss, ...]


@dataclass(frozen=True)
class EmptyCall:
    """The family's int8 TFLite files beside the engine's empty call.

    Attributes:
        host: See host_facts.
        disturbances: Why the times are in doubt.
        p50_us: The median call of each process in microseconds, by model; ``empty`` is the empty call. Processes of the
            same index ran side by side.
    """

    host: Mapping[str, Any]
    disturbances: tuple[str, ...]
    p50_us: Mapping[str, list[float]]


@dataclass(frozen=True)
class Design:
    """A design that was tried.

    Attributes:
        design: In the words of search.py.
        parameters: Deployed weights and biases.
        epochs: How long it was trained.
        correct: Right answers to validation images.
        count: How many there are.
        validation_loss: Their loss.
        tflite_int8_ratio: The time of the int8 TFLite file beside float32.
        tflite_int8_us: Its median call, in us.
        onnx_int8_ratio: The time of the int8 ONNX file beside float32.
        onnx_int8_us: Its median call, in us.
    """

    design: str
    parameters: int
    epochs: int
    correct: int
    count: int
    validation_loss: float
    tflite_int8_ratio: float
    tflite_int8_us: float
    onnx_int8_ratio: float
    onnx_int8_us: float


@dataclass(frozen=True)
class Search:
    """The designs that were tried for the smallest model.

    Attributes:
        host: See host_facts.
        disturbances: Why the times are in doubt.
        rows: The designs.
    """

    host: Mapping[str, Any]
    disturbances: tuple[str, ...]
    rows: tuple[Design, ...]


@dataclass(frozen=True)
class TeacherScore:
    """What one teacher, or all together, have right.

    Attributes:
        name: The model's name.
        sha256: The digest of its file.
        parameters: All of its weights.
        validation_correct: Right answers to validation images.
        validation_count: How many there are.
        test_correct: Right answers to test images.
        test_count: How many there are.
    """

    name: str
    sha256: str
    parameters: int
    validation_correct: int
    validation_count: int
    test_correct: int
    test_count: int


@dataclass(frozen=True)
class TeacherScores:
    """The teachers one by one, and their ensemble.

    Attributes:
        rows: One for each, the ensemble last.
    """

    rows: tuple[TeacherScore, ...]


LOSSES = ResultFile("int8-loss", Losses, "count of int8's losses")
EMPTY_CALL = ResultFile("empty-call", EmptyCall, "measurement of the empty call")
SEARCH = ResultFile("search", Search, "search for a design")
TEACHERS = ResultFile("teacher-scores", TeacherScores, "scores of teachers")
