"""Logging in before a run's work and out after it, as Airflow's setup and teardown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout.operators.base import InstanceOperator

if TYPE_CHECKING:
    from tieout.integrations.run import Run
    from tieout.ledger import Ledger
    from tieout.systems.sap_b1.client import SapB1Client


@contextmanager
def sap_b1_session(ledger: Ledger, run: Run, conn_id: str) -> Iterator[SapB1Client]:
    """A client on the run's one session. Nothing is logged out at the end: that is the teardown's work."""
    from tieout.hooks.connections import sap_b1_settings
    from tieout.hooks.session_store import LedgerSessionStore
    from tieout.systems.sap_b1.client import SapB1Client

    name = f"sap_b1:{run.integration}:{run.instance}:{run.run_id}"
    client = SapB1Client(sap_b1_settings(conn_id), LedgerSessionStore(ledger, name))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def sap_b1_own_session(conn_id: str) -> Iterator[Callable[[], SapB1Client]]:
    """A session that is opened only when somebody asks for it, and closed at the end.

    For the rare question to SAP after the run has logged out: records that have to be sorted again.
    """
    from tieout.hooks.connections import sap_b1_settings
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.sap_b1.sessions import MemorySessionStore

    opened: list[SapB1Client] = []

    def client() -> SapB1Client:
        if not opened:
            opened.append(SapB1Client(sap_b1_settings(conn_id), MemorySessionStore()))
        return opened[0]

    try:
        yield client
    finally:
        for each in opened:
            each.logout()
            each.close()


class SapB1Session(InstanceOperator):
    """The run's session with SAP Business One.

    Args:
        conn_role: Which of the instance's connections is SAP: `source` or `target`.
    """

    ui_color = "#e8f0fe"

    def __init__(self, *, conn_role: str = "source", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_role = conn_role

    def conn_id(self) -> str:
        """The Airflow connection."""
        return str(getattr(self.load_config().connections, self.conn_role))


class SapB1Login(SapB1Session):
    """One login for the whole run."""

    def execute(self, context: Context) -> None:
        """Log in.

        Raises:
            CredentialsRejected: SAP refused the user, the password or the company.
            SourceUnavailable: SAP does not answer.
        """
        from tieout.integrations.outcome import tell_every_entity

        run = self.run_of(context)
        with (
            self.ledger() as ledger,
            tell_every_entity(ledger, run),
            sap_b1_session(ledger, run, self.conn_id()) as client,
        ):
            client.login()
            self.log.info("Logged in to SAP Business One.")


class SapB1Logout(SapB1Session):
    """The session's end, whatever happened in between. An unreachable SAP does not fail the run here."""

    def execute(self, context: Context) -> Any:
        """Log out, as far as SAP still answers."""
        run = self.run_of(context)
        with self.ledger() as ledger, sap_b1_session(ledger, run, self.conn_id()) as client:
            client.logout()
            self.log.info("Logged out of SAP Business One.")
