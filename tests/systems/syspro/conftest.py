from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.syspro import Books, BookSizes, SysproServer, generate_books
from sandbox.syspro.operators import Operator
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.sessions import SessionStore
from tieout.systems.syspro.settings import SysproSettings

SIZES = BookSizes(first_year=2025, years=2, lines=130, suppliers=12, items=20)

Connect = Callable[..., SysproClient]


@pytest.fixture
def books() -> Books:
    return generate_books(5, SIZES)


@pytest.fixture
def server(books: Books) -> Iterator[SysproServer]:
    with SysproServer(books) as running:
        yield running
        assert running.failures == []
        assert running.statistics()["writes_tried"] == 0


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


def settings_for(server: SysproServer, **extra: Any) -> SysproSettings:
    operator = Operator()
    return SysproSettings.from_connection(
        host=server.url,
        login=extra.pop("login", operator.name),
        password=extra.pop("password", operator.password),
        extra={"company_id": "EDU1", "page_size": 50} | extra,
    )


@pytest.fixture
def connect(server: SysproServer, fake_time: FakeTime) -> Iterator[Connect]:
    with ExitStack() as stack:

        def make(sessions: SessionStore | None = None, **extra: Any) -> SysproClient:
            client = SysproClient(
                settings_for(server, **extra), sessions, clock=fake_time.clock, sleep=fake_time.sleep,
                jitter=lambda: 0.5,
            )  # fmt: skip
            stack.callback(client.logout)
            return client

        yield make
