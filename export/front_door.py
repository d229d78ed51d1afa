"""All of ``edgeport export`` in one call: read the model, draw the samples, convert, verify, write."""

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from edgeport.export.conversion.options import Options
from edgeport.export.manifest import Manifest
from edgeport.export.verification.calibration import RANDOM, CalibrationSet, load_calibration
from edgeport.export.verification.class_names import named
from edgeport.runtime.artefact.input_kinds import check_range, parsed_input
from edgeport.runtime.cli import needing
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import check_output_folder
from edgeport.runtime.host.terminal import steers, visible
from edgeport.runtime.samples.pictures.resizing import Resizing
from edgeport.train.datasets.function import check_user_named_it
from edgeport.train.zoo import find_published

if TYPE_CHECKING:
    from edgeport.export.conversion.exporting import Progress
    from edgeport.export.diagnosis.judge import Judge, JudgeOf, Times
    from edgeport.export.sources.source import Source

_JUDGE, _TIMES = "edgeport.benchmarks.debug.margin_judge", "edgeport.benchmarks.debug.call_times"


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def export_model(
    model: Any,
    folder: str | Path,
    *,
    calibration: str | Path | npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]] | None = None,
    calibration_count: int = 500,
    calibration_seed: int = 0,
    data_dir: Path | None = None,
    inputs: Sequence[str] = (),
    input_range: tuple[float, float] | None = None,
    resizing: Resizing | None = None,
    name: str | None = None,
    activation: str | None = None,
    labels: Sequence[str] | Mapping[str, Sequence[str]] = (),
    outputs: Sequence[str] = (),
    custom_objects: Path | Mapping[str, Any] | None = None,
    options: Options | None = None,
    overwrite: bool = False,
    on_start: Callable[["Source", CalibrationSet], None] = lambda source, calibration: None,
    on_progress: Callable[["Progress"], None] = lambda progress: None,
    on_warning: Callable[[str], None] = _warn,
) -> Manifest:
    """Turn a model into verified TFLite and ONNX files, as ``edgeport export`` does.

    Args:
        model: A ``.keras`` or ``.h5`` file, a SavedModel folder, ``zoo:NAME``, or a Keras model.
        folder: Where the artefacts and manifest.json go; files of other names in it are left alone.
        calibration: Samples like those the model will see (the representative dataset): what ``load_calibration``
            takes. Without them those that the training.json beside the model names, if there is one.
        calibration_count: How many samples the quantizer sees, at least 10.
        calibration_seed: Which of them.
        data_dir: Where the files of the data set ``mnist`` lie.
        inputs: Of which kind each input is, as ``--input`` takes it: ``["pixels:-1:1"]``, ``["rgb=pixels",
            "depth=real"]``. Without it float samples are real values, what an integer input takes are ids, and uint8
            samples are pixels, which the model must scale itself.
        input_range: What pixels 0 and 255 are to the model; short for ``inputs=["pixels:LOW:HIGH"]``.
        resizing: How pictures of any size take the model's, on the device too. By default as in training, where
            training.json says so; else as in the data set for calibration, or as Keras' own loaders do.
        name: What to call the artefacts; by default the model's name.
        activation: For a model that ends in logits, what the runtime applies: ``softmax`` or ``sigmoid``.
        labels: The name of each class of the first output, or by output the name of each column; by default those of
            the training.json, or of the data set for calibration.
        outputs: What the outputs mean, as ``--outputs`` takes it: ``scores=classes``, ``temperature=values:degC``; by
            default what the graph says. See docs/reference/outputs.md.
        custom_objects: The model's own layers and functions by name, or a Python file that defines them.
        options: Which artefacts, how, and what they must reach; by default all of them.
        overwrite: Whether to replace the export that the folder holds.
        on_start: Called with the opened model and the samples before the first conversion.
        on_progress: Called at every step, and with every artefact as soon as its fate is known.
        on_warning: Called with what a user should know; by default a Python warning.

    Returns:
        The manifest: what was delivered, with its figures, and what failed, with the reason.

    Raises:
        ArtefactError: The model's file is missing, damaged or no model.
        ExportError: The model cannot be exported, or no artefact at all could be delivered.
        InputError: An argument is wrong, the samples do not fit the model, or the folder holds something already.

    Examples:
        >>> import keras, numpy as np
        >>> from edgeport.export import Options, export_model
        >>> signal = keras.Input((16, 2), name="signal")
        >>> hidden = keras.layers.Conv1D(4, 3, activation="relu")(signal)
        >>> answers = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(hidden))
        >>> samples = np.random.default_rng(0).normal(size=(200, 16, 2)).astype("float32")
        >>> manifest = export_model(
        ...     keras.Model(signal, answers),
        ...     "exported",
        ...     calibration=samples,
        ...     name="gesture",
        ...     options=Options(precisions=("float32", "int8"), formats=("tflite",)),
        ... )
        >>> [artefact.file for artefact in manifest.artefacts]
        ['gesture.float32.tflite', 'gesture.int8.tflite']
    """
    output, options = Path(folder), options or Options()
    check_output_folder(output, overwrite=overwrite)
    source, samples = open_with_samples(
        model,
        calibration=calibration,
        calibration_count=calibration_count,
        calibration_seed=calibration_seed,
        data_dir=data_dir,
        inputs=inputs,
        input_range=input_range,
        resizing=resizing,
        name=name,
        activation=activation,
        labels=labels,
        outputs=outputs,
        custom_objects=custom_objects,
        options=options,
    )
    from edgeport.export.conversion.exporting import check_pixels, export

    check_pixels(source, samples)
    source = named(source, samples)
    judge, times = _judge(source, samples, options, data_dir), _times(options)
    for warning in samples.warnings:
        on_warning(warning)
    on_start(source, samples)
    manifest = export(source, output, samples, options=options, judge=judge, times=times, on_progress=on_progress)
    for warning in manifest.warnings[len(samples.warnings) :]:
        on_warning(warning)
    return manifest


