"""Checks of our own where the packaged rules have a gap, and what they say of documents that are not BIS Billing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from tieout.formats.findings import Finding, Severity
from tieout.formats.ubl import places
from tieout.formats.ubl.names import EN16931, PREFIXES, SELF_BILLING, SELF_BILLING_PROFILE

_NATIONAL: Final = re.compile(r"[A-Z]{2}-[RS]-")
# Rules of BIS Billing whose values BIS Self-Billing replaces by its own.
_OF_BILLING: Final = {"PEPPOL-EN16931-R004", "PEPPOL-EN16931-R007", "PEPPOL-EN16931-P0100", "PEPPOL-EN16931-P0101"}
_SELF_BILLING_TYPES: Final = {"InvoiceTypeCode": ("389", "527"), "CreditNoteTypeCode": ("261",)}


def is_plain_en16931(root: etree._Element) -> bool:
    """Whether a document claims to keep EN 16931 and nothing more, so that it is no Peppol document."""
    return _text(root, "cbc:CustomizationID") == EN16931


def is_self_billing(root: etree._Element) -> bool:
    """Whether a document is one of Peppol BIS Self-Billing, which the buyer writes in the seller's name."""
    return _text(root, "cbc:CustomizationID").startswith(SELF_BILLING)


def not_peppol(root: etree._Element, severity: Severity) -> Finding:
    """What is said of a plain EN 16931 document."""
    element = next(iter(_find(root, "cbc:CustomizationID")), root)
    return _finding(
        "PEPPOL-EN16931-R004",
        "This is an EN 16931 document but not one of Peppol BIS Billing, so the Peppol rules were not applied.",
        element,
        severity,
    )


def tax_subtotal_currencies(root: etree._Element) -> Iterator[Finding]:
    """The VAT of a category (BT-117) has the document's currency: PEPPOL-EN16931-R051 since 3.0.19."""
    currency = _text(root, "cbc:DocumentCurrencyCode")
    for amount in _find(root, "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount"):
        if amount.get("currencyID") != currency:
            yield _finding(
                "PEPPOL-EN16931-R051",
                f"The VAT category tax amount (BT-117) is in {amount.get('currencyID') or 'no currency'}; "
                f"it must be in the document's currency, {currency or 'which is missing'}.",
                amount,
            )


def self_billing(root: etree._Element) -> Iterator[Finding]:
    """What BIS Self-Billing 3.0.3 (November 2026) asks in place of the values of BIS Billing."""
    if "::" in _text(root, "cbc:CustomizationID"):
        yield _finding(
            "PEPPOL-EN16931-R004",
            f"Specification identifier MUST have the value '{SELF_BILLING}' and follow the format rules.",
            _find(root, "cbc:CustomizationID")[0],
        )
    process = _text(root, "cbc:ProfileID")
    if process and process not in (SELF_BILLING_PROFILE, "urn:peppol:bis:billing_with_response"):
        yield _finding(
            "PEPPOL-EN16931-R007",
            f"Business process of self-billing MUST be '{SELF_BILLING_PROFILE}'.",
            _find(root, "cbc:ProfileID")[0],
        )
    for element in _find(root, "cbc:InvoiceTypeCode | cbc:CreditNoteTypeCode"):
        allowed = _SELF_BILLING_TYPES[etree.QName(element).localname]
        if (element.text or "").strip() not in allowed:
            yield _finding(
                "PEPPOL-EN16931-P0100" if len(allowed) > 1 else "PEPPOL-EN16931-P0101",
                f"The type of a self-billed document MUST be {' or '.join(allowed)}.",
                element,
            )


def counts_in_self_billing(rule: str) -> bool:
    """BIS Self-Billing has the rules of BIS Billing, but its own identifiers and types, and no national rules."""
    return rule not in _OF_BILLING and not _NATIONAL.match(rule)


def _finding(rule: str, message: str, element: etree._Element, severity: Severity = "fatal") -> Finding:
    return Finding(rule, "TIEOUT", severity, message, places.path(element), element.sourceline)


def _find(root: etree._Element, path: str) -> list[etree._Element]:
    return list(root.xpath(path, namespaces=PREFIXES))


def _text(root: etree._Element, path: str) -> str:
    return " ".join(str(root.xpath(f"string({path})", namespaces=PREFIXES)).split())
