"""bin/airflow and bin/tieout: from any folder, through links, with the caller's settings, on a new home."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAGS = """
from airflow.sdk import DAG, get_current_context, task

with DAG("probe", schedule=None):
    @task(pool="sap_b1")
    def first():
        conf = get_current_context()["dag_run"].conf or {}
        if conf.get("fail"):
            raise RuntimeError("as asked")
    first()
"""
PRINT_ENV = '"$TIEOUT_PYTHON" -I -S -c "import json, os; print(json.dumps(dict(os.environ)))"'


def environ(home: Path, **extra: str) -> dict[str, str]:
    """A plain environment: none of the test run's own Airflow settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW", "TIEOUT", "OPENLINEAGE"))}
    kept.pop("PYTHONPATH", None)
    return {**kept, "AIRFLOW_HOME": str(home), **extra}


def shell_env(home: Path, **extra: str) -> dict[str, str]:
    """What bin/_env.sh makes of an environment."""
    script = f"set -euo pipefail; TIEOUT_ROOT={ROOT}; . {ROOT}/bin/_env.sh; {PRINT_ENV}"
    done = subprocess.run(
        ["bash", "-c", script], env=environ(home, **extra), capture_output=True, text=True, timeout=60, check=True
    )
    result: dict[str, str] = json.loads(done.stdout)
    return result


def test_runs_through_a_link_from_another_folder(tmp_path: Path) -> None:
    link = tmp_path / "links" / "airflow"
    link.parent.mkdir()
    (tmp_path / "hop").symlink_to(ROOT / "bin" / "airflow")
    link.symlink_to("../hop")
    done = subprocess.run(
        [link, "version"], cwd=tmp_path, env=environ(tmp_path / "home"), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "3.3.2"
    assert not (tmp_path / "home" / ".prepared").exists(), "`version` needs no database"


def test_tieout_runs_from_another_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "bin" / "tieout", "--help"],
        cwd=tmp_path,
        env=environ(tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "tieout" in done.stdout


def test_a_relative_home_is_the_callers(tmp_path: Path) -> None:
    script = f'TIEOUT_ROOT={ROOT}; . {ROOT}/bin/_env.sh; printf %s "$AIRFLOW_HOME"'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environ(Path("some home")),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == str(tmp_path / "some home")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIRFLOW__CORE__PARALLELISM", "2"),
        ("AIRFLOW__CORE__DAGS_FOLDER", "/elsewhere/dags"),
        ("AIRFLOW__CORE__FERNET_KEY", ""),
        ("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "3"),
        ("TIEOUT_INCLUDE", "/elsewhere/include"),
        ("TIEOUT_STAGING", "s3://bucket/staging"),
        ("GX_ANALYTICS_ENABLED", "true"),
    ],
)
def test_the_callers_settings_win(tmp_path: Path, name: str, value: str) -> None:
    assert shell_env(tmp_path, **{name: value})[name] == value


@pytest.mark.parametrize("form", ["CMD", "SECRET"])
@pytest.mark.parametrize(
    "name", ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"]
)
def test_a_setting_that_a_command_or_a_secret_gives_is_left_alone(tmp_path: Path, name: str, form: str) -> None:
    env = shell_env(tmp_path, **{f"{name}_{form}": "whatever"})
    assert name not in env


def test_parallelism_follows_the_database(tmp_path: Path) -> None:
    conn = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    sqlite = shell_env(tmp_path)
    assert sqlite[conn].endswith("/airflow.db?timeout=60")
    assert sqlite["AIRFLOW__CORE__PARALLELISM"] == "4"
    postgres = shell_env(tmp_path, **{conn: "postgresql+psycopg2://u:p@h/airflow"})
    assert postgres["AIRFLOW__CORE__PARALLELISM"] == "16"


def test_keys_are_made_once_and_kept_private(tmp_path: Path) -> None:
    first, second = shell_env(tmp_path), shell_env(tmp_path)
    for name in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"):
        assert first[name] == second[name]
    assert len(base64.urlsafe_b64decode(first["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert len(first["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    files = list((tmp_path / ".secrets").iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_keys_agree_when_several_make_them_at_once(tmp_path: Path) -> None:
    script = f'set -euo pipefail; TIEOUT_ROOT={ROOT}; . {ROOT}/bin/_env.sh; printf %s "$AIRFLOW__CORE__FERNET_KEY"'
    running = [
        subprocess.Popen(["bash", "-c", script], env=environ(tmp_path), stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    keys = {process.communicate(timeout=60)[0] for process in running}
    assert len(keys) == 1
    assert len(keys.pop()) == 44


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_a_new_home_is_prepared_once_by_several_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = environ(home, AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path))
    command = [str(ROOT / "bin" / "airflow"), "pools", "list", "--output", "json"]
    running = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    results = [process.communicate(timeout=240) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], results
    for output, _ in results:
        pools = {pool["pool"]: pool["slots"] for pool in json.loads(output)}
        assert pools["sap_b1"] == "4" and pools["sftp"] == "4"
    assert sum(errors.count("Preparing") for _, errors in results) == 1
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        assert ledger.execute("select count(*) from sqlite_master where type = 'table'").fetchone()[0] > 1


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_dags_test_exits_by_the_runs_state_and_prepares_again_when_the_ledger_is_gone(tmp_path: Path) -> None:
    home, dags = tmp_path / "home", tmp_path / "dags"
    dags.mkdir()
    (dags / "probe.py").write_text(DAGS, encoding="utf-8")
    env = environ(home, AIRFLOW__CORE__DAGS_FOLDER=str(dags))

    def dags_test(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "bin" / "airflow"), "dags", "test", *arguments]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240)

    succeeded = dags_test("probe")
    assert succeeded.returncode == 0, succeeded.stderr[-2000:]
    (home / "ledger.db").unlink()
    failed = dags_test("probe", "--conf", '{"fail": true}')
    assert failed.returncode == 1
    assert "as asked" in failed.stdout + failed.stderr
    assert (home / "ledger.db").exists()
