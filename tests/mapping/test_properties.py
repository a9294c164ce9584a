"""Any text and any amount: what is written is what independent readers read."""

from __future__ import annotations

import csv
import io
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.support import SETTINGS, project, staged
from tieout.currencies import MINOR_UNITS
from tieout.formats.csv import read_batches
from tieout.mapping.compiler import CompiledMapping, MappedBatch, compile_mapping
from tieout.mapping.frame import MapContext

CUSTOM = {"header": ["U_A", "U_B"], "DocumentLines": ["U_A", "U_C"]}
CONTEXT = MapContext(settings=SETTINGS)

texts = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\x1a"), max_size=12),
    st.text(st.sampled_from('",\r\n =é日🎁\t;'), max_size=8),
)
amounts = st.one_of(
    st.none(), st.decimals(min_value=Decimal("-1e12"), max_value=Decimal("1e12"), places=6), st.just(Decimal("0.005"))
)
lines = st.fixed_dictionaries(
    {"ItemCode": texts, "ItemDescription": texts, "LineTotal": amounts, "Quantity": amounts, "U_A": texts, "U_C": texts}
)
documents = st.fixed_dictionaries(
    {
        "CardCode": st.just("C1"),
        "DocDate": st.just("2026-01-31"),
        "DocNum": st.integers(1, 2**40),
        "DocCurrency": st.sampled_from(["EUR", "JPY", "KWD", "CLF"]),
        "DocTotal": amounts,
        "Comments": texts,
        "DocumentLines": st.one_of(st.none(), st.lists(lines, max_size=3)),
        "U_A": texts,
        "U_B": texts,
    }
)
batches = st.lists(documents, min_size=1, max_size=6)
MAPPING = project("invoices")


def mapped(
    records: list[dict[str, Any]], custom: dict[str, list[str]] | None = None
) -> tuple[CompiledMapping, MappedBatch]:
    rows = [{"DocEntry": number, **record} for number, record in enumerate(records, 1)]
    compiled = compile_mapping(MAPPING, CUSTOM if custom is None else custom)
    return compiled, compiled.map_batch(staged(MAPPING, rows, CUSTOM), CONTEXT)


def everything(batch: MappedBatch) -> bytes:
    return bytes(batch.csv_bytes(np.full(len(batch), True)))


def rounded(amount: Decimal | None, currency: str) -> Decimal:
    return (amount or Decimal(0)).quantize(Decimal(1).scaleb(-MINOR_UNITS[currency]), ROUND_HALF_UP)


@settings(max_examples=60, deadline=None)
@given(batches)
def test_pythons_reader_reads_what_was_meant(records: list[dict[str, Any]]) -> None:
    compiled, batch = mapped(records)
    text = (compiled.header_line() + everything(batch)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    expected = [(record, line) for record in records for line in record["DocumentLines"] or [{}]]
    assert len(rows) == len(expected)
    for row, (record, line) in zip(rows, expected, strict=True):
        assert row["note"] == (record["Comments"] or "")
        assert row["U_A"] == (record["U_A"] or "")
        assert row["description"] == (line.get("ItemDescription") or "")
        assert row["line.U_A"] == (line.get("U_A") or "")
        if record["DocTotal"] is None:
            assert row["totalAmount"] == ""
        else:
            assert Decimal(row["totalAmount"]) == rounded(record["DocTotal"], record["DocCurrency"])
            assert -Decimal(row["totalAmount"]).as_tuple().exponent == MINOR_UNITS[record["DocCurrency"]]  # type: ignore[operator]
        if line.get("Quantity") is not None:
            assert Decimal(row["quantity"]) == line["Quantity"]
            assert not (row["quantity"].endswith("0") and "." in row["quantity"])


@settings(max_examples=40, deadline=None)
@given(batches)
def test_arrows_reader_agrees_and_so_do_the_totals(records: list[dict[str, Any]]) -> None:
    compiled, batch = mapped(records)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "invoices.csv"
        path.write_bytes(compiled.header_line() + everything(batch))
        table = pa.Table.from_batches(list(read_batches(path)))
        assert table.column_names == compiled.header
        with path.open(newline="", encoding="utf-8") as file:
            assert table.to_pylist() == list(csv.DictReader(file))
        totals = compiled.file_totals(path)
    money: Counter[str] = Counter()
    for currency, amount in zip(batch.currency.to_pylist(), batch.amount.to_pylist(), strict=True):
        money[currency] += amount
    assert totals.records == len(records)
    assert totals.rows == len(batch.rows)
    assert totals.money == dict(money)
    assert sum(batch.row_bytes) == len(everything(batch))


@settings(max_examples=40, deadline=None)
@given(batches, st.data())
def test_bytes_of_a_record_do_not_depend_on_its_neighbours(records: list[dict[str, Any]], data: st.DataObject) -> None:
    _, batch = mapped(records)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(records), max_size=len(records))))
    ends = np.cumsum(batch.row_bytes)
    pieces = [everything(batch)[end - size : end] for end, size in zip(ends, batch.row_bytes, strict=True)]
    assert bytes(batch.csv_bytes(chosen)) == b"".join(piece for piece, yes in zip(pieces, chosen, strict=True) if yes)


