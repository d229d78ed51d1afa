"""Compare what the engines of this machine answer with golden answers.

What counts as the same, for an artefact in the engine that made its golden answers:

- Integers, and the real values that an integer artefact's last step makes of them, match bit for bit.
- Real values are within a share of the range of the golden ones, by precision: the order in which a CPU adds up
  differs. In a dynamic artefact an activation near the middle of two steps may be rounded the other way, and a CPU with
  float16 arithmetic computes a float16 ONNX artefact in it.

In another engine, as a TFLite file in tflite-runtime whose answers are those of ai-edge-litert, integers may be up to
2 steps apart, and those of 16 bits, whose steps are 256 times finer, up to 16: the two round differently between
layers.
docs/results/test-pi.json has how far apart they were, for each CPU and engine.

So a class can only change where the two largest golden answers are within twice the limit of each other, and where a
check passes each changed class is such a near tie.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.formats import ENGINES, format_called
from edgeport.runtime.artefact.precisions import PRECISIONS, GoldenLimits, is_in_integers
from edgeport.runtime.engines.installed import installed_engines
from edgeport.runtime.errors import (
    ArtefactError,
    InputError,
    MissingDependencyError,
    WrongEngineError,
    unknown_name,
)
from edgeport.runtime.golden.answers import Golden, GoldenAnswer, digest_of, raw_answers, top1_of
from edgeport.runtime.prediction.loading import load

if TYPE_CHECKING:
    from edgeport.runtime.golden.server import Server

# What an artefact of a precision that this edgeport does not know must keep.
_STRICTEST = GoldenLimits()
_MOST_STEPS = 1 << 16

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class GoldenCheck:
    """How one artefact in one engine compares with its golden answers.

    Attributes:
        file: The artefact.
        engine: The package that ran it; empty if none that can is installed.
        engine_version: That package's version.
        golden_engine: The package that made the golden answers.
        golden_engine_version: That package's version.
        status: ``passed``, ``failed``, or ``skipped`` if there is no engine to run it.
        rows: How many samples were compared.
        rows_different: In how many of them any value differs at all.
        largest_difference: In ``unit``; of several outputs, that which comes closest to its limit.
        limit: The largest difference that passes, in ``unit``.
        unit: ``steps`` of the output's integers, or ``real``.
        labels_changed: In how many samples the class is another.
        near_ties: In how many of those the two largest golden answers are within twice the limit of each other.
        note: What else there is to say, such as why it was skipped.
        server: The address of the server that was asked; empty if the artefact ran here.
    """

    file: str
    engine: str
    engine_version: str
    golden_engine: str
    golden_engine_version: str
    status: str
    rows: int = 0
    rows_different: int = 0
    largest_difference: float = 0.0
    limit: float = 0.0
    unit: str = "real"
    labels_changed: int = 0
    near_ties: int = 0
    note: str = ""
    server: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answers are the golden ones, within the limit."""
        return self.status == "passed"


@dataclass(frozen=True)
class _Compared:
    """How one output compares: the greatest difference and its limit in units of ``step``, or of 1 if that is None."""

    largest: float
    limit: float
    step: float | None

    @property
    def passed(self) -> bool:
        return self.largest <= self.limit

    @property
    def share(self) -> float:
        return self.largest / self.limit if self.limit else np.inf if self.largest else 0.0


def check_golden(
    golden: Golden,
    folder: Path,
    *,
    files: Sequence[str] = (),
    engine: str | None = None,
    threads: int = 1,
    on_check: Callable[[GoldenCheck], None] = lambda check: None,
) -> tuple[GoldenCheck, ...]:
    """Run the artefacts of golden answers in every engine that is installed here, and compare.

    Args:
        golden: The answers.
        folder: Where the artefacts are.
        files: Which of them to run; all by default.
        engine: The only engine to run them in; other artefacts than it can run are skipped.
        threads: How many threads an engine may use.
        on_check: Called with each comparison as soon as it is made.

    Raises:
        InputError: A file has no golden answers, or there is no engine of that name.
        MissingDependencyError: ``engine`` is not installed, or cannot be used.
    """
    wanted = engine and engine.replace("-", "_")
    if wanted is not None and wanted not in ENGINES:
        raise unknown_name("engine", wanted, ENGINES)
    asked = wanted is not None
    checks = []
    for file in _known(files, golden):
        for place, name in enumerate(_engines_to_run(file, wanted)):
            check = _check_file(golden, folder / file, engine=name, asked=asked, spare=bool(place), threads=threads)
            checks.append(check)
            on_check(check)
    return tuple(checks)


