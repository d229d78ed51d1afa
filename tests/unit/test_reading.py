"""What predict reads: every form of file becomes what the model takes, or one line says why not."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from edgeport.runtime import InputError
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata
from edgeport.runtime.artefact.spec import Spec, TensorSpec
from edgeport.runtime.samples.reading import Samples, read_samples

RANDOM = np.random.default_rng(0)
FACTS = Input("facts", (None, 3), "float32", kind="real")
SIGNAL = Input("signal", (None, 8, 2), "float32", kind="real")
SOUND = Input("sound", (1, 40), "float32", kind="real")
IMAGE = Input("image", (None, 6, 5, 1), "float32", kind="pixels", range=(-1.0, 1.0))
DEPTH = Input("depth", (None, 6, 5, 1), "float32", kind="real")
TOKENS = Input("tokens", (None, 4), "int32", kind="ids")
AGE, CITY = Input("age", (None, 1), "float32", kind="real"), Input("city", (None, 1), "int64", kind="ids")


def spec(*ports: Input, known: bool = True) -> Spec:
    """Return what a predictor knows of an artefact with these inputs."""
    tensors = tuple(TensorSpec(port.name, port.shape, port.dtype) for port in ports)
    metadata = EmbeddedMetadata("m", "float32", tuple(port._replace(shape=(), dtype="") for port in ports))
    return Spec("m.tflite", "tflite", "e", "1", 1, tensors, (), metadata if known else None)


def read(path: Path | str, *ports: Input, known: bool = True, **options: bool) -> Samples:
    return read_samples([Path(path)], spec(*ports, known=known), **options)


@pytest.mark.parametrize("form", ["npy", "npz", "csv", "one.npy"])
def test_numbers_come_in_any_form(form: str, tmp_path: Path) -> None:
    rows = RANDOM.normal(size=(5, 3))
    path = tmp_path / f"a.{form}"
    if form == "csv":
        np.savetxt(path, rows, delimiter=",", header="a,b,c", comments="")
    elif form == "npz":
        np.savez(path, facts=rows, targets=np.arange(9))
    else:
        np.save(path, rows[0] if form == "one.npy" else rows)
    samples = read(path, FACTS)
    expected = rows[:1] if form == "one.npy" else rows
    np.testing.assert_array_equal(samples.values["facts"], expected.astype(np.float32))
    names = {"csv": f"{path}:2", "one.npy": str(path)}
    assert samples.names[0] == names.get(form, f"{path}[0]")
    assert (len(samples.names), samples.pictures) == (len(expected), ())


def test_a_row_fills_the_axes_the_last_one_fastest(tmp_path: Path) -> None:
    rows = RANDOM.normal(size=(3, 16))
    np.savetxt(tmp_path / "a.csv", rows, delimiter=";")
    values = read(tmp_path / "a.csv", SIGNAL).values["signal"]
    np.testing.assert_array_equal(values, rows.reshape(3, 8, 2).astype(np.float32))
    free = Input("signal", (None, None, 2), "float32", kind="real")
    np.testing.assert_array_equal(read(tmp_path / "a.csv", free).values["signal"], values)


def test_several_inputs_come_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", facts=np.ones((2, 3)), tokens=np.ones((2, 4), np.int64))
    assert read(tmp_path / "a.npz", FACTS, TOKENS).values.keys() == {"facts", "tokens"}
    (tmp_path / "a.csv").write_text("city,age\n3,41.5\n4,17\n")
    with pytest.raises(InputError, match="got float64 for city, expected whole numbers"):
        read(tmp_path / "a.csv", AGE, CITY)
    (tmp_path / "a.csv").write_text("city,age\n3,41\n4,17\n")
    values = read(tmp_path / "a.csv", AGE, CITY).values
    assert values["age"].tolist() == [[41], [17]]
    assert (values["city"].tolist(), values["city"].dtype) == ([[3], [4]], np.int64)


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("x_test", "y_test"), ("images", "labels"), ("facts_test", "y")])
def test_samples_that_stand_beside_targets_are_found_by_their_name(x: str, y: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{x: np.ones((2, 3)), y: np.arange(2)})
    samples = read(tmp_path / "a.npz", FACTS)
    assert samples.values["facts"].tolist() == [[1, 1, 1]] * 2
    assert samples.notes == (f"{tmp_path / 'a.npz'}: took {x}, left out {y}",)
    tokens = np.ones((2, 4), np.int64)
    np.savez(tmp_path / "two.npz", facts_test=np.ones((2, 3)), tokens_test=tokens, y_test=np.arange(2))
    assert read(tmp_path / "two.npz", FACTS, TOKENS).values.keys() == {"facts", "tokens"}


def test_columns_are_found_by_the_names_that_the_model_learned(tmp_path: Path) -> None:
    port = FACTS._replace(columns=("a", "b", "c"))
    (tmp_path / "a.csv").write_text("c,id,b,a\n3,x,2,1\n")
    samples = read(tmp_path / "a.csv", port)
    assert samples.values["facts"].tolist() == [[1, 2, 3]]
    assert samples.notes == (f"{tmp_path / 'a.csv'}: left out the columns id, which the model does not take",)
    (tmp_path / "a.csv").write_text("3,2,1\n")
    samples = read(tmp_path / "a.csv", port)
    assert samples.values["facts"].tolist() == [[3, 2, 1]]
    assert samples.notes == (f"{tmp_path / 'a.csv'}: no line of names, so its columns are taken to be a, b, c",)
    (tmp_path / "a.csv").write_text("a,b,d\n1,2,3\n")
    with pytest.raises(InputError, match="it lacks the column c of the model's a, b, c, and has d, which it does not"):
        read(tmp_path / "a.csv", port)
    (tmp_path / "two.csv").write_text("note,city,age\nx,3,41\n")
    samples = read(tmp_path / "two.csv", AGE, CITY)
    assert (samples.values["age"].tolist(), samples.values["city"].tolist()) == ([[41]], [[3]])
    assert "left out the columns note" in samples.notes[0]


def test_pixels_are_bytes_whatever_the_form(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (2, 6, 5), np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    np.save(tmp_path / "wide.npy", pixels.astype(np.int64))
    np.savetxt(tmp_path / "a.csv", pixels.reshape(2, -1), fmt="%d", delimiter=",")
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    for name in ("a.npy", "wide.npy", "a.csv", "a.png"):
        values = read(tmp_path / name, IMAGE).values["image"]
        assert values.dtype == np.uint8
        np.testing.assert_array_equal(values[..., 0], pixels[: len(values)])
    assert read(tmp_path / "a.png", IMAGE).pictures == (tmp_path / "a.png",)
    np.save(tmp_path / "scaled.npy", pixels / 255)
    with pytest.raises(InputError, match=r"got float64 from .* whole numbers from 0 to 255 .* -1 to 1, is"):
        read(tmp_path / "scaled.npy", IMAGE)
    np.save(tmp_path / "far.npy", np.linspace(0, 300, 30).astype(np.int64).reshape(1, 6, 5, 1))
    with pytest.raises(InputError, match="got int64 from 0 to 300"):
        read(tmp_path / "far.npy", IMAGE)
    # Of a file that says nothing, both may be.
    foreign = IMAGE._replace(kind="", range=None)
    assert read(tmp_path / "scaled.npy", foreign, known=False).values["image"].dtype == np.float32
    assert read(tmp_path / "a.png", foreign, known=False).values["image"].dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 40), (1, 40, 1), (None, None)])
def test_sound_is_read_for_raw_audio(shape: tuple, tmp_path: Path) -> None:
    wave = RANDOM.integers(-(2**15), 2**15, 40).astype(np.int16)
    wavfile.write(tmp_path / "a.wav", 8_000, wave)
    samples = read(tmp_path / "a.wav", SOUND._replace(shape=shape))
    assert samples.values["sound"].shape == (1, 40, *[1] * (len(shape) - 2))
    np.testing.assert_array_equal(samples.values["sound"].ravel(), wave / np.float32(2**15))
    assert samples.notes == ("sound of 8,000 Hz; the model must have learned the same",)


def test_stereo_keeps_its_channels(tmp_path: Path) -> None:
    wave = RANDOM.normal(size=(8, 2)).astype(np.float32)
    wavfile.write(tmp_path / "a.wav", 8_000, wave)
    np.testing.assert_array_equal(read(tmp_path / "a.wav", SIGNAL).values["signal"], wave[np.newaxis])


def test_lines_come_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b,c\n1,2,3\n\n4,5,6\n")))
    samples = read("-", FACTS)
    assert (samples.names, samples.values["facts"].tolist()) == (("-:2", "-:4"), [[1, 2, 3], [4, 5, 6]])


def test_files_of_several_forms_keep_their_order(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.float32([1, 2, 3]))
    (tmp_path / "b.csv").write_text("4,5,6\n7,8,9\n")
    paths = [tmp_path / name for name in ("b.csv", "a.npy", "b.csv")]
    samples = read_samples(paths, spec(FACTS))
    assert samples.values["facts"][:, 0].tolist() == [4, 7, 1, 4, 7]
    assert [len(part.names) for part in samples.parts(2)] == [2, 2, 1]
    Image.new("L", (5, 6)).save(tmp_path / "a.png")
    np.save(tmp_path / "c.npy", np.zeros((6, 5), np.uint8))
    assert read_samples([tmp_path / "a.png", tmp_path / "c.npy"], spec(IMAGE)).pictures == ()


def wrong(folder: Path) -> dict[str, Path]:
    """Return files that some model does not take."""
    np.save(folder / "four.npy", np.zeros((2, 4)))
    np.save(folder / "none.npy", np.zeros((0, 3)))
    np.save(folder / "nan.npy", np.array([[1, np.nan, 2]]))
    np.save(folder / "text.npy", np.array([["a", "b", "c"]]))
    np.save(folder / "pickle.npy", np.array([[{}, {}, {}]]), allow_pickle=True)
    np.savez(folder / "two.npz", a=np.zeros(3), b=np.zeros(3))
    np.savez(folder / "counts.npz", facts=np.zeros((2, 3)), tokens=np.zeros((3, 4), int))
    np.savez(folder / "splits.npz", x_train=np.zeros((2, 3)), x_test=np.zeros((2, 3)))
    (folder / "text.npz").write_text("facts\n")
    (folder / "four.csv").write_text("1,2,3,4\n")
    Image.new("RGB", (9, 9)).save(folder / "a.png")
    wavfile.write(folder / "long.wav", 8_000, np.zeros(80, np.int16))
    wavfile.write(folder / "stereo.wav", 8_000, np.zeros((40, 2), np.int16))
    (folder / "cut.wav").write_bytes((folder / "long.wav").read_bytes()[:60])
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "ports", "message"),
    [
        (
            "four.npy",
            (FACTS,),
            r"got float64 \(2, 4\), expected \(3\) for one sample of facts, or \(n, 3\)",
        ),
        ("none.npy", (FACTS,), r"got an empty array \(0, 3\)"),
        ("nan.npy", (FACTS,), r"got nan at \[0, 1\] of facts, and 1 such values in all, expected finite"),
        ("text.npy", (FACTS,), "got <U1 for facts, expected numbers"),
        ("pickle.npy", (FACTS,), r"damaged, or not a .npy file of a plain array \(it holds Python objects\)$"),
        ("text.npz", (FACTS,), r"damaged, or not a .npz file of plain arrays \(it does not begin as one\)$"),
        ("splits.npz", (FACTS,), "got the arrays x_train, x_test, expected facts, or one array x, or one alone"),
        ("none.npy", (FACTS, TOKENS), r"has no names for the inputs facts, tokens: give FILE\.npz"),
        ("two.npz", (FACTS,), "got the arrays a, b, expected facts, or one array x, or one alone"),
        ("counts.npz", (FACTS, TOKENS), "got 2 of facts, 3 of tokens, expected as many samples of each input"),
        ("four.csv", (FACTS,), "got 4 numbers a row, expected 3, for facts .* as the target, must be left out"),
        ("four.csv", (AGE, CITY), "got no names of columns, expected one for each input of the model, age and city"),
        (
            "a.png",
            (FACTS,),
            r"takes facts float32 \(n, 3\), no pictures: give .npy, .npz, .csv or .wav with",
        ),
        ("a.png", (DEPTH,), r"the model takes depth float32 \(n, 6, 5, 1\), no pictures"),
        ("long.wav", (SOUND,), r"got 80 values at 8,000 Hz \(0\.01 s\), expected 40, as sound .* cut or pad it"),
        ("stereo.wav", (SOUND,), "got 2 channels, expected 1, .* mix it first .*-ac 1"),
        ("cut.wav", (SOUND,), "damaged or cut off"),
        ("long.wav", (IMAGE,), "got sound, and the model takes image"),
        ("long.wav", (TOKENS,), "got sound, and the model takes tokens"),
        ("missing.csv", (FACTS,), r"cannot read .*missing\.csv: No such file"),
    ],
)
def test_what_the_model_does_not_take_is_one_line(
    name: str, ports: tuple[Input, ...], message: str, tmp_path: Path
) -> None:
    path = wrong(tmp_path).get(name, tmp_path / name)
    with pytest.raises(InputError, match=message) as caught:
        read(path, *ports)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_pictures_are_inverted(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"--invert: got it with .*a\.npy, expected it with pictures"):
        read(tmp_path / "a.npy", FACTS, invert=True)


def test_a_model_without_an_axis_of_samples_is_for_python(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(InputError, match="where no axis counts samples"):
        read(tmp_path / "a.npy", Input("threshold", (), "float32"), known=False)


def test_pixels_are_not_taken_for_real_values(tmp_path: Path) -> None:
    """A model that scales outside was exported from floats: raw pixels would be answered, and wrongly."""
    np.save(tmp_path / "photo.npy", np.full((6, 5, 1), 200, np.uint8))
    with pytest.raises(InputError, match="got uint8 pixels for depth, which takes real values as they are"):
        read(tmp_path / "photo.npy", DEPTH)
    np.save(tmp_path / "real.npy", np.full((6, 5, 1), 0.5, np.float32))
    assert read(tmp_path / "real.npy", DEPTH).values["depth"].dtype == np.float32
