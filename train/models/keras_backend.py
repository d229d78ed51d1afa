"""Keras on TensorFlow, whatever environment variables and keras.json say: import this before Keras.

Both converters start from TensorFlow's graphs, so no other backend will do.
"""

import os
import sys

from edgeport.runtime.errors import ExportError

os.environ["KERAS_BACKEND"] = "tensorflow"


def check_backend() -> None:
    """Raise ExportError if Keras was imported earlier in this process, with another backend."""
    backend = sys.modules["keras"].config.backend()
    if backend != "tensorflow":
        raise ExportError(
            f"Keras was imported with the backend {backend}, expected tensorflow: import edgeport before keras, or "
            "set KERAS_BACKEND=tensorflow"
        )
