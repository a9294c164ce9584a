"""What an invoice or a payment must be in itself before anybody asks SAP about it; every problem is told.

Amounts are compared in the record's currency. Source of the rules: the project's default profile of Stampli's files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.currencies import is_currency, minor_units
from tieout.integrations.stampli_to_sap_b1.rules import InvoiceRules, PaymentRules
from tieout.mapping.held import (
    LINE_SUM_MISMATCH,
    MAPPING_MISSING,
    MISSING_VALUE,
    PAYMENT_OVER_APPLIED,
    UNKNOWN_CURRENCY,
    HeldReason,
)
from tieout.mapping.model import Owner
from tieout.systems.stampli.records import SourceRecord

AMOUNT_PRECISION = "AMOUNT_PRECISION"
MISSING_VENDOR = "MISSING_VENDOR"
NO_LINES = "NO_LINES"
UNKNOWN_INVOICE_TYPE = "UNKNOWN_INVOICE_TYPE"
UNKNOWN_STATUS = "UNKNOWN_STATUS"
WRONG_COMPANY = "WRONG_COMPANY"

ZERO = Decimal(0)
_IN_STAMPLI = "In Stampli, open the {what}, correct it and export it again."


class Findings:
    """Problems of one record. The same one on several lines becomes one sentence that names the lines."""

    def __init__(self, what: str) -> None:
        """`what` is how messages call the record, such as `Invoice INV-7`."""
        self.what = what
        self._found: dict[tuple[str, str], tuple[str, Owner, list[str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, code: str, sentence: str, fix: str, *, line: str = "", owner: Owner = "finance") -> None:
        """Notes a problem.

        Args:
            code: Its reason code.
            sentence: What is wrong, to stand behind `Invoice INV-7, line 3:`.
            fix: Where and how to repair it.
            line: The line's number, if it is a line's problem.
            owner: Who repairs it.
        """
        lines = self._found.setdefault((code, sentence), (fix, owner, []))[2]
        if line and line not in lines:
            lines.append(line)

    def reasons(self) -> tuple[HeldReason, ...]:
        """All of them, in the order in which they were found."""
        return tuple(
            HeldReason(code, f"{self.what}{_at(lines)}: {sentence}", fix, owner)
            for (code, sentence), (fix, owner, lines) in self._found.items()
        )


def _at(lines: list[str]) -> str:
    if not lines:
        return ""
    shown = ", ".join(lines[:10]) + (f" and {len(lines) - 10} more" if len(lines) > 10 else "")
    return f", line{'s' if len(lines) > 1 else ''} {shown}"


def text(values: Mapping[str, Any], name: str) -> str:
    """A value as text without blanks around it; empty when absent."""
    value = values.get(name)
    return "" if value is None else str(value).strip()


def one_of(word: str, words: Iterable[str]) -> bool:
    """Whether a status or type is in a list; upper and lower case do not count."""
    return word.casefold() in {each.strip().casefold() for each in words}


def line_name(line: Mapping[str, Any], position: int) -> str:
    """How messages call a line: its number in the file, else its place in the record."""
    return text(line, "line_number") or str(position + 1)


@dataclass(frozen=True)
class Money:
    """Currency and total of a record, as in its file."""

    currency: str
    total: Decimal


def check_company(record: SourceRecord, company_id: str | None, found: Findings) -> None:
    """WRONG_COMPANY for a record of another company than the instance's; a file that names none is taken."""
    named = text(record.header, "company_id")
    if company_id is not None and named and named != company_id:
        found.add(
            WRONG_COMPANY,
            f"it belongs to the Stampli company {named}, but this integration posts for {company_id}.",
            "Have Stampli's export for this folder set to the right company, or correct `company_id` of the instance.",
            owner="data engineer",
        )


def check_money(record: SourceRecord, total_column: str, what: str, found: Findings) -> Money | None:
    """Currency and total; None when one of them is absent or unknown."""
    currency = text(record.header, "currency").upper()
    total = require_amount(record.header, total_column, currency, what, found)
    if not currency:
        found.add(MISSING_VALUE, "the currency is missing.", _IN_STAMPLI.format(what=what))
    elif not is_currency(currency):
        found.add(UNKNOWN_CURRENCY, f"the currency {currency!r} is no code of ISO 4217.", _IN_STAMPLI.format(what=what))
    elif total is not None:
        return Money(currency, total)
    return None


def require_amount(
    values: Mapping[str, Any], column: str, currency: str, what: str, found: Findings, *, line: str = ""
) -> Decimal | None:
    """An amount that must be there, in the currency's precision."""
    value = values.get(column)
    if value is None or value == "":
        found.add(MISSING_VALUE, f"`{column}` is empty.", _IN_STAMPLI.format(what=what), line=line)
        return None
    return amount(values, column, currency, what, found, line=line)


def amount(
    values: Mapping[str, Any], column: str, currency: str, what: str, found: Findings, *, line: str = ""
) -> Decimal | None:
    """An amount in the currency's precision, zero when empty; None (and AMOUNT_PRECISION) when it has more decimals."""
    value = values.get(column)
    exact = ZERO if value is None or value == "" else Decimal(value)
    if not is_currency(currency):
        return exact
    decimals = minor_units(currency)
    rounded = round(exact, decimals)
    if rounded != exact:
        found.add(
            AMOUNT_PRECISION,
            f"`{column}` is {exact:f}, but {currency} has {decimals} decimals.",
            _IN_STAMPLI.format(what=what),
            line=line,
        )
        return None
    return rounded


