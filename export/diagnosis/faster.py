"""The layers that run faster in floats than in integers, in one format: found by timing files side by side.

Rounding and moving tensors costs about as much whatever a layer computes, and integers multiply faster. So a layer that
multiplies little for each value that it reads or writes may be slower in integers: mostly the first ones, on few
channels at full resolution, or the last ones.
"""

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeport.export.conversion.foreign_messages import foreign_errors
from edgeport.export.conversion.job import Job, converted, verified, with_metadata
from edgeport.export.conversion.memory import free_memory
from edgeport.export.conversion.mixing import Mixing
from edgeport.export.conversion.options import OnNote, ignored
from edgeport.export.diagnosis.bench import operators_by_layer
from edgeport.export.diagnosis.bought import FLOAT32, INT8, MIXED, TIME
from edgeport.export.diagnosis.repairing import Repair
from edgeport.export.inspection.facts import Operator
from edgeport.export.manifest import Artefact, Refusal, Search
from edgeport.export.verification.engine_process import run_in_engines
from edgeport.runtime.artefact.formats import Format
from edgeport.runtime.artefact.precisions import precision_named
from edgeport.runtime.errors import ExportError
from edgeport.runtime.files.temporary import temporary_folder

# What is less is not worth a file of its own, and hard to tell from noise.
_LEAST_GAIN = 0.03
_NOISE = 0.01
# How many layers are tried alone: of all ways that gain, runs from an end gain most.
_MOST_ALONE = 6
# So many of the fastest are timed once more, and so many that join them.
_AGAIN = 3
Layers = frozenset[str]


@dataclass(eq=False)
class _Track:
    """Where files are timed against each other.

    Attributes:
        job: The export, with what times files.
        row: The format.
        mixing: What makes files with layers in floats.
        operators: Those of each layer that can stay in floats, in the order of computation.
        folder: Where the files lie.
        contents: What was made, by the layers in floats; nothing where that cannot be.
        problem: Why the last one could not be made, of those that leave layers in integers.
    """

    job: Job
    row: Format
    mixing: Mixing
    operators: Mapping[str, Sequence[Operator]]
    folder: Path
    contents: dict[Layers, bytes] = field(default_factory=dict)
    problem: str = ""

    def path(self, precision: str) -> Path:
        """Return where a file lies."""
        return self.folder / f"{self.job.source.name}.{precision}{self.row.suffix}"

    def ordered(self, layers: Layers) -> tuple[str, ...]:
        """Return layers in the order of computation."""
        return tuple(layer for layer in self.operators if layer in layers)

    def times(self, trials: Iterable[Layers]) -> tuple[dict[str, float], dict[Layers, float]]:
        """Return the microseconds of a call of float32 and int8, and of each file with layers in floats."""
        assert self.job.times is not None, "who asks has one"
        made = [each for each in trials if self._made(each)]
        files = {each: self.path(f"{MIXED}-{number}") for number, each in enumerate(made)}
        for each, file in files.items():
            file.write_bytes(self.contents[each])
        given = [self.path(FLOAT32), self.path(INT8)]
        one = {name: array[:1] for name, array in self.job.calibration.held_out.items()}
        floats, integers, *found = self.job.times([*given, *files.values()], one)
        return {FLOAT32: floats, INT8: integers}, dict(zip(files, found, strict=True))

    def _made(self, in_floats: Layers) -> bool:
        if in_floats not in self.contents:
            free_memory()
            order = self.ordered(in_floats)
            try:
                with foreign_errors():
                    content = self.mixing.mixed(order)
            except ExportError as error:
                # onnxruntime's quantizer stops where it is left nothing.
                self.contents[in_floats] = b""
                if in_floats < self.operators.keys():
                    self.problem = str(error)
                return False
            self.contents[in_floats] = with_metadata(
                self.job, self.row, precision_named(MIXED), content, in_floats=order
            )
        return bool(self.contents[in_floats])


