"""SHA-256 at the least cost: OpenSSL computes it five times as fast, but takes 4 MB and 2 ms to be there at all."""

import importlib
from collections.abc import Iterable
from typing import Any

# From here on OpenSSL's speed outweighs what it takes to load it.
_LARGE = 1 << 20
# Python's own implementation: since 3.12, and before. hashlib itself falls back on it.
_SMALL = ("_sha2", "_sha256", "hashlib")


def sha256_hex(parts: Iterable[bytes | memoryview], *, size: int) -> str:
    """Return the SHA-256 of the parts, one after the other, as 64 hexadecimal digits.

    Args:
        parts: The content.
        size: About how many bytes that is.
    """
    digest = _implementation("hashlib" if size >= _LARGE else "").sha256()
    for part in parts:
        digest.update(part)
    return str(digest.hexdigest())


def _implementation(name: str) -> Any:
    for module in (name,) if name else _SMALL:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError:
            continue
    raise ImportError("this Python has no SHA-256")
