"""What a server says of itself: one JSON object a line on the standard error, for people and for collectors of logs."""

import datetime
import json
import logging
import sys
import traceback
from typing import Any, TextIO

# What a client sends may be long; what a line is for is not.
_LONGEST = 200


def log(event: str, *, stream: TextIO | None = None, **facts: Any) -> None:
    """Write one line.

    Args:
        event: What has happened.
        stream: Where it goes; by default the standard error.
        facts: What there is to know. Text is cut, and all that is no ASCII or steers a terminal is escaped, as JSON is.
    """
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    line = {"time": now, "event": event, **{key: _cut(value) for key, value in facts.items()}}
    # DEL is the one control character that JSON leaves as it is.
    print(json.dumps(line).replace("\x7f", "\\u007f"), file=stream or sys.stderr, flush=True)


def log_bug(error: BaseException, **facts: Any) -> None:
    """Write the traceback of an error that nobody has foreseen, in one line."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    log("bug", traceback=text[-4000:].splitlines(), **facts)


class JsonHandler(logging.Handler):
    """Makes lines of what a library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if record.exc_info and record.exc_info[1]:
            log_bug(record.exc_info[1], message=record.getMessage())
        else:
            log("server", level=record.levelname.lower(), message=record.getMessage())


def _cut(value: Any) -> Any:
    return f"{value[:_LONGEST]}..." if isinstance(value, str) and len(value) > _LONGEST else value
