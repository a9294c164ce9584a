"""Where postings go: to the file, to the duplicates, to the held, to the excluded; and why."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.syspro_to_legacy_erp.gl_support import (
    FACTS,
    D,
    Posting,
    csv_writer,
    fixed_writer,
    headers_of,
    journal,
    new_profile,
    payload,
    prepare,
    rules,
    shipped_spec,
    x12_writer,
)
from tests.integrations.syspro_to_legacy_erp.readers import read_csv, read_fixed, read_x12
from tieout.config import PartnerCsv, SysproSource
from tieout.errors import ConfigurationInvalid, ContractBroken, DoesNotTieOut
from tieout.integrations.sorting import Place
from tieout.integrations.syspro_to_legacy_erp.gl import files, judging
from tieout.mapping.cross_reference import Target

GOOD = journal(1, ("4000-20-100", "10.00"), ("1100-10-000", "-10.00"))
KEYS_OF_1 = {"2026|1|1|1", "2026|1|1|2"}


def header(**changes: Any) -> dict[str, Any]:
    return {"GenJournalCtl": [{**row, **changes} for row in headers_of(GOOD)]}


# -- what is posted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("postings", "tables", "counts"),
    [
        (GOOD, header(), (2, 0, 0, 0)),
        (GOOD, header(JnlStatus="H"), (0, 0, 0, 2)),
        (GOOD, header(JnlStatus=None), (2, 0, 0, 0)),
        ([replace(p, posted="N") for p in GOOD], header(), (0, 0, 0, 2)),
        ([replace(p, posted=None) for p in GOOD], header(), (2, 0, 0, 0)),
        ([replace(p, posted=None) for p in GOOD], header(JnlStatus="H"), (0, 0, 0, 2)),
        (GOOD, {"GenJournalCtl": None}, (2, 0, 0, 0)),
        ([replace(p, posted="N") for p in GOOD], {"GenJournalCtl": None}, (0, 0, 0, 2)),
    ],
    ids=[
        "posted", "journal held", "no status anywhere", "entries not posted", "headers alone tell",
        "headers alone tell of a held one", "entries alone tell", "entries alone tell of one not posted",
    ],
)  # fmt: skip
def test_what_is_posted(
    tmp_path: Path, postings: list[Posting], tables: dict[str, Any], counts: tuple[int, ...]
) -> None:
    made = prepare(tmp_path, postings, tables=tables)
    assert made.counts == counts
    assert bool(made.data) == bool(counts[0])


def test_other_codes_for_posted(tmp_path: Path) -> None:
    source = SysproSource(posted_journals=("X", "Z"), posted_entries=("1",))
    made = prepare(tmp_path, [replace(p, posted="1") for p in GOOD], source=source, tables=header(JnlStatus="Z"))
    assert made.counts == (2, 0, 0, 0)


def test_an_entry_that_is_not_posted_makes_its_journal_incomplete(tmp_path: Path) -> None:
    three = journal(1, ("4000-20-100", "10"), ("1100-10-000", "-10"), ("1100-10-000", "-5"), ("4000-20-100", "5"))
    made = prepare(tmp_path, [*three[:3], replace(three[3], posted="N")])
    assert made.counts == (0, 0, 3, 1)
    assert set(made.reasons.values()) == {"UNBALANCED_JOURNAL"}


# -- what is held -----------------------------------------------------------------------------------------------------


def faulty(amounts: tuple[Any, Any] = ("10.00", "-10.00"), codes: tuple[Any, Any] = ("4000-20-100", "1100-10-000")
           ) -> list[Posting]:  # fmt: skip
    return [
        Posting(7, at, code, None if amount is None else D(amount))
        for at, (code, amount) in enumerate(zip(codes, amounts, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("bad", "change", "code", "says"),
    [
        (faulty(("10.00", "-9.99")), {}, "UNBALANCED_JOURNAL", "does not balance: its postings add up to 0.01"),
        (faulty(), {"DebitAmount": D("12.00")}, "INCOMPLETE_JOURNAL", "12.00 by its header, but its postings"),
        (faulty(), {"NumOfEntries": 3}, "INCOMPLETE_JOURNAL", "should have 3 entries by its header, but only 2"),
        (faulty(), {"GlJournal": 8}, "JOURNAL_WITHOUT_HEADER", "Journal 7 has postings but no header"),
        (faulty(("10.005", "-10.005")), {}, "AMOUNT_PRECISION", "more than the 2 decimals of USD"),
        (faulty((None, "-10.00")), {}, "MISSING_VALUE", "has no amount"),
        (faulty(codes=(None, "1100-10-000")), {}, "MISSING_VALUE", "has no G/L code"),
        (faulty(codes=("SUSPENSE", "1100-10-000")), {}, "NO_COST_CENTRE", "The G/L code SUSPENSE has no cost centre"),
        (faulty(codes=("4000--100", "1100-10-000")), {}, "NO_COST_CENTRE", "The G/L code 4000--100 has no cost centre"),
    ],
    ids=[
        "unbalanced", "incomplete", "entry missing", "no header", "decimals", "no amount", "no code", "no cost centre",
        "empty part",
    ],
)  # fmt: skip
def test_a_bad_journal_is_held_and_the_others_go(
    tmp_path: Path, bad: list[Posting], change: dict[str, Any], code: str, says: str
) -> None:
    heads = [{**row, **(change if row["GlJournal"] == 7 else {})} for row in headers_of(GOOD + bad)]
    made = prepare(tmp_path, GOOD + bad, tables={"GenJournalCtl": heads})
    assert made.counts == (2, 0, 2, 0)
    others = "UNBALANCED_JOURNAL" if bad[0].amount is None else code
    assert made.reasons == {"2026|1|7|1": code, "2026|1|7|2": others}
    assert says in made.held["2026|1|7|1"]["message"]
    for posting in bad:
        draft = made.held[posting.key]
        assert draft["fix_hint"] and draft["label"] == "202601-0000000007"
        assert payload(draft)["Journal"] == 7, "the original bytes are kept"
        assert draft["amount"] == (None if posting.amount is None else f"{posting.amount:.6f}")
    assert [line.journal for line in read_csv(made.data).lines] == ["1", "1"]


@pytest.mark.parametrize("number", [2, 20, 4000])
def test_the_others_of_a_held_journal_say_that_another_one_is_held(tmp_path: Path, number: int) -> None:
    bad = journal(number, ("4000-20-100", "10.005"), ("1100-10-000", "-10.01"), ("1100-10-000", "0.005"))
    made = prepare(tmp_path, bad)
    assert made.held[f"2026|1|{number}|1"]["message"].startswith("The amount has more than the 2 decimals")
    assert made.held[f"2026|1|{number}|2"]["message"].startswith(
        f"Journal {number} goes whole or not at all, and another posting of it is held: The amount"
    )


def test_journals_need_not_be_held_as_a_whole(tmp_path: Path) -> None:
    loose = rules(hold_whole_journals=False)
    made = prepare(tmp_path, GOOD + faulty(codes=("SUSPENSE", "1100-10-000")), gl_rules=loose)
    assert made.reasons == {"2026|1|7|1": "NO_COST_CENTRE"}
    assert {row["source_key"] for row in made.index} == KEYS_OF_1 | {"2026|1|7|2"}


def test_a_bucket_for_codes_without_cost_centre(tmp_path: Path) -> None:
    named = rules(cost_centre={"method": "split", "separator": "-", "index": 1, "on_no_match": "UNASSIGNED"})
    made = prepare(tmp_path, faulty(codes=("SUSPENSE", "1100-10-000")), gl_rules=named)
    assert made.held == {}
    assert {line.cost_centre: line.account for line in read_csv(made.data).lines} == {
        "UNASSIGNED": "SUSPENSE", "10": "1100-10-000",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("part", "centres"),
    [
        ({"method": "split", "separator": "-", "index": -1}, {"100", "000"}),
        ({"method": "slice", "start": 5, "length": 2}, {"20", "10"}),
        ({"method": "regex", "pattern": r"^\d+-(\d)"}, {"2", "1"}),
        ({"method": "whole"}, {"4000-20-100", "1100-10-000"}),
    ],
    ids=lambda value: value.get("method") if isinstance(value, dict) else "",
)
def test_ways_to_find_the_cost_centre(tmp_path: Path, part: dict[str, Any], centres: set[str]) -> None:
    made = prepare(tmp_path, GOOD, gl_rules=rules(cost_centre=part))
    assert {line.cost_centre for line in read_csv(made.data).lines} == centres


def test_cross_references(tmp_path: Path) -> None:
    shipped = rules()
    centres = replace(shipped.cost_centres, entries={"20": Target(code="CC-A"), "10": Target(code="CC-A")})
    accounts = replace(shipped.accounts, entries={"4000-20-100": Target(code="640000")}, otherwise="hold")
    mapped = replace(shipped, cost_centres=centres, accounts=accounts)
    more = journal(2, ("4000-20-100", "1"), ("4000-20-100", "-1"))
    made = prepare(tmp_path, GOOD + more, gl_rules=mapped)
    assert made.reasons == dict.fromkeys(KEYS_OF_1, "MAPPING_MISSING")
    message = made.held["2026|1|1|2"]["message"]
    assert "account 1100-10-000 of" in message and message.endswith("accounts.yaml.")
    assert [(line.cost_centre, line.account) for line in read_csv(made.data).lines] == [("CC-A", "640000")] * 2


def test_a_mistake_of_the_setup_does_not_fill_the_list_of_held_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "MOSTLY_WRONG", 3)
    bad = [posting for n in range(10, 13) for posting in journal(n, ("A", "1"), ("B", "-1"))]
    with pytest.raises(ContractBroken, match=r"6 of 8 postings would be held.*has no cost centre.*correct"):
        prepare(tmp_path / "most", GOOD + bad)
    few = [posting for n in range(20, 24) for posting in journal(n, ("4000-20-100", "1"), ("1100-10-000", "-1"))]
    assert prepare(tmp_path / "half", GOOD + few + bad).counts == (10, 0, 6, 0)


def test_an_amount_that_no_ledger_has(tmp_path: Path) -> None:
    huge = journal(7, ("4000-20-100", "10000000000000"), ("1100-10-000", "-10000000000000"))
    with pytest.raises(ContractBroken, match=r"10000000000000 in journal 7"):
        prepare(tmp_path, GOOD + huge)


def test_the_greatest_amounts_of_syspro(tmp_path: Path) -> None:
    big = [
        posting
        for n in range(1, 16)
        for posting in journal(n, ("4000-20-100", "999999999999.99"), ("1100-10-000", "-999999999999.99"))
    ]
    made = prepare(tmp_path, big)
    assert made.counts == (30, 0, 0, 0)
    assert made.prepared.tallies[Place.SEND].totals == {"USD": D("14999999999999.85")}


# -- what the receiver has --------------------------------------------------------------------------------------------


def test_what_was_sent_is_a_duplicate(tmp_path: Path) -> None:
    first = prepare(tmp_path / "1", GOOD)
    again = prepare(tmp_path / "2", GOOD, known=first.known())
    assert (again.counts, again.data) == ((0, 2, 0, 0), b"")


def test_a_late_journal_goes_alone(tmp_path: Path) -> None:
    first = prepare(tmp_path / "1", GOOD)
    late = journal(2, ("4000-20-100", "5"), ("1100-10-000", "-5"))
    made = prepare(tmp_path / "2", GOOD + late, known=first.known())
    assert made.counts == (2, 2, 0, 0)
    assert {row["source_key"] for row in made.index} == {"2026|1|2|1", "2026|1|2|2"}


def test_texts_may_be_corrected_after_sending(tmp_path: Path) -> None:
    first = prepare(tmp_path / "1", GOOD)
    changed = [replace(posting, reference="other", date="2026-01-20") for posting in GOOD]
    assert prepare(tmp_path / "2", changed, known=first.known()).counts == (0, 2, 0, 0)


@pytest.mark.parametrize(
    "change", [{"amount": D("11.00")}, {"code": "4000-30-100"}, {"amount": None}], ids=["amount", "code", "no amount"]
)
def test_changed_after_sending(tmp_path: Path, change: dict[str, Any]) -> None:
    first = prepare(tmp_path / "1", GOOD)
    made = prepare(tmp_path / "2", [replace(GOOD[0], **change), GOOD[1]], known=first.known())
    assert made.counts == (0, 1, 1, 0)
    assert made.reasons == {"2026|1|1|1": "CHANGED_AFTER_SENDING"}
    assert "was sent as USD 10.00 to 4000-20-100" in made.held["2026|1|1|1"]["message"]


def test_an_entry_added_to_a_journal_that_was_sent_is_not_sent_by_itself(tmp_path: Path) -> None:
    first = prepare(tmp_path / "1", GOOD)
    more = [*GOOD, Posting(1, 3, "4000-20-100", D("4"))]
    made = prepare(tmp_path / "2", more, known=first.known())
    assert made.counts == (0, 2, 1, 0)
    assert made.reasons == {"2026|1|1|3": "UNBALANCED_JOURNAL"}


@pytest.mark.parametrize("how", ["removed", "not posted any more"])
def test_vanished_after_sending(tmp_path: Path, how: str) -> None:
    two = GOOD + journal(2, ("4000-20-100", "5"), ("1100-10-000", "-5"))
    first = prepare(tmp_path / "1", two)
    left = GOOD if how == "removed" else GOOD + [replace(posting, posted="N") for posting in two[2:]]
    made = prepare(tmp_path / "2", left, known=first.known())
    assert made.prepared.missing == 2
    assert prepare(tmp_path / "3", two, known=first.known()).prepared.missing == 0


def test_a_whole_period_again(tmp_path: Path) -> None:
    first = prepare(tmp_path / "1", GOOD)
    changed = [replace(GOOD[0], amount=D("11")), replace(GOOD[1], amount=D("-11"))]
    made = prepare(tmp_path / "2", changed, known=first.known(), resend=True)
    assert made.counts == (2, 0, 0, 0)


# -- decisions --------------------------------------------------------------------------------------------------------


def test_what_was_discarded_is_excluded_until_it_says_something_else(tmp_path: Path) -> None:
    bad = faulty(("10.00", "-9.00"))
    first = prepare(tmp_path / "1", bad)
    raw = {key: base64.b64decode(draft["payload"]) for key, draft in first.held.items()}
    decided = {key: hashlib.sha256(content).hexdigest() for key, content in raw.items()}

    made = prepare(tmp_path / "2", bad, discarded=decided, open_keys=["2026|1|7|1"])
    assert (made.counts, made.prepared.settled) == ((0, 0, 0, 2), ["2026|1|7|1"])

    changed = prepare(tmp_path / "3", [bad[0], replace(bad[1], comment="look again")], discarded=decided)
    assert (changed.counts, changed.reasons) == ((0, 0, 1, 1), {"2026|1|7|2": "UNBALANCED_JOURNAL"})


def test_held_records_are_settled_once_they_are_duplicates(tmp_path: Path) -> None:
    first = prepare(tmp_path / "1", GOOD)
    made = prepare(tmp_path / "2", GOOD, known=first.known(), open_keys=["2026|1|1|2", "2025|9|1|1"])
    assert made.prepared.settled == ["2026|1|1|2"]


# -- what the format has no room for ----------------------------------------------------------------------------------

LONG = "4000-20-" + "9" * 30


@pytest.mark.parametrize(
    ("make", "bad", "code", "says"),
    [
        (fixed_writer(), {"code": LONG}, "VALUE_TOO_WIDE", "is 38 long, the field has room for 35"),
        (fixed_writer(), {"amount": D("1000000000000.00")}, "VALUE_TOO_WIDE", "more digits than the field's 14"),
        (fixed_writer(), {"reference": "日本"}, "CHARACTER_NOT_ALLOWED", "'日' (U+65E5), which is not in cp1252"),
        (fixed_writer(), {"reference": "a\nb"}, "CHARACTER_NOT_ALLOWED", "control character"),
        (fixed_writer(), {"date": "2026-02-30"}, "NOT_A_DATE", "2026-02-30"),
        (x12_writer("821"), {"code": LONG}, "X12_TOO_LONG", "ACT01"),
        (x12_writer("821"), {"code": "4000-2-100"}, "X12_TOO_SHORT", "ENT04 '2'"),
        (x12_writer("830"), {"code": "4000-2*0-100"}, "X12_CHARACTER", "LIN03 '2*0'"),
        (x12_writer("821"), {"source": "A~"}, "X12_CHARACTER", "FIR02"),
        (csv_writer(PartnerCsv(encoding="cp1252")), {"comment": "Ω"}, "INVALID_CHARACTER", "'Ω', which the encoding"),
        (csv_writer(), {"reference": "a\x00b"}, "INVALID_CHARACTER", "cuts the text off"),
        (csv_writer(), {"comment": "a\x1ab"}, "INVALID_CHARACTER", "cuts the text off"),
    ],
    ids=[
        "wide account", "wide amount", "characters", "control characters", "no date", "long account",
        "short cost centre", "separator in a cost centre", "separator in a source", "cp1252", "NUL", "Ctrl-Z",
    ],
)  # fmt: skip
def test_what_does_not_fit_is_held_with_its_journal(
    tmp_path: Path, make: Any, bad: dict[str, Any], code: str, says: str
) -> None:
    amount = bad.get("amount", D("10.00"))
    first, second = Posting(7, 1, "4000-20-100", amount), Posting(7, 2, "1100-10-000", -amount)
    postings = [*GOOD, replace(first, **bad), second]
    made = prepare(tmp_path, postings, make)
    assert made.counts == (2, 0, 2, 0)
    assert set(made.reasons.values()) == {code} and made.held.keys() == {"2026|1|7|1", "2026|1|7|2"}
    message = made.held["2026|1|7|1"]["message"]
    assert says in message
    assert "of the batch" not in message, "people do not know of batches"
    assert {row["source_key"] for row in made.index} == KEYS_OF_1


@pytest.mark.parametrize(
    ("make", "reader"),
    [(fixed_writer(), read_fixed), (x12_writer("821"), read_x12)],
    ids=["fixed", "821"],
)  # fmt: skip
def test_several_misfits_at_once(tmp_path: Path, make: Any, reader: Callable[[bytes], Any]) -> None:
    bad = [
        posting
        for n in range(10, 15)
        for posting in journal(n, (f"{LONG}{n}", "1.00"), ("1100-10-000", "-1.00"), source="A")
    ]
    made = prepare(tmp_path, GOOD + bad, make, page=3)
    assert made.counts == (2, 0, 10, 0)
    assert [line.journal for line in reader(made.data).lines] == ["1", "1"]


def test_nothing_that_fits(tmp_path: Path) -> None:
    made = prepare(tmp_path, [replace(posting, reference="日本") for posting in GOOD], fixed_writer())
    assert (made.counts, made.data) == ((0, 0, 2, 0), b"")


def test_short_codes_may_be_padded(tmp_path: Path) -> None:
    postings = journal(1, ("4000-2-100", "1"), ("1100-10-000", "-1"))
    made = prepare(tmp_path, postings, x12_writer("821", new_profile(pad_short_codes="0")))
    assert [line.cost_centre for line in read_x12(made.data).lines] == ["10", "02"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (fixed_writer(facts=replace(FACTS, company="EDU12")), "field 'company'.*'EDU12' is 5 long"),
        (fixed_writer(shipped_spec(lambda c: c["records"]["header"]["fields"][1].update({"from": "motto"}))), "motto"),
        (fixed_writer(shipped_spec(lambda c: c["records"]["detail"]["fields"][2].update({"from": "motto"}))), "motto"),
        (x12_writer("830", facts=replace(FACTS, company_name="X" * 61)), "N102"),
        (x12_writer("830", new_profile(test_indicator="P")), "test"),
        (csv_writer(PartnerCsv(encoding="utf-16")), "more than one byte"),
    ],
    ids=["wide company", "unknown value", "unknown column", "long name", "test data as P", "two bytes"],
)
def test_what_concerns_the_whole_file_is_no_fault_of_a_posting(tmp_path: Path, make: Any, says: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=says):
        prepare(tmp_path, GOOD, make)


def test_a_file_that_lacks_a_posting_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = files.PeriodFile.batches
    monkeypatch.setattr(files.PeriodFile, "batches", lambda self: (batch.slice(1) for batch in batches(self)))
    with pytest.raises(DoesNotTieOut, match=r"2 postings with debits of 10.* the file has 1"):
        prepare(tmp_path, GOOD)
