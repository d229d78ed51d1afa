"""What an engine takes: its module, and its name in the row of a format. All else follows from them."""

from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.measure.openers import import_engine, open_artefact
from edgeport.benchmarks.report.looks import mark_of
from edgeport.runtime import InputError, load
from edgeport.runtime.artefact.formats import format_named
from edgeport.runtime.artefact.precisions import PRECISIONS
from edgeport.runtime.cli import main
from edgeport.runtime.engines.installed import installed_engines
from edgeport.runtime.golden.answers import golden_bytes, read_golden
from edgeport.runtime.golden.check import check_golden

FILE = "tiny.float32.onnx"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    # This is all that is added beside the module.
    monkeypatch.setitem(format_named("onnx").engines, "onnx", "reference_engine")


def test_an_engine_that_is_in_no_row_runs_nothing(data: Path) -> None:
    with pytest.raises(InputError, match="engine for onnx"):
        load(data / FILE, engine="onnx")


@pytest.mark.usefixtures("added")
def test_a_new_engine_is_its_module_and_its_name_in_a_row(
    data: Path, golden: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert installed_engines(format_named("onnx")) == ("onnxruntime", "onnx")
    predictor = load(data / FILE, engine="onnx")
    assert predictor.spec.engine == "onnx"
    np.testing.assert_allclose(predictor.predict(golden["images"]), golden[FILE], atol=1e-5)

    import_engine(path=str(data / FILE), engine="onnx")
    opened = open_artefact(path=str(data / FILE), threads=1, engine="onnx")
    (answers,) = opened.answers(golden["images"]).values()
    np.testing.assert_allclose(answers, golden[FILE], atol=1e-5)

    (tmp_path / "golden.npz").write_bytes(golden_bytes(data, [FILE], {"image": golden["images"][..., np.newaxis]}))
    answers = read_golden(tmp_path / "golden.npz")
    assert [answer.engine for answer in answers.answers] == ["onnxruntime", "onnx"]
    assert {check.status for check in check_golden(answers, data)} == {"passed"}

    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "onnxruntime, onnx" in " ".join(capsys.readouterr().out.split())


def test_each_precision_has_a_mark_of_its_own() -> None:
    assert len({mark_of(name) for name in PRECISIONS}) == len(PRECISIONS)
    assert mark_of("of a later edgeport") == mark_of("float32")
