"""What a comparison accepts, and its options on the command line."""

import argparse
import math
from dataclasses import dataclass

from edgeport.runtime.errors import InputError

# Two runs of the same files differ by up to this on a machine that drifts, whatever the intervals say.
DRIFT = 1.05


@dataclass(frozen=True)
class Limits:
    """What is accepted.

    Attributes:
        max_accuracy_loss: The largest significant loss, in points of a share or in the metric's own unit.
        max_slowdown: The largest ratio of the new latency to that of the base.
        allow_missing: Whether artefacts of the base may be missing.
        any_host: Compare answers alone, whatever machine they were given on.
        max_loss: What the upper end of the loss's 95 % interval must be below, in points of a share or in the metric's
            own unit; None if nobody asks.
    """

    max_accuracy_loss: float = 0.0
    max_slowdown: float = DRIFT
    allow_missing: bool = False
    any_host: bool = False
    max_loss: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.max_accuracy_loss < math.inf:
            raise InputError(f"--max-accuracy-loss: got {self.max_accuracy_loss:g}, expected a number from 0")
        if not 1 <= self.max_slowdown < math.inf:
            raise InputError(f"--max-slowdown: got {self.max_slowdown:g}, expected a ratio of 1 or more, such as 1.05")
        if self.max_loss is not None and not 0 < self.max_loss < math.inf:
            raise InputError(f"--max-loss: got {self.max_loss:g}, expected a number above 0, such as 0.5")


_LIMITS = Limits()


def add_max_loss(parser: argparse.ArgumentParser) -> None:
    """Declare the question whether a loss is below a margin."""
    parser.add_argument(
        "--max-loss",
        type=float,
        metavar="LOSS",
        help="fail (exit code 1) unless the upper end of the loss's 95 %% interval is below this: in points of a share "
        "such as accuracy, else in the metric's own unit",
    )


def add_metric(parser: argparse.ArgumentParser) -> None:
    """Declare the metrics that judge."""
    parser.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        default=[],
        help="judge by this metric, by one of Keras, keras:NAME, or by a function of your own, which is run: "
        "FILE.py:FUNCTION[:up|down|zero]; of several, the first decides",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Declare what a comparison accepts."""
    add_max_loss(parser)
    parser.add_argument(
        "--max-accuracy-loss",
        type=float,
        default=_LIMITS.max_accuracy_loss,
        metavar="LOSS",
        help="accept a significant loss up to this, in points of a share or in the metric's own unit (default 0)",
    )
    parser.add_argument(
        "--max-slowdown",
        type=float,
        default=_LIMITS.max_slowdown,
        metavar="RATIO",
        help=f"accept a latency up to this times that of the base (default {_LIMITS.max_slowdown:g})",
    )
    parser.add_argument(
        "--allow-missing", action="store_true", help="accept that artefacts of the base are missing in the new report"
    )


def limits_of(arguments: argparse.Namespace) -> Limits:
    """Return what a comparison accepts; raises InputError if that is none of what it may be."""
    return Limits(
        max_accuracy_loss=arguments.max_accuracy_loss,
        max_slowdown=arguments.max_slowdown,
        allow_missing=arguments.allow_missing,
        any_host=getattr(arguments, "any_host", False),
        max_loss=arguments.max_loss,
    )
