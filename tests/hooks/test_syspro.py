"""SYSPRO through an Airflow connection: the Test button, and the one session that tasks, runs and commands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.syspro import SysproServer
from tests.support.syspro_connection import AddConnection
from tieout.errors import ConfigurationInvalid, Superseded
from tieout.hooks.connections import syspro_settings
from tieout.hooks.session_store import LedgerSessionStore
from tieout.hooks.syspro_session import operator_session, visiting_session
from tieout.ledger import Ledger
from tieout.systems.sap_b1.sessions import StoredSession as SapSession
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.sessions import StoredSession as SysproSession
from tieout.systems.syspro.tables import GEN_JOURNAL_CTL, GEN_MASTER

Test = Callable[[], tuple[bool, str]]


@pytest.fixture
def press_test(airflow_home: Path) -> Test:
    """The connection form's Test button. Airflow may only be imported once its home is set."""
    from tieout.hooks.syspro import SysproHook

    return SysproHook().test_connection


def session(ledger: Ledger, conn_id: str, holder: str) -> AbstractContextManager[SysproClient]:
    return operator_session(ledger, conn_id, syspro_settings(conn_id), holder, wait=0)


def visit(ledger: Ledger, holder: str) -> AbstractContextManager[SysproClient]:
    return visiting_session(ledger, "syspro", syspro_settings("syspro"), holder, wait=0)


def use(ledger: Ledger, conn_id: str = "syspro") -> None:
    with session(ledger, conn_id, "a task") as client:
        assert client.probe(GEN_MASTER) == 1


# The connection


@pytest.mark.parametrize("conn_type", ["syspro", "http"])
def test_settings_of_either_type(add_connection: AddConnection, server: SysproServer, conn_type: str) -> None:
    add_connection(conn_type=conn_type, reader="comfnd", company_password="c0mpany")
    found = syspro_settings("syspro")
    assert (found.base_url, found.operator, found.company_id, found.reader) == (server.url, "TIEOUT", "EDU1", "comfnd")
    assert "c0mpany" not in repr(found)


def test_no_such_connection(airflow_home: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="AIRFLOW_CONN_NOWHERE"):
        syspro_settings("nowhere")


@pytest.mark.parametrize("extra", [{}, {"reader": "comfnd"}, {"auth": "basic"}], ids=["odata", "comfnd", "basic"])
def test_the_test_button(
    add_connection: AddConnection, server: SysproServer, press_test: Test, extra: dict[str, str]
) -> None:
    if extra.get("auth") == "basic":
        server.faults.configure(odata_auth="basic")
    add_connection(**extra)
    assert press_test() == (True, "Read the table GenJournalCtl of SYSPRO.")
    assert len(server.sessions) == 0


def test_the_test_button_with_a_wrong_password(
    add_connection: AddConnection, server: SysproServer, press_test: Test
) -> None:
    add_connection(password="Wr0ng-secret")
    passed, words = press_test()
    assert (passed, "refuses to log on operator 'TIEOUT'" in words) == (False, True)
    assert "Wr0ng-secret" not in words
    assert server.sessions.refused == 1


def test_the_test_button_where_the_tables_are_elsewhere(
    add_connection: AddConnection, server: SysproServer, press_test: Test
) -> None:
    add_connection(odata_path="/elsewhere/{company}/{table}")
    passed, words = press_test()
    assert (passed, "odata_path" in words) == (False, True)
    assert len(server.sessions) == 0


# The session


def test_one_log_on_for_all_that_share_a_ledger(
    ledger: Ledger, add_connection: AddConnection, server: SysproServer, airflow_home: Path
) -> None:
    add_connection()
    use(ledger)
    with Ledger.open(f"sqlite:///{airflow_home / 'ledger.db'}") as of_another_process:
        use(of_another_process)
    assert (server.sessions.log_ons, server.sessions.log_offs) == (1, 0)
    with session(ledger, "syspro", "teardown") as client:
        client.logout()
    assert (len(server.sessions), server.sessions.log_offs) == (0, 1)
    use(ledger)
    assert server.sessions.log_ons == 2


