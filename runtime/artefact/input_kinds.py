"""Of which kind the inputs of a model are, as users say it.

That is ``[NAME=]pixels[:LOW:HIGH[:CHANNELS]]``, ``real``, ``log-mel:RATE[:WINDOW:HOP]`` or ``ids``. What is said is
obeyed by training, calibration, verification, prediction and benchmark alike.
"""

import argparse
import math
from collections.abc import Sequence

from edgeport.runtime.artefact.contract import CHANNELS, RAW, Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.log_mel import parsed_log_mel

# What every model that scales pixels itself takes.
RAW_PIXELS = Input("", range=RAW, kind="pixels")
# What a model takes that is fed numbers as they are.
REAL = Input("", kind="real")
_FORMS = (
    "pixels, pixels:LOW:HIGH, pixels:LOW:HIGH:bgr (or grey, rgb), real, log-mel:RATE or ids, after NAME= if there are "
    "several"
)


def add_inputs(parser: argparse._ActionsContainer) -> None:
    """Declare ``--input``."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]KIND",
        help="what an input takes: pixels:LOW:HIGH[:grey|rgb|bgr] (what 0 and 255 are to the model; pixels alone: 0 "
        "and 255), real, log-mel:RATE[:WINDOW:HOP] (sound, in samples) or ids; once for each input that does not say "
        "so itself",
    )


def parsed_input(text: str) -> Input:
    """Return what is said of an input, without its shape; its name is empty where none is said.

    Raises:
        InputError: The text is none of the forms.

    Examples:
        >>> from edgeport.runtime.artefact.input_kinds import parsed_input
        >>> parsed_input("photo=pixels:-1:1:bgr")[3:]
        ('', (-1.0, 1.0), None, 'pixels', 'bgr')
    """
    name, _, said = text.rpartition("=")
    kind, *details = said.split(":")
    if kind in ("real", "ids") and not details:
        return Input(name, kind=kind)
    if kind == "log-mel":
        return Input(name, kind="real", log_mel=parsed_log_mel(said))
    if kind != "pixels" or len(details) not in (0, 2, 3) or details[2:] not in ([], *([each] for each in CHANNELS)):
        raise InputError(f"--input: got {text!r}, expected {_FORMS}")
    try:
        low, high = map(float, details[:2] or RAW)
    except ValueError as error:
        raise InputError(f"--input: got {text!r}, expected numbers for LOW and HIGH") from error
    check_range(low, high, said=f"--input: got {text!r}")
    return Input(name, range=(low, high), kind=kind, channels="".join(details[2:]))


def check_range(low: float, high: float, *, said: str) -> None:
    """Raise InputError, which begins with what was said, if these are no two ends of a range."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{said}, expected two numbers, the lower one first")


def kind_text(port: Input) -> str:
    """Return of which kind an input is, as ``--input`` takes it; empty if that is not known."""
    if port.range is None:
        return str(port.log_mel) if port.log_mel else port.kind
    low, high = port.range
    return f"pixels:{_exact(low)}:{_exact(high)}{':bgr' if port.channels == 'bgr' else ''}"


def check_scaled(port: Input, least: float, largest: float, *, named: str) -> None:
    """Raise InputError if floats are not what the pixels of an input are to its model, or must be meant otherwise.

    Args:
        port: The input; it may take no pixels.
        least: The least of the floats.
        largest: The largest.
        named: What a message calls the samples.
    """
    if port.range is None:
        return
    low, high = port.range
    got = f"{named}: got floats from {least:.4g} to {largest:.4g} for {port.name}"
    # What was scaled elsewhere may leave the range by rounding.
    margin = (high - low) * 1e-3
    if least < low - margin or largest > high + margin:
        raise InputError(
            f"{got}, expected {low:g} to {high:g}, what pixels are to the model ({kind_text(port)}): give another "
            "range, or samples that it holds"
        )
    # Half of the range, or less, and just what others scale pixels to.
    if least >= 0 and largest <= 1 and 2 * (largest - least) <= high - low + margin and (low, high) != (0, 1):
        raise InputError(
            f"{got}, which look like pixels from 0 to 1, and {kind_text(port)} means {low:g} to {high:g}: give uint8 "
            "pixels, or floats in that range, or say real"
        )


def _exact(number: float) -> str:
    """Return the shortest text that is read as this number again: records and processes hand ranges on as text."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def with_kinds(ports: Sequence[Input], said: Sequence[Input], *, what: str) -> tuple[Input, ...]:
    """Return the inputs of a model, each as it is said to be.

    What is said without a name holds for the only input; of several, ``pixels`` for all with the shape of images,
    ``real`` for all that take real numbers, ``ids`` for all that take integers.

    Args:
        ports: The inputs.
        said: What ``parsed_input`` returns.
        what: What a message calls the model.

    Raises:
        InputError: There is no such input, it is said to be of two kinds, or it cannot be of that kind.
    """
    for each in said:
        if not any(_means(each, port, ports) for port in ports):
            listed = "; ".join(map(str, ports))
            raise InputError(f"--input: got {_said(each)}, expected it for an input of {what}: {listed}")
    return tuple(_with_kind(port, [each for each in said if _means(each, port, ports)], what) for port in ports)


def _means(said: Input, port: Input, ports: Sequence[Input]) -> bool:
    if said.name:
        return said.name == port.name
    if len(ports) == 1:
        return True
    return port.is_image if said.kind == "pixels" else port.is_real == (said.kind == "real")


def _with_kind(port: Input, said: Sequence[Input], what: str) -> Input:
    # What is said of one input by its name is said against what holds for all.
    chosen = [each for each in said if each.name] or list(said)
    if not chosen:
        return port
    if len(chosen) > 1:
        raise InputError(f"--input: got {' and '.join(map(_said, chosen))} for {port.name}, expected one of them")
    (each,) = chosen
    if port.is_real == (each.kind == "ids"):
        expected = "pixels or real" if port.is_real else "ids"
        raise InputError(f"--input: got {_said(each)} for {port} of {what}, expected {expected}")
    usual = {1: "grey", 3: "rgb"}.get(port.shape[3] or 0, "") if port.is_image else ""
    if each.channels and (not port.is_image or CHANNELS[each.channels] != port.shape[3]):
        raise InputError(f"--input: got {each.channels} for {port} of {what}, expected {usual or 'no channels'}")
    if each.log_mel and not port.is_heard:
        raise InputError(
            f"--input: got {_said(each)} for {port} of {what}, expected an input of (n, frames, bands) or (n, frames, "
            "bands, 1), each of a known length"
        )
    channels = each.channels or usual if each.kind == "pixels" else ""
    return port._replace(kind=each.kind, range=each.range, channels=channels, log_mel=each.log_mel)


def _said(each: Input) -> str:
    return f"{each.name}={kind_text(each)}" if each.name else kind_text(each)
