"""What is tried beside layers in floats: another calibration and other weights before it, wider integers after it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgeport.export.conversion.interrupts import interrupts_kept
from edgeport.export.conversion.job import converted
from edgeport.export.conversion.options import Options, ignored
from edgeport.export.conversion.ranges.choice import CURES
from edgeport.export.conversion.ranges.methods import AUTO, METHODS, MINMAX
from edgeport.export.conversion.ranges.trial import MethodChooser
from edgeport.export.diagnosis.bench import Bench, Trial
from edgeport.export.diagnosis.bought import INT8, INT16X8, MIXED
from edgeport.runtime.artefact.precisions import precision_named
from edgeport.runtime.errors import EdgeportError

# Each method and each cure makes a file, and all that help together one more.
MOST_CURES = len(METHODS) + len(CURES) + 1
# Wider integers run in plain kernels, and a model that would take longer is not judged in them.
_MOST_SECONDS = 120.0


@dataclass(frozen=True, eq=False)
class Cured:
    """What the calibration methods and the cures give that nobody has asked for.

    Attributes:
        trial: The int8 file with all that are measured to help; None if none is.
        options: The choices of an export with them.
        in_floats: The same for a file with layers in floats.
        notes: What each gave, in words.
        files: How many files were made.
    """

    trial: Trial | None
    options: Options
    in_floats: Options
    notes: tuple[str, ...]
    files: int


def cured(bench: Bench, plain: Trial, *, on_step: Callable[[str], None]) -> Cured:
    """Try each calibration method and each cure, and judge the int8 file with those that help.

    Whether they do is measured on calibration samples, as ``--calibration-method auto``, ``--equalize`` and
    ``--correct-biases`` do; what is not better for the judge is left again.

    Args:
        bench: Where files are tried.
        plain: What became of int8 without them.
        on_step: Called before each step with what comes.
    """
    job, row, given = bench.job, bench.row, bench.job.options
    name = f"{job.source.name}.{INT8}{row.suffix}"
    method = AUTO if given.calibration_method == MINMAX else given.calibration_method
    wanted = replace(given, calibration_method=method, equalize=True, correct_biases=True)
    chooser = MethodChooser(job.source, job.calibration, wanted, job.reference)
    on_step(f"{name}: which cheaper cures help?")
    notes: list[str] = []
    files = MOST_CURES - 1
    try:
        with interrupts_kept():
            options = chooser.options_for(row, precision_named(INT8), notes.append)
            in_floats = chooser.options_for(row, precision_named(MIXED), ignored)
        if options == given:
            return Cured(None, given, given, tuple(notes), files)
        on_step(f"{name}: are they enough?")
        better = bench.with_options(options)
        content = converted(better.job, row, precision_named(INT8), ignored)
    except EdgeportError as error:
        return Cured(None, given, given, (f"cheaper cures cannot be tried: {error}",), files)
    before = bench.path(INT8).read_bytes()
    trial = better.tried(content, precision=INT8)
    if trial.upper >= plain.upper:
        bench.path(INT8).write_bytes(before)
        return Cured(None, given, given, (*notes, "none of these is used: for the judge they lose no less"), files + 1)
    return Cured(trial, options, in_floats, tuple(notes), files + 1)


@dataclass(frozen=True, eq=False)
class Wider:
    """The same model with wider activations.

    Attributes:
        trial: What became of it; None if it was not judged.
        size: Its bytes; 0 if there is no file.
        note: Why it was not judged; empty if it was.
    """

    trial: Trial | None
    size: int = 0
    note: str = ""


def wider(bench: Bench, made: bytes | None, *, on_step: Callable[[str], None]) -> Wider | None:
    """Judge the file with integers of 16 bits, where the format has such; None where it has not.

    Args:
        bench: Where files are tried.
        made: The file, if it is made already.
        on_step: Called before each step with what comes.
    """
    precision = precision_named(INT16X8)
    if bench.row.name not in precision.formats:
        return None
    path = bench.path(INT16X8)
    on_step(f"{path.name}: are wider integers enough?")
    try:
        content = made or converted(bench.job, bench.row, precision, ignored)
        if not bench.has_integers(content):
            return Wider(None, note=f"{INT16X8} has nothing in integers")
        path.write_bytes(content)
        seconds = bench.seconds_of(INT16X8)
    except EdgeportError as error:
        return Wider(None, note=f"{INT16X8} cannot be made or run: {error}")
    if seconds > _MOST_SECONDS:
        return Wider(None, len(content), f"{INT16X8} is not judged: that would take {seconds:,.0f} s")
    return Wider(bench.tried(content, precision=INT16X8), len(content))
