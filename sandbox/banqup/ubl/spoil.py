"""Bad documents: sound ones with one thing wrong, and the rule that must find it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sandbox.banqup.ubl.layout import layout
from sandbox.banqup.ubl.model import UblDocument
from sandbox.banqup.ubl.tree import Element, write

_TOTALS = "cac:LegalMonetaryTotal"


@dataclass(frozen=True)
class Defect:
    """One thing that can be wrong with a document.

    Attributes:
        rule: Official id of the rule that must find it; `XSD` for the schema, `XML` and `XML-DTD` for the file itself.
        layer: Whose rule it is: XML, XSD, EN16931 or PEPPOL.
        also: Further rules that the same mistake breaks.
        change: What is done to the elements.
        change_bytes: What is done to the file.
        kind: The kind of document that can have it; empty: any.
    """

    rule: str
    layer: str
    also: tuple[str, ...] = ()
    change: Callable[[Element], None] | None = None
    change_bytes: Callable[[bytes], bytes] | None = None
    kind: str = ""


def spoil(document: UblDocument, defect: str) -> bytes:
    """The document as a file with one of `DEFECTS`; money defects need a sound document with VAT of category S.

    Raises:
        ValueError: There is no such defect, or this document cannot have it.
    """
    if defect not in DEFECTS:
        raise ValueError(f"Unknown defect {defect!r}; known are {', '.join(DEFECTS)}.")
    wanted = DEFECTS[defect]
    if wanted.kind not in ("", document.kind):
        raise ValueError(f"Only a document of kind {wanted.kind} can have the defect {defect}.")
    root = layout(document)
    if wanted.change is not None:
        wanted.change(root)
    data = write(root, form=document.form, indent=document.indent)
    return wanted.change_bytes(data) if wanted.change_bytes is not None else data


def _add(root: Element, path: str, amount: str) -> None:
    element = root.find(path)
    element.text = str(Decimal(element.text) + Decimal(amount))


def _total(root: Element) -> None:
    """A cent too much, payable included."""
    _add(root, f"{_TOTALS}/cbc:TaxInclusiveAmount", "0.01")
    _add(root, f"{_TOTALS}/cbc:PayableAmount", "0.01")


def _vat(root: Element) -> None:
    """The tax of one rate is five too much, and all sums follow."""
    subtotal = next(
        entry for entry in root.find_all("cac:TaxTotal/cac:TaxSubtotal")
        if entry.find("cac:TaxCategory/cbc:ID").text == "S"
    )  # fmt: skip
    _add(subtotal, "cbc:TaxAmount", "5.00")
    _add(root, "cac:TaxTotal/cbc:TaxAmount", "5.00")
    _add(root, f"{_TOTALS}/cbc:TaxInclusiveAmount", "5.00")
    _add(root, f"{_TOTALS}/cbc:PayableAmount", "5.00")


def _first_line(root: Element) -> Element:
    return next(child for child in root.children if child.name in ("cac:InvoiceLine", "cac:CreditNoteLine"))


def _line_sum(root: Element) -> None:
    """A line is a cent more than the sum of lines says."""
    _add(_first_line(root), "cbc:LineExtensionAmount", "0.01")


def _line_price(root: Element) -> None:
    """A line's price does not make its amount."""
    _add(_first_line(root), "cac:Price/cbc:PriceAmount", "10000.00")
    for discount in _first_line(root).find_all("cac:Price/cac:AllowanceCharge"):
        _add(discount, "cbc:BaseAmount", "10000.00")


def _party(root: Element, side: str) -> Element:
    return root.find(f"cac:Accounting{side}Party/cac:Party")


def _enterprise_number(root: Element) -> None:
    """The buyer's electronic address has a wrong check digit."""
    endpoint = _party(root, "Customer").find("cbc:EndpointID")
    if endpoint.attributes["schemeID"] != "0208":
        raise ValueError("The buyer of this document has no Belgian enterprise number.")
    endpoint.text = endpoint.text[:-1] + str((int(endpoint.text[-1]) + 1) % 10)


def _no_reference(root: Element) -> None:
    root.remove("cbc:BuyerReference")
    root.remove("cac:OrderReference")


