"""Memory between the steps of an export: what a step no longer needs is given back before the next one begins.

TensorFlow's and tf2onnx's graphs are cycles that hold every weight, and Python looks for cycles by the number of new
objects, not by their size: with the million objects of an imported TensorFlow it would look once in many graphs.
"""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# After so many new objects Python looks for cycles at the latest; our command line waits for more elsewhere.
_OBJECTS = 700


@contextmanager
def cycles_freed_early() -> Iterator[None]:
    """Free the cycles that are made inside soon after they are let go; what is alive before it is not looked at again.

    With all that was imported set aside, looking for cycles is cheap, so that Python does so often.
    """
    free_memory()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(min(before[0], _OBJECTS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def free_memory() -> None:
    """Free all cycles, and return the freed memory to the system where the C library can (glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
