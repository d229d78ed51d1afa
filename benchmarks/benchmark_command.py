"""``edgeport benchmark``: every artefact of an export folder and the Keras model, on the same test images."""

import argparse
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edgeport.benchmarks.compare.baseline import Baseline, read_baseline
from edgeport.benchmarks.compare.limits import add_limits, add_metric, limits_of
from edgeport.benchmarks.measure.assembly import OnStep, Timing
from edgeport.benchmarks.measure.jobs import Job, on_data, on_golden_samples
from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.measure.machine.host import usable_cores
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.mlperf.loadgen import LoadgenResult, run_loadgen
from edgeport.benchmarks.mlperf.loadgen import markdown as loadgen_markdown
from edgeport.benchmarks.profile.profile_facts import from_document
from edgeport.benchmarks.profile.profile_table import profile_table
from edgeport.benchmarks.report.raw.engine_choice import fastest_of
from edgeport.benchmarks.report.raw.record import BASELINE, KERAS, Report
from edgeport.benchmarks.report.raw.report_file import FILE_NAME as REPORT_FILE
from edgeport.benchmarks.report.raw.report_file import with_visible_texts
from edgeport.benchmarks.report.renderers.terminal import terminal_table
from edgeport.benchmarks.report.results import can_show, write_results
from edgeport.benchmarks.report.sections.medians import medians_table
from edgeport.benchmarks.report.sections.notes import notes_of
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.artefact.input_kinds import add_inputs
from edgeport.runtime.cli import needing
from edgeport.runtime.engines.installed import engines_listed
from edgeport.runtime.errors import EdgeportError, InputError, MissingDependencyError
from edgeport.runtime.files.claim import claimed_folder
from edgeport.runtime.files.output import check_output_folder
from edgeport.runtime.golden.answers import FILE_NAME
from edgeport.runtime.host.terminal import shell_word, visible

if TYPE_CHECKING:
    from edgeport.benchmarks.report.findings import Findings

# Stages have a folder each; the report goes beside theirs.
_STAGES = ("export", "artefacts")
_PROTOCOL = Protocol()
_LARGEST_BATCH = 4096
_PROFILED = ("float32", "int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        type=Path,
        nargs="+",
        help="an export folder, or one with golden.npz; or .tflite and .onnx files, whoever made them",
    )
    _add_data(parser)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="MODEL",
        help="what the others are compared with: the Keras file, or zoo:NAME (default: where the manifest says it was; "
        "of model files the first)",
    )
    parser.add_argument(
        "--threads", default="1", metavar="N,N", help="threads of each engine, one number or several (default 1)"
    )
    parser.add_argument("--batches", default="1", metavar="N,N", help="images a call, such as 1,8,32 (default 1)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=_PROTOCOL.launches,
        metavar="N",
        help=f"how often each candidate is started anew and timed (default {_PROTOCOL.launches})",
    )
    parser.add_argument(
        "--engines",
        metavar="all|NAME,NAME",
        default="",
        help="measure each file under these engines too, in the same turns, and name the fastest that answers alike",
    )
    # Its former name.
    parser.add_argument("--launches", dest="rounds", type=int, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help="also time operator by operator, and explain")
    parser.add_argument("--mlperf", action="store_true", help="also run each artefact under MLPerf LoadGen")
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="BASE",
        help="what to judge against: a report.json, or an export folder, which is measured in the same rounds",
    )
    add_limits(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="where the report goes (default: benchmark, beside a folder called export or artefacts, else in it)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the report that the output folder holds")
    _add_files(parser)


