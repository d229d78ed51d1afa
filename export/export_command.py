"""``edgeport export``: Turn a model into TFLite and ONNX files in every precision, each verified against it."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from edgeport.export.conversion.options import OPSET, UNROLL_LIMIT, Options
from edgeport.export.conversion.ranges.methods import AUTO, METHODS, MINMAX
from edgeport.export.diagnosis.bought import search_sentences
from edgeport.export.front_door import export_model
from edgeport.export.manifest import Artefact, Manifest, Refusal
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.class_names import DATA
from edgeport.export.verification.data_options import add_data, data_options
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.artefact.precisions import PRECISIONS
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.host.terminal import shell_word, visible

if TYPE_CHECKING:
    from edgeport.export.conversion.exporting import Progress as Step
    from edgeport.export.sources.source import Source

# The exit code when some of the artefacts failed.
NOT_ALL = 1
_MOST_LABELS = 4 << 20
_LISTED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="a .keras or .h5 file, a SavedModel folder, or zoo:NAME"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the artefacts go")
    parser.add_argument("--overwrite", action="store_true", help="replace the export that DIR holds")
    parser.add_argument("--name", help="what to call the artefacts (default: the model's name)")
    parser.add_argument(
        "--labels",
        metavar="[NAME=]FILE|A,B,C",
        action="append",
        help="the names of the classes, labels or values of an output (default: the first), one a line or between "
        "commas; may be repeated (default: what training.json says)",
    )
    parser.add_argument(
        "--outputs",
        metavar="[NAME=]KIND",
        action="append",
        help="what an output means: classes, labels, yes-no, values[:[COLUMN=]UNIT,...], map, "
        "boxes[:ORDER[:share|pixels]] or any (default: what the end of the graph says); may be repeated",
    )
    _add_choices(parser.add_argument_group("what to make"))
    _add_floats(parser.add_argument_group("what stays in floats in one more precision, mixed"))
    data = parser.add_argument_group("what calibrates and verifies it")
    add_data(data)
    _add_method(data)
    _add_loss(parser.add_argument_group("how much int8 may lose"))


def _add_choices(group: argparse._ArgumentGroup) -> None:
    formats, precisions = ", ".join(row.name for row in FORMATS), ", ".join(PRECISIONS)
    group.add_argument("--formats", metavar="LIST", help=f"comma-separated, of {formats} (default: all)")
    group.add_argument("--precisions", metavar="LIST", help=f"comma-separated, of {precisions} (default: all)")
    group.add_argument("--batch", metavar="N|dynamic", help="samples at a time (default: 1 in TFLite, dynamic in ONNX)")
    group.add_argument("--opset", type=int, default=OPSET, metavar="N", help=f"of ONNX, 13 to 21 (default {OPSET})")
    group.add_argument(
        "--no-reduce-range",
        action="store_true",
        help="int8 and dynamic ONNX with all 8 bits of weight: for CPUs with VNNI or SDOT; others answer differently",
    )
    group.add_argument(
        "--tensor-type",
        default="int8",
        metavar="TYPE",
        help="input and output of int8 TFLite: int8, uint8 (pixels of int8 ONNX too) or float32 (default int8)",
    )
    group.add_argument(
        "--unroll-limit",
        type=int,
        default=UNROLL_LIMIT,
        metavar="STEPS",
        help="write the loop of a recurrent layer out for int8 and int16x8 TFLite if it has up to so many steps "
        f"(default {UNROLL_LIMIT})",
    )
    group.add_argument(
        "--activation",
        choices=("softmax", "sigmoid"),
        help="for a model that ends in logits: what the runtime applies to get probabilities",
    )
    group.add_argument(
        "--require-agreement",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="fail artefacts below this share of equal decisions (0 to 1)",
    )
    group.add_argument(
        "--require-sqnr", type=float, default=0.0, metavar="DB", help="fail artefacts below this SQNR in dB"
    )
    group.add_argument(
        "--tflite-metadata",
        action="store_true",
        help="TFLite files that end in probabilities also carry what MediaPipe and Android read",
    )
    group.add_argument(
        "--keep-rejected",
        action="store_true",
        help="write artefacts that fail verification too, as NAME.rejected.FORMAT",
    )


def _add_floats(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--keep-float", metavar="LAYER,...", help="these layers (edgeport debug names them); all else is int8"
    )
    group.add_argument(
        "--keep-float-io",
        action="store_true",
        help="the first and the last layers with weights too: those nearest to each input and output",
    )
    group.add_argument(
        "--keep-float-where-faster",
        action="store_true",
        help="the layers that run faster in floats on this CPU, found by timing files side by side",
    )


def _add_method(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--calibration-method",
        choices=(*METHODS, AUTO),
        default=MINMAX,
        help="how 8-bit activations get their ranges; auto tries all, and takes the best on samples that no range is "
        "taken from (default minmax)",
    )
    group.add_argument(
        "--equalize",
        action="store_true",
        help="make the channels of an integer activation alike in size, by the weights before and behind it, where "
        "that is measured to lose less",
    )
    group.add_argument(
        "--correct-biases",
        action="store_true",
        help="let biases take off what rounding weights adds to the mean of each channel, where that is measured to "
        "lose less",
    )


def _add_loss(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-loss",
        type=float,
        metavar="LOSS",
        help="search the fewest layers that must stay in floats so that the upper end of the loss's 95 %% interval is "
        "below this: in points of a share such as accuracy, else in the metric's own unit",
    )
    group.add_argument(
        "--no-cures",
        action="store_true",
        help="search layers at once, without trying calibration methods, --equalize and --correct-biases first",
    )
    group.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        default=[],
        help="judge by this metric, by one of Keras, keras:NAME, or by a function of your own, which is run: "
        "FILE.py:FUNCTION[:up|down|zero] (default: that of what the output means)",
    )
    group.add_argument(
        "--data",
        metavar="SOURCE",
        help="samples with what is true of them, to judge by; never test data (default: the held-out part of what "
        "calibrates)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, print what became of each artefact, and say what to do next."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    options = _options(arguments)

    def announce(source: "Source", calibration: CalibrationSet) -> None:
        console.print(_first_line(source, calibration, options))
        if source.labels:
            console.print(_naming(source, calibration))

    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)

        def show(step: "Step") -> None:
            if step.outcome is not None:
                console.print(visible(_line(step.outcome, step.seconds)))
                for note in step.outcome.notes:
                    console.print(visible(f"    {note}"))
            if step.search is not None:
                for sentence in search_sentences(step.search):
                    console.print(visible(f"    {step.search.format}: {sentence}"))
            bar.update(task, total=step.steps, completed=step.done, description=step.doing, visible=True)

        manifest = export_model(
            arguments.model,
            arguments.output,
            **data_options(arguments),
            name=arguments.name,
            activation=arguments.activation,
            labels=_labels(arguments.labels or ()),
            outputs=arguments.outputs or (),
            options=options,
            overwrite=arguments.overwrite,
            on_start=announce,
            on_progress=show,
            on_warning=_warn,
        )
    return _end(manifest, arguments.output, console)


def _labels(given: Sequence[str]) -> Sequence[str] | Mapping[str, Sequence[str]]:
    """Return the labels of the first output, or labels by output."""
    named: dict[str, tuple[str, ...]] = {}
    for text in given:
        # A comma in front of it makes it part of a label, and a file may be called anything.
        name, equals, rest = text.partition("=")
        name, rest = (name, rest) if equals and "," not in name and not Path(text).is_file() else ("", text)
        if name in named:
            raise InputError(f"--labels: got those of {name or 'the first output'} twice, expected them once")
        named[name] = _names_in(rest)
    if "" in named and len(named) > 1:
        raise InputError("--labels: got labels with and without the name of an output, expected NAME=... for each")
    return named.get("", named)


def _names_in(given: str) -> tuple[str, ...]:
    """Return the names in a file, one a line, or between commas."""
    path = Path(given)
    if path.is_file():
        try:
            lines = read_plain(path, most=_MOST_LABELS, error=InputError).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(
                f"--labels {given}: got a file that is no UTF-8 text, expected one label a line"
            ) from error
        return tuple(line.strip() for line in lines if line.strip())
    if "," not in given:
        raise InputError(f"--labels: got {given!r}, expected a file with one label a line, or labels between commas")
    return tuple(label.strip() for label in given.split(","))


def _options(arguments: argparse.Namespace) -> Options:
    batch = arguments.batch or "usual"
    return Options(
        formats=_names(arguments.formats),
        precisions=_names(arguments.precisions),
        keep_float=_names(arguments.keep_float),
        calibration_method=arguments.calibration_method,
        equalize=arguments.equalize,
        correct_biases=arguments.correct_biases,
        try_cures=not arguments.no_cures,
        keep_float_io=arguments.keep_float_io,
        keep_float_where_faster=arguments.keep_float_where_faster,
        max_loss=arguments.max_loss,
        metrics=tuple(arguments.metric),
        data=arguments.data or "",
        batch=int(batch) if batch.isdecimal() else batch,
        opset=arguments.opset,
        reduce_range=not arguments.no_reduce_range,
        tensor_type=arguments.tensor_type,
        unroll_limit=arguments.unroll_limit,
        require_agreement=arguments.require_agreement,
        require_sqnr_db=arguments.require_sqnr,
        keep_rejected=arguments.keep_rejected,
        tflite_metadata=arguments.tflite_metadata,
    )


def _names(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InputError(f"got the empty list {text!r}, expected names with commas between them")
    return names


def _first_line(source: "Source", calibration: CalibrationSet, options: Options) -> str:
    facts = calibration.facts
    held_out = len(next(iter(calibration.held_out.values())))
    data = f"verified on {held_out} samples of {facts['source']}"
    if options.needs_calibration:
        data = f"calibrated on {facts['count']} samples of {facts['source']}, verified on {held_out} others"
    return visible(f"Exporting {source.name} from {source.opened.what}: {data}")


def _naming(source: "Source", calibration: CalibrationSet) -> str:
    """Return what the classes are called, and who says so: in another order, each answer would be a wrong one."""
    first, shown = source.outputs[0], ", ".join(source.labels[:_LISTED])
    more = f", ... ({len(source.labels):,})" if len(source.labels) > _LISTED else ""
    by = f"as {source.named_by} says"
    if source.named_by == DATA:
        by = f"as {calibration.source} has them in this order; --labels gives another"
    return visible(f"Columns of {first.name}: {shown}{more}, {by}")


def _end(manifest: Manifest, output: Path, console: Console) -> int:
    total = len(manifest.artefacts) + len(manifest.refused)
    count = f"{total} artefact{'s' * (total > 1)}"
    if manifest.refused:
        count = f"{len(manifest.artefacts)} of {count}"
    console.print(visible(f"Written to {output}: {count}, with manifest.json"))
    if manifest.artefacts and manifest.classifies_images and manifest.dataset:
        console.print(f"\nNext: edgeport benchmark {shell_word(output)}")
    elif manifest.artefacts:
        console.print(f"\nNext: edgeport inspect {shell_word(output / manifest.artefacts[0].file)}")
    # Where int8 fails and another file stands in for it, the user has what was asked for.
    repaired = {each.format for each in manifest.searches if each.enough and each.losses}
    failed = [each for each in manifest.refused if each.precision != "int8" or each.format not in repaired]
    if not failed:
        return 0
    console.file.flush()
    _warn(_failure(manifest, failed))
    return NOT_ALL


def _failure(manifest: Manifest, failed: Sequence[Refusal]) -> str:
    """Return in one line how many artefacts failed, the first of them with its reason, and what to do next."""
    first, count = failed[0], len(failed)
    total = len(manifest.artefacts) + count
    which = f"{count} of {total} failed, the first: " if count > 1 else f"1 of {total} failed: "
    delivered = {artefact.precision for artefact in manifest.artefacts}
    lost = {refusal.precision for refusal in failed} - delivered - {"mixed"}
    advice = []
    if first.status == "rejected" and not manifest.options.get("keep_rejected"):
        advice.append("see what it answers with --keep-rejected")
    if lost and delivered and manifest.options.get("max_loss") is None:
        kept = ",".join(name for name in PRECISIONS if name in delivered)
        advice.append(f"leave {' and '.join(name for name in PRECISIONS if name in lost)} out with --precisions {kept}")
    next_step = f"; {', or '.join(advice)}" if advice else ""
    return f"{which}{first.file}: {first.reason}{next_step}"


def _line(outcome: Artefact | Refusal, seconds: float) -> str:
    """Return the line of an artefact: the figures that it has, and what they cannot show."""
    if isinstance(outcome, Refusal):
        return f"  {outcome.file:<24} {outcome.outcome}: {outcome.reason}"
    verified, silent = outcome.verified, outcome.verified.inconclusive
    parts = [f"  {outcome.file:<24} ok {outcome.bytes:>11,} bytes"]
    if verified.max_abs_error is not None:
        parts.append(f"max error {verified.max_abs_error:7.1e}")
    if verified.sqnr_db is not None:
        parts.append("SQNR     -   " if "sqnr_db" in silent else f"SQNR {verified.sqnr_db:5.1f} dB")
    known = verified.agreement is not None and "agreement" not in silent
    parts.append(f"agreement {verified.agreement:7.2%}" if known else "agreement       -")
    parts.append(f"{seconds:.1f} s")
    if silent:
        speaks = known or (verified.sqnr_db is not None and "sqnr_db" not in silent)
        about = "the decisions" if speaks and "agreement" in silent else "the values" if speaks else "accuracy"
        parts.append(f"shows nothing about {about}: {next(iter(silent.values()))}")
    return "   ".join(parts)


def _warn(text: str) -> None:
    print(f"edgeport export: {visible(text)}", file=sys.stderr)
