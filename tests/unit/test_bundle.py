"""The bundle: what goes into it, what is refused, and that the same export gives the same bytes."""

import base64
import dataclasses
import email
import hashlib
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgeport.export import Manifest, load_calibration, read_manifest
from edgeport.export.bundle import Bundle, BundleOptions, archive_bytes, make_bundle
from edgeport.export.bundle.bundling import _code_left, _in_a_unit
from edgeport.export.bundle.included import read_included
from edgeport.export.bundle.packages.targets import (
    ENGINES,
    SYSTEMS,
    choose_system,
    default_engines,
    engine_named,
    requirements,
)  # fmt: skip
from edgeport.export.bundle.packages.wheel import own_wheel
from edgeport.export.bundle.programs import programs_for
from edgeport.export.bundle.samples import GoldenSamples, balanced, golden_samples
from edgeport.export.bundle.selection import read_artefacts, select
from edgeport.runtime.cli import main
from edgeport.runtime.errors import ArtefactError, EdgeportError, InputError
from edgeport.runtime.golden.answers import FILE_NAME, read_golden
from edgeport.runtime.golden.selftest_command import check_sums
from edgeport.runtime.host.token_file import read_token

ROOT = Path(__file__).parents[2]


def packed(bundle: Bundle) -> bytes:
    return archive_bytes(bundle.files, top=bundle.name)


@pytest.fixture(scope="module")
def bundle(data: Path) -> Bundle:
    return make_bundle(data, BundleOptions(samples=12, samples_from="random"))


@pytest.fixture
def unpacked(bundle: Bundle, tmp_path: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(packed(bundle))) as archive:
        archive.extractall(tmp_path, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(tmp_path)
    return tmp_path / bundle.name


def test_the_same_export_gives_the_same_bytes(bundle: Bundle, data: Path) -> None:
    again = make_bundle(data, BundleOptions(samples=12, samples_from="random"))
    assert packed(again) == packed(bundle)
    shuffled = dict(reversed(list(bundle.files.items())))
    assert archive_bytes(shuffled, top=bundle.name) == packed(bundle)


def test_an_archive_tells_nothing_of_who_packed_it_and_when(bundle: Bundle) -> None:
    content = packed(bundle)
    assert content[3] == 0, "no name in the gzip header"
    assert content[4:8] == bytes(4), "no time in the gzip header"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in entries} == {(0, 0, "", "", 0)}
    assert {entry.name.split("/")[0] for entry in entries} == {"edgeport-tiny-raspberry-pi"}
    assert [entry.name for entry in entries if entry.isfile() and entry.mode & 0o111] == [f"{bundle.name}/install.sh"]


def test_every_file_but_the_sums_is_in_the_sums(bundle: Bundle, unpacked: Path) -> None:
    checked = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    printed = subprocess.run(checked, cwd=unpacked, check=True, capture_output=True, text=True).stdout
    assert {line.removesuffix(": OK") for line in printed.splitlines()} == set(bundle.files) - {"SHA256SUMS"}


def test_its_artefacts_are_an_export_folder_of_their_own(data: Path, unpacked: Path) -> None:
    manifest = read_manifest(unpacked / "artefacts")
    assert manifest.artefacts == read_manifest(data).artefacts
    assert manifest.source["file"] == "", "the model does not travel along"
    assert len(read_artefacts(unpacked / "artefacts", manifest)) == 4
    golden = read_golden(unpacked / "artefacts" / FILE_NAME)
    assert golden.count == 12
    assert set(golden.files) == {artefact.file for artefact in manifest.artefacts}


