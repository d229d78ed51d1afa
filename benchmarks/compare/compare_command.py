"""``edgeport compare``: judge a benchmark against an earlier one, beyond noise, with an exit code for CI."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from edgeport.benchmarks.compare.comparison import Comparison, compare_reports, compare_within
from edgeport.benchmarks.compare.comparison_table import (
    comparison_markdown,
    comparison_table,
    figures_table,
    next_step,
    verdict_lines,
)
from edgeport.benchmarks.compare.limits import Limits, add_limits, add_metric, limits_of
from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.raw.report_file import read_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("base", metavar="BASE.json", type=Path, help="the earlier report.json, or its folder")
    parser.add_argument("new", metavar="NEW.json", type=Path, help="the report.json to judge, or its folder")
    add_limits(parser)
    add_metric(parser)
    parser.add_argument(
        "--any-host",
        action="store_true",
        help="compare answers alone, whatever machines they were given on; latency is not judged",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="print Markdown, as for the summary of a CI job")
    parser.epilog = "Exit code: 0 no regression found, 1 regressed, 2 not comparable, or a file that cannot be read."


def run(arguments: argparse.Namespace) -> int:
    """Read both reports, print what changed, and return the exit code."""
    limits = limits_of(arguments)
    base, new = (read_report(path) for path in (arguments.base, arguments.new))
    comparison = compare_reports(base, new, limits=limits, metrics=arguments.metric)
    if not (arguments.json or arguments.markdown):
        show(comparison, Console(highlight=False, soft_wrap=True, markup=False, emoji=False))
        return comparison.exit_code
    print(comparison_json(comparison) if arguments.json else comparison_markdown(comparison), end="")
    # What goes into a file leaves the log of a CI job empty.
    print(verdict_lines(comparison)[-1], file=sys.stderr)
    return comparison.exit_code


def judge(base: Report | None, new: Report, *, limits: Limits, console: Console, metrics: Sequence[str] = ()) -> int:
    """Print how a run compares with a baseline, and return the exit code.

    Args:
        base: The earlier run; None if the artefacts of the baseline were measured in the same one.
        new: The run.
        limits: What is accepted.
        console: Where to print.
        metrics: The metrics that the user names; empty for those of the run.
    """
    if base is None:
        comparison = compare_within(new, limits=limits, metrics=metrics)
    else:
        comparison = compare_reports(base, new, limits=limits, metrics=metrics)
    show(comparison, console)
    return comparison.exit_code


def show(comparison: Comparison, console: Console) -> None:
    """Print a comparison for people; the verdict comes last, and then what to do."""
    if comparison.artefacts:
        for table in (comparison_table(comparison), figures_table(comparison)):
            console.print(table, soft_wrap=False)
            console.print()
    for line in verdict_lines(comparison):
        console.print(line)
    console.print(f"\nNext: {next_step(comparison)}")


def comparison_json(comparison: Comparison) -> str:
    """Return a comparison as the text of one JSON object, with null for what is not finite."""
    content = {
        "exit_code": comparison.exit_code,
        "verdict": verdict_lines(comparison)[-1],
        "regressions": comparison.regressions,
        **asdict(comparison),
    }
    return json.dumps(_finite(content), indent=1) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
