"""What the outputs of a model mean: found where its graph says so, and taken from its user where it does not.

A softmax over two or more columns gives classes, one sigmoid yes or no, several of them labels, and over places either
gives a map. Of anything else a graph does not say what it means, so that it is ``any`` until somebody says it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeport.runtime.artefact.contract import OUTPUT_KINDS, Output
from edgeport.runtime.errors import InputError
from edgeport.runtime.host.terminal import steers, visible
from edgeport.runtime.prediction.showing.boxes import box_outputs

# The orders in which the four numbers of a box may come: see docs/reference/outputs.md.
BOX_ORDERS = (
    ("ymin", "xmin", "ymax", "xmax"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("cx", "cy", "w", "h"),
    ("xmin", "ymin", "w", "h"),
)
BOX_UNITS = ("share", "pixels")
_KIND = re.compile(rf"({'|'.join(OUTPUT_KINDS)})(?::(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Meaning:
    """What somebody says of one output.

    Attributes:
        kind: One of ``OUTPUT_KINDS``.
        columns: The names of its columns, or empty.
        units: The unit of each, or empty.
    """

    kind: str
    columns: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


def parsed_meanings(texts: Sequence[str], outputs: Sequence[Output]) -> dict[str, Meaning]:
    """Return what ``--outputs`` says of each output that it names.

    Args:
        texts: ``NAME=KIND``, or ``KIND`` for the only output; ``values:COLUMN,...`` with ``UNIT`` or ``NAME=UNIT`` for
            each column, and ``boxes:ORDER:UNIT``.
        outputs: The model's own.

    Raises:
        InputError: A text is none of these, or names no output, or one that another names.
    """
    meanings: dict[str, Meaning] = {}
    for text in texts:
        name, found = _named(text, outputs)
        if name in meanings:
            raise InputError(f"--outputs: got the output {name} twice, expected it once")
        kind, rest = found
        if kind == "values":
            meanings[name] = _values(rest, text)
        elif kind == "boxes":
            meanings[name] = _boxes(rest, text)
        elif rest:
            raise InputError(f"--outputs {text}: got '{rest}' after {kind}, expected nothing: give names with --labels")
        else:
            meanings[name] = Meaning(kind)
    return meanings


def named_labels(
    labels: Sequence[str] | Mapping[str, Sequence[str]], outputs: Sequence[Output]
) -> dict[str, tuple[str, ...]]:
    """Return labels by the output that they are of; without a name they are of the first.

    Raises:
        InputError: A name is no output's.
    """
    by_name = labels if isinstance(labels, Mapping) else {outputs[0].name: labels} if labels else {}
    return {_output(name, outputs, "--labels").name: tuple(each) for name, each in by_name.items() if each}


def with_meanings(
    outputs: Sequence[Output],
    endings: Mapping[str, str],
    *,
    meanings: Mapping[str, Meaning],
    names: Mapping[str, tuple[str, ...]],
) -> tuple[Output, ...]:
    """Return the outputs with their kinds, columns and units.

    Args:
        outputs: The model's own.
        endings: For each what ends it, in the model or by the runtime: ``softmax``, ``sigmoid`` or ``none``.
        meanings: What the user says of some.
        names: What the columns of some are called.

    Raises:
        InputError: A meaning cannot be that of such an output, or two of them do not agree.
    """
    described = []
    for port in outputs:
        columns = names.get(port.name, ())
        meaning = meanings.get(port.name) or Meaning(_found(port, endings[port.name], named=bool(columns)))
        if columns and meaning.columns and columns != meaning.columns:
            raise InputError(
                f"--labels: got {columns[0]}, ... for the output {port.name} where --outputs says "
                f"{meaning.columns[0]}, ...: leave one of them out"
            )
        units = meaning.units
        if meaning.kind == "values" and len(units) == 1 and len(port.shape) > 1:
            units *= port.shape[-1] or 1
        described.append(
            port._replace(ending=endings[port.name], kind=meaning.kind, columns=columns or meaning.columns, units=units)
        )
        _check_kind(described[-1])
    # Which outputs belong to the boxes must be plain before they are shown.
    box_outputs(described)
    return tuple(described)


def tells_apart(port: Output, labels: Sequence[str]) -> bool:
    """Whether an output has as many classes as a data set has labels."""
    if port.kind == "yes-no":
        return len(labels) == 2
    return port.kind in ("classes", "labels", "map") and port.is_real and port.shape[-1:] == (len(labels),)


def _found(port: Output, ending: str, *, named: bool) -> str:
    """Return what the end of the graph says of an output."""
    rank, columns = len(port.shape), port.shape[-1] if port.shape else None
    if not port.is_real:
        return "classes" if named and rank <= 2 else "any"
    if ending != "none" and rank == 4:
        return "map"
    if ending == "softmax" and rank == 2 and columns != 1:
        return "classes"
    if ending == "sigmoid" and rank in (1, 2):
        return "labels" if rank == 2 and columns != 1 else "yes-no"
    # Names of columns alone say that these are classes, and what the model gives their scores.
    return "classes" if named and rank == 2 and columns != 1 and ending == "none" else "any"


def _check_kind(port: Output) -> None:
    """Raise InputError if an output cannot be of its kind, or its columns are others."""
    rank, columns = len(port.shape), port.shape[-1] if port.shape else None
    needs = {
        "classes": (
            "scores of 2 or more classes (n, classes), or class numbers (n) or (n, count)",
            (rank == 2 and columns != 1) or (rank in (1, 2) and not port.is_real),
        ),
        "labels": ("a probability for each label (n, labels)", rank == 2 and port.is_real),
        "yes-no": ("one probability (n) or (n, 1)", port.is_real and (rank == 1 or (rank == 2 and columns == 1))),
        "values": ("numbers (n) or (n, ..., values)", rank >= 1 and port.dtype != "bool"),
        "map": ("an answer for each place (n, height, width) or (n, height, width, columns)", rank in (3, 4)),
        "boxes": ("four real numbers for each box (n, count, 4)", rank == 3 and columns == 4 and port.is_real),
    }
    what, holds = needs.get(port.kind, ("", True))
    if not holds:
        raise InputError(f"--outputs: got {port.kind} for the output {port}, expected {what}")
    if port.kind == "labels" and port.ending == "softmax":
        raise InputError(
            f"--outputs: got labels for the output {port}, which ends in a softmax, so that one excludes the others: "
            "say classes, or end it in a sigmoid"
        )
    if port.kind == "values" and port.units and len(port.units) != (columns or 1 if rank > 1 else 1):
        raise InputError(
            f"--outputs: got {len(port.units)} units for the output {port}, expected one for each column or for all"
        )
    if not port.columns or port.kind == "boxes":
        return
    _check_names(port.columns, port)
    # A class number chooses among any number of names, and one column between no and yes.
    chosen = port.kind in ("classes", "map") and (not port.is_real or rank == 3)
    expected = 2 if port.kind == "yes-no" or (port.kind == "map" and columns == 1) else 1 if rank == 1 else columns
    if not chosen and expected is not None and len(port.columns) != expected:
        what = "two, for no and yes" if expected == 2 and columns != 2 else "one for each of its columns"
        raise InputError(f"--labels: got {len(port.columns)} for the output {port}, expected {what}")


def _check_names(names: Sequence[str], port: Output) -> None:
    """Raise InputError for names that cannot be shown or distinguished."""
    wrong = next((label for label in names if not label or steers(label)), None)
    if wrong is not None:
        raise InputError(f"--labels: got the label '{visible(wrong)}', expected text without control characters")
    if len(set(names)) != len(names):
        raise InputError(f"--labels: got the same label for two classes of {port.name}, expected each to have its own")


def _named(text: str, outputs: Sequence[Output]) -> tuple[str, tuple[str, str]]:
    """Return the output that a text of ``--outputs`` is about, its kind, and what follows the kind."""
    alone = _KIND.fullmatch(text)
    if alone:
        if len(outputs) > 1:
            raise InputError(f"--outputs {text}: got no name, expected NAME={text} with one of {_names(outputs)}")
        return outputs[0].name, (alone[1], alone[2] or "")
    name, equals, rest = text.partition("=")
    found = _KIND.fullmatch(rest)
    if not equals or not found:
        kinds = ", ".join(OUTPUT_KINDS)
        raise InputError(f"--outputs: got '{visible(text)}', expected NAME=KIND with one of the kinds {kinds}")
    return _output(name, outputs, "--outputs").name, (found[1], found[2] or "")


def _output(name: str, outputs: Sequence[Output], option: str) -> Output:
    found = next((port for port in outputs if port.name == name), None)
    if found is None:
        raise InputError(f"{option}: got the output '{visible(name)}', expected one of {_names(outputs)}")
    return found


def _names(outputs: Sequence[Output]) -> str:
    return ", ".join(port.name for port in outputs)


def _values(rest: str, text: str) -> Meaning:
    """Return what ``values:COLUMN,...`` says; of a column the unit, or name and unit."""
    entries = [entry.strip().rpartition("=") for entry in rest.split(",")] if rest else []
    names = tuple(name for name, _, _ in entries)
    units = tuple(unit for _, _, unit in entries)
    if any(names) and not all(names):
        raise InputError(f"--outputs {visible(text)}: got names for some of the columns, expected one for each")
    if any(steers(each) for each in (*names, *units)):
        raise InputError(f"--outputs: got '{visible(text)}', expected text without control characters")
    return Meaning("values", names if any(names) else (), units if any(units) else ())


def _boxes(rest: str, text: str) -> Meaning:
    order, _, unit = rest.partition(":")
    columns = tuple(order.split(",")) if order else BOX_ORDERS[0]
    if columns not in BOX_ORDERS or (unit and unit not in BOX_UNITS):
        orders = "; ".join(",".join(each) for each in BOX_ORDERS)
        raise InputError(
            f"--outputs {visible(text)}: expected boxes, or boxes:ORDER:UNIT with the order {orders} and the unit "
            f"{' or '.join(BOX_UNITS)}"
        )
    return Meaning("boxes", columns, (unit or BOX_UNITS[0],) * 4)
