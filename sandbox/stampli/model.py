"""What Stampli knows, as plain values: invoices, vendors, payments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True)
class Vendor:
    """A vendor of Stampli's.

    Attributes:
        vendor_id: Stampli's own id. SAP's code where Stampli took its vendors from there.
        erp_vendor_id: SAP's CardCode; empty for a vendor that SAP does not know yet.
        currency: ISO 4217, or SAP's `##` for any.
    """

    vendor_id: str
    erp_vendor_id: str
    name: str
    currency: str
    tax_id: str = ""
    email: str = ""
    phone: str = ""
    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    payment_terms: str = "Net 30"
    default_gl_account: str = ""
    active: bool = True

    @property
    def card_code(self) -> str:
        """The code the vendor has, or gets, in SAP."""
        return self.erp_vendor_id or self.vendor_id


@dataclass(frozen=True)
class InvoiceLine:
    """One G/L line. `amount` is net of tax, in the invoice's currency; a discount is negative."""

    number: int
    line_type: str
    gl_account: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    tax_code: str = ""
    cost_centre: str = ""
    project: str = ""
    department: str = ""
    location: str = ""
    description: str = ""


@dataclass(frozen=True)
class Invoice:
    """An invoice or a credit as Stampli exports it.

    Attributes:
        total: What the vendor asks for; lines plus tax, but for a difference of a cent where one was asked for.
        kind: INVOICE or CREDIT. Amounts of a credit are positive, or all negative: both are met.
        approvals: (approver, moment in UTC).
    """

    invoice_id: str
    company_id: str
    number: str
    vendor: Vendor
    invoice_date: date
    due_date: date
    posting_date: date
    currency: str
    lines: tuple[InvoiceLine, ...]
    tax: Decimal
    total: Decimal
    kind: str = "INVOICE"
    status: str = "APPROVED"
    approvals: tuple[tuple[str, str], ...] = ()
    po_number: str = ""
    terms: str = "Net 30"
    description: str = ""

    @property
    def subtotal(self) -> Decimal:
        """Sum of the lines."""
        return sum((line.amount for line in self.lines), Decimal(0))


@dataclass(frozen=True)
class Applied:
    """The part of a payment that settles one invoice."""

    invoice_number: str
    invoice_id: str
    amount: Decimal


@dataclass(frozen=True)
class Payment:
    """A payment to a vendor. `method` is ACH, CHECK, CARD or EXTERNAL."""

    payment_id: str
    payment_date: date
    method: str
    amount: Decimal
    currency: str
    vendor: Vendor
    applied: tuple[Applied, ...]
    reference: str = ""
    status: str = "PAID"
