"""The examples, as the pages of docs/tutorials show them: every command runs, and says what the page says it does."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The overview, and pages with tests of their own.
ELSEWHERE = ("index.md", "pixels-to-pi.md", "spoken-digits.md")
PAGES = sorted(path for path in (ROOT / "docs" / "tutorials").glob("*.md") if path.name not in ELSEWHERE)


def steps_of(page: str) -> list[tuple[str, list[str]]]:
    """Return each command of a page with the lines that it shows of its output."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif steps[-1][0].count('"') % 2:
                steps[-1] = (f"{steps[-1][0]}\n{line}", [])
            else:
                steps[-1][1].append(line)
    return steps


def without_figures(text: str) -> str:
    """Return text whose numbers do not count: what a model learns differs from CPU to CPU."""
    return "\n".join(" ".join(re.sub(r"\d[\d.,]*", "0", line).split()) for line in text.splitlines())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_command_of_an_example_runs_and_says_what_its_page_says(
    path: Path, edgeport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    steps = steps_of(path.read_text())
    assert len(steps) >= 3
    for command, expected in steps:
        program, *arguments = shlex.split(command)
        if program in ("python", "edgeport"):
            ended = edgeport(*arguments)
        else:
            ended = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
        printed = without_figures(ended.stdout).splitlines()
        for line in expected:
            assert without_figures(line) in printed, f"{command} does not say {line!r}:\n{ended.stdout}"
