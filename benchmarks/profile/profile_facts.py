"""What a profile says of one artefact; plain data that a report keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Where an operator ran: in the kernels that are made for this kind of processor, in the engine's plain ones, or not at
# all during a call, since it works on constants alone.
XNNPACK, MLAS, PLAIN, AT_LOAD, UNTIMED = "XNNPACK", "MLAS", "CPU", "at load", "untimed"


@dataclass(frozen=True)
class OperatorTime:
    """One operator of the graph as the engine runs it.

    Attributes:
        name: That of the operator in the file. An operator into which the engine fused several has the name of the one
            that multiplies; one that the engine added has the engine's name.
        type: What the engine runs, in its own words: ``CONV_2D``, ``QLinearConv``.
        us: Its time, in microseconds.
        noise_us: Half the width of the 95 % interval of that time.
        share: Its part of the time of all operators, 0 to 1.
        where: ``XNNPACK``, ``MLAS``, ``CPU`` for a plain kernel of the engine, ``at load`` for one that works on
            constants alone and runs once, ``untimed`` for one that cannot run alone.
        dtype: What it computes in or moves: ``int8``; that of its weights where floats are quantized on the way to
            them; empty for one that is not timed.
        macs: Multiplications with an addition for one sample; None if the file does not say.
        products: How many of them each of its outputs sums up; None for one without MACs.
    """

    name: str
    type: str
    us: float
    noise_us: float
    share: float
    where: str
    dtype: str
    macs: int | None
    products: int | None

    @property
    def gmacs_per_s(self) -> float | None:
        """How fast it multiplies, in 10^9 MAC/s; None for one without MACs, and one too short to time."""
        return self.macs / self.us / 1e3 if self.macs and self.us > self.noise_us else None


@dataclass(frozen=True)
class Boundaries:
    """Where floats become integers and integers floats.

    Attributes:
        quantize: How many operators quantize.
        dequantize: How many turn integers into floats.
        us: What they take together, in microseconds.
    """

    quantize: int
    dequantize: int
    us: float


@dataclass(frozen=True)
class Roofline:
    """How near a call comes to what the processor can do.

    Attributes:
        macs: Multiplications with an addition of one call.
        achieved_gmacs_per_s: Those in the time of a whole call, in 10^9 MAC/s.
        peak_gmacs_per_s: What the same engine reaches here on large well-shaped operators, in 10^9 MAC/s.
        peak_kind: In which arithmetic, that of most of the MACs: ``int8`` or ``float32``.
        share_of_peak: The one divided by the other, 0 to 1.
    """

    macs: int
    achieved_gmacs_per_s: float
    peak_gmacs_per_s: float
    peak_kind: str
    share_of_peak: float


@dataclass(frozen=True)
class Profile:
    """The time of one artefact by operator.

    Attributes:
        file: Its file name.
        engine: The package that ran it.
        version: That package's version.
        threads: Threads that the engine might use.
        method: How operators were timed, in a sentence.
        whole_us: Median time of a whole call of the engine on one sample, in microseconds.
        whole_noise_us: Half the width of its 95 % interval.
        parts_us: The time of all operators, each on its own; the call itself comes on top.
        operators: Each operator in the order in which they run.
        boundaries: Where floats become integers and back.
        outside: The names of the operators that ran outside the accelerated kernels.
        sentences: What all of it says, in sentences.
        roofline: How near it comes to the processor's peak; None for an artefact without MACs.
    """

    file: str
    engine: str
    version: str
    threads: int
    method: str
    whole_us: float
    whole_noise_us: float
    parts_us: float
    operators: tuple[OperatorTime, ...]
    boundaries: Boundaries
    outside: tuple[str, ...]
    sentences: tuple[str, ...]
    roofline: Roofline | None


def profile_document(profile: Profile) -> dict[str, Any]:
    """Return a profile as what JSON can hold."""
    return asdict(profile)


def from_document(document: Mapping[str, Any]) -> Profile:
    """Return the profile that a document of ``profile_document`` describes.

    Raises:
        KeyError: A key is missing.
        TypeError: A key is unknown, or a value is no record.
    """
    roofline = document["roofline"]
    return Profile(
        **{
            **document,
            "operators": tuple(OperatorTime(**each) for each in document["operators"]),
            "boundaries": Boundaries(**document["boundaries"]),
            "outside": tuple(document["outside"]),
            "sentences": tuple(document["sentences"]),
            "roofline": None if roofline is None else Roofline(**roofline),
        }
    )
