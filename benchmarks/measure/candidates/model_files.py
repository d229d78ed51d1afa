"""Model files that a user names, whoever made them: what each takes and gives, and which tensor of it is which."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeport.benchmarks.measure.assembly import Entry
from edgeport.benchmarks.measure.candidates.candidate import Candidate
from edgeport.benchmarks.measure.candidates.layouts import FIRST, LAST, SAME, axes_to, is_ambiguous, layout_of
from edgeport.benchmarks.measure.candidates.tensors_of import tensors_of
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, read_metadata
from edgeport.runtime.artefact.formats import format_called
from edgeport.runtime.artefact.spec import Spec, TensorSpec
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.checksum import sha256_hex
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.samples.shaping import ports_of
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.checks import few_steps

# What TensorFlow puts around the names that people gave.
_WRAPPED = re.compile(r"(?:serving_default_)?(.+?)(?::0)?")
# Of the values that a quantized input cannot hold: more than outliers that a calibration cuts off.
_MOST_BEYOND = 0.05
_Port = Input | Output


@dataclass(frozen=True, eq=False)
class ModelFile:
    """One file.

    Attributes:
        path: Where it is.
        file: What the report calls it.
        bytes: Its size.
        sha256: Its digest.
        metadata: What it says about itself; None for one that edgeport did not make.
        tensors: Its input tensors, as it stores them.
        inputs: Its inputs, by the names that users see, in the same order.
        outputs: Its outputs.
        names: The tensors' own names, by these.
    """

    path: Path
    file: str
    bytes: int
    sha256: str
    metadata: EmbeddedMetadata | None
    tensors: tuple[TensorSpec, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    names: Mapping[str, str]


def read_model_file(path: Path, *, file: str) -> ModelFile:
    """Return what a file takes and gives.

    Args:
        path: A ``.tflite`` or ``.onnx`` file. One that edgeport made must be as it was made.
        file: What the report calls it.

    Raises:
        ArtefactError: It cannot be read or opened, or has been altered.
        InputError: It takes no samples.
        MissingDependencyError: No engine for it is installed.
    """
    row = format_called(path.name)
    content = read_plain(path, most=MOST_MODEL)
    metadata = read_metadata(content, name=path.name, verify=False)
    if metadata is not None:
        read_metadata(content, name=path.name)
    tensors, given = tensors_of(path, trust=metadata is None)
    spec = Spec(path.name, row.name, "", "", 1, tensors, given, metadata)
    names = {**_tidy(tensors), **_tidy(given)}
    ports = (port._replace(name=names[port.name]) for port in ports_of(spec))
    # What looks like pictures is none until somebody says what pixels are to it.
    inputs = tuple(port if metadata else port._replace(range=None) for port in ports)
    outputs = tuple(_output(tensor, names[tensor.name]) for tensor in given)
    if metadata is not None:
        facts = zip(metadata.outputs, outputs, strict=True)
        outputs = tuple(known._replace(name=port.name, shape=port.shape, dtype=port.dtype) for known, port in facts)
    own = {shown: name for name, shown in names.items()}
    digest = sha256_hex([content], size=len(content))
    return ModelFile(path, file, len(content), digest, metadata, tensors, inputs, outputs, own)


def entry_of(
    model: ModelFile, reference: ModelFile, said: Mapping[str, str], *, placed: Mapping[str, str] | None = None
) -> tuple[Entry, dict[str, str]]:
    """Return a file as a candidate that takes the samples of the reference and gives its outputs, and its inputs.

    Args:
        model: The file.
        reference: What it is compared with; its inputs that take pixels say of which range.
        said: The names of its tensors that a user matched with those of the reference, by the latter.
        placed: Where a user says that these tensors have their channels, by the names of the reference's.

    Returns:
        The candidate, and its inputs by the names of the samples that they take.

    Raises:
        InputError: It has other inputs or outputs, or nobody can say which is which.
    """
    inputs = matched(model.inputs, reference.inputs, said, file=model.file, side="inputs")
    outputs = matched(model.outputs, reference.outputs, said, file=model.file, side="outputs")
    ports = {port.name: port for port in reference.inputs}
    pixels = {
        model.names[name]: (*ends, ports[wanted].channels)
        for wanted, name in inputs.items()
        if model.metadata is None and (ends := ports[wanted].range) is not None
    }
    layouts = _layouts(model, reference, inputs, outputs, placed or {})
    axes = {
        model.names[name]: axes_to(
            # Answers go the other way.
            layout if name in inputs.values() else {FIRST: LAST, LAST: FIRST}[layout],
            rank,
        )
        for name, (layout, rank) in layouts.items()
    }
    arguments = {
        "path": str(model.path.resolve()),
        "trust": model.metadata is None,
        "inputs": {model.names[name]: wanted for wanted, name in inputs.items()},
        "outputs": {model.names[name]: wanted for wanted, name in outputs.items()},
        "pixels": pixels,
        "axes": axes,
    }
    entry = Entry(
        file=model.file,
        format=format_called(model.path.name).name,
        precision=model.metadata.precision if model.metadata else "",
        bytes=model.bytes,
        sha256=model.sha256,
        candidate=Candidate(model.file, "edgeport.benchmarks.measure.candidates.openers:open_artefact", arguments),
    )
    return entry, inputs


def _layouts(
    model: ModelFile,
    reference: ModelFile,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    placed: Mapping[str, str],
) -> dict[str, tuple[str, int]]:
    """Return where the tensors of a file have their channels that are not where the reference's are, and their ranks.

    Raises:
        InputError: No shape says where they stand, and the file is of another format than the reference.
    """
    found = {}
    # edgeport and its converters leave channels where they are.
    foreign = None in (model.metadata, reference.metadata) and model.path.suffix != reference.path.suffix
    foreign = foreign and ".onnx" in (model.path.suffix, reference.path.suffix)
    for own, theirs, pairs in ((model.inputs, reference.inputs, inputs), (model.outputs, reference.outputs, outputs)):
        shapes = {port.name: port.shape for port in own}
        for port in theirs:
            name = pairs[port.name]
            layout = placed.get(port.name) or layout_of(shapes[name], port.shape)
            if port.name not in placed and layout == SAME and foreign and is_ambiguous(shapes[name]):
                raise InputError(
                    f"{model.file}: no shape says where {name} {shapes[name][1:]} has its channels: say it with "
                    f"--match {model.file}:{name}={port.name}:{FIRST}, or {LAST}, or {SAME} as those of the reference"
                )
            if layout in (FIRST, LAST):
                found[name] = layout, len(port.shape)
    return found


def moved(model: ModelFile, entry: Entry) -> list[str]:
    """Return a line for each tensor of a file that has its channels elsewhere than the reference."""
    assert entry.candidate is not None, "a file is run"
    axes = entry.candidate.arguments["axes"]
    inputs = [port for port in model.inputs if model.names[port.name] in axes]
    outputs = [port for port in model.outputs if model.names[port.name] in axes]
    where = "its channels elsewhere than the reference has them: they are moved"
    return [
        *(f"{model.file} takes {port}, {where}" for port in inputs),
        *(f"{model.file} gives {port}, {where}" for port in outputs),
    ]


def matched(
    own: Sequence[_Port], wanted: Sequence[_Port], said: Mapping[str, str], *, file: str, side: str
) -> dict[str, str]:
    """Return which of a file's own tensors is which of the reference's: by name, else by shape.

    Args:
        own: Those of the file.
        wanted: Those of the reference.
        said: What a user says, by the names of the latter.
        file: What a message calls the file.
        side: ``inputs`` or ``outputs``.

    Raises:
        InputError: There are more or fewer, one has no partner, or more than one could be it.
    """
    listed = f"{file}: got the {side} {_listed(own)}, expected those of the reference, {_listed(wanted)}"
    if len(own) != len(wanted):
        raise InputError(listed)
    names = {port.name: port for port in own}
    pairs = {port.name: names[said[port.name]] for port in wanted if said.get(port.name) in names}
    left = [port for port in wanted if port.name not in pairs]
    pairs |= {port.name: names[port.name] for port in left if port.name in names and _alike(names[port.name], port)}
    for port in wanted:
        free = [each for each in own if each not in pairs.values()]
        others = [each for each in wanted if each.name not in pairs and _alike(port, each)]
        fitting = [each for each in free if _alike(each, port)]
        if port.name in pairs:
            continue
        if not fitting:
            raise InputError(f"{listed}: none of its own fits {port}")
        if len(fitting) > 1 or len(others) > 1:
            either = " or ".join(each.name for each in fitting)
            raise InputError(
                f"{listed}: {either} may be {port.name}: say which with --match {file}:{fitting[0].name}={port.name}"
            )
        pairs[port.name] = fitting[0]
    for port in wanted:
        if not _alike(pairs[port.name], port):
            raise InputError(f"{listed}: {pairs[port.name].name} does not fit {port.name}")
    return {name: port.name for name, port in pairs.items()}


def check_held(model: ModelFile, names: Mapping[str, str], real: Mapping[str, Tensor]) -> None:
    """Raise InputError if most of the samples are beyond what the integers of a file's inputs stand for.

    Args:
        model: The file.
        names: Its inputs by the names of the samples.
        real: The samples as real values.
    """
    tensors = dict(zip((port.name for port in model.inputs), model.tensors, strict=True))
    for name, own in names.items():
        tensor, values = tensors[own], real[name]
        if not tensor.quantized:
            continue
        ends = np.iinfo(tensor.dtype)
        low, high = ((end - tensor.zero_point) * tensor.scale for end in (ends.min, ends.max))
        beyond = float(((values < low - tensor.scale) | (values > high + tensor.scale)).mean())
        if beyond > _MOST_BEYOND:
            raise InputError(
                f"{model.file}: got samples from {values.min():.4g} to {values.max():.4g}, and its input {own} stands "
                f"for {low:.4g} to {high:.4g} ({beyond:.0%} of the values are beyond): give them as in training, or "
                "say with --input pixels:LOW:HIGH what 0 and 255 are"
            )


def held_narrowly(model: ModelFile, names: Mapping[str, str], real: Mapping[str, Tensor]) -> list[str]:
    """Return a line for each integer input of which the samples use but a few steps: they may be scaled otherwise.

    Args:
        model: The file.
        names: Its inputs by the names of the samples.
        real: The samples as real values.
    """
    tensors = dict(zip((port.name for port in model.inputs), model.tensors, strict=True))
    return [line for name, own in names.items() if (line := few_steps(real[name], tensors[own], named=model.file))]


def shown_names(paths: Sequence[Path]) -> list[str]:
    """Return what a report calls files: their names, with as many folders as tell them apart."""
    parts = [path.parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = [os.path.join(*each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    twice = next(str(path) for place, path in enumerate(paths) if path in paths[:place])
    raise InputError(f"{twice}: got the file twice, expected each once")


def _tidy(tensors: Sequence[TensorSpec]) -> dict[str, str]:
    """Return the names that users see by those of the tensors."""
    tidy = {}
    for tensor in tensors:
        found = _WRAPPED.fullmatch(tensor.name)
        tidy[tensor.name] = found[1] if found else tensor.name
    return tidy if len(set(tidy.values())) == len(tidy) else {name: name for name in tidy}


def _output(tensor: TensorSpec, name: str) -> Output:
    return Output(name, tensor.shape, "float32" if tensor.quantized or "float" in tensor.dtype else tensor.dtype)


def _alike(port: _Port, other: _Port) -> bool:
    """Return whether two tensors may be the same, wherever they have their channels and how many samples they take."""
    return port.is_real == other.is_real and bool(layout_of(port.shape, other.shape))


def _listed(ports: Sequence[_Port]) -> str:
    return " and ".join(map(str, ports)) or "none"
