"""Synthetic Peppol documents whose totals are right whatever their lines: made from a few numbers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Literal

SAMPLES = Path(__file__).parent / "samples"
PLAIN = "urn:cen.eu:en16931:2017"
BILLING = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
SELF_BILLING = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:selfbilling:3.0"
_SCHEMA = "urn:oasis:names:specification:ubl:schema:xsd:"

Kind = Literal["Invoice", "CreditNote"]
Rate = tuple[str, str]  # VAT category and percentage


@dataclass(frozen=True)
class Line:
    """A line; its allowance is an amount taken off."""

    quantity: Decimal = Decimal("2")
    price: Decimal = Decimal("100")
    rate: Rate = ("S", "21")
    allowance: Decimal = Decimal(0)

    @property
    def net(self) -> Decimal:
        return money(self.quantity * self.price - self.allowance)


@dataclass(frozen=True)
class Party:
    """A company; Belgian by default."""

    name: str
    number: str
    scheme: str = "0208"
    country: str = "BE"
    vat: str = ""

    @property
    def vat_number(self) -> str:
        return self.vat or f"BE{self.number}"


SELLER = Party("Leverancier NV", "0479899778")
BUYER = Party("Klant BV", "0739484052")


@dataclass(frozen=True)
class Document:
    """An invoice or credit note with an optional charge and allowance on the whole, taxed at the first line's rate."""

    kind: Kind = "Invoice"
    lines: tuple[Line, ...] = (Line(), Line(Decimal(5), Decimal(10), ("S", "6")))
    allowance: Decimal = Decimal(0)
    charge: Decimal = Decimal(0)
    currency: str = "EUR"
    customization: str = BILLING
    profile: str = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
    seller: Party = SELLER
    buyer: Party = BUYER
    notes: tuple[str, ...] = ()
    means: str = "30"
    attachment: str = ""

    @property
    def line_total(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal(0))

    @property
    def without_tax(self) -> Decimal:
        return self.line_total - self.allowance + self.charge

    @property
    def taxable(self) -> dict[Rate, Decimal]:
        amounts: dict[Rate, Decimal] = defaultdict(Decimal)
        for line in self.lines:
            amounts[line.rate] += line.net
        amounts[self.lines[0].rate] += self.charge - self.allowance
        return amounts

    @property
    def tax(self) -> Decimal:
        return sum((money(amount * Decimal(rate[1]) / 100) for rate, amount in self.taxable.items()), Decimal(0))

    @property
    def with_tax(self) -> Decimal:
        return self.without_tax + self.tax


def money(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def build(document: Document) -> bytes:
    """The document in UTF-8."""
    d = document
    due = "<cbc:DueDate>2026-02-14</cbc:DueDate>" if d.kind == "Invoice" else ""
    reference = "" if d.kind == "Invoice" else _billing_reference()
    parts = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{d.kind} xmlns="{_SCHEMA}{d.kind}-2" '
        f'xmlns:cac="{_SCHEMA}CommonAggregateComponents-2" xmlns:cbc="{_SCHEMA}CommonBasicComponents-2">',
        f"<cbc:CustomizationID>{d.customization}</cbc:CustomizationID><cbc:ProfileID>{d.profile}</cbc:ProfileID>",
        f"<cbc:ID>2026-0001</cbc:ID><cbc:IssueDate>2026-01-15</cbc:IssueDate>{due}",
        f"<cbc:{d.kind}TypeCode>{'380' if d.kind == 'Invoice' else '381'}</cbc:{d.kind}TypeCode>",
        *(f"<cbc:Note>{note}</cbc:Note>" for note in d.notes),
        f"<cbc:DocumentCurrencyCode>{d.currency}</cbc:DocumentCurrencyCode>",
        f"<cbc:BuyerReference>PO-7</cbc:BuyerReference>{reference}",
        _attachment(d.attachment) if d.attachment else "",
        _party("Supplier", d.seller),
        _party("Customer", d.buyer),
        _payment(d.means) if d.means else "",
        _allowance(d, "false", d.allowance) if d.allowance else "",
        _allowance(d, "true", d.charge) if d.charge else "",
        _tax_total(d),
        _totals(d),
        *(_line(d, number, line) for number, line in enumerate(d.lines, 1)),
        f"</{d.kind}>",
    ]
    return "\n".join(part for part in parts if part).encode()


def _billing_reference() -> str:
    return (
        "<cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>2025-0099</cbc:ID>"
        "</cac:InvoiceDocumentReference></cac:BillingReference>"
    )


def _attachment(content: str) -> str:
    return (
        "<cac:AdditionalDocumentReference><cbc:ID>copy</cbc:ID><cac:Attachment><cbc:EmbeddedDocumentBinaryObject "
        f'mimeCode="application/pdf" filename="copy.pdf">{content}</cbc:EmbeddedDocumentBinaryObject>'
        "</cac:Attachment></cac:AdditionalDocumentReference>"
    )