def faster(
    job: Job,
    row: Format,
    made: Mapping[str, bytes],
    output: Path,
    *,
    on_step: Callable[[str], None],
    on_note: OnNote,
) -> Repair:
    """Find the layers that run faster in floats, and write the file that has them so.

    Args:
        job: The export, with what times files.
        row: The format.
        made: By precision the files in float32 and int8 that were made of it, as far as they could be.
        output: Where the file goes.
        on_step: Called before each round with what comes.
        on_note: Called with what was done to the model that its user should know.

    Raises:
        EdgeportError: There is no int8 file to begin with, or no engine opens it.
    """
    if INT8 not in made:
        raise ExportError("there is no int8 file that layers in floats could make faster")
    with foreign_errors():
        mixing: Mixing = importlib.import_module(row.exporter).mixing(
            job.source, calibration=job.calibration, options=job.options, on_note=on_note
        )
    floats = made.get(FLOAT32) or converted(job, row, precision_named(FLOAT32), ignored)
    with temporary_folder() as folder:
        operators = operators_by_layer(floats, job, row)
        known = {layer: each for layer, each in operators.items() if layer in mixing.layers}
        track = _Track(job, row, mixing, known, folder)
        track.path(FLOAT32).write_bytes(floats)
        track.path(INT8).write_bytes(made[INT8])
        us, in_floats = _fastest(track, on_step)
    if track.problem and not any(track.contents.values()):
        raise ExportError(f"no file with layers in floats can be made: {track.problem}")
    fastest = min(us, key=us.__getitem__)
    found = Search(
        format=row.name,
        measure=TIME,
        data="",
        enough=fastest,
        in_floats=track.ordered(in_floats) if fastest == MIXED else (),
        layers=len(track.operators),
        trials=sum(map(bool, track.contents.values())),
        losses={},
        uppers={},
        us=us,
    )
    return Repair(found, _delivered(track, in_floats, output) if fastest == MIXED else None)


def _fastest(track: _Track, on_step: Callable[[str], None]) -> tuple[dict[str, float], Layers]:
    """Return the microseconds of a call by precision, and the layers in floats that are the fastest.

    Those of a file with layers in floats are among them only if it is faster than both others by what is worth it.
    """
    layers = list(track.operators)
    alone = [frozenset([layer]) for layer in _cheapest(track.operators)[:_MOST_ALONE]]
    tried = dict.fromkeys([*_runs(layers), *_runs(layers[::-1]), *alone])
    on_step(f"{track.path(MIXED).name}: timing {len(tried)} files")
    us, found = track.times(tried)
    best = sorted(found, key=found.__getitem__)[:_AGAIN]
    on_step(f"{track.path(MIXED).name}: timing the fastest once more")
    us, found = track.times(dict.fromkeys([*best, *_joined(found, us[INT8])]))
    # Of files that nobody can tell apart, the one with fewest layers in floats.
    alike = (1 + _NOISE) * min(found.values(), default=math.inf)
    in_floats = min((each for each in found if found[each] <= alike), key=len, default=frozenset[str]())
    if in_floats and found[in_floats] <= (1 - _LEAST_GAIN) * min(us.values()):
        us[MIXED] = found[in_floats]
    return us, in_floats


def _delivered(track: _Track, in_floats: Layers, output: Path) -> Artefact | Refusal:
    """Write what is the fastest, and verify it as every artefact is."""
    job, row, precision = track.job, track.row, precision_named(MIXED)
    path = output / track.path(MIXED).name
    path.write_bytes(track.contents[in_floats])
    held_out = job.calibration.held_out
    (answer,) = run_in_engines(output, [path.name], held_out, at_once=job.source.samples_at_once)
    return verified(job, path, row, precision, answer, in_floats=track.ordered(in_floats))


def _runs(layers: Sequence[str]) -> list[Layers]:
    """Return the first layer, the first two, four and so on, and all of them."""
    doubled = [2**power for power in range(len(layers).bit_length())]
    return [frozenset(layers[:count]) for count in (*doubled, len(layers))]


def _cheapest(operators: Mapping[str, Sequence[Operator]]) -> list[str]:
    """Return the layers with weights, those first that multiply least for each place at which they do."""

    def products(layer: str) -> int:
        return sum(each.parameters for each in operators[layer])

    return sorted(filter(products, operators), key=products)


def _joined(times: Mapping[Layers, float], base: float) -> list[Layers]:
    """Return what may gain more than each file that was timed: those together that gain and share no layer."""
    gaining = sorted((each for each in times if times[each] < base), key=lambda each: (times[each], len(each)))
    joined, together = [], frozenset[str]()
    for each in gaining:
        if not each & together:
            together |= each
            joined.append(together)
    return joined[1 : 1 + _AGAIN]
