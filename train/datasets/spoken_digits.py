"""The Free Spoken Digit Dataset (FSDD) in a folder of the user's: ``fsdd:FOLDER``.

3,000 recordings of six speakers, CC BY-SA 4.0, Jackson and others, doi:10.5281/zenodo.1342401. A file is called
``DIGIT_SPEAKER_NUMBER.wav``; by the data set's own rule the numbers 0 to 4 of each speaker and digit are for the test.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.hearing import hear
from edgeport.train.datasets.data import Data, Part

PREFIX = "fsdd:"
_NAME = re.compile(r"(\d)_([^_]+)_(\d{1,6})\.wav", re.IGNORECASE)
_TEST_NUMBERS = range(5)
_FOLDER = "recordings"
_DIGITS = tuple(map(str, range(10)))


def is_spoken_digits(source: str) -> bool:
    """Return whether a source is ``fsdd:FOLDER``."""
    return source.startswith(PREFIX)


def load_spoken_digits(source: str, ports: Sequence[Input]) -> Data:
    """Return the log-mel features of the recordings in a folder, those of the official test split apart.

    Args:
        source: ``fsdd:`` and the folder of the recordings, or the one that has it as ``recordings``.
        ports: The one input of the model, which says how sound becomes what it takes.

    Raises:
        InputError: There is no such folder, a file has another name or cannot be heard, or nobody says how.
    """
    folder = Path(source.removeprefix(PREFIX))
    folder = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
    if len(ports) != 1 or ports[0].log_mel is None:
        raise InputError(
            f"{source}: nobody says how sound becomes what the model takes: expected --input "
            "log-mel:RATE[:WINDOW:HOP], such as log-mel:8000, of a model of one input (train: --model FILE.keras)"
        )
    (port,) = ports
    found: dict[str, list[tuple[Path, int]]] = {"train": [], "test": []}
    for path in _recordings(folder, source):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise InputError(f"{path}: got another name, expected DIGIT_SPEAKER_NUMBER.wav, such as 7_jackson_3.wav")
        found["test" if int(name[3]) in _TEST_NUMBERS else "train"].append((path, int(name[1])))
    parts = {
        split: Part(
            {port.name: np.stack([hear(path, port).features for path, _ in members])},
            np.array([digit for _, digit in members], np.int64),
        )
        for split, members in found.items()
        if members
    }
    return Data(source, parts, _DIGITS)


def _recordings(folder: Path, source: str) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".wav" and path.name[0] != ".")
    except OSError as error:
        raise InputError(f"data set {source}: cannot read {folder}: {error.strerror or error}") from error
    if not files:
        raise InputError(f"data set {source}: got no WAV files in {folder}, expected some such as 7_jackson_3.wav")
    return files
