"""ai-edge-litert without edgeport."""

import ai_edge_litert
from ai_edge_litert.interpreter import Interpreter

from edgeport.benchmarks.lab.peers.ways.by_hand import ByHand
from edgeport.benchmarks.lab.peers.ways.interpreter_calls import opened_interpreter


def open_tflite(*, path: str, threads: int, activation: str = "none") -> ByHand:
    """Open a TFLite file of one image a call.

    Args:
        path: The file.
        threads: How many threads the engine may use.
        activation: What is left to do after the graph: ``softmax`` or ``none``.
    """
    engine = {"name": "ai-edge-litert", "version": ai_edge_litert.__version__}
    return opened_interpreter(Interpreter(model_path=path, num_threads=threads), engine, activation=activation)
