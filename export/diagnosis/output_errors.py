"""What becomes of the outputs of a model if one of its tensors alone is rounded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgeport.export.diagnosis.pairing import QuantizedStep, dependents, logits_of
from edgeport.export.parts.graph import Disturbed, PartedGraph
from edgeport.runtime.tensors.arrays import FloatArray, Tensor

# Exact equality has no finite ratio; 300 dB is beyond what float64 can resolve.
EXACT_DB = 300.0


@dataclass(frozen=True)
class Error:
    """How far rounded values are from exact ones.

    Attributes:
        sqnr_db: ``10 log10(sum(exact^2) / sum((exact - rounded)^2))``.
        largest: The largest difference, in the tensor's own units.
        bias: The mean difference, rounded less exact.
    """

    sqnr_db: float
    largest: float
    bias: float


@dataclass(eq=False)
class Sums:
    """Sums over samples."""

    signal: float = 0.0
    noise: float = 0.0
    difference: float = 0.0
    largest: float = 0.0
    count: int = 0

    def add(self, exact: FloatArray, rounded: FloatArray) -> None:
        """Add one sample's values: exact, and as they came."""
        wide = exact.astype(np.float64)
        error = rounded.astype(np.float64) - wide
        self.signal += float(np.square(wide).sum())
        self.noise += float(np.square(error).sum())
        self.difference += float(error.sum())
        self.largest = max(self.largest, float(np.abs(error).max(initial=0.0)))
        self.count += error.size

    @property
    def sqnr_db(self) -> float:
        """See Error; NaN where the values are no finite numbers."""
        if not np.isfinite(self.noise):
            return float("nan")
        if self.noise <= self.signal * 1e-30:
            return EXACT_DB
        return 10 * float(np.log10(max(self.signal, 1e-30) / self.noise))

    @property
    def error(self) -> Error:
        """All of it."""
        return Error(self.sqnr_db, self.largest, self.difference / max(self.count, 1))


@dataclass(eq=False)
class Outputs:
    """The whole float graph, in which the error of one step at a time is added: what becomes of its outputs."""

    floats: PartedGraph
    steps: Sequence[QuantizedStep]
    kept: Sequence[Mapping[str, Tensor]]

    @cached_property
    def ends(self) -> list[str]:
        """The outputs, or the logits of those whose softmax would hide what happens to them."""
        return list(dict.fromkeys(logits_of(self.floats, name) for name in self.floats.outputs))

    def error(self, step: QuantizedStep, errors: Sequence[FloatArray]) -> Sums:
        """Return what the outputs lose.

        Args:
            step: A step.
            errors: What is added to what it writes, for each of the samples.
        """
        later, _ = dependents(self.floats, step.exact)
        changing = {name for number in later for name in self.floats.operators[number].outputs}
        ends, found = [end for end in self.ends if end in changing], Sums()
        for sample, exact, error in zip(self.kept, self._exact, errors, strict=True):
            if not ends:
                found.add(sample[step.exact], sample[step.exact] + error)
                continue
            answers = self._run(self._inputs(sample), {step.exact: error.astype(sample[step.exact].dtype)})
            for name in ends:
                found.add(exact[name].astype(np.float32), answers[name].astype(np.float32))
        return found

    @cached_property
    def _run(self) -> Disturbed:
        names = [step.exact for step in self.steps if step.exact not in self.ends]
        return self.floats.disturbed(names, self.kept[0], self.ends)

    @cached_property
    def _exact(self) -> list[dict[str, Tensor]]:
        return [self._run(self._inputs(sample), {}) for sample in self.kept]

    def _inputs(self, sample: Mapping[str, Tensor]) -> list[Tensor]:
        return [sample[name] for name in self.floats.inputs]
