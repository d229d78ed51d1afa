"""Write the standard TFLite Metadata, from which other tools read an image classifier's labels and normalisation.

MediaPipe Tasks, ML Kit and Netron look for a metadata entry called ``TFLITE_METADATA``, a flatbuffer of its own, and
for the labels in a text file that is appended to the model as a ZIP archive. The packages that write both
(tflite-support, mediapipe) exist for some Pythons only, and the flatbuffer is small, so it is built here.

Field numbers are those of metadata_schema.fbs, file identifier M001, in github.com/tensorflow/tflite-support
(tensorflow_lite_support/metadata); nothing is used that came after its version 1.0.0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

from edgeport.export.tflite.appended_files import append_files
from edgeport.export.tflite.splice import add_metadata
from edgeport.runtime.errors import ExportError

METADATA_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"

_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"
_COLOUR_SPACES = {1: 2, 3: 1}  # by channels: GRAYSCALE and RGB of the enum ColorSpaceType; 0 is UNKNOWN
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2  # members of the union ContentProperties
_NORMALIZATION_OPTIONS = 1  # a member of the union ProcessUnitOptions
_TENSOR_AXIS_LABELS = 2  # a value of the enum AssociatedFileType


def embed_standard_metadata(
    content: bytes,
    *,
    name: str,
    labels: Sequence[str],
    input_range: tuple[float, float],
    channels: int,
    description: str = "",
    version: str = "",
) -> bytes:
    """Return a .tflite file that describes itself: an image goes in, the probability of each label comes out.

    Readers apply the normalisation to pixels, quantize the result if the model's input is quantized, and take the
    output for probabilities: none of them applies a softmax, so a model that stops at the logits should not claim
    this. The metadata of edgeport is added afterwards, because its digest covers the whole file.

    Args:
        content: A TFLite file below 2 GiB, with one input of images and one output of shape (1, classes).
        name: The model's name.
        labels: The name of each class, in the order of the output; if empty, the file has no labels.txt.
        input_range: The real input values that the pixels 0 and 255 stand for, the lower one first.
        channels: The image's channels: 1 is grey, 3 is RGB.
        description: What the model does, in a sentence; empty leaves it out.
        version: The model's version; empty leaves it out.

    Raises:
        ExportError: A label is no line of text, or the file uses an unknown schema.
    """
    for label in labels:
        if label.splitlines() != [label]:
            raise ExportError(f"label {label!r}: expected one line of text, as {LABELS_FILE} has a line for each")
    builder = flatbuffers.Builder()
    subgraph = _table(
        builder,
        {2: _tables(builder, _input(builder, input_range, channels)), 3: _tables(builder, _output(builder, labels))},
    )
    # ModelMetadata: name, description, version, subgraph_metadata, author, license, associated_files,
    # min_parser_version.
    model = {
        0: builder.CreateString(name),
        1: builder.CreateString(description) if description else 0,
        2: builder.CreateString(version) if version else 0,
        3: _tables(builder, subgraph),
        7: builder.CreateString(_PARSER_VERSION),
    }
    builder.Finish(_table(builder, model), file_identifier=_IDENTIFIER)
    described = add_metadata(content, METADATA_NAME, bytes(builder.Output()))
    if not labels:
        return described
    return append_files(described, {LABELS_FILE: "".join(f"{label}\n" for label in labels).encode()})


def _input(builder: Any, input_range: tuple[float, float], channels: int) -> int:
    low, high = input_range
    # Readers compute (pixel - mean) / std, which is low for pixel 0 and high for pixel 255.
    std = 255.0 / (high - low)
    mean = 0.0 - low * std
    properties = _table(builder, {}, enum=(0, _COLOUR_SPACES.get(channels, 0)))
    normalization = _table(builder, {0: _floats(builder, mean), 1: _floats(builder, std)})
    unit = _table(builder, {1: normalization}, enum=(0, _NORMALIZATION_OPTIONS))
    return _tensor(
        builder,
        name="image",
        description="The image to classify.",
        content=_table(builder, {1: properties}, enum=(0, _IMAGE_PROPERTIES)),
        units=_tables(builder, unit),
        range_=input_range,
    )


def _output(builder: Any, labels: Sequence[str]) -> int:
    files = 0
    if labels:
        # AssociatedFile: name, description, type.
        named = {0: builder.CreateString(LABELS_FILE), 1: builder.CreateString("The name of each class, a line each.")}
        files = _tables(builder, _table(builder, named, enum=(2, _TENSOR_AXIS_LABELS)))
    return _tensor(
        builder,
        name="probability",
        description="The probability of each class.",
        content=_table(builder, {1: _table(builder, {})}, enum=(0, _FEATURE_PROPERTIES)),
        range_=(0.0, 1.0),
        files=files,
    )


def _tensor(
    builder: Any,
    *,
    name: str,
    description: str,
    content: int,
    range_: tuple[float, float],
    units: int = 0,
    files: int = 0,
) -> int:
    # TensorMetadata: name, description, dimension_names, content, process_units, stats, associated_files.
    low, high = range_
    fields = {
        0: builder.CreateString(name),
        1: builder.CreateString(description),
        3: content,
        4: units,
        5: _table(builder, {0: _floats(builder, high), 1: _floats(builder, low)}),
        6: files,
    }
    return _table(builder, fields)


def _table(builder: Any, fields: Mapping[int, int], *, enum: tuple[int, int] = (0, 0)) -> int:
    """Write a table: by field number where strings, vectors and tables stand (0 if absent), and one enum's value."""
    number, value = enum
    builder.StartObject(1 + max((number, *fields)))
    for field, position in fields.items():
        builder.PrependUOffsetTRelativeSlot(field, position, 0)
    builder.PrependInt8Slot(number, value, 0)
    table: int = builder.EndObject()
    return table


def _tables(builder: Any, table: int) -> int:
    """Write a vector of one table: every list here has one entry."""
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(table)
    vector: int = builder.EndVector()
    return vector


def _floats(builder: Any, value: float) -> int:
    """Write a vector of one number, which readers apply to every channel."""
    vector: int = builder.CreateNumpyVector(np.array([value], np.float32))
    return vector
