"""Keep the chatter of C++ libraries off the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what is written to file descriptor 2, by Python or C++, to nowhere while the block runs.

    TensorFlow, its converters and the engines log there whatever their own settings say. Set the environment
    variable EDGEPORT_VERBOSE to see it.
    """
    if os.environ.get("EDGEPORT_VERBOSE"):
        yield
        return
    try:
        saved = os.dup(2)
    except OSError:
        # It is closed already.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    _flush()
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        _flush()
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
