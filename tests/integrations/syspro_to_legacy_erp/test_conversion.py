"""The canonical file in a partner's CSV and in fixed-width records, read by other readers."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations.syspro_to_legacy_erp.documents_support import Canonical, canonical, project
from tieout.config import PartnerCsv
from tieout.errors import ConfigurationInvalid, DoesNotTieOut
from tieout.formats.fixed_width import FixedWidthSpec
from tieout.integrations.syspro_to_legacy_erp import as_csv, as_fixed_width
from tieout.integrations.syspro_to_legacy_erp import canonical as canonical_file
from tieout.integrations.syspro_to_legacy_erp.conversion import Converted, DocumentTarget, convert, read_index
from tieout.integrations.syspro_to_legacy_erp.gl.writers import Facts, Numbers

D = Decimal
FACTS = Facts(
    company="EDU1", company_name="EDU1 MANUFACTURING", partner_name="LEGACY ERP", code="202603",
    period_start=date(2026, 3, 1), period_end=date(2026, 3, 31), currency="USD", made=datetime(2026, 4, 2, 6, 5),
    test_content=True,
)  # fmt: skip


def invoice(number: str, amount: str = "10.50", **more: Any) -> dict[str, Any]:
    return {
        "Supplier": "S1", "SupplierName": "Né & Co", "Invoice": number, "InvoiceDate": "2026-03-05",
        "OrigInvValue": D(amount), "Currency": "EUR", **more,
    }  # fmt: skip


def order(number: str, *lines: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {
        "PurchaseOrder": number, "Supplier": "S1", "OrderEntryDate": "2026-03-05", "OrderStatus": "1",
        "Currency": "USD",
        "PorMasterDetail": [
            {"Line": at, "MStockCode": f"A{at}", "MOrderUom": "EA", "MOrderQty": D(quantity), "MPrice": D(price)}
            for at, (quantity, price) in enumerate(lines, 1)
        ],
        **more,
    }  # fmt: skip


INVOICES = [
    invoice("I1"),
    invoice("I2", "-3.25", Reference='say "so"; and, more, 1.5'),
    invoice("I3", "7", Currency="JPY", Reference="two\nlines"),
]
ORDERS = [order("P1", ("2", "1.25"), ("3", "0.335")), order("P2"), order("P3", ("1.5", "-4"))]


def target(folder: Path, **more: Any) -> DocumentTarget:
    settings = {"path": folder / "out", "index": folder / "index.parquet", "format": "csv", "facts": FACTS}
    return DocumentTarget(**{**settings, "numbers": Numbers(7, 101, 201), **more})


def converted(made: Canonical, wanted: DocumentTarget) -> tuple[Converted, bytes, list[bytes]]:
    """The result, the file, and each record's bytes in it."""
    result = convert(made.data, made.records, made.compiled, wanted)
    assert result.misfits == {}
    data = Path(str(wanted.path)).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (result.bytes, result.sha256)
    index = list(read_index(wanted.index))
    assert [record.source_key for record in index] == made.keys
    assert result.records == len(made.keys)
    before = pq.read_table(made.records).select(["source_key", "fingerprint", "label"])
    assert pq.read_table(wanted.index).select(["source_key", "fingerprint", "label"]).equals(before)
    return result, data, [data[record.byte_start : record.byte_end] for record in index]


def cells(data: bytes, encoding: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter, strict=True))


# --- csv


@pytest.mark.parametrize(("entity", "records"), [("invoices", INVOICES), ("purchase_orders", ORDERS)])
def test_the_default_is_the_canonical_file_itself(tmp_path: Path, entity: str, records: Any) -> None:
    made = canonical(tmp_path, project(entity), records)
    result, data, _ = converted(made, target(tmp_path))
    assert data == made.data.read_bytes()
    assert pq.read_table(tmp_path / "index.parquet").equals(pq.read_table(made.records))
    expected = {"invoices": {"EUR": D("7.25"), "JPY": D(7)}, "purchase_orders": {"USD": D("-2.49")}}
    assert result.money == expected[entity]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "cp932", "cp037"])
