"""Single operations of the mapping, drift policies, dialects."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.mapping.support import cells, codes, inline, run, staged
from tieout.formats.csv import CsvDialect
from tieout.mapping.compiler import compile_mapping
from tieout.mapping.references import problems

D = Decimal
EUR = {"Cur": "EUR"}
ANY_PRODUCT = f"{D('999999999999.999999') * 9999999:f}"
SOURCE = """
entity: things
source:
  entity_set: Things
  key: Id
  fields: {Id: integer, A: text, B: text, Day: date, N: number, M: number, Cur: text}
  collections: {Rows: {No: integer, X: number, T: text}}
  lines: Rows
custom_fields: {header: true, lines: true, known_header: [U_Old], known_lines: [U_L]}
"""


@pytest.mark.parametrize(
    ("column", "record", "expected"),
    [
        ("constant: fixed", {}, "fixed"),
        ("setting: local_currency", {}, "EUR"),
        ("from: A", {"A": "x"}, "x"),
        ("from: A, default: none", {"A": ""}, "none"),
        ("from: A, enum: {x: one}", {"A": "x"}, "one"),
        ("from: A, enum: {x: one}", {"A": None}, ""),
        ("from: A, lookup: {entries: {x: one}, default: other}", {"A": "y"}, "other"),
        ("from: A, lookup: {entries: {x: one}, otherwise: keep}", {"A": "y"}, "y"),
        ("from: A, lookup: {entries: {x: one}, otherwise: empty}", {"A": "y"}, ""),
        ("from: Id, lookup: {entries: {7: seven}}", {"Id": 7}, "seven"),
        ("first_of: [A, B]", {"A": "", "B": "b"}, "b"),
        ("first_of: [A, Id]", {"Id": 7}, "7"),
        ("first_of: [N, M]", {"M": D("2.50")}, "2.5"),
        ("first_of: [N, M], skip_zero: true", {"N": D(0), "M": D(3)}, "3"),
        ("first_of: [N, M], skip_zero: true", {"N": D(0), "M": None}, "0"),
        ("join: {of: [A, B, Cur]}", {"A": "a", "Cur": "c"}, "a c"),
        ("join: {of: [A, B], separator: ', '}", {"A": "a", "B": "b"}, "a, b"),
        ("join: {of: [A, B]}", {}, ""),
        ('from: Day, date: "%d/%m/%Y"', {"Day": "2026-01-31"}, "31/01/2026"),
        ('from: Day, date: "%y%m%d"', {"Day": "2026-01-31"}, "260131"),
        ('from: Day, date: "%d-%m-%Y"', {"Day": None}, ""),
        ("from: N", {"N": D("100.000000")}, "100"),
        ("from: N", {"N": D("-0.500000")}, "-0.5"),
        ("from: N", {"N": D("0.000001")}, "0.000001"),
        ("from: N", {"N": D(0)}, "0"),
        ("from: N, number: true", {"N": D("1234567890123456789012.5")}, "1234567890123456789012.5"),
        ("from: N, decimals: 0", {"N": D("2.5")}, "3"),
        ("from: N, decimals: 0", {"N": D("-2.5")}, "-3"),
        ("from: N, decimals: 2", {"N": D("0.125")}, "0.13"),
        ("from: N, decimals: 6", {"N": D("0.125")}, "0.125000"),
        ("from: N, decimals: 2", {"N": D("-0.001")}, "0.00"),
        ("from: N, money: Cur", {"N": D("1.005"), "Cur": "EUR"}, "1.01"),
        ("from: N, money: Cur", {"N": D("-1.005"), "Cur": "EUR"}, "-1.01"),
        ("from: N, money: Cur", {"N": D("1.5"), "Cur": "JPY"}, "2"),
        ("from: N, money: Cur", {"N": D("1.0005"), "Cur": "KWD"}, "1.001"),
        ("from: N, money: Cur", {"N": D("1.5"), "Cur": "CLF"}, "1.5000"),
        ("from: N, money: Cur", {"N": None, "Cur": "EUR"}, ""),
        ("derive: {function: sum, of: [N, M]}", {"N": D("0.1"), "M": D("0.2")}, "0.3"),
        ("derive: {function: sum, of: [N, M]}", {"M": D("0.2")}, "0.2"),
        ("derive: {function: difference, of: [N, M]}", {"N": D(1), "M": D(3)}, "-2"),
        ("derive: {function: difference, of: [N, M]}", {"N": D(1)}, "1"),
        ("derive: {function: difference, of: [N, M]}", {"M": D(1)}, ""),
        ("derive: {function: product, of: [N, M]}", {"N": D("1.5"), "M": D("-0.25")}, "-0.375"),
        ("derive: {function: product, of: [N, Id]}", {"Id": 3, "N": D("1.5")}, "4.5"),
        ("derive: {function: product, of: [N, M]}", {"N": D("1.5"), "M": None}, ""),
        ("derive: {function: product, of: [N, M]}", {"N": D("0.001"), "M": D("0.0005")}, "0.000001"),
        ("derive: {function: product, of: [N, M]}", {"N": D("999999999999.999999"), "M": D(9999999)}, ANY_PRODUCT),
        # Rounded to six decimals first, it would be 0.005 and then 0.01.
        ("derive: {function: product, of: [N, M]}, money: Cur", {"N": D("0.999999"), "M": D("0.005"), **EUR}, "0.00"),
        ("derive: {function: product, of: [N, M]}, money: Cur", {"N": D("0.5"), "M": D("-0.01"), **EUR}, "-0.01"),
        ("derive: {function: product, of: [N, M]}, decimals: 3", {"N": D("0.5"), "M": D("0.001")}, "0.001"),
        ("derive: {function: sign, of: [N]}", {"N": D("-0.01")}, "-1"),
        ("derive: {function: sign, of: [N]}", {"N": D(0)}, "0"),
        ('derive: {function: sign, of: [N]}, enum: {"-1": CR, "0": DI, "1": DI}', {"N": D("3.2")}, "DI"),
        ('derive: {function: sign, of: [N]}, enum: {"-1": CR, "0": DI, "1": DI}', {"N": None}, ""),
        (
            "derive: {function: sum_of_lines, of: [Rows.X]}",
            {"Rows": [{"X": D(1)}, {"X": None}, {"X": D("0.5")}]},
            "1.5",
        ),
        ("derive: {function: sum_of_lines, of: [Rows.X]}", {"Rows": []}, "0"),
        ("derive: {function: collection_sum, of: [Rows.X]}", {"Rows": [{"X": D(1)}]}, "1"),
        ("derive: {function: collection_sum, of: [Rows.X]}", {}, "0"),
        ("cases: [{where: {A: [x, y], B: z}, then: both}], default: no", {"A": "y", "B": "z"}, "both"),
        ("cases: [{where: {A: [x, y], B: z}, then: both}], default: no", {"A": "y"}, "no"),
        ("cases: [{where_not: {A: x}, then: other}], default: same", {"A": "q"}, "other"),
        ("cases: [{where_not: {A: x}, then: other}], default: same", {"A": None}, "same"),
        ("cases: [{where: {A: x}, then: 1}, {where: {B: y}, then: 2}]", {"A": "x", "B": "y"}, "1"),
        ("equal: [A, B]", {"A": "x", "B": "x"}, "true"),
        ("equal: [A, B]", {"A": "", "B": ""}, "false"),
        ("from: Rows.T, default: none", {"Rows": [{"T": "t"}]}, "t"),
    ],
)
def test_operation(column: str, record: dict[str, Any], expected: str) -> None:
    mapping = inline(SOURCE + f"columns:\n  - {{name: id, from: Id}}\n  - {{name: out, {column}}}\n")
    other = {"Id": 1, "A": "x", "Cur": "USD", "N": D(5), "Day": "2020-02-02"}
    compiled, mapped = run(mapping, [other, {"Id": 2, **record}, other])
    assert cells(compiled, mapped)[1]["out"] == expected


def test_collection_sums_stay_with_their_records() -> None:
    mapping = inline(SOURCE + "columns: [{name: out, derive: {function: collection_sum, of: [Rows.X]}}]")
    records: list[dict[str, Any]] = [
        {"Rows": [{"X": D(1)}, {"X": D(2)}]},
        {"Rows": []},
        {"Rows": None},
        {"Rows": [{"X": None}, {"X": D(5)}]},
    ]
    compiled, mapped = run(mapping, [{"Id": n, **record} for n, record in enumerate(records)])
    by_record = [cells(compiled, mapped)[start]["out"] for start in mapped.row_offsets[:-1]]
    assert by_record == ["3", "0", "0", "5"]


def test_amounts_of_lines_are_rounded_before_they_are_added_up() -> None:
    mapping = inline(
        SOURCE
        + """
