"""The routes of a server: the Open Inference Protocol, pictures, the contract's own forms, the page, the metrics."""

import asyncio
import functools
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edgeport.runtime.artefact.spec import Spec
from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.host.machine import version_of
from edgeport.runtime.prediction.classification import ranked
from edgeport.runtime.prediction.showing.show import facts_of
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.runtime.samples.reading import Samples
from edgeport.runtime.serving.bodies import JSON, check_type, picture_type, read_body
from edgeport.runtime.serving.guard import BODY, ENDPOINT, MODEL, error_body
from edgeport.runtime.serving.inference_protocol import (
    EXTENSIONS,
    Reply,
    index_of,
    metadata_of,
    read_inference,
    reply_to,
)
from edgeport.runtime.serving.limits import Limits, RequestError
from edgeport.runtime.serving.metrics import CONTENT_TYPE, Metrics
from edgeport.runtime.serving.page_files import PageFile, page_files
from edgeport.runtime.serving.samples import Changes, SampleSet, plain, sample_at
from edgeport.runtime.serving.served import Served, contract_of
from edgeport.runtime.tensors.arrays import Tensor

_Result = TypeVar("_Result")
_MOST_TOP = 1000
# Pixels that are shown, of all channels.
_MOST_SEEN = 3 * 512 * 512
# Of how many samples of a request answers are drawn.
_MOST_PICTURES = 8


@dataclass
class Service:
    """What all requests share.

    Attributes:
        artefacts: What is served, by name.
        limits: What a request may take.
        samples: What the page offers to try.
        page: The files of the page, by their paths.
        metrics: What is counted.
        engines: The threads that compute.
        readers: The thread that reads pictures and other files, one at a time: each may take hundreds of megabytes.
        unfinished: How many calls have not ended, those whose clients were let go included.
    """

    artefacts: Mapping[str, Served]
    limits: Limits
    samples: SampleSet
    page: Mapping[str, PageFile] = field(default_factory=page_files)
    metrics: Metrics = field(default_factory=Metrics)
    engines: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(len(os.sched_getaffinity(0)), "edgeport-engine")
    )
    readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "edgeport-reader"))
    unfinished: int = 0

    def __post_init__(self) -> None:
        self.changes = Changes(self.samples)

    def artefact(self, name: str) -> Served:
        """Return what is served under a name; raises RequestError if nothing is."""
        found = self.artefacts.get(name)
        if found is None:
            raise RequestError(404, str(unknown_name("model", name[:128], self.artefacts)))
        return found

    def chosen(self, request: Request) -> list[Served]:
        """Return the artefact that a request names in its query, or all."""
        name = request.query_params.get("model")
        if name is None:
            return list(self.artefacts.values())
        chosen = self.artefact(name)
        request.scope[MODEL] = chosen.name
        return [chosen]

    async def within(self, pool: ThreadPoolExecutor, work: Callable[[], _Result]) -> _Result:
        """Return what some work gives that other requests shall not wait for; raises RequestError if it takes long."""
        self.unfinished += 1
        self.metrics.began()
        loop = asyncio.get_running_loop()

        def ended(_: object) -> None:
            # From the thread that has done it, at a time when the loop may be closed.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._count_down)

        job = pool.submit(work)
        job.add_done_callback(ended)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job), self.limits.seconds)
        except asyncio.TimeoutError:
            raise RequestError(504, f"it was not answered within {self.limits.seconds:g} s") from None

    def _count_down(self) -> None:
        self.unfinished -= 1
        self.metrics.ended()


