"""Write the measured tables into README.md and docs/*.md.

Run it with: python -m edgeport.benchmarks.lab.documents.refresh_tables

A table stands between two comments, the first of which names the result that it comes from; the result's ``kind``
decides which table it is, a result without one is a benchmark's report, and ``train/zoo`` is the published models:

    <!-- table: docs/results/mnist-edge/report.json -->
    <!-- end of table -->

A profile from a benchmark's report stands between comments that name the report and the artefact:

    <!-- profile: docs/results/mnist-classic/report.json classic.int8.onnx -->
    <!-- end of profile -->

The short table of README.md, some rows and columns of a benchmark's, stands between comments that name the report:

    <!-- summary: docs/results/mnist-edge/report.json -->
    <!-- end of summary -->

The goals of the family stand between comments that name the result of the sweep:

    <!-- goals: docs/results/frontier/results.json -->
    <!-- end of goals -->

A test fails when a document differs from what this script would write.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeport.benchmarks import read_report
from edgeport.benchmarks.lab.documents.architecture_table import architecture_table, keras_files_table
from edgeport.benchmarks.lab.documents.frontier_table import (
    empty_call_table,
    goals_table,
    loss_table,
    search_table,
    teachers_table,
)
from edgeport.benchmarks.lab.documents.mutants_table import mutants_table
from edgeport.benchmarks.lab.documents.repaired_table import repaired_table
from edgeport.benchmarks.lab.documents.same_answers_table import same_answers_table
from edgeport.benchmarks.lab.documents.zoo_table import zoo_table
from edgeport.benchmarks.lab.export_cost import export_memory, export_speed
from edgeport.benchmarks.lab.family import family_results, fastest_onnx
from edgeport.benchmarks.lab.judging import judging_time_report, verdicts
from edgeport.benchmarks.lab.peers import peers_report
from edgeport.benchmarks.lab.quantizers import quantizer_report
from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.studies import (
    calibration_methods,
    calibration_mistakes,
    loadgen,
    planted_faults_report,
    runtime_cost_report,
    search_cost,
    serve_load,
    session_options,
    start_up,
    trust,
)
from edgeport.benchmarks.mlperf.loadgen import markdown as loadgen_markdown
from edgeport.benchmarks.profile.profile_facts import from_document
from edgeport.benchmarks.profile.profile_table import profile_markdown
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.renderers.markdown import summary_table, table_text
from edgeport.benchmarks.report.sections.summary import markdown_summary
from edgeport.benchmarks.sweep.results import is_sweep, read_results
from edgeport.benchmarks.sweep.table import sweep_table
from edgeport.train.zoo import published_models

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
# Those of the results are reports, and no documents.
DOCUMENTS = (ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if DOCS / "results" not in page.parents))
_TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_SUMMARY = re.compile(r"(<!-- summary: (\S+) -->\n).*?(<!-- end of summary -->)", re.DOTALL)
_SUMMARY_ROWS = ("Keras float32", "TFLite float32", "TFLite dynamic", "TFLite int8", "ONNX float32", "ONNX int8")
_SUMMARY_COLUMNS = ("artefact", "top-1", "flips", "kB", "p50 us", "peak MB")
_PROFILE = re.compile(r"(<!-- profile: (\S+) (\S+) -->\n).*?(<!-- end of profile -->)", re.DOTALL)
_GOALS = re.compile(r"(<!-- goals: (\S+) -->\n).*?(<!-- end of goals -->)", re.DOTALL)
# Results of the tests' scripts, by their kind.
_OF_TESTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "architectures": lambda content: architecture_table(content["rows"]),
    "keras-files": lambda content: keras_files_table(content["rows"]),
    "mutants": mutants_table,
    "repaired-models": lambda content: repaired_table(content["rows"]),
    "same answers": same_answers_table,
}


# Modules of the lab with a RESULT and its ``markdown``: by name and a line each, so that two additions do not meet.
_MODULES = (
    calibration_methods,
    calibration_mistakes,
    export_memory,
    export_speed,
    fastest_onnx,
    judging_time_report,
    peers_report,
    planted_faults_report,
    quantizer_report,
    runtime_cost_report,
    search_cost,
    serve_load,
    session_options,
    start_up,
    trust,
    verdicts,
)


def _of_the_lab() -> Iterator[tuple[ResultFile[Any], Callable[[Any], str]]]:
    for module in _MODULES:
        yield module.RESULT, module.markdown
    yield loadgen.RESULT, lambda report: loadgen_markdown(report.results)
    yield family_results.EMPTY_CALL, empty_call_table
    yield family_results.SEARCH, search_table
    yield family_results.LOSSES, loss_table
    yield family_results.TEACHERS, teachers_table


_OF_THE_LAB = {result.kind: (result, table) for result, table in _of_the_lab()}


def table_of(path: Path) -> str:
    """Return the Markdown table of a result file, or of the folder of published models."""
    if path.is_dir():
        return zoo_table(published_models(path))
    content = json.loads(path.read_text("utf-8"))
    if is_sweep(content):
        return sweep_table(read_results(path))
    kind = content.get("kind")
    if kind is None:
        return summary_table(findings_of(read_report(path)))
    if kind in _OF_TESTS:
        return _OF_TESTS[kind](content)
    result, table = _OF_THE_LAB[kind]
    return table(result.read(path))


def refreshed(text: str) -> str:
    """Return a document with each of its tables made anew from the result that it names."""
    text = _TABLE.sub(lambda match: f"{match[1]}{table_of(ROOT / match[2])}{match[3]}", text)
    text = _SUMMARY.sub(lambda match: f"{match[1]}{short_table(ROOT / match[2])}{match[3]}", text)
    text = _GOALS.sub(lambda match: f"{match[1]}{goals_table(read_results(ROOT / match[2]))}{match[3]}", text)
    return _PROFILE.sub(lambda match: f"{match[1]}{_profile(ROOT / match[2], match[3])}{match[4]}", text)


def short_table(path: Path) -> str:
    """Return the rows and columns of a benchmark that README.md shows."""
    table = markdown_summary(findings_of(read_report(path)))
    places = [next(at for at, column in enumerate(table.columns) if column.name == name) for name in _SUMMARY_COLUMNS]
    rows = [[row[at] for at in places] for row in table.rows if row[0].value in _SUMMARY_ROWS]
    return table_text(replace(table, columns=[table.columns[at] for at in places], rows=rows))


def _profile(path: Path, file: str) -> str:
    return profile_markdown(from_document(read_report(path).profiles[file]))


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(refreshed(document.read_text("utf-8")), "utf-8")
