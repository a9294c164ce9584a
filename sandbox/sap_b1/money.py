"""Exact amounts for the generated company: Decimal inside, JSON doubles only at the very edge."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

CURRENCY_DECIMALS = {"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "SEK": 2, "JPY": 0, "KWD": 3, "XQX": 2}
"""Currencies of the generated company → decimals. XQX is no ISO 4217 code: it is planted as bad data."""

EUR_PER_UNIT = {
    "EUR": Decimal(1), "USD": Decimal("0.9215"), "GBP": Decimal("1.1702"), "CHF": Decimal("1.0481"),
    "SEK": Decimal("0.0879"), "JPY": Decimal("0.006142"), "KWD": Decimal("2.9987"), "XQX": Decimal(1),
}  # fmt: skip


def amount(value: float | None) -> Decimal:
    """A JSON double as an exact amount: its shortest decimal text, at most six decimals."""
    return round(Decimal(str(value or 0)), 6)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount at its currency's precision, half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-CURRENCY_DECIMALS[currency]), ROUND_HALF_UP)


def exchange_rate(currency: str, local_currency: str) -> Decimal:
    """Units of local currency per unit of `currency`, six decimals."""
    if currency == local_currency:
        return Decimal(1)
    return (EUR_PER_UNIT[currency] / EUR_PER_UNIT[local_currency]).quantize(Decimal("0.000001"))


def noisy(amount: float) -> float:
    """The next double up: 1234.37 becomes 1234.3700000000001, as SAP sends some amounts."""
    return math.nextafter(amount, math.inf)
