"""Both predictors on real artefacts: the recorded answers, and every wrong way to call them."""

import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeport.runtime import ArtefactError, InputError, MissingDependencyError, TensorSpec, load
from edgeport.runtime.tensors.checks import TensorCheck

NAMES = ("tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx")
# Under each engine; None is the default one.
RUNS = (*((name, None) for name in NAMES), ("tiny.int8.onnx", "openvino"), ("tiny.float32.tflite", "openvino"))


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
def test_pixels_get_the_same_answers_by_the_name_of_their_input(name: str, data: Path, golden: dict) -> None:
    predictor, images = load(data / name), golden["images"][..., np.newaxis]
    (answers,) = predictor.answer({predictor.spec.input.name: images}).values()
    np.testing.assert_array_equal(answers, predictor.predict(images))
    with pytest.raises(InputError, match=r"got a tensor uint8 \(20, 28, 28\)"):
        predictor.answer({predictor.spec.input.name: images[..., 0]})


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_axis_is_optional_and_a_batch_is_a_row_of_images(name: str, data: Path, golden: dict) -> None:
    predictor, images = load(data / name), golden["images"]
    expected = predictor.predict(images)
    np.testing.assert_array_equal(predictor.predict(images[..., np.newaxis]), expected)
    np.testing.assert_array_equal(predictor.predict(images[3:4]), expected[3:4])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), "got float32"),
        (np.zeros((2, 28, 28), np.int8), "got int8"),
        (np.zeros((28, 28), np.uint8), r"got images of shape \(28, 28\)"),
        (np.zeros((2, 27, 28), np.uint8), r"expected \(n, 28, 28, 1\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), "got images of shape"),
        ([[0]], "got list"),
    ],
)
def test_wrong_images_are_reported(name: str, images: object, message: str, data: Path) -> None:
    with pytest.raises(InputError, match=message):
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
    assert (spec.input.dtype, spec.output.dtype, spec.metadata.outputs[0].activation) == ("int8", "int8", "softmax")
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
    ("name", "content", "message"),
    [
        ("missing.tflite", None, "No such file"),
        ("text.tflite", b"hello", "is no tflite file"),
        ("text.onnx", b"hello", "no edgeport metadata"),
        ("model.pt", b"hello", "ends with .tflite or .onnx"),
        ("empty.onnx", b"", "no edgeport metadata"),
    ],
)
def test_what_is_no_artefact_is_reported(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=message):
        load(tmp_path / name)


@pytest.mark.parametrize("name", ["tiny.int8.onnx", "tiny.int8.tflite"])
def test_an_artefact_under_another_formats_name_is_refused(name: str, data: Path, tmp_path: Path) -> None:
    other = tmp_path / ("x.tflite" if name.endswith("onnx") else "x.onnx")
    other.write_bytes((data / name).read_bytes())
    with pytest.raises(ArtefactError, match=r"x\.(tflite|onnx)"):
        load(other)


def test_garbage_that_is_trusted_is_still_an_artefact_error(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"garbage" * 100)
    with pytest.raises(ArtefactError, match=r"x\.onnx is damaged, or made to do harm: .* it is no ONNX file"):
        load(tmp_path / "x.onnx", verify=False)


@pytest.mark.parametrize("threads", [0, -5, 100_000])
def test_threads_are_bounded(threads: int, data: Path) -> None:
    with pytest.raises(InputError, match="from 1 to 64"):
        load(data / "tiny.int8.onnx", threads=threads)


def test_an_engine_can_be_chosen_and_a_wrong_one_is_reported(data: Path) -> None:
    assert load(data / "tiny.int8.onnx", engine="onnxruntime").spec.engine == "onnxruntime"
    with pytest.raises(InputError, match="did you mean onnxruntime"):
        load(data / "tiny.int8.onnx", engine="onnx-runtime")


def test_repr_tells(data: Path) -> None:
    printed = repr(load(data / "tiny.int8.tflite"))
    assert "tiny.int8.tflite" in printed
    assert "int8 (1, 28, 28, 1)" in printed
    assert "ai-edge-litert" in printed


FLOATS = ("tiny.float32.tflite", "tiny.float32.onnx", "tiny.int8.onnx")


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"got nan at \[0, 3, 4, 0\] of image, and 1 such values in all"),
        (np.inf, "got inf at"),
        (-np.inf, "got -inf at"),
        (256.0, "got values from 0 to 256 for image, expected -0.5 to 255.5"),
        (-1.0, "got values from -1 to"),
    ],
)
def test_values_that_an_engine_would_take_in_silence_are_reported(
    name: str, value: float, message: str, data: Path
) -> None:
    predictor = load(data / name)
    tensor = np.zeros((1, 28, 28, 1), np.float32)
    predictor.run(tensor)
    tensor[0, 3, 4, 0] = value
    for call in (predictor.run, lambda tensor: predictor.run({"image": tensor})):
        with pytest.raises(InputError, match=message):
            call(tensor)


