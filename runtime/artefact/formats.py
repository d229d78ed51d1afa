"""The two tables of artefacts: the formats, and the engines that run them, each a row here and a module."""

from typing import NamedTuple

from edgeport.runtime.errors import ArtefactError, unknown_name


class EngineRow(NamedTuple):
    """One package that runs artefacts, as strings, so that reading the table imports none.

    Attributes:
        module: The module of ours that runs them with it: its ``open_engine`` opens a file, and its ``import_package``
            imports what that takes.
        formats: The names of the formats that it runs.
        extra: The extra of the edgeport distribution that installs it.
    """

    module: str
    formats: tuple[str, ...]
    extra: str


# By the import names of the packages. Of those that run a format, the first one that is installed is its default.
ENGINES: dict[str, EngineRow] = {
    "ai_edge_litert": EngineRow("edgeport.runtime.engines.tflite", ("tflite",), "tflite"),
    "tflite_runtime": EngineRow("edgeport.runtime.engines.tflite", ("tflite",), "tflite-runtime"),
    "onnxruntime": EngineRow("edgeport.runtime.engines.onnx", ("onnx",), "onnx"),
    "openvino": EngineRow("edgeport.runtime.engines.openvino", ("onnx", "tflite"), "openvino"),
}


class Format(NamedTuple):
    """One artefact format, likewise.

    Attributes:
        name: What the user calls it (``--formats``); also the file suffix without its dot.
        magic: The bytes that every file of this format holds at ``magic_offset``; empty if it has none.
        magic_offset: Where ``magic`` stands in the file.
        exporter: The module that converts a Keras model to this format.
        structure_module: The module that knows how a file is built; its ``sound_content`` looks at one that nobody
            vouches for.
    """

    name: str
    magic: bytes
    magic_offset: int
    exporter: str
    structure_module: str

    @property
    def suffix(self) -> str:
        """The file suffix, with its dot."""
        return f".{self.name}"

    @property
    def engines(self) -> dict[str, str]:
        """The import names of the packages that can run it, the preferred one first, and the module of each."""
        return {package: row.module for package, row in ENGINES.items() if self.name in row.formats}


FORMATS: tuple[Format, ...] = (
    Format(
        name="tflite",
        magic=b"TFL3",
        magic_offset=4,
        exporter="edgeport.export.tflite.convert",
        structure_module="edgeport.runtime.artefact.foreign.tflite",
    ),
    Format(
        name="onnx",
        magic=b"",
        magic_offset=0,
        exporter="edgeport.export.onnx.convert",
        structure_module="edgeport.runtime.artefact.foreign.onnx",
    ),
)


# onnxruntime's own format, which people have too: its suffix, the bytes at offset 4, and what to do with it.
_ORT_SUFFIX, _ORT_MAGIC = ".ort", b"ORTM"
_ORT = (
    "onnxruntime's own format (ORT), which onnxruntime alone reads, and not every version of it: take the .onnx file "
    "that it was made from"
)


def format_named(name: str) -> Format:
    """Return the format that users call ``name``; raises InputError with the nearest name if there is none."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise unknown_name("format", name, (known.name for known in FORMATS))


def format_within(content: bytes, *, name: str) -> Format:
    """Return the format of a file without a name, from its content.

    Args:
        content: The whole file.
        name: What to call it in a message.

    Raises:
        ArtefactError: There is nothing in it, or it is in onnxruntime's own format.
    """
    if not content:
        raise ArtefactError(f"{name} is empty")
    if content.startswith(_ORT_MAGIC, 4):
        raise ArtefactError(f"{name} is in {_ORT}")
    with_magic = (known for known in FORMATS if known.magic)
    without = next(known for known in FORMATS if not known.magic)
    return next((known for known in with_magic if content.startswith(known.magic, known.magic_offset)), without)


def format_of(content: bytes, *, name: str) -> Format:
    """Return the format of a file from its name, and check that its content agrees.

    Args:
        content: The whole file.
        name: The file's name; its suffix decides.

    Raises:
        ArtefactError: The suffix belongs to no format, or the content is not what the suffix says.
    """
    if content.startswith(_ORT_MAGIC, 4):
        raise ArtefactError(f"{name} is in {_ORT}")
    known = format_called(name)
    if not content.startswith(known.magic, known.magic_offset):
        raise ArtefactError(
            f"{name} is no {known.name} file: its content does not begin as one does. Copy or export it again."
        )
    return known


def format_called(name: str) -> Format:
    """Return the format of a file from its name alone; raises ArtefactError if the suffix belongs to none."""
    for known in FORMATS:
        if name.lower().endswith(known.suffix):
            return known
    if name.lower().endswith(_ORT_SUFFIX):
        raise ArtefactError(f"{name}: a name in {_ORT_SUFFIX} is that of {_ORT}")
    suffixes = " or ".join(known.suffix for known in FORMATS)
    raise ArtefactError(f"{name}: the name of an artefact ends with {suffixes}")
