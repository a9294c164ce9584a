"""SYSPRO → legacy ERP under real Airflow: a close, a delivery that is killed, a backfill of two periods."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_services import ROOT, AirflowServices
from sandbox.clock import SandboxClock
from sandbox.legacy_erp import LegacyErpSimulator
from sandbox.proxy import DelayProxy
from sandbox.syspro.books import Books, BookSizes
from sandbox.syspro.operators import Operator, Session, Sessions
from sandbox.syspro.simulator import SysproSimulator
from tests.integration.support import FolderWatch, airflow_with, kill_task, until, with_port
from tieout.calendars import Calendar, Close, Period, load_calendar
from tieout.ledger import FileRow, Filters, Ledger, RunRow

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
DAG_ID = "syspro_to_legacy_erp"
ENTITIES = ("gl_postings", "invoices")


@dataclass
class World:
    """SYSPRO, the legacy ERP, and Airflow between them."""

    home: Path
    airflow: AirflowServices
    syspro: SysproSimulator
    legacy_erp: LegacyErpSimulator
    slow: DelayProxy

    @property
    def books(self) -> Books:
        return self.syspro.books

    def runs(self, kind: str) -> list[str]:
        found = self.airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns?run_type={kind}")["dag_runs"]
        return sorted(run["dag_run_id"] for run in found)

    def wait(self, run_id: str) -> str:
        return str(self.airflow.wait_run(DAG_ID, run_id)["state"])

    def rows(self, run_id: str) -> dict[str, RunRow]:
        with Ledger.open(f"sqlite:///{self.home / 'ledger.db'}") as ledger:
            return {row.entity: row for row in ledger.runs(Filters(run_id=run_id))}

    def files(self, run_id: str) -> dict[str, FileRow]:
        """The run's data files by what their names begin with."""
        with Ledger.open(f"sqlite:///{self.home / 'ledger.db'}") as ledger:
            found = ledger.files(Filters(run_id=run_id, status="delivered"))
        return {file.file_name.partition("_")[0]: file for file in found if file.kind == "data"}


def quick_include(folder: Path) -> Path:
    """A copy of `include/` whose default instance has few entities and retries after a second."""
    copy = folder / "include"
    shutil.copytree(ROOT / "include", copy)
    instance = copy / "integrations" / DAG_ID / "default.yaml"
    head, _, listed = (
        instance.read_text().replace("first_delay_seconds: 15", "first_delay_seconds: 1").partition("entities:\n")
    )
    kept = [line for line in listed.splitlines() if line.split(":")[0].strip() in ENTITIES]
    instance.write_text(head + "entities:\n" + "\n".join(kept) + "\n")
    return copy


@contextmanager
def running(folder: Path, first_year: int) -> Iterator[World]:
    """Everything, with the way to the legacy ERP made long: a task can be caught while it delivers."""
    clock = SandboxClock()
    syspro = SysproSimulator(BookSizes(first_year, years=2, lines=150, suppliers=6, items=4), clock=clock)
    legacy_erp = LegacyErpSimulator(folder / "legacy_erp", now=clock.now)
    home = folder / "home"
    syspro.start()
    try:
        legacy_erp.start()
        with DelayProxy(legacy_erp.server.host, legacy_erp.server.port, latency_ms=60) as slow:
            env = {**syspro.environment(), **legacy_erp.environment()}
            env["AIRFLOW_CONN_LEGACY_ERP_SFTP"] = with_port(env["AIRFLOW_CONN_LEGACY_ERP_SFTP"], slow.port)
            with airflow_with(home, env, quick_include(folder), DAG_ID) as airflow:
                yield World(home, airflow, syspro, legacy_erp, slow)
    finally:
        legacy_erp.stop()
        syspro.stop()


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that SYSPRO gives."""
    given: list[str] = []
    log_on = Sessions.log_on

    def noted(self: Sessions, *args: Any) -> Session:
        session = log_on(self, *args)
        given.append(session.token)
        return session

    monkeypatch.setattr(Sessions, "log_on", noted)
    return given


def test_the_close_a_killed_delivery_and_a_backfill_of_two_periods(tmp_path: Path, tokens: list[str]) -> None:
    calendar = load_calendar("calendar_months")
    closed = calendar.last_close(datetime.now(UTC))
    assert closed is not None
    with running(tmp_path, closed.period.year - 1) as world:
        expect_next_run(world, closed)
        with FolderWatch(world.legacy_erp.inbox.inbound) as watch:
            scheduled = killed_while_delivering(world, watch)
        assert [name for name, contents in watch.seen.items() if len(contents) != 1] == []
        expect_the_close(world, scheduled, closed, calendar)

        backfill_two_periods(world, closed, calendar)

    # Airflow has stopped: everything it writes is on disk.
    assert len(tokens) == 3
    assert places_of([*tokens, Operator().password], world.home) == []
    assert places_of([Operator().name], world.home), "what is no secret is in the logs, so they were looked through"


def killed_while_delivering(world: World, watch: FolderWatch) -> str:
    """The scheduler's first run, whose task is killed with a file half there; returns its id."""
    world.airflow.unpause(DAG_ID)
    until(lambda: bool(world.runs("scheduled")), "the scheduler's run")
    until(watch.temporary.is_set, "a file under its temporary name", 120)
    with world.slow.held():
        kill_task(world.airflow, world.slow.port)
    (run_id,) = world.runs("scheduled")
    assert world.wait(run_id) == "success"
    return run_id