def test_it_holds_the_artefacts_that_are_asked_for_and_the_engines_that_they_need(data: Path) -> None:
    options = BundleOptions(artefacts=("int8.tflite",), samples=1, samples_from="random", python="3.11")
    small = make_bundle(data, options)
    assert [artefact.file for artefact in small.artefacts] == ["tiny.int8.tflite"]
    assert {name for name in small.files if name.startswith("artefacts/")} == {
        "artefacts/golden.npz", "artefacts/manifest.json", "artefacts/tiny.int8.tflite"
    }  # fmt: skip
    facts = json.loads(small.files["bundle.json"])
    assert [engine["name"] for engine in facts["engines"]] == ["ai-edge-litert"]
    assert facts["requirements"] == small.files["requirements.txt"].decode().splitlines()
    assert not [pin for pin in facts["requirements"] if pin.startswith(("onnxruntime", "tensorflow", "matplotlib"))]
    assert facts["artefacts"][0]["sha256"] == hashlib.sha256(small.files["artefacts/tiny.int8.tflite"]).hexdigest()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"artefacts": ("int8.tflit",)}, "did you mean int8.tflite?"),
        ({"artefacts": ("tiny.int8.onx",)}, "did you mean tiny.int8.onnx?"),
        ({"target": "rasberry-pi"}, "did you mean raspberry-pi?"),
        ({"arch": "arm7l"}, "did you mean armv7l?"),
        ({"python": "3.10"}, "unknown Python of raspberry-pi '3.10'"),
        ({"engines": ("tflite",)}, "did you mean tflite-runtime?"),
        ({"arch": "armv7l", "python": "3.13"}, "no engine has a wheel for Python 3.13 on armv7l: take --arch aarch64"),
        ({"arch": "armv7l", "artefacts": ("int8.onnx",)},
         "tiny.int8.onnx: no engine that has a wheel for Python 3.11 on armv7l runs onnx files: take another format, "
         "or --arch aarch64 --python 3.13"),
        ({"arch": "armv7l", "engines": ("onnxruntime",)},
         "onnxruntime has no wheel for Python 3.11 on armv7l: take --arch aarch64 --python 3.13"),
        ({"python": "3.13", "engines": ("tflite-runtime",)},
         "tflite-runtime has no wheel for Python 3.13 on aarch64: take --arch aarch64 --python 3.11"),
        ({"engines": ("onnxruntime",), "artefacts": ("int8.tflite",)}, "add --engine ai-edge-litert"),
        ({"engines": ("openvino",), "artefacts": ("int8.tflite",)},
         "tiny.int8.tflite: it is not for openvino (it computes the integers of TFLite files otherwise than TensorFlow "
         "Lite does): add --engine ai-edge-litert"),
        ({"engines": ("openvino",), "artefacts": ("int8.onnx",)},
         "tiny.int8.onnx: it is not for openvino (on ARM it opens only some files in integers, and rounds "
         "differently): add --engine onnxruntime"),
        ({"engines": ("openvino",), "arch": "armv7l"}, "openvino has no wheel for Python 3.11 on armv7l: take --arch"),
        ({"samples": 0}, "--samples: got 0"),
        ({"samples_from": "nowhere/at/all"}, "no such file, or folder of class folders"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_with_the_way_out(data: Path, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        make_bundle(data, BundleOptions(**options))
    assert "\n" not in str(refused.value)


def test_by_default_what_the_device_cannot_run_is_left_out_and_said(data: Path) -> None:
    old = make_bundle(data, BundleOptions(arch="armv7l", samples=1, samples_from="random"))
    assert {artefact.format for artefact in old.artefacts} == {"tflite"}
    assert sum("is left out: no engine that has a wheel for Python 3.11 on armv7l" in note for note in old.notes) == 2
    printed = any("tflite-runtime is not installed here" in note for note in old.notes)
    assert printed == (importlib.util.find_spec("tflite_runtime") is None)
    facts = json.loads(old.files["bundle.json"])
    assert facts["from_apt"] == ["python3-numpy", "python3-pil"]
    assert not [pin for pin in facts["requirements"] if pin.startswith(("numpy=", "pillow="))]


def test_a_file_that_tflite_runtime_cannot_load_is_left_out_or_refused(data: Path) -> None:
    manifest = read_manifest(data)
    first, *others = manifest.artefacts
    dynamic = dataclasses.replace(first, file="tiny.dynamic.tflite", precision="dynamic")
    manifest = dataclasses.replace(manifest, artefacts=(dynamic, *others))
    engines = (engine_named("tflite_runtime"),)
    system = choose_system("raspberry-pi", engines=engines)
    assert system.python == "3.11"
    selection = select(manifest, system=system, engines=engines, wanted=())
    assert [artefact.file for artefact in selection.manifest.artefacts] == ["tiny.int8.tflite"]
    assert "FULLY_CONNECTED" in selection.left_out[0]
    with pytest.raises(InputError, match=r"does not load it.*take --engine ai-edge-litert in its place"):
        select(manifest, system=system, engines=engines, wanted=("dynamic.tflite",))
    both = (*engines, engine_named("ai-edge-litert"))
    assert "dynamic" in select(manifest, system=system, engines=both, wanted=()).left_out[0], "the selftest tries both"
    current = (engine_named("ai-edge-litert"),)
    assert not select(manifest, system=system, engines=current, wanted=("dynamic.tflite",)).left_out


@pytest.mark.parametrize("also_the_manifest", [False, True])
def test_an_altered_artefact_is_refused(data: Path, tmp_path: Path, also_the_manifest: bool) -> None:
    shutil.copytree(data, tmp_path / "export")
    path = tmp_path / "export" / "tiny.int8.tflite"
    before = path.read_bytes()
    path.write_bytes(before[:3000] + bytes([before[3000] ^ 1]) + before[3001:])
    if also_the_manifest:
        manifest = tmp_path / "export" / "manifest.json"
        old, new = (hashlib.sha256(content).hexdigest() for content in (before, path.read_bytes()))
        manifest.write_text(manifest.read_text().replace(old, new))
    printed = "has been altered" if also_the_manifest else "its SHA-256 differs"
    with pytest.raises(ArtefactError, match=printed):
        make_bundle(tmp_path / "export", BundleOptions())
    with pytest.raises(ArtefactError, match=printed):
        read_artefacts(tmp_path / "export", read_manifest(tmp_path / "export"))
    path.unlink()
    with pytest.raises(ArtefactError, match="No such file"):
        make_bundle(tmp_path / "export", BundleOptions())


@pytest.mark.parametrize("system", SYSTEMS, ids=str)
def test_pins_are_the_versions_that_are_tested_together(system) -> None:
    tested = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        pin, _, marker = line.partition(" ; ")
        name, _, version = pin.partition("==")
        python = re.search(r"python_full_version (\S+) '([\d.]+)", marker)
        if python is None or {"<": system.python < python[2], "==": system.python in python[2],
                              ">=": system.python >= python[2]}[python[1]]:  # fmt: skip
            tested[name] = version
    engines = [engine for engine in map(engine_named, system.engines) if not engine.numpy_1]
    for pin in requirements(system, engines or default_engines(system), serve=True):
        name, version = pin.split("==")
        assert tested[name] == version, pin


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_brings_what_it_needs(engine) -> None:
    system = choose_system("linux", engines=(engine,))
    names = {pin.split("==")[0] for pin in requirements(system, (engine,))}
    assert {engine.name, *engine.needs, "numpy", "pillow", "rich"} <= names
    assert ("numpy==1.26.4" in requirements(system, (engine,))) == (engine.name == "tflite-runtime")


def test_the_wheel_is_one_and_always_the_same() -> None:
    name, content = own_wheel()
    assert own_wheel() == (name, content)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        held = {entry: wheel.read(entry) for entry in wheel.namelist()}
        assert {entry.date_time for entry in wheel.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    stem = "-".join(name.split("-")[:2])
    facts = email.message_from_bytes(held[f"{stem}.dist-info/METADATA"])
    assert (name, facts["Name"]) == (f"edgeport-{facts['Version']}-py3-none-any.whl", "edgeport")
    assert "edgeport.runtime.cli:main" in held[f"{stem}.dist-info/entry_points.txt"].decode()
    for line in held[f"{stem}.dist-info/RECORD"].decode().splitlines()[:-1]:
        path, digest, size = line.split(",")
        expected = base64.urlsafe_b64encode(hashlib.sha256(held[path]).digest()).decode().rstrip("=")
        assert (digest, int(size)) == (f"sha256={expected}", len(held[path]))
    listed = {line.split(",")[0] for line in held[f"{stem}.dist-info/RECORD"].decode().splitlines()}
    assert listed == set(held)


def test_the_wheel_holds_every_module_and_what_goes_to_the_device() -> None:
    with zipfile.ZipFile(io.BytesIO(own_wheel()[1])) as wheel:
        held = {entry: wheel.read(entry) for entry in wheel.namelist() if entry.startswith("edgeport/")}
    layers = ("runtime", "train", "export", "benchmarks")
    expected = {
        f"edgeport/{path.relative_to(ROOT)}"
        for layer in layers
        for path in (ROOT / layer).rglob("*")
        if path.suffix in (".py", ".js")
        or path.name == "py.typed"
        or (path.parent.name in ("device", "page", "templates") and path.is_file())
    }
    assert set(held) == {name for name in expected if not name.startswith("edgeport/benchmarks/lab/")}
    assert "edgeport/export/bundle/device/install.sh" in held
    for name in ("page.html", "blocks.html", "page.css"):
        assert f"edgeport/benchmarks/report/renderers/templates/{name}" in held
    assert all(content == (ROOT / name.removeprefix("edgeport/")).read_bytes() for name, content in held.items())


def test_golden_samples_may_have_named_classes_and_targets_that_are_none(data: Path, tmp_path: Path) -> None:
    images, boxes = np.arange(12 * 784, dtype=np.uint8).reshape(12, 28, 28, 1), np.zeros((12, 3, 5), np.float32)
    np.savez(tmp_path / "boxes.npz", x_test=images, y_test=boxes, labels=[*"0123456789"])
    samples = golden_samples(read_manifest(data), count=7, source=str(tmp_path / "boxes.npz"))
    np.testing.assert_array_equal(next(iter(samples.inputs.values())), images[:7])
    assert samples.labels is None


def test_golden_samples_are_whole_groups(data: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1), np.uint8)
    speaker = np.repeat([*"aabbcdefgh"], 3)
    np.savez(tmp_path / "own.npz", x_test=images, y_test=np.arange(30) // 3 % 2, speaker_test=speaker)
    samples = golden_samples(read_manifest(data), count=13, source=str(tmp_path / "own.npz"), groups="speaker")
    assert samples.groups is not None
    # Six of the first group of one class, three of the first of the other; six more would be too many.
    assert samples.groups.tolist() == [0] * 6 + [1] * 3
    np.testing.assert_array_equal(samples.inputs["image"], images[[*range(6), 15, 16, 17]])
    with pytest.raises(InputError, match="--samples: got 8, expected 9 or more: whole groups come along"):
        golden_samples(read_manifest(data), count=8, source=str(tmp_path / "own.npz"), groups="speaker")
    with pytest.raises(InputError, match="--group-by: got speaker, expected it with --samples-from"):
        golden_samples(read_manifest(data), count=9, groups="speaker")


def test_a_metric_that_is_code_travels_only_if_it_is_included() -> None:
    (left,) = _code_left(BundleOptions(metrics=("MAE", "mine/m.py:near:up")))
    assert left == (
        "mine/m.py:near:up is code, and does not travel without --include mine/m.py: judge the device's report here, "
        "edgeport report report.json --metric mine/m.py:near:up"
    )
    (taken,) = _code_left(BundleOptions(metrics=("mine/m.py:near",), include=(Path("mine/m.py"),)))
    assert taken == "mine/m.py:near is code: on the device name it yourself, --metric included/m.py:near"


def test_golden_samples_are_the_first_of_each_class() -> None:
    classes = np.array([1, 1, 1, 0, 2, 0, 1, 2])
    assert balanced(classes, 3).tolist() == [0, 3, 4]
    assert balanced(classes, 5).tolist() == [0, 1, 3, 4, 5]
    assert balanced(classes, 99).tolist() == list(range(8))


def test_a_data_set_gives_its_test_split_with_labels(data: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = {part: random.integers(0, 256, (60, 28, 28), np.uint8) for part in ("x_train", "x_test")}
    classes = {part: np.repeat(np.arange(10), 6) for part in ("y_train", "y_test")}
    np.savez(tmp_path / "digits.npz", **images, **classes)
    samples = golden_samples(read_manifest(data), count=20, source=str(tmp_path / "digits.npz"))
    assert samples.source == "the test split of digits.npz"
    assert np.bincount(samples.labels).tolist() == [2] * 10
    assert (samples.inputs["image"][:2, ..., 0] == images["x_test"][:2]).all()
    assert not samples.is_random


def places_of(samples: GoldenSamples, images: np.ndarray) -> list[int]:
    return [int(np.flatnonzero((images == image[..., 0]).all((1, 2)))[0]) for image in samples.inputs["image"]]


@pytest.mark.parametrize("true", [np.linspace(0, 1, 40)[:, np.newaxis], np.arange(40) % 10, np.arange(40) > 30])
def test_targets_come_along_as_the_source_has_them(data: Path, tmp_path: Path, true: np.ndarray) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    np.savez(tmp_path / "own.npz", x_test=images, y_test=true)
    samples = golden_samples(read_manifest(data), count=20, source=str(tmp_path / "own.npz"))
    np.testing.assert_array_equal(samples.targets, true[places_of(samples, images)])
    # Undivided, it is the part that training and calibration leave alone.
    np.savez(tmp_path / "own.npz", x=images, y=true.astype(np.float32))
    samples = golden_samples(read_manifest(data), count=20, source=str(tmp_path / "own.npz"))
    expected = true[places_of(samples, images)].astype(np.float32)
    np.testing.assert_allclose(samples.targets, expected)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [(("clases",), "unknown task 'clases'"), (("scores=values",), "unknown output 'scores'")],
)
def test_a_task_that_nobody_knows_is_refused(tasks: tuple[str, ...], message: str, data: Path) -> None:
    with pytest.raises(InputError, match=message):
        make_bundle(data, BundleOptions(samples=1, samples_from="random", tasks=tasks))


def test_made_up_samples_are_called_so(bundle: Bundle) -> None:
    assert json.loads(bundle.files["bundle.json"])["golden"] | {"sha256": ""} == {
        "file": "artefacts/golden.npz", "sha256": "", "samples": 12, "source": "random, seed 0", "random": True,
        "labels": False, "targets": False, "reference": False,
    }  # fmt: skip
    assert "12 samples (random, seed 0)" in bundle.files["README.md"].decode()
    assert any("random" in note for note in bundle.notes)
    assert "is not there any more" in bundle.notes[-1]
    assert "edgeport benchmark" not in bundle.files["README.md"].decode() + bundle.files["install.sh"].decode()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 20, 20, 1), np.float32), r"got float32 \(5, 20, 20, 1\)"),
        (np.full((5, 28, 28, 1), np.nan, np.float32), "NaN"),
        (np.zeros((0, 28, 28, 1), np.uint8), "expected at least one"),
        (np.array([["a"]]), "got <U1"),
    ],
)
def test_samples_that_the_model_does_not_take_are_refused(
    data: Path, tmp_path: Path, array: np.ndarray, message: str
) -> None:
    np.savez(tmp_path / "own.npz", image=array)
    with pytest.raises(EdgeportError, match=message):
        golden_samples(read_manifest(data), source=str(tmp_path / "own.npz"))


