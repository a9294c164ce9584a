"""A ledger of years: which rows are on a page, and how many there are, an index alone tells, on both databases.

Judged by the databases' own plans of the statements that the ledger really sends. SQLite plans by rules; PostgreSQL is
asked not to read a table from end to end nor to sort, and then has an index for it or not.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.support.many import INSTANCES, Many
from tieout.console.overview import overview_rows
from tieout.ledger import Filters, Ledger

MANY = Many(runs=12_000, files=10_000, held=1_500, events=1_000, lines=0)
NOW = MANY.now
SOME = frozenset(INSTANCES[:3])
NORTH = Filters("sap_b1_to_peakflo", "north")
ONE = Filters("sap_b1_to_peakflo", "north", "entity07")
LAST_YEAR = NOW - timedelta(days=400)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('many') / 'ledger.db'}"
    else:
        server = request.getfixturevalue("postgres_server")
        name = f"many_{secrets.token_hex(4)}"
        # In a language's order, as most servers have it: there an ordinary index finds no beginnings.
        server._run(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
        url = server.url(name)
    with Ledger.open(url, migrate=True) as book:
        MANY.fill(book)
        yield book
    if request.param == "postgres":
        server.drop_database(name)


def _sent(ledger: Ledger, ask: Callable[[Ledger], Any]) -> list[tuple[str, Any]]:
    """What a question makes the ledger send."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            sent.append((statement, parameters))

    ledger.count_runs(Filters(run_id="none"))  # the check of the tables' version is not the question's
    event.listen(ledger._engine, "before_cursor_execute", note)
    try:
        ask(ledger)
    finally:
        event.remove(ledger._engine, "before_cursor_execute", note)
    return sent


def _plans(ledger: Ledger, ask: Callable[[Ledger], Any]) -> list[str]:
    """The plans in a line each: of SQLite its own words, of PostgreSQL the nodes with table and index."""
    with ledger._engine.connect() as connection:
        if not ledger._is_postgres:
            return [
                "; ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
                for statement, parameters in _sent(ledger, ask)
            ]
        for way in ("seqscan", "sort"):
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        explained = [
            connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
            for statement, parameters in _sent(ledger, ask)
        ]
    return ["; ".join(_nodes(json.loads(each) if isinstance(each, str) else each)) for each in explained]


def _nodes(explained: Any) -> Iterator[str]:
    if isinstance(explained, list):
        for each in explained:
            yield from _nodes(each)
        return
    plan = explained.get("Plan", explained)
    yield " ".join(str(plan[name]) for name in ("Node Type", "Relation Name", "Index Name") if name in plan)
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _told_by_an_index(plan: str) -> bool:
    """Whether nothing is sorted, no table read from end to end, and by SQLite none of its rows at all.

    PostgreSQL knows how its rows lie, and may well walk them in the order of their ids.
    """
    if "TEMP B-TREE" in plan or "Sort" in plan or "Seq Scan" in plan:
        return False
    return bool(re.search(r"USING COVERING INDEX|Index (Only )?Scan", plan))


NARROWED: dict[str, Filters] = {
    "all": Filters(),
    "integration": Filters("sap_b1_to_peakflo"),
    "instance": Filters(instance="north"),
    "integration and instance": NORTH,
    "entity of an instance": ONE,
    "entity": Filters(entity="entity07"),
    "within": Filters(within=SOME),
    "unknown": Filters(entity="none"),
}
OF_RUNS: dict[str, Filters] = {
    "since": Filters(since=LAST_YEAR),
    "success": Filters(status="success"),
    "failed, of an instance": replace(NORTH, status="failed"),
    "mode": Filters(mode="backfill"),
    "mode, within": Filters(mode="backfill", within=SOME),
    "does not tie out": Filters(ties_out=False),
    "ties out, of an entity": replace(ONE, ties_out=True),
    "failed and does not tie out": Filters(status="failed", ties_out=False),
}
OF_FILES: dict[str, Filters] = {
    "since": Filters(since=LAST_YEAR),
    "since, of an integration": Filters("sap_b1_to_peakflo", since=LAST_YEAR),
    "delivered": Filters(status="delivered"),
    "refused, of an instance": replace(NORTH, status="refused"),
    "delivered, within": Filters(status="delivered", within=SOME),
}
OF_HELD: dict[str, Filters] = {"since": Filters(since=LAST_YEAR), "open": Filters(status="held")}
LISTS = [
    (what, name, filters)
    for what, own in (("runs", OF_RUNS), ("files", OF_FILES), ("held", OF_HELD))
    for name, filters in (NARROWED | own).items()
]


