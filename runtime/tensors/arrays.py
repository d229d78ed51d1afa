"""The types of the runtime's arrays: what numpy.typing would call them, whose import every start would wait for."""

from typing import Any

import numpy as np

Tensor = np.ndarray[Any, np.dtype[Any]]
FloatArray = np.ndarray[Any, np.dtype[np.float32]]
# Raw pixels, 0 to 255.
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
