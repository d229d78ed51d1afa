"""Where the accuracy of a model goes in integers, layer by layer, in each format."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from edgeport.export.diagnosis.causes import Cause, cause_of, cure_for
from edgeport.export.diagnosis.layer_errors import INPUT, StepError, measure_steps
from edgeport.export.diagnosis.output_errors import EXACT_DB, Error
from edgeport.export.diagnosis.pairing import QuantizedStep
from edgeport.export.graphs.places import owner_of
from edgeport.export.parts.graph import PartedGraph, PartOperator
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.tensors.arrays import Tensor

_PARTS = {
    "tflite": ("edgeport.export.parts.tflite", "TfliteParts"),
    "onnx": ("edgeport.export.parts.onnx", "OnnxParts"),
}
# The layers that are named as those that cost most.
MOST_NAMED = 3
# A layer that takes a smaller share of the error is not worth naming.
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class LayerError:
    """What one layer of the model loses in integers.

    Attributes:
        names: Its name in Keras; where that is unknown, the innermost scope or the operator's own name. Several where
            the integer file computes layers in one piece, as it does a loop that is written out. An input of the model
            that is rounded goes by its own.
        steps: What was measured, in the order in which it runs.
    """

    names: tuple[str, ...]
    steps: tuple[StepError, ...]

    @property
    def layer(self) -> str:
        """Its name, or those of several layers."""
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]} to {self.names[-1]}"

    @property
    def is_input(self) -> bool:
        """Whether it is an input of the model that is rounded, and no layer."""
        return all(step.type == INPUT for step in self.steps)

    @property
    def built_up(self) -> Error:
        """The error of its output, with that of all layers before it."""
        return self.steps[-1].built_up

    @property
    def own_db(self) -> float | None:
        """The least SQNR of what it adds itself; None if it cannot run alone."""
        return min((step.own.sqnr_db for step in self.steps if step.own), default=None)

    @property
    def at_outputs(self) -> float | None:
        """The error at the outputs if it alone is rounded, as noise over signal; None if it cannot run alone."""
        known = [step.at_outputs_db for step in self.steps if step.at_outputs_db is not None]
        return sum(10 ** (-db / 10) for db in known) if known else None

    @property
    def worst(self) -> StepError:
        """The step that costs most."""
        return min(self.steps, key=lambda step: EXACT_DB if step.at_outputs_db is None else step.at_outputs_db)

    @property
    def cause(self) -> Cause:
        """The likeliest cause of what it loses."""
        return cause_of(self.worst)


@dataclass(frozen=True)
class FormatDiagnosis:
    """One format's integers beside its floats.

    Attributes:
        format: ``tflite`` or ``onnx``.
        float_file: The float file.
        integer_file: The file with integers.
        layers: The layers, in the order in which they run.
    """

    format: str
    float_file: str
    integer_file: str
    layers: tuple[LayerError, ...]

    @property
    def outputs_db(self) -> float:
        """The SQNR of the last layer, with all that has built up."""
        return self.layers[-1].built_up.sqnr_db

    def share(self, layer: LayerError) -> float:
        """Return the share of the known error at the outputs that a layer is to blame for, 0 to 1."""
        total = sum(each.at_outputs or 0.0 for each in self.layers)
        return (layer.at_outputs or 0.0) / total if total else 0.0

    @property
    def unknown(self) -> tuple[LayerError, ...]:
        """The layers that cannot run alone, so that nobody knows what they cost."""
        return tuple(each for each in self.layers if each.at_outputs is None)

    @property
    def costliest(self) -> tuple[LayerError, ...]:
        """The layers that cost most, the worst first; those that cost next to nothing are not among them."""
        ranked = sorted(self.layers, key=lambda each: -(each.at_outputs or 0.0))[:MOST_NAMED]
        return tuple(each for each in ranked if self.share(each) >= _LEAST_SHARE)


def diagnose(
    floats: bytes,
    integers: bytes,
    samples: Sequence[Sequence[Tensor]],
    *,
    format: str,
    names: tuple[str, str],
    layers: Sequence[str] = (),
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> FormatDiagnosis:
    """Compare a model in integers with the same one in floats, layer by layer.

    Args:
        floats: The float file.
        integers: The file with integers, of the same format and model.
        samples: For each sample the real values of each input, in the files' order, with the axis of the batch.
        format: ``tflite`` or ``onnx``.
        names: What to call the two files.
        layers: The names of the model, then of its layers, as the manifest lists them; empty if unknown.
        on_progress: Called with how many parts of the work are done, and how many there are.

    Raises:
        ArtefactError: The first file has integers or the second has none, or they are not of one model: no tensor is
            in both.
        InputError: What comes out are no finite numbers.
    """
    module, name = _PARTS[format]
    parted: Callable[[bytes], PartedGraph] = getattr(import_module(module), name)
    graphs = parted(floats), parted(integers)
    for graph, name, wanted in zip(graphs, names, (False, True), strict=True):
        if any(graph.quantization(each) for operator in graph.operators for each in operator.outputs) != wanted:
            raise ArtefactError(
                f"{name}: got a file {'without' if wanted else 'with'} integers, expected first the float file, then "
                "the same model in integers"
            )
    steps = measure_steps(*graphs, samples, channels_first=format == "onnx", on_progress=on_progress)
    if not steps:
        raise ArtefactError(
            f"{names[0]} and {names[1]} have no tensor in common: got files of two models, or names that a converter "
            "has changed; expected a float and an integer file of one model, from one converter"
        )
    if not math.isfinite(steps[-1].built_up.sqnr_db):
        first = next(step for step in steps if not math.isfinite(step.built_up.sqnr_db))
        raise InputError(
            f"{names[0]} and {names[1]}: got NaN or infinite numbers from {first.name} on, down to {steps[-1].name}, "
            "expected finite ones: give samples that the model can answer, or look at that layer"
        )
    by_layer: dict[tuple[str, ...], list[StepError]] = {}
    owners: dict[str, tuple[str, ...]] = {}
    for step in steps:
        # What is only moved is of the layer that has computed it.
        sources = [each.exact for each in step.step.sources if each.exact in owners]
        moved = owners[sources[0]] if sources and not step.step.computing else None
        owned = (step.name,) if step.type == INPUT else moved or _layers(graphs[1], step.step, layers, format)
        owners[step.step.exact] = owned
        by_layer.setdefault(owned, []).append(step)
    found = tuple(LayerError(names, tuple(each)) for names, each in by_layer.items())
    return FormatDiagnosis(format, *names, found)


def _layers(graph: PartedGraph, step: QuantizedStep, layers: Sequence[str], format: str) -> tuple[str, ...]:
    """Return the Keras layers that a step computes, in the order in which they run."""
    found = dict.fromkeys(
        _layer(graph, graph.operators[each], layers, format) for each in step.computing or step.operators[-1:]
    )
    return tuple(found)


def _layer(graph: PartedGraph, operator: PartOperator, layers: Sequence[str], format: str) -> str:
    constants = [name for name in operator.inputs if name in graph.constants]
    return owner_of((operator.name, *constants), layers, format=format)


def sentences(found: FormatDiagnosis) -> list[str]:
    """Return what costs most, and why, in sentences."""
    lines = [
        f"{each.layer} ({each.worst.type}) is to blame for {found.share(each):.0%} of the "
        f"{'known ' if found.unknown else ''}error at the outputs: {each.cause.text}."
        for each in found.costliest
    ]
    if found.unknown:
        lines.append(
            f"What {', '.join(each.layer for each in found.unknown)} costs is not known: such operators keep a state "
            "or run other graphs, and cannot run alone."
        )
    return lines or [f"No layer loses anything that matters ({found.outputs_db:.1f} dB at the end)."]


def document(found: FormatDiagnosis) -> dict[str, Any]:
    """Return everything that was measured, as plain JSON values."""
    return {
        "format": found.format,
        "float_file": found.float_file,
        "integer_file": found.integer_file,
        "outputs_db": _plain(found.outputs_db),
        "layers": [
            {
                "layer": each.layer,
                "share": None if each.at_outputs is None else found.share(each),
                "at_outputs_db": _plain(-10 * float(np.log10(each.at_outputs)) if each.at_outputs else None),
                "own_db": _plain(each.own_db),
                "built_up_db": _plain(each.built_up.sqnr_db),
                "cause": {"kind": each.cause.kind, "text": each.cause.text},
                "steps": [_step(step) for step in each.steps],
            }
            for each in found.layers
        ],
    }


def _step(error: StepError) -> Mapping[str, Any]:
    errors = {"built_up": error.built_up, "own": error.own}
    return {
        "operator": error.name,
        "type": error.type,
        **{key: vars(each) if each else None for key, each in errors.items()},
        "at_outputs_db": error.at_outputs_db,
        "integers_reach": error.limits,
        "seen": error.seen,
        "clipped": error.clipped,
        "channels": vars(error.channels) if error.channels else None,
        "weights_rounded_to_zero": error.weights_killed,
    }


def _plain(value: float | None) -> float | None:
    return None if value is None else round(min(value, EXACT_DB), 2)


def repair(found: Sequence[FormatDiagnosis]) -> list[str]:
    """Return the layers to keep in floats: those that cost most, and their readers.

    What a layer loses is mostly lost where its output is rounded, so the layers that take it must be in floats too.
    """
    wanted: dict[str, None] = {}
    for each in found:
        for costly in each.costliest[:1]:
            for layer in (costly, *readers_of(each, costly)):
                wanted |= {} if layer.is_input else dict.fromkeys(layer.names)
    return list(wanted)


def cures_of(found: Sequence[FormatDiagnosis]) -> list[str]:
    """Return the options of an export that fit what costs most in each format, where each has one: see ``CURES``."""
    fitting = [cure_for(costly.worst) for each in found for costly in each.costliest[:1]]
    return [] if None in fitting else sorted({each for each in fitting if each}, reverse=True)


def readers_of(found: FormatDiagnosis, layer: LayerError) -> list[LayerError]:
    """Return the layers that take what a layer gives."""
    outputs = {step.step.exact for step in layer.steps}
    return [
        each
        for each in found.layers
        if each is not layer and any(outputs & {source.exact for source in step.step.sources} for step in each.steps)
    ]
