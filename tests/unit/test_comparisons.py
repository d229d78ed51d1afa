"""The results of the two comparing scripts: read, written, and turned into tables."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgeport.benchmarks.lab.export_cost import export_memory, export_speed
from edgeport.benchmarks.lab.export_cost.export_memory import EXPORT, RAW_ALL, RAW_INT8, Cost, ExportMemory
from edgeport.benchmarks.lab.export_cost.export_speed import LOADING, REST, ExportSpeed
from edgeport.benchmarks.lab.quantizers import quantizer_report
from edgeport.benchmarks.lab.quantizers.quantizer_report import QuantizerReport, Tried
from edgeport.benchmarks.lab.script import run_script
from edgeport.export.onnx.passes.chained_nodes import chained_nodes
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError

SPEED = ExportSpeed(
    created_utc="2026-01-01T00:00:00+00:00",
    versions={"edgeport": "0"},
    host={"cores": 2},
    model="edge",
    model_sha256="0" * 64,
    calibration={"source": "mnist", "count": 500},
    rounds=3,
    edgeport=tuple({LOADING: 1.0, "onnx int8": 2.0, REST: rest} for rest in (0.1, 0.2, 9.0)),
    raw=({LOADING: 1.0, "onnx int8": 3.0},) * 3,
)
QUANTIZERS = QuantizerReport(
    created_utc="2026-01-01T00:00:00+00:00",
    versions={"edgeport": "0"},
    host={"cores": 2},
    protocol={"rounds": 1},
    models=(
        {"name": "edge", "sha256": "", "calibration": {}, "held_out": 9, "test": {"name": "mnist", "count": 10_000}},
        {"name": "other", "sha256": "", "calibration": {}, "held_out": 9, "test": None},
    ),
    tried=(
        Tried("edge", "tflite", "float32", correct=9_950, bytes=4_000, latency_ns=[[2_000, 4_000, 9_000], [4_000]]),
        Tried("edge", "tflite", "int8", correct=9_940, bytes=1_000, sqnr_db=40.04, latency_ns=[[1_000], [1_000]]),
        Tried("other", "tflite", "float32", latency_ns=[[1_000]]),
        Tried("other", "tflite", "int8", error="ValueError: no such operator"),
    ),
)


def node(kind: str, name: str, taken: str) -> SimpleNamespace:
    return SimpleNamespace(op_type=kind, name=name, input=taken.split(), output=[name])


def test_the_ratio_is_that_of_the_median_rounds() -> None:
    assert SPEED.ratio == pytest.approx(3.2 / 4.0)
    assert export_speed.markdown(SPEED).splitlines() == [
        "| edge, seconds | edgeport | converters alone |",
        "| :-- | --: | --: |",
        "| loading | 1.000 | 1.000 |",
        "| onnx int8 | 2.000 | 3.000 |",
        "| verification and writing | 0.200 |  |",
        "| whole | 3.200 | 4.000 |",
        "| ratio | 0.80 | 1.00 |",
    ]


def test_the_memory_of_an_export_is_the_median_of_its_rounds(tmp_path: Path) -> None:
    costs = [
        Cost("net", what, cpu_s, peak_bytes)
        for what, cpu_s, peak_bytes in (
            (RAW_INT8, 10.0, 2_000_000_000), (EXPORT, 50.0, 2_100_000_000), (EXPORT, 70.0, 9_000_000_000),
            (EXPORT, 60.0, 2_200_000_000), (RAW_ALL, 80.0, 4_000_000_000),
        )
    ]  # fmt: skip
    report = ExportMemory("2026-01-01T00:00:00+00:00", {"edgeport": "0"}, {"cores": 2}, 100, tuple(costs))
    path = tmp_path / "result.json"
    path.write_text(export_memory.RESULT.text(report))
    assert export_memory.RESULT.read(path) == report
    assert export_memory.markdown(report).splitlines()[2:] == [
        "| net | TFLiteConverter, int8 | 2.00 | 10 |",
        "| net | all nine converters' calls | 4.00 | 80 |",
        "| net | edgeport export | 2.20 | 60 |",
    ]


def test_both_results_survive_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(export_speed.RESULT.text(SPEED))
    assert export_speed.RESULT.read(path) == SPEED
    path.write_text(quantizer_report.RESULT.text(QUANTIZERS))
    assert quantizer_report.RESULT.read(path) == QUANTIZERS


@pytest.mark.parametrize("module", [export_memory, export_speed, quantizer_report])
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "other", "schema": 1}', None])
def test_a_missing_or_foreign_result_is_one_error(module: object, text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ArtefactError, match=r"result\.json"):
        module.RESULT.read(path)


def test_a_slow_opening_does_not_decide_the_median() -> None:
    luckless = replace(QUANTIZERS.tried[0], latency_ns=[[4_000], [4_000], [40_000]])
    assert luckless.p50_us == 4.0


def test_the_tables_of_quantizers_show_shares_scores_and_failures() -> None:
    text = quantizer_report.markdown(QUANTIZERS)
    assert "| int8 | 40.0, 0.25 | failed | 0.25 |" in text
    assert "| TFLite int8 | 99.40% | 40.0 | 1 | 1.0 | 0.25 | 0.00 | 0 | 0 |" in text


def test_every_row_of_a_table_has_as_many_cells() -> None:
    for block in quantizer_report.markdown(QUANTIZERS).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_only_chains_of_integer_operators_are_quantized() -> None:
    graph = SimpleNamespace(
        initializer=[SimpleNamespace(name="w", data_type=1), SimpleNamespace(name="indices", data_type=7)],
        node=[
            node("Mul", "scale", "input w"),
            node("Conv", "conv", "scale w"),
            node("Relu", "relu", "conv"),
            node("ReduceMean", "mean", "relu"),
            node("Add", "mixed", "relu mean"),
            node("Add", "residual", "relu conv"),
            node("Gather", "embedding", "w tokens"),
            node("Gather", "shape", "indices mean"),
            node("Transpose", "moved", "embedding"),
        ],
    )
    assert chained_nodes(graph) == ["conv", "relu", "residual", "embedding", "moved"]


def test_a_script_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def outcome(error: BaseException) -> tuple[int, str]:
        def run(arguments: object) -> None:
            raise error

        code = run_script("m", "d", run=run, extra="quantizers", argv=["-o", str(tmp_path / "result.json")])
        return code, capsys.readouterr().err

    assert outcome(InputError("wrong")) == (2, "m: wrong\n")
    assert outcome(KeyboardInterrupt()) == (130, "m: interrupted\n")
    assert outcome(ModuleNotFoundError("no", name="litert_quantizer.recipe")) == (
        2,
        "m: it needs litert_quantizer, which is not installed: pip install 'edgeport[quantizers]'\n",
    )
    assert issubclass(MissingDependencyError, ImportError)


def test_a_result_that_cannot_be_written_is_refused_before_the_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = []
    paths = [tmp_path, tmp_path / "none" / "result.json", tmp_path / "result.json"]
    codes = [run_script("m", "d", run=measured.append, extra="all", argv=["-o", str(path)]) for path in paths]
    assert codes == [2, 2, 0]
    assert [each.output for each in measured] == paths[2:]
    assert capsys.readouterr().err.count("m: --output") == 2


def test_a_result_file_holds_raw_samples_on_few_lines() -> None:
    text = quantizer_report.RESULT.text(QUANTIZERS)
    assert json.loads(text)["tried"][0]["latency_ns"] == [[2_000, 4_000, 9_000], [4_000]]
    assert sum("latency_ns" in line for line in text.splitlines()) == len(QUANTIZERS.tried)
