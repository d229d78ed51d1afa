"""Both predictors on real artefacts: the recorded answers, and every wrong way to call them."""

import threading
from pathlib import Path

import numpy as np
import pytest

from edgeport.runtime import ArtefactError, InputError, load

NAMES = ("tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx")


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_the_recorded_ones(name: str, data: Path, golden: dict[str, np.ndarray]) -> None:
    probabilities = load(data / name).predict(golden["images"])
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (20, 10)
    np.testing.assert_allclose(probabilities, golden[name], atol=2e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_keras(name: str, data: Path, golden: dict[str, np.ndarray]) -> None:
    probabilities = load(data / name).predict(golden["images"])
    tolerance = 1e-5 if "float32" in name else 0.06
    np.testing.assert_allclose(probabilities, golden["keras"], atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_axis_is_optional_and_a_batch_is_a_row_of_images(name: str, data: Path, golden: dict) -> None:
    predictor, images = load(data / name), golden["images"]
    expected = predictor.predict(images)
    np.testing.assert_array_equal(predictor.predict(images[..., np.newaxis]), expected)
    np.testing.assert_array_equal(predictor.predict(images[3:4]), expected[3:4])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((2, 28, 28), np.float32), "got float32"),
        (np.zeros((2, 28, 28), np.int8), "got int8"),
        (np.zeros((28, 28), np.uint8), r"got images of shape \(28, 28\)"),
        (np.zeros((2, 27, 28), np.uint8), r"expected \(n, 28, 28, 1\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), "got images of shape"),
        ([[0]], "got list"),
    ],
)
def test_wrong_images_are_told(name: str, images: object, told: str, data: Path) -> None:
    with pytest.raises(InputError, match=told):
        load(data / name).predict(images)


@pytest.mark.parametrize("name", NAMES)
def test_no_images_give_no_answers_or_a_clear_error(name: str, data: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        load(data / name).predict(np.zeros((0, 28, 28), np.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_run_takes_and_gives_the_engines_own_types(name: str, data: Path, golden: dict) -> None:
    predictor = load(data / name)
    raw = predictor.run(predictor.encode(golden["images"][:1]))
    assert raw.dtype == predictor.spec.output.dtype
    with pytest.raises(InputError, match="expected"):
        predictor.run(np.zeros((1, 28, 28, 1), np.float64))
    with pytest.raises(InputError, match="expected"):
        predictor.run(np.zeros((1, 28, 28), predictor.spec.input.dtype))


def test_int8_tflite_takes_int8_and_ends_at_the_logits(data: Path) -> None:
    spec = load(data / "tiny.int8.tflite").spec
    assert (spec.input.dtype, spec.output.dtype, spec.card.outputs[0].activation) == ("int8", "int8", "softmax")
    assert (spec.input.scale, spec.input.zero_point) == (1.0, -128)


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.int8.onnx"])
def test_threads_share_a_predictor(name: str, data: Path, golden: dict[str, np.ndarray]) -> None:
    predictor, images = load(data / name), golden["images"]
    expected = predictor.predict(images)
    wrong: list[int] = []

    def work(start: int) -> None:
        for turn in range(start, start + 200):
            index = turn % len(images)
            answer = predictor.predict(images[index : index + 1])
            if not np.array_equal(answer[0], expected[index]):
                wrong.append(turn)

    workers = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.tflite", None, "No such file"),
        ("text.tflite", b"hello", "is no tflite file"),
        ("text.onnx", b"hello", "no edgeport card"),
        ("model.pt", b"hello", "ends with .tflite or .onnx"),
        ("empty.onnx", b"", "no edgeport card"),
    ],
)
def test_what_is_no_artefact_is_told(name: str, content: bytes | None, told: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=told):
        load(tmp_path / name)


@pytest.mark.parametrize("name", ["tiny.int8.onnx", "tiny.int8.tflite"])
def test_an_artefact_under_another_formats_name_is_refused(name: str, data: Path, tmp_path: Path) -> None:
    other = tmp_path / ("x.tflite" if name.endswith("onnx") else "x.onnx")
    other.write_bytes((data / name).read_bytes())
    with pytest.raises(ArtefactError, match=r"x\.(tflite|onnx)"):
        load(other)


def test_garbage_that_is_trusted_is_still_an_artefact_error(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"garbage" * 100)
    with pytest.raises(ArtefactError, match="onnxruntime cannot open it"):
        load(tmp_path / "x.onnx", verify=False)


@pytest.mark.parametrize("threads", [0, -5, 100_000])
def test_threads_are_bounded(threads: int, data: Path) -> None:
    with pytest.raises(InputError, match="from 1 to 64"):
        load(data / "tiny.int8.onnx", threads=threads)


def test_an_engine_can_be_chosen_and_a_wrong_one_is_told(data: Path) -> None:
    assert load(data / "tiny.int8.onnx", engine="onnxruntime").spec.engine == "onnxruntime"
    with pytest.raises(InputError, match="did you mean onnxruntime"):
        load(data / "tiny.int8.onnx", engine="onnx-runtime")


def test_repr_tells(data: Path) -> None:
    told = repr(load(data / "tiny.int8.tflite"))
    assert "tiny.int8.tflite" in told
    assert "int8 (1, 28, 28, 1)" in told
    assert "ai-edge-litert" in told
