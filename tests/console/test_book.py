"""What the console says where there is no ledger, an old or a broken one, and of instances one may not see or run."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.cli.conftest import INVOICES, NORTH, deliver_and_hold
from tests.support.holding import hold
from tieout import approvals
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
    app.dependency_overrides[access.triggerable] = lambda: frozenset()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="me", role="viewer")
    # Airflow's database is not part of this.
    with mock.patch("tieout.console.lists.dag_states", return_value={}), TestClient(app) as client:
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
        theirs = book.files(Filters(instance="north"))
    assert len(theirs) == 1
    with _console(access.Visible(frozenset({PAIR}), False)) as client:
        for name in ("overview", "runs", "files", "held"):
            assert [item["instance"] for item in client.get(f"/api/{name}").json()["items"]] == ["default"]
        assert client.get("/api/held?instance=north").json() == {"items": [], "total": 0}
        assert client.get(f"/api/held/{ids['default']}").status_code == 200
        hidden = client.get(f"/api/held/{ids['north']}")
        assert (hidden.status_code, hidden.json()) == (404, {"detail": f"There is no held record {ids['north']}."})
        assert [client.get(f"/api/files/{row.id}/download").json() for row in theirs] == [
            {"detail": f"There is no file {row.id}."} for row in theirs
        ]
        assert {each["instance"] for each in client.get("/api/trace/1").json()["records"]} == {"default"}
        assert client.get("/api/trace/customers.csv").status_code == 404


def test_what_is_configured_and_never_ran_is_there_all_the_same(path: Path) -> None:
    with _console(access.Visible(frozenset({PAIR}), True)) as client:
        (row,) = client.get("/api/overview").json()["items"]
    assert (row["dag_id"], row["last_run"], row["held"], row["month"]["delivered"]) == (
        INVOICES.integration,
        None,
        0,
        0,
    )
    assert len(row["days"]) == 30


def test_connections_are_for_those_who_may_see_everything(path: Path) -> None:
    Ledger.open(f"sqlite:///{path}", migrate=True).close()
    with _console(access.Visible(frozenset({PAIR}), False)) as client:
        assert client.get("/api/health").status_code == 403
    with _console(access.Visible(frozenset({PAIR}), True)) as client:
        assert client.get("/api/health").json() == {"items": [], "total": 0}


@pytest.mark.parametrize(("role", "everything"), [("viewer", True), (None, False)])
def test_where_nothing_is_known_not_everybody_may_see_everything(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str | None, everything: bool
) -> None:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "nothing"))
    monkeypatch.setattr(access, "permitted", lambda _right, _dag_ids, _user: set())
    monkeypatch.setattr(access, "get_auth_manager", SimpleAuthManager)
    with _console(None) as client:
        app: FastAPI = client.app  # type: ignore[assignment]
        del app.dependency_overrides[access.readable]
        app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="me", role=role)
        assert client.get("/api/health").status_code == (200 if everything else 403)
        assert client.get("/api/runs").json() == {"items": [], "total": 0}


DEFAULT, OTHER = "sap_b1_to_peakflo", "sap_b1_to_peakflo__north"


@contextmanager
def _acting(monkeypatch: pytest.MonkeyPatch, *, read: set[str], trigger: set[str]) -> Iterator[TestClient]:
    """The application for somebody who may read and trigger these DAGs, and none in general."""

    def permitted(right: str, dag_ids: Collection[str], _user: object) -> set[str]:
        return set(dag_ids) & (read if right == "GET" else trigger)

    for module in (access, actions):
        monkeypatch.setattr(module, "permitted", permitted)
    monkeypatch.setattr(access, "get_auth_manager", SimpleAuthManager)
    monkeypatch.setattr(actions, "check_dag", lambda _dag_id: None)  # Airflow's database is not part of this
    with _console(None) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        yield client


def _two_instances(path: Path) -> dict[str, int]:
    with Ledger.open(f"sqlite:///{path}", migrate=True) as book:
        deliver_and_hold(book, INVOICES, sent=(), held="1")
        deliver_and_hold(book, NORTH, sent=(), held="2")
        return {row.instance: row.id for row in book.held(Filters())}


def _still_held(path: Path) -> int:
    with Ledger.open(f"sqlite:///{path}") as book:
        return book.count_held(Filters(status="held"))


def test_only_those_who_may_trigger_a_dag_act_on_its_records(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = _two_instances(path)
    with _acting(monkeypatch, read={DEFAULT, OTHER}, trigger={DEFAULT}) as client:
        for which in ({"ids": [ids["north"]]}, {"ids": [ids["north"], ids["default"]]}):
            answer = client.post("/api/held/replay", json={**which, "preview": True})
            assert (answer.status_code, OTHER in answer.text) == (403, True)
        refused = client.post("/api/held/discard", json={"ids": list(ids.values()), "why": "x"})
        assert refused.status_code == 403
        assert _still_held(path) == 2
        assert client.post("/api/held/discard", json={"ids": [ids["default"]], "why": "x"}).status_code == 200
        assert _still_held(path) == 1


@pytest.mark.parametrize("read", [{DEFAULT}, {DEFAULT, OTHER}])
def test_all_are_those_that_one_may_replay(path: Path, monkeypatch: pytest.MonkeyPatch, read: set[str]) -> None:
    _two_instances(path)
    with _acting(monkeypatch, read=read, trigger={DEFAULT}) as client:
        for given in ({}, {"integration": INVOICES.integration}, {"instance": "default"}):
            mine = client.post("/api/held/replay", json={"all": True, **given, "preview": True})
            assert [item["dag_id"] for item in mine.json()["items"]] == [DEFAULT]
        # What is not theirs is refused in their own words, whether it is there or not.
        for given, words in (({"instance": "north"}, "north"), ({"integration": "none"}, "none")):
            answer = client.post("/api/held/replay", json={"all": True, **given, "preview": True})
            sentence = f"You may not trigger runs of {words} in Airflow."
            assert (answer.status_code, answer.json()["detail"]) == (403, sentence)


def test_what_one_may_not_read_is_not_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even as discarded already, or as one that the filters contradict."""
    hidden = _two_instances(path)["north"]
    with Ledger.open(f"sqlite:///{path}") as book:
        book.discard_held(hidden, "sent by hand", "somebody")
        deliver_and_hold(book, replace(NORTH, run_id="later"), sent=(), held="3")
    # One may trigger a DAG of whose runs one may not read.
    with _acting(monkeypatch, read={DEFAULT}, trigger={DEFAULT, OTHER}) as client:
        for held_id in (hidden, 4711):
            for what in ("replay", "discard"):
                body = {"ids": [held_id]} | ({"why": "x"} if what == "discard" else {"entity": "payments"})
                answer = client.post(f"/api/held/{what}", json=body)
                assert (answer.status_code, answer.json()) == (404, {"detail": f"There is no held record {held_id}."})
        mine = client.post("/api/held/replay", json={"all": True, "preview": True}).json()["items"]
        assert [item["dag_id"] for item in mine] == [DEFAULT]


def test_the_preview_refuses_what_a_second_person_cannot_be_asked(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "include" / "integrations" / INVOICES.integration / "default.yaml"
    file.parent.mkdir(parents=True)
    file.write_text('second_person: {above: {EUR: "12"}}\n')
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))
    monkeypatch.setattr(approvals, "MOST_RECORDS", 1)
    with Ledger.open(f"sqlite:///{path}", migrate=True) as book:
        hold(book, INVOICES, {"1": ("13", "EUR"), "2": ("13", "EUR"), "3": ("11", "EUR")})
    asked: list[str] = []

    def trigger(dag_id: str, _conf: object, _user_name: str) -> tuple[str, bool]:
        asked.append(dag_id)
        return "run", False

    monkeypatch.setattr(actions, "trigger", trigger)
    with _acting(monkeypatch, read={DEFAULT}, trigger={DEFAULT}) as client:
        answers = [client.post("/api/held/replay", json={"all": True, "preview": each}) for each in (True, False)]
    assert {(each.status_code, each.json()["detail"]) for each in answers} == {
        (400, "2 records of sap_b1_to_peakflo need a second person, who is asked about 1 at once: choose fewer, by id "
              "or by filters.")
    }  # fmt: skip
    assert asked == []
