"""Numbers and dates as text. Money is rounded half away from zero, never by way of a float."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.currencies import minor_units
from tieout.mapping.dates import DATE_PARTS, ISO_DATE
from tieout.odata.layout import DECIMALS, MONEY

HALF_AWAY_FROM_ZERO = "half_towards_infinity"
"""Arrow's name for "ties away from zero", as in accounting: 0.125 → 0.13 and -0.125 → -0.13."""


def render_date(values: pa.Array, pattern: str) -> pa.Array:
    """Texts `YYYY-MM-DD` in another order of the same digits."""
    if pattern == ISO_DATE:
        return values
    parts = []
    for piece in re.split(r"(%.)", pattern):
        if piece in DATE_PARTS:
            start, stop = DATE_PARTS[piece]
            parts.append(pc.utf8_slice_codeunits(values, start, stop))
        elif piece:
            parts.append(pa.scalar(piece))
    text = pc.binary_join_element_wise(*parts, "")
    return pc.if_else(pc.equal(values, ""), "", text)


def round_to(values: pa.Array, decimals: int) -> pa.Array:
    """Rounds half away from zero, decimal128(28, 6) or an exact product; gives decimal128(28, 6)."""
    if decimals >= DECIMALS and values.type == MONEY:
        return values
    return pc.round(values, ndigits=decimals, round_mode=HALF_AWAY_FROM_ZERO).cast(MONEY)


def render_number(values: pa.Array) -> pa.Array:
    """Plain numbers without trailing zeros: 100, 0.5, -3.25."""
    text = values.cast(pa.string())
    return pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), ".")


def render_decimals(values: pa.Array, decimals: int) -> pa.Array:
    """Numbers that are rounded to so many decimals, with exactly these."""
    text = values.cast(pa.string())
    cut = DECIMALS - decimals + (1 if decimals == 0 else 0)
    return text if cut == 0 else pc.utf8_slice_codeunits(text, 0, -cut)


class Money:
    """The minor units of a column of currencies, worked out once per distinct currency."""

    def __init__(self, currencies: pa.Array) -> None:
        encoded = pc.dictionary_encode(currencies, null_encoding="encode")
        units = [minor_units(code or "") for code in encoded.dictionary.to_pylist()]
        self._units = np.array(units, dtype=np.int64)[encoded.indices.to_numpy()]
        self._distinct = sorted(set(units))

    def round(self, values: pa.Array) -> pa.Array:
        """Rounds each amount to its currency, half away from zero."""
        return self._by_units(values, round_to)

    def render(self, values: pa.Array) -> pa.Array:
        """Each amount, rounded to its currency, with exactly its currency's decimals."""
        return self._by_units(values, render_decimals)

    def _by_units(self, values: pa.Array, function: Callable[[pa.Array, int], pa.Array]) -> pa.Array:
        if not self._distinct:
            return function(values, 2)
        result = function(values, self._distinct[0])
        for decimals in self._distinct[1:]:
            mask = pa.array(self._units == decimals)
            result = pc.if_else(mask, function(values, decimals), result)
        return result
