"""The layers and functions of a user's own file, which Keras needs to read a model that uses them."""

from pathlib import Path
from typing import Any

from edgeport.runtime.errors import InputError
from edgeport.train.python_file import run_python_file


def objects_of(path: Path) -> dict[str, Any]:
    """Run a Python file and return the classes and functions that it defines, by name.

    Raises:
        InputError: The file is missing, or fails.
    """
    module = run_python_file(path, role="--custom-objects")
    own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    if not own:
        raise InputError(f"--custom-objects: {path} defines no class or function")
    return own
