"""Records as the text that a file carries, before it is a file: here a record can still be spoilt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sandbox.stampli.model import Invoice, Payment, Vendor
from sandbox.stampli.truth import at_precision


@dataclass(frozen=True)
class TextRecord:
    """One record.

    Attributes:
        entity: invoices, vendors or payments.
        key: Its id, also where the file does not tell it.
        header: Column → text, the same on every row of a CSV file.
        lines: Column → text per line. A header column among them overrides the header on that row of a CSV file.
        approvals: (approver, moment), in XML.
        extra_cells: So many cells too many on its last row of a CSV file; negative: too few.
    """

    entity: str
    key: str
    header: dict[str, str]
    lines: tuple[dict[str, str], ...] = ()
    approvals: tuple[tuple[str, str], ...] = ()
    extra_cells: int = 0

    def rows(self) -> Iterator[dict[str, str]]:
        """One row per line; one for a record without lines."""
        for line in self.lines or ({},):
            yield {**self.header, **line}

    def characters(self) -> str:
        """All its text, to find out which encodings can carry it."""
        return "".join(text for row in self.rows() for text in row.values())


def text_record(record: Invoice | Vendor | Payment) -> TextRecord:
    """The record as text: amounts plain with the currency's decimals, dates `YYYY-MM-DD`."""
    if isinstance(record, Invoice):
        return _invoice(record)
    return _vendor(record) if isinstance(record, Vendor) else _payment(record)


def _invoice(invoice: Invoice) -> TextRecord:
    header = {
        "stampli_invoice_id": invoice.invoice_id, "company_id": invoice.company_id, "invoice_number": invoice.number,
        "vendor_id": invoice.vendor.vendor_id, "vendor_erp_id": invoice.vendor.erp_vendor_id,
        "vendor_name": invoice.vendor.name, "invoice_date": invoice.invoice_date.isoformat(),
        "due_date": invoice.due_date.isoformat(), "posting_date": invoice.posting_date.isoformat(),
        "currency": invoice.currency, "subtotal": money(invoice.subtotal, invoice.currency),
        "tax_amount": money(invoice.tax, invoice.currency), "total_amount": money(invoice.total, invoice.currency),
        "invoice_type": invoice.kind, "status": invoice.status,
        "approved_at": invoice.approvals[-1][1] if invoice.approvals else "",
        "approvers": ";".join(person for person, _ in invoice.approvals), "po_number": invoice.po_number,
        "terms": invoice.terms, "description": invoice.description,
        "document_url": f"https://stampli.example.test/documents/{invoice.invoice_id}.pdf",
    }  # fmt: skip
    lines = tuple(
        {
            "line_number": str(line.number), "line_type": line.line_type, "gl_account": line.gl_account,
            "department": line.department, "location": line.location, "class": "", "project": line.project,
            "cost_center": line.cost_centre, "quantity": f"{line.quantity:f}", "unit_price": f"{line.unit_price:f}",
            "line_amount": money(line.amount, invoice.currency), "tax_code": line.tax_code,
            "line_description": line.description,
        }
        for line in invoice.lines
    )  # fmt: skip
    return TextRecord("invoices", invoice.invoice_id, header, lines, invoice.approvals)


def _vendor(vendor: Vendor) -> TextRecord:
    header = {
        "vendor_id": vendor.vendor_id, "erp_vendor_id": vendor.erp_vendor_id, "name": vendor.name,
        "legal_name": vendor.name, "tax_id": vendor.tax_id, "email": vendor.email, "phone": vendor.phone,
        "address_line1": vendor.street, "address_line2": "", "city": vendor.city, "state": vendor.state,
        "postal_code": vendor.postal_code, "country": vendor.country, "payment_terms": vendor.payment_terms,
        "default_gl_account": vendor.default_gl_account, "currency": vendor.currency,
        "active": "true" if vendor.active else "false", "updated_at": "2025-06-30T06:15:00Z",
    }  # fmt: skip
    return TextRecord("vendors", vendor.vendor_id, header)


def _payment(payment: Payment) -> TextRecord:
    header = {
        "payment_id": payment.payment_id, "payment_date": payment.payment_date.isoformat(), "method": payment.method,
        "amount": money(payment.amount, payment.currency), "currency": payment.currency,
        "vendor_id": payment.vendor.vendor_id, "status": payment.status, "reference": payment.reference,
    }  # fmt: skip
    lines = tuple(
        {
            "invoice_number": part.invoice_number,
            "stampli_invoice_id": part.invoice_id,
            "applied_amount": money(part.amount, payment.currency),
        }
        for part in payment.applied
    )
    return TextRecord("payments", payment.payment_id, header, lines)


def money(amount: Decimal, currency: str) -> str:
    """The amount with the decimals of its currency, without exponent."""
    return f"{at_precision(amount, currency):f}"
