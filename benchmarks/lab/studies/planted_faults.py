"""Are planted faults found, named and repaired? Six kinds of models with one bad layer each, in both formats.

Run it with: python -m edgeport.benchmarks.lab.studies.planted_faults -o docs/results/planted-faults.json

Each model is trained for a few epochs on digits that are installed, gets its fault, and is exported with a margin.
Three things are asked: is the bad layer the one that ``edgeport debug`` ranks first, and does it name the cause; is the
loss of the mixed file below the margin, and how much of the model is in floats; and is it so on test samples, which the
export has not seen.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.lab.studies.faulty_models import FAULTY, Arrays, Faulty, trained
from edgeport.benchmarks.lab.studies.planted_faults_report import (
    RESULT,
    Planted,
    PlantedFaults,
    markdown,
    summary,
)
from edgeport.benchmarks.statistics.margins import margin_of
from edgeport.benchmarks.statistics.paired_change import paired_change
from edgeport.benchmarks.tasks.answers import ANSWERS
from edgeport.benchmarks.tasks.table import metrics_of
from edgeport.export.conversion.options import Options
from edgeport.export.diagnosis.diagnosis import diagnose
from edgeport.export.front_door import export_model
from edgeport.export.manifest import Search
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.prediction.loading import load

_DIAGNOSED = 16


def found_in(faulty: Faulty, folder: Path, *, margin: float) -> list[Planted]:
    """Train a model, plant its fault, export it, and return what became of it in each format."""
    arrays = faulty.arrays(faulty.data)
    seen: dict[str, Any] = {name: array for name, array in arrays.items() if "test" not in name}
    np.savez(folder / "data.npz", **seen)
    model = trained(faulty, arrays)
    manifest = export_model(
        model,
        folder / "out",
        name="model",
        calibration=str(folder / "data.npz"),
        # A sequence is a map of one axis.
        outputs=["scores=map"] if faulty.task in ("map", "sequence") else [],
        calibration_count=300,
        options=Options(precisions=("float32", "int8"), max_loss=margin, keep_rejected=True, try_cures=False),
        overwrite=True,
        on_warning=lambda text: None,
    )
    reference = np.asarray(model.predict(arrays["x_test"], verbose=0))
    return [
        _planted(faulty, folder / "out", search, manifest.layers, arrays, reference, margin)
        for search in manifest.searches
    ]


def _planted(
    faulty: Faulty,
    folder: Path,
    search: Search,
    layers: Sequence[str],
    arrays: Arrays,
    reference: Any,
    margin: float,
) -> Planted:
    floats = next(folder.glob(f"model.float32.{search.format}"))
    int8 = next(folder.glob(f"model.int8*.{search.format}"))
    samples = [[each[np.newaxis]] for each in arrays["x_val"][:_DIAGNOSED]]
    names = floats.name, int8.name
    found = diagnose(floats.read_bytes(), int8.read_bytes(), samples, format=search.format, names=names, layers=layers)
    worst = found.costliest[0]
    metric = metrics_of(faulty.task)[0]
    truth, kept = arrays["y_test"], ANSWERS[faulty.task].kept
    test_up_to, below = None, False
    mixed = folder / f"model.mixed.{search.format}"
    if mixed.is_file():
        with load(mixed) as opened:
            name = opened.spec.inputs[0].name
            answers = opened.answer({name: arrays["x_test"]})
        change = paired_change(metric, truth, kept(reference), kept(next(iter(answers.values()))))
        test_up_to, below = 100 * change.high, margin_of(change, margin).below
    return Planted(
        model=faulty.name,
        data=faulty.data,
        fault=faulty.fault,
        format=search.format,
        metric=metric.name,
        figure=100 * metric.value(truth, kept(reference)),
        spoilt=faulty.spoilt,
        first=worst.layer,
        share=found.share(worst),
        cause=worst.cause.kind,
        int8_up_to=search.uppers.get("int8"),
        mixed_up_to=search.uppers["mixed"] if search.enough == "mixed" else None,
        in_floats=search.in_floats,
        layers=search.layers,
        macs_in_floats=search.macs_in_floats,
        trials=search.trials,
        test_up_to=test_up_to,
        test_below=below,
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-loss", type=float, default=3.0, metavar="POINTS", help="the margin (default 3)")
    parser.add_argument("--only", metavar="NAME", help="one kind of model alone")


def _run(arguments: argparse.Namespace) -> None:
    chosen = [each for each in FAULTY if arguments.only in (None, each.name)]
    if not chosen:
        raise InputError(f"--only: got {arguments.only!r}, expected one of {', '.join(each.name for each in FAULTY)}")
    faults: list[Planted] = []
    for each in chosen:
        with temporary_folder() as folder:
            for planted in found_in(each, folder, margin=arguments.max_loss):
                print(planted, flush=True)
                faults.append(planted)
    result = PlantedFaults(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("edgeport", "tensorflow", "keras", "onnxruntime", "ai-edge-litert")},
        margin=arguments.max_loss,
        faults=tuple(faults),
    )
    write_whole(arguments.output, RESULT.text(result).encode())
    print(markdown(result), end="")
    print(summary(result))


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.planted_faults",
            "Plant a fault in models of six kinds: is it found, named and repaired, in both formats?",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
