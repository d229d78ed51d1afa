"""Data as people have them: every form becomes the same samples, for training and for calibration alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.export import load_calibration
from edgeport.export.verification.calibration_files import read_parts, read_splits
from edgeport.runtime import InputError
from edgeport.runtime.artefact.contract import Input
from edgeport.train import Dataset, load_dataset
from edgeport.train.datasets.data import Data, Part, numbered_as
from edgeport.train.datasets.forms import with_target
from edgeport.train.datasets.function import MOST_SAMPLES, check_user_named_it
from edgeport.train.datasets.named_arrays import data_of

FEATURES = Input("facts", (None, 4), "float32")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4)).astype(np.float32)
Y = np.arange(60) % 3


def table(folder: Path, *, target: str = "kind", names: tuple[str, ...] = ("oak", "ash", "elm")) -> Path:
    """Return a CSV file of X, with a column of text between its numbers."""
    lines = [f"a,b,{target},c,d"]
    lines += [f"{a!r},{b!r},{names[y]},{c!r},{d!r}" for (a, b, c, d), y in zip(X.tolist(), Y, strict=True)]
    (folder / "trees.csv").write_text("\n".join(lines))
    return folder / "trees.csv"


def script(folder: Path, body: str) -> Path:
    """Return a Python file that knows X and Y."""
    np.savez(folder / "arrays.npz", x=X, y=Y)
    head = f"import numpy as np\nX, Y = (np.load({str(folder / 'arrays.npz')!r})[key] for key in 'xy')\n"
    (folder / "data.py").write_text(head + body)
    return folder / "data.py"


def npz(**arrays: np.ndarray) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        np.savez(folder / "a.npz", **arrays)
        return str(folder / "a.npz")

    return write


BATCHES = "def load():\n    for at in range(0, 60, 7):\n        yield X[at:at + 7], Y[at:at + 7]\n"
WHOLE: dict[str, Callable[[Path], str]] = {
    "x, y": npz(x=X, y=Y),
    "images, labels": npz(images=X, labels=Y),
    "X, y of scikit-learn, one-hot": npz(X=X, Y=np.eye(3)[Y]),
    "a column of targets": npz(data=X, target=Y[:, np.newaxis]),
    "features by the input's name": npz(facts=X, y=Y),
    "train alone": npz(x_train=X, y_train=Y),
    "train in front": npz(train_images=X, train_labels=Y),
    "CSV": lambda folder: f"{table(folder)}:kind",
    "an array of text": npz(x=X, y=np.array(["ash", "elm", "oak"])[Y]),
}


@pytest.mark.parametrize("form", WHOLE)
def test_forms_that_hold_the_same_give_the_same_splits(form: str, tmp_path: Path) -> None:
    dataset = load_dataset(WHOLE[form](tmp_path), inputs=(FEATURES,))
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 48, "validation": 6, "test": 6}
    assert dataset.sample_shape == (4,)
    classes = {tuple(row): y for row, y in zip(X.tolist(), Y, strict=True)}
    seen = [tuple(row) for split in dataset.splits.values() for row in split.samples.tolist()]
    assert sorted(seen) == sorted(classes)
    # The classes of text are in the order of the alphabet.
    names = ("oak", "ash", "elm") if form == "CSV" else ("ash", "elm", "oak") if "text" in form else ("0", "1", "2")
    for split in dataset.splits.values():
        assert [dataset.labels[each] for each in split.classes] == [
            names[classes[tuple(x)]] for x in split.samples.tolist()
        ]
        assert set(np.bincount(split.classes)) == {len(split) // 3}


@pytest.mark.parametrize("form", WHOLE)
def test_calibration_divides_as_training_does_and_never_sees_the_test_split(form: str, tmp_path: Path) -> None:
    source = WHOLE[form](tmp_path)
    dataset, splits = load_dataset(source, inputs=(FEATURES,)), read_splits(source, (FEATURES,))
    np.testing.assert_array_equal(splits.train["facts"], dataset.train.samples)
    np.testing.assert_array_equal(splits.held_out["facts"], dataset.validation.samples)


def test_arrays_that_are_divided_stay_so() -> None:
    arrays = {f"{kind}_{name}": (X if kind == "x" else Y)[:10] for kind in "xy" for name in ("train", "val", "test")}
    data = data_of({**arrays, "labels": np.array(["a", "b", "c"]), "weights": Y}, [], named="a.npz")
    assert (set(data.parts), data.labels) == ({"train", "validation", "test"}, ("a", "b", "c"))


def test_test_arrays_alone_are_for_evaluation_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "held.npz", x_test=X, y_test=Y)
    dataset = load_dataset(str(tmp_path / "held.npz"))
    np.testing.assert_array_equal(dataset.test.samples, X)
    with pytest.raises(InputError, match="got test samples alone, expected train samples too"):
        _ = dataset.train
    with pytest.raises(InputError, match="got test samples alone, expected others to calibrate on"):
        load_calibration(tmp_path / "held.npz", inputs=(FEATURES,))


def test_several_inputs_come_by_their_names(tmp_path: Path) -> None:
    ports = (Input("tokens", (None, 5), "int32"), FEATURES)
    tokens = RANDOM.integers(0, 9, (60, 5))
    np.savez(tmp_path / "a.npz", tokens=tokens, facts=X, y=Y)
    splits = read_splits(str(tmp_path / "a.npz"), ports)
    assert splits.train.keys() == {"tokens", "facts"}
    with pytest.raises(InputError, match="samples of the inputs tokens, facts, expected those of one input"):
        load_dataset(str(tmp_path / "a.npz"), inputs=ports)


def test_columns_are_the_inputs_of_a_model_with_one_number_each(tmp_path: Path) -> None:
    ports = (Input("width", (None, 1), "float32"), Input("count", (None, 1), "int64"))
    rows = "\n".join(f"{number},{number + 1},7" for number in range(20))
    (tmp_path / "a.csv").write_text(f"count,width,kind\n{rows}")
    splits = read_splits(f"{tmp_path / 'a.csv'}:kind", ports)
    assert {name: (each.dtype.name, each.shape) for name, each in splits.train.items()} == {
        "width": ("float32", (16, 1)),
        "count": ("int64", (16, 1)),
    }
    assert (splits.train["width"] == splits.train["count"] + 1).all()


def test_a_table_keeps_the_names_of_its_columns_and_their_order(tmp_path: Path) -> None:
    (port,) = load_calibration(f"{table(tmp_path)}:kind", inputs=(FEATURES,)).inputs
    assert port.columns == load_dataset(f"{table(tmp_path)}:kind").columns == ("a", "b", "c", "d")
    mixed = FEATURES._replace(columns=("d", "a", "b", "c"))
    found = load_calibration(f"{table(tmp_path)}:kind", inputs=(mixed,))
    assert found.inputs[0].columns == mixed.columns
    rows = {tuple(row) for row in X[:, [3, 0, 1, 2]].tolist()}
    assert {tuple(row) for row in found.held_out["facts"].tolist()} <= rows
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    assert load_calibration(tmp_path / "a.npz", inputs=(mixed,)).inputs[0].columns == mixed.columns


def test_values_are_divided_at_random_and_are_no_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=X[:, 0])
    data = read_parts(str(tmp_path / "a.npz"), (FEATURES,))
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 48, "validation": 6, "test": 6}
    rows = np.concatenate([part.inputs[""] for part in data.parts.values()])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, X.tolist()))
    assert all((part.inputs[""][:, 0] == part.targets).all() for part in data.parts.values())
    with pytest.raises(InputError, match=r"got targets float32 \(60,\), expected integers \(n,\), the classes from 0"):
        load_dataset(str(tmp_path / "a.npz"))


def test_classes_with_too_few_samples_are_divided_at_random_and_keep_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X[:12], y=np.array(["ash", "elm", "oak", "yew"])[np.arange(12) % 4])
    splits = read_splits(str(tmp_path / "a.npz"), (FEATURES,))
    assert (len(splits.train["facts"]), len(splits.held_out["facts"])) == (10, 1)
    assert splits.labels == ("ash", "elm", "oak", "yew")


@pytest.mark.parametrize("targets", [Y, np.array(["ash", "elm", "oak"])[Y]], ids=["numbers", "text"])
def test_targets_take_the_numbers_that_the_model_has_for_its_classes(targets: np.ndarray) -> None:
    data = Data("d", {"test": Part({"": X}, targets)})
    numbered = numbered_as(data, ("oak", "ash", "elm", "yew"))
    assert numbered.labels == ("oak", "ash", "elm", "yew")
    expected = Y if targets is Y else (Y + 1) % 3
    np.testing.assert_array_equal(numbered.parts["test"].targets, expected)
    assert numbered_as(data, ()) is data


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.array(["ash", "fir", "oak"])[Y], "d: got the class fir, expected those of the model: ash, oak"),
        (Y, "d: got class numbers from 0 to 2, expected 0 to 1, those of the model: ash, oak"),
        (Y - 1, "d: got class numbers from -1 to 1, expected 0 to 1"),
    ],
)
def test_classes_that_the_model_does_not_have_are_reported(targets: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        numbered_as(Data("d", {"test": Part({"": X}, targets)}), ("ash", "oak"))


GIVES = {
    "a generator": BATCHES,
    "a list": "def load():\n    return [(X[:30], Y[:30]), (X[30:], Y[30:])]",
    "one batch": "def load():\n    return X, Y",
    "arrays by name": "def load():\n    return {'x': X, 'y': Y}",
    "batches by name, as of datasets": "def load():\n    yield {'features': X.tolist(), 'label': Y.tolist(), 'idx': Y}",
    "inputs by name, and weights": "def load():\n    yield {'facts': X}, Y, Y",
    "a sequence of Keras": "class S:\n    def __len__(self):\n        return 2\n    def __getitem__(self, at):\n"
    "        return X[at * 30:][:30], Y[at * 30:][:30]\ndef load():\n    return S()",
}


@pytest.mark.parametrize("gives", GIVES)
def test_a_function_gives_batches(gives: str, tmp_path: Path) -> None:
    source = f"{script(tmp_path, GIVES[gives])}:load"
    dataset = load_dataset(source, inputs=(FEATURES,))
    assert sum(map(len, dataset.splits.values())) == 60
    assert set(map(tuple, np.concatenate([each.samples for each in dataset.splits.values()]).tolist())) == set(
        map(tuple, X.tolist())
    )
    assert dataset.name == source


def test_a_function_is_called_once_and_asked_for_no_more_than_needed(tmp_path: Path) -> None:
    body = (
        "from helper import SIZE\nfrom pathlib import Path\nfrom itertools import count\n"
        "def load():\n    for n in count():\n"
        "        with open(Path(__file__).parent / 'asked', 'a') as file:\n            file.write(f'{n} ')\n"
        "        yield np.random.default_rng(n).normal(size=(SIZE, 4)).astype('float32'), np.arange(SIZE) % 3\n"
    )
    (tmp_path / "helper.py").write_text("SIZE = 16")
    source = f"{script(tmp_path, body)}:load"
    calibration = load_calibration(source, inputs=(FEATURES,), count=50)
    # Twice as many as calibrate, in whole batches: 7 x 16.
    assert (tmp_path / "asked").read_text() == "0 1 2 3 4 5 6 "
    assert calibration.count == 50
    more = read_splits(source, (FEATURES,), most=1000)
    few = read_splits(source, (FEATURES,), most=100)
    # However many are read, the first ones are divided alike: what training keeps for its test is never calibrated on.
    assert (more.train["facts"][: len(few.train["facts"])] == few.train["facts"]).all()


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        (BATCHES, "lod", r"unknown function of .*data\.py 'lod': did you mean load\? \(known: load\)"),
        ("def load():\n    a = {}\n    return a['x\\ny']", "load", r"load fails with KeyError: .* \(data\.py:5\)$"),
        ("def load():\n    yield X, Y\n    raise OSError('gone')", "load", r"fails with OSError: gone \(data\.py:5\)$"),
        ("def load(x):\n    pass", "load", "fails with TypeError"),
        ("def load():\n    exit('bye')", "load", r"fails with SystemExit: bye \(data\.py:4\)"),
        ("raise ValueError('a\\nb')", "load", r"data\.py fails with ValueError: a b \(data\.py:3\)"),
        ("def load(:", "load", r"fails with SyntaxError: .*\(data\.py:3\)"),
        ("def load():\n    pass", "load", r"got nothing \(None\), expected an iterable of batches"),
        ("def load():\n    return X", "load", "got a ndarray, expected an iterable of batches"),
        ("def load():\n    return []", "load", "got no batches"),
        ("def load():\n    yield X, Y[:3]", "load", "batch 1: got 3 and 60 inputs and targets, expected as many"),
        ("def load():\n    yield X, Y\n    yield X[:, :3], Y", "load", r"batch 2: got inputs float32 \(n, 3\)"),
        ("def load():\n    yield 1.0, 2", "load", "got a single sample or none, expected a batch"),
        ("def load():\n    yield object(), Y", "load", "got a object of object, expected arrays of numbers"),
        ("def load():\n    yield [[1], [2, 3]], Y", "load", "got a list that is no array"),
        ("def load():\n    yield 1, 2, 3, 4", "load", "got 4 members, expected a batch"),
        ("def load():\n    yield {'z': X, 'w': X}", "load", "batch 1: got the arrays z, w, expected names that say"),
    ],
)
def test_a_function_that_does_something_else_is_reported_in_one_line(
    body: str, name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(f"{script(tmp_path, body)}:{name}")
    assert "\n" not in str(caught.value)


def test_a_function_without_an_end_is_stopped(tmp_path: Path) -> None:
    body = "def load():\n    while True:\n        yield np.zeros((250_000, 1), 'int8'), np.zeros(250_000, 'int8')"
    with pytest.raises(InputError, match=f"got over {MOST_SAMPLES:,} samples without an end"):
        load_dataset(f"{script(tmp_path, body)}:load")


def test_code_that_a_record_names_does_not_run() -> None:
    with pytest.raises(InputError, match=r"names the data data\.py:load, which is Python code .*: --calibration data"):
        check_user_named_it("data.py:load", record="training.json", option="--calibration")
    check_user_named_it("a.npz", record="training.json", option="--calibration")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y[:-1]}, "60 samples and 59 labels"),
        ({"x": X[:0], "y": Y[:0]}, "got no samples, expected at least one"),
        ({"x": X, "X": X, "y": Y}, "got both x and X, expected one array of samples"),
        ({"x": X, "x_test": X}, "got both x and x_test, expected all samples divided, or none"),
        ({"y": Y}, "got the arrays y, expected names that say what is what"),
        ({"x_train": X, "y_train": Y, "y_test": Y}, "got y_test without its samples"),
        (
            {"x": np.where(X > 2, np.nan, X), "y": Y},
            r"got nan at \[\d+, \d\], and \d such values in all",
        ),
        ({"x": np.float64(3), "y": Y}, "got a single number"),
        ({"x": X}, r"lacks targets, expected a class for each sample: an array y, .* \(--target COLUMN\)"),
        ({"x": X.astype(str), "y": Y}, "got samples <U32"),
        ({"x": X, "y": np.arange(60)}, "60 samples, which are too few for train, validation, test"),
        ({"x": X, "y": Y, "labels": np.array(["a", "b"])}, "labels from 0 to 2, expected 0 to 1"),
    ],
)
def test_arrays_that_are_no_data_set_are_reported(arrays: dict, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_dataset(str(tmp_path / "a.npz"))


def test_a_target_belongs_to_a_table(tmp_path: Path) -> None:
    assert with_target("a.csv", "kind") == "a.csv:kind"
    for source, target in (("a.npz", "y"), ("a.csv:y", "z"), (None, "y")):
        with pytest.raises(InputError, match=r"--target: got .* expected it with FILE\.csv"):
            with_target(source, target)
    with pytest.raises(InputError, match=r"column 3\): got 'oak', expected a finite number"):
        load_dataset(str(table(tmp_path)))
    with pytest.raises(InputError, match="got 4 numbers a row, expected 5, for facts"):
        read_splits(f"{table(tmp_path)}:kind", (Input("facts", (None, 5), "float32"),))


def photos(folder: Path, *sizes: tuple[int, int], mode: str = "RGB") -> Dataset:
    for name in ("cat", "dog"):
        (folder / name).mkdir(exist_ok=True)
        for number in range(10):
            Image.new("L", sizes[number % len(sizes)], 20 * number).convert(mode).save(folder / name / f"{number}.png")
    return load_dataset(str(folder))


def test_no_photo_decides_the_size_of_others(tmp_path: Path) -> None:
    assert photos(tmp_path, (30, 20)).sample_shape == (20, 30, 3)
    assert photos(tmp_path, (30, 20), mode="L").sample_shape == (20, 30, 1)
    with pytest.raises(InputError, match=r"0\.png is 30x20, 1\.png 20x30: say which size"):
        photos(tmp_path, (30, 20), (20, 30))
    with pytest.raises(InputError, match=r"0\.png is 300x20: say which size"):
        photos(tmp_path, (300, 20))
    Image.new("L", (300, 20)).save(tmp_path / "cat" / "0.png")
    assert load_dataset(str(tmp_path), image_shape=(8, 8, None)).sample_shape == (8, 8, 3)


def test_folders_of_photos_take_the_models_size_for_calibration(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="say which size"):
        photos(tmp_path / "photos", (30, 20), (20, 30))
    picture = Input("image", (None, 12, 8, 3), "float32")
    for folder in (tmp_path / "photos", tmp_path / "photos" / "cat"):
        samples = load_calibration(folder, inputs=(picture,), count=10)
        assert samples.shapes["image"][1:] == (12, 8, 3)
