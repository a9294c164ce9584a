"""A run's records with their decisions, some hundred at a time: what `prepare` previews and `post` carries out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1.deciding import (
    STANDING,
    Circumstances,
    Decision,
    PartnerState,
    Place,
    Twin,
    decide,
)
from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, Hold, PartnerDraft
from tieout.integrations.stampli_to_sap_b1.prepared import PreparedRecord, read_prepared
from tieout.integrations.stampli_to_sap_b1.references import SUPPLIER, References
from tieout.integrations.stampli_to_sap_b1.staged import StagedRecord, read_staged
from tieout.ledger import Ledger, PostingRow
from tieout.mapping.held import HeldReason
from tieout.staging import Folder

CHUNK = 500
EXPECTATION_NOT_MET = "EXPECTATION_NOT_MET"


@dataclass(frozen=True)
class Judged:
    """A record, what it would become, and where it goes."""

    staged: StagedRecord
    prepared: PreparedRecord
    decision: Decision


class Partners:
    """Which suppliers SAP has, and which it will not have because their records are held."""

    def __init__(self, references: References, ledger: Ledger, run: Run) -> None:
        self._ledger = ledger
        self._scope = run.scope("vendors")
        self.known = {code for code, row in references.suppliers.items() if row.get("CardType") == SUPPLIER}
        waiting = ledger.open_held_keys(self._scope)
        self.held = {references.card_codes.get(key, key) for key in waiting}

    def state(self, code: str) -> PartnerState:
        """Whether entries for it can be posted."""
        if code not in self.known and self._was_posted(code):
            self.known.add(code)
        if code in self.known:
            return "known"
        return "held" if code in self.held else "unknown"

    def _was_posted(self, code: str) -> bool:
        """Whether we made the supplier ourselves, perhaps after SAP was asked: an earlier attempt of this run did."""
        made = self._ledger.postings_by_identity(self._scope, [code]).get(code, ())
        return any(posting.state == "done" for posting in made)

    def note(self, judged: Judged, references: References) -> None:
        """Learn from a vendor's record where it went, or is about to go."""
        record = judged.prepared
        if isinstance(record.draft, PartnerDraft):
            code = record.draft.card_code
        else:
            code = references.card_codes.get(record.source_key, record.source_key)
        if judged.decision.place in (Place.POST, Place.POSTED, Place.DUPLICATE):
            self.known.add(code)
            self.held.discard(code)
        elif judged.decision.place is Place.HELD:
            self.held.add(code)


class Judge:
    """Judges an entity's records in order.

    Args:
        run: The run.
        entity: Whose records.
        ledger: Remembers what was posted.
        staging: The run's folder.
        circumstances: What else decisions depend on.
        unfit: Source key → why the batch's expectations do not hold for it.
    """

    def __init__(
        self,
        run: Run,
        entity: str,
        ledger: Ledger,
        staging: Folder,
        circumstances: Circumstances,
        unfit: Mapping[str, str],
    ) -> None:
        self._scope = run.scope(entity)
        self._entity = entity
        self._ledger = ledger
        self._staging = staging
        self._now = circumstances
        self._unfit = unfit
        self._planned: dict[str, Twin] = {}

    def chunks(self) -> Iterator[list[tuple[StagedRecord, PreparedRecord]]]:
        """The records, some hundred at a time."""
        pairs = zip(read_staged(self._staging, self._entity), read_prepared(self._staging, self._entity), strict=True)
        while chunk := list(islice(pairs, CHUNK)):
            yield chunk

    def judge(self, chunk: Sequence[tuple[StagedRecord, PreparedRecord]]) -> list[Judged]:
        """Decide where the records of a chunk go, by what the ledger knows now."""
        keys = [record.source_key for _, record in chunk]
        history = self._ledger.postings_of(self._scope, keys)
        identities = [record.draft.identity for _, record in chunk if isinstance(record.draft, EntryDraft)]
        twins = self._ledger.postings_by_identity(self._scope, identities)
        discarded = self._ledger.discarded_payloads(self._scope, keys)
        judged = []
        for staged, record in chunk:
            record = self._with_expectations(record)
            decision = decide(
                record, history.get(record.source_key, []), self._twins(record, twins), discarded, self._now
            )
            if decision.place in (Place.POST, Place.REPOST) and isinstance(record.draft, EntryDraft):
                draft = record.draft
                self._planned[draft.identity] = Twin(
                    record.source_key, record.content, "of this run", draft.currency, draft.amount
                )
            judged.append(Judged(staged, record, decision))
        return judged

    def _with_expectations(self, record: PreparedRecord) -> PreparedRecord:
        why = self._unfit.get(record.source_key)
        if why is None or isinstance(record.draft, Hold):
            return record
        hint = "Correct the record in Stampli, or the expectation in include/quality."
        return replace(record, draft=Hold((HeldReason(EXPECTATION_NOT_MET, why, hint),)))

    def _twins(self, record: PreparedRecord, posted: Mapping[str, Sequence[PostingRow]]) -> list[Twin]:
        if not isinstance(record.draft, EntryDraft):
            return []
        identity = record.draft.identity
        found = [Twin.of(posting) for posting in posted.get(identity, ()) if posting.state in STANDING]
        planned = self._planned.get(identity)
        return found if planned is None else [*found, planned]
