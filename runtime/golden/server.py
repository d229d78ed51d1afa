"""A running ``edgeport serve``, asked for the answers of an artefact's engine by the Open Inference Protocol."""

import http.client
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import parse_json
from edgeport.runtime.serving.inference_protocol import DATATYPES, DTYPES
from edgeport.runtime.tensors.arrays import Tensor

_SECONDS = 60.0
_MOST_BYTES = 256 << 20
_LENGTH = "Inference-Header-Content-Length"


class Server:
    """A server that has answered once.

    Attributes:
        url: Where it is.
        engines: For each artefact that it has the package that runs it, and its version.
    """

    def __init__(self, url: str, *, token: str | None = None) -> None:
        """Connect.

        Args:
            url: ``http://HOST:PORT``.
            token: What its clients must know, if it asks for that.

        Raises:
            InputError: It is no such address, does not answer, or is no server of ours.
        """
        self.url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        content, _ = self._ask("GET", "/artefacts")
        try:
            artefacts = parse_json(content)["artefacts"]
            parted = {each["name"]: each["engine"].partition(" ") for each in artefacts}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{url} is no edgeport serve: got no list of artefacts from {url}/artefacts") from error
        self.engines = {name: (engine, version) for name, (engine, _, version) in parted.items()}

    def run(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what an artefact's engine answers, in its own types, as ``Predictor.run`` does.

        Raises:
            InputError: The server does not answer, or refuses, with its own line.
        """
        entries = [
            {
                "name": key,
                "shape": list(tensor.shape),
                "datatype": DATATYPES[tensor.dtype.name],
                "parameters": {"binary_data_size": tensor.nbytes},
            }
            for key, tensor in tensors.items()
        ]
        message = {"inputs": entries, "parameters": {"raw": True, "binary_data_output": True}}
        header = json.dumps(message).encode()
        parts = [tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes() for tensor in tensors.values()]
        path = f"/v2/models/{urllib.parse.quote(name, safe='')}/infer"
        content, length = self._ask("POST", path, b"".join([header, *parts]), {_LENGTH: str(len(header))})
        try:
            return _tensors(content, int(length or ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{self.url}: got no answer of the Open Inference Protocol for {name}") from error

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, str | None]:
        """Return the body of an answer, and how much of it is JSON, if the server says so."""
        # One connection a request: a server lets go of those that are idle while an engine here computes.
        connection, prefix = _connection(self.url)
        try:
            connection.request(method, prefix + path, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            content = response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise InputError(f"{self.url} does not answer ({reason}): is the server running?") from error
        finally:
            connection.close()
        if response.status == 401:
            raise InputError(f"{self.url} asks for a token: give the file that has it with --token-file")
        if response.status != 200:
            raise InputError(f"{self.url}: {response.status}: {_refusal(content)}")
        return content, response.getheader(_LENGTH)


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urllib.parse.urlsplit(url)
        if not parts.hostname:
            raise ValueError("no host")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        return kinds[parts.scheme](parts.hostname, parts.port, timeout=_SECONDS), parts.path.rstrip("/")
    except (ValueError, KeyError, http.client.InvalidURL) as error:
        raise InputError(f"--server: got {url}, expected http://HOST:PORT") from error


def _refusal(content: bytes) -> str:
    """Return the one line of a server of ours, or that there is none."""
    try:
        return str(parse_json(content)["error"])[:500]
    except (ValueError, KeyError, TypeError):
        return "without a line of edgeport: another server?"


def _tensors(content: bytes, length: int) -> dict[str, Tensor]:
    """Return the outputs of an answer with binary tensors; raises ValueError, KeyError or TypeError on damage."""
    message: dict[str, Any] = parse_json(content[:length])
    found: dict[str, Tensor] = {}
    for entry in message["outputs"]:
        dtype = np.dtype(DTYPES[entry["datatype"]])
        end = length + entry["parameters"]["binary_data_size"]
        array = np.frombuffer(content[length:end], dtype.newbyteorder("<")).astype(dtype)
        found[entry["name"]], length = array.reshape(entry["shape"]), end
    return found
