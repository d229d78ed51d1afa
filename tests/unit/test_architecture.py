"""The house rules, held by reading the source: layers, engines, sizes, names, packages."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.cli import COMMANDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
LAYERS = ("runtime", "train", "export", "benchmarks")
PACKAGES = (*LAYERS, "export.inspection")
MODULES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
# What measures edgeport itself: it uses the product, is used by none of it, and is no part of the wheel.
LAB = "benchmarks/lab"
PACKAGED = [path for path in MODULES if not path.is_relative_to(ROOT / LAB)]

# Each engine is imported in these modules alone; everything else reaches it through them.
KERAS_MODULES = {
    "benchmarks/measure/candidates/keras_opener.py", "benchmarks/sweep/cells/compiled_cell.py",
    "benchmarks/sweep/cells/own_model.py", "benchmarks/tasks/keras_metric.py", "export/graphs/float64_graph.py",
    "export/graphs/graph.py", "export/graphs/integers/bias_correction.py",
    "export/graphs/integers/fake_quantization.py", "export/graphs/integers/masks.py",
    "export/graphs/integers/unrolling.py", "export/graphs/integers/weighted_ways.py", "export/graphs/list_shapes.py",
    "export/graphs/operators/einsum.py", "export/graphs/operators/fourier.py", "export/graphs/operators/resizing.py",
    "export/graphs/operators/rewriting.py", "export/graphs/operators/rules.py", "export/graphs/running.py",
    "export/onnx/convert.py", "export/onnx/rules.py", "export/sources/float64.py", "export/sources/integer_inputs.py",
    "export/sources/keras/keras_2.py", "export/sources/keras/keras_3.py", "export/sources/keras/keras_model.py",
    "export/sources/saved_model.py", "export/sources/tracing.py", "export/tflite/convert.py",
    "export/tflite/float_front.py", "export/tflite/joining.py", "export/tflite/mixed.py", "export/tflite/ranges.py",
    "export/tflite/rules.py", "export/tflite/schemes.py", "export/tflite/substitutes.py",
    "export/verification/advice/witnesses.py", "export/verification/rounding.py", "train/datasets/mnist.py",
    "train/loop/augmentation.py", "train/loop/compiled.py", "train/loop/fitting.py", "train/loop/pixels.py",
    "train/loop/teacher.py", "train/loop/untuned.py", "train/models/edge_family.py", "train/models/keras_file.py",
    "train/models/named.py", "train/models/scaling.py", "train/quantization_aware/fake_quantization.py",
    "train/quantization_aware/layer_graph.py", "train/quantization_aware/layers.py",
    "train/quantization_aware/quantize.py", "train/training.py",
}  # fmt: skip
# What edgeport is measured beside.
KERAS_LAB = {
    f"{LAB}/{name}.py"
    for name in (
        "export_cost/raw_converters", "export_cost/raw_process", "family/empty_call", "family/ensemble",
        "family/search", "peers/ways/keras_peer", "peers/mobilenet", "studies/faulty_models",
        "studies/calibration_models", "studies/held_out_models",
    )
}  # fmt: skip
ONNX_LAB = {f"{LAB}/quantizers/onnx_quantizers.py", f"{LAB}/export_cost/raw_converters.py"}
# It counts with the engines alone what the published models have right.
CHECK = f"{LAB}/family/check_published.py"
ONNX_PASSES = {path.relative_to(ROOT).as_posix() for path in MODULES if path.parent.name == "passes"}
ONNX_INSPECTION = {f"export/inspection/onnx/{name}.py" for name in ("constants", "file", "scopes", "shapes", "values")}
ONNX_PROFILES = {"benchmarks/profile/onnx/parts.py", "benchmarks/profile/onnx/peak.py"}
TFLITE_PROFILES = {"benchmarks/profile/tflite/parts.py", "benchmarks/profile/tflite/peak.py"}
ENGINES = {
    "keras": KERAS_MODULES | KERAS_LAB,
    "tf_keras": {"export/sources/keras/keras_2.py"},
    "h5py": {"train/models/keras_writer.py", "train/models/hdf5_child.py"},
    "tensorflow": KERAS_MODULES | KERAS_LAB | {f"{LAB}/quantizers/tflite_quantizers.py"},
    "tf2onnx": {
        "export/onnx/convert.py", "export/onnx/tf2onnx_select.py", f"{LAB}/peers/ways/tf2onnx_int8.py", *ONNX_LAB,
    },
    "onnx": {
        "export/onnx/convert.py", "export/onnx/schemes.py", "export/onnx/tf2onnx_select.py", "export/parts/onnx.py",
        *ONNX_INSPECTION,
        *ONNX_PASSES, *ONNX_PROFILES, *ONNX_LAB,
    },
    "onnxruntime": {
        "runtime/engines/onnx.py", "export/parts/onnx.py",
        f"{LAB}/peers/ways/onnxruntime_peer.py", f"{LAB}/studies/session_options.py",
        *ONNX_PASSES, *ONNX_PROFILES, *ONNX_LAB, CHECK,
    },
    "flatbuffers": {
        "export/tflite/standard_metadata.py", "export/parts/tflite.py", "benchmarks/profile/tflite/parts.py",
    },
    "ai_edge_litert": {
        "export/inspection/tflite/file.py", "export/inspection/tflite/tensors.py", "export/parts/tflite.py",
        "export/tflite/ranges.py", f"{LAB}/peers/ways/litert_peer.py",
        *TFLITE_PROFILES, CHECK,
    },
    "litert_quantizer": {f"{LAB}/quantizers/tflite_quantizers.py"},
    "mlperf_loadgen": {"benchmarks/mlperf/loadgen_process.py"},
    "ray": {"benchmarks/sweep/pools/ray_pool.py"},
    "openvino": {"runtime/engines/openvino.py"},
    "shtab": {"runtime/host/completion_command.py"},
    "starlette": {"runtime/serving/application.py"},
    "uvicorn": {"runtime/serving/server.py"},
    "h11": {"runtime/serving/server.py"},
    "prometheus_client": {"runtime/serving/metrics.py"},
    "tflite_runtime": set(),
}  # fmt: skip


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def test_data_flows_one_way() -> None:
    for path in MODULES:
        allowed = LAYERS[: LAYERS.index(path.relative_to(ROOT).parts[0]) + 1]
        for name in imports_of(path):
            if name.startswith("edgeport"):
                assert name.split(".")[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_what_is_packaged_knows_no_lab() -> None:
    for path in PACKAGED:
        assert LAB.replace("/", ".") not in path.read_text(), path


def test_no_module_imports_in_a_circle() -> None:
    graph = {
        ".".join(("edgeport", *path.relative_to(ROOT).with_suffix("").parts)): imports_of(path) for path in MODULES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for name in graph.get(module, ()):
                visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_is_imported_in_its_leaf_modules_alone(engine: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if any(name.partition(".")[0] == engine for name in imports_of(path))
    }
    assert users <= ENGINES[engine]


def lines_of_docstring(function: ast.FunctionDef) -> int:
    """Return how many lines explain a function: an example in it makes the function no harder to read."""
    return (ast.get_docstring(function, clean=False) or "").count("\n")


def test_modules_and_functions_stay_short() -> None:
    for path in MODULES:
        source = path.read_text()
        assert source.count("\n") < 400, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno - lines_of_docstring(node) < 60, f"{path}: {node.name}"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_has_few_public_names_and_all_of_them_exist(name: str) -> None:
    package = importlib.import_module(f"edgeport.{name}")
    assert 0 < len(package.__all__) <= 10
    assert package.__all__ == sorted(package.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name))
    tree = ast.parse((ROOT / name.replace(".", "/") / "__init__.py").read_text())
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(package.__all__) <= named


def test_a_format_is_one_row_and_three_modules() -> None:
    for row in FORMATS:
        modules = (row.exporter, *row.engines.values(), row.structure_module)
        for module in modules:
            assert (ROOT / module.removeprefix("edgeport.").replace(".", "/")).with_suffix(".py").is_file(), module
        defined = {
            node.name
            for module in modules
            for node in ast.parse(
                (ROOT / (module.removeprefix("edgeport.").replace(".", "/") + ".py")).read_text()
            ).body
            if isinstance(node, ast.FunctionDef)
        }
        assert {"convert", "embed", "import_package", "open_engine", "sound_content"} <= defined


def test_a_command_is_a_module_with_arguments_and_run() -> None:
    for command in COMMANDS:
        module = ROOT / (command.module.removeprefix("edgeport.").replace(".", "/") + ".py")
        defined = {node.name for node in ast.parse(module.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert {"add_arguments", "run"} <= defined, command.name


def test_every_folder_with_code_but_the_lab_is_a_package_that_the_wheel_holds() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT).as_posix() for path in PACKAGED}
    assert set(settings["packages"]) == {f"edgeport.{folder.replace('/', '.')}" for folder in folders}
    assert settings["package-dir"] == {"edgeport": "."}
    assert not (ROOT / "edgeport").exists()
    assert not (ROOT / "__init__.py").exists()


def test_no_folder_is_a_pile() -> None:
    # Folders of compiled files alone are what modules left behind that have moved away.
    kept = [path for layer in LAYERS for path in (ROOT / layer).rglob("*") if path.is_file()]
    kept = [path for path in kept if path.name not in ("__init__.py", "py.typed") and path.suffix != ".pyc"]
    for folder in {path.parent for path in PACKAGED}:
        entries = {path.relative_to(folder).parts[0] for path in kept if path.is_relative_to(folder)}
        # Of the published models each is a folder.
        assert len(entries) <= 13 or folder.name == "zoo", f"{folder}: {sorted(entries)}"


def test_what_pages_are_made_of_is_in_the_wheel() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    held = {
        path
        for package, patterns in data.items()
        if package != "*"
        for pattern in patterns
        for path in (ROOT / package.removeprefix("edgeport.").replace(".", "/")).glob(pattern)
    }
    needed = {path for path in (ROOT / "benchmarks/report").rglob("*") if path.suffix in (".html", ".css")}
    page = {path for path in (ROOT / "runtime/serving/page").rglob("*") if path.is_file()}
    assert len(needed) >= 3
    assert len(page) >= 8
    needed |= page | set((ROOT / "export/bundle/web").glob("*.js"))
    assert needed <= held


def test_constraints_name_versions_and_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert "--" not in text
