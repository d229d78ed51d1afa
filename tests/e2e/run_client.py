"""Label inputs with an engine that is none of edgeport's: run_client.py ENGINE MODEL INPUTS.npy

Run by test_independent_clients.py in an environment without edgeport. The inputs are in the model's own type and
shape, and the labels are printed as a JSON list, on the last line.
"""

import json
import sys
from collections.abc import Callable

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]

# For activations; weights stay in the file. `classic` in float32 takes most, 111,232 bytes, and `edge` in int8 10,304.
ARENA_BYTES = 200_000


def openvino(path: str) -> Run:
    import openvino

    # On a CPU with bfloat16 instructions OpenVINO would use these for a float32 model.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda batch: compiled(batch)[0]


def tflite_micro(path: str) -> Run:
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(path, arena_size=ARENA_BYTES)

    def run(batch: np.ndarray) -> np.ndarray:
        interpreter.set_input(batch, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    return run


def main(engine: str, path: str, inputs: str) -> None:
    run = {"openvino": openvino, "tflite_micro": tflite_micro}[engine](path)
    batch = 100 if path.endswith(".onnx") else 1
    arrays = np.load(inputs, allow_pickle=False)
    labels = [run(arrays[start : start + batch]).argmax(axis=1) for start in range(0, len(arrays), batch)]
    print(json.dumps(np.concatenate(labels).tolist()))


if __name__ == "__main__":
    main(*sys.argv[1:])
