"""What makes a record another one: a digest of its content that matters to the books.

It is made from the record as Stampli sent it and not from the entry that it becomes, so that a new exchange rate or a
renamed account in SAP does not make an invoice look changed.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

from tieout.systems.stampli import SourceRecord

# What Stampli changes by itself while an invoice takes its way, and the record's own id: the same invoice entered
# twice has two of them.
_NOT_CONTENT = {
    "invoices": frozenset(
        ("stampli_invoice_id", "status", "approved_at", "approvers", "document_url", "terms", "vendor_name")
    ),
    "payments": frozenset(("payment_id", "status")),
    "vendors": frozenset(("updated_at",)),
}


def content_fingerprint(record: SourceRecord) -> str:
    """SHA-256 (hex) of what a record says, apart from its own id and its status."""
    without = _NOT_CONTENT[record.entity]
    content = {
        "header": {name: _plain(value) for name, value in record.header.items() if name not in without},
        "lines": [{name: _plain(value) for name, value in line.items()} for line in record.lines],
    }
    if record.problem is not None and record.problem.reason_code != "HEADER_MISMATCH":
        # What could not be read is not in the header: then the bytes are the content.
        content["payload"] = hashlib.sha256(record.payload).hexdigest()
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Equal amounts are equal content, however many zeros they end in."""
    return str(value.normalize()) if isinstance(value, Decimal) and value else "0" if value == 0 else value
