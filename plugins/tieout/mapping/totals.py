"""Control totals of a finished file, from its own bytes: not computed by what wrote it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.csv import RFC_4180, CsvDialect, read_batches

WIDE_MONEY = pa.decimal128(38, 6)


@dataclass
class FileTotals:
    """What a file holds.

    Attributes:
        records: Records; one that has several rows counts once.
        rows: Rows without the header.
        money: Currency → the records' amounts added up; empty for files without money.
    """

    records: int = 0
    rows: int = 0
    money: dict[str, Decimal] = field(default_factory=dict)


def file_totals(
    path: Any, *, key: str, currency: str | None, amount: str | None, dialect: CsvDialect = RFC_4180
) -> FileTotals:
    """Reads a file with an independent CSV reader, a few megabytes at a time.

    The rows of a record stand together, so a record begins where the key differs from the row before; its amount is
    taken from that row.

    Args:
        path: The file; anything with `open("rb")`.
        key: Column with the record's key.
        currency: Column with the currency, None for files without money.
        amount: Column with the record's amount, None for files without money.
        dialect: How the file is written.

    Raises:
        pyarrow.ArrowInvalid: The file is not CSV, lacks one of the columns, or holds an amount that is no number.
    """
    totals = FileTotals()
    money: dict[str, Decimal] = defaultdict(Decimal)
    columns = [key, *(name for name in (currency, amount) if name)]
    last: str | None = None
    for batch in read_batches(path, dialect, columns=list(dict.fromkeys(columns))):
        if batch.num_rows == 0:
            continue
        keys = batch.column(key)
        before = pa.concat_arrays([pa.array([last], pa.string()), keys[:-1]])
        first = pc.fill_null(pc.not_equal(keys, before), True)
        last = keys[-1].as_py()
        totals.rows += batch.num_rows
        totals.records += pc.sum(first).as_py()
        if currency and amount:
            _add_money(money, batch.column(currency).filter(first), batch.column(amount).filter(first))
    totals.money = dict(sorted(money.items()))
    return totals


def _add_money(money: dict[str, Decimal], currencies: pa.Array, amounts: pa.Array) -> None:
    values = pc.if_else(pc.equal(amounts, ""), "0", amounts).cast(WIDE_MONEY)
    sums = pa.table({"currency": currencies, "amount": values}).group_by("currency").aggregate([("amount", "sum")])
    for code, total in zip(sums["currency"].to_pylist(), sums["amount_sum"].to_pylist(), strict=True):
        money[code] += total
