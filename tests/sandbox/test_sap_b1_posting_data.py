"""What postings refer to in the generated company, and the ledger's control paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from posting_support import DAY, entry, error_of
from sandbox_client import Client

from sandbox import Sandbox, Sizes
from sandbox.sap_b1 import Company, generate_company
from sandbox.sap_b1.company import amount
from sandbox.sap_b1.schema import ENTITY_SETS

FEW = Sizes(customers=12, suppliers=3, leads=2, items=4, invoices=40, credit_notes=3, warehouses=2)
SET_UP = ["Currencies", "Dimensions", "DistributionRules", "PaymentTermsTypes", "ProfitCenters", "Projects"]


@pytest.mark.parametrize("country", ["EU", "US"])
def test_suppliers_can_be_posted_to(country: str) -> None:
    company = generate_company(1, FEW, country=country)
    suppliers = [row for row in company.rows("BusinessPartners") if row["CardType"] == "cSupplier"]
    assert {"##", "USD", "EUR", "JPY"} <= {row["Currency"] for row in suppliers}
    assert {"tYES", "tNO"} == {row["Frozen"] for row in suppliers}
    for row in suppliers:
        control = company.get("ChartOfAccounts", row["DebitorAccount"])
        assert (control["FormatCode"], control["LockManualTransaction"]) == ("440000", "tYES")
        if row["Frozen"] == "tNO":
            lines = [
                {"AccountCode": company.account("616000"), "Debit": 1},
                {"ShortName": row["CardCode"], "Credit": 1},
            ]
            company.post_entry({"JournalEntryLines": lines})


@pytest.mark.parametrize("country", ["EU", "US"])
def test_every_reference_is_there(country: str) -> None:
    company = generate_company(1, FEW, country=country)
    accounts = {row["Code"]: row for row in company.rows("ChartOfAccounts")}
    for row in accounts.values():
        father = row["FatherAccountKey"]
        assert father is None or accounts[father]["ActiveAccount"] == "tNO"
    for group in company.rows("VatGroups"):
        assert accounts[group["TaxAccount"]]["ActiveAccount"] == "tYES"
    centres = {row["CenterCode"] for row in company.rows("ProfitCenters")}
    for rule in company.rows("DistributionRules"):
        assert len(rule["FactorCode"]) <= 8
        assert sum(line["TotalInCenter"] for line in rule["DistributionRuleLines"]) == rule["TotalFactor"]
        assert {line["CenterCode"] for line in rule["DistributionRuleLines"]} <= centres
    kinds = {
        "617000": "DistributionRuleRelevant", "618000": "ProjectRelevant", "619000": "FrozenFor",
        "440000": "LockManualTransaction",
    }  # fmt: skip
    assert {number: accounts[company.account(number)][name] for number, name in kinds.items()} == dict.fromkeys(
        kinds, "tYES"
    )
    with pytest.raises(KeyError):
        company.account("123456")


def test_purchase_orders_are_open_partly_open_closed_and_cancelled(company: Company) -> None:
    orders = company.rows("PurchaseOrders")
    suppliers = {row["CardCode"] for row in company.rows("BusinessPartners") if row["CardType"] == "cSupplier"}
    states = set()
    for order in orders:
        assert order["CardCode"] in suppliers and order["DocObjectCode"] == "oPurchaseOrders"
        assert order["DataVersion"] == 1
        lines = order["DocumentLines"]
        net = sum(amount(line["LineTotal"]) for line in lines)
        assert net + amount(order["VatSum"]) == amount(order["DocTotal"])
        for line in lines:
            assert 0 <= line["RemainingOpenQuantity"] <= line["Quantity"]
            assert (line["LineStatus"] == "bost_Open") == (line["RemainingOpenQuantity"] > 0)
        received = any(line["RemainingOpenQuantity"] < line["Quantity"] for line in lines)
        states.add((order["DocumentStatus"], order["Cancelled"], received))
    assert states == {
        ("bost_Open", "tNO", False), ("bost_Open", "tNO", True), ("bost_Close", "tNO", True),
        ("bost_Close", "tYES", True),
    }  # fmt: skip


@pytest.mark.parametrize("name", [*SET_UP, "JournalEntries", "PurchaseOrders", "Drafts"])
def test_new_entity_sets_are_read_like_the_others(client: Client, company: Company, name: str) -> None:
    company.post_entry(entry())
    entity = ENTITY_SETS[name]
    rows = client.rows(name)
    assert [row[entity.key] for row in rows] == company.tables[name].keys
    for row in rows:
        assert {*entity.properties, *entity.collections} == row.keys() - {"@odata.etag"}
        assert ("@odata.etag" in row) == entity.has_etag
    assert f'<EntitySet Name="{name}" EntityType="SAPB1.{entity.type_name}"/>' in client.get("$metadata").data.decode()
    if name in SET_UP:
        assert error_of(client.get(f"{name}?$select=UpdateDate")) == (400, "201", "Property 'UpdateDate' is invalid")
        assert error_of(client.request("POST", name, body={}))[1] == "-5006"


def test_the_same_seed_gives_the_same_books_at_any_hour(clock: Any) -> None:
    first = generate_company(3, FEW, clock=clock)
    clock.advance(86_400 * 40 + 61)
    second = generate_company(3, FEW, clock=clock)
    assert {name: first.rows(name) for name in ENTITY_SETS} == {name: second.rows(name) for name in ENTITY_SETS}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(size=FEW, folder=tmp_path, only=("sap_b1",)) as running:
        yield running


def control(sandbox: Sandbox, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    content = None if body is None else json.dumps(body)
    url = f"{sandbox.env['TIEOUT_SANDBOX_CONTROL']}/sandbox/sap_b1/{path}"
    reply = urllib3.request(method, url, body=content, retries=False)
    assert reply.status == status, reply.data
    return reply.json()


def test_the_ledger_by_http(sandbox: Sandbox) -> None:
    company = sandbox.company
    assert control(sandbox, "POST", "periods", {"lock": "2026-01"}) == {"locked": ["2026-01"]}
    assert "Posting period locked" in control(sandbox, "POST", "entries", entry(), status=400)["error"]
    assert control(sandbox, "POST", "periods", {"unlock": "2026-01"}) == {"locked": []}
    number = control(sandbox, "POST", "entries", entry())["JdtNum"]
    assert control(sandbox, "GET", "balances/V10010") == {"balance": "-121.00"}
    assert control(sandbox, "POST", f"entries/{number}/cancel")["Original"] == number
    assert len(control(sandbox, "GET", "entries")["entries"]) == len(company.entries()) == 2
    control(sandbox, "POST", "rates", {"currency": "USD", "date": DAY, "rate": "0.5"})
    assert str(company.rates.get("USD", DAY)) == "0.5"
    control(sandbox, "POST", "rates", {"currency": "USD"})
    assert company.rates.get("USD", DAY) is None
    assert control(sandbox, "PATCH", "rules", {"branches": [1]})["branches"] == [1]
    assert company.rules.branches == (1,)


def test_approvals_and_faults_by_http(sandbox: Sandbox) -> None:
    client = Client(sandbox.sap.server.url).login()
    added = control(sandbox, "POST", "faults", {"kind": "approval", "times": 2})
    assert (added["kind"], added["times"]) == ("approval", 2)
    for key in ("A", "B"):
        assert error_of(client.request("POST", "JournalEntries", body=entry(Reference3=key)))[1] == "-2028"
    first, second = (row["DocEntry"] for row in sandbox.company.rows("Drafts"))
    assert control(sandbox, "POST", f"drafts/{first}/approve")["Reference3"] == "A"
    control(sandbox, "POST", f"drafts/{second}/reject")
    control(sandbox, "POST", f"drafts/{second}/reject", status=404)
    assert list(sandbox.company.entries_by_reference3()) == ["A"]


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "periods", {"lock": "January"}, "'January' is no month"),
        ("POST", "periods", {"shut": "2026-01"}, "Unknown key shut"),
        ("POST", "rates", {"currency": "USD", "date": DAY, "rate": "-1"}, "must be above zero"),
        ("POST", "rates", {"currency": "USD", "rate": "1"}, "needs its date"),
        ("PATCH", "rules", {"strict": True}, "Unknown rule strict"),
        ("POST", "entries/77/cancel", None, "SAP refuses it"),
    ],
)
def test_mistakes_are_told(sandbox: Sandbox, method: str, path: str, body: Any, message: str) -> None:
    assert message in control(sandbox, method, path, body, status=400)["error"]