values: [{name: line_amount, derive: {function: product, of: [Rows.X, N]}, money: Cur}]
columns:
  - {name: id, from: Id}
  - {name: currency, from: Cur}
  - {name: amount, from: line_amount, money: Cur}
  - {name: total, derive: {function: sum_of_lines, of: [line_amount]}, money: Cur}
totals: {currency: currency, amount: total}
"""
    )
    lines = [{"X": D("0.335")}, {"X": D("0.335")}, {"X": D("-0.335")}]
    records = [{"Id": 1, "Cur": "EUR", "N": D(1), "Rows": lines}, {"Id": 2, "Cur": "JPY", "N": D(10), "Rows": lines}]
    compiled, mapped = run(mapping, records)
    rows = [(row["id"], row["amount"], row["total"]) for row in cells(compiled, mapped)]
    euro, yen = [("1", "0.34"), ("1", "0.34"), ("1", "-0.34")], [("2", "3"), ("2", "3"), ("2", "-3")]
    assert rows == [(*row, "0.34") for row in euro] + [(*row, "3") for row in yen]
    assert mapped.amount.to_pylist() == [D("0.34"), D(3)]


def test_columns_that_are_not_compared_make_no_other_content() -> None:
    text = (
        SOURCE
        + "columns: [{name: id, from: Id}, {name: out, from: A}, {name: no, from: Rows.No}, {name: b, from: B}]\n"
    )
    records = [{"Id": 1, "A": value, "B": "b", "Rows": [{"No": 1}, {"No": 2}]} for value in ("x", "y")]
    other = {**records[0], "B": "c"}

    def fingerprints(more: str) -> list[str]:
        found: list[str] = run(inline(text + more), [*records, other])[1].fingerprints.to_pylist()
        return found

    first, second, third = fingerprints("not_compared: [out]")
    assert first == second != third
    assert len(set(fingerprints(""))) == 3


def test_a_key_of_several_columns_is_named_as_what_it_is_staged_as() -> None:
    source = "source: {entity_set: T, key: _key, key_type: text, fields: {A: text}, provided: {_key: text}}\n"
    mapping = inline("entity: things\n" + source + "columns: [{name: id, from: _key}, {name: a, from: A}]")
    assert list(problems(mapping)) == []
    table = staged(mapping, [{"A": "x"}]).set_column(0, "_key", pa.array(["S1|I1"]))
    compiled = compile_mapping(mapping)
    assert cells(compiled, compiled.map_batch(table)) == [{"id": "S1|I1", "a": "x"}]


COLUMNS = "columns: [{name: id, from: Id}, {name: no, from: Rows.No}]\n"
FOUND = {"header": ["U_New", "U_Old"], "Rows": ["U_L", "U_M"]}
DRIFTED = [
    {"Id": 1, "U_Old": "o", "Rows": [{"No": 1, "U_L": "l"}]},
    {"Id": 2, "U_New": "n", "Rows": [{"No": 1}]},
    {"Id": 3, "Rows": [{"No": 1}, {"No": 2, "U_M": "m"}]},
    {"Id": 4, "U_New": "", "Rows": []},
]


@pytest.mark.parametrize(
    ("policy", "header", "held"),
    [
        ("pass_through", ["id", "no", "U_New", "U_Old", "line.U_L", "line.U_M"], {}),
        ("freeze", ["id", "no", "U_Old", "line.U_L"], {}),
        ("hold", ["id", "no", "U_Old", "line.U_L"], {1: ["DRIFT"], 2: ["DRIFT"]}),
    ],
)
def test_drift(policy: str, header: list[str], held: dict[int, list[str]]) -> None:
    compiled, mapped = run(inline(SOURCE + COLUMNS + f"drift: {policy}\n"), DRIFTED, custom=FOUND)
    assert compiled.header == header
    assert codes(mapped) == held
    drifted = [field.column for field in compiled.drifted]
    assert drifted == ([] if policy == "pass_through" else ["U_New", "line.U_M"])


def test_declared_custom_field_is_not_passed_through_twice() -> None:
    mapping = inline(
        SOURCE.replace("A: text", "A: text, U_New: text") + "columns: [{name: id, from: Id}, {name: new, from: U_New}]"
    )
    compiled, mapped = run(mapping, [{"Id": 1, "U_New": "n"}], custom={"header": ["U_New"]})
    assert cells(compiled, mapped) == [{"id": "1", "new": "n"}]


def test_columns_that_the_batch_lacks_are_empty() -> None:
    mapping = inline(SOURCE + COLUMNS)
    compiled = compile_mapping(mapping, {"header": ["U_Gone"]})
    mapped = compiled.map_batch(staged(mapping, [{"Id": 1}]).drop_columns(["Rows", "N"]))
    assert mapped.rows.to_pylist() == ["1,,\r\n"]


def test_record_batches_slices_and_chunks_map_alike() -> None:
    mapping = inline(SOURCE + COLUMNS)
    compiled = compile_mapping(mapping, FOUND)
    table = staged(mapping, DRIFTED, FOUND)
    whole = bytes(compiled.map_batch(table).csv_bytes())
    parts = [bytes(compiled.map_batch(batch).csv_bytes()) for batch in table.to_batches(max_chunksize=1)]
    slices = [bytes(compiled.map_batch(table.slice(at, 2)).csv_bytes()) for at in (0, 2)]
    assert whole == b"".join(parts) == b"".join(slices)


def test_empty_batch() -> None:
    mapping = inline(SOURCE + COLUMNS)
    mapped = compile_mapping(mapping, FOUND).map_batch(staged(mapping, [], FOUND))
    assert len(mapped) == 0
    assert bytes(mapped.csv_bytes()) == b""


def test_other_dialect() -> None:
    mapping = inline(SOURCE + "columns: [{name: id, from: Id}, {name: a, from: A}, {name: n, from: N}]")
    dialect = CsvDialect(delimiter=";", line_end="\n", quoting="all")
    compiled = compile_mapping(mapping, dialect=dialect)
    mapped = compiled.map_batch(staged(mapping, [{"Id": 1, "A": 'x;"y', "N": D("1.5")}]))
    assert compiled.header_line() + bytes(mapped.csv_bytes()) == b'"id";"a";"n"\n"1";"x;""y";"1.5"\n'
