"""What a UBL invoice or credit note says, tolerantly: a missing thing is None, whatever the rules think of that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from lxml import etree

from tieout.formats.ubl.names import CREDIT_NOTE_ROOT, INVOICE_ROOT, PREFIXES
from tieout.formats.ubl.safe_xml import UblUnreadable, parse

Kind = Literal["invoice", "credit_note"]

_KINDS: Final[dict[str, Kind]] = {INVOICE_ROOT: "invoice", CREDIT_NOTE_ROOT: "credit_note"}
_DECIMAL: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)


@dataclass(frozen=True)
class Party:
    """A seller or buyer.

    Attributes:
        name: Trading name (BT-28, BT-45), else the registered one (BT-27, BT-44).
        endpoint_scheme: Scheme of the electronic address, such as `0208` (EAS).
        endpoint_id: Electronic address within the scheme.
        company_id: Legal registration number (BT-30, BT-47).
        vat_id: VAT number with its country prefix (BT-31, BT-48).
    """

    name: str | None = None
    endpoint_scheme: str | None = None
    endpoint_id: str | None = None
    company_id: str | None = None
    vat_id: str | None = None


@dataclass(frozen=True)
class UblFacts:
    """What is read of one document. Dates are its own texts; amounts are exact, as written, never negated.

    Attributes:
        kind: Which of the two documents it is.
        customization: CustomizationID (BT-24), which says what rules it claims to keep.
        profile: ProfileID (BT-23).
        number: Its number (BT-1).
        type_code: UNTDID 1001 code (BT-3), such as 380 or 381.
        issue_date: `YYYY-MM-DD` (BT-2).
        due_date: `YYYY-MM-DD` (BT-9); a credit note has it among its means of payment.
        currency: Document currency (BT-5).
        payable_amount: What is left to pay (BT-115).
        tax_inclusive: Total with VAT (BT-112).
        tax_exclusive: Total without VAT (BT-109).
        tax_amount: VAT in the document's currency (BT-110).
        seller: Who sells.
        buyer: Who buys.
        payment_reference: Remittance information (BT-83), such as a Belgian `+++010/8068/17183+++`.
        lines: Number of lines.
        attachments: Number of embedded files.
        invoice_references: Numbers of preceding invoices (BT-25).
    """

    kind: Kind
    customization: str | None
    profile: str | None
    number: str | None
    type_code: str | None
    issue_date: str | None
    due_date: str | None
    currency: str | None
    payable_amount: Decimal | None
    tax_inclusive: Decimal | None
    tax_exclusive: Decimal | None
    tax_amount: Decimal | None
    seller: Party
    buyer: Party
    payment_reference: str | None
    lines: int
    attachments: int
    invoice_references: tuple[str, ...]


def read_facts(data: bytes) -> UblFacts:
    """Read a document's facts.

    Raises:
        UblUnreadable: Not XML that may be read, or neither an invoice nor a credit note.
    """
    root = parse(data)
    kind = kind_of(root)
    currency = _text(root, "cbc:DocumentCurrencyCode")
    return UblFacts(
        kind=kind,
        customization=_text(root, "cbc:CustomizationID"),
        profile=_text(root, "cbc:ProfileID"),
        number=_text(root, "cbc:ID"),
        type_code=_text(root, "cbc:InvoiceTypeCode | cbc:CreditNoteTypeCode"),
        issue_date=_text(root, "cbc:IssueDate"),
        due_date=_text(root, "cbc:DueDate") or _text(root, "cac:PaymentMeans/cbc:PaymentDueDate"),
        currency=currency,
        payable_amount=_amount(root, "cac:LegalMonetaryTotal/cbc:PayableAmount"),
        tax_inclusive=_amount(root, "cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount"),
        tax_exclusive=_amount(root, "cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount"),
        tax_amount=_tax_amount(root, currency),
        seller=_party(root, "cac:AccountingSupplierParty"),
        buyer=_party(root, "cac:AccountingCustomerParty"),
        payment_reference=_text(root, "cac:PaymentMeans/cbc:PaymentID"),
        lines=len(_find(root, "cac:InvoiceLine | cac:CreditNoteLine")),
        attachments=len(_find(root, "cac:AdditionalDocumentReference/cac:Attachment/cbc:EmbeddedDocumentBinaryObject")),
        invoice_references=_texts(root, "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"),
    )


def kind_of(root: etree._Element) -> Kind:
    """Invoice or credit note.

    Raises:
        UblUnreadable: Neither.
    """
    kind = _KINDS.get(str(root.tag))
    if kind is None:
        raise UblUnreadable(
            f"The root element is {root.tag}, which is neither a UBL 2.1 Invoice nor a CreditNote.",
            root.sourceline,
            "XSD",
        )
    return kind


def _party(root: etree._Element, role: str) -> Party:
    party = f"{role}/cac:Party"
    endpoints = _find(root, f"{party}/cbc:EndpointID")
    name = _text(root, f"{party}/cac:PartyName/cbc:Name")
    return Party(
        name=name or _text(root, f"{party}/cac:PartyLegalEntity/cbc:RegistrationName"),
        endpoint_scheme=_stripped(endpoints[0].get("schemeID")) if endpoints else None,
        endpoint_id=_text(root, f"{party}/cbc:EndpointID"),
        company_id=_text(root, f"{party}/cac:PartyLegalEntity/cbc:CompanyID"),
        vat_id=_text(root, f"{party}/cac:PartyTaxScheme[normalize-space(cac:TaxScheme/cbc:ID) = 'VAT']/cbc:CompanyID"),
    )


def _tax_amount(root: etree._Element, currency: str | None) -> Decimal | None:
    """A document with an accounting currency has two tax totals; the one in its own currency counts."""
    amounts = _find(root, "cac:TaxTotal/cbc:TaxAmount")
    own = [amount for amount in amounts if _stripped(amount.get("currencyID")) == currency]
    return _decimal((own or amounts or [None])[0])


def _amount(root: etree._Element, path: str) -> Decimal | None:
    return _decimal(next(iter(_find(root, path)), None))


def _decimal(element: etree._Element | None) -> Decimal | None:
    text = _content(element) if element is not None else None
    return Decimal(text) if text and _DECIMAL.fullmatch(text) else None


def _text(root: etree._Element, path: str) -> str | None:
    """The first text that is not empty."""
    return next(iter(_texts(root, path)), None)


def _texts(root: etree._Element, path: str) -> tuple[str, ...]:
    return tuple(text for element in _find(root, path) if (text := _content(element)))


def _find(root: etree._Element, path: str) -> list[etree._Element]:
    return list(root.xpath(path, namespaces=PREFIXES))


def _content(element: etree._Element) -> str | None:
    """Its text, also around comments in it."""
    return _stripped("".join(element.xpath("text()")))


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None
