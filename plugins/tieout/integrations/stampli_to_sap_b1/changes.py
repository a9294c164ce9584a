"""What a journal entry would look like otherwise than the one that was posted, for the person who has to decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, entry_fingerprint
from tieout.ledger import Ledger, PostingRow

_MOST = 4


def changes(ledger: Ledger, posting: PostingRow, draft: EntryDraft) -> str:
    """The differences in words; empty when the entry would be the same.

    Args:
        ledger: Has the entry as it was posted.
        posting: It.
        draft: What the record would become now.
    """
    if draft.body is None:
        return f"it was {posting.currency} {posting.amount}, is {draft.currency} {draft.amount}"
    body: dict[str, Any] = json.loads(ledger.posting_bodies([posting.id])[posting.id], parse_float=Decimal)
    body.pop("Reference3", None)
    if entry_fingerprint(body, void=False, total=(draft.currency, draft.amount)) == draft.fingerprint:
        return ""
    found = [
        f"{name} was {body.get(name)}, is {draft.body.get(name)}"
        for name in dict.fromkeys((*body, *draft.body))
        if name != "JournalEntryLines" and body.get(name) != draft.body.get(name)
    ]
    before, after = body["JournalEntryLines"], draft.body["JournalEntryLines"]
    found += [
        f"line {number} was {_line(old)}, is {_line(new)}"
        for number, (old, new) in enumerate(zip(before, after, strict=False), start=1)
        if old != new
    ]
    if len(before) != len(after):
        found.append(f"it had {len(before)} lines, has {len(after)}")
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return "; ".join(found[:_MOST]) + more


def _line(line: Mapping[str, Any]) -> str:
    """Account or partner, side, amount, and what it is charged to."""
    foreign = "FC" if "FCCurrency" in line else ""
    side = "Debit" if line.get(f"{foreign}Debit") else "Credit"
    parts = [line.get("ShortName") or line.get("AccountCode"), side.lower(), line.get(f"{foreign}{side}")]
    parts += [line.get(name) for name in ("CostingCode", "ProjectCode", "TaxGroup", "TaxCode", "LineMemo")]
    return " ".join(str(part) for part in parts if part not in (None, ""))