def application(service: Service) -> Starlette:
    """Return the application that answers for a service."""
    handlers: list[tuple[str, str, Callable[[Service, Request], Awaitable[Response]]]] = [
        ("GET", "/v2", _server),
        ("GET", "/v2/health/live", _live),
        ("GET", "/v2/health/ready", _live),
        ("POST", "/v2/repository/index", _index),
        ("GET", "/v2/models/{name}", _model),
        ("GET", "/v2/models/{name}/versions/1", _model),
        ("GET", "/v2/models/{name}/ready", _ready),
        ("GET", "/v2/models/{name}/versions/1/ready", _ready),
        ("POST", "/v2/models/{name}/infer", _infer),
        ("POST", "/v2/models/{name}/versions/1/infer", _infer),
        ("POST", "/classify", _classify),
        ("POST", "/predict", _predict),
        ("GET", "/artefacts", _artefacts),
        ("GET", "/samples/{index}", _sample),
        ("GET", "/changed", _changed),
        ("GET", "/metrics", _metrics),
    ]
    routes = [
        Route(path, _named(handler, service), methods=[method], name=handler.__name__.strip("_"))
        for method, path, handler in handlers
    ]
    routes += [Route(path, _named(_page, service), methods=["GET"]) for path in service.page]
    errors = {HTTPException: _refused, InputError: _refused}
    made = Starlette(routes=routes, exception_handlers=errors)
    made.router.redirect_slashes = False
    return made


def _named(
    handler: Callable[[Service, Request], Awaitable[Response]], service: Service
) -> Callable[[Request], Awaitable[Response]]:
    name = handler.__name__.strip("_")

    async def endpoint(request: Request) -> Response:
        request.scope[ENDPOINT] = name
        return await handler(service, request)

    return endpoint


async def _refused(request: Request, error: Exception) -> Response:
    """Return the answer to what cannot be answered: the one line of our errors, or what HTTP says."""
    if isinstance(error, HTTPException):
        words = {404: "there is nothing here: GET / has the page, GET /api what can be asked"}
        line = words.get(error.status_code, error.detail)
        return Response(error_body(line), error.status_code, error.headers, JSON)
    status = error.status if isinstance(error, RequestError) else 400
    headers = {"retry-after": "1"} if status in (429, 503) else None
    return Response(error_body(str(error)), status, headers, JSON)


def _json(value: Any) -> Response:
    return Response(json.dumps(value, allow_nan=False), media_type=JSON, headers={"cache-control": "no-store"})


async def _server(service: Service, request: Request) -> Response:
    return _json({"name": "edgeport", "version": version_of("edgeport"), "extensions": EXTENSIONS})


async def _live(service: Service, request: Request) -> Response:
    return _json({"live": True, "ready": True})


async def _index(service: Service, request: Request) -> Response:
    return _json(index_of(list(service.artefacts.values())))


def _of_path(service: Service, request: Request) -> Served:
    served = service.artefact(request.path_params["name"])
    request.scope[MODEL] = served.name
    return served


async def _model(service: Service, request: Request) -> Response:
    return _json(metadata_of(_of_path(service, request)))


async def _ready(service: Service, request: Request) -> Response:
    return _json({"name": _of_path(service, request).name, "ready": True})


async def _infer(service: Service, request: Request) -> Response:
    served = _of_path(service, request)
    body, header = request.scope[BODY], request.headers.get("inference-header-content-length")

    def work() -> Reply:
        asked = read_inference(body, header, served, service.limits)
        answers = served.run(asked.tensors) if asked.raw else served.answer(asked.tensors)
        service.metrics.computed(served.name, answers.seconds)
        return reply_to(asked, served, answers)

    reply = await service.within(service.engines, work)
    if reply.header is None:
        return Response(reply.body, media_type=JSON)
    headers = {"inference-header-content-length": str(reply.header)}
    return Response(reply.body, media_type="application/octet-stream", headers=headers)


async def _classify(service: Service, request: Request) -> Response:
    kind = picture_type(request.scope[BODY], request.headers.get("content-type"))
    top = _whole(request, "top", 3, _MOST_TOP)

    def classes(spec: Spec, read: Samples, values: Mapping[str, Tensor]) -> dict[str, Any]:
        (best,) = ranked(values[spec.output.name], spec, top=top)
        return {"classes": [found._asdict() for found in best]}

    answers, _ = await _each(service, request, kind, classes)
    return _json({"answers": answers})


