"""Which operator a constant belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeport.export.inspection.facts import Constant


@dataclass(frozen=True)
class Node:
    """One operator as its file has it.

    Attributes:
        type: What it does, in the format's own words.
        name: Its own name, or that of its first output.
        inputs: The keys of the tensors that it reads; empty for an optional one that is left out.
        outputs: The keys of the tensors that it writes.
        runs: Whether it runs other graphs, so that its inputs do not show all that it reads.
    """

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    runs: bool = False

    @property
    def kind(self) -> str:
        """The type without onnxruntime's own domain, where some standard operators live again for more dtypes."""
        return self.type.removeprefix("com.microsoft.")


@dataclass(frozen=True)
class Ownership:
    """Who reads the constants.

    Attributes:
        owned: For each operator, the constants that it is the first to read.
        folded: For each operator, whether it works on constants alone, so that its outputs are constants too.
        constant: The keys of all constant tensors, the outputs of folded operators among them.
        unread: The constants that no operator reads.
    """

    owned: tuple[tuple[Constant, ...], ...]
    folded: tuple[bool, ...]
    constant: frozenset[str]
    unread: tuple[Constant, ...]


def find_owners(nodes: Sequence[Node], constants: Mapping[str, Constant]) -> Ownership:
    """Give each constant to the first operator that computes with it.

    Weights often pass a DequantizeLinear or a Transpose on the way to their convolution. Such an operator, which
    works on constants alone, hands what it reads to the one that reads it.

    Args:
        nodes: The operators, in an order in which they can run; what one runs stands before it.
        constants: The constants by the keys of their tensors.
    """
    behind: dict[str, tuple[str, ...]] = {key: (key,) for key in constants}
    folded = []
    for node in nodes:
        read = [key for key in node.inputs if key]
        folded.append(bool(read) and not node.runs and all(key in behind for key in read))
        if folded[-1]:
            passed = tuple(dict.fromkeys(source for key in read for source in behind[key]))
            for key in node.outputs:
                behind.setdefault(key, passed)
    left = dict(constants)
    owned = []
    for node, is_folded in zip(nodes, folded, strict=True):
        sources = () if is_folded else [source for key in node.inputs for source in behind.get(key, ())]
        owned.append(tuple(left.pop(source) for source in dict.fromkeys(sources) if source in left))
    return Ownership(tuple(owned), tuple(folded), frozenset(behind), tuple(left.values()))
