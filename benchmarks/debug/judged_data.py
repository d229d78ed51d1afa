"""The samples that judge whether int8 is good enough: none that the quantizer has seen, and none of a test split."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeport.export.verification.calibration import ARRAYS, RANDOM, CalibrationSet, check_no_test_data
from edgeport.export.verification.calibration_files import picture_shape_of
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ALL
from edgeport.train.datasets.data import Data, Part, divided
from edgeport.train.datasets.named import load_data

# More tell little more, and each trial answers all of them.
_MOST = 5_000


def judged_data(calibration: CalibrationSet, source: str, *, data_dir: Path | None = None) -> Data:
    """Return samples to judge by, as the part ``all``, with their targets if these are known.

    They are the validation split of a source. Where nobody has divided it, and it is not what calibrates, they are all
    of it but what would be its test split.

    Args:
        calibration: What the quantizer sees.
        source: Where the samples come from; empty for where those of the quantizer do.
        data_dir: See load_dataset.

    Raises:
        InputError: There are none, or only test data.
    """
    other = bool(source) and os.path.realpath(source) != os.path.realpath(calibration.source)
    source = source or calibration.source
    if source == RANDOM:
        raise InputError(
            "--max-loss: random data judges nothing: give real samples with --calibration, or others with --data"
        )
    if source == ARRAYS:
        return _held_out(calibration)
    check_no_test_data(source, kind="data to judge by")
    whole = load_data(
        source,
        data_dir=data_dir,
        image_shape=picture_shape_of(calibration.inputs[0]),
        resizing=calibration.resizing,
        inputs=calibration.inputs,
    )
    data = divided(whole, anyhow=True)
    if other and whole.parts.keys() == {ALL}:
        part = _together([each for name, each in data.parts.items() if name != "test"])
    elif "validation" in data.parts:
        part = data.parts["validation"]
    elif not other:
        return _held_out(calibration)
    else:
        raise InputError(
            f"--data: got {' and '.join(data.parts)} samples alone in {source}, expected others to judge by: test data "
            "must stay unseen"
        )
    if len(part) > _MOST:
        part = part.at(np.sort(np.random.default_rng(0).permutation(len(part))[:_MOST]))
    return replace(data, parts={ALL: part})


def _held_out(calibration: CalibrationSet) -> Data:
    part = Part(calibration.held_out, calibration.held_out_classes)
    return Data(calibration.source, {ALL: part}, calibration.labels)


def _together(parts: list[Part]) -> Part:
    inputs = {name: np.concatenate([each.inputs[name] for each in parts]) for name in parts[0].inputs}
    targets = [each.targets for each in parts if each.targets is not None]
    return Part(inputs, np.concatenate(targets) if len(targets) == len(parts) else None)