def check_served(
    golden: Golden,
    folder: Path,
    server: "Server",
    *,
    files: Sequence[str] = (),
    on_check: Callable[[GoldenCheck], None] = lambda check: None,
) -> tuple[GoldenCheck, ...]:
    """Ask a running server for the answers of its engines, and compare; an artefact that it lacks fails.

    Args:
        golden: The answers.
        folder: Where the artefacts are, which say how samples become what an engine takes.
        server: What is asked.
        files: Which of the artefacts; all by default.
        on_check: Called with each comparison as soon as it is made.

    Raises:
        InputError: A file has no golden answers.
    """
    checks = []
    for file in _known(files, golden):
        checks.append(_check_served(golden, folder / file, server))
        on_check(checks[-1])
    return tuple(checks)


def _check_served(golden: Golden, path: Path, server: "Server") -> GoldenCheck:
    engine, version = server.engines.get(path.name, ("", ""))
    expected = _expected(golden, path.name, engine)
    check = GoldenCheck(
        path.name, engine, version, expected.engine, expected.engine_version, "failed", server=server.url
    )
    if not engine:
        return replace(check, note="the server does not have it")
    try:
        with load(path) as predictor:
            raw = raw_answers(predictor, golden.inputs, run=partial(server.run, path.name))
    except (ArtefactError, MissingDependencyError, InputError) as error:
        return replace(check, note=str(error))
    return _compare(check, golden, expected, raw)


def _known(files: Sequence[str], golden: Golden) -> Sequence[str]:
    """Return the files that are asked for, or all; raises InputError for one without golden answers."""
    for file in files:
        if file not in golden.files:
            raise unknown_name("artefact with golden answers", file, golden.files)
    return files or golden.files


def _expected(golden: Golden, file: str, engine: str) -> GoldenAnswer:
    """Return the golden answers of an artefact in that engine, or else in another."""
    answers = [answer for answer in golden.answers if answer.file == file]
    return next((answer for answer in answers if answer.engine == engine), answers[0])


def _engines_to_run(file: str, wanted: str | None) -> tuple[str, ...]:
    """Return import names of engines; an empty name stands for one that is not there."""
    if wanted is None:
        return installed_engines(format_called(file)) or ("",)
    able = format_called(file).engines
    return (wanted if wanted in able else "",)


def _check_file(golden: Golden, path: Path, *, engine: str, asked: bool, spare: bool, threads: int) -> GoldenCheck:
    """Return how an artefact answers in an engine: nobody waits for a spare one, beside which there is the default."""
    distribution = engine.replace("_", "-")
    expected = _expected(golden, path.name, distribution)
    check = GoldenCheck(path.name, distribution, "", expected.engine, expected.engine_version, "failed")
    if asked and not engine:
        return replace(check, status="skipped", note="the engine that was asked for runs no files of this format")
    try:
        if digest_of(path) != expected.sha256:
            return replace(check, note="it is not the file that the golden answers are of (its SHA-256 differs)")
        predictor = load(path, engine=engine or None, threads=threads)
    except WrongEngineError as error:
        return replace(check, status="skipped", note=str(error))
    except MissingDependencyError as error:
        if asked:
            raise
        return replace(check, status="skipped", note=str(error))
    except ArtefactError as error:
        if spare and expected.engine != distribution:
            # It did not run where the golden answers were made either.
            return replace(check, status="skipped", note=str(error))
        return replace(check, note=str(error))
    check = replace(check, engine=predictor.spec.engine, engine_version=predictor.spec.engine_version)
    try:
        raw = raw_answers(predictor, golden.inputs)
    except InputError as error:
        return replace(check, note=str(error))
    except Exception as error:  # an engine raises whatever it likes, and that is an answer about this artefact
        return replace(check, note=f"{type(error).__name__}: {' '.join(str(error).split())}")
    return _compare_also(check, golden, expected, raw)


def _compare_also(check: GoldenCheck, golden: Golden, expected: GoldenAnswer, raw: dict[str, Array]) -> GoldenCheck:
    """Compare with an engine's own golden answers, and say how far these answers are from the default engine's."""
    compared = _compare(check, golden, expected, raw)
    default = _expected(golden, check.file, "")
    apart = _compare(check, golden, default, raw)
    if default is expected or not apart.rows_different:
        return compared
    by = f"{apart.largest_difference:.3g}{' steps' if apart.unit == 'steps' else ''}"
    return replace(compared, note=f"{apart.rows_different} rows differ from those of {default.engine}, by up to {by}")


