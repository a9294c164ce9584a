"""Columns that no source sends but an integration's own steps add to the staged records, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tieout.mapping.lineage import Kind, Origin

LINES_APART = frozenset({"syspro_to_legacy_erp"})
"""Integrations whose source keeps lines in tables of their own."""

_SUPPLIER_NAME = Origin(("ApSupplier.SupplierName",), "lookup by Supplier", Kind.LOOKUP)
ORIGINS: Mapping[tuple[str, str], Mapping[str, Origin]] = MappingProxyType(
    {
        ("sap_b1_to_peakflo", "invoice_pdfs"): {
            "file_name": Origin(("Invoices.DocNum", "Invoices.DocEntry"), "join", Kind.CONVERSION),
            "bytes": Origin(("Attachments2.$value",), "size of the file", Kind.CALCULATION),
            "sha256": Origin(("Attachments2.$value",), "SHA-256 of the file", Kind.CALCULATION),
        },
        ("syspro_to_legacy_erp", "invoices"): {
            "_key": Origin(("ApInvoice.Supplier", "ApInvoice.Invoice"), "join", Kind.CONVERSION),
            "SupplierName": _SUPPLIER_NAME,
        },
        ("syspro_to_legacy_erp", "purchase_orders"): {"SupplierName": _SUPPLIER_NAME},
    }
)
"""Integration and entity → provided column → where it comes from."""