def expect_next_run(world: World, close: Close) -> None:
    """The REST API, and with it the UI, tells for which period the next run is and when it comes."""

    def told() -> tuple[datetime, ...]:
        dag = world.airflow.get(f"/api/v2/dags/{DAG_ID}")
        names = ("next_dagrun_data_interval_start", "next_dagrun_data_interval_end", "next_dagrun_run_after")
        return tuple(datetime.fromisoformat(dag[name]) for name in names if dag[name])

    until(lambda: told() == (close.start, close.end, close.at), f"a next run for {close.period.label}")


def expect_the_close(world: World, run_id: str, closed: Close, calendar: Calendar) -> None:
    """The run has sent the period that closed last, each file once although the first attempt was killed."""
    assert run_id.endswith(f"__{closed.period.label}")
    tries = {task["task_id"]: task["try_number"] for task in world.airflow.tasks(DAG_ID, run_id)}
    assert tries["deliver"] == 2
    rows = world.rows(run_id)
    assert set(rows) == set(ENTITIES) and all(row.ties_out for row in rows.values())
    assert set(world.files(run_id)) == {"GL", "INV"}
    expect_received(world, [closed.period], files=2)
    following = calendar.next_close(closed.at)
    assert following is not None
    expect_next_run(world, following)
    # The first attempt's session is also that of the second.
    expect_sessions(world, log_ons=1)


def backfill_two_periods(world: World, closed: Close, calendar: Calendar) -> None:
    """Each period is a run of its own, with the period's postings and what is dated in its days."""
    second = calendar.before(closed.period)
    assert second is not None
    first = calendar.before(second)
    assert first is not None
    for period in (first, second):
        add_invoice(world.books, period)
    command = [
        str(ROOT / "bin" / "airflow"), "backfill", "create", "--dag-id", DAG_ID, "--max-active-runs", "1",
        "--from-date", f"{first.first_day}", "--to-date", f"{second.first_day}",
    ]  # fmt: skip
    created = subprocess.run(command, env=world.airflow.env, capture_output=True, text=True, check=False)
    assert created.returncode == 0, created.stderr[-2000:]
    until(lambda: len(world.runs("backfill")) == 2, "two backfill runs")
    runs = world.runs("backfill")
    assert [world.wait(run_id) for run_id in runs] == ["success", "success"]
    for run_id, period in zip(runs, (first, second), strict=True):
        rows = world.rows(run_id)
        assert all(row.ties_out and row.mode == "backfill" for row in rows.values())
        assert {row.interval_start for row in rows.values()} == {calendar.close_of(period).start}
        assert rows["invoices"].delivered == 1, "the others of these days went with the run at the close"
        assert rows["invoices"].duplicate == invoices_of(world.books, period) - 1 > 0
        files = world.files(run_id)
        assert set(files) == {"GL", "INV"}
        assert {file.file_name.split("_")[2] for file in files.values()} == {period.code}
    expect_received(world, [first, second, closed.period], files=6)
    expect_sessions(world, log_ons=3)


def expect_received(world: World, periods: list[Period], *, files: int) -> None:
    """The legacy ERP finds nothing wrong, has no gap in the numbers, and comes to SYSPRO's own figures."""
    inbox = world.legacy_erp.inbox
    inbox.load()
    assert inbox.problems == []
    assert len(inbox.files) == files
    assert {file.status for file in inbox.files} == {"read"}
    for period in periods:
        books, received = (
            world.books.control_totals(period.year, period.number),
            inbox.postings.totals(period.year, period.number),
        )
        assert received.lines == books["lines"] > 0
        assert (received.debit, received.credit) == (books["debit"], books["credit"])
    assert len(inbox.postings) == sum(world.books.control_totals(p.year, p.number)["lines"] for p in periods)


def expect_sessions(world: World, *, log_ons: int) -> None:
    """One log-on for each run so far, and none of them left open; nothing was written to SYSPRO."""
    until(lambda: world.syspro.server.statistics()["live_sessions"] == 0, "the log-off")
    told = world.syspro.server.statistics()
    assert (told["log_ons"], told["log_offs"], told["refused_log_ons"]) == (log_ons, log_ons, 0)
    assert told["writes_tried"] == 0 and not world.syspro.server.failures


def add_invoice(books: Books, period: Period) -> None:
    books.tables["ApInvoice"].insert({
        "Supplier": "0000001", "Invoice": f"LATE{period.code}", "InvoiceDate": period.first_day.isoformat(),
        "DueDate": period.last_day.isoformat(), "JournalDate": period.first_day.isoformat(),
        "OrigInvValue": Decimal("120.50"), "MthInvBal1": Decimal("120.50"), "Currency": "USD",
        "InvoiceYear": period.year, "InvoiceMonth": period.number, "InvoiceStatus": "O",
    })  # fmt: skip


def invoices_of(books: Books, period: Period) -> int:
    days = books.tables["ApInvoice"].array("InvoiceDate")
    return int(((days >= period.first_day.toordinal()) & (days <= period.last_day.toordinal())).sum())


def places_of(secrets: list[str], folder: Path) -> list[str]:
    """Files below a folder, databases with their XComs included, that hold one of the texts in any spelling."""
    forms = {
        form.encode()
        for text in (secret.strip() for secret in secrets)
        for form in (text, quote(text), quote_plus(text), quote(text, safe=""), text.replace("&", "&amp;"))
    }
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and any(form in content for content in (path.read_bytes(),) for form in forms)
    ]
