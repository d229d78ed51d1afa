"""What each step of an integer graph loses: what has built up, what is its own, and what that costs at the outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeport.export.diagnosis.output_errors import EXACT_DB, Error, Outputs, Sums
from edgeport.export.diagnosis.pairing import QuantizedStep, dependents, find_steps
from edgeport.export.parts.graph import Part, PartedGraph, Quantization
from edgeport.runtime.tensors.arrays import FloatArray, Tensor

# What stands for the operator where an input of the model is rounded.
INPUT = "INPUT"
# How much of the activations is kept for the parts, in bytes: those of a few samples.
_KEPT_BYTES = 512 * 2**20
# So many samples show what is the same in all of them.
_FEWEST = 8


@dataclass(frozen=True)
class Channels:
    """How unlike the channels of a tensor are.

    Attributes:
        ratio: The largest absolute value of the widest channel as a multiple of the median channel's.
        widest: Which channel that is.
        spread: How much the values of that channel vary, as a share of its largest absolute value.
        count: How many channels there are.
        narrowest: Which of those that vary takes the least room.
        room: Its least and its largest value.
    """

    ratio: float
    widest: int
    spread: float
    count: int
    narrowest: int = 0
    room: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class StepError:
    """What one step loses.

    Attributes:
        step: The step.
        type: What its main operator does, in the format's own words; ``INPUT`` where an input of the model is rounded.
        name: The main operator's name, or the input's.
        built_up: The error of its output in the whole integer graph.
        own: The error that it adds itself: it and the float operators, both on the same rounded inputs; None if it
            cannot run alone.
        at_outputs_db: The SQNR of the outputs if this step alone is rounded; None likewise.
        limits: What the integers of its output can stand for; None if its output is not rounded.
        seen: The least and the largest exact value of its output on these samples.
        clipped: The share of exact values beyond the limits, 0 to 1.
        channels: How unlike the channels of its output are; None for a single one.
        weights_killed: The largest share, over channels, of weights that are not zero and become zero, 0 to 1.
        input_ranges: How wide the values of each tensor that it takes are: largest absolute value.
        readers: The types of the float graph's operators that take its output.
        biased: The share of its own error, 0 to 1, that is the same in all samples: the mean of each channel; None
            without weights, or if too few samples show it.
    """

    step: QuantizedStep
    type: str
    name: str
    built_up: Error
    own: Error | None
    at_outputs_db: float | None
    limits: tuple[float, float] | None
    seen: tuple[float, float]
    clipped: float
    channels: Channels | None
    weights_killed: float
    input_ranges: tuple[float, ...]
    readers: tuple[str, ...]
    biased: float | None = None


@dataclass(eq=False)
class _Seen:
    """What is seen of one step over all samples."""

    built_up: Sums = field(default_factory=Sums)
    low: float = np.inf
    high: float = -np.inf
    clipped: int = 0
    lows: FloatArray | None = None
    highs: FloatArray | None = None

    def add(self, exact: FloatArray, rounded: FloatArray, limits: tuple[float, float] | None, axis: int) -> None:
        self.built_up.add(exact, rounded)
        self.low, self.high = min(self.low, float(exact.min())), max(self.high, float(exact.max()))
        if limits is not None:
            # Half a step beyond the last integer still rounds to it.
            margin = (limits[1] - limits[0]) / 510
            self.clipped += int(((exact < limits[0] - margin) | (exact > limits[1] + margin)).sum())
        if exact.ndim > 1:
            others = tuple(each for each in range(exact.ndim) if each != axis % exact.ndim)
            lows, highs = exact.min(axis=others), exact.max(axis=others)
            self.lows = lows if self.lows is None else np.minimum(self.lows, lows)
            self.highs = highs if self.highs is None else np.maximum(self.highs, highs)

    @property
    def channels(self) -> Channels | None:
        if self.lows is None or self.highs is None or self.lows.size < 2:
            return None
        sizes = np.maximum(np.abs(self.lows), np.abs(self.highs))
        # Channels that are always 0, as behind a ReLU, need no steps.
        alive = sizes[sizes > 0]
        if alive.size < 2:
            return None
        widest = int(sizes.argmax())
        largest = float(sizes[widest])
        spread = float(self.highs[widest] - self.lows[widest]) / largest
        rooms = self.highs - self.lows
        narrowest = int(np.where(rooms > 0, rooms, np.inf).argmin())
        room = float(self.lows[narrowest]), float(self.highs[narrowest])
        return Channels(largest / float(np.median(alive)), widest, spread, sizes.size, narrowest, room)


def measure_steps(
    floats: PartedGraph,
    integers: PartedGraph,
    samples: Sequence[Sequence[Tensor]],
    *,
    channels_first: bool,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[StepError, ...]:
    """Return what each step of an integer graph loses on some samples.

    Args:
        floats: The float graph.
        integers: The same model with integers.
        samples: For each sample the real values of each input, with the axis of the batch.
        channels_first: Whether the channels of pictures are the second axis (NCHW), rather than the last.
        on_progress: Called with how many parts of the work are done, and how many there are.
    """
    steps: tuple[QuantizedStep, ...] = ()
    seen: dict[str, _Seen] = {}
    kept: list[dict[str, Tensor]] = []
    room = _KEPT_BYTES
    for number, sample in enumerate(samples):
        exact = floats.values(sample)
        rounded = integers.values(entered(integers, sample))
        if not number:
            steps = find_steps(floats, integers, exact, rounded)
            seen = {step.exact: _Seen() for step in steps}
        for step in steps:
            scale = integers.quantization(step.rounded)
            array = exact[step.exact]
            axis = _channels_of(step, array, channels_first=channels_first)
            values = _real(rounded[step.rounded], scale)
            seen[step.exact].add(array.astype(np.float32), values, scale.limits if scale else None, axis)
        room -= sum(array.nbytes for array in exact.values())
        if not kept or room > 0:
            kept.append({name: exact[name] for name in exact if name not in floats.constants})
        on_progress(number + 1, len(samples) + len(steps))
    results, outputs = [], Outputs(floats, steps, kept)
    for number, step in enumerate(steps):
        error = _step_error(floats, integers, step, seen, outputs, channels_first=channels_first)
        if step.main is not None or error.built_up.sqnr_db < EXACT_DB:
            results.append(error)
        on_progress(len(samples) + number + 1, len(samples) + len(steps))
    return tuple(results)


def _channels_of(step: QuantizedStep, array: Tensor, *, channels_first: bool) -> int:
    """Return the axis of the channels of what a step writes."""
    if not channels_first or array.ndim != 4:
        return -1
    # What goes in is as the user has it, in either order.
    return 1 if step.main is not None or array.shape[1] < array.shape[-1] else -1


def entered(graph: PartedGraph, sample: Sequence[Tensor]) -> list[Tensor]:
    """Return real values as the inputs of a graph take them."""
    scales = [graph.quantization(name) for name in graph.inputs]
    return [array if scale is None else scale.integers(array) for array, scale in zip(sample, scales, strict=True)]


def _real(values: Tensor, scale: Quantization | None) -> FloatArray:
    if scale is None or values.dtype.kind == "f":
        return values.astype(np.float32)
    return scale.real(values)


def _step_error(
    floats: PartedGraph,
    integers: PartedGraph,
    step: QuantizedStep,
    seen: Mapping[str, _Seen],
    outputs: Outputs,
    *,
    channels_first: bool,
) -> StepError:
    found, scale = seen[step.exact], integers.quantization(step.rounded)
    main = None if step.main is None else integers.operators[step.main]
    kept = outputs.kept
    axis = _channels_of(step, kept[0][step.exact], channels_first=channels_first)
    own, at_outputs, means = _own_errors(floats, integers, step, outputs, axis)
    weighted = main is not None and any(name in integers.constants for name in main.inputs[1:2])
    return StepError(
        step=step,
        type=main.type if main else INPUT,
        name=main.name if main else step.entered,
        built_up=found.built_up.error,
        own=own.error if own else None,
        at_outputs_db=at_outputs.sqnr_db if at_outputs else None,
        limits=scale.limits if scale else None,
        seen=(found.low, found.high),
        clipped=found.clipped / max(found.built_up.count, 1),
        channels=found.channels,
        weights_killed=_killed(integers, main.inputs) if main else 0.0,
        input_ranges=tuple(
            max(float(np.abs(sample[each.exact]).max(initial=0)) for sample in kept) for each in step.sources
        ),
        readers=tuple(each.type for each in floats.operators if step.exact in each.inputs),
        biased=_biased(own, means) if own and weighted else None,
    )


def _own_errors(
    floats: PartedGraph, integers: PartedGraph, step: QuantizedStep, outputs: Outputs, axis: int
) -> tuple[Sums | None, Sums | None, list[FloatArray]]:
    """Return the error that a step adds, what it makes of the outputs, and its mean in each channel of each sample."""
    later, _ = dependents(floats, step.exact)
    needed = [(integers, step.operators), (floats, step.float_operators), (floats, later)]
    if not all(graph.operators[number].stands_alone for graph, numbers in needed for number in numbers):
        return None, None, []
    if step.main is not None and not step.float_operators:
        return None, None, []
    both, own, errors = _both_ways(floats, integers, step, outputs.kept[0]), Sums(), []
    for sample in outputs.kept:
        there, here = both(sample)
        own.add(there, here)
        errors.append(here - there)
    others = tuple(each for each in range(errors[0].ndim) if each != axis % errors[0].ndim)
    return own, outputs.error(step, errors), [each.mean(axis=others, dtype=np.float64) for each in errors]


def _biased(own: Sums, means: Sequence[FloatArray]) -> float | None:
    """Return the share of an error that is the same in all samples; None if there are too few."""
    if len(means) < _FEWEST or not own.noise:
        return None
    return float(np.square(np.mean(means, axis=0)).mean() / (own.noise / own.count))


def _both_ways(
    floats: PartedGraph, integers: PartedGraph, step: QuantizedStep, first: Mapping[str, Tensor]
) -> Callable[[Mapping[str, Tensor]], tuple[FloatArray, FloatArray]]:
    """Return what computes a step in floats and in integers, both on the same rounded values."""
    if step.main is None:
        return lambda sample: (sample[step.exact], _rounded(integers, step.rounded, sample[step.exact]))
    taken_first = {each.exact: first[each.exact] for each in step.sources}
    in_integers = _integer_part(integers, step, taken_first)
    in_floats = floats.part(step.float_operators, taken_first, [step.exact])

    def both(sample: Mapping[str, Tensor]) -> tuple[FloatArray, FloatArray]:
        taken = {each.exact: _rounded(integers, each.rounded, sample[each.exact]) for each in step.sources}
        return in_floats(taken)[step.exact], in_integers(taken)

    return both


def _rounded(graph: PartedGraph, name: str, exact: Tensor) -> Tensor:
    """Return exact values as an integer graph would take them, as real values."""
    scale = graph.quantization(name)
    return exact if scale is None or exact.dtype.kind != "f" else scale.real(scale.integers(exact))


def _integer_part(
    graph: PartedGraph, step: QuantizedStep, first: Mapping[str, Tensor]
) -> Callable[[Mapping[str, Tensor]], FloatArray]:
    """Return what computes a step in integers, from real values to real values."""
    scales = {each.entry: graph.quantization(each.entry) for each in step.sources}
    end = graph.quantization(step.rounded)

    def given(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {each.entry: values[each.exact] for each in step.sources}
        return {name: scale.integers(found[name]) if scale else found[name] for name, scale in scales.items()}

    part: Part = graph.part(step.operators, given(first), [step.rounded])
    return lambda values: _real(part(given(values))[step.rounded], end)


def _killed(graph: PartedGraph, inputs: Sequence[str]) -> float:
    """Return the largest share of a channel's weights that rounding makes zero.

    The weights before rounding are not in the file, so this is the share of integers that are zero.
    """
    for name in inputs[1:2]:
        scale, weights = graph.quantization(name) if name else None, graph.constant(name) if name else None
        if scale is not None and weights is not None and scale.axis is not None and weights.ndim > 1:
            zero = weights == scale.zero_point.reshape([-1 if a == scale.axis else 1 for a in range(weights.ndim)])
            return float(zero.mean(axis=tuple(a for a in range(weights.ndim) if a != scale.axis)).max())
    return 0.0
