"""The run of ``edgeport benchmark`` on model files that a user names, whoever made them; they need no Keras."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from edgeport.benchmarks.compare.baseline import Baseline, check_baseline
from edgeport.benchmarks.measure.any_model import benchmark_any, evaluation_of
from edgeport.benchmarks.measure.assembly import Entry
from edgeport.benchmarks.measure.benchmarking import keras_entry
from edgeport.benchmarks.measure.candidates.candidate import Samples
from edgeport.benchmarks.measure.candidates.layouts import LAYOUTS
from edgeport.benchmarks.measure.candidates.model_files import (
    ModelFile,
    check_held,
    entry_of,
    held_narrowly,
    moved,
    read_model_file,
    shown_names,
)
from edgeport.benchmarks.measure.jobs import Job, check_judged, example_of, numbered_for, said_tasks
from edgeport.export.sources.output_contract import parsed_meanings, with_meanings
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.artefact.input_kinds import parsed_input, with_kinds
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.golden.answers import digest_of
from edgeport.runtime.host.terminal import visible
from edgeport.runtime.samples.array_names import ALL
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.encoding import real_values
from edgeport.train.datasets.data import Data, Part, inputs_of
from edgeport.train.datasets.forms import with_target
from edgeport.train.datasets.named import load_data


def on_files(arguments: argparse.Namespace, baseline: Baseline | None) -> Job:
    """Return the benchmark of files, the reference first: the one that ``--reference`` names, or else the first.

    Raises:
        EdgeportError: A file cannot be read or run, is no model like the reference, or the data are not for it.
    """
    if baseline is not None and baseline.folder is not None:
        raise InputError(
            f"--baseline: got the folder {baseline.folder}, expected a report.json: name its files beside the others "
            "to measure them in the same rounds"
        )
    first, paths = _paths(arguments)
    source = with_target(arguments.dataset, arguments.target)
    if not source:
        raise InputError("got model files and no data: say which with --data (FILE.npz, FILE.csv, a folder ...)")
    names = shown_names([first, *paths])
    others = [read_model_file(path, file=name) for path, name in zip(paths, names[1:], strict=True)]
    reference = _artefact(first, names[0], arguments) if _is_artefact(first) else _keras(first, names[0], arguments)
    matches, placed = _matches(arguments.match, reference, others)
    picture = _picture(reference.inputs)
    data = load_data(
        source,
        data_dir=arguments.data_dir,
        image_shape=picture.shape[1:] if picture else (None, None, None),  # type: ignore[arg-type]
        resizing=picture.resizing if picture else None,
        inputs=reference.inputs,
        groups=arguments.group_by,
    )
    reference = replace(reference, inputs=_taken(reference, data))
    tasks = {output.name: "any" for output in reference.outputs} if arguments.only == "speed" else said_tasks(arguments)
    data = numbered_for(data, reference.outputs[0], tasks)
    evaluation = evaluation_of(data, reference.inputs, reference.outputs, tasks=tasks, metrics=arguments.metric)
    check_judged(arguments, evaluation)
    check_baseline(baseline, dataset_sha256=evaluation.facts["sha256"], model=first.stem)
    real = _real(evaluation.samples, reference.inputs)
    entries, lines = [_reference_entry(reference)], []
    for model in others:
        entry, pairs = entry_of(model, reference, matches[model.file], placed=placed[model.file])
        entries.append(entry)
        check_held(model, pairs, real)
        lines += [*moved(model, entry), *held_narrowly(model, pairs, real)]
    if _is_artefact(first):
        own = {port.name: port.name for port in reference.inputs}
        check_held(reference, own, real)
        lines = [*held_narrowly(reference, own, real), *lines]
    print(f"Measuring {len(entries)} files on {evaluation.facts['count']:,} samples of {source}")
    print(f"The reference, which the others are compared with, is {reference.file}")
    for line in (*evaluation.words, *map(visible, lines)):
        print(line)
    measure = partial(benchmark_any, entries, evaluation, model=first.stem)
    return Job(
        evaluation.samples,
        len(entries),
        measure,
        files={model.file: model.path for model in (reference, *others)},
        opened_by={
            each.file: each.candidate.arguments for each in entries if each.candidate and each.format != "keras"
        },
        example=example_of(reference.inputs),
    )


def _paths(arguments: argparse.Namespace) -> tuple[Path, list[Path]]:
    """Return the reference and the other files."""
    named = {path.resolve() for path in arguments.models}
    if len(named) < len(arguments.models):
        raise InputError("got the same file twice, expected each once")
    first: Path = arguments.reference or arguments.models[0]
    return first, [path for path in arguments.models if path.resolve() != first.resolve()]


def _is_artefact(path: Path) -> bool:
    return path.name.lower().endswith(tuple(row.suffix for row in FORMATS))


def _artefact(path: Path, file: str, arguments: argparse.Namespace) -> ModelFile:
    """Return a reference of which a user says what it does not say itself."""
    model = read_model_file(path, file=file)
    for option, said in (("--input", arguments.input), ("--outputs", arguments.outputs)):
        if said and model.metadata is not None:
            raise InputError(f"{option}: got it for {model.file}, which says so itself: leave it out")
    inputs = with_kinds(model.inputs, [parsed_input(text) for text in arguments.input], what=model.file)
    outputs = model.outputs
    if model.metadata is None:
        meanings = parsed_meanings(arguments.outputs, outputs)
        outputs = with_meanings(outputs, {port.name: "none" for port in outputs}, meanings=meanings, names={})
    return replace(model, inputs=inputs, outputs=outputs)


def _keras(path: Path, file: str, arguments: argparse.Namespace) -> ModelFile:
    """Return a Keras file or a SavedModel as a reference."""
    with quiet_stderr():
        from edgeport.export import load_source

        source = load_source(path, inputs=arguments.input, outputs=arguments.outputs)
    sizes = [each.stat().st_size for each in (path.rglob("*") if path.is_dir() else [path]) if each.is_file()]
    digest = "" if path.is_dir() else digest_of(path)
    return ModelFile(path, file, sum(sizes), digest, None, (), tuple(source.inputs), tuple(source.outputs), {})


def _reference_entry(reference: ModelFile) -> Entry:
    if _is_artefact(reference.path):
        return entry_of(reference, reference, {})[0]
    entry = keras_entry(reference.path, reference.inputs, sha256=reference.sha256)
    return replace(entry, file=reference.file, bytes=reference.bytes)


def _matches(
    texts: Sequence[str], reference: ModelFile, others: Sequence[ModelFile]
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Return what ``--match`` says of files: by the reference's tensors their own, and where these have channels."""
    found: dict[str, dict[str, str]] = {model.file: {} for model in others}
    placed: dict[str, dict[str, str]] = {model.file: {} for model in others}
    for text in texts:
        model = next((each for each in others if text.startswith(f"{each.file}:")), None)
        own, equals, wanted = text[len(model.file) + 1 :].rpartition("=") if model else ("", "", "")
        if model is None or not equals:
            raise InputError(f"--match: got {text!r}, expected FILE:NAME=NAME with one of {', '.join(found)}")
        before, colon, layout = wanted.rpartition(":")
        if colon and layout in LAYOUTS:
            wanted = before
            placed[model.file][wanted] = layout
        for name, of in ((own, model), (wanted, reference)):
            known = [*(port.name for port in of.inputs), *(port.name for port in of.outputs)]
            if name not in known:
                raise unknown_name(f"tensor of {of.file}", name, known)
        found[model.file][wanted] = own
    return found, placed


