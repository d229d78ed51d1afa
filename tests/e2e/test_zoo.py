"""The zoo as a user has it: exported without a network or data, the very files that were published."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from edgeport.benchmarks.lab.family.publishing import vectors_of_cpu
from edgeport.export.manifest import SCHEMA, Manifest, read_manifest
from edgeport.train.zoo import ZOO, PublishedModel, published_models
from edgeport.train.zoo.published import MANIFEST, SCORES


@pytest.fixture(scope="module")
def smallest() -> PublishedModel:
    models = published_models()
    assert models[0].name == "edge-2k", "the fixture `published` exports another"
    return models[0]


@pytest.fixture(scope="module")
def folder(published: Path) -> Path:
    return published


def comparable(ours: Manifest, theirs: Manifest, model: PublishedModel) -> bool:
    """Whether the same tools run on a CPU that adds in the same order: only then the bytes must be the same."""
    cpu = json.loads((model.folder / SCORES).read_text())["cpu"]
    # With the schema of the manifest the metadata in the files changes too.
    same_schema = json.loads((model.folder / MANIFEST).read_text())["schema"] == SCHEMA
    return same_schema and ours.versions == theirs.versions and cpu["vectors"] == vectors_of_cpu()


def test_the_export_gives_the_published_files(folder: Path, smallest: PublishedModel) -> None:
    ours, theirs = read_manifest(folder), read_manifest(smallest.folder)
    assert ours.source["sha256"] == theirs.source["sha256"]
    assert ours.calibration == theirs.calibration
    assert [artefact.file for artefact in ours.artefacts] == [artefact.file for artefact in theirs.artefacts]
    if comparable(ours, theirs, smallest):
        assert [artefact.sha256 for artefact in ours.artefacts] == [artefact.sha256 for artefact in theirs.artefacts]
        return
    print(f"compared by their answers: {ours.versions} here, {theirs.versions} published, or another CPU")
    for here, published in zip(ours.artefacts, theirs.artefacts, strict=True):
        assert here.verified.agreement == pytest.approx(published.verified.agreement, abs=0.004), here.file
        assert min(here.verified.sqnr_db, 100) == pytest.approx(min(published.verified.sqnr_db, 100), abs=1), here.file


def test_the_export_is_of_a_model_that_mnist_has_trained(
    edgeport, offline: dict[str, str], folder: Path, smallest: PublishedModel
) -> None:
    manifest = read_manifest(folder)
    assert (manifest.dataset, manifest.calibration["source"]) == ("mnist", "mnist-5k")
    assert (folder / manifest.source["file"]).resolve() == smallest.file.resolve()
    home = {"KERAS_HOME": str(folder.parent), **offline}
    # The name of the reference is right, so what is missing is the data.
    refused = edgeport("benchmark", folder, "--reference", f"zoo:{smallest.name}", code=2, **home)
    assert "mnist cannot be downloaded" in refused.stderr
    refused = edgeport("benchmark", folder, "--dataset", "mnist-5k", code=2, **home)
    assert "mnist-5k cannot score a model that was trained on mnist" in refused.stderr


def test_a_wrong_name_is_one_line_before_tensorflow_starts(edgeport, folder: Path, tmp_path: Path) -> None:
    refused = edgeport("benchmark", folder, "--reference", "zoo:nothing", code=2)
    assert "unknown published model 'nothing'" in refused.stderr
    for name, message in (("zoo:", "lacks the name"), ("zoo:nothing", "unknown published model 'nothing'")):
        refused = edgeport("export", name, "-o", tmp_path / "export", code=2)
        assert message in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert not (tmp_path / "export").exists()


def test_the_source_distribution_holds_the_models(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--sdist", "--outdir", str(tmp_path), str(wheel.parent / "tree")]
    subprocess.run(command, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        held = {name.split("/", 1)[-1] for name in archive.getnames()}
    files = {path.relative_to(ZOO.parents[1]).as_posix() for path in ZOO.glob("*/*") if "__pycache__" not in path.parts}
    assert any(name.endswith("/model.keras") for name in files)
    assert files <= held
