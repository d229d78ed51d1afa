"""What the artefacts are verified against: the model's own answers, how they decide, and how float32 rounds them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgeport.export.sources.source import Source
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.comparison import Verification, compare
from edgeport.export.verification.evidence import constant_columns, inconclusive_figures
from edgeport.export.verification.rounding import answers_of_two_roundings
from edgeport.export.verification.rounding_error import Rounding, measured, sampled
from edgeport.runtime.artefact.precisions import Precision
from edgeport.runtime.tensors.arrays import Tensor

# Rounding is measured on so many of the held-out samples: float64 is slow, and the largest errors are among them.
_ROUNDED = 16
# A file that is off by so much of the range has a fault that shows in many places.
_FAULT = 1e-3


@dataclass(frozen=True, eq=False)
class Reference:
    """The answers of a model on the held-out samples, computed when they are asked for.

    Attributes:
        source: The model.
        calibration: Where the held-out samples are.
    """

    source: Source
    calibration: CalibrationSet

    @cached_property
    def answers(self) -> dict[str, Tensor]:
        """What the model itself answers."""
        return self.source.answers(self.calibration.held_out, to_real=self.calibration.to_real)

    @cached_property
    def unrounded_answers(self) -> dict[str, Tensor]:
        """The same without the rounding of a quantization-aware model, for what is not int8."""
        if not self.source.is_quantization_aware:
            return self.answers
        return self.source.unrounded.answers(self.calibration.held_out, to_real=self.calibration.to_real)

    @cached_property
    def decisions(self) -> dict[str, str]:
        """Which outputs are decisions, or decide between classes, and how: see ``compare``."""
        decisions = {}
        for place, port in enumerate(self.source.outputs):
            ending = self.source.endings[port.name]
            inside = self.source.activations[port.name] == "none" and not (place == 0 and self.source.applied != "none")
            # Coordinates of boxes, say, come from a sigmoid too, and are reshaped behind it.
            if port.kind in ("values", "boxes") or (port.kind == "any" and inside):
                ending = "none"
            if not port.is_real:
                decisions[port.name] = "equal"
            elif ending == "softmax" or (port.kind == "classes" and ending == "none"):
                decisions[port.name] = "largest"
            elif ending == "sigmoid" or port.kind in ("labels", "yes-no"):
                decisions[port.name] = "half"
        return decisions

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What the held-out samples cannot show, since the model answers the same to all of them."""
        warnings = []
        for name, answers in self.answers.items():
            decision = self.decisions.get(name)
            reasons = tuple(dict.fromkeys(inconclusive_figures(answers, decision).values()))
            if reasons:
                warnings.append(
                    f"verification of the output {name} shows nothing about accuracy: {'; '.join(reasons)}; give "
                    "--calibration samples to which it gives different answers"
                )
            columns = [] if decision else constant_columns(answers)
            if columns:
                some = ", ".join(map(str, columns[:5])) + (", ..." if len(columns) > 5 else "")
                warnings.append(
                    f"{len(columns)} of {answers.shape[-1]} columns of the output {name} do not vary on the held-out "
                    f"samples ({some}), so verification shows nothing about them"
                )
        return tuple(warnings)

    def verify(self, answers: dict[str, Tensor], precision: Precision) -> Verification:
        """Return how close an artefact's answers are to the model's, judged as its precision asks for."""
        reference = self.answers if precision.trained_for else self.unrounded_answers
        rounding = self._rounding(answers, reference) if precision.limits.rounding is not None else {}
        return compare(answers, reference, self.decisions, rounding)

    def uncertainty(self, verified: Verification, precision: Precision) -> str:
        """Return in words that rounding hides what could be a fault of a verified float32 file, or an empty text."""
        if not (verified.rounding and verified.relative_error and precision.limits.rounding):
            return ""
        hidden = verified.relative_error / verified.rounding * precision.limits.rounding
        if hidden < _FAULT:
            return ""
        return (
            f"float32 rounding alone changes the answers of this model by {hidden / precision.limits.rounding:.1g} of "
            f"their range, so verification cannot see a fault below {hidden:.1g}: is a large number taken off "
            "another one in it?"
        )

    def _rounding(self, answers: dict[str, Tensor], reference: dict[str, Tensor]) -> dict[str, Rounding]:
        """Return what rounding explains for each output, measured on some of the samples, the worst among them."""
        count = len(next(iter(self.calibration.held_out.values())))
        if any(len(each) != count for each in (*answers.values(), *reference.values())):
            return {}  # the outputs are no answers to one sample each, so none can be taken alone
        places = sampled(self._worst(answers, reference), _ROUNDED)
        held_out = {name: array[list(places)] for name, array in self.calibration.held_out.items()}
        source = self.source.unrounded
        plain, other = answers_of_two_roundings(source, self.calibration.to_real(held_out))
        return {name: measured(places, plain[name], other[name]) for name in answers}

    def _worst(self, answers: dict[str, Tensor], reference: dict[str, Tensor]) -> npt.NDArray[np.float64]:
        """Return for each sample its largest error in any output, as a share of the output's size."""
        errors = []
        for name, expected in reference.items():
            error = np.abs(answers[name].astype(np.float64) - expected).reshape(len(expected), -1).max(axis=1)
            errors.append(np.nan_to_num(error, nan=np.inf) / (float(np.abs(expected).max()) or 1.0))
        worst: npt.NDArray[np.float64] = np.max(errors, axis=0)
        return worst
