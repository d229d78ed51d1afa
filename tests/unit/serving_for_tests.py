"""A running server for tests: `edgeport serve` in a process of its own, and the plainest of clients."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def line(self) -> str:
        """The one line of a refusal."""
        line = self.json["error"]
        assert isinstance(line, str)
        assert "\n" not in line
        return line


class Running:
    def __init__(self, *arguments: str | Path, log: Path) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                ["env", "--default-signal=INT,QUIT", sys.executable, "-m", "edgeport.runtime.cli", "serve",
                 *map(str, arguments), "--port", "0"],
                stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        self.printed: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if found := re.search(r"http://.*:(\d+)/", line):
                self.port = int(found[1])
                return
        raise AssertionError(log.read_text())

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def infer(self, model: str, message: Any) -> Answer:
        text = message if isinstance(message, (bytes, str)) else json.dumps(message)
        return self.ask("POST", f"/v2/models/{model}/infer", text, {"content-type": "application/json"})

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged: JSON in every line."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def memory(self) -> int:
        """How many bytes it holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *error: object) -> None:
        # A test that has failed leaves no server behind.
        if self.process.poll() is None:
            self.end()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal it to end, and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout
        self.process.stdout.close()
        return code
