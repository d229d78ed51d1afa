"""What a request may take, and how one that cannot be answered is refused: a status of HTTP and the one line."""

from dataclasses import dataclass

from edgeport.runtime.errors import InputError

# Text becomes objects of tens of times its size; what is larger comes as bytes.
MOST_JSON = 4 << 20
# From the first byte of a request to the end of its headers, at most.
HEADER_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """What one server takes on.

    Attributes:
        body: How many bytes a request has, at most.
        tensors: How many bytes its inputs are, once they are read, at most.
        requests: How many requests are in work at a time, at most.
        connections: How many clients are connected at a time, at most.
        seconds: How long a request may arrive, and then how long it may be in work.
    """

    body: int = 16 << 20
    tensors: int = 64 << 20
    requests: int = 64
    connections: int = 256
    seconds: float = 30.0

    @property
    def held(self) -> int:
        """How many bytes of bodies are held at a time, at most."""
        return 4 * self.body


class RequestError(InputError):
    """A request that is not answered.

    Attributes:
        status: The status of HTTP that says why.
    """

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status
