"""The envelope of the lab's result files: ``kind``, ``schema``, and the facts of one dataclass."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgeport.benchmarks.report.raw.report_file import read_result
from edgeport.runtime.files.json_schema import built, problem_of

Facts = TypeVar("Facts")


@dataclass(frozen=True)
class ResultFile(Generic[Facts]):
    """How the results of one script are written and read.

    Attributes:
        kind: Distinguishes them from the others in docs/results.
        facts: The dataclass that holds them.
        what: What to call them in an error.
        schema: Grows when a key changes its meaning.
    """

    kind: str
    facts: type[Facts]
    what: str
    schema: int = 1

    def text(self, result: Facts) -> str:
        """Return the text of the file, with each record of a list on a line."""
        content = {"kind": self.kind, "schema": self.schema, **asdict(result)}  # type: ignore[call-overload]
        return "{\n" + ",\n".join(f" {json.dumps(key)}: {_lines(value)}" for key, value in content.items()) + "\n}\n"

    def read(self, path: Path) -> Facts:
        """Return what a file holds.

        Raises:
            ArtefactError: It is missing, damaged or of another kind or schema.
        """

        def parse(content: dict[str, Any]) -> Facts:
            problem = problem_of(content, self.facts)
            if problem:
                raise ValueError(problem)
            result: Facts = built(content, self.facts)
            return result

        return read_result(path, parse, what=self.what, schema=self.schema, kind=self.kind)


def _lines(value: Any) -> str:
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {json.dumps(each)}" for each in value) + "\n ]"
    return json.dumps(value)
