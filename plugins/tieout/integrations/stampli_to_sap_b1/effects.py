"""The three kinds of effect in SAP: a journal entry, its cancellation, a supplier's record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tieout.integrations.posting import Found
from tieout.integrations.stampli_to_sap_b1.drafts import PartnerDraft, to_json
from tieout.integrations.stampli_to_sap_b1.partners import partner_changes
from tieout.integrations.stampli_to_sap_b1.references import ETAG
from tieout.ledger import PostingRow
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.journal import (
    find_booked,
    find_drafts,
    find_numbers,
    find_reversal,
    find_without_key,
)
from tieout.systems.sap_b1.writing import Write, Written, entity_path

_MOST_EDITS = 3
_CHANGED = "-2039"
_SOMEBODY_ELSE = (_CHANGED, "-10", "-2035")


class EntryEffects:
    """Journal entries, found again by the posting key in `Reference3`.

    Args:
        client: Reads.
        bodies: Posting id → the entry's JSON.
    """

    in_batches = True

    def __init__(self, client: SapB1Client, bodies: Mapping[int, bytes]) -> None:
        self._client = client
        self._bodies = bodies

    def write(self, posting: PostingRow) -> Write:
        """The entry with its posting key."""
        return Write("POST", "JournalEntries", self._bodies[posting.id])

    def key_of(self, posting: PostingRow, written: Written) -> str | None:
        """`JdtNum`."""
        return written.key

    def look_up(self, postings: Sequence[PostingRow], *, drafts: bool) -> dict[int, Found]:
        """By posting key among the journal entries; then by the other references, and among the drafts."""
        by_key = {posting.posting_key: posting for posting in postings}
        booked = find_numbers(self._client, list(by_key))
        found = {by_key[key].id: Found("done", str(entry.jdt_num), entry.number) for key, entry in booked.items()}
        left = [key for key, posting in by_key.items() if posting.id not in found]
        if drafts and left:
            # SAP's days are the company's; one more on each side covers every time zone.
            earliest = min(posting.sent_at or datetime.now(UTC) for posting in postings) - timedelta(days=2)
            references = {key: (by_key[key].label, by_key[key].source_key) for key in left}
            for key, entry in find_without_key(self._client, references).items():
                found[by_key[key].id] = Found("done", str(entry.jdt_num), entry.number)
            for key, draft in find_drafts(self._client, references, earliest.date()).items():
                found.setdefault(by_key[key].id, Found("awaiting_approval", draft))
        return found

    def reconsider(self, posting: PostingRow, written: Written) -> bool:
        """A refused entry stays refused until its record is tried again."""
        return False


class CancelEffects:
    """Cancellations: SAP books a mirror image of the entry.

    Args:
        client: Reads.
        entries: Cancellation's posting id → the posting of the entry to cancel.
    """

    in_batches = False

    def __init__(self, client: SapB1Client, entries: Mapping[int, PostingRow]) -> None:
        self._client = client
        self._entries = entries

    def write(self, posting: PostingRow) -> Write:
        """The action on the entry."""
        return Write("POST", f"JournalEntries({self._entries[posting.id].target_key})/Cancel")

    def key_of(self, posting: PostingRow, written: Written) -> str | None:
        """The cancelled entry's `JdtNum`: SAP does not tell that of the reversal."""
        return self._entries[posting.id].target_key

    def look_up(self, postings: Sequence[PostingRow], *, drafts: bool) -> dict[int, Found]:
        """By the mirror image."""
        keys = {
            posting.id: self._entries[posting.id].posting_key for posting in postings if posting.id in self._entries
        }
        booked = find_booked(self._client, list(keys.values()))
        found = {}
        for posting in postings:
            entry = booked.get(keys.get(posting.id, ""))
            reversal = None if entry is None else find_reversal(self._client, entry, posting.high_water or 0)
            if entry is not None and reversal is not None:
                found[posting.id] = Found("done", str(entry.entry.jdt_num), reversal.number)
        return found

    def reconsider(self, posting: PostingRow, written: Written) -> bool:
        """A refused cancellation stays refused until its record is tried again."""
        return False


class PartnerEffects:
    """Suppliers: created where SAP has none of that code, else changed in the properties that the mapping owns.

    Args:
        drafts: Posting id → what the supplier shall be.
        current: `CardCode` → what SAP has; kept up to date here.
        read: Reads suppliers anew, by code; those that SAP does not have are missing.
        in_batches: An ETag counts only on the outer request, so changes go one by one; new suppliers go together.
    """

    def __init__(
        self,
        drafts: Mapping[int, PartnerDraft],
        current: dict[str, Mapping[str, Any]],
        read: Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]],
        *,
        in_batches: bool,
    ) -> None:
        self.in_batches = in_batches
        self._drafts = drafts
        self._current = current
        self._read = read
        self._edits: dict[int, int] = {}

    def write(self, posting: PostingRow) -> Write:
        """The whole supplier, or what differs, bound to the version that was read."""
        draft = self._drafts[posting.id]
        known = self._current.get(draft.card_code)
        if known is None:
            return Write("POST", "BusinessPartners", to_json(draft.create))
        body = to_json(partner_changes(draft, known))
        return Write("PATCH", entity_path("BusinessPartners", draft.card_code), body, if_match=known.get(ETAG) or None)

    def key_of(self, posting: PostingRow, written: Written) -> str | None:
        """`CardCode`."""
        return self._drafts[posting.id].card_code

    def look_up(self, postings: Sequence[PostingRow], *, drafts: bool) -> dict[int, Found]:
        """SAP has the supplier, and nothing that the mapping owns differs."""
        codes = [self._drafts[posting.id].card_code for posting in postings if posting.id in self._drafts]
        self._refresh(codes)
        found = {}
        for posting in postings:
            draft = self._drafts.get(posting.id)
            known = self._current.get(draft.card_code) if draft is not None else None
            if draft is not None and known is not None and not partner_changes(draft, known):
                found[posting.id] = Found("done", draft.card_code)
        return found

    def reconsider(self, posting: PostingRow, written: Written) -> bool:
        """Whether somebody else changed or created the supplier meanwhile: then it is compared anew and tried again."""
        if written.code not in _SOMEBODY_ELSE or self._edits.get(posting.id, 0) >= _MOST_EDITS:
            return False
        self._edits[posting.id] = self._edits.get(posting.id, 0) + 1
        draft = self._drafts[posting.id]
        created = draft.card_code not in self._current
        self._refresh([draft.card_code])
        return written.code == _CHANGED or (created and draft.card_code in self._current)

    def _refresh(self, codes: Sequence[str]) -> None:
        found = self._read(codes)
        for code in codes:
            if code in found:
                self._current[code] = found[code]
            else:
                self._current.pop(code, None)
