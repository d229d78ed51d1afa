"""Pixels in an artefact's own input type: whatever way is taken, it is what the table says."""

import numpy as np
import pytest

from edgeport.runtime.tensors.encoding import pixel_encoder

IMAGES = np.arange(512).reshape(2, 16, 16, 1).astype(np.uint8)
TABLES = {
    "raw pixels": np.arange(256, dtype=np.float32),
    "less 128": np.arange(-128, 128).astype(np.int8),
    "0 to 1": np.linspace(0, 1, 256).astype(np.float32),
    "doubles": np.arange(256, dtype=np.float64),
    "saturated": np.clip(np.arange(256) - 100, -128, 127).astype(np.int8),
    "backwards": np.arange(127, -129, -1).astype(np.int8),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("images", [IMAGES, IMAGES[::-1, ::2, ::2], IMAGES.transpose(0, 2, 1, 3)], ids="abc")
def test_each_pixel_becomes_what_the_table_says(name: str, images: np.ndarray) -> None:
    table = TABLES[name]
    encoded = pixel_encoder(table)(images)
    np.testing.assert_array_equal(encoded, table[images])
    assert encoded.dtype == table.dtype
    assert encoded.flags.c_contiguous
    assert type(encoded) is np.ndarray


def test_pixels_in_a_mapped_file_become_a_plain_array(tmp_path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for table in TABLES.values():
        encoded = pixel_encoder(table)(mapped)
        assert type(encoded) is np.ndarray
        np.testing.assert_array_equal(encoded, table[IMAGES])
