"""The answers of one engine on two CPUs, row by row, and what must hold of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.precisions import is_in_integers, precision_named


@dataclass(frozen=True)
class Difference:
    """How two sets of raw answers to the same digits differ.

    Attributes:
        rows: How many were compared.
        rows_different: In how many any value differs in any bit.
        largest_difference: Between two values, in the engine's own units: steps of integers, else real.
        labels_changed: In how many the largest value stands elsewhere.
    """

    rows: int
    rows_different: int
    largest_difference: float
    labels_changed: int


@dataclass(frozen=True)
class Compared:
    """One artefact in one engine on one CPU, beside the same engine on the machine itself.

    Attributes:
        system: The userland, for example ``arm64-bookworm``.
        python: Its Python's whole version.
        cpu: The CPU that QEMU played.
        engine: The engine.
        version: Its version there.
        reference_version: Its version on the machine itself.
        file: The artefact.
        precision: What the artefact computes in.
        dtype: The type of the raw answers.
        difference: The result.
    """

    system: str
    python: str
    cpu: str
    engine: str
    version: str
    reference_version: str
    file: str
    precision: str
    dtype: str
    difference: Difference


@dataclass(frozen=True)
class Selftest:
    """One line of ``edgeport selftest`` on one CPU; the names are those of its JSON."""

    system: str
    cpu: str
    engine: str
    file: str
    status: str
    rows: int
    note: str


def compare_rows(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> Difference:
    """Compare raw answers of shape (n, classes).

    Raises:
        ValueError: They are of different types or shapes, or there are none.
    """
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape or ours.ndim != 2 or not len(ours):
        raise ValueError(f"got {ours.dtype} {ours.shape} and {theirs.dtype} {theirs.shape}, expected rows of the same")
    bits = f"u{ours.dtype.itemsize}"
    apart = (np.ascontiguousarray(ours).view(bits) != np.ascontiguousarray(theirs).view(bits)).any(axis=1)
    with np.errstate(invalid="ignore"):
        distance = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    return Difference(
        rows=len(ours),
        rows_different=int(apart.sum()),
        # No number on one side only, or an infinity, is as far apart as can be.
        largest_difference=float(np.where(np.isnan(distance), np.inf, distance)[apart].max(initial=0.0)),
        labels_changed=int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum()),
    )


def broken_promises(
    compared: Sequence[Compared],
    selftests: Sequence[Selftest],
    *,
    expected: Mapping[tuple[str, str, str], Iterable[str]],
    rows: int,
) -> list[str]:
    """Return what does not hold, one line each; nothing if all is well.

    Integer artefacts must answer bit for bit alike. Of the others the probabilities must be within the limits of their
    precision, so that a class changes only where two were within twice that. Every golden answer must match.

    Args:
        compared: The comparisons.
        selftests: What the selftests said.
        expected: For each (system, cpu, engine) that must have been tried, the artefacts that it must have run.
        rows: How many digits each comparison must have.
    """
    done = {(each.system, each.cpu, each.engine, each.file) for each in compared}
    checked = {(each.system, each.cpu, each.engine, each.file) for each in selftests if each.status != "skipped"}
    wanted = {(*key, file) for key, files in expected.items() for file in files}
    lines = [f"{_named(each)}: was not compared" for each in sorted(wanted - done)]
    lines += [f"{_named(each)}: the selftest did not run it" for each in sorted(wanted - checked)]
    lines += [
        f"{system} {cpu} {engine}: has no artefact" for (system, cpu, engine), files in expected.items() if not [*files]
    ]
    lines += [f"{_name_of(each)}: {broken}" for each in compared for broken in _broken(each, rows)]
    return lines + [
        f"{_name_of(each)}: selftest: {each.note or 'differs'}" for each in selftests if each.status == "failed"
    ]


def _broken(each: Compared, rows: int) -> list[str]:
    found, lines = each.difference, []
    if each.version != each.reference_version:
        lines.append(f"got version {each.version}, expected {each.reference_version}, that of the reference")
    if found.rows != rows:
        lines.append(f"got {found.rows} rows, expected {rows}")
    if is_in_integers(each.precision) and found.rows_different:
        lines.append(f"{found.rows_different} of {found.rows} rows differ, by up to {found.largest_difference:g}")
    # As in edgeport selftest: some CPUs compute float16 ONNX in float16.
    limit = precision_named(each.precision).golden.share
    if not is_in_integers(each.precision) and not found.largest_difference <= limit:
        lines.append(f"probabilities differ by up to {found.largest_difference:g}, expected at most {limit:g}")
    return lines


def _name_of(each: Compared | Selftest) -> str:
    return _named((each.system, each.cpu, each.engine, each.file))


def _named(key: Sequence[str]) -> str:
    return " ".join(key)
