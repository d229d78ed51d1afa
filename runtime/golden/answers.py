"""Golden answers: what every artefact of a folder answers in each engine, to be compared with on another machine."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.formats import FORMATS, format_called
from edgeport.runtime.engines.installed import installed_engines
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError
from edgeport.runtime.files.array_archive import archive_bytes, read_archive
from edgeport.runtime.files.json_file import parse_json
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.host.machine import cpu_model
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.encoding import encode, encoder_of

FILE_NAME = "golden.npz"
SCHEMA = 1

_FACTS = "facts"
# What is known of the samples, an array each.
_KNOWN = ("labels", "reference", "targets", "groups")
Array = npt.NDArray[Any]
Run = Callable[[Mapping[str, Array]], dict[str, Array]]


@dataclass(frozen=True, eq=False)
class GoldenAnswer:
    """What one artefact answered in one engine.

    Attributes:
        file: The artefact's name in its folder.
        sha256: The digest of the whole file.
        precision: What its metadata says: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``.
        engine: The package that ran it, for example ``ai-edge-litert``.
        engine_version: That package's version.
        raw: For each output, in the artefact's order, the engine's own answers, of shape (n, ...).
    """

    file: str
    sha256: str
    precision: str
    engine: str
    engine_version: str
    raw: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Golden:
    """Samples, and what the artefacts of a folder answer to them.

    Attributes:
        inputs: For each input uint8 pixels, or the values that the model takes, of shape (n, ...).
        answers: What was answered, for each artefact and engine.
        labels: The true class of each sample, int64 of shape (n,); None if it is not known.
        reference: What the Keras model answers, float32 of shape (n, classes); None if it is not known.
        targets: For a model that does not choose a class of images, what is true of each sample, of shape (n, ...);
            None if it is not known.
        tasks: What its outputs mean, where a user says it otherwise than the artefacts; an empty name is the first's.
        metrics: The names of the metrics that judge, thresholds included, the one that decides first; empty for those
            of the task.
        groups: Which group each sample is in, int64 of shape (n,); None where each stands for itself.
        outputs: What that Keras model answers, for each output (n, ...); empty if it is not known.
        machine: The architecture of the machine that answered, for example ``x86_64``.
        cpu: Its CPU.
    """

    inputs: Mapping[str, Array]
    answers: tuple[GoldenAnswer, ...]
    labels: npt.NDArray[np.int64] | None = None
    reference: npt.NDArray[np.float32] | None = None
    targets: Array | None = None
    tasks: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    groups: npt.NDArray[np.int64] | None = None
    outputs: Mapping[str, Array] = field(default_factory=dict)
    machine: str = field(default_factory=platform.machine)
    cpu: str = field(default_factory=cpu_model)

    @property
    def files(self) -> tuple[str, ...]:
        """The artefacts, each named once."""
        return tuple(dict.fromkeys(answer.file for answer in self.answers))

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(next(iter(self.inputs.values())))


def golden_bytes(
    folder: Path,
    files: Sequence[str],
    inputs: Mapping[str, Array],
    *,
    labels: npt.NDArray[Any] | None = None,
    reference: npt.NDArray[Any] | None = None,
    targets: Array | None = None,
    tasks: Mapping[str, str] | None = None,
    metrics: Sequence[str] = (),
    groups: npt.NDArray[Any] | None = None,
    outputs: Mapping[str, Array] | None = None,
) -> bytes:
    """Return the content of golden.npz: the answers of each artefact in every engine of its format installed here.

    The same artefacts, engines, samples and machine give the same bytes.

    Args:
        folder: Where the artefacts are.
        files: Their names.
        inputs: For each input uint8 pixels, or the values that the model takes, of shape (n, ...).
        labels: The true class of each sample, if known.
        reference: The class probabilities of the Keras model, of shape (n, classes), if known.
        targets: What is true of each sample, of shape (n, ...), if it is no class of an image.
        tasks: What outputs mean, where a user says it.
        metrics: The names of the metrics that judge.
        groups: The number of each sample's group, if samples belong together.
        outputs: What the Keras model answers where that is no class of an image, for each output.

    Raises:
        ArtefactError: An artefact is missing, altered, or no engine here can open it.
        InputError: The samples do not fit the artefacts.
        MissingDependencyError: No engine for one of the artefacts is installed.
    """
    answers = [answer for file in files for answer in _answers(folder, file, inputs)]
    golden = Golden(
        inputs=dict(inputs),
        answers=tuple(answers),
        labels=None if labels is None else np.asarray(labels, np.int64),
        reference=None if reference is None else np.asarray(reference, np.float32),
        targets=targets,
        tasks=dict(tasks or {}),
        metrics=tuple(metrics),
        groups=None if groups is None else np.asarray(groups, np.int64),
        outputs=dict(outputs or {}),
    )
    try:
        _check(golden)
    except ValueError as error:
        raise InputError(f"golden answers: {error}") from error
    return archive_bytes(_arrays(golden))


def read_golden(path: Path) -> Golden:
    """Return the golden answers of a file.

    Raises:
        ArtefactError: The file is missing, damaged, altered or of another schema.
    """
    arrays = read_archive(path)
    try:
        facts = parse_json(arrays.pop(_FACTS).tobytes())
        if facts["schema"] != SCHEMA:
            raise ArtefactError(f"{path}: got schema {facts['schema']}, expected {SCHEMA}: make it again, or update")
        golden = _golden(facts, arrays)
        _check(golden)
    except ArtefactError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ArtefactError(f"{path} holds no golden answers, or damaged ones ({error}): copy it again") from error
    if arrays:
        raise ArtefactError(
            f"{path} holds arrays that it does not name ({', '.join(sorted(arrays)[:3])}): copy it again"
        )
    return golden


def raw_answers(predictor: Predictor, inputs: Mapping[str, Array], *, run: Run | None = None) -> dict[str, Array]:
    """Return the engine's own answers to samples, in its own types, of shape (n, ...) for each output.

    One sample at a time, or one batch of an artefact that is fixed to a batch: what a dynamic artefact answers to a
    sample can depend on those beside it.

    Args:
        predictor: A loaded artefact.
        inputs: For each input uint8 pixels, or the values that the model takes.
        run: What answers in the place of the artefact: a server that has it.

    Raises:
        InputError: An input is missing or unknown, or has another shape.
    """
    tensors = _tensors(predictor, inputs)
    batch = (predictor.spec.input.shape[0] if predictor.spec.input.shape else None) or 1
    count = len(next(iter(tensors.values())))
    answer = predictor.run if run is None else run
    parts = [
        answer({name: _filled(each[start : start + batch], batch) for name, each in tensors.items()})
        for start in range(0, count, batch)
    ]
    return {
        tensor.name: np.concatenate([part[tensor.name] for part in parts])[:count] for tensor in predictor.spec.outputs
    }


def top1_of(raw: Array) -> npt.NDArray[np.int64] | None:
    """Return the place of the largest answer of each row; None if the answers are no rows of 2 or more classes."""
    if raw.ndim != 2 or raw.shape[1] < 2:
        return None
    best: npt.NDArray[np.int64] = raw.argmax(axis=1).astype(np.int64)
    return best


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; raises ArtefactError if it cannot be read."""
    return hashlib.sha256(read_plain(path, most=MOST_MODEL)).hexdigest()


