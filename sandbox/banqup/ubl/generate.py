"""Sound invoices and credit notes from a seed, in every shape that a receiver must cope with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sandbox.banqup.belgian import enterprise_number, iban, ogm
from sandbox.banqup.ubl.model import (
    Adjustment,
    Attachment,
    Line,
    Party,
    UblDocument,
    VatCategory,
    to_cents,
)  # fmt: skip
from sandbox.banqup.ubl.tree import FORMS
from sandbox.sap_b1.pdf import one_page_pdf

STANDARD = tuple(VatCategory("S", Decimal(rate)) for rate in (21, 12, 6))
ZERO = VatCategory("Z", Decimal(0))
EXEMPT = VatCategory("E", Decimal(0), "Vrijgesteld van btw, artikel 44 WBTW")
REVERSE_CHARGE = VatCategory("AE", Decimal(0), "Btw verlegd", "VATEX-EU-AE")
INTRA_COMMUNITY = VatCategory("K", Decimal(0), "Intracommunautaire levering", "VATEX-EU-IC")
EXPORT = VatCategory("G", Decimal(0), "Uitvoer", "VATEX-EU-G")

ABROAD = {
    "intra_community": Party(
        "Société Luxembourgeoise S.à r.l.", "LU10203040", "LU10203040", "Rue de l'Alzette 12", "Esch-sur-Alzette",
        "4010", "LU", "9938",
    ),
    "export": Party("Overseas Trading Inc.", "123456789", "", "500 Market Street", "Portland", "04101", "US", "0060"),
}  # fmt: skip
"""Who is on the other side of the border, by shape."""

_ITEMS = (
    "Consulting", "Advies & begeleiding", "Café crème 1 kg", "Schroeven <M6>, verzinkt", "Licence « Pro »",
    "Transport Gent → Liège", "Koffie \"Arabica\" 250 g", "Onderhoud stookketel", "Boeken",
    "Œuvre d'art №7", "🚲 lease",
)  # fmt: skip
_NAMES = (
    "Bakkerij De Smet", "Garage Peeters", "Brasserie de l'Étoile", "Müller & Fils", "Drukkerij Vandenbroucke",
    "Tuinen Ø", "Électricité Générale Dubois", "Schrijnwerkerij Claes", "Transports Lambert", "Slagerij 't Hoekske",
)  # fmt: skip
_FORMS_OF_COMPANIES = ("NV", "BV", "SRL", "SA", "CV")
_STREETS = ("Kerkstraat", "Rue du Moulin", "Stationsplein", "Chaussée de Namur")
_PLACES = (
    ("Gent", "9000"),
    ("Liège", "4000"),
    ("Antwerpen", "2000"),
    ("Bruxelles", "1000"),
    ("Eupen", "4700"),
    ("Ath", "7800"),
)
_RATES = {"USD": "0.9231", "GBP": "1.1874", "CHF": "1.0432"}


def belgian_party(seed: object) -> Party:
    """A Belgian company with valid numbers."""
    rng = random.Random(f"party {seed}")
    number = enterprise_number(rng.randrange(2_000_000, 10_300_000))
    city, postcode = rng.choice(_PLACES)
    return Party(
        name=f"{rng.choice(_NAMES)} {rng.choice(_FORMS_OF_COMPANIES)}",
        number=number,
        vat=f"BE{number}",
        street=f"{rng.choice(_STREETS)} {rng.randrange(1, 300)}",
        city=city,
        postcode=postcode,
        contact=rng.choice(("", "", "Boekhouding")),
    )


def ubl_document(
    seed: object,
    *,
    kind: str = "invoice",
    number: str = "2026-0001",
    issue_date: date = date(2026, 1, 15),
    seller: Party | None = None,
    buyer: Party | None = None,
    shape: str | None = None,
    max_lines: int = 8,
) -> UblDocument:
    """A sound document: the same seed and arguments give the same bytes.

    `kind` is `invoice` or `credit_note`, `shape` one of `SHAPES`, by the seed when not given. Shapes abroad put another
    party on the buyer's side.
    """
    rng = random.Random(f"document {seed}")
    shape = shape or rng.choice(list(SHAPES))
    seller, buyer = seller or belgian_party(f"{seed} seller"), buyer or belgian_party(f"{seed} buyer")
    rates = rng.sample(STANDARD, rng.randrange(1, len(STANDARD) + 1))
    body = rng.randrange(10**10)
    document = UblDocument(
        kind=kind, number=number, issue_date=issue_date, due_date=issue_date + timedelta(days=rng.choice((0, 14, 30))),
        seller=seller, buyer=buyer, lines=_lines(rng, rates, max_lines),
        buyer_reference=f"PO-{rng.randrange(1000)}", iban=iban(rng.randrange(1, 990), rng.randrange(10**7)),
        payment_reference=ogm(body), form=rng.choice(list(FORMS)), indent=rng.random() < 0.5,
        credited=(f"{number}-ORIG",) if kind == "credit_note" else (),
        note=rng.choice(("", "", "Betaling binnen de termijn a.u.b.\nMerci & à bientôt")),
    )  # fmt: skip
    if rng.random() < 0.2:
        document = replace(document, buyer_reference="", order_reference=f"ORD/{rng.randrange(10**6)}")
    return replace(document, **SHAPES[shape](rng, document))


def _lines(rng: random.Random, rates: list[VatCategory], most: int) -> tuple[Line, ...]:
    count = rng.randrange(1, most + 1)
    return tuple(
        Line(
            id=str(index + 1),
            item=rng.choice(_ITEMS),
            quantity=Decimal(rng.randrange(1, 200)) / rng.choice((1, 1, 10, 1000)),
            price=Decimal(rng.randrange(10_000, 5_000_000)) / rng.choice((100, 100, 10_000)),
            vat=rates[index % len(rates)],
            unit=rng.choice(("C62", "HUR", "KGM")),
            description=rng.choice(("", "", "Levering volgens bestelbon")),
        )
        for index in range(count)
    )


def _mixed_rates(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    """All three Belgian rates and a zero-rated line."""
    lines = (document.lines * 4)[:4]
    vats = (*STANDARD, ZERO)
    return {"lines": tuple(replace(line, id=str(i + 1), vat=vats[i]) for i, line in enumerate(lines))}


def _discounts(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    """Allowances and charges on lines, in prices and on the whole; prices for a hundred."""
    lines = []
    for line in document.lines:
        base = to_cents(line.quantity * line.price / 100)
        percent = Decimal(rng.choice((5, 10)))
        rebate = Adjustment(False, to_cents(base * percent / 100), "Korting", base=base, percent=percent)
        freight = Adjustment(True, Decimal(rng.randrange(100, 900)) / 100, "Vracht")
        discount = Decimal(rng.randrange(1, 500)) / 100
        lines.append(replace(line, base_quantity=Decimal(100), discount=discount, adjustments=(rebate, freight)))
    vat = lines[0].vat
    whole = replace(document, lines=tuple(lines))
    share = to_cents(whole.lines[0].net * 2 / 100)
    general = Adjustment(False, share, "Algemene korting", vat, base=whole.lines[0].net, percent=Decimal(2))
    administration = Adjustment(True, Decimal("12.50"), "Administratie", vat)
    return {"lines": whole.lines, "adjustments": (general, administration)}


def _foreign(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    """A foreign currency, and VAT in it alone."""
    return {"currency": rng.choice(sorted(_RATES))}


def _foreign_with_tax_currency(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    """A foreign currency, and VAT also in euros."""
    currency = rng.choice(sorted(_RATES))
    return {"currency": currency, "tax_currency": "EUR", "tax_rate": Decimal(_RATES[currency])}


def _prepaid(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    return {"prepaid": to_cents(document.tax_inclusive * rng.choice((Decimal("0.3"), Decimal(1))))}


def _rounded(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    """To five cents, as cash is paid in Belgium."""
    rounded = (document.tax_inclusive * 20).quantize(Decimal(1)) / 20
    return {"rounding": to_cents(rounded - document.tax_inclusive)}


def _with_vat(vat: VatCategory) -> Callable[[random.Random, UblDocument], dict[str, Any]]:
    """Every line under one category without tax; abroad where it needs that."""

    def apply(rng: random.Random, document: UblDocument) -> dict[str, Any]:
        changes: dict[str, Any] = {"lines": tuple(replace(line, vat=vat) for line in document.lines)}
        shape = {INTRA_COMMUNITY: "intra_community", EXPORT: "export"}.get(vat)
        if shape:
            buyer = ABROAD[shape]
            changes |= {"buyer": buyer, "delivered_on": document.issue_date, "deliver_to": buyer.country}
        return changes

    return apply


def _attachment(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    """The invoice as a PDF, inside."""
    lines = [f"{document.seller.name}: {document.number}", *(f"{line.item} {line.net}" for line in document.lines)]
    return {"attachments": (Attachment("1", "factuur.pdf", one_page_pdf(lines)),)}


def _returned_goods(rng: random.Random, document: UblDocument) -> dict[str, Any]:
    """A line with a negative quantity among the others."""
    first = document.lines[0]
    back = replace(first, id=str(len(document.lines) + 1), item="Retour", quantity=-to_cents(first.quantity / 2))
    return {"lines": (*document.lines, back)}


SHAPES: dict[str, Callable[[random.Random, UblDocument], dict[str, Any]]] = {
    "plain": lambda rng, document: {},
    "mixed_rates": _mixed_rates,
    "discounts": _discounts,
    "foreign": _foreign,
    "foreign_with_tax_currency": _foreign_with_tax_currency,
    "prepaid": _prepaid,
    "rounded": _rounded,
    "exempt": _with_vat(EXEMPT),
    "reverse_charge": _with_vat(REVERSE_CHARGE),
    "intra_community": _with_vat(INTRA_COMMUNITY),
    "export": _with_vat(EXPORT),
    "attachment": _attachment,
    "returned_goods": _returned_goods,
}
"""What is special about a document → what it changes in a plain one."""

DOMESTIC = tuple(shape for shape in SHAPES if shape not in ABROAD)
"""Shapes that leave both parties as they are."""
