"""What a benchmark is judged against: an earlier report, or an export folder that is measured beside the new one."""

from dataclasses import dataclass
from pathlib import Path

from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.raw.report_file import FILE_NAME as REPORT
from edgeport.benchmarks.report.raw.report_file import read_report
from edgeport.export.manifest import Manifest, read_manifest
from edgeport.runtime.errors import InputError


@dataclass(frozen=True)
class Baseline:
    """A baseline; one of the two is there.

    Attributes:
        report: The report of an earlier run.
        export: An export folder, and what its manifest says.
    """

    report: Report | None = None
    export: tuple[Path, Manifest] | None = None

    @property
    def folder(self) -> Path | None:
        """The export folder, if it is one."""
        return self.export[0] if self.export else None


def check_baseline(baseline: Baseline | None, *, dataset_sha256: str, model: str = "") -> None:
    """Raise InputError before the long work if a baseline's report is of other data or another model.

    Args:
        baseline: The baseline, if there is one.
        dataset_sha256: The digest of the images that will be measured.
        model: The name of the model that will be measured; empty if that is not known yet.
    """
    if baseline is None or baseline.report is None:
        return
    if model and baseline.report.model != model:
        raise InputError(
            f"--baseline: got a report on the model {baseline.report.model}, expected one on {model}: no comparison "
            "could be made"
        )
    known = baseline.report.dataset
    if known["sha256"] != dataset_sha256:
        raise InputError(
            f"--baseline: got a report on {known['name']} (SHA-256 {known['sha256'][:12]}...), expected the data that "
            f"will be measured (SHA-256 {dataset_sha256[:12]}...): name the same data with --dataset"
        )


def read_baseline(path: Path) -> Baseline:
    """Return a baseline; raises ArtefactError if the path is neither a report nor an export folder."""
    if path.is_dir() and not (path / REPORT).is_file():
        return Baseline(export=(path, read_manifest(path)))
    return Baseline(report=read_report(path))
