"""Carrying out the decisions on one entity's records, under the company's lease."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any

from tieout.config import StampliToSapB1
from tieout.integrations.posting import Poster, posting_key
from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1.deciding import (
    CANCELLATION,
    ENTRY,
    PARTNER,
    Circumstances,
    Decision,
    Place,
    awaiting,
)
from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, PartnerDraft, to_json
from tieout.integrations.stampli_to_sap_b1.effects import CancelEffects, EntryEffects, PartnerEffects
from tieout.integrations.stampli_to_sap_b1.judging import Judge, Judged, Partners
from tieout.integrations.stampli_to_sap_b1.partners import partner_changes
from tieout.integrations.stampli_to_sap_b1.references import References, read_suppliers
from tieout.integrations.stampli_to_sap_b1.staged import StagedRecord
from tieout.ledger import HeldDraft, Lease, Ledger, PostingDraft, PostingResult, PostingRow, Tally
from tieout.mapping.held import HeldReason
from tieout.staging import Folder
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.journal import newest_entry
from tieout.systems.sap_b1.refusals import explain

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """Where an entity's records went: counts and money."""

    posted: Tally = field(default_factory=Tally)
    held: Tally = field(default_factory=Tally)
    duplicate: Tally = field(default_factory=Tally)
    excluded: Tally = field(default_factory=Tally)
    settled: list[str] = field(default_factory=list)

    def count(self, place: str, staged: StagedRecord) -> None:
        """One record into one place."""
        tally: Tally = getattr(self, place)
        tally.add_record(staged.currency, staged.amount)

    def as_json(self) -> dict[str, int]:
        """Counts for Airflow's page."""
        return {name: getattr(self, name).count for name in ("posted", "held", "duplicate", "excluded")}


