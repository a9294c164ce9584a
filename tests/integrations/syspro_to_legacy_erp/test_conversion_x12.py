"""The canonical file as X12: read by pyx12 and by a checker that shares nothing with the writer."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.x12 import checker
from tests.integrations.syspro_to_legacy_erp.documents_support import canonical, project
from tests.integrations.syspro_to_legacy_erp.test_conversion import FACTS, converted, invoice, order, target
from tieout.errors import ConfigurationInvalid, DoesNotTieOut
from tieout.formats.x12 import Participant, X12Profile
from tieout.integrations.syspro_to_legacy_erp import as_x12
from tieout.integrations.syspro_to_legacy_erp import canonical as canonical_file
from tieout.integrations.syspro_to_legacy_erp.conversion import DocumentTarget, convert

x12file = pytest.importorskip("pyx12.x12file")

D = Decimal


def profile(**changes: Any) -> X12Profile:
    sides = {"sender": Participant(id="SYSPROEDU1"), "receiver": Participant(id="LEGACYERP")}
    return X12Profile(**{**sides, "test_indicator": "T", **changes})


def x12(folder: Path, **changes: Any) -> DocumentTarget:
    return target(folder, format="x12", profile=profile(**changes))


def pyx12_errors(text: str) -> list[Any]:
    reader = x12file.X12Reader(io.StringIO(text))
    found = [error for _ in reader for error in reader.pop_errors()]
    reader.cleanup()
    return [*found, *reader.pop_errors()]


def segments(data: bytes, encoding: str = "ascii") -> list[list[str]]:
    return [one.lstrip("\r\n").split("*") for one in data.decode(encoding).rstrip("\r\n").split("~")[:-1]]


def value(one: list[list[str]], name: str, position: int) -> str | None:
    return next((checker.element(segment, position) for segment in one if segment[0] == name), None)


ITEMS = [{"StockCode": f"A{at}", "Description": f"Nut {at}", "Mass": D(at)} for at in range(5)]
INVOICES = [
    invoice("I1", DueDate="2026-04-05", Reference="PO 5"), invoice("I2", "-3.25"), invoice("I1", "7", Supplier="S2")
]  # fmt: skip
ORDERS = [
    order("P1", ("2", "1.25"), ("3", "0.335"), ("1", "0")),
    order("P2", ("1.5", "4"), OrderStatus="*"),
    order("P3", ("1", "1")),
]
FILES = {"invoices": INVOICES, "purchase_orders": ORDERS, "items": ITEMS}


@pytest.mark.parametrize("version", ["004010", "005010"])
@pytest.mark.parametrize("entity", FILES)
def test_other_readers_find_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entity: str, version: str
) -> None:
    monkeypatch.setattr(canonical_file, "CHUNK_BYTES", 250)
    made = canonical(tmp_path, project(entity), FILES[entity])
    _, data, parts = converted(made, x12(tmp_path, version=version))
    assert pyx12_errors(data.decode()) == []
    read = checker.read(data.decode())
    assert (read.isa[13], read.group[6], read.isa[15]) == ("000000101", "201", "T")
    if entity == "items":
        assert [segments(part)[0][:4] for part in parts] == [["LIN", str(at), "BP", f"A{at - 1}"] for at in range(1, 6)]
        assert all(len(segments(part)) == 2 for part in parts)
    else:
        assert [segments(part) for part in parts] == read.sets


def test_invoices(tmp_path: Path) -> None:
    made = canonical(tmp_path, project("invoices"), INVOICES, sent_before=["S1|I2"])
    result, data, _ = converted(made, x12(tmp_path))
    assert result.money == {"EUR": D("14.25")}
    first, credit, other = checker.read(data.decode()).sets
    told = [[value(one, "BIG", at) for at in (1, 2, 7, 8)] for one in (first, credit, other)]
    assert told == [
        ["20260305", "I1", "DI", None], ["20260305", "I2", "CR", "05"], ["20260305", "I1", "DI", None],
    ]  # fmt: skip
    # Positive for a credit too: BIG07 says what it is.
    assert [value(one, "TDS", 1) for one in (first, credit, other)] == ["1050", "325", "700"]
    assert value(first, "CUR", 2) == "EUR"
    parties = {segment[1]: segment[2:] for segment in first if segment[0] == "N1"}
    assert parties == {"SU": ["Ne & Co", "92", "S1"], "BY": ["EDU1 MANUFACTURING", "92", "EDU1"]}
    assert value(first, "ITD", 6) == "20260405"
    assert result.altered == {"N102": 3}


def test_purchase_orders(tmp_path: Path) -> None:
    made = canonical(tmp_path, project("purchase_orders"), ORDERS, sent_before=["P3"])
    result, data, _ = converted(made, x12(tmp_path))
    # An 850 has no total of its own.
    assert result.money is None
    sets = checker.read(data.decode()).sets
    assert [value(one, "BEG", 1) for one in sets] == ["00", "01", "05"]
    lines = [segment for segment in sets[0] if segment[0] == "PO1"]
    assert [line[1:5] + line[6:8] for line in lines] == [
        ["1", "2", "EA", "1.25", "BP", "A1"], ["2", "3", "EA", "0.335", "BP", "A2"], ["3", "1", "EA", "0", "BP", "A3"],
    ]  # fmt: skip


def test_items(tmp_path: Path) -> None:
    made = canonical(tmp_path, project("items"), ITEMS)
    wanted = replace(x12(tmp_path), facts=replace(FACTS, replaces=True))
    _, data, _ = converted(made, wanted)
    (only,) = checker.read(data.decode()).sets
    assert only[1] == ["BCT", "PC", "202603-0007", *[""] * 7, "05"]
    assert value(only, "CUR", 2) is None
    assert value(only, "CTT", 1) == "5"


# --- what does not fit


def test_what_has_no_room_is_told_document_by_document(tmp_path: Path) -> None:
    orders = [
        order("P1", ("1", "1")),
        order("P2"),
        order("P3", ("1", "1"), ("2", "2")),
        order("P4", ("1", "1"), Supplier="S"),
    ]
    orders[2]["PorMasterDetail"][1]["MOrderUom"] = "EACH"
    made = canonical(tmp_path, project("purchase_orders"), orders)
    result = convert(made.data, made.records, made.compiled, x12(tmp_path))
    assert {key: code for key, (code, _, _) in result.misfits.items()} == {
        "P2": "X12_MISSING", "P3": "X12_TOO_LONG", "P4": "X12_TOO_SHORT",
    }  # fmt: skip
    assert result.misfits["P2"][1] == "purchase order P2: PO102 must have a value."
    assert (
        result.misfits["P3"][1] == "purchase order P3: PO103 'EACH' is longer than the 2 characters that it may have."
    )
    assert (
        result.misfits["P4"][2] == "Map the value to a longer one, or set `pad_short_codes` in the partner's profile."
    )
    assert not (tmp_path / "out").exists()
    # Without them the rest goes.
    made = canonical(tmp_path, project("purchase_orders"), [orders[0]])
    assert converted(made, x12(tmp_path))[0].records == 1


@pytest.mark.parametrize("chunk", [10, 10**6])
def test_documents_that_would_become_one_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(canonical_file, "CHUNK_BYTES", chunk)
    mapping = project("invoices")
    columns = tuple(
        column.model_copy(update={"from_": None, "constant": "S9"}) if column.name == "supplier" else column
        for column in mapping.columns
    )
    invoices = [invoice("I1"), invoice("I1", "7", Supplier="S2"), invoice("I2")]
    made = canonical(tmp_path, mapping.model_copy(update={"columns": columns}), invoices)
    result = convert(made.data, made.records, made.compiled, x12(tmp_path))
    assert {key: code for key, (code, _, _) in result.misfits.items()} == {"S2|I1": "X12_REPEATED"}


@pytest.mark.parametrize(
    ("entity", "change", "words"),
    [
        ("suppliers", {}, "entities.suppliers: there is no X12 set for it"),
        ("items", {"drop": "stock_code"}, "The mapping items has no column stock_code, which an X12 832 needs"),
        ("items", {"date": "%d/%m/%Y"}, "writes date_added as %d/%m/%Y, but X12 has a form of dates of its own"),
    ],
)
def test_mappings_that_make_no_x12(tmp_path: Path, entity: str, change: dict[str, str], words: str) -> None:
    mapping = project(entity)
    if "drop" in change:
        rest = [column for column in mapping.columns if column.name != change["drop"]]
        mapping = mapping.model_copy(update={"columns": tuple(rest), "checks": ()})
    if "date" in change:
        mapping = mapping.model_copy(update={"date": change["date"]})
    record = {"Supplier": "S1", "SupplierName": "Acme", "StockCode": "A", "Description": "Nut"}
    made = canonical(tmp_path, mapping, [record])
    with pytest.raises(ConfigurationInvalid, match=words):
        convert(made.data, made.records, made.compiled, x12(tmp_path))


def test_a_column_of_another_type_is_the_mappings_mistake(tmp_path: Path) -> None:
    mapping = project("invoices")
    columns = tuple(
        column.model_copy(update={"from_": None, "money": None, "constant": "10"})
        if column.name == "total_amount"
        else column
        for column in mapping.columns
    )
    made = canonical(tmp_path, mapping.model_copy(update={"columns": columns, "totals": None}), [invoice("I1")])
    with pytest.raises(ConfigurationInvalid, match="The mapping invoices does not fit X12: TDS01 needs decimals"):
        convert(made.data, made.records, made.compiled, x12(tmp_path))


def test_test_data_are_never_announced_as_real(tmp_path: Path) -> None:
    made = canonical(tmp_path, project("items"), ITEMS)
    with pytest.raises(ConfigurationInvalid, match="marked as test data"):
        convert(made.data, made.records, made.compiled, x12(tmp_path, test_indicator="P"))


@pytest.mark.parametrize(
    ("entity", "old", "new", "words"),
    [
        ("invoices", b"TDS*325", b"TDS*326", "EUR 14.24 instead of 14.25"),
        ("invoices", b"*CR~", b"*DI~", "EUR 20.75 instead of 14.25"),
        ("invoices", b"TDS*325", b"TDS*3Z5", "cannot be read back"),
        ("invoices", b"CUR*BY*EUR", b"CUR*BY*EUX", "EUR 0 instead of 14.25"),
        ("purchase_orders", b"PO1*2*3*", b"PO1*2*4*", "a sum of quantity of 9.5 instead of 8.500000"),
        ("purchase_orders", b"*0.335*", b"*0.336*", "a sum of unit_price of 6.586 instead of 6.585000"),
        ("purchase_orders", b"CTT*3~\n", b"", "says SE01 10, but 9 are there"),
        ("items", b"LIN*2*BP*A1~\nPID*F****Nut 1~\n", b"", "says SE01 17, but 15 are there"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_never_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entity: str, old: bytes, new: bytes, words: str
) -> None:
    made = canonical(tmp_path, project(entity), FILES[entity])
    write = as_x12.X12FileWriter.write

    def tampered(self: Any, chunk: Any) -> Any:
        data, starts, ends = write(self, chunk)
        assert old in data
        return data.replace(old, new), starts, ends

    monkeypatch.setattr(as_x12.X12FileWriter, "write", tampered)
    with pytest.raises(DoesNotTieOut, match=words):
        convert(made.data, made.records, made.compiled, x12(tmp_path))


# --- any documents

WORDS = st.text(st.characters(codec="latin-1", exclude_characters="\x00\x1a"), max_size=12)
QUANTITIES = st.decimals(0, 9999, places=3).map(str)
PRICES = st.decimals(0, 9999, places=5).map(str)
LINES = st.lists(st.tuples(QUANTITIES, PRICES), min_size=1, max_size=4)
PROFILES = st.sampled_from(
    [
        {}, {"version": "005010"}, {"line_break": "\r\n"}, {"line_break": ""}, {"encoding": "cp037"},
        {"encoding": "latin-1", "charset": "any"}, {"encoding": "utf-8", "charset": "any"},
        {"segment_terminator": "\n", "line_break": ""},
    ]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LINES, WORDS), min_size=1, max_size=6), PROFILES, st.integers(1, 600))
def test_any_orders_come_through(
    tmp_path_factory: pytest.TempPathFactory, drawn: Any, changes: dict[str, Any], chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("x12")
    orders = [order(f"P{at}", *lines, SupplierName=name) for at, (lines, name) in enumerate(drawn)]
    made = canonical(folder, project("purchase_orders"), orders)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical_file, "CHUNK_BYTES", chunk)
        patch.setattr(as_x12, "READ_BYTES", 64)
        _, data, parts = converted(made, x12(folder, **changes))
    text = data.decode(changes.get("encoding", "ascii"))
    read = checker.read(text)
    found = [[(D(line[2]), D(line[4])) for line in one if line[0] == "PO1"] for one in read.sets]
    assert found == [[(D(quantity), D(price)) for quantity, price in lines] for lines, _ in drawn]
    assert [value(one, "BEG", 3) for one in read.sets] == [f"P{at}" for at in range(len(drawn))]
    shown = [part.decode(changes.get("encoding", "ascii")) for part in parts]
    assert all(one.startswith("ST*850*") and f"P{at}*" in one for at, one in enumerate(shown))
    assert "".join(shown) == text[text.index("ST*850*") : text.index("GE*")]
