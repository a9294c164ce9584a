"""Held records: what could not be sent, why, whose it is to repair, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal_column, select, update

from tieout.ledger.database import KEYS_PER_QUERY, Database, chunks, utc_now
from tieout.ledger.events import add_event, add_events, event_values, find_events
from tieout.ledger.filters import by_scope, called, narrowed, page
from tieout.ledger.models import events, file_records, held, postings
from tieout.ledger.packed import any_packed, packed_among
from tieout.ledger.rows import EventRow, Filters, HeldDetail, HeldDraft, HeldRow, RunKey, Scope

_HELD_PER_STATEMENT = 500  # each brings its whole payload
_PAYLOADS_PER_QUERY = 200
_LISTED = [column for column in held.c if column.name != "payload"]
# Written out, not as a parameter: only so do the databases see that the partial index fits.
_IS_OPEN = held.c.status == literal_column("'held'")
_UPDATED = (
    "label",
    "run_id",
    "reason_code",
    "message",
    "fix_hint",
    "owner",
    "payload",
    "payload_sha256",
    "content_type",
    "currency",
    "amount",
    "last_seen",
)


class HeldStore(Database):
    """The held records in the ledger."""

    def open_held_keys(self, scope: Scope, limit: int | None = None) -> list[str]:
        """Source keys of the records held now, the longest held first."""
        query = select(held.c.source_key).where(*_open(scope)).order_by(held.c.id).limit(limit)
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def open_held(self, scope: Scope) -> list[HeldRow]:
        """The records held now, the longest held first, without their payloads (`held_payloads`)."""
        query = select(*_LISTED).where(*_open(scope)).order_by(held.c.id)
        with self._reading() as connection:
            return [HeldRow(**row._mapping) for row in connection.execute(query)]

    def open_held_of(self, integration: str, instance: str) -> dict[str, list[HeldRow]]:
        """The records held now in all scopes of an instance, by entity; as by `open_held`, in one query."""
        of_instance = (held.c.integration == integration, held.c.instance == instance)
        found: dict[str, list[HeldRow]] = {}
        with self._reading() as connection:
            for row in connection.execute(select(*_LISTED).where(*of_instance, _IS_OPEN).order_by(held.c.id)):
                found.setdefault(row.entity, []).append(HeldRow(**row._mapping))
        return found

    def held_payloads(self, held_ids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """The original bytes of held records with their ids, in the order given; only a few are in memory at a time.

        Raises:
            ValueError: There is no such held record.
        """
        for ids in chunks(held_ids, _PAYLOADS_PER_QUERY):
            query = select(held.c.id, held.c.payload).where(held.c.id.in_(ids))
            with self._reading() as connection:
                found: dict[int, bytes] = {row.id: row.payload for row in connection.execute(query)}
            for held_id in ids:
                if held_id not in found:
                    raise ValueError(f"There is no held record {held_id}.")
                yield held_id, found.pop(held_id)

    def held(self, filters: Filters, limit: int | None = None, offset: int = 0) -> list[HeldRow]:
        """Held records without their payloads, the last held first."""
        with self._reading() as connection:
            query = self._narrowed_held(connection, select(*_LISTED), filters).order_by(held.c.id.desc())
            return [HeldRow(**row) for row in page(connection, query, held, limit, offset)]

    def count_held(self, filters: Filters) -> int:
        """How many held records there are."""
        with self._reading() as connection:
            query = self._narrowed_held(connection, select(func.count()).select_from(held), filters)
            return connection.execute(query).scalar_one()

    def get_held(self, held_id: int) -> HeldDetail | None:
        """A held record with its original bytes and its history; None if there is none of that id."""
        with self._reading() as connection:
            return _find_held(connection, held_id)

    def discard_held(self, held_id: int, why: str, by: str) -> HeldRow:
        """Decide that a record is never to be sent as it is.

        It is held again only if its content changes (`discarded_payloads`).

        Args:
            held_id: The held record.
            why: The reason, for the audit trail; not empty.
            by: Who decided.

        Raises:
            ValueError: There is no such held record, it is not open any more, or no reason is given.
        """
        if not why.strip():
            raise ValueError(f"Held record {held_id} was not discarded: say why (the reason goes to the audit trail).")
        with self._writing() as connection:
            row = connection.execute(select(*_LISTED).where(held.c.id == held_id).with_for_update()).one_or_none()
            if row is None:
                raise ValueError(f"There is no held record {held_id}. List those there are with `bin/tieout held`.")
            if row.status != "held":
                raise ValueError(f"Held record {held_id} is {row.status} already; only an open one can be discarded.")
            closing = {"status": "discarded", "closed_at": utc_now(), "closed_by": by, "closed_why": why}
            changed = update(held).where(held.c.id == held_id).values(closing).returning(*_LISTED)
            discarded = HeldRow(**connection.execute(changed).one()._mapping)
            key = RunKey(row.integration, row.instance, row.entity, row.run_id)
            detail = {"why": why, "by": by}
            add_event(connection, key, "discarded", source_key=row.source_key, held_id=held_id, detail=detail)
        return discarded

    def discarded_payloads(self, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
        """SHA-256 (hex) of the payload that was last discarded, by source key; without the keys never discarded.

        A record that arrives with the same payload again counts as excluded; with another one it is judged anew.
        """
        query = select(held.c.source_key, held.c.payload_sha256).order_by(held.c.id)
        found: dict[str, str] = {}
        with self._reading() as connection:
            for some in chunks(keys, KEYS_PER_QUERY):
                chosen = query.where(*by_scope(held, scope), held.c.status == "discarded", held.c.source_key.in_(some))
                found.update((key, digest) for key, digest in connection.execute(chosen))
        return found

    def _narrowed_held(self, connection: Connection, query: Select[Any], filters: Filters) -> Select[Any]:
        narrow = _narrow(query, filters)
        if not filters.search:
            return narrow
        return narrow.where(
            called(connection, held, ("source_key", "label"), filters.search, postgres=self._is_postgres)
        )

    def _hold(self, connection: Connection, key: RunKey, drafts: Iterable[HeldDraft]) -> None:
        """Open a row per record that has none open, and bring the open ones up to date."""
        for some in chunks(drafts, _HELD_PER_STATEMENT):
            by_source_key = {draft.source_key: draft for draft in some}
            before = _reasons(connection, key.scope, list(by_source_key))
            now = utc_now()
            statement = self._insert(held)
            changes: dict[str, Any] = {name: statement.excluded[name] for name in _UPDATED}
            upsert = statement.on_conflict_do_update(
                index_elements=["integration", "instance", "entity", "source_key"],
                index_where=_IS_OPEN,
                set_=changes | {"attempts": held.c.attempts + 1},
            )
            connection.execute(upsert, [_held_values(key, draft, now) for draft in by_source_key.values()])
            after = _reasons(connection, key.scope, list(by_source_key))
            # The attempts are counted in the row; the trail notes what is new about it.
            changed = {
                source_key: now_held for source_key, now_held in after.items() if now_held != before.get(source_key)
            }
            add_events(connection, (_held_event(key, source_key, row, now) for source_key, row in changed.items()))


_Reason = tuple[int, str, str, str]
"""A held row's id, reason code, message and digest of its payload."""