@pytest.mark.parametrize(("what", "filters"), [pytest.param(w, f, id=f"{w}: {n}") for w, n, f in LISTS])
def test_a_page_and_the_number_of_all(ledger: Ledger, what: str, filters: Filters) -> None:
    total = getattr(ledger, f"count_{what}")(filters)
    for offset in (0, max(0, total - 50)):
        page, *rows = _plans(ledger, lambda book, at=offset: getattr(book, what)(filters, 50, at))  # type: ignore[misc]
        assert _told_by_an_index(page), page
        for plan in rows:
            assert re.search(r"INTEGER PRIMARY KEY|Index Scan \w+ pk_|Index Scan acknowledgements|ix_\w+", plan), plan
    (count,) = _plans(ledger, lambda book: getattr(book, f"count_{what}")(filters))
    assert _told_by_an_index(count), count


@pytest.mark.parametrize(("what", "filters"), [pytest.param(w, f, id=f"{w}: {n}") for w, n, f in LISTS])
def test_pages_are_the_list(ledger: Ledger, what: str, filters: Filters) -> None:
    listed = getattr(ledger, what)
    everything = [row.id for row in listed(filters)]
    assert len(everything) == getattr(ledger, f"count_{what}")(filters)
    assert [row.id for row in listed(filters, 50, 0)] == everything[:50]
    end = max(0, len(everything) - 30)
    assert [row.id for row in listed(filters, 50, end)] == everything[end:]


@pytest.mark.parametrize(
    ("what", "search", "index"),
    [
        ("files", "invoices_00123", "ix_files_file_name"),
        ("files", "/inbound/entity07/invoices_0090", "ix_files_remote_path"),
        ("files", "K000123", "ix_file_records_source_key"),
        ("files", "INV-000123", "ix_records_label"),
        ("held", "H00012", "ix_held_source_key"),
        ("held", "INV-H00012", "ix_held_label"),
    ],
)
def test_a_search_for_few_goes_by_the_names(ledger: Ledger, what: str, search: str, index: str) -> None:
    for ask in (
        lambda book: getattr(book, what)(Filters(search=search), 50),
        lambda book: getattr(book, f"count_{what}")(Filters(search=search)),
    ):
        plans = _plans(ledger, ask)
        assert any(index in plan for plan in plans), plans
        assert not any(re.search(r"Seq Scan|SCAN (files|held|records|file_records)\b", plan) for plan in plans), plans


@pytest.mark.parametrize(("what", "search"), [("files", "inv"), ("files", "/inbound"), ("held", "H"), ("held", "INV")])
def test_a_search_for_many_goes_by_the_lists_own_order(ledger: Ledger, what: str, search: str) -> None:
    plans = _plans(ledger, lambda book: getattr(book, what)(Filters(search=search), 50))
    assert not any("TEMP B-TREE FOR ORDER BY" in plan or "Sort" in plan for plan in plans), plans
    number = MANY.files if what == "files" else 2 * MANY.held
    assert getattr(ledger, f"count_{what}")(Filters(search=search)) == number
    narrow = replace(NORTH, search=search)
    rows = getattr(ledger, what)(narrow)
    assert (
        len(rows)
        == getattr(ledger, f"count_{what}")(narrow)
        == number // len(INSTANCES) + (number % len(INSTANCES) > 3)
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda book: book.known_instances(),
        lambda book: book.last_runs(),
        lambda book: book.open_held_by_instance(),
        lambda book: list(book.sent_since(NOW - timedelta(days=1))),
        lambda book: book.runs(Filters(run_id="run-7"), 50),
        lambda book: book.files(Filters(run_id="run-7"), 50),
        lambda book: book.trace("K000123"),
        lambda book: book.files_of_run(book.files(ONE, 1)[0].key),
    ],
    ids=["instances", "last runs", "open held", "sent", "a run", "its files", "trace", "files of an entity's run"],
)
def test_nothing_is_read_from_end_to_end(ledger: Ledger, ask: Callable[[Ledger], Any]) -> None:
    plans = _plans(ledger, ask)
    assert plans
    for plan in plans:
        # Scopes are few by their nature, and a list of values is no table.
        assert not re.search(r"Seq Scan (?!scopes)\w|SCAN (runs|files|held|events|postings)(?! USING)\b", plan), plan


def test_a_run_is_found_by_its_id_not_by_its_instance(ledger: Ledger) -> None:
    plans = _plans(ledger, lambda book: book.last_runs())
    assert any("ix_runs_run_id" in plan for plan in plans), plans
    plans = _plans(ledger, lambda book: book.files_of_run(book.files(ONE, 1)[0].key))
    assert any("ix_files_run" in plan for plan in plans), plans


def test_the_overview_of_it(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    rows = overview_rows(ledger, frozenset(INSTANCES), now=NOW)
    last = {run["last_run"]["run_id"] for run in rows}
    assert last == {f"run-{(MANY.runs - 1) // 60}"}
    assert sum(row["held"] for row in rows) == MANY.held
    expected: Counter[str] = Counter()
    for number in range(MANY.runs):
        run = MANY._run(number)
        expected[run["started_at"].date().isoformat()] += run["delivered"]
    shown = {day["day"]: sum(row["days"][n]["delivered"] for row in rows) for n, day in enumerate(rows[0]["days"])}
    assert shown == {day: expected[day] for day in shown}
    assert len(shown) == 30 and min(list(shown.values())[:-1]) > 0