def test_samples_of_ones_own_are_taken_as_they_are(data: Path, tmp_path: Path) -> None:
    own = np.random.default_rng(1).integers(0, 256, (7, 28, 28, 1), np.uint8)
    np.savez(tmp_path / "own.npz", image=own)
    samples = golden_samples(read_manifest(data), count=5, source=str(tmp_path / "own.npz"))
    assert (samples.inputs["image"] == own[:5]).all()
    assert samples.labels is None


def verified_on(path: Path, data: Path, **calibration: object) -> Manifest:
    """Return a manifest of an export that was calibrated and verified with the samples of a file."""
    manifest = read_manifest(data)
    known = load_calibration(str(path), inputs=manifest.inputs, count=40, seed=3)
    return dataclasses.replace(manifest, calibration=known.facts | calibration)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 1), np.uint8)
    # Each is known by its first pixel.
    pixels[:, 0, 0, 0] = np.arange(60)
    np.savez(tmp_path / "clips.npz", image=pixels)
    return tmp_path / "clips.npz"


def test_without_a_data_set_they_are_those_that_the_quantizer_has_not_seen(data: Path, clips: Path) -> None:
    manifest = verified_on(clips, data)
    samples = golden_samples(manifest, count=15)
    assert (samples.source, samples.notes, samples.is_random) == ("held-out samples of clips.npz", (), False)
    seen = load_calibration(str(clips), inputs=manifest.inputs, count=40, seed=3)
    first = samples.inputs["image"][:, 0, 0, 0].tolist()
    assert len(set(first)) == 15
    assert not set(first) & set(seen.samples["image"][:, 0, 0, 0].tolist())
    assert golden_samples(manifest, count=99).count == 20