async def _predict(service: Service, request: Request) -> Response:
    kind = check_type(request.headers.get("content-type"))
    choices = Choices(threshold=_share(request, "threshold", 0.5))
    pictures = _MOST_PICTURES if _switch(request, "pictures") else 0

    def samples(spec: Spec, read: Samples, values: Mapping[str, Tensor]) -> dict[str, Any]:
        return {"samples": facts_of(read, values, spec, choices, pictures=pictures)}

    answers, first = await _each(service, request, kind, samples)
    if not _switch(request, "pixels"):
        return _json({"answers": answers})
    seen = next(iter(first.values.values()))[0]
    if seen.dtype != np.uint8 or seen.size > _MOST_SEEN:
        raise RequestError(400, f"pixels: got {seen.dtype} {seen.shape}, expected pixels, {_MOST_SEEN:,} at most")
    return _json({"answers": answers, "seen": plain(seen)})


async def _each(
    service: Service,
    request: Request,
    kind: str,
    shown: Callable[[Spec, Samples, Mapping[str, Tensor]], dict[str, Any]],
) -> tuple[list[dict[str, Any]], Samples]:
    """Return what the artefacts that a request is for answer to its body, and the samples of the first of them.

    The body is read once for all artefacts of one contract.
    """
    body, invert = request.scope[BODY], _switch(request, "invert")
    read: dict[Any, Samples] = {}

    def answer(served: Served) -> dict[str, Any]:
        samples = read[served.ports]
        answers = served.answer(samples.values)
        service.metrics.computed(served.name, answers.seconds)
        facts = shown(served.predictor.spec, samples, answers.values)
        return {"model": served.name, "milliseconds": answers.seconds * 1000, **facts, "notes": list(samples.notes)}

    found = []
    for served in service.chosen(request):
        if served.ports not in read:
            reading = functools.partial(read_body, body, kind, served.predictor.spec, service.limits, invert=invert)
            pool = service.engines if kind == JSON else service.readers
            read[served.ports] = await service.within(pool, reading)
        found.append(await service.within(service.engines, functools.partial(answer, served)))
    return found, next(iter(read.values()))


async def _artefacts(service: Service, request: Request) -> Response:
    artefacts = [contract_of(each) for each in service.artefacts.values()]
    return _json({"artefacts": artefacts, "samples": service.samples.total})


async def _sample(service: Service, request: Request) -> Response:
    return _json(sample_at(service.samples, request.path_params["index"]))


async def _changed(service: Service, request: Request) -> Response:
    one, other = (service.artefact(request.query_params.get(key, "")) for key in ("from", "to"))
    # All samples may take long, and nobody else shall wait for an engine meanwhile.
    return _json(await service.within(service.readers, functools.partial(service.changes.between, one, other)))


async def _page(service: Service, request: Request) -> Response:
    file = service.page[request.url.path]
    return Response(file.content, headers={"content-type": file.kind, "cache-control": "no-cache"})


async def _metrics(service: Service, request: Request) -> Response:
    content = service.metrics.text()
    return Response(content, headers={"content-type": CONTENT_TYPE})


def _whole(request: Request, key: str, usual: int, most: int) -> int:
    text = request.query_params.get(key, str(usual))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise RequestError(400, f"{key}: got {text[:32]!r}, expected a whole number from 1 to {most}")
    return int(text[:9])


def _share(request: Request, key: str, usual: float) -> float:
    text = request.query_params.get(key, str(usual))
    try:
        value = float(text[:32])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise RequestError(400, f"{key}: got {text[:32]!r}, expected a probability, 0 to 1")
    return value


def _switch(request: Request, key: str) -> bool:
    text = request.query_params.get(key, "0")
    if text not in ("0", "1"):
        raise RequestError(400, f"{key}: got {text[:32]!r}, expected 0 or 1")
    return text == "1"
