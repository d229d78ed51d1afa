"""Which example programs fit a model, and what the bundle's README says of them."""

from dataclasses import dataclass
from math import prod

from edgeport.export.manifest import Manifest

# The unit that runs `edgeport serve`, whatever the model takes.
SERVER = "edgeport-serve.service"


@dataclass(frozen=True)
class Programs:
    """Programs for a kind of input.

    Attributes:
        files: Their names in ``examples/``, which are those in the package ``device``.
        what: What they are, in a table.
        given: What stands for a file of samples in a command line.
        section: The part of the README that explains them; empty if there are none.
        serves: Whether one of them can be a service.
    """

    files: tuple[str, ...]
    what: str
    given: str
    section: str = ""
    serves: bool = False


_PICTURES = Programs(
    ("predict_camera.py", "predict_folder.py", "edgeport.service"),
    "a program that watches a folder, one for the camera, and a systemd service",
    "IMAGE.png",
    "pictures.md",
    serves=True,
)
_ROWS = Programs(
    ("predict_lines.py",), "a program that answers each line of CSV as soon as it comes", "SAMPLES.csv", "rows.md"
)
# A line of numbers or a picture is only one of them.
_ARRAYS = Programs((), "none: a sample of this model is several arrays", "SAMPLES.npz")


def programs_for(manifest: Manifest) -> Programs:
    """Return the programs that fit what the model takes."""
    if len(manifest.inputs) > 1:
        numbers = all(prod(axis or 0 for axis in port.shape[1:]) == 1 for port in manifest.inputs)
        return _ROWS if numbers else _ARRAYS
    return _PICTURES if all(manifest.picture_shape) else _ROWS
