"""Bodies of requests as samples: the files that ``edgeport predict`` reads, and JSON with the values of the inputs."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeport.runtime.artefact.spec import Spec
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.reading import Samples, read_samples
from edgeport.runtime.samples.shaping import ports_of, shaped, valued
from edgeport.runtime.serving.inference_protocol import numbers, parsed
from edgeport.runtime.serving.limits import Limits, RequestError

JSON = "application/json"
# The endings of the files that a type of content is read as.
PICTURES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/bmp": ".bmp", "image/gif": ".gif"}
_FILES = PICTURES | {
    "application/x-npy": ".npy", "application/x-npz": ".npz", "text/csv": ".csv", "audio/wav": ".wav",
    "audio/x-wav": ".wav",
}  # fmt: skip
_SAID = "the body"


def content_type(header: str | None) -> str:
    """Return a type of content without its parameters, in small letters."""
    return (header or "").partition(";")[0].strip().lower()


def picture_type(body: bytes, header: str | None) -> str:
    """Return the type of a picture: what the header says, or, where clients say nothing of use, what it begins with.

    Raises:
        RequestError: It is no PNG and no JPEG, and the header names no other kind.
    """
    said = content_type(header)
    if said in PICTURES:
        return said
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    got = f"the type {said[:64]!r}" if said else "no type"
    raise RequestError(415, f"Content-Type: got {got}, expected a picture, {', '.join(PICTURES)}")


def type_of_file(name: str) -> str:
    """Return the type of content by which a file of samples is sent, such as ``text/csv`` for ``rows.csv``."""
    return next(kind for kind, suffix in _FILES.items() if name.lower().endswith(suffix))


def check_type(header: str | None) -> str:
    """Return the type of a body that ``read_body`` reads; raises RequestError if it is of none."""
    said = content_type(header)
    if said != JSON and said not in _FILES:
        got = f"the type {said[:64]!r}" if said else "no type"
        raise RequestError(415, f"Content-Type: got {got}, expected {', '.join((JSON, *_FILES))}")
    return said


def read_body(body: bytes, kind: str, spec: Spec, limits: Limits, *, invert: bool = False) -> Samples:
    """Return the samples in a body.

    Args:
        body: What the client has sent.
        kind: Its type of content, one that ``check_type`` or ``picture_type`` has given.
        spec: The artefact that shall answer.
        limits: What a request may take.
        invert: Whether pictures are dark on light, where the model knows light on dark.

    Raises:
        RequestError: The samples are more than the limits allow.
        InputError: It is no such file, or not what the artefact takes.
    """
    if not body:
        raise RequestError(400, "the body: got 0 bytes, expected samples")
    samples = _read_json(parsed(body), spec) if kind == JSON else _read_file(body, _FILES[kind], spec, invert)
    size = sum(values.nbytes for values in samples.values.values())
    if size > limits.tensors:
        raise RequestError(413, f"the body: got {size:,} bytes of samples, expected at most {limits.tensors:,}")
    return samples


def _read_file(body: bytes, suffix: str, spec: Spec, invert: bool) -> Samples:
    """Read a body as the file that it is a copy of, under a name of ours: nothing of a request becomes a path."""
    with tempfile.TemporaryDirectory(prefix="edgeport-body-") as folder:
        path = Path(folder) / f"body{suffix}"
        path.write_bytes(body)
        try:
            samples = read_samples([path], spec, invert=invert)
        except InputError as error:
            raise InputError(str(error).replace(str(path), _SAID)) from error
    names = tuple(name.replace(str(path), _SAID) for name in samples.names)
    notes = tuple(note.replace(str(path), _SAID) for note in samples.notes)
    return samples._replace(names=names, notes=notes)


def _read_json(message: Mapping[str, Any], spec: Spec) -> Samples:
    """Read ``{"inputs": {name: values}}``, or ``{"inputs": values}`` for a model of one input."""
    ports = ports_of(spec)
    given = message.get("inputs")
    names = [port.name for port in ports]
    if isinstance(given, list) and len(ports) == 1:
        given = {names[0]: given}
    if not isinstance(given, dict) or given.keys() != set(names):
        got = ", ".join(map(str, given)) if isinstance(given, dict) else type(given).__name__
        raise RequestError(400, f"inputs: got {got[:80]}, expected values for {', '.join(names)}")
    values, counts = {}, {}
    for port in ports:
        array, _ = shaped(numbers(given[port.name], port.name), port, named=port.name)
        values[port.name] = valued(array, port, named=port.name)
        counts[port.name] = len(array)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise RequestError(400, f"inputs: got {listed}, expected as many samples of each")
    return Samples(tuple(f"sample {place}" for place in range(counts[names[0]])), values)
