"""The steps of a posting, inside the caller's transaction: what may follow what, and what each step writes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, Connection, Row, insert, select

from tieout.ledger.database import KEYS_PER_QUERY, chunks, update_rows
from tieout.ledger.events import add_events, event_values
from tieout.ledger.filters import by_scope
from tieout.ledger.leases import Lease
from tieout.ledger.models import postings
from tieout.ledger.rows import PostingDraft, PostingKind, PostingResult, PostingRow, RunKey, Scope

_IN_THE_BOOKS = frozenset({"done", "awaiting_approval", "cancelled"})
"""States of what the ERP has, or has had."""

SETTLEMENTS: Mapping[str, frozenset[str]] = {
    "intended": frozenset({"not_sent", "withdrawn"}) | _IN_THE_BOOKS,
    # Its effect is unknown, so it cannot be withdrawn: only a look into the books settles it.
    "sending": frozenset({"sending", "refused", "not_sent"}) | _IN_THE_BOOKS,
    # Certainly not in the books as far as was known; a look-up may know better.
    "refused": frozenset({"refused", "withdrawn"}) | _IN_THE_BOOKS,
    "not_sent": frozenset({"not_sent", "withdrawn"}) | _IN_THE_BOOKS,
    "withdrawn": frozenset({"withdrawn"}) | _IN_THE_BOOKS,
    # Withdrawn: its draft is gone, and no document was made from it.
    "awaiting_approval": frozenset({"awaiting_approval", "done", "refused", "cancelled", "withdrawn"}),
    "done": frozenset({"done", "cancelled"}),
    "cancelled": frozenset({"cancelled"}),
}
"""What `settle_postings` may make of what. `intended` and `sending` are given by `intend` and `mark_sending`."""

_REPLACEABLE = frozenset({"intended", "refused", "not_sent", "withdrawn"})
"""States from which a posting may be intended anew: it is certainly not in the books."""

_EVENTS: Mapping[str, str] = {
    "sending": "posting unknown",
    "done": "posted",
    "refused": "posting refused",
    "not_sent": "posting not sent",
    "awaiting_approval": "posting awaiting approval",
    "cancelled": "posting cancelled",
    "withdrawn": "posting withdrawn",
}

LISTED = [column for column in postings.c if column.name not in ("body", "sent_under")]
"""The columns of a `PostingRow`."""


_Key = tuple[str, str]
"""A posting's kind and posting key."""


def find_postings(connection: Connection, *conditions: ColumnElement[bool]) -> list[PostingRow]:
    """Postings, oldest first."""
    return [posting_row(row) for row in connection.execute(select(*LISTED).where(*conditions).order_by(postings.c.id))]


def key_of(posting: PostingDraft | Row[Any]) -> _Key:
    """What tells a posting from every other one of its instance."""
    return posting.kind, posting.posting_key


def sender_of(lease: Lease) -> str:
    """Who sends under a lease: its name and token, which no other holder ever has."""
    return f"{lease.name} {lease.token}"


def _title(row: Row[Any]) -> str:
    return f"Posting {row.posting_key} ({row.kind} of {row.entity} {row.label or row.source_key})"


def posting_row(row: Row[Any]) -> PostingRow:
    """A row that has at least the listed columns, as a value."""
    return PostingRow(**{column.name: row._mapping[column] for column in LISTED})


def find_rows(connection: Connection, posting_ids: Sequence[int], *, lock: bool = False) -> dict[int, Row[Any]]:
    """Postings by id; locked until the commit if asked.

    Raises:
        ValueError: There is no such posting.
    """
    found: dict[int, Row[Any]] = {}
    for ids in chunks(posting_ids, KEYS_PER_QUERY):
        query = select(*LISTED, postings.c.sent_under).where(postings.c.id.in_(ids)).order_by(postings.c.id)
        found |= {row.id: row for row in connection.execute(query.with_for_update() if lock else query)}
    for posting_id in posting_ids:
        if posting_id not in found:
            raise ValueError(f"The ledger has no posting {posting_id}.")
    return found


def check_drafts(drafts: Sequence[PostingDraft]) -> None:
    """Check what can be checked without the ledger.

    Raises:
        ValueError: A kind is none, or a posting key is given twice.
    """
    for draft in drafts:
        if draft.kind not in get_args(PostingKind):
            raise ValueError(f"{draft.kind!r} is no kind of posting ({', '.join(get_args(PostingKind))}).")
    refuse_twice([key_of(draft) for draft in drafts], "posting key")


