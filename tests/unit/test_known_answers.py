"""The study of the verdicts: it plants what it says, and would see verdicts that are wrong."""

from dataclasses import replace

import numpy as np
import pytest

from edgeport.benchmarks.lab.judging import verdicts
from edgeport.benchmarks.lab.judging.known_answers import Known
from edgeport.benchmarks.lab.judging.verdicts import Verdicts, VerdictTrial, markdown, tried

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(size=(300, 1))
KNOWN = Known(
    task="values",
    data="made here",
    truth=TRUTH,
    answers=TRUTH + RANDOM.normal(0, 0.3, TRUTH.shape),
    noisy=lambda answers, strength, random: answers + strength * random.normal(size=answers.shape),
    noise=0.05,
    worse=lambda answers, strength, random: answers + strength * np.sign(answers - TRUTH),
)


@pytest.fixture(autouse=True)
def few_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw samples twenty times for the last column, which has 400 in the documents."""
    monkeypatch.setattr(verdicts, "MARGINS", 20)


def test_a_loss_of_twice_what_is_detectable_is_planted_and_found_and_a_fifth_is_not_claimed() -> None:
    trial = tried(KNOWN, repetitions=4)
    assert (trial.twice, trial.found, trial.claimed) == (4, 4, 0)
    assert trial.equal >= 3
    assert 2 <= trial.large < 2.05
    assert trial.small < 0.5
    assert trial.below <= 4
    assert trial.margins == 20
    assert (trial.metric, trial.count) == ("MAE", 300)
    table = markdown(Verdicts("2026", {}, 4, (trial,)))
    assert "| values | made here | MAE | 300 |" in table
    assert "4 of 4 | 0 of 4 |" in table


def test_what_is_not_worse_is_not_found() -> None:
    idle = replace(KNOWN, worse=lambda answers, strength, random: answers)
    trial: VerdictTrial = tried(idle, repetitions=3)
    assert trial.found == 0
    assert abs(trial.large) < 1
