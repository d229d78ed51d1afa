"""Score teachers one by one and together: how many validation and test images each has right.

Run it with: python -m edgeport.benchmarks.lab.family.teacher_scores TEACHER.keras ... ENSEMBLE.keras -o RESULT.json
"""

import argparse
import hashlib
import sys
from pathlib import Path

from edgeport.benchmarks.lab.family.family_results import TEACHERS, TeacherScore, TeacherScores
from edgeport.benchmarks.lab.script import run_script
from edgeport.runtime.files.output import write_whole
from edgeport.train import Dataset, load_dataset
from edgeport.train.loop.fitting import probabilities_of
from edgeport.train.models.keras_file import open_keras_file


def scored(path: Path, dataset: Dataset) -> TeacherScore:
    """Return what a model that takes raw pixels has right."""
    model = open_keras_file(path, role="teacher")
    splits = (dataset.validation, dataset.test)
    right = [int((probabilities_of(model, split).argmax(axis=1) == split.classes).sum()) for split in splits]
    return TeacherScore(
        name=model.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        parameters=model.count_params(),
        validation_correct=right[0],
        validation_count=len(dataset.validation),
        test_correct=right[1],
        test_count=len(dataset.test),
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.keras", help="trained on mnist")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")


def _run(arguments: argparse.Namespace) -> None:
    dataset = load_dataset("mnist", data_dir=arguments.data_dir)
    scores = TeacherScores(tuple(scored(path, dataset) for path in arguments.models))
    write_whole(arguments.output, TEACHERS.text(scores).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.family.teacher_scores",
            "Score teachers one by one and together.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
