"""Amounts as whole numbers of millionths, so that a million of them fit into one array and add up exactly."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from sandbox.currencies import DECIMALS

SCALE = 1_000_000
_PLACES = 6
_CENT = Decimal("0.01")


def millionths(text: str, mark: str = ".") -> int | None:
    """A plain decimal as millionths; None when it is none, or has over 12 digits before or 6 after the decimal mark."""
    negative = text[:1] == "-"
    whole, point, fraction = text[negative:].partition(mark)
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or len(whole) > 12 or len(fraction) > _PLACES:
        return None
    if point and not fraction:
        return None
    value = int(whole or "0") * SCALE + int(fraction.ljust(_PLACES, "0"))
    return -value if negative else value


def amount(value: int) -> Decimal:
    """Millionths as a decimal with two places, or with as many as it needs."""
    exact = Decimal(value).scaleb(-_PLACES)
    rounded = exact.quantize(_CENT)
    return rounded if rounded == exact else exact.normalize()


def exact_sum(values: np.ndarray) -> int:
    """The sum of an int64 array, also where it does not fit into 64 bits."""
    return int((values // SCALE).sum()) * SCALE + int((values % SCALE).sum())


def sums_by(codes: np.ndarray, values: np.ndarray, size: int) -> list[int]:
    """Per code from 0 to size - 1, the exact sum of its values."""
    whole, rest = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    np.add.at(whole, codes, values // SCALE)
    np.add.at(rest, codes, values % SCALE)
    return [int(high) * SCALE + int(low) for high, low in zip(whole, rest, strict=True)]


def to_minor_units(value: Decimal, currency: str) -> Decimal:
    """Rounded half up to the currency's decimals; two for a code that ISO 4217 does not know."""
    return value.quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)), ROUND_HALF_UP)
