"""A document as UBL 2.1 elements in the order of the schema, by the rules of Peppol BIS Billing 3.0."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from decimal import Decimal

from sandbox.banqup.ubl.model import Adjustment, Line, Party, UblDocument, VatCategory, to_cents
from sandbox.banqup.ubl.tree import Element, write

CUSTOMIZATION = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
PROFILE = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"


def render(document: UblDocument) -> bytes:
    """The document as a file."""
    return write(layout(document), form=document.form, indent=document.indent)


def layout(document: UblDocument) -> Element:
    """The document as elements."""
    is_invoice = document.kind == "invoice"
    root = _group(
        "Invoice" if is_invoice else "CreditNote",
        *_head(document, is_invoice=is_invoice),
        *_references(document),
        _group("cac:AccountingSupplierParty", _party(document.seller)),
        _group("cac:AccountingCustomerParty", _party(document.buyer)),
        _delivery(document),
        _payment_means(document, is_invoice=is_invoice),
        *(_adjustment(entry, document.currency) for entry in document.adjustments),
        *_tax_totals(document),
        _monetary_total(document),
        *(_line(line, document.currency, is_invoice=is_invoice) for line in document.lines),
    )
    return root


def _text(name: str, text: str, **attributes: str) -> Element:
    return Element(name, text, attributes)


def _group(name: str, *children: Element | None) -> Element:
    return Element(name, children=[child for child in children if child is not None])


def _if(condition: object, name: str, text: str, **attributes: str) -> Element | None:
    return _text(name, text, **attributes) if condition else None


def _amount(name: str, amount: Decimal, currency: str) -> Element:
    return _text(name, f"{amount:f}", currencyID=currency)


def _head(document: UblDocument, *, is_invoice: bool) -> Iterable[Element | None]:
    type_name, type_code = ("cbc:InvoiceTypeCode", "380") if is_invoice else ("cbc:CreditNoteTypeCode", "381")
    yield _text("cbc:CustomizationID", CUSTOMIZATION)
    yield _text("cbc:ProfileID", PROFILE)
    yield _text("cbc:ID", document.number)
    yield _text("cbc:IssueDate", document.issue_date.isoformat())
    yield _if(is_invoice, "cbc:DueDate", document.due_date.isoformat())
    yield _text(type_name, type_code)
    yield _if(document.note, "cbc:Note", document.note)
    yield _text("cbc:DocumentCurrencyCode", document.currency)
    yield _if(document.tax_currency, "cbc:TaxCurrencyCode", document.tax_currency)
    yield _if(document.buyer_reference, "cbc:BuyerReference", document.buyer_reference)


def _references(document: UblDocument) -> Iterable[Element]:
    if document.order_reference:
        yield _group("cac:OrderReference", _text("cbc:ID", document.order_reference))
    for number in document.credited:
        yield _group("cac:BillingReference", _group("cac:InvoiceDocumentReference", _text("cbc:ID", number)))
    for attachment in document.attachments:
        content = _text(
            "cbc:EmbeddedDocumentBinaryObject", base64.b64encode(attachment.data).decode("ascii"),
            mimeCode=attachment.mime, filename=attachment.file_name,
        )  # fmt: skip
        yield _group(
            "cac:AdditionalDocumentReference", _text("cbc:ID", attachment.id), _group("cac:Attachment", content)
        )


def _party(party: Party) -> Element:
    address = _group(
        "cac:PostalAddress",
        _text("cbc:StreetName", party.street),
        _text("cbc:CityName", party.city),
        _text("cbc:PostalZone", party.postcode),
        _group("cac:Country", _text("cbc:IdentificationCode", party.country)),
    )
    vat = _group("cac:PartyTaxScheme", _text("cbc:CompanyID", party.vat), _vat_scheme()) if party.vat else None
    legal = _group(
        "cac:PartyLegalEntity",
        _text("cbc:RegistrationName", party.name),
        _if(party.scheme == "0208", "cbc:CompanyID", party.number, schemeID="0208"),
    )
    contact = _group("cac:Contact", _text("cbc:Name", party.contact)) if party.contact else None
    identification = _text("cbc:EndpointID", party.number, schemeID=party.scheme)
    name = _group("cac:PartyName", _text("cbc:Name", party.name))
    return _group("cac:Party", identification, name, address, vat, legal, contact)


def _vat_scheme() -> Element:
    return _group("cac:TaxScheme", _text("cbc:ID", "VAT"))


def _delivery(document: UblDocument) -> Element | None:
    if document.delivered_on is None:
        return None
    place = None
    if document.deliver_to:
        country = _group("cac:Country", _text("cbc:IdentificationCode", document.deliver_to))
        place = _group("cac:DeliveryLocation", _group("cac:Address", country))
    return _group("cac:Delivery", _text("cbc:ActualDeliveryDate", document.delivered_on.isoformat()), place)


def _payment_means(document: UblDocument, *, is_invoice: bool) -> Element | None:
    if not document.iban:
        return None
    return _group(
        "cac:PaymentMeans",
        _text("cbc:PaymentMeansCode", "30"),
        _if(not is_invoice, "cbc:PaymentDueDate", document.due_date.isoformat()),
        _if(document.payment_reference, "cbc:PaymentID", document.payment_reference),
        _group("cac:PayeeFinancialAccount", _text("cbc:ID", document.iban)),
    )


def _adjustment(entry: Adjustment, currency: str) -> Element:
    return _group(
        "cac:AllowanceCharge",
        _text("cbc:ChargeIndicator", "true" if entry.is_charge else "false"),
        _text("cbc:AllowanceChargeReason", entry.reason),
        _text("cbc:MultiplierFactorNumeric", f"{entry.percent:f}") if entry.percent is not None else None,
        _amount("cbc:Amount", entry.amount, currency),
        _amount("cbc:BaseAmount", entry.base, currency) if entry.base is not None else None,
        _category("cac:TaxCategory", entry.vat) if entry.vat is not None else None,
    )


def _category(name: str, vat: VatCategory, *, with_reason: bool = False) -> Element:
    return _group(
        name,
        _text("cbc:ID", vat.code),
        _text("cbc:Percent", f"{vat.rate:f}"),
        _if(with_reason and vat.reason_code, "cbc:TaxExemptionReasonCode", vat.reason_code),
        _if(with_reason and vat.reason, "cbc:TaxExemptionReason", vat.reason),
        _vat_scheme(),
    )


def _tax_totals(document: UblDocument) -> Iterable[Element]:
    currency = document.currency
    subtotals = [
        _group(
            "cac:TaxSubtotal",
            _amount("cbc:TaxableAmount", base, currency),
            _amount("cbc:TaxAmount", tax, currency),
            _category("cac:TaxCategory", vat, with_reason=True),
        )
        for vat, base, tax in document.vat_breakdown()
    ]
    yield _group("cac:TaxTotal", _amount("cbc:TaxAmount", document.tax, currency), *subtotals)
    if document.tax_currency:
        converted = to_cents(document.tax * document.tax_rate)
        yield _group("cac:TaxTotal", _amount("cbc:TaxAmount", converted, document.tax_currency))


def _monetary_total(document: UblDocument) -> Element:
    amounts = [
        ("cbc:LineExtensionAmount", document.line_total, True),
        ("cbc:TaxExclusiveAmount", document.tax_exclusive, True),
        ("cbc:TaxInclusiveAmount", document.tax_inclusive, True),
        ("cbc:AllowanceTotalAmount", document.adjusted(is_charge=False), False),
        ("cbc:ChargeTotalAmount", document.adjusted(is_charge=True), False),
        ("cbc:PrepaidAmount", document.prepaid, False),
        ("cbc:PayableRoundingAmount", document.rounding, False),
        ("cbc:PayableAmount", document.payable, True),
    ]
    return _group(
        "cac:LegalMonetaryTotal",
        *(_amount(name, amount, document.currency) for name, amount, always in amounts if always or amount),
    )


def _line(line: Line, currency: str, *, is_invoice: bool) -> Element:
    name, quantity = ("InvoiceLine", "InvoicedQuantity") if is_invoice else ("CreditNoteLine", "CreditedQuantity")
    item = _group(
        "cac:Item",
        _if(line.description, "cbc:Description", line.description),
        _text("cbc:Name", line.item),
        _category("cac:ClassifiedTaxCategory", line.vat),
    )
    return _group(
        f"cac:{name}",
        _text("cbc:ID", line.id),
        _text(f"cbc:{quantity}", f"{line.quantity:f}", unitCode=line.unit),
        _amount("cbc:LineExtensionAmount", line.net, currency),
        *(_adjustment(entry, currency) for entry in line.adjustments),
        item,
        _price(line, currency),
    )


def _price(line: Line, currency: str) -> Element:
    discount = None
    if line.discount is not None:
        discount = _group(
            "cac:AllowanceCharge",
            _text("cbc:ChargeIndicator", "false"),
            _amount("cbc:Amount", line.discount, currency),
            _amount("cbc:BaseAmount", line.price + line.discount, currency),
        )
    return _group(
        "cac:Price",
        _amount("cbc:PriceAmount", line.price, currency),
        _if(line.base_quantity != 1, "cbc:BaseQuantity", f"{line.base_quantity:f}", unitCode=line.unit),
        discount,
    )
