"""manifest.json: what an export folder holds, and how its files were verified."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgeport.export.verification.comparison import Verification
from edgeport.runtime.artefact.contract import CHANNELS, KINDS, OUTPUT_KINDS, Input, Output
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.json_file import read_json, to_plain
from edgeport.runtime.files.json_schema import built, problem_of
from edgeport.runtime.host.notebook import html_lines, html_table
from edgeport.runtime.host.terminal import steers
from edgeport.runtime.samples.pictures.resizing import DIGITS, Resizing

SCHEMA = 6
# What schema 3 adds to 2, some figures of `verified`, has a default here. Before schema 4 an input had the shape of one
# sample, without the batch. Schema 5 says of which kind an input is; those before do so by its range and dtype. Before
# it there were labels and no outputs. Schema 6 adds which layers are in floats, and what a search for them has found.
_READ = (2, 3, 4, 5, SCHEMA)
_BATCHED, _WITH_OUTPUTS = 4, 5
FILE_NAME = "manifest.json"
# No sample is larger than a model can be.
_MOST_VALUES = 2**31 - 1


@dataclass(frozen=True)
class Artefact:
    """One verified file of an export folder.

    Attributes:
        file: Its name in the folder.
        format: ``tflite`` or ``onnx``.
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``.
        bytes: Its size.
        sha256: The digest of the whole file.
        inputs: Its input tensors.
        outputs: Its output tensors.
        activations: What the runtime applies to each raw output.
        verified: How close it is to the model.
        notes: What was done to the model for this file.
        in_floats: The layers that stay in floats in a file of ``mixed``.
    """

    file: str
    format: str
    precision: str
    bytes: int
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    activations: tuple[str, ...]
    verified: Verification
    notes: tuple[str, ...] = ()
    in_floats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """An artefact that was asked for and is not delivered.

    Attributes:
        file: What it would have been called.
        format: ``tflite`` or ``onnx``.
        precision: Its precision.
        status: ``failed`` if it could not be made or run; ``rejected`` if it does not answer like the model.
        reason: Why, in one line.
        verified: For a rejected one, how far it is from the model.
        notes: What was done to the model for this file.
    """

    file: str
    format: str
    precision: str
    status: str
    reason: str
    verified: Verification | None = None
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """What became of it, in words."""
        return "failed verification" if self.status == "rejected" else "failed"


@dataclass(frozen=True)
class Search:
    """What was found when layers were searched that must stay in floats; see docs/guides/debug.md.

    Attributes:
        format: ``tflite`` or ``onnx``.
        measure: What the loss must be below, ``0.5 points of accuracy``.
        data: On which samples it was judged.
        enough: What is good enough: ``int8``, ``mixed``, ``int16x8``, or nothing (empty).
        in_floats: The layers in floats, of what is good enough or came nearest.
        layers: How many layers there are.
        trials: How many files were made to be judged.
        losses: By precision the upper end of the loss's interval, in words; ``plain int8`` is without cheaper cures.
        uppers: The same in the unit of the margin; None if there is none.
        macs_in_floats: The share of MACs in floats, 0 to 1; None if that is not known.
        bytes: By precision the size of the file.
        us: By precision the median time of a call, in microseconds, measured side by side; empty if not measured.
        cures: What cheaper cures gave, and why something was not tried, a sentence each.
        advice: What may help where nothing is good enough.
    """

    format: str
    measure: str
    data: str
    enough: str
    in_floats: tuple[str, ...]
    layers: int
    trials: int
    losses: Mapping[str, str]
    uppers: Mapping[str, float | None]
    macs_in_floats: float | None = None
    bytes: Mapping[str, int] = field(default_factory=dict)
    us: Mapping[str, float] = field(default_factory=dict)
    cures: tuple[str, ...] = ()
    advice: str = ""


@dataclass(frozen=True)
class Manifest:
    """What an export folder holds.

    Attributes:
        name: The model's name.
        source: What was exported: ``file``, relative to the export folder (empty for a model object), and ``sha256``.
        inputs: The inputs of the model.
        outputs: The outputs of the model, and what they mean.
        dataset: The data set that the model was trained on, or empty.
        dataset_sha256: The digest of that data set, or empty.
        calibration: What the quantizer saw: source, count, seed and sha256.
        warnings: What a user should know before trusting the artefacts.
        options: What the export was asked for.
        versions: The version of each tool.
        artefacts: The files.
        refused: What was asked for and is not delivered.
        layers: The names of the model, then of its layers; empty if unknown.
        searches: What was found of layers that must stay in floats, if that was asked for.
    """

    name: str
    source: Mapping[str, str]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    dataset: str
    dataset_sha256: str
    calibration: Mapping[str, Any]
    warnings: tuple[str, ...]
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    artefacts: tuple[Artefact, ...]
    refused: tuple[Refusal, ...] = ()
    layers: tuple[str, ...] = ()
    searches: tuple[Search, ...] = ()

    def _repr_html_(self) -> str:
        """Show it in a notebook: a row for each artefact, then what is not delivered and why."""
        rows = [
            (each.file, each.precision, f"{each.bytes:,}", *_shown(each.verified.sqnr_db, each.verified.agreement))
            for each in self.artefacts
        ]
        table = html_table(self.name, ("artefact", "precision", "bytes", "SQNR, dB", "agreement"), rows, left=2)
        failed = [f"{each.file} {each.outcome}: {each.reason}" for each in self.refused]
        return table + html_lines((*failed, *self.warnings))

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each class or label of the first output; empty if unknown."""
        return self.outputs[0].labels if self.outputs else ()

    @property
    def classifies_images(self) -> bool:
        """Whether each artefact takes one image and gives one row of 2 or more classes for it."""
        outputs = [artefact.outputs for artefact in self.artefacts]
        # Plain numbers of which nothing is said may be scores.
        classes = all(output.kind in ("classes", "any", "") for output in self.outputs)
        return (
            classes
            and self.image is not None
            and all(len(each) == 1 and len(each[0].shape) == 2 and (each[0].shape[1] or 0) > 1 for each in outputs)
        )

    @property
    def image(self) -> Input | None:
        """The one input, if that takes images; else None."""
        return self.inputs[0] if len(self.inputs) == 1 and self.inputs[0].range is not None else None

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int | None]:
        """The (height, width, channels) that pictures take; None for what is free, or if it takes no pictures."""
        if self.image is None or len(self.image.shape) != 4 or self.image.shape[3] not in (1, 3):
            return None, None, None
        _, height, width, channels = self.image.shape
        return height, width, channels

    @property
    def resizing(self) -> Resizing:
        """How pictures take that size; manifests that do not say so are from before it was a choice."""
        return (self.image.resizing if self.image else None) or DIGITS


