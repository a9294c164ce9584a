"""Customers, contacts, taxes, accounts, items and the manifest of PDFs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.mapping.support import cells, codes, project, run
from tieout.errors import ConfigurationInvalid

D = Decimal
COLUMNS = {
    "customers": (
        "externalId companyName currency status registrationNumber taxNumber email phone line1 city postalCode country"
    ),
    "contacts": "externalId customerRef firstName lastName email phone position isMainContact",
    "invoice_pdfs": "externalId invoiceNumber fileName bytes sha256",
    "payments": (
        "externalId customerRef paymentDate currency amount paymentMethod reference invoiceNumber appliedAmount status"
    ),
    "taxes": "externalId name rate category active",
    "chart_of_accounts": "externalId accountCode name accountType currency active",
    "inventory": "externalId name group unitPrice quantityOnHand active",
}


@pytest.mark.parametrize("entity", COLUMNS)
def test_columns_are_the_contracts(entity: str) -> None:
    assert [column.name for column in project(entity).columns] == COLUMNS[entity].split()


def customer(**more: Any) -> dict[str, Any]:
    return {"CardCode": "C1", "CardName": "Ärzte & Co", "CardType": "cCustomer", "Currency": "GBP", **more}


def address(kind: str, city: str, **more: Any) -> dict[str, Any]:
    return {"AddressType": kind, "City": city, **more}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(customer(), {"externalId": "C1", "companyName": "Ärzte & Co", "currency": "GBP"}, id="plain"),
        pytest.param(customer(Currency="##"), {"currency": "EUR"}, id="all currencies"),
        pytest.param(customer(Currency=None), {"currency": "EUR"}, id="no currency"),
        pytest.param(customer(Valid="tYES", Frozen="tNO"), {"status": "active"}, id="active"),
        pytest.param(customer(Frozen="tYES", Valid="tYES"), {"status": "archived"}, id="frozen"),
        pytest.param(customer(Valid="tNO"), {"status": "archived"}, id="not valid"),
        pytest.param(customer(), {"status": "active"}, id="neither said"),
        pytest.param(
            customer(BPAddresses=[address("bo_ShipTo", "S"), address("bo_BillTo", "B"), address("bo_BillTo", "C")]),
            {"city": "B"},
            id="first bill-to address",
        ),
        pytest.param(
            customer(BPAddresses=[address("bo_ShipTo", "S"), address("bo_ShipTo", "T")]),
            {"city": "S"},
            id="first address",
        ),
        pytest.param(customer(BPAddresses=[]), {"city": "", "line1": ""}, id="no address"),
        pytest.param(
            customer(BPAddresses=[address("bo_BillTo", "B", Street="Rue", StreetNo="1")]),
            {"line1": "Rue 1"},
            id="street and number",
        ),
        pytest.param(
            customer(BPAddresses=[address("bo_BillTo", "B", Street="Rue")]), {"line1": "Rue"}, id="street only"
        ),
        pytest.param(
            customer(FederalTaxID="F", UnifiedFederalTaxID="U", VatIDNum="V"),
            {"taxNumber": "F", "registrationNumber": "U"},
            id="tax numbers",
        ),
        pytest.param(customer(UnifiedFederalTaxID="", VatIDNum="V"), {"registrationNumber": "V"}, id="fallback number"),
    ],
)
def test_customer(record: dict[str, Any], expected: dict[str, str]) -> None:
    compiled, mapped = run("customers", [customer(CardCode="C0"), record])
    row = cells(compiled, mapped)[1]
    assert {name: row[name] for name in expected} == expected
    assert mapped.held == {}


def test_customers_only() -> None:
    _, mapped = run("customers", [customer(), customer(CardType="cSupplier"), customer(CardType="cLid")])
    assert mapped.excluded == {1: "not a customer", 2: "not a customer"}
    assert mapped.currency.to_pylist() == mapped.amount.to_pylist() == [None, None, None]


def test_customer_without_name_or_with_odd_currency_is_held() -> None:
    _, mapped = run("customers", [customer(CardName=None), customer(Currency="US$"), customer()])
    assert codes(mapped) == {0: ["MISSING_VALUE"], 1: ["UNKNOWN_CURRENCY"]}


def test_setting_that_is_not_given() -> None:
    with pytest.raises(ConfigurationInvalid, match="local_currency"):
        run("customers", [customer(Currency="##")], settings={})


def contact(**more: Any) -> dict[str, Any]:
    return {"InternalCode": 5, "Name": "Ann", "parent.CardCode": "C1", "parent.CardType": "cCustomer", **more}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(contact(), {"externalId": "5", "customerRef": "C1", "firstName": "Ann"}, id="name for first name"),
        pytest.param(contact(FirstName="A."), {"firstName": "A."}, id="first name"),
        pytest.param(contact(**{"parent.ContactPerson": "Ann"}), {"isMainContact": "true"}, id="main contact"),
        pytest.param(contact(**{"parent.ContactPerson": "Bob"}), {"isMainContact": "false"}, id="other contact"),
        pytest.param(contact(), {"isMainContact": "false"}, id="no main contact"),
        pytest.param(contact(MobilePhone="m"), {"phone": "m"}, id="mobile phone"),
        pytest.param(contact(Phone1="p", MobilePhone="m"), {"phone": "p"}, id="phone"),
        pytest.param(contact(E_Mail=None), {"email": ""}, id="no e-mail is not held"),
    ],
)
def test_contact(record: dict[str, Any], expected: dict[str, str]) -> None:
    compiled, mapped = run("contacts", [record])
    row = cells(compiled, mapped)[0]
    assert {name: row[name] for name in expected} == expected
    assert mapped.held == {}


def rate(day: str | None, percent: str) -> dict[str, Any]:
    return {"Effectivefrom": day, "Rate": D(percent)}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([rate("2020-01-01", "20"), rate("2024-01-01", "21"), rate("2022-01-01", "19")], "21"),
        ([rate("2024-01-01", "5.5"), rate("2024-01-01", "6")], "5.5"),
        ([rate(None, "1"), rate("1999-01-01", "2")], "2"),
        ([], ""),
    ],
    ids=["latest", "first of equals", "date absent", "none"],
)
def test_tax_rate(rates: list[dict[str, Any]], expected: str) -> None:
    other = {"Code": "X", "Category": "bovcInputTax", "VatGroups_Lines": [rate("2030-01-01", "99")]}
    record = {"Code": "O1", "Category": "bovcOutputTax", "VatGroups_Lines": rates}
    compiled, mapped = run("taxes", [other, record, other])
    assert [row["rate"] for row in cells(compiled, mapped)] == ["99", expected, "99"]


def test_taxes_of_a_localisation_without_vat() -> None:
    mapping = project("taxes").alternative()
    assert mapping is not None
    assert mapping.source.entity_set == "SalesTaxCodes"
    assert mapping.version != project("taxes").version
    records: list[dict[str, Any]] = [
        {"Code": "CA", "Name": "California", "Rate": D("7.25"), "ValidForAR": "tYES", "ValidForAP": "tYES"},
        {"Code": "P", "ValidForAR": "tNO", "ValidForAP": "tYES", "Inactive": "tYES"},
    ]
    compiled, mapped = run(mapping, records)
    rows = [tuple(row.values()) for row in cells(compiled, mapped)]
    assert rows == [("CA", "California", "7.25", "output", "true"), ("P", "", "", "input", "false")]


def test_unknown_tax_category_is_held_with_the_value() -> None:
    _, mapped = run("taxes", [{"Code": "O1", "Category": "bovcNew"}])
    assert codes(mapped) == {0: ["MAPPING_MISSING"]}
    assert "'bovcNew'" in mapped.held[0][0].message
    assert mapped.held[0][0].owner == "data engineer"


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ({}, "accountCode", "4000"),
        ({"FormatCode": "70-01"}, "accountCode", "70-01"),
        ({"AcctCurrency": "##"}, "currency", "EUR"),
        ({"AcctCurrency": "USD"}, "currency", "USD"),
        ({"ActiveAccount": "tNO"}, "active", "false"),
        ({"FrozenFor": "tYES"}, "active", "false"),
        ({"ActiveAccount": "tYES"}, "active", "true"),
        ({"AccountType": "at_Revenues"}, "accountType", "revenue"),
    ],
)
def test_account(change: dict[str, Any], column: str, value: str) -> None:
    compiled, mapped = run("chart_of_accounts", [{"Code": "4000", "Name": "Debtors", **change}])
    assert cells(compiled, mapped)[0][column] == value


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ({"ItemPrices": [{"PriceList": 2, "Price": D(9)}, {"PriceList": 1, "Price": D("7.5")}]}, "unitPrice", "7.5"),
        ({"ItemPrices": [{"PriceList": 1, "Price": D(0)}], "AvgStdPrice": D(3)}, "unitPrice", "3"),
        ({"ItemPrices": [], "MovingAveragePrice": D(4)}, "unitPrice", "4"),
        ({"ItemPrices": [{"PriceList": 1, "Price": D(0)}]}, "unitPrice", "0"),
        ({}, "unitPrice", ""),
        ({"QuantityOnStock": D("1000")}, "quantityOnHand", "1000"),
        ({"Frozen": "tYES"}, "active", "false"),
        ({"Valid": "tNO"}, "active", "false"),
        ({"ItemsGroupCode": 100}, "group", "100"),
    ],
)
def test_item(change: dict[str, Any], column: str, value: str) -> None:
    compiled, mapped = run("inventory", [{"ItemCode": "007", "ItemName": "x", **change}])
    row = cells(compiled, mapped)[0]
    assert row[column] == value
    assert row["externalId"] == "007"
