"""What one run of ``edgeport benchmark`` measures: chosen by what a folder holds, and by the data that a user names."""

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edgeport.benchmarks.compare.baseline import Baseline, check_baseline
from edgeport.benchmarks.measure.any_model import Evaluation, benchmark_any, evaluation_of
from edgeport.benchmarks.measure.candidates.candidate import Samples
from edgeport.benchmarks.measure.compiled_metrics import compiled_metrics
from edgeport.benchmarks.measure.golden_benchmark import benchmark_golden, golden_evaluation, samples_digest
from edgeport.benchmarks.report.raw.record import Measured, Report
from edgeport.export.manifest import Manifest, read_manifest
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.golden.answers import FILE_NAME, read_golden
from edgeport.runtime.host.terminal import shell_word, visible
from edgeport.runtime.tensors.checks import few_steps
from edgeport.train.datasets.data import Data, numbered_as
from edgeport.train.zoo import find_published


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be measured.

    Attributes:
        samples: What is answered.
        candidates: How many there are, at most.
        measure: What does it.
        files: Where the artefacts are, by what the report calls them; those that it lacks lie in the folder.
        opened_by: With which arguments artefacts are opened, by what the report calls them; empty for those that say
            all themselves.
        example: What stands for a file of samples in a command line.
    """

    samples: Samples
    candidates: int
    measure: Callable[..., Report]
    files: Mapping[str, Path] = field(default_factory=dict)
    opened_by: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    example: str = "IMAGE.png"

    def command_for(self, measured: Measured, folder: Path) -> str:
        """Return the command that predicts with a candidate.

        Args:
            measured: The candidate.
            folder: Where artefacts are that ``files`` lacks.
        """
        path = self.files.get(measured.artefact, folder / measured.artefact)
        options = " --trust" if self.files and not measured.precision else ""
        options += f" --engine {measured.under}" if measured.under else ""
        return f"edgeport predict {shell_word(path)} {self.example}{options}"


def on_golden_samples(arguments: argparse.Namespace, folder: Path, baseline: Baseline | None) -> Job:
    """Return the benchmark of a folder with golden answers, which needs no TensorFlow."""
    if baseline is not None and baseline.folder is not None:
        raise InputError(
            f"--baseline: got the folder {baseline.folder}, expected a report.json: {FILE_NAME} is of one export"
        )
    if arguments.group_by:
        raise InputError(
            f"--group-by: got it without data, and the golden samples of {FILE_NAME} have no groups: name samples and "
            "what is true of them with --data"
        )
    golden = read_golden(folder / FILE_NAME)
    print(f"Measuring {len(golden.files)} artefacts on the {golden.count:,} golden samples of {FILE_NAME}")
    said = arguments.task or arguments.metric or arguments.only == "speed"
    if not (said or golden.outputs or golden.metrics or golden.groups is not None):
        check_baseline(baseline, dataset_sha256=samples_digest(golden))
        images = next(iter(golden.inputs.values()))
        return Job(images, len(golden.files), partial(benchmark_golden, folder, golden))
    tasks = dict.fromkeys(golden.outputs or ("",), "any") if arguments.only == "speed" else said_tasks(arguments)
    entries, evaluation, model, ports = golden_evaluation(folder, golden, tasks=tasks, metrics=arguments.metric)
    check_judged(arguments, evaluation)
    check_baseline(baseline, dataset_sha256=evaluation.facts["sha256"], model=model)
    for line in evaluation.words:
        print(line)
    measure = partial(benchmark_any, entries, evaluation, model=model, skip_refused=True)
    return Job(evaluation.samples, len(golden.files), measure, example=example_of(ports))


def on_data(arguments: argparse.Namespace, folder: Path, baseline: Baseline | None) -> Job:
    """Return the benchmark of an export folder beside its Keras model, on the test split of a data set."""
    manifest = read_manifest(folder)
    published = find_published(arguments.reference or "")
    reference = published.file if published else arguments.reference
    reference = reference or folder / (manifest.source["file"] or "model.keras")
    with quiet_stderr():
        from edgeport.benchmarks.measure.benchmarking import benchmark
        from edgeport.train.datasets.data import dataset_of
        from edgeport.train.datasets.forms import with_target
        from edgeport.train.datasets.function import check_user_named_it
        from edgeport.train.datasets.named import load_data
    name = with_target(arguments.dataset or manifest.dataset, arguments.target)
    if not name:
        raise InputError("the manifest names no data: say which with --data (a name, FILE.npz, FILE.csv:TARGET ...)")
    if not arguments.dataset:
        check_user_named_it(name, record=f"the manifest of {folder}", option="--data")
    if arguments.task or arguments.metric or arguments.group_by or not manifest.classifies_images:
        return _on_any_data(arguments, folder, manifest, reference, name, baseline)
    whole = load_data(name, **_wanted(arguments, manifest))
    dataset = dataset_of(whole, manifest.inputs, names=manifest.labels)
    check_baseline(baseline, dataset_sha256=dataset.sha256, model=manifest.name)
    _check_reference(reference)
    side_by_side = baseline.export if baseline else None
    print(f"Measuring {len(manifest.artefacts)} artefacts and the Keras model on {len(dataset.test):,} images")
    _say_what_is_judged(whole, dataset.splits)
    others = len(side_by_side[1].artefacts) if side_by_side else 0
    return Job(
        samples=dataset.test.samples,
        candidates=1 + len(manifest.artefacts) + others,
        measure=partial(benchmark, folder, manifest, reference, dataset, baseline=side_by_side),
    )


def _on_any_data(
    arguments: argparse.Namespace,
    folder: Path,
    manifest: Manifest,
    reference: Path,
    source: str,
    baseline: Baseline | None,
) -> Job:
    """Return the benchmark of a model of any kind, whose outputs are judged by what they mean."""
    from edgeport.benchmarks.measure.benchmarking import entries_of
    from edgeport.train.datasets.data import divided
    from edgeport.train.datasets.named import load_data

    _check_reference(reference)
    whole = load_data(source, **_wanted(arguments, manifest), groups=arguments.group_by)
    # Where nobody has divided it, as training and calibration did: what they have seen judges nothing.
    learned = bool(manifest.dataset) and manifest.dataset == source
    data = divided(whole, anyhow=True, by_group=not learned)
    tasks = said_tasks(arguments)
    if arguments.only == "speed":
        tasks = {output.name: "any" for output in manifest.outputs}
    data = numbered_for(data, manifest.outputs[0], tasks)
    evaluation = evaluation_of(data, manifest.inputs, manifest.outputs, tasks=tasks, metrics=arguments.metric)
    check_judged(arguments, evaluation)
    check_baseline(baseline, dataset_sha256=evaluation.facts["sha256"], model=manifest.name)
    if baseline and baseline.export:
        _check_alike(manifest, baseline.export[1])
    entries = entries_of(folder, manifest, reference, baseline=baseline.export if baseline else None)
    print(f"Measuring {len(entries)} candidates on {evaluation.facts['count']:,} samples of {source}")
    _say_what_is_judged(whole, data.parts, groups=bool(arguments.group_by) and not learned)
    for line in evaluation.words:
        print(line)
    for line in sorted({line for each in manifest.artefacts for line in narrow(each.inputs, evaluation, each.file)}):
        print(visible(line))
    offered = compiled_metrics(reference)
    if offered and not arguments.metric and any(each.targets for each in evaluation.judged):
        print(visible(f"The model was compiled with {', '.join(offered)}: --metric judges by one of them"))
    return Job(
        samples=evaluation.samples,
        candidates=len(entries),
        measure=partial(benchmark_any, entries, evaluation, model=manifest.name),
        example=example_of(manifest.inputs),
    )


def _say_what_is_judged(whole: Data, parts: Collection[str], *, groups: bool = False) -> None:
    """Print which samples of a source are judged, where the source itself does not say it."""
    if "test" in whole.parts:
        return
    if "test" in parts:
        share = "10 % of its groups" if groups else "10 % of it"
        print(f"{whole.name} is not divided: judged on its test part, {share}; x_test and y_test are judged whole")
    else:
        print(f"{whole.name} has no test part: all of it is judged, what calibrated the export included")


def _check_alike(manifest: Manifest, base: Manifest) -> None:
    """Raise InputError for a baseline that takes or answers other tensors."""
    for what in ("inputs", "outputs"):
        ports = [[(port.name, port.shape, port.kind) for port in getattr(each, what)] for each in (manifest, base)]
        if ports[0] != ports[1]:
            takes = [", ".join(map(str, getattr(each, what))) for each in (base, manifest)]
            raise InputError(f"--baseline: got the {what} {takes[0]}, expected those of {manifest.name}: {takes[1]}")


def _wanted(arguments: argparse.Namespace, manifest: Manifest) -> dict[str, Any]:
    """Return how the samples of a source are read for the model of an export."""
    return {
        "data_dir": arguments.data_dir,
        "image_shape": manifest.picture_shape,
        "resizing": manifest.resizing,
        "inputs": manifest.inputs,
    }


def _check_reference(reference: Path) -> None:
    if not reference.exists():
        raise InputError(
            f"{reference} is no Keras file, which a benchmark compares with: say where it is with --reference FILE"
        )


def example_of(inputs: Sequence[Input]) -> str:
    """Return what stands for a file of samples that a model takes in a command line."""
    (port,) = inputs if len(inputs) == 1 else (None,)
    if port is None:
        return "SAMPLES.npz"
    if port.log_mel:
        return "FILE.wav"
    if port.range is not None:
        return "IMAGE.png"
    return "FILE.csv" if port.columns else "SAMPLES.npz"


def narrow(tensors: Sequence[TensorSpec], evaluation: Evaluation, file: str) -> list[str]:
    """Return a line for each integer input of which the samples use but a few steps."""
    samples = evaluation.samples
    arrays = samples if isinstance(samples, Mapping) else {tensors[0].name: samples}
    return [
        line for each in tensors if each.name in arrays and (line := few_steps(arrays[each.name], each, named=file))
    ]


def check_judged(arguments: argparse.Namespace, evaluation: Evaluation) -> None:
    """Raise InputError if a loss is asked for where nobody says what is true."""
    if arguments.max_loss is not None and not any(each.targets for each in evaluation.judged):
        speed = arguments.only == "speed"
        why = "--only speed judges nothing" if speed else f"{evaluation.name} does not say what is true"
        raise InputError(f"--max-loss: got {arguments.max_loss:g}, and {why}")


def numbered_for(data: Data, first: Output, tasks: Mapping[str, str]) -> Data:
    """Return data whose classes have the numbers that the first output of a model gives them, if it gives classes."""
    if tasks.get(first.name, tasks.get("", first.kind)) not in ("classes", "yes-no"):
        return data
    return numbered_as(data, first.columns or (("no", "yes") if first.kind == "yes-no" else ()))


def said_tasks(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what ``--task`` says of outputs, by their names; one without a name is the first one's."""
    pairs = (text.rpartition("=") for text in arguments.task)
    return {name: task for name, _, task in pairs}
