"""What an engine and a task take: a module, and rows of tables. All else follows from them."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from edgeport.benchmarks.measure.any_model import benchmark_any, evaluation_of
from edgeport.benchmarks.measure.assembly import Entry, Timing
from edgeport.benchmarks.measure.candidates.candidate import artefact_candidate
from edgeport.benchmarks.measure.candidates.openers import import_engine, open_artefact
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.looks import mark_of
from edgeport.benchmarks.report.renderers.files import shown_files
from edgeport.benchmarks.tasks.answers import ANSWERS, Answers
from edgeport.benchmarks.tasks.metric import UP, Metric
from edgeport.benchmarks.tasks.table import TASKS, Task
from edgeport.benchmarks.tasks.targets import TARGETS, Targets
from edgeport.runtime import InputError, load
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.formats import ENGINES, EngineRow, format_named
from edgeport.runtime.artefact.precisions import PRECISIONS
from edgeport.runtime.cli import main
from edgeport.runtime.engines.installed import installed_engines
from edgeport.runtime.golden.answers import golden_bytes, read_golden
from edgeport.runtime.golden.check import check_golden
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.train.datasets.data import Data, Part

FILE = "tiny.float32.onnx"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    # This is all that is added beside the module.
    monkeypatch.setitem(ENGINES, "onnx", EngineRow("reference_engine", ("onnx",), "export"))


def test_an_engine_that_is_in_no_row_runs_nothing(data: Path) -> None:
    with pytest.raises(InputError, match="engine for onnx"):
        load(data / FILE, engine="onnx")


@pytest.mark.usefixtures("added")
def test_a_new_engine_is_its_module_and_its_name_in_a_row(
    data: Path, golden: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert installed_engines(format_named("onnx")) == ("onnxruntime", "openvino", "onnx")
    predictor = load(data / FILE, engine="onnx")
    assert predictor.spec.engine == "onnx"
    np.testing.assert_allclose(predictor.predict(golden["images"]), golden[FILE], atol=1e-5)

    import_engine(path=str(data / FILE), engine="onnx")
    opened = open_artefact(path=str(data / FILE), threads=1, engine="onnx")
    (answers,) = opened.answers(golden["images"]).values()
    np.testing.assert_allclose(answers, golden[FILE], atol=1e-5)

    (tmp_path / "golden.npz").write_bytes(golden_bytes(data, [FILE], {"image": golden["images"][..., np.newaxis]}))
    answers = read_golden(tmp_path / "golden.npz")
    assert [answer.engine for answer in answers.answers] == ["onnxruntime", "openvino", "onnx"]
    assert {check.status for check in check_golden(answers, data)} == {"passed"}

    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "onnxruntime, openvino, onnx" in " ".join(capsys.readouterr().out.split())


def test_each_precision_has_a_mark_of_its_own() -> None:
    assert len({mark_of(name) for name in PRECISIONS}) == len(PRECISIONS)
    assert mark_of("of a later edgeport") == mark_of("float32")


def test_a_new_task_is_a_row_in_each_table_and_its_metric(
    data: Path, golden: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ratings: scores whose order counts. This is all that is added."""
    order = Metric("rank correlation", UP, lambda truth, answers: float(stats.kendalltau(truth, answers).statistic))
    monkeypatch.setitem(ANSWERS, "ratings", Answers(lambda answers: answers[:, :1]))
    monkeypatch.setitem(TARGETS, "ratings", Targets("a number for each sample (n,)", lambda targets, shape: targets))
    monkeypatch.setitem(TASKS, "ratings", Task(lambda columns, units: (order,)))

    images = golden["images"][..., np.newaxis]
    truth = np.argsort(np.argsort(golden["tiny.float32.onnx"][:, 0])).astype(np.float64)
    source = Data("films.npz", {ALL: Part({ONLY: images}, truth)})
    port, output = Input("image", (None, 28, 28, 1), "float32", range=(0, 255)), Output("probabilities", (None, 10))
    evaluation = evaluation_of(source, [port], [output], tasks={"": "ratings"})
    assert evaluation.words == ["probabilities is judged as ratings"]

    files = ("tiny.float32.onnx", "tiny.int8.onnx")
    entries = [
        Entry(file, "onnx", file.split(".")[1], 1, "0" * 64, artefact_candidate(file, data / file)) for file in files
    ]
    report = benchmark_any(entries, evaluation, model="films", timing=Timing(protocol=Protocol(launches=0)))
    findings = findings_of(report)
    first, second = (each.judged[0].changes[0] for each in findings.candidates)
    assert first.reference == 1.0
    assert second.other == order.value(truth, golden["tiny.int8.onnx"][:, :1])
    shown = dict(shown_files(findings))["report.md"].decode()
    assert "rank correlation" in shown
