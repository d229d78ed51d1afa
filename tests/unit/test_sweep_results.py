"""A sweep's results, table and picture: figures that can be worked out by hand."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeport.benchmarks.sweep.frontier_figure import _front, _Mark, draw_frontier
from edgeport.benchmarks.sweep.latency import PROTOCOL
from edgeport.benchmarks.sweep.results import Latencies, Results, Timed, is_sweep, read_results, results_text
from edgeport.benchmarks.sweep.summary import lines_of, ratios_of, spread
from edgeport.benchmarks.sweep.table import sweep_table
from edgeport.runtime.errors import ArtefactError

MODELS = {"edge-2k": 2_000, "edge-10k": 10_000, "edge-25k": 25_000, "edge-50k": 50_000, "edge": 94_186}
KINDS = (("keras", "float32"), ("tflite", "float32"), ("tflite", "int8"), ("onnx", "float32"), ("onnx", "int8"))
COUNT = 10_000


def cell(
    model: str, recipe: str, seed: int, right: Mapping[tuple[str, str], int], *, parameters: int, test: bool = True
) -> dict[str, Any]:
    """A cell whose candidates have so many of 10,000 test images right, and of validation images one more."""
    candidates = []
    for format_, precision in KINDS:
        correct = right[format_, precision]
        scores = {"validation": {"correct": correct + 1, "count": COUNT}, "test": {"correct": correct, "count": COUNT}}
        candidates.append(
            {
                "file": f"{model}.{precision}.{format_}",
                "format": format_,
                "precision": precision,
                "bytes": parameters * (1 if precision == "int8" else 4) + 3_000,
                "sha256": f"{model}-{seed}-{format_}-{precision}",
                **(scores if test else {"validation": scores["validation"]}),
            }
        )
    return {
        "model": model,
        "recipe": recipe,
        "seed": seed,
        "parameters": parameters,
        "contenders": candidates,
        "refused": [],
    }


def latencies(models: Mapping[str, int], *, noise: float = 0.02) -> Latencies:
    """Eight processes a file: int8 takes a third of the time of float, in ONNX all takes twice as long."""
    random = np.random.default_rng(0)
    timed = []
    for model, parameters in models.items():
        for format_, precision in KINDS[1:]:
            us = (5 + parameters / 1000) * (1 if precision == "float32" else 1 / 3) * (2 if format_ == "onnx" else 1)
            launches = [(1e3 * us * random.normal(1, noise, 20)).astype(int).tolist() for _ in range(8)]
            timed.append(Timed(model, "own", 0, f"{model}.{precision}.{format_}", format_, precision, "", launches))
    return Latencies({"cpu_model": "a CPU"}, vars(PROTOCOL), (), "", tuple(timed))


def results(cells: Sequence[Mapping[str, Any]], *, latency: Latencies | None = None, **changes: Any) -> Results:
    """The results of a sweep with these cells."""
    facts = {
        "created_utc": "2026-01-01T00:00:00+00:00",
        "versions": {"edgeport": "0.1.0"},
        "host": {"cpu_model": "a CPU"},
        "sweep": 'dataset = "mnist"\n',
        "dataset": {"name": "mnist", "sha256": "0", "labels": ["0", "1"]},
        "cells": tuple(cells),
        "latency": latency,
    }
    return Results(**{**facts, **changes})


def crowded(models: Mapping[str, int], recipes: Sequence[str], seeds: int) -> Results:
    """Many models, whose accuracy grows with their size, under recipes that differ by little."""
    random = np.random.default_rng(1)
    cells = []
    for model, parameters in models.items():
        for number, recipe in enumerate(recipes):
            for seed in range(seeds):
                base = 9_990 - round(4_000 / parameters**0.5) - 4 * number + int(random.integers(-6, 7))
                right = {kind: base + int(random.integers(-1, 2)) for kind in KINDS}
                cells.append(cell(model, recipe, seed, right, parameters=parameters))
    return results(cells, latency=latencies(models))


def two_seeds(*, test: bool = True) -> list[dict]:
    first = dict(zip(KINDS, (9_900, 9_900, 9_880, 9_900, 9_890), strict=True))
    second = dict(zip(KINDS, (9_940, 9_940, 9_930, 9_940, 9_940), strict=True))
    return [cell("edge", "own", seed, right, parameters=94_186, test=test) for seed, right in ((0, first), (7, second))]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    failed = ({"model": "edge", "recipe": "own", "seed": 3, "reason": "its process died (SIGSEGV)"},)
    found = results(two_seeds(), latency=latencies({"edge": 94_186}), failed=failed)
    (tmp_path / "results.json").write_text(results_text(found))
    assert read_results(tmp_path) == found
    assert read_results(tmp_path / "results.json") == found
    assert is_sweep(json.loads(results_text(found)))
    assert not is_sweep({"schema": 1, "kind": "trust"})
    # So that a committed file can be read, and its changes too.
    lines = results_text(found).splitlines()
    assert sum('"model": "edge", "recipe": "own", "seed": 7' in line for line in lines) == 1


@pytest.mark.parametrize("text", ["{}", "[]", '{"schema": 1}', '{"schema": 9}', "no JSON"])
def test_what_no_sweep_has_written_is_reported_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"results\.json") as caught:
        read_results(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_line_holds_the_figures_of_all_seeds() -> None:
    keras, tflite, integer, *_ = lines_of(results(two_seeds()))
    assert keras.seeds == (0, 7)
    assert keras.test == (0.99, 0.994)
    assert keras.validation == (0.9901, 0.9941)
    assert keras.changes == tflite.changes == (0.0, 0.0)
    assert integer.changes == pytest.approx((-0.002, -0.001))
    assert (tflite.bytes, integer.bytes) == (379_744, 97_186)
    assert spread(keras.test) == pytest.approx(0.004 / math.sqrt(2))
    assert math.isnan(spread((0.99,)))


def test_the_smallest_model_comes_first_and_an_incomplete_one_counts_its_own_seeds() -> None:
    cells = [*two_seeds(), cell("edge-2k", "own", 0, dict.fromkeys(KINDS, 9_000), parameters=2_000)]
    lines = lines_of(results(cells))
    assert [(line.model, len(line.seeds)) for line in lines[::5]] == [("edge-2k", 1), ("edge", 2)]


def test_the_table_tells_of_the_validation_split_where_the_test_split_was_not_scored() -> None:
    found = results(two_seeds(test=False))
    assert found.split == "validation"
    printed = sweep_table(found)
    assert "test" not in printed
    assert "| edge  | TFLite int8    |     94,186 |  97,186 |     2 |" in printed
    assert "99.060 \u00b1 0.354 | 98.81\u201399.31 |     \u22120.150 |" in printed


def test_the_table_tells_of_latency_and_failures() -> None:
    found = results(two_seeds(), latency=latencies({"edge": 94_186}, noise=1e-6))
    failed = ({"model": "edge", "recipe": "own", "seed": 3, "reason": "its process died (SIGSEGV)"},)
    printed = sweep_table(replace(found, failed=failed))
    assert "99.2 (99.2\u201399.2) |" in printed
    assert "33.1 (33.1\u201333.1) |" in printed
    assert "| edge  | TFLite int8 |  0.33 |     0.33\u20130.33 |" in printed
    assert "- edge/own/seed-3: its process died (SIGSEGV)" in printed
    assert [(model, kind) for model, kind, *_ in ratios_of(found)] == [("edge", "tflite"), ("edge", "onnx")]


def measured(better: str, unit: str) -> Results:
    """Two models of a task whose figures are those of a metric."""
    cells = []
    for model, parameters, figures in (("small", 2_000, (3.0, 3.0, 3.5, 3.0, 3.2)), ("large", 9_000, (1.0,) * 5)):
        found = cell(model, "own", 0, dict.fromkeys(KINDS, 1), parameters=parameters)
        for each, figure in zip(found["contenders"], figures, strict=True):
            each |= {"validation": {"figure": figure, "count": 40}, "test": {"figure": figure, "count": 50}}
        cells.append({**found, "metric": {"name": "MAE", "unit": unit, "better": better, "task": "values"}})
    return results(cells, dataset={"name": "boiler.npz", "sha256": "0", "labels": [], "noun": "samples"})


def test_the_table_shows_the_deciding_metric_in_its_unit() -> None:
    printed = sweep_table(measured("down", "degC"))
    assert "| validation MAE, degC | test MAE, degC |" in printed
    row = next(line for line in printed.splitlines() if "small" in line and "TFLite int8" in line)
    assert [each.strip() for each in row.split("|")[6:11]] == ["3.5", "3.5", "3.5\u20133.5", "+0.5", ""]
    assert "boiler.npz, 50 test samples. Figures of MAE (less is better) are means" in printed
    assert "of the same seed, in degC." in printed


@pytest.mark.parametrize(("better", "worth"), [("up", 2.0), ("down", -2.0), ("zero", -2.0)])
def test_the_front_is_of_what_is_better(better: str, worth: float, tmp_path: Path) -> None:
    found = measured(better, "degC")
    assert found.metric.worth(2.0) == worth
    draw_frontier(tmp_path / "frontier.png", found)
    marks = [_Mark(line, float(line.bytes), line.figures[0]) for line in lines_of(found) if line.format != "keras"]
    front = [(mark.line.model, mark.y) for mark in _front(marks, found.metric)]
    # Of the two that have as many bytes, the better one; then what beats it, though it is larger.
    assert front == ([("small", 3.5)] if better == "up" else [("small", 3.2), ("small", 3.0), ("large", 1.0)])


@pytest.mark.parametrize("recipes", [("own",), ("own", "taught")])
def test_the_picture_holds_many_models_and_no_two_names_on_one_place(recipes: tuple[str, ...], tmp_path: Path) -> None:
    draw_frontier(tmp_path / "frontier.png", crowded(MODELS, recipes, seeds=5))
    picture = np.asarray(Image.open(tmp_path / "frontier.png").convert("L"))
    assert picture.shape[1] > 1_500
    assert 0.005 < (picture < 128).mean() < 0.2


def test_the_picture_needs_no_latency(tmp_path: Path) -> None:
    draw_frontier(tmp_path / "frontier.png", results(two_seeds()))
    assert Image.open(tmp_path / "frontier.png").width < 1_200
