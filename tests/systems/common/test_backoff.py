from __future__ import annotations

import pytest

from tieout.errors import SourceUnavailable
from tieout.systems.common.backoff import NOTHING_SENT, Backoff


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def backoff(time: Time, budget: float, jitter: float = 1.0) -> Backoff:
    return Backoff(
        "Invoices", "SAP at b1:50000", budget=budget, clock=lambda: time.now, sleep=time.sleep, jitter=lambda: jitter,
        given_up=NOTHING_SENT,
    )  # fmt: skip


def test_pauses_grow_up_to_a_limit_and_within_the_budget() -> None:
    time = Time()
    patience = backoff(time, budget=30)
    with pytest.raises(SourceUnavailable) as raised:
        while True:
            patience.pause("HTTP 503")
    assert time.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert str(raised.value) == (
        "SAP at b1:50000 does not answer (Invoices: HTTP 503; 8 attempts). "
        "Nothing of this write was carried out; it can safely be sent again."
    )


def test_jitter_takes_half_of_a_pause_at_most() -> None:
    time = Time()
    backoff(time, budget=30, jitter=0.0).pause("HTTP 503")
    assert time.slept == [0.125]


@pytest.mark.parametrize(("asked", "slept"), [(0.0, 0.25), (5.0, 5.0)])
def test_the_server_may_ask_for_a_longer_pause(asked: float, slept: float) -> None:
    time = Time()
    backoff(time, budget=30).pause("HTTP 429", asked)
    assert time.slept == [slept]


def test_a_server_that_asks_for_more_than_the_budget() -> None:
    time = Time()
    with pytest.raises(SourceUnavailable, match="1 attempt"):
        backoff(time, budget=30).pause("HTTP 429", 60.0)
    assert time.slept == []
