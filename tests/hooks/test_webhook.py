"""Messages to a real HTTP server, and what is said when it will not take them; never the URL, which is a secret."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.webhook_server import WebhookServer
from tieout.errors import ConfigurationInvalid, ReceiverRefused, ReceiverUnavailable, TieoutError

SECRET = "T00/B00/s3cr3t-t0k3n"
MESSAGE = {"text": "Société: EUR 12.50"}


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with WebhookServer() as running:
        yield running


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Defines the Airflow connection `ops`."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path / 'airflow.db'}")

    def define(**fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps({"conn_type": "http", "password": SECRET, **fields}))

    return define


def post() -> None:
    # Airflow reads its home when it is imported, so not before the test has set one.
    from tieout.hooks import webhook

    webhook.post("ops", MESSAGE)


def failure(kind: type[TieoutError]) -> str:
    with pytest.raises(kind) as caught:
        post()
    told = "".join(traceback.format_exception(caught.value))
    assert "s3cr3t" not in told and "T00" not in told
    return str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "http://127.0.0.1:{port}/services"},
        {"host": "http://127.0.0.1:{port}/services/", "password": "/" + SECRET},
        {"host": "127.0.0.1/services", "schema": "http", "port": "{port}"},
        {"host": "ignored.example.com", "password": "http://127.0.0.1:{port}/services/" + SECRET},
        {"host": "http://127.0.0.1:{port}/services/" + SECRET, "password": None},
    ],
    ids=["appended", "with a slash", "in parts", "whole in the password", "whole in the host"],
)
def test_the_url_may_be_given_in_several_ways(server: WebhookServer, connect: Any, fields: dict[str, Any]) -> None:
    filled = {name: text.replace("{port}", str(server.port)) if text else text for name, text in fields.items()}
    if "port" in filled:
        filled["port"] = int(filled["port"])
    connect(**filled)
    post()
    assert server.received == [("/services/" + SECRET, MESSAGE)]


@pytest.mark.parametrize("status", [200, 404, 503])
def test_no_log_has_the_url(server: WebhookServer, connect: Any, caplog: pytest.LogCaptureFixture, status: int) -> None:
    connect(host=f"http://127.0.0.1:{server.port}")
    server.status = status
    silenced = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "urllib3"]
    for name in (None, *silenced):
        caplog.set_level(logging.DEBUG, name)
    with suppress(TieoutError):
        post()
    assert len(server.received) == 1
    told = "".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert not any(part in told for part in SECRET.split("/"))
    # Others are still logged, so that this is not only silence.
    urllib3.request("GET", f"http://127.0.0.1:{server.port}/elsewhere", retries=False)
    assert "/elsewhere" in caplog.text


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (202, None, ""),
        (302, ReceiverRefused, "refused the message (HTTP status 302)"),
        (400, ReceiverRefused, "refused the message (HTTP status 400)"),
        (404, ReceiverRefused, "Make a new webhook"),
        (410, ReceiverRefused, "Make a new webhook"),
        (429, ReceiverUnavailable, "not take messages now (HTTP status 429)"),
        (503, ReceiverUnavailable, "not take messages now (HTTP status 503)"),
    ],
)
def test_answers(server: WebhookServer, connect: Any, status: int, kind: type[TieoutError] | None, words: str) -> None:
    connect(host=f"http://127.0.0.1:{server.port}")
    server.status = status
    if kind is None:
        post()
    else:
        assert words in failure(kind)
    assert len(server.received) == 1, "once, and no redirect is followed"


def test_nobody_listens(connect: Any) -> None:
    connect(host="http://127.0.0.1:1")
    assert "'ops'" in failure(ReceiverUnavailable)


def test_no_webhook_at_all(connect: Any) -> None:
    connect(host="")
    connect(host=None, password=None)
    assert "holds no webhook" in failure(ConfigurationInvalid)


def test_a_secret_does_not_travel_in_the_clear(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_ENV", "production")
    connect(host="http://hooks.example.com")
    assert "not encrypted" in failure(ConfigurationInvalid)
