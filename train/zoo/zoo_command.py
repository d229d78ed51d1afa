"""``edgeport zoo``: the published models, what they weigh, and what they have right."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeport.train.zoo.published import PREFIX, ZOO, PublishedModel, Score, published_model, published_models
from edgeport.train.zoo.table import NOTE, text_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="all about one model (default: list them all)")
    parser.add_argument("--json", action="store_true", help="print JSON: one object, or a list of all")


def run(arguments: argparse.Namespace, zoo: Path = ZOO) -> int:
    """Print the table or one model, and what to do next."""
    named: str | None = arguments.name
    models = published_models(zoo) if named is None else (published_model(named.removeprefix(PREFIX), zoo),)
    if arguments.json:
        documents = [to_document(model) for model in models]
        print(json.dumps(documents if named is None else documents[0], indent=1))
        return 0
    if not models:
        print("No published models: this edgeport came without them, as in a bundle for a device.")
        print("\nNext: install edgeport itself on a workstation, and: edgeport zoo")
        return 0
    print(_details(models[0]) if named is not None else f"{text_table(models)}\n{NOTE}")
    # The smallest one is a show-piece: the next is what most would begin with.
    chosen = models[min(1, len(models) - 1)].name
    print(f"\nNext: edgeport export {PREFIX}{chosen} -o runs/{chosen}/export")
    return 0


def to_document(model: PublishedModel) -> dict[str, Any]:
    """Return all that is known of a published model as plain values."""
    return {
        "name": model.name,
        "file": str(model.file),
        "dataset": model.dataset,
        "calibration": model.calibration,
        "parameters": model.parameters,
        "artefacts": [vars(artefact) for artefact in model.artefacts],
        "published": vars(model.score),
        "other_seeds": [vars(score) for score in model.others],
    }


def _details(model: PublishedModel) -> str:
    score = model.score
    lines = [
        f"{model.name}: {model.parameters:,} parameters, trained on {model.dataset} with seed {score.seed}",
        f"{model.file}",
        f"its export is calibrated with {model.calibration}, which is installed",
        "",
        f"{'artefact':<28} {'bytes':>9}   right of {score.count:,} test images",
        f"{'model.keras':<28} {model.file.stat().st_size:>9,}   {_right(score.keras, score)}",
    ]
    lines += [
        f"{artefact.file:<28} {artefact.bytes:>9,}   {_right(score.correct[artefact.variant], score)}"
        for artefact in model.artefacts
    ]
    if model.others:
        variants = [variant for variant in score.correct if all(variant in other.correct for other in model.others)]
        lines += ["", f"{'seed':<9} {'Keras':>7} " + " ".join(f"{variant:>14}" for variant in variants)]
        lines += [f"{_seed(each, model):<9} {each.keras:>7,} {_row(each.correct, variants)}" for each in model.scores]
    return "\n".join(lines)


def _right(correct: int, score: Score) -> str:
    return f"{correct:,}  {correct / score.count:.2%}"


def _row(correct: Mapping[str, int], variants: list[str]) -> str:
    return " ".join(f"{correct[variant]:>14,}" for variant in variants)


def _seed(score: Score, model: PublishedModel) -> str:
    return f"{score.seed}, this" if score is model.score else f"{score.seed}"
