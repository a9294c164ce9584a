"""Whole runs of G/L postings, from SYSPRO to the legacy ERP's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from tests.integrations.syspro_to_legacy_erp.gl_support import COLUMNS, D
from tests.integrations.syspro_to_legacy_erp.readers import read_csv, read_fixed, read_x12
from tests.integrations.syspro_to_legacy_erp.rehearsal import GL, Outcome, Rehearsal, mapping_file
from tieout.errors import ConfigurationInvalid, SourceUnavailable
from tieout.ledger import Ledger
from tieout.mapping.encryption import encrypt_file

FROM, TO = "4000-20-100", "1100-10-000"


def pair(amount: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Entries of a small journal."""
    return (FROM, amount), (TO, f"-{amount}")


def journals(outcome: Outcome) -> set[str]:
    """The journals in a run's only data file, in CSV."""
    return {line.journal for line in read_csv(outcome.one).lines}


@pytest.fixture
def csv_rehearsal(rehearsal: Rehearsal) -> Rehearsal:
    """The same as CSV."""
    rehearsal.send_only(gl_postings={"format": "csv"})
    return rehearsal


# -- one run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity", "name", "reader"),
    [
        ({"format": "csv"}, "GL_EDU1_202601_000001.csv", read_csv),
        ({"format": "fixed_width"}, "GL_EDU1_202601_000001.dat", read_fixed),
        ({"format": "x12", "gl_set": "830"}, "GL_EDU1_202601_000001.edi", read_x12),
        ({"format": "x12", "gl_set": "821"}, "GL_EDU1_202601_000001.edi", read_x12),
    ],
    ids=["csv", "fixed", "830", "821"],
)
def test_a_period(rehearsal: Rehearsal, entity: dict[str, str], name: str, reader: Callable[[bytes], Any]) -> None:
    rehearsal.send_only(gl_postings=entity)
    rehearsal.post(2026, 1, *pair("0.50"), status="H")
    outcome = rehearsal.go(gate=entity["format"] == "csv")

    assert outcome.ties_out, outcome.problems
    assert set(outcome.files) == {name, f"{name}.manifest.json"}
    books = rehearsal.books.control_totals(2026, 1)
    assert outcome.counts() == (books["lines"], 0, 0, 2)
    lines = reader(outcome.one).lines
    assert sum(line.amount for line in lines if line.amount > 0) == books["debit"]
    by_code: dict[str, Decimal] = {}
    for line in lines:
        by_code[line.account] = by_code.get(line.account, D(0)) + line.amount
    assert by_code == books["by_code"]
    manifest = outcome.manifest(name)
    centres = manifest["control_totals"].pop("by_cost_centre")
    assert sum(D(sides["debit"]) for sides in centres.values()) == books["debit"]
    assert manifest == {
        "file": name, "bytes": len(outcome.one), "sha256": hashlib.sha256(outcome.one).hexdigest(),
        "records": len(lines), "period": "202601",
        "control_totals": {"debit": f"{books['debit']:f}", "credit": f"{books['credit']:f}", "currency": "USD"},
    }  # fmt: skip
    assert rehearsal.load() == []
    assert rehearsal.states() == {1: "used"}


def test_the_columns_of_the_mapping(csv_rehearsal: Rehearsal) -> None:
    columns = csv_rehearsal.go(period="2025-07").one.decode().splitlines()[0]
    assert tuple(columns.split(",")) == COLUMNS

    def other(content: dict[str, Any]) -> None:
        content["columns"] = [{"name": "V", "from": "voucher"}, {"name": "company"}, {"name": "amount"}]

    csv_rehearsal.change_yaml("gl_postings", other)
    rows = csv_rehearsal.go(period="2025-08").one.decode().splitlines()
    assert rows[0] == "V,company,amount"
    assert rows[1].startswith("202508-0000000001,EDU1,")


def test_journal_numbers_begin_anew_in_each_period(csv_rehearsal: Rehearsal) -> None:
    outcomes = [csv_rehearsal.go(period=period) for period in ("2025-11", "2025-12", "202601")]
    assert all(outcome.ties_out and "1" in journals(outcome) for outcome in outcomes)
    assert [outcome.counts() for outcome in outcomes] == [(4, 0, 0, 0), (4, 0, 4, 0), (4, 0, 8, 0)]


