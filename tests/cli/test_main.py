"""Exit codes, stdout kept clean, and what a look-up does not import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PLUGINS, Run, tell_story
from tieout.ledger import Ledger

ROOT = PLUGINS.parent


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rums"],
        ["runs", "--since", "yesterday"],
        ["runs", "--limit", "0"],
        ["held", "show", "abc"],
        ["held", "discard", "1"],
        ["replay"],
        ["replay", "--all", "--id", "1"],
        ["preview", "sap_b1_to_peakflo"],
        ["mapping"],
        ["runs", "--js"],
    ],
    ids=" ".join,
)
def test_wrong_usage(tieout: Run, arguments: list[str]) -> None:
    answer = tieout(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "usage: tieout" in answer.err


def test_help(tieout: Run) -> None:
    answer = tieout("held", "discard", "--help")
    assert (answer.code, "--why" in answer.out) == (0, True)


def test_a_wrong_ledger_address_is_a_configuration_error(tieout: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", "mysql://u:secret@h/db")
    answer = tieout("runs")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "secret" not in answer.err


def test_a_ledger_that_does_not_answer_is_a_failure(tieout: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", "postgresql://u:secret@127.0.0.1:1/db")
    answer = tieout("runs")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "127.0.0.1:1" in answer.err
    assert "secret" not in answer.err


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    command = [sys.executable, "-X", "importtime", "-m", "tieout.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments", [["runs"], ["files"], ["held"], ["trace", "6"], ["mapping", "validate"]], ids=" ".join
)
def test_looking_something_up_imports_nothing_heavy(home: Path, arguments: list[str]) -> None:
    with Ledger.open(f"sqlite:///{home / 'ledger.db'}", migrate=True) as ledger:
        tell_story(ledger)
    done = _process(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "tieout.cli.parser" in imported
    assert imported.isdisjoint({"airflow", "pandas", "pyarrow", "great_expectations", "alembic", "asyncssh"})


def test_the_reader_may_leave_early(home: Path) -> None:
    with Ledger.open(f"sqlite:///{home / 'ledger.db'}", migrate=True) as ledger:
        tell_story(ledger)
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    command = f"{sys.executable} -m tieout.cli held --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.integration
def test_sandbox_up_prints_connections_until_it_is_stopped() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    with subprocess.Popen(
        [sys.executable, "-m", "tieout.cli", "sandbox", "up", "--size", "small"],
        env=environment, cwd=ROOT / "tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        first = next(line for line in process.stdout if line.startswith("export "))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    assert first.startswith("export AIRFLOW_CONN_")
