"""Name the usual mistakes in calibration samples: one call for the export and for ``edgeport calibration``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.sources.source import Source
from edgeport.export.verification.advice.likeness import Likeness, witness_of
from edgeport.export.verification.advice.mistake import Mistake
from edgeport.export.verification.advice.samples import mistakes_in
from edgeport.export.verification.advice.witnesses import find_witnesses
from edgeport.export.verification.calibration import RANDOM, CalibrationSet
from edgeport.export.verification.evidence import decided
from edgeport.export.verification.reference import Reference
from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.tensors.arrays import Tensor

# What it is called that samples are of one class alone.
ONE_CLASS = "one class"
# So many samples show a mistake.
_LOOKED_AT = 128
_LEAST, _A_CLASS = 20, 10
_NEARLY_ALL, _ALL_BUT_FEW = 0.9, 0.97
_ALL_CLASSES = "take samples of every class, in the shares that the model will see"

Samples = Mapping[str, npt.NDArray[Any]]


def mistakes_of(
    source: Source, calibration: CalibrationSet, decisions: Mapping[str, str], *, other: Samples | None = None
) -> tuple[Mistake, ...]:
    """Return what may be wrong with calibration samples, each kind once.

    They are looked at by themselves, by what the model answers to them, by what its normalisation layers have kept of
    the training data, and beside other samples.

    Args:
        source: The model, with the lengths that the samples have.
        calibration: The samples.
        decisions: How outputs decide: see ``compare``.
        other: Samples like those that the model will see, by input, of the same kinds; those of a data set that was
            divided show nothing.
    """
    if calibration.source == RANDOM:
        return ()
    # Not the first ones: what somebody has sorted begins with one class.
    places = np.unique(np.linspace(0, calibration.count - 1, min(_LOOKED_AT, calibration.count)).astype(int))
    some = {name: array[places] for name, array in calibration.samples.items()}
    found = [each for port in calibration.inputs for each in mistakes_in(port, calibration.samples[port.name])]
    found += _one_class(source, calibration, some, decisions)
    if not source.is_quantization_aware:
        real = calibration.to_real(some)
        graph = source.at_batch(source.inputs[0].shape[0])
        layers = find_witnesses(graph)
        asked = [layers]
        if other is not None:
            ported = calibration.to_real({name: array[:_LOOKED_AT] for name, array in other.items()})
            asked.append(tuple(witness_of(port, ported[port.name]) for port in calibration.inputs if port.is_real))
        for witnesses in asked:
            likeness = Likeness(graph, calibration.inputs, witnesses, at_once=source.samples_at_once)
            found += likeness.mistakes(real)
    return tuple({each.kind: each for each in reversed(found)}.values())[::-1]


def warnings_of(source: Source, calibration: CalibrationSet, reference: Reference) -> tuple[str, ...]:
    """Return what may be wrong with calibration samples in lines, but for what is said of verification anyway."""
    found = mistakes_of(source, calibration, reference.decisions)
    return tuple(each.line for each in found if each.kind != ONE_CLASS or not reference.warnings)


def _one_class(
    source: Source, calibration: CalibrationSet, some: Samples, decisions: Mapping[str, str]
) -> list[Mistake]:
    """Return that all samples are of one class, or of few, as the data say, or else as the model answers."""
    known = {port.name: port for port in source.outputs if decisions.get(port.name) in ("largest", "half")}
    if calibration.count < _LEAST or not known:
        return []
    if calibration.classes is not None:
        classes = next(iter(known.values())).shape[-1] or 0
        different = len(np.unique(calibration.classes))
        if different == 1 and max(classes, len(calibration.labels)) > 1:
            return [Mistake(ONE_CLASS, f"all {calibration.count} are of one class, as the data say", _ALL_CLASSES)]
        return []
    answers = source.answers(some, to_real=calibration.to_real)
    found = (_one_answer(port, decisions[name], answers[name]) for name, port in known.items())
    return [each for each in found if each is not None][:1]


def _one_answer(port: Output, decision: str, values: Tensor) -> Mistake | None:
    if values.ndim != 2:
        return None
    said: Tensor = decided(values, decision)
    if decision == "half":
        said = np.asarray(said.any(axis=1))
    classes = values.shape[1] if decision == "largest" else 2
    different, counts = np.unique(said, return_counts=True)
    most = int(counts.argmax())
    if classes > 1 and counts[most] >= (_NEARLY_ALL if classes > 2 else _ALL_BUT_FEW) * len(said):
        called = _called(port.columns, different[most], decision)
        seen = f"the model answers {called} to {counts[most]} of the {len(said)} that were looked at"
        return Mistake(ONE_CLASS, seen, _ALL_CLASSES)
    if len(different) < classes / 2 and classes <= _A_CLASS <= len(said) / classes:
        seen = f"the model finds {len(different)} of its {classes} classes in the {len(said)} that were looked at"
        return Mistake("few classes", seen, _ALL_CLASSES)
    return None


def _called(columns: tuple[str, ...], number: Any, decision: str) -> str:
    if decision == "half":
        return "yes" if number else "no"
    place = int(number)
    return columns[place] if place < len(columns) else f"class {place}"
