"""A ledger for people's eyes: good and bad runs, many files, hostile names, something posted or held, connections."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from tests.cli.conftest import INVOICES, NORTH, deliver_and_hold
from tests.ledger.builders import post, posting_draft, posting_lease
from tieout.health.model import CHECKS, Check, ConnectionHealth, Status
from tieout.ledger import EntityOutcome, FileRecord, HeldDraft, Ledger, RunKey, Tally

SOUTH = replace(INVOICES, instance="south")
BULK = RunKey("sap_b1_to_peakflo", "south", "payments", "scheduled__2026-02-01T00:00:00+00:00")
STAMPLI = RunKey("stampli_to_sap_b1", "default", "invoices", "scheduled__2026-02-02T06:00:00+00:00")
HOSTILE = RunKey("banqup_to_sftp", "default", "acme", "manual__<b>2026</b>")
KEPT = RunKey("banqup_to_sftp", "default", "C1008", "manual__kept")
KEPT_NAME = f"20260202_INV109{'0' * 60}_3f0e7ab2-79ff-4c1f-9c55-8f5f3c8f1f21.xml"
"""As long as names become where an invoice's number is long."""
KEPT_BYTES = b"\xef\xbb\xbf<Invoice>caf\xc3\xa9 \x80\x00</Invoice>\r\n"
"""Bytes that no text editor would leave alone."""
FILES = 120
HELD = 130
EVIL = "<img src=x onerror=\"document.title='owned'\">"
EVIL_JSON = '{"CardName":"</pre><script>document.title=\'owned\'</script>","DocTotal":1234.3700000000001}'

_EUROS = Decimal("12345678.90")


def tell(book: Ledger, kept: Path) -> None:
    """All of it.

    Args:
        book: An empty ledger.
        kept: A folder for the bytes of the one file that are kept.
    """
    deliver_and_hold(book, INVOICES, sent=("6", "7"), held="8")
    deliver_and_hold(book, NORTH, sent=(), held="C9")
    for key in ("K1", "K2", "P1", "W1", "W2"):
        deliver_and_hold(book, replace(SOUTH, run_id=f"manual__{key}"), sent=(), held=key)
    _many(book)
    _posted(book)
    _hostile(book)
    _untied(book)
    _kept(book, kept)
    for health in CONNECTIONS:
        book.note_connection(health.label, health.as_json(), {}, event=False)


def _begin(book: Ledger, key: RunKey, extracted: Tally, to_send: Tally, held: Tally) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    book.begin_run(
        key, mode="incremental", dry_run=False, interval_start=start, interval_end=start.replace(day=31), window={}
    )
    book.record_extracted(key, extracted)
    book.record_prepared(
        key, to_send=to_send, held=held, duplicate=Tally(), excluded=Tally(), mapping_version="0123456789ab"
    )


def _commit(book: Ledger, key: RunKey, outcome: EntityOutcome) -> None:
    with book.acquire(key.scope, "test") as lease:
        book.commit_entity(key, token=lease.token, base_version=book.entity_version(key.scope), outcome=outcome)


def _file(
    book: Ledger,
    key: RunKey,
    name: str,
    records: Sequence[FileRecord],
    folder: str = "/inbound",
    kept: Path | None = None,
) -> tuple[int, str, datetime]:
    content = kept.read_bytes() if kept else b""
    file = book.prepare_file(
        key,
        file_name=name,
        remote_path=f"{folder}/{name}",
        local_uri=str(kept or f"/nowhere/{key.instance}/{name}"),
        bytes=len(content) or 1_234_567,
        sha256=hashlib.sha256(content).hexdigest() if kept else "cd" * 32,
        records=max(1, len(records)),
        control_totals={"EUR": "12345678.90"},
        records_iter=records,
    )
    book.file_states([file.id], "sending", temp_path_by_id={file.id: f"{folder}/.{file.id}.part"})
    book.file_states([file.id], "verified", verification="size")
    return file.id, "size", datetime(2026, 2, 1, 8, tzinfo=UTC)


def _held(key: str, **changed: object) -> HeldDraft:
    draft = HeldDraft(
        source_key=key,
        reason_code="MAPPING_MISSING",
        message="Payment method 4711 has no counterpart in the mapping.",
        fix_hint="Add it to include/mappings/sap_b1_to_peakflo/payment_methods.yaml.",
        owner="data engineer",
        payload=b'{"DocEntry":4711,"DocTotal":100.10}',
        currency="EUR",
        amount=Decimal("100.10"),
        label=f"PAY-{key}",
    )
    return replace(draft, **changed)  # type: ignore[arg-type]


