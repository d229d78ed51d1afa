"""The file that says what a sweep runs: TOML, checked to the last word before the long work."""

import re
import sys
import typing
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeport.benchmarks.sweep.cells.cell import Cell, Shared
from edgeport.benchmarks.tasks.answers import ANSWERS
from edgeport.benchmarks.tasks.users_metric import is_users_metric
from edgeport.runtime.artefact.input_kinds import parsed_input
from edgeport.runtime.artefact.precisions import precision_named
from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.files.plain_file import MOST_JSON, read_plain
from edgeport.train.datasets.forms import with_target
from edgeport.train.datasets.named import DATASETS
from edgeport.train.datasets.spoken_digits import PREFIX, is_spoken_digits
from edgeport.train.loop.recipe import OWN_MODEL, RECIPES, Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS = (
    "dataset", "target", "data_dir", "models", "seeds", "calibration", "precisions", "score_test", "latency", "threads",
    "recipes", "metric", "task", "input", "outputs", "activation",
)  # fmt: skip
_PRECISIONS = ("float32", "int8")
_ACTIVATIONS = ("softmax", "sigmoid")
_MOST_SEEDS = 2**16
# A model of the user's own: a file, or a function in one.
_OWN = re.compile(r"(.+\.keras|.+\.py(?=:)):?(?:(?<=:)(\w+))?")
# A recipe's name is that of a folder.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
# Far above what anyone trains with, and far below what TensorFlow cannot count.
_MOST = 1_000_000
_MOST_THREADS = 1024
_SHARES = ("warmup", "label_smoothing", "teacher_share")
_AT_LEAST_ONE = ("epochs", "batch_size", "copies", "qat_epochs")
_ABOVE_ZERO = ("learning_rate", "temperature")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


@dataclass(frozen=True)
class SweepFile:
    """What a sweep runs.

    Attributes:
        text: The file as it was read.
        cells: All cells, those of the first seed first.
        shared: What they have in common.
        latency: Whether the artefacts of one seed of each model are timed at the end.
    """

    text: str
    cells: tuple[Cell, ...]
    shared: Shared
    latency: bool


