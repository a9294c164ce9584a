"""What a payment is worth and how much of it goes to which invoice, in the payment's own currency.

SAP Business One's payments have no total. There are sums per means of payment in the header, and
applied amounts per paid document in `PaymentInvoices`, both in local currency (`SumApplied`) and in the payment's
(`AppliedFC`).
The rules, in order:

1. A payment is foreign when its currency is not the company's local one and any `AppliedFC` or `CashSumFC` is not zero.
   Else everything is taken as it stands: a payment in local currency may well pay a foreign invoice, and then its
   `AppliedFC` is the invoice's money and not its own.
2. Applied amounts of a foreign payment are its `AppliedFC`; its cash is `CashSumFC`.
3. The other header sums (transfer, checks, cards, bill of exchange) have no foreign twin. They are taken in the
   payment's own currency, unless the applied amounts contradict that. They do when the header then pays less than was
   applied, or when the header in local terms is exactly the local applied amount and that differs from the foreign.
4. Where the header is local: a payment that is applied in full is worth the sum of its `AppliedFC`; any other is worth
   its local sum divided by `DocRate`.
5. Parts applied to invoices make a row each. All else (on account, credit notes, journal entries, down payments) is one
   row without invoice, so that the rows always add up to the payment.
6. A payment that applies more than it is worth is held. Applied credit notes count against that, whatever their sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa

from tieout.currencies import minor_units
from tieout.mapping.frame import MapContext
from tieout.mapping.held import PAYMENT_AMOUNT_UNCLEAR, PAYMENT_OVER_APPLIED, HeldBook, HeldReason
from tieout.odata.layout import KEY, MONEY

INVOICE = "it_invoice"
CREDIT_NOTE = "it_creditnote"  # SAP spells it it_CredItnote
ALLOCATIONS = pa.list_(pa.struct([("invoice", pa.int64()), ("applied", MONEY)]))
ZERO = Decimal(0)

FIX_HINT = "In SAP Business One, open Incoming Payments and compare the means of payment with the applied amounts."
RATE_HINT = "In SAP Business One, open Incoming Payments and check the payment's exchange rate."


@dataclass(frozen=True)
class Payment:
    """A payment in its own currency, rounded to that currency.

    Attributes:
        amount: What it is worth.
        method: BANK_TRANSFER, CASH, CHECK, CREDIT_CARD, BILL_OF_EXCHANGE, MIXED, or empty without any means.
        allocations: Invoice (DocEntry) and applied amount; the last one has no invoice where something remains.
        problem: Why it cannot be sent, if it cannot.
    """

    amount: Decimal
    method: str
    allocations: tuple[tuple[int | None, Decimal], ...]
    problem: HeldReason | None = None


@dataclass(frozen=True)
class Means:
    """How much was paid by each means, as the header says; cash once in local and once in foreign terms."""

    cash_local: Decimal
    cash_foreign: Decimal
    transfer: Decimal
    checks: Decimal
    cards: Decimal
    bill_of_exchange: Decimal

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Means:
        """Reads them from a staged record."""
        return cls(
            cash_local=_amount(record, "CashSum"),
            cash_foreign=_amount(record, "CashSumFC"),
            transfer=_amount(record, "TransferSum"),
            checks=sum((_amount(check, "CheckSum") for check in _elements(record, "PaymentChecks")), ZERO),
            cards=sum((_amount(card, "CreditSum") for card in _elements(record, "PaymentCreditCards")), ZERO),
            bill_of_exchange=_amount(record, "BillOfExchangeAmount"),
        )

    @property
    def without_cash(self) -> Decimal:
        """All means that have one amount only."""
        return self.transfer + self.checks + self.cards + self.bill_of_exchange

    @property
    def method(self) -> str:
        """The name of the only means used, or MIXED."""
        used = {
            "CASH": self.cash_local or self.cash_foreign,
            "BANK_TRANSFER": self.transfer,
            "CHECK": self.checks,
            "CREDIT_CARD": self.cards,
            "BILL_OF_EXCHANGE": self.bill_of_exchange,
        }
        names = [name for name, amount in used.items() if amount]
        return names[0] if len(names) == 1 else "MIXED" if names else ""


def allocate(batch: pa.Table, held: HeldBook, context: MapContext) -> pa.Table:
    """Adds `payment_amount`, `payment_method` and `allocations` to a batch of staged payments.

    Args:
        batch: Staged incoming payments.
        held: Gets the payments that apply too much or whose amount is unclear.
        context: Its setting `local_currency` is the company's own currency.
    """
    wanted = [name for name in (KEY, *_PROPERTIES) if name in batch.schema.names]
    local = context.settings.get("local_currency")
    payments = [work_out(record, local) for record in batch.select(wanted).to_pylist()]
    for position, payment in enumerate(payments):
        if payment.problem:
            held.add(position, payment.problem)
    rows = [[{"invoice": invoice, "applied": part} for invoice, part in payment.allocations] for payment in payments]
    batch = batch.append_column("payment_amount", pa.array([payment.amount for payment in payments], MONEY))
    batch = batch.append_column("payment_method", pa.array([payment.method for payment in payments], pa.string()))
    return batch.append_column("allocations", pa.array(rows, ALLOCATIONS))


def work_out(record: Mapping[str, Any], local_currency: str | None = None) -> Payment:
    """One payment's amount and allocations, by the rules at the top of this module."""
    means = Means.of(record)
    applied = _elements(record, "PaymentInvoices")
    has_foreign_money = means.cash_foreign != 0 or any(_amount(part, "AppliedFC") for part in applied)
    foreign = has_foreign_money and record.get("DocCurrency") != local_currency
    decimals = minor_units(record.get("DocCurrency") or "")

    if not foreign:
        amount: Decimal | None = means.cash_local + means.without_cash
        applied_amount = "SumApplied"
    else:
        amount = _foreign_amount(means, applied, _amount(record, "DocRate"))
        applied_amount = "AppliedFC"

    if amount is None:
        problem = HeldReason(
            PAYMENT_AMOUNT_UNCLEAR,
            f"payment {record.get(KEY)} is in {record.get('DocCurrency')}, its means of payment are in local currency, "
            "and it has no exchange rate, so its amount in its own currency is not known.",
            RATE_HINT,
        )
        return Payment(ZERO, means.method, ((None, ZERO),), problem)

    amount = _round(amount, decimals)
    by_invoice = _by_invoice(applied, applied_amount, decimals)
    remainder = amount - sum(by_invoice.values(), ZERO)
    allocations: list[tuple[int | None, Decimal]] = list(by_invoice.items())
    if remainder != 0 or not allocations:
        allocations.append((None, remainder))

    applied_in_all = _round(_applied(applied, applied_amount), decimals)
    return Payment(amount, means.method, tuple(allocations), _over_applied(record, amount, applied_in_all))


