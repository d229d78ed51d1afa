"""Predictors in threads, in forked children and in other processes, on the real engines."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeport.runtime import InputError, load

# Under each engine; None is the default one.
RUNS = (
    ("tiny.int8.tflite", None),
    ("tiny.int8.onnx", None),
    ("tiny.int8.onnx", "openvino"),
    ("tiny.float32.tflite", "openvino"),
)
THREADS, CALLS = 8, 4000


@pytest.mark.parametrize(("name", "engine"), RUNS)
def test_threads_get_their_own_answers(
    name: str, engine: str | None, data: Path, golden: dict[str, np.ndarray]
) -> None:
    predictor = load(data / name, engine=engine)
    tensors = [predictor.encode(golden["images"][index : index + 1]) for index in range(20)]
    expected = [predictor.run(tensor) for tensor in tensors]
    wrong: list[int] = []
    errors: list[Exception] = []

    def work(start: int) -> None:
        for turn in range(start, start + CALLS):
            index = turn % len(tensors)
            try:
                if not np.array_equal(predictor.run(tensors[index]), expected[index]):
                    wrong.append(turn)
            except Exception as error:
                errors.append(error)

    in_threads(work)
    assert (len(wrong), errors) == (0, [])


def in_threads(work: Callable[[int], None]) -> None:
    workers = [threading.Thread(target=work, args=(start,)) for start in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_an_interpreter_that_failed_is_replaced_and_blocks_nobody(data: Path, golden: dict[str, np.ndarray]) -> None:
    predictor = load(data / "tiny.int8.tflite")
    tensor = predictor.encode(golden["images"][:1])
    expected = predictor.run(tensor)
    engine = predictor._engine
    for _ in range(50):
        with pytest.raises(InputError, match="ai_edge_litert cannot compute this input"):
            # Past the predictor's checks, as an engine's own failure would come.
            engine.call_one(np.zeros((1, 3), np.int8))
        np.testing.assert_array_equal(predictor.run(tensor), expected)


def test_an_interpreter_that_got_lost_in_an_exception_is_replaced(data: Path, golden: dict[str, np.ndarray]) -> None:
    predictor = load(data / "tiny.int8.tflite")
    tensor = predictor.encode(golden["images"][:1])
    expected = predictor.run(tensor)
    for _ in range(20):
        # As when Ctrl-C or a timeout by signal comes right after an interpreter was taken.
        predictor._engine.take()
    answers: list[np.ndarray] = []
    worker = threading.Thread(target=lambda: answers.append(predictor.run(tensor)), daemon=True)
    worker.start()
    worker.join(timeout=30)
    assert [np.array_equal(answer, expected) for answer in answers] == [True]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize(("name", "engine"), RUNS)
def test_a_forked_child_answers_and_ends(name: str, engine: str | None, threads: int, data: Path) -> None:
    code = f"""
import os, sys
import numpy as np
from edgeport.runtime import load
images = np.load({str(data / "golden.npz")!r})["images"]
predictor = load({str(data / name)!r}, engine={engine!r}, threads={threads})
expected = predictor.predict(images)
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
sys.exit(0 if np.array_equal(predictor.predict(images), expected) else 5)
"""
    ends_well([sys.executable, "-c", code])


@pytest.mark.parametrize(("name", "engine"), RUNS)
def test_a_predictor_is_pickled_with_its_bytes(
    name: str, engine: str | None, data: Path, golden: dict, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes((data / name).read_bytes())
    predictor = load(tmp_path / name, engine=engine, threads=2)
    (tmp_path / name).unlink()
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.spec == predictor.spec
    np.testing.assert_array_equal(copy.predict(golden["images"]), predictor.predict(golden["images"]))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_predictor_goes_to_a_pool_of_processes(start_method: str, engine: str, data: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"""
import numpy as np
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from edgeport.runtime import load
if __name__ == "__main__":
    images = np.load({str(data / "golden.npz")!r})["images"]
    predictor = load({str(data / "tiny.int8.onnx")!r}, engine={engine!r})
    with ProcessPoolExecutor(2, mp_context=get_context({start_method!r})) as pool:
        answers = list(pool.map(predictor.predict, np.split(images, 4)))
    np.testing.assert_array_equal(np.concatenate(answers), predictor.predict(images))
""")
    ends_well([sys.executable, str(program)])


def ends_well(command: list[str]) -> None:
    """Run a program that forks, in a process of its own: the tests' process has threads of other libraries."""
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        complaint = child.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        pytest.fail("the program or its child hangs")
    assert child.returncode == 0, complaint


def test_a_closed_predictor_says_so(data: Path, golden: dict) -> None:
    with load(data / "tiny.int8.tflite") as predictor:
        predictor.predict(golden["images"])
    for call in (
        lambda: predictor.predict(golden["images"]),
        lambda: predictor.run(predictor.encode(golden["images"][:1])),
    ):
        with pytest.raises(InputError, match="closed"):
            call()


def test_telemetry_of_onnxruntime_is_off() -> None:
    clean = {key: value for key, value in os.environ.items() if key not in ("ORT_DISABLE_TELEMETRY", "CI")}
    code = "import os, edgeport.runtime, onnxruntime, time; time.sleep(0.2); print(len(os.listdir('/proc/self/task')))"
    printed = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True).stdout
    with_numpy = "import os, numpy; print(len(os.listdir('/proc/self/task')))"
    alone = subprocess.run([sys.executable, "-c", with_numpy], env=clean, capture_output=True, text=True, check=True)
    assert printed == alone.stdout, "onnxruntime has started threads of its own on import"
