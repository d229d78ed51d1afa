"""What unpacks to far more than it is, or reads other files, is refused before memory is taken for it."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgeport.runtime import ArtefactError, InputError
from edgeport.runtime.files.numpy_file import read_npz
from edgeport.train.models.unpacked_size import check_unpacked_size

ROOT = Path(__file__).parents[2]


def weights(**datasets: dict) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, options in datasets.items():
            file.create_dataset(name, **options)
    return content.getvalue()


def keras_file(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, entry in entries.items():
            archive.writestr(name, entry)
    return content.getvalue()


def test_files_that_keras_writes_pass() -> None:
    for path in [*ROOT.glob("train/zoo/*/*.keras"), *ROOT.glob("tests/data/*.h5")]:
        check_unpacked_size(path.read_bytes(), name=path.name)


def test_a_small_file_that_is_well_packed_passes() -> None:
    packed = keras_file({"config.json": b" " * 1_000_000, "model.weights.h5": weights()}, zipfile.ZIP_DEFLATED)
    check_unpacked_size(packed, name="a.keras")


@pytest.mark.parametrize("kind", ["entry", "dataset in a .keras", "dataset in a .h5", "unwritten dataset"])
def test_a_bomb_is_refused_before_it_takes_the_memory(kind: str) -> None:
    big = weights(w={"shape": (1 << 30,), "dtype": "float32", "chunks": (1 << 20,), "compression": "gzip"})
    content = {
        "entry": lambda: keras_file({"model.weights.h5": b"\0" * (400 << 20)}, zipfile.ZIP_DEFLATED),
        "dataset in a .keras": lambda: keras_file({"model.weights.h5": big}),
        "dataset in a .h5": lambda: big,
        "unwritten dataset": lambda: weights(w={"shape": (1 << 30,), "dtype": "float32"})[:4096] + b"",
    }[kind]()
    tracemalloc.start()
    try:
        with pytest.raises(ArtefactError, match=r"a\.keras"):
            check_unpacked_size(content, name="a.keras")
        assert tracemalloc.get_traced_memory()[1] < (8 << 20)
    finally:
        tracemalloc.stop()


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\1" * 400)
    link = io.BytesIO()
    with h5py.File(link, "w") as file:
        file["w"] = h5py.ExternalLink("/etc/other.h5", "w")
    external = weights(w={"shape": (100,), "dtype": "float32", "external": [(str(tmp_path / "secret.bin"), 0, 400)]})
    for content in (link.getvalue(), external, keras_file({"model.weights.h5": external})):
        with pytest.raises(ArtefactError, match="in another file"):
            check_unpacked_size(content, name="a.h5")


def test_weights_that_are_damaged_are_one_line() -> None:
    with pytest.raises(ArtefactError, match=r"a\.keras") as printed:
        check_unpacked_size(keras_file({"model.weights.h5": b"\x89HDF\r\n\x1a\nno"}), name="a.keras")
    assert "\n" not in str(printed.value)


@pytest.mark.parametrize("content", [b"", b"no file", b"PK\x03\x04 and no more"])
def test_from_what_is_no_keras_file_nothing_unpacks(content: bytes) -> None:
    check_unpacked_size(content, name="a.keras")


def test_an_archive_of_arrays_that_is_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeport.runtime.files.unpacking._HARMLESS", 1 << 20)
    monkeypatch.setattr("edgeport.runtime.files.unpacking.check_unpacked.__kwdefaults__", {"harmless": 1 << 20})
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(50_000_000, np.uint8))
    with pytest.raises(InputError, match="would unpack to"):
        read_npz(tmp_path / "a.npz")


def test_damage_that_ends_the_hdf5_library_is_reported_and_not_died_of(data: Path, tmp_path: Path) -> None:
    """One byte in the type of an attribute: HDF5 2.0 follows it to a place that is not its own."""
    content = bytearray((data / "keras2.h5").read_bytes())
    content[1009] = 0o34
    with pytest.raises(ArtefactError, match=r"a\.h5 holds weights that are damaged \(SIG.*\): copy or save it again"):
        check_unpacked_size(bytes(content), name="a.h5")
