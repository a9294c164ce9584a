"""Postings: what is to be written into an ERP's books, and what became of it.

A posting is entered before anything is sent (`intended`), marked right before its bytes leave (`sending`), and settled
afterwards (`done`, `refused` …). So whatever may have reached the books has a row in state `sending` or later, and its
posting key, which went along, tells how to look it up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, update

from tieout.ledger.database import KEYS_PER_QUERY, Database, chunks, update_rows, utc_now
from tieout.ledger.events import add_events
from tieout.ledger.filters import by_scope, narrowed
from tieout.ledger.leases import Lease, require_lease
from tieout.ledger.models import postings
from tieout.ledger.posting_steps import (
    LISTED,
    cancel_entry,
    check_drafts,
    check_sending,
    check_settling,
    check_take_over,
    enter,
    find_keys,
    find_rows,
    intention,
    is_news,
    key_of,
    posting_row,
    refuse_twice,
    sender_of,
    sending_event,
    settled_values,
    settling_event,
)
from tieout.ledger.rows import Filters, PostingDraft, PostingResult, PostingRow, RunKey, Scope
from tieout.ledger.runs import require_real_run

_ROWS_PER_PAGE = 1_000
_BODIES_PER_STATEMENT = 500


class PostingStore(Database):
    """The postings in the ledger."""

    def intend(self, key: RunKey, drafts: Sequence[PostingDraft], *, lease: Lease) -> list[PostingRow]:
        """Enter what is about to be posted: all of it or nothing, in the order given.

        A row of the same posting key that certainly is not in the books (intended, refused, not_sent, withdrawn) is
        taken over, with the new content and this run; its attempts go on counting.

        Args:
            key: The run that intends to post.
            drafts: What it intends to post.
            lease: The lease under which it posts.

        Raises:
            Superseded: The lease is lost; nothing was entered.
            ValueError: A posting key is, or may be, in the books already, is another entity's, or is given twice; the
                run is unknown or a dry run. Nothing was entered.
        """
        check_drafts(drafts)
        with self._writing() as connection:
            require_lease(connection, lease)
            require_real_run(connection, key)
            now = utc_now()
            posting_ids: list[int] = []
            for some in chunks(drafts, _BODIES_PER_STATEMENT):
                known = find_keys(connection, key, some)
                for row in known.values():
                    check_take_over(row, key)
                ids = enter(connection, key, some, known, now)
                named = [(key_of(draft), draft) for draft in some]
                add_events(connection, (intention(key, ids[k], draft, known.get(k), now) for k, draft in named))
                posting_ids += [ids[k] for k, _ in named]
            rows = find_rows(connection, posting_ids)
        return [posting_row(rows[posting_id]) for posting_id in posting_ids]

    def mark_sending(self, posting_ids: Sequence[int], *, lease: Lease) -> None:
        """Note that the bytes of these postings leave now: from here on their effect is unknown until it is settled.

        The holder of the lease may mark a posting again, when it knows that the bytes did not count (a session that had
        expired). Everybody else looks it up first, and so does the holder after having settled it as `sending`.

        Args:
            posting_ids: The postings.
            lease: The lease under which they are posted.

        Raises:
            Superseded: The lease is lost; nothing may be sent.
            ValueError: One of them may not be sent, or there is no such posting; nothing was marked, and nothing may
                be sent.
        """
        with self._writing() as connection:
            require_lease(connection, lease)
            rows = find_rows(connection, posting_ids, lock=True)
            sender = sender_of(lease)
            for row in rows.values():
                check_sending(row, sender)
            now = utc_now()
            marked = {"state": "sending", "sent_at": now, "updated_at": now, "sent_under": sender}
            for ids in chunks(list(rows), KEYS_PER_QUERY):
                changed = update(postings).where(postings.c.id.in_(ids))
                connection.execute(changed.values(marked | {"attempts": postings.c.attempts + 1}))
            add_events(connection, (sending_event(row, now) for row in rows.values()))

    def settle_postings(self, key: RunKey, results: Sequence[PostingResult], *, lease: Lease) -> None:
        """Note what became of postings, after the effect: all of it or nothing, with an event for each.

        What was seen in the books for the first time (done, awaiting_approval, cancelled) is counted as this run's; an
        entry that is cancelled later stays the run's that posted it. A cancellation that is done also makes the
        journal entry of the same source key and revision `cancelled`. The same result again changes nothing.

        Args:
            key: The run that saw it: the one that sent, or one that looked up what an earlier run had left unknown.
            results: What was seen.
            lease: The lease under which it is posted.

        Raises:
            Superseded: The lease is lost; nothing was noted.
            ValueError: A posting is unknown, of another scope or named twice, may not get that state, or has another
                target key in the books already; nothing was noted.
        """
        refuse_twice([result.posting_id for result in results], "posting")
        with self._writing() as connection:
            require_lease(connection, lease)
            require_real_run(connection, key)
            rows = find_rows(connection, [result.posting_id for result in results], lock=True)
            said = [(rows[result.posting_id], result) for result in results]
            for row, result in said:
                check_settling(row, result, key)
            news = [(row, result) for row, result in said if is_news(row, result)]
            now = utc_now()
            changes = [settled_values(row, result, key, now) for row, result in news]
            update_rows(connection, postings, {"updated_at": now}, changes)
            add_events(connection, (settling_event(key, row, result, now) for row, result in news))
            for row, result in news:
                if (row.kind, result.state) == ("cancellation", "done"):
                    cancel_entry(connection, key, row, now)

    def postings_of(self, scope: Scope, source_keys: Sequence[str]) -> dict[str, list[PostingRow]]:
        """All postings of these source records, oldest first, by source key; without the keys that have none."""
        return self._grouped(scope, postings.c.source_key, source_keys)

    def postings_by_identity(self, scope: Scope, identities: Sequence[str]) -> dict[str, list[PostingRow]]:
        """All postings of the same things, whatever their source records, oldest first, by identity."""
        return self._grouped(scope, postings.c.identity, identities)

    def unsettled_postings(self, scope: Scope) -> list[PostingRow]:
        """Postings whose effect is unknown, oldest first: to be looked up before anything of the scope is posted."""
        # Written out, not as a parameter: only so do the databases see that the partial index fits.
        unsettled = postings.c.state == literal_column("'sending'")
        return self._posting_rows(select(*LISTED).where(*by_scope(postings, scope), unsettled).order_by(postings.c.id))

    def posting_bodies(self, posting_ids: Sequence[int]) -> dict[int, bytes]:
        """The bodies of postings as they were, or will be, sent, by id."""
        bodies: dict[int, bytes] = {}
        with self._reading() as connection:
            for ids in chunks(posting_ids, KEYS_PER_QUERY):
                query = select(postings.c.id, postings.c.body).where(postings.c.id.in_(ids))
                bodies.update((posting_id, body) for posting_id, body in connection.execute(query))
        return bodies

    def posted_by_run(self, key: RunKey, since: datetime) -> Iterator[PostingRow]:
        """What a run has put into the books, oldest first, also where it was cancelled later. Read page by page.

        Args:
            key: The run.
            since: Aware; when the run's present attempt began (`RunRow.started_at`): a run that was cleared and run
                again answers for what it posted this time.
        """
        mine = (
            *by_scope(postings, key.scope),
            postings.c.settled_run_id == key.run_id,
            postings.c.settled_at >= since,
            postings.c.state.in_(("done", "cancelled")),
        )
        last = 0
        while page := self._posting_rows(
            select(*LISTED).where(*mine, postings.c.id > last).order_by(postings.c.id).limit(_ROWS_PER_PAGE)
        ):
            yield from page
            last = page[-1].id

    def postings(self, filters: Filters, limit: int | None = None, offset: int = 0) -> list[PostingRow]:
        """Postings, the last first intended first."""
        query = _narrow(select(*LISTED), filters).order_by(postings.c.id.desc())
        return self._posting_rows(query.limit(limit).offset(offset))

    def count_postings(self, filters: Filters) -> int:
        """How many postings there are."""
        with self._reading() as connection:
            return connection.execute(_narrow(select(func.count()).select_from(postings), filters)).scalar_one()

    def _grouped(self, scope: Scope, column: ColumnElement[str], values: Sequence[str]) -> dict[str, list[PostingRow]]:
        found: dict[str, list[PostingRow]] = {}
        query = select(*LISTED).where(*by_scope(postings, scope)).order_by(postings.c.id)
        with self._reading() as connection:
            for some in chunks(dict.fromkeys(values), self._keys_per_lookup):
                for row in connection.execute(query.where(column.in_(some))):
                    found.setdefault(row._mapping[column], []).append(posting_row(row))
        return found

    def _posting_rows(self, query: Select[Any]) -> list[PostingRow]:
        with self._reading() as connection:
            return [posting_row(row) for row in connection.execute(query)]


def _narrow(query: Select[Any], filters: Filters) -> Select[Any]:
    return narrowed(query, postings, filters, since=postings.c.updated_at, status=postings.c.state)
