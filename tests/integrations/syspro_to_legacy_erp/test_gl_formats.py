"""Random books in every format, read back by readers that share nothing with the writers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integrations.syspro_to_legacy_erp.gl_support import (
    FACTS,
    D,
    Made,
    Posting,
    csv_writer,
    fixed_writer,
    journal,
    new_profile,
    prepare,
    shipped_spec,
    x12_writer,
)
from tests.integrations.syspro_to_legacy_erp.readers import Line, Read, read_csv, read_fixed, read_x12
from tieout.config import PartnerCsv, SysproSource
from tieout.integrations.syspro_to_legacy_erp.gl import grouping

CENT = D("0.01")
CODES = st.builds(
    "{}-{}-{}".format,
    st.sampled_from(["1100", "4000", "40", "ß1", "x" * 20]),
    st.sampled_from(["10", "20", "9", "Köln", "B A"]),
    st.sampled_from(["000", "100"]),
)
ASCII_CODES = CODES.filter(str.isascii).filter(lambda code: len(code.split("-")[1]) > 1)
AMOUNTS = st.one_of(
    st.sampled_from([D(0), D("0.01"), D("-0.01"), D("999999999.99"), D("-999999999.99"), D("1E+6"), D("-0.10")]),
    st.decimals(-(10**9), 10**9, places=2),
    st.decimals(-100, 100, places=2),
)
TEXTS = st.one_of(st.none(), st.text(st.sampled_from("aZ09 .\",;|\n\r\t'-=+@*~>öÜé€–Ωあ"), max_size=12))
PLAIN_TEXTS = st.one_of(st.none(), st.text(st.sampled_from("aZ09 .,;-öé€"), max_size=14))
DATES = st.one_of(st.none(), st.dates(min_value=date(1999, 1, 1)).map(str))


@st.composite
def books(
    draw: st.DrawFn, texts: st.SearchStrategy[str | None] = TEXTS, codes: st.SearchStrategy[str] = CODES
) -> list[Posting]:
    """A period's postings; every journal balances."""
    found: list[Posting] = []
    for number in draw(st.lists(st.integers(1, 9_999_999_999), min_size=1, max_size=4, unique=True)):
        amounts = draw(st.lists(AMOUNTS, min_size=1, max_size=6))
        amounts.append(-sum(amounts, Decimal(0)))
        for entry, amount in enumerate(amounts, 1):
            source = draw(st.sampled_from(["AP", "GL", None]))
            day, reference, comment = draw(DATES), draw(texts), draw(texts)
            found.append(Posting(number, entry, draw(codes), D(amount), day, source, reference, comment))
    return found


def told(text: str | None) -> str:
    """A text as SYSPRO keeps it: without spaces after it."""
    return (text or "").rstrip(" ")


def expected(postings: Sequence[Posting], **lost: Callable[[str], str]) -> list[Line]:
    """What a receiver must read, in order; `lost` says what a format makes of a field.

    Header texts stand where an entry says nothing: see `headers_of`.
    """
    ordered = sorted(postings, key=lambda p: (p.journal, p.entry))
    ordered.sort(key=lambda p: ((p.code or "").split("-")[1].strip().encode(), (p.code or "").encode()))
    lines = []
    for p in ordered:
        assert p.code is not None and p.amount is not None
        values = {
            "cost_centre": p.code.split("-")[1].strip(), "account": p.code, "journal": str(p.journal),
            "date": p.date or "2026-01-31", "entry": str(p.entry), "source": p.source or "GJ",
            "reference": told(p.reference), "description": told(p.comment),
        }  # fmt: skip
        for name, change in lost.items():
            values[name] = change(values[name])
        lines.append(Line(amount=p.amount.quantize(CENT) + 0, **values))
    return lines


def nothing(text: str) -> str:
    """Of a field that a format does not have."""
    return ""


def check_index(made: Made) -> None:
    """Each posting has bytes of its own, in the order of the file."""
    ends = [(row["byte_start"], row["byte_end"]) for row in made.index]
    assert all(start < end for start, end in ends)
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert ends[-1][1] <= len(made.data)


