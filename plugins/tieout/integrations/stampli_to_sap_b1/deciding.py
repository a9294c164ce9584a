"""Where each record of a run goes, judged by what was posted for it before. No effects, no questions to anybody.

The ledger's postings are the memory: the same content again is a duplicate, other content after a posting is a change,
a VOID takes back what was posted. Decided under the lease, so that nobody posts between the judgement and the deed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, Exclude, Hold, PartnerDraft
from tieout.integrations.stampli_to_sap_b1.prepared import PreparedRecord
from tieout.ledger import PostingRow
from tieout.mapping.held import HeldReason

ENTRY: Final = "journal_entry"
CANCELLATION: Final = "cancellation"
PARTNER: Final = "business_partner"

STANDING = ("done", "awaiting_approval")


class Place(StrEnum):
    """Where a record goes."""

    POST = "post"
    CANCEL = "cancel"
    REPOST = "repost"
    POSTED = "posted"  # by an earlier attempt of this very run
    DUPLICATE = "duplicate"
    HELD = "held"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class Decision:
    """Where a record goes, and why.

    Attributes:
        why: A sentence for the log of duplicates and exclusions.
        revision: Which posting of this record it would be, counted from 1.
        standing: The posting that stands for the record in SAP's books, to be cancelled or compared with.
    """

    place: Place
    reasons: tuple[HeldReason, ...] = ()
    why: str = ""
    revision: int = 1
    standing: PostingRow | None = None


PartnerState = Literal["known", "held", "unknown"]


@dataclass(frozen=True)
class Twin:
    """Another record with the same vendor, number and type: posted before, or about to be posted by this run."""

    source_key: str
    fingerprint: str
    journal_entry: str
    currency: str
    amount: Decimal

    @classmethod
    def of(cls, posting: PostingRow) -> Twin:
        """A posting that stands in the books."""
        number = posting.target_number or posting.target_key or "?"
        amount = posting.amount if posting.amount is not None else Decimal(0)
        return cls(posting.source_key, posting.fingerprint, number, posting.currency or "", amount)


@dataclass(frozen=True)
class Circumstances:
    """What a decision depends on beside the record and its history.

    Attributes:
        run_id: This run.
        started_at: When it began, or began again: what it posted since then is its own work.
        on_change: What to do with a change after posting.
        replay: A person asked for held records to be tried again.
        partner: Whether SAP has a supplier, or will not have it because its record is held.
        changes: What an entry that was posted would look like otherwise, in words; empty when it would be the same.
    """

    run_id: str
    started_at: datetime
    on_change: Literal["hold", "repost"]
    replay: bool
    partner: Callable[[str], PartnerState]
    changes: Callable[[PostingRow, EntryDraft], str]


def decide(
    record: PreparedRecord,
    history: Sequence[PostingRow],
    twins: Sequence[Twin],
    discarded: Mapping[str, str],
    now: Circumstances,
) -> Decision:
    """Judge one record.

    Args:
        record: The record with what it would become.
        history: Postings for this record, oldest first.
        twins: Records of the same vendor, number and type that are posted, or about to be.
        discarded: Source key → digest of the payload that a person discarded.
        now: The circumstances.
    """
    if record.repeated:
        return Decision(Place.DUPLICATE, why="its file's bytes were dealt with before")
    if record.followed_by is not None:
        same = record.followed_by == record.content
        why = "it comes again in this run" if same else "a newer revision of it is in this run"
        return Decision(Place.DUPLICATE if same else Place.EXCLUDED, why=why)
    if isinstance(record.draft, PartnerDraft):
        return _partner(record, history, now)
    entries = [posting for posting in history if posting.kind == ENTRY]
    last = entries[-1] if entries else None
    if _mine(last, now) and last is not None and last.fingerprint == record.content:
        return Decision(Place.POSTED, standing=last)
    if isinstance(record.draft, Hold):
        if last is not None and last.state in STANDING and last.fingerprint == record.content:
            return Decision(Place.DUPLICATE, why=f"posted as journal entry {last.target_key}", standing=last)
        return _held(record, record.draft.reasons, discarded)
    if isinstance(record.draft, Exclude):
        return Decision(Place.EXCLUDED, why=record.draft.why)
    decision = _void(record.draft, last, history, now) if record.draft.void else _entry(record, last, twins, now)
    return _held(record, decision.reasons, discarded) if decision.place is Place.HELD else decision


def _held(record: PreparedRecord, reasons: Sequence[HeldReason], discarded: Mapping[str, str]) -> Decision:
    if discarded.get(record.source_key) == record.payload_sha256:
        return Decision(Place.EXCLUDED, why="a person discarded it with this content")
    return Decision(Place.HELD, tuple(reasons))


def _mine(posting: PostingRow | None, now: Circumstances) -> bool:
    return (
        posting is not None
        and posting.state in ("done", "cancelled")
        and posting.settled_run_id == now.run_id
        and posting.settled_at is not None
        and posting.settled_at >= now.started_at
    )


def _partner(record: PreparedRecord, history: Sequence[PostingRow], now: Circumstances) -> Decision:
    last = history[-1] if history else None
    revision = last.revision + 1 if last is not None and last.state == "done" else last.revision if last else 1
    if last is not None and last.state == "done" and last.fingerprint == record.content:
        if _mine(last, now):
            return Decision(Place.POSTED, standing=last)
        return Decision(Place.DUPLICATE, why="SAP has it with this content", standing=last)
    return Decision(Place.POST, revision=revision)


def _void(draft: EntryDraft, last: PostingRow | None, history: Sequence[PostingRow], now: Circumstances) -> Decision:
    cancelled = next((each for each in reversed(history) if each.kind == CANCELLATION), None)
    if cancelled is not None and last is not None and last.state == "cancelled" and _mine(cancelled, now):
        return Decision(Place.POSTED, standing=cancelled)
    if last is None or last.state in ("intended", "refused", "not_sent", "withdrawn"):
        return Decision(Place.EXCLUDED, why="void before it was posted")
    if last.state == "cancelled":
        return Decision(Place.DUPLICATE, why=f"journal entry {last.target_key} is cancelled already", standing=last)
    if last.state == "awaiting_approval":
        return Decision(Place.HELD, (_draft_of_void(draft, last),))
    return Decision(Place.CANCEL, revision=last.revision, standing=last)


def _entry(record: PreparedRecord, last: PostingRow | None, twins: Sequence[Twin], now: Circumstances) -> Decision:
    draft = record.draft
    assert isinstance(draft, EntryDraft)
    if last is not None and last.state in STANDING:
        changes = "" if last.fingerprint == record.content else now.changes(last, draft)
        if last.state == "awaiting_approval":
            reason = _changed(draft, last, changes) if changes else awaiting(_what(draft), last.target_key)
            return Decision(Place.HELD, (reason,), standing=last)
        if not changes:
            return Decision(Place.DUPLICATE, why=f"posted as journal entry {last.target_key}", standing=last)
        if now.on_change == "repost" and draft.approved:
            return _beyond(draft, Decision(Place.REPOST, revision=last.revision + 1, standing=last), now)
        return Decision(Place.HELD, (_changed(draft, last, changes),), standing=last)
    if not draft.approved:
        return Decision(Place.HELD, (_not_approved(draft),))
    if last is not None and last.state == "withdrawn" and not now.replay:
        return Decision(Place.HELD, (_approval_refused(draft),))
    twin = next((each for each in twins if each.source_key != record.source_key), None)
    if twin is not None:
        if twin.fingerprint == record.content:
            why = f"the same invoice as {twin.source_key}, journal entry {twin.journal_entry}"
            return Decision(Place.DUPLICATE, why=why)
        return Decision(Place.HELD, (_same_number(draft, twin),))
    if draft.record_only:
        return Decision(Place.EXCLUDED, why="payments of this method are only recorded")
    revision = 1 if last is None else last.revision + (1 if last.state == "cancelled" else 0)
    return _beyond(draft, Decision(Place.POST, revision=revision), now)


def _beyond(draft: EntryDraft, decision: Decision, now: Circumstances) -> Decision:
    """The vendor must be there."""
    state = now.partner(draft.partner)
    if state == "known":
        return decision
    return Decision(Place.HELD, (_no_vendor(draft, state),))


def _what(draft: EntryDraft) -> str:
    return f"{'Invoice' if draft.entity == 'invoices' else 'Payment'} {draft.number} of vendor {draft.partner}"


def _no_vendor(draft: EntryDraft, state: PartnerState) -> HeldReason:
    if state == "held":
        return HeldReason(
            "VENDOR_HELD",
            f"{_what(draft)} waits for its vendor, whose own record is held.",
            "Repair the vendor's held record; this one follows by itself.",
        )
    return HeldReason(
        "UNKNOWN_VENDOR",
        f"{_what(draft)} cannot be posted: SAP has no supplier {draft.partner}.",
        "Create the supplier in SAP (Business Partners > Business Partner Master Data), export the vendor from "
        "Stampli, or enter its code in vendor_codes.yaml.",
    )


def awaiting(what: str, draft_key: str | None) -> HeldReason:
    """An approval procedure in SAP made a draft instead of the entry."""
    return HeldReason(
        "AWAITING_APPROVAL",
        f"{what} waits in SAP for an approval (draft {draft_key}).",
        "Approve or reject the draft in SAP (Administration > Approval Procedures > Approval Status Report).",
    )


def _approval_refused(draft: EntryDraft) -> HeldReason:
    return HeldReason(
        "APPROVAL_REFUSED",
        f"{_what(draft)} was a draft in SAP that is gone without having become a journal entry: the approval was "
        "refused, or the draft was deleted.",
        "Void the invoice in Stampli, or replay the held record to post it again.",
    )


def _draft_of_void(draft: EntryDraft, last: PostingRow) -> HeldReason:
    return HeldReason(
        "VOID_AWAITING_APPROVAL",
        f"{_what(draft)} is void in Stampli, and waits in SAP for an approval (draft {last.target_key}).",
        "Reject or delete the draft in SAP; the record then settles by itself.",
    )


def _changed(draft: EntryDraft, last: PostingRow, changes: str) -> HeldReason:
    where = f"journal entry {last.target_number or last.target_key}" if last.state == "done" else "a draft in SAP"
    return HeldReason(
        "CHANGED_AFTER_POSTING",
        f"{_what(draft)} came again with other content after it was posted ({where}): {changes}.",
        "Correct the entry in SAP by hand and discard this record, or void the invoice in Stampli and approve it anew.",
    )


def _not_approved(draft: EntryDraft) -> HeldReason:
    return HeldReason(
        "NOT_APPROVED",
        f"{_what(draft)} is not approved in Stampli, so it is not posted.",
        "Approve it in Stampli; the next export settles it.",
    )


def _same_number(draft: EntryDraft, twin: Twin) -> HeldReason:
    return HeldReason(
        "DUPLICATE_INVOICE",
        f"{_what(draft)} has the number of one that was posted already (Stampli {twin.source_key}, journal entry "
        f"{twin.journal_entry}, {twin.currency} {twin.amount}) and other content.",
        "If it is the same invoice, void one of them in Stampli; if not, correct its number there.",
    )
