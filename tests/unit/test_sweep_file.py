"""The file of a sweep: what it may say, and what is reported of what it may not."""

import json
import re
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.sweep.cells.cell import Order, differences, identity_of, order_text, read_order
from edgeport.benchmarks.sweep.cells.definitions import own_definition
from edgeport.benchmarks.sweep.pools.dataset_archive import read_archive, write_archive
from edgeport.benchmarks.sweep.sweep_file import read_sweep_file
from edgeport.runtime.cli import main
from edgeport.runtime.errors import InputError
from edgeport.train.datasets.named import load_dataset
from edgeport.train.loop.recipe import OWN_MODEL, RECIPES

GOOD = """
dataset = "mnist-5k"
models = ["edge", "classic"]
seeds = [3, 4]
"""


def written(text: str, folder: Path) -> Path:
    (folder / "sweep.toml").write_text(text)
    return folder / "sweep.toml"


def keras_file(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    return path


def test_without_recipes_each_model_has_its_own(tmp_path: Path) -> None:
    sweep = read_sweep_file(written(GOOD, tmp_path))
    assert [cell.name for cell in sweep.cells] == [
        "edge/default/seed-3", "classic/default/seed-3", "edge/default/seed-4", "classic/default/seed-4",
    ]  # fmt: skip
    assert all(cell.recipe == RECIPES[cell.model] for cell in sweep.cells)
    assert sweep.shared.precisions == ("float32", "int8")
    assert (sweep.shared.calibration, sweep.shared.threads, sweep.shared.score_test) == ("mnist-5k", 1, True)


def test_models_of_ones_own_are_files_and_functions_beside_the_file(tmp_path: Path) -> None:
    keras_file(tmp_path / "mine.keras")
    (tmp_path / "nets.py").write_text("def build(): ...\n")
    text = GOOD.replace('["edge", "classic"]', '["mine.keras", "nets.py:build", "edge"]')
    text = text.replace('"mnist-5k"', '"data.csv"\ntarget = "kind"')
    sweep = read_sweep_file(written(text, tmp_path))
    assert [(cell.model, cell.start) for cell in sweep.cells[:3]] == [
        ("mine", str(tmp_path / "mine.keras")),
        ("build", f"{tmp_path / 'nets.py'}:build"),
        ("edge", ""),
    ]
    assert [cell.recipe for cell in sweep.cells[:3]] == [OWN_MODEL, OWN_MODEL, RECIPES["edge"]]
    assert sweep.shared.dataset == f"{tmp_path / 'data.csv'}:kind"
    before = own_definition(sweep.cells[1].start)
    assert before != own_definition(f"{tmp_path / 'nets.py'}:other")
    (tmp_path / "nets.py").write_text("def build(): return 1\n")
    assert own_definition(sweep.cells[1].start) != before


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ('["mine.keras"]', "there is no file"),
        ('["nets.py:build"]', "there is no file"),
        ('["nets.py"]', "unknown model 'nets.py'"),
        ('["here.keras", "there/here.keras"]', "two that are called here"),
        ('["a b.keras"]', "got the name 'a b'"),
    ],
)
def test_a_model_of_ones_own_that_cannot_be_is_one_line(models: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("here.keras", "there/here.keras", "a b.keras"):
        keras_file(tmp_path / name)
    with pytest.raises(InputError, match=re.escape(message)):
        read_sweep_file(written(GOOD.replace('["edge", "classic"]', models), tmp_path))


def test_metric_and_meaning_of_ones_own_models_are_read(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("def f(truth, answers): return 1\n")
    text = 'metric = "m.py:f:up"\ntask = "values"\ninput = "pixels:0:1"\noutputs = ["angle=values:deg"]\n'
    sweep = read_sweep_file(written(GOOD.replace('"mnist-5k"', '"fsdd:recordings"') + text, tmp_path))
    shared = sweep.shared
    assert (shared.metric, shared.task) == (f"{tmp_path / 'm.py'}:f:up", "values")
    assert (shared.inputs, shared.outputs) == (("pixels:0:1",), ("angle=values:deg",))
    assert (shared.dataset, shared.calibration) == (f"fsdd:{tmp_path / 'recordings'}",) * 2
    before = shared.judged
    (tmp_path / "m.py").write_text("def f(truth, answers): return 2\n")
    assert shared.judged["metric"] != before["metric"]


def test_a_recipe_changes_fields_of_the_models_own(tmp_path: Path) -> None:
    keras_file(tmp_path / "big.keras")
    tables = '[recipes.plain]\n[recipes.taught]\nteacher = "big.keras"\nqat = true\nepochs = 2\nlearning_rate = 1\n'
    sweep = read_sweep_file(written(GOOD + tables, tmp_path))
    plain, taught = sweep.cells[0], sweep.cells[2]
    assert (plain.recipe, plain.teacher, plain.qat) == (RECIPES["edge"], None, False)
    assert taught.recipe == replace(RECIPES["edge"], epochs=2, learning_rate=1.0)
    assert isinstance(taught.recipe.learning_rate, float)
    assert (taught.teacher, taught.qat) == (tmp_path / "big.keras", True)


def test_a_recipe_can_be_for_some_of_the_models(tmp_path: Path) -> None:
    tables = '[recipes.plain]\nmodels = ["edge", "classic"]\n[recipes.qat]\nmodels = ["classic"]\nqat = true\n'
    cells = read_sweep_file(written(GOOD + tables, tmp_path)).cells
    assert [(cell.model, cell.recipe_name) for cell in cells if cell.seed == 3] == [
        ("edge", "plain"), ("classic", "plain"), ("classic", "qat")
    ]  # fmt: skip


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = GOOD.replace('"mnist-5k"', '"mine.npz"') + 'data_dir = "files"\ncalibration = "random"\n'
    shared = read_sweep_file(written(text, tmp_path)).shared
    assert (shared.dataset, shared.data_dir) == (str(tmp_path / "mine.npz"), tmp_path / "files")
    assert shared.calibration == "random"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds =", "sseds ="), "unknown key 'sseds': did you mean seeds?"),
        (('"edge"', '"egde"'), "unknown model 'egde': did you mean edge?"),
        (('dataset = "mnist-5k"', ""), "dataset: it is missing, expected a text"),
        (('dataset = "mnist-5k"', "dataset = 5"), "dataset: got 5, expected a text"),
        (("seeds = [3, 4]", ""), "seeds: it is missing, expected a list such as seeds = [0, 1, 2]"),
        (("[3, 4]", "3"), "seeds: got 3, expected a list"),
        (("[3, 4]", "[3, true]"), "seeds: got [3, True], expected a list"),
        (("[3, 4]", "[3, 3]"), "seeds: got 3 twice"),
        (("[3, 4]", "[-1]"), "seeds: got -1, expected 0 to 65535"),
        (("[3, 4]", '[3]\nprecisions = ["int9"]'), "unknown precision 'int9': did you mean int8?"),
        (("[3, 4]", "[3]\nthreads = 0"), "threads: got 0, expected a whole number from 1 to 1024"),
        (("[3, 4]", "[3]\nthreads = 1000000000"), "threads: got 1000000000, expected a whole number from 1 to 1024"),
        (("[3, 4]", "[3]\nlatency = 1"), "latency: got 1, expected true or false"),
        (("[3, 4]", "[3]\nrecipes = 5"), "recipes: expected a table for each recipe"),
        (("[3, 4]", "[3]\n[recipes.'a/b']"), "recipes: got the name 'a/b', expected up to 100 letters"),
        (("[3, 4]", "[3]\n[recipes.a]\nepoch = 5"), "unknown key of recipes.a 'epoch': did you mean epochs?"),
        (("[3, 4]", "[3]\n[recipes.a]\nmodels = ['egde']"), "unknown model of recipes.a 'egde': did you mean edge?"),
        (("[3, 4]", "[3]\n[recipes.a]\nmodels = 'edge'"), "recipes.a.models: got 'edge', expected a list"),
        (("[3, 4]", "[3]\n[recipes.a]\nmodels = []"), "recipes.a.models: got [], expected a list"),
        (("[3, 4]", "[3]\n[recipes.a]\nmodels = ['edge']"), "models: got classic, and no recipe is for it"),
        (("[3, 4]", "[3]\n[recipes.a]\nepochs = 0"), "recipes.a.epochs: got 0, expected 1 or more"),
        (("[3, 4]", "[3]\n[recipes.a]\nepochs = 2.5"), "recipes.a.epochs: got 2.5, expected a whole number"),
        (("[3, 4]", "[3]\n[recipes.a]\nepochs = true"), "recipes.a.epochs: got True, expected a whole number"),
        (("[3, 4]", "[3]\n[recipes.a]\nwarmup = 2"), "recipes.a.warmup: got 2, expected a share from 0 to 1"),
        (("[3, 4]", "[3]\n[recipes.a]\nlearning_rate = nan"), "recipes.a.learning_rate: got nan, expected a number"),
        (("[3, 4]", "[3]\n[recipes.a]\nlearning_rate = 0"), "recipes.a.learning_rate: got 0, expected a number above"),
        (("[3, 4]", "[3]\n[recipes.a]\nlearning_rate = 1" + 400 * "0"), "got 10000000000000000000, expected at most"),
        (("[3, 4]", "[3]\n[recipes.a]\nlearning_rate = -1" + 400 * "0"), "expected a number above 0"),
        (("[3, 4]", "[3]\n[recipes.a]\nepochs = 1" + 400 * "0"), "recipes.a.epochs: got 1000"),
        (("[3, 4]", "[3]\n[recipes.a]\nrotation = -1"), "recipes.a.rotation: got -1, expected 0 or more"),
        (("[3, 4]", "[3]\n[recipes.a]\nrotation = inf"), "recipes.a.rotation: got inf, expected at most"),
        (("[3, 4]", "[3]\n[recipes.a]\nqat_epochs = 0"), "recipes.a.qat_epochs: got 0, expected 1 or more"),
        (("[3, 4]", f"[3]\n[recipes.{300 * 'a'}]"), "expected up to 100 letters"),
        (("[3, 4]", "[3]\nx = " + 5000 * "["), "is no TOML file"),
        (("[3, 4]", "[3]\n[recipes.a]\nqat = 1"), "recipes.a.qat: got 1, expected true or false"),
        (("[3, 4]", "[3]\n[recipes.a]\nteacher = 'no.keras'"), "no.keras, expected the .keras file of a trained"),
        (("[3, 4]", "[3]\n[recipes.a]\nteacher = ''"), "expected the .keras file of a trained model"),
        (("[3, 4]", "[3]\n[recipes.a]\nteacher = 'sweep.toml'"), "sweep.toml, expected the .keras file of a trained"),
        (("seeds", "seeds = = "), "is no TOML file"),
        (("[3, 4]", "[3]\nmetric = 'no.py:f'"), "metric: got no.py:f, and there is no file"),
        (("[3, 4]", "[3]\ntask = 'value'"), "unknown task 'value': did you mean values?"),
        (("[3, 4]", "[3]\ninput = 'pixel'"), "--input: got 'pixel'"),
        (("[3, 4]", "[3]\noutputs = 3"), "outputs: got 3, expected a list"),
        (("[3, 4]", "[3]\nactivation = 'relu'"), "unknown activation 'relu'"),
    ],
)
def test_a_mistake_is_one_line(
    change: tuple[str, str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(GOOD.replace(*change), tmp_path)
    assert main(["sweep", str(file), "-o", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"edgeport: {file}")
    assert message in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jobs", "0"], "--jobs: got 0"),
        (["--jobs", "2", "--ray", "auto"], "leave it out with --ray"),
    ],
)
def test_an_option_that_cannot_be_is_reported(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(GOOD, tmp_path)
    assert main(["sweep", str(file), "-o", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    assert main(["sweep", str(file), "-o", str(tmp_path / "full")]) == 2
    assert "full is no folder of a sweep, and not empty: choose another with -o" in capsys.readouterr().err


def test_calibration_samples_that_cannot_be_had_are_reported_before_the_long_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(GOOD + 'calibration = "nosuch"\n', tmp_path)
    assert main(["sweep", str(file), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines()[0].startswith("edgeport: unknown data set 'nosuch'")
    assert not list(tmp_path.glob("out/*"))


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none.toml: No such file"):
        read_sweep_file(tmp_path / "none.toml")


def test_an_order_arrives_as_it_was_sent(tmp_path: Path) -> None:
    text = GOOD + '[recipes.taught]\nteacher = "big.keras"\nepochs = 2\n'
    keras_file(tmp_path / "big.keras")
    sweep = read_sweep_file(written(text, tmp_path))
    cell = sweep.cells[0]
    facts = {"definition": "1", "dataset_sha256": "2", "calibration_sha256": "3", "teacher_sha256": "4"}
    identity = identity_of(cell, sweep.shared, **facts)
    order = Order(cell, sweep.shared, identity, tmp_path, {"mnist-5k": tmp_path / "data.npz"})
    assert read_order(order_text(order)) == order
    assert json.loads(json.dumps(identity)) == identity


def test_what_has_changed_in_a_cell_is_named(tmp_path: Path) -> None:
    sweep = read_sweep_file(written(GOOD, tmp_path))
    cell = sweep.cells[0]
    facts = {"definition": "1", "dataset_sha256": "2", "calibration_sha256": "3", "teacher_sha256": None}
    before = identity_of(cell, sweep.shared, **facts)
    longer = replace(cell, recipe=replace(cell.recipe, epochs=99))
    assert differences(before, identity_of(cell, sweep.shared, **facts)) == []
    assert differences(before, identity_of(longer, sweep.shared, **facts)) == ["epochs"]
    assert differences(before, identity_of(cell, sweep.shared, **{**facts, "definition": "9"})) == ["definition"]
    assert asdict(cell.recipe) == before["recipe"]


def test_a_data_set_travels_whole(tmp_path: Path) -> None:
    dataset = load_dataset("mnist-5k")
    write_archive(tmp_path / "data.npz", dataset)
    again = read_archive(tmp_path / "data.npz")
    assert (again.name, again.labels, again.sha256) == (dataset.name, dataset.labels, dataset.sha256)
    np.testing.assert_array_equal(again.test.classes, dataset.test.classes)
