"""Ask a server with tritonclient, which is none of ours: run_triton.py HOST:PORT PIXELS.npy ANSWERS.npz

Run by test_serve.py in an environment without edgeport. Each model answers twice, by bytes and by JSON.
"""

import sys

import numpy as np
import tritonclient.http as triton


def main(address: str, pixels: np.ndarray, output: str) -> None:
    client = triton.InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    answers = {}
    for model in client.get_model_repository_index():
        name = model["name"]
        assert client.is_model_ready(name)
        metadata = client.get_model_metadata(name)
        (port,), (result,) = metadata["inputs"], metadata["outputs"]
        for binary in (True, False):
            tensor = triton.InferInput(port["name"], list(pixels.shape), port["datatype"])
            tensor.set_data_from_numpy(pixels, binary_data=binary)
            wanted = triton.InferRequestedOutput(result["name"], binary_data=binary)
            answer = client.infer(name, [tensor], outputs=[wanted], request_id="7", model_version="1")
            assert answer.get_response()["id"] == "7"
            answers[f"{name} {binary}"] = answer.as_numpy(result["name"])
    np.savez(output, **answers)


if __name__ == "__main__":
    main(sys.argv[1], np.load(sys.argv[2]), sys.argv[3])
