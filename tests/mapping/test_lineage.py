"""Column lineage of a mapping: every column, every source once, what is done to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.support import inline
from tieout.lineage.catalog import canonical
from tieout.mapping.lineage import (
    CONSTANT,
    GENERATED,
    PREPARED_FROM,
    ColumnLineage,
    Kind,
    Origin,
    column_lineage,
)
from tieout.mapping.loader import load_mapping
from tieout.mapping.model import PREPARED, EntityMapping

INCLUDE = Path(__file__).parents[2] / "include/mappings"
MAPPINGS = sorted(path for path in INCLUDE.glob("*/*.yaml") if path.read_text().find("\nsource:") > 0)

HEAD = """
entity: things
source:
  entity_set: Things
  key: Id
  lines: Rows
  fields: {Id: integer, Code: text, Kind: text, Day: date, Price: number, Rate: number, Currency: text}
  collections: {Rows: {Amount: number, Count: number, Type: text}, Notes: {Text: text, On: date, For: text}}
  provided: {Extra: text}
"""


def rows(columns: str, values: str = "[]", **options: object) -> list[tuple[str, str, str, Kind]]:
    """Source, staged column, words and kind of all rows of a mapping with these columns."""
    mapping = inline(f"{HEAD}\nvalues: {values}\ncolumns: {columns}\n")
    found = column_lineage(mapping, **options)  # type: ignore[arg-type]
    return [(row.source, row.staged, row.transformation, row.kind) for row in found]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("{from: Code}", [("Things.Code", "Code", "rename", Kind.IDENTITY)]),
        ("{from: Rows.Amount}", [("Things.Rows.Amount", "Rows.Amount", "rename", Kind.IDENTITY)]),
        ("{from: Day, date: '%d.%m.%Y'}", [("Things.Day", "Day", "date %d.%m.%Y", Kind.CONVERSION)]),
        ("{from: Price, decimals: 2}", [("Things.Price", "Price", "2 decimals", Kind.CONVERSION)]),
        (
            "{from: Price, money: Currency}",
            [
                ("Things.Price", "Price", "rounded to the currency", Kind.CONVERSION),
                ("Things.Currency", "Currency", "decides rounded to the currency", Kind.CONDITION),
            ],
        ),
        ("{from: Code, enum: {a: b}}", [("Things.Code", "Code", "lookup", Kind.LOOKUP)]),
        ("{from: Code, lookup: {runtime: sent}}", [("Things.Code", "Code", "lookup sent", Kind.LOOKUP)]),
        ("{constant: X}", [(CONSTANT, "", "constant X", Kind.CONSTANT)]),
        ("{setting: company}", [("${company}", "", "setting", Kind.SETTING)]),
        (
            "{from: Code, default: '${company}'}",
            [
                ("Things.Code", "Code", "rename", Kind.IDENTITY),
                ("${company}", "", "setting, as a default or an entry", Kind.SETTING),
            ],
        ),
        (
            "{first_of: [Code, Kind]}",
            [
                ("Things.Code", "Code", "first of several", Kind.CHOICE),
                ("Things.Kind", "Kind", "first of several", Kind.CHOICE),
            ],
        ),
        ("{join: {of: [Code]}}", [("Things.Code", "Code", "join", Kind.CONVERSION)]),
        ("{equal: [Code, Code]}", [("Things.Code", "Code", "equal", Kind.CALCULATION)]),
        (
            "{cases: [{where: {Kind: a}, then: A}], default: B}",
            [("Things.Kind", "Kind", "decides cases", Kind.CONDITION)],
        ),
        (
            "{pick: {collection: Notes, field: Text, where: {For: us}, latest_by: 'On'}}",
            [
                ("Things.Notes.Text", "Notes.Text", "pick", Kind.CHOICE),
                ("Things.Notes.For", "Notes.For", "decides pick", Kind.CONDITION),
                ("Things.Notes.On", "Notes.On", "decides pick", Kind.CONDITION),
            ],
        ),
        (
            "{derive: {function: product, of: [Price, Rate]}}",
            [
                ("Things.Price", "Price", "product", Kind.CALCULATION),
                ("Things.Rate", "Rate", "product", Kind.CALCULATION),
            ],
        ),
        ("{derive: {function: sign, of: [Price]}}", [("Things.Price", "Price", "sign", Kind.CALCULATION)]),
        (
            "{derive: {function: sum_of_lines, of: [Rows.Amount]}}",
            [("Things.Rows.Amount", "Rows.Amount", "sum_of_lines", Kind.AGGREGATION)],
        ),
        (
            "{derive: {function: document_amount, local: Price, foreign: Rate, foreign_when: Kind}}",
            [
                ("Things.Price", "Price", "document_amount", Kind.CALCULATION),
                ("Things.Rate", "Rate", "document_amount", Kind.CALCULATION),
                ("Things.Kind", "Kind", "decides document_amount", Kind.CONDITION),
            ],
        ),
        # What is both an amount and the condition is told as an amount.
        (
            "{derive: {function: document_amount, local: Price, foreign: Rate, foreign_when: Rate}}",
            [
                ("Things.Price", "Price", "document_amount", Kind.CALCULATION),
                ("Things.Rate", "Rate", "document_amount", Kind.CALCULATION),
            ],
        ),
        ("{from: Extra}", [(GENERATED, "Extra", "made by the run", Kind.GENERATED)]),
    ],
)
def test_what_is_done(column: str, expected: list[tuple[str, str, str, Kind]]) -> None:
    assert rows(f"[{{name: it, {column[1:]}]") == expected


def test_steps_follow_one_another() -> None:
    values = """
      - {name: amount, derive: {function: product, of: [Rows.Count, Rows.Amount]}, money: Currency}
      - {name: same, from: amount}
    """
    assert rows("[{name: total, derive: {function: sum_of_lines, of: [same]}, decimals: 0}]", values)[0] == (
        "Things.Rows.Count",
        "Rows.Count",
        "product, rounded to the currency, then sum_of_lines, 0 decimals",
        Kind.AGGREGATION,
    )


def test_provided_columns_have_the_origin_they_are_given() -> None:
    origins = {"Extra": Origin(("Others.A", "Others.B"), "join", Kind.CONVERSION)}
    assert rows("[{name: it, from: Extra, enum: {a: b}}]", origins=origins) == [
        ("Others.A", "Extra", "join, then lookup", Kind.LOOKUP),
        ("Others.B", "Extra", "join, then lookup", Kind.LOOKUP),
    ]


def test_lines_may_be_in_a_table_of_their_own() -> None:
    assert rows("[{name: it, from: Rows.Amount}]", lines_apart=True)[0][:2] == ("Rows.Amount", "Rows.Amount")


def test_what_a_preparation_adds_is_traced_to_what_it_reads() -> None:
    mapping = load_mapping(INCLUDE / "sap_b1_to_peakflo/payments.yaml")
    found = {row.source: row for row in column_lineage(mapping) if row.target == "invoiceNumber"}
    assert found["IncomingPayments.PaymentInvoices.DocEntry"] == ColumnLineage(
        "IncomingPayments.PaymentInvoices.DocEntry",
        "PaymentInvoices.DocEntry",
        "invoiceNumber",
        "payment allocation, then lookup invoice_numbers",
        Kind.CALCULATION,
    )
    assert not [source for source in found if "allocations" in source]


def test_every_preparation_is_traced() -> None:
    for name, prepared in PREPARED.items():
        nested = {
            f"{collection}.{member}" for collection, members in prepared.collections.items() for member in members
        }
        assert set(PREPARED_FROM[name]) == {*prepared.fields, *nested}


def _declared(mapping: EntityMapping) -> set[str]:
    """Every path that the mapping stages."""
    source = mapping.source
    nested = {f"{collection}.{member}" for collection, members in source.collections.items() for member in members}
    return {*source.fields, *source.provided, *(f"parent.{name}" for name in source.parent), *nested}


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_column_of_every_mapping(path: Path) -> None:
    mapping = load_mapping(path)
    found = canonical(mapping, path.parent.name)
    custom = ["U_*"] * mapping.custom_fields.header + ["line.U_*"] * mapping.custom_fields.lines
    # In the file's order, none left out, none made up; a second source has the same columns.
    assert list(dict.fromkeys(row.target for row in found)) == [*(column.name for column in mapping.columns), *custom]
    alternative = mapping.alternative()
    staged = _declared(mapping) | (_declared(alternative) if alternative else set())
    for row in found:
        assert row.transformation
        assert row.kind.reads_source == (not row.source.startswith(("(", "${")))
        assert row.kind is not Kind.GENERATED, "the origin of a provided column is not told"
        if row.kind.reads_source and row.target not in custom:
            assert row.staged in staged


def test_every_mapping_is_looked_at() -> None:
    assert len(MAPPINGS) == 14
