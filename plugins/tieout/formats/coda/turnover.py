"""The second count of a file's money, by the banks' own totals: it shares no sum with the reader of movements."""

from __future__ import annotations

import io
from collections import defaultdict
from decimal import Decimal

from tieout.errors import BadRecord
from tieout.formats.coda.fields import UNWRITTEN_CURRENCY, account_and_currency


def trailer_turnover(data: bytes) -> dict[str, Decimal]:
    """Debit plus credit of every trailer, by the currency of the old balance before it.

    Raises:
        BadRecord: A trailer's totals are no digits, or no old balance says their currency.
    """
    sums: dict[str, Decimal] = defaultdict(Decimal)
    currency = ""
    for number, line in enumerate(io.BytesIO(data), 1):
        kind = line[:1]
        if kind == b"1":
            currency = account_and_currency(line[1:2].decode("latin-1"), line[5:42])[1] or UNWRITTEN_CURRENCY
        elif kind == b"9":
            debit, credit = line[22:37], line[37:52]
            if not (currency and len(credit) == 15 and debit.isdigit() and credit.isdigit()):
                raise BadRecord(
                    f"The totals in line {number} of the CODA file cannot be read.",
                    reason_code="CODA_TRAILER",
                    fix_hint="Ask the sender of the file for a correct one.",
                )
            sums[currency] += Decimal(int(debit) + int(credit)).scaleb(-3)
            currency = ""
    return dict(sums)