def _set(path: str, text: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        root.find(path).text = text

    return change


def _empty_element(root: Element) -> None:
    root.remove("cbc:Note")
    code = "cbc:InvoiceTypeCode" if root.name == "Invoice" else "cbc:CreditNoteTypeCode"
    root.insert_after(code, Element("cbc:Note"))


def _currency(root: Element) -> None:
    """A line's price is in another currency than the document."""
    price = _first_line(root).find("cac:Price/cbc:PriceAmount")
    price.attributes["currencyID"] = "SEK"


def _order(root: Element) -> None:
    """The date of issue stands before the number."""
    names = [child.name for child in root.children]
    number, day = names.index("cbc:ID"), names.index("cbc:IssueDate")
    root.children[number], root.children[day] = root.children[day], root.children[number]


def _due_date(root: Element) -> None:
    """A credit note has none, other than an invoice."""
    root.insert_after("cbc:IssueDate", Element("cbc:DueDate", root.find("cbc:IssueDate").text))


def _before_root(data: bytes, text: bytes) -> bytes:
    start = re.search(rb"<[A-Za-z]", data)
    assert start is not None
    return data[: start.start()] + text + data[start.start() :]


def _external_entity(data: bytes) -> bytes:
    """The first text of the document is the content of another file."""
    declared = _before_root(data, b'<!DOCTYPE Invoice [<!ENTITY outside SYSTEM "file:///etc/hostname">]>\n')
    return re.sub(rb">[^<>\s][^<>]*</", b">&outside;</", declared, count=1)


DEFECTS: dict[str, Defect] = {
    "wrong_total": Defect("BR-CO-15", "EN16931", change=_total),
    "wrong_vat": Defect("BR-S-09", "EN16931", also=("BR-CO-17",), change=_vat),
    "wrong_line_sum": Defect("BR-CO-10", "EN16931", change=_line_sum),
    "bad_enterprise_number": Defect("PEPPOL-COMMON-R043", "PEPPOL", change=_enterprise_number),
    "no_buyer_endpoint": Defect(
        "PEPPOL-EN16931-R010", "PEPPOL", change=lambda root: _party(root, "Customer").remove("cbc:EndpointID")
    ),
    "no_seller_endpoint": Defect(
        "PEPPOL-EN16931-R020", "PEPPOL", change=lambda root: _party(root, "Supplier").remove("cbc:EndpointID")
    ),
    "no_reference": Defect("PEPPOL-EN16931-R003", "PEPPOL", change=_no_reference),
    "other_customization": Defect(
        "PEPPOL-EN16931-R004", "PEPPOL",
        change=_set("cbc:CustomizationID", "urn:cen.eu:en16931:2017#conformant#urn:UBL.BE:1.0.0.20180214"),
    ),
    "wrong_profile": Defect(
        "PEPPOL-EN16931-R007", "PEPPOL", change=_set("cbc:ProfileID", "urn:www.cenbii.eu:profile:bii05:ver2.0")
    ),
    "empty_element": Defect("PEPPOL-EN16931-R008", "PEPPOL", change=_empty_element),
    "wrong_line": Defect("PEPPOL-EN16931-R120", "PEPPOL", change=_line_price),
    "mixed_currencies": Defect("PEPPOL-EN16931-R051", "PEPPOL", change=_currency),
    "wrong_order": Defect("XSD", "XSD", change=_order),
    "credit_note_due_date": Defect("XSD", "XSD", change=_due_date, kind="credit_note"),
    "bad_date": Defect("XSD", "XSD", also=("PEPPOL-EN16931-F001",), change=_set("cbc:IssueDate", "2026-02-30")),
    "doctype": Defect("XML-DTD", "XML", change_bytes=lambda data: _before_root(data, b"<!DOCTYPE Invoice>\n")),
    "external_entity": Defect("XML-DTD", "XML", change_bytes=_external_entity),
    "truncated": Defect("XML", "XML", change_bytes=lambda data: data[: len(data) * 2 // 3]),
    "empty_file": Defect("XML", "XML", change_bytes=lambda data: b""),
    "not_xml": Defect("XML", "XML", change_bytes=lambda data: b"%PDF-1.4\n" + data[100:400]),
}  # fmt: skip
"""What can be wrong with a document."""
