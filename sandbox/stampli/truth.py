"""What an exported record must become in the books, worked out here once more and independently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.currencies import DECIMALS
from sandbox.stampli.books import Books
from sandbox.stampli.model import Invoice, InvoiceLine, Payment


@dataclass(frozen=True)
class ExpectedLine:
    """One line of a journal entry, in the document's currency; either `account` or `partner` is set."""

    account: str
    partner: str
    debit: Decimal
    credit: Decimal
    cost_centre: str = ""
    project: str = ""


@dataclass(frozen=True)
class ExpectedEntry:
    """The journal entry of an invoice or a payment.

    Attributes:
        key: Stampli's id of the record.
        total: The record's total as the file states it.
    """

    key: str
    partner: str
    reference: str
    reference2: str
    currency: str
    total: Decimal
    reference_date: date
    due_date: date
    tax_date: date
    lines: tuple[ExpectedLine, ...]


def at_precision(amount: Decimal, currency: str) -> Decimal:
    """The amount with the decimals of its currency, half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-DECIMALS[currency]), ROUND_HALF_UP)


def taxes_of(lines: tuple[InvoiceLine, ...], books: Books, currency: str) -> dict[str, Decimal]:
    """Tax code → tax on the sum of its lines."""
    bases: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.tax_code:
            bases[line.tax_code] += line.amount
    return {code: at_precision(base * books.tax_code(code).rate / 100, currency) for code, base in bases.items()}


def invoice_entry(invoice: Invoice, books: Books) -> ExpectedEntry:
    """Lines to the debit, tax to the debit of its account, total to the credit of the vendor; credits reversed.

    A cent between lines and total is put on the largest line. Amounts of zero are left out.
    """
    reverses = invoice.kind == "CREDIT" and invoice.total > 0
    parts = [(books.account_code(line.gl_account), line) for line in invoice.lines]
    largest = max(range(len(parts)), key=lambda index: abs(invoice.lines[index].amount))
    difference = invoice.total - invoice.subtotal - invoice.tax
    lines = []
    for index, (account, line) in enumerate(parts):
        amount = line.amount + (difference if index == largest else 0)
        lines.append(_line(-amount if reverses else amount, account, "", line.cost_centre, line.project))
    for code, tax in taxes_of(invoice.lines, books, invoice.currency).items():
        lines.append(_line(-tax if reverses else tax, books.tax_code(code).account, ""))
    lines.append(_line(invoice.total if reverses else -invoice.total, "", invoice.vendor.card_code))
    return ExpectedEntry(
        key=invoice.invoice_id, partner=invoice.vendor.card_code, reference=invoice.number,
        reference2=invoice.invoice_id, currency=invoice.currency, total=invoice.total,
        reference_date=invoice.posting_date, due_date=invoice.due_date, tax_date=invoice.invoice_date,
        lines=tuple(line for line in lines if line.debit or line.credit),
    )  # fmt: skip


def payment_entry(payment: Payment, books: Books) -> ExpectedEntry:
    """The vendor to the debit, the method's clearing account to the credit."""
    partner = payment.vendor.card_code
    lines = (_line(payment.amount, "", partner), _line(-payment.amount, books.clearing[payment.method], ""))
    return ExpectedEntry(
        key=payment.payment_id, partner=partner, reference=payment.reference or payment.payment_id,
        reference2=payment.payment_id, currency=payment.currency, total=payment.amount,
        reference_date=payment.payment_date, due_date=payment.payment_date, tax_date=payment.payment_date, lines=lines,
    )  # fmt: skip


def _line(amount: Decimal, account: str, partner: str, cost_centre: str = "", project: str = "") -> ExpectedLine:
    """A line with `amount` to the debit; a negative one to the credit."""
    return ExpectedLine(account, partner, max(amount, Decimal(0)), max(-amount, Decimal(0)), cost_centre, project)


Position = tuple[str, str, str, str]
"""Account, partner, cost centre, project."""


def balances(lines: tuple[ExpectedLine, ...]) -> dict[Position, tuple[Decimal, Decimal]]:
    """Debits and credits by account, partner, cost centre and project: what a sum sheet shows."""
    sums: dict[Position, tuple[Decimal, Decimal]] = {}
    for line in lines:
        position = (line.account, line.partner, line.cost_centre, line.project)
        debit, credit = sums.get(position, (Decimal(0), Decimal(0)))
        sums[position] = (debit + line.debit, credit + line.credit)
    return sums


def posted_lines(entry: Mapping[str, Any]) -> tuple[ExpectedLine, ...]:
    """The lines of SAP's JournalEntry in the same form: foreign amounts where a line has a foreign currency."""
    return tuple(_posted(line) for line in entry["JournalEntryLines"])


def _posted(line: Mapping[str, Any]) -> ExpectedLine:
    account, short_name = line.get("AccountCode") or "", line.get("ShortName") or ""
    is_partner = bool(short_name) and short_name != account
    prefix = "FC" if line.get("FCCurrency") else ""
    return ExpectedLine(
        account="" if is_partner else account,
        partner=short_name if is_partner else "",
        debit=_amount(line.get(f"{prefix}Debit")),
        credit=_amount(line.get(f"{prefix}Credit")),
        cost_centre=line.get("CostingCode") or "",
        project=line.get("ProjectCode") or "",
    )


def _amount(value: Any) -> Decimal:
    """A JSON number, without the noise of doubles: no currency has more than four decimals."""
    return round(Decimal(str(value or 0)), 4)


def differences(expected: ExpectedEntry, entry: Mapping[str, Any]) -> list[str]:
    """What is not as it must be in a posted journal entry, in sentences; empty when all is right."""
    found = [
        f"{expected.key}: {name} is {entry.get(name)!r}, not {wanted!r}"
        for name, wanted in (("Reference", expected.reference), ("Reference2", expected.reference2))
        if entry.get(name) != wanted
    ]
    dates = {"ReferenceDate": expected.reference_date, "DueDate": expected.due_date, "TaxDate": expected.tax_date}
    for name, day in dates.items():
        if str(entry.get(name))[:10] != day.isoformat():
            found.append(f"{expected.key}: {name} is {entry.get(name)!r}, not {day}")
    is_there, must_be = balances(posted_lines(entry)), balances(expected.lines)
    for position in sorted(is_there.keys() | must_be.keys()):
        if is_there.get(position) != must_be.get(position):
            found.append(f"{expected.key}: {position} is {is_there.get(position)}, not {must_be.get(position)}")
    return found
