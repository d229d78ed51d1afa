"""The inside of ``probing.probe``: takes its limits upon itself, loads one file, runs it once on zeros."""

import json
import math
import os
import resource
import sys
from typing import Any

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.empty_axes import EmptyAxes
from edgeport.runtime.errors import EdgeportError, InputError, WrongEngineError
from edgeport.runtime.prediction.loading import load

_OUT_OF_MEMORY = ("bad_alloc", "failed to map segment", "failed to allocate", "cannot allocate", "out of memory")


def main() -> None:
    """Take the request from the command line; write the answer, one JSON object, to what was the standard output."""
    request = json.loads(sys.argv[1])
    # Whatever engines print shall not be taken for the answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    sys.dont_write_bytecode = True
    _limit(request["seconds"], request["memory_bytes"], request["file_bytes"])
    EmptyAxes.in_a_process_of_its_own = True
    source = sys.stdin.buffer.read() if request["path"] is None else request["path"]
    try:
        said = {"outcome": "runs", "detail": _answer(source, request["engine"], request["shapes"])}
    except _WrongShapeError as error:
        said = {"outcome": "wrong shape", "detail": str(error)}
    except WrongEngineError as error:
        said = {"outcome": "left out", "detail": str(error)}
    except MemoryError:
        said = {"outcome": "too much memory", "detail": "it wanted more memory than it may have"}
    # An engine's errors share no base class below Exception, and any of them is an answer here.
    except Exception as error:
        words = str(error) if isinstance(error, EdgeportError) else f"{type(error).__name__}: {error}"
        short = any(sign in words.lower() for sign in _OUT_OF_MEMORY)
        refused = "missing" if isinstance(error, ImportError) else "refused"
        said = {"outcome": "too much memory" if short else refused, "detail": words[:2000]}
    os.write(answers, json.dumps({**said, "peak_rss_bytes": _peak_rss_bytes()}).encode())


def _limit(seconds: float, memory_bytes: int, file_bytes: int) -> None:
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: math.ceil(seconds) + 1,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: file_bytes,
    }
    for limit, most in limits.items():
        allowed = resource.getrlimit(limit)[1]
        lower = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(limit, (lower, lower))


class _WrongShapeError(InputError):
    """A shape was asked for that no input has."""


def _answer(source: str | bytes, engine: str, shapes: dict[str, list[int]]) -> str:
    """Load the file, run it once, and return what came out in words."""
    predictor = load(source, engine=engine, verify=False)
    inputs = predictor.spec.inputs
    for name in shapes:
        if name not in {tensor.name for tensor in inputs}:
            raise _WrongShapeError(f"shape of {name!r}: there is no such input; expected one of {_listed(inputs)}")
    zeros: dict[str, Any] = {
        tensor.name: np.zeros(_shape(tensor, shapes.get(tensor.name)), tensor.dtype) for tensor in inputs
    }
    answer = predictor.run(zeros)
    return "zeros gave " + ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in answer.items())


def _shape(tensor: TensorSpec, wanted: list[int] | None) -> tuple[int, ...]:
    """Return the shape that an input gets: the wanted one, if it is none that the file contradicts."""
    if wanted is None:
        return tuple(1 if axis is None else axis for axis in tensor.shape)
    got = f"shape of {tensor.name!r}: got {tuple(wanted)}"
    if len(wanted) != len(tensor.shape):
        raise _WrongShapeError(f"{got}, which has {len(wanted)} axes; expected {len(tensor.shape)}: {tensor}")
    for place, (axis, length) in enumerate(zip(tensor.shape, wanted, strict=True)):
        if axis not in (None, length):
            raise _WrongShapeError(f"{got}, but the file fixes axis {place} to {axis}: {tensor}")
    return tuple(wanted)


def _listed(tensors: tuple[TensorSpec, ...]) -> str:
    return "; ".join(map(str, tensors))


def _peak_rss_bytes() -> int | None:
    # Not getrusage: its figure starts with that of the process that started this one.
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


if __name__ == "__main__":
    main()
