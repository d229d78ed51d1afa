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

from edgeport.runtime.artefact.input_kinds import RAW_PIXELS, kind_text
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.claim import Claim, claimed_folder
from edgeport.runtime.files.output import staged_result
from edgeport.runtime.host.terminal import visible
from edgeport.train.datasets.data import are_numbers
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.figures import draw_confusion_matrix, draw_learning_curves, draw_predictions
from edgeport.train.loop.fitting import (
    HISTORY,
    Fitted,
    OnEpoch,
    OnStart,
    OnStep,
    OnWait,
    Run,
    fit,
    load_best,
    probabilities_of,
)
from edgeport.train.loop.history import Epoch, ValidationScore, best_epoch, read_history
from edgeport.train.loop.teacher import open_teacher
from edgeport.train.models.keras_file import open_classifier
from edgeport.train.models.named import build_model
from edgeport.train.quantization_aware.quantize import quantize_aware
from edgeport.train.record import FILE_NAME, STATE, record_text

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

    Examples:
        >>> from dataclasses import replace
        >>> from io import StringIO
        >>> from pathlib import Path
        >>> from rich.console import Console
        >>> from edgeport.train import RECIPES, Run, load_dataset, train
        >>> digits = load_dataset("mnist-5k")
        >>> run = Run("edge", digits, replace(RECIPES["edge"], epochs=1), seed=0)
        >>> train(run, Path("trained"), console=Console(file=StringIO()))
        True
        >>> sorted(path.name for path in Path("trained").glob("*.json"))
        ['training.json']
    """
    data = run.dataset
    counts = " / ".join(f"{len(split):,}" for split in (data.train, data.validation, data.test))
    console.print(visible(f"Data set {data.name}: {counts} {data.noun} for train / validation / test"))
    if not are_numbers(data.labels):
        console.print(visible(f"Classes, in this order: {', '.join(data.labels)}"))
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
    # What the run begins with is opened first: a slip in its name must not cost the state of an interrupted run.
    if result.run.teacher is not None:
        open_teacher(result.run.teacher, result.run.dataset)
    run, build = _build(result.run)
    result, state = replace(result, run=run), result.output / STATE
    if run.qat:
        # A layer that has no rule there is reported now, and not after all the epochs before.
        _quantized(build(), run)
    if not resume:
        shutil.rmtree(state, ignore_errors=True)
    try:
        phases = [_fit(run, build, result, state=state, resume=resume, begins_trained=run.start is not None)]
        if run.qat:
            phases.append(_fine_tune(phases[0].model, result, state=state / QAT_STATE))
    except KeyboardInterrupt:
        _keep_best(result)
        return False
    except OSError as error:
        raise InputError(f"cannot write to {result.output}: {error.strerror or error}") from error
    _write(result, phases, finished=True)
    shutil.rmtree(state)
    return True


def _fit(
    run: Run, build: Callable[[], keras.Model], result: _Result, *, state: Path, resume: bool, begins_trained: bool
) -> Fitted:
    with _progress(run, result.console) as (on_start, on_step, on_epoch, on_wait):
        return fit(
            run,
            build,
            state=state,
            resume=resume,
            on_start=on_start,
            on_step=on_step,
            on_epoch=on_epoch,
            on_wait=on_wait,
            begins_trained=begins_trained,
        )


def _fine_tune(model: keras.Model, result: _Result, *, state: Path) -> Fitted:
    """Go on with a model that computes as its int8 artefacts will."""
    run = result.run
    recipe = replace(run.recipe, epochs=run.recipe.qat_epochs, learning_rate=run.recipe.qat_learning_rate)
    result.console.print("Quantization-aware fine-tuning")
    return _fit(
        replace(run, recipe=recipe),
        lambda: _quantized(model, run),
        result,
        state=state,
        resume=(state / HISTORY).is_file(),
        begins_trained=True,
    )


def _quantized(model: keras.Model, run: Run) -> keras.Model:
    samples = run.dataset.train.take(_CALIBRATION_COUNT, seed=run.seed).samples
    return quantize_aware(model, calibration=samples, takes=kind_text(run.takes))


def _build(run: Run) -> tuple[Run, Callable[[], keras.Model]]:
    """Return the run with what its model takes, and what makes the model."""
    if run.start is not None:
        model, port = open_classifier(run.start, run.dataset, role="--model", said=run.input)
        return replace(run, input=kind_text(port)), lambda: model
    if run.input and run.takes != RAW_PIXELS:
        raise InputError(f"--input: got {run.input} for {run.model}, which scales raw pixels itself: leave it out")
    return run, lambda: build_model(run.model, image_shape=run.dataset.image_shape, class_count=len(run.dataset.labels))


def _keep_best(result: _Result) -> None:
    output, run = result.output, result.run
    state = output / STATE
    places = [place for place in (state, state / QAT_STATE) if (place / HISTORY).is_file()]
    phases = [Fitted(load_best(place), *read_history(place / HISTORY)[1:]) for place in places]
    done = sum(len(phase.history) for phase in phases)
    if not done:
        shutil.rmtree(state, ignore_errors=True)
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()
        result.console.print("\nInterrupted: no epoch was finished, so there is nothing to keep.")
        return
    _write(result, phases if phases[-1].history else phases[:1], finished=False)
    total = run.recipe.epochs + (run.recipe.qat_epochs if run.qat else 0)
    result.console.print(
        f"\nInterrupted after epoch {done} of {total}: {visible(str(output / 'model.keras'))} is the best so far. "
        "Go on with the same command and --resume."
    )


def _write(result: _Result, phases: Sequence[Fitted], *, finished: bool) -> None:
    """Write the result. An unfinished run does not touch the test split: its figure would guide the next try."""
    run, console = result.run, result.console
    model = phases[-1].model
    record = {**_facts(run, model, finished=finished), **_outcome(phases, run.dataset)}
    with staged_result(result.claim, record=FILE_NAME, stale=_RESULTS) as folder:
        model.save(folder / "model.keras")
        record["model_sha256"] = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
        if any(phase.history for phase in phases):
            draw_learning_curves(
                folder / "learning-curves.png",
                *(phase.history for phase in phases),
                best=record["best_epoch"],
                start=phases[-1].start,
            )
        console.print(_verdict(phases, run.dataset))
        if finished and result.score_test:
            record["test"] = _score(model, run, folder, console)
        (folder / FILE_NAME).write_text(record_text(record), encoding="utf-8")
        written = sorted(path.name for path in folder.iterdir())
    console.print(visible(f"Written to {result.output}: {', '.join(written)}"))


def _facts(run: Run, model: keras.Model, *, finished: bool) -> dict[str, Any]:
    dataset = run.dataset
    return {
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "finished": finished,
        "model": run.model,
        "parameters": model.count_params(),
        "input": kind_text(run.takes),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "labels": dataset.labels,
            "resizing": dataset.resizing._asdict() if dataset.resizing else None,
            "columns": dataset.columns,
            "counts": {name: len(split) for name, split in dataset.splits.items()},
        },
        "seed": run.seed,
        "teacher": {"file": run.teacher.name, "sha256": run.teacher_sha256} if run.teacher else None,
        "qat": run.qat,
        "start": {"file": run.start.name, "sha256": run.start_sha256} if run.start else None,
        "recipe": asdict(run.recipe),
    }


def _outcome(phases: Sequence[Fitted], dataset: Dataset) -> dict[str, Any]:
    trained, *fine_tuned = phases
    number, accuracy = _chosen(phases[-1], dataset)
    return {
        "history": [asdict(epoch) for epoch in trained.history],
        "qat_history": [asdict(epoch) for phase in fine_tuned for epoch in phase.history],
        "start_validation": asdict(trained.start) if trained.start else None,
        "best_epoch": number,
        "validation": {"accuracy": accuracy, "count": len(dataset.validation)},
        # What quantization-aware fine-tuning began with, and what it is held against.
        "float_validation": {"accuracy": _chosen(trained, dataset)[1]} if fine_tuned else None,
    }


def _chosen(phase: Fitted, dataset: Dataset) -> tuple[int, float]:
    """Return the number of a phase's best epoch, 0 for its start, and the validation accuracy that it had."""
    number = best_epoch(phase.history, validation_count=len(dataset.validation), start=phase.start)
    if number:
        return number, phase.history[number - 1].validation_accuracy
    assert phase.start is not None, "without a start, the best is one of the epochs"
    return 0, phase.start.accuracy


