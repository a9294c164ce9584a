"""What goes into the ledger and what comes out of it, as plain values.

`as_json()` gives the rows that the command line and the Tieout page show.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from tieout.ledger.columns import iso_z, plain_json
from tieout.ledger.tally import Tally, Totals, totals_text


@dataclass(frozen=True)
class Scope:
    """One entity of one instance of one integration: what has its own watermark, lease and version."""

    integration: str
    instance: str
    entity: str

    def __str__(self) -> str:
        return f"{self.entity} of {self.integration} ({self.instance})"


@dataclass(frozen=True)
class RunKey:
    """One run of one scope."""

    integration: str
    instance: str
    entity: str
    run_id: str

    @property
    def scope(self) -> Scope:
        """The scope that this run works on."""
        return Scope(self.integration, self.instance, self.entity)

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.scope}"


@dataclass(frozen=True)
class Filters:
    """Narrows a list; what is None does not narrow.

    Attributes:
        since: Aware; runs by their start, files by when they were prepared, held records by when last seen, postings
            by when they last changed.
        status: A run's status, a file's or a posting's state or a held record's status.
        search: What people look for: files by how their name or path begins, or by the source key or label of a record
            in them; held records by how their source key or label begins. Runs and postings it does not narrow.
        within: Only these pairs of integration and instance.
        mode: A run's mode; nothing else has one.
        ties_out: Of a run: whether it is proved to tie out, which one without a verdict is not.
    """

    integration: str | None = None
    instance: str | None = None
    entity: str | None = None
    run_id: str | None = None
    since: datetime | None = None
    status: str | None = None
    search: str | None = None
    within: frozenset[tuple[str, str]] | None = None
    mode: str | None = None
    ties_out: bool | None = None


@dataclass(frozen=True)
class RunRow:
    """A run of one entity: what it read, and where every record went."""

    id: int
    integration: str
    instance: str
    entity: str
    run_id: str
    attempt: int
    mode: str
    dry_run: bool
    status: str
    stage: str
    interval_start: datetime | None
    interval_end: datetime | None
    window: Mapping[str, Any]
    mapping_version: str
    extracted: int
    source_totals: Totals
    to_send: int
    to_send_totals: Totals
    delivered: int
    posted: int
    target_totals: Totals
    held: int
    held_totals: Totals
    duplicate: int
    duplicate_totals: Totals
    excluded: int
    excluded_totals: Totals
    ties_out: bool | None
    message: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def key(self) -> RunKey:
        """The run's key."""
        return RunKey(self.integration, self.instance, self.entity, self.run_id)

    @property
    def previewed(self) -> int:
        """Records that a dry run would have sent; 0 in a real run."""
        return self.to_send if self.dry_run else 0

    def tally(self, place: str) -> Tally:
        """Counts and money of one place: extracted, to_send, delivered, posted, held, duplicate or excluded."""
        names = {"extracted": "source_totals", "delivered": "target_totals", "posted": "target_totals"}
        return Tally(getattr(self, place), dict(getattr(self, names.get(place, f"{place}_totals"))))

    def as_json(self) -> dict[str, Any]:
        """The row as `bin/tieout runs --json` prints it."""
        return {
            "integration": self.integration,
            "instance": self.instance,
            "entity": self.entity,
            "run_id": self.run_id,
            "interval_start": iso_z(self.interval_start),
            "interval_end": iso_z(self.interval_end),
            "extracted": self.extracted,
            "delivered": self.delivered,
            "posted": self.posted,
            "held": self.held,
            "duplicate": self.duplicate,
            "excluded": self.excluded,
            "previewed": self.previewed,
            "source_totals": totals_text(self.source_totals),
            "target_totals": totals_text(self.target_totals),
            "held_totals": totals_text(self.held_totals),
            "duplicate_totals": totals_text(self.duplicate_totals),
            "excluded_totals": totals_text(self.excluded_totals),
            "ties_out": bool(self.ties_out),
            "status": self.status,
            "mode": self.mode,
            "message": self.message,
            "started_at": iso_z(self.started_at),
            "ended_at": iso_z(self.ended_at),
        }


