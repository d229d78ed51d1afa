"""A metric of the user's own: a function of truth and answers in a Python file, ``FILE.py:FUNCTION[:up|down|zero]``."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.tasks.metric import DOWN, UP, ZERO, Array, Floats, Metric, MetricError, Weighted
from edgeport.runtime.errors import InputError, unknown_name
from edgeport.train.python_file import run_python_file, users_code

_NAMED = re.compile(r"(?P<file>.+\.py):(?P<function>\w+)(?::(?P<better>\w+))?")
_DIRECTIONS = (UP, DOWN, ZERO)


def is_users_metric(name: str) -> bool:
    """Return whether the name of a metric is that of a function in a Python file, which runs code."""
    return _NAMED.fullmatch(name) is not None


def check_user_named_them(names: tuple[str, ...], *, record: str) -> None:
    """Raise InputError for metrics that are code and that a record names, not the user: it must not run by itself."""
    code = next(filter(is_users_metric, names), None)
    if code:
        raise InputError(
            f"{record} was judged by {code}, which is Python code and runs only if you name it: --metric {code}, or "
            "the name of another metric"
        )


def users_metric(name: str) -> Metric:
    """Return a function of a Python file as a metric.

    The function takes truth and answers as arrays of numpy, the samples first, and returns a number
    (docs/explanation/benchmark.md has their shapes). Its attribute ``better`` says which way is better, ``up``,
    ``down`` or ``zero`` (nearest to zero), unless the name does; its attribute ``unit`` what the number is measured
    in: ``points`` for a share of 0 to 1, which is shown times 100.

    Args:
        name: ``FILE.py:FUNCTION``, or with the direction ``FILE.py:FUNCTION:down``.

    Raises:
        InputError: There is no such function, or nobody says which way is better.
    """
    found = _NAMED.fullmatch(name)
    if found is None:
        raise InputError(f"--metric: got {name}, expected FILE.py:FUNCTION")
    path = Path(found["file"])
    module = run_python_file(path, role="--metric")
    function = getattr(module, found["function"], None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if inspect.isfunction(value) and key[0] != "_"]
        raise unknown_name(f"function of {path}", found["function"], own)
    called = f"{found['file']}:{found['function']}"
    better = found["better"] or getattr(function, "better", None)
    if better not in _DIRECTIONS:
        raise InputError(
            f"--metric {called}: got {better or 'nothing'} for which way is better, expected {', '.join(_DIRECTIONS)}: "
            f'say it with --metric {called}:up, or in the file with {found["function"]}.better = "up"'
        )
    unit = str(getattr(function, "unit", ""))
    number = _numbers_of(function, path, called)

    def drawn(truth: Array, answers: Array) -> Weighted:
        def anew(weights: Floats) -> float:
            places = np.repeat(np.arange(len(weights)), weights.astype(np.int64))
            return number(truth[places], answers[places])

        return anew

    return Metric(found["function"], better, number, drawn, unit=unit)


def _numbers_of(function: Callable[..., Any], path: Path, called: str) -> Callable[[Array, Array], float]:
    """Return a function that gives numbers, or says in one line what the user's gives instead."""

    def number(truth: Array, answers: Array) -> float:
        try:
            with users_code(path, role=f"metric {called}"):
                # Copies, as a function may sort in place.
                given = function(truth.copy(), answers.copy())
        except InputError as error:
            raise MetricError(str(error)) from error
        if isinstance(given, (bool, int, float, np.bool_, np.integer, np.floating)):
            return float(given)
        array = np.asarray(given) if hasattr(given, "__array__") else None
        if array is None or array.ndim or array.dtype.kind not in "biuf":
            shape = f" of shape {array.shape}" if array is not None and array.ndim else ""
            raise MetricError(f"metric {called}: got {_kind(given)}{shape}, expected a number")
        return float(array)

    return number


def _kind(given: Any) -> str:
    return "nothing (None)" if given is None else f"a {type(given).__name__}"
