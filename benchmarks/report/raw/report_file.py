"""report.json: how a report is written and read; docs/reference/report.md explains every key."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.raw.report_check import problem_in
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.json_file import parse_json
from edgeport.runtime.files.json_schema import built
from edgeport.runtime.files.plain_file import MOST_REPORT, read_plain
from edgeport.runtime.host.terminal import visible

Result = TypeVar("Result")

SCHEMA = 3
# Of a model that chooses a class, whose reports lack what schema 3 adds: answers of other kinds.
_OF_CLASSES = 2
FILE_NAME = "report.json"


def report_text(report: Report) -> str:
    """Return the text of report.json, with each list of samples on one line."""
    content: dict[str, Any] = {"schema": SCHEMA if report.judged else _OF_CLASSES, **asdict(report)}
    if not report.judged:
        for record, key in (
            (content, "judged"),
            (content, "groups"),
            *((each, "answers") for each in content["artefacts"]),
        ):
            del record[key]
    for each in content["artefacts"]:
        # Of another engine than the default one alone: what has none is read by older versions too.
        if not each["same_as"]:
            del each["same_as"]
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {_value(value)}" for key, value in content.items()) + "\n}\n"


def with_visible_texts(report: Report) -> Report:
    """Return a report whose texts can be shown everywhere: labels, names and paths are those of others."""
    shown: Report = built(_visible(asdict(report)), Report)
    return shown


def read_report(path: Path | str) -> Report:
    """Return a report all of whose values are of the kind and size that they should be.

    Args:
        path: The file, or the folder with report.json.

    Raises:
        ArtefactError: The file is missing, damaged or of another schema.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)

    def parse(content: dict[str, Any]) -> Report:
        problem = problem_in(content)
        if problem:
            raise ArtefactError(
                f"{file} is a damaged benchmark report ({problem}): make it again with edgeport benchmark"
            )
        report: Report = built(content, Report)
        return report

    return read_result(file, parse, what="benchmark report", schema=SCHEMA, older=(_OF_CLASSES,))


def read_result(
    path: Path,
    parse: Callable[[dict[str, Any]], Result],
    *,
    what: str,
    schema: int,
    older: tuple[int, ...] = (),
    kind: str | None = None,
) -> Result:
    """Return what a JSON file with a result says.

    Args:
        path: The file.
        parse: Makes the result of the rest of its content.
        what: What to call it in an error.
        schema: The schema that it is written in now.
        older: Schemas that are read as well.
        kind: The kind that it must have, if files of several kinds lie side by side.

    Raises:
        ArtefactError: The file is missing, damaged or of another kind or schema.
    """
    try:
        content = parse_json(read_plain(path, most=MOST_REPORT))
        if not isinstance(content, dict):
            raise ArtefactError(f"{path} is no {what}: it holds no JSON object")
        found = content.pop("kind", None), content.pop("schema", None)
        if found[0] != kind or found[1] not in (schema, *older):
            raise ArtefactError(
                f"{path}: got schema {found[1]!r}, expected a {what} of schema {schema}: make it again with this "
                "edgeport"
            )
        return parse(content)
    except ArtefactError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ArtefactError(f"{path} is no {what}, or a damaged one ({error})") from error


def _visible(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {visible(str(key)): _visible(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        # There are a million numbers in a report.
        return list(value) if value and type(value[0]) is int else list(map(_visible, value))
    return visible(value) if isinstance(value, str) else value


def _value(value: Any, indent: str = " ") -> str:
    """Return JSON with a line for each entry of what holds records, and lists of samples on one."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {_value(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(each, dict) for each in value):
        return "[\n" + ",\n".join(inner + _value(each, inner) for each in value) + f"\n{indent}]"
    return json.dumps(value)