@dataclass(frozen=True)
class Places:
    """Where the extracted records of a run go, before anything is sent.

    Attributes:
        to_send: What is to be sent; in a dry run, what would have been.
    """

    to_send: Tally = field(default_factory=Tally)
    held: Tally = field(default_factory=Tally)
    duplicate: Tally = field(default_factory=Tally)
    excluded: Tally = field(default_factory=Tally)


class RunVerdict(NamedTuple):
    """Whether a run ties out, and why not."""

    ties_out: bool
    message: str = ""


@dataclass(frozen=True)
class IdleRun:
    """A run that found nothing to do at its source.

    Attributes:
        window: What it read from the source; JSON values.
        watermark: The new watermark; None leaves the old one alone (backfill).
        base: The watermark that it had read from; None where there was none.
        duplicate: Records that were delivered before.
        excluded: Records that are not to be delivered.
    """

    window: Mapping[str, Any]
    watermark: Mapping[str, Any] | None = None
    base: Mapping[str, Any] | None = None
    duplicate: int = 0
    excluded: int = 0


class FileRecord(NamedTuple):
    """One source record inside a file.

    Attributes:
        fingerprint: Digest of the record's content as it is written.
        label: What people call the record, such as its invoice number; may be empty.
        byte_start: Offset of its first byte in the file.
        byte_end: Offset after its last byte.
    """

    source_key: str
    fingerprint: str
    label: str
    byte_start: int
    byte_end: int


@dataclass(frozen=True)
class FileDraft:
    """A file about to be entered as prepared, with its records."""

    file_name: str
    remote_path: str
    local_uri: str
    bytes: int
    sha256: str
    records: int
    control_totals: Mapping[str, Any] = field(default_factory=dict)
    file_records: Sequence[FileRecord] = ()
    kind: str = "data"


@dataclass(frozen=True)
class FileRow:
    """A file that was or will be sent, or that was collected from a source.

    Attributes:
        state: preparing, prepared, sending, verified, delivered, refused or abandoned; of an inbound file collected,
            settled, archived or left.
        verification: The rung reached: size, server_hash or read_back; None before, and for inbound files.
        kind: What it is to its run: data, manifest, trigger …, inbound.
        source_mtime: Of an inbound file: when it was last changed at the source, seconds since 1970.
        archive_path: Of an inbound file: where it was moved at the source.
        acknowledgement: Of a delivered file that its receiver acknowledges: sent, accepted, accepted_with_errors,
            partially_accepted, rejected or overdue; None where no answer is expected.
    """

    id: int
    integration: str
    instance: str
    entity: str
    run_id: str
    kind: str
    file_name: str
    remote_path: str
    temp_path: str | None
    local_uri: str
    bytes: int
    sha256: str
    records: int
    control_totals: Mapping[str, Any]
    state: str
    verification: str | None
    message: str
    created_at: datetime
    updated_at: datetime
    delivered_at: datetime | None
    source_mtime: int | None = None
    archive_path: str | None = None
    acknowledgement: str | None = None

    @property
    def key(self) -> RunKey:
        """The run that made the file, or collected it last."""
        return RunKey(self.integration, self.instance, self.entity, self.run_id)

    def as_json(self) -> dict[str, Any]:
        """The row as `bin/tieout files --json` prints it."""
        return {
            "integration": self.integration,
            "instance": self.instance,
            "entity": self.entity,
            "run_id": self.run_id,
            "file_name": self.file_name,
            "remote_path": self.remote_path,
            "bytes": self.bytes,
            "records": self.records,
            "sha256": self.sha256,
            "control_totals": plain_json(self.control_totals),
            "verification": self.verification,
            "status": self.state,
            "delivered_at": iso_z(self.delivered_at),
            "acknowledgement": self.acknowledgement,
        }


