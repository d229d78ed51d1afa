"""What a benchmark measures: artefacts and the model that they came from, all timed in the same rounds."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.host import host_facts
from edgeport.benchmarks.latency import Protocol, measure_latency
from edgeport.benchmarks.report import Measured, Report
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.loading import load
from edgeport.runtime.predictor import Predictor
from edgeport.runtime.quiet import quiet_stderr

LOADS = 5

Images = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Contender:
    """One thing to measure.

    Attributes:
        facts: What the report says of it, beside the answers and the times of its calls.
        predictions: The class of each image.
        run: One engine call on one image; None if it cannot be timed here.
        predict: From one image's pixels to probabilities; None if it cannot be timed here.
    """

    facts: Mapping[str, Any]
    predictions: Classes
    run: Callable[[], object] | None = None
    predict: Callable[[], object] | None = None


def timed_loads(path: Path, *, threads: int) -> tuple[Predictor, list[int]]:
    """Return the predictor of an artefact, and the nanoseconds of each of several loadings; raises what ``load`` does.

    Args:
        path: The artefact.
        threads: How many threads its engine may use.
    """
    load_ns = []
    with quiet_stderr():
        for _ in range(LOADS):
            started = time.perf_counter_ns()
            predictor = load(path, threads=threads)
            load_ns.append(time.perf_counter_ns() - started)
    return predictor, load_ns


def artefact_contender(
    predictor: Predictor, images: Images, *, precision: str, path: Path, sha256: str, load_ns: Sequence[int]
) -> Contender:
    """Return a loaded artefact as a contender, with its answers to the images.

    Args:
        predictor: The artefact.
        images: uint8 pixels of shape (n, height, width, channels).
        precision: The artefact's precision.
        path: Its file.
        sha256: The digest of the file.
        load_ns: Nanoseconds of each loading.
    """
    spec = predictor.spec
    facts = {
        "file": path.name,
        "format": spec.format,
        "precision": precision,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "engine": {"name": spec.engine, "version": spec.engine_version, "threads": spec.threads},
        "load_ns": list(load_ns),
    }
    image = images[:1]
    tensor = predictor.encode(image)
    answers = predictor.predict(images).argmax(axis=1)
    return Contender(facts, answers, partial(predictor.run, tensor), partial(predictor.predict, image))


def measured_report(
    contenders: Sequence[Contender],
    classes: Classes,
    *,
    model: str,
    dataset: Mapping[str, Any],
    protocol: Protocol,
    on_step: Callable[[str], None],
    skipped: Sequence[Mapping[str, str]] = (),
) -> Report:
    """Time the contenders in rounds, count their right answers, and return the report.

    Args:
        contenders: The reference first.
        classes: The true class of each image.
        model: The model's name.
        dataset: ``name``, ``split``, ``count`` and ``sha256`` of the images.
        protocol: How latency is measured.
        on_step: Called with a few words before each round.
        skipped: What could not be run here: ``file`` and ``reason``.
    """
    calls: dict[str, Callable[[], object]] = {}
    for each in contenders:
        for what, call in (("run", each.run), ("predict", each.predict)):
            if call is not None:
                calls[f"{what} {each.facts['file']}"] = call
    samples = measure_latency(
        calls, protocol, on_round=lambda number: on_step(f"latency, round {number} of {protocol.rounds}")
    )
    measured = tuple(
        Measured(
            **each.facts,
            predictions=[int(answer) for answer in each.predictions],
            correct=int((each.predictions == classes).sum()),
            latency_ns=samples.get(f"run {each.facts['file']}", []),
            predict_ns=samples.get(f"predict {each.facts['file']}", []),
        )
        for each in contenders
    )
    return Report(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgeport={"version": version("edgeport")},
        model=model,
        host=host_facts(),
        dataset=dataset,
        protocol={**asdict(protocol), "batch": 1, "loads": LOADS},
        artefacts=measured,
        skipped=tuple(skipped),
    )


def check_file(path: Path, sha256: str, *, described_by: str, cure: str) -> None:
    """Raise ArtefactError if a file is missing or is not the one with this digest.

    Args:
        path: The file.
        sha256: Its digest.
        described_by: What knows the digest.
        cure: What to do about another one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"cannot read {path}, which {described_by} lists: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArtefactError(f"{path} is not the file that {described_by} describes (its SHA-256 differs): {cure}")
