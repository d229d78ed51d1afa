"""Calls timed in turns within one process: for what differs by microseconds, and no more than two processes would."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rounds:
    """How calls are timed.

    Attributes:
        rounds: How often each candidate gets its turn; the order is shuffled in every round.
        calls_per_round: Timed calls of one turn.
        warmup_calls: Untimed calls at the start of each turn, which bring code and weights back into the caches.
        warmup_seconds: How long each candidate runs untimed before the first round.
        seed: Decides the orders.
    """

    rounds: int = 20
    calls_per_round: int = 100
    warmup_calls: int = 10
    warmup_seconds: float = 0.2
    seed: int = 0


def time_in_rounds(
    calls: Mapping[str, Callable[[], object]],
    rounds: Rounds,
    *,
    on_round: Callable[[int], None] = lambda number: None,
) -> dict[str, list[int]]:
    """Time each call again and again, in rounds that visit every candidate in a new order.

    Args:
        calls: What to time, by name.
        rounds: How.
        on_round: Called after each round with its number, counted from 1.

    Returns:
        The nanoseconds of every timed call, in the order of measurement, by name.
    """
    for call in calls.values():
        deadline = time.perf_counter() + rounds.warmup_seconds
        while time.perf_counter() < deadline:
            call()
    samples: dict[str, list[int]] = {name: [] for name in calls}
    random = np.random.default_rng(rounds.seed)
    names: Sequence[str] = list(calls)
    for number in range(1, rounds.rounds + 1):
        for index in random.permutation(len(names)):
            samples[names[index]] += _time_calls(calls[names[index]], rounds)
        on_round(number)
    return samples


def _time_calls(call: Callable[[], object], rounds: Rounds) -> list[int]:
    for _ in range(rounds.warmup_calls):
        call()
    clock = time.perf_counter_ns
    times = []
    for _ in range(rounds.calls_per_round):
        started = clock()
        call()
        times.append(clock() - started)
    return times
