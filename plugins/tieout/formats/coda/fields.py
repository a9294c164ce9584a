"""Single fields of a record: amounts, dates, texts, and the account with its currency."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache

ENCODING = "cp1252"
NO_DATE = b"000000"
SIGNS = (b"0", b"1")  # credit, debit
UNWRITTEN_CURRENCY = "EUR"

# Where account and currency lie in the 37 characters of records 1 and 8, by account structure (standard, 7.5).
_ACCOUNT_PARTS = {
    "0": (slice(0, 12), slice(13, 16)),
    "1": (slice(0, 34), slice(34, 37)),
    "2": (slice(0, 31), slice(34, 37)),
    "3": (slice(0, 34), slice(34, 37)),
}


def text(field: bytes) -> str:
    """A field's characters without the blanks around them; bytes that windows-1252 lacks come as U+FFFD."""
    return field.decode(ENCODING, "replace").strip()


def money(thousandths: int) -> Decimal:
    """An amount, exactly, from twelve digits before and three after the point that is not written."""
    return Decimal(thousandths).scaleb(-3)


def signed(field: bytes) -> int | None:
    """Thousandths from a sign (0 credit, 1 debit) and fifteen digits; None when these are none."""
    sign, digits = field[:1], field[1:]
    if sign not in SIGNS or not digits.isdigit():
        return None
    return -int(digits) if sign == b"1" else int(digits)


@lru_cache(maxsize=4096)
def iso_date(field: bytes) -> str | None:
    """`YYYY-MM-DD` from `DDMMYY`; None when there is no such day. Years 69 to 99 are of the last century."""
    if not field.isdigit():
        return None
    try:
        return f"{datetime.strptime(field.decode(), '%d%m%y'):%Y-%m-%d}"
    except ValueError:
        return None


def account_and_currency(structure: str, field: bytes) -> tuple[str, str]:
    """The account's number and its currency, either empty where it is blank.

    Args:
        structure: Position 2 of record 1. Where a bank leaves it blank, an account that begins with two letters is
            read as an IBAN, and any other as a Belgian number.
        field: The 37 characters.
    """
    known = structure if structure in _ACCOUNT_PARTS else "2" if field[:2].isalpha() else "0"
    number, currency = _ACCOUNT_PARTS[known]
    return text(field[number]), text(field[currency])
