"""What onnxruntime's quantizers work on: a file, simplified and with its shapes known."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgeport.runtime.files.temporary import temporary_folder


@contextmanager
def prepared_files(model: onnx.ModelProto) -> Iterator[tuple[Path, Path]]:
    """Yield the path of the prepared model, and one to write the quantized model to; both vanish in the end.

    onnxruntime folds batch normalisation and constants, and infers shapes.
    """
    with temporary_folder() as folder:
        original, prepared, quantized = (folder / f"{step}.onnx" for step in ("original", "prepared", "quantized"))
        # Handed a model object instead of a file, the preprocessor loses small constants.
        onnx.save(model, original)
        # Symbolic shape inference would need sympy, and shapes here are known but for the batch.
        quant_pre_process(original, prepared, skip_symbolic_shape=True)
        yield prepared, quantized
