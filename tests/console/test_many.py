"""A ledger with 100,000 files and 10,000 held records: no list reads a table from end to end, or sorts one.

Judged by the database's own plan of the statements that the ledger really sends.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from tieout.console.overview import overview_rows
from tieout.ledger import Filters, Ledger
from tieout.ledger.models import file_records, files, held, runs, scopes

FILES, HELD, RUNS = 100_000, 10_000, 20_000
INSTANCES = [("banqup_to_sftp", "default"), ("sap_b1_to_peakflo", "default"), ("sap_b1_to_peakflo", "north")]
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(minutes=5 * RUNS)


def _scope(number: int) -> dict[str, Any]:
    integration, instance = INSTANCES[number % len(INSTANCES)]
    return {"integration": integration, "instance": instance, "entity": f"entity{number % 5}"}


def _run(number: int) -> dict[str, Any]:
    began = START + timedelta(minutes=5 * number)
    sent = number % 20 == 0
    return {
        **_scope(number), "run_id": f"run-{number // 5}", "attempt": 1, "mode": "scheduled", "dry_run": False,
        "status": "success", "stage": "delivered", "window": {}, "started_at": began, "ended_at": began,
        "delivered": 10 if sent else 0, "ties_out": True,
    }  # fmt: skip


def _file(number: int) -> dict[str, Any]:
    at = START + timedelta(minutes=number)
    name = f"invoices_{number:06d}.csv"
    return {
        **_scope(number), "run_id": f"run-{number // 25}", "kind": "data", "file_name": name,
        "remote_path": f"/inbound/{name}", "local_uri": name, "bytes": 100, "sha256": "ab", "records": 1,
        "control_totals": {}, "state": "delivered", "created_at": at, "updated_at": at, "delivered_at": at,
    }  # fmt: skip


def _held(number: int) -> dict[str, Any]:
    at = START + timedelta(minutes=10 * number)
    return {
        **_scope(number), "source_key": f"K{number:05d}", "label": f"INV-{number:05d}", "first_run_id": "run-1",
        "run_id": f"run-{number // 5}", "reason_code": "X", "message": "m", "fix_hint": "f", "owner": "finance",
        "payload": b"p" * 300, "payload_sha256": "d", "content_type": "t", "first_seen": at, "last_seen": at,
        "attempts": 1, "status": "held" if number % 2 else "settled",
    }  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("many") / "ledger.db"
    with Ledger.open(f"sqlite:///{file}", migrate=True) as book, book._writing() as connection:
        connection.execute(insert(scopes), {**_scope(0), "version": 1})
        for table, row_of, number in ((runs, _run, RUNS), (files, _file, FILES), (held, _held, HELD)):
            for start in range(0, number, 5_000):
                connection.execute(insert(table), [row_of(n) for n in range(start, min(start + 5_000, number))])
        record = {"fingerprint": "f", "label": "l", "byte_start": 0, "byte_end": 1}
        connection.execute(insert(file_records), [{**record, "file_id": n, "source_key": f"K{n}"} for n in range(1, 9)])
    return file


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{path}") as book:
        yield book


def _plans(ledger: Ledger, path: Path, ask: Callable[[Ledger], Any]) -> list[str]:
    """SQLite's plans of what a question makes the ledger send."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            sent.append((statement, parameters))

    ledger.count_runs(Filters())  # the check of the tables' version is not the question's
    event.listen(ledger._engine, "before_cursor_execute", note)
    try:
        ask(ledger)
    finally:
        event.remove(ledger._engine, "before_cursor_execute", note)
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as database:
        return [
            "; ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
            for statement, parameters in sent
        ]


def _scanned(plan: str) -> list[str]:
    """Tables of which every row is read, not an index."""
    return re.findall(r"SCAN (\w+)(?! USING)\b(?! USING| VIRTUAL)", plan)


