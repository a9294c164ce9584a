"""Suppliers and purchase orders of the generated company: a handful of each kind, always the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.documents import Draft, Line
from sandbox.sap_b1.money import amount, rounded
from sandbox.sap_b1.schema import ENTITY_SETS


@dataclass(frozen=True)
class _Supplier:
    code: str
    name: str
    currency: str
    country: str
    tax_id: str
    frozen: bool = False
    frozen_from: str | None = None
    terms: int = 1


_SUPPLIERS = [
    _Supplier("V10010", "Kantoor & Papier BV", "EUR", "BE", "BE0403170701"),
    _Supplier("V10020", "Cloudwerk Software GmbH", "EUR", "DE", "DE129273398"),
    _Supplier("V10030", "Northwind Office Supply, Inc.", "USD", "US", "94-3177549", terms=2),
    _Supplier("V10040", "Transports Lefèvre S.A.R.L.", "##", "FR", "FR40303265045"),
    _Supplier("V10050", "Ærø Facility Services A/S", "##", "DK", "DK13585628"),
    _Supplier("V10060", "Thames Legal LLP", "GBP", "GB", "GB220430231", terms=2),
    _Supplier("V10070", "東京精密 Co., Ltd.", "JPY", "JP", "T1234567890123"),
    _Supplier("V10080", 'O\'Neill "Express" Couriers', "##", "IE", "IE6388047V", terms=-1),
    _Supplier("V10090", "Grün & Groß Elektro KG (closed)", "EUR", "DE", "DE811907980", frozen=True),
    _Supplier("V10100", "Formerly Ltd", "USD", "US", "13-5562900", frozen=True, frozen_from="2024-01-01"),
]
_ORDERS = [
    ("V10010", "open", [("616000", "Copy paper A4, 80 g/m²", 40, "4.75"), ("616000", "Toner, black", 6, "89.90")]),
    ("V10020", "open", [("615000", "Licences, per seat", 25, "31.20")]),
    ("V10030", "partly open", [("616000", 'Desk lamp, 24"', 10, "42.15"), ("616000", "Chair; ergonomic", 4, "310.00")]),
    ("V10040", "partly open", [("640000", "Carriage, pallet", 12, "68.40")]),
    ("V10070", "open", [("230000", "測定器 type 7", 1, "184000")]),
    ("V10050", "closed", [("610000", "Cleaning, month", 12, "1250.00")]),
    ("V10060", "cancelled", [("612000", "Contract review", 3, "275.00")]),
    ("V10080", "open", [("614000", "Courier, city", 100, "7.35"), ("614000", "Courier, abroad", 5, "64.99")]),
]
_ADDED_AT = datetime(2023, 7, 3, 8, 0)


def add_suppliers(company: Company) -> None:
    """Adds suppliers with known codes, next to the ones that differ from seed to seed."""
    for number, supplier in enumerate(_SUPPLIERS, start=1):
        company.insert("BusinessPartners", _partner(company, supplier, number), at=_ADDED_AT)


def _partner(company: Company, supplier: _Supplier, number: int) -> dict[str, Any]:
    address = ENTITY_SETS["BusinessPartners"].blank_member("BPAddresses")
    address.update(
        AddressName="Bill to", AddressType="bo_BillTo", RowNum=0, BPCode=supplier.code, Street=f"Industrieweg {number}",
        City="Gent", ZipCode=f"90{number:02d}", Country=supplier.country, CreateDate="2023-07-03",
        CreateTime="08:00:00",
    )  # fmt: skip
    return {
        "CardCode": supplier.code, "CardName": supplier.name, "CardType": "cSupplier", "GroupCode": 101,
        "Currency": supplier.currency, "PayTermsGrpCode": supplier.terms, "FederalTaxID": supplier.tax_id,
        "VatLiable": "vLiable", "VatGroup": "I1" if company.tax_property == "VatGroup" else None,
        "EmailAddress": f"ap{number}@supplier.test", "Phone1": f"+32 9 {number:07d}", "Country": supplier.country,
        "DebitorAccount": company.control_accounts["cSupplier"], "CreditLimit": 0.0, "CurrentAccountBalance": 0.0,
        "Valid": "tNO" if supplier.frozen else "tYES", "Frozen": "tYES" if supplier.frozen else "tNO",
        "FrozenFrom": supplier.frozen_from, "Series": 2, "PaymentBlock": "tNO", "SinglePayment": "tNO",
        "CollectionAuthorization": "tNO", "BPAddresses": [address],
    }  # fmt: skip


def add_purchase_orders(company: Company, as_of: date) -> None:
    """Adds purchase orders that are open, partly received, closed and cancelled."""
    for number, (supplier, state, lines) in enumerate(_ORDERS, start=1):
        day = as_of - timedelta(days=3 * number)
        _receive(company, _order(company, supplier, lines, number, day), state)


def _order(company: Company, supplier: str, lines: list[tuple[str, str, int, str]], number: int, day: date) -> int:
    partner = company.get("BusinessPartners", supplier)
    currency = company.local_currency if partner["Currency"] == "##" else partner["Currency"]
    tax = ("I1", Decimal(21)) if company.tax_property == "VatGroup" else ("EX", Decimal(0))
    draft = Draft(
        supplier, partner["CardName"], currency, day,
        [
            Line(None, text, Decimal(quantity), Decimal(price), tax[0], tax[1], account_code=company.account(account),
                 custom={"CostingCode": "CC-310", "ProjectCode": "PRJ-100" if index else None})
            for index, (account, text, quantity, price) in enumerate(lines)
        ],
        customer_reference=f"REQ-{number:04d}", comments="Deliver to dock 3",
    )  # fmt: skip
    return int(company.add_document("PurchaseOrders", draft, at=datetime.combine(day, time(12)))["DocEntry"])


def _receive(company: Company, entry: int, state: str) -> None:
    """Brings an order to its state: of a partly open one half of the first line is still to come."""
    order = company.get("PurchaseOrders", entry)
    own = order["DocCurrency"]
    for line in order["DocumentLines"]:
        done = state in ("closed", "cancelled") or (state == "partly open" and line["LineNum"] > 0)
        share = Decimal(0) if done else Decimal("0.5") if state == "partly open" else Decimal(1)
        line["RemainingOpenQuantity"] = float(amount(line["Quantity"]) * share)
        line["OpenAmount"] = float(rounded(amount(line["LineTotal"]) * share, company.local_currency))
        line["OpenAmountFC"] = float(rounded(amount(line["RowTotalFC"]) * share, own))
        line["LineStatus"] = "bost_Close" if done else "bost_Open"
    changes: dict[str, Any] = {"DocumentLines": order["DocumentLines"], "TransNum": None}
    if state in ("closed", "cancelled"):
        changes["DocumentStatus"] = "bost_Close"
    if state == "cancelled":
        changes |= {"Cancelled": "tYES", "CancelStatus": "csYes", "CancelDate": order["DocDate"]}
    company.update("PurchaseOrders", entry, changes, touch=False)