@pytest.mark.parametrize("name", NAMES)
def test_real_values_are_checked_before_they_are_quantized(name: str, data: Path) -> None:
    predictor = load(data / name)
    real = np.zeros((3, 28, 28, 1))
    assert predictor.answer({"image": real})[predictor.spec.output.name].shape == (3, 10)
    with pytest.raises(InputError, match="got ndarray, expected an array for each input by its name: image"):
        predictor.answer(real)
    real[1, 2, 3, 0] = np.nan
    with pytest.raises(InputError, match=r"got nan at \[1, 2, 3, 0\]"):
        predictor.answer({"image": real})
    for wrong in (np.full((3, 28, 28, 1), 1e6), np.zeros((3, 28, 28)), np.zeros((0, 28, 28, 1)), np.array(["a"])):
        with pytest.raises(InputError, match="expected"):
            predictor.answer({"image": wrong})


@pytest.mark.parametrize(("dtype", "scale"), [("int8", 0.5), ("float32", 0.0), ("int32", 0.0)])
def test_without_a_pixel_range_any_number_will_do(dtype: str, scale: float) -> None:
    check = TensorCheck(TensorSpec("x", (None, 3), dtype, scale), artefact="x.tflite")
    check.check_samples(np.array([[-1000.0, 5.0, 2e9]]))
    with pytest.raises(InputError, match=r"expected (finite|whole) numbers"):
        check.check_samples(np.array([[0.0, np.nan, 1.0]]))


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        ("uint8", [300, -1, 1], "got values from -1 to 300 for x, expected 0 to 255, the range that it has"),
        ("int32", [1.5, 0, 0], r"got 1.5 at \[0, 0\] of x, and 1 such values in all, expected whole numbers"),
        ("int32", np.array([2**32, 0, 0]), "got values from 0 to 4.29497e"),
        ("int64", np.array([2**63 + 1, 0, 0], np.uint64), "got values from 0 to 9.22337e"),
        ("bool", [2, 0, 1], "got values from 0 to 2 for x, expected 0 to 1"),
    ],
)
def test_whole_numbers_are_not_wrapped(dtype: str, values: object, message: str) -> None:
    check = TensorCheck(TensorSpec("x", (None, 3), dtype), artefact="x.tflite")
    with pytest.raises(InputError, match=message):
        check.check_samples(np.asarray(values)[np.newaxis])


