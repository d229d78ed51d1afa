"""What a conversion did to the model that its user should know, in one line each."""

from collections.abc import Callable

OnNote = Callable[[str], None]


def ignored(note: str) -> None:
    """Take a note for which nobody asked."""
