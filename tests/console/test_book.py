"""What the console says where there is no ledger, an old or a broken one, and of instances one may not see or run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.cli.conftest import INVOICES, NORTH, deliver_and_hold
from tieout.console import access, actions
from tieout.console.app import create_app
from tieout.ledger import Filters, Ledger

PAIR = (INVOICES.integration, INVOICES.instance)


@contextmanager
def _console(visible: access.Visible | None) -> Iterator[TestClient]:
    """The application for somebody whom Airflow lets in; who is let in is tested with the real server."""
    app = create_app()
    app.dependency_overrides[access.on_website.dependency] = lambda: None
    app.dependency_overrides[access.readable] = lambda: visible or access.Visible(frozenset(), True)
    with TestClient(app) as client:
        yield client


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "ledger.db"
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", f"sqlite:///{file}")
    return file


def test_nothing_has_run_yet(path: Path) -> None:
    with _console(None) as client:
        for name in ("overview", "runs", "files", "held"):
            assert client.get(f"/api/{name}").json() == {"items": [], "total": 0}
        assert client.get("/api/held/1").status_code == 404
        assert client.get("/api/trace/1").status_code == 404
        assert not path.exists()
        # As soon as there is a ledger, it is read.
        with Ledger.open(f"sqlite:///{path}", migrate=True) as book:
            deliver_and_hold(book, INVOICES, sent=(), held="1")
        assert client.get("/api/runs").json()["total"] == 1


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        ("DROP TABLE runs", "no such table: runs"),
        ("UPDATE ledger_version SET version_num = '0001'", "is at version 0001"),
    ],
)
def test_a_ledger_that_cannot_be_read(path: Path, break_it: str, words: str) -> None:
    Ledger.open(f"sqlite:///{path}", migrate=True).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(break_it)
        database.commit()
    with _console(None) as client:
        answer = client.get("/api/runs")
    assert (answer.status_code, words in answer.json()["detail"]) == (503, True), answer.text


def test_no_password_in_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", "postgresql://me:s3cret-words@127.0.0.1:1/ledger")
    with _console(None) as client:
        answer = client.get("/api/runs")
    assert answer.status_code == 503
    assert "127.0.0.1" in answer.text
    assert "s3cret" not in answer.text


def test_what_others_may_see_is_left_out(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}", migrate=True) as book:
        deliver_and_hold(book, INVOICES, sent=("1",), held="2")
        deliver_and_hold(book, NORTH, sent=("1",), held="2")
        ids = {row.instance: row.id for row in book.held(Filters())}
    with _console(access.Visible(frozenset({PAIR}), False)) as client:
        for name in ("overview", "runs", "files", "held"):
            assert [item["instance"] for item in client.get(f"/api/{name}").json()["items"]] == ["default"]
        assert client.get("/api/held?instance=north").json() == {"items": [], "total": 0}
        assert client.get(f"/api/held/{ids['default']}").status_code == 200
        assert client.get(f"/api/held/{ids['north']}").status_code == 403
        assert {each["instance"] for each in client.get("/api/trace/1").json()["records"]} == {"default"}
        assert client.get("/api/trace/customers.csv").status_code == 404


def test_only_those_who_may_trigger_a_dag_act_on_its_records(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(f"sqlite:///{path}", migrate=True) as book:
        deliver_and_hold(book, INVOICES, sent=(), held="1")
        deliver_and_hold(book, NORTH, sent=(), held="2")
        ids = {row.instance: row.id for row in book.held(Filters())}
        monkeypatch.setattr(access, "permitted", lambda _right, dag_ids, _user: set(dag_ids) & {"sap_b1_to_peakflo"})
        monkeypatch.setattr(actions, "check_dag", lambda _dag_id: None)  # Airflow's database is not part of this
        with _console(None) as client:
            app: FastAPI = client.app  # type: ignore[assignment]
            user = SimpleAuthManagerUser(username="me", role="user")
            app.dependency_overrides[access.may_trigger_something] = lambda: user
            client.headers["sec-fetch-site"] = "same-origin"
            for which in ({"all": True}, {"ids": [ids["north"]]}, {"ids": [ids["north"], ids["default"]]}):
                answer = client.post("/api/held/replay", json={**which, "preview": True})
                assert (answer.status_code, "sap_b1_to_peakflo__north" in answer.text) == (403, True)
            mine = client.post("/api/held/replay", json={"all": True, "instance": "default", "preview": True})
            assert (mine.status_code, mine.json()["total"]) == (200, 1)
            refused = client.post("/api/held/discard", json={"ids": list(ids.values()), "why": "x"})
            assert refused.status_code == 403
            assert book.count_held(Filters(status="held")) == 2
            assert client.post("/api/held/discard", json={"ids": [ids["default"]], "why": "x"}).status_code == 200
            assert book.count_held(Filters(status="held")) == 1