def test_the_data_are_found_from_the_export_folder(data: Path, clips: Path, tmp_path: Path) -> None:
    manifest = verified_on(clips, data, source="gone/clips.npz", file="../clips.npz")
    assert golden_samples(manifest, folder=tmp_path / "export").notes != ()
    (tmp_path / "export").mkdir()
    assert golden_samples(manifest, folder=tmp_path / "export").source == "held-out samples of clips.npz"


def test_data_that_changed_since_the_export_are_taken_with_a_note(data: Path, clips: Path) -> None:
    manifest = verified_on(clips, data)
    np.savez(clips, image=np.random.default_rng(1).integers(0, 256, (60, 28, 28, 1), np.uint8))
    samples = golden_samples(manifest, count=5)
    assert samples.source == "samples of clips.npz"
    assert "is not what calibrated the export any more" in samples.notes[0]


@pytest.mark.parametrize(
    ("calibration", "reason"),
    [
        ({"source": "random"}, "it was verified on random ones"),
        ({"source": "arrays in Python"}, "given as arrays"),
        ({"source": "gone.npz"}, "gone.npz"),
        ({"seed": None}, "random ones"),
    ],
)
def test_made_up_samples_are_the_last_resort_and_say_why(
    data: Path, clips: Path, calibration: dict, reason: str
) -> None:
    samples = golden_samples(verified_on(clips, data, **calibration), count=3)
    assert samples.is_random
    assert reason in samples.notes[0]
    assert "\n" not in samples.notes[0]