def check_totals(made: Made, read: Read) -> None:
    """The manifest's totals are what a receiver adds up."""
    file = made.prepared.file
    assert file is not None
    totals = file.control_totals("USD")
    assert D(totals["debit"]) == sum((line.amount for line in read.lines if line.amount > 0), D(0))
    assert D(totals["credit"]) == -sum((line.amount for line in read.lines if line.amount < 0), D(0))
    for centre, sides in totals["by_cost_centre"].items():
        amounts = [line.amount for line in read.lines if line.cost_centre == centre]
        assert D(sides["debit"]) - D(sides["credit"]) == sum(amounts, D(0))
    assert file.total.postings == len(read.lines)
    assert file.bytes == len(made.data)


in_examples = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@in_examples
@given(books(), st.sampled_from(["needed", "all"]), st.sampled_from([",", ";", "|", "\t"]),
       st.sampled_from([".", ","]), st.sampled_from(["\r\n", "\n"]))  # fmt: skip
def test_csv(postings: list[Posting], quoting: str, delimiter: str, mark: str, line_end: str) -> None:
    dialect = {"quoting": quoting, "delimiter": delimiter, "decimal_mark": mark, "line_end": line_end}
    csv = PartnerCsv.model_validate(dialect)
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(Path(folder), postings, csv_writer(csv))
    assert made.held == {}
    read = read_csv(made.data, delimiter=delimiter, mark=mark, line_end=line_end)
    assert read.lines == expected(postings)
    check_index(made)
    check_totals(made, read)
    header = len(made.data) - sum(map(len, made.records().values()))
    assert made.data[:header].endswith(line_end.encode())


@in_examples
@given(books(PLAIN_TEXTS), st.sampled_from([("cp1252", "\r\n"), ("cp1252", ""), ("iso8859_15", "\n")]))
def test_fixed_width(postings: list[Posting], form: tuple[str, str]) -> None:
    encoding, separator = form
    spec = shipped_spec(lambda c: c["file"].update(encoding=encoding, record_separator=separator))
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(Path(folder), postings, fixed_writer(spec))
    assert made.held == {}
    read = read_fixed(made.data, encoding=encoding, separator=separator)
    lost = {"entry": nothing, "source": nothing, "description": nothing, "reference": lambda t: t[:10].rstrip(" ")}
    assert read.lines == expected(postings, **lost)
    assert read.head == {"company": "EDU1", "run_date": "20260204", "batch": "000007"}
    assert int(read.tail["count"]) == len(postings)
    debit, credit = (D(read.tail[side]).scaleb(-2) for side in ("debit", "credit"))
    assert debit == credit == sum((p.amount for p in postings if p.amount and p.amount > 0), D(0))
    assert int(read.tail["hash"]) == sum(p.journal for p in postings) % 10**10
    check_index(made)
    check_totals(made, read)
    assert {len(record) for record in made.records().values()} == {103 + len(separator)}


def test_ebcdic(tmp_path: Path) -> None:
    spec = shipped_spec(lambda c: c["file"].update(encoding="cp037", record_separator=""))
    postings = journal(5, ("4000-20-100", "-100"), ("1100-10-000", "100"), reference="Müller")
    made = prepare(tmp_path, postings, fixed_writer(spec))
    assert made.data[:1] == b"\xc8"  # H
    assert made.data[103 + 92 : 103 + 93] == b"\xc0"  # +0 overpunched
    assert made.data[206 + 92 : 206 + 93] == b"\xd0"  # -0
    assert [line.amount for line in read_fixed(made.data, encoding="cp037", separator="").lines] == [100, -100]
    assert [line.reference for line in read_fixed(made.data, encoding="cp037", separator="").lines] == ["Müller"] * 2