def settle_keys(connection: Connection, key: RunKey, keys: Iterable[str]) -> None:
    """Settle the open held rows of these source keys inside the caller's transaction."""
    if not _any_open(connection, key.scope):
        return
    for some in chunks(keys, KEYS_PER_QUERY):
        _settle(connection, key, held.c.source_key.in_(some), "duplicate or excluded")


def settle_files(connection: Connection, key: RunKey, file_ids: Sequence[int]) -> None:
    """Settle the open held rows of all records in these delivered files inside the caller's transaction."""
    if not _any_open(connection, key.scope):
        return
    for ids in chunks(file_ids, KEYS_PER_QUERY):
        sent = select(file_records.c.source_key).where(file_records.c.file_id.in_(ids))
        _settle(connection, key, held.c.source_key.in_(sent), "delivered")
    if not any_packed(connection, file_ids):
        return
    open_keys = list(connection.execute(select(held.c.source_key).where(*_open(key.scope))).scalars())
    for found in packed_among(connection, file_ids, open_keys):
        for some in chunks(found, KEYS_PER_QUERY):
            _settle(connection, key, held.c.source_key.in_(some), "delivered")


def settle_posted(connection: Connection, key: RunKey, keys: Iterable[str]) -> None:
    """Settle the open held rows of these source keys; says of each whether this run has posted it."""
    if not _any_open(connection, key.scope):
        return
    posted = select(postings.c.source_key).where(
        *by_scope(postings, key.scope),
        postings.c.settled_run_id == key.run_id,
        postings.c.state.in_(("done", "cancelled")),
    )
    for some in chunks(keys, KEYS_PER_QUERY):
        named = held.c.source_key.in_(some)
        _settle(connection, key, and_(named, held.c.source_key.in_(posted)), "posted")
        _settle(connection, key, named, "duplicate or excluded")


