"""Put a trained and exported model into the zoo, with what it has right on the test split.

Run it with: python -m edgeport.benchmarks.lab.family.publishing RUN ... --to train/zoo
"""

import argparse
import hashlib
import json
import shlex
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.export.conversion.options import Options
from edgeport.export.inspection import inspect
from edgeport.export.manifest import Artefact, Manifest, manifest_text, read_manifest
from edgeport.runtime import load
from edgeport.runtime.cli import exit_code_of, needing
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import to_plain
from edgeport.runtime.files.output import check_output_folder, staged_folder
from edgeport.runtime.host.machine import cpu_facts, cpu_model
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.datasets.named import load_dataset
from edgeport.train.zoo.published import (
    MANIFEST,
    MODEL,
    SCHEMA,
    SCORES,
    TRAINING,
    PublishedModel,
    Score,
    published_model,
)

# A data set that is installed, and the count and seed that an export takes by itself.
CALIBRATION = {"source": "mnist-5k", "count": 500, "seed": 0}
NEEDED = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")
_VECTORS = ("sse4", "avx", "fma", "amx", "asimd")
_ENGINES = ("numpy", "ai-edge-litert", "tflite-runtime", "onnxruntime")


@dataclass(frozen=True)
class FinishedRun:
    """A run that was trained and exported.

    Attributes:
        folder: Its folder, with ``train`` and ``export`` in it.
        training: What training.json says.
        manifest: What manifest.json says.
    """

    folder: Path
    training: dict[str, Any]
    manifest: Manifest

    @property
    def validation(self) -> float:
        """The share of the validation split that the model has right, 0 to 1."""
        return float(self.training["validation"]["accuracy"])


def publish(
    folders: Sequence[Path],
    zoo: Path,
    dataset: Dataset,
    *,
    overwrite: bool = False,
    on_step: Callable[[str], None] = lambda text: None,
) -> PublishedModel:
    """Write a folder of the zoo from runs of one model with different seeds.

    The run that is best on the validation split is published, whatever it has right on the test split; of several
    that are as good, the one with the lowest seed. The others are recorded beside it.

    Args:
        folders: Folders of runs, each with ``train/model.keras``, ``train/training.json``, and in ``export`` what
            ``edgeport export`` makes of it with ``--calibration mnist-5k``.
        zoo: The folder to which the model's own folder is added.
        dataset: The data set that they were trained on.
        overwrite: Replace the model of that name.
        on_step: Called with what is done next.

    Raises:
        ArtefactError: A manifest is missing or damaged, or an artefact is not the file that it describes.
        InputError: A run is not finished, or not of the same model, data set and recipe as the others, or its export
            is not what the published one shall be.
    """
    runs = sorted((_finished(folder) for folder in folders), key=lambda run: run.training["seed"])
    _check_together(runs, dataset)
    # max takes the first of equals, and they are in the order of their seeds.
    best = max(runs, key=lambda run: run.validation)
    target = zoo / best.manifest.name
    check_output_folder(target, overwrite=overwrite)
    if best.manifest.options != to_plain(asdict(Options())):
        raise InputError(f"{best.folder / 'export'} is not what a user gets, all artefacts: {_cure(best.folder)}")
    parameters = inspect(_path(best, "float32.tflite")).parameters
    # Of the others, what is compared between seeds.
    scored = {run.folder: _score(run, dataset, None if run is best else NEEDED, on_step) for run in runs}
    score = scored.pop(best.folder)
    facts = {
        "cpu": {"model": cpu_model(), "vectors": vectors_of_cpu()},
        "versions": {name: found for name in _ENGINES if (found := _version(name))},
    }
    with staged_folder(target, record=TRAINING) as staging:
        for name in (MODEL, TRAINING):
            (staging / name).write_bytes((best.folder / "train" / name).read_bytes())
        manifest = replace(best.manifest, source={**best.manifest.source, "file": MODEL})
        (staging / MANIFEST).write_text(manifest_text(manifest), "utf-8")
        (staging / SCORES).write_text(_scores_text(parameters, score, tuple(scored.values()), **facts), "utf-8")
    return published_model(target.name, zoo)


def vectors_of_cpu() -> list[str]:
    """Return the vector instructions of this CPU: with others, an engine adds in another order."""
    facts = cpu_facts()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return sorted({flag for flag in flags if flag.startswith(_VECTORS)})


def _finished(folder: Path) -> FinishedRun:
    path = folder / "train" / TRAINING
    try:
        training = json.loads(path.read_bytes())
        content = (folder / "train" / MODEL).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no finished run ({error}): expected train/{MODEL} and {TRAINING}") from error
    _check_training(training, path)
    if not training["finished"] or "test" not in training:
        raise InputError(f"{path}: got a run that was interrupted or not scored on test, expected a finished one")
    manifest = read_manifest(folder / "export")
    digest = hashlib.sha256(content).hexdigest()
    if not digest == training["model_sha256"] == manifest.source["sha256"]:
        raise InputError(
            f"{folder}: model.keras, training.json and export are not of one model: train and export again"
        )
    if _has_optimizer(folder / "train" / MODEL):
        raise InputError(
            f"{folder / 'train' / MODEL} holds its optimizer: save it uncompiled, it is a third of the size"
        )
    if {name: manifest.calibration.get(name) for name in CALIBRATION} != CALIBRATION:
        raise InputError(
            f"{folder / 'export'} was calibrated with {manifest.calibration.get('source')}, expected 500 samples of "
            f"{CALIBRATION['source']}, which needs no download: {_cure(folder)}"
        )
    run = FinishedRun(folder, training, manifest)
    lacking = set(NEEDED) - {_variant(artefact) for artefact in run.manifest.artefacts}
    if lacking:
        raise InputError(f"{folder / 'export'} lacks {', '.join(sorted(lacking))}: {_cure(folder)}")
    return run


