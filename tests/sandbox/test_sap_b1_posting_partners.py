"""Suppliers: created, changed, and protected against changes that crossed."""

from __future__ import annotations

from typing import Any

import pytest
from posting_support import Body, error_of
from sandbox_client import Client

from sandbox.sap_b1 import Company
from sandbox.sap_b1.table import etag


def supplier(**changes: Any) -> Body:
    return {
        "CardCode": "V9'1", "CardName": "Neu & Söhne", "CardType": "cSupplier", "Currency": "USD",
        "BPAddresses": [{"AddressName": "Bill to", "AddressType": "bo_BillTo", "City": "Gent", "Country": "BE"}],
        "ContactEmployees": [{"Name": "Ann"}], **changes,
    }  # fmt: skip


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_new_supplier_comes_back_whole(client: Client, company: Company, version: str) -> None:
    reply = client.on(version).request("POST", "BusinessPartners", body=supplier())
    assert reply.status == 201
    assert reply.headers["Location"] == f"{client.url}/b1s/{version}/BusinessPartners('V9''1')"
    body = reply.json()
    assert reply.headers["ETag"] == body["odata.etag" if version == "v1" else "@odata.etag"] == etag(1)
    assert [body[name] for name in ("CardType", "GroupCode", "DebitorAccount", "PayTermsGrpCode", "Frozen")] == [
        "cSupplier", 101, "440000", -1, "tNO",
    ]  # fmt: skip
    assert [body["BPAddresses"][0][name] for name in ("RowNum", "BPCode", "City")] == [0, "V9'1", "Gent"]
    assert client.on(version).get("BusinessPartners('V9''1')").json() == body
    stored = company.get("BusinessPartners", "V9'1")
    assert (stored["UpdateDate"], stored["UpdateTime"], stored["CreateDate"]) == (
        "2026-03-02",
        "09:30:15",
        "2026-03-02",
    )
    codes = {row["InternalCode"] for bp in company.rows("BusinessPartners") for row in bp["ContactEmployees"]}
    assert len(codes) == sum(len(bp["ContactEmployees"]) for bp in company.rows("BusinessPartners"))


def test_no_content_when_the_client_prefers_none(client: Client) -> None:
    reply = client.request("POST", "BusinessPartners", body=supplier(), headers={"Prefer": "return-no-content"})
    assert (reply.status, reply.data) == (204, b"")
    assert reply.headers["Location"].endswith("/BusinessPartners('V9''1')")
    assert (reply.headers["Preference-Applied"], reply.headers["ETag"]) == ("return-no-content", etag(1))


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (supplier(CardCode=None), -5002, "Code undefined  [OCRD.CardCode]"),
        (supplier(CardCode="V10010"), -10,
         "1320000140 - Business partner code 'V10010' already assigned to a business partner; enter a unique business "
         "partner code"),
        (supplier(Currency="XXX"), -5002, "Invalid currency  [OCRD.Currency] , 'XXX'"),
        (supplier(PayTermsGrpCode=77), -5002, "Linked value does not exist  [OCRD.GroupNum] , '77'"),
        (supplier(DebitorAccount="616000"), -5002, "Invalid G/L account  [OCRD.DebPayAcct] , '616000'"),
        (supplier(VatGroup="ZZ"), -5002, "Invalid tax code  [OCRD.ECVatGroup] , 'ZZ'"),
        (supplier(BPAddresses=[{"City": "Gent"}]), -5002, "Specify a name  [CRD1.Address]"),
        (supplier(ContactEmployees=[{"Name": "A"}, {"Name": "A"}]), -2035,
         "This entry already exists in the following tables (ODBC -2035)"),
        (supplier(NoSuchField=1), -1000, "Property 'NoSuchField' of 'BusinessPartner' is invalid"),
        (supplier(BPAddresses=[{"Town": "x"}]), -1000, "Property 'Town' of 'BPAddress' is invalid"),
        (supplier(CardType="cVendor"), -1004,
         "'cVendor' is not a valid value for property 'CardType'. The valid values are: 'C' - 'cCustomer', "
         "'S' - 'cSupplier', 'L' - 'cLid'"),
        (supplier(CardCode="V" * 16), -1000,
         "CServiceData::SetPropertyValueString failed; Value too long in property 'CardCode' of 'BusinessPartner'"),
        (supplier(BPAddresses=[{"AddressName": "x", "Country": "Belgium"}]), -1000,
         "CServiceData::SetPropertyValueString failed; Value too long in property 'Country' of 'BPAddress'"),
    ],
    ids=["no code", "duplicate", "currency", "terms", "control account", "tax code", "unnamed address", "contact twice",
         "property", "address property", "card type", "long code", "long country"],
)  # fmt: skip
def test_refused_suppliers_are_not_there(client: Client, company: Company, body: Body, code: int, message: str) -> None:
    before = company.rows("BusinessPartners")
    assert error_of(client.request("POST", "BusinessPartners", body=body)) == (400, str(code), message)
    assert company.rows("BusinessPartners") == before


