"""Measure what the trip to a small computer cost, in accuracy, size and latency, and tell it in reports.

To begin::

    from pathlib import Path
    from edgeport.benchmarks import read_report

    for measured in read_report(Path("benchmark/report.json")).artefacts:
        print(measured.name, measured.accuracy, measured.latency_us(50))
"""

from typing import TYPE_CHECKING

from edgeport.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from edgeport.benchmarks.benchmarking import benchmark
    from edgeport.benchmarks.latency import Protocol, measure_latency
    from edgeport.benchmarks.report import Measured, Report, read_report

__all__ = ["Measured", "Protocol", "Report", "benchmark", "measure_latency", "read_report"]

__getattr__ = lazy_names(
    __name__,
    {
        "Measured": "report",
        "Protocol": "latency",
        "Report": "report",
        "benchmark": "benchmarking",
        "measure_latency": "latency",
        "read_report": "report",
    },
)
