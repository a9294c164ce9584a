"""What a connection says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import certifi
import pytest

from tieout.errors import ConfigurationInvalid
from tieout.systems.banqup import BanqupClient, BanqupSettings, surface
from tieout.systems.banqup.patience import Timing
from tieout.systems.banqup.storage import Outcome, Storage

FIELDS: dict[str, Any] = {"host": "https://api.btx.eu.banqup.com/", "login": "app", "password": "s3cret"}


def read(**changes: Any) -> BanqupSettings:
    extra = changes.pop("extra", None)
    return BanqupSettings.from_connection(**{**FIELDS, **changes}, extra=extra)


def test_the_defaults_are_the_reference() -> None:
    found = read()
    assert (found.base_url, found.client_id, found.client_secret) == ("https://api.btx.eu.banqup.com", "app", "s3cret")
    assert (found.page_size, found.max_file_bytes, found.verify, found.scope) == (50, 100_000_000, True, "")
    assert found.token_path == "/oauth2/client_credential/gettoken"
    assert found.spaces_path == "/entitystore/v1/spaces"
    assert found.documents_of("a b", "c/d") == "/datastore/documents/transaction/v2/spaces/a%20b/documents/c%2Fd"
    assert found.file_of("s", "f") == "/datastore/documents/transaction/v1/spaces/s/files/f"
    assert "s3cret" not in repr(found)


def test_everything_can_be_said_otherwise() -> None:
    extra = {
        "verify": "false", "page_size": "20", "connect_timeout": "1", "read_timeout": 2, "request_timeout": 3,
        "retry_seconds": 4, "max_retry_after": 5, "max_page_bytes": 6, "max_file_bytes": 7, "scope": "a b",
        "token_path": "t", "spaces_path": "/s/", "documents_path": "/d/{space}", "files_path": "/f/{space}/x",
    }  # fmt: skip
    found = read(host="banqup.test", port=8443, schema="http", extra=json.dumps(extra))
    assert found == BanqupSettings(
        base_url="http://banqup.test:8443", client_id="app", client_secret="s3cret", scope="a b", token_path="/t",
        spaces_path="/s", documents_path="/d/{space}", files_path="/f/{space}/x", page_size=20, verify=False,
        connect_timeout=1, read_timeout=2, request_timeout=3, retry_seconds=4, max_retry_after=5, max_page_bytes=6,
        max_file_bytes=7,
    )  # fmt: skip
    assert found.server == "Banqup at banqup.test:8443"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": None}, "host is missing"),
        ({"login": ""}, "login is missing; put the application's client id there"),
        ({"password": None}, "password is missing; put the application's client secret there"),
        ({"extra": {"page_size": 51}}, "page_size in extra is '51'; it must be from 1 to 50"),
        ({"extra": {"page_size": "2.5"}}, "page_size"),
        ({"extra": {"page_size": 0}}, "page_size"),
        ({"extra": {"documents_path": "/documents"}}, r"must be a path with \{space\} in it"),
        ({"extra": {"files_path": "https://x/{space}"}}, "without host or query"),
        ({"extra": {"retry_seconds": "long"}}, "retry_seconds"),
        ({"extra": {"verify": "/no/such/file"}}, "CA file"),
    ],
)
def test_what_makes_no_sense(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=words) as caught:
        read(**changes)
    assert "Connection banqup" in str(caught.value)


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")
    with pytest.raises(ConfigurationInvalid, match="cannot be read as certificates"):
        BanqupClient(read(extra={"verify": str(ca)}))


def test_names_of_the_reference() -> None:
    assert (surface.PURCHASES, surface.SALES, surface.BANK) == ("PURCHASES", "SALES", "BANK")
    assert surface.LARGEST_PAGE == 50


def test_a_ca_file_of_ones_own() -> None:
    BanqupClient(read(extra={"verify": certifi.where()})).close()


@pytest.mark.parametrize("address", ["http://storage.example/f?sig=1", "", "file:///etc/passwd"])
def test_a_file_never_comes_without_tls_where_the_api_has_it(address: str) -> None:
    storage = Storage(read(), Timing())
    assert storage.fetch(address, "a file", 100).outcome is Outcome.NO_ADDRESS
