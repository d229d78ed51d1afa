"""training.json: everything about a training run that the next stages, or a doubter, want to know."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.input_kinds import RAW_PIXELS, parsed_input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import read_json
from edgeport.runtime.host.machine import version_of
from edgeport.runtime.samples.pictures.resizing import DIGITS, Resizing, recorded_resizing

SCHEMA = 1
FILE_NAME = "training.json"
# The folder, inside the output folder, that holds the state of a run until it is finished.
STATE = ".training"


@dataclass(frozen=True)
class TrainingRecord:
    """What training.json says to the stages that come after.

    Attributes:
        model: The model's name.
        dataset: The name of the data set that it was trained on.
        dataset_sha256: The digest of that data set.
        labels: The name of each class.
        resizing: How pictures became its images; None where they came as arrays.
        input: Of which kind its only input is; it has no name here.
    """

    model: str
    dataset: str
    dataset_sha256: str
    labels: tuple[str, ...]
    resizing: Resizing | None = None
    input: Input = RAW_PIXELS


def record_beside(model_file: Path, *, sha256: str) -> TrainingRecord | None:
    """Return what the training.json beside a model file says, or None if there is none, or another model's.

    Args:
        model_file: The Keras file.
        sha256: Its digest.

    Raises:
        InputError: The file is there, but damaged or of another schema.
    """
    path = model_file.parent / FILE_NAME
    if not path.exists():
        return None
    content = read_json(path, hint="remove it, or train again", error=InputError)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path}: expected schema {SCHEMA}; train again with this version of edgeport")
    try:
        if content.get("model_sha256", sha256) != sha256:
            return None
        dataset = content["dataset"]
        # Records that do not say so are from before it was a choice.
        resizing = recorded_resizing(dataset["resizing"]) if "resizing" in dataset else DIGITS
        # Before it was a choice, all models were trained on raw pixels.
        kind = parsed_input(content.get("input", "pixels"))._replace(columns=tuple(dataset.get("columns", ())))
        record = TrainingRecord(
            content["model"], dataset["name"], dataset["sha256"], tuple(dataset["labels"]), resizing, kind
        )
        if not all(isinstance(text, str) for text in (record.model, record.dataset, *record.labels, *kind.columns)):
            raise TypeError("a name is no text")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error!r}): remove it, or train again") from error
    return record


def record_text(content: Mapping[str, Any]) -> str:
    """Return the text of training.json: the run's own facts, after the schema and the versions of the tools."""
    names = ("edgeport", "tensorflow", "keras", "numpy")
    versions = {"python": platform.python_version(), **{name: version_of(name) for name in names}}
    return json.dumps({"schema": SCHEMA, "versions": versions, **content}, indent=1) + "\n"
