"""A model of the user's own as a cell begins with it: a file, or what a function builds with the cell's seed."""

from pathlib import Path

import keras

from edgeport.runtime.errors import InputError
from edgeport.train.python_file import run_python_file, users_code

FILE = "start.keras"


def started_from(start: str, *, seed: int, folder: Path) -> Path:
    """Return the Keras file that the training of a cell begins with.

    Args:
        start: ``FILE.keras``, or ``FILE.py:FUNCTION``, which is called without arguments.
        seed: Decides the weights that a function draws.
        folder: Where the file of what a function builds goes; one that is there holds, as no second one has its bytes.

    Raises:
        InputError: There is no such function, it fails, or gives no Keras model.
    """
    before, _, function = start.partition(".py:")
    if not function:
        return Path(start)
    file = folder / FILE
    if file.is_file():
        return file
    path = Path(f"{before}.py")
    build = getattr(run_python_file(path, role="models"), function, None)
    if not callable(build):
        raise InputError(f"models: {path} has no function {function}")
    keras.utils.set_random_seed(seed)
    with users_code(path, role=f"models: {function}() in {path}"):
        model = build()
    if not isinstance(model, keras.Model):
        raise InputError(f"models: {function}() in {path} gave {type(model).__name__}, expected a Keras model")
    partial = folder / f"partial-{FILE}"
    model.save(partial)
    partial.replace(file)
    return file
