"""Measure what the trip to a small computer cost, in accuracy, size, latency and memory, and report it.

To begin:

    from pathlib import Path
    from edgeport.benchmarks import read_report

    report = read_report(Path("benchmark/report.json"))
    for measured in report.artefacts:
        print(measured.name, report.accuracy(measured), measured.latency_us(50))
"""

from typing import TYPE_CHECKING

from edgeport.runtime.host.lazy_names import lazy_names
from edgeport.train.models import keras_backend  # noqa: F401  (chooses the backend before Keras is imported)

if TYPE_CHECKING:
    from edgeport.benchmarks.compare.comparison import compare_reports
    from edgeport.benchmarks.measure.assembly import Timing
    from edgeport.benchmarks.measure.benchmarking import benchmark
    from edgeport.benchmarks.measure.candidates.candidate import Candidate
    from edgeport.benchmarks.measure.protocol import Protocol
    from edgeport.benchmarks.measure.rounds import time_candidates
    from edgeport.benchmarks.report.raw.record import Measured, Report
    from edgeport.benchmarks.report.raw.report_file import read_report
    from edgeport.benchmarks.report.renderers.html import html_report

__all__ = [
    "Candidate",
    "Measured",
    "Protocol",
    "Report",
    "Timing",
    "benchmark",
    "compare_reports",
    "html_report",
    "read_report",
    "time_candidates",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Candidate": "measure.candidates.candidate",
        "Measured": "report.raw.record",
        "Protocol": "measure.protocol",
        "Report": "report.raw.record",
        "Timing": "measure.assembly",
        "benchmark": "measure.benchmarking",
        "compare_reports": "compare.comparison",
        "html_report": "report.renderers.html",
        "read_report": "report.raw.report_file",
        "time_candidates": "measure.rounds",
    },
)
