"""The bundle on a device: unpacked, installed without a network, tested, damaged, installed again."""

import hashlib
import io
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.export import Options, export_model
from edgeport.export.bundle.packages.targets import SYSTEMS
from edgeport.export.bundle.packages.wheel import own_wheel

DATA = Path(__file__).parents[1] / "data"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
NAME = "edgeport-tiny-linux"

pytestmark = pytest.mark.skipif(
    not any((row.target, row.arch, row.python) == ("linux", platform.machine(), PYTHON) for row in SYSTEMS),
    reason="no bundle is made for this machine and Python",
)

REPACK = """
import sys
from edgeport.export.bundle.packages.wheel import own_wheel
sys.stdout.buffer.write(own_wheel()[1])
"""


@pytest.fixture(scope="module")
def archive(edgeport, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("bundle") / "tiny.tar.gz"
    options = ("--target", "linux", "--python", PYTHON, "--with-wheels", "--serve", "--samples", 20)
    edgeport("bundle", DATA, *options, "-o", output)
    return output


@pytest.fixture
def device(archive: Path, tmp_path: Path) -> Path:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path)
    return tmp_path / NAME


def without_network() -> dict[str, str]:
    """Return the environment variables of a device whose network leads nowhere."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "EDGEPORT"))}
    # Nothing is listening there: whatever asks for the network fails.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "127.0.0.1:9")
    return {**clean, **nowhere, "PYTHON": sys.executable, "PIP_CONFIG_FILE": os.devnull}


def install(device: Path, code: int = 0) -> str:
    """Run the installer, and return what it printed."""
    ended = subprocess.run(
        ["sh", str(device / "install.sh")], capture_output=True, text=True, check=False, env=without_network()
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def sum_up(device: Path) -> None:
    """Write SHA256SUMS anew, as one who alters a file on purpose would."""
    lines = [line.split("  ", 1)[1] for line in (device / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((device / name).read_bytes()).hexdigest()}  {name}\n" for name in lines]
    (device / "SHA256SUMS").write_text("".join(sums))


def test_the_wheel_in_a_bundle_is_the_one_that_the_build_tools_make(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as built, zipfile.ZipFile(io.BytesIO(own_wheel()[1])) as own:
        names = sorted(name for name in built.namelist() if not name.endswith("/"))
        # A device exports nothing, so the published Keras files stay at home.
        left_out = [name for name in names if re.match(r"edgeport/train/zoo/[^/]+/", name)]
        assert [name for name in names if name not in left_out] == own.namelist()
        for name in own.namelist():
            if name.startswith("edgeport/"):
                assert own.read(name) == built.read(name), name


def test_a_bundle_installs_without_a_network_and_proves_itself(device: Path, tmp_path: Path) -> None:
    printed = install(device)
    assert "without a network" in printed
    assert "venv/bin/edgeport predict artefacts/tiny.int8.tflite" in printed
    python = device / "venv" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "check"], check=True, capture_output=True)
    installed = json.loads(
        subprocess.run([str(python), "-m", "pip", "list", "--format", "json"], check=True, capture_output=True).stdout
    )
    pins = dict(line.split("==") for line in (device / "requirements.txt").read_text().splitlines())
    assert {row["name"].lower().replace("_", "-").replace(".", "-") for row in installed} - {"pip", "setuptools"} == {
        "edgeport", *pins,
    }  # fmt: skip
    # The wheel on the device can be made again from what it has installed.
    made = subprocess.run([str(python), "-c", REPACK], check=True, capture_output=True, cwd=tmp_path).stdout
    assert made == next((device / "wheels").glob("edgeport-*.whl")).read_bytes()
    assert "Already installed" in install(device)
    again = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=device, check=False)
    assert again.returncode == 0, "installing alters nothing"
    check_server(device)


def check_server(device: Path) -> None:
    """Run the server by the command of its unit, and the selftest of the bundle, which asks it."""
    unit = (device / "examples" / "edgeport-serve.service").read_text()
    (command,) = re.findall("^ExecStart=(.*)$", unit, re.MULTILINE)
    (credential,) = re.findall("^LoadCredential=token:(.*)$", unit, re.MULTILINE)
    command = command.replace("%d/token", credential).replace(f"/opt/{NAME}", str(device)).replace("8080", "0")
    started = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "env": without_network()}
    with subprocess.Popen(["env", "--default-signal", *shlex.split(command)], cwd="/", **started) as server:
        try:
            port = next(found[1] for line in server.stdout if (found := re.search(r"http://localhost:(\d+)/", line)))
            selftest = [
                "venv/bin/edgeport",
                "selftest",
                "--server",
                f"http://localhost:{port}",
                "--token-file",
                "token",
            ]
            ended = subprocess.run(selftest, cwd=device, capture_output=True, text=True, env=without_network())
            assert ended.returncode == 0, ended.stdout + ended.stderr
            assert ended.stdout.count(f" behind http://localhost:{port}  20 rows compared, 0 different") == 4
        finally:
            server.terminate()
    assert server.returncode == 0


def test_a_device_measures_what_was_trained(edgeport, exported: Path, tmp_path: Path) -> None:
    options = ["--target", "linux", "--python", PYTHON, "--artefact", "int8.tflite", "int8.onnx", "--samples", 30]
    edgeport("bundle", exported, *options, "-o", tmp_path / "small.tar.gz")
    edgeport("bundle", exported, *options, "-o", tmp_path / "again.tar.gz")
    assert (tmp_path / "small.tar.gz").read_bytes() == (tmp_path / "again.tar.gz").read_bytes()
    edgeport("bundle", exported, *options, "--with-wheels", "-o", tmp_path / "whole.tar.gz")
    with tarfile.open(tmp_path / "whole.tar.gz") as packed:
        packed.extractall(tmp_path)
    device = tmp_path / "edgeport-classic-linux"
    assert "benchmark artefacts" in install(device)
    facts = json.loads((device / "bundle.json").read_text())
    assert facts["golden"]["source"] == "the test split of mnist-5k"
    assert facts["golden"]["reference"]
    command = ["venv/bin/edgeport", "benchmark", "artefacts", "-o", "benchmark", "--rounds", "2"]
    subprocess.run(command, check=True, capture_output=True, cwd=device, env=without_network())
    report = json.loads((device / "benchmark" / "report.json").read_text())
    keras, *artefacts = report["artefacts"]
    assert [each["file"] for each in artefacts] == ["classic.int8.tflite", "classic.int8.onnx"]
    assert keras["format"] == "keras"
    assert report["dataset"]["count"] == 30


def test_a_bundle_of_a_table_answers_lines_there_whatever_their_columns_order(edgeport, tmp_path: Path) -> None:
    x = keras.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Dense(2, activation="softmax", name="kind")(x))
    model.set_weights([np.array([[9, 0], [0, 9], [0, 0]], np.float32), np.zeros(2, np.float32)])
    rows = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    lines = [f"{a},{b},{c},{'ash' if a > b else 'elm'}" for a, b, c in rows.tolist()]
    (tmp_path / "trees.csv").write_text("\n".join(["a,b,c,tree", *lines]))
    options = Options(formats=("tflite",), precisions=("float32",))
    export_model(model, tmp_path / "out", calibration=f"{tmp_path / 'trees.csv'}:tree", name="tree", options=options)
    bundle = ("--target", "linux", "--python", PYTHON, "--with-wheels", "--samples", 5)
    edgeport("bundle", tmp_path / "out", *bundle, "-o", tmp_path / "tree.tar.gz")
    with tarfile.open(tmp_path / "tree.tar.gz") as packed:
        packed.extractall(tmp_path)
    device = tmp_path / "edgeport-tree-linux"
    install(device)
    program = ["venv/bin/python", "-I", "examples/predict_lines.py", "artefacts/tree.float32.tflite"]
    text = "c,b,id,a\n0,2,x,1\n0,1,y,2\n"
    ended = subprocess.run(program, cwd=device, input=text, capture_output=True, text=True, env=without_network())
    assert [line.split()[1] for line in ended.stdout.splitlines()] == ["elm", "ash"]
    assert ended.stderr.count("the standard input: left out the columns id, which the model does not take\n") == 1


def test_an_altered_artefact_fails_the_installation(device: Path) -> None:
    install(device)
    path = device / "artefacts" / "tiny.int8.tflite"
    content = path.read_bytes()
    path.write_bytes(content[:3000] + bytes([content[3000] ^ 1]) + content[3001:])
    assert "not the one that was packed" in install(device, code=1)
    sum_up(device)
    assert "the selftest failed" in install(device, code=1), "whoever alters the sums too meets the selftest"
    path.write_bytes(content)
    sum_up(device)
    install(device)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_installation_leaves_no_half_environment(device: Path, number: int) -> None:
    with subprocess.Popen(
        ["sh", str(device / "install.sh")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=without_network(), start_new_session=True,
        # A shell cannot trap what was ignored when it began, as under nohup.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    ) as child:  # fmt: skip
        assert next(line for line in child.stdout if line.startswith("Installing"))
        assert (device / "venv").is_dir()
        os.killpg(child.pid, number)
    assert child.returncode != 0
    assert not list(device.glob("venv*"))


def test_an_installation_that_fails_leaves_what_was_there(device: Path) -> None:
    numpy = next((device / "wheels").glob("numpy-*.whl"))
    shutil.move(numpy, device.parent / numpy.name)
    requirements = device / "requirements.txt"
    sums = (device / "SHA256SUMS").read_text()
    (device / "SHA256SUMS").write_text("".join(line for line in sums.splitlines(True) if numpy.name not in line))
    assert "pip could not install the packages" in install(device, code=1)
    assert not list(device.glob("venv*")), "no half environment"
    # What a killed run would leave behind is no environment either.
    (device / "venv" / "bin").mkdir(parents=True)
    shutil.move(device.parent / numpy.name, numpy)
    (device / "SHA256SUMS").write_text(sums)
    install(device)
    # A newer bundle, unpacked over this one, that cannot be installed.
    requirements.write_text(requirements.read_text() + "nowhere-to-be-found==1.0\n")
    sum_up(device)
    assert "pip could not install the packages" in install(device, code=1)
    assert sorted(path.name for path in device.glob("venv*")) == ["venv"]
    selftest = [str(device / "venv" / "bin" / "edgeport"), "selftest", str(device / "artefacts")]
    subprocess.run(selftest, check=True, capture_output=True)
