"""How well the Keras model of a cell and each of its artefacts answer, by the metric that decides."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from edgeport.benchmarks.measure.any_model import Evaluation, evaluation_of
from edgeport.benchmarks.measure.candidates.keras_opener import OpenedKeras
from edgeport.benchmarks.measure.candidates.openers import OpenedArtefact
from edgeport.benchmarks.report.judging import metrics_of_output
from edgeport.benchmarks.sweep.cells.cell import EXPORT, TRAIN, Order
from edgeport.benchmarks.tasks.metric import Metric, MetricError
from edgeport.export.manifest import Manifest
from edgeport.export.sources.source import Source
from edgeport.runtime.prediction.loading import load
from edgeport.train.datasets.data import Data, Part, numbered_as

_MODEL = "model.keras"


def scored(order: Order, data: Data, source: Source, manifest: Manifest) -> dict[str, Any]:
    """Return what a record says of scores: the metric, and each candidate, in its own engine, with those of each split.

    Args:
        order: The cell.
        data: The samples of the splits.
        source: The trained model.
        manifest: What was exported of it.

    Raises:
        InputError: The data are not for such a model, or the metric gives no number.
    """
    shared = order.shared
    first = manifest.outputs[0]
    tasks = {first.name: shared.task} if shared.task else {}
    if (shared.task or first.kind) in ("classes", "yes-no"):
        data = numbered_as(data, first.columns or (("no", "yes") if first.kind == "yes-no" else ()))
    metrics = (shared.metric,) if shared.metric else ()
    splits = [
        name for name in ("validation", "test") if name == "test" or _can_be_judged(data.parts[name], shared.task)
    ]
    splits = splits if shared.score_test else splits[:1]
    asked = {
        # What is judged of data are their test samples.
        name: evaluation_of(
            Data(data.name, {"test": data.parts[name]}), manifest.inputs, manifest.outputs, tasks=tasks, metrics=metrics
        )
        for name in splits
    }
    found = next(iter(asked.values()))
    judged = next(each for each in found.judged if each.targets is not None)
    metric = metrics_of_output(judged, named=metrics)[0]
    model = order.folder / TRAIN / _MODEL
    content = model.read_bytes()
    engine = {"name": "tensorflow", "version": manifest.versions["tensorflow"]}
    candidates = [
        {
            "file": model.name,
            "format": "keras",
            "precision": "float32",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "engine": engine,
            **_scores(OpenedKeras(source), asked, metric),
        }
    ]
    for each in manifest.artefacts:
        with load(order.folder / EXPORT / each.file, threads=shared.threads) as predictor:
            candidates.append(
                {
                    "file": each.file,
                    "format": each.format,
                    "precision": each.precision,
                    "bytes": each.bytes,
                    "sha256": each.sha256,
                    "engine": {"name": predictor.spec.engine, "version": predictor.spec.engine_version},
                    **_scores(OpenedArtefact(predictor), asked, metric),
                }
            )
    facts = {"name": metric.name, "unit": metric.unit, "better": metric.better, "task": judged.task}
    return {"metric": facts, "contenders": candidates}


def _can_be_judged(part: Part, task: str) -> bool:
    """Whether somebody says what is true of samples, and they are not all normal where others are looked for."""
    targets = part.targets
    return targets is not None and (task != "anomaly" or bool((targets != targets[:1]).any()))


def _scores(
    opened: OpenedKeras | OpenedArtefact, asked: Mapping[str, Evaluation], metric: Metric
) -> dict[str, dict[str, Any]]:
    """Return the score of each split, and of how many samples it is: a figure, or how many are right."""
    found = {}
    for split, evaluation in asked.items():
        place = next(place for place, each in enumerate(evaluation.judged) if each.targets is not None)
        targets = evaluation.judged[place].targets
        assert targets is not None, "it was chosen for them"
        answers = opened.answers(evaluation.samples)
        assert isinstance(answers, Mapping), "both give their outputs by name"
        given = evaluation.kept(answers)[place]
        figure = metric.value(targets.array, given)
        if not math.isfinite(figure):
            raise MetricError(f"metric {metric.name}: got {figure} on the {split} samples, expected a number")
        count = len(given)
        right = {"correct": int(metric.right(targets.array, given).sum())} if metric.right else {"figure": figure}
        found[split] = {**right, "count": count}
    return found
