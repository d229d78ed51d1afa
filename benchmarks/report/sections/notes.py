"""What one must know before one believes the figures, for a terminal and for Markdown; numpy alone is needed."""

from collections.abc import Sequence

from edgeport.benchmarks.report.raw.engine_choice import EngineChoice, EngineRun, engine_choices
from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.words import counted


def notes_of(report: Report, disturbances: Sequence[str]) -> list[str]:
    """Return which engine is the fastest, and what was not run, or cut short, or disturbed, a line each.

    Args:
        report: What was measured.
        disturbances: What disturbed it, a sentence each.
    """
    notes = [engine_line(each) for each in engine_choices(report)]
    notes += [f"Partial: {report.partial}"] if report.partial else []
    if not report.reference.timed and any(each.timed for each in report.artefacts):
        notes.append("The Keras model was not run here, and so not timed: its answers are recorded ones")
    notes += [f"Skipped: {each['file']}: {each['reason']}" for each in report.skipped]
    return notes + [f"Disturbed: {each}" for each in disturbances]


def engine_line(choice: EngineChoice) -> str:
    """Return which engine is the fastest for a file, and why it is no other one."""
    default, chosen = choice.runs[0], choice.chosen
    threads = f" with {counted(choice.threads, 'thread')}" if choice.threads > 1 else ""
    words = f"Engine of {choice.file}{threads}: {_timed(chosen)}"
    if chosen is not default:
        words += f", against {_timed(default)}, faster in each of {choice.rounds} rounds, and {_agreement(chosen)}"
    others = [run for run in choice.runs[1:] if run is not chosen]
    return words + "".join(f"; not {_timed(run)}: {_why_not(run, choice)}" for run in others)


def _why_not(run: EngineRun, choice: EngineChoice) -> str:
    if not run.alike:
        return _agreement(run)
    if run.rounds_faster == choice.rounds:
        return "faster in every round, of which there are too few"
    return f"faster in {run.rounds_faster} of {choice.rounds} rounds"


def _timed(run: EngineRun) -> str:
    return f"{run.measured.engine['name']} ({run.median_ns / 1e3:,.1f} us)"


def _agreement(run: EngineRun) -> str:
    """Return how far its answers are from those of the default engine."""
    decided = "every decision the same" if not run.changed else f"{run.changed:,} decisions differ"
    return f"{decided}, values up to {run.largest:.2g} of their range apart"
