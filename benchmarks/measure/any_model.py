"""The benchmark of a model of any kind, on data of any form: its outputs judged by what they mean."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.measure.assembly import Entry, Timing, assembled_report
from edgeport.benchmarks.measure.candidates.candidate import Samples
from edgeport.benchmarks.report.raw.packed import packed
from edgeport.benchmarks.report.raw.record import JudgedOutput, Report
from edgeport.benchmarks.report.results import can_show
from edgeport.benchmarks.tasks.answers import ANSWERS, reconstruction_errors
from edgeport.benchmarks.tasks.targets import TARGETS, targets_of, task_of
from edgeport.benchmarks.tasks.users_metric import is_users_metric
from edgeport.export.verification.calibration import check_fits
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.files.checksum import sha256_hex
from edgeport.runtime.prediction.showing.boxes import Boxes, box_outputs, detections
from edgeport.runtime.samples.array_names import ALL
from edgeport.runtime.tensors.encoding import real_values
from edgeport.train.datasets.data import Data, Part, inputs_of

Array = npt.NDArray[Any]
# Whose figures mean nothing if all samples are alike.
_OF_CLASSES = ("classes", "yes-no", "anomaly", "similarity")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model is asked, and how its answers are judged.

    Attributes:
        name: The name of the data.
        split: Which part of them is used.
        samples: For each input of the model an array of (n, ...), by its name; an array alone for a model of one.
        judged: The outputs, with what is true of them.
        kept: From a candidate's outputs to what a report keeps of each of ``judged``.
        groups: Which group each sample is in, from 0; empty if each stands for itself.
    """

    name: str
    split: str
    samples: Samples
    judged: tuple[JudgedOutput, ...]
    kept: Callable[[Mapping[str, Array]], list[Array]]
    groups: tuple[int, ...] = ()

    @property
    def words(self) -> list[str]:
        """How each output is judged, a line each."""
        grouped = [f"The samples are in {len(set(self.groups)):,} groups, which are drawn whole"] if self.groups else []
        return [
            f"{each.name} is judged as {each.task}" if each.targets else f"{each.name}: nobody says what is true of it"
            for each in self.judged
        ] + grouped

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says of its data."""
        arrays = list(self.samples.values()) if isinstance(self.samples, Mapping) else [self.samples]
        arrays += [each.targets.array for each in self.judged if each.targets]
        parts = [np.ascontiguousarray(array).tobytes() for array in arrays]
        return {
            "name": self.name,
            "split": self.split,
            "count": len(arrays[0]),
            "sha256": sha256_hex(parts, size=sum(map(len, parts))),
            "labels": [],
        }


def evaluation_of(
    data: Data,
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    *,
    tasks: Mapping[str, str] | None = None,
    metrics: Sequence[str] = (),
) -> Evaluation:
    """Return what a model is asked: the test samples of some data, or all of them where nobody has divided them.

    Args:
        data: Samples, and targets if they are known.
        inputs: The inputs of the model.
        outputs: Its outputs; the targets are those of its boxes, if it has any, else of the first one.
        tasks: What outputs mean, by their names, where a user says so; an empty name is the first one's.
        metrics: The metrics that judge the output with targets; empty for the usual ones.

    Raises:
        InputError: The data are not for such a model, or the targets not for such an output.
    """
    split = next((name for name in ("test", ALL) if name in data.parts), None)
    if split is None:
        raise InputError(f"{data.name}: got {' and '.join(data.parts)} samples, expected test samples to judge by")
    part = data.parts[split]
    arrays = inputs_of(part, inputs, named=data.name)
    check_fits(arrays, inputs, kind="test", source=data.name)
    tasks = _tasks(outputs, tasks or {})
    meant = [output._replace(kind=tasks.get(output.name, output.kind)) for output in outputs]
    boxes = {group.boxes.name: group for group in box_outputs(meant) if part.targets is not None}
    beside = {name for group in boxes.values() for name in group.partners}
    alone = [output for output in outputs if output.name not in beside]
    first = next(iter(boxes), alone[0].name)
    judged = [
        _judged(each, tasks.get(each.name), part.targets if each.name == first else None, metrics, data.name)
        for each in alone
    ]
    if metrics and not any(each.targets for each in judged):
        raise InputError(f"--metric: got {', '.join(metrics)}, and {data.name} does not say what is true")
    samples: Samples = arrays if len(arrays) > 1 else next(iter(arrays.values()))
    real = [real_values(arrays[port.name], port) for port in inputs]
    kept = partial(_kept, judged=judged, boxes=boxes, frame=_frame(inputs), real=real[0])
    groups = _groups(part, judged, data.name)
    return Evaluation(data.name, split, samples, tuple(judged), kept, groups)


def _groups(part: Part, judged: Sequence[JudgedOutput], named: str) -> tuple[int, ...]:
    """Return the number of each sample's group; raises InputError for groups that cannot be judged."""
    if part.groups is None:
        return ()
    names, numbers = np.unique(part.groups, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"--group-by: got one group alone in {named}, expected at least 2")
    for each in judged:
        if each.targets is not None and ANSWERS[each.task].averaged:
            true = each.targets.array
            of_group = true[np.unique(numbers, return_index=True)[1]][numbers]
            if (other := np.flatnonzero(true != of_group)).size:
                raise InputError(
                    f"--group-by: the samples of the group {names[numbers[other[0]]]} are both normal and anomalous, "
                    f"expected one of the two, as a group is judged by the mean of its scores ({each.task})"
                )
    return tuple(map(int, numbers))


