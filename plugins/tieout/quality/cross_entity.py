"""Checks that look at two entities at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def pdf_without_invoice(pdf_keys: Iterable[str], invoice_keys_ok: Collection[str]) -> list[str]:
    """Name the PDFs whose invoice does not go, or has not gone, to the receiver.

    Args:
        pdf_keys: `externalId` of each PDF about to be sent, in the manifest's order.
        invoice_keys_ok: `externalId` of the invoices in this run's file or delivered earlier. Give a set:
            membership is asked once per PDF.

    Returns:
        The keys without an invoice, in the order given, each once. Empty when every PDF may go.
    """
    missing = (key for key in pdf_keys if key not in invoice_keys_ok)
    return list(dict.fromkeys(missing))
