"""Golden answers: the file that holds them, and what counts as the same answer."""

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeport.runtime import ArtefactError, InputError, MissingDependencyError, load
from edgeport.runtime.files.array_archive import archive_bytes, read_archive
from edgeport.runtime.golden.answers import Golden, GoldenAnswer, golden_bytes, read_golden
from edgeport.runtime.golden.check import GoldenCheck, check_golden

FILES = ("tiny.float32.onnx", "tiny.float32.tflite", "tiny.int8.onnx", "tiny.int8.tflite")
ENGINES = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}


@pytest.fixture(scope="module")
def content(data: Path, golden: dict[str, np.ndarray]) -> bytes:
    images = golden["images"]
    return golden_bytes(
        data, FILES, {"image": images}, labels=golden["keras"].argmax(axis=1), reference=golden["keras"]
    )


@pytest.fixture(scope="module")
def answers(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    path = tmp_path_factory.mktemp("golden") / "golden.npz"
    path.write_bytes(content)
    return read_golden(path)


def altered(golden: Golden, file: str, change: Callable[[np.ndarray], None], **facts: str) -> Golden:
    """The golden answers of one file alone, changed."""
    answer = next(each for each in golden.answers if each.file == file)
    raw = {name: array.copy() for name, array in answer.raw.items()}
    change(next(iter(raw.values())))
    return replace(golden, answers=(replace(answer, raw=raw, **facts),))


def check_of(golden: Golden, data: Path) -> GoldenCheck:
    checks = [check for check in check_golden(golden, data) if check.engine in ENGINES.values()]
    assert len(checks) == 1
    return checks[0]


def nothing(raw: np.ndarray) -> None:
    pass


def one_step(raw: np.ndarray) -> None:
    grid = np.unique(raw)
    place = int(np.diff(grid).argmin())
    raw[np.unravel_index((raw == grid[place]).argmax(), raw.shape)] = grid[place + 1]


def test_the_same_artefacts_give_the_same_bytes(content: bytes, data: Path, golden: dict[str, np.ndarray]) -> None:
    keras = golden["keras"]
    again = golden_bytes(data, FILES, {"image": golden["images"]}, labels=keras.argmax(axis=1), reference=keras)
    assert again == content


def test_it_holds_what_the_engines_answer_in_their_own_types(
    answers: Golden, data: Path, golden: dict[str, np.ndarray]
) -> None:
    assert answers.files == FILES
    np.testing.assert_array_equal(answers.inputs["image"], golden["images"])
    np.testing.assert_array_equal(answers.reference, golden["keras"])
    np.testing.assert_array_equal(answers.labels, golden["keras"].argmax(axis=1))
    for answer in answers.answers:
        predictor = load(data / answer.file, engine=answer.engine.replace("-", "_"))
        assert (answer.engine, answer.engine_version) == (predictor.spec.engine, predictor.spec.engine_version)
        expected = np.concatenate([predictor.run(predictor.encode(image[None])) for image in golden["images"]])
        (raw,) = answer.raw.values()
        assert raw.dtype == expected.dtype == np.dtype(predictor.spec.output.dtype)
        np.testing.assert_array_equal(raw, expected)
        np.testing.assert_array_equal(raw.argmax(axis=1), golden[answer.file].argmax(axis=1))


def test_numpy_reads_it_too(content: bytes, tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    (tmp_path / "golden.npz").write_bytes(content)
    with np.load(tmp_path / "golden.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["input.0"], golden["images"])


def test_its_own_answers_pass(answers: Golden, data: Path) -> None:
    seen: list[GoldenCheck] = []
    checks = check_golden(answers, data, on_check=seen.append)
    assert list(checks) == seen
    assert {(check.file, check.engine) for check in checks} >= {(file, ENGINES[file.split(".")[-1]]) for file in FILES}
    assert [check.file for check in checks if check.status == "skipped"] == ["tiny.int8.tflite"]
    for check in (each for each in checks if each.status != "skipped"):
        assert (check.status, check.rows, check.labels_changed) == ("passed", 20, 0), check
        if check.engine == check.golden_engine:
            assert (check.rows_different, check.largest_difference) == (0, 0)
        assert (check.unit, check.limit == 0) == (("steps", True) if "int8" in check.file else ("real", False))


@pytest.mark.parametrize("file", ["tiny.int8.tflite", "tiny.int8.onnx"])
def test_an_integer_that_differs_by_one_step_fails(answers: Golden, data: Path, file: str) -> None:
    def change(values: np.ndarray) -> None:
        grid = np.unique(values)
        place = int(np.diff(grid).argmin())
        values[np.unravel_index((values == grid[place]).argmax(), values.shape)] = grid[place + 1]

    check = check_of(altered(answers, file, change), data)
    assert (check.status, check.rows_different, check.labels_changed) == ("failed", 1, 0)
    assert (check.unit, check.largest_difference) == ("steps", pytest.approx(1, abs=1e-3))


@pytest.mark.parametrize("file", ["tiny.int8.onnx"])
def test_golden_integers_that_are_none_do_not_make_the_limit_wide(answers: Golden, data: Path, file: str) -> None:
    def change(values: np.ndarray) -> None:
        values[3, values[3].argmin()] += 0.086437

    check = check_of(altered(answers, file, change), data)
    assert (check.status, check.unit, check.rows_different) == ("failed", "real", 1)


def test_another_engine_may_round_the_other_way_and_no_more(answers: Golden, data: Path) -> None:
    def apart(steps: int) -> GoldenCheck:
        def change(values: np.ndarray) -> None:
            values[3, values[3].argmin()] += steps

        return check_of(altered(answers, "tiny.int8.tflite", change, engine="tflite-runtime"), data)

    assert (apart(2).status, apart(2).rows_different, apart(2).largest_difference) == ("passed", 1, 2)
    assert "tflite-runtime" in apart(2).note
    assert (apart(3).status, apart(3).largest_difference) == ("failed", 3)


@pytest.mark.parametrize("file", ["tiny.float32.tflite", "tiny.float32.onnx"])
@pytest.mark.parametrize(("difference", "status"), [(5e-5, "passed"), (2e-4, "failed"), (np.nan, "failed")])
def test_a_float_may_differ_by_a_ten_thousandth_of_its_range(
    answers: Golden, data: Path, file: str, difference: float, status: str
) -> None:
    def change(values: np.ndarray) -> None:
        values[0, values[0].argmin()] += difference

    check = check_of(altered(answers, file, change), data)
    assert (check.status, check.rows_different) == (status, 1)
    assert check.limit == pytest.approx(1e-4, rel=0.02)


def test_the_limits_grow_with_what_a_cpu_may_round_differently(answers: Golden, data: Path) -> None:
    limits = [
        check_of(altered(answers, "tiny.float32.onnx", nothing, precision=precision), data).limit
        for precision in ("float32", "float16", "dynamic")
    ]
    assert limits == pytest.approx([1e-4, 2e-2, 2e-2], rel=0.02)


def test_another_class_fails_unless_it_was_a_near_tie(answers: Golden, data: Path) -> None:
    file = "tiny.float32.onnx"
    row = next(iter(next(each for each in answers.answers if each.file == file).raw.values()))[0]
    best, second = np.argsort(-row)[:2]
    answer = next(each for each in answers.answers if each.file == file)

    def swapped(values: np.ndarray) -> None:
        values[0, second] = values[0, best] + 1e-5

    check = check_of(altered(answers, file, swapped), data)
    assert (check.status, check.labels_changed, check.near_ties) == ("failed", 1, 1)

    def turned_round(values: np.ndarray) -> None:
        values[0, second] = values[0, best] + 0.5

    check = check_of(altered(answers, file, turned_round), data)
    assert (check.status, check.labels_changed, check.near_ties) == ("failed", 1, 0)
    # What the file answers, held against golden answers that are as good as it: the two classes are level in both.
    level = {name: np.array(array) for name, array in answer.raw.items()}
    next(iter(level.values()))[0, second] = row[best] + np.float32(1e-5)
    tied = GoldenAnswer(**{**vars(answer), "raw": level})
    from edgeport.runtime.golden.check import _compare

    ours = {name: np.array(array) for name, array in level.items()}
    next(iter(ours.values()))[0, [best, second]] = row[best], row[best] - np.float32(1e-5)
    near = _compare(GoldenCheck(file, "onnxruntime", "", "onnxruntime", "", "failed"), answers, tied, ours)
    assert (near.status, near.labels_changed, near.near_ties) == ("passed", 1, 1)


def test_how_far_an_engine_is_from_the_default_one_is_said(answers: Golden, data: Path) -> None:
    ours = [each for each in answers.answers if (each.file, each.engine) == ("tiny.int8.onnx", "openvino")]
    for change, said in ((nothing, ""), (one_step, "1 rows differ from those of onnxruntime, by up to 1 steps")):
        default = altered(answers, "tiny.int8.onnx", change)
        checks = check_golden(replace(default, answers=(*default.answers, *ours)), data, engine="openvino")
        assert [(check.status, check.rows_different, check.note) for check in checks] == [("passed", 0, said)]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_integers_of_the_same_engine_are_the_same_on_any_machine(answers: Golden, data: Path, engine: str) -> None:
    (ours,) = (each for each in answers.answers if (each.file, each.engine) == ("tiny.int8.onnx", engine))
    elsewhere = altered(replace(answers, answers=(ours,), machine="another"), "tiny.int8.onnx", one_step)
    (check,) = check_golden(elsewhere, data, engine=engine)
    assert (check.status, check.rows_different, round(check.largest_difference)) == ("failed", 1, 1)


def test_another_file_is_not_compared(answers: Golden, data: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.int8.onnx").write_bytes((data / "tiny.float32.onnx").read_bytes())
    checks = check_golden(answers, tmp_path, files=("tiny.int8.onnx", "tiny.float32.onnx"))
    assert {check.status for check in checks} == {"failed"}
    assert "SHA-256 differs" in checks[0].note
    assert "No such file" in checks[-1].note


def test_engines_and_files_that_are_not_there_are_reported(answers: Golden, data: Path) -> None:
    with pytest.raises(InputError, match="did you mean ai_edge_litert"):
        check_golden(answers, data, engine="ai_edge_liter")
    with pytest.raises(InputError, match=r"did you mean tiny\.int8\.onnx"):
        check_golden(answers, data, files=("tiny.int8.onx",))
    checks = check_golden(answers, data, engine="ai-edge-litert")
    assert [check.status for check in checks] == ["skipped", "passed", "skipped", "passed"]


def test_an_engine_that_is_not_installed_is_skipped_unless_asked_for(
    answers: Golden, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ai_edge_litert", "tflite_runtime", "onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    checks = check_golden(answers, data)
    assert {check.status for check in checks} == {"skipped"}
    assert "pip install 'edgeport[onnx]'" in checks[0].note
    with pytest.raises(MissingDependencyError, match="onnxruntime"):
        check_golden(answers, data, engine="onnxruntime")


def test_samples_that_do_not_fit_are_reported(data: Path) -> None:
    with pytest.raises(InputError, match="expected image float32"):
        golden_bytes(data, ["tiny.float32.onnx"], {"signal": np.zeros((2, 28, 28), np.uint8)})
    with pytest.raises(InputError, match=r"labels int64 \(3,\), expected int64 \(2,\)"):
        golden_bytes(data, ["tiny.float32.onnx"], {"image": np.zeros((2, 28, 28), np.uint8)}, labels=[1, 2, 3])


def test_a_damaged_file_is_never_believed(content: bytes, answers: Golden, tmp_path: Path) -> None:
    draw, path, refused = random.Random(1), tmp_path / "golden.npz", 0
    for number in range(300):
        mutant = bytearray(content)
        if number % 3 == 0:
            del mutant[draw.randrange(len(mutant)) :]
        elif number % 3 == 1:
            for _ in range(draw.randint(1, 64)):
                mutant[draw.randrange(len(mutant))] = draw.randrange(256)
        else:
            # Where the directory of the archive is.
            mutant[draw.randrange(len(mutant) - 800, len(mutant))] ^= 1 << draw.randrange(8)
        path.write_bytes(mutant)
        try:
            read = read_golden(path)
        except ArtefactError:
            refused += 1
        else:
            for ours, theirs in zip(read.answers, answers.answers, strict=True):
                assert vars(ours) | {"raw": 0} == vars(theirs) | {"raw": 0}
                for one, other in zip(ours.raw.values(), theirs.raw.values(), strict=True):
                    np.testing.assert_array_equal(one, other)
    assert refused > 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("raw.1.0"), "raw.1.0"),
        (lambda arrays: arrays.pop("facts"), "facts"),
        (lambda arrays: arrays.pop("input.0"), "input.0"),
        (lambda arrays: arrays.update(other=np.zeros(3)), "other"),
        (lambda arrays: arrays.update({"raw.0.0": np.zeros((3, 10), np.float32)}), "not one answer to each sample"),
        (lambda arrays: arrays.update(labels=np.zeros(20)), "labels float64"),
        (lambda arrays: arrays.update(facts=_changed(arrays["facts"], b'"schema": 1', b'"schema": 9')), "got schema 9"),
        (lambda arrays: arrays.update(facts=_changed(arrays["facts"], b"tiny.int8.onnx", b"../t.int8.onnx")), "folder"),
        (lambda arrays: arrays.update(facts=np.zeros(9, np.uint8)), "damaged"),
        (lambda arrays: arrays.update(facts=_changed(arrays["facts"], b"onnxruntime", b"onnxrumtime")), "onnxrumtime"),
    ],
)
def test_an_archive_of_other_arrays_is_refused(
    content: bytes, tmp_path: Path, change: Callable[[dict[str, np.ndarray]], None], message: str
) -> None:
    path = tmp_path / "golden.npz"
    path.write_bytes(content)
    arrays = read_archive(path)
    change(arrays)
    path.write_bytes(archive_bytes(arrays))
    with pytest.raises(ArtefactError, match=message):
        read_golden(path)


def _changed(facts: np.ndarray, old: bytes, new: bytes) -> np.ndarray:
    assert old in facts.tobytes()
    return np.frombuffer(facts.tobytes().replace(old, new), np.uint8)


def test_an_array_that_claims_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    honest = archive_bytes({"a": np.zeros(100, np.uint8)})
    path = tmp_path / "a.npz"
    np.savez(path, a=np.array([{}], object))
    with pytest.raises(ArtefactError):
        read_archive(path)
    np.savez_compressed(path, a=np.zeros(100, np.uint8))
    with pytest.raises(ArtefactError, match="compressed"):
        read_archive(path)
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        array = archive.read("a.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", array.replace(b"(100,), }        ", b"(10000000000000,)"))
    with pytest.raises(ArtefactError):
        read_archive(path)