@in_examples
@given(books(codes=ASCII_CODES), st.sampled_from(["004010", "005010"]), st.sampled_from(["\n", ""]))
def test_830(postings: list[Posting], version: str, line_break: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(Path(folder), postings, x12_writer("830", new_profile(version=version, line_break=line_break)))
    assert made.held == {}
    read = read_x12(made.data)
    lost = dict.fromkeys(("entry", "source", "reference", "description"), nothing)
    assert read.lines == expected(postings, **lost)
    assert (read.head["ISA13"], read.head["GS06"], read.head["BFR01"]) == ("000000041", "17", "00")
    assert int(read.tail["groups"]) == len({(line.cost_centre, line.account) for line in read.lines})
    assert D(read.tail["hash"]) == 0
    check_index(made)
    check_totals(made, read)


@in_examples
@given(books(codes=ASCII_CODES))
def test_821(postings: list[Posting]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(Path(folder), postings, x12_writer("821"))
    assert made.held == {}
    read = read_x12(made.data)
    lost = dict.fromkeys(("entry", "reference", "description"), nothing)
    assert read.lines == expected(postings, **lost)
    assert (read.head["B2A01"], read.head["TRN02"]) == ("00", "GL202601-0007")
    check_index(made)
    check_totals(made, read)


@pytest.mark.parametrize(
    ("form", "reader"),
    [("csv", read_csv), ("fixed", read_fixed), ("830", read_x12), ("821", read_x12)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_credits_are_positive_where_the_site_says_so(
    tmp_path: Path, form: str, reader: Callable[[bytes], Read]
) -> None:
    make = {"csv": csv_writer(), "fixed": fixed_writer(), "830": x12_writer("830"), "821": x12_writer("821")}[form]
    source = SysproSource(debit_is="negative")
    postings = journal(1, ("4000-20-100", "-7.50"), ("1100-10-000", "7.50"))
    made = prepare(tmp_path, postings, make, source=source)
    assert {line.account: line.amount for line in reader(made.data).lines} == {
        "4000-20-100": D("7.50"), "1100-10-000": D("-7.50"),
    }  # fmt: skip
    file = made.prepared.file
    assert file is not None
    assert file.control_totals("USD")["by_cost_centre"] == {
        "10": {"debit": "0.00", "credit": "7.50"}, "20": {"debit": "7.50", "credit": "0.00"},
    }  # fmt: skip


def test_a_currency_without_decimals(tmp_path: Path) -> None:
    source = SysproSource(currency="JPY")
    postings = journal(1, ("4000-20-100", "1250"), ("1100-10-000", "-1250")) + journal(
        2, ("4000-20-100", "0.50"), ("1100-10-000", "-0.50")
    )
    facts = type(FACTS)(**{**vars(FACTS), "currency": "JPY"})
    made = prepare(tmp_path, postings, csv_writer(facts=facts), source=source)
    assert [row.split(b",")[-2:] for row in made.data.splitlines()[1:]] == [[b"0", b"1250"], [b"1250", b"0"]]
    assert made.prepared.file is not None
    assert made.prepared.file.control_totals("JPY")["debit"] == "1250"
    assert set(made.reasons.values()) == {"AMOUNT_PRECISION"} and len(made.held) == 2


def test_a_dialect_for_central_europe(tmp_path: Path) -> None:
    csv = PartnerCsv(delimiter=";", decimal_mark=",", encoding="cp1252", line_end="\n")
    postings = journal(1, ("4000-20-100", "1234.5"), ("1100-10-000", "-1234.5"), reference="Kö;ln €", comment='"x"')
    made = prepare(tmp_path, postings, csv_writer(csv))
    assert made.data.splitlines()[1:] == [
        '10;1100-10-000;1100-10-000;2026;1;1;2;2026-01-15;AP;"Kö;ln €";"""x""";0,00;1234,50'.encode("cp1252"),
        '20;4000-20-100;4000-20-100;2026;1;1;1;2026-01-15;AP;"Kö;ln €";"""x""";1234,50;0,00'.encode("cp1252"),
    ]
    assert b"".join(made.records().values()) == made.data[made.data.index(b"\n") + 1 :]


def test_account_names_stand_in_x12(tmp_path: Path) -> None:
    facts = type(FACTS)(**{**vars(FACTS), "account_names": {"4000-20-100": "Büro*material"}})
    postings = journal(1, ("4000-20-100", "1"), ("1100-10-000", "-1"))
    made = prepare(tmp_path / "830", postings, x12_writer("830", facts=facts))
    assert made.data.count(b"PID*") == 1 and b"PID*F****Buro material~" in made.data
    made = prepare(tmp_path / "821", postings, x12_writer("821", facts=facts))
    assert b"ACT*4000-20-100*Buro material~" in made.data and b"ACT*1100-10-000~" in made.data


def many() -> list[Posting]:
    """Postings in more groups than a small bucket holds, one of them larger than a bucket."""
    found = []
    for number in range(1, 31):
        centre = 10 + number % 7
        found += journal(
            number, (f"4000-{centre}-100", f"{number}.25"), ("1100-10-000", f"-{number}"), ("1100-10-000", "-0.25"),
            reference=f"Jö{number}",
        )  # fmt: skip
    return found


FORMS = {
    "csv": csv_writer(), "fixed": fixed_writer(), "830": x12_writer("830"), "821": x12_writer("821"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_same_bytes_whatever_the_sizes(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(tmp_path / "first", many(), FORMS[form])
    for bucket, batch, page in ((1, 3, 7), (40, 7, 50), (1_000, 5, 1_000)):
        monkeypatch.setattr(grouping, "BUCKET_ROWS", bucket)
        monkeypatch.setattr(grouping, "BATCH_ROWS", batch)
        again = prepare(tmp_path / f"{bucket}", many(), FORMS[form], page=page)
        assert again.data == first.data
        assert again.index == first.index


@given(st.lists(st.integers(0, 30), max_size=40))
def test_buckets_hold_groups_in_order_and_never_more_than_their_size(sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "BUCKET_ROWS", 20)
        bucket_of, single = grouping._buckets(np.array(sizes, np.int64))
    filled = [(int(bucket_of[group]), size) for group, size in enumerate(sizes) if size]
    assert [bucket for bucket, _ in filled] == sorted(bucket for bucket, _ in filled)
    for bucket, is_single in enumerate(single):
        inside = [size for each, size in filled if each == bucket]
        assert (len(inside) == 1) == is_single
        assert is_single or sum(inside) <= 20, "more than fits is one group, which needs no sorting"


def with_totals(content: dict[str, object]) -> None:
    """Header totals and a subtotal per cost centre, in records of 40 bytes."""
    content["file"] = {"encoding": "cp1252", "record_separator": "\n"}
    content["totals"] = {
        "count": {"count": "details"},
        "records": {"count": "records"},
        "debit": {"sum": "amount", "side": "debit"},
        "credit": {"sum": "amount", "side": "credit"},
    }

    def total(name: str, start: int, scale: int = 2) -> dict[str, object]:
        kind = {"type": "decimal", "scale": scale} if scale else {"type": "integer"}
        return {"name": name, "start": start, "width": 9, "from": name, **kind}

    amount = {"name": "amount", "start": 12, "width": 12, "from": "amount", "type": "decimal", "scale": 2,
              "sign": "trailing"}  # fmt: skip
    centre = {"name": "cost_centre", "start": 2, "width": 10, "from": "cost_centre"}

    def record(letter: str, *fields: dict[str, object]) -> dict[str, object]:
        last = fields[-1]
        end = int(str(last["start"])) + int(str(last["width"]))
        filler = {"name": "filler", "start": end, "width": 41 - end, "const": ""}
        return {"length": 40, "fields": [{"name": "type", "start": 1, "width": 1, "const": letter}, *fields, filler]}

    content["records"] = {
        "header": record("H", total("count", 2, 0), total("debit", 11), total("credit", 20)),
        "detail": record("D", centre, amount),
        "subtotal": {"per": "cost_centre"} | record("S", centre, total("debit", 12), total("credit", 21)),
        "trailer": record("T", total("records", 2, 0), total("debit", 11), total("credit", 20)),
    }


@pytest.mark.parametrize(("bucket", "batch"), [(120_000, 20_000), (4, 3), (1, 1)])
def test_totals_in_the_header_and_per_cost_centre(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: int, batch: int
) -> None:
    monkeypatch.setattr(grouping, "BUCKET_ROWS", bucket)
    monkeypatch.setattr(grouping, "BATCH_ROWS", batch)
    postings = journal(1, ("4000-20-100", "7.00"), ("1100-10-000", "-10.00"), ("1100-10-100", "3.00")) + journal(
        2, ("2000-30-000", "-1.25"), ("4000-20-200", "1.25")
    )
    made = prepare(tmp_path, postings, fixed_writer(shipped_spec(with_totals)), page=2)
    assert [line.rstrip() for line in made.data.decode("cp1252").splitlines()] == [
        "H000000005000001125000001125",
        "D10        00000001000-", "D10        00000000300",
        "S10        000000300000001000",
        "D20        00000000700", "D20        00000000125",
        "S20        000000825000000000",
        "D30        00000000125-",
        "S30        000000000000000125",
        "T000000010000001125000001125",
    ]  # fmt: skip
    assert made.records() == {
        "2026|1|1|2": b"D10        00000001000-".ljust(40) + b"\n",
        "2026|1|1|3": b"D10        00000000300 ".ljust(40) + b"\n",
        "2026|1|1|1": b"D20        00000000700 ".ljust(40) + b"\n",
        "2026|1|2|2": b"D20        00000000125 ".ljust(40) + b"\n",
        "2026|1|2|1": b"D30        00000000125-".ljust(40) + b"\n",
    }
    check_index(made)
