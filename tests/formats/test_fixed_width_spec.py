"""Record specs that are refused, and the sentence that says why, where and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.formats.fixed_width import FixedWidthSpec
from tieout.yaml_file import parse_yaml


def read(fields: str, *, length: int = 10, file: str = "{}", more: str = "", totals: str = "{}") -> FixedWidthSpec:
    text = f"file: {file}\ntotals: {totals}\nrecords:\n  detail:\n    length: {length}\n    fields: [{fields}]\n{more}"
    return parse_yaml(text, "gl.yaml").validate(FixedWidthSpec)


def field(**keys: Any) -> str:
    given = {"name": "a", "start": 1, "width": 10, "from": "a", **keys}
    return "{" + ", ".join(f"{key}: {value}" for key, value in given.items() if value is not None) + "}"


ONE_FIELD = [
    ({"type": "integer", "scale": 2}, "an integer has no decimals"),
    ({"type": "decimal"}, "a decimal needs `scale`"),
    ({"scale": 2}, "`scale` has no meaning for type text"),
    ({"sign": "trailing"}, "`sign` has no meaning for type text"),
    ({"type": "num", "plus": '"+"'}, "`plus` has no meaning for type num and sign unsigned"),
    ({"type": "num", "truncate": "true"}, "`truncate` has no meaning for type num"),
    ({"type": "num", "pad": "x"}, "padded with 0 or a space"),
    ({"type": "num", "justify": "left"}, "zeros behind it"),
    ({"type": "num", "point": '"."'}, "no decimal point without decimals"),
    ({"type": "num", "sign": "jde"}, "sign jde is 32 positions wide"),
    ({"type": "num", "scale": 11}, "room for 10 digits, but 11 are needed"),
    ({"type": "num", "scale": 10, "sign": "leading"}, "room for 9 digits, but 10 are needed"),
    ({"type": "date"}, "format %Y%m%d is 8 wide, but width is 10"),
    ({"type": "date", "format": '"%Y-%b-%d"'}, "format: %b is not known"),
    ({"type": "dc"}, "a `dc` field is one position wide"),
    ({"type": "dc", "width": 1, "format": "DD"}, "two different characters"),
    ({"type": "sequence"}, "a sequence is `from: detail_number`"),
    ({"type": "sequence", "from": None, "null": "zeros"}, "`null` has no meaning for type sequence"),
    ({"type": "dc", "width": 1, "null": "zeros"}, "`spaces` or `error`"),
    ({"type": "num", "width": 41}, "at most 40 positions wide"),
    ({"from": None}, "neither `from` nor `const`"),
    ({"const": "x"}, "both `from` and `const`"),
    ({"from": None, "const": "abcdefghijk"}, "is wider than 10"),
    ({"from": None, "const": "x", "type": "num"}, "a `const` is written as it stands"),
    ({"from": None, "const": "日本"}, "cp1252 has no '日'"),
    ({"pad": "日"}, "cp1252 has no '日'"),
    ({"start": '"1"'}, "valid integer"),
    ({"start": 0}, "greater than or equal to 1"),
    ({"typ": "num"}, "Did you mean `type`?"),
    ({"type": "num", "sign": "dc"}, "no field of type dc shows the sign of 'a'"),
]


@pytest.mark.parametrize(("keys", "sentence"), ONE_FIELD, ids=[sentence[:40] for _, sentence in ONE_FIELD])
def test_a_field_that_cannot_be_is_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"gl\.yaml, line \d+") as caught:
        read(field(**keys))
    assert sentence in str(caught.value)
    assert "records.detail" in str(caught.value) or "record 'detail', field 'a'" in str(caught.value)
    assert "\n" not in str(caught.value)


def two(start: int, width: int) -> str:
    return field(width=4) + ", " + field(name="b", start=start, width=width, **{"from": "b"})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (two(4, 7), "field 'b' starts at 4, but field 'a' ends at 4: they overlap. Correct start or width"),
        (two(6, 5), "positions 5-5 before field 'b' belong to no field. Correct start or width, or add a filler"),
        (two(5, 5), "the last field, 'b', ends at 9, but length is 10. Correct length or widths"),
        (two(5, 7), "the last field, 'b', ends at 11, but length is 10"),
        (field(start=2, width=9), "positions 1-1 before field 'a' belong to no field"),
        (field(width=4) + ", " + field(start=5, width=6), "two fields 'a'"),
        ("", "it has no fields"),
    ],
)
def test_fields_must_fill_the_record(fields: str, sentence: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"gl\.yaml, line 4, records\.detail: ") as caught:
        read(fields)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("{encoding: cp9999}", "no text encoding 'cp9999'"),
        ("{encoding: base64}", "no text encoding 'base64'"),
        ("{encoding: utf-16}", "in 'utf-16' a digit or a letter is not one byte"),
        ("{encoding: utf-8-sig}", "in 'utf-8-sig' a digit"),
        ("{encoding: utf-7}", "in 'utf-7' a digit"),
        ('{record_separator: "|"}', "record_separator"),
        ("{on_overflow: truncate}", "on_overflow"),
        ("{substitute: 日}", "substitute: cp1252 has no '日'"),
        ("{replace: {日: 本}}", "cp1252 has no '本'"),
        ("{replace: {ab: c}}", "'ab' is not one character"),
        ("{replace: {a: b, b: c}}", "holds a character that is replaced itself"),
    ],
)
def test_a_file_that_cannot_be_is_refused(file: str, sentence: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        read(field(), file=file)
    assert sentence in str(caught.value)


def other(kind: str, fields: str) -> str:
    per = "    per: a\n" if kind == "subtotal" else ""
    return f"  {kind}:\n    length: 10\n{per}    fields: [{fields}]\n"


@pytest.mark.parametrize(
    ("more", "totals", "sentence"),
    [
        (other("header", field(**{"from": "n"}, type="num")), "{n: {count: records}}", "known at the file's end only"),
        (
            other("subtotal", field(**{"from": "n"}, type="num")),
            "{n: {count: records}}",
            "known at the file's end only",
        ),
        (other("trailer", field(**{"from": None}, type="sequence")), "{}", "only details have a detail number"),
        ("", "{n: {}}", "either `count` or `sum`"),
        ("", "{n: {count: details, sum: a}}", "either `count` or `sum`"),
        ("", "{n: {count: details, modulo: 10}}", "belong to a `sum`"),
    ],
)
def test_totals_that_cannot_be_are_refused(more: str, totals: str, sentence: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        read(field(), more=more, totals=totals)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("written", "separator"),
    [(r'"\r\n"', "\r\n"), ("crlf", "\r\n"), ("lf", "\n"), ("none", ""), ("null", ""), (r'"\x85"', "\x85")],
)
def test_record_separators(written: str, separator: str) -> None:
    spec = read(field(), file=f"{{encoding: cp037, record_separator: {written}}}")
    assert spec.file.record_separator == separator


def test_what_the_details_and_the_header_need() -> None:
    spec = read(
        field(width=4) + ", " + field(name="n", start=5, width=6, type="sequence", **{"from": None}),
        more=other("header", field(**{"from": "sum"}, type="num")) + other("subtotal", field(**{"from": "sum"})),
        totals="{sum: {sum: amount}, other: {sum: b}}",
    )
    assert spec.columns == ("a", "amount", "b")
    assert spec.header_totals == ("sum",)
