"""What is done to a graph so that integers lose less, as far as it is asked for, and said."""

from collections.abc import Callable

from edgeport.export.graphs.graph import Graph
from edgeport.export.graphs.integers.bias_correction import with_corrected_biases
from edgeport.export.graphs.integers.equalization import with_equal_channels
from edgeport.export.graphs.integers.weighted_ways import Batches

# A note names so many layers.
_NAMED = 6


def cured(
    graph: Graph,
    batches: Batches,
    *,
    equalize: bool,
    correct_biases: bool,
    steps: int,
    on_note: Callable[[str], None],
) -> Graph:
    """Return the graph with equalized channels, then with corrected biases.

    Args:
        graph: A frozen graph.
        batches: Returns the calibration samples anew: for each batch an array an input, in order.
        equalize: Whether channels are made alike.
        correct_biases: Whether constants take off what rounding weights adds to the mean.
        steps: How many steps the integers of weights have on each side of 0.
        on_note: Called with what was changed.
    """
    if equalize:
        graph, layers = with_equal_channels(graph, batches)
        on_note(f"channels equalized behind {_named(layers)}")
    if correct_biases:
        graph, layers = with_corrected_biases(graph, batches, steps=steps)
        on_note(f"biases corrected of {_named(layers)}")
    return graph


def _named(layers: tuple[str, ...]) -> str:
    more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
    return f"{', '.join(layers[:_NAMED]) or 'no layer'}{more}"
