"""Profiles of models as people have them: every precision of `classic`, and MobileNetV2 with its many operators."""

from pathlib import Path

import keras
import pytest

from edgeport.benchmarks.profile.profile import profile_artefact, profile_files
from edgeport.benchmarks.profile.profile_facts import AT_LOAD, PLAIN, XNNPACK, Profile, from_document
from edgeport.export import Options, export, load_calibration, load_source
from edgeport.export.inspection import inspect

SECONDS = 0.2


@pytest.fixture(scope="module")
def classic(exported: Path) -> dict[str, Profile]:
    paths = [path for path in sorted(exported.iterdir()) if path.suffix in (".tflite", ".onnx")]
    found = profile_files(paths, threads=1, seconds=SECONDS)
    return {name.partition(".")[2]: from_document(document) for name, document in found.items()}


def test_macs_and_shares_hold_in_every_precision(classic: dict[str, Profile], exported: Path) -> None:
    assert len(classic) == 9
    for profile in classic.values():
        found = inspect(exported / profile.file)
        assert sum(each.macs or 0 for each in profile.operators) == found.macs, profile.file
        assert sum(each.share for each in profile.operators) == pytest.approx(1), profile.file
        # Alone and together take about the same, however busy the machine is.
        assert 0.3 < profile.parts_us / profile.whole_us < 3, profile.file


def test_the_first_convolution_gains_least_from_integers(classic: dict[str, Profile]) -> None:
    """Its outputs sum 9 products each, too few for the kernels of integers, whichever engine."""
    for format_ in ("tflite", "onnx"):
        layers = [
            [each for each in classic[f"{precision}.{format_}"].operators if "CONV" in each.type.upper()]
            for precision in ("float32", "int8")
        ]
        gains = [floats.us / integers.us for floats, integers in zip(*layers, strict=True)]
        assert len(gains) == 2
        assert gains[0] < gains[1]
        said = classic[f"int8.{format_}"].sentences[0]
        assert said.startswith("int8 is ")


def test_what_xnnpack_leaves_is_named(classic: dict[str, Profile]) -> None:
    wide = classic["int16x8.tflite"]
    assert len(wide.outside) == len(wide.operators)
    assert {each.where for each in wide.operators} == {PLAIN}
    assert wide.boundaries.quantize == wide.boundaries.dequantize == 1
    assert classic["int8.tflite"].outside == ()


def test_weights_that_become_floats_at_load_take_no_time(classic: dict[str, Profile]) -> None:
    half = classic["float16.tflite"]
    kinds = {(each.type, each.where) for each in half.operators if each.where == AT_LOAD}
    assert kinds == {("DEQUANTIZE", AT_LOAD)}
    assert half.boundaries.dequantize == 0
    assert {each.where for each in half.operators if each.macs} == {XNNPACK}


def test_integers_on_the_way_count_as_integers(classic: dict[str, Profile]) -> None:
    dynamic = classic["dynamic.tflite"]
    assert dynamic.roofline is not None
    assert dynamic.roofline.peak_kind == "int8"


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_large_network_is_cut_into_all_its_operators(format_: str, tmp_path: Path) -> None:
    model = keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3), alpha=0.35, classes=10)
    model.save(tmp_path / "large.keras")
    source = load_source(tmp_path / "large.keras", inputs=["pixels:-1:1"])
    calibration = load_calibration("random", inputs=source.inputs, count=20)
    export(source, tmp_path / "out", calibration, options=Options(formats=(format_,), precisions=("float32",)))
    (path,) = (tmp_path / "out").glob(f"*.{format_}")
    profile = profile_artefact(path, threads=1, seconds=SECONDS)
    found = inspect(path)
    assert sum(each.macs or 0 for each in profile.operators) == found.macs
    multiplying = [each.name for each in found.graph.operators if each.macs]
    assert sorted(each.name for each in profile.operators if each.macs) == sorted(multiplying)
    assert len(multiplying) > 50
    assert 0.3 < profile.parts_us / profile.whole_us < 3
