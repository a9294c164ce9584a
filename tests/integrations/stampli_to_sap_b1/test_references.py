"""What is read of SAP: only what is needed, in few requests, whatever the server lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from sandbox.sap_b1 import Company, ServiceLayer, Sizes, generate_company
from tests.integrations.stampli_to_sap_b1.records import accounting, codes, entry, invoice, line, payment, vendor
from tests.support.service_layer import PASSWORD, FakeServiceLayer, sap_error, service_layer
from tieout.config import StampliToSapB1
from tieout.integrations.stampli_to_sap_b1.drafts import PartnerDraft
from tieout.integrations.stampli_to_sap_b1.partners import partner_changes
from tieout.integrations.stampli_to_sap_b1.references import (
    ETAG,
    Account,
    CostCentre,
    Needed,
    Project,
    References,
    TaxCode,
    read_references,
    read_suppliers,
)
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError
from tieout.systems.sap_b1.sessions import MemorySessionStore
from tieout.systems.sap_b1.settings import SapB1Settings
from tieout.systems.stampli.records import SourceRecord

D = Decimal
CONFIG = StampliToSapB1(local_currency="CHF")
ADMIN, RATE = "CompanyService_GetAdminInfo", "SBOBobService_GetCurrencyRate"
FIRST_ETAG = 'W/"356A192B7913B04C54574D18C28D46E6395428AB"'  # as the manual gives it for DataVersion 1


@pytest.fixture
def server() -> Iterator[FakeServiceLayer]:
    with service_layer() as fake:
        fake.keys = {
            "ChartOfAccounts": "Code",
            "DistributionRules": "FactorCode",
            "ProfitCenters": "CenterCode",
            "Projects": "Code",
            "VatGroups": "Code",
            "SalesTaxCodes": "Code",
            "BusinessPartners": "CardCode",
        }
        fake.rows = {name: [] for name in fake.keys}
        fake.files = {ADMIN: b'{"LocalCurrency":"EUR"}', RATE: b"0.91"}
        yield fake


@pytest.fixture
def client(server: FakeServiceLayer) -> Iterator[SapB1Client]:
    settings = SapB1Settings(server.url, "SBODEMO", "manager", PASSWORD, page_size=3, retry_seconds=0)
    made = SapB1Client(settings, MemorySessionStore())
    made.login()
    server.calls.clear()
    yield made
    made.close()


def asked(server: FakeServiceLayer, name: str) -> list[dict[str, str]]:
    return [call.params for call in server.calls if call.path.endswith(f"/{name}")]


def unknown_property(name: str) -> Any:
    return sap_error(400, 201, f"Property '{name}' is invalid")


def test_nothing_needed_nothing_read(client: SapB1Client, server: FakeServiceLayer) -> None:
    assert read_references(client, Needed(), CONFIG) == References("EUR")
    assert [call.path.rpartition("/")[2] for call in server.calls] == [ADMIN]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(b'{"LocalCurrency":"USD"}', "USD"), (b"{}", "CHF"), (b'{"LocalCurrency":"$"}', "CHF"), (None, "CHF")],
)
def test_local_currency(client: SapB1Client, server: FakeServiceLayer, answer: bytes | None, expected: str) -> None:
    server.files = {} if answer is None else {ADMIN: answer}
    assert read_references(client, Needed(), CONFIG).local_currency == expected


def test_small_sets_are_read_whole_page_by_page(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.rows["ChartOfAccounts"] = [
        {"Code": f"_S{n}", "FormatCode": f"{n}00", "ExternalCode": None, "ActiveAccount": "tYES" if n else "tNO",
         "FrozenFor": "tYES" if n == 4 else "tNO", "FrozenFrom": None, "FrozenTo": "2026-12-31T00:00:00Z"}
        for n in range(5)
    ]  # fmt: skip
    references = read_references(client, Needed(accounts=True), CONFIG)
    assert references.accounts[0] == Account("_S0", "000", postable=False, frozen_to="2026-12-31")
    assert references.accounts[4] == Account("_S4", "400", frozen=True, frozen_to="2026-12-31")
    assert len(asked(server, "ChartOfAccounts")) == 2
    assert set(asked(server, "ChartOfAccounts")[0]["$select"].split(",")) == {
        "Code", "FormatCode", "ExternalCode", "ActiveAccount", "FrozenFor", "FrozenFrom", "FrozenTo"
    }  # fmt: skip


def test_a_property_that_the_company_lacks_is_left_out(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.rows["Projects"] = [{"Code": "P", "ValidFrom": None, "ValidTo": None, "Active": "tNO"}]
    server.faults = [_pass, unknown_property("Active")]
    references = read_references(client, Needed(projects=True), CONFIG)
    assert references.projects == {"P": Project("P")}
    assert [params["$select"] for params in asked(server, "Projects")] == [
        "Code,ValidFrom,ValidTo,Active", "Code,ValidFrom,ValidTo"
    ]  # fmt: skip


def test_a_localised_message_without_a_name_costs_the_optional_properties(
    client: SapB1Client, server: FakeServiceLayer
) -> None:
    server.rows["Projects"] = [{"Code": "P"}]
    server.faults = [_pass, sap_error(400, 201, "Eigenschaft ungültig")]
    assert read_references(client, Needed(projects=True), CONFIG).projects == {"P": Project("P")}


def test_a_property_that_must_be_there(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.faults = [_pass, unknown_property("Code")]
    with pytest.raises(SapError, match="Code"):
        read_references(client, Needed(accounts=True), CONFIG)


def _pass(handler: Any, call: Any) -> bool:
    return False


def test_distribution_rules_or_cost_centres(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.rows["DistributionRules"] = [{"FactorCode": "R", "InWhichDimension": 2, "Active": "tNO"}]
    server.rows["ProfitCenters"] = [{"CenterCode": "C", "InWhichDimension": "1", "Active": None}]
    assert read_references(client, Needed(cost_centres=True), CONFIG).cost_centres == {"R": CostCentre("R", 2, False)}
    assert asked(server, "ProfitCenters") == []
    del server.rows["DistributionRules"]
    assert read_references(client, Needed(cost_centres=True), CONFIG).cost_centres == {"C": CostCentre("C", 1)}
    del server.rows["ProfitCenters"]
    references = read_references(client, Needed(cost_centres=True, accounts=True), CONFIG)
    assert references.cost_centres is None


def test_tax_codes(client: SapB1Client, server: FakeServiceLayer) -> None:
    rates = [{"Effectivefrom": "2020-01-01T00:00:00Z", "Rate": 21}, {"Effectivefrom": "1996-01-01", "Rate": 20.5}]
    server.rows["VatGroups"] = [{"Code": "I1", "TaxAccount": "411", "Inactive": "tYES", "VatGroups_Lines": rates}]
    server.rows["SalesTaxCodes"] = [{"Code": "MA", "Rate": 6.25, "Inactive": "tNO"}]
    vat = read_references(client, Needed(tax_codes=True), CONFIG)
    assert vat.tax_codes == {"I1": TaxCode("I1", "411", (("1996-01-01", D("20.5")), ("2020-01-01", D(21))), False)}
    assert vat.tax_codes["I1"].rate_on("2019-12-31") == D("20.5")
    assert vat.tax_codes["I1"].rate_on("1995-01-01") is None
    server.rows["VatGroups"] = []
    sales = read_references(client, Needed(tax_codes=True), CONFIG)
    assert (sales.tax_property, sales.tax_codes) == ("TaxCode", {"MA": TaxCode("MA", "", (("", D("6.25")),))})
    del server.rows["VatGroups"], server.rows["SalesTaxCodes"]
    assert read_references(client, Needed(tax_codes=True), CONFIG).tax_codes is None


# -- suppliers --------------------------------------------------------------------------------------------------------


def partner(code: str, **more: Any) -> dict[str, Any]:
    names = ("CardName", "Frozen", "Valid", "Currency", "FederalTaxID", "EmailAddress")
    return {"CardCode": code, "CardType": "cSupplier", "DataVersion": 1, **dict.fromkeys(names), **more}


def test_suppliers_by_their_codes(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.rows["BusinessPartners"] = [partner(f"V{n:03}") for n in range(300)] + [partner("O'Neill")]
    wanted = {"O'Neill", "V999", "", *(f"V{n:03}" for n in range(150))}
    found = read_suppliers(client, wanted, ["EmailAddress"])
    assert set(found) == wanted - {"V999", ""}
    assert found["V000"][ETAG] == FIRST_ETAG
    lengths = [len(params["$filter"]) for params in asked(server, "BusinessPartners")]
    assert max(lengths) < 1600
    assert "EmailAddress" in asked(server, "BusinessPartners")[0]["$select"]


def test_a_server_that_ignores_upper_and_lower_case(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.rows["BusinessPartners"] = [partner("V1", DataVersion=None)]
    server.faults = [_answer({"value": server.rows["BusinessPartners"]})]
    found = read_suppliers(client, ["v1"])
    assert (found["v1"]["CardCode"], found["v1"][ETAG]) == ("V1", "")


def _answer(body: Any) -> Any:
    def fault(handler: Any, call: Any) -> bool:
        handler.answer(200, json.dumps(body).encode())
        return True

    return fault


def test_tax_ids_of_new_vendors_only(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.rows["BusinessPartners"] = [
        partner("V1", FederalTaxID="BE1"), partner("V2", FederalTaxID="BE2"), partner("V3", FederalTaxID="BE2"),
        partner("C1", FederalTaxID="BE2", CardType="cCustomer"),
    ]  # fmt: skip
    needed = Needed(vendors={"V1", "N1"}, tax_ids={"BE1": {"V1"}, "be.2": {"N1"}})
    references = read_references(client, needed, CONFIG)
    assert references.tax_id_holders == {"BE2": ("V2", "V3")}
    assert all("BE1" not in params["$filter"] for params in asked(server, "BusinessPartners"))


# -- rates ------------------------------------------------------------------------------------------------------------


def rate_calls(server: FakeServiceLayer) -> list[Any]:
    return [json.loads(call.body) for call in server.calls if call.path.endswith(RATE)]


def test_rates_of_foreign_currencies(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.files[RATE] = b'{"value": 1.1000000000000001}'
    references = read_references(client, Needed(rates={("USD", "2026-01-31"), ("EUR", "2026-01-31")}), CONFIG)
    assert rate_calls(server) == [{"Currency": "USD", "Date": "20260131"}]
    assert references.rate("USD", "2026-01-31") == D("1.1")
    assert references.rate("USD", "2026-02-01") is None
    assert not references.rate_is_missing("USD", "2026-01-31")


def test_a_missing_rate(client: SapB1Client, server: FakeServiceLayer) -> None:
    server.faults = [_pass, sap_error(400, -4006, "Update the exchange rate , 'GBP'")]
    references = read_references(client, Needed(rates={("GBP", "2026-01-31"), ("USD", "2026-01-31")}), CONFIG)
    assert references.rate_is_missing("GBP", "2026-01-31")
    assert references.rate("USD", "2026-01-31") == D("0.91")


@pytest.mark.parametrize("reason", ["no such function", "refused", "indirect"])
def test_sap_computes_by_itself(client: SapB1Client, server: FakeServiceLayer, reason: str) -> None:
    if reason == "no such function":
        del server.files[RATE]
    elif reason == "refused":
        server.faults = [_pass, *[sap_error(403, -5, "No permission")] * 2]
    else:
        server.files[ADMIN] = b'{"LocalCurrency":"EUR","DirectIndirectRate":"tNO"}'
    references = read_references(client, Needed(rates={("GBP", "2026-01-31"), ("USD", "2026-01-31")}), CONFIG)
    assert references.rates_missing == ()
    assert references.rate("USD", "2026-01-31") is references.rate("GBP", "2026-01-31") is None
    assert len(rate_calls(server)) == {"no such function": 1, "refused": 2, "indirect": 0}[reason]


# -- need and JSON ----------------------------------------------------------------------------------------------------


def need(*records: SourceRecord) -> Needed:
    needed, books = Needed(), accounting()
    for record in records:
        books.need(record, needed)
    return needed


def test_an_invoice_needs_what_it_names() -> None:
    bare = need(invoice([line(tax_code=None)], currency="USD"))
    assert bare == Needed(vendors={"V1"}, vendor_ids={"V1"}, rates={("USD", "2026-11-10")}, accounts=True)
    full = need(invoice([line(cost_center="CC1", project="P1")], vendor_erp_id="E1"))
    assert (full.cost_centres, full.projects, full.tax_codes) == (True, True, True)
    assert (full.vendors, full.card_codes) == ({"E1"}, {"V1": "E1"})


def test_a_payment_needs_the_code_that_others_tell() -> None:
    needed = need(payment(vendor_id="STV-1"), vendor(vendor_id="STV-1", erp_vendor_id="V1"))
    assert needed.vendor_ids == {"STV-1"}
    assert needed.card_codes == {"STV-1": "V1"}
    assert needed.tax_ids == {"PL123": {"V1"}}
    assert {"EmailAddress", "BPAddresses", "Frozen"} <= needed.partner_properties


def test_json_round_trip() -> None:
    references = References(
        "EUR",
        accounts=(Account("1", "2", "3", False, True, "2026-01-01"),),
        cost_centres={"C": CostCentre("C", 1)},
        projects=None,
        tax_codes={"I": TaxCode("I", "4", (("2020-01-01", D("20.5")),))},
        suppliers={"V": {"CardCode": "V", "DataVersion": 3, "BPAddresses": [{"RowNum": 0}]}},
        rates={"USD 2026-01-31": D("0.9100000001"), "GBP 2026-01-31": None},
        rates_missing=("JPY 2026-01-31",),
    )
    assert references.account("2") is not None
    assert References.from_json(references.to_json()) == references


def test_a_code_that_several_accounts_share_is_nobodys() -> None:
    references = References("EUR", accounts=(Account("1", external_code="X"), Account("2", external_code="X")))
    assert references.account("X") is None
    references = References("EUR", accounts=(Account("1", external_code="2"), Account("2", external_code="1")))
    assert references.account("1") == Account("1", external_code="2")


# -- the sandbox's company --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def company() -> Company:
    return generate_company(
        5, Sizes(customers=8, suppliers=6, leads=1, items=2, invoices=3, credit_notes=1, warehouses=1)
    )


@pytest.mark.integration
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_with_the_sandbox(company: Company, version: str) -> None:
    suppliers = [row for row in company.rows("BusinessPartners") if row["CardType"] == "cSupplier"]
    supplier = next(row for row in suppliers if row["Frozen"] == "tNO")
    centre = next(row["FactorCode"] for row in company.rows("DistributionRules") if row["InWhichDimension"] == 1)
    books = accounting()
    rows = [line(gl_account="610000", cost_center=centre)]
    good = invoice(rows, vendor_id=supplier["CardCode"], posting_date="2025-06-30", tax_amount=D(21))
    bad = invoice([line(gl_account="799000", project="NOPE")], vendor_id="C00001", tax_amount=D(21))
    known = vendor(vendor_id=supplier["CardCode"], name="New name", tax_id=None)
    needed = Needed()
    for record in (good, bad, known, payment(vendor_id=supplier["CardCode"])):
        books.need(record, needed)
    with ServiceLayer(company) as server:
        server.faults.settings.login_ms = 0
        user, password = next(iter(company.users.items()))
        settings = SapB1Settings(server.url, company.database, user, password, api_version=version, page_size=20)
        made = SapB1Client(settings, MemorySessionStore())
        references = References.from_json(read_references(made, needed, CONFIG).to_json())
        made.logout()
        made.close()
    assert references.local_currency == "EUR"
    assert entry(books.draft(good, references)).partner == supplier["CardCode"]
    assert set(codes(books.draft(bad, references))) == {"WRONG_PARTNER_TYPE", "INACTIVE_ACCOUNT", "UNKNOWN_PROJECT"}
    assert entry(books.draft(payment(vendor_id=supplier["CardCode"]), references)).body
    draft = books.draft(known, references)
    assert isinstance(draft, PartnerDraft)
    current = references.suppliers[supplier["CardCode"]]
    assert partner_changes(draft, current)["CardName"] == "New name"
    assert current[ETAG].startswith('W/"')