def refuse_twice(keys: Sequence[object], what: str) -> None:
    """Check that every key is given once.

    Raises:
        ValueError: One is given twice.
    """
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        name = " ".join(twice[0]) if isinstance(twice[0], tuple) else twice[0]
        raise ValueError(f"The {what} {name} is given twice; each has one place.")


def find_keys(connection: Connection, key: RunKey, drafts: Sequence[PostingDraft]) -> dict[_Key, Row[Any]]:
    """The rows that have the drafts' posting keys already, locked until the commit."""
    query = (
        select(*LISTED)
        .where(
            postings.c.integration == key.integration,
            postings.c.instance == key.instance,
            postings.c.posting_key.in_([draft.posting_key for draft in drafts]),
        )
        .order_by(postings.c.id)
    )
    wanted = {key_of(draft) for draft in drafts}
    rows = connection.execute(query.with_for_update())
    return {key_of(row): row for row in rows if key_of(row) in wanted}


def check_take_over(row: Row[Any], key: RunKey) -> None:
    """Check that a run may intend a posting whose key has a row already.

    Raises:
        ValueError: It may be in the books, or it is another entity's.
    """
    if row.entity != key.entity:
        raise ValueError(f"{_title(row)} has this key already, so it cannot be that of one of {key.entity} too.")
    if row.state not in _REPLACEABLE:
        found = f" as {row.target_key}" if row.target_key else ""
        advice = "look it up first" if row.state == "sending" else "what changed since is a posting of its own"
        raise ValueError(f"{_title(row)} is {row.state}{found} and cannot be intended again: {advice}.")


def enter(
    connection: Connection, key: RunKey, drafts: Sequence[PostingDraft], known: Mapping[_Key, Row[Any]], now: datetime
) -> dict[_Key, int]:
    """Insert the new ones and bring the known ones up to date; returns all their ids."""
    values = {key_of(draft): _draft_values(key, draft, now) for draft in drafts}
    fresh = [values[name] | {"attempts": 0, "created_at": now} for name in values if name not in known]
    ids = {name: row.id for name, row in known.items()}
    if fresh:
        statement = insert(postings).returning(postings.c.id, postings.c.kind, postings.c.posting_key)
        ids |= {key_of(row): row.id for row in connection.execute(statement, fresh)}
    taken_over = [values[name] | {"id": posting_id} for name, posting_id in ids.items() if name in known]
    update_rows(connection, postings, {}, taken_over)
    return ids


def _draft_values(key: RunKey, draft: PostingDraft, now: datetime) -> dict[str, Any]:
    return {
        "integration": key.integration,
        "instance": key.instance,
        "entity": key.entity,
        "run_id": key.run_id,
        "source_key": draft.source_key,
        "label": draft.label,
        "kind": draft.kind,
        "revision": draft.revision,
        "posting_key": draft.posting_key,
        "identity": draft.identity,
        "fingerprint": draft.fingerprint,
        "currency": draft.currency,
        "amount": draft.amount,
        "body": draft.body,
        "body_sha256": hashlib.sha256(draft.body).hexdigest(),
        "state": "intended",
        "target_key": None,
        "target_number": None,
        "code": "",
        "message": "",
        "high_water": draft.high_water,
        "updated_at": now,
        "sent_at": None,
        "sent_under": None,
        "settled_at": None,
        "settled_run_id": None,
    }


def intention(
    key: RunKey, posting_id: int, draft: PostingDraft, before: Row[Any] | None, now: datetime
) -> dict[str, Any]:
    """The event of an intended posting: what it is, and from which state it was taken over."""
    detail = {
        "posting_id": posting_id,
        "kind": draft.kind,
        "posting_key": draft.posting_key,
        "revision": draft.revision,
        "fingerprint": draft.fingerprint,
        "currency": draft.currency,
        "amount": draft.amount,
        "before": None if before is None else before.state,
    }
    return event_values(key, "posting intended", now, detail) | {"source_key": draft.source_key}


