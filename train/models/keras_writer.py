"""Which Keras wrote a file, read without opening the model: Keras 2 and Keras 3 give some layers other formulas."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.json_file import parse_json
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.train.models.unpacked_size import check_unpacked_size

HDF5_SUFFIXES = (".h5", ".hdf5")
KERAS_SUFFIXES = (".keras", *HDF5_SUFFIXES)

_VERSION = re.compile(r"(\d+)\.\d+")
# What Keras puts into a file of weights alone: Keras 2 the first, Keras 3 the others.
_WEIGHTS_ALONE = ("layer_names", "layers", "_layer_checkpoint_dependencies", "vars")


@dataclass(frozen=True, eq=False)
class KerasFile:
    """What a Keras file says of itself.

    Attributes:
        version: The version of the Keras that wrote it, such as ``2.15.0`` or ``3.12.1``.
        config: The architecture, as the JSON in the file has it.
    """

    version: str
    config: Any

    @property
    def major(self) -> int:
        """The major version of the Keras that wrote it: 2 or 3."""
        return int(self.version.partition(".")[0])


def read_keras_file(path: Path) -> KerasFile:
    """Return what a ``.keras``, ``.h5`` or ``.hdf5`` file says of itself; nothing in it is executed.

    Raises:
        ArtefactError: The file is missing, damaged, no Keras model, holds weights alone, does not say which Keras wrote
            it, or was written by a Keras that neither Keras 3 nor tf-keras reads.
    """
    check_unpacked_size(read_plain(path, most=MOST_MODEL), name=str(path))
    version, config = _from_hdf5(path) if path.suffix in HDF5_SUFFIXES else _from_archive(path)
    found = _VERSION.match(version)
    if found is None:
        raise ArtefactError(
            f"{path} does not say which Keras wrote it, and Keras 2 and 3 compute some layers differently: load it "
            "where it was made, and save it again with model.save()"
        )
    major = int(found.group(1))
    if major > 3:
        raise ArtefactError(f"{path} was written by Keras {version[:20]}, expected Keras 2 or 3: update edgeport")
    if major < 2:
        raise ArtefactError(
            f"{path} was written by Keras {version}, expected Keras 2 or 3: load it with Keras 2 (Python 3.7, "
            "keras==2.2.5, tensorflow==1.15), and save it again with model.save()"
        )
    return KerasFile(version, config)


def _from_archive(path: Path) -> tuple[str, Any]:
    """Return version and config of a ``.keras`` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            # Keras itself does not compare each file with its checksum.
            if archive.testzip() is not None:
                raise _damaged(path)
            metadata, config = (parse_json(archive.read(name)) for name in ("metadata.json", "config.json"))
    except ArtefactError:
        raise
    except Exception as error:  # zipfile raises whatever a damaged archive leads it into
        raise _damaged(path) from error
    if not (isinstance(metadata, dict) and isinstance(config, dict)):
        raise _damaged(path)
    return str(metadata.get("keras_version", "")), config


def _from_hdf5(path: Path) -> tuple[str, Any]:
    """Return version and config of an HDF5 file."""
    try:
        with h5py.File(path) as file:
            version, config = (_text(file.attrs.get(name)) for name in ("keras_version", "model_config"))
            weights_alone = any(name in file.attrs or name in file for name in _WEIGHTS_ALONE)
    except Exception as error:  # h5py raises whatever a damaged file leads it into
        raise _damaged(path) from error
    if not config and weights_alone:
        raise ArtefactError(
            f"{path} holds weights without the model: build the model in Python, call load_weights() with this file, "
            "and save it with model.save('model.keras')"
        )
    if not config:
        raise ArtefactError(f"{path} holds no Keras model: save it with model.save()")
    try:
        parsed = parse_json(config.encode())
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(parsed, dict):
        raise _damaged(path)
    return version, parsed


def _text(attribute: Any) -> str:
    return attribute.decode("utf-8", "replace") if isinstance(attribute, bytes) else str(attribute or "")


def _damaged(path: Path) -> ArtefactError:
    return ArtefactError(f"{path} is truncated or no Keras model: copy it again, or save it with model.save()")
