"""The connection types as Airflow learns them, and that their forms ask for what our clients read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_home import ROOT, airflow_environment
from tieout.provider import BANQUP, SAP_B1, SYSPRO
from tieout.systems.banqup import BanqupSettings
from tieout.systems.sap_b1.settings import SapB1Settings
from tieout.systems.syspro.settings import SysproSettings

LOAD = """
import json
from airflow.providers_manager import ProvidersManager
hooks = ProvidersManager().hooks
names = ("sap_b1", "syspro", "banqup")
found = {name: [hooks[name].connection_id_attribute_name, hooks[name].hook_name] for name in names}
print("RESULT" + json.dumps(found))
"""


class Noted(Mapping[str, Any]):
    """A connection's extra that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_the_form_of_syspro_has_all_that_the_settings_read() -> None:
    extra = Noted({"company_id": "EDU1"})
    SysproSettings.from_connection(host="https://s", login="T", password="p", extra=extra)
    assert set(SYSPRO["conn-fields"]) == extra.asked


def test_the_form_of_banqup_has_all_that_the_settings_read() -> None:
    extra = Noted({})
    BanqupSettings.from_connection(host="https://b", login="app", password="p", extra=extra)
    assert set(BANQUP["conn-fields"]) == extra.asked


@pytest.mark.parametrize("fill", ["default", "null", "empty"])
def test_an_untouched_form_of_banqup_means_the_defaults(fill: str) -> None:
    values = {
        "default": {name: form["schema"].get("default") for name, form in BANQUP["conn-fields"].items()},
        "null": dict.fromkeys(BANQUP["conn-fields"]),
        "empty": dict.fromkeys(BANQUP["conn-fields"], ""),
    }[fill]
    fields: dict[str, Any] = {"host": "https://b", "login": "app", "password": "p"}
    untouched = BanqupSettings.from_connection(**fields, extra=values)
    assert untouched == BanqupSettings.from_connection(**fields)


@pytest.mark.parametrize("fill", ["default", "null", "empty"])
def test_an_untouched_form_means_the_defaults(fill: str) -> None:
    values = {
        "default": {name: form["schema"].get("default") for name, form in SYSPRO["conn-fields"].items()},
        "null": dict.fromkeys(SYSPRO["conn-fields"]),
        "empty": dict.fromkeys(SYSPRO["conn-fields"], ""),
    }[fill]
    fields: dict[str, Any] = {"host": "https://s", "login": "T", "password": "p"}
    untouched = SysproSettings.from_connection(**fields, extra={**values, "company_id": "EDU1"})
    assert untouched == SysproSettings.from_connection(**fields, extra={"company_id": "EDU1"})


def test_an_untouched_form_of_sap_means_the_defaults() -> None:
    values = {name: form["schema"].get("default") for name, form in SAP_B1["conn-fields"].items()}
    fields: dict[str, Any] = {"host": "https://b1:50000", "login": "manager", "password": "p"}
    untouched = SapB1Settings.from_connection(**fields, extra={**values, "company_db": "SBO"})
    assert untouched == SapB1Settings.from_connection(**fields, extra={"company_db": "SBO"})


@pytest.mark.parametrize("form", [SAP_B1, SYSPRO, BANQUP], ids=["sap_b1", "syspro", "banqup"])
def test_secrets_are_masked(form: dict[str, Any]) -> None:
    for name, field in form["conn-fields"].items():
        assert ("password" in name) == (field["schema"].get("format") == "password"), name


def test_airflow_knows_both_types(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD], env=airflow_environment(tmp_path), cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.rpartition("RESULT")[2]) == {
        "sap_b1": ["sap_b1_conn_id", "SAP Business One Service Layer"],
        "syspro": ["syspro_conn_id", "SYSPRO"],
        "banqup": ["banqup_conn_id", "Banqup"],
    }