def find_held(connection: Connection, condition: ColumnElement[bool]) -> list[HeldDetail]:
    """Held rows with payload and history, oldest first."""
    rows = connection.execute(select(held).where(condition).order_by(held.c.id)).all()
    history: dict[int, list[EventRow]] = {row.id: [] for row in rows}
    for ids in chunks(history, KEYS_PER_QUERY):
        for event in find_events(connection, events.c.held_id.in_(ids)):
            history[event.held_id or 0].append(event)
    return [HeldDetail(**row._mapping, history=tuple(history[row.id])) for row in rows]


def _find_held(connection: Connection, held_id: int) -> HeldDetail | None:
    found = find_held(connection, held.c.id == held_id)
    return found[0] if found else None


def _settle(connection: Connection, key: RunKey, which: ColumnElement[bool], how: str) -> None:
    now = utc_now()
    closing = {"status": "settled", "closed_at": now, "closed_by": key.run_id, "closed_why": how}
    settled = connection.execute(
        update(held).where(*_open(key.scope), which).values(closing).returning(held.c.id, held.c.source_key)
    )
    values = event_values(key, "settled", now, {"how": how})
    add_events(connection, [values | {"held_id": row.id, "source_key": row.source_key} for row in settled])


def _open(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (*by_scope(held, scope), _IS_OPEN)


def _any_open(connection: Connection, scope: Scope) -> bool:
    return connection.execute(select(held.c.id).where(*_open(scope)).limit(1)).first() is not None


def _reasons(connection: Connection, scope: Scope, keys: Sequence[str]) -> dict[str, _Reason]:
    columns = (held.c.source_key, held.c.id, held.c.reason_code, held.c.message, held.c.payload_sha256)
    rows = connection.execute(select(*columns).where(*_open(scope), held.c.source_key.in_(keys)))
    return {row.source_key: (row.id, row.reason_code, row.message, row.payload_sha256) for row in rows}


def _held_values(key: RunKey, draft: HeldDraft, now: datetime) -> dict[str, Any]:
    return {
        "integration": key.integration,
        "instance": key.instance,
        "entity": key.entity,
        "source_key": draft.source_key,
        "label": draft.label,
        "first_run_id": key.run_id,
        "run_id": key.run_id,
        "reason_code": draft.reason_code,
        "message": draft.message,
        "fix_hint": draft.fix_hint,
        "owner": draft.owner,
        "payload": draft.payload,
        "payload_sha256": hashlib.sha256(draft.payload).hexdigest(),
        "content_type": draft.content_type,
        "currency": draft.currency,
        "amount": draft.amount,
        "first_seen": now,
        "last_seen": now,
        "attempts": 1,
        "status": "held",
        "closed_at": None,
        "closed_by": None,
        "closed_why": "",
    }


def _held_event(key: RunKey, source_key: str, row: _Reason, now: datetime) -> dict[str, Any]:
    held_id, reason_code, message, payload_sha256 = row
    detail = {"reason_code": reason_code, "message": message, "payload_sha256": payload_sha256}
    return event_values(key, "held", now, detail) | {"source_key": source_key, "held_id": held_id}


def _narrow(query: Select[Any], filters: Filters) -> Select[Any]:
    walked = ("integration", "instance", "entity")
    return narrowed(query, held, filters, since=held.c.last_seen, status=held.c.status, walked=walked)
