"""A server among strangers: who may ask, how much and how long; and a thousand requests that are meant to do harm."""

import http.client
import itertools
import json
import socket
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from serving_for_tests import Answer, Running

MODEL = "tiny.int8.tflite"
SECONDS = 1.0
TOKEN = "a-token-of-32-letters-and-signs!"
INFER = f"/v2/models/{MODEL}/infer"
JSON = {"content-type": "application/json"}
# Every status that a request may be answered with, a bug's 500 not among them.
ALLOWED = {200, 400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 503, 504}


@pytest.fixture(scope="module")
def server(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("hostile") / "log"
    opened = Running(
        *(data / MODEL, data / "tiny.float32.onnx"), "--timeout", str(SECONDS), "--most-megabytes", "1", log=log
    )  # fmt: skip
    yield opened
    assert opened.end() == 0
    assert not [line for line in opened.lines() if line["event"] == "bug"]


@pytest.fixture(scope="module")
def guarded(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("token")
    (folder / "token").write_text(f"{TOKEN}\n")
    opened = Running(
        *(data / MODEL, "--host", "0.0.0.0", "--token-file", folder / "token", "--name", "Pi.Home"),
        *("--most-requests", "2", "--timeout", "2"), log=folder / "log",
    )  # fmt: skip
    yield opened
    assert opened.end() == 0


def tensor(**changes: object) -> dict:
    usual = {"name": "image", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784}
    return {key: value for key, value in {**usual, **changes}.items() if value is not ...}


def sent(server: Running, content: bytes, *, wait: float = 10) -> bytes:
    """Return what a server answers to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        connection.sendall(content)
        got = b""
        try:
            while part := connection.recv(1 << 16):
                got += part
        except (TimeoutError, ConnectionResetError):
            pass
        return got


@pytest.mark.parametrize(
    ("message", "status", "line"),
    [
        (b"{", 400, "the body is no JSON"),
        (b"\xff\xfe", 400, "the body is no JSON"),
        (b"[" * 100_000, 400, "nested"),
        (b"[]", 400, "got a JSON list"),
        (b'{"inputs": [], "inputs": []}', 400, "the body is no JSON (it has two values of the name 'inputs')"),
        ({}, 400, "inputs: expected a list of tensors"),
        ({"inputs": [3]}, 400, "expected an object for each tensor"),
        ({"inputs": [tensor(name="x\x1b[31m")]}, 400, "inputs: got 'x\\x1b[31m', expected image"),
        ({"inputs": [tensor(), tensor()]}, 400, "got image twice"),
        ({"inputs": [tensor(datatype="FP32")]}, 400, "image: got the datatype 'FP32', expected UINT8"),
        ({"inputs": [tensor(shape=[1, 27, 29, 1])]}, 400, "got 784 values, expected 783"),
        ({"inputs": [tensor(shape=[28, 28, 1])]}, 400, "(28, 28, 1)"),
        ({"inputs": [tensor(shape=[0, 28, 28, 1], data=[])]}, 400, "(0, 28, 28, 1)"),
        ({"inputs": [tensor(shape=[-1, 28, 28, 1])]}, 400, "image: got the shape"),
        ({"inputs": [tensor(shape=[10**9, 28, 28, 1])]}, 413, "784,000,000,000 values"),
        ({"inputs": [tensor(shape=[True, 784])]}, 400, "image: got the shape"),
        ({"inputs": [tensor(data=[256] * 784)]}, 400, "got values from 256 to 256, expected 0 to 255"),
        ({"inputs": [tensor(data=[-1] * 784)]}, 400, "expected 0 to 255"),
        ({"inputs": [tensor(data=[0.5] * 784)]}, 400, "got float64 values, expected UINT8"),
        ({"inputs": [tensor(data=[float("nan")] * 784)]}, 400, "got float64 values"),
        ({"inputs": [tensor(data=[10**400] * 784)]}, 400, "beyond all types"),
        ({"inputs": [tensor(data=[0] * 783 + ["9" * 1000])]}, 400, "no number in its lists"),
        ({"inputs": [tensor(data=[[0], [0, 0]])]}, 400, "uneven lengths"),
        ({"inputs": [tensor(data=..., parameters={"binary_data_size": 784})]}, 400, "of the 0 bytes that are left"),
        (
            {"inputs": [tensor(data=..., parameters={"binary_data_size": -1})]},
            400,
            "got binary_data_size -1, expected 784",
        ),
        ({"inputs": [tensor(data=..., parameters={"binary_data_size": 2**70})]}, 400, "expected 784 for this shape"),
        ({"inputs": [tensor(data=..., parameters={"binary_data_size": 784.0})]}, 400, "expected 784 for this shape"),
        ({"inputs": [tensor(parameters={"binary_data_size": 784})]}, 400, "got data and binary_data_size"),
        ({"inputs": [tensor()], "outputs": [{"name": "no"}]}, 400, "outputs: got 'no'"),
        ({"inputs": [tensor()], "id": {}}, 400, "id: expected a text"),
        ({"inputs": [tensor()], "parameters": {"raw": 1}}, 400, "parameters.raw"),
    ],
)
def test_a_bad_message_is_refused_in_one_line(server: Running, message: object, status: int, line: str) -> None:
    answer = server.infer(MODEL, message)
    assert (answer.status, line in answer.line) == (status, True), answer.line


def test_infinities_and_numbers_of_other_ranges_are_refused_in_raw_floats(server: Running) -> None:
    for value in (float("inf"), float("nan"), 1e300, 300.0):
        entry = tensor(datatype="FP32", data=[value] * 784)
        answer = server.infer("tiny.float32.onnx", {"inputs": [entry], "parameters": {"raw": True}})
        assert answer.status == 400
        assert "tiny.float32.onnx: got" in answer.line


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "line"),
    [
        ("/classify", b"", None, 415, "expected a picture"),
        ("/classify", b"", "image/png", 400, "got 0 bytes"),
        ("/classify", b"no picture", "image/png", 400, "cannot read the body: not an image"),
        ("/classify", b"\x89PNG\r\n\x1a\n" + bytes(99), None, 400, "cannot read the body"),
        ("/classify?top=0", b"\xff\xd8\xff", None, 400, "top: got '0'"),
        ("/classify?model=../../etc/passwd", b"\xff\xd8\xff", None, 404, "unknown model"),
        ("/predict", b"x", "text/html", 415, "Content-Type: got the type 'text/html'"),
        ("/predict", b"x,y\n", "text/csv", 400, "the body"),
        ("/predict", b"PK\3\4", "application/x-npz", 400, "cannot read the body"),
        ("/predict", b"RIFF", "audio/wav", 400, "the body"),
        ("/predict?threshold=nan", b"{}", "application/json", 400, "threshold"),
        ("/predict", b'{"inputs": {"other": [1]}}', "application/json", 400, "inputs: got other, expected values"),
        ("/predict", b'{"inputs": [1, "x"]}', "application/json", 400, "no number in its lists"),
        ("/nothing", b"x", None, 404, "there is nothing here"),
        ("/v2/models/a%2f..%2f..%2fetc/infer", b"{}", None, 404, "nothing here"),
    ],
)
def test_a_bad_body_is_refused_in_one_line(
    server: Running, path: str, body: bytes, kind: str | None, status: int, line: str
) -> None:
    answer = server.ask("POST", path, body, {"content-type": kind} if kind else None)
    assert (answer.status, line in answer.line) == (status, True), answer.line
    assert "/tmp" not in answer.line


def test_what_is_too_large_is_refused_before_it_is_read(server: Running) -> None:
    assert server.ask("POST", INFER, b"x" * (2 << 20)).status == 413
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    part = b"10000\r\n" + b"x" * (1 << 16) + b"\r\n"
    assert sent(server, head + part * 17).startswith(b"HTTP/1.1 413")
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        npy = BytesIO()
        np.save(npy, np.zeros((1 << 13, 28, 28, 1), np.uint8))
        archive.writestr("image.npy", npy.getvalue())
    answer = server.ask("POST", "/predict", packed.getvalue(), {"content-type": "application/x-npz"})
    assert (answer.status, "bytes of samples" in answer.line) == (413, True)
    zipped = {**JSON, "content-encoding": "gzip"}
    assert server.ask("POST", INFER, zlib.compress(bytes(1 << 24)), zipped).status == 415


def test_a_request_that_ends_in_two_ways_is_refused(server: Running) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = sent(server, head.encode() + b"0\r\n\r\nGET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400")
    assert got.count(b"HTTP/1.1") == 1, "what is behind it is no request"
    assert b"got Content-Length and Transfer-Encoding, expected one of them" in got


def test_a_body_without_end_and_floods_of_headers_end(server: Running) -> None:
    held = server.memory()
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    floods = {
        "a chunk of any size": head + b"F" * 18 + b"\r\nxx",
        "an extension of a chunk": head + b"1;" + b"a" * 1_000_000 + b"\r\nx\r\n0\r\n\r\n",
        "trailers": head + b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 200_000 + b"\r\n",
        "headers": b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 200_000 + b"\r\n",
        "a header": b"GET /v2 HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * 1_000_000 + b"\r\n\r\n",
    }
    for what, content in floods.items():
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection, suppress(ConnectionError):
            connection.sendall(content)
            assert connection.recv(1 << 16).startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")), what
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head)
        with suppress(ConnectionError):
            # Until it is let go.
            while True:
                connection.sendall(b"1\r\nx\r\n")
                time.sleep(0.01)
    assert server.memory() - held < 30 << 20


def test_answers_that_nobody_takes_are_not_kept(server: Running) -> None:
    held = server.memory()
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection, suppress(OSError):
        while True:
            connection.sendall(b"GET /page/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
    assert server.memory() - held < 30 << 20


def test_other_methods_are_refused_and_head_is_get_without_its_body(server: Running) -> None:
    for method in ("OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT", "get"):
        answer = server.ask(method, "/v2")
        assert (answer.status, answer.line) == (405, f"got the method {method!r}, expected GET or POST")
    head, get = server.ask("HEAD", "/v2"), server.get("/v2")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(get.body)))


def test_a_slow_body_and_slow_headers_end(server: Running) -> None:
    start = time.monotonic()
    body = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n".encode()
    assert sent(server, body + b"{").startswith(b"HTTP/1.1 408")
    assert not sent(server, b"GET /v2 HTTP/1.1\r\nHost: local")
    # And the second request of a connection.
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: local")
        while connection.recv(1 << 16):
            pass
    assert time.monotonic() - start < 5 * SECONDS + 5


def test_pages_of_other_servers_may_not_ask(server: Running) -> None:
    assert server.get("/v2", Host="evil.example").status == 403
    assert server.get("/v2", Host="127.0.0.1.evil.example:80").status == 403
    assert server.get("/v2", Host="").status == 403
    assert server.get("/v2", Host="[::1]:80").status == 200
    assert server.get("/v2", Origin="http://evil.example").status == 403
    assert server.get("/v2", Origin=f"http://127.0.0.1:{server.port}").status == 200
    assert server.ask("DELETE", "/v2").status == 405
    answer = server.get("/v2")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_token_is_asked_for(guarded: Running) -> None:
    # What is printed may go to a log.
    assert TOKEN not in guarded.printed[-1]
    assert guarded.get("/v2/health/live").status == 200
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "ä"}):
        answer = guarded.get("/v2", **given)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/v2", **right).status == 200
    assert guarded.get("/v2", Host="pi.home:80", **right).status == 200
    assert guarded.get("/v2", Host="other.home", **right).status == 403
    assert TOKEN not in guarded.log.read_text()


def test_more_requests_than_allowed_are_sent_away(guarded: Running) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 9\r\n\r\n"
    opened = [socket.create_connection(("127.0.0.1", guarded.port)) for _ in range(2)]
    for connection in opened:
        connection.sendall(head.encode())
    time.sleep(0.3)
    answer = guarded.ask("POST", INFER, b"{}", {"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    for connection in opened:
        connection.close()
    time.sleep(0.3)
    assert guarded.ask("POST", INFER, b"{}", {"Authorization": f"Bearer {TOKEN}"}).status == 400


def counting(path: Path) -> Path:
    """Write a model that counts to the number that it is given, so that a request says how long its call takes."""
    body = helper.make_graph(
        [helper.make_node("Add", ["value", "one"], ["next"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("place", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1]),
        ],
    )
    constants = {"one": np.ones(1, np.float32), "zero": np.zeros(1, np.float32), "true": np.array(True)}
    graph = helper.make_graph(
        [
            helper.make_node("Squeeze", ["count"], ["times"]),
            helper.make_node("Loop", ["times", "true", "zero"], ["y"], body=body),
        ],
        "counting",
        [helper.make_tensor_value_info("count", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_call_that_takes_too_long_is_let_go_and_holds_no_place_for_ever(tmp_path: Path) -> None:
    file = counting(tmp_path / "counting.onnx")
    options = ("--trust", "--timeout", "1", "--most-requests", "1")

    def counted(number: int) -> Answer:
        entry = {"name": "count", "shape": [1], "datatype": "INT64", "data": [number]}
        return server.infer(file.name, {"inputs": [entry]})

    with Running(file, *options, log=tmp_path / "log") as server:
        assert counted(10).json["outputs"][0]["data"] == [10]
        # The engine cannot be stopped; until it has counted that far, days pass.
        late = counted(10**14)
        assert (late.status, late.headers["retry-after"]) == (504, None)
        assert late.line == "it was not answered within 1 s"
        busy = counted(10)
        assert (busy.status, busy.headers["retry-after"]) == (429, "1")
        assert server.get("/v2/health/live").status == 200
        assert server.end() == 0
        assert "1 calls are left behind" in server.lines()[-1]["message"]


def test_more_clients_than_allowed_are_sent_away(data: Path, tmp_path: Path) -> None:
    with Running(data / MODEL, "--most-requests", "1", log=tmp_path / "log") as server, ExitStack() as opened:
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(4)]
        for client in clients:
            opened.callback(client.close)
            client.request("GET", "/v2")
            assert client.getresponse().read()
        answer = server.infer(MODEL, {"inputs": [tensor()]})
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.line == "4 clients are connected: come again"
        opened.close()
        while server.infer(MODEL, {"inputs": [tensor()]}).status == 503:
            pass
        assert server.infer(MODEL, {"inputs": [tensor()]}).status == 200


def test_the_log_is_json_whatever_is_asked_for(server: Running) -> None:
    sent(
        server,
        b"GET /\x1b[2J%0a%7b%22event%22:%22forged%22%7d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    assert server.ask("GET", "/%0A%1B%5B2J%C2%9B%7F%E2%80%AE").status == 404
    text = server.log.read_text()
    assert all(letter == "\n" or " " <= letter <= "~" for letter in text)
    assert not [line for line in server.lines() if line["event"] == "forged"]


def thousand() -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    """Yield requests that are meant to do harm: (method, path, body, headers)."""
    random = np.random.default_rng(7)
    good = json.dumps({"inputs": [tensor()]}).encode()
    junk = [random.bytes(int(size)) for size in (0, 1, 10, 1000, 100_000)]
    bombs = [
        b"[" * 500_000, b'{"a":' * 100_000, b"[" + b"[]," * 200_000 + b"[]]", b"1" * 500_000,
        b'"' + b"\\u0000" * 100_000,
        b'{"inputs":' + b"[1e999," * 1000, b'{"inputs":[' + b"{}," * 100_000 + b"{}]}", good[:-3], b"\0" * 1000,
    ]  # fmt: skip
    paths = [
        "/..%2f..%2fetc/passwd", "/../../etc/passwd", "//etc/passwd", "/v2/models/..%00/infer", "/page/../../cli.py",
        "/v2/models/" + "a" * 5000, "/%ff%fe", "/v2/models/%0d%0aSet-Cookie:x/infer", "/?" + "a=1&" * 5000,
        "/page/%2e%2e/",
    ]  # fmt: skip
    shapes = [[], [1], [784], [1, 28, 28], [2**62], [2**63, 2**63], [0], [1] * 17, [1, 28, 28, 1, 0], None, "x", [1.5]]
    kinds = [
        "image/png",
        "image/jpeg",
        "application/json",
        "text/csv",
        "application/x-npz",
        "application/x-npy",
        "audio/wav",
    ]
    headers = [
        {"Content-Length": "-1"}, {"Inference-Header-Content-Length": "99999999999"}, {"Content-Encoding": "gzip"},
        {"Inference-Header-Content-Length": "²"}, {"Host": "x" * 3000}, {"X": "y" * 20_000}, {"Expect": "100-continue"},
    ]  # fmt: skip
    for path, method in itertools.product(paths, ("GET", "POST", "HEAD", "PUT", "TRACE")):
        yield method, path, good if method == "POST" else b"", {}
    for body, path in itertools.product([*junk, *bombs], (INFER, "/predict", "/classify", "/v2/repository/index")):
        yield "POST", path, body, JSON
    for shape in shapes:
        yield "POST", INFER, json.dumps({"inputs": [tensor(shape=shape)]}).encode(), JSON
    for kind, body in itertools.product(kinds, junk):
        yield "POST", "/predict", body, {"content-type": kind}
    for each in headers:
        yield (
            "POST",
            INFER,
            good,
            {**JSON, **{key: value.encode("utf-8").decode("latin-1") for key, value in each.items()}},
        )
    while True:
        # A good message with some of its bytes changed.
        changed = bytearray(good)
        for place in random.integers(0, len(changed), random.integers(1, 9)):
            changed[place] = random.integers(0, 256)
        yield "POST", INFER, bytes(changed), JSON


def test_a_thousand_hostile_requests_do_no_harm(server: Running) -> None:
    asked = list(itertools.islice(thousand(), 1000))
    statuses: Counter[int] = Counter()

    def attack() -> None:
        for method, path, body, headers in asked:
            lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
            given = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
            lines += [f"{key}: {value}" for key, value in given.items()]
            got = sent(server, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            got = got.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            statuses[int(got.split()[1])] += 1

    attack()
    held = server.memory()
    attack()
    assert server.memory() - held < 30 << 20
    assert server.infer(MODEL, {"inputs": [tensor()]}).status == 200
    assert set(statuses) <= ALLOWED, statuses
    assert len(statuses) > 5