class EntityPosting:
    """Posts one entity.

    Args:
        run: The run.
        config: The instance.
        entity: vendors, invoices or payments.
        company: The company in SAP; part of every posting key.
        references: What SAP had when the records were prepared.
        partners: Suppliers known so far; vendors add theirs.
        ledger: The book of record.
        lease: On the company.
        client: Writes to SAP.
        staging: The run's folder.
        circumstances: For the decisions.
        unfit: Source key → why the batch's expectations do not hold.
    """

    def __init__(
        self,
        *,
        run: Run,
        config: StampliToSapB1,
        entity: str,
        company: str,
        references: References,
        partners: Partners,
        ledger: Ledger,
        lease: Lease,
        client: Callable[[], SapB1Client],
        staging: Folder,
        circumstances: Circumstances,
        unfit: Mapping[str, str],
    ) -> None:
        self._run = run
        self._config = config
        self._entity = entity
        self._company = company
        self._references = references
        self._partners = partners
        self._ledger = ledger
        self._lease = lease
        self._client = client
        self._key = run.key(entity)
        self._scope = run.scope(entity)
        self._judge = Judge(run, entity, ledger, staging, circumstances, unfit)
        self._held_path = staging / entity / "held.jsonl"
        self._open = set(ledger.open_held_keys(self._scope))
        self._current: dict[str, Mapping[str, Any]] = dict(references.suppliers)
        self.outcome = Outcome()

    def carry_out(self) -> None:
        """Settle what earlier attempts left open, then post, hold and count every record.

        Raises:
            SourceUnavailable: SAP cannot serve, or did not reply; the next attempt goes on from here.
            Superseded: another run has taken over.
        """
        self._settle_leftovers()
        with self._held_path.open("wb") as held:
            for chunk in self._judge.chunks():
                self._settle_approvals([record.source_key for _, record in chunk])
                for judged, place, reasons in self._done(self._judge.judge(chunk)):
                    self._count(judged, place)
                    if place is Place.HELD:
                        held.write(_held_line(judged, reasons))

    def held(self) -> Iterator[HeldDraft]:
        """What was held, for the commit."""
        with self._held_path.open("rb") as file:
            for line in file:
                row = json.loads(line)
                amount = row.pop("amount")
                payload = base64.b64decode(row.pop("payload"))
                yield HeldDraft(**row, payload=payload, amount=None if amount is None else Decimal(amount))

    # -- what earlier attempts left --------------------------------------------------------------------------------

    def _settle_leftovers(self) -> None:
        left = self._ledger.unsettled_postings(self._scope)
        if not left:
            return
        log.info("%s: %s postings of an interrupted attempt are looked up in SAP first.", self._entity, len(left))
        poster = self._poster()
        entries = [posting for posting in left if posting.kind == ENTRY]
        if entries:
            poster.settle_leftovers(entries, EntryEffects(self._client(), {}))
        cancellations = [posting for posting in left if posting.kind == CANCELLATION]
        if cancellations:
            poster.settle_leftovers(cancellations, CancelEffects(self._client(), self._cancelled_by(cancellations)))
        partners = [posting for posting in left if posting.kind == PARTNER]
        if partners:
            # Creating or changing a supplier again does no harm: what SAP has is compared first.
            poster.settle_leftovers(partners, PartnerEffects({}, {}, lambda codes: {}, in_batches=False))

    def _cancelled_by(self, cancellations: Sequence[PostingRow]) -> dict[int, PostingRow]:
        history = self._ledger.postings_of(self._scope, [posting.source_key for posting in cancellations])
        return {
            posting.id: entry
            for posting in cancellations
            for entry in history[posting.source_key]
            if entry.kind == ENTRY and entry.revision == posting.revision
        }

    def _settle_approvals(self, keys: Sequence[str]) -> None:
        """Entries that wait for an approval: approved ones are posted, and those whose draft is gone were refused."""
        history = self._ledger.postings_of(self._scope, keys)
        waiting = [posting for rows in history.values() for posting in rows if posting.state == "awaiting_approval"]
        if not waiting:
            return
        found = EntryEffects(self._client(), {}).look_up(waiting, drafts=True)
        results = []
        for posting in waiting:
            there = found.get(posting.id)
            if there is None:
                results.append(PostingResult(posting.id, "withdrawn", message="its draft is gone without an entry"))
            elif there.state == "done":
                results.append(PostingResult(posting.id, "done", there.key, there.number))
        if results:
            self._ledger.settle_postings(self._key, results, lease=self._lease)

    # -- carrying out -----------------------------------------------------------------------------------------------

    def _done(self, chunk: Sequence[Judged]) -> Iterator[tuple[Judged, Place, tuple[HeldReason, ...]]]:
        """Each record with the place where it ended."""
        chunk = [self._compared(judged) for judged in chunk]
        refused: dict[str, HeldReason] = {}
        to_cancel = [judged for judged in chunk if judged.decision.place in (Place.CANCEL, Place.REPOST)]
        refused.update(self._cancel(to_cancel))
        to_post = [
            judged
            for judged in chunk
            if judged.decision.place in (Place.POST, Place.REPOST) and judged.staged.source_key not in refused
        ]
        refused.update(self._post_partners(to_post) if self._entity == "vendors" else self._post_entries(to_post))
        for judged in chunk:
            place, reasons = judged.decision.place, judged.decision.reasons
            if place in (Place.POST, Place.CANCEL, Place.REPOST):
                reason = refused.get(judged.staged.source_key)
                place, reasons = (Place.POSTED, ()) if reason is None else (Place.HELD, (reason,))
            if self._entity == "vendors":
                self._partners.note(Judged(judged.staged, judged.prepared, _moved(judged, place)), self._references)
            yield judged, place, reasons

    def _compared(self, judged: Judged) -> Judged:
        """A supplier that SAP has just so already needs no posting."""
        draft = judged.prepared.draft
        if judged.decision.place is not Place.POST or not isinstance(draft, PartnerDraft):
            return judged
        known = self._current.get(draft.card_code)
        if known is None or partner_changes(draft, known):
            return judged
        why = "SAP has it just so"
        return Judged(judged.staged, judged.prepared, replace(judged.decision, place=Place.DUPLICATE, why=why))

    def _cancel(self, judged: Sequence[Judged]) -> dict[str, HeldReason]:
        """Source key → why the cancellation was refused."""
        if not judged:
            return {}
        newest = newest_entry(self._client())
        standing = {each.staged.source_key: each.decision.standing for each in judged}
        drafts = [
            PostingDraft(
                source_key=each.staged.source_key,
                label=each.staged.label,
                kind=CANCELLATION,
                revision=entry.revision,
                posting_key=self._posting_key(each, CANCELLATION, entry.revision),
                identity=entry.identity,
                fingerprint=each.prepared.content,
                currency=entry.currency,
                amount=entry.amount,
                body=b"",
                high_water=newest,
            )
            for each in judged
            if (entry := standing[each.staged.source_key]) is not None
        ]
        postings = self._ledger.intend(self._key, drafts, lease=self._lease)
        entries = {posting.id: row for posting in postings if (row := standing[posting.source_key]) is not None}
        results = self._poster().post(postings, CancelEffects(self._client(), entries))
        return self._refusals(postings, results, "cancellation")

    def _post_entries(self, judged: Sequence[Judged]) -> dict[str, HeldReason]:
        """Source key → why SAP refused it, or waits."""
        if not judged:
            return {}
        drafts = [self._entry_draft(each) for each in judged]
        postings = self._ledger.intend(self._key, drafts, lease=self._lease)
        bodies = {posting.id: draft.body for posting, draft in zip(postings, drafts, strict=True)}
        results = self._poster().post(postings, EntryEffects(self._client(), bodies))
        return self._refusals(postings, results, "journal entry")

    def _entry_draft(self, judged: Judged) -> PostingDraft:
        draft, revision = judged.prepared.draft, judged.decision.revision
        assert isinstance(draft, EntryDraft)
        key = self._posting_key(judged, ENTRY, revision)
        return PostingDraft(
            source_key=judged.staged.source_key,
            label=judged.staged.label,
            kind=ENTRY,
            revision=revision,
            posting_key=key,
            identity=draft.identity,
            fingerprint=judged.prepared.content,
            currency=draft.currency,
            amount=judged.staged.amount,
            body=to_json({**(draft.body or {}), "Reference3": key}),
        )

    def _post_partners(self, judged: Sequence[Judged]) -> dict[str, HeldReason]:
        """New suppliers together, changed ones one by one."""
        refused: dict[str, HeldReason] = {}
        for new in (True, False):
            some = [each for each in judged if (self._card_code(each) not in self._current) is new]
            if not some:
                continue
            drafts = {each.staged.source_key: each.prepared.draft for each in some}
            postings = self._ledger.intend(self._key, [self._partner_draft(each) for each in some], lease=self._lease)
            wanted = {
                posting.id: draft
                for posting in postings
                if isinstance(draft := drafts[posting.source_key], PartnerDraft)
            }
            # What `partner_changes` compares: the owned properties, and `Valid`, which goes with `Frozen`.
            properties = {"Valid", *(name for draft in wanted.values() for name in draft.owned)}
            read = partial(self._read_suppliers, properties)
            effects = PartnerEffects(wanted, self._current, read, in_batches=new)
            refused.update(self._refusals(postings, self._poster().post(postings, effects), "business partner"))
        return refused

    def _read_suppliers(self, properties: set[str], codes: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return read_suppliers(self._client(), codes, properties)

    def _partner_draft(self, judged: Judged) -> PostingDraft:
        draft, revision = judged.prepared.draft, judged.decision.revision
        assert isinstance(draft, PartnerDraft)
        return PostingDraft(
            source_key=judged.staged.source_key,
            label=judged.staged.label,
            kind=PARTNER,
            revision=revision,
            posting_key=self._posting_key(judged, PARTNER, revision),
            identity=draft.card_code,
            fingerprint=judged.prepared.content,
            currency=None,
            amount=None,
            body=to_json(draft.create),
        )

    def _card_code(self, judged: Judged) -> str:
        draft = judged.prepared.draft
        assert isinstance(draft, PartnerDraft)
        return draft.card_code

    def _posting_key(self, judged: Judged, kind: str, revision: int) -> str:
        draft = judged.prepared.draft
        standing = judged.decision.standing
        identity = draft.identity if isinstance(draft, EntryDraft) else ""
        if kind == CANCELLATION and standing is not None:
            identity = standing.identity
        source = (self._run.integration, self._run.instance, self._company, self._entity, identity)
        return posting_key(*source, judged.staged.source_key, kind=kind, revision=revision)

    def _refusals(
        self, postings: Sequence[PostingRow], results: Mapping[int, PostingResult], kind: str
    ) -> dict[str, HeldReason]:
        reasons = {}
        for posting in postings:
            result = results[posting.id]
            if result.state == "refused":
                refusal = explain(result.code, result.message, kind=kind, source="Stampli")
                reasons[posting.source_key] = HeldReason(
                    refusal.reason_code, refusal.sentence, refusal.fix_hint, refusal.owner
                )
            elif result.state == "awaiting_approval":
                reasons[posting.source_key] = awaiting(posting.label, result.target_key)
        return reasons

    def _poster(self) -> Poster:
        return Poster(self._ledger, self._key, self._lease, self._client(), self._config.posting)

    def _count(self, judged: Judged, place: Place) -> None:
        self.outcome.count(place.value, judged.staged)
        record = judged.prepared
        # What only repeats another record says nothing of whether that one is held.
        counts = not record.repeated and record.followed_by is None
        if counts and place is not Place.HELD and record.source_key in self._open:
            self.outcome.settled.append(record.source_key)
        if place in (Place.DUPLICATE, Place.EXCLUDED):
            log.info("%s %s: %s, %s.", self._entity, judged.staged.label, place.value, judged.decision.why)


def _moved(judged: Judged, place: Place) -> Decision:
    return replace(judged.decision, place=place)


def _held_line(judged: Judged, reasons: Sequence[HeldReason]) -> bytes:
    staged = judged.staged
    row = {
        "source_key": staged.source_key,
        "label": staged.label,
        "reason_code": reasons[0].reason_code,
        "message": " ".join(dict.fromkeys(reason.message for reason in reasons)),
        "fix_hint": " ".join(dict.fromkeys(reason.fix_hint for reason in reasons)),
        "owner": reasons[0].owner,
        "payload": base64.b64encode(staged.payload).decode(),
        "content_type": staged.content_type,
        "currency": staged.currency,
        "amount": None if staged.amount is None else str(staged.amount),
    }
    return json.dumps(row).encode() + b"\n"
