"""``edgeport serve``: artefacts behind HTTP, by the Open Inference Protocol, with a page to draw and try."""

import argparse
import os
import socket
import sys
import urllib.parse
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path

from edgeport.runtime.artefact.formats import ENGINES
from edgeport.runtime.cli import exit_code_of
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.host.terminal import visible
from edgeport.runtime.host.token_file import is_open_to_others, read_token
from edgeport.runtime.host.workers import run_workers
from edgeport.runtime.serving.limits import Limits
from edgeport.runtime.serving.request_log import log
from edgeport.runtime.serving.samples import find_samples
from edgeport.runtime.serving.served import load_served

_MEGABYTE = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    usual = Limits()
    engines = ", ".join(ENGINES)
    parser.add_argument("paths", metavar="DIR|FILE", type=Path, nargs="+", help="an export folder, or artefacts")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="the port; 0 for a free one (default 8080)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="what clients must know, in a file")
    parser.add_argument("--no-token", action="store_true", help="anyone who reaches this machine may ask")
    parser.add_argument(
        "--name", action="append", default=[], metavar="HOST", help="a name by which clients call this machine"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="samples for the page to show (default: a bundle's golden samples)"
    )
    parser.add_argument("--engine", metavar="NAME", help=f"one of {engines}")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each engine (default 1)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where OpenVINO keeps what it has compiled")
    parser.add_argument("--trust", action="store_true", help="load files that edgeport did not make")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes, each with the artefacts (default 1)"
    )
    parser.add_argument(
        "--most-megabytes", type=int, default=usual.body >> 20, metavar="N", help="of one request (default 16)"
    )
    parser.add_argument(
        "--most-requests", type=int, default=usual.requests, metavar="N", help="in work at a time (default 64)"
    )
    parser.add_argument(
        "--timeout", type=float, default=usual.seconds, metavar="SECONDS", help="for one request (default 30)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    limits, token = _limits(arguments), _token(arguments)
    if arguments.workers == 1:
        return _listen(arguments, limits, token)
    with temporary_folder() as folder:
        # The processes leave their counters there, where each finds those of all. It is looked at once, at import.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        return _listen(arguments, limits, token)


def _listen(arguments: argparse.Namespace, limits: Limits, token: str | None) -> int:
    # What it needs comes with the extra, and a mistake in the arguments needs none of it.
    from edgeport.runtime.serving.server import listening

    with listening(arguments.host, arguments.port) as made:
        if arguments.workers == 1:
            return _serve(arguments, limits, token, made)

        def work(place: int, begun: Callable[[], None]) -> int:
            return exit_code_of("edgeport", lambda: _serve(arguments, limits, token, made, place, begun))

        # A client that comes while they end is refused, and does not wait for nobody.
        return run_workers(arguments.workers, work, started=made.close)


def _serve(
    arguments: argparse.Namespace,
    limits: Limits,
    token: str | None,
    made: socket.socket,
    place: int = 0,
    begun: Callable[[], None] = lambda: None,
) -> int:
    """Serve in this process, which is the one of that place."""
    from edgeport.runtime.serving.application import Service, application
    from edgeport.runtime.serving.guard import Guard
    from edgeport.runtime.serving.server import server_of

    artefacts = load_served(
        arguments.paths,
        engine=arguments.engine,
        threads=arguments.threads,
        verify=not arguments.trust,
        cache=arguments.cache,
    )
    hosts = frozenset({"localhost", *_own_names(), *(name.lower() for name in arguments.name)})
    service = Service(artefacts, limits, find_samples(arguments.paths, arguments.data, next(iter(artefacts.values()))))
    server = server_of(
        lambda connections: Guard(
            application(service),
            limits,
            service.metrics,
            token,
            hosts,
            # The page itself says nothing of the model.
            open_paths=lambda path: path in service.page or path.startswith("/v2/health/"),
            connections=connections,
            busy=lambda: service.unfinished,
        ),
        limits,
    )
    if place == 0:
        _say(artefacts, arguments.host, made.getsockname()[1], token)
    begun()
    server.run(sockets=[made])
    if service.unfinished:
        # Their clients have been let go, and Python would wait for their threads for as long as they take.
        log("stopping", message=f"{service.unfinished} calls are left behind, which have not ended")
        sys.stdout.flush()
        os._exit(0)
    return 0


def _limits(arguments: argparse.Namespace) -> Limits:
    ranges = (("most_megabytes", 1, 1024), ("most_requests", 1, 10_000), ("timeout", 0.1, 3600), ("workers", 1, 64))
    for key, least, most in ranges:
        given = getattr(arguments, key)
        if not least <= given <= most:
            raise InputError(f"--{key.replace('_', '-')}: got {given:g}, expected {least:g} to {most:g}")
    if not 0 <= arguments.port < 1 << 16:
        raise InputError(f"--port: got {arguments.port}, expected 0 to 65535")
    size = arguments.most_megabytes * _MEGABYTE
    return Limits(
        body=size,
        tensors=4 * size,
        requests=arguments.most_requests,
        connections=4 * arguments.most_requests,
        seconds=arguments.timeout,
    )


def _token(arguments: argparse.Namespace) -> str | None:
    """Return what clients must know; raises InputError if others could ask and nobody has said that they may."""
    if arguments.token_file is None:
        if not arguments.no_token and not _is_this_machine(arguments.host):
            raise InputError(
                f"--host {arguments.host}: anyone on the network could ask: give --token-file FILE (make one: "
                "(umask 077; head -c 24 /dev/urandom | base64 > FILE)), or --no-token if that is meant"
            )
        return None
    if arguments.no_token:
        raise InputError("got --token-file and --no-token, expected one of them")
    token = read_token(arguments.token_file)
    if is_open_to_others(arguments.token_file):
        log("token", message=f"anyone on this machine can read {arguments.token_file}: chmod 600 it")
    return token


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _own_names() -> tuple[str, ...]:
    """Return the names that this machine has in its own network."""
    name = socket.gethostname().lower()
    return (name, f"{name}.local") if name else ()


def _say(artefacts: Iterable[str], host: str, port: int, token: str | None) -> None:
    shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    # After '#', which no browser sends: no server in between gets to see it. What is no terminal may be a log.
    secret = f"#token={urllib.parse.quote(token)}" if token and sys.stdout.isatty() else ""
    for name in artefacts:
        print(visible(name))
    print(f"serving on http://{shown}:{port}/{secret} (Ctrl-C ends it)", flush=True)
