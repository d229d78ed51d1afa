"""Data sets: fixed splits, recorded digests, and every file that is not what it should be."""

import gzip
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.benchmarks.sweep.pools.dataset_archive import read_archive, write_archive
from edgeport.runtime import InputError
from edgeport.runtime.cli import main
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.train import Dataset, Split, load_dataset
from edgeport.train.datasets.dataset import stratified


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("mnist-5k")


def test_mnist_5k_is_the_same_for_everyone(digits: Dataset) -> None:
    assert {name: len(split) for name, split in digits.splits.items()} == {
        "train": 4000,
        "validation": 500,
        "test": 500,
    }
    assert digits.sha256 == "c0126b89e5b44e858ade54d069032f63370704b62c1f609557e38f4443055598"


def test_mnist_5k_is_stratified_and_its_splits_share_nothing(digits: Dataset) -> None:
    for split in digits.splits.values():
        assert set(np.bincount(split.classes)) == {len(split) // 10}
    seen = [{image.tobytes() for image in split.samples} for split in digits.splits.values()]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


def test_images_are_raw_pixels(digits: Dataset) -> None:
    assert digits.train.samples.dtype == np.uint8
    assert digits.sample_shape == (28, 28, 1)
    assert (digits.train.samples.min(), digits.train.samples.max()) == (0, 255)


def test_the_digest_sees_every_pixel_label_and_split(digits: Dataset) -> None:
    changed = digits.test.samples.copy()
    changed[-1, -1, -1] ^= 1
    other = Split(changed, digits.test.classes)
    for splits in ({"test": other}, {"validation": digits.test, "test": digits.validation}):
        assert Dataset("x", {**digits.splits, **splits}, digits.labels).sha256 != digits.sha256
    turned = dict(reversed(digits.splits.items()))
    assert Dataset("x", turned, digits.labels).sha256 == digits.sha256


def test_stratified_keeps_every_example_once() -> None:
    classes = np.repeat([0, 1, 2], [10, 20, 70]).astype(np.int64)
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    splits = stratified(images, classes, shares=(0.8, 0.1, 0.1), seed=3)
    assert [np.bincount(split.classes).tolist() for split in splits] == [[8, 16, 56], [1, 2, 7], [1, 2, 7]]
    assert sorted(np.concatenate([split.samples.ravel() for split in splits])) == list(range(100))


def test_unknown_names_are_reported_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean mnist-5k"):
        load_dataset("mnist5k")
    with pytest.raises(InputError, match="no such"):
        load_dataset("some/folder")


def write_npz(path: Path, **changes: object) -> Path:
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(0, 256, (50, 8, 9), np.uint8),
        "y_train": np.arange(50) % 5,
        "x_test": random.integers(0, 256, (10, 8, 9), np.uint8),
        "y_test": np.arange(10) % 5,
        **changes,
    }
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_a_users_npz(tmp_path: Path) -> None:
    loaded = load_dataset(str(write_npz(tmp_path / "a.npz", labels=np.array(list("abcde")))))
    assert {name: len(split) for name, split in loaded.splits.items()} == {"train": 45, "validation": 5, "test": 10}
    assert loaded.labels == tuple("abcde")
    assert loaded.sample_shape == (8, 9, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "lacks y_test"),
        ({"x_train": np.zeros((50, 8, 9), np.float32)}, "got samples uint8 .* expected float32"),
        ({"y_train": np.zeros(50, np.float32)}, "expected integers"),
        ({"y_train": np.arange(49) % 5}, "50 samples and 49 labels"),
        ({"y_test": np.full(10, 5)}, "labels from 5 to 5, expected 0 to 4"),
        ({"y_test": np.full(10, -1)}, "labels from -1"),
        ({"x_test": np.zeros((10, 7, 9), np.uint8)}, r"shape \(n, 8, 9, 1\)"),
        ({"labels": np.array(["only"])}, "got 1 class"),
        ({"x_val": np.zeros((3, 8, 9), np.uint8)}, "lacks y_val"),
        ({"labels": np.array([object()])}, "plain arrays"),
        ({"labels": np.array(["a", "a", "b", "c", "d"])}, "same label"),
        ({"y_train": np.full(50, 300_000_000)}, "got the class number 300000000"),
        ({"x_train": np.zeros((50, 8, 9, 2), np.uint8), "x_test": np.zeros((10, 8, 9, 2), np.uint8)}, "2 channels"),
    ],
)
def test_a_users_npz_that_is_wrong_is_reported(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(str(write_npz(tmp_path / "a.npz", **changes)))


def test_an_npz_with_something_else_inside_is_reported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train", b"no array")
    with pytest.raises(InputError, match="something else than arrays"):
        load_dataset(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 truncated"])
def test_a_damaged_npz_is_reported(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot read"):
        load_dataset(str(tmp_path / "a.npz"))


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    for name, shade in (("cat", 10), ("dog", 200)):
        (tmp_path / name).mkdir()
        for number in range(20):
            Image.new("L", (30, 20), shade).save(tmp_path / name / f"{number}.png")
    loaded = load_dataset(str(tmp_path))
    assert loaded.labels == ("cat", "dog")
    assert loaded.sample_shape == (20, 30, 1)
    assert {name: len(split) for name, split in loaded.splits.items()} == {"train": 32, "validation": 4, "test": 4}
    assert set(loaded.test.samples[loaded.test.classes == 1].ravel()) == {200}
    (tmp_path / "dog" / "0.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"0\.png: not an image"):
        load_dataset(str(tmp_path))


def test_pictures_of_any_size_take_the_size_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("RGB", (300 + number, 200), (number, 90, 200)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(InputError, match=r"0\.png is 300x200, 1\.png 301x200: say which size .* such as --image-size"):
        load_dataset(str(tmp_path))
    loaded = load_dataset(str(tmp_path), image_shape=(24, 32, None))
    assert (loaded.sample_shape, loaded.resizing) == ((24, 32, 3), Resizing("stretch", "bilinear"))
    assert load_dataset(str(tmp_path), image_shape=(24, 32, 1)).sample_shape == (24, 32, 1)
    framed = load_dataset(str(tmp_path), image_shape=(24, 32, None), resizing=Resizing("letterbox", "lanczos"))
    assert framed.resizing == Resizing("letterbox", "lanczos")
    write_archive(tmp_path / "a.npz", replace(framed, columns=("a", "b")))
    travelled = read_archive(tmp_path / "a.npz")
    assert (travelled.resizing, travelled.sha256) == (framed.resizing, framed.sha256)
    assert travelled.columns == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("--dataset", "mnist-5k", "--resize", "crop"),
            "--resize, --interpolation: got it with mnist-5k",
        ),
        (("--dataset", "a.npz", "--image-size", "8x8"), "--image-size: got it with a.npz"),
        (("--dataset", ".", "--image-size", "96"), "--image-size: got '96', expected height x width"),
        (("--dataset", ".", "--image-size", "0x96"), "--image-size: got '0x96'"),
    ],
)
def test_a_size_that_is_none_is_refused(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments, "-o", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_classes_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got a folder without images, expected PNG or JPEG files, or folders of them"):
        load_dataset(str(tmp_path))


def write_idx(folder: Path, *, count: int, test_labels: np.ndarray) -> None:
    for name, array in (
        ("train-images-idx3-ubyte", np.zeros((count, 28, 28), np.uint8)),
        ("train-labels-idx1-ubyte", np.zeros(count, np.uint8)),
        ("t10k-images-idx3-ubyte", np.zeros((10_000, 28, 28), np.uint8)),
        ("t10k-labels-idx1-ubyte", test_labels),
    ):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (folder / f"{name}.gz").write_bytes(gzip.compress(head + array.tobytes(), 1))


def test_idx_files_are_read_and_another_data_set_is_noticed(tmp_path: Path) -> None:
    write_idx(tmp_path, count=60_000, test_labels=np.zeros(10_000, np.uint8))
    fashion = load_dataset("fashion-mnist", data_dir=tmp_path)
    assert {name: len(split) for name, split in fashion.splits.items()} == {
        "train": 55_000, "validation": 5_000, "test": 10_000,
    }  # fmt: skip
    with pytest.raises(InputError, match="another data set"):
        load_dataset("mnist", data_dir=tmp_path)


def test_idx_files_that_are_wrong_are_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mnist-5k, which is installed"):
        load_dataset("mnist", data_dir=tmp_path)
    write_idx(tmp_path, count=100, test_labels=np.zeros(10_000, np.uint8))
    with pytest.raises(InputError, match="expected 60,000"):
        load_dataset("mnist", data_dir=tmp_path)
    whole = (tmp_path / "t10k-labels-idx1-ubyte.gz").read_bytes()
    for content, message in (
        (whole[:-20], "cannot read"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x09abc"), "damaged"),
        (gzip.compress(b"\0\0\x08\x03\0\0"), "damaged"),
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12), "damaged"),
    ):
        (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
        with pytest.raises(InputError, match=message):
            load_dataset("mnist", data_dir=tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match="lacks t10k-images"):
        load_dataset("mnist", data_dir=tmp_path)
