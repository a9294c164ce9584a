"""Extraction over HTTP: properties that do not exist, sessions that end, connections that break."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import service_layer as fake
from tests.support.service_layer import Call, FakeServiceLayer, Handler
from tieout.errors import ContractBroken
from tieout.odata.entity_read import EntityRead
from tieout.odata.query import KeyType
from tieout.odata.schema import FieldType, RecordSchema
from tieout.staging import read_parts
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError
from tieout.systems.sap_b1.extract import extract_to_parquet

Connect = Callable[..., SapB1Client]

SCHEMA = RecordSchema({"DocEntry": FieldType.INTEGER, "CardCode": FieldType.TEXT, "FolioNumber": FieldType.INTEGER})
READ = EntityRead("Invoices", "DocEntry", KeyType.INTEGER, SCHEMA)
SELECT = replace(READ, select=("CardCode", "FolioNumber"))


@pytest.fixture
def invoices(server: FakeServiceLayer) -> FakeServiceLayer:
    server.rows["Invoices"] = [{"DocEntry": n, "CardCode": f"C{n}"} for n in range(1, 301)]
    return server


def keys(folder: Path) -> list[int]:
    return [int(key) for batch in read_parts(folder) for key in batch["_key"].to_pylist()]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_reads_all(invoices: FakeServiceLayer, connect: Connect, tmp_path: Path, version: str) -> None:
    invoices.version = version
    client = connect(page_size=20)

    manifest = extract_to_parquet(client, READ, tmp_path)

    assert keys(tmp_path) == list(range(1, 301))
    assert manifest.server_time == "2026-11-20T10:11:12+00:00"
    assert manifest.requests == len(invoices.data_calls())
    assert all("odata.maxpagesize=20" in call.headers["Prefer"] for call in invoices.data_calls("/Invoices"))


def test_survives_whatever_happens_on_the_way(invoices: FakeServiceLayer, connect: Connect, tmp_path: Path) -> None:
    troubles = [fake.session_gone, fake.reset_in_body, fake.replied(502, fake.HTML_502), fake.truncated]
    invoices.faults = [fault for trouble in troubles * 3 for fault in (fake.passing, fake.passing, trouble)]

    extract_to_parquet(connect(page_size=10), READ, tmp_path)

    assert keys(tmp_path) == list(range(1, 301))
    assert invoices.faults == []
    assert invoices.most_logins_at_once == 1


def test_unknown_property_of_the_selection(
    invoices: FakeServiceLayer, connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    invoices.faults = [fake.sap_error(400, 201, "Property 'FolioNumber' is invalid")]

    with caplog.at_level(logging.WARNING):
        extract_to_parquet(connect(page_size=100), SELECT, tmp_path)

    assert keys(tmp_path) == list(range(1, 301))
    assert "no property FolioNumber" in caplog.text
    assert next(read_parts(tmp_path))["FolioNumber"].null_count > 0


@pytest.mark.parametrize("read", [READ, SELECT], ids=["all", "select"])
def test_unknown_property_of_the_filter(
    invoices: FakeServiceLayer, connect: Connect, tmp_path: Path, read: EntityRead
) -> None:
    invoices.faults = [fake.sap_error(400, 201, "Eigenschaft 'UpdateDate' ist ungültig", "v1")]

    with pytest.raises(ContractBroken, match=r"Invoices in this .* has no property UpdateDate") as caught:
        extract_to_parquet(connect(), replace(read, filter="UpdateDate ge '2026-01-05'"), tmp_path)

    assert not isinstance(caught.value, SapError)


def test_refusal_that_is_not_about_the_selection(invoices: FakeServiceLayer, connect: Connect, tmp_path: Path) -> None:
    invoices.faults = [fake.sap_error(400, 201, "Query string error - Invalid filter condition")]

    with pytest.raises(SapError, match="Invalid filter condition"):
        extract_to_parquet(connect(), READ, tmp_path)


def test_a_server_that_loses_the_filter(invoices: FakeServiceLayer, connect: Connect, tmp_path: Path) -> None:
    def same_page_again(handler: Handler, call: Call) -> bool:
        call.params.pop("$filter", None)
        return False

    invoices.faults = [same_page_again] * 50

    with pytest.raises(ContractBroken, match="lost the filter or the order"):
        extract_to_parquet(connect(page_size=50), READ, tmp_path, workers=1)


def test_change_while_reading(invoices: FakeServiceLayer, connect: Connect, tmp_path: Path) -> None:
    pages = iter(range(10**6))

    def change(state: FakeServiceLayer, call: Call) -> None:
        if next(pages) == 5:
            state.rows["Invoices"] = [row for row in state.rows["Invoices"] if row["DocEntry"] not in (2, 299)]
            state.rows["Invoices"].append({"DocEntry": 301, "CardCode": "new"})

    invoices.before_page = change
    manifest = extract_to_parquet(connect(page_size=20), READ, tmp_path)

    staged = keys(tmp_path)
    assert len(staged) == len(set(staged)) == manifest.records
    assert set(range(1, 302)) - {2, 299} <= set(staged)
