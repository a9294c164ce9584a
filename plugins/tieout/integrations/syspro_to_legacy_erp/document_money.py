"""What documents are worth by SYSPRO's own columns: the other side of the tie-out, computed apart from the mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pyarrow as pa

from tieout.currencies import minor_units
from tieout.mapping.model import EntityMapping

CURRENCY = "Currency"
_LINES = "PorMasterDetail"
_LOCAL_CURRENCY = "${currency}"
_COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ApInvoice": {"ApInvoice": (CURRENCY, "OrigInvValue")},
    "PorMasterHdr": {"PorMasterHdr": (CURRENCY,), _LINES: ("MOrderQty", "MPrice", "MForeignPrice")},
}
"""Table of documents → tables and columns that say what a document is worth."""


def money_columns(mapping: EntityMapping, table: str) -> tuple[str, ...]:
    """The columns of a table that are needed besides the mapping's own."""
    return _COLUMNS.get(mapping.source.entity_set, {}).get(table, ()) if mapping.totals else ()


class DocumentMoney:
    """Adds up documents per currency, each rounded half up to its currency's minor units.

    An invoice is worth its OrigInvValue, in its currency. SYSPRO keeps no total of a purchase order: it is worth the
    sum of its lines, quantity times price, each line rounded. Of a line's two prices MForeignPrice is in the currency
    of a foreign order and empty or zero in others, MPrice is in the company's currency: the first that is not zero.

    Args:
        mapping: Only how it names currencies is used: SYSPRO's codes are the site's own.
        local_currency: What a blank currency stands for.
    """

    def __init__(self, mapping: EntityMapping, local_currency: str) -> None:
        amounts: dict[str, Callable[[Mapping[str, Any], int], Decimal]] = {
            "ApInvoice": _invoice_amount,
            "PorMasterHdr": _order_amount,
        }
        self._amount = amounts.get(mapping.source.entity_set) if mapping.totals else None
        self._wanted = (*money_columns(mapping, mapping.source.entity_set), _LINES)
        self._names = _currency_names(mapping, local_currency)
        self._local = local_currency
        self._totals: dict[str, Decimal] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds a batch of staged documents."""
        if self._amount is None:
            return
        columns = [name for name in self._wanted if name in batch.schema.names]
        with localcontext(prec=100):
            for record in batch.select(columns).to_pylist():
                code = record[CURRENCY] or ""
                currency = self._names.get(code, code) or self._local
                amount = self._amount(record, minor_units(currency))
                self._totals[currency] = self._totals.get(currency, Decimal(0)) + amount

    def totals(self) -> dict[str, Decimal]:
        """Currency → amount."""
        return dict(sorted(self._totals.items()))


def _currency_names(mapping: EntityMapping, local_currency: str) -> Mapping[str, str]:
    """The translation of SYSPRO's currency codes in the mapping, where it has one."""
    if mapping.totals is None:
        return {}
    column = next(column for column in mapping.columns if column.name == mapping.totals.currency)
    entries = (column.translation.entries or {}) if column.translation else {}
    return {code: local_currency if name == _LOCAL_CURRENCY else name for code, name in entries.items()}


def _invoice_amount(record: Mapping[str, Any], decimals: int) -> Decimal:
    return _rounded(record["OrigInvValue"] or Decimal(0), decimals)


def _order_amount(record: Mapping[str, Any], decimals: int) -> Decimal:
    total = Decimal(0)
    for line in record.get(_LINES) or ():
        price = line["MForeignPrice"] or line["MPrice"] or Decimal(0)
        total += _rounded((line["MOrderQty"] or Decimal(0)) * price, decimals)
    return _rounded(total, decimals)


def _rounded(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
