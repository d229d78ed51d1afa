"""The files of a benchmark: the report as data, as text and as a page, its pictures, and the flipped images."""

import io
from collections.abc import Iterable
from importlib.util import find_spec

import numpy as np

from edgeport.benchmarks.report.raw.engine_choice import engine_choices, engines_text
from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.raw.report_file import FILE_NAME, report_text
from edgeport.runtime.engines.fastest import FILE_NAME as ENGINES
from edgeport.runtime.files.claim import Claim
from edgeport.runtime.files.output import staged_result
from edgeport.runtime.tensors.arrays import Pixels

FLIPS = "flips.npz"
_SHOWN = ("report.md", "report.html", "accuracy-latency.png", "latency-distributions.png", "flips.png",
          "confusion-matrices.png", "predicted-true.png", "errors.png", "roc.png", "precision-recall.png",
          "scores.png", "changed-samples.png")  # fmt: skip
# What the extra ``report`` brings.
_PACKAGES = ("jinja2", "matplotlib", "scipy")


def can_show() -> bool:
    """Return whether the packages are installed that figures, pictures and pages are made with."""
    return all(find_spec(package) is not None for package in _PACKAGES)


def write_results(
    claim: Claim, report: Report, images: Pixels | None, *, shown: Iterable[tuple[str, bytes]] = ()
) -> list[str]:
    """Write all files of a benchmark, whole or not at all; return their names.

    Args:
        claim: The folder that they go to.
        report: What was measured, with texts that can be shown (``with_visible_texts``).
        images: The test images, uint8 of shape (n, height, width, channels); None for samples of another kind.
        shown: The files for people: see ``renderers.files``.

    Raises:
        InputError: The folder cannot be written to.
    """
    with staged_result(claim, record=FILE_NAME, stale=(FLIPS, ENGINES, *_SHOWN)) as staging:
        (staging / FILE_NAME).write_bytes(report_text(report).encode())
        if choices := engine_choices(report):
            (staging / ENGINES).write_text(engines_text(report, choices), encoding="utf-8")
        flipped = None if images is None else flipped_images(report, images)
        if flipped is not None:
            (staging / FLIPS).write_bytes(flipped)
        for name, content in shown:
            (staging / name).write_bytes(content)
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