def _party(role: str, party: Party) -> str:
    return (
        f'<cac:Accounting{role}Party><cac:Party><cbc:EndpointID schemeID="{party.scheme}">{party.number}'
        f"</cbc:EndpointID><cac:PartyName><cbc:Name>{party.name}</cbc:Name></cac:PartyName><cac:PostalAddress>"
        "<cbc:StreetName>Kerkstraat 1</cbc:StreetName><cbc:CityName>Gent</cbc:CityName>"
        f"<cbc:PostalZone>9000</cbc:PostalZone><cac:Country><cbc:IdentificationCode>{party.country}"
        "</cbc:IdentificationCode></cac:Country></cac:PostalAddress>"
        f"<cac:PartyTaxScheme><cbc:CompanyID>{party.vat_number}</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID>"
        f"</cac:TaxScheme></cac:PartyTaxScheme><cac:PartyLegalEntity><cbc:RegistrationName>{party.name}"
        f'</cbc:RegistrationName><cbc:CompanyID schemeID="{party.scheme}">{party.number}</cbc:CompanyID>'
        f"</cac:PartyLegalEntity></cac:Party></cac:Accounting{role}Party>"
    )


def _payment(means: str) -> str:
    return (
        f"<cac:PaymentMeans><cbc:PaymentMeansCode>{means}</cbc:PaymentMeansCode>"
        "<cbc:PaymentID>+++010/8068/17183+++</cbc:PaymentID><cac:PayeeFinancialAccount>"
        "<cbc:ID>BE68539007547034</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>"
    )


def _category(name: str, rate: Rate, reason: str = "") -> str:
    return (
        f"<cac:{name}><cbc:ID>{rate[0]}</cbc:ID><cbc:Percent>{rate[1]}</cbc:Percent>{reason}"
        f"<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:{name}>"
    )


def _reason(rate: Rate) -> str:
    texts = {"E": "Exempt", "AE": "Reverse charge"}
    return f"<cbc:TaxExemptionReason>{texts[rate[0]]}</cbc:TaxExemptionReason>" if rate[0] in texts else ""


def _allowance(d: Document, charge: str, amount: Decimal) -> str:
    return (
        f"<cac:AllowanceCharge><cbc:ChargeIndicator>{charge}</cbc:ChargeIndicator>"
        "<cbc:AllowanceChargeReason>Agreed</cbc:AllowanceChargeReason>"
        f'<cbc:Amount currencyID="{d.currency}">{amount}</cbc:Amount>{_category("TaxCategory", d.lines[0].rate)}'
        "</cac:AllowanceCharge>"
    )


def _tax_total(d: Document) -> str:
    subtotals = "".join(
        f'<cac:TaxSubtotal><cbc:TaxableAmount currencyID="{d.currency}">{amount}</cbc:TaxableAmount>'
        f'<cbc:TaxAmount currencyID="{d.currency}">{money(amount * Decimal(rate[1]) / 100)}</cbc:TaxAmount>'
        f"{_category('TaxCategory', rate, _reason(rate))}</cac:TaxSubtotal>"
        for rate, amount in d.taxable.items()
    )
    return f'<cac:TaxTotal><cbc:TaxAmount currencyID="{d.currency}">{d.tax}</cbc:TaxAmount>{subtotals}</cac:TaxTotal>'


def _totals(d: Document) -> str:
    amounts = {
        "LineExtensionAmount": d.line_total,
        "TaxExclusiveAmount": d.without_tax,
        "TaxInclusiveAmount": d.with_tax,
        **({"AllowanceTotalAmount": d.allowance} if d.allowance else {}),
        **({"ChargeTotalAmount": d.charge} if d.charge else {}),
        "PayableAmount": d.with_tax,
    }
    body = "".join(f'<cbc:{name} currencyID="{d.currency}">{amount}</cbc:{name}>' for name, amount in amounts.items())
    return f"<cac:LegalMonetaryTotal>{body}</cac:LegalMonetaryTotal>"


def _line(d: Document, number: int, line: Line) -> str:
    quantity = "Invoiced" if d.kind == "Invoice" else "Credited"
    allowance = (
        "<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator>"
        "<cbc:AllowanceChargeReason>Discount</cbc:AllowanceChargeReason>"
        f'<cbc:Amount currencyID="{d.currency}">{line.allowance}</cbc:Amount></cac:AllowanceCharge>'
        if line.allowance
        else ""
    )
    return (
        f'<cac:{d.kind}Line><cbc:ID>{number}</cbc:ID><cbc:{quantity}Quantity unitCode="C62">{line.quantity}'
        f'</cbc:{quantity}Quantity><cbc:LineExtensionAmount currencyID="{d.currency}">{line.net}'
        f"</cbc:LineExtensionAmount>{allowance}<cac:Item><cbc:Name>Consulting</cbc:Name>"
        f"{_category('ClassifiedTaxCategory', line.rate)}</cac:Item><cac:Price>"
        f'<cbc:PriceAmount currencyID="{d.currency}">{line.price}</cbc:PriceAmount></cac:Price></cac:{d.kind}Line>'
    )


def changed(data: bytes, old: str, new: str, times: int = 1) -> bytes:
    """The document with a text replaced, which must be there."""
    assert old.encode() in data, old
    return data.replace(old.encode(), new.encode(), times)