@settings(max_examples=40, deadline=None)
@given(batches)
def test_an_empty_custom_column_does_not_change_the_fingerprint(records: list[dict[str, Any]]) -> None:
    blank = [
        {
            **record,
            "U_B": None,
            "DocumentLines": record["DocumentLines"] and [{**line, "U_C": ""} for line in record["DocumentLines"]],
        }
        for record in records
    ]
    _, with_columns = mapped(blank)
    _, without = mapped(blank, {"header": ["U_A"], "DocumentLines": ["U_A"]})
    _, more = mapped(blank, {"header": ["U_B", "U_A", "U_Z"], "DocumentLines": ["U_Y", "U_C", "U_A"]})
    assert with_columns.fingerprints == without.fingerprints == more.fingerprints


@settings(max_examples=60, deadline=None)
@given(documents, documents)
def test_fingerprints_are_equal_exactly_when_the_content_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    _, batch = mapped([one, other])
    ends = np.cumsum(batch.row_bytes)
    data = everything(batch)
    # The records differ in their key; put that aside.
    first = data[: ends[0]].replace(b"\r\n1,", b"\r\n").removeprefix(b"1,")
    second = data[ends[0] :].replace(b"\r\n2,", b"\r\n").removeprefix(b"2,")
    _, alone = mapped([other])
    _, again = mapped([one])
    assert again.fingerprints[0] == batch.fingerprints[0]
    assert (alone.fingerprints[0] == again.fingerprints[0]) == (first == second)


FIELDS = [("Comments", "x"), ("DocTotal", Decimal("1.01")), ("U_A", "x"), ("DocCurrency", "JPY"), ("DocNum", 2)]


def test_every_change_that_the_receiver_sees_changes_the_fingerprint() -> None:
    base: dict[str, Any] = {
        "DocCurrency": "EUR",
        "DocNum": 1,
        "DocTotal": Decimal(1),
        "DocumentLines": [{"ItemCode": "a"}],
    }
    variants = [base] + [{**base, name: value} for name, value in FIELDS]
    variants += [
        {**base, "DocumentLines": []},
        {**base, "DocumentLines": [{"ItemCode": "a"}, {"ItemCode": "a"}]},
        {**base, "DocumentLines": [{"ItemCode": "a", "U_A": "x"}]},
        {**base, "U_A": "x,U_B=y"},
        {**base, "U_A": "x", "U_B": "y"},
    ]
    prints = [mapped([variant])[1].fingerprints[0].as_py() for variant in variants]
    assert len(set(prints)) == len(prints)
    assert all(len(value) == 64 for value in prints)