def _add_files(parser: argparse.ArgumentParser) -> None:
    """Declare what a user says of files that do not say it themselves."""
    files = parser.add_argument_group("files that edgeport did not make")
    add_inputs(files)
    files.add_argument(
        "--outputs",
        metavar="NAME=KIND",
        action="append",
        default=[],
        help="what an output of the reference means, with names and units: temperature=values:degC, as for export",
    )
    files.add_argument(
        "--match",
        metavar="FILE:NAME=NAME[:LAYOUT]",
        action="append",
        default=[],
        help="which tensor of a file is which of the reference's, where neither names nor shapes say it, and where its "
        "channels are: channels-first, channels-last, same",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    """Declare what is asked, and how the answers are judged."""
    parser.add_argument(
        "--data",
        "--dataset",
        dest="dataset",
        metavar="DATA",
        help="the samples: a data set's name, FILE.npz, FILE.csv:TARGET, a folder of class folders, FILE.py:FUNCTION "
        "(default: the golden samples of DIR, or the set that the model was trained on)",
    )
    parser.add_argument("--target", metavar="COLUMN", help="of a CSV file: the column that holds what is true")
    parser.add_argument(
        "--task",
        metavar="[OUTPUT=]TASK",
        action="append",
        default=[],
        help="what an output means, where its export does not say: classes, yes-no, labels, values, map, "
        "sequence, boxes, anomaly, similarity, any",
    )
    add_metric(parser)
    parser.add_argument(
        "--group-by",
        metavar="COLUMN|ARRAY|FILE",
        help="which samples belong together, as the windows of one recording do: a column of the CSV file, an array of "
        "the .npz file, or a file with a group for each sample (.npy, .txt)",
    )
    parser.add_argument(
        "--only", choices=("accuracy", "speed"), help="answers without times, or times without what is true"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, and write report.json, report.md, report.html and the pictures."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    if not 1 <= arguments.rounds <= 1000:
        raise InputError(f"--rounds: got {arguments.rounds}, expected 1 to 1000")
    timing = Timing(
        batches=_numbers("--batches", arguments.batches, _LARGEST_BATCH),
        threads=_numbers("--threads", arguments.threads, len(usable_cores())),
        protocol=Protocol(launches=0 if arguments.only == "accuracy" else arguments.rounds),
        engines=engines_listed(arguments.engines) if arguments.engines else (),
    )
    folder = _folder(arguments)
    output = arguments.output or (folder.parent if folder.name in _STAGES else folder) / "benchmark"
    # All that can be refused is refused before the long work.
    _check_installed(arguments)
    limits = limits_of(arguments)
    check_output_folder(output, overwrite=arguments.overwrite)
    # A job that is cancelled keeps what it has measured, as one that a user interrupts.
    if threading.current_thread() is threading.main_thread():
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.default_int_handler)
    baseline = read_baseline(arguments.baseline) if arguments.baseline else None
    with needing("benchmarks", f"edgeport benchmark without golden answers ({FILE_NAME})"):
        job = _job(arguments, folder, baseline)
        # A folder that cannot be written to is found before the long work, and kept for its result.
        with claimed_folder(output) as claim:
            report = with_visible_texts(_measured(job, timing, arguments, folder, console))
            # Whatever becomes of the judging, which may take long and run a metric of the user's own.
            images = None if report.judged or isinstance(job.samples, Mapping) else job.samples
            written = write_results(claim, report, images)
        try:
            findings, shown = _found(report, limits.max_loss, arguments.metric)
        except KeyboardInterrupt:
            again = f"edgeport report {shell_word(output)}"
            print(
                visible(f"edgeport: interrupted: {output} holds what was measured; {again} judges it"), file=sys.stderr
            )
            return 130
        if shown:
            with claimed_folder(output) as claim:
                written = write_results(claim, report, images, shown=shown)
    _show(report, findings, console)
    console.print(visible(f"Written to {output}: {', '.join(written)}"))
    code = max(_exit_code(report), _judgement(findings))
    if baseline is not None and not (findings and findings.problems):
        from edgeport.benchmarks.compare.compare_command import judge

        code = max(code, judge(baseline.report, report, limits=limits, metrics=arguments.metric, console=console))
    page = "report.html" if findings else REPORT_FILE
    step = "open" if findings else "on a workstation, or after pip install 'edgeport[report]': edgeport report"
    console.print(f"\nNext: {step} {shell_word(output / page)}")
    console.print(f"      {job.command_for(fastest_of(report), folder)}")
    return code


def _folder(arguments: argparse.Namespace) -> Path:
    """Return the folder that is measured, or in which the first of some files lies."""
    first: Path = arguments.models[0]
    folders = [each for each in arguments.models if each.is_dir()]
    if len(arguments.models) > 1 and folders:
        raise InputError(f"got {folders[0]} beside others, expected one export folder, or model files alone")
    named = first.is_file() or first.name.lower().endswith(tuple(row.suffix for row in FORMATS))
    return first.parent if named else first


def _job(arguments: argparse.Namespace, folder: Path, baseline: Baseline | None) -> Job:
    """Return what is measured: files, golden samples, or an export on data."""
    if folder not in arguments.models:
        from edgeport.benchmarks.measure.files_job import on_files

        return on_files(arguments, baseline)
    for option in ("input", "outputs", "match"):
        if getattr(arguments, option):
            raise InputError(f"--{option}: got it with a folder, whose artefacts say it themselves: leave it out")
    on_golden = (folder / FILE_NAME).is_file() and not (arguments.dataset or arguments.reference)
    return (on_golden_samples if on_golden else on_data)(arguments, folder, baseline)


def _found(
    report: Report, max_loss: float | None, metrics: Sequence[str]
) -> tuple["Findings | None", list[tuple[str, bytes]]]:
    """Return the findings and the files that show them, if what they are made with is installed."""
    if not can_show():
        return None, []
    from edgeport.benchmarks.report.findings import findings_of
    from edgeport.benchmarks.report.renderers.files import shown_files

    findings = findings_of(report, max_loss=max_loss, metrics=metrics)
    return findings, list(shown_files(findings))


def _exit_code(report: Report) -> int:
    """Return 0, 130 for a run that was interrupted, or 2 for one that a candidate has ended."""
    if not report.partial:
        return 0
    return 130 if report.partial.startswith("interrupted") else 2


def _judgement(findings: "Findings | None") -> int:
    """Return 2 for a metric that gives no number, which is said, 1 for a loss that is not below its margin, else 0."""
    if findings is None:
        return 0
    for problem in findings.problems:
        print(
            visible(f"edgeport: error: {problem}; edgeport report {REPORT_FILE} --metric ... judges again"),
            file=sys.stderr,
        )
    return 2 if findings.problems else 1 if findings.above_margin else 0


def _check_installed(arguments: argparse.Namespace) -> None:
    """Raise MissingDependencyError if an option needs a package that is not installed."""
    if arguments.baseline and not can_show():
        raise MissingDependencyError(
            "edgeport benchmark --baseline needs scipy and what shows a report: pip install 'edgeport[report]'; or "
            f"measure here without it, and judge on a workstation with edgeport compare BASE.json {REPORT_FILE}"
        )
    if arguments.max_loss is not None and not can_show():
        raise MissingDependencyError(
            "edgeport benchmark --max-loss needs scipy and what shows a report: pip install 'edgeport[report]'; or "
            f"measure here without it, and ask on a workstation: edgeport report {REPORT_FILE} --max-loss LOSS"
        )
    for option, package, extra in (("profile", "onnx", "export"), ("mlperf", "mlperf_loadgen", "mlperf")):
        if getattr(arguments, option) and find_spec(package) is None:
            raise MissingDependencyError(
                f"edgeport benchmark --{option} needs {package}, which is not installed: "
                f"pip install 'edgeport[{extra}]'"
            )


def _show(report: Report, findings: "Findings | None", console: Console) -> None:
    """Print the table, what it says, and the profiles."""
    if findings is None:
        console.print(terminal_table(medians_table(report), width=console.width))
        found = disturbances(report.conditions, report.host)
        lines = [
            *notes_of(report, found),
            f"Medians alone; edgeport report {REPORT_FILE} on a workstation makes the page",
        ]
    else:
        from edgeport.benchmarks.report.sections.answer import margin_sentence, verdict_lines
        from edgeport.benchmarks.report.sections.summary import legend_of, terminal_summary

        table = terminal_table(terminal_summary(findings), width=console.width)
        console.print(table)
        legend = legend_of([str(column.header) for column in table.columns], judged=bool(report.judged))
        margin = [each] if (each := margin_sentence(findings)) else []
        lines = [legend, "", *verdict_lines(findings), *margin, *notes_of(report, findings.disturbances)]
    for line in lines:
        console.print(line)
    for document in report.profiles.values():
        profile = from_document(document)
        console.print()
        console.print(profile_table(profile))
        for sentence in profile.sentences:
            console.print(sentence)
    if report.mlperf:
        results = [LoadgenResult(**each) for each in report.mlperf.values()]
        console.print(f"\n{loadgen_markdown(results)}", end="")


def _measured(job: Job, timing: Timing, arguments: argparse.Namespace, folder: Path, console: Console) -> Report:
    columns = SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.description}"), TimeElapsedColumn()
    # A step for the answers of each candidate, then one for each round.
    steps = job.candidates + timing.protocol.launches
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=steps, completed=-1)

        def on_step(what: str) -> None:
            progress.update(task, description=what, advance=1)

        report = job.measure(timing=timing, on_step=on_step)
        if report.partial:
            return report
        threads = timing.threads[0]
        # What has been measured so far is kept, whatever becomes of the rest.
        try:
            if arguments.profile:
                report = replace(report, profiles=_profiles(report, job, folder, threads, on_step))
            if arguments.mlperf:
                report = replace(report, mlperf=_mlperf(report, folder, job, threads, on_step))
        except KeyboardInterrupt:
            report = replace(report, partial="interrupted after the last round")
        except EdgeportError as error:
            what = "--mlperf" if report.profiles or not arguments.profile else "--profile"
            report = replace(report, skipped=(*report.skipped, {"file": what, "reason": str(error)}))
    return report


