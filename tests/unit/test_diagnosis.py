"""Which layer loses accuracy in integers: planted faults in small ONNX files, without TensorFlow."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

from edgeport.export.diagnosis.causes import _RULES, cause_of, cure_for
from edgeport.export.diagnosis.diagnosis import FormatDiagnosis, diagnose, repair, sentences
from edgeport.export.diagnosis.layer_errors import Channels, StepError
from edgeport.export.diagnosis.output_errors import Error
from edgeport.export.diagnosis.pairing import QuantizedStep, StepInput
from edgeport.export.graphs.places import layers_of_tflite_tensor
from edgeport.export.parts.graph import Quantization
from edgeport.export.parts.tflite import TfliteParts
from edgeport.runtime.errors import ArtefactError, InputError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
Weights = list[npt.NDArray[np.float32]]


def weights(*, seed: int = 0) -> Weights:
    random = np.random.default_rng(seed)
    return [random.normal(0, 0.4, shape).astype(np.float32) for shape in ((8, 12), (12, 12), (12, 12), (12, 4))]


def network(kernels: Weights, biases: Weights | None = None) -> onnx.ModelProto:
    """Return dense layers with ReLU between them; the third joins what the first gave."""
    nodes, constants, last = [], [], "x"
    for number, kernel in enumerate(kernels):
        bias = biases[number] if biases else np.zeros(kernel.shape[1], np.float32)
        constants += [numpy_helper.from_array(kernel, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        nodes.append(
            helper.make_node("Gemm", [last, f"w{number}", f"b{number}"], [f"g{number}"], f"layer{number}.gemm_{number}")
        )
        last = f"g{number}"
        if number < len(kernels) - 1:
            nodes.append(helper.make_node("Relu", [last], [f"r{number}"], f"layer{number}.relu_{number}"))
            last = f"r{number}"
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 8), (last, 4))
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Reader(quantization.CalibrationDataReader):
    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        self._left = iter(samples)

    def get_next(self) -> dict[str, object] | None:
        sample = next(self._left, None)
        return None if sample is None else {"x": sample[None]}


def diagnosed(
    model: onnx.ModelProto,
    folder: Path,
    *,
    calibration: npt.NDArray[np.float32],
    samples: npt.NDArray[np.float32],
    nodes: Sequence[str] = (),
) -> FormatDiagnosis:
    floats, integers = folder / "m.float32.onnx", folder / "m.int8.onnx"
    onnx.save(model, floats)
    quantization.quantize_static(
        floats, integers, Reader(calibration), nodes_to_quantize=list(nodes),
        quant_format=quantization.QuantFormat.QDQ, per_channel=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip
    return diagnose(
        floats.read_bytes(), integers.read_bytes(), [[each[None]] for each in samples], format="onnx",
        names=("m.float32.onnx", "m.int8.onnx"),
    )  # fmt: skip


SAMPLES = np.random.default_rng(1).normal(0, 1, (64, 8)).astype(np.float32)


def test_a_sound_model_blames_no_layer_for_much(tmp_path: Path) -> None:
    found = diagnosed(network(weights()), tmp_path, calibration=SAMPLES, samples=SAMPLES[:16])
    assert [each.layer for each in found.layers] == ["x", "layer0", "layer1", "layer2", "layer3"]
    assert found.outputs_db > 25
    assert {each.cause.kind for each in found.layers} == {"8 bits"}
    assert sum(map(found.share, found.layers)) == pytest.approx(1)


@pytest.mark.parametrize("place", [0, 1])
def test_a_layer_with_an_outlier_channel_is_first_and_so_called(place: int, tmp_path: Path) -> None:
    kernels = weights()
    # The same function: what one channel gains, the next layer takes back.
    kernels[place][:, 5] *= 300
    kernels[place + 1][5] /= 300
    found = diagnosed(network(kernels), tmp_path, calibration=SAMPLES, samples=SAMPLES[:16])
    assert found.costliest[0].layer == f"layer{place}"
    assert found.costliest[0].cause.kind == "outlier channel"
    assert f"layer{place} (Gemm) is to blame for" in sentences(found)[0]
    assert "channel 5 of 12" in sentences(found)[0]
    assert repair([found]) == [f"layer{place}", f"layer{place + 1}"]


def test_a_dead_channel_is_called_so(tmp_path: Path) -> None:
    kernels = weights()
    biases = [np.zeros(kernel.shape[1], np.float32) for kernel in kernels]
    kernels[1][:, 2], biases[1][2], kernels[2][2] = 0, 500, 0
    found = diagnosed(network(kernels, biases), tmp_path, calibration=SAMPLES, samples=SAMPLES[:16])
    assert (found.costliest[0].layer, found.costliest[0].cause.kind) == ("layer1", "dead channel")


def test_samples_beyond_the_calibration_are_named(tmp_path: Path) -> None:
    found = diagnosed(network(weights()), tmp_path, calibration=SAMPLES / 4, samples=SAMPLES[:16])
    assert found.costliest[0].cause.kind == "calibration"
    assert "which is all that calibration saw" in sentences(found)[0]


def test_numbers_that_overflow_inside_are_no_model_that_loses_nothing(tmp_path: Path) -> None:
    kernels = weights()
    kernels[1] *= 1e3
    with pytest.raises(InputError, match=r"infinite numbers from layer1\.gemm_1 on, down to layer3\.gemm_3, expected"):
        diagnosed(network(kernels), tmp_path, calibration=SAMPLES, samples=SAMPLES[:2] * np.float32(1e38))


def test_two_files_of_different_models_are_refused(tmp_path: Path) -> None:
    diagnosed(network(weights()), tmp_path, calibration=SAMPLES, samples=SAMPLES[:2])
    with pytest.raises(ArtefactError, match="no tensor in common"):
        diagnose(
            (DATA / "tiny.float32.onnx").read_bytes(), (tmp_path / "m.int8.onnx").read_bytes(), [], format="onnx",
            names=("a.onnx", "b.onnx"),
        )  # fmt: skip


@pytest.mark.parametrize("format_name", ["tflite", "onnx"])
def test_the_files_of_one_export_are_compared_in_both_formats(format_name: str) -> None:
    files = tuple(f"tiny.{precision}.{format_name}" for precision in ("float32", "int8"))
    contents = [(DATA / name).read_bytes() for name in files]
    samples = np.random.default_rng(0).uniform(0, 255, (4, 1, 28, 28, 1)).astype(np.float32)
    found = diagnose(*contents, [[each] for each in samples], format=format_name, names=files)
    assert len(found.layers) > 4
    assert all(each.built_up.sqnr_db > 5 for each in found.layers)
    assert all(each.own_db is not None and each.own_db > 20 for each in found.layers)
    assert found.outputs_db > 15


def test_integers_stand_for_real_values_and_back() -> None:
    steps = Quantization(np.array([0.5, 2.0], np.float32), np.array([0, 10]), 1, np.dtype(np.int8))
    real = np.array([[1.0, 2.0], [-100.0, 1000.0]], np.float32)
    assert steps.integers(real).tolist() == [[2, 11], [-128, 127]]
    assert steps.real(steps.integers(real)).tolist() == [[1.0, 2.0], [-64.0, 234.0]]
    assert steps.limits == (-276.0, 234.0)


def test_a_part_of_a_tflite_file_answers_as_the_whole_does() -> None:
    parts = TfliteParts((DATA / "tiny.float32.tflite").read_bytes())
    values = parts.values([np.random.default_rng(0).random((1, 28, 28, 1)).astype(np.float32)])
    for number, operator in enumerate(parts.operators):
        given = {name: values[name] for name in operator.inputs if name and name not in parts.constants}
        if given:
            answered = parts.part([number], given, operator.outputs)(given)
            assert np.allclose(answered[operator.outputs[0]], values[operator.outputs[0]], atol=1e-5), operator


def error(**changes: object) -> StepError:
    step = QuantizedStep("t", "t", (StepInput("s", "s", "s"),), (0,), (0,), 0)
    usual = StepError(
        step=step, type="Conv", name="a.conv_0", built_up=Error(30, 0, 0), own=Error(40, 0, 0), at_outputs_db=40,
        limits=(-1.0, 1.0), seen=(-1.0, 1.0), clipped=0.0, channels=Channels(2.0, 0, 1.0, 8), weights_killed=0.0,
        input_ranges=(1.0,), readers=("Relu",),
    )  # fmt: skip
    return replace(usual, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("calibration", {"clipped": 0.02, "seen": (-3.0, 2.0)}),
        ("mask constant", {"type": "ADD", "seen": (-1e9, 3.0), "limits": (-1e9, 0.0)}),
        ("outlier channel", {"channels": Channels(40.0, 3, 1.0, 8)}),
        ("dead channel", {"channels": Channels(40.0, 3, 0.0, 8)}),
        ("softmax in integers", {"type": "SOFTMAX"}),
        ("saturated activation", {"readers": ("LOGISTIC",), "limits": (-90.0, 90.0), "seen": (-90.0, 90.0)}),
        ("unlike ranges", {"type": "CONCATENATION", "input_ranges": (100.0, 0.1)}),
        ("unscaled input", {"type": "INPUT", "channels": Channels(40.0, 3, 1.0, 8, 2, (0.0, 0.1))}),
        ("unscaled input", {"type": "INPUT", "channels": None, "limits": (0.0, 1020.0), "seen": (1000.0, 1020.0)}),
        ("wide range", {"limits": (-100.0, 100.0)}),
        ("weights", {"weights_killed": 0.9}),
        ("biased weights", {"biased": 0.7}),
        ("8 bits", {}),
    ],
)
def test_each_cause_is_known_by_what_is_seen(kind: str, changes: dict[str, object]) -> None:
    assert cause_of(error(**changes)).kind == kind


def test_columns_of_unlike_size_are_named_as_the_input_that_is_rounded(tmp_path: Path) -> None:
    sizes = np.array([1000.0, *[1.0] * 7], np.float32)
    table = SAMPLES * sizes
    first, *others = weights()
    found = diagnosed(network([first / sizes[:, np.newaxis], *others]), tmp_path, calibration=table, samples=table[:8])
    (costliest, *_) = found.costliest
    assert (costliest.layer, costliest.cause.kind) == ("x", "unscaled input")
    assert costliest.is_input
    assert "x" not in repair([found])
    assert "which all columns share" in sentences(found)[0]


@pytest.mark.parametrize("format_name", ["tflite", "onnx"])
def test_pixels_that_a_layer_scales_are_no_unscaled_input(format_name: str) -> None:
    """Each of their values has an integer of its own, wherever a converter has put the scaling."""
    files = tuple(f"tiny.{precision}.{format_name}" for precision in ("float32", "int8"))
    contents = [(DATA / name).read_bytes() for name in files]
    samples = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28, 1)).astype(np.float32)
    found = diagnose(*contents, [[each] for each in samples], format=format_name, names=files)
    assert not [each.layer for each in found.layers if each.cause.kind == "unscaled input"]
    assert sum(found.share(each) for each in found.layers if each.is_input) < 0.01


def test_channels_can_be_equalized_where_weights_take_them() -> None:
    wide = {"channels": Channels(40.0, 3, 1.0, 8)}
    assert cure_for(error(**wide, readers=("Conv", "MaxPool"))) == "equalize"
    assert cure_for(error(channels=Channels(40.0, 3, 0.0, 8), readers=("DEPTHWISE_CONV_2D",))) == "equalize"
    for readers in ((), ("Conv", "Add"), ("CONCATENATION",), ("Tanh",)):
        assert not cure_for(error(**wide, readers=readers))
    assert not cure_for(error(readers=("Conv",)))


def test_what_rounded_weights_add_to_every_sample_is_found_and_biases_take_it_off(tmp_path: Path) -> None:
    kernels, always = weights(), np.abs(SAMPLES) + 4
    # Every weight is a third of a step above an integer.
    kernels[0] = (np.random.default_rng(3).integers(-126, 127, (8, 12)) + 0.33).astype(np.float32) / 300
    kernels[0][0] = 127 / 300
    found = diagnosed(network(kernels), tmp_path, calibration=always, samples=always[:16])
    (layer,) = (each for each in found.layers if each.layer == "layer0")
    assert layer.cause.kind == "biased weights"
    assert cure_for(layer.worst) == "correct_biases"
    around_zero = diagnosed(network(kernels), tmp_path, calibration=SAMPLES, samples=SAMPLES[:16])
    (layer,) = (each for each in around_zero.layers if each.layer == "layer0")
    assert layer.worst.biased is not None
    assert layer.worst.biased < 0.5


def test_the_documents_list_the_causes() -> None:
    table = (ROOT / "docs/guides/debug.md").read_text().partition("## The causes")[2].partition("\n## ")[0]
    listed: Sequence[str] = re.findall(r"^\| ([a-z0-9 ]+) \| .+ \| .+ \|$", table, re.MULTILINE)
    assert listed[1:] == [*(kind for kind, _ in _RULES), "8 bits"]


def test_tokens_go_in_as_they_are(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in (("table", (20, 6)), ("w", (6, 3)))
    ]
    nodes = [
        helper.make_node("Gather", ["x", "table"][::-1], ["looked_up"], "embedding.gather_0"),
        helper.make_node("ReduceMean", ["looked_up"], ["mean"], "pool.reducemean_1", axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["y"], "dense.matmul_2"),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 5])
    answered = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "g", [given], [answered], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    tokens = random.integers(0, 20, (30, 5))
    found = diagnosed(model, tmp_path, calibration=tokens, samples=tokens[:8])
    assert [each.layer for each in found.layers] == ["embedding", "pool", "dense"]
    assert found.outputs_db > 20


def test_a_fused_tensor_of_tflite_is_of_the_layer_with_the_kernel() -> None:
    name = "net_1/relu_1/Relu;net_1/norm_1/batchnorm/add_1;net_1/conv_1/convolution;net_1/norm_1/batchnorm/sub1"
    assert layers_of_tflite_tensor(name, ("net", "conv", "norm", "relu"))[-1] == "conv"


def test_values_rounded_after_a_move_are_those_of_the_layer_that_computed_them(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    kernel = random.normal(0, 0.4, (8, 12)).astype(np.float32)
    kernel[:, 5] *= 300
    constants = [
        numpy_helper.from_array(kernel, "w0"),
        numpy_helper.from_array(random.normal(0, 0.4, (12, 4)).astype(np.float32), "w1"),
        numpy_helper.from_array(np.array([-1, 12]), "shape"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], "first.matmul_0"),
        helper.make_node("Relu", ["a"], ["b"], "first.relu_1"),
        helper.make_node("Reshape", ["b", "shape"], ["c"], "second.reshape_2"),
        helper.make_node("MatMul", ["c", "w1"], ["y"], "second.matmul_3"),
    ]
    given, answered = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 8), ("y", 4))
    )
    graph = helper.make_graph(nodes, "g", [given], [answered], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found = diagnosed(model, tmp_path, calibration=SAMPLES, samples=SAMPLES[:8], nodes=["second.matmul_3"])
    assert found.costliest[0].layer == "first"
