"""Banqup through an Airflow connection: the settings of either type, and the Test button."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.banqup import BanqupServer, DocumentStore
from sandbox.banqup.access import Application
from tieout.errors import ConfigurationInvalid
from tieout.hooks.connections import banqup_settings

APPLICATION = Application()
SPACE = "0c2f7f9e-0000-4000-8000-000000000001"

Connect = Callable[..., None]
Test = Callable[[], tuple[bool, str]]


@pytest.fixture
def banqup() -> Iterator[BanqupServer]:
    with BanqupServer(DocumentStore()) as running:
        yield running
        assert running.failures == []


@pytest.fixture
def connect(airflow_home: Path, banqup: BanqupServer, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Defines the connection `banqup`; keywords are its type, its password, or of its extra."""

    def define(conn_type: str = "banqup", password: str = APPLICATION.client_secret, **extra: object) -> None:
        fields = {"conn_type": conn_type, "host": banqup.url, "login": APPLICATION.client_id, "password": password}
        monkeypatch.setenv("AIRFLOW_CONN_BANQUP", json.dumps({**fields, "extra": {"retry_seconds": 0.5} | extra}))

    return define


@pytest.fixture
def press_test(connect: Connect) -> Test:
    """The connection form's Test button. Airflow may only be imported once its home is set."""
    from tieout.hooks.banqup import BanqupHook

    return BanqupHook().test_connection


@pytest.mark.parametrize("conn_type", ["banqup", "http"])
def test_settings_of_either_type(connect: Connect, banqup: BanqupServer, conn_type: str) -> None:
    connect(conn_type, scope="space_read", page_size="20")
    found = banqup_settings("banqup")
    assert (found.base_url, found.client_id, found.scope, found.page_size) == (
        banqup.url, APPLICATION.client_id, "space_read", 20
    )  # fmt: skip
    assert APPLICATION.client_secret not in repr(found)


def test_no_such_connection(airflow_home: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="AIRFLOW_CONN_NOWHERE"):
        banqup_settings("nowhere")


def test_the_test_button(connect: Connect, banqup: BanqupServer, press_test: Test) -> None:
    connect()
    passed, words = press_test()
    assert (passed, "whitelist" in words) == (False, True)
    banqup.store.add_space(SPACE, "ACME", "0700000096")
    assert press_test() == (True, "Banqup lets the application into 1 space.")


def test_the_test_button_with_a_wrong_secret(connect: Connect, banqup: BanqupServer, press_test: Test) -> None:
    connect(password="Wr0ng-secret")
    passed, words = press_test()
    assert (passed, "refuses the application 'tieout-partner'" in words) == (False, True)
    assert "Wr0ng-secret" not in words
    assert banqup.access.refused == 1


def test_the_test_button_where_nobody_listens(connect: Connect, banqup: BanqupServer, press_test: Test) -> None:
    connect()
    banqup.stop()
    passed, words = press_test()
    assert (passed, "does not answer" in words) == (False, True)