def read_sweep_file(path: Path) -> SweepFile:
    """Return what a file says; paths in it are relative to its folder.

    Raises:
        InputError: The file cannot be read, is no TOML, or says something that cannot be.
    """
    try:
        text = read_plain(path, most=MOST_JSON, error=InputError).decode()
        content = tomllib.loads(text)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no TOML file: {' '.join(str(error).split())}") from error
    try:
        return _sweep(content, text, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _sweep(content: Mapping[str, Any], text: str, folder: Path) -> SweepFile:
    for key in content:
        if key not in _KEYS:
            raise unknown_name("key", key, _KEYS)
    target = _text(content, "target") if "target" in content else None
    dataset = with_target(_place(_text(content, "dataset"), folder), target)
    shared = Shared(
        dataset=dataset,
        data_dir=folder / _text(content, "data_dir") if "data_dir" in content else None,
        calibration=_place(_text(content, "calibration", dataset), folder),
        precisions=tuple(precision_named(name).name for name in _list(content, "precisions", str, _PRECISIONS)),
        score_test=_flag(content, "score_test"),
        threads=_threads(content),
        **_judged(content, folder),
    )
    models = _list(content, "models", str)
    starts = _starts(models, folder)
    seeds = _list(content, "seeds", int)
    for seed in seeds:
        if not 0 <= seed < _MOST_SEEDS:
            raise InputError(f"seeds: got {seed}, expected 0 to {_MOST_SEEDS - 1}")
    recipes = content.get("recipes", {"default": {}})
    if not isinstance(recipes, dict) or not recipes or not all(isinstance(each, dict) for each in recipes.values()):
        raise InputError("recipes: expected a table for each recipe, such as [recipes.short] with the line epochs = 5")
    cells = tuple(
        _cell(model, start, name, seed, table, folder)
        for seed in seeds
        for name, table in recipes.items()
        for model, start in starts.items()
        if model in _models(name, table, starts)
    )
    trained = {cell.model for cell in cells}
    for model in starts:
        if model not in trained:
            raise InputError(f"models: got {model}, and no recipe is for it: add it to the models of one")
    return SweepFile(text, cells, shared, _flag(content, "latency"))


def _judged(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what is said of how models of the user's own are asked and judged."""
    metric = _text(content, "metric") if "metric" in content else ""
    if is_users_metric(metric):
        metric = str(folder / metric)
        file = Path(metric.partition(".py:")[0] + ".py")
        if not file.is_file():
            raise InputError(f"metric: got {content['metric']}, and there is no file {file}")
    task = _text(content, "task") if "task" in content else ""
    if task and task not in ANSWERS:
        raise unknown_name("task", task, ANSWERS)
    activation = _text(content, "activation") if "activation" in content else ""
    if activation not in ("", *_ACTIVATIONS):
        raise unknown_name("activation", activation, _ACTIVATIONS)
    inputs = _texts(content, "input")
    for text in inputs:
        parsed_input(text)
    return {
        "metric": metric,
        "task": task,
        "inputs": inputs,
        "outputs": _texts(content, "outputs"),
        "activation": activation,
    }


def _texts(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return one text or a list of them."""
    value = content.get(key, [])
    if isinstance(value, str) and value:
        return (value,)
    return _list(content, key, str) if value != [] or key in content else ()


def _starts(models: Sequence[str], folder: Path) -> dict[str, str]:
    """Return the models by their names in the sweep's folder, with the file of each that is the user's own."""
    starts: dict[str, str] = {}
    for model in models:
        own = _OWN.fullmatch(model)
        if own is None and model not in RECIPES:
            raise unknown_name("model", model, [*RECIPES, "FILE.keras", "FILE.py:FUNCTION"])
        # A function is what its model is called by, since a file may have many.
        name = model if own is None else own[2] or Path(own[1]).stem
        if not _NAME.fullmatch(name):
            raise InputError(f"models: got the name {name!r} of {model}, expected letters, digits, '-', '_', '+', '.'")
        if name in starts:
            raise InputError(f"models: got two that are called {name}, expected each to have its own name")
        file = folder / own[1] if own else None
        if file is not None and not file.is_file():
            raise InputError(f"models: got {model}, and there is no file {file}")
        starts[name] = f"{file}:{own[2]}" if own and own[2] else str(file or "")
    return starts


def _models(name: str, table: Mapping[str, Any], starts: Mapping[str, str]) -> Collection[str]:
    """Return the models that a recipe is for: all of them, unless it names some."""
    if "models" not in table:
        return starts
    try:
        named = _list(table, "models", str)
    except InputError as error:
        raise InputError(f"recipes.{name}.{error}") from error
    for model in named:
        if model not in starts:
            raise unknown_name(f"model of recipes.{name}", model, starts)
    return named


def _cell(model: str, start: str, name: str, seed: int, table: Mapping[str, Any], folder: Path) -> Cell:
    if not _NAME.fullmatch(name):
        raise InputError(f"recipes: got the name {name!r}, expected up to 100 letters, digits, '-', '_', '+' and '.'")
    types = typing.get_type_hints(Recipe)
    known = {**types, "teacher": str, "qat": bool, "models": list}
    for key, value in table.items():
        if key not in known:
            raise unknown_name(f"key of recipes.{name}", key, known)
        _check(f"recipes.{name}.{key}", key, value, known[key])
    changes = {key: types[key](value) for key, value in table.items() if key in types}
    try:
        recipe = replace(OWN_MODEL if start else RECIPES[model], **changes)
    except ValueError as error:
        raise InputError(f"recipes.{name}: {error}") from error
    teacher = folder / table["teacher"] if "teacher" in table else None
    # A Keras file is a zip archive.
    if teacher is not None and not (teacher.is_file() and zipfile.is_zipfile(teacher)):
        raise InputError(f"recipes.{name}.teacher: got {teacher}, expected the .keras file of a trained model")
    return Cell(model, name, seed, recipe, teacher, table.get("qat", False), start, tuple(changes))


def _check(place: str, key: str, value: Any, kind: type) -> None:
    """Raise InputError if a value of a recipe is not of its type, or cannot be."""
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{place}: got {value!r}, expected {_WORDS.get(kind, kind.__name__)}")
    if isinstance(value, (bool, str, list)):
        return
    # Whole numbers may have hundreds of digits, and more than a float can be.
    shown = str(value)[:20]
    if value > _MOST:
        raise InputError(f"{place}: got {shown}, expected at most {_MOST:,}")
    if key in _AT_LEAST_ONE and value < 1:
        raise InputError(f"{place}: got {shown}, expected 1 or more")
    if key in _SHARES and not 0 <= value <= 1:
        raise InputError(f"{place}: got {shown}, expected a share from 0 to 1")
    if key in _ABOVE_ZERO and not value > 0:
        raise InputError(f"{place}: got {shown}, expected a number above 0")
    if not value >= 0:
        raise InputError(f"{place}: got {shown}, expected 0 or more")


def _text(content: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = content.get(key, default)
    if not isinstance(value, str) or not value:
        found = f"got {value!r}" if key in content else "it is missing"
        raise InputError(f"{key}: {found}, expected a text, such as {key} = 'mnist-5k'")
    return value


def _flag(content: Mapping[str, Any], key: str) -> bool:
    value = content.get(key, True)
    if not isinstance(value, bool):
        raise InputError(f"{key}: got {value!r}, expected true or false")
    return value


def _threads(content: Mapping[str, Any]) -> int:
    value = content.get("threads", 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_THREADS:
        raise InputError(f"threads: got {str(value)[:20]}, expected a whole number from 1 to {_MOST_THREADS}")
    return value


def _list(content: Mapping[str, Any], key: str, kind: type, default: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    values = content.get(key, list(default))
    example = "[0, 1, 2]" if kind is int else "['float32', 'int8']" if key == "precisions" else "['edge', 'classic']"
    right = isinstance(values, list) and all(isinstance(each, kind) and not isinstance(each, bool) for each in values)
    if not right or not values:
        found = f"got {values!r}" if key in content else "it is missing"
        raise InputError(f"{key}: {found}, expected a list such as {key} = {example}")
    twice = next((each for number, each in enumerate(values) if each in values[:number]), None)
    if twice is not None:
        raise InputError(f"{key}: got {twice!r} twice, expected each once")
    return tuple(values)


def _place(name: str, folder: Path) -> str:
    """Return the name of a data set; a path that is relative to the file is made one from the working directory."""
    if is_spoken_digits(name):
        return f"{PREFIX}{folder / name.removeprefix(PREFIX)}"
    is_path = "/" in name or Path(name).suffix or (folder / name).exists()
    return str(folder / name) if is_path and name not in DATASETS else name
