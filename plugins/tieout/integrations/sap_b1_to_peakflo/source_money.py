"""What the extracted records are worth, computed from SAP's own bytes: the other side of the tie-out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from tieout.currencies import minor_units
from tieout.integrations.sap_b1_to_peakflo.plan import APPEND_ONLY
from tieout.ledger import Tally
from tieout.odata.manifest import ExtractManifest
from tieout.staging import Folder, read_parts


class _DocumentMoney(msgspec.Struct):
    """A document's own total, straight from the bytes that SAP sent."""

    DocCurrency: str | None = None
    DocTotal: Decimal | None = None
    DocTotalFc: Decimal | None = None


class _Sum(msgspec.Struct):
    CheckSum: Decimal | None = None
    CreditSum: Decimal | None = None


class _PaymentMoney(msgspec.Struct):
    """A payment's means, straight from the bytes that SAP sent."""

    DocCurrency: str | None = None
    CashSum: Decimal | None = None
    TransferSum: Decimal | None = None
    BillOfExchangeAmount: Decimal | None = None
    PaymentChecks: list[_Sum] | None = None
    PaymentCreditCards: list[_Sum] | None = None


DOCUMENTS = frozenset({"invoices", "credit_notes", "purchase_orders"})


def source_money(entity: str, folder: Folder, manifest: ExtractManifest, local_currency: str) -> dict[str, Decimal]:
    """Money of what was extracted, computed from SAP's bytes and not from the mapping's result.

    Documents have a total of their own, in every currency. Payments have none: in local currency it is the plain sum of
    their means, and in a foreign one the mapping's to work out, so only the local currency is told.
    """
    decode: Callable[[bytes], tuple[str, Decimal] | None]
    if entity in DOCUMENTS:
        documents = msgspec.json.Decoder(_DocumentMoney).decode
        decode = lambda raw: _own_total(documents(raw))  # noqa: E731
    elif entity in APPEND_ONLY:
        payments = msgspec.json.Decoder(_PaymentMoney).decode
        decode = lambda raw: _local_sum(payments(raw), local_currency)  # noqa: E731
    else:
        return {}
    tally = Tally()
    for batch in read_parts(folder, names=manifest.part_names, columns=["_raw"]):
        for found in map(decode, batch.column("_raw").to_pylist()):
            if found is not None:
                tally.add(*found)
    return tally.totals


def _local_sum(money: _PaymentMoney, local_currency: str) -> tuple[str, Decimal] | None:
    if money.DocCurrency != local_currency:
        return None
    means = [money.CashSum, money.TransferSum, money.BillOfExchangeAmount]
    means += [check.CheckSum for check in money.PaymentChecks or ()]
    means += [card.CreditSum for card in money.PaymentCreditCards or ()]
    total = sum((amount for amount in means if amount), Decimal(0))
    return local_currency, round_half_up(total, minor_units(local_currency))


def _own_total(money: _DocumentMoney) -> tuple[str, Decimal]:
    """In the document's own currency: the foreign total when there is one, rounded to the currency's units."""
    amount = money.DocTotalFc or money.DocTotal or Decimal(0)
    currency = money.DocCurrency or ""
    return currency, round_half_up(amount, minor_units(currency))


def round_half_up(amount: Decimal, decimals: int) -> Decimal:
    """Half away from zero, as SAP rounds money."""
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding="ROUND_HALF_UP")
