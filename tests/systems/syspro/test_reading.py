"""Both readers against the simulated SYSPRO: whatever goes wrong, the same records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sandbox.syspro import Books, SysproServer
from sandbox.syspro.table import DATE, DECIMAL
from tests.systems.syspro.conftest import Connect, FakeTime
from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected, SourceUnavailable
from tieout.systems.syspro.errors import SysproError
from tieout.systems.syspro.tables import (
    AP_INVOICE,
    GEN_JOURNAL_DETAIL,
    GEN_TRANSACTION,
    POR_MASTER_HDR,
    TABLES,
    Condition,
    Table,
    TableRead,
)

JANUARY = (Condition("GlYear", "eq", 2026), Condition("GlPeriod", "eq", 1))
LINES = TableRead(GEN_JOURNAL_DETAIL, JANUARY, raw=False)
ODATA = "sysproodata"


def rows(batches: Iterable[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def digest(batches: Iterable[pa.RecordBatch]) -> str:
    return hashlib.sha256(repr(rows(batches)).encode()).hexdigest()


@pytest.fixture
def expected(connect: Connect) -> str:
    return digest(connect().read(LINES))


@pytest.mark.parametrize("reader", ["odata", "comfnd"])
@pytest.mark.parametrize("name", sorted(TABLES.keys() - {"ApJnlSummary", "ApJnlDistrib"}))
def test_every_table_as_in_the_books(connect: Connect, books: Books, name: str, reader: str) -> None:
    source = books.table(name)
    wanted = tuple(column for column in TABLES[name].columns if column in source.columns)

    found = rows(connect(reader=reader).read(TableRead(TABLES[name], columns=wanted)))

    assert len(found) == len(source)
    for position in range(0, len(source), 97):
        row = source.row(position)
        assert found[position]["_key"] == "|".join(str(row[column]) for column in source.key)
        assert row["TimeStamp"] not in str(found[position]["_raw"])
        for column in wanted:
            kind = source.columns[column].kind
            value = row[column] if kind in (DATE, DECIMAL) or isinstance(row[column], int) else row[column] or None
            assert found[position][column] == value, column


def test_a_period_ties_out(connect: Connect, books: Books) -> None:
    posted = TableRead(GEN_JOURNAL_DETAIL, (*JANUARY, Condition("EntryPosted", "eq", "Y")))

    found = rows(connect().read(posted))

    totals = books.control_totals(2026, 1)
    assert len(found) == totals["lines"]
    assert sum(row["EntryValue"] for row in found if row["EntryValue"] > 0) == totals["debit"]
    assert -sum(row["EntryValue"] for row in found if row["EntryValue"] < 0) == totals["credit"] == totals["debit"]
    assert b'"EntryNumber":1' in found[0]["_raw"]


ODDITIES: dict[str, dict[str, Any]] = {
    "numbers as strings": {"numbers": "string"},
    "dates with an offset": {"dates": "offset"},
    "dates without zone": {"dates": "none"},
    "no padding": {"padding": False},
    "no count": {"count": False},
    "a smaller cap": {"cap": 17},
    "a smaller cap, no count": {"cap": 17, "count": False},
    "links by skip": {"next_links": "skip", "cap": 40},
    "links by token": {"next_links": "skiptoken", "cap": 40},
    "links elsewhere": {"next_links": "other_host", "cap": 40},
    "no or": {"or_filters": False},
    "no or, links": {"or_filters": False, "next_links": "skiptoken", "cap": 40},
    "no or, links elsewhere": {"or_filters": False, "next_links": "other_host", "cap": 40},
    "no or, no count": {"or_filters": False, "count": False, "cap": 33},
    "token as JSON": {"token_form": "json"},
    "token as string": {"token_form": "string"},
    "plain token": {"token_form": "plain"},
    "no rowversion": {"missing_columns": ["TimeStamp"]},
}


@pytest.mark.parametrize("settings", ODDITIES.values(), ids=ODDITIES.keys())
def test_the_same_records_whatever_the_server_is_like(
    connect: Connect, server: SysproServer, expected: str, settings: dict[str, Any]
) -> None:
    server.faults.configure(**settings)

    assert digest(connect().read(LINES)) == expected


FAULTS = [
    "evict", "licence", "html_500", "html_200", "unavailable", "too_many", "unauthorized", "truncated",
    "close_mid_body", "reset_mid_body", "reset_before_head",
]  # fmt: skip


@pytest.mark.parametrize("reader", ["odata", "comfnd"])
@pytest.mark.parametrize("kind", FAULTS)
def test_the_same_records_after_a_fault(
    connect: Connect, server: SysproServer, expected: str, kind: str, reader: str
) -> None:
    client = connect(reader=reader)
    server.faults.add(kind, path=ODATA if reader == "odata" else "query/query", after=1)

    assert digest(client.read(LINES)) == expected
    assert server.faults.active() == []


@pytest.mark.parametrize("reader", ["odata", "comfnd"])
def test_evicted_in_the_middle_again_and_again(
    connect: Connect, server: SysproServer, expected: str, reader: str
) -> None:
    client = connect(reader=reader, page_size=20)
    server.faults.add("evict", path=ODATA if reader == "odata" else "query/query", every=3, times=None)

    assert digest(client.read(LINES)) == expected
    assert server.sessions.log_ons > 3


@pytest.mark.parametrize("settings", [{}, {"or_filters": False}], ids=["by key", "by number"])
def test_rows_inserted_between_pages(
    connect: Connect, server: SysproServer, books: Books, settings: dict[str, Any]
) -> None:
    before = {row["_key"] for row in rows(connect().read(LINES))}
    server.faults.configure(**settings)
    detail = books.tables["GenJournalDetail"]
    early = {"GlYear": 2026, "GlPeriod": 1, "Journal": 0, "EntryNumber": 1, "GlCode": "4000-20-100", "EntryValue": 1}
    server.faults.add("run", path=ODATA, after=1, action=lambda: detail.insert(early))

    found = [row["_key"] for row in rows(connect().read(LINES))]

    assert len(found) == len(set(found))
    assert set(found) >= before


@pytest.mark.parametrize("settings", [{}, {"or_filters": False}], ids=["by key", "by number"])
def test_rows_deleted_between_pages(
    connect: Connect, server: SysproServer, books: Books, settings: dict[str, Any]
) -> None:
    before = [row["_key"] for row in rows(connect().read(LINES))]
    server.faults.configure(**settings)
    detail = books.tables["GenJournalDetail"]

    def delete() -> None:
        for key in before[5:8]:
            detail.delete([int(part) for part in key.split("|")])

    server.faults.add("run", path=ODATA, after=1, action=delete)

    assert [row["_key"] for row in rows(connect().read(LINES))] == before


def test_the_row_that_a_page_ended_with_is_deleted(connect: Connect, server: SysproServer, books: Books) -> None:
    server.faults.configure(or_filters=False)
    last = rows(connect().read(LINES))[49]
    key = [int(part) for part in last["_key"].split("|")]
    server.faults.add("run", path=ODATA, after=1, action=lambda: books.tables["GenJournalDetail"].delete(key))

    with pytest.raises(SourceUnavailable, match="changes while it is read"):
        rows(connect().read(LINES))


@pytest.mark.parametrize("literals", ["any", "date", "moment"])
@pytest.mark.parametrize("dates", ["z", "offset", "west", "none"])
def test_dates_are_the_company_s_own(
    connect: Connect, server: SysproServer, books: Books, dates: str, literals: str
) -> None:
    server.faults.configure(dates=dates, date_literals=literals)
    table = books.table("ApInvoice")
    days = [table.row(position)["InvoiceDate"] for position in range(len(table))]
    first, last = (date.fromisoformat(sorted(days)[position]) for position in (10, 50))
    within = TableRead(AP_INVOICE, (Condition("InvoiceDate", "ge", first), Condition("InvoiceDate", "le", last)))

    found = rows(connect().read(within))

    inside = [day for day in days if first.isoformat() <= day <= last.isoformat()]
    assert sorted(row["InvoiceDate"] for row in found) == sorted(inside)
    assert {first.isoformat(), last.isoformat()} <= set(inside)


@pytest.mark.parametrize("reader", ["odata", "comfnd"])
def test_a_column_that_this_site_does_not_have_is_null(connect: Connect, server: SysproServer, reader: str) -> None:
    server.faults.configure(missing_columns=["Buyer"])

    found = rows(connect(reader=reader).read(TableRead(POR_MASTER_HDR)))

    assert found and {row["Buyer"] for row in found} == {None}


def test_a_key_column_that_is_missing_is_an_error(connect: Connect, server: SysproServer) -> None:
    server.faults.configure(missing_columns=["PurchaseOrder"])

    with pytest.raises(ContractBroken, match="PurchaseOrder"):
        rows(connect().read(TableRead(POR_MASTER_HDR)))


def test_more_decimals_than_cents_arrive_whole(connect: Connect, books: Books) -> None:
    journal = books.plant("many_decimals")
    where = (Condition("GlYear", "eq", 2025), Condition("GlPeriod", "eq", 1), Condition("Journal", "eq", journal))

    found = rows(connect().read(TableRead(GEN_JOURNAL_DETAIL, where)))

    assert [row["EntryValue"] for row in found] == [Decimal("10.12345"), Decimal("-10.12345")]


def test_posted_lines_by_code(connect: Connect, books: Books) -> None:
    found = rows(connect().read(TableRead(GEN_TRANSACTION, JANUARY, raw=False)))

    assert len(found) == books.control_totals(2026, 1)["lines"]
    assert [row["GlCode"] for row in found] == sorted(row["GlCode"] for row in found)


def test_a_count_that_never_agrees(connect: Connect, server: SysproServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.syspro import odata

    whole = odata.json_rows
    monkeypatch.setattr(odata, "json_rows", lambda table, found, *rest: whole(table, found[1:], *rest))

    with pytest.raises(ContractBroken, match="listed"):
        rows(connect().read(LINES))


@pytest.mark.parametrize("table", [GEN_JOURNAL_DETAIL, AP_INVOICE], ids=["integer key", "text key"])
def test_a_server_that_loses_the_filter(
    connect: Connect, server: SysproServer, monkeypatch: pytest.MonkeyPatch, table: Table
) -> None:
    from sandbox.syspro.odata import ODataService

    server.faults.configure(count=False)
    monkeypatch.setattr(ODataService, "_mask", lambda self, found, options: np.ones(len(found), dtype=bool))

    with pytest.raises(ContractBroken, match="lost the filter or the order"):
        rows(connect().read(TableRead(table)))


def test_an_error_of_a_business_object(connect: Connect, server: SysproServer) -> None:
    server.faults.add("error_200", path="query/query", times=None, message="Column 'X' does not exist")

    with pytest.raises(SysproError, match="Column 'X'"):
        rows(connect(reader="comfnd").read(LINES))


def test_a_server_that_stays_away(connect: Connect, server: SysproServer, fake_time: FakeTime) -> None:
    server.faults.add("truncated", path=ODATA, times=None)

    with pytest.raises(SourceUnavailable, match="broke off"):
        rows(connect().read(LINES))
    assert sum(fake_time.slept) <= 30


AUTH: list[tuple[str, str, dict[str, Any]]] = [
    ("session_token", "query", {}),
    ("session_token", "header", {"token_in": "header"}),
    ("session_token", "bearer", {"token_in": "bearer"}),
    ("basic", "any", {"auth": "basic"}),
    ("token_and_basic", "query", {"auth": "token_and_basic"}),
    ("token_and_basic", "header", {"auth": "token_and_basic", "token_in": "header"}),
]


@pytest.mark.parametrize(("wanted", "place", "extra"), AUTH)
def test_every_way_to_say_who_asks(
    connect: Connect, server: SysproServer, expected: str, wanted: str, place: str, extra: dict[str, Any]
) -> None:
    server.faults.configure(odata_auth=wanted, token_in=place)
    before = server.sessions.log_ons

    assert digest(connect(**extra).read(LINES)) == expected
    assert server.sessions.log_ons - before == (0 if extra.get("auth") == "basic" else 1)


@pytest.mark.parametrize(
    ("wanted", "extra", "hint"),
    [
        ("basic", {}, "set auth"),
        ("session_token", {"auth": "basic"}, "enabled for OData"),
        ("basic", {"auth": "token_and_basic", "basic_password": "wrong"}, "basic_password"),
    ],
)
def test_credentials_that_are_not_taken(
    connect: Connect, server: SysproServer, wanted: str, extra: dict[str, Any], hint: str
) -> None:
    server.faults.configure(odata_auth=wanted)

    with pytest.raises(CredentialsRejected, match=hint):
        rows(connect(**extra).read(LINES))
    assert server.sessions.log_ons <= 2


@pytest.mark.parametrize("path", ["/Utilities/Logon", "/SYSPROWCFService/Rest/Logon",
                                  "/sysprowebservices/Utilities.asmx/Logon"])  # fmt: skip
def test_every_place_of_the_log_on(connect: Connect, server: SysproServer, expected: str, path: str) -> None:
    client = connect(logon_path=path)

    assert digest(client.read(LINES)) == expected
    client.logout()
    assert len(server.sessions) <= 1


def test_an_unlicensed_business_object(connect: Connect) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"needs e\.net access"):
        connect(reader="comfnd").query("GENQJR", "<Query/>", lambda body: body)
