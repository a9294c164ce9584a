"""Ready-made runs for the ledger's tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from tieout.ledger import EntityOutcome, FileRecord, FileRow, HeldDraft, Ledger, RunKey, Tally

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
