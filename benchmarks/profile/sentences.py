"""What a profile of one artefact says, in sentences."""

from collections.abc import Sequence

from edgeport.benchmarks.profile.parts import PartTimings
from edgeport.benchmarks.profile.profile_facts import AT_LOAD, PLAIN, UNTIMED, OperatorTime, Profile

_MOST_NAMES = 5
# A call that varies by more than this part has been disturbed.
_NOISY = 0.05
# Alone, operators may take a little longer than together; beyond this it is worth a word.
_TOO_LONG = 1.1
_FLOAT = "float"
KERNELS = {"ai-edge-litert": "XNNPACK", "onnxruntime": "MLAS"}


def microseconds(us: float) -> str:
    """Return a time with the digits that it deserves."""
    return f"{us:.0f} us" if us >= 1000 else f"{us:.1f} us"


def named(operator: OperatorTime) -> str:
    """Return an operator as a sentence calls it."""
    return f"{operator.name} ({operator.type})"


def listed(names: Sequence[str]) -> str:
    """Return names in a row, the first few of them."""
    rest = len(names) - _MOST_NAMES
    shown = list(names[:_MOST_NAMES]) + ([f"{rest} more"] if rest > 0 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def method_of(timings: PartTimings) -> str:
    """Return how operators were timed."""
    return (
        f"Measured by cutting the graph: every operator ran in a graph of its own, in turns, {timings.rounds:,} times; "
        f"the {timings.empty_us:.1f} us that an empty graph takes are subtracted from each."
    )


def sentences_of(profile: Profile, *, notes: Sequence[str], quantized: bool) -> tuple[str, ...]:
    """Return what a profile says.

    Args:
        profile: The figures.
        notes: What the engine did to the graph.
        quantized: Whether the file is quantized to integers.
    """
    said = [_largest(profile), *notes, _outside(profile), _floats(profile) if quantized else "", _boundaries(profile)]
    said += [_rest(profile), _roofline(profile), _noise(profile)]
    return tuple(each for each in said if each)


def _largest(profile: Profile) -> str:
    if not profile.operators:
        return ""
    largest = max(profile.operators, key=lambda each: each.us)
    return (
        f"{named(largest)} takes most: {microseconds(largest.us)} of the {microseconds(profile.parts_us)} of all "
        f"operators, {largest.share:.0%}."
    )


def _outside(profile: Profile) -> str:
    kernels = KERNELS[profile.engine]
    untimed = [each.name for each in profile.operators if each.where == UNTIMED]
    lacking = f" {listed(untimed)} cannot run alone, and could not be timed." if untimed else ""
    outside = [each for each in profile.operators if each.where == PLAIN]
    count = sum(each.where != AT_LOAD for each in profile.operators) - len(untimed)
    if not outside:
        return f"{kernels} runs all {count} operators.{lacking}"
    took = sum(each.us for each in outside)
    share = sum(each.share for each in outside)
    slowest = sorted(outside, key=lambda each: -each.us)
    return (
        f"{len(outside)} of {count} operators run outside {kernels} and take {microseconds(took)}, {share:.0%}: "
        f"{listed([named(each) for each in slowest])}.{lacking}"
    )


def _floats(profile: Profile) -> str:
    islands = [each for each in profile.operators if each.macs and each.dtype.startswith(_FLOAT)]
    if not islands:
        return ""
    return (
        f"Although the file is quantized, {listed([named(each) for each in islands])} "
        f"{'computes' if len(islands) == 1 else 'compute'} in floats here, and "
        f"{'takes' if len(islands) == 1 else 'take'} {microseconds(sum(each.us for each in islands))}."
    )


def _boundaries(profile: Profile) -> str:
    found = profile.boundaries
    if not found.quantize + found.dequantize:
        return ""
    share = found.us / profile.parts_us if profile.parts_us else 0.0
    return (
        f"Boundaries between floats and integers: {found.quantize} to quantize and {found.dequantize} to dequantize, "
        f"{microseconds(found.us)} together, {share:.0%}."
    )


def _rest(profile: Profile) -> str:
    if profile.parts_us > profile.whole_us * _TOO_LONG:
        return (
            f"Alone, the operators take {microseconds(profile.parts_us)}; together, in one call, they take "
            f"{microseconds(profile.whole_us)}: the engine joins some of them, or something disturbed the measurement. "
            "Trust the order more than the figures."
        )
    rest = profile.whole_us - profile.parts_us
    if rest <= profile.whole_noise_us:
        return ""
    return (
        f"A whole call takes {microseconds(profile.whole_us)}: {microseconds(rest)} of it are the call itself: handing "
        "over tensors, the steps between operators, and weights that come from memory."
    )


def _noise(profile: Profile) -> str:
    if profile.whole_noise_us <= _NOISY * profile.whole_us:
        return ""
    return (
        "Something disturbed the measurement: the time of a call is uncertain by "
        f"{microseconds(profile.whole_noise_us)} either way. Profile again on an idle machine."
    )


def _roofline(profile: Profile) -> str:
    found = profile.roofline
    if found is None:
        return ""
    return (
        f"{found.macs:,} MACs a call are {found.achieved_gmacs_per_s:.3g} GMAC/s, {found.share_of_peak:.0%} of the "
        f"{found.peak_gmacs_per_s:.3g} GMAC/s that {profile.engine} reaches here in {found.peak_kind}."
    )
