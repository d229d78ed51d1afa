"""Try each way of finding ranges on a model: make the file, and let its engine answer."""

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from edgeport.export.conversion.foreign_messages import foreign_errors
from edgeport.export.conversion.options import OnNote, Options
from edgeport.export.conversion.ranges.choice import CURES, SIGN, Judged, chosen, cured, divided, judged
from edgeport.export.conversion.ranges.methods import AUTO, MINMAX
from edgeport.export.graphs.running import answers
from edgeport.export.sources.source import Source
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.engine_process import run_in_engines
from edgeport.export.verification.reference import Reference
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, with_checksum
from edgeport.runtime.artefact.formats import Format
from edgeport.runtime.artefact.precisions import Precision
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import ExportError, InputError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.tensors.arrays import Tensor

_INT8 = "int8"
_OF_ROUNDING = ("correct_biases",)
_WITHOUT: dict[str, Any] = dict.fromkeys(CURES, False)


class Judge(Protocol):
    """Judges files whose ranges come from some samples."""

    def __call__(self, ranged: CalibrationSet, *, cures: Collection[str] = ()) -> Callable[[str], Judged]:
        """Return what a method does to the answers; the samples are looked at once for all methods."""


def _asked(options: Options) -> tuple[str, ...]:
    """Return the cures that are asked for."""
    return tuple(cure for cure in CURES if getattr(options, cure))


def check_method(source: Source, options: Options) -> None:
    """Raise InputError if a quantization-aware model, which knows its ranges, shall get others."""
    asked = [cure.replace("_", "-") for cure in _asked(options)]
    if options.calibration_method != MINMAX:
        asked.append("calibration-method")
    if asked and source.is_quantization_aware:
        raise InputError(
            f"--{asked[0]}: {source.opened.what} was trained quantization-aware, with the ranges of int8: leave it out"
        )


@dataclass(frozen=True, eq=False)
class MethodChooser:
    """Chooses once for each format how activations get their ranges, and which cures the model gets.

    Attributes:
        source: The model, with the lengths that the samples have.
        calibration: The calibration set.
        options: The choices of the export.
        reference: How its outputs decide.
    """

    source: Source
    calibration: CalibrationSet
    options: Options
    reference: Reference
    _choices: dict[tuple[str, str], tuple[Options, Mapping[str, str]]] = field(default_factory=dict)

    def options_for(self, row: Format, precision: Precision, on_note: OnNote) -> Options:
        """Return the choices of the export for one artefact, with what is best for its format.

        Args:
            row: The format of the file.
            precision: Its precision.
            on_note: Called with what each way gave, if several were tried.

        Raises:
            ExportError: No int8 file can be made or run.
        """
        if not precision.in_integers:
            return replace(self.options, calibration_method=MINMAX, **_WITHOUT)
        wanted = replace(self.options, calibration_method=MINMAX) if precision.wide_activations else self.options
        if wanted.calibration_method != AUTO and not _asked(wanted):
            return wanted
        # What has layers in floats is int8 but for these.
        name = precision.name if precision.wide_activations else _INT8
        if (row.name, name) not in self._choices:
            self._choices[row.name, name] = self._chosen(row, name, wanted)
        options, notes = self._choices[row.name, name]
        # What stays in floats is not rounded, so there would be nothing that a bias takes off.
        left_out = _OF_ROUNDING if precision.for_layers else ()
        for subject, note in notes.items():
            if subject not in left_out:
                on_note(note)
        without: dict[str, Any] = dict.fromkeys(left_out, False)
        return replace(options, **without)

    def _chosen(self, row: Format, precision: str, wanted: Options) -> tuple[Options, Mapping[str, str]]:
        """Return what is best, and what each way gave, by files that answer samples that no range is taken from."""
        ranged, judging = divided(self.calibration)
        judge = judge_of(self.source, ranged, judging, wanted, row=row, reference=self.reference, precision=precision)
        notes: dict[str, str] = {}
        method = wanted.calibration_method
        if method == AUTO:
            choice = chosen(judge(ranged))
            method, plain = choice.method, choice.judged
            notes[AUTO] = choice.text
        else:
            plain = judge(ranged)(method)
        options = replace(wanted, calibration_method=method, **_WITHOUT)
        kept: tuple[str, ...] = ()
        for cure in _asked(wanted):
            tried = judge(ranged, cures=(*kept, cure))(method)
            better, notes[cure] = cured(cure, tried, plain)
            if better:
                kept, plain = (*kept, cure), tried
        given: dict[str, Any] = dict.fromkeys(kept, True)
        return replace(options, **given), notes


def judge_of(
    source: Source,
    calibration: CalibrationSet,
    judging: Mapping[str, Tensor],
    options: Options,
    *,
    row: Format,
    reference: Reference,
    precision: str = _INT8,
) -> Judge:
    """Return what judges files in integers whose ranges come from some samples.

    Args:
        source: The model, with the lengths that the samples have.
        calibration: What the model takes.
        judging: The samples that the files answer, by input.
        options: The choices of the export.
        row: The format of the files.
        reference: How the outputs decide.
        precision: Of the files.
    """
    expected = _reference(source, calibration, judging)
    exporter = importlib.import_module(row.exporter)
    # The softmax would hide most of what integers do to logits.
    decisions = {
        name: SIGN if how == "half" and name in source.logits else how for name, how in reference.decisions.items()
    }
    shapes = zip(source.inputs, calibration.inputs, strict=True)
    inputs = tuple(known._replace(shape=port.shape) for port, known in shapes)
    metadata = EmbeddedMetadata(source.name, precision, inputs, source.outputs)

    def judge(ranged: CalibrationSet, *, cures: Collection[str] = ()) -> Callable[[str], Judged]:
        wanted: dict[str, Any] = {cure: cure in cures for cure in CURES}
        with foreign_errors():
            made = exporter.by_method(
                source, precision=precision, calibration=ranged, options=replace(options, **wanted)
            )

        def by(method: str) -> Judged:
            with foreign_errors():
                content = with_checksum(exporter.embed(made(method), metadata))
            with temporary_folder() as folder, quiet_stderr():
                file = f"model{row.suffix}"
                (folder / file).write_bytes(content)
                (answer,) = run_in_engines(folder, [file], judging, at_once=source.samples_at_once)
            if answer.answers is None:
                raise ExportError(answer.error)
            return judged(answer.answers, expected, decisions)

        return by

    return judge


def _reference(source: Source, calibration: CalibrationSet, samples: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what the model's graph computes where int8 files end."""
    fixed = source.inputs[0].shape[0]
    batch = fixed or source.samples_at_once
    graph = source.at_batch(fixed)
    count = len(next(iter(samples.values())))
    real = [
        calibration.to_real({name: array[np.arange(start, start + batch) % count] for name, array in samples.items()})
        for start in range(0, count, batch)
    ]
    parts = list(answers(graph, ([each[port.name] for port in graph.inputs] for each in real)))
    ends = source.ends(at_logits=True)
    return {name: np.concatenate([part[end] for part in parts])[:count] for name, end in ends.items()}