@pytest.mark.parametrize(
    "how",
    [
        {"delimiter": ";", "decimal_mark": ",", "line_end": "\n"},
        {"delimiter": ",", "decimal_mark": ","},
        {"delimiter": "|", "quoting": "all", "header": False},
    ],
    ids=["semicolon", "comma twice", "all quoted, no header"],
)
def test_dialects(tmp_path: Path, encoding: str, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical_file, "CHUNK_BYTES", 100)
    records = [{**each, "SupplierName": "Nuts" if encoding == "cp932" else "Né & Co"} for each in INVOICES]
    made = canonical(tmp_path, project("invoices"), records)
    wanted = PartnerCsv(encoding=encoding, **how)
    _, data, parts = converted(made, target(tmp_path, csv=wanted))

    mark = wanted.decimal_mark
    expected = cells(made.data.read_bytes())
    for row in expected[1:]:
        for name in ("total_amount", "discount_amount"):
            at = expected[0].index(name)
            row[at] = row[at].replace(".", mark)
    found = cells(data, encoding, wanted.delimiter)
    assert found == (expected if wanted.header else expected[1:])
    own = encoding.removesuffix("-sig") if encoding != "utf-16" else "utf-16-le"
    assert [cells(part, own, wanted.delimiter) for part in parts] == [[row] for row in expected[1:]]


def test_what_the_encoding_lacks_is_told_record_by_record(tmp_path: Path) -> None:
    records = [invoice("I1"), invoice("I2", Reference="Łódź"), invoice("I3", SupplierName="東京", Branch="☃")]
    made = canonical(tmp_path, project("invoices"), records)
    result = convert(made.data, made.records, made.compiled, target(tmp_path, csv=PartnerCsv(encoding="cp1252")))
    assert {key: code for key, (code, _, _) in result.misfits.items()} == {
        "S1|I2": "CHARACTER_NOT_ALLOWED", "S1|I3": "CHARACTER_NOT_ALLOWED",
    }  # fmt: skip
    assert result.misfits["S1|I2"][1] == "invoice I2: reference holds 'Ł' (U+0141), which is not in cp1252."
    assert "supplier_name holds '東'" in result.misfits["S1|I3"][1]
    assert "branch holds '☃'" in result.misfits["S1|I3"][1]
    assert "partner.csv.encoding" in result.misfits["S1|I3"][2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "records.parquet"]


