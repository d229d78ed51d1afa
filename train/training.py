"""The training stage: fit, score once on the test split, write the model, its record and its pictures."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edgeport.runtime.claim import Claim, claimed_folder
from edgeport.runtime.errors import InputError
from edgeport.runtime.output import staged_result
from edgeport.train.figures import draw_confusion_matrix, draw_learning_curves, draw_predictions
from edgeport.train.fitting import OnEpoch, OnStep, Run, fit, load_best, probabilities_of
from edgeport.train.history import Epoch, best_epoch, read_history
from edgeport.train.models import build_model
from edgeport.train.record import FILE_NAME, STATE, record_text

_RESULTS = ("model.keras", FILE_NAME, "learning-curves.png", "predictions.png", "confusion-matrix.png")


def train(run: Run, output: Path, *, console: Console, resume: bool = False) -> bool:
    """Train a model and write the result to a folder; return whether the run came to its end.

    Interrupted with Ctrl-C, it keeps the best epoch so far and what ``resume`` needs to go on.

    Args:
        run: What to train.
        output: The folder for ``model.keras``, ``training.json`` and three pictures.
        console: Where the progress is shown.
        resume: Go on with the interrupted run in ``output``.

    Raises:
        InputError: The folder cannot be written, holds no run to resume, or another run is writing to it.
    """
    counts = " / ".join(f"{len(split):,}" for split in run.dataset.splits.values())
    console.print(f"Data set {run.dataset.name}: {counts} images for train / validation / test")
    # From the first epoch on: two runs in one folder would mix their states.
    with claimed_folder(output) as claim:
        return _train(run, output, claim, console=console, resume=resume)


def _train(run: Run, output: Path, claim: Claim, *, console: Console, resume: bool) -> bool:
    state = output / STATE
    if not resume:
        shutil.rmtree(state, ignore_errors=True)
    try:
        with _progress(run, console) as (on_step, on_epoch):
            model, history = fit(run, _build(run), state=state, resume=resume, on_step=on_step, on_epoch=on_epoch)
    except KeyboardInterrupt:
        _keep_best(run, output, claim, console)
        return False
    except OSError as error:
        raise InputError(f"cannot write to {output}: {error.strerror or error}") from error
    _write(run, model, history, output, claim, console=console, finished=True)
    shutil.rmtree(state)
    return True


def _build(run: Run) -> Any:
    return lambda: build_model(run.model, image_shape=run.dataset.image_shape, class_count=len(run.dataset.labels))


def _keep_best(run: Run, output: Path, claim: Claim, console: Console) -> None:
    try:
        model = load_best(output / STATE)
    except InputError as error:
        shutil.rmtree(output / STATE, ignore_errors=True)
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()
        console.print(f"\nInterrupted: {error}.")
        return
    _, history = read_history(output / STATE / "history.json")
    _write(run, model, history, output, claim, console=console, finished=False)
    console.print(
        f"\nInterrupted after epoch {len(history)} of {run.recipe.epochs}: {output / 'model.keras'} is epoch "
        f"{best_epoch(history)}, the best so far. Go on with the same command and --resume."
    )


def _write(
    run: Run,
    model: keras.Model,
    history: Sequence[Epoch],
    output: Path,
    claim: Claim,
    *,
    console: Console,
    finished: bool,
) -> None:
    """Write the result. An unfinished run does not touch the test split: its figure would guide the next try."""
    dataset = run.dataset
    best = history[best_epoch(history) - 1]
    record: dict[str, Any] = {
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
        "recipe": asdict(run.recipe),
        "history": [asdict(epoch) for epoch in history],
        "best_epoch": best.number,
        "validation": {"accuracy": best.validation_accuracy, "count": len(dataset.validation)},
    }
    with staged_result(claim, record=FILE_NAME, stale=_RESULTS) as folder:
        model.save(folder / "model.keras")
        record["model_sha256"] = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
        draw_learning_curves(folder / "learning-curves.png", history)
        console.print(f"Best epoch {best.number}: {best.validation_accuracy:.2%} of the validation images right")
        if finished:
            probabilities = probabilities_of(model, dataset.test)
            predicted = probabilities.argmax(axis=1)
            correct = int((predicted == dataset.test.classes).sum())
            record["test"] = {"correct": correct, "count": len(dataset.test)}
            draw_predictions(folder / "predictions.png", dataset.test, probabilities, dataset.labels)
            draw_confusion_matrix(folder / "confusion-matrix.png", dataset.test.classes, predicted, dataset.labels)
            share = correct / len(dataset.test)
            console.print(f"Test: {correct:,} of {len(dataset.test):,} images right, {share:.2%}")
        (folder / FILE_NAME).write_text(record_text(record))
        written = sorted(path.name for path in folder.iterdir())
    console.print(f"Written to {output}: {', '.join(written)}")


@contextmanager
def _progress(run: Run, console: Console) -> Iterator[tuple[OnStep, OnEpoch]]:
    """Yield the two callbacks of ``fit`` that keep a bar moving and print a line an epoch."""
    epochs = run.recipe.epochs
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
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

        yield on_step, on_epoch