def manifest_text(manifest: Manifest) -> str:
    """Return the text of manifest.json."""
    fields = to_plain(asdict(manifest))
    # Each file has its own.
    fields["outputs"] = [{key: each[key] for key in each if key != "activation"} for each in fields["outputs"]]
    return json.dumps({"schema": SCHEMA, **fields}, indent=1) + "\n"


def read_manifest(folder: Path | str) -> Manifest:
    """Return what the manifest.json of an export folder says.

    Raises:
        ArtefactError: The folder has none, or one that is damaged or of another schema.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file() and not os.path.lexists(path):
        raise ArtefactError(
            f"{folder} is no export folder: it has no {FILE_NAME}. Make one with: edgeport export MODEL.keras -o DIR"
        )
    content = read_json(path, hint="export again")
    if not isinstance(content, dict) or content.get("schema") not in _READ:
        got = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ArtefactError(f"{path}: got schema {got}, expected {SCHEMA}: export again with this edgeport")
    schema = content.pop("schema")
    if schema < _BATCHED:
        _add_batch(content.get("inputs"))
    if schema < _WITH_OUTPUTS:
        _add_outputs(content)
    # An exact artefact has an infinite SQNR, and a path may hold bytes that are no UTF-8.
    problem = problem_of(content, Manifest, strict=False)
    if not problem:
        manifest: Manifest = built(content, Manifest)
        problem = _problem_with(manifest)
    if problem:
        raise ArtefactError(f"{path} is damaged ({problem}): export again")
    return manifest


def _add_batch(inputs: Any) -> None:
    """Give the inputs of an old manifest the axis of the batch; what is damaged is left for the check."""
    for each in inputs if isinstance(inputs, list) else ():
        if isinstance(each, dict) and isinstance(each.get("shape"), list):
            each["shape"].insert(0, None)


def _add_outputs(content: dict[str, Any]) -> None:
    """Give an old manifest the outputs that its first file has; the labels are the columns of the first of them."""
    artefacts = content.get("artefacts")
    first = artefacts[0] if isinstance(artefacts, list) and artefacts else None
    tensors = first.get("outputs") if isinstance(first, dict) else None
    # What is damaged is left for the check of what it stands beside.
    if not isinstance(tensors, list) or not tensors or not all(isinstance(each, dict) for each in tensors):
        tensors = [{"name": ""}]
    content["outputs"] = [{"name": each.get("name")} for each in tensors]
    content["outputs"][0]["columns"] = content.pop("labels", None)


def _problem_with(manifest: Manifest) -> str:
    """Return why a manifest cannot be one that an export has written; empty if it can be one."""
    files = [artefact.file for artefact in manifest.artefacts]
    # Names become those of files, and lines of an installer and of a service's unit.
    if any(steers(name) or not name for name in (manifest.name, *files)):
        return "a name is empty, or holds control characters"
    if (
        not (files or manifest.refused)
        or len(set(files)) != len(files)
        or any(Path(file).name != file for file in files)
    ):
        return "its artefacts are not files of this folder, each named once"
    if not {"file", "sha256"} <= manifest.source.keys():
        return "it does not say what was exported"
    shapes = [each.shape for each in manifest.inputs]
    if not shapes or not all(shape and all(axis and axis > 0 for axis in shape[1:]) for shape in shapes):
        return "its inputs have no shape"
    if not all(math.prod(axis or 1 for axis in shape) <= _MOST_VALUES for shape in shapes):
        return "an input is larger than any that can be fed"
    if not all(each.range is None or each.range[0] < each.range[1] for each in manifest.inputs):
        return "an input has no range"
    if not all(each.kind in ("", *KINDS) and each.channels in ("", *CHANNELS) for each in manifest.inputs):
        return "an input is of an unknown kind"
    if not all(each.is_heard and each.log_mel.makes_sense for each in manifest.inputs if each.log_mel):
        return "an input is for sound that nobody can cut so"
    if not all(each.kind in ("", *OUTPUT_KINDS) for each in manifest.outputs):
        return "an output is of an unknown kind"
    return ""


def _shown(sqnr_db: float | None, agreement: float | None) -> tuple[str, str]:
    return "-" if sqnr_db is None else f"{sqnr_db:.1f}", "-" if agreement is None else f"{agreement:.2%}"
