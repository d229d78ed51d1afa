"""The zoo: what is published is what was measured, and whoever doubts it can count anew."""

import argparse
import gzip
import hashlib
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeport.benchmarks.lab.documents.zoo_table import zoo_table
from edgeport.benchmarks.lab.family.publishing import CALIBRATION, publish
from edgeport.export.conversion.options import Options
from edgeport.export.manifest import read_manifest
from edgeport.runtime.errors import ArtefactError, EdgeportError, InputError
from edgeport.train.datasets.dataset import Dataset, Split
from edgeport.train.zoo import PublishedModel, find_published, published_model, published_models, zoo_command
from edgeport.train.zoo.published import MANIFEST, MODEL, SCORES, TRAINING
from edgeport.train.zoo.table import text_table

ROOT = Path(__file__).parents[2]
CHECK = ROOT / "benchmarks" / "lab" / "family" / "check_published.py"
MODELS = published_models()
BUDGET = 2_000_000
LABELS = tuple("0123456789")
FILES = ("tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx")

over_all = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


@pytest.fixture
def digits(golden: dict[str, np.ndarray]) -> Dataset:
    """Twenty digits; four of them have another label than the artefacts answer."""
    images = golden["images"][..., np.newaxis]
    classes = golden["tiny.int8.tflite"].argmax(axis=1).astype(np.int64)
    classes[:4] = (classes[:4] + 1) % 10
    test = Split(images, classes)
    return Dataset("mnist", {"train": test, "validation": test, "test": test}, LABELS)