def _verdict(phases: Sequence[Fitted], dataset: Dataset) -> str:
    best, accuracy = _chosen(phases[-1], dataset)
    right, phase = f"{accuracy:.2%} of the validation {dataset.noun} right", ""
    if len(phases) > 1:
        right += f", {_chosen(phases[0], dataset)[1]:.2%} before it in float32"
        phase = " of the fine-tuning"
    if best:
        return f"Best epoch {best}{phase}: {right}"
    if not phases[-1].history:
        return f"Kept as it was, without an epoch{phase}: {right}"
    return f"No epoch{phase} is better than the start, which is kept: {right}"


def _score(model: keras.Model, run: Run, folder: Path, console: Console) -> dict[str, int]:
    """Answer the test split, draw the answers into the folder, and return how many are right."""
    dataset = run.dataset
    probabilities = probabilities_of(model, dataset.test, takes=run.takes)
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == dataset.test.classes).sum())
    if dataset.is_pixels:
        draw_predictions(folder / "predictions.png", dataset.test, probabilities, dataset.labels)
    draw_confusion_matrix(folder / "confusion-matrix.png", dataset.test.classes, predicted, dataset.labels)
    share = correct / len(dataset.test)
    console.print(f"Test: {correct:,} of {len(dataset.test):,} {dataset.noun} right, {share:.2%}")
    return {"correct": correct, "count": len(dataset.test)}


@contextmanager
def _progress(run: Run, console: Console) -> Iterator[tuple[OnStart, OnStep, OnEpoch, OnWait]]:
    """Yield the callbacks of ``fit`` that keep a bar moving and print a line an epoch."""
    epochs = run.recipe.epochs
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    if epochs:
        console.print(visible(f"Training {run.model}: {epochs} epochs, seed {run.seed}"))
    with Progress(
        *columns, console=console, transient=True, disable=not (console.is_terminal or console.is_jupyter)
    ) as progress:
        task = progress.add_task("starting", total=None)

        def on_start(score: ValidationScore) -> None:
            console.print(f"at the start  validation loss {score.loss:.4f}  accuracy {score.accuracy:.2%}")

        def on_step(epoch: int, step: int, steps: int) -> None:
            done = (epoch - 1) * steps + step
            progress.update(task, description=f"epoch {epoch} of {epochs}", completed=done, total=epochs * steps)

        def on_epoch(epoch: Epoch) -> None:
            console.print(
                f"epoch {epoch.number:3d}/{epochs}  loss {epoch.loss:.4f}  validation loss "
                f"{epoch.validation_loss:.4f}  accuracy {epoch.validation_accuracy:.2%}  {epoch.seconds:.1f} s"
            )

        def on_wait(text: str) -> None:
            console.print(visible(f"{text} ..."))

        yield on_start, on_step, on_epoch, on_wait
