"""What an exporter makes mixed files with."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

# What can stay in floats beside layers: the inputs and outputs of a file that would have them in integers.
PORTS = "inputs and outputs"


@dataclass(frozen=True, eq=False)
class Mixing:
    """Makes models in integers but for some layers, calibrated once for all of them.

    Attributes:
        layers: The layers that can stay in floats, what goes by its own name as it is in no layer, and ``PORTS``.
        mixed: From the layers in floats to the bytes of a model.
    """

    layers: frozenset[str]
    mixed: Callable[[Collection[str]], bytes]
