"""Code of the user's own in a Python file: run because the user named it, and its errors in one line."""

import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from edgeport.runtime.errors import EdgeportError, InputError


def run_python_file(path: Path, *, role: str) -> ModuleType:
    """Run a Python file and return it as a module; it finds the modules that lie beside it.

    Args:
        path: The file.
        role: What the message calls it, such as an option.

    Raises:
        InputError: The file is missing, or fails.
    """
    name = "edgeport_user_" + re.sub(r"\W", "_", path.stem)
    specification = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or specification is None or specification.loader is None:
        raise InputError(f"{role}: {path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    # As import does it: dataclasses look their module up there.
    sys.modules[name] = module
    with users_code(path, role=f"{role}: {path}"):
        specification.loader.exec_module(module)
    return module


@contextmanager
def users_code(path: Path, *, role: str) -> Iterator[None]:
    """Run the block, which is code of a user's file, and raise whatever fails there as an InputError of one line.

    Behind all that is installed, modules are looked for beside the file.
    """
    folder = str(path.absolute().parent)
    sys.path.append(folder)
    try:
        yield
    except EdgeportError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{role} fails with {type(error).__name__}: {reason} ({_place(error, path)})") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _place(error: BaseException, path: Path) -> str:
    """Return the file and the line where an error came from: the last one in the user's own file, if there is one."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{Path(error.filename or path).name}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).absolute() == path.absolute()]
    if not own:
        return path.name
    return f"{path.name}:{own[-1].lineno}"
