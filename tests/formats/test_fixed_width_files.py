"""Whole files: header, details in batches, subtotals, trailer, and what they count."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tieout.errors import ConfigurationInvalid, ContractBroken, DoesNotTieOut
from tieout.formats.fixed_width import FixedBlock, FixedWidthSpec, FixedWidthWriter, Totals

MONEY = pa.decimal128(28, 6)

TOTALS = {
    "lines": {"count": "details"},
    "all": {"count": "records"},
    "net": {"sum": "amount"},
    "debit": {"sum": "amount", "side": "debit"},
    "credit": {"sum": "amount", "side": "credit"},
    "hash": {"sum": "journal", "modulo": 100},
}


def fields(*given: tuple[str, int, dict[str, Any]]) -> dict[str, Any]:
    start, listed = 1, []
    for name, width, keys in given:
        listed.append({"name": name, "start": start, "width": width, **keys})
        start += width
    return {"length": start - 1, "fields": listed}


def number(name: str, width: int, **keys: Any) -> tuple[str, int, dict[str, Any]]:
    return name, width, {"from": name, "type": "num", **keys}


def spec(*, subtotals: bool = True, header_total: bool = False) -> FixedWidthSpec:
    position = ("position", 3, {"type": "sequence", "from": "record_number"})
    records: dict[str, Any] = {
        "header": fields(
            ("kind", 1, {"const": "H"}),
            position,
            ("company", 4, {"from": "company"}),
            *([number("debit", 8, scale=2)] if header_total else []),
        ),
        "detail": fields(
            ("kind", 1, {"const": "D"}),
            position,
            ("line", 3, {"type": "sequence"}),
            ("centre", 2, {"from": "centre"}),
            number("amount", 6, scale=2, sign="trailing"),
        ),
        "trailer": fields(
            ("kind", 1, {"const": "T"}),
            position,
            number("lines", 3),
            number("all", 3),
            number("debit", 8, scale=2),
            number("credit", 8, scale=2),
            number("net", 8, scale=2, sign="trailing"),
            number("hash", 2),
        ),
    }
    if subtotals:
        subtotal = fields(
            ("kind", 1, {"const": "S"}),
            position,
            ("centre", 2, {"from": "centre"}),
            ("company", 4, {"from": "company"}),
            number("lines", 3),
            number("net", 8, scale=2, sign="trailing"),
        )
        records["subtotal"] = {"per": "centre", **subtotal}
    return FixedWidthSpec.model_validate({"file": {"record_separator": "lf"}, "totals": TOTALS, "records": records})


ROWS = [("A", "10.00", 40), ("A", "-2.50", 41), ("B", "-7.50", 42), ("C", "1.00", 43), ("C", "-1.00", 44)]

EXPECTED = (
    "H001EDU1\n"
    "D002001A 01000 \n"
    "D003002A 00250-\n"
    "S004A EDU10020000750 \n"
    "D005003B 00750-\n"
    "S006B EDU10010000750-\n"
    "D007004C 00100 \n"
    "D008005C 00100-\n"
    "S009C EDU10020000000 \n"
    "T01000501000001100000011000000000 10\n"
)


def batches(size: int, rows: list[tuple[Any, ...]] | None = None) -> Iterator[pa.RecordBatch]:
    given = ROWS if rows is None else rows
    for start in range(0, len(given), size):
        part = given[start : start + size]
        yield pa.record_batch(
            {
                "centre": pa.array([row[0] for row in part], pa.string()),
                "amount": pa.array([Decimal(row[1]) for row in part], MONEY),
                "journal": pa.array([row[2] for row in part], pa.int64()),
            }
        )


def joined(blocks: Iterator[FixedBlock]) -> str:
    return b"".join(block.data for block in blocks).decode()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_file_with_subtotals_however_it_is_cut_into_batches(size: int) -> None:
    writer = FixedWidthWriter(spec())
    assert joined(writer.blocks(batches(size), {"company": "EDU1"})) == EXPECTED
    assert (writer.records, writer.details_written) == (10, 5)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("subtotals", [True, False])
def test_offsets_point_at_the_details(size: int, subtotals: bool) -> None:
    writer = FixedWidthWriter(spec(subtotals=subtotals))
    found = [
        block.data[at : at + block.length].decode()
        for block in writer.blocks(batches(size), {"company": "EDU1"})
        for at in block.offsets
    ]
    assert [line[4:9] for line in found] == ["001A ", "002A ", "003B ", "004C ", "005C "]
    assert all(line.startswith("D") and line.endswith("\n") for line in found)


def test_empty_batches_change_nothing() -> None:
    empty = next(batches(1)).slice(0, 0)
    writer = FixedWidthWriter(spec())
    mixed = [empty, *batches(2), empty]
    assert joined(writer.blocks(mixed, {"company": "EDU1"})) == EXPECTED


def test_a_file_without_details() -> None:
    writer = FixedWidthWriter(spec())
    assert joined(writer.blocks([], {"company": "EDU1"})) == "H001EDU1\nT002000002" + 16 * "0" + 7 * "0" + " 00\n"


def test_many_details_are_numbered_on() -> None:
    rows = [("A", "0.01", 1)] * 40_000
    made = FixedWidthSpec.model_validate(
        {
            "file": {"record_separator": "none"},
            "records": {"detail": fields(("n", 5, {"type": "sequence"}), number("amount", 3, scale=2))},
        }
    )
    one = FixedWidthWriter(made).details(next(batches(40_000, rows))).data
    assert [one[at : at + 8] for at in range(0, len(one), 8)] == [b"%05d001" % line for line in range(1, 40_001)]
    writer = FixedWidthWriter(made)
    assert b"".join(writer.details(batch).data for batch in batches(7_001, rows)) == one


def test_a_full_sequence_is_an_error_of_the_spec() -> None:
    made = FixedWidthSpec.model_validate({"records": {"detail": fields(("n", 1, {"type": "sequence"}))}})
    writer = FixedWidthWriter(made)
    writer.details(next(batches(9, ROWS * 2)))
    with pytest.raises(
        ConfigurationInvalid, match=r"field 'n' \(position 1\): number 10 has more than 1 digits\. Widen"
    ):
        writer.details(next(batches(1)))


def test_details_that_are_not_sorted_have_no_subtotals() -> None:
    writer = FixedWidthWriter(spec())
    with pytest.raises(ContractBroken, match="Details of centre 'A' come in more than one place"):
        joined(writer.blocks(batches(2, [*ROWS, ROWS[0]]), {"company": "EDU1"}))


def test_details_without_a_group_are_a_group() -> None:
    writer = FixedWidthWriter(spec())
    text = joined(writer.blocks(batches(9, [(None, "1.00", 1), (None, "2.00", 2), ("A", "3.00", 3)]), {"company": "E"}))
    assert [line[:8] for line in text.splitlines() if line[0] == "S"] == ["S004  E ", "S006A E "]


def test_the_trailer_is_compared_with_what_was_written() -> None:
    for claimed in ({"debit": Decimal("11.01")}, {"lines": 4}, {"all": 10}):
        writer = FixedWidthWriter(spec(subtotals=False))
        for batch in batches(2):
            writer.details(batch)
        with pytest.raises(DoesNotTieOut, match=f"should say {next(iter(claimed))} "):
            writer.trailer(claimed)
    assert writer.trailer({"debit": Decimal("11"), "lines": 5, "all": 6}).startswith(b"T006005006")


def test_totals_for_a_header_come_from_a_first_pass() -> None:
    made = spec(subtotals=False, header_total=True)
    assert made.header_totals == ("debit",)
    totals = Totals(made.totals)
    for batch in batches(2):
        totals.add(batch)
    assert totals.values() == {
        "lines": 5,
        "net": Decimal("0"),
        "debit": Decimal("11"),
        "credit": Decimal("11"),
        "hash": 10,
    }
    writer = FixedWidthWriter(made)
    assert writer.header({"company": "EDU1", **totals.values()}) == b"H001EDU100001100\n"
    for batch in batches(2):
        writer.details(batch)
    assert writer.totals() == {**totals.values(), "all": 6}


def test_totals_are_exact_beyond_64_bits_and_28_digits() -> None:
    large = Decimal("9999999999999999999999.999999")
    totals = Totals(spec().totals)
    for _ in range(3):
        totals.add(next(batches(9, [("A", str(large), 2**62), ("A", str(-large), 2**62), ("A", "0.000001", 2**62)])))
    values = totals.values()
    assert str(values["debit"]) == "30000000000000000000000.000000"
    assert str(values["credit"]) == "29999999999999999999999.999997"
    assert values["hash"] == 9 * 2**62 % 100


def test_a_total_that_does_not_fit_stops_the_file() -> None:
    writer = FixedWidthWriter(spec(subtotals=False))
    for _ in range(3):
        writer.details(next(batches(300, [("A", "999.99", 1)] * 300)))
    with pytest.raises(
        ConfigurationInvalid, match=r"Record 'trailer', field 'net' .*'899991\.000000' has more digits.*widen"
    ):
        writer.trailer()


@pytest.mark.parametrize("kind", ["header", "subtotal", "trailer"])
def test_records_that_the_spec_does_not_have(kind: str) -> None:
    made = FixedWidthSpec.model_validate({"records": {"detail": fields(("centre", 2, {"from": "centre"}))}})
    with pytest.raises(ConfigurationInvalid, match=f"The record spec has no {kind}"):
        getattr(FixedWidthWriter(made), kind)({})


def test_columns_that_are_missing_are_named() -> None:
    writer = FixedWidthWriter(spec())
    with pytest.raises(ConfigurationInvalid, match="Record 'detail' takes amount, which the details do not have"):
        writer.details(next(batches(1)).drop_columns(["amount"]))
    with pytest.raises(ConfigurationInvalid, match="The total 'hash' sums `journal`, which the details do not have"):
        writer.details(next(batches(1)).drop_columns(["journal"]))
    assert writer.records == 0
    with pytest.raises(ConfigurationInvalid, match="Subtotals are per `centre`"):
        joined(writer.blocks([next(batches(1)).drop_columns(["centre"])], {"company": "EDU1"}))
