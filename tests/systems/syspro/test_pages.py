"""Bodies to records: properties over any values, in both forms."""

from __future__ import annotations

import json
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.errors import ContractBroken
from tieout.odata.schema import FieldType
from tieout.systems.syspro.answers import Kind, decode_text, find_error, unwrap
from tieout.systems.syspro.columns import build_batch
from tieout.systems.syspro.errors import Unreadable
from tieout.systems.syspro.json_pages import JsonPages
from tieout.systems.syspro.redaction import redact
from tieout.systems.syspro.tables import Condition, Table, TableRead
from tieout.systems.syspro.xml_rows import read_rows

PLAIN = Table("T", ("K",), {"K": FieldType.INTEGER, "N": FieldType.NUMBER, "S": FieldType.TEXT, "D": FieldType.DATE})
READ = TableRead(PLAIN)

amounts = st.decimals(min_value=-(10**20), max_value=10**20, places=6, allow_nan=False) | st.decimals(
    min_value=-1000, max_value=1000, places=15, allow_nan=False
)
texts = st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), max_size=20)
dates = st.none() | st.dates(min_value=date(1900, 1, 1))
records = st.lists(st.tuples(st.none() | amounts, st.none() | texts, dates), max_size=8)
wire_numbers = st.sampled_from(["number", "string", "mixed"])
endings = st.sampled_from(["", "T00:00:00Z", "T00:00:00+02:00", "T23:59:59.999-11:00"])


def wanted(rows: list[tuple[Any, Any, Any]]) -> list[dict[str, Any]]:
    step = Decimal("0.000001")
    return [
        {
            "K": position,
            "N": None if number is None else number.quantize(step, ROUND_HALF_UP),
            "S": None if text is None else text.rstrip(" ") or None,
            "D": None if day is None else day.isoformat(),
        }
        for position, (number, text, day) in enumerate(rows)
    ]


def found(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    return [{name: row[name] for name in "KNSD"} for row in batch.to_pylist()]


@settings(max_examples=150, deadline=None)
@given(records, wire_numbers, endings)
def test_json_to_records(rows: list[tuple[Any, Any, Any]], form: str, ending: str) -> None:
    objects = []
    for position, (number, text, day) in enumerate(rows):
        quoted = form == "string" or (form == "mixed" and position % 2)
        digits = "null" if number is None else f'"{number}"' if quoted else str(number)
        moment = "null" if day is None else f'"{day.isoformat()}{ending}"'
        objects.append(f'{{"K":{position},"N":{digits},"S":{json.dumps(text)},"D":{moment},"More":[1]}}')
    pages = JsonPages(READ)

    page = pages.decode(('{"value":[' + ",".join(objects) + "]}").encode())
    batch = pages.batch(page, "page 1")

    assert found(batch) == wanted(rows)
    assert [raw.decode() for raw in batch["_raw"].to_pylist()] == objects
    assert page.last_key == ((len(rows) - 1,) if rows else ())


@settings(max_examples=150, deadline=None)
@given(records)
def test_xml_to_records(rows: list[tuple[Any, Any, Any]]) -> None:
    parts = []
    for position, (number, text, day) in enumerate(rows):
        shown = "" if number is None else f"{number:>30f}"
        parts.append(f"<Row><K>{position:8d}</K><Unedited_N>{shown}</Unedited_N><Edited_N>?</Edited_N>"
                     f"<S>{escape(text or '')}</S><D>{day.isoformat() if day else ''}</D></Row>")  # fmt: skip
    body = (
        "<?xml version=\"1.0\" encoding=\"Windows-1252\"?><T Language='05'><HeaderDetails/>"
        + "".join(parts) + f"<RowsReturned>{len(rows):7d}</RowsReturned></T>"
    ).encode("cp1252")  # fmt: skip

    answer = read_rows(body, "T", READ.names)

    assert found(build_batch(READ, answer.values, answer.raw, "page 1")) == wanted(rows)
    assert [raw.decode() for raw in answer.raw] == parts


@given(st.integers(min_value=0))
def test_a_page_that_is_cut_is_noticed_wherever_it_is_cut(cut: int) -> None:
    body = b'{"value":[{"K":1,"N":2.5,"S":"caf\xc3\xa9","D":null}]}'
    pages = JsonPages(READ)

    with pytest.raises(Unreadable):
        pages.decode(body[: cut % len(body)])


@given(st.integers(min_value=0))
def test_an_answer_that_is_cut_is_noticed_wherever_it_is_cut(cut: int) -> None:
    body = b"<T><Row><K>1</K></Row><RowsReturned>1</RowsReturned></T>"

    with pytest.raises(Unreadable):
        read_rows(body[: cut % len(body)], "T", READ.names)


def test_rows_that_were_announced_but_did_not_come() -> None:
    with pytest.raises(Unreadable, match="1 rows where 2"):
        read_rows(b"<T><Row><K>1</K></Row><RowsReturned>  2</RowsReturned></T>", "T", READ.names)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{"K":1,"N":"12,5"}', "page 7: N is '12,5' where a number"),
        ('{"K":1,"N":1e30}', "too large"),
        ('{"K":1,"D":"31.01.2026"}', "page 7: D is '31.01.2026' where a date"),
        ('{"N":1}', "key K = null"),
        ('{"K":1.5}', "key K = 1.5"),
    ],
)
def test_values_that_are_not_as_declared(row: str, words: str) -> None:
    pages = JsonPages(READ)

    with pytest.raises(ContractBroken, match=words):
        pages.batch(pages.decode(f'{{"value":[{row}]}}'.encode()), "page 7")


