"""The metadata in a TFLite file: readable by the schema's own reader, and the model's bytes untouched."""

from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeport.export.tflite.embedded_metadata import embed_metadata
from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, read_metadata, to_json, with_checksum


@pytest.mark.parametrize("name", ["tiny.float32.tflite", "tiny.int8.tflite"])
@pytest.mark.parametrize("label", ["", "a", "ab", "abc", "a" * 5000])
def test_embedded_metadata_is_an_entry_and_shifts_the_model_whole(name: str, label: str, data: Path) -> None:
    content = (data / name).read_bytes()
    before = schema.ModelT.InitFromPackedBuf(content, 0)
    metadata = EmbeddedMetadata("m", "int8", outputs=(Output("y", columns=(label,)),))
    # The file holds metadata already: blank its head, so that the new one is the only one.
    blanked = content.replace(b'{"edgeport_card":', b'{"another_block":')
    embedded = embed_metadata(blanked, metadata)
    shift = len(embedded) - len(content)
    assert shift % 16 == 0
    assert embedded[shift:] == blanked
    after = schema.ModelT.InitFromPackedBuf(embedded, 0)
    assert after.version == before.version
    assert len(after.buffers) == len(before.buffers) + 1
    assert [entry.name for entry in after.metadata] == [*(entry.name for entry in before.metadata), b"edgeport"]
    assert after.buffers[after.metadata[-1].buffer].data.tobytes() == to_json(metadata).encode()
    assert len(after.subgraphs[0].operators) == len(before.subgraphs[0].operators)
    assert [code.builtinCode for code in after.operatorCodes] == [code.builtinCode for code in before.operatorCodes]
    for old, new in zip(before.buffers, after.buffers, strict=False):
        assert (old.data is None) == (new.data is None)
        assert old.data is None or len(old.data) == len(new.data)
    assert read_metadata(with_checksum(embedded), name="x") == metadata
