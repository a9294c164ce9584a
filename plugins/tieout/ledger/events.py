"""The audit trail: what happened, when, to which run, record, file or held row. Only ever appended to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Select, insert, literal, null, select

from tieout.ledger.columns import UtcDateTime, plain_json
from tieout.ledger.database import KEYS_PER_QUERY, Database, chunks, utc_now
from tieout.ledger.filters import by_key
from tieout.ledger.models import events, files
from tieout.ledger.rows import EventRow, RunKey


class EventStore(Database):
    """The audit trail in the ledger."""

    def event(
        self,
        *,
        integration: str,
        instance: str,
        entity: str,
        run_id: str,
        what: str,
        source_key: str | None = None,
        file_id: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one event.

        Args:
            integration: The integration, normally the DAG's plain id.
            instance: The instance.
            entity: The entity; empty for what concerns all of them.
            run_id: The run; empty for what happened outside of one.
            what: What happened, in a few words.
            source_key: The source record it happened to.
            file_id: The file it happened to.
            detail: Anything JSON can carry. Never a secret.
        """
        key = RunKey(integration, instance, entity, run_id)
        with self._writing() as connection:
            add_event(connection, key, what, source_key=source_key, file_id=file_id, detail=detail)

    def note_records(self, what: str, details: Mapping[RunKey, Mapping[str, Mapping[str, Any]]]) -> None:
        """Append the same kind of event for many source records of one run or several, all or none.

        Args:
            what: What happened to each, in a few words, such as the verdict of a check.
            details: By run and source key, anything JSON can carry. Never a secret.
        """
        now = utc_now()
        rows = (
            event_values(key, what, now, detail) | {"source_key": name}
            for key, records in details.items()
            for name, detail in records.items()
        )
        with self._writing() as connection:
            add_events(connection, rows)

    def events_of_run(self, key: RunKey) -> list[EventRow]:
        """All events of a run, oldest first."""
        with self._reading() as connection:
            return find_events(connection, *by_key(events, key))

    def run_events(self, key: RunKey, what: str) -> list[EventRow]:
        """The events of one kind that are about a run as a whole, and about no record or file of it, oldest first."""
        with self._reading() as connection:
            return find_events(connection, *by_key(events, key), events.c.what == what, events.c.source_key.is_(None))


def add_event(
    connection: Connection,
    key: RunKey,
    what: str,
    *,
    source_key: str | None = None,
    file_id: int | None = None,
    held_id: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one event inside the caller's transaction."""
    subject = {"source_key": source_key, "file_id": file_id, "held_id": held_id}
    connection.execute(insert(events), event_values(key, what, utc_now(), detail or {}) | subject)


def event_values(key: RunKey, what: str, at: datetime, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an event of a run, without its subject."""
    return {
        "at": at,
        "integration": key.integration,
        "instance": key.instance,
        "entity": key.entity,
        "run_id": key.run_id,
        "what": what,
        "source_key": None,
        "file_id": None,
        "held_id": None,
        "detail": plain_json(detail),
    }


def add_file_events(
    connection: Connection, file_ids: Sequence[int], what: str, at: datetime, detail: Mapping[str, Any]
) -> None:
    """Append the same event for many files, by the database itself."""
    columns = ("at", "integration", "instance", "entity", "run_id", "what", "file_id", "held_id", "detail")
    for ids in chunks(file_ids, KEYS_PER_QUERY):
        source = select(
            literal(at, UtcDateTime()),
            files.c.integration,
            files.c.instance,
            files.c.entity,
            files.c.run_id,
            literal(what),
            files.c.id,
            null(),
            literal(plain_json(detail), JSON()),
        ).where(files.c.id.in_(ids))
        connection.execute(insert(events).from_select(columns, source))


def find_events(connection: Connection, *conditions: ColumnElement[bool]) -> list[EventRow]:
    """Events, oldest first."""
    query: Select[Any] = select(events).where(*conditions).order_by(events.c.id)
    return [EventRow(**row._mapping) for row in connection.execute(query)]


def add_events(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append many events, given as columns (`event_values`)."""
    for chunk in chunks(rows, KEYS_PER_QUERY):
        connection.execute(insert(events), [dict(row) for row in chunk])
