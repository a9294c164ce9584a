"""Pages to tables: the fast way and the exact way must agree, and neither may lose or bend anything."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.errors import ContractBroken
from tieout.odata import pages
from tieout.odata.custom_fields import discover
from tieout.odata.decoding import NotFast
from tieout.odata.exact import number_text
from tieout.odata.layout import MONEY, staged_schema
from tieout.odata.pages import PageReader
from tieout.odata.schema import FieldType, RecordSchema

TEXT, NUMBER, INTEGER, DATE = FieldType.TEXT, FieldType.NUMBER, FieldType.INTEGER, FieldType.DATE

SCHEMA = RecordSchema(
    fields={"DocEntry": INTEGER, "CardCode": TEXT, "DocDate": DATE, "DocTotal": NUMBER},
    collections={"DocumentLines": {"LineNum": INTEGER, "ItemCode": TEXT, "LineTotal": NUMBER, "ShipDate": DATE}},
    custom_fields=True,
    custom_line_fields=("DocumentLines",),
)


def page_of(*records: Any, **more: Any) -> bytes:
    return json.dumps({"@odata.context": "x", **more, "value": list(records)}, ensure_ascii=False).encode()


def read(page: bytes, schema: RecordSchema = SCHEMA, **options: Any) -> pages.ParsedPage:
    return PageReader(schema, entity="Invoices", key=options.pop("key", "DocEntry"), **options).read(page, "page 1")


def rows(page: bytes, schema: RecordSchema = SCHEMA, **options: Any) -> list[dict[str, Any]]:
    return read(page, schema, **options).table.drop_columns(["_raw"]).to_pylist()


def test_a_plain_page() -> None:
    page = page_of(
        {
            "DocEntry": 7,
            "CardCode": "C1",
            "DocDate": "2023-10-26T00:00:00Z",
            "DocTotal": 1234.3700000000001,
            "Unwanted": {"a": [1]},
            "U_Region": "North",
            "U_Score": 1.50,
            "DocumentLines": [
                {"LineNum": 0, "LineTotal": 0.0000005, "ShipDate": "2023-10-26T00:00:00Z", "U_Lot": 5},
                {"LineNum": 1, "ItemCode": "I1", "LineTotal": -0.0000005, "U_Lot": None},
            ],
        }
    )

    parsed = read(page)

    assert parsed.custom_fields == {"header": ("U_Region", "U_Score"), "DocumentLines": ("U_Lot",)}
    assert parsed.table.schema.equals(staged_schema(SCHEMA, parsed.custom_fields))
    assert parsed.table.drop_columns(["_raw"]).to_pylist() == [
        {
            "_key": "7",
            "DocEntry": 7,
            "CardCode": "C1",
            "DocDate": "2023-10-26",
            "DocTotal": Decimal("1234.370000"),
            "DocumentLines": [
                {
                    "LineNum": 0,
                    "ItemCode": None,
                    "LineTotal": Decimal("0.000001"),
                    "ShipDate": "2023-10-26",
                    "U_Lot": "5",
                },
                {"LineNum": 1, "ItemCode": "I1", "LineTotal": Decimal("-0.000001"), "ShipDate": None, "U_Lot": None},
            ],
            "U_Region": "North",
            "U_Score": "1.5",
        }
    ]


def test_raw_is_the_original_text() -> None:
    first, second = b'{"DocEntry" : 1,\n\t"CardCode":"\\u00e9\\"}"}', b'{"DocEntry":2, "DocTotal":1.00}'

    table = read(b'{"value" : [\n' + first + b" ,\n" + second + b"\n]}").table

    assert table["_raw"].to_pylist() == [first, second]


def test_pretty_printed_page() -> None:
    record = {"DocEntry": 1, "CardCode": "a\nb\tc", "DocumentLines": [{"LineNum": 0}]}
    page = json.dumps({"value": [record, record | {"DocEntry": 2}]}, indent="\t", separators=(",", " : ")).encode()

    assert [row["_key"] for row in rows(page)] == ["1", "2"]
    assert rows(page)[0]["CardCode"] == "a\nb\tc"


@pytest.mark.parametrize("page", [b'{"value":[]}', b'\xef\xbb\xbf{"value":[]}', b'{"value" : [ ], "x":1}'])
def test_empty_page_has_the_layout(page: bytes) -> None:
    assert read(page).table.schema.equals(staged_schema(SCHEMA))


NUMBERS = {
    "double": ("1234.3700000000001", "1234.370000"),
    "exponent": ("1e-05", "0.000010"),
    "upper-exponent": ("1.5E3", "1500.000000"),
    "negative-zero": ("-0.0", "0.000000"),
    "half-away": ("2.0000005", "2.000001"),
    "half-away-negative": ("-2.0000005", "-2.000001"),
    "below-half": ("2.00000049999999999", "2.000000"),
    "many-decimals": ("0.1234565000000000000000000000001", "0.123457"),
    "eighteen-digits": ("999999999999999999", "999999999999999999.000000"),
    "nineteen-digits": ("1234567890123456789", "1234567890123456789.000000"),
    "twenty-digits-that-would-wrap": ("11111111111111111111", "11111111111111111111.000000"),
    "wrapping-with-decimals": ("555555555555555555555.0000005", "555555555555555555555.000001"),
    "wrapping-by-exponent": ("5.55555555555e20", "555555555555000000000.000000"),
    "nineteen-nines": ("9999999999999999999", "9999999999999999999.000000"),
    "twenty-two-digits": ("-9999999999999999999999", "-9999999999999999999999.000000"),
    "small-with-more-digits-than-fit": ("12345678901234567890123456789012345678901e-45", "0.000012"),
    "tiny": ("5e-324", "0.000000"),
    "text": ('"12.5"', "12.500000"),
    "empty-text": ('""', None),
    "null": ("null", None),
}


@pytest.mark.parametrize(("sent", "staged"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_exact(sent: str, staged: str | None) -> None:
    page = b'{"value":[{"DocEntry":1,"DocTotal":%s,"DocumentLines":[{"LineTotal":%s}]}]}' % ((sent.encode(),) * 2)

    (row,) = rows(page)

    expected = None if staged is None else Decimal(staged)
    assert row["DocTotal"] == expected
    assert row["DocumentLines"][0]["LineTotal"] == expected
    assert str(row["DocTotal"]) == str(staged)


CUSTOM = {
    "number": ("100.0", "100"),
    "integer": ("100", "100"),
    "zero": ("0.0", "0"),
    "negative-zero": ("-0.0", "0"),
    "double": ("1234.3700000000001", "1234.37"),
    "exponent": ("1e-05", "0.00001"),
    "tiny": ("1e-9", "0"),
    "tiny-negative": ("-1e-9", "0"),
    "big": ("123456789012345678901234567890", "123456789012345678901234567890"),
    "text": ('" a\\"\\\\b\\n"', ' a"\\b\n'),
    "number-like-text": ('"007.10"', "007.10"),
    "true": ("true", "true"),
    "false": ("false", "false"),
    "null": ("null", None),
    "object": ('{"a":[1.50]}', '{"a":[1.50]}'),
}


@pytest.mark.parametrize(("sent", "staged"), CUSTOM.values(), ids=CUSTOM)
@pytest.mark.parametrize("other", ["null", '"x"', "1.5", "true"])
def test_custom_fields_become_text(sent: str, staged: str | None, other: str) -> None:
    line = b'[{"U_L":%s},{"U_L":%s}]' % (sent.encode(), other.encode())
    page = b'{"value":[{"DocEntry":1,"U_X":%s},{"DocEntry":2,"U_X":%s,"DocumentLines":%s}]}' % (
        sent.encode(),
        other.encode(),
        line,
    )

    first, second = rows(page)

    assert first["U_X"] == staged
    assert second["DocumentLines"][0]["U_L"] == staged


def test_custom_fields_belong_to_the_level_where_they_are() -> None:
    page = page_of(
        {"DocEntry": 1, "U_Both": None, "Comments": 'has "U_Fake": 1', "Other": [{"U_Elsewhere": 1}]},
        {"DocEntry": 2, "DocumentLines": [{"U_Both": 1, "U_Null": None}, None]},
    )

    assert read(page).custom_fields == {"header": ("U_Both",), "DocumentLines": ("U_Both", "U_Null")}


PAGES_IN_A_ROW = {
    "same": [{"U_A": "x"}, {"U_A": "y"}],
    "one-more": [{"U_A": "x"}, {"U_A": "y", "U_B": "z"}],
    "one-less": [{"U_A": "x", "U_B": "z"}, {"U_A": "y"}],
    "another-for-one": [{"U_A": "x"}, {"U_B": "x"}],
    "only-on-lines": [{"U_A": "x"}, {"DocumentLines": [{"U_A": "x"}]}],
    "other-kind": [{"U_A": "x"}, {"U_A": 1.50}, {"U_A": True}],
    "null-at-first": [{"U_A": None}, {"U_A": 1.50}, {"U_A": None}],
    "mixed-kinds": [{"U_A": "x", "DocumentLines": [{"U_A": 1}]}, {"U_A": "x"}],
    "on-a-level-not-wanted": [{"U_A": "x", "Other": [{"U_B": 1}]}, {"U_A": "y", "Other": [{"U_A": 1}]}],
    "one-for-another-not-wanted": [{"U_A": "x"}, {"U_C": "x", "Other": [{"U_A": 1}]}],
    "in-a-text": [{"U_A": "x"}, {"U_A": "U_B", "CardCode": "U_A"}],
    "none-then-some": [{}, {"U_A": "x"}, {}],
}


@pytest.mark.parametrize("records", PAGES_IN_A_ROW.values(), ids=PAGES_IN_A_ROW)
def test_a_page_is_read_alike_whatever_pages_came_before(records: list[dict[str, Any]]) -> None:
    reader = PageReader(SCHEMA, entity="Invoices", key="DocEntry")

    for record in records:
        page = page_of({"DocEntry": 1, **record})
        after_others, alone = reader.read(page), read(page)

        assert after_others.custom_fields == alone.custom_fields
        assert after_others.table.equals(alone.table)


def test_custom_fields_not_wanted() -> None:
    schema = RecordSchema({"DocEntry": INTEGER})

    assert rows(page_of({"DocEntry": 1, "U_X": 1}), schema) == [{"_key": "1", "DocEntry": 1}]


def test_declared_custom_field_keeps_its_type() -> None:
    schema = RecordSchema({"DocEntry": INTEGER, "U_Rate": NUMBER}, custom_fields=True)

    table = read(page_of({"DocEntry": 1, "U_Rate": 1.5, "U_A": "x"}), schema).table

    assert table.schema.field("U_Rate").type == MONEY
    assert table.column_names == ["_key", "_raw", "DocEntry", "U_Rate", "U_A"]


def test_text_key_that_is_not_among_the_fields() -> None:
    schema = RecordSchema({"Name": TEXT})

    assert rows(page_of({"Code": "0042", "Name": "é😀\x00"}), schema, key="Code") == [
        {"_key": "0042", "Name": "é😀\x00"}
    ]


CONTACTS = RecordSchema(
    fields={"InternalCode": INTEGER, "Name": TEXT},
    custom_fields=True,
    parent_fields={"CardCode": TEXT, "UpdateDate": DATE},
)


@pytest.mark.parametrize("spoiler", [False, True], ids=["fast", "exact"])
def test_elements_of_a_collection_as_records(spoiler: bool) -> None:
    page = page_of(
        {"CardCode": "C1", "UpdateDate": "2026-01-02T00:00:00Z", "ContactEmployees": [{"InternalCode": 1, "U_A": 1}]},
        {"CardCode": "C2", "ContactEmployees": []},
        {"CardCode": "C3", "ContactEmployees": None},
        {"CardCode": "C4"},
        {
            "CardCode": 5 if spoiler else "5",
            "ContactEmployees": [{"InternalCode": 2, "Name": "x"}, {"InternalCode": 3}],
        },
    )

    parsed = read(page, CONTACTS, key="InternalCode", record_path="ContactEmployees")

    nothing = {"Name": None, "U_A": None, "parent.UpdateDate": None}
    assert parsed.table.drop_columns(["_raw"]).to_pylist() == [
        nothing
        | {"_key": "1", "InternalCode": 1, "parent.CardCode": "C1", "parent.UpdateDate": "2026-01-02", "U_A": "1"},
        nothing | {"_key": "2", "InternalCode": 2, "parent.CardCode": "5", "Name": "x"},
        nothing | {"_key": "3", "InternalCode": 3, "parent.CardCode": "5"},
    ]
    assert msgspec.json.decode(parsed.table["_raw"][1].as_py()) == {"InternalCode": 2, "Name": "x"}


BROKEN = {
    "not-json": (b"<html>nonsense</html>", "not readable JSON"),
    "half": (b'{"value":[{"DocEntry":1', "not readable JSON"),
    "no-value": (b'{"error":1}', "value"),
    "value-null": (b'{"value":null}', "not a collection"),
    "array": (b"[1]", "not a collection"),
    "not-utf8": (b'{"value":[{"DocEntry":1,"CardCode":"\xff"}]}', "not readable JSON"),
    "record-null": (b'{"value":[{"DocEntry":1},null]}', "record 2 which is null"),
    "no-key": (b'{"value":[{"DocEntry":1},{"CardCode":"x"}]}', "record 2 whose key DocEntry is null"),
    "key-null": (b'{"value":[{"DocEntry":null}]}', "record 1 whose key DocEntry is null"),
    "key-float": (b'{"value":[{"DocEntry":1.5}]}', "record 1 whose key DocEntry is 1.5"),
    "no-number": (b'{"value":[{"DocEntry":8,"DocTotal":"much"}]}', 'record 8 whose DocTotal is "much"'),
    "nan-text": (b'{"value":[{"DocEntry":8,"DocTotal":"NaN"}]}', 'record 8 whose DocTotal is "NaN"'),
    "boolean": (b'{"value":[{"DocEntry":8,"DocTotal":true}]}', "record 8 whose DocTotal is true"),
    "too-big": (b'{"value":[{"DocEntry":8,"DocTotal":1e22}]}', "up to 22 digits"),
    "rounds-to-too-big": (b'{"value":[{"DocEntry":8,"DocTotal":9999999999999999999999.9999999}]}', "up to 22 digits"),
    "far-too-big": (b'{"value":[{"DocEntry":8,"DocTotal":1e999999}]}', "up to 22 digits"),
    "line": (b'{"value":[{"DocEntry":8,"DocumentLines":[{"LineNum":1.5}]}]}', r"DocumentLines\.LineNum is 1\.5"),
    "lines": (b'{"value":[{"DocEntry":8,"DocumentLines":{"a":1}}]}', "DocumentLines is"),
    "integer": (b'{"value":[{"DocEntry":9223372036854775808}]}', "64 bits"),
}


@pytest.mark.parametrize(("page", "message"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_staged_is_named(page: bytes, message: str) -> None:
    with pytest.raises(ContractBroken, match=message) as caught:
        read(page)

    assert "Invoices, page 1" in str(caught.value)


def test_long_values_are_not_poured_into_messages() -> None:
    with pytest.raises(ContractBroken) as caught:
        read(page_of({"DocEntry": 1, "DocTotal": "x" * 5000}))

    assert len(str(caught.value)) < 400


# -- fast and exact agree -----------------------------------------------------------------------------------------

json_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
dates = st.sampled_from(["2026-01-05", "2026-01-05T00:00:00Z", "", "é-01-05T00:00:00Z"])
numbers = st.one_of(
    st.integers(-(10**24), 10**24).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-(10**9), 10**9, places=8).map(lambda number: f"{number:f}"),
    st.sampled_from(["-0.0", "1e-05", "1234.3700000000001", "0.0000005", "-0.0000005", "1E2", "null"]),
)
words = json_text.map(lambda text: json.dumps(text, ensure_ascii=len(text) % 2 == 0))
anything = st.one_of(words, numbers, st.sampled_from(["true", "false", "null", '{"a":1.50}', "[]"]))


def json_object(members: dict[str, st.SearchStrategy[str]]) -> st.SearchStrategy[str]:
    def join(chosen: dict[str, str]) -> str:
        return "{" + ",".join(f'"{name}" : {value}' for name, value in chosen.items()) + "}"

    return st.fixed_dictionaries({}, optional=members).map(join)


def json_array(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(of, max_size=3).map(lambda values: "[" + ",\n".join(values) + "]")


lines = json_object(
    {
        "LineNum": st.sampled_from(["0", "null", "7", "3.0", '"4"']),
        "ItemCode": words | anything,
        "LineTotal": numbers | words.filter(lambda text: False),
        "ShipDate": dates.map(json.dumps),
        "U_Lot": anything,
        "U_Score": numbers,
        "Junk": anything,
    }
)
headers = json_object(
    {
        "CardCode": words | anything,
        "DocDate": dates.map(json.dumps) | st.just("null"),
        "DocTotal": numbers,
        "U_Region": words,
        "U_Score": numbers,
        "U_Mixed": anything,
        "Junk": lines,
        "DocumentLines": json_array(lines | st.just("null")) | st.just("null"),
    }
)


@st.composite
def odata_pages(draw: st.DrawFn) -> bytes:
    records = draw(st.lists(headers, min_size=1, max_size=4))
    keyed = [record.replace("{", f'{{"DocEntry":{number}' + (", " if len(record) > 2 else ""), 1)
             for number, record in enumerate(records)]  # fmt: skip
    return ('{"value" : [' + ",".join(keyed) + "]}").encode()


@settings(max_examples=400, deadline=None)
@given(odata_pages())
def test_fast_and_exact_agree(page: bytes) -> None:
    reader = PageReader(SCHEMA, entity="Invoices", key="DocEntry")
    try:
        fast, fast_custom = reader._fast(page, discover(page))
    except (NotFast, pa.ArrowInvalid, msgspec.ValidationError):
        fast, fast_custom = None, None
    try:
        exact, exact_custom = reader._exact(page, "")
    except ContractBroken:
        assert fast is None, "the exact way refuses what the fast way takes"
        return
    if fast is None:
        return
    assert fast_custom == exact_custom
    layout = staged_schema(SCHEMA, fast_custom)
    names = [name for name in layout.names if name != "_raw"]
    for name in names:
        assert fast[name].to_pylist() == exact[name].to_pylist(), name
        assert fast[name].type == exact[name].type == layout.field(name).type
    # Whichever way was taken, the page stages, and its amounts are those of its text.
    parsed = reader.read(page)
    for sent, staged in zip(_amounts(page), parsed.table["DocTotal"].to_pylist(), strict=True):
        assert staged == sent


def _amounts(page: bytes) -> list[Decimal | None]:
    records = json.loads(page, parse_float=Decimal, parse_int=Decimal)["value"]
    amounts = [record.get("DocTotal") for record in records]
    return [None if amount is None else _rounded(amount) for amount in amounts]


def _rounded(amount: Decimal) -> Decimal:
    from decimal import localcontext

    with localcontext() as context:
        context.prec = 400
        return amount.quantize(Decimal("0.000001"), ROUND_HALF_UP)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_number_text_reads_back(number: Decimal) -> None:
    text = number_text(number)

    assert Decimal(text) == _rounded(number)
    assert "E" not in text and not text.endswith(".") and text != "-0"
