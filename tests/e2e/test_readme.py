"""README.md's sixty seconds, as they are written, with a model and samples of one's own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.benchmarks import read_report
from edgeport.export import read_manifest
from edgeport.train.datasets.named import load_dataset

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("## Sixty seconds with your own model")[1].split("\n## ")[0]


def test_the_sixty_seconds_of_the_readme_lead_to_a_report(
    edgeport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    digits = load_dataset("mnist-5k").train
    shutil.copy(ROOT / "train/zoo/edge-35k/model.keras", "model.keras")
    np.savez("samples.npz", x=digits.samples[:1000], y=digits.classes[:1000])
    Image.fromarray(digits.samples[0, :, :, 0]).save("picture.png")

    export, predict, benchmark = re.findall(r"^\$ edgeport (.*)$", SECTION, re.MULTILINE)
    edgeport(*export.split())
    assert len(read_manifest(Path("exported")).artefacts) == 9
    label = str(digits.classes[0])
    assert edgeport(*predict.split()).stdout.startswith(f"picture.png  {label}  ")
    # Intervals would be shorter with more rounds; nothing here looks at them.
    edgeport(*benchmark.split(), "--rounds", 2)
    report = read_report(Path("benchmark"))
    assert len(report.artefacts) == 10
    assert all(report.accuracy(each) >= 0.9 for each in report.artefacts)
    assert Path("benchmark/report.html").is_file()

    (code,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == f"{label}\n"
