"""A company's books from a seed: the same seed and sizes give the same records, byte for byte."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sandbox.clock import SandboxClock
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.cost_accounting import add_cost_accounting
from sandbox.sap_b1.documents import Draft, Line
from sandbox.sap_b1.money import CURRENCY_DECIMALS, amount, noisy, rounded
from sandbox.sap_b1.purchasing import add_purchase_orders, add_suppliers
from sandbox.sap_b1.schema import ENTITY_SETS, YES_NO

HISTORY_DAYS = 730
AS_OF = date(2025, 6, 30)
"""Last day of the generated history: in the past for every machine whose clock is right."""


@dataclass(frozen=True)
class Sizes:
    """How many records of each kind to make. Payments follow from `paid_share` of the invoices."""

    customers: int = 40
    suppliers: int = 6
    leads: int = 4
    items: int = 30
    invoices: int = 150
    credit_notes: int = 20
    paid_share: float = 0.6
    attachment_share: float = 0.25
    warehouses: int = 24


SIZES = {
    "small": Sizes(),
    "demo": Sizes(customers=250, suppliers=30, leads=20, items=120, invoices=1500, credit_notes=120),
    "large": Sizes(customers=2000, suppliers=200, leads=100, items=400, invoices=20_000, credit_notes=1500),
}


@dataclass(frozen=True)
class Planted:
    """Bad records to plant among the invoices, so that a run has something to hold.

    `held_invoice_pdf` attaches a PDF to the first bad invoice: it must not travel ahead of its invoice.
    """

    missing_card_code: int = 0
    line_sum_mismatch: int = 0
    unknown_currency: int = 0
    held_invoice_pdf: bool = False


DEFECTS = Planted(missing_card_code=1, line_sum_mismatch=1, unknown_currency=1, held_invoice_pdf=True)
"""One of each."""

_COMPANIES = [
    "Brouwerij De Molen", "Café Zürich GmbH", "Société Générale d'Équipement", "Straßenbau Müller & Söhne",
    "山田商事 日本",
    'The "Blue" Door, Ltd.', "O'Neill & Daughters", "Łódź Textiles S.A.", "Señor Tacos, S.L.", "Ærø Shipping A/S",
    "=SUM Analytics", "Happy 🎉 Events", "Acme, Inc.", "Nordlys\tFisk", "Kuwait Pearl Trading", "+32 Telecom Partners",
]  # fmt: skip
_FIRST_NAMES = ["Anna", "José", "Zoë", "Jürgen", "Mary-Jane", "太郎", "Siân", "Łukasz", "Nia", "D'Arcy"]
_LAST_NAMES = [
    "Peeters",
    "Muñoz",
    "Weiß",
    "O'Brien",
    "山田",
    "Dąbrowski",
    "van den Berg",
    "Smith",
    "Nguyễn",
    "Al-Sabah",
]
_CITIES = [
    ("Antwerpen", "2000", "BE"), ("Köln", "50667", "DE"), ("Orléans", "45000", "FR"), ("Zürich", "8001", "CH"),
    ("東京", "100-0001", "JP"), ("Kuwait City", "13001", "KW"), ("London", "EC1A 1BB", "GB"), ("Boston", "02108", "US"),
    ("Malmö", "211 19", "SE"), ("Łódź", "90-001", "PL"),
]  # fmt: skip
_STREETS = ["Grote Markt", "Hauptstraße", "Rue de l'Église", "丸の内", "High Street", "Storgatan", "Main St, Suite 4"]
_ITEM_NAMES = [
    "Oak table 180×90", "Schraube M8 (100 St.)", 'Monitor 27"', "Café filtre, 1 kg", "緑茶 ティーバッグ",
    "Cable, USB-C, 2 m",
    "Smørrebrød platter", "LED lamp 4000 K", "Paper A4; 80 g/m²", "=Formula 1 model car", "Gift box 🎁",
]  # fmt: skip
_COMMENTS = [
    None, None, None, "Based on sales order", 'Deliver to "dock 3", ring twice', "Line one\nLine two\r\nLine three",
    "Zahlbar innerhalb 30 Tagen – ohne Abzug", "=HYPERLINK(\"http://example.test\")", "ご査収ください 🙏", "0042",
    "a;b,c\td", "",
]  # fmt: skip
_CURRENCY_CHOICES = ["EUR"] * 12 + ["USD"] * 4 + ["GBP", "GBP", "JPY", "JPY", "KWD", "KWD", "CHF", "SEK", "##", "##"]
_EU_TAXES = [
    ("O0", "VAT 0 %", "bovcOutputTax", [("2000-01-01", "0")], "tNO"),
    ("O1", "VAT 21 %", "bovcOutputTax", [("1996-01-01", "20.5"), ("2000-01-01", "21")], "tNO"),
    ("O2", "VAT 6 %", "bovcOutputTax", [("2000-01-01", "6")], "tNO"),
    ("O3", "VAT 12 %, „Gastronomie“", "bovcOutputTax", [("2000-01-01", "12")], "tNO"),
    ("OX", "VAT 19 % (old)", "bovcOutputTax", [("1994-01-01", "19")], "tYES"),
    ("EU1", "Intra-community supply", "bovcOutputTax", [("2000-01-01", "0")], "tNO"),
    ("I1", "Input VAT 21 %", "bovcInputTax", [("2000-01-01", "21")], "tNO"),
    ("I2", "Input VAT 6 %", "bovcInputTax", [("2000-01-01", "6")], "tNO"),
]  # fmt: skip
_US_TAXES = [
    ("MA", "Massachusetts 6.25 %", "6.25"), ("NY", "New York 8.875 %", "8.875"), ("CA", "California 7.25 %", "7.25"),
    ("EX", "Exempt", "0"),
]  # fmt: skip
_ACCOUNTS = [
    ("1", "Capital", None, 1), ("100000", "Issued capital", "1", 2), ("4", "Receivables and payables", None, 1),
    ("400000", "Trade debtors", "4", 2), ("440000", "Trade creditors", "4", 2), ("411000", "VAT recoverable", "4", 2),
    ("451000", "VAT payable", "4", 2), ("5", "Cash and bank", None, 1), ("550000", "Bank, current account", "5", 2),
    ("550100", "Bank USD", "5", 2), ("551000", "Cheques received", "5", 2), ("552000", "Card clearing", "5", 2),
    ("570000", "Cash", "5", 2), ("6", "Costs", None, 1), ("600000", "Purchases of goods", "6", 2),
    ("610000", "Rent & services, général", "6", 2), ("620000", "Wages", "6", 2), ("654000", "Exchange losses", "6", 2),
    ("7", "Income", None, 1), ("700000", "Sales of goods", "7", 2), ("705000", "Services", "7", 2),
    ("708000", "Discounts granted", "7", 2), ("754000", "Exchange gains", "7", 2), ("799000", "Closed account", "7", 2),
    ("611000", "Electricity, gas & water", "6", 2), ("612000", "Lawyers & auditors", "6", 2),
    ("613000", "Advertising, „Messen“", "6", 2), ("614000", "Travel", "6", 2),
    ("615000", "Software subscriptions", "6", 2), ("616000", "Office supplies", "6", 2),
    ("617000", "Temporary staff (cost centre required)", "6", 2),
    ("618000", "Project costs (project required)", "6", 2),
    ("619000", "Old rent (inactive)", "6", 2), ("640000", "Carriage inwards", "6", 2),
    ("641000", "Taxes not recoverable", "6", 2), ("657000", "Bank charges", "6", 2),
    ("658000", "Rounding differences", "6", 2), ("230000", "Machinery under construction", "2", 2),
    ("2", "Fixed assets", None, 1), ("411100", "Sales tax on purchases", "4", 2),
    ("580100", "Clearing, ACH and transfers", "5", 2), ("580200", "Clearing, cheques", "5", 2),
    ("580300", "Clearing, cards", "5", 2), ("580900", "Clearing, paid elsewhere", "5", 2),
]  # fmt: skip
_CONTROL_ACCOUNTS = {"cCustomer": "400000", "cLid": "400000", "cSupplier": "440000"}
_INACTIVE_ACCOUNTS = ("799000", "619000")


def generate_company(
    seed: int = 1,
    sizes: Sizes | str = "small",
    *,
    country: str = "EU",
    planted: Planted | None = None,
    database: str | None = None,
    clock: SandboxClock | None = None,
    time_zone: str = "UTC",
    as_of: date = AS_OF,
) -> Company:
    """Makes a company with two years of history that ends on `as_of`.

    Args:
        seed: Same seed, same books.
        sizes: A `Sizes`, or the name of one: small, demo, large.
        country: `EU` (local currency EUR, taxes in VatGroups) or `US` (USD, SalesTaxCodes).
        planted: Bad records to add; none by default.
        database: The CompanyDB; SBODEMOEU or SBODEMOUS by default.
        clock: Stamps later changes; the generated history does not look at it.
        time_zone: The company's own, for the days and times it writes.
        as_of: Last day of the history.
    """
    if country not in ("EU", "US"):
        raise ValueError(f"country is {country!r}; it must be 'EU' or 'US'.")
    company = Company(
        database=database or f"SBODEMO{country}", local_currency="EUR" if country == "EU" else "USD", clock=clock,
        time_zone=time_zone, tax_property="VatGroup" if country == "EU" else "TaxCode",
    )  # fmt: skip
    chosen = SIZES[sizes] if isinstance(sizes, str) else sizes
    _Generator(company, random.Random(seed), chosen, planted or Planted(), country, as_of).run()
    return company


@dataclass
class _Generator:
    company: Company
    random: random.Random
    sizes: Sizes
    planted: Planted
    country: str
    as_of: date
    items: list[tuple[str, str, Decimal]] = field(default_factory=list)
    customers: list[tuple[str, str, str]] = field(default_factory=list)
    taxes: list[tuple[str, Decimal]] = field(default_factory=list)

    def run(self) -> None:
        self.accounts()
        self.tax_codes()
        self.stock()
        self.business_partners()
        self.invoices()
        self.credit_notes()
        self.payments()
        self.cancellations()
        self.bad_records()
        self.attachments()
        self.ugly_details()
        add_cost_accounting(self.company)
        add_suppliers(self.company)
        add_purchase_orders(self.company, self.as_of)

    def accounts(self) -> None:
        table = self.company.tables["ChartOfAccounts"]
        for code, name, father, level in _ACCOUNTS:
            kind = {"7": "at_Revenues", "6": "at_Expenses"}.get(code[0], "at_Other")
            currency = "USD" if "USD" in name else "##"
            record = table.entity.blank()
            record.update(
                Code=self.account_code(code), Name=name, FormatCode=code,
                FatherAccountKey=None if father is None else self.account_code(father),
                AccountLevel=level, ActiveAccount="tNO" if father is None else "tYES", AccountType=kind,
                AcctCurrency=currency,
                Balance=0.0, CashAccount="tYES" if code[:2] in ("55", "57") else "tNO", ValidFor="tNO",
                FrozenFor=_yes(code in _INACTIVE_ACCOUNTS),
                LockManualTransaction=_yes(code in _CONTROL_ACCOUNTS.values()),
                BlockManualPosting="tNO", Protected="tNO", ProjectRelevant=_yes(code == "618000"),
                DistributionRuleRelevant=_yes(code == "617000"), DistributionRule2Relevant="tNO",
                DistributionRule3Relevant="tNO", DistributionRule4Relevant="tNO", DistributionRule5Relevant="tNO",
            )  # fmt: skip
            table.put(record)

        self.company.control_accounts = {kind: self.account_code(code) for kind, code in _CONTROL_ACCOUNTS.items()}

    def account_code(self, number: str) -> str:
        """The key of the account that people know by `number`: US-style charts are segmented."""
        return number if self.country == "EU" else f"_SYS{int(number):011d}"

    def tax_codes(self) -> None:
        if self.country == "US":
            self.us_tax_codes()
            return
        table = self.company.tables["VatGroups"]
        for code, name, category, rates, inactive in _EU_TAXES:
            record = table.entity.blank()
            record.update(
                Code=code, Name=name, Category=category,
                TaxAccount="451000" if category == "bovcOutputTax" else "411000",
                EU="tYES" if code == "EU1" else "tNO", Inactive=inactive, NonDeduct=0.0, TriangularDeal="tNO",
                AcquisitionReverse="tNO", Correction="tNO", ServiceSupply="tNO",
                VatGroups_Lines=[{"Effectivefrom": day, "Rate": float(rate), "EqualizationTax": 0.0} for day,
                rate in rates],
            )  # fmt: skip
            table.put(record)
            if category == "bovcOutputTax" and inactive == "tNO":
                self.taxes.append((code, Decimal(rates[-1][1])))

    def us_tax_codes(self) -> None:
        table = self.company.tables["SalesTaxCodes"]
        for code, name, rate in _US_TAXES:
            record = table.entity.blank()
            record.update(
                Code=code, Name=name, Rate=float(rate), ValidForAR="tYES", ValidForAP="tYES", Freight="tNO",
                Inactive="tNO",
                SalesTaxCodes_Lines=[{"STALine": 0, "STACode": code, "STAType": 1, "EffectiveRate": float(rate)}],
            )  # fmt: skip
            table.put(record)
            self.taxes.append((code, Decimal(rate)))

    def stock(self) -> None:
        table = self.company.tables["Items"]
        yes_no = [name for name, kind in table.entity.properties.items() if kind == YES_NO]
        for number in range(1, self.sizes.items + 1):
            code = f"{number:05d}" if number % 5 == 0 else f"IT-{number:05d}"
            name = f"{_ITEM_NAMES[number % len(_ITEM_NAMES)]} {number}"
            price = Decimal(self.random.randint(95, 250_000)) / 100
            record = {**table.entity.blank(), **dict.fromkeys(yes_no, "tNO")}
            on_hand = self.random.randint(0, 5000)
            record.update(
                ItemCode=code, ItemName=name, ItemsGroupCode=100 + number % 4, SalesVATGroup="O1", PurchaseItem="tYES",
                SalesItem="tYES", InventoryItem="tYES", VatLiable="tYES", Valid="tNO" if number % 17 == 0 else "tYES",
                Frozen="tYES" if number % 17 == 0 else "tNO", QuantityOnStock=float(on_hand), ItemType="itItems",
                AvgStdPrice=float(rounded(price * Decimal("0.7"), "EUR")),
                MovingAveragePrice=float(rounded(price * Decimal("0.7"), "EUR")),
                DefaultWarehouse="01", Series=3, U_Origin=self.random.choice(["BE", "DE", None]),
                U_ShelfLife=self.random.choice([None, 30, 365]), BarCode=f"{self.random.randint(10**12, 10**13 - 1)}",
            )  # fmt: skip
            self._stamp_history(record, "CreateDate", self._past_day())
            record["ItemPrices"] = [self._price(index, price, number) for index in range(1, 11)]
            record["ItemWarehouseInfoCollection"] = [
                self._warehouse(index, code, float(on_hand) if index == 0 else 0.0, price)
                for index in range(self.sizes.warehouses)
            ]
            table.put(record)
            self.items.append((code, name, price))

    def _price(self, index: int, price: Decimal, number: int) -> dict[str, Any]:
        row = ENTITY_SETS["Items"].blank_member("ItemPrices")
        unset = index > 4 or (index == 1 and number % 13 == 0)
        row.update(
            PriceList=index, Price=0.0 if unset else float(rounded(price * (100 - 5 * (index - 1)) / 100, "EUR")),
            Currency=None if unset else self.company.local_currency, BasePriceList=1, Factor=1.0,
        )  # fmt: skip
        return row

    def _warehouse(self, index: int, item_code: str, in_stock: float, price: Decimal) -> dict[str, Any]:
        row = ENTITY_SETS["Items"].blank_member("ItemWarehouseInfoCollection")
        row.update(
            WarehouseCode=f"{index + 1:02d}", ItemCode=item_code, InStock=in_stock, Committed=0.0, Ordered=0.0,
            MinimalStock=0.0, MaximalStock=0.0, MinimalOrder=0.0,
            StandardAveragePrice=float(rounded(price * Decimal("0.7"), "EUR")),
            Locked="tNO", WasCounted="tNO", CountedQuantity=0.0,
        )  # fmt: skip
        return row

    def business_partners(self) -> None:
        total = self.sizes.customers + self.sizes.suppliers + self.sizes.leads
        contact_code = 1
        for number in range(1, total + 1):
            kind = "C" if number <= self.sizes.customers else "S" if number <= total - self.sizes.leads else "L"
            contact_code = self._business_partner(number, kind, contact_code)

    def _business_partner(self, number: int, kind: str, contact_code: int) -> int:
        table = self.company.tables["BusinessPartners"]
        code = {"C": f"C{number:05d}", "S": f"V{number:05d}", "L": f"L{number:05d}"}[kind]
        if kind == "C" and number % 10 == 0:
            code = f"{number:06d}"
        name = (
            f"{_COMPANIES[number % len(_COMPANIES)]} {number}" if number > len(_COMPANIES) else _COMPANIES[number - 1]
        )
        currency = (
            self.random.choice(_CURRENCY_CHOICES)
            if self.country == "EU"
            else self.random.choice(["USD", "USD", "EUR", "##"])
        )
        city, zip_code, land = self.random.choice(_CITIES)
        frozen = number % 19 == 0
        kind_name = {"C": "cCustomer", "S": "cSupplier", "L": "cLid"}[kind]
        record = table.entity.blank()
        record.update(
            CardCode=code, CardName=name, CardType=kind_name,
            GroupCode=100 if kind == "C" else 101, Currency=currency, PayTermsGrpCode=-1, VatLiable="vLiable",
            VatGroup="O1",
            FederalTaxID=self.random.choice([None, f"{land}0{self.random.randint(10**8, 10**9 - 1)}"]),
            VatIDNum=self.random.choice([None, f"{land}{number:09d}"]),
            UnifiedFederalTaxID=self.random.choice([None, f"0{number:09d}"]),
            EmailAddress=self.random.choice([None, f"billing{number}@example.test"]),
            Phone1=self.random.choice([None, f"+32 2 {number:07d}"]),
            Website=None, DebitorAccount=self.company.control_accounts[kind_name], CreditLimit=float(number * 1000),
            CurrentAccountBalance=0.0,
            Country=land,
            City=city, ZipCode=zip_code, Valid="tNO" if frozen else "tYES", Frozen="tYES" if frozen else "tNO",
            Series=1,
            Notes=self.random.choice(_COMMENTS), PaymentBlock="tNO", SinglePayment="tNO", CollectionAuthorization="tNO",
            U_Segment=self.random.choice(["Retail", "Großhandel", "=A1", None]),
            U_CreditScore=self.random.choice([None, 5, 80]),
            U_LegacyId=f"{number:08d}", U_Since=self.random.choice([None, "2019-03-01"]),
            U_Rebate=self.random.choice([None, 0.0, 2.5]),
        )  # fmt: skip
        self._stamp_history(record, "CreateDate", self._past_day())
        record["BPAddresses"] = self._addresses(code, number, city, zip_code, land)
        record["ContactEmployees"] = self._contacts(code, contact_code, record["CreateDate"])
        if record["ContactEmployees"]:
            record["ContactPerson"] = record["ContactEmployees"][0]["Name"]
        table.put(record)
        if kind == "C":
            self.customers.append((code, name, currency))
        return contact_code + len(record["ContactEmployees"])

    def _addresses(self, code: str, number: int, city: str, zip_code: str, land: str) -> list[dict[str, Any]]:
        if number % 15 == 0:
            return []
        kinds = ["bo_ShipTo", "bo_BillTo"] if number % 3 else ["bo_ShipTo"]
        rows = []
        for index, kind in enumerate(kinds):
            row = ENTITY_SETS["BusinessPartners"].blank_member("BPAddresses")
            row.update(
                AddressName="Bill to" if kind == "bo_BillTo" else "Ship to", AddressType=kind, RowNum=index,
                BPCode=code,
                Street=f"{self.random.choice(_STREETS)}, {self.random.randint(1, 250)}", City=city, ZipCode=zip_code,
                Country=land,
                CreateDate="2023-07-03", CreateTime="08:00:00",
            )  # fmt: skip
            rows.append(row)
        return rows

    def _contacts(self, code: str, first_code: int, created: str) -> list[dict[str, Any]]:
        rows = []
        for index in range(self.random.choice([0, 1, 1, 2, 3])):
            first, last = self.random.choice(_FIRST_NAMES), self.random.choice(_LAST_NAMES)
            no_split = self.random.random() < 0.2
            row = ENTITY_SETS["BusinessPartners"].blank_member("ContactEmployees")
            row.update(
                InternalCode=first_code + index, CardCode=code, Name=f"{first} {last} {first_code + index}",
                FirstName=None if no_split else first, LastName=None if no_split else last,
                E_Mail=self.random.choice([None,
                f"contact{first_code + index}@example.test"]) if index else f"contact{first_code}@example.test",
                Phone1=self.random.choice([None, "+3224470000"]),
                MobilePhone=self.random.choice([None, "+32470123456"]),
                Position=self.random.choice([None, "Manager", "Accounting", "Directeur général"]), Active="tYES",
                CreateDate=created, CreateTime="08:30:00", UpdateDate=created, UpdateTime="08:30:00",
            )  # fmt: skip
            rows.append(row)
        return rows

    def invoices(self) -> None:
        for number in range(self.sizes.invoices):
            self.company.add_document("Invoices", self._draft(number, self.sizes.invoices))
            self._back_date("Invoices")
            if self.random.random() < 0.01:
                # A gap in the keys, as a posting that was rolled back leaves one.
                self._renumber_last("Invoices")

    def credit_notes(self) -> None:
        for number in range(self.sizes.credit_notes):
            self.company.add_document("CreditNotes", self._draft(number, self.sizes.credit_notes))
            self._back_date("CreditNotes")

    def _renumber_last(self, entity_set: str) -> None:
        table = self.company.tables[entity_set]
        record = dict(table.rows[table.keys[-1]])
        table.delete(record["DocEntry"])
        record["DocEntry"] += 1
        record["DocumentLines"] = [{**line, "DocEntry": record["DocEntry"]} for line in record["DocumentLines"]]
        table.put(record)

    def _draft(self, number: int, of: int) -> Draft:
        code, name, wanted = self.random.choice(self.customers)
        currency = self.company.local_currency if wanted == "##" else wanted
        is_service = self.random.random() < 0.1
        lines = [self._line(currency, is_service) for _ in range(self.random.randint(1, 8))]
        decimals = CURRENCY_DECIMALS[currency]
        step = {0: Decimal(10), 2: Decimal("0.05"), 3: Decimal("0.050")}[decimals]
        return Draft(
            card_code=code, card_name=name, currency=currency, lines=lines,
            due_days=self.random.choice([0, 14, 30, 60]),
            day=self.as_of - timedelta(days=HISTORY_DAYS - HISTORY_DAYS * number // max(of, 1)),
            discount_percent=self.random.choice([Decimal(0)] * 4 + [Decimal(2), Decimal("3.5")]),
            freight=self.random.choice([Decimal(0)] * 4 + [Decimal(15) if decimals == 0 else Decimal("12.35")]),
            round_total_to=step if self.random.random() < 0.15 else None, comments=self.random.choice(_COMMENTS),
            customer_reference=self.random.choice([None, f"PO-{number:05d}", f"{number:07d}", f"Ref, {number} \"B\""]),
            address=self.random.choice([None, "Grote Markt 1\r2000 Antwerpen\rBELGIUM"]), custom=self._header_fields(),
        )  # fmt: skip

    def _line(self, currency: str, is_service: bool) -> Line:
        code, name, price = self.random.choice(self.items)
        tax_code, tax_percent = self.random.choice(self.taxes)
        quantity = Decimal(self.random.choice([1, 2, 3, 10, 24])) if self.random.random() < 0.8 else Decimal("2.375")
        unit = price * 160 if currency == "JPY" else price / 3 if currency == "KWD" else price
        places = max(CURRENCY_DECIMALS[currency], 2) if self.random.random() < 0.8 else 4
        return Line(
            item_code=None if is_service else code, description=f"Service: {name}" if is_service else name,
            quantity=Decimal(1) if is_service else quantity, unit_price=round(unit, places), tax_code=tax_code,
            tax_percent=tax_percent,
            discount_percent=self.random.choice([Decimal(0)] * 5 + [Decimal(10)]),
            account_code="705000" if is_service else "700000",
            custom={
                "U_Lot": self.random.choice([None, f"L-{self.random.randint(1, 999):04d}", "0001"]),
                "U_Weight": self.random.choice([None, 12.5, 0.001]), "U_Pallets": self.random.choice([None, 2]),
                "U_Inspected": self.random.choice([None, "2024-02-29"]),
            },
        )  # fmt: skip

    def _header_fields(self) -> dict[str, Any]:
        return {
            "U_Region": self.random.choice(["North", "Süd", "東", None]),
            "U_Channel": self.random.choice(["web", "shop", None]),
            "U_Score": self.random.choice([None, 1.5, 0.1, 100.0]), "U_Priority": self.random.choice([None, 1, 3]),
            "U_ApprovedOn": self.random.choice([None, "2025-01-31"]),
            "U_LegacyNo": self.random.choice([None, "000123", "=1+1"]),
        }  # fmt: skip

    def _back_date(self, entity_set: str) -> None:
        """Gives the newest document its own day as creation, and a later one as last change."""
        table = self.company.tables[entity_set]
        record = dict(table.rows[table.keys[-1]])
        day = date.fromisoformat(record["DocDate"])
        self._stamp_history(record, "CreationDate", day)
        table.put(record)

    def _stamp_history(self, record: dict[str, Any], created_property: str, day: date) -> None:
        changed = min(self.as_of, day + timedelta(days=self.random.choice([0, 0, 0, 1, 5, 30])))
        clock = f"{self.random.randint(7, 18):02d}:{self.random.randint(0, 59):02d}:{self.random.randint(0, 59):02d}"
        record.update({created_property: day.isoformat(), "UpdateDate": changed.isoformat(), "UpdateTime": clock})
        record["DataVersion"] = 1
        if "CreateTime" in record:
            record["CreateTime"] = "07:00:00"

    def _past_day(self) -> date:
        return self.as_of - timedelta(days=self.random.randint(1, HISTORY_DAYS))

    def payments(self) -> None:
        """Settles a share of the invoices: whole, in part, several at once, by every means."""
        waiting = [row for row in self.company.rows("Invoices") if self.random.random() < self.sizes.paid_share]
        by_account: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for invoice in waiting:
            group = by_account.setdefault((invoice["CardCode"], invoice["DocCurrency"]), [])
            group.append(invoice)
            if len(group) >= self.random.choice([1, 1, 1, 2, 4]):
                self._settle(group)
                group.clear()
        self._special_payments()

    def _settle(self, invoices: list[dict[str, Any]]) -> None:
        currency = invoices[0]["DocCurrency"]
        shares = [(row["DocEntry"], self._share(row, currency)) for row in invoices]
        applied = [(entry, part) for entry, part in shares if part > 0]
        extra = Decimal(50) if self.random.random() < 0.06 else Decimal(0)
        if not applied:
            return
        day = min(self.as_of, date.fromisoformat(invoices[-1]["DocDate"]) + timedelta(days=self.random.randint(3, 45)))
        method = self.random.choice(["transfer"] * 6 + ["cash", "check", "credit_card", "mixed", "bill_of_exchange"])
        payment = self.company.add_payment(
            invoices[0]["CardCode"], applied, method=method, on_account=extra, day=day.isoformat(), at=_noon(day),
            reference=self.random.choice([None, f"TRX{self.random.randint(1, 10**8):08d}", "+++090/9337/55493+++"]),
        )  # fmt: skip
        self.company._change(
            "IncomingPayments", payment["DocEntry"],
            {"CounterReference": self.random.choice([None, f"{payment['DocNum']}"]),
            "Reference1": str(payment["DocNum"]),
             "Remarks": self.random.choice(_COMMENTS)},
            None,
        )  # fmt: skip
        if self.random.random() < 0.05:
            self.company.cancel_payment(payment["DocEntry"], at=_noon(day))

    def _share(self, invoice: dict[str, Any], currency: str) -> Decimal:
        whole = rounded(amount(invoice["DocTotalFc"] or invoice["DocTotal"]), currency)
        if self.random.random() < 0.25:
            return rounded(whole * self.random.choice([Decimal("0.3"), Decimal("0.5"), Decimal("0.75")]), currency)
        return whole

    def _special_payments(self) -> None:
        """Payments to stumble over: on account only, towards a journal entry, from a supplier, to an account."""
        day = self.as_of - timedelta(days=3)
        customer = self.customers[0][0]
        for value, method in ((Decimal("250.00"), "transfer"), (Decimal("19.99"), "cash")):
            self.company.add_payment(
                customer, [], method=method, on_account=value, day=day.isoformat(), at=_noon(day), reference="DEPOSIT"
            )
        journal = self.company.add_payment(
            customer, [], on_account=Decimal("75.50"), day=day.isoformat(), at=_noon(day)
        )
        row = ENTITY_SETS["IncomingPayments"].blank_member("PaymentInvoices")
        row.update(
            LineNum=0,
            DocEntry=987,
            DocLine=1,
            InvoiceType="it_JournalEntry",
            SumApplied=75.5,
            AppliedFC=0.0,
            AppliedSys=75.5,
        )
        self.company._change("IncomingPayments", journal["DocEntry"], {"PaymentInvoices": [row]}, None)
        supplier = next(
            (code for code in self.company.tables["BusinessPartners"].keys if str(code).startswith("V")), customer
        )
        for card, kind in ((supplier, "rSupplier"), (None, "rAccount")):
            other = self.company.add_payment(
                supplier, [], on_account=Decimal("120.00"), day=day.isoformat(), at=_noon(day)
            )
            changes = {"DocType": kind, "DocTypte": kind, "CardCode": card}
            self.company._change("IncomingPayments", other["DocEntry"], changes, None)

    def cancellations(self) -> None:
        unpaid = [row["DocEntry"] for row in self.company.rows("Invoices") if not row["PaidToDate"]]
        for entry in self.random.sample(unpaid, k=min(len(unpaid), max(1, self.sizes.invoices // 100))):
            self.company.cancel_invoice(entry, at=_noon(self.as_of - timedelta(days=1)))

    def bad_records(self) -> None:
        """The planted defects: each is a posted invoice that looks well at first sight."""
        plans = [
            ("missing_card_code", self.planted.missing_card_code),
            ("line_sum_mismatch", self.planted.line_sum_mismatch),
            ("unknown_currency", self.planted.unknown_currency),
        ]  # fmt: skip
        for kind, count in plans:
            for _ in range(count):
                self.company.planted.setdefault(kind, []).append(self._plant(kind))
        bad = [entry for entries in self.company.planted.values() for entry in entries]
        if self.planted.held_invoice_pdf and bad:
            self.company.attach(bad[0])
            self.company.planted["held_invoice_pdf"] = [bad[0]]

    def _plant(self, kind: str) -> int:
        draft = self._draft(1, 1)
        if kind == "unknown_currency":
            draft = replace(draft, currency="XQX", round_total_to=None)
        record = self.company.add_document("Invoices", draft)
        self._back_date("Invoices")
        entry = int(record["DocEntry"])
        if kind == "missing_card_code":
            self.company._change("Invoices", entry, {"CardCode": None}, None, touch=False)
        elif kind == "line_sum_mismatch":
            total = "DocTotalFc" if record["DocTotalFc"] else "DocTotal"
            self.company._change("Invoices", entry, {total: record[total] + 10}, None, touch=False)
        return entry

    def attachments(self) -> None:
        """PDFs on a share of the invoices: some after an image, some with an upper-case extension."""
        planted = {entry for entries in self.company.planted.values() for entry in entries}
        for key in list(self.company.tables["Invoices"].keys):
            row = self.company.tables["Invoices"].rows[key]
            if (
                key in planted
                or row["CancelStatus"] == "csCancellation"
                or self.random.random() >= self.sizes.attachment_share
            ):
                continue
            self.company.attach(
                key, pdf_first=self.random.random() < 0.8, extension="PDF" if self.random.random() < 0.1 else "pdf"
            )

    def ugly_details(self) -> None:
        """Doubles one step too high, and old rows that never got an UpdateDate."""
        for entity_set in ("Invoices", "CreditNotes"):
            table = self.company.tables[entity_set]
            for key in table.keys:
                if self.random.random() < 0.04:
                    table.put(_with_noise(table.rows[key]))
            oldest = table.keys[: max(1, len(table) // 200)]
            for key in oldest:
                table.put({**table.rows[key], "UpdateDate": None, "UpdateTime": None})


def _yes(condition: bool) -> str:
    return "tYES" if condition else "tNO"


def _with_noise(record: dict[str, Any]) -> dict[str, Any]:
    lines = [dict(line) for line in record["DocumentLines"]]
    lines[0]["LineTotal"] = noisy(lines[0]["LineTotal"])
    return {**record, "DocTotal": noisy(record["DocTotal"]), "DocumentLines": lines}


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12))
