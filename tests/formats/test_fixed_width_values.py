"""How single values stand in their field, and which are refused with which sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tieout.errors import BadRecord, ConfigurationInvalid
from tieout.formats.fixed_width import FixedWidthSpec, FixedWidthWriter, ValueDoesNotFit

MONEY = pa.decimal128(28, 6)


def writer(width: int, file: dict[str, Any] | None = None, **keys: Any) -> FixedWidthWriter:
    """A file of one column, without separators."""
    field = {"name": "field", "start": 1, "width": width, "from": "v", **keys}
    spec = {
        "file": {"record_separator": "none", **(file or {})},
        "records": {"detail": {"length": width, "fields": [field]}},
    }
    return FixedWidthWriter(FixedWidthSpec.model_validate(spec))


def column(values: Sequence[Any], kind: pa.DataType | None = None) -> pa.RecordBatch:
    return pa.record_batch({"v": pa.array(values, kind)})


def one(value: Any, kind: pa.DataType | None, width: int, file: dict[str, Any] | None = None, **keys: Any) -> str:
    """The value's field, written between neighbours of the same column so that rows cannot slip."""
    made = writer(width, file, **keys)
    data = made.details(column([value, value], kind)).data
    assert data[:width] == data[width:]
    return data[:width].decode(made.spec.file.encoding)


NUMBERS = [
    # value, width, keys, written
    ("250", 14, {"scale": 2, "sign": "overpunch"}, "0000000002500{"),
    ("-40.5", 14, {"scale": 2, "sign": "overpunch"}, "0000000000405}"),
    ("-100", 6, {"scale": 2, "sign": "overpunch"}, "01000}"),
    ("0", 4, {"scale": 2, "sign": "overpunch"}, "000{"),
    ("12.39", 6, {"scale": 2, "sign": "overpunch"}, "00123I"),
    ("-12.39", 6, {"scale": 2, "sign": "overpunch"}, "00123R"),
    ("-12.31", 6, {"scale": 2, "sign": "overpunch", "pad": " "}, "  123J"),
    ("12.31", 6, {"scale": 2}, "001231"),
    ("12.31", 8, {"scale": 2, "point": "."}, "00012.31"),
    ("0.05", 8, {"scale": 2, "point": ",", "pad": " "}, "    0,05"),
    ("0.05", 8, {"scale": 2, "pad": " "}, "       5"),
    ("0", 3, {"pad": " "}, "  0"),
    ("12.31", 8, {"scale": 2, "pad": " ", "justify": "left"}, "1231    "),
    ("-12.31", 8, {"scale": 2, "sign": "trailing"}, "0001231-"),
    ("12.31", 8, {"scale": 2, "sign": "trailing"}, "0001231 "),
    ("12.31", 8, {"scale": 2, "sign": "trailing", "plus": "+"}, "0001231+"),
    ("-12.31", 8, {"scale": 2, "sign": "trailing", "pad": " ", "point": "."}, "  12.31-"),
    ("-12.31", 8, {"scale": 2, "sign": "leading"}, "-0001231"),
    ("12.31", 8, {"scale": 2, "sign": "leading"}, "+0001231"),
    ("12.31", 8, {"scale": 2, "sign": "leading", "plus": " "}, " 0001231"),
    ("-12.31", 8, {"scale": 2, "sign": "leading", "pad": " "}, "   -1231"),
    ("-12.31", 8, {"scale": 2, "sign": "leading", "pad": " ", "point": "."}, "  -12.31"),
    ("-12.31", 8, {"scale": 2, "sign": "leading", "pad": " ", "justify": "left"}, "-1231   "),
    ("-12.31", 32, {"sign": "jde"}, "-" + 18 * "0" + "12.3100000000"),
    ("12.31", 32, {"sign": "jde", "scale": 2, "point": ","}, "0" + 18 * "0" + "12,3100000000"),
    ("7", 6, {"scale": 3}, "007000"),
    ("9999999999999999999999.999999", 28, {"scale": 6}, "9999999999999999999999999999"),
    ("-9999999999999999999999.999999", 28, {"scale": 6, "sign": "overpunch"}, "999999999999999999999999999R"),
    ("9223372036854.775808", 20, {"scale": 6}, "09223372036854775808"),
    ("-9223372036854.775808", 20, {"scale": 6, "sign": "trailing"}, "9223372036854775808-"),
]


@pytest.mark.parametrize(("value", "width", "keys", "written"), NUMBERS)
def test_numbers(value: str, width: int, keys: dict[str, Any], written: str) -> None:
    assert one(Decimal(value), MONEY, width, type="num", **keys) == written
    # Text says the same number.
    if len(value) < 20:
        assert one(value, pa.string(), width, type="num", **keys) == written


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        ({"null": "spaces"}, "    "),
        ({"null": "zeros"}, "0000"),
        ({"null": "zeros", "pad": " "}, "   0"),
        ({"null": "zeros", "sign": "overpunch"}, "000{"),
        ({"null": "zeros", "sign": "leading"}, "+000"),
    ],
)
@pytest.mark.parametrize("value", [None, ""])
def test_no_number(value: str | None, keys: dict[str, Any], written: str) -> None:
    assert one(value, pa.string(), 4, type="num", **keys) == written


