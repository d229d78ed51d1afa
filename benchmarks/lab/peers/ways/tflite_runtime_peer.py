"""tflite-runtime without edgeport; for Python 3.11 and numpy 1 at most."""

import tflite_runtime
from tflite_runtime.interpreter import Interpreter

from edgeport.benchmarks.lab.peers.ways.by_hand import ByHand
from edgeport.benchmarks.lab.peers.ways.interpreter_calls import opened_interpreter


def open_tflite(*, path: str, threads: int, activation: str = "none") -> ByHand:
    """Open a TFLite file of one image a call.

    Args:
        path: The file.
        threads: How many threads the engine may use.
        activation: What is left to do after the graph: ``softmax`` or ``none``.
    """
    engine = {"name": "tflite-runtime", "version": tflite_runtime.__version__}
    return opened_interpreter(Interpreter(model_path=path, num_threads=threads), engine, activation=activation)
