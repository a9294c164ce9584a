"""Builds invoices and credit notes that add up to the cent, in the document's and in the local currency.

The rule every document keeps, in each currency on its own:
`total = sum of lines - discount + freight + rounding + tax`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sandbox.sap_b1.money import exchange_rate, rounded
from sandbox.sap_b1.schema import ENTITY_SETS

Record = dict[str, Any]
ZERO = Decimal(0)


@dataclass(frozen=True)
class _Kind:
    """What differs between the marketing documents."""

    memo: str
    object_code: str
    control_account: str


_KINDS = {
    "Invoices": _Kind("A/R Invoices", "oInvoices", "400000"),
    "CreditNotes": _Kind("A/R Credit Memos", "oCreditNotes", "400000"),
    "PurchaseOrders": _Kind("Purchase Orders", "oPurchaseOrders", "440000"),
}


@dataclass(frozen=True)
class Line:
    """One line to be billed; `unit_price` is in the document's currency, before the line's discount."""

    item_code: str | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    tax_code: str = "O1"
    tax_percent: Decimal = Decimal(21)
    discount_percent: Decimal = ZERO
    account_code: str = "700000"
    custom: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """Everything that decides a document's amounts and texts."""

    card_code: str | None
    card_name: str
    currency: str
    day: date
    lines: Sequence[Line]
    discount_percent: Decimal = ZERO
    freight: Decimal = ZERO
    round_total_to: Decimal | None = None
    comments: str | None = None
    customer_reference: str | None = None
    address: str | None = None
    due_days: int = 30
    custom: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Sums:
    """Amounts of a document in one currency."""

    lines: Decimal = ZERO
    discount: Decimal = ZERO
    freight: Decimal = ZERO
    tax: Decimal = ZERO
    rounding: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.lines - self.discount + self.freight + self.rounding + self.tax


def build_document(
    draft: Draft, *, entity_set: str, doc_entry: int, doc_num: int, local_currency: str, tax_property: str = "VatGroup"
) -> Record:
    """A complete record of one of `_KINDS`; dates of creation and change are the draft's day."""
    entity = ENTITY_SETS[entity_set]
    record = entity.blank()
    rate = exchange_rate(draft.currency, local_currency)
    own, local = _Sums(), _Sums()
    for number, line in enumerate(draft.lines):
        record["DocumentLines"].append(
            _line_record(
                entity.blank_member("DocumentLines"),
                line,
                number,
                doc_entry,
                draft,
                rate,
                local_currency,
                own,
                local,
                tax_property,
            )
        )
    own.discount = rounded(own.lines * draft.discount_percent / 100, draft.currency)
    local.discount = rounded(own.discount * rate, local_currency)
    if draft.freight:
        record["DocumentAdditionalExpenses"].append(
            _freight(
                entity.blank_member("DocumentAdditionalExpenses"), draft, rate, local_currency, own, local, doc_entry
            )
        )
    if draft.round_total_to is not None:
        target = (own.total / draft.round_total_to).quantize(Decimal(1)) * draft.round_total_to
        own.rounding = rounded(target - own.total, draft.currency)
        local.rounding = rounded(own.rounding * rate, local_currency)
    _fill_header(
        record, draft, entity_set, doc_entry, doc_num, rate, own, local, foreign=draft.currency != local_currency
    )
    return record


def _line_record(
    record: Record, line: Line, number: int, doc_entry: int, draft: Draft, rate: Decimal, local_currency: str,
    own: _Sums, local: _Sums, tax_property: str,
) -> Record:  # fmt: skip
    price = (line.unit_price * (1 - line.discount_percent / 100)).quantize(Decimal("0.000001"))
    row = rounded(line.quantity * price, draft.currency)
    row_local = rounded(row * rate, local_currency)
    tax = rounded(row * (1 - draft.discount_percent / 100) * line.tax_percent / 100, draft.currency)
    tax_local = rounded(tax * rate, local_currency)
    own.lines += row
    own.tax += tax
    local.lines += row_local
    local.tax += tax_local
    foreign = draft.currency != local_currency
    record.update(
        LineNum=number, VisualOrder=number, DocEntry=doc_entry, ItemCode=line.item_code,
        ItemDescription=line.description,
        Quantity=float(line.quantity), Price=float(price), UnitPrice=float(line.unit_price),
        PriceAfterVAT=float(price * (1 + line.tax_percent / 100)), Currency=draft.currency,
        Rate=float(rate) if foreign else 0.0, DiscountPercent=float(line.discount_percent),
        AccountCode=line.account_code,
        TaxPercentagePerRow=float(line.tax_percent), LineTotal=float(row_local),
        RowTotalFC=float(row) if foreign else 0.0,
        TaxTotal=float(tax_local), NetTaxAmount=float(tax_local), NetTaxAmountFC=float(tax) if foreign else 0.0,
        OpenAmount=float(row_local), OpenAmountFC=float(row) if foreign else 0.0, LineStatus="bost_Open",
        WarehouseCode="01" if line.item_code else None, MeasureUnit="pcs" if line.item_code else None, BaseType=-1,
        TaxLiable="tYES", WTLiable="tNO", DeferredTax="tNO", ShipDate=draft.day.isoformat(),
        **{tax_property: line.tax_code},
    )  # fmt: skip
    record.update(line.custom)
    return record


