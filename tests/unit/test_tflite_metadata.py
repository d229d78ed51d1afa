"""TFLite Metadata: what other tools read there, and that the model and the metadata do not suffer from it."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import number_types
from flatbuffers.table import Table

from edgeport.export.tflite.appended_files import append_files, moved_archive
from edgeport.export.tflite.embedded_metadata import embed_metadata
from edgeport.export.tflite.standard_metadata import embed_standard_metadata
from edgeport.runtime import load
from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, with_checksum
from edgeport.runtime.errors import ExportError

DIGITS = tuple("0123456789")
NAMES = ["tiny.float32.tflite", "tiny.int8.tflite"]


@pytest.fixture(params=NAMES)
def content(request: pytest.FixtureRequest, data: Path) -> bytes:
    # The file holds metadata already: blank its head, so that a new one is the only one.
    return (data / request.param).read_bytes().replace(b'{"edgeport_card":', b'{"another_block":')


def embedded(content: bytes, **options) -> bytes:
    return embed_standard_metadata(
        content, **{"name": "m", "labels": DIGITS, "input_range": (0, 255), "channels": 1} | options
    )


def metadata_of(content: bytes) -> "Fields":
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (number,) = (entry.buffer for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    packed = bytearray(model.buffers[number].data.tobytes())
    assert packed[4:8] == b"M001"
    return Fields(Table(packed, struct.unpack_from("<I", packed)[0]))


class Fields:
    """A flatbuffer table read by field number."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def place(self, number: int) -> int:
        offset = self.table.Offset(4 + 2 * number)
        return offset and offset + self.table.Pos

    def text(self, number: int) -> str | None:
        return self.table.String(self.place(number)).decode() if self.place(number) else None

    def enum(self, number: int) -> int:
        return self.table.Get(number_types.Int8Flags, self.place(number)) if self.place(number) else 0

    def child(self, number: int) -> "Fields":
        return Fields(Table(self.table.Bytes, self.table.Indirect(self.place(number))))

    def children(self, number: int) -> list["Fields"]:
        if not self.place(number):
            return []
        offset = self.place(number) - self.table.Pos
        start, count = self.table.Vector(offset), self.table.VectorLen(offset)
        return [Fields(Table(self.table.Bytes, self.table.Indirect(start + 4 * each))) for each in range(count)]

    def floats(self, number: int) -> list[float]:
        offset = self.place(number) - self.table.Pos
        return self.table.GetVectorAsNumpy(number_types.Float32Flags, offset).tolist()


def test_it_says_what_goes_in_and_what_comes_out(content: bytes) -> None:
    model = metadata_of(embedded(content, description="Digits.", version="2"))
    assert [model.text(number) for number in (0, 1, 2, 4, 7)] == ["m", "Digits.", "2", None, "1.0.0"]
    (subgraph,) = model.children(3)
    (image,), (probability,) = subgraph.children(2), subgraph.children(3)
    assert (image.text(0), probability.text(0)) == ("image", "probability")
    assert (image.child(3).enum(0), probability.child(3).enum(0)) == (2, 1)
    assert image.child(3).child(1).enum(0) == 2
    assert (image.child(5).floats(0), image.child(5).floats(1)) == ([255], [0])
    assert (probability.child(5).floats(0), probability.child(5).floats(1)) == ([1], [0])
    (labels,) = probability.children(6)
    assert (labels.text(0), labels.enum(2)) == ("labels.txt", 2)
    assert image.children(6) == []


@pytest.mark.parametrize("input_range", [(0, 255), (0, 1), (-1, 1), (-0.5, 2.5)])
def test_the_normalisation_maps_pixels_to_the_input_range(input_range: tuple[float, float], data: Path) -> None:
    content = embedded((data / NAMES[0]).read_bytes(), input_range=input_range)
    (unit,) = metadata_of(content).children(3)[0].children(2)[0].children(4)
    (mean,), (std,) = unit.child(1).floats(0), unit.child(1).floats(1)
    assert unit.enum(0) == 1
    np.testing.assert_allclose([(0 - mean) / std, (255 - mean) / std], input_range, atol=1e-6)
    if input_range == (0, 255):
        assert (str(mean), std) == ("0.0", 1)


@pytest.mark.parametrize(("channels", "colour_space"), [(1, 2), (3, 1), (4, 0)])
def test_the_colour_space_is_that_of_the_channels(channels: int, colour_space: int, data: Path) -> None:
    content = embedded((data / NAMES[0]).read_bytes(), channels=channels)
    assert metadata_of(content).children(3)[0].children(2)[0].child(3).child(1).enum(0) == colour_space


