"""Receivers: whether a scope's receiver can be reached, since when not, and who was told.

Only what concerns the receiver as a whole belongs here: it does not answer, or does not let us in. A file that it
refuses is no outage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select, update

from tieout.ledger.columns import plain_json
from tieout.ledger.database import utc_now
from tieout.ledger.events import add_event
from tieout.ledger.models import receivers, scopes
from tieout.ledger.rows import RunKey, Scope
from tieout.ledger.scopes import ScopeStore

ReceiverState = Literal["up", "down"]


@dataclass(frozen=True)
class ReceiverRow:
    """Whether a scope's receiver could be reached when that was last tried.

    Attributes:
        failures: Attempts in a row that have failed; 0 while it is up.
        last_error: Why it could not be reached, in a sentence; while it is up, the last outage's.
        error_kind: The class of that error, such as `ReceiverUnavailable`.
        waiting: Records that were waiting for it when it was last tried; 0 while it is up.
        next_try_at: When it is tried again, where that is known.
        down_since: Start of the outage; while it is up, that of the last one.
        alerted_at: When people were told that it is down, and have not been told since that it is up.
        up_since: When it was first reached again; None while it is down.
        recovered_alerted_at: When people were told that it is up again.
    """

    integration: str
    instance: str
    entity: str
    state: ReceiverState
    failures: int
    last_error: str
    error_kind: str
    waiting: int
    last_tried_at: datetime
    next_try_at: datetime | None
    down_since: datetime | None
    alerted_at: datetime | None
    up_since: datetime | None
    recovered_alerted_at: datetime | None

    @property
    def scope(self) -> Scope:
        """The scope that it receives for."""
        return Scope(self.integration, self.instance, self.entity)

    def as_json(self) -> dict[str, Any]:
        """The row for lists and reports."""
        return {name: plain_json(value) for name, value in vars(self).items()}


class ReceiverStore(ScopeStore):
    """The receivers in the ledger."""

    def receivers(self, integration: str, instance: str) -> dict[str, ReceiverRow]:
        """All receivers of an instance that were ever tried, by entity, sorted."""
        return {row.entity: row for row in self._receivers(integration, instance)}

    def receiver_failed(
        self,
        scope: Scope,
        *,
        error: str,
        error_kind: str,
        waiting: int,
        next_try_at: datetime | None,
        now: datetime | None = None,
    ) -> None:
        """Note that a receiver could not be reached.

        The audit trail has the beginning of an outage, and a change of its kind; the attempts are counted in the row.

        Args:
            scope: Whose receiver.
            error: Why, in a sentence. Never a secret.
            error_kind: The error's class.
            waiting: How many records wait for it.
            next_try_at: Aware; when it is tried again.
            now: Aware; when it was tried.
        """
        tried_at = now or utc_now()
        news: dict[str, Any] = {
            "last_error": error,
            "error_kind": error_kind,
            "waiting": waiting,
            "last_tried_at": tried_at,
            "next_try_at": next_try_at,
        }
        with self._writing() as connection:
            scope_id = self._scope_id(connection, scope)
            before = _find(connection, scope_id)
            if before is not None and before.state == "down":
                news["failures"] = before.failures + 1
            else:
                news |= _outage_begins(before, tried_at)
            _put(connection, scope_id, before, news)
            if before is None or before.state == "up" or before.error_kind != error_kind:
                shown = ("last_error", "error_kind", "waiting", "next_try_at", "failures")
                _note(connection, scope, "receiver down", {name: news[name] for name in shown})

    def receiver_reached(self, scope: Scope, *, now: datetime | None = None) -> None:
        """Note that a receiver was reached. Where it was down, that it is back is to be told if that it was down was.

        Args:
            scope: Whose receiver.
            now: Aware; when it was reached.
        """
        tried_at = now or utc_now()
        news: dict[str, Any] = {"waiting": 0, "last_tried_at": tried_at, "next_try_at": None}
        with self._writing() as connection:
            scope_id = self._scope_id(connection, scope)
            before = _find(connection, scope_id)
            if before is None or before.state == "down":
                news |= {"state": "up", "failures": 0, "up_since": tried_at}
            _put(connection, scope_id, before, news)
            if before is not None and before.state == "down":
                shown = ("down_since", "failures", "waiting", "error_kind")
                _note(connection, scope, "receiver back", {name: getattr(before, name) for name in shown})

    def receivers_to_alert(self, integration: str, instance: str, *, down_since_before: datetime) -> list[ReceiverRow]:
        """Receivers that have been down since then or longer and of which nobody was told, the longest down first."""
        return self._receivers(
            integration,
            instance,
            receivers.c.state == "down",
            receivers.c.alerted_at.is_(None),
            receivers.c.down_since <= down_since_before,
        )

    def receivers_to_recover(self, integration: str, instance: str) -> list[ReceiverRow]:
        """Receivers that are up again, of which people were told only that they are down, the longest down first."""
        return self._receivers(
            integration,
            instance,
            receivers.c.state == "up",
            receivers.c.alerted_at.is_not(None),
            receivers.c.recovered_alerted_at.is_(None),
        )

    def note_receiver_alert(self, scope: Scope, kind: Literal["down", "up"], *, now: datetime | None = None) -> None:
        """Note that people were told that a receiver is down, or up again.

        It may have changed while they were being told: then they are told of the change, too.

        Args:
            scope: Whose receiver.
            kind: What they were told.
            now: Aware; when.

        Raises:
            ValueError: Nothing is known of this receiver.
        """
        told_at = now or utc_now()
        with self._writing() as connection:
            scope_id = self._scope_id(connection, scope)
            row = _find(connection, scope_id)
            if row is None:
                raise ValueError(f"The receiver of {scope} was never tried, so there was nothing to tell of it.")
            _put(connection, scope_id, row, _told(row, kind, told_at))
            detail = {"kind": kind, "down_since": row.down_since, "up_since": row.up_since}
            _note(connection, scope, "receiver alert sent", detail)

    def _receivers(self, integration: str, instance: str, *conditions: ColumnElement[bool]) -> list[ReceiverRow]:
        names = (scopes.c.integration, scopes.c.instance, scopes.c.entity)
        query: Select[Any] = (
            select(*names, *(column for column in receivers.c if column.name != "scope_id"))
            .join(scopes, scopes.c.id == receivers.c.scope_id)
            .where(scopes.c.integration == integration, scopes.c.instance == instance, *conditions)
        )
        with self._reading() as connection:
            rows = [ReceiverRow(**row._mapping) for row in connection.execute(query)]
        # Sorted here: databases sort names each in its own way.
        by_name = sorted(rows, key=lambda row: row.entity)
        return sorted(by_name, key=lambda row: row.down_since or row.last_tried_at) if conditions else by_name


_NEW: dict[str, Any] = {"state": "up", "failures": 0, "last_error": "", "error_kind": "", "waiting": 0}


def _put(connection: Connection, scope_id: int, before: Row[Any] | None, values: Mapping[str, Any]) -> None:
    """Enter a row or change it. Nobody else does meanwhile: the caller has the scope's row locked."""
    if before is None:
        connection.execute(insert(receivers).values({"scope_id": scope_id} | _NEW | dict(values)))
    else:
        connection.execute(update(receivers).where(receivers.c.scope_id == scope_id).values(dict(values)))


def _find(connection: Connection, scope_id: int) -> Row[Any] | None:
    return connection.execute(select(receivers).where(receivers.c.scope_id == scope_id)).one_or_none()


def _outage_begins(before: Row[Any] | None, at: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"state": "down", "failures": 1, "down_since": at, "up_since": None}
    if before is not None and before.recovered_alerted_at is not None:
        values |= {"alerted_at": None, "recovered_alerted_at": None}
    # Else people still take it for down, if they were told so, and need not be told again.
    return values


def _told(row: Row[Any], kind: Literal["down", "up"], at: datetime) -> dict[str, Any]:
    if kind == "down":
        return {"alerted_at": at, "recovered_alerted_at": None}
    if row.state == "up":
        return {"recovered_alerted_at": at}
    # Down again while people were being told that it is up: the new outage is one that they do not know of.
    return {"alerted_at": None, "recovered_alerted_at": None}


def _note(connection: Connection, scope: Scope, what: str, detail: Mapping[str, Any]) -> None:
    add_event(connection, RunKey(scope.integration, scope.instance, scope.entity, ""), what, detail=detail)
