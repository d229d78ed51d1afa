"""Numbers in text: a row a sample, a column a number, perhaps with names in the first line and a column of targets."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError, unknown_name

_DELIMITERS = ",;\t"
_ROWS_AT_A_TIME = 4096
# Beyond it, a float64 does not hold every whole number.
_LARGEST_WHOLE = 2**53


class CsvTable(NamedTuple):
    """The rows of a CSV file.

    Attributes:
        columns: The names in the first line, of those that are read; empty if it has numbers.
        numbers: float64 of shape (rows, columns), all finite.
        whole: Whether every one is written as a whole number, without a point or an exponent.
        lines: The line of the file where each row ends, counted from 1.
        targets: The text of each row's target; empty if none was asked for.
        groups: The text of each row's group, likewise.
        unread: The names of the columns that were not wanted.
    """

    columns: tuple[str, ...]
    numbers: npt.NDArray[np.float64]
    whole: bool
    lines: tuple[int, ...]
    targets: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def read_table(
    content: bytes,
    *,
    named: str,
    target: str | None = None,
    group: str | None = None,
    header: bool | None = None,
    line: int = 1,
    wanted: Sequence[str] = (),
) -> CsvTable:
    """Return the numbers of a CSV file, and the columns of targets and of groups if there shall be such.

    Cells are parted by commas, semicolons or tabs, whichever the first line has most of, and may be quoted as RFC 4180
    says. The first line has names if ``has_names`` says so, or if a target is asked for. Empty lines are nothing.

    Args:
        content: UTF-8 text.
        named: What messages call the file.
        target: The name of a column that is no number for the model; its cells may be text.
        group: Likewise, of a column that says which rows belong together.
        header: Whether the first line has names; None to look.
        line: Which line of its file the first one is.
        wanted: The columns to read, in this order, if the first line has names; empty for all.

    Raises:
        InputError: It is no such text; a cell that is read is empty, text or not finite (the message has its line and
            column); rows differ in length; there is no column of that name.
    """
    records = _records(content, named, line)
    line, cells = _first(records, named)
    if header is None:
        header = target is not None or group is not None or _names(cells, named)
    asked = {what: name for what, name in (("target", target), ("group", group)) if name is not None}
    columns = _header(cells, named, asked) if header else ()
    texts = {what: columns.index(name) for what, name in asked.items()}
    places = [each for each in range(len(cells)) if each not in texts.values()]
    if columns and wanted:
        _check_wanted(columns, wanted, named)
        places = [columns.index(name) for name in wanted]
    table = _Rows(named, columns, len(cells), texts, places)
    if not columns:
        table.add(line, cells)
    for line, cells in records:
        table.add(line, cells)
    return table.finished()


def has_names(content: bytes, *, named: str) -> bool:
    """Return whether the first line of CSV text has names of columns: none of its cells is a number.

    Raises:
        InputError: It is no such text, or nobody can know.
    """
    _, cells = _first(_records(content, named), named)
    return _names(cells, named)


class _Rows:
    """The rows that are read so far, as numbers: their text would take ten times the memory."""

    def __init__(
        self, named: str, columns: tuple[str, ...], width: int, texts: Mapping[str, int], places: Sequence[int]
    ) -> None:
        self._named, self._columns, self._width, self._places = named, columns, width, places
        # The columns whose cells may be text, by what they are, and these cells.
        self._texts, self._read = texts, {what: list[str]() for what in texts}
        self._parts: list[npt.NDArray[np.float64]] = []
        self._open: list[list[float]] = []
        self._lines: list[int] = []
        self._whole = True

    def add(self, line: int, cells: list[str]) -> None:
        if len(cells) != self._width:
            raise InputError(f"{self._named}, line {line}: got {len(cells)} cells, expected {self._width}, as before")
        self._lines.append(line)
        for what, place in self._texts.items():
            text = cells[place].strip()
            if not text:
                raise InputError(
                    f"{self._named}, line {line}: got no {self._columns[place]}, expected a {what} in each row"
                )
            self._read[what].append(text)
        cells = [cells[place] for place in self._places]
        text = "".join(cells)
        try:
            # Python's own literals may have underscores; in a file of others they are no part of a number.
            numbers = list(map(float, cells)) if "_" not in text else []
        except ValueError:
            numbers = []
        if not numbers or not math.isfinite(sum(numbers)):
            self._check_cells(line, cells)
        self._whole = self._whole and not any(mark in text for mark in ".eE")
        self._open.append(numbers)
        if len(self._open) == _ROWS_AT_A_TIME:
            self._close_part()

    def finished(self) -> CsvTable:
        columns = tuple(self._columns[place] for place in self._places) if self._columns else ()
        left = {*range(len(self._columns))} - {*self._places, *self._texts.values()}
        self._close_part()
        if not self._lines:
            raise InputError(f"{self._named}: got the names of columns alone, expected rows of numbers below them")
        numbers = np.concatenate(self._parts)
        whole = self._whole and bool((np.abs(numbers) < _LARGEST_WHOLE).all())
        return CsvTable(
            columns,
            numbers,
            whole,
            tuple(self._lines),
            tuple(self._read.get("target", ())),
            tuple(self._read.get("group", ())),
            tuple(self._columns[place] for place in sorted(left)),
        )

    def _close_part(self) -> None:
        if self._open:
            self._parts.append(np.array(self._open, np.float64))
            self._open = []

    def _check_cells(self, line: int, cells: Sequence[str]) -> None:
        """Raise InputError for the first cell that is no finite number."""
        for place, cell in zip(self._places, cells, strict=True):
            if not _is_number(cell) or not math.isfinite(float(cell)):
                column = f"{self._columns[place]} (column {place + 1})" if self._columns else f"column {place + 1}"
                got = f"{cell.strip()[:40]!r}" if cell.strip() else "an empty cell"
                raise InputError(f"{self._named}, line {line}, {column}: got {got}, expected a finite number")
        if not cells:
            raise InputError(f"{self._named}: got a column of targets alone, expected numbers beside it")


def _first(records: Iterator[tuple[int, list[str]]], named: str) -> tuple[int, list[str]]:
    first = next(records, None)
    if first is None:
        raise InputError(f"{named}: got no lines, expected numbers, a row a sample")
    return first


def _names(cells: Sequence[str], named: str) -> bool:
    if not any(map(_is_number, cells)):
        return True
    _check_first_numbers(cells, named)
    return False


def _records(content: bytes, named: str, start: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that has some, with the number of the line, the first of which is ``start``."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + start
        raise InputError(f"{named}, line {line}: got bytes that are no UTF-8 text, expected CSV") from error
    if "\0" in text:
        raise InputError(f"{named}: got a NUL, expected CSV text")
    head = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num + start - 1, cells
    except csv.Error as error:
        raise InputError(f"{named}, line {reader.line_num + start - 1}: cannot be read as CSV ({error})") from error


def _header(cells: Sequence[str], named: str, asked: Mapping[str, str]) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in cells)
    if not all(columns):
        raise InputError(
            f"{named}: column {columns.index('') + 1} has no name, as an index that pandas writes: leave it out "
            "(to_csv(index=False)), or name it"
        )
    double = next((name for place, name in enumerate(columns) if name in columns[:place]), None)
    if double is not None:
        raise InputError(f"{named}: got two columns called {double!r}, expected each to have its own name")
    for what, name in asked.items():
        if name not in columns:
            if any(map(_is_number, cells)):
                expected = f"names, and the {what} {name!r} there"
                raise InputError(f"{named}: got numbers in the first line, expected {expected}")
            raise unknown_name(f"column of {what}s", name, columns)
    return columns


def _check_wanted(columns: Sequence[str], wanted: Sequence[str], named: str) -> None:
    missing = [name for name in wanted if name not in columns]
    if missing:
        others = [name for name in columns if name not in wanted]
        beside = f", and has {', '.join(others)}, which it does not know" if others else ""
        raise InputError(
            f"{named}: it lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)} of the model's "
            f"{', '.join(wanted)}{beside}"
        )


def _check_first_numbers(cells: Sequence[str], named: str) -> None:
    """Raise InputError for a first line that may be names: pandas calls columns 0, 1, 2 if nobody names them."""
    if len(cells) > 2 and [cell.strip() for cell in cells] == list(map(str, range(len(cells)))):
        raise InputError(
            f"{named}: its first line counts 0, 1, 2 ...: these may be names of columns, or a sample. Put a line of "
            "names with letters first"
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
