"""Values that do not fit, order, counts, and what a profile changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.formats.x12.checker import read
from tests.formats.x12.data import (
    COMPANY,
    CREATED,
    GL_SCHEMA,
    INVOICE,
    ITEM_ROWS,
    PARTNER,
    SAMPLE_GL,
    SAMPLE_ORDER,
    gl_batch,
    gl_header,
    gl_row,
    invoice_batch,
    new_document_writer,
    new_gl_writer,
    order_batch,
    profile,
    text_of,
)
from tieout.errors import BadRecord, ConfigurationInvalid
from tieout.formats.x12 import ControlNumbers, DocumentHeader, Party, X12Misfit, gl_writer

LONG_ACCOUNT = "4000-20-100-" + "9" * 23


@pytest.mark.parametrize(
    ("set_id", "change", "element", "reason"),
    [
        ("830", {"account": None}, "LIN05", "X12_MISSING"),
        ("830", {"cost_centre": ""}, "LIN03", "X12_MISSING"),
        ("830", {"cost_centre": "A*B"}, "LIN03", "X12_CHARACTER"),
        ("830", {"account": "1\n2"}, "LIN05", "X12_CHARACTER"),
        ("830", {"cost_centre": "9" * 31}, "REF02", "X12_TOO_LONG"),
        ("830", {"amount": Decimal("1234567890.123456")}, "FST01", "X12_TOO_LONG"),
        ("830", {"journal": None}, "FST09", "X12_MISSING"),
        ("830", {"journal": -5}, "FST09", "X12_MISSING"),
        ("830", {"date": "2026-02-30"}, "FST04", "X12_DATE"),
        ("830", {"date": "20260115"}, "FST04", "X12_DATE"),
        ("821", {"cost_centre": "7"}, "ENT04", "X12_TOO_SHORT"),
        ("821", {"account": "9" * 36}, "ACT01", "X12_TOO_LONG"),
        ("821", {"journal": None}, "REF02", "X12_MISSING"),
        ("821", {"amount": Decimal("9999999999999.123456")}, "FIR03", "X12_TOO_LONG"),
        ("821", {"source": "x~y"}, "FIR02", "X12_CHARACTER"),
    ],
)
def test_gl_misfit(set_id: str, change: dict[str, Any], element: str, reason: str) -> None:
    """It names row, element and what to do; the writer goes on without the row."""
    bad = gl_row("25", "5000", "1") | change
    rows = [SAMPLE_GL[0], bad, SAMPLE_GL[2]]
    writer = new_gl_writer(set_id)
    first = writer.start().data
    found = writer.misfits(gl_batch(rows))
    assert (found[0].element, found[0].reason_code, found[0].row, found[0].rows) == (element, reason, 1, range(1, 2))
    with pytest.raises(X12Misfit, match=rf"Row 2 of the batch: {element}") as raised:
        writer.write(gl_batch(rows))
    assert isinstance(raised.value, BadRecord) and raised.value.fix_hint
    rest = writer.write(gl_batch([rows[0], rows[2]])).data + writer.finish().data
    assert (first + rest).decode() == text_of(new_gl_writer(set_id), gl_batch([rows[0], rows[2]]))


def test_a_bad_account_falls_with_all_its_lines() -> None:
    rows = [gl_row("20", "A~", "1"), gl_row("20", "A~", "2"), gl_row("20", "B", "3")]
    assert {misfit.rows for misfit in new_gl_writer().misfits(gl_batch(rows))} == {range(0, 2)}


def test_a_bad_line_takes_its_document_and_no_other() -> None:
    bad = {**ITEM_ROWS[1], "quantity": Decimal("12345.654321")}
    rows = [
        {**INVOICE, "invoice_number": number, **item}
        for number, items in [("A", ITEM_ROWS), ("B", [ITEM_ROWS[0], bad]), ("C", ITEM_ROWS)]
        for item in items
    ]
    (misfit,) = new_document_writer("810").misfits(invoice_batch(rows))
    assert (misfit.element, misfit.row, misfit.rows) == ("IT102", 3, range(2, 4))
    # 005010 has room for fifteen digits there.
    assert not new_document_writer("810", version="005010").misfits(invoice_batch(rows))


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"invoice_type": "XX"}, "BIG07"),
        ({"invoice_date": None}, "BIG01"),
        ({"total_amount": None}, "TDS01"),
        ({"supplier": "1"}, "N104"),
        ({"net_days": 1000}, "ITD07"),
        ({"uom": "each"}, "IT103"),
        ({"uom": None}, "IT1 P020304"),
        ({"line_number": None}, "IT101"),
        ({"account": "9" * 81}, "FA202"),
        ({"description": "x" * 81}, "PID05"),
    ],
)
def test_invoice_misfit(change: dict[str, Any], element: str) -> None:
    batch = invoice_batch([{**INVOICE, **ITEM_ROWS[0], **change}])
    assert element in [misfit.element for misfit in new_document_writer("810").misfits(batch)]


def test_more_decimals_than_implied_are_refused() -> None:
    batch = invoice_batch([{**INVOICE, **ITEM_ROWS[0]}])
    amounts = pa.array([Decimal("250.005")], pa.decimal128(14, 3))
    batch = batch.set_column(batch.schema.get_field_index("total_amount"), "total_amount", amounts)
    (misfit,) = new_document_writer("810").misfits(batch)
    assert (misfit.element, misfit.reason_code) == ("TDS01", "X12_NUMBER")


@pytest.mark.parametrize("column", ["amount", "journal"])
def test_floats_are_refused(column: str) -> None:
    batch = gl_batch(SAMPLE_GL)
    floats = pa.array([1.0, 2.0, 3.0])
    writer = new_gl_writer()
    writer.start()
    with pytest.raises(TypeError, match="float"):
        writer.write(batch.set_column(batch.schema.get_field_index(column), column, floats))


def test_long_account_goes_where_it_fits() -> None:
    """REF02 takes 30 characters, LIN05 48, ACT01 35, REF03 80: never cut, left out only where it stands elsewhere."""
    batch = gl_batch([gl_row("20", LONG_ACCOUNT, "1")])
    text = text_of(new_gl_writer("830"), batch)
    assert f"LIN*1*ZZ*20*ZZ*{LONG_ACCOUNT}~" in text and "REF*GZ" not in text
    assert f"REF*GZ*{LONG_ACCOUNT}~" in text_of(new_gl_writer("830", version="005010"), batch)
    assert f"ACT*{LONG_ACCOUNT}~" in text_of(new_gl_writer("821"), batch)
    order = order_batch([{**SAMPLE_ORDER[0], "line_account": LONG_ACCOUNT}])
    assert f"REF*GZ**{LONG_ACCOUNT}~" in text_of(new_document_writer("850"), order)


@pytest.mark.parametrize("cut", [False, True], ids=["one batch", "two batches"])
def test_unsorted_lines_are_refused(cut: bool) -> None:
    rows = [gl_row("20", "A", "1"), gl_row("30", "A", "1"), gl_row("20", "A", "1")]
    writer = new_gl_writer()
    writer.start()
    with pytest.raises(ValueError, match="do not follow one another"):
        for batch in [gl_batch(rows[:2]), gl_batch(rows[2:])] if cut else [gl_batch(rows)]:
            writer.write(batch)


def test_any_order_of_groups_will_do() -> None:
    rows = [gl_row("BB", "2", "1"), gl_row("BB", "10", "1"), gl_row("AA", "2", "-2")]
    read(text_of(new_gl_writer("821"), gl_batch(rows)))


def test_lines_without_date_or_source() -> None:
    batch = gl_batch([gl_row("20", "A1", "0", date=None, source=" ")])
    assert "FST*0*Z*D*20260131****VV*" in text_of(new_gl_writer("830"), batch)
    assert "FIR*ZZ*GL*0.00******D~" in text_of(new_gl_writer("821"), batch)


@pytest.mark.parametrize(
    ("amount", "fst", "fir"),
    [
        ("0.000001", "0.000001", "0.000001*20260115*****D"),
        ("-0.5", "-0.5", "0.50*20260115*****C"),
        ("100", "100", "100.00*20260115*****D"),
        ("-100.005", "-100.005", "100.005*20260115*****C"),
        ("999999999999999", "999999999999999", "999999999999999.00*20260115*****D"),
    ],
)
def test_amounts(amount: str, fst: str, fir: str) -> None:
    batch = gl_batch([gl_row("20", "A1", amount)])
    assert f"FST*{fst}*Z*" in text_of(new_gl_writer("830", hash_overflow="omit"), batch)
    assert f"FIR*ZZ*APIN*{fir}~" in text_of(new_gl_writer("821"), batch)


def test_point_first() -> None:
    text = text_of(new_gl_writer("830", zero_before_point=False), gl_batch([gl_row("20", "A1", "-0.5")]))
    assert "FST*-.5*" in text and "CTT*1*-.5~" in text


def test_hash_total_that_ctt02_cannot_hold() -> None:
    batch = gl_batch([gl_row("20", "A1", "123456789012")])
    writer = new_gl_writer()
    writer.start(), writer.write(batch)
    with pytest.raises(ConfigurationInvalid, match="CTT02"):
        writer.finish()
    assert "CTT*1~" in text_of(new_gl_writer(hash_overflow="omit"), batch)


def test_replaced_characters_are_counted() -> None:
    header = gl_header(account_names={"A1": "Café~\tBüro™ €5", "A2": "plain"})
    writer = new_gl_writer("830", header)
    text = text_of(writer, gl_batch([gl_row("20", "A1", "1"), gl_row("20", "A2", "-1")]))
    assert "PID*F****Cafe  BuroTM EUR5~" in text
    assert writer.written.replaced == {"PID05": 6}


@pytest.mark.parametrize(
    ("changes", "written"),
    [
        ({"replacements": {"é": "E", "~": "-"}}, "CafE-~"),
        ({"upper_case": True, "charset": "basic"}, "CAFE~"),
        ({"charset": "any", "encoding": "cp1252"}, "Café~"),
        ({"segment_terminator": "'", "charset": "any", "encoding": "utf-8"}, "Café~'"),
    ],
)
def test_characters_by_profile(changes: dict[str, Any], written: str) -> None:
    writer = new_gl_writer("830", gl_header(account_names={"A1": "Café~"}), **changes)
    data = b"".join(
        block.data for block in (writer.start(), writer.write(gl_batch([gl_row("20", "A1", "0")])), writer.finish())
    )
    assert f"PID*F****{written}" in data.decode(changes.get("encoding", "ascii"))


def test_texts_may_be_made_to_fail() -> None:
    writer = new_gl_writer("830", gl_header(account_names={"A1": "a~b"}), unsafe_texts="fail")
    assert [misfit.element for misfit in writer.misfits(gl_batch([gl_row("20", "A1", "1")]))] == ["PID05"]


def test_texts_are_cut_only_where_declared() -> None:
    batch = invoice_batch([{**INVOICE, **ITEM_ROWS[0], "description": "x" * 79 + " y"}])
    assert new_document_writer("810").misfits(batch)
    assert "PID*F****" + "x" * 79 + "~" in text_of(new_document_writer("810", truncate=("PID05",)), batch)


def test_short_codes_are_padded_where_declared() -> None:
    batch = gl_batch([gl_row("7", "A1", "1")])
    assert "ENT*1*DV*92*07~" in text_of(new_gl_writer("821", pad_short_codes="0"), batch)


def test_replacing_an_earlier_file() -> None:
    batch = gl_batch(SAMPLE_GL)
    assert "BFR*05*" in text_of(new_gl_writer("830", gl_header(purpose="05")), batch)
    assert "B2A*05~" in text_of(new_gl_writer("821", gl_header(purpose="05")), batch)
    again = DocumentHeader(company=COMPANY, purpose="05")
    assert "***DI*05~" in text_of(new_document_writer("810", again), invoice_batch([{**INVOICE, **ITEM_ROWS[0]}]))
    assert "BEG*05*SA*" in text_of(new_document_writer("850", again), order_batch(SAMPLE_ORDER))


def test_many_documents() -> None:
    rows = [{**INVOICE, "invoice_number": f"I{n:05d}", **item} for n in range(500) for item in ITEM_ROWS]
    batch = invoice_batch(rows)
    writer = new_document_writer("810")
    sets = read(text_of(writer, batch.slice(0, 333), batch.slice(333))).sets
    assert [one[0][2] for one in sets] == [f"{n:04d}" for n in range(1, 501)]
    assert [one[1][2] for one in sets] == [f"I{n:05d}" for n in range(500)]
    assert writer.written.sets == 500
    assert writer.written.segments == sum(map(len, sets))


def test_the_same_invoice_number_of_two_suppliers() -> None:
    rows = [{**INVOICE, "supplier": supplier, **ITEM_ROWS[0]} for supplier in ("AAA", "BBB")]
    assert len(read(text_of(new_document_writer("810"), invoice_batch(rows))).sets) == 2


def test_invoice_without_lines() -> None:
    text = text_of(new_document_writer("810"), invoice_batch([INVOICE]))
    assert "IT1" not in text and "CTT" not in text
    read(text)


def test_items() -> None:
    header = DocumentHeader(company=COMPANY, partner=PARTNER, currency="USD", batch="ITEMS-7", catalogue="EDU1")
    text = text_of(new_document_writer("832", header), order_batch(SAMPLE_ORDER[:1]), order_batch(SAMPLE_ORDER[1:]))
    assert "BCT*PC*EDU1********00~" in text
    assert "LIN*1*BP*A100*VP*ACM-A100~\nPID*F****BRACKET, LEFT~\nCTP**LPR*12.5*1*EA~\nLIN*2*BP*B200~\n" in text
    assert "CTT*2~" in text
    read(text)


def test_a_file_needs_rows() -> None:
    writer = new_gl_writer()
    writer.start()
    assert writer.write(gl_batch([])).data == b""
    with pytest.raises(ValueError, match="without rows"):
        writer.finish()


def test_a_file_needs_a_beginning() -> None:
    with pytest.raises(ValueError, match="call start first"):
        new_gl_writer().write(gl_batch(SAMPLE_GL))


def test_missing_column_is_named() -> None:
    writer = new_gl_writer()
    writer.start()
    with pytest.raises(ValueError, match="needs the column journal"):
        writer.write(gl_batch(SAMPLE_GL).drop_columns(["journal"]))


def test_journals_as_text() -> None:
    """SYSPRO 7 pads numbers with blanks, SYSPRO 8 with zeros."""
    for journal in (" 12345", "000000000012345", "12345"):
        batch = gl_batch(SAMPLE_GL[:1])
        at = GL_SCHEMA.get_field_index("journal")
        batch = batch.set_column(at, "journal", pa.array([journal]))
        assert "VV*202601-0000012345~" in text_of(new_gl_writer(), batch)


def test_a_value_of_the_whole_file_that_does_not_fit() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"N102 .* longer than the 60"):
        new_gl_writer("830", gl_header(company=Party("x" * 61, "EDU1")))


def test_test_content_never_goes_as_production() -> None:
    arguments: Any = (gl_header(), ControlNumbers(1, 1), CREATED)
    with pytest.raises(ConfigurationInvalid, match="test_indicator"):
        gl_writer("830", profile(test_indicator="P"), *arguments, test_content=True)
    production = gl_writer("830", profile(test_indicator="P"), *arguments, test_content=False)
    assert read(text_of(production, gl_batch(SAMPLE_GL))).isa[15] == "P"
