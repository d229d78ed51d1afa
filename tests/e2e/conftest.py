"""What the slow tests share: one short training run and its export, made by the commands themselves."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Edgeport = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Give the models of a test the same weights in every run: with others, a close call may fall the other way."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(1)


@pytest.fixture(scope="session")
def edgeport() -> Edgeport:
    """Run the command line as a user would, without the network settings or data of this machine's user."""
    environment = {key: value for key, value in os.environ.items() if key != "EDGEPORT_DATA"}

    def run(*arguments: object, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgeport.runtime.cli", *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment | variables)
        assert ended.returncode == code, f"{ended.stdout}\n{ended.stderr}"
        return ended

    return run


@pytest.fixture(scope="session")
def trained(edgeport: Edgeport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training result: `classic`, five epochs on mnist-5k."""
    folder = tmp_path_factory.mktemp("trained") / "train"
    edgeport("train", "--dataset", "mnist-5k", "--model", "classic", "--epochs", 5, "-o", folder)
    return folder


@pytest.fixture(scope="session")
def exported(edgeport: Edgeport, trained: Path) -> Path:
    """The export folder of ``trained``."""
    edgeport("export", trained / "model.keras", "-o", trained.parent / "export")
    return trained.parent / "export"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the build tools make it."""
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy: setuptools leaves a build folder behind, and would reuse stale modules in it.
    left_out = shutil.ignore_patterns(".venv", "build", "dist", "runs", "*.egg-info", ".git", ".*_cache", "__pycache__")
    shutil.copytree(ROOT, folder / "tree", ignore=left_out)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(folder / "tree")]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))
