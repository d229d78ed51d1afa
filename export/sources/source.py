"""The model to export, wherever it comes from: its graph, its answers, and what is known about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.conversion.foreign_messages import cleaned
from edgeport.export.graphs.endings import endings_of
from edgeport.export.graphs.graph import Graph, activations_of, cut_activations, with_outputs, with_shapes
from edgeport.export.graphs.integers.fake_quantization import call_of, has_fake_quantization, without_fake_quantization
from edgeport.export.sources.float64 import in_float32
from edgeport.export.sources.integer_inputs import with_integer_inputs
from edgeport.export.sources.keras.keras_model import open_keras_file, open_keras_model
from edgeport.export.sources.opened import Opened, Shapes
from edgeport.export.sources.output_contract import (
    Meaning,
    named_labels,
    parsed_meanings,
    tells_apart,
    with_meanings,
)
from edgeport.export.sources.port_check import check_ports
from edgeport.export.sources.saved_model import is_saved_model, open_saved_model
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.input_kinds import kind_text, parsed_input, with_kinds
from edgeport.runtime.artefact.precisions import Precision
from edgeport.runtime.errors import ArtefactError, ExportError, InputError
from edgeport.runtime.host.terminal import steers, visible
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.quantization import activate
from edgeport.train.models.keras_backend import check_backend
from edgeport.train.models.keras_writer import KERAS_SUFFIXES
from edgeport.train.record import TrainingRecord, record_beside

_MOST_AT_ONCE = 64
# As float32, a quarter of a GB.
_ACTIVATIONS_AT_ONCE = 1 << 26
_Samples = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Source:
    """A model and what is known about it.

    Attributes:
        name: What its artefacts are called.
        opened: The model as it was read: how it is traced, and how it answers.
        graph: The model as one graph; its last outputs are the logits of those that end in an activation.
        logits: For each output that ends in an activation, the port of its logits.
        activations: What ends each output: ``softmax``, ``sigmoid`` or ``none``.
        applied: What the runtime shall apply to the first output of a model that ends in logits, or ``none``.
        meanings: What the user says of the outputs, by name.
        names: What the user, the training record or the data call the columns of the outputs, by name.
        named_by: Who has named those of the first output, in words; empty if nobody has.
        resizing: How pictures became the images that it was trained on, if that is known.
        kinds: Of which kind each input was said to be, here or where it was trained; empty for the graph's inputs.
        dataset: The data set that it was trained on, or empty.
        dataset_sha256: The digest of that data set, or empty.
    """

    name: str
    opened: Opened
    graph: Graph
    logits: Mapping[str, Output]
    activations: Mapping[str, str]
    applied: str = "none"
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    named_by: str = ""
    resizing: Resizing | None = None
    kinds: tuple[Input, ...] = ()
    dataset: str = ""
    dataset_sha256: str = ""
    _graphs: dict[int | None, Graph] = field(default_factory=dict, repr=False)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs, in the model's order, each of the kind that it was said to be."""
        known = self.kinds or self.graph.inputs
        return tuple(
            port._replace(
                kind=each.kind, range=each.range, channels=each.channels, columns=each.columns, log_mel=each.log_mel
            )
            for port, each in zip(self.graph.inputs, known, strict=True)
        )

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of the model itself, in its order, and what they mean."""
        ports = self.graph.outputs[: len(self.activations)]
        return with_meanings(ports, self.endings, meanings=self.meanings, names=self.names)

    @cached_property
    def endings(self) -> Mapping[str, str]:
        """What the values of each output come from, in the model or by the runtime."""
        found = endings_of(self.graph)
        endings = {name: found[name] for name in self.activations}
        first = next(iter(endings))
        return {**endings, first: self.applied} if self.applied != "none" else endings

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each class or label of the first output, or empty."""
        return self.outputs[0].labels

    @property
    def takes_an_image(self) -> bool:
        """Whether its one input takes images."""
        return len(self.inputs) == 1 and self.inputs[0].is_image

    @property
    def ends_in_probabilities(self) -> bool:
        """Whether it classifies one image, and ends in a softmax or sigmoid of its own."""
        return self.takes_an_image and len(self.outputs) == 1 and self.activations[self.outputs[0].name] != "none"

    def ends(self, *, at_logits: bool) -> dict[str, str]:
        """Return for each output the tensor of the graph that an artefact ends at: its logits, where it has any."""
        names = [port.name for port in self.outputs]
        return {name: self.logits[name].name if at_logits and name in self.logits else name for name in names}

    @property
    def is_quantization_aware(self) -> bool:
        """Whether it rounds as int8 does, so that the ranges of its activations are known."""
        return has_fake_quantization(self.graph)

    def for_precision(self, precision: Precision) -> "Source":
        """Return what an artefact of a precision is made from, and compared with.

        A quantization-aware model rounds as int8 does. In any other precision nothing rounds like that, so those
        artefacts are made from its weights without the rounding, and must answer like these.
        """
        return self if precision.trained_for else self.unrounded

    @property
    def unrounded(self) -> "Source":
        """The model without the rounding that it was trained with, if it was."""
        return self._without_rounding if self.is_quantization_aware else self

    @cached_property
    def _without_rounding(self) -> "Source":
        graph = without_fake_quantization(self.graph)
        call = call_of(with_outputs(graph, self.ends(at_logits=False)))
        return replace(self, graph=graph, opened=replace(self.opened, call=call, trace=None), _graphs={})

    def at_batch(self, batch: int | None) -> Graph:
        """Return the graph for a batch of that many samples, or of any number; the latest is kept."""
        if batch not in self._graphs:
            shapes = {port.name: (batch, *port.shape[1:]) for port in self.inputs}
            # Each holds all weights, and one format after the other is made.
            self._graphs.clear()
            self._graphs[batch] = _shaped(self.opened, self.graph, shapes)
        return self._graphs[batch]

    def with_lengths(self, shapes: Shapes) -> "Source":
        """Return the source with its free axes as long as those of the given shapes, batch aside."""
        wanted = {port.name: (port.shape[0], *shapes[port.name][1:]) for port in self.inputs}
        if all(wanted[port.name] == port.shape for port in self.inputs):
            return self
        return replace(self, graph=_shaped(self.opened, self.graph, wanted), _graphs={})

    @cached_property
    def samples_at_once(self) -> int:
        """How many samples can be answered at a time without their activations filling the memory."""
        return max(1, min(_MOST_AT_ONCE, _ACTIVATIONS_AT_ONCE // max(1, activations_of(self.graph))))

    def answers(
        self, samples: _Samples, *, to_real: Callable[[_Samples], _Samples] = lambda samples: samples
    ) -> dict[str, Tensor]:
        """Return the model's own outputs, as the artefacts shall give them.

        Args:
            samples: For each input an array of shape (n, ...).
            to_real: Turns a few of them at a time into what the model takes.

        Real numbers are float32; booleans and integers keep their own types.

        Raises:
            ExportError: The model cannot take the samples, or answers with NaN or infinity.
        """
        fixed = self.inputs[0].shape[0]
        batch = fixed or self.samples_at_once
        count = len(next(iter(samples.values())))
        parts = []
        try:
            for start in range(0, count, batch):
                # A fixed batch is filled up with the first samples, and what they get is cut off.
                places = np.arange(start, start + batch if fixed else min(start + batch, count)) % count
                real = to_real({name: array[places] for name, array in samples.items()})
                parts.append(self.opened.call([real[port.name] for port in self.inputs]))
        except Exception as error:  # TensorFlow raises whatever an operator meets, a token out of range for example
            raise ExportError(f"{self.opened.what} cannot run on the samples ({cleaned(error)})") from error
        for place, port in enumerate(self.outputs):
            if not np.ndim(parts[0][place]):
                raise ExportError(
                    f"{self.opened.what}: its output {port.name} is one number for all samples, expected one for each: "
                    "keep the batch axis (keepdims=True)"
                )
            got, fed = len(parts[0][place]), fixed or min(batch, count)
            if got != fed:
                raise ExportError(
                    f"{self.opened.what}: its output {port.name} has {got} rows for {fed} samples, expected one for "
                    "each: put the batch axis first"
                )
        outputs = {
            port.name: np.concatenate([part[place] for part in parts])[:count]
            for place, port in enumerate(self.outputs)
        }
        # Ids beyond 2^24 are others in float32.
        outputs = {
            port.name: outputs[port.name].astype(np.float32) if port.is_real else outputs[port.name]
            for port in self.outputs
        }
        for name, output in outputs.items():
            if output.dtype == np.float32 and not np.isfinite(output).all():
                hint = ", or check --input" if any(port.range for port in self.inputs) else ""
                raise ExportError(
                    f"{self.opened.what} answers with NaN or infinity on held-out samples (output {name}): train it "
                    f"anew{hint}"
                )
        first = self.outputs[0].name
        return {**outputs, first: activate(outputs[first], self.applied)}


def load_source(
    model: Any,
    *,
    name: str | None = None,
    activation: str | None = None,
    labels: Sequence[str] | Mapping[str, Sequence[str]] = (),
    outputs: Sequence[str] = (),
    inputs: Sequence[str] = (),
    custom_objects: Mapping[str, Any] | None = None,
) -> Source:
    """Read a model, and what the training.json beside it says.

    Args:
        model: A ``.keras`` or ``.h5`` file, a SavedModel folder, or a Keras model.
        name: What to call the artefacts; by default what training.json calls the model, else its file's stem.
        activation: For a model that ends in logits, what the runtime shall apply: ``softmax`` or ``sigmoid``.
        labels: The name of each class, in the order of the first output, or by output the name of each column; by
            default those of the training.json for the first.
        outputs: What the outputs mean, as ``--outputs`` takes it: ``scores=classes``; by default what the graph says.
        inputs: Of which kind inputs are, each as ``--input`` takes it: ``pixels:-1:1``, ``mask=real``, ``ids``. By
            default as the training.json says; the others become what their samples are.
        custom_objects: The layers and functions that the model needs and Keras does not know, by name.

    Raises:
        ArtefactError: The file is missing, damaged or no model.
        ExportError: The model is of a kind that cannot be exported.
        InputError: The name, the activation, the kind of an input or what is said of an output does not fit.
    """
    check_backend()
    opened = with_integer_inputs(in_float32(_open(model, custom_objects or {})))
    check_ports(opened)
    record = record_beside(opened.file, sha256=opened.sha256) if opened.file else None
    graph, logits, activations = cut_activations(opened.graph)
    opened = replace(opened, graph=graph)
    first = graph.outputs[0]
    if activation is not None and activations[first.name] != "none":
        raise InputError(
            f"--activation {activation}: {opened.what} ends in a {activations[first.name]} of its own, leave it out"
        )
    if activation is not None and (
        not first.is_real or (activation == "softmax" and (first.shape[-1:] or (1,))[0] == 1)
    ):
        raise InputError(
            f"--activation {activation}: got the output {first}, expected real numbers, 2 or more for softmax"
        )
    ports = graph.outputs[: len(activations)]
    source = Source(
        name=_artefact_name(name or (record.model if record else opened.name)),
        opened=opened,
        graph=graph,
        logits=logits,
        activations=activations,
        applied=activation or "none",
        meanings=parsed_meanings(outputs, ports),
        names=(names := named_labels(labels, ports)),
        named_by="--labels" if ports[0].name in names else "",
        resizing=record.resizing if record else None,
        kinds=_kinds(graph.inputs, inputs, record, opened.what),
        dataset=record.dataset if record else "",
        dataset_sha256=record.dataset_sha256 if record else "",
    )
    # What is said of the outputs is checked here, before any work.
    _ = source.outputs
    return _with_labels_of(record, source) if record else source


def _kinds(ports: Sequence[Input], said: Sequence[str], record: TrainingRecord | None, what: str) -> tuple[Input, ...]:
    """Return the inputs as they are said to be; raises InputError if that is not how the model was trained."""
    given = with_kinds(ports, [parsed_input(text) for text in said], what=what)
    if record is None:
        return given
    trained = with_kinds(ports, [record.input], what=what)
    for port, before in zip(given, trained, strict=True):
        if port.kind and port != before:
            raise InputError(
                f"--input: got {kind_text(port)} for {port.name}, expected {kind_text(before)}, as the training.json "
                f"beside {what} says: leave it out"
            )
    return tuple(port._replace(columns=record.input.columns) for port in trained)


def _with_labels_of(record: TrainingRecord, source: Source) -> Source:
    """Return the source with the labels of its training record; raises InputError if others are given."""
    first, labels = source.outputs[0], record.labels
    beside = f"the training.json beside {source.opened.what}"
    said = source.meanings.get(first.name)
    if said is not None and said.kind not in ("classes", "any"):
        raise InputError(
            f"--outputs: got {said.kind} for the output {first.name}, expected classes, as {beside} says, of which one "
            "is true: leave it out"
        )
    if first.kind == "any" and said is None and len(first.shape) == 2:
        # What it was trained on are classes, and what it gives are their scores.
        first = first._replace(kind="classes")
    if first.kind not in ("classes", "labels", "yes-no"):
        return source
    if first.columns and first.columns != labels:
        raise InputError(
            f"--labels: got {', '.join(first.columns)}, expected {', '.join(labels)}, as {beside} says: leave them "
            "out, or correct it"
        )
    if not tells_apart(first, labels):
        raise InputError(
            f"{beside} has the {len(labels)} classes {', '.join(labels)}, and the output {first} has others: "
            "correct it, or remove it"
        )
    return replace(source, names={**source.names, first.name: labels}, named_by="training.json")


def _open(model: Any, custom_objects: Mapping[str, Any]) -> Opened:
    if not isinstance(model, (str, Path)):
        return open_keras_model(model)
    path = Path(model)
    if path.is_dir():
        if not is_saved_model(path):
            raise ArtefactError(f"{path}: got a folder without saved_model.pb, expected a SavedModel or a .keras file")
        return open_saved_model(path)
    if path.suffix not in KERAS_SUFFIXES:
        if not path.exists():
            raise ArtefactError(f"cannot read {path}: No such file or directory")
        raise ArtefactError(
            f"{path}: expected a file whose name ends with .keras, .h5 or .hdf5, or a SavedModel folder"
        )
    return open_keras_file(path, custom_objects)


def _shaped(opened: Opened, graph: Graph, shapes: Shapes) -> Graph:
    if not opened.one_size and all(shapes[port.name] == port.shape for port in graph.inputs):
        return graph
    if opened.one_size:
        free = next((port for port in graph.inputs if None in shapes[port.name][1:]), None)
        if free is not None:
            raise ExportError(
                f"{opened.what}: its input {free} can be traced for one size only: give samples, which say which"
            )
    if (graph.loops or opened.one_size) and opened.trace:
        # The lists that a loop fills have the batch in their shapes, as constants, which only tracing anew changes.
        return cut_activations(opened.trace(shapes))[0]
    return with_shapes(graph, shapes)


def _artefact_name(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise InputError(f"--name: got {name!r}, expected a file name without folders")
    if steers(name):
        raise InputError(
            f"the artefacts would be called '{visible(name)}', expected text without control characters, in UTF-8: "
            "give --name"
        )
    return name
