"""Chromium without a window, for the tests of pages."""

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Browser:
    """Chromium, spoken to over its DevTools pipe: one JSON message after the other, each ended by a zero byte."""

    def __init__(self, executable: str, profile: Path, flags: tuple[str, ...] = ()) -> None:
        (self._read, chrome_writes), (chrome_reads, self._write) = os.pipe(), os.pipe()
        # The pipe's ends are file descriptors 3 and 4 of the browser, whatever they are called here.
        script = f'exec 3<&{chrome_reads} 4>&{chrome_writes} && exec "$@"'
        options = (
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
            "--remote-debugging-pipe", f"--user-data-dir={profile}", *flags, "about:blank",
        )  # fmt: skip
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", executable, *options],
            pass_fds=(chrome_reads, chrome_writes),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(chrome_reads)
        os.close(chrome_writes)
        self._numbers, self._pending = itertools.count(1), b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            printed = self._next()
            if printed.get("id") == number:
                assert "error" not in printed, printed
                return dict(printed["result"])

    def open(self, url: str, *, width: int, dark: bool = False) -> None:
        """Load a page in a window of that width, and wait until all of it is there."""
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()
        self.run("document.fonts.ready.then(() => true)")

    def run(self, script: str) -> Any:
        """Return what a JavaScript expression is, in the page."""
        printed = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in printed, printed
        return printed["result"].get("value")

    def complaints(self) -> list[dict[str, Any]]:
        """Return all that the page has written to the console, and all errors."""
        methods = "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"
        return [event for event in self.events if event["method"] in methods]

    def requests(self) -> list[str]:
        """Return the addresses of all that the page has asked for."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def close(self) -> None:
        os.close(self._write)
        self._process.kill()
        self._process.wait()
        os.close(self._read)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            part = os.read(self._read, 1 << 20)
            assert part, "chromium has ended: is it whole? try chromium --headless --no-sandbox --dump-dom about:blank"
            self._pending += part
        message, _, self._pending = self._pending.partition(b"\0")
        printed: dict[str, Any] = json.loads(message)
        if "method" in printed:
            self.events.append(printed)
        return printed


@contextmanager
def opened_browser(*flags: str) -> Iterator[Browser]:
    """Yield a browser with a profile of its own, started with more flags; the test fails where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.fail("no chromium on PATH, in which pages are tested: apt-get install chromium (make chromium)")
    with tempfile.TemporaryDirectory(prefix="edgeport-chromium-", ignore_cleanup_errors=True) as profile:
        opened = Browser(executable, Path(profile), flags)
        try:
            yield opened
        finally:
            opened.close()
