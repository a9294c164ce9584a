"""Random data through each writer; a reader that knows nothing of the writer gets the same records back."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.formats.x12.checker import element, gl_lines, read
from tests.formats.x12.data import (
    INVOICE,
    ORDER,
    SUPPLIER,
    blocks,
    gl_batch,
    gl_header,
    gl_row,
    invoice_batch,
    new_document_writer,
    new_gl_writer,
    order_batch,
    text_of,
)

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

KEY_CHARACTERS = "ABCXYZ0189-./ abz#é*~\n"
KEYS = st.text(KEY_CHARACTERS, max_size=38)
GOOD_KEYS = st.text("ABCXYZ0189-./", min_size=2, max_size=30)
TEXTS = st.text(max_size=90)
AMOUNTS = st.decimals(min_value=Decimal("-1e9"), max_value=Decimal("1e9"), places=6) | st.decimals(
    min_value=-10000, max_value=10000, places=2
)
DATES = st.none() | st.dates().map(str) | st.sampled_from(["2026-02-30", "20260131", "", "x"])
GL_ROWS = st.builds(
    gl_row,
    st.none() | KEYS,
    st.none() | KEYS | GOOD_KEYS,
    AMOUNTS.map(str),
    journal=st.none() | st.integers(0, 10**10 - 1),
    period=st.integers(1, 13),
    date=DATES,
    source=st.none() | KEYS,
)
PROFILES: list[dict[str, Any]] = [
    {},
    {"version": "005010", "element_separator": "|", "segment_terminator": "\x1e", "line_break": "\r\n"},
    {"charset": "basic", "upper_case": True, "segment_terminator": "\n", "line_break": "", "unsafe_keys": "replace"},
    {"charset": "any", "encoding": "utf-8", "pad_short_codes": "0", "zero_before_point": False},
]
EVERY_PROFILE = pytest.mark.parametrize("changes", PROFILES, ids=["default", "005010", "basic", "utf-8"])


def sorted_lines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["cost_centre"] or "", row["account"] or ""))


def cut(batch: pa.RecordBatch, sizes: list[int]) -> list[pa.RecordBatch]:
    batches, at = [], 0
    for size in sizes:
        batches.append(batch.slice(at, size))
        at += size
    return [*batches, batch.slice(at)]


def without_misfits(writer: Any, batch: pa.RecordBatch) -> pa.RecordBatch:
    fallen = {row for misfit in writer.misfits(batch) for row in misfit.rows}
    return batch.filter(pa.array([row not in fallen for row in range(batch.num_rows)]))


@EVERY_PROFILE
@pytest.mark.parametrize("set_id", ["830", "821"])
@QUICK
@given(rows=st.lists(GL_ROWS, min_size=1, max_size=12), names=st.dictionaries(GOOD_KEYS, TEXTS, max_size=3))
def test_what_has_no_misfits_is_a_valid_file(
    set_id: str, changes: dict[str, Any], rows: list[dict[str, Any]], names: dict[str, str]
) -> None:
    names = {row["account"]: name for row, name in zip(rows, names.values(), strict=False) if row["account"]}
    changes = {**changes, "truncate": ("PID05", "ACT02"), "hash_overflow": "omit"}
    writer = new_gl_writer(set_id, gl_header(account_names=names), **changes)
    left = without_misfits(writer, gl_batch(sorted_lines(rows)))
    assert not writer.misfits(left)
    if left.num_rows:
        read(text_of(writer, left))


@EVERY_PROFILE
@pytest.mark.parametrize("set_id", ["830", "821"])
@QUICK
@given(data=st.data())
def test_gl_lines_come_back(set_id: str, changes: dict[str, Any], data: st.DataObject) -> None:
    """The same lines and the same bytes, however the rows are cut into batches."""
    rows = data.draw(
        st.lists(
            st.builds(
                gl_row,
                GOOD_KEYS,
                GOOD_KEYS,
                AMOUNTS.map(str),
                journal=st.integers(0, 10**10 - 1),
                period=st.integers(1, 13),
                date=st.none() | st.dates().map(str),
                source=st.sampled_from(["APIN", "GL", None]),
            ),
            min_size=1,
            max_size=15,
        )
    )
    rows = sorted_lines(rows)
    batch = gl_batch(rows)
    options = {**changes, "hash_overflow": "omit"}
    text = text_of(new_gl_writer(set_id, **options), batch)
    sizes = data.draw(st.lists(st.integers(0, 6), max_size=6))
    assert text_of(new_gl_writer(set_id, **options), *cut(batch, sizes)) == text
    found = gl_lines(read(text).sets[0])
    assert len(found) == len(rows)
    for line, row in zip(found, rows, strict=True):
        day = row["date"] or ("2026-01-31" if set_id == "830" else None)
        assert line["cost_centre"] == row["cost_centre"]
        assert line["account"] == row["account"]
        assert line["amount"] == row["amount"]
        assert line["day"] == (day.replace("-", "") if day else None)
        assert line["voucher"] == f"{row['year']:04d}{row['period']:02d}-{row['journal']:010d}"
        assert set_id == "830" or line["source"] == (row["source"] or "GL")


QUANTITIES = st.none() | st.decimals(min_value=Decimal("-1e5"), max_value=Decimal("1e5"), places=6)
PRICES = st.none() | st.decimals(min_value=0, max_value=Decimal("1e6"), places=5)
ITEMS = st.fixed_dictionaries(
    {
        "line_number": st.none() | st.integers(1, 9999),
        "quantity": QUANTITIES,
        "uom": st.sampled_from([None, "EA", "KG", "each"]),
        "unit_price": PRICES,
        "stock_code": st.none() | KEYS,
        "supplier_stock_code": st.none() | GOOD_KEYS,
        "description": st.none() | TEXTS,
        "line_account": st.none() | st.text("0123456789-", max_size=35),
    }
)
HEADS = st.fixed_dictionaries(
    {
        "date": DATES,
        "number": KEYS | GOOD_KEYS,
        "supplier": st.none() | GOOD_KEYS | KEYS,
        "supplier_name": st.none() | TEXTS,
        "account": st.none() | KEYS,
        "total": st.decimals(min_value=Decimal("-1e8"), max_value=Decimal("1e8"), places=2),
        "items": st.lists(ITEMS, min_size=1, max_size=4),
    }
)


def invoices(heads: list[dict[str, Any]]) -> pa.RecordBatch:
    rows = [
        {
            **INVOICE,
            "invoice_number": head["number"],
            "invoice_date": head["date"],
            "supplier": head["supplier"],
            "supplier_name": head["supplier_name"],
            "account": head["account"],
            "total_amount": head["total"],
            **item,
        }
        for head in heads
        for item in head["items"]
    ]
    return invoice_batch(rows)


def orders(heads: list[dict[str, Any]]) -> pa.RecordBatch:
    rows = [
        {
            **ORDER,
            "purchase_order": head["number"],
            "order_date": head["date"],
            "supplier": head["supplier"],
            "supplier_name": head["supplier_name"],
            **item,
        }
        for head in heads
        for item in head["items"]
    ]
    return order_batch(rows)


def distinct(heads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({head["number"].rstrip(): head for head in heads}.values())


@EVERY_PROFILE
@pytest.mark.parametrize(("set_id", "batch_of"), [("810", invoices), ("850", orders)], ids=["810", "850"])
@QUICK
@given(heads=st.lists(HEADS, min_size=1, max_size=5), sizes=st.lists(st.integers(0, 5), max_size=4))
def test_documents_without_misfits_are_a_valid_file(
    set_id: str, batch_of: Any, changes: dict[str, Any], heads: list[dict[str, Any]], sizes: list[int]
) -> None:
    """A bad value takes its whole document with it, and no other; every good one comes back."""
    changes = {**changes, "truncate": ("PID05", "N102")}
    batch = batch_of(distinct(heads))
    left = without_misfits(new_document_writer(set_id, **changes), batch)
    if not left.num_rows:
        return
    text = text_of(new_document_writer(set_id, **changes), left)
    assert text_of(new_document_writer(set_id, **changes), *cut(left, sizes)) == text
    key = "invoice_number" if set_id == "810" else "purchase_order"
    kept = [list(rows) for _, rows in groupby(left.to_pylist(), key=lambda row: row[key])]
    every = [list(rows) for _, rows in groupby(batch.to_pylist(), key=lambda row: row[key])]
    assert all(rows in every for rows in kept), "a part of a document was written"
    sets = read(text).sets
    assert len(sets) == len(kept)
    detail, head_segment, at = ("IT1", "BIG", 2) if set_id == "810" else ("PO1", "BEG", 3)
    for one, rows in zip(sets, kept, strict=True):
        expected = [row for row in rows if row["line_number"] is not None or set_id == "850"]
        if "upper_case" not in changes:
            assert next(s for s in one if s[0] == head_segment)[at] == rows[0][key].rstrip(" ")
        lines = [s for s in one if s[0] == detail]
        quantities = [Decimal(value) if (value := element(line, 2)) else None for line in lines]
        assert quantities == [row["quantity"] for row in expected]
        totals = [Decimal(s[1]) / 100 for s in one if s[0] == "TDS"]
        assert totals == ([rows[0]["total_amount"]] if set_id == "810" else [])


@EVERY_PROFILE
@QUICK
@given(items=st.lists(ITEMS, min_size=1, max_size=6))
def test_items_without_misfits_are_a_valid_file(changes: dict[str, Any], items: list[dict[str, Any]]) -> None:
    writer = new_document_writer("832", **changes, truncate=("PID05",))
    left = without_misfits(writer, order_batch([{**SUPPLIER, **item} for item in items]))
    if left.num_rows:
        segments = read(text_of(writer, left)).sets[0]
        assert sum(segment[0] == "LIN" for segment in segments) == left.num_rows


@QUICK
@given(rows=st.lists(st.builds(gl_row, GOOD_KEYS, GOOD_KEYS, AMOUNTS.map(str)), min_size=1, max_size=8))
@pytest.mark.parametrize("encoding", ["ascii", "cp037", "cp1252", "utf-8"])
def test_offsets_point_at_each_line(encoding: str, rows: list[dict[str, Any]]) -> None:
    batch = gl_batch(sorted_lines([{**row, "source": "é" if encoding != "ascii" else "E"} for row in rows]))
    writer = new_gl_writer("821", charset="any", encoding=encoding, hash_overflow="omit")
    written = blocks(writer, cut(batch, [1]))
    data = b"".join(block.data for block in written)
    found = [
        data[start:end].decode(encoding)
        for block in written
        for start, end in zip(block.starts, block.ends, strict=True)
    ]
    assert len(found) == len(rows)
    for segments, row in zip(found, batch.to_pylist(), strict=True):
        assert segments.startswith(f"FIR*ZZ*{row['source']}*") and segments.count("~\n") == 2
        assert Decimal(segments.split("*")[3]) == abs(row["amount"])
