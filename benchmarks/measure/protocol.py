"""How latency is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """How latency is measured.

    Two processes of the same file differ by some percent for as long as they live: where their memory lies decides it.
    So every candidate is started anew in every round, and an interval counts rounds, not calls.

    Attributes:
        launches: Rounds: in each, a fresh process of every candidate, timed in turns.
        turns: Turns of each candidate in a round, in an order that is shuffled each time.
        calls: Timed calls of one turn, at most.
        turn_seconds: A turn is cut to about this time, so that slow candidates do not make a run endless.
        warmup_calls: Untimed calls at the start of each turn, which bring code and weights back into the caches.
        warmup_seconds: The longest time that a call may take to become stable, before the first turn.
        seed: Decides the orders.
    """

    launches: int = 20
    turns: int = 5
    calls: int = 50
    turn_seconds: float = 0.05
    warmup_calls: int = 5
    warmup_seconds: float = 0.5
    seed: int = 0

    def calls_within(self, median_ns: float) -> int:
        """Return how many calls of this length one turn has, 3 at least."""
        return max(3, min(self.calls, int(self.turn_seconds * 1e9 / max(median_ns, 1.0))))
