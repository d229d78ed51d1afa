"""Measure what the trip to a small computer cost, in accuracy, size, latency and memory, and tell it in reports.

To begin::

    from pathlib import Path
    from edgeport.benchmarks import read_report

    report = read_report(Path("benchmark/report.json"))
    for measured in report.artefacts:
        print(measured.name, report.accuracy(measured), measured.latency_us(50))
"""

from typing import TYPE_CHECKING

from edgeport.runtime.lazy_names import lazy_names
from edgeport.train import keras_backend  # noqa: F401  (chooses the backend before Keras is imported)

if TYPE_CHECKING:
    from edgeport.benchmarks.assembly import Sweep
    from edgeport.benchmarks.benchmarking import benchmark
    from edgeport.benchmarks.compare.comparison import compare_reports
    from edgeport.benchmarks.measuring.contender import Contender
    from edgeport.benchmarks.measuring.measure import time_contenders
    from edgeport.benchmarks.measuring.protocol import Protocol
    from edgeport.benchmarks.report.html_report import html_report
    from edgeport.benchmarks.report.record import Measured, Report
    from edgeport.benchmarks.report.report_file import read_report

__all__ = [
    "Contender",
    "Measured",
    "Protocol",
    "Report",
    "Sweep",
    "benchmark",
    "compare_reports",
    "html_report",
    "read_report",
    "time_contenders",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Contender": "measuring.contender",
        "Measured": "report.record",
        "Protocol": "measuring.protocol",
        "Report": "report.record",
        "Sweep": "assembly",
        "benchmark": "benchmarking",
        "compare_reports": "compare.comparison",
        "html_report": "report.html_report",
        "read_report": "report.report_file",
        "time_contenders": "measuring.measure",
    },
)
