"""Log-ons, sessions and secrets."""

from __future__ import annotations

import gc
import logging
import traceback
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from sandbox.syspro import SysproServer
from sandbox.syspro.operators import Operator
from tests.systems.syspro.conftest import Connect, FakeTime, settings_for
from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected, SourceUnavailable, Superseded
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.sessions import MemorySessionStore, StoredSession
from tieout.systems.syspro.tables import AP_SUPPLIER, GEN_MASTER, TableRead

SUPPLIERS = TableRead(AP_SUPPLIER)


def read(client: SysproClient, table: TableRead = SUPPLIERS) -> int:
    return sum(batch.num_rows for batch in client.read(table))


def test_one_log_on_for_all_and_off_again(connect: Connect, server: SysproServer) -> None:
    store = MemorySessionStore()
    first, second = connect(store), connect(store)

    assert read(first) == read(second) == 12
    second.logout()

    assert (server.sessions.log_ons, server.sessions.log_offs, len(server.sessions)) == (1, 1, 0)
    assert store.load() is None


def test_always_logged_off(server: SysproServer) -> None:
    with pytest.raises(ZeroDivisionError), SysproClient(settings_for(server)) as client:
        read(client)
        raise ZeroDivisionError

    assert len(server.sessions) == 0
    assert server.sessions.log_offs == 1


def test_a_session_of_another_task_is_taken_over(connect: Connect, server: SysproServer) -> None:
    store = MemorySessionStore()
    first, second = connect(store), connect(store)
    read(first), read(second)
    server.sessions.evict()

    read(first), read(second)

    assert server.sessions.log_ons == 2


def test_the_token_goes_back_exactly_as_it_came(connect: Connect, server: SysproServer) -> None:
    store = MemorySessionStore()
    client = connect(store, reader="comfnd")
    client.login()

    session = store.load()
    assert session is not None and len(session.token) == 36 and session.token.endswith("00  ")
    # The simulated COMFND refuses a token without its two spaces.
    assert read(client) == 12
    assert server.sessions.log_ons == 1


def test_a_stripped_token_where_that_is_configured(connect: Connect) -> None:
    store = MemorySessionStore()
    connect(store, strip_token="true").login()

    session = store.load()
    assert session is not None and session.token == session.token.strip()


def test_an_old_session_is_asked_about_before_it_is_used(server: SysproServer, fake_time: FakeTime) -> None:
    store = MemorySessionStore()
    start = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
    first = SysproClient(settings_for(server), store, now=lambda: start)
    first.login()
    server.sessions.evict()
    later = SysproClient(
        settings_for(server),
        store,
        clock=fake_time.clock,
        sleep=fake_time.sleep,
        now=lambda: start + timedelta(minutes=5),
    )

    assert read(later) == 12
    assert server.sessions.log_ons == 2
    assert fake_time.slept == []
    assert later.logged_on_at() == start + timedelta(minutes=5)
    later.logout()
    first.close()


def test_two_programs_with_one_operator_do_not_fight_for_ever(
    connect: Connect, server: SysproServer, fake_time: FakeTime
) -> None:
    server.faults.add("evict", path="sysproodata", after=1, times=None)

    with pytest.raises(SourceUnavailable, match="operator of its own"):
        read(connect(page_size=5))
    assert server.sessions.log_ons == 4
    assert fake_time.slept


def test_log_ons_are_bounded_over_all_requests(connect: Connect, server: SysproServer) -> None:
    server.faults.add("evict", path="sysproodata", every=2, times=None)

    with pytest.raises(SourceUnavailable, match="operator of its own"):
        read(connect(page_size=1, max_relogons=4))
    assert server.sessions.log_ons == 5


@pytest.mark.parametrize(
    "wrong",
    [{"password": "no"}, {"login": "NOBODY"}, {"company_id": "X"}, {"company_password": "y"}],
    ids=["password", "operator", "company", "company password"],
)
def test_a_refused_log_on_is_not_tried_again(connect: Connect, server: SysproServer, wrong: dict[str, str]) -> None:
    with pytest.raises(CredentialsRejected, match="Invalid") as caught:
        read(connect(**wrong))

    assert server.sessions.refused == 1
    assert "not tried again" in str(caught.value)


def test_a_licence_comes_free(connect: Connect, server: SysproServer, fake_time: FakeTime) -> None:
    server.faults.add("licence", path="logon", times=2)

    assert read(connect()) == 12
    assert len(fake_time.slept) == 2


def test_no_licence_ever(connect: Connect, server: SysproServer) -> None:
    server.faults.configure(class_limit=0)

    with pytest.raises(SourceUnavailable, match="licence is free"):
        read(connect())


def test_no_e_net_at_this_path(connect: Connect) -> None:
    with pytest.raises(ConfigurationInvalid, match="logon_path"):
        read(connect(logon_path="/Nothing/Here"))


@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b'{"a": 1}'])
def test_an_answer_that_is_no_token(connect: Connect, server: SysproServer, body: bytes) -> None:
    client = connect()
    answer = server.enet.answer

    def changed(method: str, params: dict[str, str]):  # type: ignore[no-untyped-def]
        reply = answer(method, params)
        if method == "logon":
            reply.body = body
        return reply

    server.enet.answer = changed  # type: ignore[method-assign, assignment]
    with pytest.raises(ContractBroken, match="no session token"):
        client.login()


@pytest.mark.parametrize("reader", ["odata", "comfnd"])
def test_no_secret_is_ever_written_down(
    connect: Connect, server: SysproServer, caplog: pytest.LogCaptureFixture, reader: str
) -> None:
    caplog.set_level(logging.DEBUG)
    store = MemorySessionStore()
    client = connect(store, reader=reader)
    read(client)
    session = store.load()
    assert session is not None
    password = Operator().password
    path = "sysproodata" if reader == "odata" else "query/query"
    told = [repr(client.settings), repr(session), repr(store)]
    for kind, message in [("unavailable", ""), ("error_200", f"bad {password} {quote(password)}"), ("html_500", "")]:
        server.faults.clear()
        server.faults.add(kind, path=path, times=None, message=message or "x")
        try:
            read(client)
        except Exception as error:
            told += [str(error), repr(error), "".join(traceback.format_exception(error))]
    server.faults.clear()
    client.logout()
    gc.collect()

    written = "\n".join([*told, caplog.text])
    assert "connectionpool" in caplog.text and "UserId=***" in written
    for secret in (password, quote(password), quote(password, safe=""), session.token.strip()):
        assert secret not in written


def test_sessions_for_a_store_that_encrypts() -> None:
    session = StoredSession("0A00  ", datetime(2026, 1, 31, 4, 5, tzinfo=UTC), generation=3)

    assert StoredSession.from_bytes(session.to_bytes(), 3) == session
    store = MemorySessionStore()
    assert store.save(session, 0) == 1
    with pytest.raises(Superseded):
        store.save(session, 0)


def test_another_place_of_the_query(connect: Connect, server: SysproServer) -> None:
    client = connect(reader="comfnd", query_path="/sysproWCFservice/rest/query/query")

    assert read(client, TableRead(GEN_MASTER)) == 216
