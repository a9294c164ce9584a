"""What second persons were asked about held records, and what they answered: events of the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tieout.ledger.database import KEYS_PER_QUERY, Database, chunks, utc_now
from tieout.ledger.events import add_events, event_values, find_events
from tieout.ledger.models import events
from tieout.ledger.rows import EventRow, HeldRow, RunKey


class ApprovalStore(Database):
    """Events of held records in the ledger."""

    def note_held(self, what: str, rows: Iterable[HeldRow], run_id: str, detail: Mapping[str, Any]) -> None:
        """Append the same kind of event for held records, all or none.

        Each event says beside `detail` what the record is at this moment: `payload_sha256`, `currency` and `amount`.

        Args:
            what: What happened to each, in a few words.
            rows: The records.
            run_id: Airflow's id of the run that it belongs to.
            detail: Anything JSON can carry. Never a secret.
        """
        with self._writing() as connection:
            add_events(connection, [_event(what, row, run_id, detail) for row in rows])

    def held_events(self, what: str, run_id: str, held_ids: Sequence[int]) -> dict[int, EventRow]:
        """The last event of this kind that each held record has of a run, by the record's id."""
        found: dict[int, EventRow] = {}
        with self._reading() as connection:
            for ids in chunks(held_ids, KEYS_PER_QUERY):
                of_run = (events.c.held_id.in_(ids), events.c.run_id == run_id, events.c.what == what)
                found.update((row.held_id, row) for row in find_events(connection, *of_run) if row.held_id is not None)
        return found


def _event(what: str, row: HeldRow, run_id: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    key = RunKey(row.integration, row.instance, row.entity, run_id)
    amount = None if row.amount is None else str(row.amount)
    as_it_is = {"payload_sha256": row.payload_sha256, "currency": row.currency, "amount": amount}
    subject = {"source_key": row.source_key, "held_id": row.id}
    return event_values(key, what, utc_now(), {**detail, **as_it_is}) | subject
