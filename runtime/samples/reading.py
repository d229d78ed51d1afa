"""What ``edgeport predict`` reads: each form of file is a row of a table, and all become the same samples."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.numpy_file import read_npy, read_npz
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.pictures.images import SUFFIXES, read_images
from edgeport.runtime.pictures.resizing import KERAS_LOADER
from edgeport.runtime.samples.csv_table import read_table
from edgeport.runtime.samples.shaping import shaped, table_inputs, valued
from edgeport.runtime.samples.wav_file import read_wav
from edgeport.runtime.tensors.arrays import Tensor

# What stands for the standard input, whose lines are CSV.
STDIN = "-"
# Text becomes numbers of half its size; an hour of stereo sound takes 600 MB.
_MOST_CSV, _MOST_WAV = 1 << 29, 1 << 30


class Samples(NamedTuple):
    """Samples of files.

    Attributes:
        names: What each is called: its file, with the line or the index where a file holds many.
        inputs: For each input of the model an array of (n, ...): uint8 for pixels, float32 for real numbers, integers.
        rates: The sample rates, in Hz, of the sound among them.
    """

    names: tuple[str, ...]
    inputs: Mapping[str, Tensor]
    rates: frozenset[int] = frozenset()

    def parts(self, ports: Sequence[Input], count: int) -> Iterator[dict[str, Tensor]]:
        """Yield ``count`` samples at a time as real values: pixels as float64, by the range of their input."""
        tables = {port.name: np.linspace(*port.range, 256) for port in ports if port.range is not None}
        pixels = {name for name in tables if self.inputs[name].dtype == np.uint8}
        for start in range(0, len(self.names), count):
            part = {name: array[start : start + count] for name, array in self.inputs.items()}
            yield {name: tables[name][each] if name in pixels else each for name, each in part.items()}


class Form(NamedTuple):
    """A kind of file.

    Attributes:
        what: Its name, for people.
        suffixes: How such files end.
        read: Returns what files of it hold for the inputs of a model.
    """

    what: str
    suffixes: frozenset[str]
    read: Callable[[Sequence[Path], Sequence[Input], bool], Samples]


def read_samples(paths: Sequence[Path], ports: Sequence[Input], *, invert: bool = False) -> Samples:
    """Return the samples in files of any of ``FORMS``; what has another ending is taken for a picture.

    Args:
        paths: The files; ``-`` for CSV on the standard input.
        ports: The inputs of the model; see ``ports_of``.
        invert: Swap black and white of pictures.

    Raises:
        InputError: A file cannot be read, or is not what the model takes; the message names it.
    """
    groups = [(form, list(members)) for form, members in groupby(paths, _form)]
    if invert and not any(form is _PICTURES for form, _ in groups):
        raise InputError(f"--invert: got it with {paths[0]}, expected it with pictures")
    read = [form.read(members, ports, invert) for form, members in groups]
    if len(read) == 1:
        return read[0]
    return Samples(
        tuple(name for each in read for name in each.names),
        {port.name: _joined([each.inputs[port.name] for each in read], paths) for port in ports},
        frozenset().union(*(each.rates for each in read)),
    )


def _form(path: Path) -> Form:
    if str(path) == STDIN:
        return _CSV
    return next((form for form in FORMS if path.suffix.lower() in form.suffixes), _PICTURES)


def _joined(arrays: Sequence[Tensor], paths: Sequence[Path]) -> Tensor:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise InputError(
            f"{paths[0]} ...: got samples of the shapes {' and '.join(map(str, sorted(shapes)))} in one call, expected "
            "one of them: give files of the other shape in another call"
        )
    return np.concatenate(arrays)


def _read_pictures(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    port = _only(paths[0], ports)
    height, width, channels = port.shape[1:] if port.range is not None else (None, None, None)
    if not (height and width and channels):
        raise InputError(
            f"{paths[0]}: got a file for a picture, and the model takes {port}, which is none: give .npy, .npz, .csv"
            f"{' or .wav' if _takes_sound(port) else ''} with its values"
        )
    shape = (height, width, channels)
    pixels = read_images(paths, shape=shape, resizing=port.resizing or KERAS_LOADER, invert=invert)
    return Samples(tuple(map(str, paths)), {port.name: pixels})


def _read_npy(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    return _stacked([_named_arrays(path, {_only(path, ports).name: read_npy(path)}, ports) for path in paths], paths)


def _read_npz(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    return _stacked([_named_arrays(path, _by_input(path, ports), ports) for path in paths], paths)


def _by_input(path: Path, ports: Sequence[Input]) -> dict[str, Tensor]:
    arrays = read_npz(path)
    names = [port.name for port in ports]
    if set(names) <= arrays.keys():
        return {name: arrays[name] for name in names}
    if len(names) == len(arrays) == 1:
        return {names[0]: next(iter(arrays.values()))}
    alone = ", or one array alone" if len(names) == 1 else ""
    raise InputError(f"{path}: got the arrays {', '.join(arrays) or 'none'}, expected {' and '.join(names)}{alone}")


def _named_arrays(path: Path, arrays: Mapping[str, Tensor], ports: Sequence[Input]) -> Samples:
    found, singles = {}, []
    for port in ports:
        array, single = shaped(arrays[port.name], port, named=str(path))
        found[port.name] = valued(array, port, named=str(path))
        singles.append(single)
    counts = {name: len(array) for name, array in found.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise InputError(f"{path}: got {listed}, expected as many samples of each input")
    if all(singles):
        return Samples((str(path),), found)
    return Samples(tuple(f"{path}[{index}]" for index in range(len(found[ports[0].name]))), found)


def _read_csv(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    return _stacked([_rows(path, ports) for path in paths], paths)


def _rows(path: Path, ports: Sequence[Input]) -> Samples:
    if str(path) == STDIN:
        named, content = "the standard input", sys.stdin.buffer.read(_MOST_CSV + 1)
        if len(content) > _MOST_CSV:
            raise InputError(f"{named}: got over {_MOST_CSV:,} bytes, expected fewer: give them in parts")
    else:
        named, content = str(path), read_plain(path, most=_MOST_CSV, error=InputError)
    table = read_table(content, named=named)
    inputs = table_inputs(table, ports, named=named)
    return Samples(tuple(f"{path}:{line}" for line in table.lines), inputs)


def _read_wav(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    port = _only(paths[0], ports)
    if not _takes_sound(port):
        raise InputError(
            f"{paths[0]}: got sound, and the model takes {port}, which is none: give .npy or .npz with what it was "
            "trained on"
        )
    # One axis is that of a mono model.
    length, channels = (*port.shape[1:], 1)[:2]
    read, rates = [], set()
    for path in paths:
        sound = read_wav(read_plain(path, most=_MOST_WAV, error=InputError), named=str(path))
        frames, got = sound.samples.shape
        if got != (channels or got):
            raise InputError(
                f"{path}: got {got} channel{'s' * (got > 1)}, expected {channels}, as {port} has: mix it first (ffmpeg "
                f"-i IN.wav -ac {channels} OUT.wav)"
            )
        if frames != (length or frames):
            raise InputError(
                f"{path}: got {frames:,} values at {sound.rate:,} Hz ({frames / sound.rate:.2f} s), expected "
                f"{length:,}, as {port} has: cut or pad it, at the sample rate that the model was trained with"
            )
        rates.add(sound.rate)
        read.append(
            Samples((str(path),), {port.name: sound.samples.reshape(1, frames, *[got] * (len(port.shape) - 2))})
        )
    return _stacked(read, paths)._replace(rates=frozenset(rates))


def _stacked(read: Sequence[Samples], paths: Sequence[Path]) -> Samples:
    names = tuple(name for each in read for name in each.names)
    return Samples(names, {name: _joined([each.inputs[name] for each in read], paths) for name in read[0].inputs})


def _only(path: Path, ports: Sequence[Input]) -> Input:
    if len(ports) > 1:
        names = ", ".join(port.name for port in ports)
        raise InputError(f"{path} has no names for the inputs {names}: give FILE.npz with an array for each")
    return ports[0]


def _takes_sound(port: Input) -> bool:
    return len(port.shape) in (2, 3) and port.is_real and port.range is None


_PICTURES = Form("picture (PNG, JPEG, WebP, BMP, GIF, TIFF)", SUFFIXES, _read_pictures)
_CSV = Form("CSV: a row of numbers a sample", frozenset({".csv"}), _read_csv)
FORMS = (
    _PICTURES,
    Form(".npy: a sample or an array of them", frozenset({".npy"}), _read_npy),
    Form(".npz: an array for each input, by its name", frozenset({".npz"}), _read_npz),
    _CSV,
    Form("WAV: raw audio", frozenset({".wav"}), _read_wav),
)
