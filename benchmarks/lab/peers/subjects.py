"""The models that are compared: their Keras file, what was exported of it, and images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeport.benchmarks.measure.assembly import check_file
from edgeport.export.manifest import Artefact, Manifest, read_manifest
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.files.output import staged_folder
from edgeport.runtime.tensors.arrays import Pixels
from edgeport.train.datasets.named import load_dataset

FILES = ("float32.tflite", "float32.onnx", "int8.tflite", "int8.onnx")
_CALIBRATION_COUNT, _IMAGE_COUNT = 200, 200


@dataclass(frozen=True, eq=False)
class Subject:
    """One model.

    Attributes:
        name: The model's name.
        keras: Its Keras file.
        folder: Its export folder.
        artefacts: For each of FILES what the manifest says.
        images: uint8 of shape (n, height, width, channels).
        source: Where the images come from.
    """

    name: str
    keras: Path
    folder: Path
    artefacts: Mapping[str, Artefact]
    images: Pixels
    source: str

    def path(self, file: str) -> Path:
        """Return the path of one of FILES."""
        return self.folder / self.artefacts[file].file


def exported_subject(folder: Path, *, count: int, data_dir: Path | None = None) -> Subject:
    """Return the subject of an export folder, with the first test images of the data set that it was trained on.

    Args:
        folder: The export folder; its Keras file lies where the manifest says.
        count: How many images to take.
        data_dir: See load_dataset.

    Raises:
        ArtefactError: The folder is no export folder, or lacks a file.
        InputError: The model was not trained on a data set, or does not take raw pixels.
    """
    manifest = read_manifest(folder)
    if not manifest.dataset:
        raise InputError(f"{folder}: expected the export of a model that edgeport has trained on a data set")
    dataset = load_dataset(manifest.dataset, data_dir=data_dir)
    return _subject(folder, manifest, dataset.test.samples[:count], f"{dataset.name}, test split")


def mobilenet_subject(folder: Path, *, on_step: Callable[[str], None] = lambda what: None) -> Subject:
    """Return MobileNetV2 at 96x96; trained and exported to a folder if that does not hold it.

    Args:
        folder: Where ``train`` and ``export`` are, or shall be.
        on_step: Called with a few words before the long steps.
    """
    with quiet_stderr():
        from edgeport.benchmarks.lab.peers import mobilenet
        from edgeport.export import Options, export, load_calibration, load_source
    keras = folder / "train" / f"{mobilenet.NAME}.keras"
    if not keras.is_file():
        on_step(f"{mobilenet.NAME}: training for half a minute")
        with staged_folder(keras.parent, record=keras.name) as staging, quiet_stderr():
            mobilenet.build_mobilenet().save(staging / keras.name)
            seen, held_out = (mobilenet.patterns(_CALIBRATION_COUNT, seed=seed)[0] for seed in (2, 3))
            np.savez(staging / "calibration.npz", x_train=seen, x_val=held_out)
    if not (folder / "export").is_dir():
        on_step(f"{mobilenet.NAME}: export")
        with quiet_stderr():
            source = load_source(keras)
            samples_file = str(keras.with_name("calibration.npz"))
            calibration = load_calibration(samples_file, inputs=source.inputs, count=_CALIBRATION_COUNT)
            export(source, folder / "export", calibration, options=Options(precisions=("float32", "int8")))
    images, _ = mobilenet.patterns(_IMAGE_COUNT, seed=4)
    return _subject(folder / "export", read_manifest(folder / "export"), images, "coloured fields under noise")


def _subject(folder: Path, manifest: Manifest, images: Pixels, source: str) -> Subject:
    if manifest.image is None or manifest.image.range != (0.0, 255.0) or not manifest.classifies_images:
        raise InputError(f"{folder}: expected the export of a classifier that takes raw pixels, 0 to 255")
    keras = folder / manifest.source["file"]
    artefacts = {f"{each.precision}.{each.format}": each for each in manifest.artefacts}
    for file in FILES:
        if file not in artefacts:
            raise ArtefactError(f"{folder} holds no {file}: export again with --precisions float32,int8")
    check_file(keras, manifest.source["sha256"], described_by="the manifest", cure="export again")
    for file in FILES:
        path = folder / artefacts[file].file
        check_file(path, artefacts[file].sha256, described_by="the manifest", cure="export again")
    return Subject(manifest.name, keras, folder, {file: artefacts[file] for file in FILES}, images, source)
