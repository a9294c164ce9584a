from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.systems.syspro.settings import SysproSettings

EXTRA = {"company_id": "EDU1"}


def settings(**changes: Any) -> SysproSettings:
    fields: dict[str, Any] = {"host": "https://s:30001", "login": "TIEOUT", "password": "s3cret", "extra": EXTRA}
    return SysproSettings.from_connection(**fields | changes)


def test_defaults() -> None:
    found = settings()

    assert (found.auth, found.token_in, found.reader, found.page_size) == ("session_token", "query", "odata", 5000)
    assert (found.logon_path, found.logoff_path) == ("/Utilities/Logon", "/Utilities/Logoff")
    assert found.table_path("GenMaster") == "/SYSPRO8Odata/SYSPROOData/EDU1/GenMaster"
    assert found.query_paths == ("/SYSPROWCFService/Rest/Query/Query", "/Query/Query")
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "base"),
    [
        ({"host": "https://s:30001/"}, "https://s:30001"),
        ({"host": "s", "schema": "http", "port": 90}, "http://s:90"),
        ({"host": "s"}, "https://s"),
        ({"host": "https://proxy/erp/"}, "https://proxy/erp"),
    ],
)
def test_address(fields: dict[str, Any], base: str) -> None:
    assert settings(**fields).base_url == base


def test_paths_beside_the_log_on() -> None:
    found = settings(extra={**EXTRA, "logon_path": "SYSPROWCFService/Rest/Logon"})

    assert found.logoff_path == "/SYSPROWCFService/Rest/Logoff"
    assert found.query_paths == ("/SYSPROWCFService/Rest/Query/Query",)


def test_a_template_with_awkward_names() -> None:
    found = settings(extra={"company_id": "A&B {table}", "odata_path": "/o/{company}/{table}"})

    assert found.table_path("T") == "/o/A%26B%20%7Btable%7D/T"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "host is missing"),
        ({"host": "ftp://s"}, "use http or https"),
        ({"host": "https://u:p@s"}, "login and password"),
        ({"host": "https://s?x=1"}, "base URL"),
        ({"login": ""}, "login is missing"),
        ({"extra": {}}, "company_id in extra is missing"),
        ({"extra": "{"}, "not valid JSON"),
        ({"extra": EXTRA | {"auth": "oauth"}}, "auth in extra is 'oauth'"),
        ({"extra": EXTRA | {"token_in": "body"}}, "token_in"),
        ({"extra": EXTRA | {"reader": "sql"}}, "reader"),
        ({"extra": EXTRA | {"page_size": "0"}}, "page_size"),
        ({"extra": EXTRA | {"odata_path": "/o/{company}"}}, "{table}"),
        ({"extra": EXTRA | {"logon_path": "https://x/Logon"}}, "must be a path"),
        ({"extra": EXTRA | {"reader": "comfnd", "auth": "basic"}}, "session token"),
        ({"extra": EXTRA | {"token_in": "bearer", "auth": "token_and_basic"}}, "same header"),
        ({"extra": EXTRA | {"verify": "/no/such/file"}}, "verify"),
    ],
)
def test_mistakes(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=f".*{words.replace('{', '[{]')}"):
        settings(**changes)


def test_a_blank_password_and_a_ca_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()

    found = settings(password=None, extra=EXTRA | {"verify": str(tmp_path / "ca.pem"), "auth": "basic"})

    assert (found.password, found.verify) == ("", str(tmp_path / "ca.pem"))
    assert (found.basic_login, found.needs_token) == ("TIEOUT", False)