def test_a_data_set_that_is_gone_is_said_and_the_next_best_is_taken(data: Path, clips: Path) -> None:
    manifest = dataclasses.replace(verified_on(clips, data), dataset="gone/photos")
    samples = golden_samples(manifest, count=3)
    assert samples.source == "held-out samples of clips.npz"
    assert "the test split of gone/photos cannot be taken" in samples.notes[0]


def test_files_of_ones_own_come_along_under_the_same_checksums(data: Path, tmp_path: Path) -> None:
    words, limits = tmp_path / "words.txt", tmp_path / "limits of mine.json"
    words.write_bytes(b"yes\nno\n")
    limits.write_text('{"threshold": 0.7}')
    made = make_bundle(data, BundleOptions(samples=1, samples_from="random", include=(words, limits)))
    assert made.files["included/words.txt"] == b"yes\nno\n"
    sums = made.files["SHA256SUMS"].decode()
    assert f"{hashlib.sha256(limits.read_bytes()).hexdigest()}  included/limits of mine.json\n" in sums
    assert [each["file"] for each in json.loads(made.files["bundle.json"])["included"]] == [
        "included/limits of mine.json", "included/words.txt"
    ]  # fmt: skip
    assert "`words.txt`, `limits of mine.json`" in made.files["README.md"].decode()
    with tarfile.open(fileobj=io.BytesIO(packed(made))) as archive:
        archive.extractall(tmp_path, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(tmp_path)
    folder = tmp_path / made.name
    assert check_sums(folder / "artefacts") == len(made.files) - 1
    (folder / "included" / "words.txt").write_bytes(b"yes\nNo\n")
    with pytest.raises(ArtefactError, match=r"included/words\.txt is not the file that"):
        check_sums(folder / "artefacts")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["gone.txt"], r"cannot read .*gone\.txt: No such file"),
        (["folder"], r"--include: got the folder .*folder, expected a file"),
        (["a.txt", "a.txt"], "a.txt twice, expected each name once"),
        (["a.txt", "folder/a.txt"], "two files of one name"),
        (["a.txt", "A.TXT"], "two files of one name"),
        (["two\nlines.txt"], r"got 'two\\nlines.txt', expected a name without control characters"),
        (["back\\slash.txt"], "expected a name without control characters"),
        (["pipe"], "cannot read .*pipe: it is a named pipe"),
        (["a.txt", "large.bin"], "got more than 536,870,912 bytes with .*large.bin"),
    ],
)
def test_files_that_cannot_come_along_are_refused_in_one_line(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a.txt", "A.TXT", "folder/a.txt", "two\nlines.txt", "back\\slash.txt"):
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "pipe")
    # A hole, which takes no space.
    with (tmp_path / "large.bin").open("wb") as large:
        large.truncate(512 << 20)
    with pytest.raises(InputError, match=message) as refused:
        read_included([tmp_path / name for name in names])
    assert "\n" not in str(refused.value)


def test_nothing_is_left_to_fill_in_and_no_host_is_named(bundle: Bundle) -> None:
    for name in ("install.sh", "README.md", "requirements.txt", "bundle.json", "examples/edgeport.service"):
        text = bundle.files[name].decode()
        assert not re.search("@[A-Z]+@", text), name
        assert "://" not in text.replace("http://localhost:8080", ""), name
    service = bundle.files["examples/edgeport.service"].decode()
    assert f"/opt/{bundle.name}/artefacts/tiny.int8.tflite" in service


