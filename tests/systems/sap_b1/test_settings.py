from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.systems.sap_b1.settings import SapB1Settings

EXTRA = {"company_db": "SBODEMO"}


def settings(**changes: Any) -> SapB1Settings:
    fields: dict[str, Any] = {"host": "https://b1:50000", "login": "manager", "password": "s3cret", "extra": EXTRA}
    return SapB1Settings.from_connection(**fields | changes)


@pytest.mark.parametrize(
    ("fields", "root"),
    [
        ({"host": "https://b1:50000"}, "https://b1:50000/b1s/v2"),
        ({"host": "https://b1:50000/"}, "https://b1:50000/b1s/v2"),
        ({"host": "https://b1:50000/b1s/v1"}, "https://b1:50000/b1s/v2"),
        ({"host": "https://proxy/sap/b1s/v2/"}, "https://proxy/sap/b1s/v2"),
        ({"host": "http://127.0.0.1", "port": 8080}, "http://127.0.0.1:8080/b1s/v2"),
        ({"host": "https://b1:50000", "port": 1}, "https://b1:50000/b1s/v2"),
        ({"host": "b1", "schema": "https", "port": 50000}, "https://b1:50000/b1s/v2"),
        ({"host": "b1", "schema": "HTTP", "port": 50001}, "http://b1:50001/b1s/v2"),
        ({"host": "b1:50000"}, "https://b1:50000/b1s/v2"),
        ({"host": " b1 "}, "https://b1/b1s/v2"),
        ({"host": "[::1]", "port": 50000}, "https://[::1]:50000/b1s/v2"),
        ({"extra": EXTRA | {"api_version": "V1"}}, "https://b1:50000/b1s/v1"),
    ],
)
def test_address(fields: dict[str, Any], root: str) -> None:
    assert settings(**fields).root == root


def test_defaults_and_strings() -> None:
    assert settings().page_size == 500
    assert settings().verify is True
    found = settings(extra='{"company_db": " SBODEMO ", "page_size": "200", "language": "3", "retry_seconds": "5"}')
    assert (found.company_db, found.page_size, found.language, found.retry_seconds) == ("SBODEMO", 200, 3, 5.0)


@pytest.mark.parametrize(
    ("value", "verify"),
    [(True, True), (False, False), ("true", True), ("False", False), ("0", False), ("", True), (None, True)],
)
def test_verify(value: Any, verify: bool) -> None:
    assert settings(extra=EXTRA | {"verify": value}).verify is verify


def test_verify_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()

    assert settings(extra=EXTRA | {"verify": str(tmp_path / "ca.pem")}).verify == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"extra": {}}, "company_db in extra is missing"),
        ({"extra": None}, "company_db in extra is missing"),
        ({"extra": "{"}, "extra is not valid JSON"),
        ({"extra": "[1]"}, "must be a JSON object"),
        ({"host": None}, "host is missing"),
        ({"host": "ftp://b1"}, "the scheme is 'ftp'"),
        ({"host": "b1", "schema": "SBODEMO"}, "company_db"),
        ({"host": "https://"}, "not a base URL"),
        ({"host": "https://b1:port"}, "not a URL"),
        ({"host": "https://me:s3cret@b1"}, "put them into login and password"),
        ({"login": ""}, "login is missing"),
        ({"password": None}, "password is missing"),
        ({"extra": EXTRA | {"api_version": "v3"}}, "one of v2, v1"),
        ({"extra": EXTRA | {"page_size": "0"}}, "page_size in extra"),
        ({"extra": EXTRA | {"page_size": "many"}}, "page_size in extra is 'many'"),
        ({"extra": EXTRA | {"read_timeout": "nan"}}, "read_timeout in extra"),
        ({"extra": EXTRA | {"language": "en"}}, "language in extra"),
        ({"extra": EXTRA | {"verify": "/no/such/file"}}, "the path of a CA file that exists"),
    ],
)
def test_what_is_wrong_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=message) as caught:
        settings(name="sap_b1_be", **fields)

    assert "Connection sap_b1_be" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_no_password_in_repr() -> None:
    assert "s3cret" not in repr(settings())
