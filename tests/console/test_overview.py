"""The overview's figures, and the ledger's queries behind it, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from tests.cli.conftest import INVOICES, NORTH, deliver_and_hold
from tieout.console.overview import DAYS, overview_rows
from tieout.ledger import Filters, Ledger, RunKey

PAIR = (INVOICES.integration, INVOICES.instance)


def _tell(book: Ledger, key: RunKey, moment: datetime, sent: tuple[str, ...], held: str) -> None:
    with (
        mock.patch("tieout.ledger.runs.utc_now", return_value=moment),
        mock.patch("tieout.ledger.held.utc_now", return_value=moment),
    ):
        deliver_and_hold(book, key, sent=sent, held=held)


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "include" / "integrations" / INVOICES.integration
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text("timezone: Europe/Brussels\n")
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))
    return folder


def test_days_are_those_of_the_instance(empty_ledger: Ledger, include: Path) -> None:
    # 2026-03-01 00:30 in Brussels is the day before in UTC.
    night = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    _tell(empty_ledger, replace(INVOICES, run_id="old"), night - timedelta(days=35), ("1",), "H0")
    _tell(empty_ledger, replace(INVOICES, run_id="eve"), night - timedelta(hours=1), ("2", "3"), "H1")
    _tell(empty_ledger, replace(INVOICES, run_id="new"), night, ("4",), "H2")
    _tell(empty_ledger, replace(NORTH, instance="default", entity="customers", run_id="new"), night, (), "C1")
    (row,) = overview_rows(empty_ledger, frozenset({PAIR}), now=night + timedelta(minutes=5))

    assert row["timezone"] == "Europe/Brussels"
    assert row["today"] == row["month"] == {"delivered": 1, "posted": 0, "totals": {"EUR": "100"}}
    assert len(row["days"]) == DAYS
    assert row["days"][-1] == {"day": "2026-03-01", "delivered": 1, "posted": 0, "held": 2}
    assert row["days"][-2] == {"day": "2026-02-28", "delivered": 2, "posted": 0, "held": 1}
    assert sum(day["delivered"] for day in row["days"]) == 3
    assert row["held"] == 4
    oldest = min(empty_ledger.held(Filters()), key=lambda each: each.first_seen)
    assert row["oldest_held"] == {"id": oldest.id, "first_seen": "2026-01-24T23:30:00Z"}
    run = row["last_run"]
    assert (run["run_id"], run["status"], run["ties_out"]) == ("new", "success", True)
    assert (run["extracted"], run["delivered"], run["held"]) == (3, 1, 2)

    (later,) = overview_rows(empty_ledger, frozenset({PAIR}), now=night + timedelta(days=1, minutes=5))
    assert later["today"] == {"delivered": 0, "posted": 0, "totals": {}}
    assert later["month"]["delivered"] == 1


def test_a_month_of_31_days_is_whole(empty_ledger: Ledger, include: Path) -> None:
    _tell(empty_ledger, INVOICES, datetime(2026, 1, 1, 0, 5, tzinfo=UTC), ("1",), "H0")
    (row,) = overview_rows(empty_ledger, frozenset({PAIR}), now=datetime(2026, 1, 31, 22, 55, tzinfo=UTC))
    assert row["month"]["delivered"] == 1
    assert row["days"][0]["day"] == "2026-01-02"


@pytest.mark.parametrize("text", ["", "timezone: Nowhere/Atall\n", "timezone: [\n", "- a list\n", None])
def test_without_a_usable_file_days_are_utc(empty_ledger: Ledger, include: Path, text: str | None) -> None:
    deliver_and_hold(empty_ledger, INVOICES, sent=(), held="1")
    if text is None:
        (include / "default.yaml").unlink()
    else:
        (include / "default.yaml").write_text(text)
    (row,) = overview_rows(empty_ledger, frozenset({PAIR}))
    assert row["timezone"] == "UTC"


@pytest.mark.parametrize(
    ("ends", "status", "ties_out"),
    [
        ((True, True), "success", True),
        ((True, False), "failed", False),
        ((False, None), "failed", False),
        ((True, None), "running", False),
        ((None, None), "running", False),
    ],
)
def test_a_run_is_as_good_as_its_worst_entity(
    empty_ledger: Ledger, ends: tuple[bool | None, ...], status: str, ties_out: bool
) -> None:
    for number, end in enumerate(ends):
        key = replace(INVOICES, entity=f"entity{number}")
        if end is None:
            empty_ledger.begin_run(
                key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={}
            )
        else:
            deliver_and_hold(empty_ledger, key, sent=(), held="1")
            if not end:
                empty_ledger.finish_run(key, ties_out=False, message="Money is missing.")
    run = empty_ledger.last_runs()[PAIR]
    assert (run.status, bool(run.ties_out), run.ended_at is None) == (status, ties_out, None in ends)


def test_instances_and_what_they_hold(empty_ledger: Ledger) -> None:
    assert (empty_ledger.known_instances(), empty_ledger.last_runs(), empty_ledger.open_held_by_instance()) == (
        [],
        {},
        {},
    )
    other = RunKey("banqup_to_sftp", "z", "documents", "r")
    for key in (INVOICES, replace(INVOICES, entity="payments"), NORTH, other):
        deliver_and_hold(empty_ledger, key, sent=(), held="1")
    assert empty_ledger.known_instances() == [
        ("banqup_to_sftp", "z"),
        ("sap_b1_to_peakflo", "default"),
        ("sap_b1_to_peakflo", "north"),
    ]
    (customer,) = empty_ledger.held(Filters(instance="north"))
    empty_ledger.discard_held(customer.id, "not ours", "me")
    assert {pair: held.number for pair, held in empty_ledger.open_held_by_instance().items()} == {
        ("banqup_to_sftp", "z"): 1,
        PAIR: 2,
    }


@pytest.mark.parametrize("within", [frozenset({PAIR}), frozenset({PAIR, ("a", "b")}), frozenset()])
def test_lists_within_some_instances(empty_ledger: Ledger, within: frozenset[tuple[str, str]]) -> None:
    deliver_and_hold(empty_ledger, INVOICES, sent=("1",), held="2")
    deliver_and_hold(empty_ledger, NORTH, sent=("1",), held="2")
    narrow = Filters(within=within)
    for rows, number in (
        (empty_ledger.runs(narrow), empty_ledger.count_runs(narrow)),
        (empty_ledger.files(narrow), empty_ledger.count_files(narrow)),
        (empty_ledger.held(narrow), empty_ledger.count_held(narrow)),
    ):
        assert [row.instance for row in rows] == (["default"] if PAIR in within else [])
        assert number == len(rows)


@pytest.mark.parametrize(
    ("search", "keys"),
    [
        ("A-", ["A-1"]),
        ("a-", ["a-1"]),
        ("A", ["A-1", "A1%"]),
        ("A1%", ["A1%"]),
        ("500a", ["a-1"]),
        ("%", []),
        ("-", []),
    ],
)
def test_a_search_is_an_exact_beginning(empty_ledger: Ledger, search: str, keys: list[str]) -> None:
    for key in ("A-1", "a-1", "A1%"):
        deliver_and_hold(empty_ledger, replace(INVOICES, run_id=key), sent=(), held=key)
    narrow = Filters(search=search)
    assert sorted(row.source_key for row in empty_ledger.held(narrow)) == keys
    assert empty_ledger.count_held(narrow) == len(keys)
