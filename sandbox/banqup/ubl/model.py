"""What an invoice or credit note says, and its sums as EN 16931 works them out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
NOTHING = Decimal("0.00")


def to_cents(amount: Decimal) -> Decimal:
    """Two decimals, half away from zero."""
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Party:
    """A seller or a buyer.

    Attributes:
        number: What it is registered under: the enterprise number of a Belgian one.
        vat: VAT number with its country; empty when it has none.
        scheme: EAS code of `number` as an electronic address; 0208 is the Belgian enterprise number.
    """

    name: str
    number: str
    vat: str
    street: str = "Kerkstraat 1"
    city: str = "Gent"
    postcode: str = "9000"
    country: str = "BE"
    scheme: str = "0208"
    contact: str = ""


@dataclass(frozen=True)
class VatCategory:
    """A VAT category with its rate in percent; `code` is S, Z, E, AE, K or G."""

    code: str
    rate: Decimal
    reason: str = ""
    reason_code: str = ""


@dataclass(frozen=True)
class Adjustment:
    """An allowance, or a charge; with `percent` of `base` where it came from a rate."""

    is_charge: bool
    amount: Decimal
    reason: str
    vat: VatCategory | None = None
    base: Decimal | None = None
    percent: Decimal | None = None

    @property
    def effect(self) -> Decimal:
        """What it adds to the sum; an allowance is negative."""
        return self.amount if self.is_charge else -self.amount


@dataclass(frozen=True)
class Line:
    """One line; `price` is for `base_quantity` of the unit, after `discount` from the gross price."""

    id: str
    item: str
    quantity: Decimal
    price: Decimal
    vat: VatCategory
    unit: str = "C62"
    base_quantity: Decimal = Decimal(1)
    discount: Decimal | None = None
    adjustments: tuple[Adjustment, ...] = ()
    description: str = ""

    @property
    def net(self) -> Decimal:
        """BT-131: quantity by price, with charges, less allowances."""
        gross = self.quantity * self.price / self.base_quantity
        return to_cents(gross + sum((entry.effect for entry in self.adjustments), NOTHING))


@dataclass(frozen=True)
class Attachment:
    """A file inside the document."""

    id: str
    file_name: str
    data: bytes
    mime: str = "application/pdf"


@dataclass(frozen=True)
class UblDocument:
    """An invoice, or a credit note (`kind` is `invoice` or `credit_note`).

    Attributes:
        tax_currency: Currency of the VAT books, where it is another; `tax_rate` turns the document's into it.
        form: How namespaces are written; see `sandbox.banqup.ubl.tree.FORMS`.
    """

    kind: str
    number: str
    issue_date: date
    due_date: date
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    currency: str = "EUR"
    tax_currency: str = ""
    tax_rate: Decimal = Decimal(1)
    adjustments: tuple[Adjustment, ...] = ()
    buyer_reference: str = ""
    order_reference: str = ""
    credited: tuple[str, ...] = ()
    note: str = ""
    delivered_on: date | None = None
    deliver_to: str = ""
    payment_reference: str = ""
    iban: str = ""
    prepaid: Decimal = NOTHING
    rounding: Decimal = NOTHING
    attachments: tuple[Attachment, ...] = ()
    form: str = "default"
    indent: bool = False

    @property
    def line_total(self) -> Decimal:
        """BT-106."""
        return sum((line.net for line in self.lines), NOTHING)

    def adjusted(self, *, is_charge: bool) -> Decimal:
        """BT-107, the allowances of the whole document, or BT-108, its charges."""
        return sum((entry.amount for entry in self.adjustments if entry.is_charge == is_charge), NOTHING)

    @property
    def tax_exclusive(self) -> Decimal:
        """BT-109."""
        return self.line_total + sum((entry.effect for entry in self.adjustments), NOTHING)

    def vat_breakdown(self) -> list[tuple[VatCategory, Decimal, Decimal]]:
        """Per category and rate: taxable amount and tax, rounded once per category."""
        bases: dict[VatCategory, Decimal] = defaultdict(lambda: NOTHING)
        for line in self.lines:
            bases[line.vat] += line.net
        for entry in self.adjustments:
            if entry.vat is not None:
                bases[entry.vat] += entry.effect
        return [(category, base, to_cents(base * category.rate / 100)) for category, base in bases.items()]

    @property
    def tax(self) -> Decimal:
        """BT-110."""
        return sum((tax for _, _, tax in self.vat_breakdown()), NOTHING)

    @property
    def tax_inclusive(self) -> Decimal:
        """BT-112."""
        return self.tax_exclusive + self.tax

    @property
    def payable(self) -> Decimal:
        """BT-115."""
        return self.tax_inclusive - self.prepaid + self.rounding