def test_slices_of_batches() -> None:
    values = [Decimal(value) for value in range(20)]
    whole = pa.record_batch({"v": pa.array([*values, None], MONEY)})
    made = writer(2, type="num", null="spaces")
    assert [made.details(whole.slice(at, 7)).data for at in (0, 7, 14)] == [
        b"00010203040506",
        b"07080910111213",
        b"141516171819  ",
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (7, pa.int8()),
        (7, pa.int64()),
        (7, pa.uint64()),
        ("7", pa.large_string()),
        ("+07", pa.string()),
        (Decimal("7.00"), pa.decimal128(5, 2)),
        (Decimal("7"), pa.decimal128(38, 0)),
        ("7", pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_columns_that_a_number_is_taken_from(value: Any, kind: pa.DataType) -> None:
    assert one(value, kind, 3, type="integer") == "007"


def test_both_sides_of_what_64_bits_hold() -> None:
    values = [
        Decimal(10**18 - 1),
        Decimal(10**18),
        Decimal(-(10**18)),
        Decimal(2**63),
        Decimal(-(2**63)),
        Decimal(2**64),
    ]
    data = writer(21, type="num", sign="leading").details(column(values, pa.decimal128(38, 0))).data.decode()
    assert [int(data[at : at + 21]) for at in range(0, len(data), 21)] == [int(value) for value in values]


def test_overpunch_of_another_ebcdic_page_is_the_zoned_byte() -> None:
    made = writer(3, {"encoding": "cp273"}, type="num", sign="overpunch")
    data = made.details(column([120, -123], pa.int64())).data
    assert data == bytes([0xF1, 0xF2, 0xC0, 0xF1, 0xF2, 0xD3])


DATES = [
    ("2026-01-05", 8, {}, "20260105"),
    ("2024-02-29", 10, {"format": "%d.%m.%Y"}, "29.02.2024"),
    ("2026-12-31", 6, {"format": "%y%m%d"}, "261231"),
    ("2024-12-31", 7, {"format": "%Y%j"}, "2024366"),
    ("0999-01-01", 8, {}, "09990101"),
    ("2026-01-05", 9, {"format": "%%%Y%m%d"}, "%20260105"),
    (None, 8, {"null": "zeros"}, "00000000"),
    (None, 8, {"null": "spaces"}, "        "),
    ("", 8, {"null": "zeros"}, "00000000"),
]


@pytest.mark.parametrize(("value", "width", "keys", "written"), DATES)
def test_dates(value: str | None, width: int, keys: dict[str, Any], written: str) -> None:
    assert one(value, pa.string(), width, type="date", **keys) == written


def test_dates_of_arrows_own_type() -> None:
    assert one(date(2026, 1, 5), pa.date32(), 8, type="date") == "20260105"


TEXTS: list[tuple[str | None, int, dict[str, Any], str]] = [
    ("ab", 5, {}, "ab   "),
    ("ab", 5, {"justify": "right"}, "   ab"),
    ("ab", 5, {"justify": "right", "pad": "0"}, "000ab"),
    ("ab", 5, {"pad": "*"}, "ab***"),
    ("abcde", 5, {}, "abcde"),
    ("abcdefg", 5, {"truncate": True}, "abcde"),
    ("Müller", 7, {}, "Müller "),
    ("€5", 3, {}, "€5 "),
    (None, 3, {}, "   "),
    (None, 3, {"null": "zeros"}, "000"),
    (None, 3, {"pad": "*"}, "   "),
    ("", 3, {"pad": "*"}, "***"),
    ("", 3, {}, "   "),
]


@pytest.mark.parametrize(("value", "width", "keys", "written"), TEXTS)
def test_texts(value: str | None, width: int, keys: dict[str, Any], written: str) -> None:
    assert one(value, pa.string(), width, **keys) == written


def test_text_from_whole_numbers_and_dates() -> None:
    assert one(-12, pa.int64(), 5) == "-12  "
    assert one(date(2026, 1, 5), pa.date32(), 10) == "2026-01-05"


def test_debit_and_credit_letters() -> None:
    fields = [
        {"name": "amount", "start": 1, "width": 4, "from": "v", "type": "num", "scale": 2, "sign": "dc"},
        {"name": "side", "start": 5, "width": 1, "from": "v", "type": "dc"},
        {"name": "german", "start": 6, "width": 1, "from": "v", "type": "dc", "format": "SH"},
    ]
    spec = {"file": {"record_separator": "lf"}, "records": {"detail": {"length": 6, "fields": fields}}}
    made = FixedWidthWriter(FixedWidthSpec.model_validate(spec))
    values = [Decimal("1.5"), Decimal("-1.5"), Decimal("0")]
    assert made.details(column(values, MONEY)).data == b"0150DS\n0150CH\n0000DS\n"


MISFITS: list[tuple[Any, pa.DataType, int, dict[str, Any], str, str]] = [
    ("abcdef", pa.string(), 5, {}, "VALUE_TOO_WIDE", "'abcdef' is 6 long, the field has room for 5"),
    ("a\nb", pa.string(), 5, {}, "CHARACTER_NOT_ALLOWED", r"holds '\n' (U+000A), which is a control character"),
    ("a\x85b", pa.string(), 5, {}, "CHARACTER_NOT_ALLOWED", "(U+0085), which is a control character"),
    ("日本", pa.string(), 5, {}, "CHARACTER_NOT_ALLOWED", "holds '日' (U+65E5), which is not in cp1252"),
    (None, pa.string(), 5, {"null": "error"}, "VALUE_MISSING", "`v` has no value"),
    ("", pa.string(), 5, {"null": "error"}, "VALUE_MISSING", "`v` has no value"),
    (Decimal("1000"), MONEY, 5, {"type": "num", "scale": 2}, "VALUE_TOO_WIDE", "more digits than the field's 5"),
    (Decimal(10**20), MONEY, 5, {"type": "num"}, "VALUE_TOO_WIDE", "'100000000000000000000.000000' has more digits"),
    (Decimal("-100"), MONEY, 5, {"type": "num", "sign": "trailing", "scale": 2}, "VALUE_TOO_WIDE", "field's 4"),
    (Decimal("1.005"), MONEY, 5, {"type": "num", "scale": 2}, "TOO_MANY_DECIMALS", "more decimals than the field's 2"),
    (
        Decimal("9999999999999999999999.000001"),
        MONEY,
        30,
        {"type": "num", "scale": 2},
        "TOO_MANY_DECIMALS",
        "field's 2",
    ),
    (Decimal("-0.01"), MONEY, 5, {"type": "num", "scale": 2}, "NEGATIVE_NOT_ALLOWED", "'-0.010000' is negative"),
    (None, MONEY, 5, {"type": "num"}, "VALUE_MISSING", "`v` has no value"),
    ("1e3", pa.string(), 5, {"type": "num"}, "NOT_A_NUMBER", "'1e3' is no plain number"),
    ("1,5", pa.string(), 5, {"type": "num"}, "NOT_A_NUMBER", "'1,5' is no plain number"),
    ("١", pa.string(), 5, {"type": "num"}, "NOT_A_NUMBER", "is no plain number"),
    ("2026-02-29", pa.string(), 8, {"type": "date"}, "NOT_A_DATE", "'2026-02-29' is no calendar date"),
    ("20260105", pa.string(), 8, {"type": "date"}, "NOT_A_DATE", "is no calendar date"),
    ("2026-01-05T00:00:00Z", pa.string(), 8, {"type": "date"}, "NOT_A_DATE", "is no calendar date"),
    (None, pa.string(), 8, {"type": "date"}, "VALUE_MISSING", "`v` has no value"),
    (None, MONEY, 1, {"type": "dc"}, "VALUE_MISSING", "`v` has no value"),
]


@pytest.mark.parametrize(("value", "kind", "width", "keys", "code", "sentence"), MISFITS)
def test_a_value_that_does_not_fit(
    value: Any, kind: pa.DataType, width: int, keys: dict[str, Any], code: str, sentence: str
) -> None:
    good = {"type": "1", "date": "2026-01-05"}.get(keys.get("type", ""), "1")
    good_value: Any = Decimal(1) if kind == MONEY else good
    batch = column([good_value, good_value, value, value], kind)
    made = writer(width, **keys)
    misfits = made.check(batch)
    assert [(misfit.row, misfit.reason_code) for misfit in misfits] == [(2, code), (3, code)]
    assert sentence in misfits[0].message
    assert f"Record 'detail', field 'field' (position{'s 1-' if width > 1 else ' 1'}" in misfits[0].message
    with pytest.raises(ValueDoesNotFit) as caught:
        made.details(batch)
    assert isinstance(caught.value, BadRecord)
    assert (caught.value.row, caught.value.field, caught.value.reason_code) == (2, "field", code)
    assert caught.value.fix_hint
    # Nothing of the batch was written or counted.
    assert (made.records, made.details_written) == (0, 0)


def test_the_first_row_with_a_misfit_is_named_over_all_fields() -> None:
    fields = [
        {"name": "a", "start": 1, "width": 1, "from": "a"},
        {"name": "b", "start": 2, "width": 1, "from": "b", "type": "num"},
    ]
    made = FixedWidthWriter(FixedWidthSpec.model_validate({"records": {"detail": {"length": 2, "fields": fields}}}))
    batch = pa.record_batch({"a": ["x", "x", "xx"] + ["x"] * 39_997 + ["xx"], "b": ["1", "11"] + ["1"] * 39_999})
    assert [(misfit.row, misfit.field) for misfit in made.check(batch)] == [(1, "b"), (2, "a"), (40_000, "a")]
    with pytest.raises(ValueDoesNotFit) as caught:
        made.details(batch)
    assert (caught.value.row, caught.value.field) == (1, "b")


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (pa.float64(), {"type": "num"}),
        (pa.bool_(), {"type": "num"}),
        (pa.float64(), {}),
        (MONEY, {}),
        (pa.timestamp("us", "UTC"), {"type": "date"}),
        (pa.int64(), {"type": "date"}),
    ],
)
def test_columns_that_cannot_be_written_exactly_are_refused(kind: pa.DataType, keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"field 'field': `v` is of type .*Correct the field's type"):
        writer(8, **keys).details(column([None], kind))