def test_the_token_is_kept_encrypted(
    ledger: Ledger, add_connection: AddConnection, server: SysproServer, airflow_home: Path
) -> None:
    add_connection()
    use(ledger)
    [live] = server.sessions._live.values()
    stored = b"".join(path.read_bytes() for path in airflow_home.glob("ledger.db*"))
    assert b"syspro:syspro:TIEOUT@" in stored
    assert live.token.strip().encode() not in stored


def test_nobody_uses_an_operator_while_somebody_else_does(
    ledger: Ledger, add_connection: AddConnection, server: SysproServer
) -> None:
    add_connection()
    add_connection("syspro_of_another_dag", login="tieout")
    with session(ledger, "syspro", "the first run") as client:
        client.login()
        for conn_id in ("syspro", "syspro_of_another_dag"):
            with (
                pytest.raises(Superseded, match=r"operator TIEOUT of SYSPRO.*the first run"),
                session(ledger, conn_id, "another run"),
            ):
                pass
        assert client.probe(GEN_JOURNAL_CTL) == 1
    assert server.sessions.log_ons == 1


def test_two_connections_with_one_operator_take_turns(
    ledger: Ledger, add_connection: AddConnection, server: SysproServer
) -> None:
    add_connection()
    add_connection("second")
    for conn_id in ("syspro", "second", "syspro"):
        use(ledger, conn_id)
    assert server.sessions.log_ons == 3
    assert len(server.sessions) == 1


def test_without_sessions_nobody_waits(ledger: Ledger, add_connection: AddConnection, server: SysproServer) -> None:
    server.faults.configure(odata_auth="basic")
    add_connection(auth="basic")
    with (
        session(ledger, "syspro", "one") as one,
        visit(ledger, "other") as other,
    ):
        assert one.probe(GEN_MASTER) == other.probe(GEN_MASTER) == 1
    assert server.sessions.log_ons == 0


def test_a_visitor_leaves_a_running_runs_session(
    ledger: Ledger, add_connection: AddConnection, server: SysproServer
) -> None:
    add_connection()
    use(ledger)
    with visit(ledger, "check") as visitor:
        assert visitor.probe(GEN_MASTER) == 1
    assert (server.sessions.log_ons, len(server.sessions)) == (1, 1)


@pytest.mark.parametrize("left_over", [False, True], ids=["none before", "a dead one before"])
def test_a_visitor_logs_off_what_it_logged_on(
    ledger: Ledger, add_connection: AddConnection, server: SysproServer, left_over: bool
) -> None:
    add_connection()
    if left_over:
        use(ledger)
        server.sessions.evict()
    with (
        pytest.raises(ZeroDivisionError),
        visit(ledger, "check") as visitor,
    ):
        assert visitor.probe(GEN_MASTER) == 1
        raise ZeroDivisionError
    assert len(server.sessions) == 0


def test_sessions_of_both_systems_in_one_ledger(ledger: Ledger, airflow_home: Path) -> None:
    start = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
    sap = LedgerSessionStore(ledger, "sap_b1:run", SapSession)
    erp = LedgerSessionStore(ledger, "syspro:operator", SysproSession)
    sap.save(SapSession("id", ".node1", start), 0)
    erp.save(SysproSession("00AB  ", start), 0)
    assert sap.load() == SapSession("id", ".node1", start, generation=1)
    assert erp.load() == SysproSession("00AB  ", start, generation=1)


@pytest.mark.parametrize("reader", ["odata", "comfnd"])
def test_a_probe_reads_one_record(server: SysproServer, add_connection: AddConnection, reader: str) -> None:
    add_connection(reader=reader)
    with SysproClient(syspro_settings("syspro")) as client:
        assert client.probe(GEN_MASTER) == 1
        accounts = server.books.tables["GenMaster"]
        for key in zip(*(accounts.array(name).tolist() for name in accounts.key), strict=True):
            accounts.delete(list(key))
        assert client.probe(GEN_MASTER) == 0


def test_a_profile_says_whose_session_it_is(server: SysproServer, add_connection: AddConnection) -> None:
    add_connection()
    for form in ("syspro7", "json", "string"):
        server.faults.configure(token_form=form)
        with SysproClient(syspro_settings("syspro")) as client:
            assert client.profile() == {"OperatorCode": "TIEOUT", "CompanyId": "EDU1"}, form
