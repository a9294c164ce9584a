"""Small companies behind real servers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sandbox_client import Client

from sandbox.clock import SandboxClock
from sandbox.sap_b1 import Company, ServiceLayer, Sizes, generate_company

TINY = Sizes(customers=12, suppliers=3, leads=2, items=6, invoices=47, credit_notes=6, warehouses=2)


@pytest.fixture
def clock() -> SandboxClock:
    return SandboxClock(datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC))


@pytest.fixture
def company(clock: SandboxClock) -> Company:
    return generate_company(7, TINY, clock=clock)


@pytest.fixture
def server(company: Company) -> Iterator[ServiceLayer]:
    with ServiceLayer(company) as running:
        running.faults.settings.login_ms = 0
        yield running
        assert running.failures == []


@pytest.fixture
def client(server: ServiceLayer) -> Client:
    return Client(server.url).login()


@pytest.fixture
def anonymous(server: ServiceLayer) -> Client:
    return Client(server.url)
