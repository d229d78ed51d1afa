"""The HTTP server of uvicorn, with what it lacks: a limit on the time that headers may take, and an end by SIGTERM."""

import asyncio
import contextlib
import logging
import signal
import socket
from asyncio import TimerHandle
from asyncio.transports import Transport
from collections.abc import Callable, Iterator

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgeport.runtime.errors import InputError
from edgeport.runtime.serving.guard import Application
from edgeport.runtime.serving.limits import HEADER_SECONDS, Limits
from edgeport.runtime.serving.request_log import JsonHandler, log

_KEPT_OPEN_SECONDS = 15


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that clients can reach; raises InputError if there can be none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol named, asyncio turns Nagle's algorithm off, which would hold each answer for 40 ms.
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot listen on {host}:{port}: {reason}: give another --host or --port") from error
    return made


class Server(uvicorn.Server):
    """A server that ends by SIGTERM or Ctrl-C when what runs is answered, and as a success."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that end a server, in the loop that runs it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        yield

    def _end(self, number: signal.Signals) -> None:
        log("stopping", signal=number.name)
        self.handle_exit(number, None)


def server_of(make: Callable[[Callable[[], int]], Application], limits: Limits) -> Server:
    """Return a server.

    Args:
        make: Returns the application, given what says how many clients are connected.
        limits: What it takes on.
    """

    async def answer(scope, receive, send):  # type: ignore[no-untyped-def]
        await made(scope, receive, send)

    class Protocol(_Protocol):
        header_seconds = min(HEADER_SECONDS, limits.seconds)

    config = uvicorn.Config(
        answer,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # The guard says it in words before that.
        limit_concurrency=4 * limits.connections,
        timeout_keep_alive=_KEPT_OPEN_SECONDS,
        timeout_graceful_shutdown=round(limits.seconds) + 1,
    )
    server = Server(config)
    made = make(lambda: len(server.server_state.connections))
    logger = logging.getLogger("uvicorn")
    logger.handlers, logger.propagate = [JsonHandler(logging.WARNING)], False
    return server


class _Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, but a client that does not end its headers is let go."""

    header_seconds = HEADER_SECONDS
    _waiting: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE and self._waiting is None:
            self._wait()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._waited()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # The next request may have begun to arrive.
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0] and self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waited()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.header_seconds, self.transport.close)

    def _waited(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
