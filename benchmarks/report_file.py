"""report.json: how a report is written and read; docs/report.md tells every key."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from edgeport.benchmarks.report import Condition, Measured, Report, Series, Start
from edgeport.benchmarks.report_check import problem_in
from edgeport.runtime.errors import ArtefactError

Result = TypeVar("Result")

SCHEMA = 2
FILE_NAME = "report.json"


def report_text(report: Report) -> str:
    """Return the text of report.json, with each list of samples on one line."""
    content: dict[str, Any] = {"schema": SCHEMA, **asdict(report)}
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {_value(value)}" for key, value in content.items()) + "\n}\n"


def read_report(path: Path) -> Report:
    """Return a report all of whose values are of the kind and size that they should be.

    Args:
        path: The file, or the folder with report.json.

    Raises:
        ArtefactError: The file is missing, damaged or of another schema.
    """
    file = path / FILE_NAME if path.is_dir() else path

    def parse(content: dict[str, Any]) -> Report:
        problem = problem_in(content)
        if problem:
            raise ArtefactError(
                f"{file} is a damaged benchmark report ({problem}): make it again with edgeport benchmark"
            )
        return _parsed(content)

    return read_result(file, parse, what="benchmark report", schema=SCHEMA)


def read_result(
    path: Path, parse: Callable[[dict[str, Any]], Result], *, what: str, schema: int, kind: str | None = None
) -> Result:
    """Return what a JSON file with a result says.

    Args:
        path: The file.
        parse: Makes the result of the rest of its content.
        what: What to call it in an error.
        schema: The schema that it must have.
        kind: The kind that it must have, if files of several kinds lie side by side.

    Raises:
        ArtefactError: The file is missing, damaged or of another kind or schema.
    """
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ArtefactError(f"{path} is no {what}: it holds no JSON object")
        found = content.pop("kind", None), content.pop("schema", None)
        if found != (kind, schema):
            raise ArtefactError(
                f"{path}: got schema {found[1]!r}, expected a {what} of schema {schema}: make it again with this "
                "edgeport"
            )
        return parse(content)
    except ArtefactError:
        raise
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtefactError(f"{path} is no {what}, or a damaged one ({error})") from error


def _parsed(content: dict[str, Any]) -> Report:
    return Report(
        **{
            **content,
            "artefacts": tuple(_measured(entry) for entry in content["artefacts"]),
            "skipped": tuple(content.get("skipped", ())),
            "conditions": tuple(Condition(**entry) for entry in content.get("conditions", ())),
        }
    )


def _measured(entry: dict[str, Any]) -> Measured:
    return Measured(
        **{
            **entry,
            "series": tuple(Series(**each) for each in entry["series"]),
            "starts": tuple(Start(**each) for each in entry["starts"]),
        }
    )


def _value(value: Any, indent: str = " ") -> str:
    """Return JSON with a line for each entry of what holds records, and lists of samples on one."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {_value(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(each, dict) for each in value):
        return "[\n" + ",\n".join(inner + _value(each, inner) for each in value) + f"\n{indent}]"
    return json.dumps(value)
