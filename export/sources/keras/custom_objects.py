"""The layers and functions of a user's own file, which Keras needs to read a model that uses them."""

import importlib.util
from pathlib import Path
from typing import Any

from edgeport.runtime.errors import InputError


def objects_of(path: Path) -> dict[str, Any]:
    """Run a Python file and return the classes and functions that it defines, by name.

    Raises:
        InputError: The file is missing, or fails.
    """
    specification = importlib.util.spec_from_file_location(f"custom_objects_{path.stem}", path)
    if not path.is_file() or specification is None or specification.loader is None:
        raise InputError(f"--custom-objects: {path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # it is the user's own code
        raise InputError(f"--custom-objects: {path} fails with {type(error).__name__}: {error}") from error
    own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    if not own:
        raise InputError(f"--custom-objects: {path} defines no class or function")
    return own