def test_openvino_comes_along_for_what_it_runs_and_its_service_may_write_code(data: Path, bundle: Bundle) -> None:
    made = make_bundle(data, BundleOptions(samples=1, samples_from="random", engines=("openvino",)))
    assert [each.file for each in made.artefacts] == ["tiny.float32.tflite", "tiny.float32.onnx"]
    for file in ("tiny.int8.tflite", "tiny.int8.onnx"):
        assert sum(f"{file} is left out: it is not for openvino" in note for note in made.notes) == 1
    facts = json.loads(made.files["bundle.json"])
    assert facts["engines"] == [{"name": "openvino", "version": "2026.4.1", "formats": ["onnx", "tflite"]}]
    assert "openvino==2026.4.1\n" in made.files["requirements.txt"].decode()
    assert "telemetry" not in made.files["requirements.txt"].decode(), "it reports to its maker, and nothing needs it"
    for each, allowed in ((made, "no"), (bundle, "yes")):
        assert f"\nMemoryDenyWriteExecute={allowed}\n" in each.files["examples/edgeport.service"].decode()
    both = ("onnxruntime", "openvino", "ai-edge-litert")
    for target, onnx in (("raspberry-pi", "onnxruntime [\\d.]+"), ("linux", "onnxruntime [\\d.]+, openvino [\\d.]+")):
        options = BundleOptions(target=target, samples=1, samples_from="random", engines=both)
        text = make_bundle(data, options).files["README.md"].decode()
        assert re.search(r"`tiny.int8.tflite` \| [\d,]+ \| ai-edge-litert [\d.]+ \|", text)
        assert re.search(rf"`tiny.int8.onnx` \| [\d,]+ \| {onnx} \|", text)


def choice_of(data: Path, folder: Path, *, file: str = "tiny.float32.onnx", **facts: object) -> Path:
    """The record of a benchmark on a Pi, by which OpenVINO is the fastest for one file of four."""
    rows = []
    for artefact in read_manifest(data).artefacts:
        name = "openvino" if artefact.file == file else {"onnx": "onnxruntime"}.get(artefact.format, "ai-edge-litert")
        version = engine_named(name).version
        rows.append({"sha256": artefact.sha256, "threads": 1, "engine": name, "version": version})
    path = folder / "engines.json"
    here = {"kind": "engines", "schema": 1, "cpu": "Raspberry Pi 5", "architecture": "aarch64", "choices": rows}
    path.write_text(json.dumps({**here, **facts}))
    return path


def test_a_choice_that_was_measured_comes_along_with_its_engines(data: Path, tmp_path: Path) -> None:
    path = choice_of(data, tmp_path)
    for given in (path, tmp_path):
        made = make_bundle(data, BundleOptions(samples=1, samples_from="random", fastest=given))
        assert [each.split()[0] for each in made.engines] == ["ai-edge-litert", "onnxruntime", "openvino"]
        assert json.loads(made.files["artefacts/engines.json"]) == json.loads(path.read_text())
        assert "  artefacts/engines.json\n" in made.files["SHA256SUMS"].decode()
        unit = made.files["examples/edgeport.service"].decode()
        assert "/srv/edgeport/inbox --engine fastest\n" in unit
        assert "IMAGE.png --engine fastest" in made.files["install.sh"].decode()


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        ({"architecture": "x86_64"}, {}, "measured on Raspberry Pi 5 (x86_64), expected one of aarch64: measure it on"),
        (
            {"choices": []},
            {},
            "has no choice for tiny.float32.tflite with 1 thread: measure it on the device: venv",
        ),
        ({}, {"engines": ("onnxruntime",)}, "chooses openvino for tiny.float32.onnx, which is not among the engines"),
        (
            {"file": "tiny.int8.onnx"},
            {},
            "for tiny.int8.onnx, which it does not run on aarch64: measure",
        ),
        ({"schema": 9}, {}, "is no record of engines of schema 1, or a damaged one"),
        (
            {"version": "1.0"},
            {},
            "has openvino 1.0 for tiny.float32.onnx, and the bundle installs 2026.4.1: measure it on",
        ),
        ({"engine": "openvin"}, {}, "did you mean openvino"),
        ({}, {"target": "linux"}, "measured on Raspberry Pi 5 (aarch64), expected one of x86_64"),
    ],
)
def test_a_choice_that_a_device_could_not_follow_is_refused(
    data: Path, tmp_path: Path, facts: dict, options: dict, message: str
) -> None:
    path = choice_of(data, tmp_path, **{key: facts[key] for key in facts if key not in ("version", "engine")})
    text = json.loads(path.read_text())
    for row in text["choices"]:
        if row["engine"] == "openvino":
            row.update({key: facts[key] for key in facts if key in ("version", "engine")})
    path.write_text(json.dumps(text))
    with pytest.raises(EdgeportError, match=re.escape(message)) as refused:
        make_bundle(data, BundleOptions(samples=1, samples_from="random", fastest=path, **options))
    assert "\n" not in str(refused.value)