@dataclass(frozen=True)
class EventRow:
    """One line of the audit trail."""

    id: int
    at: datetime
    integration: str
    instance: str
    entity: str
    run_id: str
    what: str
    source_key: str | None
    file_id: int | None
    held_id: int | None
    detail: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The event for `trace` and `held show`."""
        return {
            "at": iso_z(self.at),
            "integration": self.integration,
            "instance": self.instance,
            "entity": self.entity,
            "run_id": self.run_id,
            "what": self.what,
            "source_key": self.source_key,
            "file_id": self.file_id,
            "held_id": self.held_id,
            "detail": plain_json(self.detail),
        }


@dataclass(frozen=True)
class HeldDraft:
    """A record that cannot be sent, and what finance needs to know about it.

    Attributes:
        owner: Who repairs it: "finance" or "data engineer".
        payload: The record's original bytes.
        label: What people call the record, such as its invoice number.
    """

    source_key: str
    reason_code: str
    message: str
    fix_hint: str
    owner: str
    payload: bytes = field(repr=False)
    content_type: str = "application/json"
    currency: str | None = None
    amount: Decimal | None = None
    label: str = ""


@dataclass(frozen=True)
class HeldRow:
    """A record that is or was held.

    Attributes:
        status: held, settled (sent or no longer needed) or discarded (by a person).
        attempts: In how many runs it was held.
        run_id: The last run that held it.
    """

    id: int
    integration: str
    instance: str
    entity: str
    source_key: str
    label: str
    first_run_id: str
    run_id: str
    reason_code: str
    message: str
    fix_hint: str
    owner: str
    payload_sha256: str
    content_type: str
    currency: str | None
    amount: Decimal | None
    first_seen: datetime
    last_seen: datetime
    attempts: int
    status: str
    closed_at: datetime | None
    closed_by: str | None
    closed_why: str

    @property
    def scope(self) -> Scope:
        """The scope it belongs to."""
        return Scope(self.integration, self.instance, self.entity)

    def as_json(self) -> dict[str, Any]:
        """The row as `bin/tieout held --json` prints it."""
        return {
            "id": self.id,
            "integration": self.integration,
            "instance": self.instance,
            "entity": self.entity,
            "source_key": self.source_key,
            "reason_code": self.reason_code,
            "message": self.message,
            "fix_hint": self.fix_hint,
            "owner": self.owner,
            "first_seen": iso_z(self.first_seen),
            "attempts": self.attempts,
            "status": self.status,
        }

    def with_figures(self) -> dict[str, Any]:
        """The row with what people look at beside it: number, amount, last run."""
        return {
            **HeldRow.as_json(self),
            "label": self.label,
            "run_id": self.run_id,
            "last_seen": iso_z(self.last_seen),
            "currency": self.currency,
            "amount": plain_json(self.amount),
        }


@dataclass(frozen=True)
class HeldDetail(HeldRow):
    """A held record with its original bytes and its history, oldest event first."""

    payload: bytes = field(default=b"", repr=False)
    history: tuple[EventRow, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The row, its payload (as text, or as base64 where it is none) and its history."""
        return {
            **self.with_figures(),
            "closed_at": iso_z(self.closed_at),
            "closed_by": self.closed_by,
            "closed_why": self.closed_why,
            "content_type": self.content_type,
            **_payload_json(self.payload),
            "history": [event.as_json() for event in self.history],
        }


