"""``--keep-float-where-faster``: the layers that a clock finds faster in floats, delivered and verified as mixed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.export import Options, export, export_model, load_calibration, load_source
from edgeport.export.diagnosis.bought import TIME, search_sentences
from edgeport.export.manifest import Manifest
from edgeport.runtime import load

LAYERS = ("stem", "middle", "last", "answers")
Clock = Callable[[frozenset[str]], float]


def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    picture = keras.Input((12, 12, 1), name="picture")
    hidden = keras.layers.Rescaling(1 / 255)(picture)
    for name in LAYERS[:3]:
        hidden = keras.layers.Conv2D(8, 3, activation="relu", name=name)(hidden)
    return keras.Model(picture, keras.layers.Dense(4, name="answers")(keras.layers.Flatten()(hidden)))


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 12, 12, 1)).astype(np.uint8)


def exported(folder: Path, format_name: str, clock: Clock) -> Manifest:
    """Export with a clock that goes by the layers that a file has in floats; float32 takes 100 us."""

    def times(files: Sequence[Path], sample: object) -> list[float]:
        known = [load(file).spec.metadata for file in files]
        return [100.0 if each.precision == "float32" else clock(frozenset(each.in_floats)) for each in known]

    source = load_source(model(), name="m")
    samples = load_calibration(pictures(), inputs=source.inputs, count=100)
    options = Options(formats=(format_name,), precisions=("float32", "int8"), keep_float_where_faster=True)
    return export(source, folder, samples, options=options, times=times)


@pytest.mark.parametrize("format_name", ["tflite", "onnx"])
def test_the_layers_that_are_faster_in_floats_stay_in_floats(format_name: str, tmp_path: Path) -> None:
    cost = {"stem": -20.0, "middle": 5.0, "last": 5.0, "answers": -10.0}
    manifest = exported(tmp_path, format_name, lambda in_floats: 80 + sum(cost.get(layer, 0) for layer in in_floats))
    (found,) = manifest.searches
    assert (found.measure, found.enough, found.us["mixed"]) == (TIME, "mixed", 50)
    assert set(found.in_floats) & set(LAYERS) == {"stem", "answers"}
    assert "in floats is the fastest, 50 us a call (100 in float32, 80 in int8): " in search_sentences(found)[0]
    (mixed,) = (each for each in manifest.artefacts if each.precision == "mixed")
    assert mixed.in_floats == found.in_floats
    assert mixed.verified.sqnr_db > 20
    assert load(tmp_path / f"m.mixed.{format_name}").spec.metadata.in_floats == found.in_floats


@pytest.mark.parametrize(("int8", "fastest", "why"), [(80, "int8", "no layer is worth"), (120, "float32", "not pay")])
def test_where_no_layer_is_worth_it_no_file_is_made(int8: float, fastest: str, why: str, tmp_path: Path) -> None:
    # One layer in floats gains less than what noise may be.
    manifest = exported(
        tmp_path, "onnx", lambda in_floats: int8 - 1 if in_floats == {"stem"} else int8 + len(in_floats)
    )
    (found,) = manifest.searches
    assert (found.enough, found.in_floats) == (fastest, ())
    assert why in search_sentences(found)[0]
    assert {each.precision for each in manifest.artefacts} == {"float32", "int8"}
    assert not list(tmp_path.glob("*mixed*"))


def test_files_are_timed_in_their_engine(tmp_path: Path) -> None:
    manifest = export_model(
        model(),
        tmp_path,
        calibration=pictures(),
        options=Options(formats=("tflite",), precisions=("int8",), keep_float_where_faster=True),
        on_warning=lambda text: None,
    )
    (found,) = manifest.searches
    fastest = min(found.us, key=found.us.__getitem__)
    assert fastest == found.enough
    assert found.trials > len(LAYERS)
    assert all(0.5 < us < 10_000 for us in found.us.values())
    assert any(each.precision == "mixed" for each in manifest.artefacts) is (fastest == "mixed")