def test_an_adjustment_period(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.post(2025, 13, *pair("500"), day=date(2025, 12, 31))
    outcome = csv_rehearsal.go(period="2025-13")
    assert list(outcome.data) == ["GL_EDU1_202513_000001.csv"]
    assert outcome.manifest("GL_EDU1_202513_000001.csv")["period"] == "202513"
    assert csv_rehearsal.go().counts() == (4, 0, 2, 0), "it is read again for late postings"


def test_an_empty_period_sends_nothing(csv_rehearsal: Rehearsal) -> None:
    outcome = csv_rehearsal.go(period="2026-13")
    assert outcome.ties_out and outcome.files == {} and csv_rehearsal.numbers() == []


def test_the_same_books_give_the_same_bytes(
    rehearsal: Rehearsal, new_ledger: Callable[[str], Ledger], tmp_path: Path
) -> None:
    first = rehearsal.go()
    fields = {name: getattr(first.run, name) for name in ("run_id", "stamp")}
    # Everything is begun from nothing: another ledger, another folder.
    other = Rehearsal(rehearsal.sandbox, new_ledger("other"), tmp_path / "other", rehearsal.config)
    for path in rehearsal.inbound.iterdir():
        path.unlink()
    assert other.go(**fields).files == first.files


def test_a_site_without_headers(csv_rehearsal: Rehearsal) -> None:
    tables = csv_rehearsal.books.tables
    del tables["GenJournalCtl"]
    outcome = csv_rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (4, 0, 0, 0)


def test_other_tables_of_the_site_may_be_missing(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={"format": "x12", "gl_set": "821"})
    del rehearsal.books.tables["GenMaster"]
    outcome = rehearsal.go()
    assert outcome.ties_out and b"ACT*" in outcome.one and b"Account " not in outcome.one


def test_names_of_accounts_come_from_the_chart(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={"format": "x12", "gl_set": "821"})
    assert b"*Account " in rehearsal.go().one


def test_an_outage_of_syspro(rehearsal: Rehearsal) -> None:
    rehearsal.sandbox.syspro.server.faults.add("unavailable", path="GenJournalDetail", times=None)
    failed = rehearsal.go()
    assert isinstance(failed.error, SourceUnavailable)
    rehearsal.sandbox.syspro.server.faults.clear()
    assert rehearsal.go().ties_out


# -- one run after another --------------------------------------------------------------------------------------------


def test_a_second_run_sends_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    again = rehearsal.go()
    assert again.ties_out and again.files == {} and again.counts() == (0, 0, 4, 0)
    assert rehearsal.states() == {1: "used"}


def test_a_late_posting_goes_in_one_file_of_its_own(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.go()
    late = csv_rehearsal.post(2026, 1, *pair("5"))
    outcome = csv_rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (2, 0, 4, 0)
    assert list(outcome.data) == ["GL_EDU1_202601_000002.csv"]
    assert journals(outcome) == {str(late)}
    manifest = outcome.manifest("GL_EDU1_202601_000002.csv")
    assert (manifest["period"], manifest["records"], manifest["supplementary"]) == ("202601", 2, True)
    assert csv_rehearsal.go().files == {}
    assert csv_rehearsal.load() == []


def test_late_postings_of_several_periods(csv_rehearsal: Rehearsal) -> None:
    for period in ("2025-11", "2025-12"):
        csv_rehearsal.go(period=period)
    for month in (9, 11, 12):
        csv_rehearsal.post(2025, month, *pair(f"{month}.00"))
    outcome = csv_rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (4 + 2 + 2, 0, 8, 0), "what was never sent is no late posting"
    assert sorted(outcome.data) == [
        "GL_EDU1_202511_000004.csv", "GL_EDU1_202512_000005.csv", "GL_EDU1_202601_000003.csv",
    ]  # fmt: skip
    assert "supplementary" not in outcome.manifest("GL_EDU1_202601_000003.csv")
    assert outcome.manifest("GL_EDU1_202511_000004.csv")["supplementary"] is True
    assert csv_rehearsal.load() == []


def test_late_periods_may_be_left_alone(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.configure(source={"late_periods": 0})
    csv_rehearsal.go(period="2025-12")
    csv_rehearsal.post(2025, 12, *pair("5"))
    assert csv_rehearsal.go().counts() == (4, 0, 0, 0)


def test_a_backfill_sends_what_it_is_for(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.go(period="2025-10")
    csv_rehearsal.post(2025, 10, *pair("5"))
    days: dict[str, Any] = {
        "interval_start": datetime(2025, 11, 1, tzinfo=UTC),
        "interval_end": datetime(2025, 12, 1, tzinfo=UTC),
    }
    outcome = csv_rehearsal.go(mode="backfill", **days)
    assert list(outcome.data) == ["GL_EDU1_202511_000002.csv"]


def test_a_full_refresh_sends_everything_again(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.go()
    again = csv_rehearsal.go(full_refresh=(GL,))
    assert again.counts() == (4, 0, 0, 0)
    assert "supplementary" not in again.manifest("GL_EDU1_202601_000002.csv")


def test_changed_after_sending(rehearsal: Rehearsal) -> None:
    journal = rehearsal.post(2026, 1, *pair("5"))
    rehearsal.go()
    key = (2026, 1, journal, 1)
    rehearsal.books.tables["GenJournalDetail"].update(key, {"EntryValue": "6"})
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.files == {} and outcome.counts() == (0, 1, 5, 0)
    (held,) = rehearsal.held_rows()
    assert (held.source_key, held.reason_code) == (f"2026|1|{journal}|1", "CHANGED_AFTER_SENDING")

    rehearsal.books.tables["GenJournalDetail"].update(key, {"EntryValue": "5"})
    assert rehearsal.go().counts() == (0, 0, 6, 0)
    assert rehearsal.held() == {}, "it is a duplicate again, and settled"


@pytest.mark.parametrize("how", ["removed", "not posted"])
def test_vanished_after_sending(rehearsal: Rehearsal, how: str) -> None:
    journal = rehearsal.post(2026, 1, *pair("5"))
    rehearsal.go()
    for entry in (1, 2):
        key = (2026, 1, journal, entry)
        if how == "removed":
            rehearsal.books.tables["GenJournalDetail"].delete(key)
        else:
            rehearsal.books.tables["GenJournalDetail"].update(key, {"EntryPosted": "N"})
    outcome = rehearsal.go()
    assert not outcome.ties_out
    assert "2 of 202601" in outcome.problems[GL] and "SYSPRO" in outcome.problems[GL]


# -- held -------------------------------------------------------------------------------------------------------------


def test_a_held_journal_goes_once_it_is_right(csv_rehearsal: Rehearsal) -> None:
    bad = csv_rehearsal.post(2026, 1, (FROM, "100"), (TO, "-99.99"))
    first = csv_rehearsal.go()
    assert first.ties_out and first.counts() == (4, 2, 0, 0)
    assert set(csv_rehearsal.held().values()) == {"UNBALANCED_JOURNAL"}
    row = csv_rehearsal.ledger.get_held(csv_rehearsal.held_rows()[0].id)
    assert row is not None and json.loads(row.payload)["Journal"] == bad

    csv_rehearsal.books.tables["GenJournalDetail"].update((2026, 1, bad, 2), {"EntryValue": "-100"})
    second = csv_rehearsal.go()
    assert second.ties_out and second.counts() == (2, 0, 4, 0) and journals(second) == {str(bad)}
    assert csv_rehearsal.held() == {}


def test_held_postings_of_an_older_period_are_tried_again(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.configure(source={"late_periods": 0})
    bad = csv_rehearsal.post(2025, 3, ("SUSPENSE", "12.50"), (TO, "-12.50"))
    assert csv_rehearsal.go(period="2025-03").counts() == (4, 2, 0, 0)
    centre = {"method": "split", "separator": "-", "index": 1, "on_no_match": "NONE"}
    csv_rehearsal.change_yaml("gl_postings", lambda content: content.update(cost_centre=centre))
    outcome = csv_rehearsal.go()
    assert sorted(outcome.data) == ["GL_EDU1_202503_000003.csv", "GL_EDU1_202601_000002.csv"]
    assert {line.journal for line in read_csv(outcome.data["GL_EDU1_202503_000003.csv"]).lines} == {str(bad)}
    assert csv_rehearsal.held() == {}


def test_replay_reads_only_the_held_ones(csv_rehearsal: Rehearsal) -> None:
    bad = [csv_rehearsal.post(2026, 1, ("SUSPENSE", amount), (TO, f"-{amount}")) for amount in ("1", "2")]
    csv_rehearsal.go()
    csv_rehearsal.post(2026, 1, *pair("77"))
    replayed = csv_rehearsal.go(mode="held_only")
    assert replayed.ties_out and replayed.counts() == (0, 4, 0, 0) and replayed.files == {}
    assert {row.attempts for row in csv_rehearsal.held_rows()} == {2}

    csv_rehearsal.change_yaml("gl_postings", lambda content: content["cost_centre"].update(on_no_match="NONE"))
    ids = tuple(row.id for row in csv_rehearsal.held_rows() if row.source_key.startswith(f"2026|1|{bad[1]}|"))
    one = csv_rehearsal.go(mode="held_only", held_ids=ids)
    assert one.ties_out and one.counts() == (2, 0, 0, 0) and journals(one) == {str(bad[1])}
    assert len(csv_rehearsal.held()) == 2
    rest = csv_rehearsal.go(mode="held_only")
    assert journals(rest) == {str(bad[0])} and csv_rehearsal.held() == {}
    assert csv_rehearsal.load() == []


def test_a_run_that_is_cleared_holds_only_what_it_finds_now(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.configure(source={"late_periods": 0})
    bad = csv_rehearsal.post(2025, 3, (FROM, "100"), (TO, "-99.99"))
    csv_rehearsal.go(period="2025-03")
    first = csv_rehearsal.go()
    assert first.counts() == (4, 2, 4, 0)
    csv_rehearsal.books.tables["GenJournalDetail"].update((2025, 3, bad, 2), {"EntryValue": "-100"})
    assert csv_rehearsal.go().counts() == (2, 0, 8, 0) and csv_rehearsal.held() == {}
    cleared = csv_rehearsal.go(run_id=first.run.run_id, stamp=first.run.stamp)
    assert cleared.ties_out and cleared.counts() == (0, 0, 4, 0)
    assert csv_rehearsal.held() == {}


def test_discarded_postings_are_excluded(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.post(2026, 1, ("SUSPENSE", "1"), (TO, "-1"))
    csv_rehearsal.go()
    for row in csv_rehearsal.held_rows():
        csv_rehearsal.ledger.discard_held(row.id, "entered by hand at the receiver", "finance")
    outcome = csv_rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (0, 0, 4, 2) and csv_rehearsal.held() == {}


def test_cross_references(csv_rehearsal: Rehearsal) -> None:
    csv_rehearsal.post(2026, 1, *pair("5"))
    csv_rehearsal.change_yaml("accounts", lambda content: content.update(entries={FROM: "640000"}))
    csv_rehearsal.change_yaml("cost_centres", lambda content: content.update(entries={"20": "CC-A", "10": "CC-A"}))
    lines = read_csv(csv_rehearsal.go().one).lines
    assert ("CC-A", "640000") in {(line.cost_centre, line.account) for line in lines}
    assert not {"10", "20"} & {line.cost_centre for line in lines}


def test_an_encrypted_cross_reference_that_holds(csv_rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    path = mapping_file("accounts")
    content = yaml.safe_load(path.read_text()) | {"entries": {"9-99-9": "secret"}, "otherwise": "hold"}
    path.write_text(yaml.safe_dump(content))
    encrypt_file(path)
    path.unlink()
    assert not path.exists() and path.with_name("accounts.yaml.enc").exists()
    first = csv_rehearsal.go()
    assert first.ties_out and first.counts() == (0, 4, 0, 0) and csv_rehearsal.numbers() == []
    messages = " ".join(f"{row.message} {row.fix_hint}" for row in csv_rehearsal.held_rows())
    assert "accounts.yaml.enc" in messages and "secret" not in messages

    monkeypatch.delenv("TIEOUT_MAPPING_KEY")
    locked = csv_rehearsal.go()
    assert isinstance(locked.error, ConfigurationInvalid) and "TIEOUT_MAPPING_KEY" in str(locked.error)


# -- the quality gate, dry runs ---------------------------------------------------------------------------------------


def test_groups_that_are_not_as_expected_keep_all_back(rehearsal: Rehearsal, include: Path) -> None:
    path = include / "quality" / "syspro_to_legacy_erp" / "gl_postings.yaml"
    suite = yaml.safe_load(path.read_text())
    suite["expectations"].append(
        {
            "type": "expect_column_values_to_not_match_regex",
            "kwargs": {"column": "account", "regex": "^4000-"},
            "severity": "critical",
            "meaning": "Nothing goes to account 4000.",
        }
    )
    path.write_text(yaml.safe_dump(suite))
    rehearsal.post(2026, 1, *pair("5"))
    outcome = rehearsal.go(gate=True)
    assert outcome.files == {} and rehearsal.numbers() == []
    assert "Nothing goes to account 4000." in outcome.problems[GL]
    assert rehearsal.held() == {}


def test_a_dry_run_leaves_no_trace(rehearsal: Rehearsal) -> None:
    rehearsal.go(period="2025-12")
    rehearsal.post(2026, 1, ("SUSPENSE", "1"), (TO, "-1"))
    archived = sorted(rehearsal.archive.rglob("*"))
    logins = rehearsal.sandbox.legacy_erp.server.statistics.logins
    outcome = rehearsal.go(dry_run=True)
    assert outcome.ties_out, outcome.problems
    assert outcome.rows[GL].to_send == 4 and outcome.rows[GL].status == "dry_run"
    assert outcome.files == {} and rehearsal.held() == {} and rehearsal.states() == {1: "used"}
    assert sorted(rehearsal.archive.rglob("*")) == archived
    assert rehearsal.sandbox.legacy_erp.server.statistics.logins == logins
    assert (rehearsal.staging(outcome.run) / GL / "prepared" / "202601" / "data").read_bytes()[13:19] == b"000002"
    assert list(rehearsal.go().data) == ["GL_EDU1_202601_000002.dat"]
