"""Realistic records of Stampli's from a seed: the same books and seed give the same records."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from sandbox.currencies import DECIMALS
from sandbox.sap_b1.data import AS_OF
from sandbox.stampli.books import Account, Books, Supplier
from sandbox.stampli.model import Applied, Invoice, InvoiceLine, Payment, Vendor
from sandbox.stampli.truth import ExpectedEntry, at_precision, invoice_entry, payment_entry, taxes_of

_NAMES = [
    "Øresund Papir A/S", "Käserei Grüner & Söhne", "Société Générale d'Équipement", "Łódź Textiles S.A.",
    'The "Blue" Door, Ltd.', "山田商事 日本", "O'Neill; Daughters", "Señor Tacos, S.L.", "Happy 🎉 Events",
    "=SUM Analytics", "Boulangerie Noël", "Acme, Inc.",
]  # fmt: skip
_STREETS = ["Grote Markt 7", "Hauptstraße 12, 3. Stock", "Rue de l'Église 4", "丸の内 1-1", "High Street 3; rear"]
_CITIES = [("Antwerpen", "2000", "BE"), ("Köln", "50667", "DE"), ("Orléans", "45000", "FR"), ("東京", "100-0001", "JP")]
_LINE_TEXTS = [
    "Consulting, June", "Büromaterial; Ordner & Stifte", 'Monitor 27", curved', "Line one\nline two",
    "緑茶 ティーバッグ", "=1+1 printing", "Café filtre, 1 kg", "Hosting", "Mietwagen Köln–Łódź", "Gift 🎁", "", "0042",
    "tab\there",
]  # fmt: skip
_DESCRIPTIONS = [
    "", "", "As agreed", "Delivered to dock 3;\nring twice, please", 'See "annex A"', "Ohne Abzug zahlbar",
    "ご査収ください",
]  # fmt: skip
_APPROVERS = ["Zoë Peeters", "Jürgen Weiß", "M. O'Brien", "山田 太郎", "Łukasz Dąbrowski"]
_LINE_COUNTS = (1, 1, 1, 2, 2, 3, 4, 5, 8, 13, 21, 40)
_METHODS = ("ACH", "ACH", "CHECK", "CARD", "EXTERNAL")
_UNITS_PER_EURO = {"JPY": Decimal(160), "KRW": Decimal(1500), "KWD": Decimal("0.33")}


class StampliExports:
    """Makes records, and tells what each must become in the books.

    Args:
        books: Codes of the company: accounts, tax codes, cost centres, projects, suppliers.
        seed: Keys and numbers carry it, so that two seeds never collide.
        company_id: Stampli's id of the company.
        as_of: No date of a posting is later.
        currencies: In which invoices come, the most frequent first; local, one foreign and one without decimals by
            default.
        own_ids: Vendors have ids of Stampli's own beside SAP's code, and payments name these alone: reading them
            takes a cross-reference, which is `vendor_codes`.
    """

    def __init__(
        self,
        books: Books,
        seed: int = 1,
        *,
        company_id: str = "C1",
        as_of: date = AS_OF,
        currencies: Sequence[str] = (),
        own_ids: bool = False,
    ) -> None:
        self.books = books
        self.company_id = company_id
        self.as_of = as_of
        self.currencies = tuple(currencies) or (
            books.local_currency, "USD" if books.local_currency != "USD" else "EUR", "JPY"
        )  # fmt: skip
        self.own_ids = own_ids
        self.vendor_codes: dict[str, str] = {}
        """Stampli's own vendor id → SAP's code, where they differ."""
        self.seed = seed
        self._random = random.Random(f"stampli-{seed}")
        self._made = {"invoice": 0, "vendor": 0, "payment": 0}
        self._new_vendors: list[Vendor] = []

    def _next(self, kind: str) -> int:
        self._made[kind] += 1
        return self._made[kind]

    def new_vendor(self, currency: str | None = None, *, invoiced: bool = True) -> Vendor:
        """A vendor that SAP does not know yet; its code there will be its id.

        Args:
            currency: One of the generator's by default.
            invoiced: Whether invoices may be made out to it.
        """
        number = self._next("vendor")
        city, postal_code, country = self._random.choice(_CITIES)
        vendor = Vendor(
            vendor_id=f"N{self.seed}-{number:04d}", erp_vendor_id="", name=f"{self._random.choice(_NAMES)} {number}",
            currency=currency or self._currency(), tax_id=f"{country}{self.seed:03d}{number:06d}",
            email=f"ap{number}@vendor{self.seed}.example.test", phone=f"+32 3 {self.seed:03d} {number:04d}",
            street=self._random.choice(_STREETS), city=city, postal_code=postal_code, country=country,
            payment_terms=self._random.choice(["Net 30", "Net 14", "Due on receipt"]),
            default_gl_account=self._random.choice(self.books.accounts).number,
        )  # fmt: skip
        if invoiced:
            self._new_vendors.append(vendor)
        return vendor

    def known_vendor(self, supplier: Supplier) -> Vendor:
        """A supplier of SAP's as Stampli knows it: nothing has changed."""
        vendor_id = supplier.code
        if self.own_ids:
            vendor_id = f"ST-{supplier.code}"
            self.vendor_codes[vendor_id] = supplier.code
        return Vendor(
            vendor_id=vendor_id, erp_vendor_id=supplier.code, name=supplier.name, currency=supplier.currency,
            tax_id=supplier.tax_id, email=supplier.email, phone=supplier.phone, street=supplier.street,
            city=supplier.city, state=supplier.state, postal_code=supplier.postal_code, country=supplier.country,
        )  # fmt: skip

    def changed_vendor(self, supplier: Supplier) -> Vendor:
        """A supplier of SAP's that has moved to another mailbox and telephone, and trades under another name."""
        number = self._next("vendor")
        return replace(
            self.known_vendor(supplier), name=f"{supplier.name} (née {number})"[:100],
            email=f"new{number}@vendor{self.seed}.example.test", phone=f"+49 221 {number:06d}",
        )  # fmt: skip

    def _currency(self) -> str:
        """Half of all in the first currency."""
        return self._random.choice([self.currencies[0]] * (len(self.currencies) - 1) + list(self.currencies))

    def _vendor_for(self, currency: str) -> Vendor:
        """A vendor that may be invoiced in the currency; a new one where there is none."""
        known = [self.known_vendor(supplier) for supplier in self.books.suppliers_in(currency)]
        candidates = known + [vendor for vendor in self._new_vendors if vendor.currency in (currency, "##")]
        return self._random.choice(candidates) if candidates else self.new_vendor(currency)

    def invoice(
        self,
        *,
        currency: str | None = None,
        vendor: Vendor | None = None,
        lines: int | None = None,
        credit: bool = False,
        negative: bool = False,
        off_by: Decimal = Decimal(0),
    ) -> Invoice:
        """An approved invoice.

        Args:
            currency: One of three by default.
            vendor: One that may be invoiced in the currency by default.
            lines: 1 to 40 by default.
            credit: A credit instead.
            negative: The credit's amounts are negative.
            off_by: By how much the total differs from lines and tax, as when a vendor rounds tax line by line.
        """
        number = self._next("invoice")
        own_currency = currency or self._currency()
        count = lines or self._random.choice(_LINE_COUNTS)
        made = tuple(self._lines(count, own_currency))
        if negative:
            made = tuple(replace(line, unit_price=-line.unit_price, amount=-line.amount) for line in made)
        tax = sum(taxes_of(made, self.books, own_currency).values(), Decimal(0))
        posted = self.as_of - timedelta(days=self._random.randint(0, 20))
        issued = posted - timedelta(days=self._random.randint(0, 9))
        return Invoice(
            invoice_id=f"{self.seed}{number:07d}", company_id=self.company_id, number=self._invoice_number(number),
            vendor=vendor or self._vendor_for(own_currency), invoice_date=issued, due_date=issued + timedelta(days=30),
            posting_date=posted, currency=own_currency, lines=made, tax=tax,
            total=sum((line.amount for line in made), tax) + off_by, kind="CREDIT" if credit else "INVOICE",
            approvals=self._approvals(posted), po_number=self._random.choice(["", "", f"PO-{number:05d}"]),
            description=self._random.choice(_DESCRIPTIONS),
        )  # fmt: skip

    def _invoice_number(self, number: int) -> str:
        style = self._random.choice(["RE-2025/{s}-{n}", "00{n}-{s}", "F {s}/{n}", "Nº {s}.{n}", "{s}–{n}–Ü"])
        return style.format(s=self.seed, n=f"{number:05d}")

    def _approvals(self, posted: date) -> tuple[tuple[str, str], ...]:
        people = self._random.sample(_APPROVERS, k=self._random.choice([1, 1, 2, 3]))
        return tuple((person, f"{posted.isoformat()}T{8 + hour:02d}:30:00Z") for hour, person in enumerate(people))

    def _lines(self, count: int, currency: str) -> list[InvoiceLine]:
        """Lines whose sum stays well above zero: a discount is at most a tenth of the line before it."""
        lines: list[InvoiceLine] = []
        for number in range(1, count + 1):
            if lines and lines[-1].amount > 0 and self._random.random() < 0.12:
                lines.append(self._discount(number, lines[-1], currency))
            else:
                lines.append(self._line(number, currency))
        return lines

    def _line(self, number: int, currency: str) -> InvoiceLine:
        account = self._random.choice(self.books.accounts)
        quantity = Decimal(self._random.choice(["1", "1", "2", "3", "10", "2.375", "0.5"]))
        price = Decimal(self._random.randint(500, 900_000)) / 100 * _UNITS_PER_EURO.get(currency, Decimal(1))
        unit_price = round(price, self._random.choice([DECIMALS[currency], 4]))
        is_free = number > 1 and self._random.random() < 0.03
        return InvoiceLine(
            number=number, line_type=self._random.choice(["GL", "GL", "GL", "ITEM", "PO"]), gl_account=account.number,
            quantity=quantity, unit_price=Decimal(0) if is_free else unit_price,
            amount=Decimal(0) if is_free else at_precision(quantity * unit_price, currency),
            tax_code=self._pick([tax.code for tax in self.books.tax_codes], 0.9),
            cost_centre=self._cost_centre(account), project=self._project(account),
            department=self._random.choice(["", "Sales", "IT"]), location=self._random.choice(["", "Köln", "東京"]),
            description=self._random.choice(_LINE_TEXTS),
        )  # fmt: skip

    def _discount(self, number: int, of: InvoiceLine, currency: str) -> InvoiceLine:
        amount = -at_precision(of.amount / 10, currency)
        return replace(
            of, number=number, line_type="GL", quantity=Decimal(1), unit_price=amount, amount=amount,
            description="Rabatt 10 %; discount",
        )  # fmt: skip

    def _cost_centre(self, account: Account) -> str:
        return self._pick(self.books.cost_centres, 1 if account.needs_cost_centre else 0.8)

    def _project(self, account: Account) -> str:
        return self._pick(self.books.projects, 1 if account.needs_project else 0.4)

    def _pick(self, codes: Sequence[str], share: float) -> str:
        return self._random.choice(codes) if codes and self._random.random() < share else ""

    def payment(
        self, invoices: Sequence[Invoice], *, method: str | None = None, on_account: Decimal = Decimal(0)
    ) -> Payment:
        """A payment of invoices of one vendor and currency.

        Args:
            invoices: Which it settles, in full.
            method: ACH, CHECK, CARD or EXTERNAL.
            on_account: What it pays beyond them.
        """
        number = self._next("payment")
        first = invoices[0]
        if {(invoice.vendor.vendor_id, invoice.currency) for invoice in invoices} != {
            (first.vendor.vendor_id, first.currency)
        }:
            raise ValueError("One payment settles invoices of one vendor in one currency; make one for each.")
        applied = tuple(Applied(invoice.number, invoice.invoice_id, invoice.total) for invoice in invoices)
        return Payment(
            payment_id=f"P{self.seed}{number:06d}", payment_date=self.as_of,
            method=method or self._random.choice(_METHODS),
            amount=sum((part.amount for part in applied), on_account), currency=first.currency, vendor=first.vendor,
            applied=applied, reference=self._random.choice([f"TRX{self.seed}{number:08d}", f"CHK {number:05d}", ""]),
        )  # fmt: skip

    def changed(self, invoice: Invoice) -> Invoice:
        """The invoice once more under the same id, its first line dearer: it was corrected after its approval."""
        extra = at_precision(abs(invoice.lines[0].amount) + 10, invoice.currency) * (-1 if invoice.total < 0 else 1)
        amount = invoice.lines[0].amount + extra
        lines = (replace(invoice.lines[0], quantity=Decimal(1), unit_price=amount, amount=amount), *invoice.lines[1:])
        tax = sum(taxes_of(lines, self.books, invoice.currency).values(), Decimal(0))
        return replace(invoice, lines=lines, tax=tax, total=sum((line.amount for line in lines), tax))

    def voided(self, invoice: Invoice) -> Invoice:
        """The invoice once more: voided after its approval."""
        return replace(invoice, status="VOID")

    def entry(self, record: Invoice | Payment) -> ExpectedEntry:
        """The journal entry that the record must become."""
        return invoice_entry(record, self.books) if isinstance(record, Invoice) else payment_entry(record, self.books)
