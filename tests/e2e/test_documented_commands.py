"""The commands that README.md's pages show: each runs as it stands there, or a reason says why it does not."""

import re
import shlex
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path

import pytest
from test_examples import steps_of, without_figures
from users_files import FILES

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in (ROOT / "docs").rglob("*.md")
    if ROOT / "docs/results" not in path.parents and re.search(r"^\$ ", path.read_text("utf-8"), re.MULTILINE)
)  # fmt: skip
# Pages whose commands other tests run, and commands that this one cannot.
ELSEWHERE = {
    **{path.stem: "test_examples.py" for path in PAGES if path.parent.name == "tutorials"},
    "spoken-digits": "test_spoken_digits.py",
    "sweep": "test_sweep.py, with models that learn in seconds",
    "measured": "docs/results/make.sh, whose results the page shows",
    "same-answers": "the last part of .ci/run",
    "frontier": "docs/results/frontier.sh, which trains for hours",
}
del ELSEWHERE["pixels-to-pi"]
NOT_HERE = {
    r"scp |ssh |sudo |tar |tail -f |python3 -m venv |edge/bin/|venv/bin/": "on a device: test_bundle.py, tests/pi",
    r"make |source ": "a target that .ci/run calls, or that trains for an hour",
    r"edgeport train .* --epochs 40|edgeport benchmark .* --rounds 8": "stages of the quickstart, which has run",
    r"edgeport benchmark runs/edge-10k": "downloads MNIST",
    r"edgeport .*runs/edge-10k/seed|python -m edgeport.benchmarks.lab": "trains for an hour, to be published",
}
# Less of the same, to save time: what a run says does not depend on it.
SHORTER = {"benchmark": ("--rounds", "1"), "train": ("--epochs", "1"), "export": ("--precisions", "float32,int8")}


@pytest.mark.parametrize("path", [path for path in PAGES if path.stem not in ELSEWHERE], ids=lambda path: path.stem)
def test_every_command_of_a_page_runs_and_says_what_the_page_says(
    path: Path, edgeport, quickstart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = path.read_text("utf-8")
    Path("tests").symlink_to(ROOT / "tests")
    shutil.copytree(quickstart, "runs/quickstart")
    FILES.get(path.stem, lambda page: None)(text)
    for command, expected in steps_of(text):
        if any(re.match(pattern, command) for pattern in NOT_HERE):
            continue
        program, *arguments = shlex.split(command, comments=True)
        arguments = [one for each in arguments for one in (sorted(glob(each)) if "*" in each else [each])]
        assert program in ("edgeport", "python"), command
        option, value = SHORTER.get(arguments[0], ("", ""))
        if arguments[0] == "benchmark" and "--data" in arguments:
            # What test_benchmark_any_model.py times.
            option, value = "--only", "accuracy"
        if option and not expected and option not in arguments:
            arguments += [option, value]
        refused = bool(expected) and expected[0].startswith("edgeport: ")
        if program == "python":
            ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
        else:
            ended = edgeport(*arguments, code=2 if refused else None)
        assert refused or ended.returncode in (0, 1), f"{command}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr, f"{command}\n{ended.stderr}"
        printed = without_figures(ended.stdout + ended.stderr).splitlines()
        for line in expected:
            assert "..." in line or without_figures(line) in printed, (
                f"{command} does not say {line!r}:\n{ended.stdout}"
            )