def patch(client: Client, code: str, body: Body, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request("PATCH", f"BusinessPartners('{code}')", body=body, headers=sent)


def test_what_is_sent_changes_and_the_rest_stays(client: Client, company: Company) -> None:
    before = company.get("BusinessPartners", "V10010")
    reply = patch(
        client, "V10010", {"CardName": "Nieuw", "CreditLimit": "5.50", "CardCode": "X", "UpdateDate": "2001-01-01"}
    )
    assert (reply.status, reply.data) == (204, b"")
    after = company.get("BusinessPartners", "V10010")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"CardName", "CreditLimit", "UpdateDate", "UpdateTime", "DataVersion"}
    assert (after["CreditLimit"], after["UpdateDate"]) == (5.5, "2026-03-02")


def test_an_unknown_supplier_cannot_change(client: Client) -> None:
    assert error_of(patch(client, "V9", {"CardName": "x"})) == (404, "-2028", "Entity with value('V9') does not exist")


def test_rows_are_matched_by_key_and_others_stay(client: Client, company: Company) -> None:
    rows = [
        {"RowNum": 0, "City": "Brugge"},
        {"AddressName": "Works", "AddressType": "bo_ShipTo", "City": "Aalst"},
    ]
    assert patch(client, "V10010", {"BPAddresses": rows}).status == 204
    again = [{"AddressName": "Works", "AddressType": "bo_ShipTo", "City": "Ninove"}]
    assert patch(client, "V10010", {"BPAddresses": again}).status == 204
    stored = company.get("BusinessPartners", "V10010")["BPAddresses"]
    assert [(row["RowNum"], row["AddressName"], row["City"]) for row in stored] == [
        (0, "Bill to", "Brugge"), (1, "Works", "Ninove"),
    ]  # fmt: skip
    assert stored[0]["Street"] == "Industrieweg 1"


def test_a_header_makes_the_sent_rows_replace_the_stored_ones(client: Client, company: Company) -> None:
    rows = [{"AddressName": "Works", "City": "Aalst"}]
    assert patch(client, "V10010", {"BPAddresses": rows}, B1S_ReplaceCollectionsOnPatch="true").status == 204
    stored = company.get("BusinessPartners", "V10010")["BPAddresses"]
    assert [(row["AddressName"], row["AddressType"]) for row in stored] == [("Works", "bo_ShipTo")]


def test_a_stale_etag_is_refused_and_one_without_w_is_not_looked_at(client: Client, company: Company) -> None:
    tag = client.get("BusinessPartners('V10010')").headers["ETag"]
    assert patch(client, "V10010", {"CardName": "A"}, If_Match=tag).status == 204
    stale = patch(client, "V10010", {"CardName": "B"}, If_Match=tag)
    assert error_of(stale) == (
        412, "-2039",
        "Another user or another operation modified data; to continue, open the window again (ODBC -2039)",
    )  # fmt: skip
    assert company.get("BusinessPartners", "V10010")["CardName"] == "A"
    assert patch(client, "V10010", {"CardName": "C"}, If_Match=tag.removeprefix("W/")).status == 204
    assert patch(client, "V10010", {"CardName": "D"}, If_Match=etag(3)).status == 204


def test_a_selection_without_data_version_shows_a_wrong_etag(client: Client) -> None:
    assert patch(client, "V10010", {"CardName": "A"}).status == 204
    whole = client.get("BusinessPartners('V10010')").headers["ETag"]
    slim = client.get("BusinessPartners('V10010')?$select=CardCode,CardName")
    right = client.get("BusinessPartners('V10010')?$select=CardCode,DataVersion")
    assert (slim.headers["ETag"], right.headers["ETag"], whole) == (etag(1), etag(2), etag(2))
    assert client.get("BusinessPartners('V10010')", If_None_Match=whole).status == 200


def test_a_change_that_breaks_a_rule_changes_nothing(client: Client, company: Company) -> None:
    before = company.get("BusinessPartners", "V10010")
    assert error_of(patch(client, "V10010", {"CardName": "A", "Currency": "XXX"}))[1] == "-5002"
    assert company.get("BusinessPartners", "V10010") == before


def test_postings_to_a_supplier_leave_its_etag_alone(client: Client, company: Company) -> None:
    lines = [{"AccountCode": "616000", "Debit": 5}, {"ShortName": "V10010", "Credit": 5}]
    company.post_entry({"JournalEntryLines": lines})
    assert client.get("BusinessPartners('V10010')").headers["ETag"] == etag(1)