def with_free_batch(content: bytes, *, stored: int) -> bytes:
    """Return a TFLite file that takes any batch and has stored this one."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    axes = list(tensor.shape)[1:]
    tensor.shape, tensor.shapeSignature = [stored, *axes], [-1, *axes]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_a_free_batch_is_answered_whatever_shape_the_file_has_stored(data: Path, golden: dict) -> None:
    content = (data / "tiny.float32.tflite").read_bytes()
    predictor = load(with_free_batch(content, stored=4), verify=False)
    assert predictor.spec.input.shape == (None, 28, 28, 1)
    pixels = golden["images"][..., np.newaxis].astype(np.float32)
    for count in (1, 3, 4, 1, 2):
        answer = predictor.run(pixels[:count])
        np.testing.assert_allclose(
            answer, load(data / "tiny.float32.tflite").predict(golden["images"][:count]), atol=1e-5
        )


@pytest.mark.parametrize("name", NAMES)
def test_masks_are_not_lost_in_silence(name: str, data: Path) -> None:
    predictor = load(data / name)
    for call in (predictor.predict, predictor.classify, lambda images: predictor.answer({"image": images[..., None]})):
        with pytest.raises(InputError, match="MaskedArray"):
            call(np.ma.masked_all((1, 28, 28), np.uint8))


def test_a_named_pipe_or_a_folder_is_no_artefact(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    (tmp_path / "folder.onnx").mkdir()
    for name in ("pipe.tflite", "folder.onnx"):
        with pytest.raises(ArtefactError, match=r"no plain file|Is a directory"):
            load(tmp_path / name)


def test_paths_and_counts_of_other_types_will_do(data: Path) -> None:
    (entry,) = (each for each in os.scandir(os.fsencode(data)) if each.name == b"tiny.int8.onnx")
    assert load(entry, threads=np.int64(2)).spec.threads == 2
    for wrong in ("3", 1.5, None):
        with pytest.raises(InputError, match="top: got"):
            load(data / "tiny.int8.onnx").classify(np.zeros((1, 28, 28), np.uint8), top=wrong)


@pytest.mark.parametrize("name", FLOATS)
def test_another_byte_order_is_reported(name: str, data: Path) -> None:
    swapped = np.zeros((1, 28, 28, 1), np.dtype(np.float32).newbyteorder())
    with pytest.raises(InputError, match=r"byte order, (little|big)-endian: use \.astype\('float32'\)"):
        load(data / name).run(swapped)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", [[[0.0]], None, "image", np.float32(1), np.ma.zeros((1, 28, 28, 1), np.float32)])
def test_what_is_no_plain_array_is_reported(name: str, wrong: object, data: Path) -> None:
    with pytest.raises(InputError, match="expected"):
        load(data / name).run(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_run_takes_tensors_by_name(name: str, data: Path, golden: dict[str, np.ndarray]) -> None:
    predictor = load(data / name)
    tensor = predictor.encode(golden["images"][:1])
    (answer,) = predictor.run({"image": tensor}).items()
    assert answer[0] == predictor.spec.output.name
    np.testing.assert_array_equal(answer[1], predictor.run(tensor))
    with pytest.raises(InputError, match="got the inputs img, expected image"):
        predictor.run({"img": tensor})


@pytest.mark.parametrize("name", NAMES)
def test_an_array_in_any_memory_order_gives_the_same_answer(name: str, data: Path, golden: dict) -> None:
    predictor = load(data / name)
    tensor = predictor.encode(golden["images"][:1])
    strided = np.repeat(tensor, 2, axis=2)[:, :, ::2]
    fortran = np.asfortranarray(tensor)
    for other in (strided, fortran):
        np.testing.assert_array_equal(predictor.run(other), predictor.run(tensor))
    np.testing.assert_array_equal(
        predictor.predict(np.asfortranarray(golden["images"])), predictor.predict(golden["images"])
    )


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_loaded_like_a_file(name: str, data: Path, golden: dict[str, np.ndarray]) -> None:
    content = bytearray((data / name).read_bytes())
    predictor = load(content)
    # The caller may do with their own bytes what they like.
    content[:] = bytes(len(content))
    assert predictor.spec == load(data / name).spec
    np.testing.assert_allclose(predictor.predict(golden["images"]), golden[name], atol=2e-6)
    with pytest.raises(ArtefactError, match="no edgeport metadata"):
        load(bytes(content))
    with pytest.raises(ArtefactError, match="is empty"):
        load(b"")


@pytest.mark.parametrize("source", [None, 3, object()])
def test_what_is_neither_a_path_nor_bytes_is_reported(source: object) -> None:
    with pytest.raises(InputError, match="expected the path of an artefact, or its bytes"):
        load(source)


@pytest.mark.parametrize("threads", ["2", 1.5, True, None])
def test_threads_are_whole_numbers(threads: object, data: Path) -> None:
    with pytest.raises(InputError, match="expected a whole number"):
        load(data / "tiny.int8.onnx", threads=threads)


@pytest.mark.parametrize("name", NAMES)
def test_classes_come_with_labels_the_best_first(name: str, data: Path, golden: dict[str, np.ndarray]) -> None:
    predictor = load(data / name)
    printed = predictor.classify(golden["images"], top=2)
    assert [len(classes) for classes in printed] == [2] * 20
    for classes, row in zip(printed, predictor.predict(golden["images"]), strict=True):
        assert classes[0].label == str(row.argmax())
        assert classes[0].probability == row.max()
        assert classes[0].probability >= classes[1].probability
    assert len(predictor.classify(golden["images"][:1], top=99)[0]) == 10
    with pytest.raises(InputError, match="top: got 0"):
        predictor.classify(golden["images"], top=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_predictor_tells_what_it_is(name: str, data: Path) -> None:
    with load(data / name, threads=2) as predictor:
        printed = repr(predictor)
        assert f"<Predictor {name}: image " in printed
        assert f"{predictor.spec.engine} {predictor.spec.engine_version}, 2 threads" in printed
        assert ("softmax after it" in printed) == ("int8" in name)
    assert "closed" in repr(predictor)


def test_the_engine_may_be_named_as_its_package_or_its_module(data: Path) -> None:
    for engine in ("ai-edge-litert", "ai_edge_litert"):
        assert load(data / "tiny.int8.tflite", engine=engine).spec.engine == "ai-edge-litert"


@pytest.mark.parametrize("name", NAMES)
def test_many_images_are_answered_in_parts_as_each_alone(name: str, data: Path, golden: dict) -> None:
    images = np.resize(golden["images"], (1003, *golden["images"].shape[1:]))
    predictor = load(data / name)
    largest = 0
    engine = predictor._engine
    call_one, call = engine.call_one, engine.call

    def watched_one(tensor: np.ndarray) -> np.ndarray:
        nonlocal largest
        largest = max(largest, len(tensor))
        return call_one(tensor)

    def watched(tensors: list[np.ndarray]) -> list[np.ndarray]:
        nonlocal largest
        largest = max(largest, len(tensors[0]))
        return call(tensors)

    engine.call_one, engine.call = watched_one, watched
    answers = predictor.predict(images)
    assert largest <= 256
    alone = np.concatenate([predictor.predict(images[place : place + 1]) for place in range(0, 1003, 59)])
    assert answers.shape[0] == 1003
    np.testing.assert_allclose(answers[::59], alone, atol=1e-5)
    real = {predictor.spec.input.name: images.reshape(-1, 28, 28, 1).astype(np.float32)}
    largest = 0
    np.testing.assert_allclose(predictor.answer(real)[predictor.spec.output.name], answers, atol=1e-5)
    assert largest <= 256


def test_answers_that_are_not_one_for_each_image_are_computed_at_once(data: Path, golden: dict) -> None:
    images = np.resize(golden["images"], (600, *golden["images"].shape[1:]))
    predictor = load(data / "tiny.float32.onnx")
    engine = predictor._engine
    engine.call = lambda tensors: [np.full((1, 10), len(tensors[0]), np.float32)]
    assert predictor.predict(images).shape == (1, 10)
    assert predictor.predict(images)[0].tolist() == predictor.predict(images[:600])[0].tolist()


class EnoughError(Exception):
    pass


@pytest.mark.parametrize(("name", "engine"), RUNS)
@pytest.mark.parametrize("kind", [EnoughError, ValueError, RuntimeError])
def test_what_a_signal_handler_raises_passes_through_the_engine(
    name: str, engine: str | None, kind: type[Exception], data: Path, golden: dict
) -> None:
    predictor = load(data / name, engine=engine)
    error = kind("enough")

    def handler(number: int, frame: object) -> None:
        raise error

    def predict_for(seconds: float) -> None:
        # Once a second after that: Python drops what a handler raises in a destructor or a callback of the garbage
        # collector, as hypothesis has one.
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)
        try:
            while True:
                predictor.predict(golden["images"][:8])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for seconds in (0.001, 0.002, 0.005, 0.01, 0.02):
            with pytest.raises(kind) as raised:
                predict_for(seconds)
            assert raised.value is error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert predictor.predict(golden["images"][:1]).shape == (1, 10)


@pytest.mark.parametrize(("name", "engine"), [("tiny.int8.tflite", None), ("tiny.float32.onnx", "openvino")])
def test_an_error_while_an_engine_opens_again_costs_no_place(
    name: str, engine: str | None, data: Path, golden: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*given: object) -> None:
        raise EnoughError

    predictor = load(data / name, engine=engine)
    pool = predictor._engine
    kept = []
    for _ in range(3):
        pool.give_up(pool.take())
        with monkeypatch.context() as patch:
            patch.setattr(type(pool), "open_one", failing)
            with pytest.raises(EnoughError) as raised:
                predictor.predict(golden["images"][:1])
        # Whoever keeps an error keeps all that its traceback holds.
        kept.append(raised.value)
        assert pool.idle.qsize() == 1
    assert predictor.predict(golden["images"][:1]).shape == (1, 10)


@pytest.mark.parametrize(("name", "engine"), RUNS)
def test_a_signal_handler_may_predict(
    name: str, engine: str | None, data: Path, golden: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a machine with as many threads as cores: there is one interpreter, and it is in use.
    monkeypatch.setattr("edgeport.runtime.engines.pool._cores", lambda: 1)
    predictor = load(data / name, engine=engine)
    expected = predictor.predict(golden["images"][:1])
    answers = []

    def handler(number: int, frame: object) -> None:
        answers.append(predictor.predict(golden["images"][:1]))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        ended = time.monotonic() + 20
        while len(answers) < 50 and time.monotonic() < ended:
            predictor.predict(golden["images"][:8])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(answers) >= 50
    assert all((answer == expected).all() for answer in answers)


def test_a_frozen_program_without_its_engine_says_how_to_freeze_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeport.runtime.engines.installed.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(MissingDependencyError, match="--collect-all ai_edge_litert and --hidden-import") as raised:
        load(data / "tiny.int8.tflite")
    module = str(raised.value).split("--hidden-import ")[1]
    assert importlib.util.find_spec(module) is not None, module
