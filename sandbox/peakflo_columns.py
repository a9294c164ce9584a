"""The columns Peakflo's inbox takes per entity, and what it demands of a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from sandbox.currencies import DECIMALS

LOAD_ORDER = (
    "customers", "contacts", "invoices", "invoice_pdfs", "payments", "credit_notes", "taxes", "chart_of_accounts",
    "inventory",
)  # fmt: skip
"""Entities in the order they are loaded: what refers to something comes after it."""

ONE_TIME = frozenset({"taxes", "chart_of_accounts", "inventory"})
"""Entities that are uploaded once."""


@dataclass(frozen=True)
class Column:
    """One column: kind is text, date, money, number, integer, or the allowed values separated by `|`."""

    name: str
    kind: str = "text"
    required: bool = False


def _columns(text: str) -> tuple[Column, ...]:
    """`name:kind` words; a trailing `*` marks a value that must not be empty."""
    found = []
    for word in text.split():
        name, _, kind = word.removesuffix("*").partition(":")
        found.append(Column(name, kind or "text", word.endswith("*")))
    return tuple(found)


_DOCUMENT_HEADER = (
    "customerRef* issueDate:date* dueDate:date currency:currency* status:OPEN|PAID|CANCELLED* subTotal:money* "
    "totalTaxAmount:money* totalAmount:money* amountDue:money* note"
)
_DOCUMENT_LINE = (
    "lineNumber:integer itemRef description quantity:number unitAmount:number taxAmount:money lineTotal:money"
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "customers": _columns(
        "externalId* companyName* currency:currency* status:active|archived* registrationNumber taxNumber email phone "
        "line1 "
        "city postalCode country"
    ),
    "contacts": _columns("externalId* customerRef* firstName* lastName email phone position isMainContact:true|false*"),
    "invoices": _columns(f"externalId* invoiceNumber* {_DOCUMENT_HEADER} {_DOCUMENT_LINE}"),
    "credit_notes": _columns(f"externalId* creditNoteNumber* {_DOCUMENT_HEADER} {_DOCUMENT_LINE}"),
    "invoice_pdfs": _columns("externalId* invoiceNumber* fileName* bytes:integer* sha256*"),
    "payments": _columns(
        "externalId* customerRef* paymentDate:date* currency:currency* amount:money* paymentMethod reference "
        "invoiceNumber "
        "appliedAmount:money status:ACTIVE|CANCELLED*"
    ),
    "taxes": _columns("externalId* name* rate:number* category active:true|false*"),
    "chart_of_accounts": _columns("externalId* accountCode* name* accountType currency active:true|false*"),
    "inventory": _columns("externalId* name* group unitPrice:number quantityOnHand:number active:true|false*"),
}
"""Entity → the columns a file must have; `U_*` and `line.U_*` columns may follow."""

LINE_COLUMNS = frozenset(column.name for column in _columns(_DOCUMENT_LINE))
"""Columns of a document file that differ from line to line."""


@dataclass(frozen=True)
class Refusal:
    """One line of an errors file. `row` is the row in the file, the header being row 1."""

    row: int
    column: str
    code: str
    message: str


def is_custom(name: str) -> bool:
    """Whether a column carries a custom field."""
    return name.startswith(("U_", "line.U_"))


def check_value(column: Column, row: Mapping[str, str], number: int) -> Refusal | None:
    """What is wrong with a value, if anything."""
    value = row[column.name]
    if value == "":
        return Refusal(number, column.name, "MISSING_VALUE", f"{column.name} is empty.") if column.required else None
    problem = _problem(column.kind, value, row.get("currency", ""))
    if problem is None:
        return None
    code, message = problem
    return Refusal(number, column.name, code, f"{column.name} is {value!r}: {message}")


def _problem(kind: str, value: str, currency: str) -> tuple[str, str] | None:
    if kind == "text":
        return None
    if kind == "date":
        return None if _is_date(value) else ("BAD_DATE", "a date is written YYYY-MM-DD.")
    if kind == "currency":
        return None if value in DECIMALS else ("UNKNOWN_CURRENCY", "no currency of ISO 4217.")
    if kind == "integer":
        return None if re.fullmatch(r"-?\d+", value) else ("BAD_NUMBER", "a whole number is wanted.")
    if kind == "number":
        return None if as_decimal(value) is not None else ("BAD_NUMBER", "a plain decimal number is wanted.")
    if kind == "money":
        return _money_problem(value, currency)
    return None if value in kind.split("|") else ("BAD_VALUE", f"allowed are {kind.replace('|', ', ')}.")


def _money_problem(value: str, currency: str) -> tuple[str, str] | None:
    number = as_decimal(value)
    if number is None:
        return "BAD_AMOUNT", "a plain decimal number is wanted."
    decimals = DECIMALS.get(currency)
    exponent = number.as_tuple().exponent
    if decimals is not None and exponent != -decimals:
        return "BAD_AMOUNT", f"an amount in {currency} has {decimals} decimals."
    return None


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def as_decimal(value: str) -> Decimal | None:
    """A plain decimal number, without exponent, blanks or thousands separators; None when it is none."""
    if not re.fullmatch(r"-?\d+(\.\d+)?", value):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None
