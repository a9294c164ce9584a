"""Replaying and discarding held records."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.console.conftest import Server
from tieout.ledger import Filters, HeldRow, Ledger

pytestmark = pytest.mark.integration


def _held(book: Ledger, source_key: str) -> HeldRow:
    (row,) = [row for row in book.held(Filters()) if row.source_key == source_key]
    return row


def _runs(admin: httpx.Client, server: Server, dag_id: str) -> list[dict[str, Any]]:
    answer = admin.get(f"{server.url}/api/v2/dags/{dag_id}/dagRuns")
    assert answer.status_code == 200, answer.text
    runs: list[dict[str, Any]] = answer.json()["dag_runs"]
    return runs


def test_replay_by_id_is_a_run_in_airflow(server: Server, admin: httpx.Client, book: Ledger) -> None:
    held_id = _held(book, "R1").id
    before = len(_runs(admin, server, "sap_b1_to_peakflo__south"))
    preview = admin.post("/held/replay", json={"ids": [held_id, held_id], "preview": True}).json()
    conf = {"held_only": True, "held_ids": [held_id]}
    expected = {
        "integration": "sap_b1_to_peakflo", "instance": "south", "dag_id": "sap_b1_to_peakflo__south", "records": 1,
        "amounts": {"EUR": "12.30"}, "needs_second_person": 0, "limit": None, "conf": conf,
    }  # fmt: skip
    assert preview == {"items": [{**expected, "run_id": None, "status": "preview"}], "total": 1}
    assert len(_runs(admin, server, "sap_b1_to_peakflo__south")) == before

    (queued,) = admin.post("/held/replay", json={"ids": [held_id]}).json()["items"]
    assert queued == {**expected, "run_id": queued["run_id"], "status": "queued", "paused": True}
    (run,) = [run for run in _runs(admin, server, "sap_b1_to_peakflo__south") if run["dag_run_id"] == queued["run_id"]]
    assert (run["state"], run["conf"], run["triggering_user_name"]) == ("queued", conf, "admin")


def test_replay_of_all_that_the_filters_leave(admin: httpx.Client) -> None:
    def asked(**body: Any) -> list[tuple[str, dict[str, Any]]]:
        answer = admin.post("/held/replay", json={"all": True, "preview": True, **body})
        assert answer.status_code == 200, answer.text
        return [(row["dag_id"], row["conf"]) for row in answer.json()["items"]]

    everything = {"held_only": True, "held_ids": []}
    assert asked(instance="default") == [("sap_b1_to_peakflo", everything)]
    assert asked(instance="default", entity="invoices") == [
        ("sap_b1_to_peakflo", {**everything, "entities": ["invoices"]})
    ]
    ((_, by_run),) = asked(run_id="manual__R1", instance="south")
    assert len(by_run["held_ids"]) == 1
    assert asked(integration="other") == []


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("replay", {}, 422, "either"),
        ("replay", {"ids": [1], "all": True}, 422, "either"),
        ("replay", {"ids": ["1"]}, 422, "ids.0"),
        ("replay", {"ids": [True]}, 422, "ids.0"),
        ("replay", {"ids": [0]}, 422, "ids.0"),
        ("replay", {"ids": list(range(1, 1002))}, 422, "ids"),
        ("replay", {"all": "yes"}, 422, "all"),
        ("replay", {"id": [1]}, 422, "id is not known here"),
        ("replay", {"\ud800": [1]}, 422, "valid string"),
        ("replay", [1], 422, "object"),
        ("replay", None, 422, "object"),
        ("replay", {"ids": [4711]}, 404, "no held record 4711"),
        ("replay", {"ids": [1], "entity": "payments"}, 400, "is of entity invoices, not of payments"),
        ("replay", {"all": True, "instance": "gone"}, 404, "Airflow has no DAG sap_b1_to_peakflo__gone"),
        ("discard", {"ids": [1]}, 422, "why"),
        ("discard", {"ids": [], "why": "x"}, 422, "ids"),
        ("discard", {"ids": [1], "why": "  "}, 422, "why: say why"),
        ("discard", {"ids": [1], "why": "\ud800"}, 422, "why"),
        ("discard", {"ids": [1, 4711], "why": "x"}, 404, "no held record 4711"),
    ],
)
def test_what_cannot_be_done_is_said(
    admin: httpx.Client, book: Ledger, path: str, body: Any, status: int, words: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = admin.post(f"/held/{path}", content=json.dumps(body), headers=headers)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert book.count_held(Filters(instance="default", status="held")) == 1


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ('{"all": true, "preview": true}', "application/json; charset=utf-8", 200),
        ('{"all": true, "preview": true}', "text/plain", 415),
        ("all=true", "application/x-www-form-urlencoded", 415),
        ("{", "application/json", 400),
        (b"\xff", "application/json", 400),
        ("[" * 50_000, "application/json", 400),
        ('{"why": "' + "x" * 100_001 + '"}', "application/json", 413),
    ],
)
def test_only_json_of_a_fair_size(admin: httpx.Client, content: str | bytes, content_type: str, status: int) -> None:
    body = content.replace('"all"', '"instance": "default", "all"') if isinstance(content, str) else content
    answer = admin.post("/held/replay", content=body, headers={"content-type": content_type})
    assert answer.status_code == status, answer.text


def test_discard_by_name(admin: httpx.Client, book: Ledger) -> None:
    rows = [_held(book, key) for key in ("D1", "D2")]
    body: dict[str, Any] = {"ids": [row.id for row in rows], "why": " sent by hand "}
    preview = admin.post("/held/discard", json={**body, "preview": True}).json()
    assert [(item["id"], item["status"]) for item in preview["items"]] == [(row.id, "held") for row in rows]
    assert _held(book, "D1").status == "held"

    answer = admin.post("/held/discard", json=body).json()
    assert [(item["id"], item["status"]) for item in answer["items"]] == [(row.id, "discarded") for row in rows]
    detail = book.get_held(rows[0].id)
    assert detail is not None
    assert (detail.closed_by, detail.closed_why) == ("admin", "sent by hand")
    assert detail.history[-1].detail == {"by": "admin", "why": "sent by hand"}

    for path in ("discard", "replay"):
        again = admin.post(f"/held/{path}", json=body if path == "discard" else {"ids": body["ids"]})
        assert (again.status_code, "is discarded already" in again.json()["detail"]) == (400, True)


def test_one_that_cannot_be_discarded_leaves_the_others(admin: httpx.Client, book: Ledger) -> None:
    held_id = _held(book, "D3").id
    assert admin.post("/held/discard", json={"ids": [held_id, 4711], "why": "x"}).status_code == 404
    assert _held(book, "D3").status == "held"


def test_a_dag_with_import_errors_is_not_run(server: Server, admin: httpx.Client) -> None:
    def set_errors(number: int) -> None:
        with closing(sqlite3.connect(server.home.parent / "airflow.db", timeout=60)) as database:
            database.execute("UPDATE dag SET has_import_errors = ? WHERE dag_id = 'sap_b1_to_peakflo'", (number,))
            database.commit()

    set_errors(1)
    try:
        answer = admin.post("/held/replay", json={"ids": [1]})
    finally:
        set_errors(0)
    assert (answer.status_code, "has import errors" in answer.json()["detail"]) == (400, True)
