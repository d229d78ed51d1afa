"""The training stage: fit, score once on the test split, write the model, its record and its pictures."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.claim import Claim, claimed_folder
from edgeport.runtime.files.output import staged_result
from edgeport.train.dataset import Dataset, Images
from edgeport.train.figures import draw_confusion_matrix, draw_learning_curves, draw_predictions
from edgeport.train.fitting import HISTORY, OnEpoch, OnStep, OnWait, Run, fit, load_best, probabilities_of
from edgeport.train.history import Epoch, best_epoch, read_history
from edgeport.train.keras_file import check_classifier, open_keras_file
from edgeport.train.models import build_model
from edgeport.train.quantization_aware import quantize_aware
from edgeport.train.record import FILE_NAME, STATE, record_text
from edgeport.train.teacher import open_teacher

# Inside the state of a run, that of its quantization-aware fine-tuning.
QAT_STATE = "qat"
_CALIBRATION_COUNT = 500
_RESULTS = ("model.keras", FILE_NAME, "learning-curves.png", "predictions.png", "confusion-matrix.png")


def train(run: Run, output: Path, *, console: Console, resume: bool = False, score_test: bool = True) -> bool:
    """Train a model and write the result to a folder; return whether the run came to its end.

    Interrupted with Ctrl-C, it keeps the best epoch so far and what ``resume`` needs to go on.

    Args:
        run: What to train.
        output: The folder for ``model.keras``, ``training.json`` and three pictures.
        console: Where the progress is shown.
        resume: Go on with the interrupted run in ``output``.
        score_test: Whether the finished model answers the test split. A search over models or recipes must not.

    Raises:
        InputError: The folder cannot be written, holds no run to resume, or another run is writing to it; the
            teacher does not fit.
    """
    counts = " / ".join(f"{len(split):,}" for split in run.dataset.splits.values())
    console.print(f"Data set {run.dataset.name}: {counts} images for train / validation / test")
    # From the first epoch on: two runs in one folder would mix their states.
    with claimed_folder(output) as claim:
        return _train(_Result(run, output, claim, console, score_test), resume=resume)


@dataclass(frozen=True)
class _Result:
    """Where the result of a run goes, and what it shall hold."""

    run: Run
    output: Path
    claim: Claim
    console: Console
    score_test: bool


def _train(result: _Result, *, resume: bool) -> bool:
    run, state = result.run, result.output / STATE
    # What the run begins with is opened first: a slip in its name must not cost the state of an interrupted run.
    if run.teacher is not None:
        open_teacher(run.teacher, run.dataset)
    build = _build(run)
    if run.qat:
        # A layer that has no rule there is told now, and not after all the epochs before.
        quantize_aware(build(), calibration=_calibration(run))
    if not resume:
        shutil.rmtree(state, ignore_errors=True)
    try:
        model, history = _fit(run, build, result, state=state, resume=resume)
        fine_tuned: list[Epoch] = []
        if run.qat:
            model, fine_tuned = _fine_tune(model, result, state=state / QAT_STATE)
    except KeyboardInterrupt:
        _keep_best(result)
        return False
    except OSError as error:
        raise InputError(f"cannot write to {result.output}: {error.strerror or error}") from error
    _write(result, model, history, fine_tuned, finished=True)
    shutil.rmtree(state)
    return True


def _fit(
    run: Run, build: Callable[[], keras.Model], result: _Result, *, state: Path, resume: bool
) -> tuple[keras.Model, list[Epoch]]:
    with _progress(run, result.console) as (on_step, on_epoch, on_wait):
        return fit(run, build, state=state, resume=resume, on_step=on_step, on_epoch=on_epoch, on_wait=on_wait)


def _fine_tune(model: keras.Model, result: _Result, *, state: Path) -> tuple[keras.Model, list[Epoch]]:
    """Go on with a model that computes as its int8 artefacts will."""
    run = result.run
    recipe = replace(run.recipe, epochs=run.recipe.qat_epochs, learning_rate=run.recipe.qat_learning_rate)
    result.console.print("Quantization-aware fine-tuning")
    return _fit(
        replace(run, recipe=recipe),
        lambda: quantize_aware(model, calibration=_calibration(run)),
        result,
        state=state,
        resume=(state / HISTORY).is_file(),
    )


def _calibration(run: Run) -> Images:
    return run.dataset.train.take(_CALIBRATION_COUNT, seed=run.seed).images


def _build(run: Run) -> Callable[[], keras.Model]:
    if run.start is not None:
        model = open_keras_file(run.start, role="--model")
        check_classifier(model, run.dataset, name=f"--model {run.start}")
        return lambda: model
    return lambda: build_model(run.model, image_shape=run.dataset.image_shape, class_count=len(run.dataset.labels))


def _keep_best(result: _Result) -> None:
    output, run = result.output, result.run
    state = output / STATE
    history, fine_tuned = (
        read_history(place / HISTORY)[1] if (place / HISTORY).is_file() else [] for place in (state, state / QAT_STATE)
    )
    if not (history or fine_tuned):
        shutil.rmtree(state, ignore_errors=True)
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()
        result.console.print("\nInterrupted: no epoch was finished, so there is nothing to keep.")
        return
    model = load_best(state / QAT_STATE if fine_tuned else state)
    _write(result, model, history, fine_tuned, finished=False)
    done, total = len(history) + len(fine_tuned), run.recipe.epochs + (run.recipe.qat_epochs if run.qat else 0)
    result.console.print(
        f"\nInterrupted after epoch {done} of {total}: {output / 'model.keras'} is the best so far. "
        "Go on with the same command and --resume."
    )


def _write(
    result: _Result, model: keras.Model, history: Sequence[Epoch], fine_tuned: Sequence[Epoch], *, finished: bool
) -> None:
    """Write the result. An unfinished run does not touch the test split: its figure would guide the next try."""
    run, console = result.run, result.console
    chosen = fine_tuned or history
    best = chosen[best_epoch(chosen, validation_count=len(run.dataset.validation)) - 1]
    record = {**_facts(run, model, finished=finished), **_outcome(history, fine_tuned, best, run.dataset)}
    with staged_result(result.claim, record=FILE_NAME, stale=_RESULTS) as folder:
        model.save(folder / "model.keras")
        record["model_sha256"] = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
        draw_learning_curves(folder / "learning-curves.png", history, fine_tuned, best=best)
        phase = " of the fine-tuning" if fine_tuned else ""
        console.print(f"Best epoch {best.number}{phase}: {best.validation_accuracy:.2%} of the validation images right")
        if finished and result.score_test:
            record["test"] = _score(model, run.dataset, folder, console)
        (folder / FILE_NAME).write_text(record_text(record), encoding="utf-8")
        written = sorted(path.name for path in folder.iterdir())
    console.print(f"Written to {result.output}: {', '.join(written)}")


def _facts(run: Run, model: keras.Model, *, finished: bool) -> dict[str, Any]:
    dataset = run.dataset
    return {
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "finished": finished,
        "model": run.model,
        "parameters": model.count_params(),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "labels": dataset.labels,
            "counts": {name: len(split) for name, split in dataset.splits.items()},
        },
        "seed": run.seed,
        "teacher": {"file": run.teacher.name, "sha256": run.teacher_sha256} if run.teacher else None,
        "qat": run.qat,
        "start": {"file": run.start.name, "sha256": run.start_sha256} if run.start else None,
        "recipe": asdict(run.recipe),
    }


def _outcome(history: Sequence[Epoch], fine_tuned: Sequence[Epoch], best: Epoch, dataset: Dataset) -> dict[str, Any]:
    return {
        "history": [asdict(epoch) for epoch in history],
        "qat_history": [asdict(epoch) for epoch in fine_tuned],
        "best_epoch": best.number,
        "validation": {"accuracy": best.validation_accuracy, "count": len(dataset.validation)},
    }


def _score(model: keras.Model, dataset: Dataset, folder: Path, console: Console) -> dict[str, int]:
    """Answer the test split, draw the answers into the folder, and return how many are right."""
    probabilities = probabilities_of(model, dataset.test)
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == dataset.test.classes).sum())
    draw_predictions(folder / "predictions.png", dataset.test, probabilities, dataset.labels)
    draw_confusion_matrix(folder / "confusion-matrix.png", dataset.test.classes, predicted, dataset.labels)
    share = correct / len(dataset.test)
    console.print(f"Test: {correct:,} of {len(dataset.test):,} images right, {share:.2%}")
    return {"correct": correct, "count": len(dataset.test)}


@contextmanager
def _progress(run: Run, console: Console) -> Iterator[tuple[OnStep, OnEpoch, OnWait]]:
    """Yield the callbacks of ``fit`` that keep a bar moving and print a line an epoch."""
    epochs = run.recipe.epochs
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    if epochs:
        console.print(f"Training {run.model}: {epochs} epochs, seed {run.seed}")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=None)

        def on_step(epoch: int, step: int, steps: int) -> None:
            done = (epoch - 1) * steps + step
            progress.update(task, description=f"epoch {epoch} of {epochs}", completed=done, total=epochs * steps)

        def on_epoch(epoch: Epoch) -> None:
            console.print(
                f"epoch {epoch.number:3d}/{epochs}  loss {epoch.loss:.4f}  validation loss "
                f"{epoch.validation_loss:.4f}  accuracy {epoch.validation_accuracy:.2%}  {epoch.seconds:.1f} s"
            )

        def on_wait(text: str) -> None:
            console.print(f"{text} ...")

        yield on_step, on_epoch, on_wait
