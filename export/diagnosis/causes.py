"""Why a layer loses accuracy in integers, from what is seen of it."""

from collections.abc import Callable
from dataclasses import dataclass

from edgeport.export.diagnosis.layer_errors import INPUT, StepError

# Shares of values, ratios of sizes, and absolute sizes from which a cause is worth naming.
_CLIPPED, _BEYOND, _KILLED = 0.001, 0.05, 0.5
_UNLIKE, _WIDE = 10.0, 4.0
_FLAT_BEYOND, _MASK = 16.0, 1e3
# What gets less of the range that it shares, as a part of it, needs a scale of its own.
_LITTLE_ROOM = 0.1
# From this share on, biases that take it off win 3 dB.
_BIASED = 0.5
_FLAT = ("LOGISTIC", "TANH", "HARD_SWISH", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Erf")
_ADDING = ("ADD", "SUB", "Add", "Sub")
_JOINING = (*_ADDING, "CONCATENATION", "Concat")
_SOFTMAX = ("SOFTMAX", "Softmax")
_OUTLIER, _DEAD, _BIASED_WEIGHTS = "outlier channel", "dead channel", "biased weights"
# What takes channels of any size, as far as a file shows it: weights, and what leads to them.
_EQUALIZABLE = frozenset((
    "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "RELU", "LEAKY_RELU", "MAX_POOL_2D",
    "AVERAGE_POOL_2D", "MEAN", "REDUCE_MAX", "PAD", "MIRROR_PAD", "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS",
    "Conv", "ConvTranspose", "MatMul", "Gemm", "Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool",
    "GlobalMaxPool", "ReduceMean", "ReduceMax", "Pad", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten",
))  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """Why a layer loses accuracy.

    Attributes:
        kind: One of the names in ``_RULES``, or ``8 bits``.
        text: What was seen, as the end of a sentence.
    """

    kind: str
    text: str


def cause_of(error: StepError) -> Cause:
    """Return the likeliest cause of the error that a step adds: the first that fits, the surest first."""
    for kind, rule in _RULES:
        if text := rule(error):
            return Cause(kind, text)
    return Cause("8 bits", "256 steps are too few for what it computes; nothing else is wrong with it")


def cure_for(error: StepError) -> str | None:
    """Return what an export may do to the weights around a step for what it loses, as ``Options`` call it."""
    kind = cause_of(error).kind
    if kind in (_OUTLIER, _DEAD) and error.readers and _EQUALIZABLE.issuperset(error.readers):
        return "equalize"
    return "correct_biases" if kind == _BIASED_WEIGHTS else None


def _calibration(error: StepError) -> str:
    if error.limits is None or error.clipped <= _CLIPPED:
        return ""
    low, high = error.limits
    if max(low - error.seen[0], error.seen[1] - high) < _BEYOND * (high - low):
        return ""
    return (
        f"{error.clipped:.1%} of its values lie beyond {_span(error.limits)}, which is all that calibration saw; they "
        f"reach from {_span(error.seen)}"
    )


def _mask(error: StepError) -> str:
    if error.type not in _ADDING or error.seen[0] > -_MASK:
        return ""
    return f"a constant of {error.seen[0]:.3g} leaves no steps for the values beside it"


def _outlier_channel(error: StepError) -> str:
    channels = error.channels
    if channels is None or channels.count < 3 or channels.ratio < _UNLIKE or channels.spread < 0.05:
        return ""
    return f"channel {channels.widest} of {channels.count} reaches {_times(channels.ratio)}, and all share one scale"


def _dead_channel(error: StepError) -> str:
    channels = error.channels
    if channels is None or channels.count < 3 or channels.ratio < _UNLIKE or channels.spread >= 0.05:
        return ""
    return (
        f"channel {channels.widest} of {channels.count} hardly varies but reaches {_times(channels.ratio)}, and all "
        "share one scale"
    )


def _softmax(error: StepError) -> str:
    return "it is computed in integers, with 256 steps for all probabilities" if error.type in _SOFTMAX else ""


def _saturated(error: StepError) -> str:
    low, high = error.limits or error.seen
    if not set(error.readers) & set(_FLAT) or high - low <= _FLAT_BEYOND:
        return ""
    steps = 256 * _FLAT_BEYOND / (high - low)
    return (
        f"its values reach from {low:.3g} to {high:.3g}, and the activation after it is flat beyond about -8 and 8: "
        f"{steps:.0f} of 256 steps are left for where it is not"
    )


def _unlike_ranges(error: StepError) -> str:
    sizes = error.input_ranges
    if error.type not in _JOINING or len(sizes) < 2 or max(sizes) < _UNLIKE * min(sizes):
        return ""
    return f"it joins tensors of unlike size, up to {max(sizes):.3g} and up to {min(sizes):.3g}, in one scale"


def _unscaled(error: StepError) -> str:
    if error.type != INPUT or error.limits is None:
        return ""
    channels = error.channels if error.channels and error.channels.count > 1 else None
    room = channels.room if channels else error.seen
    share = (room[1] - room[0]) / (error.limits[1] - error.limits[0])
    if share >= _LITTLE_ROOM:
        return ""
    what = f"column {channels.narrowest} of {channels.count}" if channels else "it"
    why = "all columns share" if channels else "has 0 in it"
    return f"{what} reaches from {_span(room)}, {share:.2g} of the range from {_span(error.limits)}, which {why}"


def _wide_range(error: StepError) -> str:
    if error.limits is None:
        return ""
    seen = error.seen[1] - error.seen[0]
    if not seen or error.limits[1] - error.limits[0] <= _WIDE * seen:
        return ""
    return (
        f"its integers reach from {_span(error.limits)}, and these samples from {_span(error.seen)}: an outlier in "
        "calibration, or a scale that it shares with another tensor"
    )


def _weights(error: StepError) -> str:
    killed = error.weights_killed
    return f"{killed:.0%} of the weights of a channel are rounded to zero" if killed > _KILLED else ""


def _biased(error: StepError) -> str:
    if error.biased is None or error.biased < _BIASED:
        return ""
    return f"{error.biased:.0%} of the error that it adds is the same for all samples, as rounded weights make it"


_RULES: tuple[tuple[str, Callable[[StepError], str]], ...] = (
    ("calibration", _calibration),
    # Before channels of unlike size, which a table's columns are too.
    ("unscaled input", _unscaled),
    ("mask constant", _mask),
    # Before the next two, which are seen in such a layer too: only here a narrower range would lose nothing.
    ("saturated activation", _saturated),
    (_OUTLIER, _outlier_channel),
    (_DEAD, _dead_channel),
    ("softmax in integers", _softmax),
    ("unlike ranges", _unlike_ranges),
    ("wide range", _wide_range),
    ("weights", _weights),
    (_BIASED_WEIGHTS, _biased),
)


def _span(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times as far as the median one"
