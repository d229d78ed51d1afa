"""The table of published models, read from their folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeport.runtime.errors import ArtefactError, InputError, unknown_name
from edgeport.runtime.files.json_file import read_json

SCHEMA = 1
MODEL, TRAINING, MANIFEST, SCORES = "model.keras", "training.json", "manifest.json", "scores.json"
ZOO = Path(__file__).parent
# What a command's MODEL begins with to name a published model.
PREFIX = "zoo:"


@dataclass(frozen=True)
class PublishedArtefact:
    """One file that the export of a published model makes.

    Attributes:
        file: Its name: ``edge-10k.int8.tflite``.
        variant: Precision and format: ``int8.tflite``.
        bytes: Its size.
        sha256: The digest of the whole file.
    """

    file: str
    variant: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Score:
    """How many test images the model of one seed has right.

    Attributes:
        seed: The seed of its training.
        validation: The share of the validation split that it has right, 0 to 1.
        count: How many test images there are.
        keras: How many of them the Keras model has right.
        correct: How many of them each artefact has right, by variant, in the format's engine.
    """

    seed: int
    validation: float
    count: int
    keras: int
    correct: Mapping[str, int]

    def share(self, variant: str) -> float:
        """Return the share of the test images that an artefact has right, 0 to 1; raises KeyError if there is none."""
        return self.correct[variant] / self.count


@dataclass(frozen=True)
class PublishedModel:
    """A model of the zoo.

    Attributes:
        name: What it and its artefacts are called.
        folder: Where its files lie.
        dataset: The data set that it was trained on, and whose test split the scores are of.
        calibration: The data set that its export is calibrated with; it is installed, so that no network is needed.
        parameters: The weights and biases of its float32 artefact, batch normalisation folded.
        artefacts: What its export makes.
        score: What it has right.
        others: What the models of other seeds have right, trained in the same way.
    """

    name: str
    folder: Path
    dataset: str
    calibration: str
    parameters: int
    artefacts: tuple[PublishedArtefact, ...]
    score: Score
    others: tuple[Score, ...]

    @property
    def file(self) -> Path:
        """The Keras file."""
        return self.folder / MODEL

    @property
    def scores(self) -> tuple[Score, ...]:
        """Those of all seeds, in the order of the seeds."""
        return tuple(sorted((self.score, *self.others), key=lambda score: score.seed))

    def artefact(self, variant: str) -> PublishedArtefact:
        """Return the artefact of a precision and format such as ``int8.tflite``; raises KeyError if there is none."""
        return {artefact.variant: artefact for artefact in self.artefacts}[variant]

    def mean_share(self, variant: str) -> float:
        """Return the share of right answers, 0 to 1, as the mean over all seeds."""
        return sum(score.share(variant) for score in self.scores) / len(self.scores)


def published_models(zoo: Path = ZOO) -> tuple[PublishedModel, ...]:
    """Return the models of a zoo, the smallest first.

    Args:
        zoo: The folder with one folder a model; by default the installed one.

    Raises:
        ArtefactError: A record of a model is missing or damaged.
    """
    models = [_read(path.parent) for path in zoo.glob(f"*/{MODEL}")]
    return tuple(sorted(models, key=lambda model: (model.parameters, model.name)))


def published_model(name: str, zoo: Path = ZOO) -> PublishedModel:
    """Return one model of a zoo.

    Raises:
        ArtefactError: A record of a model is missing or damaged.
        InputError: There is none of that name; the message has the nearest one.
    """
    models = {model.name: model for model in published_models(zoo)}
    if not models:
        raise InputError(
            f"published model {name!r}: this edgeport came without its models, as in a bundle for a device; "
            "install edgeport itself"
        )
    if not name:
        raise InputError(f"{PREFIX} lacks the name of a published model, such as {PREFIX}{next(iter(models))}")
    if name not in models:
        raise unknown_name("published model", name, models)
    return models[name]


def find_published(model: str | Path, zoo: Path = ZOO) -> PublishedModel | None:
    """Return the published model that ``zoo:NAME`` names, or None for a path.

    Raises:
        ArtefactError: A record of a model is missing or damaged.
        InputError: There is no published model of that name.
    """
    text = str(model)
    return published_model(text.removeprefix(PREFIX), zoo) if text.startswith(PREFIX) else None


def _read(folder: Path) -> PublishedModel:
    manifest, scores = (_json(folder / name) for name in (MANIFEST, SCORES))
    if scores.get("schema") != SCHEMA:
        raise ArtefactError(f"{folder / SCORES}: got schema {scores.get('schema')}, expected {SCHEMA}: install again")
    try:
        return PublishedModel(
            name=folder.name,
            folder=folder,
            dataset=manifest["dataset"],
            calibration=manifest["calibration"]["source"],
            parameters=scores["parameters"],
            artefacts=tuple(
                PublishedArtefact(each["file"], f"{each['precision']}.{each['format']}", each["bytes"], each["sha256"])
                for each in manifest["artefacts"]
            ),
            score=Score(**scores["published"]),
            others=tuple(Score(**each) for each in scores["other_seeds"]),
        )
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{folder} holds damaged records ({error!r}): install edgeport again") from error


def _json(path: Path) -> dict[str, Any]:
    content = read_json(path, hint="install edgeport again")
    if not isinstance(content, dict):
        raise ArtefactError(f"{path} is damaged: got a {type(content).__name__}, expected an object; install again")
    return content
