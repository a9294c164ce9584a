"""Held records in a ledger, as runs leave them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tieout.ledger import EntityOutcome, HeldDraft, HeldRow, Ledger, RunKey, Tally

Amount = tuple[str, str] | None
"""Amount and currency; None where nobody can tell."""


def hold(book: Ledger, key: RunKey, records: Mapping[str, Amount], *, payload: bytes = b"{}") -> dict[str, HeldRow]:
    """One run that holds these source keys and sends nothing; the rows by source key."""
    tally = Tally()
    for amount in records.values():
        tally.add_record(*(amount[1], Decimal(amount[0])) if amount else (None, None))
    book.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    book.record_extracted(key, tally)
    book.record_prepared(key, to_send=Tally(), held=tally, duplicate=Tally(), excluded=Tally(), mapping_version="1")
    drafts = [_draft(source_key, amount, payload) for source_key, amount in records.items()]
    with book.acquire(key.scope, "test") as lease:
        outcome = EntityOutcome(held=drafts, tally=Tally())
        book.commit_entity(key, token=lease.token, base_version=book.entity_version(key.scope), outcome=outcome)
    book.finish_run(key, ties_out=True)
    return {row.source_key: row for row in book.open_held(key.scope)}


def _draft(source_key: str, amount: Amount, payload: bytes) -> HeldDraft:
    return HeldDraft(
        source_key=source_key,
        reason_code="LINE_SUM_MISMATCH",
        message="The lines do not add up to the total.",
        fix_hint="Correct the document.",
        owner="finance",
        payload=payload,
        currency=amount[1] if amount else None,
        amount=Decimal(amount[0]) if amount else None,
        label=f"number {source_key}",
    )
