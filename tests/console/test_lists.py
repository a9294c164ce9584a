"""The lists' rows, pages and filters, and single records."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.cli.conftest import PAYLOAD
from tests.console.conftest import Server
from tieout.ledger import Filters, Ledger
from tieout.tracing import tell

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", ["runs", "files", "held"])
def test_rows_are_those_of_the_command_line(viewer: httpx.Client, book: Ledger, name: str) -> None:
    narrow = Filters("sap_b1_to_peakflo", "default")
    rows = [row.as_json() for row in getattr(book, name)(narrow)]
    answer = viewer.get(f"/{name}?integration=sap_b1_to_peakflo&instance=default").json()
    assert [{key: item[key] for key in row} for item, row in zip(answer["items"], rows, strict=True)] == rows
    assert answer["total"] == len(rows) == 1


def test_what_runs_have_besides(viewer: httpx.Client, server: Server) -> None:
    (run,) = viewer.get("/runs?run_id=manual__2026-01-31&instance=default").json()["items"]
    assert run["dag_id"] == "sap_b1_to_peakflo"
    assert run["airflow_url"] == "/dags/sap_b1_to_peakflo/runs/manual__2026-01-31"


def test_what_files_have_besides(viewer: httpx.Client, book: Ledger) -> None:
    (row,) = book.files(Filters("sap_b1_to_peakflo", "default"))
    (file,) = viewer.get("/files?instance=default&integration=sap_b1_to_peakflo").json()["items"]
    assert (file["id"], file["kind"], file["partner"]) == (row.id, "data", "Peakflo")
    assert (file["acknowledgement"], file["download_url"]) == (None, None)


def test_who_asks(viewer: httpx.Client, admin: httpx.Client) -> None:
    assert viewer.get("/me").json() == {"user": "viewer", "may_trigger": []}
    mine = admin.get("/me").json()
    assert mine["user"] == "admin"
    # Configured ones, also those that never ran, and those that ran and have no file any more.
    assert {"banqup_to_sftp", "sap_b1_to_peakflo", "sap_b1_to_peakflo__gone"} <= set(mine["may_trigger"])


def test_health(viewer: httpx.Client, book: Ledger) -> None:
    book.note_connection("peakflo_sftp", {"ok": False}, {"secret": "x"}, event=False)
    try:
        (row,) = viewer.get("/health").json()["items"]
    finally:
        book.forget_connections(["peakflo_sftp"])
    assert row.pop("checked_at").endswith("Z")
    assert row == {"label": "peakflo_sftp", "ok": False}


@pytest.mark.parametrize("name", ["runs", "held"])
def test_pages(viewer: httpx.Client, name: str) -> None:
    def page(**parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = viewer.get(f"/{name}", params={"instance": "south", **parameters}).json()
        return answer

    everything = page()
    assert everything["total"] == len(everything["items"]) == 4
    parts = [page(limit=3), page(limit=3, offset=3), page(offset=4)]
    assert [len(part["items"]) for part in parts] == [3, 1, 0]
    assert [item for part in parts for item in part["items"]] == everything["items"]
    assert {part["total"] for part in parts} == {4}


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("held?entity=customers", 1),
        ("held?run_id=manual__R1", 1),
        ("held?status=settled", 0),
        ("held?instance=default&since=2026-01-01", 1),
        ("held?since=2199-01-01T08:00%2B02:00", 0),
        ("held?q=C9", 1),
        ("held?q=C", 1),
        ("held?q=c", 0),
        ("held?q=500D", 3),
        ("held?q=%25", 0),
        ("held?q=_9", 0),
        ("held?q=C9&instance=default", 0),
        ("files?q=invoices.c", 1),
        ("files?q=/inbound/inv", 1),
        ("files?q=6", 1),
        ("files?q=5007", 1),
        ("files?q=500", 0),
        ("files?status=delivered", 1),
        ("files?status=refused", 0),
        ("runs?status=success&instance=default", 1),
        ("runs?integration=other", 0),
        ("runs?ties_out=true&instance=default", 1),
        ("runs?ties_out=false&instance=default", 0),
        ("runs?mode=incremental&instance=default", 1),
        ("runs?mode=backfill", 0),
    ],
)
def test_filters(viewer: httpx.Client, query: str, total: int) -> None:
    answer = viewer.get(f"/{query}")
    assert answer.status_code == 200, answer.text
    if "status=settled" in query or total:
        assert answer.json()["total"] == len(answer.json()["items"])
    assert answer.json()["total"] == total


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("runs?limit=0", "limit"),
        ("runs?limit=501", "limit: Input should be less than or equal to 500"),
        ("runs?limit=many", "limit"),
        ("runs?offset=-1", "offset"),
        ("runs?offset=99999999999999999999", "offset"),
        ("runs?since=yesterday", "since: 'yesterday' is no ISO date"),
        ("runs?since=0001-01-01T00:00%2B14:00", "since"),
        ("runs?status=red", "status"),
        ("runs?ties_out=perhaps", "ties_out"),
        ("files?mode=backfill", "mode is not known here"),
        ("runs?q=6", "q is not known here"),
        ("held?integraton=x", "integraton is not known here"),
        ("held?q=%00", "q: has a character that no text has"),
        ("held?entity=", "entity"),
        ("held/0", "held_id"),
        ("held/abc", "held_id"),
        ("held/99999999999999999999", "held_id"),
    ],
)
def test_what_is_not_understood_is_named(viewer: httpx.Client, query: str, words: str) -> None:
    answer = viewer.get(f"/{query}")
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_held_record(viewer: httpx.Client, book: Ledger) -> None:
    (row,) = book.held(Filters(instance="default"))
    answer = viewer.get(f"/held/{row.id}").json()
    detail = book.get_held(row.id)
    assert detail is not None
    assert answer == detail.as_json()
    assert (answer["payload"], answer["amount"]) == (PAYLOAD.decode(), "12.30")
    missing = viewer.get("/held/4711")
    assert (missing.status_code, missing.json()["detail"]) == (404, "There is no held record 4711.")


@pytest.mark.parametrize(
    "key", ["6", "invoices.csv", "/inbound/invoices/invoices.csv", "%2Finbound%2Finvoices%2Finvoices.csv"]
)
def test_trace(viewer: httpx.Client, book: Ledger, key: str) -> None:
    assert viewer.get(f"/trace/{key}").json() == tell(book, key.replace("%2F", "/"))


def test_trace_of_nothing(viewer: httpx.Client) -> None:
    answer = viewer.get("/trace/nobody")
    assert (answer.status_code, "'nobody'" in answer.json()["detail"]) == (404, True)


def test_overview(viewer: httpx.Client) -> None:
    answer = viewer.get("/overview").json()
    rows = {(row["integration"], row["instance"]): row for row in answer["items"]}
    assert answer["total"] == len(rows) == 4 + 3
    never = rows["syspro_to_legacy_erp", "default"]
    assert (never["last_run"], never["held"], never["paused"], never["next_run"]) == (None, 0, None, None)
    # Airflow has this instance's DAG, without a schedule.
    assert (rows["sap_b1_to_peakflo", "south"]["paused"], rows["sap_b1_to_peakflo", "south"]["next_run"]) == (
        True,
        None,
    )
    row = rows["sap_b1_to_peakflo", "default"]
    assert (row["dag_id"], row["held"], row["month"]["totals"]) == ("sap_b1_to_peakflo", 1, {"EUR": "200"})
    assert row["last_run"]["run_id"] == "manual__2026-01-31"
