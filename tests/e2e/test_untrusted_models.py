"""An export runs nothing that reaches out of a model: it is refused by its operators' names before it is loaded."""

from pathlib import Path

import keras
import pytest
import tensorflow as tf

from edgeport.export import load_source
from edgeport.export.sources.untrusted_operators import check_graph_def, reaches_out
from edgeport.runtime import InputError
from edgeport.runtime.cli import main


class Logging(keras.layers.Layer):
    def __init__(self, path: str, **options: object) -> None:
        super().__init__(**options)
        self.written = path

    def call(self, x: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.io.write_file(self.written, "written")]):
            return tf.identity(x)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "path": self.written}


def saved(folder: Path, written: Path) -> Path:
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
        def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            with tf.control_dependencies([tf.io.write_file(str(written), "written")]):
                return {"y": tf.nn.softmax(x)}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures=model.serve)
    written.unlink(missing_ok=True)
    return folder


def test_a_saved_model_that_writes_files_is_refused_before_it_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = saved(tmp_path / "model", tmp_path / "written")
    capfd.readouterr()
    assert main(["export", str(folder), "--calibration", "random", "-o", str(tmp_path / "out")]) == 2
    error = capfd.readouterr().err
    assert "WriteFile (writes files)" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "written").exists()
    assert not (tmp_path / "out").exists()


def test_a_keras_file_whose_layers_reach_out_is_refused_before_it_runs(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    keras.Model(inputs, Logging(str(tmp_path / "written"))(inputs)).save(tmp_path / "model.keras")
    (tmp_path / "written").unlink(missing_ok=True)
    with pytest.raises(InputError, match="WriteFile"):
        load_source(tmp_path / "model.keras", custom_objects={"Logging": Logging})
    assert not (tmp_path / "written").exists()


def test_what_python_functions_trace_to_is_found() -> None:
    traced = tf.function(lambda x: tf.numpy_function(lambda v: v, [x], tf.float32))
    graph = traced.get_concrete_function(tf.TensorSpec((1,), tf.float32)).graph.as_graph_def()
    with pytest.raises(InputError, match="runs Python"):
        check_graph_def(graph.SerializeToString(), name="it")


@pytest.mark.parametrize(
    "name",
    [
        "ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "SaveV2", "RestoreV2", "PrintV2",
        "CreateSummaryFileWriter", "ImmutableConst", "TextLineDataset", "InitializeTableFromTextFileV2",
    ],
)  # fmt: skip
def test_the_names_are_those_of_tensorflow(name: str) -> None:
    assert hasattr(tf.raw_ops, name)
    assert reaches_out(name)
