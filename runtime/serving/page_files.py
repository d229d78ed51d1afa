"""The files of the page, read once: nothing that a client asks for becomes a path."""

from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
# What is asked for at the root, and the file that it is.
ROOT = {"/": "index.html", "/api": "api.html"}


class PageFile(NamedTuple):
    """A file, and its type of content."""

    content: bytes
    kind: str


def page_files() -> Mapping[str, PageFile]:
    """Return all files of the page by the path under which they are asked for."""
    folder = files("edgeport.runtime.serving") / "page"
    found = {
        entry.name: PageFile(entry.read_bytes(), _TYPES[entry.name[entry.name.rindex(".") :]])
        for entry in folder.iterdir()
        if entry.is_file()
    }
    below = {f"/page/{name}": each for name, each in found.items() if not name.endswith(".html")}
    return {**{path: found[name] for path, name in ROOT.items()}, **below}