def _freight(
    record: Record, draft: Draft, rate: Decimal, local_currency: str, own: _Sums, local: _Sums, doc_entry: int
) -> Record:
    own.freight = rounded(draft.freight, draft.currency)
    local.freight = rounded(own.freight * rate, local_currency)
    tax = rounded(own.freight * draft.lines[0].tax_percent / 100, draft.currency)
    tax_local = rounded(tax * rate, local_currency)
    own.tax += tax
    local.tax += tax_local
    foreign = draft.currency != local_currency
    record.update(
        ExpenseCode=1, LineNum=0, Status="bost_Open", BaseDocEntry=doc_entry, LineTotal=float(local.freight),
        LineTotalFC=float(own.freight) if foreign else 0.0, TaxPercent=float(draft.lines[0].tax_percent),
        TaxSum=float(tax_local), TaxSumFC=float(tax) if foreign else 0.0, Remarks="Freight",
    )  # fmt: skip
    return record


def _fill_header(
    record: Record, draft: Draft, entity_set: str, doc_entry: int, doc_num: int, rate: Decimal, own: _Sums,
    local: _Sums,
    *, foreign: bool,
) -> None:  # fmt: skip
    day, due = draft.day.isoformat(), (draft.day + timedelta(days=draft.due_days)).isoformat()
    has_items = draft.lines[0].item_code is not None
    kind = _KINDS[entity_set]
    record.update(
        DocEntry=doc_entry, DocNum=doc_num, DocType="dDocument_Items" if has_items else "dDocument_Service",
        DocDate=day,
        DocDueDate=due, TaxDate=day, VatDate=day, CreationDate=day, UpdateDate=day, UpdateTime="09:00:00",
        DocTime="09:00:00", CardCode=draft.card_code, CardName=draft.card_name, NumAtCard=draft.customer_reference,
        Address=draft.address, DocCurrency=draft.currency, DocRate=float(rate), Comments=draft.comments,
        JournalMemo=f"{kind.memo} - {draft.card_code}", DocObjectCode=kind.object_code, HandWritten="tNO",
        Printed="psNo",
        Confirmed="tYES", PartialSupply="tYES", Rounding="tYES" if own.rounding else "tNO", Series=4,
        PaymentGroupCode=-1,
        SalesPersonCode=-1, TransportationCode=-1, UserSign=1,
        TransNum=doc_entry * 10 + (4 if entity_set == "Invoices" else 7),
        FinancialPeriod=draft.day.month, PeriodIndicator=str(draft.day.year), NumberOfInstallments=1, Cancelled="tNO",
        CancelStatus="csNo", AuthorizationStatus="dasWithout", DocumentStatus="bost_Open",
        ControlAccount=kind.control_account,
        DiscountPercent=float(draft.discount_percent), DocTotal=float(local.total), VatSum=float(local.tax),
        TotalDiscount=float(local.discount), RoundingDiffAmount=float(local.rounding), PaidToDate=0.0, PaidToDateFC=0.0,
        PaidToDateSys=0.0, DocTotalSys=float(local.total), VatSumSys=float(local.tax), WTAmount=0.0, DataVersion=1,
        DocTotalFc=float(own.total) if foreign else 0.0, VatSumFc=float(own.tax) if foreign else 0.0,
        TotalDiscountFC=float(own.discount) if foreign else 0.0,
        RoundingDiffAmountFC=float(own.rounding) if foreign else 0.0,
    )  # fmt: skip
    record["DocumentInstallments"].append(
        {
            "DueDate": due,
            "Percentage": 100.0,
            "Total": record["DocTotal"],
            "TotalFC": record["DocTotalFc"],
            "InstallmentId": 1,
        }
    )
    record.update(draft.custom)
