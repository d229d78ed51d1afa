"""Text of others for a terminal, a log or a page: what would steer it, or cannot be seen, becomes an escape."""

import re

# Control characters (a newline begins a line that looks like ours, ESC steers a terminal), the separators of lines and
# paragraphs, marks that turn the direction of writing round, and halves of characters, which no encoding can write.
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# What Python makes of a byte of a file name that is no UTF-8 (PEP 383).
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF


def visible(text: str) -> str:
    """Return a text in one line that can be shown as it is; file names that are no UTF-8 show their bytes."""
    return _UNSEEN.sub(_escaped, text)


def steers(text: str) -> bool:
    """Whether a text holds what ``visible`` escapes."""
    return _UNSEEN.search(text) is not None


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _SHORT:
        return _SHORT[letter]
    number = ord(letter)
    if _FIRST_BYTE <= number <= _LAST_BYTE:
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
