"""The same model in floats and in integers: which tensors both graphs have, and what lies between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeport.export.parts.graph import PartedGraph
from edgeport.runtime.tensors.arrays import Tensor

_QUANTIZE = ("QUANTIZE", "QuantizeLinear")
_DEQUANTIZE = ("DEQUANTIZE", "DequantizeLinear")
# What hands values on as they are.
_MOVING = ("RESHAPE", "TRANSPOSE", "SQUEEZE", "Reshape", "Transpose", "Squeeze", "Identity")
_ACTIVATIONS = ("SOFTMAX", "LOGISTIC", "Softmax", "Sigmoid")


@dataclass(frozen=True)
class StepInput:
    """A tensor that a step takes.

    Attributes:
        exact: Its name in the float graph.
        entry: Its name in the integer graph, where its values can be given.
        rounded: The tensor of the integer graph that holds its values after rounding.
    """

    exact: str
    entry: str
    rounded: str


@dataclass(frozen=True)
class QuantizedStep:
    """What the integer graph does between tensors that both graphs have.

    Attributes:
        exact: The tensor that it writes, in the float graph.
        rounded: The tensor of the integer graph that holds its values after rounding.
        sources: The tensors that it takes.
        operators: Its operators in the integer graph.
        float_operators: Its operators in the float graph; empty if these take other tensors.
        main: The operator in the integer graph that does most of it; None where it only rounds an input of the model.
        computing: Those that do more than round or move.
    """

    exact: str
    rounded: str
    sources: tuple["StepInput", ...]
    operators: tuple[int, ...]
    float_operators: tuple[int, ...]
    main: int | None
    computing: tuple[int, ...] = ()

    @property
    def entered(self) -> str:
        """The input of the model that is rounded, where it does nothing else."""
        return self.sources[0].exact if self.sources else self.exact


def find_steps(
    floats: PartedGraph, integers: PartedGraph, exact: Mapping[str, Tensor], rounded: Mapping[str, Tensor]
) -> tuple[QuantizedStep, ...]:
    """Return the steps of an integer graph in the order in which they run.

    Args:
        floats: The float graph.
        integers: The same model with integers.
        exact: Every tensor of the float graph for one sample.
        rounded: The same of the integer graph.
    """
    pairs = _pairs(floats, integers, exact, rounded)
    entries = {name: own for own, name in pairs.items()}
    carriers = {own: _carrier(integers, name) for own, name in pairs.items()}
    steps = []
    for own, carrier in carriers.items():
        if exact[own].dtype.kind != "f":
            continue
        if own in floats.inputs:
            if integers.quantization(carrier) is not None:
                steps.append(QuantizedStep(own, carrier, (), (), (), main=None))
            continue
        operators, sources = _between(integers, carrier, entries, written=pairs[own])
        if not operators or pairs[own] in integers.inputs:
            continue
        taken = [entries[name] for name in sources]
        inputs = zip(taken, sources, strict=True)
        computing = tuple(each for each in operators if _computes(integers, each))
        float_operators, needed = _between(floats, own, {name: name for name in taken}, written=own)
        if not set(needed) <= set(taken):
            float_operators = ()
        steps.append(
            QuantizedStep(
                exact=own,
                rounded=carrier,
                sources=tuple(StepInput(name, entry, carriers.get(name, entry)) for name, entry in inputs),
                operators=operators,
                float_operators=float_operators,
                main=_main(integers, operators) if computing or not set(taken) <= set(floats.inputs) else None,
                computing=computing,
            )
        )
    return tuple(sorted(steps, key=lambda step: step.operators[-1:]))


def _pairs(
    floats: PartedGraph, integers: PartedGraph, exact: Mapping[str, Tensor], rounded: Mapping[str, Tensor]
) -> dict[str, str]:
    """Return for each tensor of the float graph that the integer graph has too the name that it has there."""
    own_names = {name: name for name in exact}
    alike = floats.outputs if set(floats.outputs) == set(integers.outputs) else integers.outputs
    for output, theirs in zip(floats.outputs, alike, strict=False):
        own_names[output] = theirs
        logits = logits_of(floats, output)
        if logits != output and logits_of(integers, theirs) == theirs:
            # The integer graph ends at the logits, and they have the name of the output there.
            del own_names[output]
            if output in floats.operators[_reading(floats, logits)].outputs:
                own_names[logits] = theirs
    return {
        own: name
        for own, name in own_names.items()
        if own not in floats.constants
        and name in rounded
        and name not in integers.constants
        and exact[own].shape == rounded[name].shape
    }


def logits_of(graph: PartedGraph, output: str) -> str:
    """Return the logits of an output, whose softmax or sigmoid would hide what happens to them; else the output."""
    name: str = output
    while (number := _writer(graph, name)) is not None:
        operator = graph.operators[number]
        if operator.type in _ACTIVATIONS:
            return operator.inputs[0]
        if operator.type not in _QUANTIZE + _DEQUANTIZE + _MOVING:
            break
        name = operator.inputs[0]
    return output


def _writer(graph: PartedGraph, name: str) -> int | None:
    return next((number for number, each in enumerate(graph.operators) if name in each.outputs), None)


def _reading(graph: PartedGraph, name: str) -> int:
    return next(number for number, each in enumerate(graph.operators) if name in each.inputs)


def _carrier(graph: PartedGraph, name: str) -> str:
    """Return the tensor that holds the rounded values: the tensor itself, or what it is after Q and DQ."""
    for kinds in (_QUANTIZE, _DEQUANTIZE):
        following = [each for each in graph.operators if name in each.inputs[:1] and each.type in kinds]
        if not following:
            return name
        name = following[0].outputs[0]
    return name


def _between(
    graph: PartedGraph, end: str, entries: Mapping[str, str], *, written: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the operators that lead to a tensor from those where one can enter, and which of these they take."""
    writer = {name: number for number, each in enumerate(graph.operators) for name in each.outputs}
    found: set[int] = set()
    sources: dict[str, None] = {}
    waiting, seen = [end], {end}
    while waiting:
        name = waiting.pop()
        if (name in entries and name != written) or name in graph.inputs:
            sources[name] = None
        elif name in writer:
            found.add(writer[name])
            fresh = [each for each in graph.operators[writer[name]].inputs if each and each not in graph.constants]
            waiting += [each for each in fresh if each not in seen]
            seen.update(fresh)
    return tuple(sorted(found)), tuple(sources)


def _main(graph: PartedGraph, operators: Sequence[int]) -> int:
    """Return the operator that computes: the last with weights, else the last that does more than round or move."""

    def preference(number: int) -> tuple[bool, bool, bool, int]:
        operator = graph.operators[number]
        computes = _computes(graph, number)
        weighted = computes and any(name in graph.constants for name in operator.inputs[1:2])
        return weighted, computes, operator.type not in _QUANTIZE + _DEQUANTIZE, number

    return max(operators, key=preference)


def _computes(graph: PartedGraph, number: int) -> bool:
    return graph.operators[number].type not in _QUANTIZE + _DEQUANTIZE + _MOVING


def dependents(graph: PartedGraph, name: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the operators that a tensor decides about, and the other tensors that they need."""
    reached, found = {name}, []
    others: dict[str, None] = {}
    for number, each in enumerate(graph.operators):
        if reached.intersection(each.inputs):
            found.append(number)
            reached.update(each.outputs)
    for number in found:
        for taken in graph.operators[number].inputs:
            if taken and taken not in reached and taken not in graph.constants:
                others[taken] = None
    return tuple(found), tuple(others)
