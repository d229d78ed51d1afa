"""Plant mistakes in calibration samples, and see which are named, and whether sound samples are left in peace.

Run it with: python -m edgeport.benchmarks.lab.studies.calibration_mistakes -o docs/results/calibration-mistakes.json
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.export.verification.calibration import load_calibration
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.files.output import write_whole

if TYPE_CHECKING:
    from edgeport.benchmarks.lab.studies.calibration_models import Sound

Array = npt.NDArray[Any]
_COUNT = 200
NONE = "none"


@dataclass(frozen=True)
class Row:
    """What was said of one model's samples.

    Attributes:
        model: The model.
        planted: The mistake, or ``none``.
        expected: The kinds that name it; empty for sound samples.
        named: The kinds that were named.
        said: What was said, in words.
        held_out: Whether no threshold was set on this model.
    """

    model: str
    planted: str
    expected: tuple[str, ...]
    named: tuple[str, ...]
    said: tuple[str, ...]
    held_out: bool = False

    @property
    def is_right(self) -> bool:
        """Whether the mistake was named, or nothing was."""
        return bool(set(self.expected) & set(self.named)) if self.expected else not self.named


@dataclass(frozen=True)
class Study:
    """All of it.

    Attributes:
        versions: Of the tools.
        rows: What was said.
    """

    versions: Mapping[str, str]
    rows: tuple[Row, ...]


RESULT = ResultFile("calibration mistakes", Study, "study of calibration mistakes")


@dataclass(frozen=True)
class Planted:
    """A mistake.

    Attributes:
        name: What it is.
        kinds: What it may be called.
        models: The models whose samples can have it.
        of_one_class: Whether the data also say that it is one.
        make: From a model with sound samples to samples with it, and what is said of the input; None as before.
    """

    name: str
    kinds: tuple[str, ...]
    models: tuple[str, ...]
    make: Callable[["Sound"], tuple[Array, str | None]]
    of_one_class: bool = False


def _unit(sound: "Sound") -> Array:
    return sound.samples.astype(np.float32) / 255


def _one_class(sound: "Sound") -> tuple[Array, str | None]:
    assert sound.classes is not None
    return sound.samples[sound.classes == sound.classes[0]], None


def _padded(sound: "Sound") -> tuple[Array, str | None]:
    samples = sound.samples.copy()
    samples[:, samples.shape[1] // 8 :] = 0
    return samples, None


def _noise(sound: "Sound") -> tuple[Array, str | None]:
    random = np.random.default_rng(1)
    if sound.samples.dtype == np.uint8:
        return random.integers(0, 256, sound.samples.shape, np.uint8), None
    return random.normal(size=sound.samples.shape).astype(np.float32), None


def _far_out(sound: "Sound") -> tuple[Array, str | None]:
    samples = sound.samples.copy()
    samples[::40] *= 30
    return samples, None


def _column(sound: "Sound") -> tuple[Array, str | None]:
    samples = sound.samples.copy()
    samples[:, 3] *= 1000
    return samples, None


_PHOTOS = ("photos, scaled inside", "photos, -1 to 1", "photos, mean and deviation outside")
_PORTRAITS = ("portrait, residual, scaled inside", "portrait, depthwise, 0 to 1", "portrait, mean taken off")
_SCENES, _WAVES = "scenes of digits, segmented", "brain waves, LSTM"
_TABLES = ("houses, Normalization", "cars, BatchNormalization first")
PLANTED = (
    Planted(
        "scaled twice",
        ("scaling",),
        ("photos, scaled inside", "digits", _PORTRAITS[0], _SCENES),
        lambda each: (_unit(each), "real"),
    ),
    Planted("0 to 255, not -1 to 1", ("scaling",), ("photos, -1 to 1",), lambda each: (each.samples, "pixels:0:255")),
    Planted("-1 to 1, not 0 to 1", ("scaling",), (_PORTRAITS[1],), lambda each: (each.samples, "pixels:-1:1")),
    Planted("0 to 255, not 0 to 1", ("scaling",), (_PORTRAITS[1],), lambda each: (each.samples, "pixels:0:255")),
    Planted("0 to 1, not -1 to 1", ("scaling",), ("photos, -1 to 1",), lambda each: (each.samples, "pixels:0:1")),
    Planted(
        "mean and deviation missing",
        ("normalisation",),
        ("photos, mean and deviation outside",),
        lambda each: (
            each.samples * np.array([0.229, 0.224, 0.225], np.float32) + np.array([0.485, 0.456, 0.406], np.float32),
            None,
        ),
    ),
    Planted(
        "mean not taken off",
        ("normalisation",),
        (_PORTRAITS[2],),
        lambda each: (each.samples + np.array([103.939, 116.779, 123.68], np.float32), None),
    ),
    Planted(
        "red and blue exchanged",
        ("channels",),
        (*_PHOTOS, *_PORTRAITS),
        lambda each: (each.samples[..., ::-1].copy(), None),
    ),
    Planted("one class alone", ("one class",), ("photos, -1 to 1", "sound, waves", "chirps, log-mel"), _one_class),
    Planted(
        "one class alone, as the data say",
        ("one class",),
        ("photos, -1 to 1", "digits", "table, BatchNormalization first", "text", _PORTRAITS[1], _WAVES, "letters"),
        _one_class,
        of_one_class=True,
    ),
    Planted(
        "padding",
        ("padding",),
        ("sound, waves", "sound, log spectra", "text", "vibration, LayerNormalization", _WAVES, "letters"),
        _padded,
    ),
    Planted(
        "random numbers",
        ("noise", "unlike the training data"),
        (*_PHOTOS, "digits", "sound, log spectra", *_PORTRAITS, _SCENES, "chirps, log-mel"),
        _noise,
    ),
    Planted(
        "ten samples over and over",
        ("repeated samples",),
        ("photos, scaled inside", "table, Normalization", "text", "photos, no normalisation layer", _TABLES[1], _WAVES),
        lambda each: (np.tile(each.samples[:10], (30, *[1] * (each.samples.ndim - 1))), None),
    ),
    Planted(
        "hardly any contrast",
        ("contrast",),
        ("photos, scaled inside", "digits", "photos, no normalisation layer", _PORTRAITS[1], _SCENES),
        lambda each: ((each.samples // 8 + 10).astype(np.uint8), None),
    ),
    Planted(
        "sound at another level",
        ("level",),
        ("sound, waves", _WAVES),
        lambda each: (each.samples * np.float32(0.05), None),
    ),
    Planted(
        "sound at another level",
        ("level",),
        ("sound, log spectra", "chirps, log-mel"),
        lambda each: ((each.samples - np.float32(4.6)), None),
    ),
    Planted(
        "a few samples far out",
        ("outliers",),
        (
            "sound, waves",
            "sound, log spectra",
            "vibration, LayerNormalization",
            "autoencoder",
            _WAVES,
            "chirps, log-mel",
            "terrain, heights",
            _PORTRAITS[2],
        ),
        _far_out,
    ),
    Planted(
        "one column in other units",
        ("units of a column",),
        ("table, Normalization", "table, BatchNormalization first", "table, values", *_TABLES),
        _column,
    ),
)


def study(on_row: Callable[[Row], None] = lambda row: None) -> Study:
    """Return what is said of sound samples of every model, and of each mistake in those that can have it."""
    from edgeport.benchmarks.lab.studies.calibration_models import sound_models
    from edgeport.benchmarks.lab.studies.held_out_models import held_out_models

    rows = []
    for held_out, models in ((False, sound_models()), (True, held_out_models())):
        for sound in models:
            for row in _rows_of(sound):
                rows.append(replace(row, held_out=held_out))
                on_row(rows[-1])
    names = ("edgeport", "tensorflow", "keras", "scikit-learn")
    return Study({name: version(name) for name in names}, tuple(rows))


def _rows_of(sound: "Sound") -> Iterator[Row]:
    yield _row(sound, sound.samples, None, NONE, ())
    for planted in PLANTED:
        if sound.name in planted.models:
            samples, said = planted.make(sound)
            classes = np.zeros(len(samples), np.int64) if planted.of_one_class else None
            yield _row(sound, samples, said, planted.name, planted.kinds, classes)


def _row(
    sound: "Sound", samples: Array, said: str | None, planted: str, kinds: tuple[str, ...], classes: Array | None = None
) -> Row:
    from edgeport.export.sources.source import load_source
    from edgeport.export.verification.advice.advising import mistakes_of
    from edgeport.export.verification.reference import Reference

    kind = sound.said if said is None else said
    with quiet_stderr():
        source = load_source(sound.model, name="model", inputs=[kind] if kind else [])
        given = {"x": samples} if classes is None else {"x": samples, "y": classes}
        calibration = load_calibration(given, inputs=source.inputs, count=_COUNT)
        found = mistakes_of(source, calibration, Reference(source, calibration).decisions)
    return Row(sound.name, planted, kinds, tuple(each.kind for each in found), tuple(each.text for each in found))


def markdown(result: Study) -> str:
    """Return a row for each mistake, and one for sound samples, as Markdown."""
    rows = []
    for planted in dict.fromkeys(row.planted for row in result.rows):
        what = "sound samples: nothing is named" if planted == NONE else planted
        rows.append((what, *(_named(result, planted, held_out=held_out) for held_out in (False, True))))
    return markdown_table(("planted", "named", "held out"), rows, left=(0,))


def _named(result: Study, planted: str, *, held_out: bool) -> str:
    of = [row for row in result.rows if row.planted == planted and row.held_out == held_out]
    return f"{sum(row.is_right for row in of)} of {len(of)}" if of else ""


def _run(arguments: argparse.Namespace) -> None:
    def show(row: Row) -> None:
        mark = "ok   " if row.is_right else "WRONG"
        print(f"{mark} {row.model}: {row.planted}: {'; '.join(row.said) or 'nothing'}", flush=True)

    write_whole(arguments.output, RESULT.text(study(show)).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.calibration_mistakes",
            "Plant mistakes in calibration samples, and see which are named.",
            run=_run,
            extra="all",
        )
    )
