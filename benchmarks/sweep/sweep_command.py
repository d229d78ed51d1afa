"""``edgeport sweep``: models x recipes x seeds, each trained, exported and scored; ends in a table and a picture."""

import argparse
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from edgeport.benchmarks.measure.machine.host import usable_cores
from edgeport.benchmarks.report.words import counted
from edgeport.benchmarks.sweep.cells.definitions import own_models
from edgeport.benchmarks.sweep.latency import time_cells
from edgeport.benchmarks.sweep.pools.local_pool import LocalPool
from edgeport.benchmarks.sweep.pools.pool import Pool
from edgeport.benchmarks.sweep.progress import cell_progress
from edgeport.benchmarks.sweep.results import FILE_NAME, Latencies, Results, read_results, results_text
from edgeport.benchmarks.sweep.sweep_data import SweepData, data_of
from edgeport.benchmarks.sweep.sweep_file import SweepFile, read_sweep_file
from edgeport.benchmarks.sweep.sweeping import Work, check_folder, plan_work, records_of, results_of, run_cells
from edgeport.benchmarks.sweep.table import sweep_table
from edgeport.benchmarks.tasks.users_metric import is_users_metric
from edgeport.runtime.cli import needing
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.claim import claimed_folder
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.host.terminal import shell_word, visible

_TABLE, _PICTURE = "table.md", "frontier.png"
_NOT_ALL, _INTERRUPTED = 1, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("sweep", metavar="SWEEP.toml", type=Path, help="what to run: see docs/guides/sweep.md")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where all goes")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="cells at a time (default: the cores there are by the threads of a cell)"
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="run the cells on the Ray cluster there")
    parser.add_argument(
        "--overwrite", action="store_true", help="make cells anew whose model, recipe or data have changed"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run what is left of the sweep, and write what came of it."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    output: Path = arguments.output
    sweep = read_sweep_file(arguments.sweep)
    check_folder(output)
    _check_ray(arguments, sweep)
    data = data_of(
        sweep.cells, sweep.shared, own_models({each.model: each.start for each in sweep.cells if each.start})
    )
    pool = _pool(arguments, sweep, data)
    # A job that is cancelled ends as one that a user interrupts.
    if threading.current_thread() is threading.main_thread():
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.default_int_handler)
    with claimed_folder(output):
        work = plan_work(sweep, output, data, overwrite=arguments.overwrite)
        _announce(sweep, work, pool, console)
        try:
            failed = _made(sweep, work, pool, output, console)
            results = _finished(sweep, data, output, failed, console)
        except KeyboardInterrupt:
            done = len(records_of(sweep, output))
            console.print(
                f"\nInterrupted with {done} of {len(sweep.cells)} cells done, which are kept. Go on with the same "
                f"command: edgeport sweep {shell_word(arguments.sweep)} -o {shell_word(output)}"
            )
            return _INTERRUPTED
    return _end(results, output, console)


def _check_ray(arguments: argparse.Namespace, sweep: SweepFile) -> None:
    """Raise InputError for what a cluster cannot do."""
    if arguments.ray is None:
        return
    if arguments.jobs is not None:
        raise InputError("--jobs: how many cells run at a time is for the cluster to say: leave it out with --ray")
    own = next((cell.model for cell in sweep.cells if cell.start), None)
    if own is not None:
        raise InputError(f"--ray: got {own}, a model of your own, which does not travel: leave --ray out")
    if is_users_metric(sweep.shared.metric):
        raise InputError(f"--ray: got the metric {sweep.shared.metric}, which does not travel: leave --ray out")


def _pool(arguments: argparse.Namespace, sweep: SweepFile, data: SweepData) -> Pool:
    threads, cores = sweep.shared.threads, len(usable_cores())
    if arguments.ray is not None:
        assert data.classes is not None, "models that edgeport knows learn classes"
        with needing("ray", "edgeport sweep --ray"):
            from edgeport.benchmarks.sweep.pools.ray_pool import RayPool
        return RayPool(arguments.ray, sweep.shared, data.classes)
    if arguments.jobs is not None and not 1 <= arguments.jobs <= 1000:
        raise InputError(f"--jobs: got {arguments.jobs}, expected 1 to 1000 (there are {cores} cores)")
    return LocalPool(arguments.jobs or max(1, cores // threads))


def _announce(sweep: SweepFile, work: Work, pool: Pool, console: Console) -> None:
    cells = sweep.cells
    words = [
        counted(len({cell.model for cell in cells}), "model"),
        counted(len({cell.recipe_name for cell in cells}), "recipe"),
        counted(len({cell.seed for cell in cells}), "seed"),
    ]
    threads = counted(sweep.shared.threads, "thread")
    console.print(f"{counted(len(cells), 'cell')} ({', '.join(words)}), {pool.words}, {threads} each")
    if work.finished or work.begun:
        how = "go on from where they were interrupted" if pool.resumes else "were interrupted and begin anew"
        console.print(f"{len(work.finished)} are done already, {work.begun} {how}")


def _made(sweep: SweepFile, work: Work, pool: Pool, output: Path, console: Console) -> list[dict[str, Any]]:
    done = len(work.finished)
    with cell_progress(console, output, cells=len(sweep.cells), done=done, slots=pool.slots) as progress:
        return run_cells(work, pool, on_event=progress.on_event)


def _finished(
    sweep: SweepFile, data: SweepData, output: Path, failed: Sequence[dict[str, Any]], console: Console
) -> Results:
    """Time the artefacts, and write the table, the picture, and last the results."""
    records = records_of(sweep, output)
    latency = _latency(data, output, records, console) if sweep.latency else None
    results = results_of(sweep, data, records, failed, latency)
    write_whole(output / _TABLE, sweep_table(results).encode())
    if records:
        from edgeport.benchmarks.sweep.frontier_figure import draw_frontier

        draw_frontier(output / _PICTURE, results)
    write_whole(output / FILE_NAME, results_text(results).encode())
    return results


def _latency(data: SweepData, output: Path, records: Sequence[Any], console: Console) -> Latencies | None:
    if not records:
        return None
    try:
        earlier = read_results(output).latency
    except EdgeportError:  # there is none, or of another version
        earlier = None
    with console.status("latency") as status:
        return time_cells(output, records, data.timed, earlier=earlier, on_step=status.update)


def _end(results: Results, output: Path, console: Console) -> int:
    console.print(f"\n{sweep_table(results)}")
    names = [name for name in (FILE_NAME, _TABLE, _PICTURE) if (output / name).is_file()]
    console.print(visible(f"Written to {output}: {', '.join(names)}"))
    if results.cells:
        best = results.cells[0]
        folder = output / best["model"] / best["recipe"] / f"seed-{best['seed']}"
        console.print(f"\nNext: open {shell_word(output / _PICTURE)}")
        recorded = (folder / "train" / "training.json").is_file()
        data = "" if recorded else f" --data {shell_word(results.dataset['name'])}"
        console.print(visible(f"      edgeport benchmark {shell_word(folder / 'export')}{data}"))
    if results.failed:
        console.print(f"\n{len(results.failed)} cells failed; the same command tries them again")
    return _exit_code(results)


def _exit_code(results: Results) -> int:
    """Return 0 for a sweep of which all was made and timed, 130 if the timing was interrupted, else 1."""
    partial = results.latency.partial if results.latency else ""
    if partial.startswith("interrupted"):
        return _INTERRUPTED
    refused = any(cell["refused"] for cell in results.cells)
    return _NOT_ALL if results.failed or refused or partial else 0