def test_substitution_is_counted() -> None:
    file = {"on_unmappable": "substitute", "substitute": "?", "replace": {"–": "-", "ß": "ss", "€": "EUR"}}
    made = writer(8, file)
    block = made.details(column(["a–b", "Straße", "日\t日", "€1", "é", None, "plain", "a–b"]))
    assert block.data.decode("cp1252") == "a-b     Strasse ???     EUR1    é               plain   a-b     "
    assert (block.substituted, made.substituted) == (7, 7)
    assert block.truncated == 0


def test_replacements_of_plain_characters() -> None:
    made = writer(3, {"replace": {"|": "/"}})
    assert made.details(column(["a|b", "abc"])).data == b"a/babc"
    assert made.substituted == 1


@pytest.mark.parametrize(("encoding", "character"), [("cp932", "¢"), ("shift_jis", "¥")])
def test_a_similar_character_is_no_substitute(encoding: str, character: str) -> None:
    batch = column([f"a{character}"])
    assert [misfit.reason_code for misfit in writer(4, {"encoding": encoding}).check(batch)] == [
        "CHARACTER_NOT_ALLOWED"
    ]
    declared = writer(4, {"encoding": encoding, "on_unmappable": "substitute"})
    assert (declared.details(batch).data, declared.substituted) == (b"a?  ", 1)