def check_sending(row: Row[Any], sender: str) -> None:
    """Check that a posting's bytes may leave.

    Raises:
        ValueError: They may not, from the state it is in.
    """
    if row.state in ("intended", "not_sent") or (row.state == "sending" and row.sent_under == sender):
        return
    if row.state == "sending":
        raise ValueError(f"{_title(row)} may be in the books already; look it up before it is sent again.")
    raise ValueError(f"{_title(row)} is {row.state}; it cannot be sent from there.")


def check_settling(row: Row[Any], result: PostingResult, key: RunKey) -> None:
    """Check that a posting may get a result.

    Raises:
        ValueError: It is of another scope, may not get that state, or is in the books under another key.
    """
    if Scope(row.integration, row.instance, row.entity) != key.scope:
        raise ValueError(f"{_title(row)} is not one of the {key}.")
    if result.state not in SETTLEMENTS[row.state]:
        raise ValueError(f"{_title(row)} is {row.state}; it cannot become {result.state}.")
    # What awaits approval is a draft; its key gives way to that of the document made from it.
    known = row.target_key if row.state in ("done", "cancelled") else None
    if None not in (known, result.target_key) and known != result.target_key:
        raise ValueError(
            f"{_title(row)} is in the books as {known} and now was seen there as {result.target_key}: "
            "look at both in the ERP, one of them may be there once too often."
        )


def is_news(row: Row[Any], result: PostingResult) -> bool:
    """Whether a result says anything that the row does not say yet."""
    if row.state != result.state or (row.sent_under is not None and result.state == "sending"):
        return True
    targets = ((result.target_key, row.target_key), (result.target_number, row.target_number))
    return any(new is not None and new != old for new, old in targets) or (
        (result.code, result.message) != (row.code, row.message) and row.state not in ("done", "cancelled")
    )


def settled_values(row: Row[Any], result: PostingResult, key: RunKey, now: datetime) -> dict[str, Any]:
    """The row's new values."""
    settled_at, settled_run_id = row.settled_at, row.settled_run_id
    if result.state not in _IN_THE_BOOKS:
        settled_at = settled_run_id = None
    elif result.state != row.state and row.state != "done":
        settled_at, settled_run_id = now, key.run_id
    return {
        "id": row.id,
        "state": result.state,
        "target_key": row.target_key if result.target_key is None else result.target_key,
        "target_number": row.target_number if result.target_number is None else result.target_number,
        "code": result.code,
        "message": result.message,
        "sent_under": None,
        "settled_at": settled_at,
        "settled_run_id": settled_run_id,
    }


def sending_event(row: Row[Any], now: datetime) -> dict[str, Any]:
    """The event of a posting whose bytes leave."""
    return _event(posting_row(row).key, "posting sending", row, now, {"attempt": row.attempts + 1})


def settling_event(key: RunKey, row: Row[Any], result: PostingResult, now: datetime) -> dict[str, Any]:
    """The event of a posting that was settled."""
    found = {"target_key": result.target_key, "target_number": result.target_number}
    said = {"code": result.code, "message": result.message}
    return _event(key, _EVENTS[result.state], row, now, found | said)


def _event(key: RunKey, what: str, row: Row[Any], now: datetime, detail: Mapping[str, Any]) -> dict[str, Any]:
    subject = {"posting_id": row.id, "kind": row.kind, "posting_key": row.posting_key, "revision": row.revision}
    return event_values(key, what, now, subject | dict(detail)) | {"source_key": row.source_key}


def cancel_entry(connection: Connection, key: RunKey, cancellation: Row[Any], now: datetime) -> None:
    """Mark the journal entry that a cancellation was for."""
    entry = (
        *by_scope(postings, key.scope),
        postings.c.source_key == cancellation.source_key,
        postings.c.revision == cancellation.revision,
        postings.c.kind == "journal_entry",
        # Also what was never heard of again: what could be cancelled had been in the books.
        postings.c.state.in_(("sending", "awaiting_approval", "done")),
    )
    for row in connection.execute(select(*LISTED).where(*entry).with_for_update()).all():
        cancelled = PostingResult(row.id, "cancelled", message=f"Cancelled by {cancellation.posting_key}.")
        update_rows(connection, postings, {"updated_at": now}, [settled_values(row, cancelled, key, now)])
        add_events(connection, [settling_event(key, row, cancelled, now)])
