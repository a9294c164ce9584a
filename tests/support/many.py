"""A ledger as it is after years: many runs, files, held records, events, and packed lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlalchemy import Table, func, insert, select, text

from tieout.ledger import Ledger, RunKey
from tieout.ledger.models import events, file_records, files, held, records, runs, scopes

Row = dict[str, Any]

INSTANCES = [
    ("banqup_to_sftp", "default"),
    ("banqup_to_sftp", "partner"),
    ("sap_b1_to_peakflo", "default"),
    ("sap_b1_to_peakflo", "north"),
    ("stampli_to_sap_b1", "default"),
    ("syspro_to_legacy_erp", "default"),
]
ENTITIES = 50
"""Entities of each instance."""
STATES = ["delivered"] * 17 + ["refused", "abandoned", "prepared"]
MODES = ["incremental"] * 18 + ["replay", "backfill"]
LINES_PER_FILE = 250_000
_ROWS = 5_000


@dataclass(frozen=True)
class Many:
    """How many of each; the runs are spread over `days`, files and held records over a year.

    Attributes:
        held: So many open ones, and as many settled.
        lines: Packed lines of the general ledger.
        now: The moment at which all of it is there.
    """

    runs: int = 200_000
    files: int = 100_000
    held: int = 10_000
    events: int = 200_000
    lines: int = 1_000_000
    days: int = 60
    now: datetime = datetime(2026, 11, 1, tzinfo=UTC)

    def fill(self, ledger: Ledger) -> None:
        """Enter all of it, and let the database look at it as it does from time to time by itself."""
        with ledger._writing() as connection:
            for table, row_of, number in self._tables():
                for start in range(0, number, _ROWS):
                    connection.execute(insert(table), [row_of(n) for n in range(start, min(start + _ROWS, number))])
        self._pack(ledger)
        if ledger._is_postgres:
            with ledger._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))

    def _tables(self) -> Iterator[tuple[Table, Callable[[int], Row], int]]:
        yield scopes, self._scope_row, len(INSTANCES) * ENTITIES
        yield runs, self._run, self.runs
        yield files, self._file, self.files
        yield file_records, self._file_record, self.files
        yield records, self._record, self.files
        yield held, self._held, 2 * self.held
        yield events, self._event, self.events

    def _pack(self, ledger: Ledger) -> None:
        """Packed lines of delivered files, each of a period of its own."""
        for number in range(self.lines // LINES_PER_FILE):
            key = RunKey("syspro_to_legacy_erp", "default", "gl_postings", f"close-{number}")
            ledger.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
            name = f"gl_{number:06d}.csv"
            packed = (
                (f"2026|{number + 1}", _lines(number, start, start + 50_000))
                for start in range(0, LINES_PER_FILE, 50_000)
            )
            row = ledger.prepare_packed_file(
                key, file_name=name, remote_path=f"/inbound/gl/{name}", local_uri=f"/nowhere/{name}", bytes=1,
                sha256="ab" * 32, records=LINES_PER_FILE, control_totals={}, packed=packed,
            )  # fmt: skip
            with ledger._writing() as connection:
                # As a commit leaves it; nothing else of a delivery matters to those who look things up.
                connection.execute(
                    files.update().where(files.c.id == row.id).values(state="delivered", delivered_at=self.now)
                )

    def _scope(self, number: int) -> Row:
        integration, instance = INSTANCES[number % len(INSTANCES)]
        return {
            "integration": integration,
            "instance": instance,
            "entity": f"entity{number // len(INSTANCES) % ENTITIES:02d}",
        }

    def _scope_row(self, number: int) -> Row:
        integration, instance = INSTANCES[number % len(INSTANCES)]
        return {
            "integration": integration, "instance": instance, "entity": f"entity{number // len(INSTANCES):02d}",
            "version": 1,
        }  # fmt: skip

    def _run(self, number: int) -> Row:
        began = self.now - timedelta(days=self.days) * (self.runs - number) / self.runs
        sent, failed = number % 10 == 0, number % 400 == 1
        money = {"EUR": Decimal(number) / 100} if sent else {}
        return {
            **self._scope(number), "run_id": f"run-{number // 60}", "attempt": 1,
            "mode": MODES[number // 60 % len(MODES)], "dry_run": False,
            "status": "failed" if failed else "success", "stage": "delivered", "window": {}, "started_at": began,
            "ended_at": began, "extracted": 10 if sent else 0, "delivered": 10 if sent else 0,
            "source_totals": money, "target_totals": money, "ties_out": not failed,
        }  # fmt: skip

    def _file(self, number: int) -> Row:
        at = self.now - timedelta(days=365) * (self.files - number) / self.files
        name = f"invoices_{number:06d}.csv"
        return {
            **self._scope(number), "run_id": f"run-{number // 25}", "kind": "data", "file_name": name,
            "remote_path": f"/inbound/{self._scope(number)['entity']}/{name}",
            "local_uri": f"/var/lib/staging/run-{number // 25}/{name}", "bytes": 100_000 + number,
            "sha256": hashlib.sha256(name.encode()).hexdigest(), "records": 1, "control_totals": {"EUR": "12.30"},
            "state": STATES[number // 9 % len(STATES)], "verification": "read_back", "created_at": at,
            "updated_at": at, "delivered_at": at,
        }  # fmt: skip

    def _file_record(self, number: int) -> Row:
        return {
            "file_id": number + 1, "source_key": f"K{number:06d}", "fingerprint": "f" * 64,
            "label": f"INV-{number:06d}", "byte_start": 0, "byte_end": 100,
        }  # fmt: skip

    def _record(self, number: int) -> Row:
        return {
            "scope_id": number % (len(INSTANCES) * ENTITIES) + 1, "source_key": f"K{number:06d}",
            "fingerprint": "f" * 64, "label": f"INV-{number:06d}", "file_id": number + 1,
            "run_id": f"run-{number // 25}", "delivered_at": self.now,
        }  # fmt: skip

    def _held(self, number: int) -> Row:
        at = self.now - timedelta(days=365) * (2 * self.held - number) / (2 * self.held)
        return {
            **self._scope(number), "source_key": f"H{number:06d}", "label": f"INV-H{number:06d}",
            "first_run_id": f"run-{number // 60}", "run_id": f"run-{number // 60 + 1}", "reason_code": "TOTAL",
            "message": "The lines add up to 12.30, the total is 12.31.", "fix_hint": "Correct it in the ERP.",
            "owner": "finance", "payload": b"%06d" % number * 250, "payload_sha256": f"{number:064d}",
            "content_type": "application/json", "currency": "EUR", "amount": Decimal("12.30"), "first_seen": at,
            "last_seen": at, "attempts": 1, "status": "held" if number % 2 else "settled",
        }  # fmt: skip

    def _event(self, number: int) -> Row:
        row = {"source_key": None, "file_id": None, "held_id": None}
        subject: list[Row] = [
            {"file_id": number % self.files + 1},
            {"source_key": f"K{number % self.files:06d}"},
            {"held_id": number % (2 * self.held) + 1},
            {},
        ]
        return row | {
            **self._scope(number), "at": self.now, "run_id": f"run-{number // 60}", "what": "something",
            "detail": {"how": "so"}, **subject[number % 4],
        }  # fmt: skip


def _lines(number: int, start: int, end: int) -> pa.RecordBatch:
    keys = [f"2026|{number + 1}|{position // 40}|{position % 40}" for position in range(start, end)]
    return pa.record_batch(
        {
            "source_key": keys,
            "fingerprint": [hashlib.sha256(key.encode()).hexdigest() for key in keys],
            "label": [f"JE-{number}-{position // 40}" for position in range(start, end)],
            "byte_start": [100 * position for position in range(start, end)],
            "byte_end": [100 * position + 100 for position in range(start, end)],
        }
    )


def last_id(ledger: Ledger, table: Table) -> int:
    """The newest row's id."""
    with ledger._reading() as connection:
        found: int = connection.execute(select(func.max(table.c.id))).scalar_one()
    return found