def require_text(record: SourceRecord, column: str, what: str, found: Findings) -> str:
    """A text that must be there; empty (and MISSING_VALUE) when it is not."""
    value = text(record.header, column)
    if not value:
        found.add(MISSING_VALUE, f"`{column}` is empty.", _IN_STAMPLI.format(what=what))
    return value


def check_vendor(vendor_id: str, erp_id: str, what: str, found: Findings) -> None:
    """MISSING_VENDOR when a record names none."""
    if not vendor_id and not erp_id:
        found.add(MISSING_VENDOR, "it names no vendor.", f"In Stampli, give the {what} a vendor and export it again.")


@dataclass(frozen=True)
class InvoiceAmounts:
    """The amounts of an invoice, in its currency's precision.

    Attributes:
        lines: One per line, in their order.
        tax: The invoice's tax.
        rounding: What its total has beyond lines and tax; at most the tolerance.
    """

    lines: tuple[Decimal, ...]
    tax: Decimal
    rounding: Decimal


def check_amounts(record: SourceRecord, money: Money, rules: InvoiceRules, found: Findings) -> InvoiceAmounts | None:
    """Lines + tax = total, and lines = subtotal where one is given; None when an amount is absent or they differ."""
    currency, what = money.currency, "invoice"
    if not record.lines:
        found.add(NO_LINES, "it has no lines.", "In Stampli, code the invoice to G/L accounts and export it again.")
        return None
    tax = amount(record.header, "tax_amount", currency, what, found)
    read = [
        require_amount(line, "line_amount", currency, what, found, line=line_name(line, position))
        for position, line in enumerate(record.lines)
    ]
    lines = tuple(value for value in read if value is not None)
    if tax is None or len(lines) != len(read):
        return None
    rounding = money.total - sum(lines, ZERO) - tax
    good = abs(rounding) <= rules.rounding.tolerance
    if not good:
        found.add(
            LINE_SUM_MISMATCH,
            f"the lines add up to {sum(lines, ZERO):f} and with the tax of {tax:f} to {sum(lines, ZERO) + tax:f}, but "
            f"the total is {money.total:f} {currency}, a difference of {rounding:f}.",
            "In Stampli, correct the lines, the tax or the total of the invoice and export it again.",
        )
    return (
        InvoiceAmounts(lines, tax, rounding) if _subtotal_agrees(record, money, lines, rules, found) and good else None
    )


def _subtotal_agrees(
    record: SourceRecord, money: Money, lines: tuple[Decimal, ...], rules: InvoiceRules, found: Findings
) -> bool:
    if record.header.get("subtotal") in (None, ""):
        return True
    subtotal = amount(record.header, "subtotal", money.currency, "invoice", found)
    if subtotal is None:
        return False
    difference = subtotal - sum(lines, ZERO)
    if abs(difference) <= rules.rounding.tolerance:
        return True
    found.add(
        LINE_SUM_MISMATCH,
        f"the lines add up to {sum(lines, ZERO):f}, but the subtotal is {subtotal:f} {money.currency}, a difference of "
        f"{difference:f}.",
        "In Stampli, correct the lines or the subtotal of the invoice and export it again.",
    )
    return False


def is_credit(record: SourceRecord, rules: InvoiceRules, found: Findings) -> bool:
    """Whether the invoice is a credit; UNKNOWN_INVOICE_TYPE for a type that is in none of the lists."""
    kind = text(record.header, "invoice_type")
    if kind and not one_of(kind, (*rules.invoice_types, *rules.credit_types)):
        found.add(
            UNKNOWN_INVOICE_TYPE,
            f"its type is {kind!r}, and nobody has said whether that is an invoice or a credit.",
            "Add the type to `invoice_types` or `credit_types` in journal_entries.yaml.",
            owner="data engineer",
        )
    return one_of(kind, rules.credit_types)


def check_applied(record: SourceRecord, money: Money, found: Findings) -> None:
    """PAYMENT_OVER_APPLIED when the invoices of a payment get more than it is; less is a payment on account."""
    read = [
        amount(line, "applied_amount", money.currency, "payment", found, line=line_name(line, position))
        for position, line in enumerate(record.lines)
    ]
    applied = sum((value for value in read if value is not None), ZERO)
    if abs(applied) > abs(money.total):
        found.add(
            PAYMENT_OVER_APPLIED,
            f"{applied:f} {money.currency} is applied to invoices, but the payment is {money.total:f}.",
            _IN_STAMPLI.format(what="payment"),
        )


def unknown_status(status: str, rules: PaymentRules, found: Findings) -> None:
    """UNKNOWN_STATUS for a payment whose status is in none of the lists."""
    if not one_of(status, (*rules.paid, *rules.void, *rules.pending)):
        found.add(
            UNKNOWN_STATUS,
            f"its status is {status or 'empty'!r}, and nobody has said whether the money has gone.",
            "Add the status to `paid`, `void` or `pending` under `payments` in journal_entries.yaml.",
            owner="data engineer",
        )


def mapping_missing(file_name: str, column: str, value: str, line: str, found: Findings) -> None:
    """MAPPING_MISSING for a value that needs an entry in a cross-reference and has none."""
    found.add(
        MAPPING_MISSING,
        f"`{column}` {value} has no entry in {file_name}.",
        f"Add an entry for {value} to {file_name}; the record is tried again by itself.",
        line=line,
        owner="data engineer",
    )