def _known_engines(file: str) -> tuple[str, ...]:
    return next((tuple(row.engines) for row in FORMATS if file.lower().endswith(row.suffix)), ())


def _answers(folder: Path, file: str, inputs: Mapping[str, Array]) -> list[GoldenAnswer]:
    """Return what an artefact answers in each engine that can open it; the first error if none can."""
    errors: list[ArtefactError | InputError | MissingDependencyError] = []
    answers = []
    for engine in installed_engines(format_called(file)) or (None,):
        try:
            predictor = load(folder / file, engine=engine)
            raw = raw_answers(predictor, inputs)
        except (ArtefactError, InputError, MissingDependencyError) as error:
            # Such as tflite-runtime beside numpy 2, or an operator that is too new for it.
            errors.append(error)
            continue
        spec = predictor.spec
        answers.append(
            GoldenAnswer(
                file=file,
                sha256=digest_of(folder / file),
                precision=spec.metadata.precision if spec.metadata else "",
                engine=spec.engine,
                engine_version=spec.engine_version,
                raw=raw,
            )
        )
    if not answers:
        raise errors[0]
    return answers


def _tensors(predictor: Predictor, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the samples in the artefact's own input types."""
    spec = predictor.spec
    if inputs.keys() != {tensor.name for tensor in spec.inputs}:
        raise InputError(
            f"{spec.name}: got samples for {', '.join(inputs)}, expected {', '.join(map(str, spec.inputs))}"
        )
    ports = {facts.name: facts for facts in spec.metadata.inputs} if spec.metadata else {}
    tensors = {}
    for tensor in spec.inputs:
        values, port = inputs[tensor.name], ports.get(tensor.name)
        if values.dtype == np.uint8 and port is not None and port.range is not None:
            if len(spec.inputs) == 1:
                return {tensor.name: predictor.encode(values)}
            tensors[tensor.name] = encoder_of(port, tensor)(values)
        else:
            tensors[tensor.name] = encode(values, tensor)
    return tensors


def _filled(values: Array, batch: int) -> Array:
    return values if len(values) == batch else np.resize(values, (batch, *values.shape[1:]))


def _arrays(golden: Golden) -> dict[str, Array]:
    """Return the arrays of the file: names and versions are in ``facts``, as the bytes of a JSON text."""
    facts = {
        "schema": SCHEMA,
        "machine": golden.machine,
        "cpu": golden.cpu,
        "inputs": list(golden.inputs),
        "answers": [
            {
                "file": answer.file,
                "sha256": answer.sha256,
                "precision": answer.precision,
                "engine": answer.engine,
                "engine_version": answer.engine_version,
                "outputs": list(answer.raw),
            }
            for answer in golden.answers
        ],
    }
    if golden.tasks or golden.outputs:
        facts |= {"tasks": dict(golden.tasks), "outputs": list(golden.outputs)}
    if golden.metrics:
        facts["metrics"] = list(golden.metrics)
    arrays: dict[str, Array] = {_FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8)}
    arrays |= {f"input.{place}": values for place, values in enumerate(golden.inputs.values())}
    arrays |= {name: values for name in _KNOWN if (values := getattr(golden, name)) is not None}
    arrays |= {f"output.{place}": values for place, values in enumerate(golden.outputs.values())}
    for number, answer in enumerate(golden.answers):
        arrays |= {f"raw.{number}.{place}": values for place, values in enumerate(answer.raw.values())}
    return arrays