def _check_training(training: Any, path: Path) -> None:
    """Raise InputError if training.json is not as a training run writes it."""
    try:
        whole = (
            isinstance(training["finished"], bool)
            and isinstance(training["seed"], int)
            and isinstance(training["model_sha256"], str)
            and isinstance(training["dataset"]["sha256"], str)
            and isinstance(training["validation"]["accuracy"], (int, float))
            and isinstance(training.get("test", {"correct": 0})["correct"], int)
        )
    except (KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise InputError(f"{path} is damaged: it lacks a part of what a training run writes; train again")


def _check_together(runs: Sequence[FinishedRun], dataset: Dataset) -> None:
    """Raise InputError if runs differ in more than their seeds, or are of another data set."""
    first = runs[0].training
    for run in runs:
        if run.training["dataset"]["sha256"] != dataset.sha256:
            raise InputError(
                f"{run.folder} was not trained on the data set {dataset.name}: name another with --dataset"
            )
        for key in ("model", "recipe", "teacher", "qat", "start"):
            if run.training.get(key) != first.get(key):
                raise InputError(
                    f"{run.folder}: its {key} differs from that of {runs[0].folder}; expected the same with other seeds"
                )
    seeds = [run.training["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise InputError(f"got runs with the seeds {', '.join(map(str, seeds))}, expected each seed once")


def _score(run: FinishedRun, dataset: Dataset, variants: Sequence[str] | None, on_step: Callable[[str], None]) -> Score:
    """Return what a run has right, by all of its artefacts or by some."""
    correct = {}
    for variant in variants or [_variant(artefact) for artefact in run.manifest.artefacts]:
        on_step(f"{variant} of seed {run.training['seed']} on {len(dataset.test):,} test images")
        with quiet_stderr(), load(_path(run, variant)) as predictor:
            # One at a time, as on a device: dynamic ONNX takes the range of its activations from the whole batch.
            answers = [predictor.predict(image[np.newaxis]).argmax() for image in dataset.test.samples]
        correct[variant] = int((np.array(answers) == dataset.test.classes).sum())
    return Score(
        seed=run.training["seed"],
        validation=run.validation,
        count=len(dataset.test),
        keras=run.training["test"]["correct"],
        correct=correct,
    )


def _path(run: FinishedRun, variant: str) -> Path:
    """Return the path of an artefact; raises InputError if it is not the file that the manifest describes."""
    artefact = next(each for each in run.manifest.artefacts if _variant(each) == variant)
    path = run.folder / "export" / artefact.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != artefact.sha256:
        raise InputError(f"{path} is missing, or not the file that the manifest describes: {_cure(run.folder)}")
    return path


def _cure(folder: Path) -> str:
    model, output = (shlex.quote(str(folder / part)) for part in (f"train/{MODEL}", "export"))
    return f"edgeport export {model} -o {output} --calibration {CALIBRATION['source']} --overwrite"


def _variant(artefact: Artefact) -> str:
    return f"{artefact.precision}.{artefact.format}"


def _has_optimizer(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return bool(json.loads(archive.read("config.json")).get("compile_config"))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _scores_text(parameters: int, score: Score, others: tuple[Score, ...], **facts: Any) -> str:
    """Return the text of scores.json.

    Args:
        parameters: The weights and biases of the float32 artefact.
        score: That of the published model.
        others: Those of the models of other seeds.
        facts: What else a doubter wants to know: versions, the CPU.
    """
    content = {"schema": SCHEMA, "parameters": parameters, **facts}
    content |= {"published": vars(score), "other_seeds": [vars(other) for other in others]}
    return json.dumps(content, indent=1) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code: 0 done, 2 refused with one line, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m edgeport.benchmarks.lab.family.publishing",
        description="Put a trained and exported model into the zoo.",
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a folder with train and export in it; one for each seed"
    )
    parser.add_argument("--to", type=Path, required=True, metavar="ZOO", help="train/zoo of a checkout")
    parser.add_argument("--dataset", default="mnist", metavar="NAME", help="what they were trained on (default mnist)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    parser.add_argument("--overwrite", action="store_true", help="replace the model of that name")

    def action() -> int:
        arguments = parser.parse_args(argv)
        with needing("export", "it"):
            dataset = load_dataset(arguments.dataset, data_dir=arguments.data_dir)
            model = publish(
                arguments.runs,
                arguments.to,
                dataset,
                overwrite=arguments.overwrite,
                on_step=lambda text: print(text, flush=True),
            )
        print(f"Published {model.folder}: seed {model.score.seed}, the best of {len(model.scores)} on validation")
        print(f"\nNext: edgeport zoo {model.name}, and: python -m edgeport.benchmarks.lab.documents.refresh_tables")
        return 0

    return exit_code_of("edgeport.benchmarks.lab.family.publishing", action)


if __name__ == "__main__":
    sys.exit(main())
