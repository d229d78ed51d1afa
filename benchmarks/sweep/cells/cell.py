"""One cell of a sweep: a model under a recipe with a seed, and all that a process needs to make it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgeport.benchmarks.tasks.users_metric import is_users_metric
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import MOST_JSON, read_plain
from edgeport.train.loop.recipe import Recipe

# What a cell's folder holds. The identity is written first, and the record last and whole: a folder without a record
# is of a cell that has not ended.
TRAIN, EXPORT, IDENTITY, RECORD, LOG = "train", "export", "identity.json", "cell.json", "cell.log"


@dataclass(frozen=True)
class Cell:
    """A model under a recipe with a seed.

    Attributes:
        model: The model's name, for ``build_model`` unless there is a ``start``.
        recipe_name: What the sweep calls the recipe.
        seed: Decides the first weights, the order of the images, dropout and augmentation.
        recipe: How the model is trained.
        teacher: The Keras file of a model whose answers are learned beside the labels.
        qat: Whether quantization-aware fine-tuning follows.
        start: A model of the user's own: ``FILE.keras``, whose weights are where the training begins, or
            ``FILE.py:FUNCTION``, which builds one; empty for a model that edgeport knows.
        said: The fields of the recipe that the sweep's file changes.
    """

    model: str
    recipe_name: str
    seed: int
    recipe: Recipe
    teacher: Path | None = None
    qat: bool = False
    start: str = ""
    said: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Where the cell lies in the folder of its sweep."""
        return f"{self.model}/{self.recipe_name}/seed-{self.seed}"

    @property
    def may_be_compiled(self) -> bool:
        """Whether a compiled model is learned as it is: teachers and rounding are for what a recipe teaches."""
        return bool(self.start) and not (self.teacher or self.qat)


@dataclass(frozen=True)
class Own:
    """What is known of a model of the user's own before it is trained.

    Attributes:
        inputs: What it takes.
        is_compiled: Whether its own code says how it is learned: its loss and its optimizer.
    """

    inputs: tuple[Input, ...]
    is_compiled: bool


@dataclass(frozen=True)
class Shared:
    """What all cells of a sweep have in common.

    Attributes:
        dataset: The data set's name, for ``load_dataset``.
        data_dir: Where its files lie, if that must be said.
        calibration: What the quantizer sees, for ``load_calibration``.
        precisions: What is exported, in every format that knows it.
        score_test: Whether the test split is scored; a search must not look at it.
        threads: Of TensorFlow and of the engines, in each cell. The weights depend on it.
        metric: What decides, as ``--metric`` takes it; empty for what the task has.
        task: What the first output means, as ``--task`` takes it; empty for what the model says.
        inputs: Of which kind inputs are, each as ``--input`` takes it.
        outputs: What the outputs mean, each as ``--outputs`` takes it.
        activation: What the runtime applies to a model that ends in logits; empty for nothing.
    """

    dataset: str
    data_dir: Path | None
    calibration: str
    precisions: tuple[str, ...]
    score_test: bool
    threads: int
    metric: str = ""
    task: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    activation: str = ""

    @property
    def judged(self) -> dict[str, Any]:
        """What is said of how answers are judged, as records have it; what nobody says is left out.

        A metric of the user's own is known by its code.
        """
        said = {name: getattr(self, name) for name in ("metric", "task", "inputs", "outputs", "activation")}
        found = {name: list(each) if isinstance(each, tuple) else each for name, each in said.items() if each}
        if is_users_metric(self.metric):
            file, _, function = self.metric.partition(".py:")
            digest = hashlib.sha256(read_plain(f"{file}.py", most=MOST_JSON, error=InputError)).hexdigest()
            found["metric"] = f"{function} of {digest}"
        return found


@dataclass(frozen=True)
class Order:
    """What a process is sent to make a cell.

    Attributes:
        cell: The cell.
        shared: What it has in common with the others.
        identity: What decides its result: see ``identity_of``.
        folder: The cell's folder.
        archives: For each data set that does not come from its own source the ``.npz`` file to read it from.
    """

    cell: Cell
    shared: Shared
    identity: Mapping[str, Any]
    folder: Path
    archives: Mapping[str, Path]


def identity_of(
    cell: Cell,
    shared: Shared,
    *,
    definition: str,
    dataset_sha256: str,
    calibration_sha256: str,
    teacher_sha256: str | None,
) -> dict[str, Any]:
    """Return what decides the result of a cell, as JSON has it: a cell with another identity must be made anew.

    Args:
        cell: The cell.
        shared: What it has in common with the others.
        definition: The digest of the model's layers.
        dataset_sha256: The digest of the data set.
        calibration_sha256: The digest of what the quantizer sees.
        teacher_sha256: The digest of the teacher's file, if there is a teacher.
    """
    return {
        "model": cell.model,
        "definition": definition,
        "recipe": asdict(cell.recipe),
        "seed": cell.seed,
        "teacher_sha256": teacher_sha256,
        "qat": cell.qat,
        "dataset_sha256": dataset_sha256,
        # Not its folder, from which the same sweep may be moved.
        "calibration": Path(shared.calibration).name,
        "calibration_sha256": calibration_sha256,
        "precisions": list(shared.precisions),
        "score_test": shared.score_test,
        "threads": shared.threads,
        **shared.judged,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of what two identities differ in; of the recipe, those of its fields."""
    names = [key for key in {**before, **now} if key != "recipe" and before.get(key) != now.get(key)]
    old, new = before.get("recipe") or {}, now.get("recipe") or {}
    return names + [key for key in {**old, **new} if old.get(key) != new.get(key)]


def order_text(order: Order) -> str:
    """Return an order as one line of JSON."""
    return json.dumps(asdict(order), default=str)


def read_order(text: str) -> Order:
    """Return the order that a line of JSON holds."""
    content = json.loads(text)
    cell, shared = content["cell"], content["shared"]
    recipe = Recipe(**{field.name: cell["recipe"][field.name] for field in fields(Recipe)})
    teacher, data_dir = cell["teacher"], shared["data_dir"]
    return Order(
        cell=Cell(
            **{**cell, "recipe": recipe, "teacher": Path(teacher) if teacher else None, "said": tuple(cell["said"])}
        ),
        shared=Shared(
            **{
                **shared,
                "data_dir": Path(data_dir) if data_dir else None,
                **{name: tuple(shared[name]) for name in ("precisions", "inputs", "outputs")},
            }
        ),
        identity=content["identity"],
        folder=Path(content["folder"]),
        archives={name: Path(path) for name, path in content["archives"].items()},
    )
