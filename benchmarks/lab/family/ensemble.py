"""Several trained models as one that gives the mean of their answers: a teacher that knows more than each.

Run it with: python -m edgeport.benchmarks.lab.family.ensemble MODEL.keras MODEL.keras ... -o teacher.keras
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeport.runtime.cli import exit_code_of, needing
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.host.terminal import shell_word, visible

if TYPE_CHECKING:
    import keras


def ensemble_of(models: "Sequence[keras.Model]") -> "keras.Model":
    """Return a model that gives the mean of the probabilities that several models give; it takes what they take.

    Raises:
        InputError: There are fewer than two, or they differ in what they take or give.
    """
    import keras

    from edgeport.train.models.keras_file import shapes_of

    if len(models) < 2:
        raise InputError(f"got {len(models)} model, expected two or more")
    first = models[0]
    for number, model in enumerate(models, start=1):
        shapes = shapes_of(model)
        if not all(isinstance(shape, tuple) for shape in shapes):
            raise InputError(
                f"model {number} takes {shapes[0]} and gives {shapes[1]}, expected one input and one output"
            )
        if shapes != shapes_of(first):
            raise InputError(
                f"model {number} takes {shapes[0]} and gives {shapes[1]}, expected {shapes_of(first)[0]} and "
                f"{shapes_of(first)[1]} as the first one"
            )
        # Layers of a model need names of their own, and all of these may be called teacher.
        model.name = f"member_{number}"
    image = keras.Input(first.input_shape[1:], name="image")
    mean = keras.layers.Average(name="probabilities")([model(image) for model in models])
    return keras.Model(image, mean, name="ensemble")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code: 0 done, 2 refused with one line."""
    parser = argparse.ArgumentParser(
        prog="python -m edgeport.benchmarks.lab.family.ensemble",
        description="Several trained models as one, for a teacher.",
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.keras", help="trained on the same data set")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.keras", help="must not exist yet")

    def action() -> int:
        arguments = parser.parse_args(argv)
        if arguments.output.suffix != ".keras" or arguments.output.exists():
            raise InputError(f"-o: got {arguments.output}, expected the name of a new .keras file")
        # TensorFlow logs while it is imported.
        with needing("train", "it"), quiet_stderr():
            from edgeport.train.models.keras_file import open_keras_file

            ensemble = ensemble_of([open_keras_file(path, role="model") for path in arguments.models])
        with tempfile.TemporaryDirectory() as folder:
            ensemble.save(Path(folder, "ensemble.keras"))
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            write_whole(arguments.output, Path(folder, "ensemble.keras").read_bytes())
        print(visible(f"Written to {arguments.output}: the mean of {len(arguments.models)} models"))
        teacher = shell_word(arguments.output)
        print(f"\nNext: edgeport train --teacher {teacher} --model edge-10k -o runs/edge-10k/train")
        return 0

    return exit_code_of("edgeport.benchmarks.lab.family.ensemble", action)


if __name__ == "__main__":
    sys.exit(main())