def _payload_json(payload: bytes) -> dict[str, str]:
    try:
        return {"payload": payload.decode("utf-8"), "payload_encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"payload": base64.b64encode(payload).decode("ascii"), "payload_encoding": "base64"}


PostingKind = Literal["journal_entry", "business_partner", "cancellation"]
"""What is written: a journal entry, a partner's master data, or the cancellation of a journal entry."""

PostingState = Literal[
    "intended", "sending", "done", "refused", "not_sent", "awaiting_approval", "cancelled", "withdrawn"
]
"""How far a posting got. `sending` is the one whose effect is unknown until it is looked up."""


@dataclass(frozen=True)
class PostingDraft:
    """Something about to be written into an ERP's books.

    Attributes:
        source_key: The source record it comes from.
        label: What people call the record, such as its invoice number.
        revision: Counts the postings of one record: a changed invoice is cancelled and posted as its next revision.
        posting_key: The key that goes into the ERP with it; the same for the same revision of the same record, always.
        identity: What makes two source records the same thing, such as `partner|number|type`.
        fingerprint: Digest of the content.
        amount: In `currency`; both None for what carries no money.
        body: The request's body, as it will be sent.
        high_water: For a cancellation, the newest journal entry that was there before it: what it made is a later one.
    """

    source_key: str
    label: str
    kind: PostingKind
    revision: int
    posting_key: str
    identity: str
    fingerprint: str
    currency: str | None
    amount: Decimal | None
    body: bytes = field(repr=False)
    high_water: int | None = None


class PostingResult(NamedTuple):
    """What became of one posting.

    Attributes:
        state: done, refused, not_sent, awaiting_approval, cancelled or withdrawn; `sending` where no reply came.
        target_key: The key of what was made in the ERP, such as a journal entry's `JdtNum`; None leaves it as it is.
        target_number: The number that people see there; None leaves it as it is.
        code: The ERP's own code, where it refused.
        message: The ERP's own words, or ours.
    """

    posting_id: int
    state: PostingState
    target_key: str | None = None
    target_number: str | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class PostingRow:
    """Something that was or will be written into an ERP's books; its body is asked for apart (`posting_bodies`).

    Attributes:
        run_id: The last run that intended it.
        attempts: How often its bytes were about to leave.
        settled_run_id: The run that saw it in the books.
    """

    id: int
    integration: str
    instance: str
    entity: str
    run_id: str
    source_key: str
    label: str
    kind: PostingKind
    revision: int
    posting_key: str
    identity: str
    fingerprint: str
    currency: str | None
    amount: Decimal | None
    body_sha256: str
    state: PostingState
    target_key: str | None
    target_number: str | None
    code: str
    message: str
    attempts: int
    high_water: int | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    settled_run_id: str | None

    @property
    def key(self) -> RunKey:
        """The run that intended it last."""
        return RunKey(self.integration, self.instance, self.entity, self.run_id)

    def as_json(self) -> dict[str, Any]:
        """The row for `trace`: all that is known of it but the body."""
        return {name: plain_json(value) for name, value in vars(self).items()}


class DeliveredFile(NamedTuple):
    """A file that the receiver has under its final name.

    Attributes:
        verification: size, server_hash or read_back.
        delivered_at: Aware; when the final name was seen.
    """

    file_id: int
    verification: str
    delivered_at: datetime


@dataclass(frozen=True)
class EntityOutcome:
    """What one run did to one entity, committed as a whole.

    Attributes:
        delivered: The files that the receiver has now.
        held: Records that could not be sent.
        settled: Keys of records found duplicate or excluded: an open held row of theirs is settled. The keys of
            delivered records are taken from the files themselves.
        watermark: The new watermark; None leaves the old one alone (backfill, replay).
        tally: Counts and money of the delivered records.
    """

    delivered: Sequence[DeliveredFile | tuple[int, str, datetime]] = ()
    held: Iterable[HeldDraft] = ()
    settled: Iterable[str] = ()
    watermark: Mapping[str, Any] | None = None
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class SessionRow:
    """A log-in shared by a run's tasks.

    Attributes:
        generation: Grows with every save and close; what a save must name.
        secret: The token, encrypted by the caller.
    """

    name: str
    generation: int
    secret: bytes = field(repr=False)
    closed: bool
