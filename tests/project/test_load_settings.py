"""airflow_settings.yaml: what is accepted, what is refused with which sentence, and that loading is idempotent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from load_settings import SETTINGS, SettingsInvalid, read_settings

ROOT = Path(__file__).resolve().parents[2]

COMPLETE = """
airflow:
  pools:
    - {pool_name: sap_b1, pool_slots: 4, pool_description: sessions}
  variables:
    - {variable_name: owner, variable_value: "${OWNER}"}
    - {variable_name: limits, variable_value: {pages: 3}}
  connections:
    - conn_id: peakflo_sftp
      conn_type: sftp
      conn_host: ${SFTP_HOST}
      conn_port: 2222
      conn_password: p-${SFTP_PASSWORD}
      conn_extra: {host_key: "${SFTP_KEY}"}
    - {conn_id: ledger_copy, conn_uri: "postgresql://u:p@db/ledger"}
"""
ENVIRON = {
    "OWNER": "finance",
    "SFTP_HOST": "sftp.example.com",
    "SFTP_PASSWORD": "s3cret-word",
    "SFTP_KEY": "ssh-ed25519 AAAA",
}


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_placeholders_are_filled_at_any_depth(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, COMPLETE), ENVIRON)
    sftp = settings.connections[0]
    assert (sftp["conn_host"], sftp["conn_password"]) == ("sftp.example.com", "p-s3cret-word")
    assert sftp["conn_extra"] == {"host_key": "ssh-ed25519 AAAA"}
    assert settings.variables[0]["variable_value"] == "finance"
    assert settings.skipped == []


def test_an_incomplete_environment_leaves_out_and_names(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, COMPLETE), {"OWNER": "finance", "SFTP_HOST": ""})
    assert [entry["conn_id"] for entry in settings.connections] == ["ledger_copy"]
    assert settings.skipped == ["connection peakflo_sftp (not set: SFTP_HOST, SFTP_KEY, SFTP_PASSWORD)"]


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    assert "s3cret" not in repr(read_settings(write(tmp_path, COMPLETE), ENVIRON))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("pools: []", "the top-level key `airflow` is missing", id="no-airflow"),
        pytest.param("airflow: [", "is not valid YAML", id="not-yaml"),
        pytest.param("airflow: {users: []}", "airflow.users is not one of", id="unknown-group"),
        pytest.param("airflow: {pools: {a: 1}}", "airflow.pools must be a list", id="not-a-list"),
        pytest.param("airflow: {pools: [{pool_slots: 1}]}", "entry 1 of airflow.pools has no pool_name", id="no-name"),
        pytest.param(
            "airflow: {pools: [{pool_name: a, slots: 1}]}", "'slots' in 'a' of airflow.pools", id="unknown-key"
        ),
        pytest.param("airflow: {pools: [{pool_name: a, pool_slots: 0}]}", "pool 'a' has pool_slots 0", id="no-slots"),
        pytest.param("airflow: {pools: [{pool_name: a, pool_slots: x}]}", "has pool_slots 'x'", id="slots-text"),
        pytest.param("airflow: {connections: [{conn_id: c}]}", "'c' needs conn_type or conn_uri", id="no-type"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(path, {})
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_shipped_file_has_the_pools(tmp_path: Path) -> None:
    settings = read_settings(SETTINGS, {})
    found = {pool["pool_name"]: pool["pool_slots"] for pool in settings.pools}
    assert found == {"sap_b1": 4, "syspro": 1, "banqup": 2, "sftp": 4}


SHOW = """
import json
from airflow.models import Connection, Pool, Variable
from airflow.utils.session import create_session
from sqlalchemy import select
with create_session() as session:
    connections = {c.conn_id: [c.host, c.port, c.password, c.extra_dejson] for c in session.scalars(select(Connection))}
    pools = {p.pool: p.slots for p in session.scalars(select(Pool))}
    variables = {v.key: v.val for v in session.scalars(select(Variable))}
print("RESULT" + json.dumps([pools, variables, connections]))
"""


@pytest.mark.integration
def test_loading_twice_is_loading_once(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    env |= ENVIRON | {"AIRFLOW_HOME": str(tmp_path / "home"), "_AIRFLOW_PROCESS_CONTEXT": "server"}
    env |= {
        "AIRFLOW__CORE__FERNET_KEY": "Zm9yLXRlc3RzLW9ubHktMzItYnl0ZXMtbG9uZy1rZXk=",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    path = write(tmp_path, COMPLETE)
    program = (
        "from airflow.utils.db import initdb; initdb(); import load_settings as s;"
        f"assert s.main([{str(path)!r}]) == 0; assert s.main([{str(path)!r}]) == 0\n" + SHOW
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=ROOT / "scripts", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    pools, variables, connections = json.loads(done.stdout.split("RESULT")[1])
    assert pools["sap_b1"] == 4
    assert variables == {"owner": "finance", "limits": '{"pages": 3}'}
    assert connections["peakflo_sftp"] == ["sftp.example.com", 2222, "p-s3cret-word", {"host_key": "ssh-ed25519 AAAA"}]
    assert "s3cret" not in done.stdout.split("RESULT")[0] + done.stderr
    assert set(connections) == {"peakflo_sftp", "ledger_copy"}