def _many(book: Ledger) -> None:
    money, held = Tally(FILES, {"EUR": _EUROS, "JPY": Decimal(5000)}), Tally(HELD, {"EUR": Decimal("100.10") * HELD})
    everything = Tally(FILES + HELD, {"EUR": _EUROS + held.totals["EUR"], "JPY": Decimal(5000)})
    _begin(book, BULK, everything, money, held)
    files = [
        _file(book, BULK, f"payments_{number:04d}.csv", [FileRecord(f"L{number}", f"print {number}", "", 0, 120)])
        for number in range(FILES)
    ]
    drafts = [_held(f"H{number:04d}") for number in range(HELD)]
    _commit(book, BULK, EntityOutcome(delivered=files, held=drafts, tally=money))
    book.finish_run(BULK, ties_out=True)


def _posted(book: Ledger) -> None:
    money = Tally(1, {"EUR": Decimal("10.00")})
    _begin(book, STAMPLI, money, money, Tally())
    with posting_lease(book) as lease:
        post(book, STAMPLI, lease, posting_draft("S1"), first_number=4711)
        book.commit_postings(
            STAMPLI, lease=lease, held=(), settled=("S1",), tally=money, duplicate=Tally(), held_tally=Tally(),
            excluded=Tally(), mapping_version="v7",
        )  # fmt: skip
    book.finish_run(STAMPLI, ties_out=True)


def _hostile(book: Ledger) -> None:
    money, held = Tally(1, {"EUR": Decimal(1)}), Tally(1)
    _begin(book, HOSTILE, Tally(2, {"EUR": Decimal(1)}), money, held)
    record = FileRecord(f"doc {EVIL}", "print", EVIL, 0, 10)
    file = _file(book, HOSTILE, f"{EVIL}.xml", [record], folder=f"/in/{EVIL}")
    draft = _held(
        f"evil {EVIL}", message=f"Name {EVIL} is wrong.", fix_hint=EVIL, label=f"Evil {EVIL}",
        payload=EVIL_JSON.encode(), currency=None, amount=None,
    )  # fmt: skip
    _commit(book, HOSTILE, EntityOutcome(delivered=[file], held=[draft], tally=money))
    book.finish_run(HOSTILE, ties_out=True)


def _kept(book: Ledger, folder: Path) -> None:
    path = folder / "kept.xml"
    path.write_bytes(KEPT_BYTES)
    money = Tally(1, {"EUR": Decimal(1)})
    _begin(book, KEPT, money, money, Tally())
    record = FileRecord("doc 4711", "print", "INV-2026-000123", 0, 10)
    file = _file(book, KEPT, KEPT_NAME, [record], folder="/invoice_import/C1008_0709876088/AP", kept=path)
    _commit(book, KEPT, EntityOutcome(delivered=[file], tally=money))
    book.finish_run(KEPT, ties_out=True)


def _untied(book: Ledger) -> None:
    key = replace(INVOICES, entity="payments", run_id="manual__red")
    everything = Tally(3, {"EUR": Decimal("300.30"), "USD": Decimal(5)})
    _begin(book, key, everything, Tally(3, everything.totals), Tally())
    part = Tally(2, {"EUR": Decimal("200.10"), "USD": Decimal(6)})
    _commit(book, key, EntityOutcome(tally=part))
    book.finish_run(key, ties_out=False, message="One payment is missing in the file.")


_TALKED = tuple(Check(name, Status.OK) for name in CHECKS)
CONNECTIONS = (
    ConnectionHealth("a_banqup", "banqup", ("banqup_to_sftp",), (
        *_TALKED,
        Check("certificate", Status.OK, "The server's certificate ends on 2027-03-01, in 99 days."),
    )),
    ConnectionHealth("b_locked", "sftp", ("sap_b1_to_peakflo", "sap_b1_to_peakflo__south"), (
        Check("authenticated", Status.FAILED, "The server refuses the password of tieout; correct the connection."),
        Check("password_age", Status.FAILED, "The password is 400 days old; its rotation was due on 2026-01-01."),
    )),
    ConnectionHealth("c_never", "syspro", ("syspro_to_legacy_erp",), ()),
    ConnectionHealth("d_due", "sftp", ("stampli_to_sap_b1",), (
        *_TALKED,
        Check("key_age", Status.WARNING, "The private key is 360 days old; its rotation is due on 2026-02-05."),
    )),
    ConnectionHealth("e_hostile", "sftp", ("banqup_to_sftp",), (
        *_TALKED, Check("writable", Status.WARNING, f"The folder {EVIL} is missing."),
    ), server=f"{EVIL}@example.com:22"),
)  # fmt: skip
"""The worst ones are not the first by name."""
