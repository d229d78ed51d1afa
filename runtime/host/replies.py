"""What a process reports to the one that has started it: lines of JSON, apart from all that libraries print."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from edgeport.runtime.errors import EdgeportError

Reply = Callable[[Mapping[str, Any]], None]


def replies() -> Reply:
    """Keep standard output for answers, and return what writes one; whatever prints from now on goes to the errors."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(content: Mapping[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    return reply


def refusal(error: EdgeportError) -> dict[str, str]:
    """Return an error as an answer, which ``answer_of`` in the other process raises."""
    return {"error": str(error), "kind": type(error).__name__}