@pytest.fixture
def make_run(data: Path, digits: Dataset, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a finished run with an export: its Keras file is none that Keras could read."""

    def make(seed: int = 0, validation: float = 0.9, **changes: Any) -> Path:
        folder = tmp_path / f"seed-{seed}"
        (folder / "train").mkdir(parents=True)
        (folder / "export").mkdir()
        with zipfile.ZipFile(folder / "train" / MODEL, "w") as archive:
            archive.writestr("config.json", json.dumps({"seed": seed, "compile_config": changes.pop("compiled", {})}))
        digest = hashlib.sha256((folder / "train" / MODEL).read_bytes()).hexdigest()
        record = {
            "finished": True,
            "model": "tiny",
            "model_sha256": digest,
            "dataset": {"name": "mnist", "sha256": digits.sha256},
            "seed": seed,
            "recipe": {"epochs": 3},
            "validation": {"accuracy": validation, "count": 20},
            "test": {"correct": 16, "count": 20},
        }
        manifest = json.loads((data / MANIFEST).read_text())
        manifest["source"]["sha256"] = digest
        manifest["dataset"] = "mnist"
        manifest["options"] = json.loads(json.dumps(vars(Options())))
        for key, value in changes.items():
            (manifest if key in manifest else record)[key] = value
        (folder / "train" / TRAINING).write_text(json.dumps(record))
        (folder / "export" / MANIFEST).write_text(json.dumps(manifest))
        for name in FILES:
            (folder / "export" / name).write_bytes((data / name).read_bytes())
        return folder

    return make


@pytest.fixture
def zoo(make_run: Callable[..., Path], digits: Dataset, tmp_path: Path) -> Path:
    publish([make_run(7, 0.95), make_run(3, 0.9)], tmp_path / "zoo", digits)
    return tmp_path / "zoo"


@pytest.fixture
def model(zoo: Path) -> PublishedModel:
    return published_model("tiny", zoo)


def printed(zoo: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    zoo_command.add_arguments(parser)
    return zoo_command.run(parser.parse_args(words), zoo)


def test_what_is_published_is_what_the_engines_answer(model: PublishedModel) -> None:
    assert (model.name, model.dataset, model.calibration) == ("tiny", "mnist", "mnist-5k")
    assert [artefact.file for artefact in model.artefacts] == list(FILES)
    assert dict(model.score.correct) == {file.removeprefix("tiny."): 16 for file in FILES}
    assert (model.score.seed, model.score.count, model.score.keras) == (7, 20, 16)
    assert [score.seed for score in model.scores] == [3, 7]
    assert model.mean_share("int8.onnx") == model.score.share("int8.onnx") == 0.8
    # 4 x 4 x 8 + 8, 3 x 3 x 8 x 12 + 12, 3 x 3 x 12 x 10 + 10
    assert model.parameters == 136 + 876 + 1090


def test_a_published_folder_stands_for_itself(model: PublishedModel) -> None:
    assert {path.name for path in model.folder.iterdir()} == {MODEL, TRAINING, MANIFEST, SCORES}
    assert read_manifest(model.folder).source["file"] == MODEL
    scores = json.loads((model.folder / SCORES).read_text())
    assert scores["cpu"]["model"]
    assert {"numpy", "onnxruntime"} <= scores["versions"].keys()


def test_the_best_on_validation_is_published_and_of_equals_the_lowest_seed(
    make_run: Callable[..., Path], digits: Dataset, tmp_path: Path
) -> None:
    # On the test split, seed 9 would be the best.
    runs = [make_run(9, 0.8, test={"correct": 20, "count": 20}), make_run(5), make_run(2)]
    published = publish(runs, tmp_path / "zoo", digits)
    assert published.score.seed == 2
    assert [score.seed for score in published.others] == [5, 9]


def test_the_means_are_over_all_seeds(zoo: Path) -> None:
    scores = json.loads((zoo / "tiny" / SCORES).read_text())
    scores["other_seeds"][0]["correct"]["int8.tflite"] = 20
    (zoo / "tiny" / SCORES).write_text(json.dumps(scores))
    assert published_model("tiny", zoo).mean_share("int8.tflite") == 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finished": False}, "expected a finished one"),
        ({"finished": "yes"}, "training.json is damaged"),
        ({"model_sha256": None}, "training.json is damaged"),
        ({"test": 5}, "training.json is damaged"),
        ({"model_sha256": "0" * 64}, "are not of one model"),
        ({"compiled": {"optimizer": "adam"}}, "holds its optimizer"),
        ({"calibration": {**CALIBRATION, "source": "mnist"}}, "was calibrated with mnist, expected 500"),
        ({"calibration": {**CALIBRATION, "seed": 1}}, "--calibration mnist-5k --overwrite"),
        ({"options": vars(Options(precisions=("int8",)))}, "is not what a user gets"),
        ({"recipe": {"epochs": 4}}, "its recipe differs"),
        ({"teacher": {"file": "x.keras"}}, "its teacher differs"),
    ],
)
def test_a_run_that_cannot_be_published_is_reported(
    make_run: Callable[..., Path], digits: Dataset, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    runs = [make_run(0), make_run(1, 0.99, **changes)]
    with pytest.raises(EdgeportError, match=message):
        publish(runs, tmp_path / "zoo", digits)
    assert not (tmp_path / "zoo").exists()


def test_runs_of_another_data_set_or_of_one_seed_are_refused(
    make_run: Callable[..., Path], digits: Dataset, tmp_path: Path
) -> None:
    run = make_run()
    with pytest.raises(InputError, match="each seed once"):
        publish([run, run], tmp_path / "zoo", digits)
    other = Dataset("mnist", digits.splits, LABELS)
    other.__dict__["sha256"] = "0" * 64
    with pytest.raises(InputError, match="was not trained on the data set mnist"):
        publish([run], tmp_path / "zoo", other)


def test_an_altered_artefact_is_not_published(make_run: Callable[..., Path], digits: Dataset, tmp_path: Path) -> None:
    run = make_run()
    with (run / "export" / FILES[1]).open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="not the file that the manifest describes"):
        publish([run], tmp_path / "zoo", digits)


def test_a_published_model_is_replaced_only_if_allowed(
    zoo: Path, make_run: Callable[..., Path], digits: Dataset
) -> None:
    run = make_run(8)
    with pytest.raises(InputError, match="--overwrite"):
        publish([run], zoo, digits)
    assert published_model("tiny", zoo).score.seed == 7
    assert publish([run], zoo, digits, overwrite=True).score.seed == 8


def test_the_table_fits_a_terminal(model: PublishedModel) -> None:
    small, large = (PublishedModel(**{**vars(model), "name": name}) for name in ("edge-2k", "edge-100k"))
    lines = text_table([small, large]).splitlines()
    assert [line.split()[0] for line in lines] == ["model", "edge-2k", "edge-100k"]
    sizes = "/".join(f"{model.artefact(f'int8.{name}').bytes:,}" for name in ("tflite", "onnx"))
    assert lines[1].split() == ["edge-2k", "2,102", sizes, "80.00/80.00", "80.00/80.00", "80.00/80.00", "(2)", "mnist"]
    assert max(map(len, lines)) <= 80
    alone = PublishedModel(**{**vars(model), "others": ()})
    assert text_table([alone]).splitlines()[1].split()[-2:] == ["-", "mnist"]


def test_the_markdown_has_a_row_a_model(model: PublishedModel) -> None:
    rows = zoo_table([model, model]).splitlines()
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == 4
    assert rows[2].startswith("| `tiny` | 2,102 | ")
    assert rows[2].endswith(" | 80.00 / 80.00 | 80.00 / 80.00 | 2 | 80.00 / 80.00 | 80.00 / 80.00 |")


def test_the_command_lists_tells_and_says_what_is_next(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(zoo) == 0
    assert capsys.readouterr().out.endswith("Next: edgeport export zoo:tiny -o runs/tiny/export\n")
    assert printed(zoo, "zoo:tiny") == 0
    details = capsys.readouterr().out
    for file in FILES:
        assert file in details
    assert "7, this" in details
    assert max(map(len, details.splitlines()[3:])) <= 80
    printed(zoo, "--json")
    listed = json.loads(capsys.readouterr().out)
    printed(zoo, "tiny", "--json")
    assert [json.loads(capsys.readouterr().out)] == listed
    assert listed[0]["published"]["correct"]["int8.onnx"] == 16


def test_without_models_the_command_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(tmp_path) == 0
    assert capsys.readouterr().out.startswith("No published models: ")
    with pytest.raises(InputError, match="came without its models"):
        find_published("zoo:tiny", tmp_path)


def test_a_path_is_no_published_model_and_a_wrong_name_has_a_nearest_one(zoo: Path) -> None:
    assert find_published(Path("runs/zoo/model.keras"), zoo) is None
    found = find_published(Path("zoo:tiny"), zoo)
    assert found is not None
    assert found.file == zoo / "tiny" / MODEL
    with pytest.raises(InputError, match=r"unknown published model 'tinny': did you mean tiny\?"):
        find_published("zoo:tinny", zoo)
    with pytest.raises(InputError, match="zoo: lacks the name of a published model, such as zoo:tiny"):
        find_published("zoo:", zoo)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": 2}'])
@pytest.mark.parametrize("file", [MANIFEST, SCORES])
def test_a_damaged_record_is_one_line(zoo: Path, file: str, content: str) -> None:
    (zoo / "tiny" / file).write_text(content)
    with pytest.raises(ArtefactError, match="install") as refused:
        published_models(zoo)
    assert "\n" not in str(refused.value)


def test_the_command_needs_no_package(zoo: Path) -> None:
    code = (
        "import sys; from edgeport.runtime.cli import main; main(['zoo'])\n"
        "print(sorted({'numpy', 'tensorflow', 'keras', 'rich', 'mlxtend', 'onnxruntime'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def write_idx(path: Path, values: np.ndarray) -> None:
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


@pytest.fixture
def check(zoo: Path, digits: Dataset, tmp_path: Path) -> Callable[[], "subprocess.CompletedProcess[str]"]:
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", digits.test.samples[..., 0])
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", digits.test.classes)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "tiny").symlink_to(tmp_path / "seed-7" / "export")
    words = [sys.executable, str(CHECK), str(tmp_path), str(tmp_path / "exports"), "--zoo", str(zoo)]
    return lambda: subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_raw_engines_count_what_is_published(
    check: Callable[[], "subprocess.CompletedProcess[str]"], zoo: Path, tmp_path: Path
) -> None:
    ended = check()
    assert (ended.returncode, ended.stdout.count("16 of 20, published     16: equal\n")) == (0, 4), ended.stderr
    scores = json.loads((zoo / "tiny" / SCORES).read_text())
    scores["published"]["correct"]["int8.onnx"] = 17
    (zoo / "tiny" / SCORES).write_text(json.dumps(scores))
    ended = check()
    assert ended.returncode == 1
    assert "tiny.int8.onnx" in next(line for line in ended.stdout.splitlines() if "DIFFERS" in line)
    (tmp_path / "seed-7" / "export" / "tiny.int8.onnx").unlink()
    ended = check()
    assert (ended.returncode, ended.stdout.count("missing: export it")) == (1, 1)


def test_the_script_that_counts_anew_knows_nothing_of_edgeport() -> None:
    imported = [line for line in CHECK.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert imported
    assert not [line for line in imported if "edgeport" in line]


def test_models_are_published_and_small() -> None:
    assert MODELS
    assert sum(path.stat().st_size for path in (ROOT / "train" / "zoo").glob("*/*")) < BUDGET


@over_all
def test_the_files_of_a_published_model_belong_together(model: PublishedModel) -> None:
    training = json.loads((model.folder / TRAINING).read_text())
    manifest = read_manifest(model.folder)
    digest = hashlib.sha256(model.file.read_bytes()).hexdigest()
    assert training["model_sha256"] == manifest.source["sha256"] == digest
    assert training["model"] == manifest.name == model.name
    assert training["dataset"]["name"] == manifest.dataset == "mnist"
    assert training["dataset"]["sha256"] == manifest.dataset_sha256
    assert {name: manifest.calibration[name] for name in CALIBRATION} == CALIBRATION
    assert training["seed"] == model.score.seed
    assert training["test"] == {"correct": model.score.keras, "count": model.score.count}
    assert model.score.count == 10_000
    assert model.score.correct.keys() == {artefact.variant for artefact in model.artefacts}


@over_all
def test_the_published_seed_was_chosen_on_validation(model: PublishedModel) -> None:
    training = json.loads((model.folder / TRAINING).read_text())
    assert model.score.validation == training["validation"]["accuracy"]
    assert model.score.validation == max(score.validation for score in model.scores)


@over_all
def test_a_published_model_loses_next_to_nothing_on_the_way(model: PublishedModel) -> None:
    for variant, correct in model.score.correct.items():
        assert abs(correct - model.score.keras) <= 30, variant
