from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mail_server import mail_server, mailbox  # noqa: F401
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401
from tieout.ledger import Ledger


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests pull no plug, so SQLite need not wait for the disk at each commit."""
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty book; every test that uses it runs on both databases."""
    with Ledger.open(ledger_url, migrate=True) as opened:
        yield opened


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    """An empty book on SQLite, where the database makes no difference."""
    with Ledger.open(f"sqlite:///{tmp_path / 'book.db'}", migrate=True) as opened:
        yield opened
