"""`runs`, `files`, `held`, `trace` over real ledgers."""

from __future__ import annotations

import pytest

from tests.cli.conftest import INVOICES, PAYLOAD, Run
from tieout.cli import main
from tieout.cli.lists import FILE_COLUMNS, HELD_COLUMNS, RUN_COLUMNS
from tieout.ledger import Filters, Ledger

RUN_KEYS = {
    "integration", "instance", "entity", "run_id", "interval_start", "interval_end", "extracted", "delivered", "posted",
    "held", "duplicate", "excluded", "source_totals", "target_totals", "ties_out", "status",
}  # fmt: skip
FILE_KEYS = {
    "integration", "instance", "entity", "run_id", "file_name", "remote_path", "bytes", "records", "sha256",
    "control_totals", "verification", "status", "delivered_at",
}  # fmt: skip
HELD_KEYS = {
    "id", "integration", "instance", "entity", "source_key", "reason_code", "message", "fix_hint", "owner",
    "first_seen", "attempts", "status",
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "keys", "columns"),
    [("runs", RUN_KEYS, RUN_COLUMNS), ("files", FILE_KEYS, FILE_COLUMNS), ("held", HELD_KEYS, HELD_COLUMNS)],
)
def test_rows_have_the_names_that_programs_rely_on(
    tieout: Run, ledger: Ledger, command: str, keys: set[str], columns: tuple[str, ...]
) -> None:
    rows = tieout(command, "--json").json
    assert rows
    for row in rows:
        assert keys <= set(row)
        assert set(columns) <= set(row)


def test_runs(tieout: Run, ledger: Ledger) -> None:
    (row,) = tieout("runs", "--json", "--entity", "invoices").json
    assert (row["extracted"], row["delivered"], row["held"], row["ties_out"]) == (3, 2, 1, True)
    assert (row["source_totals"], row["target_totals"]) == ({"EUR": "212.30"}, {"EUR": "200"})
    assert row["interval_start"] == "2026-01-30T00:00:00Z"


def test_files(tieout: Run, ledger: Ledger) -> None:
    (row,) = tieout("files", "--json").json
    assert (row["file_name"], row["records"], row["verification"]) == ("invoices.csv", 2, "read_back")
    assert row["delivered_at"] == "2026-01-31T08:00:00Z"


@pytest.mark.parametrize(
    ("filters", "entities"),
    [
        (["--instance", "north"], {"customers"}),
        (["--integration", "sap_b1_to_peakflo"], {"customers", "invoices"}),
        (["--integration", "other"], set()),
        (["--run-id", INVOICES.run_id], {"invoices"}),
        (["--since", "2020-01-01"], {"customers", "invoices"}),
        (["--since", "2999-01-01T00:00:00+02:00"], set()),
        (["--status", "held"], {"customers", "invoices"}),
        (["--status", "settled"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_filters(tieout: Run, ledger: Ledger, filters: list[str], entities: set[str]) -> None:
    assert {row["entity"] for row in tieout("held", "--json", *filters).json} == entities


def test_a_table_is_aligned_and_says_when_it_is_cut(tieout: Run, ledger: Ledger) -> None:
    answer = tieout("held", "--limit", "1")
    header, line = answer.out.splitlines()
    assert header.index("reason code") == line.index("LINE_SUM_MISMATCH")
    assert answer.err == "1 of 2 rows; --limit shows more, --json shows all.\n"
    assert tieout("held").err == ""


def test_nothing_has_run_yet(tieout: Run) -> None:
    answer = tieout("runs", "--json")
    assert (answer.code, answer.json) == (0, [])
    assert "There is no ledger at" in answer.err


def test_held_show_prints_the_original_bytes(ledger: Ledger, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (row,) = ledger.held(_invoices())
    assert main(["held", "show", str(row.id)]) == 0
    assert capfdbinary.readouterr().out == PAYLOAD


@pytest.mark.parametrize("arguments", [["held", "--json", "show"], ["held", "show", "--json"]])
def test_held_show_as_json(tieout: Run, ledger: Ledger, arguments: list[str]) -> None:
    (row,) = ledger.held(_invoices())
    shown = tieout(*arguments, str(row.id)).json
    assert (shown["payload"], shown["source_key"]) == (PAYLOAD.decode(), "8")
    assert shown["history"]


def test_held_discard(tieout: Run, ledger: Ledger) -> None:
    (row,) = ledger.held(_invoices())
    assert tieout("held", "discard", str(row.id), "--why", "a test document").code == 0
    after = ledger.get_held(row.id)
    assert after is not None
    assert (after.status, after.closed_why) == ("discarded", "a test document")
    again = tieout("held", "discard", str(row.id), "--why", "again")
    assert (again.code, "discarded already" in again.err) == (1, True)


@pytest.mark.parametrize("arguments", [["show", "99"], ["discard", "99", "--why", "x"]])
def test_unknown_held_records(tieout: Run, ledger: Ledger, arguments: list[str]) -> None:
    answer = tieout("held", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert "There is no held record 99" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(("key", "entity"), [("6", "invoices"), ("5006", "invoices"), ("C9", "customers")])
def test_trace(tieout: Run, ledger: Ledger, key: str, entity: str) -> None:
    assert [record["entity"] for record in tieout("trace", key, "--json").json["records"]] == [entity]


def test_trace_tells_the_story_in_lines(tieout: Run, ledger: Ledger) -> None:
    lines = tieout("trace", "5006").out.splitlines()
    assert "key: 5006" in lines
    assert any(line.strip() == "byte end: 100" for line in lines)
    assert "[{" not in "".join(lines)


def test_trace_of_something_unknown(tieout: Run, ledger: Ledger) -> None:
    answer = tieout("trace", "nobody")
    assert (answer.code, "Nothing is known of 'nobody'" in answer.err) == (1, True)


def _invoices() -> Filters:
    return Filters(entity="invoices")