def test_the_server_comes_along_with_its_packages_and_a_hardened_service(bundle: Bundle, data: Path) -> None:
    served = make_bundle(data, BundleOptions(samples=12, samples_from="random", serve=True))
    assert set(served.files) - set(bundle.files) == {"examples/edgeport-serve.service"}
    pins = {pin.split("==")[0] for pin in json.loads(served.files["bundle.json"])["requirements"]}
    added = pins - {pin.split("==")[0] for pin in json.loads(bundle.files["bundle.json"])["requirements"]}
    assert added == {"anyio", "click", "h11", "idna", "prometheus-client", "starlette", "uvicorn"}
    unit = served.files["examples/edgeport-serve.service"].decode()
    lines = [line.partition("=")[::2] for line in unit.splitlines() if re.match("[A-Z][A-Za-z]+=", line)]
    (command,) = (value for key, value in lines if key == "ExecStart")
    place = f"/opt/{served.name}"
    assert command == (
        f"{place}/venv/bin/python -I -m edgeport.runtime.cli serve {place}/artefacts --host 0.0.0.0 --port 8080 "
        "--token-file %d/token"
    )
    assert ("LoadCredential", f"token:{place}/token") in lines
    # Whatever shields the service without a network shields this one too, but for the network.
    folder = {line.partition("=")[::2] for line in bundle.files["examples/edgeport.service"].decode().splitlines()}
    own = {"Description", "ExecStart", "PrivateNetwork", "RestrictAddressFamilies", "MemoryMax"}
    assert {key for key, value in folder - set(lines) if key[:1].isupper()} == own
    assert dict(lines)["IPAddressDeny"] == "any"
    for name in ("install.sh", "README.md"):
        text = served.files[name].decode()
        assert "selftest --server http://localhost:8080 --token-file token" in text
        assert not re.search("@[A-Z]+@", text), name
    assert "edgeport-serve" not in bundle.files["README.md"].decode()


