"""What an import brings in, seen in a process of its own."""

import json
import subprocess
import sys

ALLOWED = {"numpy", "edgeport"}
# setuptools puts these into every process that has an editable install.
OF_THE_INSTALL = {"__editable___edgeport_0_1_0_finder", "_distutils_hack"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(json.loads(printed.splitlines()[-1]))


def test_the_runtime_brings_in_numpy_and_nothing_else() -> None:
    third_party = modules_after("import edgeport.runtime") - set(sys.stdlib_module_names) - modules_after("pass")
    assert third_party - OF_THE_INSTALL <= ALLOWED


def test_the_command_line_brings_in_no_upper_layer() -> None:
    loaded = modules_after("import edgeport.runtime.cli")
    assert not loaded & {"tensorflow", "keras", "matplotlib", "scipy", "PIL", "rich", "onnx", "mlxtend"}


def test_a_predictor_brings_in_its_engine_alone() -> None:
    loaded = modules_after("from edgeport.runtime import load; load('tests/data/tiny.int8.onnx')")
    assert "onnxruntime" in loaded
    assert not loaded & {"tensorflow", "keras", "matplotlib", "scipy", "PIL", "rich", "onnx", "ai_edge_litert"}


def test_public_names_are_imported_on_use() -> None:
    heavy = {"tensorflow", "keras", "matplotlib"}
    assert not modules_after("import edgeport.train, edgeport.export, edgeport.benchmarks") & heavy
    assert not modules_after("from edgeport.train import load_dataset") & heavy


def test_the_selftest_and_a_benchmark_on_golden_samples_need_no_tensorflow() -> None:
    heavy = {"tensorflow", "keras", "matplotlib", "scipy", "jinja2", "onnx", "mlxtend", "PIL"}
    assert not modules_after("import edgeport.runtime.golden.selftest_command") & (heavy | {"rich"})
    loaded = modules_after("import edgeport.benchmarks.benchmark_command")
    assert "rich" in loaded
    assert not loaded & heavy
