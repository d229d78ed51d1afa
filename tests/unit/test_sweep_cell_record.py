"""What a cell has left behind: read back whole, or reported to be damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgeport.benchmarks.sweep.cells.cell import IDENTITY, RECORD
from edgeport.benchmarks.sweep.cells.record import read_identity, read_record
from edgeport.runtime.errors import InputError


def candidate(**changes: Any) -> dict[str, Any]:
    score = {"correct": 4, "count": 5}
    kind = {"file": "model.keras", "format": "keras", "precision": "float32", "bytes": 9, "sha256": "0"}
    return {**kind, "validation": score, "test": score, **changes}


def record(**changes: Any) -> dict[str, Any]:
    names = {"schema": 1, "model": "edge", "recipe": "own", "seed": 0, "parameters": 94_186}
    return {**names, "contenders": [candidate()], **changes}


def test_a_record_comes_back_as_it_is(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(json.dumps(record()))
    assert read_record(tmp_path) == record()


def test_the_figure_of_a_metric_is_a_score_too(tmp_path: Path) -> None:
    figure = {"figure": 0.25, "count": 5}
    metric = {"name": "MAE", "unit": "degC", "better": "down", "task": "values"}
    found = record(metric=metric, contenders=[candidate(validation=figure, test=figure)])
    (tmp_path / RECORD).write_text(json.dumps(found))
    assert read_record(tmp_path) == found
    # Where anomalies are looked for, only the test samples are known to have some.
    alone = candidate(test=figure)
    del alone["validation"]
    for task, whole in (("anomaly", True), ("values", False)):
        (tmp_path / RECORD).write_text(json.dumps(record(metric={**metric, "task": task}, contenders=[alone])))
        if whole:
            assert read_record(tmp_path)
            continue
        with pytest.raises(InputError, match="lacks a part of the result"):
            read_record(tmp_path)


def test_a_cell_that_has_not_ended_has_none(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    assert read_identity(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        None, [], {}, 5, record(schema=99), record(contenders=[]), record(contenders=[5]), record(contenders=5),
        record(parameters="many"), record(seed=None), record(model=3),
        record(contenders=[candidate(test={"correct": 0, "count": 0})]),
        record(contenders=[candidate(validation={"correct": "4", "count": 5})]),
        record(contenders=[candidate(bytes=None)]),
        record(contenders=[{key: value for key, value in candidate().items() if key != "validation"}]),
    ],
)  # fmt: skip
def test_a_damaged_record_is_no_result_and_none_that_is_missing(content: Any, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"cell\.json is damaged \(.*\): remove the folder"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"recipe": 5}', 5000 * "["])
def test_a_damaged_identity_is_reported(content: str, tmp_path: Path) -> None:
    (tmp_path / IDENTITY).write_text(content)
    with pytest.raises(InputError, match=r"identity\.json is damaged \(.*\): remove the folder"):
        read_identity(tmp_path)
