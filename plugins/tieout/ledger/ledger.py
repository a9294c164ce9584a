"""The book of record, put together from its parts."""

from __future__ import annotations

from tieout.ledger.acknowledgements import AcknowledgementStore
from tieout.ledger.alerts import AlertStore
from tieout.ledger.approvals import ApprovalStore
from tieout.ledger.codes import CodeStore
from tieout.ledger.commit import CommitStore
from tieout.ledger.events import EventStore
from tieout.ledger.health import HealthStore
from tieout.ledger.idle import IdleStore
from tieout.ledger.inbound import InboundStore
from tieout.ledger.leases import LeaseStore
from tieout.ledger.numbers import NumberStore
from tieout.ledger.overview import OverviewStore
from tieout.ledger.packed import PackedStore
from tieout.ledger.postings import PostingStore
from tieout.ledger.receivers import ReceiverStore
from tieout.ledger.runs import RunStore
from tieout.ledger.sequences import SequenceStore
from tieout.ledger.sessions import CapabilityStore, SessionStore
from tieout.ledger.summaries import SummaryStore
from tieout.ledger.trace import TraceStore


class Ledger(
    IdleStore,
    RunStore,
    LeaseStore,
    CommitStore,
    PackedStore,
    PostingStore,
    InboundStore,
    SequenceStore,
    NumberStore,
    AcknowledgementStore,
    ReceiverStore,
    AlertStore,
    SessionStore,
    CapabilityStore,
    HealthStore,
    EventStore,
    ApprovalStore,
    TraceStore,
    SummaryStore,
    OverviewStore,
    CodeStore,
):
    """The book of record: what was read, sent, posted, held, and how far; on SQLite or PostgreSQL.

    Every method is one transaction unless its text says otherwise. One object serves all threads of a process, and
    forked children too.

    Example:
        >>> import tempfile
        >>> from tieout.ledger import Ledger, Scope
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Ledger.open(f"sqlite:///{folder.name}/ledger.db", migrate=True) as ledger:
        ...     ledger.entity_version(Scope("sap_b1_to_peakflo", "default", "invoices"))
        0
    """