def test_a_column_name_that_the_encoding_lacks(tmp_path: Path) -> None:
    mapping = project("items")
    columns = tuple(
        column.model_copy(update={"name": "маса"}) if column.name == "mass" else column for column in mapping.columns
    )
    made = canonical(
        tmp_path, mapping.model_copy(update={"columns": columns}), [{"StockCode": "A", "Description": "x"}]
    )
    with pytest.raises(ConfigurationInvalid, match="a column name with 'м'"):
        convert(made.data, made.records, made.compiled, target(tmp_path, csv=PartnerCsv(encoding="cp1252")))


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\x00\x1a"), max_size=8)
RECORDS = st.lists(st.tuples(TEXTS, TEXTS, st.decimals(-(10**6), 10**6, places=2)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.sampled_from([";", ",", "\t"]), st.sampled_from(["needed", "all"]), st.integers(1, 400))
def test_any_text_comes_through(
    tmp_path_factory: pytest.TempPathFactory, drawn: Any, delimiter: str, quoting: str, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    records = [
        invoice(f"I{at}", Reference=reference, Branch=branch, OrigInvValue=amount)
        for at, (reference, branch, amount) in enumerate(drawn)
    ]
    made = canonical(folder, project("invoices"), records)
    wanted = target(folder, csv=PartnerCsv(delimiter=delimiter, quoting=quoting, line_end="\n"))  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical_file, "CHUNK_BYTES", chunk)
        result, data, _ = converted(made, wanted)
    assert result.money == {"EUR": sum((amount for _, _, amount in drawn), D(0))}
    rows = cells(data, delimiter=delimiter)
    at = {name: rows[0].index(name) for name in ("reference", "branch", "total_amount")}
    found = [(row[at["reference"]], row[at["branch"]], D(row[at["total_amount"]])) for row in rows[1:]]
    assert found == drawn
    assert converted(made, wanted)[1] == data


# --- fixed width


def field(name: str, start: int, width: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "start": start, "width": width, **({"from": name} if "const" not in more else {}), **more}


SPEC: dict[str, Any] = {
    "file": {"encoding": "cp1252", "record_separator": "\r\n"},
    "totals": {"count": {"count": "details"}, "amount": {"sum": "line_amount"}},
    "records": {
        "header": {
            "length": 32,
            "fields": [
                field("type", 1, 1, const="H"),
                field("company", 2, 4),
                field("run_date", 6, 8, type="date"),
                field("batch", 14, 6, type="integer"),
                field("amount", 20, 13, type="decimal", scale=2, sign="trailing"),
            ],
        },
        "detail": {
            "length": 60,
            "fields": [
                field("type", 1, 1, const="D"),
                field("purchase_order", 2, 10),
                field("currency", 12, 3),
                field("total_amount", 15, 12, type="decimal", scale=2, sign="overpunch"),
                field("line_number", 27, 4, type="integer", null="zeros"),
                field("quantity", 31, 10, type="decimal", scale=3, null="zeros"),
                field("line_amount", 41, 12, type="decimal", scale=2, sign="leading", null="zeros"),
                field("order_date", 53, 8, type="date"),
            ],
        },
        "trailer": {
            "length": 10,
            "fields": [field("type", 1, 1, const="T"), field("count", 2, 9, type="integer")],
        },
    },
}


def spec(**changes: Any) -> FixedWidthSpec:
    return FixedWidthSpec.model_validate({**SPEC, **changes})


def test_fixed_width_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical_file, "CHUNK_BYTES", 150)
    made = canonical(tmp_path, project("purchase_orders"), ORDERS)
    result, data, parts = converted(made, target(tmp_path, format="fixed_width", spec=spec()))
    assert data.decode("cp1252").split("\r\n") == [
        "HEDU120260402000007" + "000000000249-",
        "DP1        USD00000000035A00010000002000+0000000025020260305",
        "DP1        USD00000000035A00020000003000+0000000010120260305",
        "DP2        USD00000000000{00000000000000+0000000000020260305",
        "DP3        USD00000000060}00010000001500-0000000060020260305",
        "T000000004",
        "",
    ]
    assert [len(part) for part in parts] == [124, 62, 62]
    assert b"".join(parts) == data[34:-12]
    assert result.money == {"USD": D("-2.49")}


def test_subtotals_are_no_part_of_a_document(tmp_path: Path) -> None:
    fields = [field("type", 1, 1, const="S"), field("purchase_order", 2, 10), field("count", 12, 3, type="integer")]
    records = {**SPEC["records"], "subtotal": {"per": "purchase_order", "length": 14, "fields": fields}}
    made = canonical(tmp_path, project("purchase_orders"), ORDERS)
    _, data, parts = converted(made, target(tmp_path, format="fixed_width", spec=spec(records=records)))
    assert [line[:1] for line in data.decode().split("\r\n")] == [*"HDDSDSDST", ""]
    assert [[line[:4] for line in part.decode().split("\r\n")[:-1]] for part in parts] == [
        ["DP1 ", "DP1 "], ["DP2 "], ["DP3 "],
    ]  # fmt: skip


