"""Compare ways to quantize the same models: accuracy, size, latency and what stays in floats.

Run it with: python -m edgeport.benchmarks.lab.quantizers -o docs/results/quantizers.json MODEL...
"""

import argparse
import sys
from pathlib import Path

from edgeport.benchmarks.lab.quantizers.quantizer_report import RESULT
from edgeport.benchmarks.lab.script import run_script
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.files.output import write_whole


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="a .keras file with one input and output")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")


def _run(arguments: argparse.Namespace) -> None:
    with quiet_stderr():
        from edgeport.benchmarks.lab.quantizers.quantizer_comparison import compare_quantizers
    report = compare_quantizers(
        arguments.models, data_dir=arguments.data_dir, on_step=lambda what: print(what, flush=True)
    )
    write_whole(arguments.output, RESULT.text(report).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.quantizers",
            "Compare ways to quantize the same models.",
            run=_run,
            extra="export,quantizers",
            add_arguments=_add_arguments,
        )
    )
