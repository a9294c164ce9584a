"""Ready-made runs for the ledger's tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from tieout.ledger import (
    EntityOutcome,
    FileRecord,
    FileRow,
    HeldDraft,
    Lease,
    Ledger,
    PostingDraft,
    PostingKind,
    PostingResult,
    PostingRow,
    RunKey,
    Tally,
)

DELIVERED_AT = datetime(2026, 3, 31, 22, 15, tzinfo=UTC)


def run_key(run_id: str = "scheduled__1", entity: str = "invoices", instance: str = "default") -> RunKey:
    return RunKey("sap_b1_to_peakflo", instance, entity, run_id)


def begin(ledger: Ledger, key: RunKey, *, dry_run: bool = False) -> None:
    ledger.begin_run(
        key, mode="scheduled", dry_run=dry_run, interval_start=DELIVERED_AT, interval_end=None, window={"from": None}
    )


def extracted(ledger: Ledger, key: RunKey, *, dry_run: bool = False) -> None:
    begin(ledger, key, dry_run=dry_run)
    ledger.record_extracted(key, euros(3, "30.00"))


def prepared(ledger: Ledger, key: RunKey, *, dry_run: bool = False) -> None:
    extracted(ledger, key, dry_run=dry_run)
    note_prepared(ledger, key)


def note_prepared(ledger: Ledger, key: RunKey) -> None:
    ledger.record_prepared(
        key,
        to_send=euros(2, "20.00"),
        held=euros(1, "10.00"),
        duplicate=Tally(),
        excluded=Tally(),
        mapping_version="v1",
    )


def euros(count: int, amount: str) -> Tally:
    return Tally(count, {"EUR": Decimal(amount)})


def file_records(*keys: str, version: str = "1") -> Iterator[FileRecord]:
    for place, key in enumerate(keys):
        yield FileRecord(key, f"fingerprint {key} v{version}", f"INV-{key}", place * 10, place * 10 + 10)


def prepare(
    ledger: Ledger,
    key: RunKey,
    *keys: str,
    name: str = "invoices.csv",
    version: str = "1",
    records_iter: Iterable[FileRecord] | None = None,
) -> FileRow:
    return ledger.prepare_file(
        key,
        file_name=name,
        remote_path=f"/inbound/invoices/{name}",
        local_uri=f"file:///staging/{name}",
        bytes=10 * len(keys),
        sha256=f"digest of {name} v{version}",
        records=len(keys),
        control_totals={"EUR": Decimal("20.00"), "lines": len(keys)},
        records_iter=file_records(*keys, version=version) if records_iter is None else records_iter,
    )


def send(ledger: Ledger, *files: FileRow) -> None:
    """Up to the moment before the rename."""
    ids = [file.id for file in files]
    ledger.file_states(ids, "sending", temp_path_by_id={file.id: f"{file.remote_path}.part" for file in files})
    ledger.file_states(ids, "verified", verification="server_hash")


def outcome_of(*files: FileRow, held: Iterable[HeldDraft] = (), settled: Iterable[str] = ()) -> EntityOutcome:
    return EntityOutcome(
        delivered=[(file.id, "server_hash", DELIVERED_AT) for file in files],
        held=held,
        settled=settled,
        watermark={"UpdateDate": "2026-03-31"},
        tally=euros(2, "20.00"),
    )


def commit(ledger: Ledger, key: RunKey, outcome: EntityOutcome) -> None:
    with ledger.acquire(key.scope, "test") as lease:
        ledger.commit_entity(key, token=lease.token, base_version=ledger.entity_version(key.scope), outcome=outcome)


def deliver(ledger: Ledger, key: RunKey, *keys: str, version: str = "1", name: str = "invoices.csv") -> FileRow:
    """A whole run that delivers one file with these records."""
    prepared(ledger, key)
    file = prepare(ledger, key, *keys, version=version, name=name)
    send(ledger, file)
    commit(ledger, key, outcome_of(file))
    return file


def held_draft(source_key: str, *, payload: bytes = b'{"DocEntry": 1}', message: str = "") -> HeldDraft:
    return HeldDraft(
        source_key=source_key,
        reason_code="LINE_SUM_MISMATCH",
        message=message or f"The lines of invoice {source_key} do not add up to its total.",
        fix_hint="Correct the invoice in SAP; it is sent again by itself.",
        owner="finance",
        payload=payload,
        currency="EUR",
        amount=Decimal("10.00"),
        label=f"INV-{source_key}",
    )


def hold(ledger: Ledger, key: RunKey, *drafts: HeldDraft) -> None:
    """A whole run that delivers nothing and holds these records."""
    prepared(ledger, key)
    commit(ledger, key, outcome_of(held=drafts))


COMPANY = "SAP company SBODEMO"


def posting_run(run_id: str = "scheduled__1", entity: str = "invoices", instance: str = "default") -> RunKey:
    return RunKey("stampli_to_sap_b1", instance, entity, run_id)


def posting_lease(ledger: Ledger, holder: str = "test") -> Lease:
    """The lease that all postings of a company are made under, whatever their entity."""
    return ledger.lock(COMPANY, holder, wait=0.0)


def posting_draft(
    source_key: str,
    *,
    revision: int = 1,
    kind: PostingKind = "journal_entry",
    posting_key: str = "",
    identity: str = "",
    body: bytes = b'{"Memo": "x"}',
    high_water: int | None = None,
    version: str = "1",
) -> PostingDraft:
    return PostingDraft(
        source_key=source_key,
        label=f"INV-{source_key}",
        kind=kind,
        revision=revision,
        posting_key=posting_key or f"TO1-{source_key}-{revision}",
        identity=identity or f"V100|INV-{source_key}|INVOICE",
        fingerprint=f"fingerprint {source_key} v{version}",
        currency="EUR",
        amount=Decimal("10.00"),
        body=body,
        high_water=high_water,
    )


def post(ledger: Ledger, key: RunKey, lease: Lease, *drafts: PostingDraft, first_number: int = 1) -> list[PostingRow]:
    """Post these for good: intended, sent, found in the books."""
    rows = ledger.intend(key, drafts, lease=lease)
    ledger.mark_sending([row.id for row in rows], lease=lease)
    ledger.settle_postings(key, [done(row, number) for number, row in enumerate(rows, first_number)], lease=lease)
    return rows


def done(row: PostingRow, number: int) -> PostingResult:
    return PostingResult(row.id, "done", target_key=str(number), target_number=str(1000 + number))


def commit_posted(
    ledger: Ledger,
    key: RunKey,
    lease: Lease,
    *,
    held: Iterable[HeldDraft] = (),
    settled: Iterable[str] = (),
    posted: Tally | None = None,
) -> None:
    ledger.commit_postings(
        key,
        lease=lease,
        held=held,
        settled=settled,
        tally=posted or euros(1, "10.00"),
        duplicate=euros(1, "7.00"),
        held_tally=euros(1, "13.00"),
        excluded=Tally(),
        mapping_version="v7",
    )
