"""The legacy ERP's own readers: samples pass, and everything that is planted in them is found."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from legacy_erp_files import FIXED_LINES, GL_CSV, SAMPLES, Sample, new_inbox, put_sample, received

from sandbox.legacy_erp import Posting
from sandbox.legacy_erp.money import amount, millionths

Changes = list[tuple[str, str]]


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_samples_pass(tmp_path: Path, sample: Sample) -> None:
    inbox = new_inbox(tmp_path, **sample.settings)
    put_sample(inbox, sample)
    file = received(inbox)
    assert (inbox.problems, file.unchecked, file.status, file.records) == ([], [], "read", sample.records)
    assert inbox.load() == [], "a file is read once"


@pytest.mark.parametrize("name", ["fixed width", "fixed width in EBCDIC", "csv", "csv of another kind", "830", "821"])
def test_postings_of_every_format(tmp_path: Path, name: str) -> None:
    """What the formats have room for is the same in all of them."""
    sample = SAMPLES[name]
    inbox = new_inbox(tmp_path, **sample.settings)
    put_sample(inbox, sample)
    file = received(inbox)
    found = [(one.cost_centre, one.account, one.journal, one.date, one.amount) for one in inbox.postings]
    assert found == [
        ("20", "4000-20-100", 12345, "2026-01-15", Decimal("250.00")),
        ("20", "4000-20-100", 12360, "2026-01-20", Decimal("-40.50")),
        ("30", "2100-30-000", 12360, "2026-01-20", Decimal("-209.50")),
    ]
    totals = inbox.postings.totals(2026, 1)
    assert (totals.lines, totals.debit, totals.credit) == (3, 250, 250)
    assert totals.by_cost_centre == {"20": (250, Decimal("40.50")), "30": (0, Decimal("209.50"))}
    assert totals.by_account == {"4000-20-100": Decimal("209.50"), "2100-30-000": Decimal("-209.50")}
    assert inbox.postings.totals(2026, 2).lines == 0
    assert file.periods == ["202601"]


def test_a_line_of_csv_keeps_everything(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    sample = SAMPLES["csv"]
    put_sample(inbox, sample)
    received(inbox)
    assert inbox.postings.of(sample.name)[1] == Posting(
        file=sample.name, cost_centre="20", account="4000-20-100", source_gl_code="4000-20-100", year=2026, period=1,
        journal=12360, entry=1, date="2026-01-20", source="AP", reference="CRN-77", description='A "b", c',
        amount=Decimal("-40.50"),
    )  # fmt: skip


def test_documents_of_both_formats(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path, numbering="prefix")
    for name in ("810", "850", "832", "suppliers"):
        put_sample(inbox, SAMPLES[name])
    inbox.load()
    assert inbox.problems == []
    invoice = inbox.documents["invoices"]["ACM001|INV-1001"]
    assert [(row["quantity"], row["unit_price"], row["stock_code"], row["line_account"]) for row in invoice.rows] == [
        ("10", "12.5", "A100", "4000-20-100"), ("4", "31.25", "B200", ""),
    ]  # fmt: skip
    first = invoice.rows[0]
    assert (first["total_amount"], first["due_date"], first["voucher"]) == ("250.00", "2026-02-14", "202601-0000012345")
    order = inbox.documents["purchase_orders"]["000000000150802"].rows[0]
    assert (order["order_date"], order["supplier"], order["cost_centre"]) == ("2026-01-05", "ACM001", "20")
    item = inbox.documents["items"]["A100"].rows[0]
    assert (item["unit_price"], item["uom"], item["description"]) == ("12.5", "EA", "BRACKET, LEFT")
    assert (item["catalogue"], item["purpose"], item["batch"]) == ("CAT1", "00", "IT202601")
    assert inbox.documents["suppliers"]["B1"].rows == [{"supplier": "B1", "name": ""}]


def test_two_alike_in_one_file_are_no_repetition_but_over_two_files(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    sample = SAMPLES["fixed width"]
    twice = [FIXED_LINES[0], *(f"D{n:09d}{FIXED_LINES[1][10:]}" for n in (1, 2))]
    for number, reference in ((1, "A"), (2, "B")):
        lines = [line.replace("INV-1001", f"INV-{reference}001") for line in twice] if number == 1 else twice[:2]
        count = len(lines) - 1
        lines = [*lines, f"T{count:09d}{count * 25000:015d}{0:015d}{count * 12345:010d}"]
        content = "".join(f"{line:<103}\r\n" for line in lines).encode()
        put_sample(inbox, sample, content, f"GL_EDU1_202601_{number:06d}.dat")
    inbox.load()
    assert inbox.postings.repeated() == 0
    put_sample(inbox, sample, name="GL_EDU1_202601_000003.dat")
    inbox.load()
    assert inbox.postings.repeated() == 1


FIXED: dict[str, tuple[Changes, str]] = {
    "a record too short": ([("4000-20-100 ", "4000-20-100")], "Record 2 (byte 105) does not have 103 bytes"),
    "bare line feeds": ([("\r\n", "\n")], "Record 1 (byte 0) does not have 103 bytes"),
    "cut off": ([("0000037065", "0000037")], "has 102 bytes instead of 105"),
    "no header": ([("HEDU1", "DEDU1")], "Record 1 begins with 'D' and should with 'H'"),
    "no trailer": ([("\r\nT", "\r\nD")], "Record 5 begins with 'D' and should with 'T'"),
    "company missing": ([("HEDU1", "H    ")], "names no company"),
    "run date": ([("20260131", "20260132")], "run date '20260132'"),
    "batch": ([("000001 ", "A00001 ")], "batch number"),
    "header filler": ([("000001  ", "000001 X")], "batch number of six digits, and blanks"),
    "line number": ([("D000000002", "D000000003")], "Record 3: the line number is 3 and should be 2"),
    "line number no number": ([("D000000002", "D00000000X")], "Record 3: '00000000X' is no line number"),
    "no account": ([("4000-20-100", "           ")], "is no account"),
    "no cost centre": ([("20        4000", "          4000")], "Line 1 has no cost centre"),
    "year": ([("202601000", "2X2601000")], "'2X26' is no year"),
    "period": ([("202601000", "202699000")], "'99' is no period"),
    "journal": ([("0000012345", " 000012345")], "' 000012345' is no journal"),
    "date": ([("20260115", "20260231")], "'20260231' is no date"),
    "amount without sign": ([("2500{", "25000")], "'00000000025000' is no amount"),
    "amount with a letter": ([("02500{", "X2500{")], "is no amount"),
    "right-justified text": ([("INV-1001  ", "  INV-1001")], "left-justified"),
    "zero byte": ([("INV-1001  ", "INV-1001\0\0")], "not printable"),
    "undefined character": ([], "are not cp1252"),
    "cost centres descend": (
        [("0120        4000", "0140        4000"), ("0220        4000", "0240        4000")],
        "cost centre '30' comes after '40'",
    ),
    "cost centre returns": ([("0120        4000", "0130        4000")], "of cost centre '30' do not follow"),
    "count": ([("T000000003", "T000000004")], "count is 000000004 and the details give 3"),
    "debits": ([("T000000003000000000025000", "T000000003000000000025001")], "debits is 000000000025001"),
    "credits": ([("000000000025000000003", "000000000025009000003")], "credits is 000000000025009"),
    "hash": ([("0000037065", "0000037066")], "journal hash is 0000037066 and the details give 37065"),
    "count no number": ([("T000000003", "T        3")], "count '        3' is no number"),
    "trailer filler": ([("0000037065 ", "0000037065X")], "must end in blanks"),
}


@pytest.mark.parametrize(("changes", "problem"), FIXED.values(), ids=FIXED)
def test_fixed_width_problems(tmp_path: Path, changes: Changes, problem: str) -> None:
    sample = SAMPLES["fixed width"]
    content = sample.changed(*changes) if changes else sample.content.replace(b"CRN-77", b"CRN-\x8d7")
    assert_found(tmp_path, sample, content, problem)


def test_a_fixed_width_date_may_be_missing(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    sample = SAMPLES["fixed width"]
    put_sample(inbox, sample, sample.changed(("20260115", "00000000"), ("20260120", "        ")))
    received(inbox)
    assert inbox.problems == []
    assert [one.date for one in inbox.postings] == [None, None, "2026-01-20"]


CSV: dict[str, tuple[Changes, str]] = {
    "bare line feeds": ([("\r\n", "\n"), ("\r\n", "\n"), ("\r\n", "\n")], "no CSV as agreed"),
    "cut off": ([("209.50\r\n", "209.50")], "does not end in '\\r\\n'"),
    "byte order mark": ([("cost_centre", "\ufeffcost_centre")], "Columns are missing: cost_centre"),
    "open quotes": ([('c",,', "c,,")], "no CSV as agreed"),
    "columns in another order": ([("year,period", "period,year")], "The columns are cost_centre"),
    "column missing": ([(",debit", ",x")], "Columns are missing: debit"),
    "column twice": ([("reference", "source")], "a column twice"),
    "one value less": ([("2026,1,12345", "2026,12345")], "Row 1 has 12 values and the header 13"),
    "year": ([("2026,1,12345", "2O26,1,12345")], "Row 1: year '2O26' is no whole number"),
    "date": ([("2026-01-15", "15.01.2026")], "Row 1: date '15.01.2026' is no date"),
    "basic date": ([("2026-01-15", "20260115")], "is no date YYYY-MM-DD"),
    "thousands": ([("250.00,", '"1,250.00",')], "Row 1: debit '1,250.00' is no amount"),
    "negative": ([(",40.50", ",-40.50")], "Row 2: credit '-40.50' is no amount of zero or more"),
    "both sides": ([("0.00,209.50", "1.00,210.50")], "debit 1.00 and credit 210.50 stand on one line"),
    "no side": ([("250.00,", ",")], "neither debit nor credit"),
    "no account": ([("20,4000-20-100,", "20,,")], "Row 1: the account is empty"),
    "no cost centre": ([("20,4000", ",4000")], "Line 1 has no cost centre"),
    "grouping": ([("\r\n20,4000", "\r\n30,4000")], "the lines of cost centre '30' do not follow one another"),
    "entry twice": ([("12360,2", "12360,1")], "Line 3: the posting of period 202601, journal 12360, entry 1"),
}


@pytest.mark.parametrize(("changes", "problem"), CSV.values(), ids=CSV)
def test_csv_problems(tmp_path: Path, changes: Changes, problem: str) -> None:
    assert_found(tmp_path, SAMPLES["csv"], SAMPLES["csv"].changed(*changes), problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "The file is empty"), (GL_CSV.encode("cp1252"), "are not utf-8")],
    ids=["empty", "other encoding"],
)
def test_unreadable_csv(tmp_path: Path, content: bytes, problem: str) -> None:
    assert_found(tmp_path, SAMPLES["csv"], content, problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "The file is empty"), (b"H".ljust(103) + b"\r\n", "There is only one record")],
    ids=["empty", "header alone"],
)
def test_unreadable_fixed_width(tmp_path: Path, content: bytes, problem: str) -> None:
    assert_found(tmp_path, SAMPLES["fixed width"], content, problem)


@pytest.mark.parametrize("name", ["830", "fixed width", "csv"])
def test_the_contents_tell_the_format_where_the_name_does_not(tmp_path: Path, name: str) -> None:
    inbox = new_inbox(tmp_path)
    put_sample(inbox, SAMPLES[name], name="GL_EDU1_202601_000001.txt")
    assert (received(inbox).records, inbox.problems) == (3, [])


def test_nothing_is_taken_from_a_file_that_breaks_off(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    put_sample(inbox, SAMPLES["csv"], SAMPLES["csv"].content[:-4])
    file = received(inbox)
    assert (file.status, file.records, len(inbox.postings)) == ("unreadable", 0, 0)
    with pytest.raises(KeyError, match=file.name):
        inbox.postings.of(file.name)


def test_a_file_without_postings(tmp_path: Path) -> None:
    assert_found(tmp_path, SAMPLES["csv"], GL_CSV.partition("\r\n")[0].encode() + b"\r\n", "has no postings")


def test_totals_of_a_year(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    put_sample(inbox, SAMPLES["csv"], SAMPLES["csv"].changed(("2026,1,12345", "2025,1,12345")))
    received(inbox)
    assert [inbox.postings.totals(year).lines for year in (2025, 2026, None)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1_000_000), ("-0.5", -500_000), (".000001", 1), ("999999999999.999999", 10**18 - 1), ("0", 0),
     ("1.", None), ("", None), ("-", None), (".", None), ("1.0000001", None), ("1000000000000", None), ("1e3", None),
     ("+1", None), ("1,5", None), ("--1", None), ("١", None), ("1 ", None)],
)  # fmt: skip
def test_amounts(text: str, value: int | None) -> None:
    assert millionths(text) == value
    assert value is None or amount(value) == Decimal(text)


def test_line_feeds_are_agreed_and_others_come(tmp_path: Path) -> None:
    assert_found(tmp_path, SAMPLES["csv"], GL_CSV.encode(), "Line 1 ends in '\\r\\n'", line_end="\n")


def test_documents_need_a_header(tmp_path: Path) -> None:
    assert_found(
        tmp_path, SAMPLES["suppliers"], b"S1,x\r\n", "Without a header only G/L lines can be read", header=False
    )


def test_a_csv_line_without_a_date(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    put_sample(inbox, SAMPLES["csv"], SAMPLES["csv"].changed(("2026-01-15", "")))
    received(inbox)
    assert (next(iter(inbox.postings)).date, inbox.problems) == (None, [])


def test_g_l_columns_tell_what_a_file_is_whose_name_does_not(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    put_sample(inbox, SAMPLES["csv"], name="lines.csv")
    assert (received(inbox).entity, len(inbox.postings)) == ("gl_postings", 3)


def test_a_posting_that_arrives_again_in_another_file(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    sample = SAMPLES["csv"]
    put_sample(inbox, sample)
    late = sample.changed(("12345,1", "12399,1"), ("12360,1", "12399,2"))
    put_sample(inbox, sample, late, "GL_EDU1_202601_000002.csv")
    put_sample(inbox, sample, late.replace(b",2026,1,", b",2026,2,"), "GL_EDU1_202602_000003.csv")
    put_sample(inbox, sample, late.replace(b"12399", b"12360"), "GL_EDU2_202601_000004.csv")
    inbox.load()
    assert [problem for problem in inbox.problems if "came before" in problem] == [
        "GL_EDU1_202601_000002.csv: Line 3: the posting of period 202601, journal 12360, entry 2 came before.",
        "GL_EDU2_202601_000004.csv: Line 3: the posting of period 202601, journal 12360, entry 2 came before.",
    ]


DOCUMENTS: dict[str, tuple[str, Changes, str]] = {
    "invoice twice": ("invoices", [("B1,7", "ACM001,INV-1001")], "'ACM001|INV-1001' came before in this file"),
    "rows differ": ("invoices", [("CRN-77", "INV-1001")], "Record 2: total_amount differs from an earlier row"),
    "rows apart": ("orders", [("150803,", "150802,"), ("150802,USD,2", "150801,USD,2")], "'150802' came before"),
    "another total": ("invoices", [("250.00", "251.00")], "amount USD is 209.50 and the file gives 210.50"),
    "another currency": ("invoices", [("JPY", "KRW")], "have amount JPY '1200', which the file does not give"),
    "price": ("orders", [("0.335", "0.33")], "amount USD is 128.01 and the file gives 127.99"),
    "record more": ("suppliers", [("\r\nB1", "\r\nC,\r\nB1")], "records is 2 and the file's is 3"),
}


@pytest.mark.parametrize(("name", "changes", "problem"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_document_problems(tmp_path: Path, name: str, changes: Changes, problem: str) -> None:
    assert_found(tmp_path, SAMPLES[name], SAMPLES[name].changed(*changes), problem)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    sample = SAMPLES["invoices"]
    put_sample(inbox, sample, sample.changed(("total_amount", "total")))
    file = received(inbox)
    assert inbox.problems == []
    assert file.unchecked[0] == "ACM001|INV-1001: no amount could be made of its columns."


def assert_found(root: Path, sample: Sample, content: bytes, problem: str, **settings: Any) -> None:
    inbox = new_inbox(root, **settings)
    put_sample(inbox, sample, content)
    file = received(inbox)
    assert any(problem in one for one in file.problems), file.problems
