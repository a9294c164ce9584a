"""`tieout runs`, `tieout files`, `tieout held`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tieout.cli.book import filters, open_ledger
from tieout.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from tieout.ledger import Ledger

# A terminal is for reading; programs get every row.
TABLE_ROWS = 100

RUN_COLUMNS = (
    "integration", "instance", "entity", "run_id", "extracted", "delivered", "posted", "held", "duplicate", "excluded",
    "source_totals", "target_totals", "ties_out", "status",
)  # fmt: skip
FILE_COLUMNS = (
    "integration", "instance", "entity", "remote_path", "bytes", "records", "control_totals", "verification", "status",
    "delivered_at",
)  # fmt: skip
HELD_COLUMNS = (
    "id", "integration", "instance", "entity", "source_key", "reason_code", "status", "attempts", "owner", "first_seen",
    "message",
)  # fmt: skip


class LedgerRow(Protocol):
    """What the ledger lists."""

    def as_json(self) -> dict[str, Any]:
        """The row under the names that programs rely on."""
        ...


Query = Callable[["Ledger", int | None], Sequence[LedgerRow]]
Count = Callable[["Ledger"], int]


def list_runs(arguments: argparse.Namespace) -> int:
    """Runs and their tie-out."""
    narrow = filters(arguments)
    return _list(
        arguments,
        RUN_COLUMNS,
        lambda ledger, limit: ledger.runs(narrow, limit=limit, offset=0),
        lambda ledger: ledger.count_runs(narrow),
    )


def list_files(arguments: argparse.Namespace) -> int:
    """Files and their receipts."""
    narrow = filters(arguments)
    return _list(
        arguments,
        FILE_COLUMNS,
        lambda ledger, limit: ledger.files(narrow, limit=limit, offset=0),
        lambda ledger: ledger.count_files(narrow),
    )


def list_held(arguments: argparse.Namespace) -> int:
    """Held records, also the settled and discarded ones."""
    narrow = filters(arguments)
    return _list(
        arguments,
        HELD_COLUMNS,
        lambda ledger, limit: ledger.held(narrow, limit=limit, offset=0),
        lambda ledger: ledger.count_held(narrow),
    )


def _list(arguments: argparse.Namespace, columns: Sequence[str], query: Query, count: Count) -> int:
    limit = arguments.limit or (None if arguments.json else TABLE_ROWS)
    with open_ledger() as ledger:
        rows = [row.as_json() for row in query(ledger, limit)] if ledger else []
        total = count(ledger) if ledger and not arguments.json else len(rows)
    if arguments.json:
        print_json(rows)
        return 0
    print_table(rows, columns)
    if total > len(rows):
        note(f"{len(rows)} of {total} rows; --limit shows more, --json shows all.")
    return 0
