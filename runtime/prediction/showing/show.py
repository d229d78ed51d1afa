"""What ``edgeport predict`` shows: the answers of an artefact as lines of text or of JSON, and as pictures."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.artefact.spec import Spec, TensorSpec
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.host.terminal import visible
from edgeport.runtime.prediction.showing.boxes import box_outputs, show_boxes
from edgeport.runtime.prediction.showing.maps import show_map
from edgeport.runtime.prediction.showing.rows import show_any, show_classes, show_labels, show_values, show_yes_no
from edgeport.runtime.prediction.showing.shown import Choices, Shown
from edgeport.runtime.samples.reading import Samples
from edgeport.runtime.tensors.arrays import Tensor

# A sample's name: its file, with the index or the line where a file holds many.
_PLACE = re.compile(r"(.*?)(?:\[(\d+)\]|:(\d+))?", re.DOTALL)
_KINDS: Mapping[str, Callable[[Tensor, Output, Choices], Shown]] = {
    "classes": show_classes,
    "labels": show_labels,
    "yes-no": show_yes_no,
    "values": show_values,
    "map": show_map,
    "any": show_any,
}


def meanings_of(spec: Spec) -> tuple[Output, ...]:
    """Return what the outputs of an artefact mean; where a file does not say, rows of two or more numbers are classes.

    They have the names and shapes of the artefact's own tensors.
    """
    facts = spec.metadata.outputs if spec.metadata else (Output(""),) * len(spec.outputs)
    return tuple(
        port._replace(name=tensor.name, shape=tensor.shape, kind=port.kind or _usual_kind(port, tensor))
        for port, tensor in zip(facts, spec.outputs, strict=True)
    )


def file_stems(names: Sequence[str]) -> list[str]:
    """Return for each sample what its files are called: by its own file and its place in there, and each otherwise."""
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        file, index, line = _PLACE.fullmatch(name).groups()  # type: ignore[union-attr]
        place = f"-{index or line}" if index or line else ""
        stem = (re.sub(r"[^\w.-]+", "-", Path(file).stem).strip("-.") or "sample") + place
        number, free = 2, stem
        while free in taken:
            number, free = number + 1, f"{stem}-{number}"
        taken.add(free)
        stems.append(free)
    return stems


def show(
    samples: Samples,
    answers: Mapping[str, Tensor],
    spec: Spec,
    choices: Choices,
    *,
    as_json: bool = False,
    folder: Path | None = None,
    stems: Sequence[str] = (),
) -> bool:
    """Print what an artefact answers to each sample, and write its pictures.

    Args:
        samples: The n samples.
        answers: For each output its name and n answers, as ``Predictor.answer`` gives them.
        spec: What is known of the artefact.
        choices: How answers are shown.
        as_json: Whether to print one JSON object a sample.
        folder: Where pictures and large arrays go; None to write none.
        stems: For each sample what its files are called.

    Returns:
        Whether there are pictures that could have been written.

    Raises:
        InputError: An answer is no number, or there is not one for each sample; or a file cannot be written.
    """
    outputs, missed = meanings_of(spec), False
    _check(answers, len(samples.names), spec)
    for place, name in enumerate(samples.names):
        row = {port.name: answers[port.name][place] for port in outputs}
        facts, lines = {}, []
        for port, shown in _shown(row, outputs, choices, _pixels(samples, spec, place)):
            written = _written(shown, port, folder, stems[place]) if folder else dict.fromkeys(shown.files)
            facts[port.name] = {**shown.facts, **written}
            if shown.lines:
                lines.append((port.name, [*shown.lines, *(f"-> {path}" for path in written.values() if path)]))
            missed |= "picture" in shown.files and folder is None
        if as_json:
            print(json.dumps({"sample": name, "outputs": facts}, allow_nan=False))
        else:
            _print(name, lines, several=len(lines) > 1)
    return missed


def facts_of(
    samples: Samples, answers: Mapping[str, Tensor], spec: Spec, choices: Choices, *, pictures: int = 0
) -> list[dict[str, Any]]:
    """Return what ``show`` prints as JSON, an object a sample; large arrays are not in it.

    Args:
        samples: See ``show``.
        answers: See ``show``.
        spec: See ``show``.
        choices: See ``show``.
        pictures: Of how many samples, from the first on, pictures of answers are in it, as URLs of PNG data.

    Raises:
        InputError: As ``show``.
    """
    outputs = meanings_of(spec)
    _check(answers, len(samples.names), spec)
    found = []
    for place, name in enumerate(samples.names):
        row = {port.name: answers[port.name][place] for port in outputs}
        shown = _shown(row, outputs, choices, _pixels(samples, spec, place))
        drawn = place < pictures
        found.append({"sample": name, "outputs": {port.name: _facts(each, drawn) for port, each in shown}})
    return found


def _facts(shown: Shown, drawn: bool) -> dict[str, Any]:
    if not drawn or "picture" not in shown.files:
        return dict(shown.facts)
    _, png = shown.files["picture"]
    return {**shown.facts, "picture": f"data:image/png;base64,{base64.b64encode(png()).decode()}"}


def _shown(
    row: Mapping[str, Tensor], outputs: Sequence[Output], choices: Choices, pixels: Tensor | None
) -> Iterator[tuple[Output, Shown]]:
    groups = {group.boxes.name: group for group in box_outputs(outputs)}
    partners = {name for group in groups.values() for name in group.partners}
    for port in outputs:
        if port.name in groups:
            yield port, show_boxes(groups[port.name], row, choices, pixels)
        else:
            shown = _KINDS[port.kind](row[port.name], port, choices)
            yield port, shown._replace(lines=()) if port.name in partners else shown


def _print(name: str, shown: Sequence[tuple[str, Sequence[str]]], *, several: bool) -> None:
    """Print one line where one is enough: the sample and its answer; else a line for each output or class."""
    if several:
        print(visible(name))
    for output, (first, *rest) in shown:
        print(visible(f"  {output}  {first}" if several else f"{name}  {first}"))
        for line in rest:
            print(visible(f"{'    ' if several else '  '}{line}"))


def _usual_kind(port: Output, tensor: TensorSpec) -> str:
    columns = tensor.shape[-1] if len(tensor.shape) == 2 else None
    if columns == 1 and len(port.columns) == 2:
        return "yes-no"
    is_real = tensor.quantized or "float" in tensor.dtype
    return "classes" if columns is not None and columns > 1 and is_real else "any"


def _check(answers: Mapping[str, Tensor], count: int, spec: Spec) -> None:
    for name, values in answers.items():
        if not np.isfinite(values).all():
            raise InputError(f"{spec.name} answers with values that are no numbers ({name}): they say nothing")
        if values.shape[:1] != (count,):
            raise InputError(
                f"{spec.name}: its output {name} has the shape {values.shape} for {count} samples, expected one answer "
                "for each: use it from Python"
            )


def _pixels(samples: Samples, spec: Spec, place: int) -> Tensor | None:
    """Return the picture that the model saw."""
    values = samples.values[spec.input.name]
    picture = values.dtype == np.uint8 and values.ndim == 4 and values.shape[-1] in (1, 3)
    return values[place] if picture else None


def _written(shown: Shown, port: Output, folder: Path, stem: str) -> dict[str, Any]:
    """Write the files of an answer, and return their paths by the key of the facts that they belong to."""
    paths = {}
    output = re.sub(r"[^\w.-]+", "-", port.name)
    for key, (ending, content) in shown.files.items():
        path = folder / f"{stem}.{output}{ending}"
        write_whole(path, content())
        paths[key] = str(path)
    return paths
