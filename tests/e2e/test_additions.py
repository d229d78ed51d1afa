"""What a precision takes: its row, and a row in each format that knows it. All else follows from them."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from edgeport.benchmarks.report.looks import mark_of
from edgeport.export import Options, export_model
from edgeport.export.onnx import schemes as onnx_schemes
from edgeport.export.tflite import schemes as tflite_schemes
from edgeport.runtime import load
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.artefact.precisions import PRECISIONS, GoldenLimits, Precision, VerificationLimits
from edgeport.runtime.golden.answers import golden_bytes, read_golden
from edgeport.runtime.golden.check import check_golden

SCHEMES = {"tflite": tflite_schemes.SCHEMES, "onnx": onnx_schemes.SCHEMES}


def test_each_format_makes_the_precisions_of_its_rows() -> None:
    assert SCHEMES.keys() == {row.name for row in FORMATS}
    for name, schemes in SCHEMES.items():
        assert list(schemes) == [row.name for row in PRECISIONS.values() if name in row.formats]
    assert {name: scheme.integers is not None for name, scheme in tflite_schemes.SCHEMES.items()} == {
        row.name: row.in_integers for row in PRECISIONS.values()
    }


def bfloat16(model: onnx.ModelProto, material: onnx_schemes.Material) -> onnx.ModelProto:
    """Return the model with weights of 8 bits of mantissa, as bfloat16 has them."""
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            cut = (onnx.numpy_helper.to_array(weight).view(np.uint32) & 0xFFFF0000).view(np.float32)
            weight.CopyFrom(onnx.numpy_helper.from_array(cut, weight.name))
    return model


def test_a_new_precision_is_its_row_and_a_row_of_each_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # This is all that is added, in two files.
    row = Precision("bfloat16", ("onnx",), VerificationLimits(0.05, 30.0, 0.95), GoldenLimits(1e-4, 1e-4))
    monkeypatch.setitem(PRECISIONS, "bfloat16", row)
    monkeypatch.setitem(onnx_schemes.SCHEMES, "bfloat16", bfloat16)

    signal = keras.Input((16,), name="signal")
    answers = keras.layers.Dense(3)(keras.layers.Dense(8, activation="tanh")(signal))
    model = keras.Model(signal, answers)
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    samples = generator.normal(size=(80, 16)).astype(np.float32)
    options = Options(precisions=("float32", "bfloat16"))
    manifest = export_model(model, tmp_path / "export", calibration=samples, name="made", options=options)

    files = [each.file for each in manifest.artefacts]
    assert files == ["made.float32.tflite", "made.float32.onnx", "made.bfloat16.onnx"]
    off = [each.verified.relative_error for each in manifest.artefacts]
    assert off[1] < 1e-5 < off[2] < 0.05
    predictor = load(tmp_path / "export" / "made.bfloat16.onnx")
    (ours,) = predictor.run({"signal": samples}).values()
    np.testing.assert_allclose(ours, model.predict(samples, verbose=0), atol=0.2)

    (tmp_path / "golden.npz").write_bytes(golden_bytes(tmp_path / "export", files, {"signal": samples}))
    golden = read_golden(tmp_path / "golden.npz")
    assert {each.file: each.precision for each in golden.answers} == {name: name.split(".")[1] for name in files}
    checks = check_golden(golden, tmp_path / "export")
    assert {check.status for check in checks} == {"passed"}
    assert mark_of("bfloat16") not in {mark_of(name) for name in PRECISIONS if name != "bfloat16"}
