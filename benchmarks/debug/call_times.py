"""How long a call of each of some files takes, side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import artefact_candidate
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import time_candidates
from edgeport.benchmarks.report.raw.record import ENGINE_CALL
from edgeport.export.diagnosis.judge import Arrays

# Some seconds for each format: what is bought is a ratio, no benchmark.
_TIMED = Protocol(launches=3, turns=5, turn_seconds=0.03, warmup_seconds=0.2)


def call_times(files: Sequence[Path], sample: Arrays) -> list[float]:
    """Return the median time of a call of each file; see ``edgeport.export.diagnosis.judge.Times``."""
    candidates = [artefact_candidate(file.name, file) for file in files]
    samples = sample if len(sample) > 1 else next(iter(sample.values()))
    found = time_candidates(candidates, samples, protocol=_TIMED, ways=((ENGINE_CALL, 1),))
    series = [found.series[each.name][0] for each in candidates]
    return [float(np.median([np.median(launch) for launch in each.launches])) / 1e3 for each in series]
