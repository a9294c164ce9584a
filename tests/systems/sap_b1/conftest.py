from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.service_layer import PASSWORD, FakeServiceLayer, service_layer
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.sessions import MemorySessionStore, SessionStore
from tieout.systems.sap_b1.settings import SapB1Settings


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
def server() -> Iterator[FakeServiceLayer]:
    with service_layer() as fake:
        fake.rows["Invoices"] = [{"DocEntry": n, "CardCode": f"C{n}"} for n in range(1, 8)]
        fake.keys["Invoices"] = "DocEntry"
        yield fake


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


def settings_for(server: FakeServiceLayer, **changes: Any) -> SapB1Settings:
    values: dict[str, Any] = {
        "base_url": server.url,
        "company_db": "SBODEMO",
        "user_name": "manager",
        "password": PASSWORD,
        "api_version": server.version,
        "page_size": 3,
    }
    return SapB1Settings(**values | changes)


@pytest.fixture
def connect(server: FakeServiceLayer, fake_time: FakeTime) -> Iterator[Callable[..., SapB1Client]]:
    with ExitStack() as stack:

        def make(sessions: SessionStore | None = None, **changes: Any) -> SapB1Client:
            client = SapB1Client(
                settings_for(server, **changes),
                sessions or MemorySessionStore(),
                clock=fake_time.clock,
                sleep=fake_time.sleep,
                jitter=lambda: 0.5,
            )
            stack.callback(client.close)
            return client

        yield make
