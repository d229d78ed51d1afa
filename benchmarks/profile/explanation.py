"""Why int8 is slower than float32, or not as much faster as it could be."""

from dataclasses import dataclass

from edgeport.benchmarks.profile.profile_facts import OperatorTime, Profile
from edgeport.benchmarks.profile.sentences import listed, microseconds

_ORDINALS = ("first", "second", "third", "fourth", "fifth")
# The operators that cost it are named until they make up this part of what all of them cost.
_ENOUGH = 0.9
# A difference of less than this part of a call is not worth a word.
_WORTH = 0.01
# With fewer products for an output than this, what comes on top of them weighs: a vector holds 16 to 64 integers.
_FEW = 64


@dataclass(frozen=True)
class _Pair:
    """The same layer of the model in both files.

    Attributes:
        int8: How the int8 file does it.
        float32: How the float32 file does it.
        kind: What a reader calls such a layer.
        place: Its place among the layers of this kind, from 0.
        count: How many of them there are.
    """

    int8: OperatorTime
    float32: OperatorTime
    kind: str
    place: int
    count: int

    @property
    def costs_us(self) -> float:
        return self.int8.us - self.float32.us

    @property
    def certain(self) -> bool:
        """Whether int8 is slower here by more than the noise of both."""
        return self.costs_us > self.int8.noise_us + self.float32.noise_us

    def __str__(self) -> str:
        layer = (
            f"the {_ordinal(self.place)} of {self.count} {self.kind}s" if self.count > 1 else f"the only {self.kind}"
        )
        times = f"{microseconds(self.int8.us)} against {microseconds(self.float32.us)} in float32"
        return f"{self.int8.name}, {layer} ({times})"


def explain(int8: Profile, float32: Profile) -> str | None:
    """Return in a sentence why an int8 artefact is slower than its float32 twin; None if it is not.

    Args:
        int8: The profile of the one.
        float32: That of the other, by the same engine on as many threads.
    """
    slower = int8.whole_us - float32.whole_us
    if slower <= int8.whole_noise_us + float32.whole_noise_us:
        return None
    opening = (
        f"int8 is slower than float32 by {microseconds(slower)} a call "
        f"({microseconds(int8.whole_us)} against {microseconds(float32.whole_us)})"
    )
    costs = _costs(int8, float32)
    if not costs:
        return f"{opening}, and no single operator explains it."
    return f"{opening}: {'; '.join(costs)}.{_reason(int8, float32)}"


def contrast(int8: Profile, float32: Profile) -> str:
    """Return in a sentence how an int8 artefact compares with its float32 twin, and where it loses time.

    Args:
        int8: The profile of the one.
        float32: That of the other, by the same engine on as many threads.
    """
    slower = explain(int8, float32)
    if slower:
        return slower
    calls = f"{microseconds(int8.whole_us)} a call against {microseconds(float32.whole_us)}"
    if float32.whole_us - int8.whole_us <= int8.whole_noise_us + float32.whole_noise_us:
        verdict = f"int8 is as fast as float32 within the noise ({calls})"
    else:
        verdict = f"int8 is {float32.whole_us / int8.whole_us:.2f} times as fast as float32 ({calls})"
    losing = _losing(int8, float32)
    if not losing:
        return f"{verdict}."
    return f"{verdict}, although it is slower in {listed([str(each) for each in losing])}.{_reason(int8, float32)}"


def _reason(int8: Profile, float32: Profile) -> str:
    """Return in a sentence why the costliest layer gains nothing, where that can be said; empty where it cannot."""
    losing = _losing(int8, float32)
    if not losing or int8.roofline is None or int8.roofline.peak_kind != "int8":
        return ""
    layer = losing[0].int8
    at_peak = (layer.macs or 0) / int8.roofline.peak_gmacs_per_s / 1e3
    if layer.products is None or layer.products > _FEW or at_peak > layer.us / 2:
        return ""
    return (
        f" Each output of {layer.name} sums only {layer.products:,} products: at the int8 peak all of them would take "
        f"{microseconds(at_peak)}. The rest is the work around them, such as gathering inputs and rescaling outputs, "
        "and it gets no faster with int8."
    )


def _costs(int8: Profile, float32: Profile) -> list[str]:
    """Return what makes int8 slower, and what makes up for it."""
    losing, pairs = _losing(int8, float32), _pairs(int8, float32)
    known = [
        f"it loses {microseconds(sum(each.costs_us for each in losing))} in {listed([str(each) for each in losing])}"
    ]
    costs = known if losing else []
    boundaries = int8.boundaries.us - float32.boundaries.us
    if boundaries > _WORTH * int8.whole_us:
        costs.append(f"quantizing and dequantizing take {microseconds(boundaries)}")
    gained = -sum(each.costs_us for each in pairs if each not in losing)
    if gained > _WORTH * int8.whole_us:
        costs.append(f"the other layers that multiply win {microseconds(gained)} back")
    # Pooling, moving and reshaping, and what a call takes beside its operators.
    paired = {id(each.int8) for each in pairs} | {id(each.float32) for each in pairs}
    others = [
        sum(each.us for each in profile.operators if id(each) not in paired) - profile.boundaries.us
        for profile in (int8, float32)
    ]
    rest = [profile.whole_us - profile.parts_us for profile in (int8, float32)]
    for what, (first, second) in (("operators without MACs take", others), ("the call itself takes", rest)):
        if abs(first - second) > _WORTH * int8.whole_us:
            costs.append(f"{what} {microseconds(first)} against {microseconds(second)}")
    return costs


def _losing(int8: Profile, float32: Profile) -> list[_Pair]:
    """Return the layers in which int8 loses most, that which costs it most first."""
    losing = [each for each in _pairs(int8, float32) if each.certain and each.costs_us > _WORTH * int8.whole_us]
    losing.sort(key=lambda each: -each.costs_us)
    total = sum(each.costs_us for each in losing)
    chosen: list[_Pair] = []
    while losing and sum(each.costs_us for each in chosen) < _ENOUGH * total:
        chosen.append(losing.pop(0))
    return chosen


def _pairs(int8: Profile, float32: Profile) -> list[_Pair]:
    """Return the layers that multiply, in pairs.

    They come in the same order with the same MACs, since the files are of the same model; where they do not, only those
    of the same name are compared.
    """
    ours, theirs = ([each for each in profile.operators if each.macs] for profile in (int8, float32))
    if [each.macs for each in ours] != [each.macs for each in theirs]:
        by_name = {each.name: each for each in theirs}
        ours = [each for each in ours if each.name in by_name]
        theirs = [by_name[each.name] for each in ours]
    kinds = ["convolution" if "CONV" in each.type.upper() else "dense layer" for each in ours]
    return [
        _Pair(first, second, kind, kinds[:number].count(kind), kinds.count(kind))
        for number, (first, second, kind) in enumerate(zip(ours, theirs, kinds, strict=True))
    ]


def _ordinal(place: int) -> str:
    number = place + 1
    if number <= len(_ORDINALS):
        return _ORDINALS[place]
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
