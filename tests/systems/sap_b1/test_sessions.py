from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tieout.errors import Superseded
from tieout.systems.sap_b1.sessions import MemorySessionStore, StoredSession

SESSION = StoredSession("secret-id", ".node1", datetime(2026, 11, 20, 10, 0, tzinfo=UTC))


@pytest.mark.parametrize("route", [".node1", None])
def test_bytes_and_back(route: str | None) -> None:
    session = StoredSession("secret-id", route, SESSION.started_at, generation=4)

    assert StoredSession.from_bytes(session.to_bytes(), 4) == session


def test_a_session_of_an_earlier_version_has_no_idle_time() -> None:
    known = StoredSession("secret-id", None, SESSION.started_at, timedelta(minutes=30), generation=1)
    assert StoredSession.from_bytes(known.to_bytes(), 1) == known
    earlier = known.to_bytes().replace(b',"idle_seconds":1800.0', b"")
    assert earlier != known.to_bytes()
    assert StoredSession.from_bytes(earlier, 1).idle_time is None


def test_no_secret_in_repr() -> None:
    assert "secret-id" not in repr(SESSION)
    assert ".node1" not in repr(SESSION)


def test_store_replaces_only_what_was_seen() -> None:
    store = MemorySessionStore()

    assert store.save(SESSION, 0) == 1
    with pytest.raises(Superseded):
        store.save(SESSION, 0)
    assert store.save(SESSION, 1) == 2
    store.close()
    assert store.load() is None
    assert store.save(SESSION, 0) == 3