def _compare(check: GoldenCheck, golden: Golden, expected: GoldenAnswer, raw: dict[str, Array]) -> GoldenCheck:
    """Return the check with what the comparison of two sets of raw answers says."""
    kinds = {name: (array.dtype, array.shape) for name, array in expected.raw.items()}
    if {name: (array.dtype, array.shape) for name, array in raw.items()} != kinds:
        return replace(check, note="its outputs have other names, types or shapes than the golden ones")
    same_engine = check.engine == expected.engine
    compared = [
        _compare_output(raw[name], array, precision=expected.precision, same_engine=same_engine)
        for name, array in expected.raw.items()
    ]
    worst = max(compared, key=lambda each: each.share)
    different = np.zeros(len(next(iter(raw.values()))), bool)
    for name, array in expected.raw.items():
        different |= _differences(raw[name], array).reshape(len(array), -1).any(axis=1)
    first = next(iter(expected.raw))
    changed, near = _changed_labels(raw[first], expected.raw[first], compared[0])
    passed = all(each.passed for each in compared)
    return replace(
        check,
        status="passed" if passed else "failed",
        rows=len(different),
        rows_different=int(different.sum()),
        largest_difference=worst.largest,
        limit=worst.limit,
        unit="real" if worst.step is None else "steps",
        labels_changed=changed,
        near_ties=near,
        note="" if same_engine else f"compared with the answers of {expected.engine}",
    )


def _compare_output(raw: Array, golden: Array, *, precision: str, same_engine: bool) -> _Compared:
    largest = float(_differences(raw, golden).max(initial=0.0))
    limits = PRECISIONS[precision].golden if precision in PRECISIONS else _STRICTEST
    step = _step_of(golden, precision)
    if step is not None:
        if same_engine:
            return _Compared(largest / step, 0, step)
        # Floats hold a number of steps with a rounding error.
        return _Compared(float(np.rint(largest / step)), limits.steps_elsewhere, step)
    finite = golden[np.isfinite(golden)].astype(np.float64)
    # An output that hardly varies has no range to speak of.
    extent = max(float(np.ptp(finite)), 0.01 * float(np.abs(finite).max())) if finite.size else 0.0
    return _Compared(largest, (limits.share if same_engine else limits.share_elsewhere) * extent, None)


def _differences(raw: Array, golden: Array) -> npt.NDArray[np.float64]:
    """Return the absolute differences; 0 where both are the same, infinite where only one is no number."""
    ours, theirs = raw.astype(np.float64), golden.astype(np.float64)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(np.abs(ours - theirs), nan=np.inf, posinf=np.inf)
    return np.where(same, 0.0, apart)


def _step_of(golden: Array, precision: str) -> float | None:
    """Return the distance of two neighbouring values of an integer output; None if the output is real.

    The last step of an integer artefact in ONNX, and of an int16x8 one in TFLite, turns integers into floats that lie
    on a grid. That shows in the values.
    """
    if golden.dtype.kind in "iub":
        return 1.0
    if not is_in_integers(precision) or not np.isfinite(golden).all():
        return None
    values = np.unique(golden).astype(np.float64)
    if len(values) < 2:
        return None
    gaps, offsets = np.sort(np.diff(values)), values - values[0]
    step = float(gaps[0])
    if offsets[-1] / step > _MOST_STEPS:
        return None
    # Floats are rounded, so the smallest distance is only roughly the step: each larger one makes it more exact.
    for distance in (*gaps, *offsets[1:]):
        step = float(distance / np.rint(distance / step))
    steps = offsets / step
    return step if np.abs(steps - np.rint(steps)).max() < 0.05 else None


def _changed_labels(raw: Array, golden: Array, compared: _Compared) -> tuple[int, int]:
    """Return how many rows have another class, and in how many of those the golden answers were a near tie."""
    ours, theirs = top1_of(raw), top1_of(golden)
    if ours is None or theirs is None:
        return 0, 0
    changed = ours != theirs
    ordered = np.sort(golden.astype(np.float64), axis=1)
    # Each of the two may move by the limit.
    margin = (ordered[:, -1] - ordered[:, -2]) / (compared.step or 1.0)
    near = changed & (margin <= 2 * compared.limit)
    return int(changed.sum()), int(near.sum())