def test_the_installer_makes_a_token_once_that_others_cannot_read(data: Path, tmp_path: Path) -> None:
    served = make_bundle(data, BundleOptions(samples=1, samples_from="random", serve=True))
    (step,) = re.findall(r"# 4\. .*?\nfi\n", served.files["install.sh"].decode(), re.DOTALL)
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    for server in ("", "yes", "yes"):
        before = (tmp_path / "token").read_bytes() if (tmp_path / "token").exists() else None
        subprocess.run(["sh", "-euc", f"server={server}\n{step}"], check=True, cwd=tmp_path)
        assert (tmp_path / "token").exists() == bool(server)
        assert before is None or (tmp_path / "token").read_bytes() == before
    assert len(read_token(tmp_path / "token")) == 32
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_rates_the_services_well(data: Path, tmp_path: Path) -> None:
    served = make_bundle(data, BundleOptions(samples=1, samples_from="random", serve=True))
    for name, most in (("edgeport.service", 10), ("edgeport-serve.service", 20)):
        # In tenths, from 0 for a service that is shielded from all to 100.
        text = served.files[f"examples/{name}"].decode().replace(f"/opt/{served.name}/venv/bin/python", sys.executable)
        (tmp_path / name).write_text(text)
        rated = ["systemd-analyze", "security", "--offline=yes", f"--threshold={most}", str(tmp_path / name)]
        ended = subprocess.run(rated, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr
        # A key that systemd does not know has no effect.
        assert "Unknown" not in ended.stderr, ended.stderr


def test_a_hostile_model_name_is_no_command(data: Path, tmp_path: Path) -> None:
    name = "my 'model'; touch hacked; $(touch hacked) %h"
    shutil.copytree(data, tmp_path / "export")
    manifest = tmp_path / "export" / "manifest.json"
    old, new = "tiny.int8.tflite", f"{name}.int8.tflite"
    manifest.write_text(manifest.read_text().replace(old, new))
    (tmp_path / "export" / old).rename(tmp_path / "export" / new)
    made = make_bundle(tmp_path / "export", BundleOptions(samples=2, samples_from="random", artefacts=(new,)))
    head = made.files["install.sh"].decode().split("say()")[0]
    ended = subprocess.run(
        ["sh", "-c", head + 'eval "set -- $predict"; printf "%s\n" "$3"'],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert ended.stdout == f"artefacts/{new}\n"
    assert not (tmp_path / "hacked").exists()
    assert (
        f'artefacts/{new}" /srv'.replace("$", "$$").replace("%", "%%")
        in made.files["examples/edgeport.service"].decode()
    )


def test_of_two_installations_at_once_the_second_waits(bundle: Bundle, tmp_path: Path) -> None:
    head = bundle.files["install.sh"].decode().split("# 1. ")[0]
    (tmp_path / "install.sh").write_text(f"{head}\necho begins >> log; sleep 0.5; echo ends >> log\n")
    both = [subprocess.Popen(["sh", str(tmp_path / "install.sh")], cwd="/") for _ in range(2)]
    assert [each.wait(timeout=30) for each in both] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["begins", "ends"] * 2


@pytest.mark.parametrize(
    ("count", "change", "examples", "given"),
    [
        (1, {}, {"predict_camera.py", "predict_folder.py", "edgeport.service"}, "IMAGE.png"),
        (1, {"range": None, "kind": "real"}, {"predict_lines.py"}, "SAMPLES.csv"),
        (1, {"range": None, "kind": "ids", "shape": [None, 12], "dtype": "int32"}, {"predict_lines.py"}, "SAMPLES.csv"),
        (1, {"shape": [None, 28, 28, 4]}, {"predict_lines.py"}, "SAMPLES.csv"),
        (2, {}, set(), "SAMPLES.npz"),
        (2, {"range": None, "kind": "real", "shape": [None, 1]}, {"predict_lines.py"}, "SAMPLES.csv"),
    ],
    ids=["pictures", "spectrograms", "tokens", "four channels", "two inputs", "two numbers"],
)
def test_its_programs_are_those_that_fit_what_the_model_takes(
    data: Path, count: int, change: dict, examples: set[str], given: str
) -> None:
    manifest = read_manifest(data)
    (port,) = manifest.inputs
    ports = (port._replace(**change), port._replace(**change, name="mask"))[:count]
    programs = programs_for(dataclasses.replace(manifest, inputs=ports))
    assert set(programs.files) == examples
    assert (programs.given, programs.serves) == (given, "edgeport.service" in examples)


def test_what_a_bundle_says_follows_its_programs(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "export")
    manifest = tmp_path / "export" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["inputs"][0]["range"] = None
    manifest.write_text(json.dumps(content))
    bundle = make_bundle(tmp_path / "export", BundleOptions(samples=1, samples_from="random"))
    assert [name for name in bundle.files if name.startswith("examples/")] == ["examples/predict_lines.py"]
    for text in (bundle.files["README.md"].decode(), bundle.files["install.sh"].decode()):
        assert "venv/bin/edgeport predict artefacts/tiny.int8.tflite SAMPLES.csv" in text
    assert "inbox" not in bundle.files["README.md"].decode()
    assert "service=''\n" in bundle.files["install.sh"].decode()
    assert "camera" not in bundle.files["README.md"].decode()


def test_the_command_writes_one_file_and_says_what_is_next(data: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "tiny.tar.gz"
    options = ["--samples", "3", "--samples-from", "random", "--artefact", "int8.tflite", "int8.onnx"]
    command = ["bundle", str(data), *options, "-o", str(output)]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "tiny.int8.onnx" in printed.out
    assert "sh edgeport-tiny-raspberry-pi/install.sh" in printed.out.splitlines()[-1]
    assert "random" in printed.err
    content = output.read_bytes()
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert output.read_bytes() == content
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("output", "message"), [("x.zip", "ends with .tar.gz"), ("no/x.tar.gz", "does not exist"), ("d.tgz", "the folder")]
)
def test_an_output_that_cannot_be_is_refused_first(
    data: Path, tmp_path: Path, output: str, message: str, capsys
) -> None:
    (tmp_path / "d.tgz").mkdir()
    assert main(["bundle", str(data), "-o", str(tmp_path / output)]) == 2
    assert message in capsys.readouterr().err


def install(folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, **variables}
    return subprocess.run(
        ["sh", str(folder / "install.sh")], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize("what", ["Python", "architecture"])
def test_the_installer_refuses_another_system_in_one_line(unpacked: Path, what: str) -> None:
    script = unpacked / "install.sh"
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    other = {"Python": ("=3.13", "=3.9"), "architecture": ("=3.13", f"={here}")}[what]
    script.write_text(script.read_text().replace(*other).replace("arch=aarch64", "arch=riscv64"))
    old = (unpacked / "SHA256SUMS").read_text()
    new = f"{hashlib.sha256(script.read_bytes()).hexdigest()}  install.sh"
    (unpacked / "SHA256SUMS").write_text(re.sub("(?m)^.*  install.sh$", new, old))
    ended = install(unpacked)
    assert ended.returncode == 1
    expected = "3.9 on riscv64" if what == "Python" else f"{here} on riscv64"
    assert f"got Python {here} on {platform.machine()}, expected {expected}" in ended.stderr
    assert ended.stderr.startswith("install.sh: got ")
    assert ended.stderr.count("\n") == 1
    target = "linux" if platform.machine() == "x86_64" else "raspberry-pi"
    assert f"bundle again with --target {target} --arch {platform.machine()} --python {here}" in ended.stderr
    assert not (unpacked / "venv").exists()


def test_the_installer_refuses_a_file_that_was_altered_or_is_missing(unpacked: Path) -> None:
    path = unpacked / "artefacts" / "tiny.int8.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    ended = install(unpacked)
    assert ended.returncode == 1
    assert "tiny.int8.tflite" in ended.stderr
    assert "not the one that was packed" in ended.stderr.splitlines()[-1]
    path.unlink()
    assert install(unpacked).returncode == 1
    assert not (unpacked / "venv").exists()


def test_the_installer_says_when_there_is_no_python(unpacked: Path) -> None:
    ended = install(unpacked, PYTHON="/nowhere/python")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("found no Python: sudo apt install python3")


def test_a_model_of_any_name_is_quoted_for_shells_and_systemd() -> None:
    assert _in_a_unit('/opt/a b "%h" $x\\') == '"/opt/a b \\"%%h\\" $$x\\\\"'


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--artefact", "int8.tflite"), "--artefact: got int8.tflite, expected ONNX files that a browser can run: "),
        (("--with-wheels",), "--with-wheels: got it with --target web"),
        (("--serve",), "--serve: got it with --target web"),
    ],
)
def test_only_what_a_browser_runs_goes_to_the_web(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], line: str
) -> None:
    assert main(["bundle", str(data), "--target", "web", "-o", str(tmp_path / "x"), *options]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x").exists()
