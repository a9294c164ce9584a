"""Who may read and who may act, by Airflow's own log-in and rights."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from tests.console.conftest import Server
from tests.support.airflow_home import ROOT

READING = ("/me", "/overview", "/health", "/runs", "/files", "/held", "/held/1", "/trace/8")
ACTING = ("/held/replay", "/held/discard")

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("by", ["bearer", "cookie"])
def test_reading(server: Server, path: str, by: str) -> None:
    with server.client() as nobody:
        answer = nobody.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
    for user in ("viewer", "admin"):
        with server.client(user, by=by) as client:
            assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ACTING)
@pytest.mark.parametrize("body", ['{"ids": [1], "why": "x", "preview": true}', '{"all": true}', "[", ""])
def test_acting_is_not_for_viewers_and_strangers_whatever_they_send(server: Server, path: str, body: str) -> None:
    headers = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    with server.client() as nobody:
        assert nobody.post(path, content=body, headers=headers).status_code == 401
    for by in ("bearer", "cookie"):
        with server.client("viewer", by=by) as viewer:
            answer = viewer.post(path, content=body, headers=headers)
        assert (answer.status_code, "may not trigger" in answer.json()["detail"]) == (403, True)


def test_a_wrong_token(server: Server) -> None:
    with server.client() as client:
        answer = client.get("/runs", headers={"authorization": "Bearer nonsense"})
    assert answer.status_code in (401, 403)
    assert "items" not in answer.json()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "own"}, 200),
        ({"origin": "https://airflow.example.com"}, 200),
        ({}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "own"}, 403),
        ({"origin": "https://elsewhere.example.com"}, 403),
        ({"origin": "null"}, 403),
        # Not a token: the cookie is what counts.
        ({"authorization": "Bearer"}, 403),
        ({"authorization": "Basic YTpi"}, 403),
    ],
)
def test_with_the_cookie_only_our_own_page_may_act(server: Server, headers: dict[str, str], status: int) -> None:
    sent = {name: server.url if value == "own" else value for name, value in headers.items()}
    with server.client("admin", by="cookie") as client:
        answer = client.post("/held/replay", json={"ids": [1], "preview": True}, headers=sent)
    assert answer.status_code == status, answer.text


def test_a_token_in_the_header_needs_no_origin(admin: httpx.Client) -> None:
    assert admin.post("/held/replay", json={"ids": [1], "preview": True}).status_code == 200


@pytest.mark.parametrize("path", ["/held", "/nothing", "/held/0", "/held/99999"])
def test_headers_are_on_every_answer(server: Server, admin: httpx.Client, path: str) -> None:
    with server.client() as nobody:
        answers = [admin.get(path), nobody.get(path), admin.post(path)]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json"])
def test_no_documentation_of_its_own(server: Server, path: str) -> None:
    assert httpx.get(f"{server.url}/tieout/{path}", timeout=60).status_code == 404


def test_the_plugin_brings_nothing_heavy() -> None:
    """Scheduler and workers load it, too."""
    code = "import sys, tieout.console.mount; print([n for n in sys.modules if n.split('.')[0] in sys.argv[1:]])"
    heavy = ["fastapi", "starlette", "sqlalchemy", "pydantic", "airflow", "alembic"]
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "plugins")},
    )
    assert done.stdout.strip() == "[]"
