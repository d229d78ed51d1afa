"""Run artefacts under MLPerf LoadGen, and say whether its clock and edgeport's agree."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import Samples, picked
from edgeport.benchmarks.measure.machine.host import usable_cores
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.runtime.errors import InputError, MissingDependencyError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.host.json_process import JsonProcess, with_threads

QUERIES = 1024
# The two p90 of an artefact agree if they differ by no more than this.
AGREEMENT = 0.05
# LoadGen's library of samples, and no more memory than that.
IMAGES = 1024
SECONDS = 20.0
_PATIENCE_SECONDS = 3600.0


@dataclass(frozen=True)
class LoadgenResult:
    """One artefact under LoadGen, and under edgeport's own clock, in one process and in turns.

    LoadGen's rules leave what comes before and after the engine untimed: both time the engine's call on a sample that
    was encoded before.

    Attributes:
        file: The artefact.
        sha256: The digest of its file.
        engine: ``name`` and ``version`` of what ran it.
        threads: Threads that the engine might use.
        loadgen: The version of LoadGen.
        queries: Queries of each SingleStream test, and samples of each Offline test.
        valid: Whether LoadGen calls every one of the tests valid.
        single_stream: p50 and p90 in ns of each SingleStream test, as LoadGen reports them.
        own: p50 and p90 in ns of as many calls under edgeport's clock, once for each test and beside it.
        idle: p50 and p90 in ns of the same tests of a system that answers at once: what the harness itself takes.
        offline_batch: Images of a call in Offline.
        offline: Samples per second of each Offline test, as LoadGen reports them.
        own_offline: Samples per second of as many calls under edgeport's clock.
    """

    file: str
    sha256: str
    engine: Mapping[str, str]
    threads: int
    loadgen: str
    queries: int
    valid: bool
    single_stream: list[list[int]]
    own: list[list[int]]
    idle: list[list[int]]
    offline_batch: int
    offline: list[float]
    own_offline: list[float]

    @property
    def p90_us(self) -> float:
        """LoadGen's 90th percentile in us: the median of the tests."""
        return median(p90 for _, p90 in self.single_stream) / 1e3

    @property
    def own_p90_us(self) -> float:
        """The 90th percentile under edgeport's clock, in us: the median of as many rounds."""
        return median(p90 for _, p90 in self.own) / 1e3

    @property
    def harness_us(self) -> float:
        """What a query takes that is answered at once, in us: the median."""
        return median(p50 for p50, _ in self.idle) / 1e3

    @property
    def difference(self) -> float:
        """How much LoadGen's p90 is above edgeport's, as a share: the median over tests and the rounds beside them."""
        return self._difference(0.0)

    @property
    def difference_without_harness(self) -> float:
        """The same, after what the harness itself takes is subtracted from LoadGen's p90."""
        return self._difference(self.harness_us * 1e3)

    @property
    def agrees(self) -> bool:
        """Whether the two p90 differ by no more than AGREEMENT."""
        return abs(self.difference) <= AGREEMENT

    def _difference(self, subtracted_ns: float) -> float:
        pairs = zip(self.single_stream, self.own, strict=True)
        return median((theirs - subtracted_ns) / ours - 1 for (_, theirs), (_, ours) in pairs)


def run_loadgen(
    path: Path,
    samples: Samples,
    *,
    threads: int = 1,
    trust: bool = False,
    seconds: float = SECONDS,
    opened_by: Mapping[str, Any] | None = None,
) -> LoadgenResult:
    """Run an artefact under MLPerf LoadGen, SingleStream and Offline, in a process and on cores of its own.

    It is an experiment with LoadGen's clock, and no submission: each test has 1,024 queries, where the rules ask for
    ten minutes.

    Args:
        path: The artefact.
        samples: Pixels are uint8 of shape (n, height, width, channels); all else is as the model takes it, an array for
            each input by its name if there are several. The first 1,024 are used.
        threads: How many threads its engine may use.
        trust: Run a file without a digest.
        seconds: About how long it may take; slow artefacts take longer.
        opened_by: Further arguments of ``open_artefact``: which tensor of a foreign file is which, and what it takes.

    Raises:
        ArtefactError: The artefact cannot be used, or its process died.
        InputError: The artefact takes several samples at a time, or the samples are not its own.
        MissingDependencyError: LoadGen is not installed.
    """
    if find_spec("mlperf_loadgen") is None:
        raise MissingDependencyError("MLPerf LoadGen is not installed: pip install 'edgeport[mlperf]'")
    cores = usable_cores()
    if not 1 <= threads <= len(cores):
        raise InputError(f"--threads: got {threads}, expected 1 to {len(cores)}, the cores that this process may use")
    with temporary_folder() as folder:
        taken = picked(samples, slice(IMAGES))
        paths = {}
        for place, (name, array) in enumerate(taken.items() if isinstance(taken, Mapping) else [("", taken)]):
            paths[name] = str(folder / f"input{place}.npy")
            np.save(paths[name], array, allow_pickle=False)
        order = {
            "artefact": {"path": str(path), "trust": trust, **(opened_by or {})},
            "samples": paths if isinstance(taken, Mapping) else paths[""],
            "threads": threads,
            # The last ones, as in every measurement: the first often serves the machine's interrupts.
            "cores": cores[-threads:],
            "queries": QUERIES,
            "seconds": seconds,
        }
        with JsonProcess("edgeport.benchmarks.mlperf.loadgen_process", environment=with_threads(threads)) as process:
            figures = process.ask(order, name=f"{path.name} under LoadGen", within=_PATIENCE_SECONDS)
    return LoadgenResult(
        file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), threads=threads, **figures
    )


def markdown(results: Sequence[LoadgenResult]) -> str:
    """Return the results as a Markdown table, and in a sentence which agree."""
    heads = (
        "artefact", "p90, us: LoadGen", "edgeport", "difference", "without the harness' own time",
        "Offline, samples/s: LoadGen", "edgeport",
    )  # fmt: skip
    rows = [
        (
            each.file, f"{each.p90_us:.1f}", f"{each.own_p90_us:.1f}", f"{100 * each.difference:+.1f} %",
            f"{100 * each.difference_without_harness:+.1f} %", f"{median(each.offline):,.0f}",
            f"{median(each.own_offline):,.0f}",
        )
        for each in results
    ]  # fmt: skip
    return f"{markdown_table(heads, rows)}\n{_verdict(results)}\n"


def _verdict(results: Sequence[LoadgenResult]) -> str:
    far = [each for each in results if not each.agrees]
    share = f"{100 * AGREEMENT:.0f} %"
    harness = f"{min(each.harness_us for each in results):.1f}"
    most = f"{max(each.harness_us for each in results):.1f}"
    took = harness if harness == most else f"{harness} to {most}"
    sentences = [
        f"The two p90 agree within {share} for {len(results) - len(far)} of {len(results)} artefacts.",
        f"A query that is answered at once takes LoadGen {took} us, which its figures include.",
    ]
    harness_alone = [each for each in far if abs(each.difference_without_harness) <= AGREEMENT]
    if harness_alone:
        sentences.append(f"That is what sets {_names(harness_alone)} apart.")
    noisy = [each for each in far if each not in harness_alone]
    if noisy:
        sentences.append(f"It does not explain {_names(noisy)}.")
    invalid = [each for each in results if not each.valid]
    if invalid:
        sentences.append(f"LoadGen calls a test of {_names(invalid)} invalid.")
    return " ".join(sentences)


def _names(results: Sequence[LoadgenResult]) -> str:
    return ", ".join(each.file for each in results)
