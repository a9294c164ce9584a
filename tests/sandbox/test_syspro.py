"""The simulated SYSPRO itself: its wire behaviour, and that its books are what it says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import urllib3

from sandbox import Sandbox
from sandbox.clock import SandboxClock
from sandbox.syspro import Books, BookSizes, SysproServer, generate_books
from sandbox.syspro.operators import Operator

SIZES = BookSizes(lines=60, suppliers=6, items=5)
OPERATORS = (Operator(), Operator("SECOND", "two"))
REST = "/SYSPROWCFService/Rest"
ODATA = "/SYSPRO8Odata/SYSPROOData/EDU1"

Get = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture
def clock() -> SandboxClock:
    return SandboxClock(datetime(2026, 11, 2, 9, tzinfo=UTC))


@pytest.fixture
def server(clock: SandboxClock) -> Iterator[SysproServer]:
    with SysproServer(generate_books(3, SIZES), operators=OPERATORS, clock=clock) as running:
        yield running
        assert running.failures == []


@pytest.fixture
def get(server: SysproServer) -> Get:
    pool = urllib3.PoolManager(retries=False, timeout=10)

    def ask(path: str, headers: dict[str, str] | None = None, **params: str) -> urllib3.BaseHTTPResponse:
        query = "&".join(f"{name.replace('__', '$')}={quote(value)}" for name, value in params.items())
        return pool.request("GET", f"{server.url}{path}" + (f"?{query}" if query else ""), headers=headers)

    return ask


def log_on(get: Get, operator: Operator = OPERATORS[0], path: str = f"{REST}/logon", **changes: str) -> str:
    params = {"Operator": operator.name, "OperatorPassword": operator.password, "CompanyId": "EDU1"}
    return get(path, **params, **changes).data.decode()


def test_the_wire_of_a_log_on(get: Get, server: SysproServer) -> None:
    token = log_on(get)

    assert len(token) == 36 and token.endswith("00  ")
    assert "<OperatorCode>TIEOUT<" in get(f"{REST}/GetLogonProfile", UserId=token).data.decode()
    reply = get(f"{REST}/Logoff", UserId=token)
    assert (reply.status, reply.data, reply.headers["Content-Type"]) == (200, b"0", "application/octet-stream")
    again = get(f"{REST}/Logoff", UserId=token)
    assert again.status == 200 and again.data.startswith(b"ERROR: The supplied UserID is invalid.")
    wrong = log_on(get, Operator("TIEOUT", "wrong"))
    assert wrong == "ERROR: Invalid operator password"


@pytest.mark.parametrize(
    ("form", "begin", "end"),
    [("plain", "", "-00"), ("json", '"', '-00"'), ("string", "<string xmlns=", "-00</string>")],
)
def test_forms_of_tokens(get: Get, server: SysproServer, form: str, begin: str, end: str) -> None:
    server.faults.configure(token_form=form)

    token = log_on(get, path="/Utilities/Logon")

    assert token.startswith(begin) and token.endswith(end)


def test_asmx_and_soap(get: Get, server: SysproServer) -> None:
    assert log_on(get, path="/sysprowebservices/Utilities.asmx/Logon").startswith("<?xml")
    body = (
        "<soap:Envelope><soap:Body><Logon xmlns='http://www.syspro.com/ns/utilities/'><Operator>TIEOUT</Operator>"
        "<OperatorPassword>Ledger &amp; Co 1</OperatorPassword><CompanyId>EDU1</CompanyId></Logon></soap:Body>"
        "</soap:Envelope>"
    )
    reply = urllib3.request("POST", f"{server.url}/sysprowebservices/Utilities.asmx", body=body)
    token = reply.data.decode().split("<LogonResult>")[1].split("<")[0]
    assert server.sessions.use(token) is not None


def test_one_session_per_operator_and_a_limit_on_all(get: Get, server: SysproServer, clock: SandboxClock) -> None:
    first, second = log_on(get), log_on(get)
    assert get(ODATA + "/GenMaster", UserId=first, __top="1").status == 401
    assert get(ODATA + "/GenMaster", UserId=second, __top="1").status == 200
    server.faults.configure(class_limit=1, timeout_minutes=20)
    assert log_on(get, OPERATORS[1]).startswith("ERROR: The maximum number of licensed")
    clock.advance(21 * 60)
    assert not log_on(get, OPERATORS[1]).startswith("ERROR")
    assert server.statistics()["live_sessions"] == 1


def rows(reply: urllib3.BaseHTTPResponse) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.data
    found: list[dict[str, Any]] = reply.json()["value"]
    return found


def test_odata_as_documented(get: Get, server: SysproServer, clock: SandboxClock) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"TIEOUT:Ledger & Co 1").decode()}
    server.faults.configure(cap=50, next_links="skip")
    lines = ODATA + "/GenJournalDetail"
    key = "GlYear,GlPeriod,Journal,EntryNumber"

    reply = get(lines, basic, __top="9000", __orderby=key, __count="true", __filter="GlYear eq 2026")

    assert len(rows(reply)) == 50
    assert reply.json()["@odata.count"] == 720
    follow = reply.json()["@odata.nextLink"].removeprefix(server.url)
    assert "%24skip=50" in follow or "$skip=50" in follow
    assert rows(reply)[0]["EntryType"] == "N" and len(rows(reply)[0]["GlCode"]) == 20
    assert get(lines + "/$count", basic).data == b"1440"
    assert get(ODATA + "/$metadata", basic).data.count(b"<EntityType") == len(server.books.names)
    assert get(lines, basic, __filter="TimeStamp gt 'AAAAAAAAB9E='").status == 400
    assert get(lines, basic, __filter="Nothing eq 1").status == 400
    assert get(ODATA + "/Nothing", basic).status == 404
    assert get(lines).status == 401
    assert rows(get(lines, basic, __filter="GlCode eq 'NONE'")) == []
    assert get(lines, basic, __filter="EntryDate ge 2026-01-31 and EntryDate lt 2026-02-01T00:00:00Z").status == 200


def test_without_the_whole_key_the_order_is_not_to_be_relied_upon(get: Get, server: SysproServer) -> None:
    token = log_on(get)
    pages = [rows(get(ODATA + "/GenMaster", UserId=token, __skip=str(skip), __top="72")) for skip in (0, 72, 144)]

    assert len({row["GlCode"] for page in pages for row in page}) < 216


def test_comfnd_as_recorded(get: Get) -> None:
    token = log_on(get)
    where = (
        "<Where><Expression><OpenBracket>(</OpenBracket><AndOr>and</AndOr><Column>SupplierName</Column>"
        "<Condition>LIKE</Condition><Value>*Né 1*</Value><CloseBracket>)</CloseBracket></Expression></Where>"
    )
    xml = f"<Query><TableName>ApSupplier</TableName><Columns><Column>SupplierName</Column></Columns>{where}</Query>"

    body = get(f"{REST}/Query/Query", UserId=token, BusinessObject="COMFND", XmlIn=xml).data

    assert body.startswith(b'<?xml version="1.0" encoding="Windows-1252"?>')
    assert "<Row><SupplierName>Fournisseur Né 1 € Ltd</SupplierName></Row>".encode("cp1252") in body
    assert b"<RowsReturned>      1</RowsReturned>" in body
    stripped = get(f"{REST}/Query/Query", UserId=token.strip(), BusinessObject="COMFND", XmlIn=xml).data
    assert stripped.startswith(b"ERROR: The supplied UserID is invalid")
    other = get(f"{REST}/Query/Query", UserId=token[:32] + "07  ", BusinessObject="COMFND", XmlIn=xml).data
    assert b"BaseDir8" in other


def test_writing_is_refused_and_counted(get: Get, server: SysproServer) -> None:
    token = log_on(get)

    assert get(f"{REST}/Transaction/Post", UserId=token, BusinessObject="GENTJL").data.startswith(b"ERROR")
    assert server.statistics()["writes_tried"] == 1


def test_the_same_seed_gives_the_same_books() -> None:
    one, other, third = (generate_books(seed, SIZES).tables["GenJournalDetail"] for seed in (3, 3, 4))

    assert np.array_equal(one.array("EntryValue"), other.array("EntryValue"))
    assert not np.array_equal(one.array("EntryValue")[:60], third.array("EntryValue")[:60])


def journals(books: Books) -> dict[tuple[int, ...], int]:
    detail = books.tables["GenJournalDetail"]
    sums: dict[tuple[int, ...], int] = {}
    columns = (detail.array(name).tolist() for name in ("GlYear", "GlPeriod", "Journal", "EntryValue"))
    for year, period, journal, value in zip(*columns, strict=True):
        sums[year, period, journal] = sums.get((year, period, journal), 0) + value
    return sums


def test_books_balance_and_reuse_journal_numbers() -> None:
    books = generate_books(3, SIZES)
    sums = journals(books)

    assert set(sums.values()) == {0}
    assert {(2025, 1, 1), (2025, 2, 1), (2026, 12, 1)} <= set(sums)
    totals = books.control_totals(2026, 3)
    assert totals["debit"] == totals["credit"] > 0
    assert sum(totals["by_code"].values()) == 0
    books.plant("unbalanced")
    assert [total for total in journals(books).values() if total] == [10_000]


def test_a_late_posting_moves_the_totals() -> None:
    books = generate_books(3, SIZES)
    before = books.control_totals(2025, 6)

    number = books.post_journal(2025, 6, [("4000-20-100", "75.25"), ("1100-10-000", "-75.25")])
    books.post_journal(2025, 6, [("4000-20-100", "1"), ("1100-10-000", "-1")], status="H")

    after = books.control_totals(2025, 6)
    assert after["debit"] - before["debit"] == after["credit"] - before["credit"] == 75 + 1 / 4
    assert after["lines"] == before["lines"] + 2
    assert (2025, 6, number) in journals(books)


def test_changes_of_rows() -> None:
    orders = generate_books(3, SIZES).tables["PorMasterHdr"]
    key = [orders.row(0)["PurchaseOrder"]]
    entered = orders.row(0)["OrderEntryDate"]

    orders.update(key, {"OrderStatus": "9", "Buyer": "NEW"})

    row = orders.row(orders.find(key))
    assert (row["OrderStatus"], row["Buyer"], row["OrderEntryDate"]) == ("9", "NEW", entered)
    orders.delete(key)
    with pytest.raises(KeyError):
        orders.find(key)
    with pytest.raises(ValueError, match="no column"):
        orders.insert({"Nothing": 1})


def test_in_the_sandbox_with_its_control_paths(tmp_path: Path) -> None:
    with Sandbox(folder=tmp_path, only=("syspro",)) as sandbox:
        connection = json.loads(sandbox.env["AIRFLOW_CONN_SYSPRO"])
        control = f"{sandbox.env['TIEOUT_SANDBOX_CONTROL']}/sandbox/syspro"
        assert (connection["conn_type"], connection["extra"]) == ("syspro", {"company_id": "EDU1"})

        def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
            content = None if body is None else json.dumps(body)
            reply = urllib3.request(method, f"{control}{path}", body=content, retries=False)
            assert reply.status == status, reply.data
            return reply.json()

        before = ask("GET", "/totals/2026/2")
        entries = [{"GlCode": "4000-20-100", "EntryValue": "5.00"}, {"GlCode": "1100-10-000", "EntryValue": "-5.00"}]
        assert ask("POST", "/journals", {"year": 2026, "period": 2, "entries": entries})["journal"] > 1
        assert ask("GET", "/totals/2026/2")["lines"] == before["lines"] + 2
        assert ask("POST", "/faults", {"kind": "evict", "path": "odata"})["id"] == 1
        assert "nonsense" in ask("POST", "/faults", {"kind": "nonsense"}, 400)["error"]
        assert ask("PATCH", "/settings", {"cap": 10})["cap"] == 10
        ask("PATCH", "/records/ApSupplier", {"key": ["0000001"], "values": {"SupplierName": "New"}})
        ask("PATCH", "/records/ApSupplier", {"key": ["x"], "values": {}}, 404)
        assert ask("DELETE", "/sessions") == {"ended": 0}
        state = ask("GET", "")
        assert state["rows"]["ApSupplier"] == 30 and "Ledger" not in json.dumps(state)