def benchmark_any(
    entries: Sequence[Entry],
    evaluation: Evaluation,
    *,
    model: str,
    timing: Timing,
    skip_refused: bool = False,
    on_step: Callable[[str], None] = lambda what: None,
) -> Report:
    """Measure candidates on samples of any kind, and keep what they answer.

    Args:
        entries: The reference first.
        evaluation: What they are asked.
        model: The model's name.
        timing: What is timed.
        skip_refused: Go on without a candidate that cannot run here.
        on_step: Called with a few words before each step.

    Raises:
        EdgeportError: A candidate cannot run here, or its answers are not those of such a model.
    """
    return assembled_report(
        entries,
        evaluation.samples,
        None,
        model=model,
        dataset=evaluation.facts,
        timing=timing,
        judged=evaluation.judged,
        kept=evaluation.kept,
        groups=evaluation.groups,
        skip_refused=skip_refused,
        on_step=on_step,
    )


def _frame(inputs: Sequence[Input]) -> Array:
    """Return what boxes in pixels are shares of: the height and the width of the picture, twice."""
    picture = next((each.shape[1:3] for each in inputs if len(each.shape) == 4), (1, 1))
    return np.array([axis or 1 for axis in picture] * 2, np.float32)


def _kept(
    outputs: Mapping[str, Array],
    *,
    judged: Sequence[JudgedOutput],
    boxes: Mapping[str, Boxes],
    frame: Array,
    real: Array,
) -> list[Array]:
    """Return what a report keeps of the answers; outputs of other names are taken in their order.

    Args:
        outputs: The answers, by the names of the outputs.
        judged: What is kept of.
        boxes: The outputs that hold boxes, and what goes with them.
        frame: What boxes in pixels are shares of.
        real: The samples of the first input as the model takes them, from which an anomaly is far.
    """
    kept = []
    for place, output in enumerate(judged):
        group = boxes.get(output.name)
        if group is None:
            values = outputs[output.name] if output.name in outputs else list(outputs.values())[place]
            _check_probabilities(output, values)
            anomaly = output.task == "anomaly" and values[0].size > 1
            values = reconstruction_errors(real, values) if anomaly else values
            kept.append(ANSWERS[output.task].kept(values))
            continue
        found = detections(group, outputs)
        in_pixels = group.boxes.units[:1] == ("pixels",)
        kept.append(np.concatenate([found[..., :2], found[..., 2:] / frame], -1) if in_pixels else found)
    return kept


def _check_probabilities(output: JudgedOutput, values: Array) -> None:
    """Raise InputError for logits where a threshold would decide."""
    several = output.task in ("map", "sequence") and values.shape[-1] > 1
    decided = ANSWERS[output.task].thresholded and not several
    if not decided or output.targets is None or values.dtype.kind != "f":
        return
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise InputError(
            f"output {output.name}: got answers from {low:.3g} to {high:.3g}, expected probabilities from 0 to 1, as a "
            f"threshold decides {output.task}: export with --activation sigmoid"
        )


def _tasks(outputs: Sequence[Output], tasks: Mapping[str, str]) -> dict[str, str]:
    """Return the tasks that a user names, by the names of outputs; one without a name is the first output's."""
    names = [output.name for output in outputs]
    found = {}
    for name, task in tasks.items():
        if task not in ANSWERS:
            raise unknown_name("task", task, ANSWERS)
        if name and name not in names:
            raise unknown_name("output", name, names)
        found[name or names[0]] = task
    return found


def _judged(
    output: Output, said: str | None, targets: Array | None, metrics: Sequence[str], source: str
) -> JudgedOutput:
    task = said or output.kind or "any"
    if task == "map" and not said and len(output.shape) == 3:
        # One axis of places is that of steps.
        task = "sequence"
    # Who says that an output means anything wants no judgement, but by a metric of the user's own.
    own = any(map(is_users_metric, metrics))
    if targets is None or (said == "any" and not own):
        return JudgedOutput(output.name, task, columns=output.columns, units=output.units)
    task = task_of(targets, output.shape) or task if task == "any" and said != "any" else task
    if task == "any" and not own:
        raise InputError(
            f"{source}: got targets {targets.dtype.name} {targets.shape} for the output {output}, and nobody has said "
            f"what that means: say it with --task, one of {', '.join(TARGETS)}"
        )
    true = targets_of(task, targets, output.shape, source=f"{source}, for the output {output.name} ({task})")
    if task in _OF_CLASSES and not own and (true == true[:1]).all():
        raise InputError(
            f"{source}: all {len(true):,} targets of {output.name} are {true[0]}, and {task} of one kind alone say "
            "nothing: expected at least 2"
        )
    judged = JudgedOutput(output.name, task, tuple(metrics), output.columns, output.units, packed(true))
    if can_show():
        # What judges must be known, and installed, before the long work; a device leaves it to a workstation.
        from edgeport.benchmarks.report.judging import metrics_of_output

        metrics_of_output(judged, named=metrics)
    return judged
