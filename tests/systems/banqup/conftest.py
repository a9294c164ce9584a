from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.systems.banqup.service import CLIENT_ID, SECRET, Service
from tieout.systems.banqup import BanqupClient, BanqupSettings
from tieout.systems.banqup.patience import Timing

Connect = Callable[..., BanqupClient]

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.clock = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.clock += seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.clock - 1000.0)

    @property
    def timing(self) -> Timing:
        return Timing(clock=lambda: self.clock, sleep=self.sleep, jitter=lambda: 0.0, now=self.now)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running
        assert running.api.failures == []
        assert running.storage.failures == []


def settings_for(url: str, **extra: Any) -> BanqupSettings:
    return BanqupSettings.from_connection(
        host=url, login=extra.pop("login", CLIENT_ID), password=extra.pop("password", SECRET), extra=extra
    )


@pytest.fixture
def connect(service: Service, fake_time: FakeTime) -> Iterator[Connect]:
    with ExitStack() as stack:

        def make(**extra: Any) -> BanqupClient:
            return stack.enter_context(BanqupClient(settings_for(service.api.url, **extra), fake_time.timing))

        yield make
