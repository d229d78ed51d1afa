"""How far each sample's answers are from the reference's, by numpy alone: which of them are worth a picture."""

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.report.raw.record import Report

# What is seen at a glance, on the picture of the sample itself.
DRAWN = ("map", "boxes")


def change_of(report: Report, place: int) -> npt.NDArray[np.float64]:
    """Return for each sample how far the farthest artefact is from the reference, of shape (n,).

    Of maps the share of places that are another class; of boxes the mean change of class, score and corners, weighted
    by the larger score.

    Args:
        report: What was measured.
        place: Which output.
    """
    reference = report.reference.answers[place].array
    found = [np.zeros(len(reference))]
    for each in report.artefacts[1:]:
        answers = each.answers[place].array
        if answers.shape != reference.shape:
            continue
        if report.judged[place].task == "boxes":
            weights = np.maximum(reference[..., 1], answers[..., 1])
            changes = np.abs(answers.astype(np.float64) - reference).sum(axis=-1) * weights
        else:
            changes = (answers != reference).astype(np.float64)
        found.append(changes.reshape(len(reference), -1).mean(axis=1))
    return np.asarray(np.max(found, axis=0), np.float64)
