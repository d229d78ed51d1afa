"""The benchmark of models of every kind: metrics where somebody says what is true, else how far the outputs moved."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.benchmarks import read_report
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.tasks.table import metrics_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from ten_tasks import TASKS, Task  # noqa: E402
from test_ten_tasks import make  # noqa: E402

# What each output means: by its export, or by what is true of it.
KINDS = {
    "spectrograms": "classes", "audio": "classes", "table": "values", "anomaly": "values", "unet": "map",
    "detector": "boxes", "multi-label": "labels", "binary": "yes-no", "tokens": "classes", "mobilenet": "classes",
    "forecaster": "values",
}  # fmt: skip


def found_boxes(answers: dict[str, np.ndarray]) -> np.ndarray:
    """Return boxes of a model as rows of class, score and corners."""
    best = answers["scores"].argmax(-1), answers["scores"].max(-1)
    return np.concatenate([np.stack(best, -1), answers["boxes"]], -1).astype(np.float32)


def true_of(kind: str, answers: np.ndarray) -> np.ndarray:
    """Return truth that the model has right for the most part."""
    if kind == "boxes":
        # Those with the best scores, and one that nobody finds.
        order = np.argsort(-answers[..., 1], axis=1)[:, :4]
        true = np.take_along_axis(answers, order[..., None], 1)[..., [0, 2, 3, 4, 5]]
        true[:, 3, 1:] = [0.0, 0.0, 0.9, 0.9]
        return true
    random = np.random.default_rng(0)
    wrong = random.uniform(size=len(answers)) < 0.1
    if kind == "classes":
        return np.where(wrong, (answers.argmax(1) + 1) % answers.shape[1], answers.argmax(1))
    if kind == "values":
        return answers + random.normal(0, 0.2 * answers.std(), answers.shape).astype(np.float32)
    decided = (answers >= np.median(answers)).astype(np.int64)
    flipped = np.where(wrong.reshape(-1, *[1] * (answers.ndim - 1)), 1 - decided, decided)
    return flipped[..., 0] if kind == "map" else flipped


# One of each kind; the examples of docs/tutorials benchmark further ones (test_examples.py).
JUDGED = [task for task in TASKS if task.name not in ("spectrograms", "audio", "table", "anomaly")]


@pytest.fixture(params=JUDGED, ids=lambda task: task.name)
def task(request: pytest.FixtureRequest) -> Task:
    return request.param


def test_every_task_is_judged_by_its_metrics(task: Task, shared, edgeport, tmp_path: Path) -> None:
    folder = shared(f"task-{task.name}", lambda place: make(task, place))
    samples, kind = task.samples(), KINDS[task.name]
    model = keras.models.load_model(folder / "model.keras", compile=False)
    low, high = (-1.0, 1.0) if task.options.get("inputs") == ["pixels:-1:1"] else (0.0, 255.0)
    real = low + samples.astype(np.float32) * ((high - low) / 255) if task.sees else samples
    arrays = {"x_test": samples}
    answers = model.predict(real, verbose=0)
    answers = found_boxes(answers) if kind == "boxes" else answers
    arrays["y_test"] = true_of(kind, answers)
    np.savez(tmp_path / "data.npz", **arrays)
    options = ["--only", "accuracy", *(["--task", "boxes=boxes"] if kind == "boxes" else [])]
    data = ("--data", tmp_path / "data.npz", "-o", tmp_path / "out")
    printed = edgeport("benchmark", folder / "export", *data, *options).stdout
    report = read_report(tmp_path / "out")
    assert len(report.artefacts) == 5
    assert {"report.json", "report.md", "report.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
    if not report.judged:
        # One exclusive class of pictures: the benchmark knows flips and confusions of these.
        assert kind == "classes"
        reference = report.accuracy(report.reference)
        assert reference == pytest.approx((answers.argmax(1) == arrays["y_test"]).mean())
        return
    (judged,) = report.judged
    assert judged.task == kind
    for metric, change in zip(
        metrics_of(kind, columns=judged.columns, units=judged.units),
        findings_of(report).reference.judged[0].changes,
        strict=True,
    ):
        truth = arrays["y_test"] if kind != "values" else arrays["y_test"].reshape(len(answers), -1)
        truth = truth.reshape(-1) if kind == "yes-no" else truth
        assert change.reference == pytest.approx(metric.value(truth, answers), abs=2e-3), metric.name
        # A narrow terminal shows the first of them.
        assert metric.name in (tmp_path / "out" / "report.md").read_text()
    assert metrics_of(kind, columns=judged.columns, units=judged.units)[0].name in printed


def test_times_are_taken_too_and_a_report_is_shown_again(shared, edgeport, tmp_path: Path) -> None:
    table = next(task for task in TASKS if task.name == "table")
    folder = shared("task-table", lambda place: make(table, place))
    rows = table.samples()
    lines = [",".join([*map(repr, row.tolist()), repr(float(row[2]))]) for row in rows]
    (tmp_path / "houses.csv").write_text("\n".join(["a,b,c,d,e,price", *lines]) + "\n")
    options = ("--target", "price", "--rounds", 2, "--batches", "1,4", "-o", tmp_path / "out")
    printed = edgeport("benchmark", folder / "export", "--data", tmp_path / "houses.csv", *options).stdout
    report = read_report(tmp_path / "out")
    for each in report.artefacts:
        assert [(series.what, series.batch) for series in each.series] == [
            ("engine", 1),
            ("predict", 1),
            ("predict", 4),
        ]
    assert "price is judged as values" in printed
    # The same export beside itself, and whether the losses are below a margin: no loss is surely below a billionth.
    options = ("--target", "price", "--only", "accuracy", "--baseline", folder / "export", "-o", tmp_path / "beside")
    data = ("--data", tmp_path / "houses.csv")
    printed = edgeport("benchmark", folder / "export", *data, *options, "--max-loss", "1e9").stdout
    assert "Below 1e+09 kUSD of MAE (--max-loss): " in printed
    assert "each loss of MAE is below 1e+09 kUSD, latency not judged" in " ".join(printed.split())
    beside = read_report(tmp_path / "beside")
    assert [each.file for each in beside.artefacts].count("baseline/" + report.artefacts[1].file) == 1
    # A metric of the user's own, on groups of samples.
    (tmp_path / "mine.py").write_text("def worst(truth, answers):\n    return abs(truth - answers).max()\n")
    (tmp_path / "groups.txt").write_text("".join(f"{place // 5}\n" for place in range(len(rows))))
    own = ("--metric", f"{tmp_path / 'mine.py'}:worst:down", "--group-by", tmp_path / "groups.txt")
    np.savez(tmp_path / "houses.npz", x_test=rows, y_test=rows[:, 2])
    options = ("--data", tmp_path / "houses.npz", "--only", "accuracy", *own, "-o", tmp_path / "own")
    printed = edgeport("benchmark", folder / "export", *options).stdout
    assert "60 groups, which are drawn whole" in printed
    assert "loss: worst " in printed or "gain: worst " in printed or "to tell: worst " in printed
    judge = ("report", tmp_path / "beside", "-o", tmp_path / "asked.html", "--max-loss", "1e-9")
    assert "Not below 1e-09 kUSD of MAE" in edgeport(*judge, code=1).stdout
    compare = ("compare", tmp_path / "out", tmp_path / "beside", "--any-host")
    assert "no loss of MAE found" in " ".join(edgeport(*compare).stdout.split())
    edgeport("report", tmp_path / "out", "-o", tmp_path / "again.html")
    assert "MAE" in (tmp_path / "again.html").read_text()


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"features": (300, 5), "y": (299, 1)}, (), "expected as many of each"),
        (
            {"features": (300, 4), "y": (300, 1)},
            (),
            "got float64 (30, 4) for features, expected 1 or more of",
        ),
        ({"features": (300, 5), "y": (300, 3)}, (), "got targets float64 (30, 3)"),
        ({"features": (300, 5), "y": (300, 1)}, ("--metric", "mAP"), "unknown metric of values 'mAP'"),
        ({"features": (300, 5), "y": (300, 1)}, ("--task", "prize=values"), "unknown output 'prize'"),
        ({"features": (300, 5)}, ("--metric", "MAE"), "does not say what is true"),
        ({"features": (300, 5)}, ("--max-loss", "0.5"), "--max-loss: got 0.5, and "),
        ({"features": (300, 5), "y": (300, 1)}, ("--group-by", "who"), "unknown array of groups 'who'"),
        ({"features": (300, 5), "y": (300, 1)}, ("--metric", "no.py:score"), "no.py is no Python file"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line_before_the_work(
    arrays: dict, options: tuple, message: str, shared, edgeport, tmp_path: Path
) -> None:
    table = next(task for task in TASKS if task.name == "table")
    folder = shared("task-table", lambda place: make(table, place))
    random = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", **{name: random.normal(size=shape) for name, shape in arrays.items()})
    data = ("--data", tmp_path / "data.npz", "-o", tmp_path / "out")
    ended = edgeport("benchmark", folder / "export", *data, *options, code=2)
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert json.loads((folder / "export" / "manifest.json").read_text())


def test_without_what_is_true_it_says_how_far_each_output_moved(shared, edgeport, tmp_path: Path) -> None:
    detector = next(task for task in TASKS if task.name == "detector")
    folder = shared("task-detector", lambda place: make(detector, place))
    np.savez(tmp_path / "data.npz", photo=detector.samples())
    data = ("--data", tmp_path / "data.npz", "--only", "accuracy", "-o", tmp_path / "out")
    printed = edgeport("benchmark", folder / "export", *data).stdout
    report = read_report(tmp_path / "out")
    assert [each.name for each in report.judged] == ["boxes", "scores"]
    assert "largest change" in printed
    assert "loss" not in printed
    (float32, *_) = (each for each in findings_of(report).others if each.measured.precision == "float32")
    assert all(each.change.largest < 1e-5 for each in float32.judged)


def test_ctrl_c_in_a_slow_metric_keeps_what_was_measured(shared, edgeport, tmp_path: Path) -> None:
    table = next(task for task in TASKS if task.name == "table")
    folder = shared("task-table", lambda place: make(table, place))
    rows = table.samples()
    np.savez(tmp_path / "data.npz", features=rows, y=rows[:, 2])
    slow = f"import time\ndef slow(t, a):\n    open({str(tmp_path / 'runs')!r}, 'w')\n    time.sleep(600)\n"
    (tmp_path / "mine.py").write_text(slow + "slow.better = 'up'\n")
    options = ("--data", tmp_path / "data.npz", "--metric", f"{tmp_path / 'mine.py'}:slow", "--only", "accuracy")
    command = [sys.executable, "-m", "edgeport.runtime.cli", "benchmark", folder / "export", *options]
    with subprocess.Popen(
        [*map(str, command), "-o", str(tmp_path / "out")], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (tmp_path / "runs").exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        (line,) = process.stderr.read().splitlines()
    out = tmp_path / "out"
    assert line == f"edgeport: interrupted: {out} holds what was measured; edgeport report {out} judges it"
    assert len(read_report(tmp_path / "out").artefacts) == 5
    edgeport("report", tmp_path / "out", "--metric", "MAE")