def test_substitution_comes_before_the_width_is_looked_at() -> None:
    made = writer(3, {"replace": {"ß": "ss"}})
    assert [misfit.reason_code for misfit in made.check(column(["aß", "aßb"]))] == ["VALUE_TOO_WIDE"]


def test_truncation_is_counted() -> None:
    made = writer(3, truncate=True)
    assert made.details(column(["abcd", "abc", "äöüß", None])).data.decode("cp1252") == "abcabcäöü   "
    assert made.truncated == 2


def test_encodings_in_which_a_character_is_several_bytes_count_bytes() -> None:
    made = writer(4, {"encoding": "utf-8"}, truncate=True)
    data = made.details(column(["äöü", "äö", "aäö", "abcd", "abcde", "日本", None, "€"])).data
    assert [data[at : at + 4].decode() for at in range(0, len(data), 4)] == [
        *("äö", "äö", "aä ", "abcd", "abcd", "日 ", "    ", "€ "),
    ]
    assert made.truncated == 4
    strict = writer(4, {"encoding": "utf-8"})
    assert [(misfit.row, misfit.reason_code) for misfit in strict.check(column(["äö", "äöü", "äöü"]))] == [
        (1, "VALUE_TOO_WIDE"),
        (2, "VALUE_TOO_WIDE"),
    ]
    assert "is 6 long" in strict.check(column(["äöü"]))[0].message


def test_a_datetime_is_no_date() -> None:
    spec = {
        "records": {
            "header": {"length": 8, "fields": [{"name": "d", "start": 1, "width": 8, "from": "d", "type": "date"}]},
            "detail": {"length": 1, "fields": [{"name": "v", "start": 1, "width": 1, "from": "v"}]},
        }
    }
    made = FixedWidthWriter(FixedWidthSpec.model_validate(spec))
    for value in (datetime(2026, 1, 5), 1.5, True, Decimal("NaN")):
        with pytest.raises(ConfigurationInvalid, match="the value of `d` is a"):
            made.header({"d": value})
    with pytest.raises(ConfigurationInvalid, match=r"Record 'header' takes `d`.*Given: e\."):
        made.header({"e": 1})
    with pytest.raises(ConfigurationInvalid, match=r"Record 'header', field 'd' .* no calendar date"):
        made.header({"d": "tomorrow"})