def _profiles(report: Report, job: Job, folder: Path, threads: int, on_step: OnStep) -> dict[str, Any]:
    """Return the profiles of the float32 and int8 artefacts, or of all files that a user named, by file."""
    from edgeport.benchmarks.profile.profile import profile_files

    if job.files:
        paths = [job.files[each.file] for each in report.artefacts if each.format != KERAS and not each.same_as]
    else:
        paths = [path for path in _files(report, folder) if any(f".{each}." in path.name for each in _PROFILED)]
    return profile_files(paths, threads=threads, trust=bool(job.files), on_step=on_step)


def _mlperf(report: Report, folder: Path, job: Job, threads: int, on_step: OnStep) -> dict[str, Any]:
    """Return what MLPerf LoadGen measures of each artefact, by file."""
    found = {}
    paths = _files(report, folder)
    if job.files:
        paths = [job.files[name] for name in _timed(report)]
    names = {path: name for name, path in job.files.items()}
    for path in paths:
        name = names.get(path, path.name)
        on_step(f"{name} under MLPerf LoadGen")
        result = run_loadgen(path, job.samples, threads=threads, opened_by=job.opened_by.get(name))
        found[name] = asdict(replace(result, file=name))
    return found


def _files(report: Report, folder: Path) -> list[Path]:
    """Return the artefacts of the export folder that were timed; those of a baseline are not in it."""
    return [folder / name for name in _timed(report) if not name.startswith(BASELINE)]


def _timed(report: Report) -> list[str]:
    """Return the artefacts that were timed, each under its default engine."""
    return [each.file for each in report.artefacts if each.timed and each.format != KERAS and not each.same_as]


def _numbers(option: str, text: str, largest: int) -> tuple[int, ...]:
    """Return the numbers of a list such as ``1,8,32``, each once."""
    try:
        numbers = tuple(dict.fromkeys(int(each) for each in text.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or not all(1 <= each <= largest for each in numbers):
        bound = "the cores that this process may use" if option == "--threads" else "the largest batch"
        raise InputError(f"{option}: got {text}, expected numbers from 1 to {largest} ({bound}), such as 1 or 1,2")
    return numbers
