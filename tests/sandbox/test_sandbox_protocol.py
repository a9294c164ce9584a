"""The Service Layer's protocol on both roots: sessions, cookies, errors, shapes."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import urllib3
from sandbox_client import Client

from sandbox.clock import SandboxClock
from sandbox.sap_b1 import Company, ServiceLayer
from sandbox.sap_b1.table import etag

V1_JSON = "application/json;odata=minimalmetadata;charset=utf-8"
V2_JSON = "application/json;odata.metadata=minimal;charset=utf-8"


def error_of(reply: urllib3.BaseHTTPResponse) -> tuple[Any, str]:
    """(code, message) of either shape; fails when the shape is neither."""
    error = reply.json()["error"]
    if isinstance(error["message"], dict):
        assert error["message"]["lang"] == "en-us"
        assert isinstance(error["code"], int)
        return error["code"], error["message"]["value"]
    assert error["details"] == [{"code": "", "message": ""}]
    assert isinstance(error["code"], str)
    return error["code"], error["message"]


@pytest.mark.parametrize(
    ("version", "content_type", "version_header", "context", "suffix"),
    [
        ("v1", V1_JSON, ("DataServiceVersion", "3.0"), "odata.metadata", "#B1Sessions/@Element"),
        ("v2", V2_JSON, ("OData-Version", "4.0"), "@odata.context", "#B1Sessions/$entity"),
    ],
)
def test_login_reply_has_the_form_of_its_root(
    server: ServiceLayer, version: str, content_type: str, version_header: tuple[str, str], context: str, suffix: str
) -> None:
    credentials = {"CompanyDB": "SBODEMOEU", "UserName": "tieout", "Password": "tie-out-1"}
    reply = Client(server.url, version).request("POST", "Login", body=credentials)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == content_type
    assert reply.headers[version_header[0]] == version_header[1]
    body = reply.json()
    assert body[context].endswith(suffix)
    assert (body["Version"], body["SessionTimeout"]) == ("1000340", 30)
    cookies = reply.headers.getlist("Set-Cookie")
    assert cookies[0] == f"B1SESSION={body['SessionId']};HttpOnly;"
    assert re.fullmatch(r"ROUTEID=\.node[1-4]; path=/b1s", cookies[1])


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("database", "user", "password", "code"),
    [
        ("SBODEMOEU", "tieout", "wrong", -304),
        ("SBODEMOEU", "nobody", "tie-out-1", -304),
        ("SBODEMOEU", "nobody", None, -304),
        ("NOWHERE", "tieout", "tie-out-1", -306),
    ],
    ids=["password", "user", "no password", "company"],
)
def test_refused_login(
    server: ServiceLayer, version: str, database: str, user: str, password: str | None, code: int
) -> None:
    credentials = {"CompanyDB": database, "UserName": user, "Password": password}
    reply = Client(server.url, version).request("POST", "Login", body=credentials)
    assert reply.status == 401
    assert error_of(reply) == (code if version == "v1" else str(code), "Fail to NONE-SSO login from SLD.")
    assert server.statistics.refused_logins == 1
    assert len(server.sessions) == 0


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("path", ["login", "Invoices", "NoSuchThing", "Invoices(1)", "$metadata", "Logout"])
def test_without_a_session_every_path_is_401_before_routing(anonymous: Client, version: str, path: str) -> None:
    reply = anonymous.on(version).request("POST" if path.lower().startswith("log") else "GET", path)
    assert reply.status == 401
    code, message = error_of(reply)
    assert (str(code), message) == ("301", "Invalid session or session already timeout.")
    assert isinstance(code, int) == (version == "v1")


def test_v1_can_answer_401_in_the_form_of_v2(server: ServiceLayer, anonymous: Client) -> None:
    server.faults.configure(v2_errors_on_v1_401=True)
    code, _ = error_of(anonymous.on("v1").get("Invoices"))
    assert code == "301"


def test_a_session_holds_on_both_roots_and_ends_with_logout(client: Client) -> None:
    assert client.on("v1").get("Items?$top=1").status == 200
    reply = client.on("v1").request("POST", "Logout")
    assert (reply.status, reply.data) == (204, b"")
    assert client.get("Items").status == 401


def test_idle_time_slides(client: Client, clock: SandboxClock) -> None:
    for _ in range(5):
        clock.advance(10 * 60)
        assert client.get("Items?$top=1").status == 200
    clock.advance(31 * 60)
    assert client.get("Items?$top=1").status == 401


def test_date_header_is_the_sandbox_clock(client: Client, clock: SandboxClock) -> None:
    header = client.get("Items?$top=1").headers["Date"]
    assert parsedate_to_datetime(header) == clock.now().replace(microsecond=0)


@pytest.mark.parametrize("path", ["invoices", "INVOICES", "JournalEntryLines", "DocumentLines", "Invoices/Nothing"])
def test_unknown_or_wrongly_cased_resource(client: Client, path: str) -> None:
    reply = client.get(path)
    assert reply.status == 400
    assert error_of(reply)[1] == "Unrecognized resource path."


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("IncomingPayments?$filter=UpdateDate ge '2024-01-01'", "Property 'UpdateDate' is invalid"),
        ("ChartOfAccounts?$select=Code,UpdateDate", "Property 'UpdateDate' is invalid"),
        ("VatGroups?$orderby=UpdateDate", "Property 'UpdateDate' is invalid"),
        ("Invoices?$select=CreateDate", "Property 'CreateDate' is invalid"),
        ("BusinessPartners?$select=CreationDate", "Property 'CreationDate' is invalid"),
        ("Invoices?$select=U_NoSuchField", "Property 'U_NoSuchField' is invalid"),
        (
            "Invoices?$expand=DocumentLines",
            "Cannot expand invalid navigation property 'DocumentLines' for entity type 'Document'",
        ),
        ("Invoices?$filter=DocEntry eq", "Query string error - Invalid filter condition"),
        ("Invoices?$filter=DocEntry in (1,2)", "Query string error - Invalid filter condition"),
        ("Invoices?$filter=year(DocDate) eq 2024", "Query string error - Invalid filter condition"),
        ("Invoices?$filter=DocTotal add 1 gt 2", "Query string error - Invalid filter condition"),
    ],
)
def test_property_and_filter_errors(client: Client, version: str, path: str, message: str) -> None:
    reply = client.on(version).get(path.replace(" ", "%20"))
    assert reply.status == 400
    assert error_of(reply) == (201 if version == "v1" else "201", message)


@pytest.mark.parametrize("path", ["Invoices(999999)", "BusinessPartners('nobody')", "Attachments2(9999)/$value"])
def test_missing_key(client: Client, path: str) -> None:
    reply = client.get(path)
    assert reply.status == 404
    assert error_of(reply) == ("-2028", "No matching records found (ODBC -2028)")


def test_dates_on_the_wire(client: Client, company: Company) -> None:
    key = company.tables["Invoices"].keys[-1]
    stored = company.get("Invoices", key)
    plain, midnight = (client.on(version).get(f"Invoices({key})").json() for version in ("v1", "v2"))
    assert plain["DocDate"] == stored["DocDate"]
    assert midnight["DocDate"] == stored["DocDate"] + "T00:00:00Z"
    assert plain["DocumentLines"][0]["ShipDate"] == stored["DocumentLines"][0]["ShipDate"]
    assert midnight["DocumentLines"][0]["ShipDate"] == stored["DocumentLines"][0]["ShipDate"] + "T00:00:00Z"
    assert plain["UpdateTime"] == midnight["UpdateTime"] == stored["UpdateTime"]
    assert midnight["ImportFileNum"] is None


def test_page_and_single_read_tell_the_same(client: Client) -> None:
    for version in ("v1", "v2"):
        paged = client.on(version).rows("BusinessPartners?$top=3")
        for row in paged:
            key = row["CardCode"].replace("'", "''")
            single = client.on(version).get(f"BusinessPartners('{key}')").json()
            assert {name: single[name] for name in row} == row


def test_key_with_a_quote(client: Client, company: Company) -> None:
    company.insert("BusinessPartners", {"CardCode": "O'Neil", "CardName": "Quoted"})
    assert client.get("BusinessPartners('O''Neil')").json()["CardName"] == "Quoted"


def test_properties_and_their_raw_values(client: Client, company: Company) -> None:
    key = company.tables["Invoices"].keys[0]
    assert client.get(f"Invoices({key})/DocNum").json()["value"] == company.get("Invoices", key)["DocNum"]
    assert client.get(f"Invoices({key})/DocNum/$value").data.decode() == str(company.get("Invoices", key)["DocNum"])
    assert client.on("v1").get(f"Invoices({key})/ImportFileNum").json()["odata.null"] is True
    assert client.get(f"Invoices({key})/ImportFileNum/$value").status == 404


def test_etags_only_where_sap_has_them_and_wrong_without_data_version(client: Client, company: Company) -> None:
    key = company.tables["Invoices"].keys[0]
    company.update("Invoices", key, {"Comments": "x"})
    version = company.get("Invoices", key)["DataVersion"]
    assert version > 1
    reply = client.get(f"Invoices({key})")
    assert reply.headers["ETag"] == reply.json()["@odata.etag"] == etag(version)
    slim = client.rows(f"Invoices?$filter=DocEntry%20eq%20{key}&$select=DocEntry")[0]
    assert slim["@odata.etag"] == 'W/"356A192B7913B04C54574D18C28D46E6395428AB"'
    assert "@odata.etag" not in client.rows("IncomingPayments?$top=1")[0]


def test_attachments(client: Client, company: Company) -> None:
    key = company.tables["Invoices"].keys[0]
    entry = company.attach(key, pdf_first=False)
    lines = client.get(f"Attachments2({entry})").json()["Attachments2_Lines"]
    assert [line["FileExtension"] for line in lines] == ["png", "pdf"]
    first = client.get(f"Attachments2({entry})/$value")
    assert first.data.startswith(b"\x89PNG")
    name = f"{lines[1]['FileName']}.{lines[1]['FileExtension']}"
    pdf = client.get(f"Attachments2({entry})/$value?filename='{name}'")
    assert pdf.data.startswith(b"%PDF-1.4") and pdf.data.endswith(b"%%EOF\n")
    assert pdf.headers["Content-Type"] == "application/pdf"
    assert client.get(f"Attachments2({entry})/$value?filename='other.pdf'").status == 404


def test_counts(client: Client, company: Company) -> None:
    number = len(company.tables["Invoices"])
    reply = client.get("Invoices/$count")
    assert (reply.headers["Content-Type"], reply.data) == ("text/plain", str(number).encode())
    assert (
        client.get("Invoices/$count?$filter=DocEntry%20gt%2010").data
        == str(sum(key > 10 for key in company.tables["Invoices"].keys)).encode()
    )
    for option in ("$inlinecount=allpages", "$count=true"):
        assert client.on("v1").get(f"Invoices?{option}&$top=1").json()["odata.count"] == str(number)
        assert client.on("v2").get(f"Invoices?{option}&$top=1").json()["@odata.count"] == number


def test_metadata_names_every_property(client: Client) -> None:
    text = client.get("$metadata").data.decode()
    assert 'EntitySet Name="IncomingPayments"' in text
    assert 'Property Name="DocDate" Type="Edm.DateTimeOffset"' in text
    assert 'Property Name="DocDate" Type="Edm.DateTime"' in client.on("v1").get("$metadata").data.decode()


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_writing_is_refused(client: Client, method: str) -> None:
    reply = client.request(method, "Invoices", body={})
    assert (reply.status, error_of(reply)[0]) == (400, "-5006")


def test_outside_the_roots_there_is_no_json(server: ServiceLayer) -> None:
    reply = urllib3.request("GET", f"{server.url}/nothing", retries=False)
    assert reply.status == 404
    with pytest.raises(json.JSONDecodeError):
        reply.json()


def test_requests_may_be_pipelined_and_answers_keep_their_order(server: ServiceLayer, client: Client) -> None:
    import socket

    host, _, port = server.url.removeprefix("http://").partition(":")
    lines = [
        f"GET /b1s/v2/{name}/$count HTTP/1.1\r\nHost: x\r\nCookie: {client.cookie}\r\n"
        for name in ("Items", "Invoices")
    ]
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall((lines[0] + "\r\n" + lines[1] + "Connection: close\r\n\r\n").encode())
        answer = b""
        while chunk := raw.recv(65536):
            answer += chunk
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    company = server.companies["SBODEMOEU"]
    assert bodies == [str(len(company.tables[name])).encode() for name in ("Items", "Invoices")]