def _golden(facts: dict[str, Any], arrays: dict[str, Array]) -> Golden:
    """Take the arrays out of ``arrays`` that ``facts`` names; raises ValueError, KeyError or TypeError on damage."""
    answers = []
    for number, entry in enumerate(facts["answers"]):
        raw = {name: arrays.pop(f"raw.{number}.{place}") for place, name in enumerate(entry.pop("outputs"))}
        answers.append(GoldenAnswer(**entry, raw=raw))
    return Golden(
        inputs={name: arrays.pop(f"input.{place}") for place, name in enumerate(facts["inputs"])},
        answers=tuple(answers),
        labels=arrays.pop("labels", None),
        reference=arrays.pop("reference", None),
        targets=arrays.pop("targets", None),
        tasks=facts.get("tasks", {}),
        metrics=tuple(facts.get("metrics", ())),
        groups=arrays.pop("groups", None),
        outputs={name: arrays.pop(f"output.{place}") for place, name in enumerate(facts.get("outputs", ()))},
        machine=facts["machine"],
        cpu=facts["cpu"],
    )


def _check(golden: Golden) -> None:
    """Raise ValueError or TypeError if golden answers cannot be what ``golden_bytes`` has made."""
    if not golden.answers or not golden.inputs:
        raise ValueError("they have no samples, or no answers")
    count = golden.count
    named = [(answer.file, answer.engine) for answer in golden.answers]
    texts = [
        text for answer in golden.answers for text in (*vars(answer).values(), *answer.raw) if text is not answer.raw
    ]
    texts += [*golden.tasks, *golden.tasks.values(), *golden.metrics, *golden.outputs]
    if not all(isinstance(text, str) for text in (*texts, golden.machine, golden.cpu, *golden.inputs)):
        raise TypeError("a name is no text")
    if len(set(named)) != len(named) or any(Path(file).name != file for file in golden.files):
        raise ValueError("they are not those of files of one folder, each answered once by an engine")
    for answer in golden.answers:
        if answer.engine.replace("-", "_") not in _known_engines(answer.file):
            raise ValueError(f"no engine called {answer.engine} can have run {answer.file}")
    arrays = [*golden.inputs.values(), *(raw for answer in golden.answers for raw in answer.raw.values())]
    if (
        not all(answer.raw for answer in golden.answers)
        or not all(len(array) == count for array in arrays)
        or not count
    ):
        raise ValueError("there is not one answer to each sample")
    known = [*golden.outputs.values(), *(() if golden.targets is None else (golden.targets,))]
    if not all(array.ndim and len(array) == count and array.dtype.kind in "biuf" for array in known):
        raise ValueError("the targets, or the answers of the Keras model, are not one number or row for each sample")
    for name, numbers in (("labels", golden.labels), ("groups", golden.groups)):
        if numbers is not None and (numbers.dtype != np.int64 or numbers.shape != (count,)):
            raise ValueError(f"got {name} {numbers.dtype} {numbers.shape}, expected int64 ({count},)")
    _check_reference(golden)


def _check_reference(golden: Golden) -> None:
    count = golden.count
    if golden.reference is not None and (
        golden.reference.dtype != np.float32 or len(golden.reference) != count or top1_of(golden.reference) is None
    ):
        raise ValueError(
            f"got a reference {golden.reference.dtype} {golden.reference.shape}, expected float32 ({count}, classes)"
        )