def test_the_file_holds_standard_metadata_labels_and_ours_and_answers_the_same(
    content: bytes, golden: dict[str, np.ndarray], tmp_path: Path
) -> None:
    ending = "softmax" if b'"precision":"int8"' in content else "none"
    metadata = EmbeddedMetadata("tiny", "x", outputs=(Output("y", activation=ending, kind="classes", columns=DIGITS),))
    path = tmp_path / "whole.tflite"
    path.write_bytes(with_checksum(embed_metadata(embedded(content), metadata)))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().splitlines() == list(DIGITS)
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
        assert archive.start_dir == directory_position(path.read_bytes())
    expected = golden["tiny.int8.tflite" if ending == "softmax" else "tiny.float32.tflite"]
    predictor = load(path)
    assert predictor.spec.labels == DIGITS
    np.testing.assert_allclose(predictor.predict(golden["images"]), expected, atol=1e-6)
    assert answers(path.read_bytes()) == answers(content)
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    assert [entry.name for entry in model.metadata][-2:] == [b"TFLITE_METADATA", b"edgeport"]


def answers(content: bytes) -> bytes:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    image, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    random = np.random.default_rng(0)
    interpreter.set_tensor(image["index"], random.integers(0, 100, image["shape"]).astype(image["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(output["index"]).tobytes()


def buffer_positions(content: bytes) -> dict[bytes, int]:
    model = schema.Model.GetRootAs(content, 0)
    arrays = [model.Buffers(number).DataAsNumpy() for number in range(model.BuffersLength())]
    start = np.frombuffer(content, np.uint8).ctypes.data
    return {array.tobytes(): array.ctypes.data - start for array in arrays if isinstance(array, np.ndarray)}


@pytest.mark.parametrize("label", ["", "a", "abcdefghi", "a" * 999])
def test_every_buffer_stays_as_aligned_as_it_was_and_a_new_one_is_aligned(label: str, content: bytes) -> None:
    described = embedded(content, name=f"m{label}", labels=("x", *(f"{label}{digit}" for digit in DIGITS)))
    earlier = buffer_positions(content)
    for after, count in ((described, 1), (embed_metadata(described, EmbeddedMetadata(label, "x")), 2)):
        shift = after.index(content[:64])
        assert shift % 16 == 0
        assert after[shift : shift + len(content)] == content
        positions = buffer_positions(after)
        assert {data: position + shift for data, position in earlier.items()}.items() <= positions.items()
        added = positions.keys() - earlier.keys()
        assert len(added) == count
        assert {positions[data] % 16 for data in added} == {0}


def directory_position(content: bytes) -> int:
    """Return where the archive at the end says that its directory is; Python would find it also from elsewhere."""
    return struct.unpack_from("<I", content, len(content) - 6)[0]


def test_without_labels_there_is_no_file_of_them(data: Path, tmp_path: Path) -> None:
    content = embedded((data / NAMES[0]).read_bytes(), labels=())
    assert metadata_of(content).children(3)[0].children(3)[0].children(6) == []
    (tmp_path / "x.tflite").write_bytes(content)
    assert not zipfile.is_zipfile(tmp_path / "x.tflite")


@pytest.mark.parametrize("label", ["", "a\nb", "a\r", "a\u2028b"])
def test_a_label_that_is_no_line_is_refused(label: str, data: Path) -> None:
    with pytest.raises(ExportError, match="expected one line"):
        embedded((data / NAMES[0]).read_bytes(), labels=("a", label))


def test_an_archive_counts_from_the_start_of_the_file_also_after_a_move(tmp_path: Path) -> None:
    content = append_files(b"model" * 10, {"one.txt": b"1", "two.txt": "zwö".encode()})
    for whole in (content, b"front" + moved_archive(content, by=5)):
        (tmp_path / "x").write_bytes(whole)
        with zipfile.ZipFile(tmp_path / "x") as archive:
            assert archive.start_dir == directory_position(whole)
            assert archive.testzip() is None
            for entry in archive.infolist():
                assert whole[entry.header_offset :].startswith(b"PK\3\4")
            assert archive.read("two.txt").decode() == "zwö"


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 100, b"PK\5\6" + b"x" * 18, b"x" * 50 + b"PK\5\6" + b"\1" * 18])
def test_what_ends_with_no_archive_is_left_alone(content: bytes) -> None:
    assert moved_archive(content, by=16) == content


def test_the_same_labels_give_the_same_bytes(data: Path) -> None:
    content = (data / NAMES[0]).read_bytes()
    assert embedded(content) == embedded(content)
    with zipfile.ZipFile(io.BytesIO(embedded(content))) as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
