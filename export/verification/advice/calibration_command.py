"""``edgeport calibration``: are calibration samples like what the model will see, and are they enough?"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from edgeport.export.conversion.options import Options
from edgeport.export.front_door import open_with_samples
from edgeport.export.verification.calibration_files import read_parts
from edgeport.export.verification.data_options import add_data, data_options
from edgeport.runtime.artefact.formats import format_named
from edgeport.runtime.errors import InputError
from edgeport.runtime.host.terminal import visible
from edgeport.train.datasets.data import inputs_of
from edgeport.train.datasets.forms import with_target

# The exit code where a mistake is seen, or there are too few.
_WANTING = 1
# So many of the held-out samples judge.
_JUDGING = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="a .keras or .h5 file, a SavedModel folder, or zoo:NAME"
    )
    parser.add_argument(
        "--data", metavar="SOURCE", help="samples like those that the model will see, to compare the others with"
    )
    add_data(parser.add_argument_group("what calibrates"))


def run(arguments: argparse.Namespace) -> int:
    """Look at the samples, and print what was found."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    options = Options(formats=("tflite",), precisions=("int8",))
    source, samples = open_with_samples(arguments.model, **data_options(arguments), options=options)
    from edgeport.export.conversion.exporting import check_pixels
    from edgeport.export.conversion.ranges.methods import MINMAX
    from edgeport.export.conversion.ranges.trial import judge_of
    from edgeport.export.verification.advice.advising import mistakes_of
    from edgeport.export.verification.advice.enough import counts_up_to, steps_of, verdict
    from edgeport.export.verification.reference import Reference

    check_pixels(source, samples)
    if source.is_quantization_aware:
        raise InputError(f"{source.opened.what} was trained quantization-aware, with ranges of its own: it needs none")
    source = source.with_lengths(samples.shapes)
    reference = Reference(source, samples)
    other = None
    if arguments.data:
        data = read_parts(with_target(arguments.data, None), samples.inputs, data_dir=arguments.data_dir)
        part = data.parts.get("validation") or next(iter(data.parts.values()))
        other = inputs_of(part, samples.inputs, named=data.name)
    console.print(visible(f"{samples.count} samples of {samples.source} for {source.opened.what}"))
    mistakes = mistakes_of(source, samples, reference.decisions, other=other)
    for mistake in mistakes:
        console.print(visible(f"  {mistake.kind}: {mistake.text}: {mistake.cure}"))
    if not mistakes:
        console.print("  no mistake was seen")
    judging = {name: array[:_JUDGING] for name, array in samples.held_out.items()}
    judge = judge_of(source, samples, judging, options, row=format_named("tflite"), reference=reference)
    console.print(f"int8 in TFLite, on {len(next(iter(judging.values())))} others, with the ranges of")
    steps = []
    for step in steps_of(counts_up_to(samples.count), lambda count: judge(samples.first(count))(MINMAX)):
        steps.append(step)
        flips = f", {step.judged.flips} other decisions" if reference.decisions else ""
        console.print(f"  {step.count:>6} samples: {step.judged.sqnr_db:.1f} dB{flips}")
    enough, text = verdict(steps)
    console.print(f"{text[0].upper()}{text[1:]}.")
    for warning in samples.warnings:
        print(visible(f"edgeport calibration: {warning}"), file=sys.stderr)
    return 0 if enough and not mistakes else _WANTING
