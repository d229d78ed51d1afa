"""Arrays with axes of length 0: computed where the engine can, one line where it cannot, never the process' end."""

import os
from pathlib import Path

import numpy as np
import pytest
from hand_made import save_decoder, save_tflite

from edgeport.runtime import InputError, load
from edgeport.runtime.engines.empty_axes import EmptyAxes
from edgeport.runtime.engines.protocol import Origin


def save_resizing(path: Path) -> Path:
    """Write a TFLite file whose kernel reads behind an empty picture."""
    tensors = [
        ("x", "FLOAT32", (1, -1, 8, 1), None, 0),
        ("size", "INT32", (2,), np.array([4, 4], np.int32), 0),
        ("y", "FLOAT32", (1, 4, 4, 1), None, 0),
    ]
    steps = [("RESIZE_NEAREST_NEIGHBOR", [0, 1], [2], "ResizeNearestNeighborOptions", {})]
    return save_tflite(path, {"tensors": tensors, "steps": steps, "inputs": [0], "outputs": [2]})


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_decoder_starts_with_an_empty_cache_and_goes_on(suffix: str, tmp_path: Path) -> None:
    predictor = load(save_decoder(tmp_path / f"m.{suffix}"), verify=False)
    cache, steps = np.zeros((1, 0, 4), np.float32), np.arange(12, dtype=np.float32).reshape(3, 1, 1, 4)
    for step in steps:
        cache = predictor.run({"cache": cache, "step": step})["longer"]
    np.testing.assert_array_equal(cache, steps.reshape(1, 3, 4))
    # And back again.
    assert predictor.run({"cache": cache[:, :0], "step": steps[0]})["longer"].shape == (1, 1, 4)


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
@pytest.mark.parametrize(
    ("cache", "step"),
    [
        (np.zeros((1, 0, 4), np.float64), np.zeros((1, 1, 4), np.float32)),
        (np.zeros((1, 0, 4), ">f4"), np.zeros((1, 1, 4), np.float32)),
        (np.zeros((1, 3, 0), np.float32), np.zeros((1, 1, 4), np.float32)),
        (np.zeros((1, 0), np.float32), np.zeros((1, 1, 4), np.float32)),
        (np.zeros((1, 0, 4), np.float32), np.zeros((1, 0, 4), np.float32)),
    ],
)
def test_an_axis_that_is_not_free_may_not_be_empty(
    suffix: str, cache: np.ndarray, step: np.ndarray, tmp_path: Path
) -> None:
    predictor = load(save_decoder(tmp_path / f"m.{suffix}"), verify=False)
    with pytest.raises(InputError, match=r"got a tensor .*, expected (cache|step) float32"):
        predictor.run({"cache": cache, "step": step})


def test_what_kills_the_engine_is_one_line_and_the_predictor_lives(tmp_path: Path) -> None:
    predictor = load(save_resizing(tmp_path / "m.tflite"), verify=False)
    for _ in range(2):
        with pytest.raises(InputError, match=r"cannot compute x \(1, 0, 8, 1\): .* it (crashed|refused) ") as printed:
            predictor.run(np.zeros((1, 0, 8, 1), np.float32))
        assert "\n" not in str(printed.value)
    assert predictor.run(np.ones((1, 2, 8, 1), np.float32)).min() == 1


def test_each_combination_of_shapes_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = save_decoder(tmp_path / "m.tflite").read_bytes()
    axes = EmptyAxes(Origin(content, "m.tflite", "tflite", "ai_edge_litert", 1), ["cache", "step"])
    axes.check([(1, 0, 4), (1, 1, 4)])
    # Where no process can be started, only what was tried goes on.
    monkeypatch.delattr(os, "pidfd_open")
    axes.check([(1, 0, 4), (1, 1, 4)])
    with pytest.raises(InputError, match="only on Linux"):
        axes.check([(1, 2, 4), (1, 0, 4)])
