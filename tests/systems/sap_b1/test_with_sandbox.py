"""The whole reading side against the sandbox's Service Layer, whose faults are those of real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.sap_b1 import Company, ServiceLayer, Sizes, generate_company
from tieout.errors import ContractBroken, CredentialsRejected
from tieout.odata.entity_read import EntityRead
from tieout.odata.layout import staged_schema
from tieout.odata.manifest import ExtractManifest
from tieout.odata.schema import FieldType, RecordSchema
from tieout.staging import read_parts
from tieout.systems.sap_b1.attachments import download, first_pdf, list_files
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.entities import entity_set
from tieout.systems.sap_b1.extract import extract_to_parquet
from tieout.systems.sap_b1.sessions import MemorySessionStore
from tieout.systems.sap_b1.settings import SapB1Settings

pytestmark = pytest.mark.integration

SIZES = Sizes(customers=60, suppliers=5, leads=3, items=12, invoices=230, credit_notes=12, warehouses=2)
INVOICES = RecordSchema(
    fields={
        "DocEntry": FieldType.INTEGER,
        "CardCode": FieldType.TEXT,
        "DocDate": FieldType.DATE,
        "DocTotal": FieldType.NUMBER,
        "AttachmentEntry": FieldType.INTEGER,
    },
    collections={"DocumentLines": {"LineNum": FieldType.INTEGER, "LineTotal": FieldType.NUMBER}},
    custom_fields=True,
    custom_line_fields=("DocumentLines",),
)


@pytest.fixture(scope="module")
def _books() -> Company:
    return generate_company(11, SIZES)


@pytest.fixture
def server(_books: Company) -> Iterator[ServiceLayer]:
    with ServiceLayer(_books) as running:
        running.faults.settings.login_ms = 0
        yield running
        assert running.failures == []


@pytest.fixture(params=["v1", "v2"])
def client(server: ServiceLayer, request: pytest.FixtureRequest) -> Iterator[SapB1Client]:
    connected = connect(server, api_version=request.param)
    yield connected
    connected.close()


def connect(server: ServiceLayer, **extra: Any) -> SapB1Client:
    company = next(iter(server.companies.values()))
    user, password = next(iter(company.users.items()))
    settings = SapB1Settings.from_connection(
        host=server.url,
        login=user,
        password=extra.pop("password", password),
        extra={"company_db": company.database, "page_size": 20} | extra,
    )
    return SapB1Client(settings, MemorySessionStore(), sleep=lambda seconds: None)


def read(name: str, schema: RecordSchema, **more: Any) -> EntityRead:
    entity = entity_set(name)
    return EntityRead(entity.name, entity.key, entity.key_type, schema, change_columns=entity.change_columns, **more)


def staged(folder: Path, schema: RecordSchema, manifest: ExtractManifest) -> list[dict[str, Any]]:
    layout = staged_schema(schema, manifest.custom_fields)
    return [row for batch in read_parts(folder, names=manifest.part_names, schema=layout) for row in batch.to_pylist()]


def test_invoices_to_the_last_cent(client: SapB1Client, server: ServiceLayer, tmp_path: Path) -> None:
    books = next(iter(server.companies.values())).rows("Invoices")

    manifest = extract_to_parquet(client, read("Invoices", INVOICES), tmp_path)
    rows = staged(tmp_path, INVOICES, manifest)

    assert [row["DocEntry"] for row in rows] == sorted(row["DocEntry"] for row in books)
    cent = Decimal("0.000001")
    expected = {row["DocEntry"]: Decimal(str(row["DocTotal"])).quantize(cent) for row in books}
    assert {row["DocEntry"]: row["DocTotal"] for row in rows} == expected
    assert manifest.custom_fields["header"] == tuple(sorted({k for row in books for k in row if k.startswith("U_")}))
    assert all(len(row["DocDate"]) == 10 for row in rows)
    assert all(json.loads(row["_raw"])["DocEntry"] == row["DocEntry"] for row in rows)
    assert server.statistics.logins == 1


@pytest.mark.parametrize("name", ["BusinessPartners", "Items", "IncomingPayments", "ChartOfAccounts", "VatGroups"])
def test_other_entities(client: SapB1Client, server: ServiceLayer, tmp_path: Path, name: str) -> None:
    entity = entity_set(name)

    manifest = extract_to_parquet(client, read(name, RecordSchema({})), tmp_path)

    keys = [key for batch in read_parts(tmp_path, ["_key"]) for key in batch["_key"].to_pylist()]
    books = next(iter(server.companies.values())).rows(name)
    assert sorted(keys) == sorted(str(row[entity.key]) for row in books)
    assert manifest.records == len(books) == client.count(name)


SESSION_FAULTS = ["session_lost", "unauthorized_5002", "unauthorized_html"]
FAULTS = [
    *SESSION_FAULTS,
    "bad_gateway", "service_unavailable", "gateway_timeout", "switch_company", "node_table", "empty_500",
    "reset_mid_body", "close_mid_body", "cut_json", "reset_before_head", "html_200",
]  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_every_transient_fault_is_survived(server: ServiceLayer, tmp_path: Path, kind: str) -> None:
    client = connect(server, read_timeout="5")
    # A second 401 on the session of the new log-in means that log-ins do not help; that is not what is tested here.
    times = 1 if kind in SESSION_FAULTS else 2
    server.faults.add(kind, path="^Invoices", after=3, times=times)

    manifest = extract_to_parquet(client, read("Invoices", INVOICES), tmp_path)

    assert manifest.records == client.count("Invoices")
    assert server.faults.active() == []
    client.close()


@pytest.mark.parametrize("every", [7, 11])
def test_sessions_that_keep_dying(server: ServiceLayer, tmp_path: Path, every: int) -> None:
    server.faults.settings.kill_session_every = every
    client = connect(server)

    manifest = extract_to_parquet(client, read("Invoices", INVOICES), tmp_path)

    server.faults.settings.kill_session_every = None
    assert manifest.records == client.count("Invoices")
    assert server.statistics.logins > 2
    assert server.statistics.most_logins_in_flight == 1
    client.close()


def test_a_lost_filter_is_found_out(server: ServiceLayer, tmp_path: Path) -> None:
    client = connect(server)
    server.faults.add("lose_filter", path="^Invoices", after=1, times=None)

    with pytest.raises(ContractBroken, match="filter"):
        extract_to_parquet(client, read("Invoices", INVOICES, filter="DocEntry gt 0"), tmp_path)
    client.close()


def test_rows_that_come_and_go(server: ServiceLayer, tmp_path: Path) -> None:
    company = generate_company(12, SIZES)
    with ServiceLayer(company) as fresh:
        keys = sorted(row["DocEntry"] for row in company.rows("Invoices"))
        fresh.faults.after_page("Invoices", 3, lambda: company.delete("Invoices", keys[1]))
        fresh.faults.after_page("Invoices", 4, lambda: company.delete("Invoices", keys[-2]))
        client = connect(fresh)

        extract_to_parquet(client, read("Invoices", INVOICES), tmp_path)
        client.close()

    found = [int(key) for batch in read_parts(tmp_path, ["_key"]) for key in batch["_key"].to_pylist()]
    assert len(found) == len(set(found))
    assert set(keys) - {keys[1], keys[-2]} <= set(found)


def test_change_columns_that_payments_do_not_have(server: ServiceLayer, tmp_path: Path) -> None:
    client = connect(server)
    wrong = read("IncomingPayments", RecordSchema({}), filter="UpdateDate ge '2026-01-01'")

    with pytest.raises(ContractBroken, match=r"IncomingPayments .* has no property UpdateDate"):
        extract_to_parquet(client, wrong, tmp_path)
    client.close()


def test_a_selection_with_an_unknown_property(server: ServiceLayer, tmp_path: Path) -> None:
    client = connect(server)
    schema = RecordSchema({"DocEntry": FieldType.INTEGER, "NoSuchProperty": FieldType.TEXT})

    manifest = extract_to_parquet(client, read("Invoices", schema, select=("DocEntry", "NoSuchProperty")), tmp_path)

    assert manifest.records == client.count("Invoices")
    client.close()


def test_wrong_password(server: ServiceLayer) -> None:
    client = connect(server, password="not-it")

    with pytest.raises(CredentialsRejected):
        client.login()
    assert server.statistics.logins + server.statistics.refused_logins <= 2
    client.close()


def test_attached_pdfs(client: SapB1Client, server: ServiceLayer) -> None:
    books = next(iter(server.companies.values())).rows("Invoices")
    entries = [row["AttachmentEntry"] for row in books if row["AttachmentEntry"] is not None]

    found = list_files(client, entries)

    assert set(found) == set(entries)
    pdf = next(file for files in found.values() if (file := first_pdf(files)) is not None)
    assert b"".join(download(client, pdf)).startswith(b"%PDF")