def _foreign_amount(means: Means, applied: Sequence[Mapping[str, Any]], rate: Decimal) -> Decimal | None:
    """What a foreign payment is worth in its own currency; None when only a missing exchange rate could tell."""
    applied_foreign = _applied(applied, "AppliedFC")
    applied_local = _applied(applied, "SumApplied")
    total_if_foreign = means.cash_foreign + means.without_cash
    total_if_local = means.cash_local + means.without_cash

    pays_too_little = total_if_foreign < applied_foreign
    is_exactly_the_local_sum = total_if_local == applied_local != applied_foreign
    # Cash alone has both amounts, so nothing is left to be guessed.
    only_cash = means.without_cash == 0 and means.cash_foreign != 0
    if only_cash or not (pays_too_little or is_exactly_the_local_sum):
        return total_if_foreign

    applied_in_full = total_if_local == applied_local
    if applied_in_full:
        return applied_foreign
    if rate <= 0:
        return None
    return total_if_local / rate


def _by_invoice(applied: Sequence[Mapping[str, Any]], name: str, decimals: int) -> dict[int | None, Decimal]:
    """What goes to each invoice; the instalments of one invoice are one amount."""
    amounts: dict[int | None, Decimal] = {}
    for part in applied:
        if _kind(part) == INVOICE:
            invoice = part.get("DocEntry")
            amounts[invoice] = amounts.get(invoice, ZERO) + _amount(part, name)
    return {invoice: _round(amount, decimals) for invoice, amount in amounts.items()}


def _applied(applied: Sequence[Mapping[str, Any]], name: str) -> Decimal:
    """What is applied in all. A credit note lowers what has to be paid, whichever sign a build gives it."""
    total = ZERO
    for part in applied:
        amount = _amount(part, name)
        total += -abs(amount) if _kind(part) == CREDIT_NOTE else amount
    return total


def _over_applied(record: Mapping[str, Any], amount: Decimal, applied: Decimal) -> HeldReason | None:
    if applied <= amount:
        return None
    message = (
        f"payment {record.get(KEY)} applies {applied:f} {record.get('DocCurrency') or ''}".rstrip()
        + f" to documents, but is worth only {amount:f}."
    )
    return HeldReason(PAYMENT_OVER_APPLIED, message, FIX_HINT)


def _kind(part: Mapping[str, Any]) -> str:
    """The type of the paid document; an invoice is SAP's default."""
    return str(part.get("InvoiceType") or INVOICE).lower()


def _elements(record: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [element for element in record.get(name) or [] if element is not None]


def _amount(record: Mapping[str, Any], name: str) -> Decimal:
    return record.get(name) or ZERO


def _round(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


_PROPERTIES = (
    "DocCurrency",
    "DocRate",
    "CashSum",
    "CashSumFC",
    "TransferSum",
    "BillOfExchangeAmount",
    "PaymentChecks",
    "PaymentCreditCards",
    "PaymentInvoices",
)
"""What the rules read; all other staged columns stay untouched."""