def _picture(inputs: Sequence[Input]) -> Input | None:
    """Return the only input, if it takes pictures."""
    picture = len(inputs) == 1 and inputs[0].is_image and inputs[0].shape[3] in (1, 3)
    return inputs[0] if picture else None


def _taken(reference: ModelFile, data: Data) -> tuple[Input, ...]:
    """Return the inputs, each of the kind that somebody says or that its samples are.

    Raises:
        InputError: The samples are pixels, and nobody says what these are to the model.
    """
    part: Part = data.parts.get("test") or data.parts.get(ALL) or next(iter(data.parts.values()))
    samples = inputs_of(part, reference.inputs, named=data.name)
    for port in reference.inputs:
        if port.is_real and not port.kind and samples[port.name].dtype == np.uint8:
            raise InputError(
                f"{data.name}: got uint8 for the input {port} of {reference.file}, and nobody says what they are to "
                f"it: say what 0 and 255 are with --input {port.name}=pixels:LOW:HIGH, such as pixels:0:1 or "
                "pixels:-1:1, or give real values"
            )
    return tuple(port._replace(kind=port.kind or ("real" if port.is_real else "ids")) for port in reference.inputs)


def _real(samples: Samples, inputs: Sequence[Input]) -> dict[str, Tensor]:
    arrays = samples if isinstance(samples, Mapping) else {inputs[0].name: samples}
    return {port.name: real_values(arrays[port.name], port) for port in inputs}