def test_what_a_field_has_no_room_for_is_told(tmp_path: Path) -> None:
    orders = [order("P1", ("1", "1")), order("P2", ("1.2345", "1"), ("2.2222", "1")), order("PURCHASE-ORDER-3")]
    made = canonical(tmp_path, project("purchase_orders"), orders)
    result = convert(made.data, made.records, made.compiled, target(tmp_path, format="fixed_width", spec=spec()))
    codes = {key: code for key, (code, _, _) in result.misfits.items()}
    assert codes == {"P2": "TOO_MANY_DECIMALS", "PURCHASE-ORDER-3": "VALUE_TOO_WIDE"}
    assert result.misfits["P2"][1].startswith("purchase order P2: Record 'detail', field 'quantity'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("encoding", ["cp1252", "cp037", "cp273", "utf-8"])
@pytest.mark.parametrize(
    "amount",
    [
        {"sign": "overpunch"}, {"sign": "trailing"}, {"sign": "leading"}, {"sign": "leading", "pad": " "},
        {"sign": "leading", "pad": " ", "justify": "left", "point": "."}, {"sign": "jde", "width": 32},
        {"sign": "trailing", "point": ","}, {"sign": "dc"},
    ],
    ids=str,
)  # fmt: skip
def test_amounts_are_read_back_whatever_their_sign(tmp_path: Path, encoding: str, amount: dict[str, Any]) -> None:
    width = amount.get("width", 15)
    fields = [
        field("currency", 1, 3),
        field("total_amount", 4, width, type="decimal", scale=2, **{k: v for k, v in amount.items() if k != "width"}),
        {**field("side", 4 + width, 1, type="dc"), "from": "total_amount"},
    ]
    plain = {
        "file": {"encoding": encoding, "record_separator": "none"},
        "records": {"detail": {"length": 4 + width, "fields": fields}},
    }
    amounts = ["0", "-0.01", "1234567.89", "-1234567.80", "-10", "0.05", "99999"]
    made = canonical(tmp_path, project("invoices"), [invoice(f"I{at}", text) for at, text in enumerate(amounts)])
    wanted = target(tmp_path, format="fixed_width", spec=FixedWidthSpec.model_validate(plain))
    result, data, parts = converted(made, wanted)
    assert result.money == {"EUR": sum(map(D, amounts))}
    starts = [at * (4 + width) for at in range(len(amounts))]
    compiled, size = made.compiled, len(data)
    for at, text in enumerate(amounts):
        # Each one by itself: errors must not cancel each other out.
        kind = as_fixed_width.FixedWidthFormat(FixedWidthSpec.model_validate(plain))
        alone = as_fixed_width.read_back(tmp_path / "out", kind, compiled, np.array([starts[at]]), size)
        assert alone.money == {"EUR": D(text)}
    assert all(len(part) == 4 + width for part in parts)


def test_a_spec_without_amounts_says_nothing_of_money(tmp_path: Path) -> None:
    plain = {"records": {"detail": {"length": 10, "fields": [field("invoice_number", 1, 10)]}}}
    made = canonical(tmp_path, project("invoices"), INVOICES)
    wanted = target(tmp_path, format="fixed_width", spec=FixedWidthSpec.model_validate(plain))
    assert converted(made, wanted)[0].money is None


def test_a_default_that_is_no_number_is_told(tmp_path: Path) -> None:
    mapping = project("items")
    columns = tuple(
        column.model_copy(update={"default": "n/a"}) if column.name == "mass" else column for column in mapping.columns
    )
    records = [{"StockCode": "A", "Description": "x", "Mass": D("1.5")}, {"StockCode": "B", "Description": "y"}]
    made = canonical(tmp_path, mapping.model_copy(update={"columns": columns}), records)
    fields = [field("stock_code", 1, 10), field("mass", 11, 8, type="decimal", scale=2, null="zeros")]
    wanted = FixedWidthSpec.model_validate({"records": {"detail": {"length": 18, "fields": fields}}})
    result = convert(made.data, made.records, made.compiled, target(tmp_path, format="fixed_width", spec=wanted))
    assert {key: why[:2] for key, why in result.misfits.items()} == {
        "B": ("NOT_A_NUMBER", "item B: mass is 'n/a', and this format needs a number."),
    }


# --- what cannot be


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"format": "fixed_width"}, "entities.purchase_orders: fixed_width needs `record_spec`"),
        ({"format": "x12"}, "entities.purchase_orders: x12 needs the agreement under partner.x12"),
        (
            {
                "format": "fixed_width",
                "spec": spec(records={"detail": {"length": 5, "fields": [field("cost_centre", 1, 5)]}}, totals={}),
            },
            "The record spec takes cost_centre, which the mapping purchase_orders does not have",
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, more: Mapping[str, Any], words: str) -> None:
    made = canonical(tmp_path, project("purchase_orders"), ORDERS)
    with pytest.raises(ConfigurationInvalid, match=words):
        convert(made.data, made.records, made.compiled, target(tmp_path, **more))


