from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.ledger import Tally, decimal_text, totals_text

amounts = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**22), max_value=10**22)
tallies = st.builds(
    Tally, st.integers(0, 10**9), st.dictionaries(st.sampled_from(["EUR", "USD", "JPY", "KWD"]), amounts)
)


@given(tallies, tallies, tallies)
def test_sums_are_the_same_in_any_order(first: Tally, second: Tally, third: Tally) -> None:
    assert ((first + second) + third).agrees_with(first + (second + third))
    assert (first + second).agrees_with(second + first)


@given(st.lists(tallies, max_size=6))
def test_sums_equal_those_of_fractions(parts: list[Tally]) -> None:
    total = Tally()
    for part in parts:
        total = total + part
    assert total.count == sum(part.count for part in parts)
    for currency in ("EUR", "USD", "JPY", "KWD"):
        expected = sum((Fraction(part.totals.get(currency, Decimal(0))) for part in parts), Fraction(0))
        assert Fraction(total.totals.get(currency, Decimal(0))) == expected


@given(tallies, tallies)
def test_what_was_added_can_be_taken_away(first: Tally, second: Tally) -> None:
    assert ((first + second) - second).agrees_with(first)
    assert (first - first).is_zero()


@given(tallies, st.sampled_from(["EUR", "XXX"]), amounts.filter(bool))
def test_the_smallest_difference_is_seen(tally: Tally, currency: str, amount: Decimal) -> None:
    other = tally + Tally(0, {currency: Decimal("0.000001").copy_sign(amount)})
    assert not tally.agrees_with(other)


@given(tallies)
def test_adding_leaves_the_terms_alone(tally: Tally) -> None:
    before = Tally(tally.count, dict(tally.totals))
    _ = tally + tally
    assert tally == before


@given(amounts)
def test_text_reads_back_as_the_same_amount(amount: Decimal) -> None:
    text = decimal_text(amount)
    assert Decimal(text) == amount
    assert set(text) <= set("-0123456789.")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1E+3", "1000"), ("-0.00", "0.00"), ("1234.50", "1234.50"), ("-1E-6", "-0.000001")],
)
def test_amounts_are_plain_digits(amount: str, text: str) -> None:
    assert decimal_text(Decimal(amount)) == text


def test_sums_beyond_28_digits_stay_exact() -> None:
    tally = Tally(1, {"IDR": Decimal("9999999999999999999999.999999")})
    tally.add("IDR", Decimal("9999999999999999999999.000001"))
    assert tally.totals["IDR"] == Decimal("19999999999999999999999.000000")
    assert str(tally.totals["IDR"]) == "19999999999999999999999.000000"


@pytest.mark.parametrize("amount", [1.5, 1, "1.50", True])
def test_only_decimals_are_money(amount: object) -> None:
    with pytest.raises(TypeError, match="must be a Decimal"):
        Tally().add("EUR", amount)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "sNaN"])
def test_what_is_no_number_is_no_money(amount: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        Tally().add_record("EUR", Decimal(amount))


def test_a_refused_amount_counts_no_record() -> None:
    tally = Tally()
    with pytest.raises(ValueError, match="not an amount"):
        tally.add_record("EUR", Decimal("NaN"))
    assert tally == Tally()


def test_totals_come_in_order_of_currency() -> None:
    assert list(totals_text({"USD": Decimal("1"), "EUR": Decimal("2.50")}).items()) == [("EUR", "2.50"), ("USD", "1")]
