"""Logging in before a run's work and out after it, as Airflow's setup and teardown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout.errors import SourceUnavailable, Superseded
from tieout.operators.base import InstanceOperator

if TYPE_CHECKING:
    from tieout.integrations.run import Run
    from tieout.ledger import Ledger
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.syspro.client import SysproClient

SAP_B1_POOL = "sap_b1"
SYSPRO_POOL = "syspro"
OPERATOR_WAIT = 900.0
"""Seconds that a task waits for another run's task with the same SYSPRO operator, where the pool lets them meet."""
_LOGOUT_WAIT = 45.0


@contextmanager
def sap_b1_session(ledger: Ledger, run: Run, conn_id: str) -> Iterator[SapB1Client]:
    """A client on the run's one session. Nothing is logged out at the end: that is the teardown's work."""
    from tieout.hooks.connections import sap_b1_settings
    from tieout.hooks.session_store import LedgerSessionStore
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.sap_b1.sessions import StoredSession

    name = f"sap_b1:{run.integration}:{run.instance}:{run.run_id}"
    client = SapB1Client(sap_b1_settings(conn_id), LedgerSessionStore(ledger, name, StoredSession))
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


@contextmanager
def syspro_session(ledger: Ledger, run: Run, conn_id: str, *, wait: float = OPERATOR_WAIT) -> Iterator[SysproClient]:
    """A client on the session that `login` opened, to itself. Nothing is logged off at the end: the teardown does that.

    Not to be nested: who has the operator would wait for itself.

    Args:
        ledger: Where the session is shared.
        run: Who asks.
        conn_id: The Airflow connection.
        wait: Seconds to wait for another run that uses the same operator just now.

    Raises:
        SourceUnavailable: Another run used the operator all that time; worth a retry later.
        ConfigurationInvalid: The connection is wrong.
    """
    from tieout.hooks.connections import syspro_settings
    from tieout.hooks.syspro_session import operator_session

    holder = f"{run.integration}/{run.instance}, run {run.run_id}"
    session = operator_session(ledger, conn_id, syspro_settings(conn_id), holder, wait=wait)
    with ExitStack() as stack:
        try:
            client = stack.enter_context(session)
        except Superseded as error:
            raise SourceUnavailable(f"SYSPRO has one session per operator. {error}") from None
        yield client


class SessionOperator(InstanceOperator):
    """A step with a system's session.

    Args:
        conn_role: Which of the instance's connections is the system: `source` or `target`.
    """

    ui_color = "#e8f0fe"

    def __init__(self, *, conn_role: str = "source", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_role = conn_role

    def conn_id(self) -> str:
        """The Airflow connection."""
        return str(getattr(self.load_config().connections, self.conn_role))


class SapB1Login(SessionOperator):
    """One login for the whole run."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"pool": SAP_B1_POOL, **kwargs})

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


class SapB1Logout(SessionOperator):
    """The session's end, whatever happened in between. An unreachable SAP does not fail the run here."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"pool": SAP_B1_POOL, **kwargs})

    def execute(self, context: Context) -> Any:
        """Log out, as far as SAP still answers."""
        run = self.run_of(context)
        with self.ledger() as ledger, sap_b1_session(ledger, run, self.conn_id()) as client:
            client.logout()
            self.log.info("Logged out of SAP Business One.")


class SysproLogin(SessionOperator):
    """One log-on for the whole run; a session that another run of this connection has open is used with it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"pool": SYSPRO_POOL, **kwargs})

    def execute(self, context: Context) -> None:
        """Log on; nothing to do with `auth: basic`.

        Raises:
            CredentialsRejected: SYSPRO refused the operator, a password or the company.
            SourceUnavailable: SYSPRO does not answer, has no licence free, or another run keeps the operator.
        """
        from tieout.integrations.outcome import tell_every_entity

        run = self.run_of(context)
        with (
            self.ledger() as ledger,
            tell_every_entity(ledger, run),
            syspro_session(ledger, run, self.conn_id()) as client,
        ):
            if not client.settings.needs_token:
                self.log.info("No log-on: every request to SYSPRO carries the credentials (auth is basic).")
                return
            client.login()
            self.log.info("Logged on to SYSPRO.")


class SysproLogout(SessionOperator):
    """The session's end, whatever happened in between. What goes wrong here does not fail the run."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"pool": SYSPRO_POOL, **kwargs})

    def execute(self, context: Context) -> None:
        """Log off, as far as SYSPRO still answers and nobody else is using the session."""
        run = self.run_of(context)
        try:
            with self.ledger() as ledger, syspro_session(ledger, run, self.conn_id(), wait=_LOGOUT_WAIT) as client:
                if not client.settings.needs_token:
                    self.log.info("No log-off: there was no session (auth is basic).")
                    return
                client.logout()
                self.log.info("Logged off SYSPRO.")
        except SourceUnavailable as error:
            self.log.warning("Not logged off, since another run uses the session; it logs off in its turn. %s", error)
