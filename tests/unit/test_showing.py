"""What predict shows: lines, JSON and pictures, for each kind of output."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.runtime import InputError
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata
from edgeport.runtime.artefact.spec import Spec, TensorSpec
from edgeport.runtime.prediction.classification import ranked
from edgeport.runtime.prediction.showing.boxes import box_outputs, corners_of
from edgeport.runtime.prediction.showing.drawing import box_picture, colour_of, colours
from edgeport.runtime.prediction.showing.show import facts_of, file_stems, meanings_of, show
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.runtime.samples.reading import Samples


def spec_of(answers: dict[str, np.ndarray], *outputs: Output) -> Spec:
    """Return the facts of an artefact that takes pictures of 8x8 and gives such answers."""
    tensors = tuple(
        TensorSpec(each.name, (None, *answers[each.name].shape[1:]), str(answers[each.name].dtype)) for each in outputs
    )
    metadata = EmbeddedMetadata("m", "float32", inputs=(Input("image", range=(0, 255)),), outputs=outputs)
    image = TensorSpec("image", (None, 8, 8, 3), "float32")
    return Spec("m.float32.onnx", "onnx", "onnxruntime", "1", 1, (image,), tensors, metadata)


def shown(
    capsys: pytest.CaptureFixture[str],
    answers: dict[str, object],
    *outputs: Output,
    as_json: bool = False,
    folder: Path | None = None,
    **choices: object,
) -> list[str]:
    """Return the lines that are printed of one sample or of several."""
    arrays = {name: np.asarray(each) for name, each in answers.items()}
    arrays = {name: each.astype(np.float32) if each.dtype == np.float64 else each for name, each in arrays.items()}
    count = len(next(iter(arrays.values())))
    names = tuple(f"photos/p{place}.png" for place in range(count))
    samples = Samples(names, {"image": np.full((count, 8, 8, 3), 90, np.uint8)})
    spec = spec_of(arrays, *outputs)
    show(samples, arrays, spec, Choices(**choices), as_json=as_json, folder=folder, stems=file_stems(names))
    return capsys.readouterr().out.splitlines()


CLASSES = Output("y", ending="softmax", kind="classes", columns=("cat", "dog", "cow"))


@pytest.mark.parametrize(
    ("values", "port", "line"),
    [
        ([[0.1, 0.7, 0.2]], CLASSES, "dog  70.0%   (cow  20.0%, cat  10.0%)"),
        ([[0.1, 0.7, 0.2]], CLASSES._replace(columns=()), "1  70.0%   (2  20.0%, 0  10.0%)"),
        # Scores are no probabilities, whatever they look like.
        ([[0.1, 0.7, 0.2]], CLASSES._replace(ending="none"), "dog  0.7   (cow  0.2, cat  0.1)"),
        ([[-1.5, 7, 0.2]], CLASSES._replace(ending="none"), "dog  7   (cow  0.2, cat  -1.5)"),
        ([2], Output("y", kind="classes", columns=("a", "b", "c")), "c"),
        ([[2], ], Output("y", kind="classes", columns=("a", "b")), "2"),
        ([[0.2, 0.6, 0.9]], Output("y", kind="labels", columns=("sun", "sea", "ice")), "ice  90.0%, sea  60.0%"),
        ([[0.2, 0.1, 0.4]], Output("y", kind="labels"), "none from 50% on   (2  40.0%)"),
        ([[0.8]], Output("y", kind="yes-no"), "yes  80.0%   (no  20.0%)"),
        ([[0.5]], Output("y", kind="yes-no"), "yes  50.0%   (no  50.0%)"),
        ([[0.3]], Output("y", kind="yes-no", columns=("cat", "dog")), "cat  70.0%   (dog  30.0%)"),
        ([0.3], Output("y", kind="yes-no"), "no  70.0%   (yes  30.0%)"),
        ([[21.25]], Output("y", kind="values", units=("degC",)), "21.25 degC"),
        ([3.5], Output("y", kind="values", units=("m",)), "3.5 m"),
        ([[1.5, -2]], Output("y", kind="values", columns=("x", "y"), units=("m", "")), "x 1.5 m, y -2"),
        (np.ones((1, 24, 1)), Output("y", kind="values", units=("W",)), "float32 (24, 1)  1 to 1, mean 1 W"),
        (np.arange(20.0)[None], Output("y", kind="any"), "float32 (20)  0 to 19, mean 9.5"),
        ([[7, 8]], Output("y", kind="any"), "7, 8"),
    ],
)  # fmt: skip
def test_each_kind_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], values: object, port: Output, line: str
) -> None:
    assert shown(capsys, {"y": values}, port) == [f"photos/p0.png  {line}"]


def test_the_threshold_decides_labels_and_yes(capsys: pytest.CaptureFixture[str]) -> None:
    labels, yes = Output("a", kind="labels"), Output("b", kind="yes-no")
    answers = {"a": [[0.2, 0.6]], "b": [[0.6]]}
    assert shown(capsys, answers, labels, yes, threshold=0.7) == [
        "photos/p0.png", "  a  none from 70% on   (1  60.0%)", "  b  no  40.0%   (yes  60.0%)",
    ]  # fmt: skip
    assert shown(capsys, answers, labels, yes, threshold=0.6) == [
        "photos/p0.png", "  a  1  60.0%", "  b  yes  60.0%   (no  40.0%)",
    ]  # fmt: skip


def test_json_holds_everything(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {"y": [[0.125, 0.75, 0.125]], "t": [[21.5]], "l": [[0.25, 0.75]], "q": [[0.25]], "e": np.ones((1, 1001))}
    ports = (
        CLASSES, Output("t", kind="values", units=("degC",)), Output("l", kind="labels"), Output("q", kind="yes-no"),
        Output("e", kind="any"),
    )  # fmt: skip
    (line,) = shown(capsys, answers, *ports, as_json=True, top=1)
    assert json.loads(line) == {
        "sample": "photos/p0.png",
        "outputs": {
            "y": {"kind": "classes", "label": "dog", "probabilities": {"dog": 0.75, "cat": 0.125, "cow": 0.125}},
            "t": {"kind": "values", "units": ["degC"], "shape": [1], "dtype": "float32", "values": [21.5]},
            "l": {"kind": "labels", "labels": ["1"], "probabilities": {"1": 0.75, "0": 0.25}},
            "q": {"kind": "yes-no", "answer": False, "label": "no", "probability": 0.25},
            "e": {
                "kind": "any", "shape": [1001], "dtype": "float32", "min": 1.0, "max": 1.0, "mean": 1.0, "file": None,
            },
        },
    }  # fmt: skip


def test_large_arrays_go_to_files_in_a_format_of_numpy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 40, 30)).astype(np.float32)
    lines = shown(capsys, {"a b/c": values}, Output("a b/c", kind="any"), as_json=True, folder=tmp_path)
    for place, line in enumerate(lines):
        path = Path(json.loads(line)["outputs"]["a b/c"]["file"])
        assert path == tmp_path / f"p{place}.a-b-c.npy"
        np.testing.assert_array_equal(np.load(path, allow_pickle=False), values[place])


def test_a_softmax_over_places_is_a_picture_of_class_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    numbers = np.zeros((1, 4, 5), int)
    numbers[0, 1:3, 2:] = 2
    answers = np.eye(3)[numbers] * 0.8 + 0.1
    port = Output("mask", ending="softmax", kind="map", columns=("ground", "cat", "dog"))
    lines = shown(capsys, {"mask": answers}, port, folder=tmp_path)
    assert lines == [
        "photos/p0.png  4x5 places",
        "  ground  70.0%  #000000",
        "  dog  30.0%  #008000",
        f"  -> {tmp_path}/p0.mask.png",
    ]
    with Image.open(tmp_path / "p0.mask.png") as picture:
        np.testing.assert_array_equal(np.array(picture), numbers[0])
        assert picture.convert("RGB").getpixel((3, 1)) == (0, 128, 0)


def test_one_sigmoid_over_places_is_yes_or_no(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answers = np.array([[[0.1, 0.6], [0.9, 0.2]]])[..., np.newaxis]
    port = Output("mask", ending="sigmoid", kind="map")
    assert shown(capsys, {"mask": answers}, port)[1:] == ["  no  50.0%  #000000", "  yes  50.0%  #800000"]
    named = port._replace(columns=("ground", "cat"))
    lines = shown(capsys, {"mask": answers}, named, threshold=0.7, folder=tmp_path)
    assert lines[1:3] == ["  ground  75.0%  #000000", "  cat  25.0%  #800000"]
    with Image.open(tmp_path / "p0.mask.png") as picture:
        assert np.array(picture).tolist() == [[0, 0], [1, 0]]


def test_several_sigmoids_over_places_may_overlap(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answers = np.array([[[[0.9, 0.8], [0.1, 0.2]]]])
    port = Output("mask", ending="sigmoid", kind="map", columns=("road", "shade"))
    lines = shown(capsys, {"mask": answers}, port, folder=tmp_path, as_json=True)
    found = json.loads(lines[0])["outputs"]["mask"]
    assert found["shares"] == {"none": 0.5, "road": 0.5, "shade": 0.5}
    with Image.open(found["picture"]) as picture:
        assert np.array(picture).tolist() == [[1, 0]]


def test_pictures_of_the_first_samples_come_along_as_data() -> None:
    answers = {"mask": np.eye(2)[np.random.default_rng(0).integers(0, 2, (3, 4, 5))]}
    spec = spec_of(answers, Output("mask", ending="softmax", kind="map", columns=("ground", "cat")))
    samples = Samples(("a", "b", "c"), {"image": np.zeros((3, 2), np.float32)})
    found = [each["outputs"]["mask"] for each in facts_of(samples, answers, spec, Choices(), pictures=2)]
    assert [("picture" in facts) for facts in found] == [True, True, False]
    for facts, numbers in zip(found[:2], answers["mask"].argmax(axis=-1), strict=False):
        assert facts["colours"] == {"ground": "#000000", "cat": "#800000"}
        with Image.open(
            io.BytesIO(base64.b64decode(facts["picture"].removeprefix("data:image/png;base64,")))
        ) as picture:
            np.testing.assert_array_equal(np.array(picture), numbers)


def test_real_values_of_places_are_grey_and_columns_of_them_are_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    depth = np.array([[[1.0, 2.0], [3.0, 5.0]]])
    port = Output("depth", ending="none", kind="map")
    assert shown(capsys, {"depth": depth}, port, folder=tmp_path)[0].endswith("2x2 places, 1 (black) to 5 (white)")
    with Image.open(tmp_path / "p0.depth.png") as picture:
        assert np.array(picture).tolist() == [[0, 64], [128, 255]]
    lines = shown(capsys, {"depth": np.ones((1, 4, 4, 2))}, port, folder=tmp_path)
    assert lines == ["photos/p0.png  float32 (4, 4, 2)  1 to 1, mean 1"]


def test_integers_of_places_are_class_numbers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = shown(capsys, {"y": np.array([[[0, 300], [0, 0]]])}, Output("y", kind="map"), folder=tmp_path)
    assert lines[1:3] == ["  0  75.0%  #000000", "  300  25.0%  "]
    with Image.open(tmp_path / "p0.y.png") as picture:
        assert np.array(picture).tolist() == [[0, 300], [0, 0]]


def test_the_colours_are_those_of_pascal_voc() -> None:
    assert [colour_of(number) for number in (0, 1, 2, 3, 15, 20, 255)] == [
        "#000000", "#800000", "#008000", "#808000", "#c08080", "#004080", "#e0e0c0",
    ]  # fmt: skip
    assert len(np.unique(colours(), axis=0)) == 256


BOX = np.array([[[0.25, 0.5, 0.75, 1.0], [0, 0, 0.25, 0.25], [0, 0, 1, 1]]])


@pytest.mark.parametrize(
    ("order", "values"),
    [
        (("ymin", "xmin", "ymax", "xmax"), (0.25, 0.5, 0.75, 1.0)),
        (("xmin", "ymin", "xmax", "ymax"), (0.5, 0.25, 1.0, 0.75)),
        (("cx", "cy", "w", "h"), (0.75, 0.5, 0.5, 0.5)),
        (("xmin", "ymin", "w", "h"), (0.5, 0.25, 0.5, 0.5)),
    ],
)
def test_boxes_are_the_same_in_every_order(order: tuple[str, ...], values: tuple[float, ...]) -> None:
    corners = corners_of(np.array([values]), Output("b", kind="boxes", columns=order))
    assert corners.tolist() == [[0.25, 0.5, 0.75, 1.0]]


def test_boxes_are_shown_with_their_scores_and_classes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answers = {"b": BOX, "s": [[0.6, 0.9, 0.4]], "c": np.array([[1, 0, 7]]), "n": np.array([[3.0]])}
    ports = (
        Output("b", kind="boxes", columns=("ymin", "xmin", "ymax", "xmax"), units=("share",) * 4),
        Output("s", kind="any"),
        Output("c", kind="classes", columns=("car", "bus")),
        Output("n", kind="any"),
    )
    lines = shown(capsys, answers, *ports, folder=tmp_path)
    assert lines == [
        "photos/p0.png",
        "  b  2 of 3 boxes from 50% on",
        "    car 90.0%  ymin 0.000 xmin 0.000 ymax 0.250 xmax 0.250",
        "    bus 60.0%  ymin 0.250 xmin 0.500 ymax 0.750 xmax 1.000",
        f"    -> {tmp_path}/p0.b.png",
        "  n  3",
    ]
    with Image.open(tmp_path / "p0.b.png") as picture:
        pixels = np.array(picture)
    # 8x8 pixels are drawn 40 times as large; the right box is from a quarter of the height on.
    assert pixels.shape == (320, 320, 3)
    assert tuple(pixels[120, 160]) == (86, 180, 233)
    assert tuple(pixels[200, 100]) == (90, 90, 90)
    (line,) = shown(capsys, answers, *ports, as_json=True)
    best, second = json.loads(line)["outputs"]["b"]["boxes"]
    assert (best["label"], second["box"]) == ("car", {"ymin": 0.25, "xmin": 0.5, "ymax": 0.75, "xmax": 1.0})


def test_boxes_may_have_a_score_for_each_class_or_none_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    box = Output("b", kind="boxes", units=("pixels",) * 4)
    scores = Output("s", kind="any", columns=("car", "bus"))
    answers = {"b": BOX * 8, "s": [[[0.1, 0.6], [0.2, 0.1], [0.3, 0.3]]]}
    assert shown(capsys, answers, box, scores) == [
        "photos/p0.png  1 of 3 boxes from 50% on", "  bus 60.0%  ymin 2.0 xmin 4.0 ymax 6.0 xmax 8.0",
    ]  # fmt: skip
    assert shown(capsys, {"b": BOX}, box)[0] == "photos/p0.png  3 of 3 boxes"


def test_two_outputs_that_could_be_the_scores_are_reported() -> None:
    ports = [
        Output("b", shape=(None, 3, 4), kind="boxes"), Output("s", shape=(None, 3), kind="any"),
        Output("t", shape=(None, 3), kind="any"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="got s and t with as many rows, expected one output with their scores"):
        box_outputs(ports)
    (group,) = box_outputs([*ports[:2], ports[2]._replace(kind="values")])
    assert group.scores == ports[1]


def test_a_box_beyond_the_picture_or_turned_round_is_drawn_all_the_same() -> None:
    corners = np.array([[6.0, 6.0, 2.0, 2.0], [-5.0, -5.0, 50.0, 50.0]])
    assert box_picture(np.zeros((8, 8, 1), np.uint8), corners, ["a\u0159", "b"], [0, 1]).startswith(b"\x89PNG")


def test_files_that_do_not_say_what_they_give_are_shown_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, {"y": [[0.25, 0.75]]}, Output("y")) == ["photos/p0.png  1  75.0%   (0  25.0%)"]
    assert shown(capsys, {"y": [[-2.0, 3.0]]}, Output("y")) == ["photos/p0.png  1  3   (0  -2)"]
    named = Output("y", columns=("cat", "dog"))
    assert shown(capsys, {"y": [[0.75]]}, named) == ["photos/p0.png  dog  75.0%   (cat  25.0%)"]
    assert shown(capsys, {"y": [[0.75]]}, Output("y")) == ["photos/p0.png  0.75"]
    spec = spec_of({"y": np.zeros((1, 2), np.float32)}, Output("y"))
    assert meanings_of(spec._replace(metadata=None))[0].kind == "classes"


@pytest.mark.parametrize("values", [[[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_what_is_no_number_is_reported(capsys: pytest.CaptureFixture[str], values: list) -> None:
    with pytest.raises(InputError, match=r"values that are no numbers \(y\)"):
        shown(capsys, {"y": values}, CLASSES._replace(columns=()))


def test_answers_that_are_not_one_for_each_sample_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    samples = Samples(("a", "b"), {"image": np.zeros((2, 8, 8, 3), np.uint8)})
    answers = {"y": np.zeros((1, 3), np.float32)}
    with pytest.raises(InputError, match="for 2 samples, expected one answer for each"):
        show(samples, answers, spec_of(answers, CLASSES), Choices())


def test_files_of_samples_get_names_of_their_own() -> None:
    names = ["a/x.png", "b/x.png", "b/x-2.png", "t.npz[3]", "u.csv:12", "..", "-rf.png", "\u00fc \n.png"]
    assert file_stems(names) == ["x", "x-2", "x-2-2", "t-3", "u-12", "sample", "rf", "\u00fc"]


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_classes_of_a_yes_or_no_are_named_without_labels(shape: tuple[int, ...]) -> None:
    answers = np.array([0.25, 0.75], np.float32).reshape(shape)
    spec = spec_of({"y": answers}, Output("y", kind="yes-no"))
    assert [[(each.label, each.probability) for each in row] for row in ranked(answers, spec, top=2)] == [
        [("no", 0.75), ("yes", 0.25)], [("yes", 0.75), ("no", 0.25)],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "kind"), [(np.zeros((1, 3), np.float32), "values"), (np.zeros((1, 3), np.int64), "classes")]
)
def test_what_is_no_score_is_not_ranked(answers: np.ndarray, kind: str) -> None:
    with pytest.raises(InputError, match="and no scores"):
        ranked(answers, spec_of({"y": answers}, Output("y", kind=kind)), top=1)