ONE = Filters("sap_b1_to_peakflo", "north", "entity2")
LISTS: dict[str, Callable[[Ledger], Any]] = {
    "files since": lambda book: book.files(Filters(since=NOW - timedelta(days=1)), 50),
    "runs": lambda book: book.runs(Filters(), 50),
    "runs of an entity": lambda book: book.runs(ONE, 50),
    "runs by status": lambda book: book.runs(Filters(status="failed"), 50),
    "runs since": lambda book: book.runs(Filters(since=NOW - timedelta(days=1)), 50),
    "held, open": lambda book: book.held(Filters(status="held"), 50),
    "files, of a status": lambda book: book.files(Filters(status="refused"), 50),
    "files of an entity": lambda book: book.files(ONE, 50),
    "held of an entity": lambda book: book.held(ONE, 50),
}
SORTED_FEW: dict[str, Callable[[Ledger], Any]] = {
    "runs by id": lambda book: book.runs(Filters(run_id="run-7"), 50),
    "files of a run": lambda book: book.files(Filters(run_id="run-7"), 50),
    "files by name": lambda book: book.files(Filters(search="invoices_0000"), 50),
    "files by key": lambda book: book.files(Filters(search="K5"), 50),
    "held by key": lambda book: book.held(Filters(search="K0001"), 50),
    "held by label": lambda book: book.held(Filters(search="INV-0001"), 50),
    "files of an instance": lambda book: book.files(Filters("sap_b1_to_peakflo", "north"), 50),
    "held of an instance": lambda book: book.held(Filters("sap_b1_to_peakflo", "north"), 50),
    "runs of an instance": lambda book: book.runs(Filters("sap_b1_to_peakflo", "north"), 50),
    "count of files": lambda book: book.count_files(Filters()),
    "count of held": lambda book: book.count_held(Filters()),
    "count of runs": lambda book: book.count_runs(Filters()),
    "count of files by name": lambda book: book.count_files(Filters(search="invoices_0000")),
    "count of held by key": lambda book: book.count_held(Filters(search="K0001")),
    "count of held, open": lambda book: book.count_held(Filters(status="held")),
    "instances": lambda book: book.known_instances(),
    "last runs": lambda book: book.last_runs(),
    "open held": lambda book: book.open_held_by_instance(),
    "sent": lambda book: list(book.sent_since(NOW - timedelta(days=32))),
    "trace": lambda book: book.trace("K5"),
}
NEWEST_FIRST: dict[str, Callable[[Ledger], Any]] = {
    # The table in order of its own key, only as far as the page goes.
    "files": lambda book: book.files(Filters(), 50),
    "held": lambda book: book.held(Filters(), 50),
    "files within": lambda book: book.files(Filters(within=frozenset(INSTANCES[:2])), 50),
    "held since": lambda book: list(book.held_since(NOW)),
}


@pytest.mark.parametrize("name", LISTS)
def test_an_index_gives_the_rows_in_order(ledger: Ledger, path: Path, name: str) -> None:
    (plan, *_) = _plans(ledger, path, LISTS[name])
    assert "USING" in plan and "INDEX" in plan and "TEMP B-TREE" not in plan, plan
    assert _scanned(plan) == [], plan


@pytest.mark.parametrize("name", SORTED_FEW)
def test_an_index_finds_the_rows(ledger: Ledger, path: Path, name: str) -> None:
    plans = _plans(ledger, path, SORTED_FEW[name])
    assert plans
    for plan in plans:
        assert _scanned(plan) == [], plan
        assert re.search(r"USING (COVERING )?(INDEX|INTEGER PRIMARY KEY|PRIMARY KEY)|MULTI-INDEX OR", plan), plan


@pytest.mark.parametrize("name", NEWEST_FIRST)
def test_a_page_without_filters_is_the_tables_end(ledger: Ledger, path: Path, name: str) -> None:
    (plan, *_) = _plans(ledger, path, NEWEST_FIRST[name])
    assert re.match(r"SCAN (files|held)($|; LIST)", plan) and "TEMP B-TREE" not in plan, plan


def test_the_overview_of_it(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    rows = overview_rows(ledger, frozenset(INSTANCES), now=NOW)
    assert [row["last_run"]["run_id"] for row in rows] == ["run-3999"] * 3
    assert sum(row["held"] for row in rows) == HELD // 2
    began = [_run(number) for number in range(RUNS)]
    expected = Counter({run["started_at"].date().isoformat(): 0 for run in began})
    for run in began:
        expected[run["started_at"].date().isoformat()] += run["delivered"]
    shown = {day["day"]: sum(row["days"][n]["delivered"] for row in rows) for n, day in enumerate(rows[0]["days"])}
    assert shown == {day: expected[day] for day in shown}
    assert len(shown) == 30 and min(list(shown.values())[:-1]) >= 130
