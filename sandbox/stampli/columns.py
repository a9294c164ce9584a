"""The columns of Stampli's export files, and what is a date or an amount among them.

Stampli publishes no grammar: files are "customer-defined templates". These are the columns of the project's default
profile, in CSV as columns and in XML as child elements of `Header` and `Line`.
"""

from __future__ import annotations

INVOICE_HEADER = (
    "stampli_invoice_id", "company_id", "invoice_number", "vendor_id", "vendor_erp_id", "vendor_name", "invoice_date",
    "due_date", "posting_date", "currency", "subtotal", "tax_amount", "total_amount", "invoice_type", "status",
    "approved_at", "approvers", "po_number", "terms", "description", "document_url",
)  # fmt: skip
INVOICE_LINE = (
    "line_number", "line_type", "gl_account", "department", "location", "class", "project", "cost_center", "quantity",
    "unit_price", "line_amount", "tax_code", "line_description",
)  # fmt: skip
VENDOR_HEADER = (
    "vendor_id", "erp_vendor_id", "name", "legal_name", "tax_id", "email", "phone", "address_line1", "address_line2",
    "city", "state", "postal_code", "country", "payment_terms", "default_gl_account", "currency", "active",
    "updated_at",
)  # fmt: skip
PAYMENT_HEADER = (
    "payment_id", "payment_date", "method", "amount", "currency", "vendor_id", "status", "reference",
)  # fmt: skip
PAYMENT_LINE = ("invoice_number", "stampli_invoice_id", "applied_amount")

HEADER_COLUMNS = {"invoices": INVOICE_HEADER, "vendors": VENDOR_HEADER, "payments": PAYMENT_HEADER}
"""Entity → columns that are the same on every row of a record."""

LINE_COLUMNS: dict[str, tuple[str, ...]] = {"invoices": INVOICE_LINE, "vendors": (), "payments": PAYMENT_LINE}
"""Entity → columns of one line."""

DATES = frozenset({"invoice_date", "due_date", "posting_date", "payment_date"})
AMOUNTS = frozenset(
    {"subtotal", "tax_amount", "total_amount", "quantity", "unit_price", "line_amount", "amount", "applied_amount"}
)
