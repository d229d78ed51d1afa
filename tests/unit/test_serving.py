"""`edgeport serve`: the predictor's own answers, by the protocol, for pictures and for the contract's forms."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving_for_tests import Running

from edgeport.runtime import load
from edgeport.runtime.cli import main
from edgeport.runtime.samples.reading import read_samples
from edgeport.runtime.serving.serve_command import _say

FILES = ("tiny.float32.onnx", "tiny.float32.tflite", "tiny.int8.onnx", "tiny.int8.tflite")
INT8 = "tiny.int8.tflite"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    opened = Running(*(data / file for file in FILES), log=tmp_path_factory.mktemp("serve") / "log")
    yield opened
    assert opened.end() == 0
    assert opened.lines()[-1]["event"] == "stopping"


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)


def picture(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(buffer, kind)
    return buffer.getvalue()


def tensor(pixels: np.ndarray, name: str = "image", datatype: str = "UINT8") -> dict:
    return {"name": name, "shape": list(pixels.shape), "datatype": datatype, "data": pixels.ravel().tolist()}


def test_it_says_where_it_listens_and_what_it_has(server: Running) -> None:
    assert server.printed[:-1] == sorted(FILES)
    assert server.get("/v2").json["name"] == "edgeport"
    assert server.get("/v2/health/live").status == server.get("/v2/health/ready").status == 200
    index = server.ask("POST", "/v2/repository/index", b"{}").json
    assert [each["name"] for each in index] == sorted(FILES)
    contract = server.get("/artefacts").json["artefacts"]
    assert [each["precision"] for each in contract] == ["float32", "float32", "int8", "int8"]


@pytest.mark.parametrize("file", FILES)
def test_the_protocol_answers_as_predict_does_bit_for_bit(
    server: Running, data: Path, pixels: np.ndarray, file: str
) -> None:
    metadata = server.get(f"/v2/models/{file}").json
    assert metadata == server.get(f"/v2/models/{file}/versions/1").json
    (port,), (output,) = metadata["inputs"], metadata["outputs"]
    assert (port["datatype"], port["shape"]) == ("UINT8", [-1, 28, 28, 1])
    expected = load(data / file).predict(pixels)

    answer = server.infer(file, {"id": "seven", "inputs": [tensor(pixels, port["name"])]}).json
    assert (answer["model_name"], answer["id"]) == (file, "seven")
    (got,) = answer["outputs"]
    assert (got["name"], got["datatype"], got["shape"]) == (output["name"], "FP32", [5, 10])
    assert np.array_equal(np.array(got["data"], np.float32).reshape(5, 10), expected)

    entry = {**tensor(pixels, port["name"]), "parameters": {"binary_data_size": pixels.nbytes}}
    del entry["data"]
    asked = {"inputs": [entry], "parameters": {"binary_data_output": True}}
    header = json.dumps(asked).encode()
    length = {"Inference-Header-Content-Length": str(len(header))}
    binary = server.ask("POST", f"/v2/models/{file}/infer", header + pixels.tobytes(), length)
    behind = int(binary.headers["Inference-Header-Content-Length"])
    assert json.loads(binary.body[:behind])["outputs"][0]["parameters"] == {"binary_data_size": expected.nbytes}
    assert binary.body[behind:] == expected.tobytes()


def test_raw_tensors_are_those_of_run(server: Running, data: Path, pixels: np.ndarray) -> None:
    predictor = load(data / INT8)
    encoded = predictor.encode(pixels[:1])
    message = {"inputs": [tensor(encoded, datatype="INT8")], "parameters": {"raw": True}}
    (got,) = server.infer(INT8, message).json["outputs"]
    assert got["datatype"] == "INT8"
    assert np.array_equal(np.reshape(got["data"], got["shape"]), predictor.run(encoded))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_classified_as_predict_reads_it(server: Running, data: Path, tmp_path: Path, kind: str) -> None:
    digit = np.zeros((60, 50, 1), np.uint8)
    digit[8:52, 22:28] = 255
    body = picture(digit, kind)
    (tmp_path / "x.png").write_bytes(body)
    answers = server.ask("POST", "/classify?top=2", body).json["answers"]
    assert [each["model"] for each in answers] == sorted(FILES)
    for each in answers:
        predictor = load(data / each["model"])
        (best,) = predictor.classify(read_samples([tmp_path / "x.png"], predictor.spec).values["image"], top=2)
        assert each["classes"] == [found._asdict() for found in best]
        assert each["milliseconds"] > 0
    inverted = server.ask("POST", f"/classify?model={INT8}&top=2&invert=1", picture(255 - digit)).json["answers"][0]
    if kind == "PNG":
        assert inverted["classes"] == answers[-1]["classes"]


def test_pictures_of_any_kind_are_the_pixels_that_predict_reads(server: Running, data: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 256, (61, 90, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [
        (random[..., 0], "PNG", {}), (random[..., :3], "PNG", {}), (random, "PNG", {}), (random[:5, :3, :3], "PNG", {}),
        (random[..., :3], "JPEG", {}), (random[..., :3], "JPEG", {"exif": exif}), (random[..., 0], "JPEG", {}),
        (random, "WEBP", {"lossless": True}), (random[..., :3], "BMP", {}), (random[..., 0], "GIF", {}),
    ]  # fmt: skip
    predictor = load(data / INT8)
    for pixels, kind, options in kinds:
        path = tmp_path / f"x.{kind.lower()}"
        Image.fromarray(pixels).save(path, kind, **options)
        asked = server.ask(
            "POST", f"/predict?model={INT8}&pixels=1", path.read_bytes(), {"content-type": f"image/{kind.lower()}"}
        )
        expected = read_samples([path], predictor.spec).values["image"]
        assert np.array_equal(np.reshape(asked.json["seen"]["data"], expected.shape), expected), kind
        (facts,) = asked.json["answers"][0]["samples"][0]["outputs"].values()
        assert [facts["probabilities"][str(place)] for place in range(10)] == predictor.predict(expected)[0].tolist()


def test_the_contracts_own_forms_are_answered(server: Running, data: Path, pixels: np.ndarray) -> None:
    npy = io.BytesIO()
    np.save(npy, pixels)
    rows = "\n".join(",".join(map(str, each.ravel())) for each in pixels)
    bodies = {
        "application/json": json.dumps({"inputs": {"image": pixels.tolist()}}),
        "application/x-npy": npy.getvalue(),
        "text/csv; charset=utf-8": rows,
        "application/json ": json.dumps({"inputs": pixels[..., 0].tolist()}),
    }
    expected = load(data / INT8).predict(pixels)
    for kind, body in bodies.items():
        answer = server.ask("POST", f"/predict?model={INT8}", body, {"content-type": kind})
        (only,) = answer.json["answers"]
        assert len(only["samples"]) == 5
        for sample, row in zip(only["samples"], expected, strict=True):
            (facts,) = sample["outputs"].values()
            assert [facts["probabilities"][str(place)] for place in range(10)] == row.tolist()
            assert "/tmp" not in sample["sample"]


def test_metrics_count_by_artefact(server: Running) -> None:
    def counted() -> dict[str, float]:
        lines = server.get("/metrics").body.decode().splitlines()
        rows = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {key: float(value) for key, _, value in rows}

    which = f'endpoint="infer",model="{INT8}"'
    assert server.infer(INT8, {"inputs": [tensor(np.zeros((1, 28, 28, 1), np.uint8))]}).status == 200
    time.sleep(0.2)
    before = counted()
    server.infer(INT8, "no JSON")
    time.sleep(0.2)
    after = counted()
    assert after[f"edgeport_errors_total{{{which}}}"] == before.get(f"edgeport_errors_total{{{which}}}", 0) + 1
    count = f"edgeport_request_seconds_count{{{which}}}"
    assert after[count] == before.get(count, 0) + 1
    assert after[f'edgeport_engine_seconds_count{{model="{INT8}"}}'] >= 1


def test_threads_get_their_own_answers(server: Running, data: Path) -> None:
    random = np.random.default_rng(1).integers(0, 256, (16, 28, 28, 1), np.uint8)
    expected = load(data / INT8).predict(random)
    wrong: list[int] = []

    def ask(place: int) -> None:
        for _ in range(10):
            (got,) = server.infer(INT8, {"inputs": [tensor(random[place : place + 1])]}).json["outputs"]
            if not np.array_equal(np.array(got["data"], np.float32), expected[place]):
                wrong.append(place)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_slow_client_holds_nobody_and_sigterm_finishes_what_runs(data: Path, tmp_path: Path) -> None:
    server = Running(data / INT8, log=tmp_path / "log")
    body = json.dumps({"inputs": [tensor(np.zeros((1, 28, 28, 1), np.uint8))]}).encode()
    head = f"POST /v2/models/{INT8}/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(head.encode() + body[:100])
        assert server.infer(INT8, body).status == 200
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        slow.sendall(body[100:])
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert server.end() == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--host", "0.0.0.0"], "anyone on the network could ask"),
        (["--host", "0.0.0.0", "--token-file", "short"], "got 5 characters, expected one word of 16"),
        (["--token-file", "short", "--no-token"], "got --token-file and --no-token"),
        (["--port", "70000"], "--port: got 70000"),
        (["--timeout", "0"], "--timeout: got 0"),
        (["--host", "no.such.host.invalid", "--no-token"], "cannot listen on no.such.host.invalid:8080"),
        (["empty"], "got no artefact in it"),
        ([INT8], f"two artefacts are called {INT8}"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments, line
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / INT8).write_bytes((data / INT8).read_bytes())
    assert main(["serve", str(data / INT8), *arguments]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_the_page_comes_from_this_server_alone(server: Running) -> None:
    page = server.get("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name, kind in {"style.css": "text/css", "main.js": "text/javascript", "icon.svg": "image/svg+xml"}.items():
        answer = server.get(f"/page/{name}")
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert b"http" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"")
    # Which the policy would not let run.
    assert b"style=" not in page.body
    assert b"<script>" not in page.body
    assert server.get("/page/index.html").status == server.get("/page/").status == 404


def test_the_openapi_document_has_every_route(server: Running) -> None:
    document = server.get("/page/openapi.json").json
    for path, operations in document["paths"].items():
        asked = path.replace("{name}", INT8).replace("{index}", "0")
        for method in operations:
            answer = server.ask(method.upper(), asked, b"" if method == "post" else None)
            assert answer.status != 405, path
            assert "nothing here" not in answer.body.decode(), path
    assert len(document["paths"]) == 16


def test_samples_are_offered_with_what_changed(data: Path, tmp_path: Path, pixels: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", x=pixels, y=np.arange(5))
    files = (data / "tiny.float32.tflite", data / INT8)
    server = Running(*files, "--data", tmp_path / "x.npz", log=tmp_path / "log")
    try:
        assert server.get("/artefacts").json["samples"] == 5
        sample = server.get("/samples/3").json
        assert sample == {"values": {"image": {"shape": [28, 28, 1], "data": pixels[3].ravel().tolist()}}, "label": "3"}
        assert server.get("/samples/5").status == server.get("/samples/-1").status == 404
        one, other = (load(file).predict(pixels).argmax(axis=1) for file in files)
        found = server.get(f"/changed?from={files[0].name}&to={INT8}").json
        assert found == {"count": 5, "changed": np.flatnonzero(one != other).tolist()}
        assert server.get("/changed?from=x&to=y").status == 404
        seen = server.ask("POST", f"/predict?model={INT8}&pixels=1", picture(pixels[0]), {"content-type": "image/png"})
        assert seen.json["seen"] == {"shape": [28, 28, 1], "data": pixels[0].ravel().tolist()}
    finally:
        assert server.end() == 0


def test_several_processes_answer_and_count_as_one(data: Path, tmp_path: Path, pixels: np.ndarray) -> None:
    with Running(data / INT8, "--workers", "2", log=tmp_path / "log") as server:
        expected = load(data / INT8).predict(pixels)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        for _ in range(20):
            (got,) = server.infer(INT8, {"inputs": [tensor(pixels)]}).json["outputs"]
            assert np.array_equal(np.array(got["data"], np.float32).reshape(5, 10), expected)
        count = f'edgeport_requests_total{{endpoint="infer",model="{INT8}",status="200"}} 20.0'
        # A request is counted when its answer is sent, which the client may have a moment before.
        seen: list[str] = []
        for _ in range(50):
            seen = server.get("/metrics").body.decode().splitlines()
            if count in seen:
                break
            time.sleep(0.1)
        assert count in seen
        assert len(children.read_text().split()) == 2
        assert server.end() == 0
        assert len(server.printed) == 2


def test_a_process_that_dies_ends_the_others(data: Path, tmp_path: Path) -> None:
    with Running(data / INT8, "--workers", "2", log=tmp_path / "log") as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        while len(found := children.read_text().split()) < 2:
            time.sleep(0.01)
        os.kill(int(found[0]), signal.SIGKILL)
        assert server.process.wait(30) == signal.SIGKILL
        assert server.process.stdout
        server.process.stdout.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_answers_what_has_come_and_refuses_what_comes(data: Path, tmp_path: Path, workers: str) -> None:
    server = Running(data / INT8, "--workers", workers, log=tmp_path / "log")
    body = json.dumps({"inputs": [tensor(np.zeros((1, 28, 28, 1), np.uint8))]})
    statuses: list[int] = []

    def ask() -> None:
        while True:
            try:
                statuses.append(server.infer(INT8, body).status)
            except ConnectionRefusedError:
                return
            except ConnectionError:
                # It was not read yet: the client may ask again.
                continue

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(statuses) < 50:
        time.sleep(0.01)
    assert server.end() == 0
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert set(statuses) == {200}


def test_a_file_that_vanishes_is_served_on_and_a_port_belongs_to_one(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / INT8).write_bytes((data / INT8).read_bytes())
    with Running(folder, log=tmp_path / "log") as server:
        (folder / INT8).unlink()
        folder.rmdir()
        assert server.infer(INT8, {"inputs": [tensor(np.zeros((1, 28, 28, 1), np.uint8))]}).status == 200
        command = [sys.executable, "-m", "edgeport.runtime.cli", "serve", data / INT8, "--port", str(server.port)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 2
        assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use" in ended.stderr


def test_a_token_that_others_can_read_is_said_and_printed_on_a_terminal_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("a+token/of some=length".replace(" ", "-"))
    for mode, said in ((0o600, False), (0o640, False), (0o644, True), (0o606, True)):
        token.chmod(mode)
        with Running(data / INT8, "--token-file", token, log=tmp_path / "log") as server:
            assert any(line["event"] == "token" for line in server.lines()) == said, oct(mode)
    for terminal in (False, True):
        monkeypatch.setattr(sys.stdout, "isatty", lambda shown=terminal: shown)
        _say([INT8], "127.0.0.1", 8080, token.read_text())
        assert ("#token=a%2Btoken/of-some%3Dlength" in capsys.readouterr().out) == terminal


def test_what_no_process_can_do_is_said_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgeport.runtime.cli", "serve", tmp_path / "no.tflite", "--workers", "2"]
    ended = subprocess.run([*command, "--port", "0"], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
