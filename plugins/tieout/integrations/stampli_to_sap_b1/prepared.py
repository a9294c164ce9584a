"""The records of a run with what they would become, as `prepare` leaves them in staging for `post`.

<entity>/prepared/drafts.jsonl    one record per line, in the order of <entity>/collected
<entity>/prepared/index.csv       what Great Expectations looks at: one row per record that would be posted
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, Exclude, Hold, PartnerDraft, to_json
from tieout.mapping.held import HeldReason
from tieout.staging import Folder

Draft = EntryDraft | PartnerDraft | Hold | Exclude


@dataclass(frozen=True)
class PreparedRecord:
    """One record and what it would become.

    Attributes:
        content: Digest of what it says; see `content.content_fingerprint`.
        payload_sha256: Digest of its original bytes.
        repeated: Its file's bytes were dealt with before.
        followed_by: Content of a later record of the same key in this run; None for the last one.
    """

    source_key: str
    label: str
    content: str
    payload_sha256: str
    repeated: bool
    followed_by: str | None
    draft: Draft

    def to_json(self) -> bytes:
        """One line; amounts keep their digits."""
        kind = type(self.draft).__name__
        content = {name: getattr(self, name) for name in _FIELDS}
        draft: Any = self.draft
        if isinstance(draft, EntryDraft):
            draft = {**vars(draft), "amount": str(draft.amount)}
        return to_json({**content, "kind": kind, "draft": draft})

    @classmethod
    def from_json(cls, line: bytes) -> PreparedRecord:
        """From one line."""
        row: dict[str, Any] = json.loads(line, parse_float=Decimal)
        kind, draft = row.pop("kind"), row.pop("draft")
        return cls(**row, draft=_draft(kind, draft))


_FIELDS = ("source_key", "label", "content", "payload_sha256", "repeated", "followed_by")


def _draft(kind: str, row: Mapping[str, Any]) -> Draft:
    if kind == "Hold":
        return Hold(tuple(HeldReason(**reason) for reason in row["reasons"]))
    if kind == "Exclude":
        return Exclude(**row)
    if kind == "PartnerDraft":
        return PartnerDraft(**row)
    return EntryDraft(**{**row, "amount": Decimal(row["amount"])})


def read_prepared(staging: Folder, entity: str) -> Iterator[PreparedRecord]:
    """The prepared records of an entity, in order."""
    with (staging / entity / "prepared" / "drafts.jsonl").open("rb") as file:
        for line in file:
            yield PreparedRecord.from_json(line)
