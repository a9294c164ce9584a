"""The book of record: runs, files, postings, delivered records, held records, numbers, leases, sessions, audit trail.

Start at `Ledger.open(url, migrate=True)`. Knows nothing of Airflow.
"""

from tieout.ledger.acknowledgements import AcknowledgementRow, AcknowledgementState
from tieout.ledger.alerts import AlertMessage, AlertNotice, AlertRow, MessageDraft
from tieout.ledger.health import ConnectionState
from tieout.ledger.leases import Lease
from tieout.ledger.ledger import Ledger
from tieout.ledger.numbers import NumberRow
from tieout.ledger.overview import LastRun, OpenHeld, Sent
from tieout.ledger.receivers import ReceiverRow, ReceiverState
from tieout.ledger.rows import (
    DeliveredFile,
    EntityOutcome,
    EventRow,
    FileDraft,
    FileRecord,
    FileRow,
    Filters,
    HeldDetail,
    HeldDraft,
    HeldRow,
    IdleRun,
    Places,
    PostingDraft,
    PostingKind,
    PostingResult,
    PostingRow,
    PostingState,
    RunKey,
    RunRow,
    RunVerdict,
    Scope,
    SessionRow,
)
from tieout.ledger.summaries import HeldSummary
from tieout.ledger.tally import Tally, Totals, decimal_text, totals_text

__all__ = [
    "AcknowledgementRow",
    "AcknowledgementState",
    "AlertMessage",
    "AlertNotice",
    "AlertRow",
    "ConnectionState",
    "DeliveredFile",
    "EntityOutcome",
    "EventRow",
    "FileDraft",
    "FileRecord",
    "FileRow",
    "Filters",
    "HeldDetail",
    "HeldDraft",
    "HeldRow",
    "HeldSummary",
    "IdleRun",
    "LastRun",
    "Lease",
    "Ledger",
    "MessageDraft",
    "NumberRow",
    "OpenHeld",
    "Places",
    "PostingDraft",
    "PostingKind",
    "PostingResult",
    "PostingRow",
    "PostingState",
    "ReceiverRow",
    "ReceiverState",
    "RunKey",
    "RunRow",
    "RunVerdict",
    "Scope",
    "Sent",
    "SessionRow",
    "Tally",
    "Totals",
    "decimal_text",
    "totals_text",
]
