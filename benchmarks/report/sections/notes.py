"""What one must know before one believes the figures, for a terminal and for Markdown; numpy alone is needed."""

from collections.abc import Sequence

from edgeport.benchmarks.report.raw.record import Report


def notes_of(report: Report, disturbances: Sequence[str]) -> list[str]:
    """Return what was not run, or cut short, or disturbed, a line each.

    Args:
        report: What was measured.
        disturbances: What disturbed it, a sentence each.
    """
    notes = [f"Partial: {report.partial}"] if report.partial else []
    if not report.reference.timed and any(each.timed for each in report.artefacts):
        notes.append("The Keras model was not run here, and so not timed: its answers are recorded ones")
    notes += [f"Skipped: {each['file']}: {each['reason']}" for each in report.skipped]
    return notes + [f"Disturbed: {each}" for each in disturbances]
