"""What stands before the application: who may ask, how much, how long; and what is counted and logged of each request.

Plain ASGI, so that a request is refused before anything of it is read.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from edgeport.runtime.errors import InputError
from edgeport.runtime.host.terminal import visible
from edgeport.runtime.serving.limits import Limits, RequestError
from edgeport.runtime.serving.metrics import Metrics
from edgeport.runtime.serving.request_log import log, log_bug

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Where the application leaves what the log and the metrics say of a request.
ENDPOINT, MODEL = "edgeport.endpoint", "edgeport.model"
# Where the guard leaves the whole body.
BODY = "edgeport.body"
# Scripts and styles are files of ours alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_METHODS = ("GET", "HEAD", "POST")
# A client that is refused while it still sends sees the answer if somebody takes the rest.
_DRAIN_SECONDS = 1.0


@dataclass
class Guard:
    """The application behind its checks.

    Attributes:
        application: What answers.
        limits: What a request may take.
        metrics: What is counted.
        token: What clients must know; None if anyone may ask.
        hosts: The names by which the server is called; addresses always are.
        open_paths: What can be had without the token: it holds nothing of the model.
        connections: Returns how many clients are connected.
        busy: Returns how many calls of artefacts have not ended.
    """

    application: Application
    limits: Limits
    metrics: Metrics
    token: str | None
    hosts: frozenset[str]
    open_paths: Callable[[str], bool]
    connections: Callable[[], int] = lambda: 0
    busy: Callable[[], int] = lambda: 0
    running: int = field(default=0, init=False)
    held: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        start, status = time.perf_counter(), 0
        scope[ENDPOINT] = scope[MODEL] = ""

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            # A client that does not take its answer is let go.
            await asyncio.wait_for(send(message), self.limits.seconds)

        try:
            await self._answer(scope, receive, sent)
        except (InputError, ConnectionError, asyncio.TimeoutError) as error:
            # Too late for an answer.
            log("gone", message=str(error) or type(error).__name__)
        except Exception as error:
            log_bug(error)
            if not status:
                await _reply(sent, 500, "this is a bug of the server: its log has the traceback")
        finally:
            seconds = time.perf_counter() - start
            self.metrics.answered(scope[ENDPOINT], scope[MODEL], status, seconds)
            _log_request(scope, status, seconds)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
        except RequestError as error:
            await _refuse(scope, receive, send, error)
            return
        if scope["method"] != "POST":
            await self.application(scope, receive, send)
            return
        self.running += 1
        taken = 0
        try:
            body = bytearray()
            try:
                async for part in _parts(receive, self.limits.seconds):
                    self._check_size(len(body) + len(part))
                    if self.held + len(part) > self.limits.held:
                        raise _too_busy()
                    body += part
                    self.held += len(part)
                    taken += len(part)
            except RequestError as error:
                await _refuse(scope, receive, send, error)
                return
            scope[BODY] = bytes(body)
            del body
            await self.application(scope, receive, send)
        finally:
            self.running -= 1
            self.held -= taken
            scope.pop(BODY, None)

    def _check(self, scope: Scope) -> None:
        """Raise RequestError for what can be refused by its headers."""
        headers = _headers(scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            # Proxies and servers take one or the other for the end of the body, and what follows for the next request.
            raise RequestError(400, "got Content-Length and Transfer-Encoding, expected one of them")
        host = _host_of(headers.get("host", ""))
        if host not in self.hosts and not _is_address(host):
            raise RequestError(403, f"Host: got {host[:80]!r}, expected an address, or a name given with --name")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host", ""):
            raise RequestError(403, f"Origin: got {origin[:80]!r}: pages of other servers may not ask this one")
        if scope["method"] not in _METHODS:
            raise RequestError(405, f"got the method {scope['method'][:16]!r}, expected GET or POST")
        if self.token is not None and not self.open_paths(scope["path"]):
            given = headers.get("authorization", "")
            if not hmac.compare_digest(given.encode("latin-1", "replace"), f"Bearer {self.token}".encode()):
                raise RequestError(401, "expected the header 'Authorization: Bearer TOKEN' with the server's token")
        if scope["method"] == "POST":
            self._check_post(headers)

    def _check_post(self, headers: dict[str, str]) -> None:
        coding = headers.get("content-encoding", "identity")
        if coding.lower() != "identity":
            raise RequestError(415, f"Content-Encoding: got {coding[:32]!r}, expected none: send the body as it is")
        length = headers.get("content-length", "")
        if length.isdecimal():
            self._check_size(int(length[:20]))
        if max(self.running, self.busy()) >= self.limits.requests:
            raise _too_busy()
        if self.connections() > self.limits.connections:
            raise RequestError(503, f"{self.limits.connections} clients are connected: come again")

    def _check_size(self, size: int) -> None:
        if size > self.limits.body:
            raise RequestError(413, f"the body: got {size:,} bytes or more, expected at most {self.limits.body:,}")


def error_body(line: str) -> bytes:
    """Return the body of an answer that refuses, as the protocol has it: an object with the one line."""
    return json.dumps({"error": visible(line)}).encode()


async def _parts(receive: Receive, seconds: float) -> Any:
    """Yield the parts of a body; raises RequestError if it takes too long, or its sender leaves."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
        except asyncio.TimeoutError:
            raise RequestError(408, f"the body did not arrive within {seconds:g} s") from None
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client has left")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _drain(receive: Receive) -> None:
    """Take what a refused client still sends, for a moment."""

    async def rest() -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return

    try:
        await asyncio.wait_for(rest(), _DRAIN_SECONDS)
    except asyncio.TimeoutError:
        return


async def _refuse(scope: Scope, receive: Receive, send: Send, error: RequestError) -> None:
    # The connection ends with the answer, and to a client that still sends it would look broken. One that waits for a
    # word before it sends, or that sends too slowly, need not be waited for.
    if scope["method"] == "POST" and error.status != 408 and "expect" not in _headers(scope):
        await _drain(receive)
    extra = []
    if error.status == 401:
        extra.append((b"www-authenticate", b"Bearer"))
    if error.status in (429, 503):
        extra.append((b"retry-after", b"1"))
    # A body is not read to its end.
    extra.append((b"connection", b"close"))
    await _reply(send, error.status, str(error), extra)


async def _reply(send: Send, status: int, line: str, extra: list[tuple[bytes, bytes]] | None = None) -> None:
    body = error_body(line)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *(extra or ()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _too_busy() -> RequestError:
    return RequestError(429, "too many requests are in work: ask again in a second")


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by name; of one that is there several times all values, so that each counts."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _host_of(header: str) -> str:
    """Return the name or address in a Host header, without the port."""
    name = header.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if name.rpartition(":")[2].isdecimal() and ":" in name else name


def _is_address(host: str) -> bool:
    """Whether it is an IP address: no page of another server can have one of ours as its own name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    client = scope.get("client")
    log(
        "request",
        client=client[0] if client else "",
        method=scope["method"],
        path=scope["path"],
        status=status,
        milliseconds=round(seconds * 1000, 3),
        model=scope[MODEL],
    )