def open_with_samples(
    model: Any,
    *,
    calibration: str | Path | npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]] | None,
    calibration_count: int,
    calibration_seed: int,
    data_dir: Path | None,
    inputs: Sequence[str],
    input_range: tuple[float, float] | None,
    resizing: Resizing | None,
    custom_objects: Path | Mapping[str, Any] | None,
    options: Options,
    name: str | None = None,
    activation: str | None = None,
    labels: Sequence[str] | Mapping[str, Sequence[str]] = (),
    outputs: Sequence[str] = (),
) -> tuple["Source", CalibrationSet]:
    """Return an opened model and its calibration samples; see ``export_model``."""
    _check_name(name)
    said = _said(inputs, input_range)
    source, usual = _opened(
        model,
        name=name,
        activation=activation,
        labels=labels,
        inputs=said,
        outputs=outputs,
        custom_objects=custom_objects,
    )
    _check_resizing(resizing, source)
    samples = load_calibration(
        _chosen(calibration, usual, source, options),
        inputs=source.inputs,
        count=calibration_count,
        seed=calibration_seed,
        vocabulary=source.opened.vocabulary,
        resizing=resizing or source.resizing,
        data_dir=data_dir,
    )
    return source, samples


def _judge(source: "Source", samples: CalibrationSet, options: Options, data_dir: Path | None) -> "Judge | None":
    """Return who judges the loss of int8: what answers are worth is known a layer above, which is reached by its name.

    Raises:
        InputError: There is nothing to judge by.
    """
    if options.max_loss is None:
        return None
    with needing("benchmarks", "--max-loss"):
        judge_of: JudgeOf = importlib.import_module(_JUDGE).margin_judge
    return judge_of(source, samples, options, data_dir=data_dir)


def _times(options: Options) -> "Times | None":
    """Return what times files, which is known a layer above too."""
    if not options.keep_float_where_faster:
        return None
    with needing("benchmarks", "--keep-float-where-faster"):
        times: Times = importlib.import_module(_TIMES).call_times
    return times


def _opened(
    model: Any,
    *,
    name: str | None,
    activation: str | None,
    labels: Sequence[str] | Mapping[str, Sequence[str]],
    outputs: Sequence[str],
    inputs: Sequence[str],
    custom_objects: Path | Mapping[str, Any] | None,
) -> tuple["Source", str]:
    """Return a model, and where samples for it usually come from; empty if nothing says so."""
    published = find_published(model) if isinstance(model, (str, Path)) else None
    # TensorFlow takes seconds to import, and logs while it does.
    with quiet_stderr():
        from edgeport.export.sources.keras.custom_objects import objects_of
        from edgeport.export.sources.source import load_source

        objects = objects_of(custom_objects) if isinstance(custom_objects, Path) else custom_objects
        source = load_source(
            published.file if published else model,
            name=name,
            activation=activation,
            labels=labels,
            outputs=outputs,
            inputs=inputs,
            custom_objects=objects,
        )
    # What a published model was trained on may have to be downloaded; what calibrates it is installed.
    return source, published.calibration if published else source.dataset


def _check_resizing(resizing: Resizing | None, source: "Source") -> None:
    if resizing and source.resizing and resizing != source.resizing:
        raise InputError(
            f"--resize, --interpolation: got {' and '.join(resizing)}, expected {' and '.join(source.resizing)}, "
            f"as the training.json beside {source.opened.what} says: leave them out"
        )


def _check_name(name: str | None) -> None:
    if name is not None and steers(name):
        raise InputError(f"--name: got '{visible(name)}', expected text without control characters")


def _said(inputs: Sequence[str], input_range: tuple[float, float] | None) -> Sequence[str]:
    """Return what is said of inputs, in one form; raises InputError before a model is opened if it is none."""
    inputs = [inputs] if isinstance(inputs, str) else list(inputs)
    for text in inputs:
        parsed_input(text)
    if input_range is None:
        return inputs
    low, high = input_range
    check_range(low, high, said=f"--input-range: got {low:g} {high:g}")
    if inputs:
        raise InputError(f"--input-range: got it with --input {' '.join(inputs)}, expected one of them")
    return [f"pixels:{float(low)!r}:{float(high)!r}"]


def _chosen(calibration: Any, usual: str, source: "Source", options: Options) -> Any:
    """Return where the samples come from; raises InputError if integers need some and none are known."""
    if calibration is not None and not (isinstance(calibration, str) and not calibration):
        return calibration
    if usual or not options.needs_calibration:
        check_user_named_it(usual, record=f"the training.json beside {source.opened.what}", option="--calibration")
        return usual or RANDOM
    opened = source.opened
    where = f"no training.json beside {opened.what} names" if opened.file else f"nothing beside {opened.what} names"
    raise InputError(
        f"{where} its data, and int8 needs samples like those it will see: "
        "give --calibration FILE.npz or a data set, or leave int8 out with --precisions float32,float16,dynamic"
    )