def test_odd_numbers_and_windows_1252() -> None:
    body = '{"value":[{"K":1,"N":"  400.00-","S":"€"},{"K":2,"N":1.5E+2},{"K":3,"N":" "}]}'.encode("cp1252")
    pages = JsonPages(READ)

    rows = found(pages.batch(pages.decode(body), "page 1"))

    assert [row["N"] for row in rows] == [Decimal(-400), Decimal(150), None]
    assert rows[0]["S"] == "€"


def test_conditions_are_applied_to_what_came() -> None:
    read = TableRead(PLAIN, (Condition("D", "ge", date(2026, 1, 31)), Condition("S", "ne", "x")))
    pages = JsonPages(read)
    body = (
        b'{"value":[{"K":1,"S":"a","D":"2026-01-30T22:00:00Z"},{"K":2,"S":"a","D":"2026-01-31T00:00:00+02:00"},'
        b'{"K":3,"S":"x","D":"2026-02-01"},{"K":4,"S":"b"}]}'
    )

    assert pages.batch(pages.decode(body), "page 1")["K"].to_pylist() == [2]


@pytest.mark.parametrize(
    "condition", [Condition("K", "eq", "1"), Condition("D", "ge", "2026-01-01"), Condition("S", "eq", 1)]
)
def test_conditions_that_do_not_fit(condition: Condition) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        TableRead(PLAIN, (condition,))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"ERROR: The supplied UserID is invalid. Either you were not logged in", Kind.SESSION_LOST),
        (b'  "error: your session has expired"', Kind.SESSION_LOST),
        (b"<string xmlns='x'>ERROR: Invalid operator password</string>", Kind.OTHER),
        (b"ERROR: Unable to read the SYSPRO base directory registry string BaseDir8", Kind.BAD_INSTANCE),
        (b"ERROR: e.net exception raised: 100000", Kind.NOT_INSTALLED),
        (b"ERROR: Maximum number of licenses in use", Kind.LICENCES_USED_UP),
        (b'{"error": {"message": "no"}}', None),
        (b"0123456789ABCDEF0123456789ABCDEF00  ", None),
        (b"", None),
    ],
)
def test_errors_with_http_200(body: bytes, kind: Kind | None) -> None:
    error = find_error(body)

    assert (error.kind if error else None) is kind


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("AB00  ", "AB00  "),
        ("AB00  \r\n", "AB00  "),
        ('"AB00  "', "AB00  "),
        ('<?xml version="1.0"?>\r\n<string xmlns="urn:x">A&amp;B  </string>\n', "A&B  "),
        ("<string/>", ""),
    ],
)
def test_wrapped_tokens(text: str, token: str) -> None:
    assert unwrap(text) == token


def test_texts_by_their_declared_encoding() -> None:
    assert decode_text('<?xml version="1.0" encoding="Windows-1252"?><a>é€</a>'.encode("cp1252")).endswith("é€</a>")
    assert decode_text("é€".encode()) == decode_text("é€".encode("cp1252")) == "é€"


def test_redaction() -> None:
    url = "GET /Query?UserId=AB00%20%20&BusinessObject=COMFND&XmlIn=%3CQ%3E&userid=x HTTP/1.1 for p%20w and p w"

    assert redact(url, ("p w", "p%20w")) == (
        "GET /Query?UserId=***&BusinessObject=COMFND&XmlIn=***&userid=*** HTTP/1.1 for *** and ***"
    )
