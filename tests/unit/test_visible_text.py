"""Text of others: shown so that it steers nothing, and as words of a command line that can still be copied."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from edgeport.benchmarks.benchmark_command import _show
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.raw.report_file import read_report, report_text, with_visible_texts
from edgeport.benchmarks.report.renderers.files import shown_files
from edgeport.runtime.host.terminal import shell_word, steers, visible

COMMITTED = Path(__file__).parents[2] / "docs" / "results" / "mnist-classic" / "report.json"
ODD = "caf\udce9 \n\x1b[31m\x85\u202e\r\t'\\\"$(x)`!é中"
HOSTILE = "\x1b[2Ja\nb\x07\x9b\u202e\udce9"


def test_what_steers_a_terminal_is_escaped() -> None:
    assert visible("a\nb\x1b[2J\x85\u202e\u2028\udce9\ud800 é中") == "a\\nb\\x1b[2J\\x85\\u202e\\u2028\\xe9\\ud800 é中"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("name", [ODD, "plain.keras", "with space", "it's", ""])
def test_bash_reads_the_word_of_any_name_as_that_name(name: str) -> None:
    word = shell_word(name)
    assert not steers(word)
    shown = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert shown == os.fsencode(name)


def test_a_path_with_a_dash_in_front_is_taken_for_no_option() -> None:
    assert (shell_word(Path("-rf")), shell_word(Path("-r f")), shell_word("-o")) == ("./-rf", "'./-r f'", "-o")


def test_a_report_of_hostile_names_escapes_them_on_the_terminal_in_markdown_and_in_html() -> None:
    plain = read_report(COMMITTED)
    report = with_visible_texts(
        replace(
            plain,
            model=HOSTILE,
            host={**plain.host, "cpu_model": HOSTILE},
            dataset={**plain.dataset, "name": HOSTILE, "labels": [f"{HOSTILE}{n}" for n in range(10)]},
            skipped=({"file": HOSTILE, "reason": HOSTILE},),
            artefacts=tuple(replace(each, file=f"{HOSTILE}{each.file}") for each in plain.artefacts),
        )
    )
    findings = findings_of(report)
    console = Console(width=100, record=True, highlight=False, markup=False, emoji=False)
    _show(report, findings, console)
    files = dict(shown_files(findings))
    pages = [files[name].decode() for name in ("report.md", "report.html")]
    for text in (console.export_text(), report_text(report), *pages):
        assert "x1b" in text
        assert not steers(text.replace("\n", ""))
