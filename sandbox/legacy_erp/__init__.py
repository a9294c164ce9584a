"""The parent company's legacy ERP: an inbox that reads fixed-width, X12 and CSV files with readers of its own."""

from sandbox.legacy_erp.inbox import LegacyErpInbox
from sandbox.legacy_erp.postings import Posting, PostingTotals
from sandbox.legacy_erp.received import Document, ReceivedFile
from sandbox.legacy_erp.settings import DocumentRules, Settings
from sandbox.legacy_erp.simulator import LegacyErpSimulator

__all__ = [
    "Document",
    "DocumentRules",
    "LegacyErpInbox",
    "LegacyErpSimulator",
    "Posting",
    "PostingTotals",
    "ReceivedFile",
    "Settings",
]
