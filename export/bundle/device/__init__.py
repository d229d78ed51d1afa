"""What a device gets as it is, or with names filled in: its installer, its README, its examples."""

import re
from collections.abc import Mapping
from importlib.resources import files

# The place of this package below its layer; a wheel holds all of its files.
PLACE = ("bundle", "device")


def text_of(name: str, values: Mapping[str, str] | None = None) -> bytes:
    """Return one of the files, with each ``@KEY@`` replaced by its value.

    Args:
        name: Its file name.
        values: What the keys stand for.

    Raises:
        KeyError: The file holds a key that has no value.
    """
    text = files(__name__).joinpath(name).read_text(encoding="utf-8")
    return re.sub("@([A-Z]+)@", lambda found: (values or {})[found[1]], text).encode()
