"""Counts and money of one step of a run: how many records, and how much per currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

Totals = Mapping[str, Decimal]
"""Currency code to amount, exact."""

# Python's default context silently rounds to 28 digits. Sums of money must be exact or fail.
_EXACT = Context(prec=120, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])


@dataclass
class Tally:
    """How many source records, and their money per currency.

    Attributes:
        count: Source records; a document is one, however many lines it has.
        totals: Currency code to exact amount. A missing currency is zero.
    """

    count: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)

    def add(self, currency: str, amount: Decimal) -> None:
        """Add money without counting a record.

        Raises:
            TypeError: The amount is not a `Decimal`.
            ValueError: The amount is NaN or infinite.
        """
        self.totals[currency] = exact_sum(self.totals.get(currency, Decimal(0)), amount)

    def add_record(self, currency: str | None = None, amount: Decimal | None = None) -> None:
        """Count one record and, where it carries money, its amount."""
        if currency is not None and amount is not None:
            self.add(currency, amount)
        self.count += 1

    def __add__(self, other: Tally) -> Tally:
        result = Tally(self.count + other.count, dict(self.totals))
        for currency, amount in other.totals.items():
            result.add(currency, amount)
        return result

    def __sub__(self, other: Tally) -> Tally:
        return self + Tally(-other.count, {currency: amount.copy_negate() for currency, amount in other.totals.items()})

    def is_zero(self) -> bool:
        """Whether nothing is left: no record, and no money in any currency."""
        return self.count == 0 and not any(self.totals.values())

    def agrees_with(self, other: Tally) -> bool:
        """Whether counts and money are the same, where a missing currency equals a zero amount."""
        return (self - other).is_zero()


def exact_sum(left: Decimal, right: Decimal) -> Decimal:
    """Add two amounts without any rounding.

    Raises:
        TypeError: One of them is not a `Decimal`.
        ValueError: One of them is NaN or infinite.
    """
    for amount in (left, right):
        if not isinstance(amount, Decimal):
            raise TypeError(f"Money must be a Decimal, not {type(amount).__name__}: {amount!r}.")
        if not amount.is_finite():
            raise ValueError(f"{amount} is not an amount of money.")
    return _EXACT.add(left, right)


def decimal_text(amount: Decimal) -> str:
    """Write an amount as plain digits: no exponent, no negative zero, trailing zeros kept."""
    return format(amount.copy_abs() if amount == 0 else amount, "f")


def totals_text(totals: Totals) -> dict[str, str]:
    """Write totals as a JSON object: currency to decimal string, in order of currency."""
    return {currency: decimal_text(totals[currency]) for currency in sorted(totals)}
