"""The files of a benchmark: the report as data, as text and as a page, its pictures, and the flipped images."""

import io
from importlib.util import find_spec

import numpy as np

from edgeport.benchmarks.report.html_report import html_report
from edgeport.benchmarks.report.record import Report
from edgeport.benchmarks.report.report_file import FILE_NAME, report_text, with_visible_texts
from edgeport.benchmarks.report.table import markdown_report
from edgeport.runtime.files.claim import Claim
from edgeport.runtime.files.output import staged_result
from edgeport.runtime.tensors.arrays import Pixels

FLIPS = "flips.npz"
_PICTURES = ("accuracy-latency.png", "latency-distributions.png", "flips.png", "confusion-matrices.png")


def write_results(claim: Claim, report: Report, images: Pixels) -> list[str]:
    """Write all files of a benchmark, whole or not at all; return their names.

    Args:
        claim: The folder that they go to.
        report: What was measured.
        images: The test images, uint8 of shape (n, height, width, channels).

    Raises:
        InputError: The folder cannot be written to.
    """
    report = with_visible_texts(report)
    with staged_result(claim, record=FILE_NAME, stale=(FLIPS, *_PICTURES)) as staging:
        (staging / FILE_NAME).write_bytes(report_text(report).encode())
        (staging / "report.md").write_bytes(markdown_report(report).encode())
        (staging / "report.html").write_bytes(html_report([report]).encode())
        flipped = flipped_images(report, images)
        if flipped is not None:
            (staging / FLIPS).write_bytes(flipped)
        if find_spec("matplotlib") is not None:
            from edgeport.benchmarks.report.figures import (
                draw_accuracy_against_latency,
                draw_confusion_matrices,
                draw_flips,
                draw_latency_distributions,
            )

            draw_accuracy_against_latency(staging / "accuracy-latency.png", report)
            draw_latency_distributions(staging / "latency-distributions.png", report)
            draw_confusion_matrices(staging / "confusion-matrices.png", report)
            if flipped is not None:
                draw_flips(staging / "flips.png", report)
        return sorted(path.name for path in staging.iterdir())


def flipped_images(report: Report, images: Pixels) -> bytes | None:
    """Return the content of flips.npz, or None if no artefact answers any image unlike the reference.

    It holds ``index`` and ``images`` of every image that some artefact answers otherwise, ``truth``, and for each of
    ``files`` a row of ``predictions``; the reference comes first.
    """
    index = np.unique(np.concatenate([report.flips(each) for each in report.artefacts]))
    if not index.size:
        return None
    content = io.BytesIO()
    np.savez_compressed(
        content,
        allow_pickle=False,
        index=index,
        images=images[index],
        truth=report.true_classes[index],
        files=np.array([each.file for each in report.artefacts]),
        predictions=np.stack([each.classes[index] for each in report.artefacts]),
    )
    return content.getvalue()
