"""manifest.json: what an export folder holds, and what was proven of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeport.export.verification import Verification
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.spec import TensorSpec

SCHEMA = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class Artefact:
    """One verified file of an export folder.

    Attributes:
        file: Its name in the folder.
        format: ``tflite`` or ``onnx``.
        precision: ``float32`` or ``int8``.
        bytes: Its size.
        sha256: The digest of the whole file.
        input: Its input tensor.
        output: Its output tensor.
        activation: What the runtime applies to the raw output.
        verified: How close it is to the Keras model.
    """

    file: str
    format: str
    precision: str
    bytes: int
    sha256: str
    input: TensorSpec
    output: TensorSpec
    activation: str
    verified: Verification


@dataclass(frozen=True)
class Manifest:
    """What an export folder holds.

    Attributes:
        name: The model's name.
        source: The Keras file: ``file``, relative to the export folder, and ``sha256``.
        input: ``shape`` of one image, ``dtype`` that predict takes, ``range`` and ``layout``.
        labels: The name of each class, or empty.
        dataset: The data set that the model was trained on, or empty.
        calibration: What the quantizer saw: source, count, seed and sha256.
        versions: The version of each tool.
        artefacts: The files.
        dataset_sha256: The digest of the data set that the model was trained on, or empty.
    """

    name: str
    source: Mapping[str, str]
    input: Mapping[str, Any]
    labels: tuple[str, ...]
    dataset: str
    calibration: Mapping[str, Any]
    versions: Mapping[str, str]
    artefacts: tuple[Artefact, ...]
    dataset_sha256: str = ""


def manifest_text(manifest: Manifest) -> str:
    """Return the text of manifest.json."""
    return json.dumps({"schema": SCHEMA, **asdict(manifest)}, indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Return what the manifest.json of an export folder says.

    Raises:
        ArtefactError: The folder has none, or one that is damaged or of another schema.
    """
    path = folder / FILE_NAME
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtefactError(
            f"{folder} is no export folder: cannot read its {FILE_NAME} ({error.strerror}). Make one with: "
            "edgeport export MODEL.keras -o DIR"
        ) from error
    except ValueError as error:
        raise ArtefactError(f"{path} is damaged ({error}): export again") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        got = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ArtefactError(f"{path}: got schema {got}, expected {SCHEMA}: export again with this edgeport")
    try:
        del content["schema"]
        artefacts = tuple(_artefact(entry) for entry in content["artefacts"])
        manifest = Manifest(**{**content, "labels": tuple(content["labels"]), "artefacts": artefacts})
        _check(manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(f"{path} is damaged ({error}): export again") from error
    return manifest


def _check(manifest: Manifest) -> None:
    """Raise ValueError, TypeError or KeyError if a manifest cannot be one that an export has written."""
    files = [artefact.file for artefact in manifest.artefacts]
    texts = (manifest.name, manifest.dataset, manifest.source["file"], manifest.source["sha256"], *manifest.labels)
    if not all(isinstance(text, str) for text in (*files, *texts)):
        raise TypeError("a name is no text")
    if not files or not all(files) or len(set(files)) != len(files) or any(Path(file).name != file for file in files):
        raise ValueError("its artefacts are not files of this folder, each named once")
    low, high = manifest.input["range"]
    if not float(low) < float(high) or not all(isinstance(axis, int) for axis in manifest.input["shape"]):
        raise ValueError("its input has no range or shape")


def _artefact(entry: dict[str, Any]) -> Artefact:
    tensors = {
        side: TensorSpec(**{**entry[side], "shape": tuple(entry[side]["shape"])}) for side in ("input", "output")
    }
    return Artefact(**{**entry, **tensors, "verified": Verification(**entry["verified"])})
