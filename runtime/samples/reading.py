"""What ``edgeport predict`` reads: each form of file is a row of a table, and all become the same samples."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.spec import Spec
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.numpy_file import read_npy, read_npz
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.samples.array_names import ONLY, meaning_of
from edgeport.runtime.samples.csv_table import read_table
from edgeport.runtime.samples.hearing import MOST_WAV, hear
from edgeport.runtime.samples.pictures.images import SUFFIXES, read_images
from edgeport.runtime.samples.pictures.resizing import KERAS_LOADER
from edgeport.runtime.samples.shaping import notes_on, ports_of, shaped, table_inputs, valued, wanted_columns
from edgeport.runtime.samples.wav_file import read_wav
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.checks import few_steps

# What stands for the standard input, whose lines are CSV.
STDIN = "-"
# Text becomes numbers of half its size.
_MOST_CSV = 1 << 29


class Samples(NamedTuple):
    """Samples as ``Predictor.answer`` takes them.

    Attributes:
        names: What to call each of the n samples: its file, with the line or the index where a file holds many.
        values: For each input its name and n samples: uint8 for pixels, else real values or integers.
        pictures: The picture file that each sample is; empty where samples are no pictures.
        notes: What a user should know about them.
    """

    names: tuple[str, ...]
    values: Mapping[str, Tensor]
    pictures: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def parts(self, count: int) -> Iterator["Samples"]:
        """Yield the samples, so many at a time."""
        for start in range(0, len(self.names), count):
            part = slice(start, start + count)
            values = {name: array[part] for name, array in self.values.items()}
            yield Samples(self.names[part], values, self.pictures[part])


class SampleForm(NamedTuple):
    """A kind of file.

    Attributes:
        what: Its name, for people.
        suffixes: How such files end.
        read: Returns what files of it hold for the inputs of a model.
    """

    what: str
    suffixes: frozenset[str]
    read: Callable[[Sequence[Path], Sequence[Input], bool], Samples]


def read_samples(paths: Sequence[Path], spec: Spec, *, invert: bool = False) -> Samples:
    """Return the samples in files of any of ``FORMS``; what has another ending is taken for a picture.

    Args:
        paths: The files; ``-`` for CSV on the standard input.
        spec: What is known of the artefact.
        invert: Whether pictures are dark on light, where the model knows light on dark.

    Raises:
        InputError: A file cannot be read, or is not what the model takes; the message names it.
    """
    ports = ports_of(spec)
    groups = [(form, list(members)) for form, members in groupby(paths, _form)]
    if invert and not any(form is _PICTURES for form, _ in groups):
        raise InputError(f"--invert: got it with {paths[0]}, expected it with pictures")
    samples = _joined([form.read(members, ports, invert) for form, members in groups])
    narrow = (few_steps(samples.values[each.name], each, named=spec.name) for each in spec.inputs)
    samples = samples._replace(notes=(*samples.notes, *filter(None, narrow)))
    if samples.pictures:
        hint = _inverted(samples.values[ports[0].name], spec, invert)
        return samples._replace(notes=(*samples.notes, *hint))
    return samples


def read_rows(content: bytes, spec: Spec, *, header: bool | None = None, line: int = 1) -> Samples:
    """Return the samples in CSV text that a program has taken from its standard input, as ``read_samples`` does.

    Args:
        content: Lines of it.
        spec: What is known of the artefact.
        header: Whether the first line has names of columns; None to look.
        line: Which line of the input the first one is.

    Raises:
        InputError: It is no CSV text, or no samples of the model; the message has the line.
    """
    return _rows_of(content, Path(STDIN), ports_of(spec), header=header, line=line)


def _form(path: Path) -> SampleForm:
    if str(path) == STDIN:
        return _CSV
    return next((form for form in FORMS if path.suffix.lower() in form.suffixes), _PICTURES)


def _joined(read: Sequence[Samples]) -> Samples:
    if len(read) == 1:
        return read[0]
    values = {}
    for name in read[0].values:
        arrays = [each.values[name] for each in read]
        for samples, array in zip(read, arrays, strict=True):
            if array.shape[1:] != arrays[0].shape[1:]:
                raise InputError(
                    f"{samples.names[0]}: got {array.shape[1:]} a sample, and {arrays[0].shape[1:]} in "
                    f"{read[0].names[0]}, expected one shape in a call: give them in two"
                )
        values[name] = np.concatenate(arrays)
    pictures = tuple(path for each in read for path in each.pictures)
    names = tuple(name for each in read for name in each.names)
    notes = tuple(dict.fromkeys(note for each in read for note in each.notes))
    return Samples(names, values, pictures if len(pictures) == len(names) else (), notes)


def _read_pictures(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    port = _only(paths[0], ports)
    height, width, channels = port.shape[1:] if port.range is not None else (None, None, None)
    if not (height and width and channels):
        raise InputError(
            f"{paths[0]}: got what is read as a picture, and the model takes {port}, no pictures: give .npy, .npz, .csv"
            f"{' or .wav' if _takes_sound(port) else ''} with its values"
        )
    shape = (height, width, channels)
    pixels = read_images(paths, shape=shape, resizing=port.resizing or KERAS_LOADER, invert=invert)
    return Samples(tuple(map(str, paths)), {port.name: pixels}, tuple(paths))


def _read_npy(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    return _joined([_named_arrays(path, {_only(path, ports).name: read_npy(path)}, ports) for path in paths])


def _read_npz(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    read = []
    for path in paths:
        arrays, notes = _by_input(path, ports)
        read.append(_named_arrays(path, arrays, ports)._replace(notes=notes))
    return _joined(read)


def _by_input(path: Path, ports: Sequence[Input]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the array of each input, by its name or by what people call samples, and a note on what is left out."""
    arrays = read_npz(path)
    names = [port.name for port in ports]
    if set(names) <= arrays.keys():
        return {name: arrays[name] for name in names}, ()
    if len(names) == len(arrays) == 1:
        return {names[0]: next(iter(arrays.values()))}, ()
    found: dict[str, list[str]] = {name: [] for name in names}
    for key in arrays:
        meant = meaning_of(key, names).input
        if meant == ONLY and len(names) == 1:
            meant = names[0]
        if meant is not None and meant in found:
            found[meant].append(key)
    if any(len(keys) != 1 for keys in found.values()):
        alone = ", or one array x, or one alone" if len(names) == 1 else ""
        raise InputError(f"{path}: got the arrays {', '.join(arrays) or 'none'}, expected {' and '.join(names)}{alone}")
    taken = {name: keys[0] for name, keys in found.items()}
    others = [key for key in arrays if key not in taken.values()]
    note = f"{path}: took {', '.join(taken.values())}, left out {', '.join(others)}"
    return {name: arrays[key] for name, key in taken.items()}, (note,) if others else ()


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
    return Samples(tuple(f"{path}[{index}]" for index in range(counts[ports[0].name])), found)


