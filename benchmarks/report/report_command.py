"""``edgeport report``: one self-contained page for one benchmark, or for those of several machines side by side."""

import argparse
import os
import sys
from pathlib import Path

from edgeport.benchmarks.compare.limits import Limits, add_max_loss, add_metric
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.raw.report_file import FILE_NAME, read_report
from edgeport.benchmarks.report.renderers.html import html_page
from edgeport.benchmarks.report.sections.answer import margin_sentence
from edgeport.benchmarks.report.sections.machines import differences, machine_names
from edgeport.benchmarks.report.sections.whole import document_of
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.host.terminal import shell_word, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "reports",
        metavar="REPORT.json",
        type=Path,
        nargs="+",
        help="a report.json of edgeport benchmark, or its folder; the others are compared with the first",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the page (default for one report: report.html beside it)",
    )
    add_max_loss(parser)
    add_metric(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Read the reports, write the page, and answer whether each loss is below ``--max-loss``."""
    limits = Limits(max_loss=arguments.max_loss)
    files = [path / FILE_NAME if path.is_dir() else path for path in arguments.reports]
    if arguments.output is None and len(files) > 1:
        raise InputError(f"-o: got {len(files)} reports, and no name for their page: say -o FILE, such as report.html")
    output: Path = arguments.output or files[0].with_name("report.html")
    _check_output(output, files, overwrite=arguments.overwrite)
    reports = [read_report(file) for file in files]
    findings = [findings_of(report, max_loss=limits.max_loss, metrics=arguments.metric) for report in reports]
    write_whole(output, html_page(document_of(findings)).encode())
    names = machine_names(reports)
    for line in differences(reports, names):
        print(visible(f"Note: {line}"))
    print(visible(f"Written to {output}: {'; '.join(names)}"))
    for each, name in zip(findings, names, strict=True):
        if sentence := margin_sentence(each):
            print(visible(f"{name}: {sentence}" if len(names) > 1 else sentence))
    print(f"\nNext: open {shell_word(output)}")
    problems = list(dict.fromkeys(problem for each in findings for problem in each.problems))
    for problem in problems:
        print(visible(f"edgeport: error: {problem}"), file=sys.stderr)
    return 2 if problems else 1 if any(each.above_margin for each in findings) else 0


def _check_output(output: Path, files: list[Path], *, overwrite: bool) -> None:
    """Raise InputError if the page may not be written there."""
    if output.is_dir():
        raise InputError(f"-o: got the folder {output}, expected the name of a file, such as {output / 'report.html'}")
    if not output.parent.is_dir():
        raise InputError(f"-o: got {output}, and there is no folder {output.parent}: make it first")
    if any(os.path.realpath(output) == os.path.realpath(file) for file in files):
        raise InputError(f"-o: got {output}, which is one of the reports: choose another name")
    if (output.exists() or output.is_symlink()) and not output.is_file():
        raise InputError(f"-o: got {output}, which is no plain file: choose another name")
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists: choose another name with -o, or replace it with --overwrite")
