"""What a program writes for people: text that steers no terminal, on streams fit for whatever is behind them.

- A terminal of any encoding: what it cannot show is written as an escape, and no work is lost over a character.
- A stream that was closed (``2>&-``): its number must not go to the next file that is opened, into which the chatter of
  an engine would then be written.
- A full disk, or a reader that has left: the work goes on, since its results are files as often as lines, and
  ``failed_output`` says at the end what could not be written. A message that nobody can read is dropped, since it must
  change neither what a program does nor what it returns.
"""

import io
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any, TextIO

# Control characters (a newline begins a line that looks like ours, ESC steers a terminal), the separators of lines and
# paragraphs, marks that turn the direction of writing round, and halves of characters, which no encoding can write.
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# What Python makes of a byte of a file name that is no UTF-8 (PEP 383).
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
_ENCODING, _ESCAPES = "utf-8", "backslashreplace"


def visible(text: str) -> str:
    """Return a text in one line that can be shown as it is; file names that are no UTF-8 show their bytes."""
    return _UNSEEN.sub(_escaped, text)


def steers(text: str) -> bool:
    """Whether a text holds what ``visible`` escapes."""
    return _UNSEEN.search(text) is not None


def shell_word(given: str | Path) -> str:
    """Return an argument as one word of a command line that can be shown, and copied into bash or zsh.

    Args:
        given: Any text, or a path; one that begins with a dash, and would be taken for an option, gets ``./`` in front.
    """
    text = str(given)
    if isinstance(given, Path) and text.startswith("-"):
        text = f"./{text}"
    if not steers(text):
        return shlex.quote(text)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_UNSEEN.sub(_bytes_escaped, quoted)}'"


def _bytes_escaped(found: re.Match[str]) -> str:
    letter = found[0]
    content = letter.encode("utf-8", "surrogateescape" if _FIRST_BYTE <= ord(letter) <= _LAST_BYTE else "surrogatepass")
    return _SHORT.get(letter) or "".join(f"\\x{byte:02x}" for byte in content)


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _SHORT:
        return _SHORT[letter]
    number = ord(letter)
    if _FIRST_BYTE <= number <= _LAST_BYTE:
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


class _Descriptor(io.RawIOBase):
    """A descriptor that takes all that is written; what it refused first is kept."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, content: object) -> int:
        left = memoryview(content)  # type: ignore[arg-type]
        size = len(left)
        while left and self.failure is None:
            try:
                left = left[os.write(self._number, left) :]
            except OSError as error:
                self.failure = error
        return size


_output = _Descriptor(1)


def prepare_streams() -> None:
    """Prepare the standard streams of this process; again is no harm. Call it before anything else is opened."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _fill(number)
    # Those that something else has taken the place of, as in a test, are its own to care for.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(io.BufferedWriter(_output), sys.stdout, line_buffering=_output.isatty())
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Descriptor(2), sys.stderr, line_buffering=True)


def failed_output() -> OSError | None:
    """Return what the system refused to write to the standard output; None if all has been written."""
    if sys.stdout is not None:
        sys.stdout.flush()
    return _output.failure


def _fill(number: int) -> None:
    """Open what takes the place of a closed stream: what is written to the standard output must still be refused."""
    opened = os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)


def _text(raw: Any, before: TextIO | None, *, line_buffering: bool) -> TextIO:
    """Return a text stream in the encoding of the one before it, which has nothing left to write."""
    if before is not None:
        before.flush()
    encoding = _ENCODING if before is None else before.encoding
    return io.TextIOWrapper(raw, encoding, _ESCAPES, line_buffering=line_buffering)