def test_no_records_are_no_file(tmp_path: Path) -> None:
    made = canonical(tmp_path, project("invoices"), [])
    with pytest.raises(DoesNotTieOut, match="there are no records"):
        convert(made.data, made.records, made.compiled, target(tmp_path))


def test_files_of_different_runs_are_noticed(tmp_path: Path) -> None:
    made = canonical(tmp_path, project("invoices"), INVOICES)
    made.data.write_bytes(made.data.read_bytes()[:-5])
    with pytest.raises(DoesNotTieOut, match="ends before its records do"):
        convert(made.data, made.records, made.compiled, target(tmp_path))


def test_a_key_column_that_tells_nothing_apart_is_noticed(tmp_path: Path) -> None:
    mapping = project("invoices").model_copy(update={"key_column": "supplier"})
    made = canonical(tmp_path, mapping, INVOICES)
    with pytest.raises(DoesNotTieOut, match="3 records have 1 different values of supplier"):
        convert(made.data, made.records, made.compiled, target(tmp_path))


@pytest.mark.parametrize(
    ("writer", "more", "old", "new", "words"),
    [
        (as_csv.CsvWriter, {}, b"2.50,", b"2.51,", "a sum of line_amount of -2.480000 instead of -2.490000"),
        (as_csv.CsvWriter, {}, b",3.51,", b",3.52,", "USD -2.48 instead of -2.49"),
        (as_csv.CsvWriter, {}, b"P3,", b"P2,", "2 records instead of 3"),
        (as_csv.CsvWriter, {"csv": PartnerCsv(header=False)}, b"\r\nP2", b",", "cannot be read back"),
        (as_fixed_width.FixedWidthFileWriter, {}, b"00000000060}", b"00000000006X", "cannot be read back"),
        (as_fixed_width.FixedWidthFileWriter, {}, b"00000000060}", b"00000000061}", "USD -2.59 instead of -2.49"),
        (
            as_fixed_width.FixedWidthFileWriter,
            {},
            b"60020260305\r\n",
            b"60020260305\n",
            "its size is no whole number of",
        ),
    ],
)
def test_a_file_that_is_not_what_was_written_is_never_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: Any, more: Any, old: bytes, new: bytes, words: str
) -> None:
    made = canonical(tmp_path, project("purchase_orders"), ORDERS)
    write = writer.write

    def tampered(self: Any, chunk: Any) -> Any:
        data, starts, ends = write(self, chunk)
        assert old in data
        return data.replace(old, new), starts, ends

    monkeypatch.setattr(writer, "write", tampered)
    fixed = {"format": "fixed_width", "spec": spec()} if writer is not as_csv.CsvWriter else {}
    wanted = target(tmp_path, **fixed, **more)
    with pytest.raises(DoesNotTieOut, match=words):
        convert(made.data, made.records, made.compiled, wanted)
    assert not (tmp_path / "index.parquet").exists()
