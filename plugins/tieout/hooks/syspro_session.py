"""The one session of a SYSPRO operator, for all runs and commands that share a ledger.

SYSPRO has one session per operator: who logs on ends, without a word, the session of whoever was there before. So here
nobody uses an operator while somebody else does, whatever DAG and process they belong to; and a session that was left
open is taken over, not replaced. Other programs know nothing of this: an operator must be a connection's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tieout.hooks.session_store import LedgerSessionStore
from tieout.ledger import Ledger
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.sessions import StoredSession
from tieout.systems.syspro.settings import SysproSettings

LEASE_SECONDS = 30.0
"""How long the operator stays taken when the one who has it dies."""


@contextmanager
def operator_session(
    ledger: Ledger, conn_id: str, settings: SysproSettings, holder: str, *, wait: float
) -> Iterator[SysproClient]:
    """A client on the operator's session, which nobody else uses meanwhile. It stays open at the end.

    With `auth: basic` there is no session, and nothing to wait for.

    Args:
        ledger: Where the session is shared.
        conn_id: The Airflow connection, whose tasks share the session.
        settings: What it says.
        holder: Who asks, for the message that others get.
        wait: Seconds to wait for somebody else who has the operator.

    Raises:
        Superseded: Somebody else had the operator all that time.
        ConfigurationInvalid: Airflow has no key to keep a session with.
    """
    if not settings.needs_token:
        client = SysproClient(settings)
        try:
            yield client
        finally:
            client.close()
        return
    store = _store(ledger, conn_id, settings)
    with ledger.lock(_operator(settings), f"{holder} (process {os.getpid()})", ttl=LEASE_SECONDS, wait=wait):
        client = SysproClient(settings, store)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def visiting_session(
    ledger: Ledger, conn_id: str, settings: SysproSettings, holder: str, *, wait: float = 10.0
) -> Iterator[SysproClient]:
    """The same for a look from outside of runs: logs off at the end, unless the session was there before.

    Raises:
        Superseded, ConfigurationInvalid: As `operator_session`.
    """
    with operator_session(ledger, conn_id, settings, holder, wait=wait) as client:
        if not settings.needs_token:
            yield client
            return
        store = _store(ledger, conn_id, settings)
        before = store.load()
        try:
            yield client
        finally:
            after = store.load()
            if after is not None and (before is None or before.generation != after.generation):
                client.logout()


def _store(ledger: Ledger, conn_id: str, settings: SysproSettings) -> LedgerSessionStore[StoredSession]:
    """By connection, since its credentials opened the session; by server too, or an edited one would get the token."""
    name = f"syspro:{conn_id}:{settings.operator}@{settings.base_url}/{settings.company_id}"
    return LedgerSessionStore(ledger, name, StoredSession)


def _operator(settings: SysproSettings) -> str:
    """The operator, whatever connection names it, for whatever company."""
    return f"operator {settings.operator.upper()} of SYSPRO at {settings.host.lower()}"
