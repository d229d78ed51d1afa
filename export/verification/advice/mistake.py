"""What may be wrong with calibration samples, in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One finding.

    Attributes:
        kind: What it is, in a word or two.
        text: What was seen.
        cure: What to do.
    """

    kind: str
    text: str
    cure: str

    @property
    def line(self) -> str:
        """What was seen and what to do, in one line."""
        return f"calibration samples: {self.text}: {self.cure}"
