"""Keras files that unpack to far more than they are, or take weights from other files: known before they are opened."""

import io
import zipfile
import zlib

from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.files.unpacking import check_unpacked
from edgeport.runtime.host.json_process import JsonProcess, answer_of

# Keras stores weights as they are; a small file of zeros that somebody packed is no reason to refuse it.
_HARMLESS = 64 << 20
_MOST_TIMES = 20
_OF_DAMAGE = (ValueError, EOFError, NotImplementedError, RuntimeError, OSError, KeyError)
_HDF5 = b"\x89HDF\r\n\x1a\n"


def check_unpacked_size(content: bytes, *, name: str) -> None:
    """Raise if a ``.keras`` or ``.h5`` file would take much more memory than it has bytes, or reads other files.

    Args:
        content: The whole file.
        name: What to call it in the message.

    Raises:
        ArtefactError: It would, or its weights are damaged.
    """
    if content.startswith(_HDF5):
        _check_hdf5(content, name)
        return
    check_unpacked(io.BytesIO(content), named=name, size=len(content), error=ArtefactError, harmless=_HARMLESS)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            weights = [archive.read(entry) for entry in archive.infolist() if entry.filename.endswith(".h5")]
    except (zipfile.BadZipFile, zlib.error, *_OF_DAMAGE):
        # Nothing unpacks from it; who opens it says what it is.
        return
    for each in weights:
        _check_hdf5(each, name)


def _check_hdf5(content: bytes, name: str) -> None:
    most = max(_HARMLESS, _MOST_TIMES * len(content))
    with temporary_folder() as folder, JsonProcess("edgeport.train.models.hdf5_child") as child:
        path = folder / "weights.h5"
        path.write_bytes(content)
        child.send({"path": str(path), "name": name, "most": most})
        answer = child.receive()
        if answer is None:
            raise ArtefactError(f"{name} holds weights that are damaged ({child.cause()}): copy or save it again")
        total = answer_of(answer)["total"]
    if total > most:
        raise ArtefactError(
            f"cannot read {name}: weights of {len(content):,} bytes would unpack to {total:,}, which no model's do"
        )
