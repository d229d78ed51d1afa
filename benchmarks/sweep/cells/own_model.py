"""A model of the user's own as a cell begins with it: a file, or what a function builds with the cell's seed."""

from pathlib import Path

import keras

from edgeport.benchmarks.sweep.cells.cell import Own
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.train.models.keras_file import open_keras_file
from edgeport.train.python_file import run_python_file, users_code

FILE = "start.keras"


def known_of(model: keras.Model, *, start: str) -> Own:
    """Return what is known of a model before it is trained; raises InputError if it has no inputs yet."""
    if not getattr(model, "inputs", None):
        raise InputError(f"models: {start} gave a model that has no inputs yet: build it, or call it once")
    inputs = tuple(
        Input(tensor.name, (None, *tensor.shape[1:]), keras.backend.standardize_dtype(tensor.dtype))
        for tensor in model.inputs
    )
    return Own(inputs, bool(model.compiled))


def built(start: str, *, seed: int) -> keras.Model:
    """Return a model of the user's own, compiled if its file or its function compiles it.

    Args:
        start: ``FILE.keras``, or ``FILE.py:FUNCTION``, which is called without arguments.
        seed: Decides the weights that a function draws.

    Raises:
        InputError: The file holds no model; there is no such function, it fails, or gives no Keras model.
    """
    before, _, function = start.partition(".py:")
    if not function:
        open_keras_file(Path(start), role="models")
        try:
            return keras.models.load_model(start)
        except Exception as error:  # Keras raises whatever it does not know
            raise InputError(
                f"models: {start} was compiled with what is not Keras's own: give FILE.py:FUNCTION, which builds and "
                "compiles it, or save it uncompiled to have it learn classes by a recipe"
            ) from error
    path = Path(f"{before}.py")
    build = getattr(run_python_file(path, role="models"), function, None)
    if not callable(build):
        raise InputError(f"models: {path} has no function {function}")
    keras.utils.set_random_seed(seed)
    with users_code(path, role=f"models: {function}() in {path}"):
        model = build()
    if not isinstance(model, keras.Model):
        raise InputError(f"models: {function}() in {path} gave {type(model).__name__}, expected a Keras model")
    return model


def started_from(start: str, *, seed: int, folder: Path) -> Path:
    """Return the Keras file that the training of a cell begins with.

    Args:
        start: ``FILE.keras``, or ``FILE.py:FUNCTION``, which is called without arguments.
        seed: Decides the weights that a function draws.
        folder: Where the file of what a function builds goes; one that is there holds, as no second one has its bytes.

    Raises:
        InputError: See ``built``.
    """
    if ".py:" not in start:
        return Path(start)
    file = folder / FILE
    if file.is_file():
        return file
    partial = folder / f"partial-{FILE}"
    built(start, seed=seed).save(partial)
    partial.replace(file)
    return file