def _read_csv(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    return _joined([_rows(path, ports) for path in paths])


def _rows(path: Path, ports: Sequence[Input]) -> Samples:
    if str(path) != STDIN:
        return _rows_of(read_plain(path, most=_MOST_CSV, error=InputError), path, ports)
    content = sys.stdin.buffer.read(_MOST_CSV + 1)
    if len(content) > _MOST_CSV:
        raise InputError(f"the standard input: got over {_MOST_CSV:,} bytes, expected fewer: give them in parts")
    return _rows_of(content, path, ports)


def _rows_of(
    content: bytes, path: Path, ports: Sequence[Input], *, header: bool | None = None, line: int = 1
) -> Samples:
    named = "the standard input" if str(path) == STDIN else str(path)
    table = read_table(content, named=named, header=header, line=line, wanted=wanted_columns(ports))
    inputs = table_inputs(table, ports, named=named)
    names = tuple(f"{path}:{line}" for line in table.lines)
    return Samples(names, inputs, notes=notes_on(table, ports, named=named))


def _read_wav(paths: Sequence[Path], ports: Sequence[Input], invert: bool) -> Samples:
    port = _only(paths[0], ports)
    if not _takes_sound(port):
        raise InputError(
            f"{paths[0]}: got sound, and the model takes {port}, no raw sound: give .npy or .npz with what it was "
            "trained on"
        )
    if port.log_mel:
        return _heard(paths, port)
    # One axis is that of a mono model.
    length, channels = (*port.shape[1:], 1)[:2]
    read, rates = [], set()
    for path in paths:
        sound = read_wav(read_plain(path, most=MOST_WAV, error=InputError), named=str(path))
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
        axes = (1, frames) if len(port.shape) == 2 else (1, frames, got)
        read.append(Samples((str(path),), {port.name: sound.samples.reshape(axes)}))
    # No artefact says which sample rate its model has learned.
    listed = " and ".join(f"{rate:,} Hz" for rate in sorted(rates))
    return _joined(read)._replace(notes=(f"sound of {listed}; the model must have learned the same",))


def _heard(paths: Sequence[Path], port: Input) -> Samples:
    found = [hear(path, port) for path in paths]
    notes = tuple(
        f"{path}: the model hears the first {each.seconds - each.missed:.2f} s of {each.seconds:.2f} s"
        for path, each in zip(paths, found, strict=True)
        if each.missed
    )
    values = np.stack([each.features for each in found])
    return Samples(tuple(map(str, paths)), {port.name: values}, notes=notes)


def _takes_sound(port: Input) -> bool:
    return port.log_mel is not None or (len(port.shape) in (2, 3) and port.is_real and port.range is None)


def _only(path: Path, ports: Sequence[Input]) -> Input:
    if len(ports) > 1:
        names = ", ".join(port.name for port in ports)
        raise InputError(f"{path} has no names for the inputs {names}: give FILE.npz with an array for each")
    return ports[0]


def _inverted(images: Tensor, spec: Spec, inverted: bool) -> tuple[str, ...]:
    """Return a note if digits look like ink on paper and the model learned the opposite: it would answer nonsense."""
    if inverted or spec.metadata is None or not spec.metadata.dataset.startswith("mnist"):
        return ()
    light = sum(bool(np.median(image) > 127) for image in images)
    said = f"{light} of {len(images)} images look dark on light; this model learned light digits on black: add --invert"
    return (said,) if light else ()


_PICTURES = SampleForm("a picture (PNG, JPEG, WebP, BMP, GIF, TIFF)", SUFFIXES, _read_pictures)
_CSV = SampleForm("FILE.csv (a row of numbers a sample; - for the standard input)", frozenset({".csv"}), _read_csv)
FORMS = (
    _PICTURES,
    SampleForm("FILE.npy", frozenset({".npy"}), _read_npy),
    SampleForm("FILE.npz (an array for each input)", frozenset({".npz"}), _read_npz),
    _CSV,
    SampleForm("FILE.wav (sound, raw or as log-mel features)", frozenset({".wav"}), _read_wav),
)
