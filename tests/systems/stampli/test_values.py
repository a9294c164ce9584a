"""Amounts, dates, flags and numbers as people write them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.systems.stampli.values import AmountReader, DateReader, FlagReader, InvalidValue, read_integer

AMOUNTS = [
    ("1234.56", "1234.56"),
    ("-1234.56", "-1234.56"),
    ("+5", "5"),
    ("5-", "-5"),
    ("5 -", "-5"),
    ("(12.30)", "-12.30"),
    ("( 12.30 )", "-12.30"),
    ("\u22125", "-5"),
    (".50", "0.50"),
    ("007.10", "7.10"),
    ("-0.00", "0.00"),
    ("0.123456", "0.123456"),
    ("999999999999999999", "999999999999999999"),
]


@pytest.mark.parametrize(("text", "amount"), AMOUNTS)
def test_amounts(text: str, amount: str) -> None:
    found = AmountReader().read(text)
    assert str(found) == amount
    assert isinstance(found, Decimal)


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "NaN",
        "Infinity",
        "1,234.56",
        "1.2.3",
        "5.",
        "-",
        "()",
        "(-5)",
        "--5",
        "-5-",
        "€5",
        "5 EUR",
        "٣",
        "0x1F",
        "1 2",
    ],
)
def test_no_amounts(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not an amount such as 1234"):
        AmountReader().read(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [("1.1234567", "more than 6 decimals"), ("1234567890123456789", "more than 18 digits")],
)
def test_amounts_that_are_too_long(text: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        AmountReader().read(text)


@pytest.mark.parametrize(
    ("mark", "separator", "text", "amount"),
    [
        (",", ".", "1.234.567,89", "1234567.89"),
        (",", ".", "1234,5", "1234.5"),
        (",", " ", "1 234,50", "1234.50"),
        (",", " ", "1\u00a0234\u202f567,50", "1234567.50"),
        (".", ",", "(1,234.50)", "-1234.50"),
        (".", "'", "1'234.50", "1234.50"),
    ],
)
def test_other_ways_of_writing(mark: str, separator: str, text: str, amount: str) -> None:
    assert AmountReader(mark, separator).read(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["1.23,45", "12.34.567", "1.234.56", "1,234.56", "1234.567,8", "1..234"])
def test_separators_stand_between_groups_of_three(text: str) -> None:
    with pytest.raises(InvalidValue):
        AmountReader(",", ".").read(text)


@given(
    st.decimals(min_value=Decimal("-1e17"), max_value=Decimal("1e17"), places=6),
    st.integers(0, 6),
    st.sampled_from([(".", ""), (".", ","), (",", "."), (",", " "), (".", "'")]),
    st.booleans(),
)
def test_any_amount_that_python_writes(value: Decimal, places: int, marks: tuple[str, str], grouped: bool) -> None:
    mark, separator = marks
    value = round(value, places) if places else Decimal(int(value))
    text = f"{value:,f}" if grouped and separator else f"{value:f}"
    text = text.translate({ord(","): separator or None, ord("."): mark})
    assert AmountReader(mark, separator).read(text) == value


@pytest.mark.parametrize(
    ("formats", "text", "day"),
    [
        (["%Y-%m-%d"], "2026-11-02", "2026-11-02"),
        (["%Y-%m-%d"], "2026-1-2", "2026-01-02"),
        (["%d.%m.%Y"], "02.11.2026", "2026-11-02"),
        (["%m/%d/%Y"], "11/2/2026", "2026-11-02"),
        (["%Y%m%d"], "20261102", "2026-11-02"),
        (["%d/%m/%y"], "02/11/26", "2026-11-02"),
        (["%Y-%m-%d", "%d.%m.%Y"], "2.11.2026", "2026-11-02"),
        (["%Y-%m-%d"], "2028-02-29", "2028-02-29"),
    ],
)
def test_dates(formats: list[str], text: str, day: str) -> None:
    assert DateReader(formats).read(text) == day


@pytest.mark.parametrize(
    "text",
    ["2026-02-30", "2026-13-01", "0026-01-01", "1899-12-31", "26-01-01", "2026-11-02T00:00:00", "2026/11/02", "x"],
)
def test_no_dates(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a date written YYYY-MM-DD"):
        DateReader(["%Y-%m-%d"]).read(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T23:59:59Z",
        "2026-11-21T00:00:00+14:00",
        "2026-11-21 23:30",
        "2026-11-21t23:30:00.123456789-0500",
        "2026-11-21",
    ],
)
def test_the_day_of_a_timestamp_is_the_one_that_is_written(text: str) -> None:
    assert DateReader(["%Y-%m-%d"]).read_timestamp(text) == "2026-11-21"


@pytest.mark.parametrize(
    "text", ["2026-11-21T25:00:00Z", "2026-11-21T", "2026-02-30T08:00:00Z", "2026-11-21T08:00:00X"]
)
def test_no_timestamps(text: str) -> None:
    with pytest.raises(InvalidValue):
        DateReader(["%Y-%m-%d"]).read_timestamp(text)


@given(
    st.dates(min_value=date(1900, 1, 1)),
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d%m%Y", "%Y.%d.%m"]),
)
def test_any_date_that_python_writes(day: date, pattern: str) -> None:
    text = day.strftime(pattern).replace(day.strftime("%Y"), f"{day.year:04d}")
    assert DateReader([pattern]).read(text) == day.isoformat()


@pytest.mark.parametrize("pattern", ["%Y-%m", "%Y-%m-%d %H", "%Y-%m-%M", "YYYY-MM-DD", "%Y-%y-%m-%d", ""])
def test_no_date_formats(pattern: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        DateReader([pattern])


@pytest.mark.parametrize("formats", [["%d/%m/%Y", "%m/%d/%Y"], ["%y-%m-%d", "%d-%m-%y"]])
def test_formats_that_read_the_same_text_differently_are_refused(formats: list[str]) -> None:
    with pytest.raises(ValueError, match="the same text as different days"):
        DateReader(formats)


def test_flags() -> None:
    flags = FlagReader(["Yes", "ja"], ["no"])
    assert [flags.read(text) for text in ("YES", "Ja", "NO")] == ["true", "true", "false"]
    with pytest.raises(InvalidValue, match="neither yes nor no"):
        flags.read("maybe")


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("0", 0)])
def test_integers(text: str, number: int) -> None:
    assert read_integer(text) == number


@pytest.mark.parametrize("text", ["-1", "1.0", "x", "1234567890", "١"])
def test_no_integers(text: str) -> None:
    with pytest.raises(InvalidValue):
        read_integer(text)
