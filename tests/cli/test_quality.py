from __future__ import annotations

import json
from pathlib import Path

import pytest

from tieout.cli import main
from tieout.ledger import Ledger, RunKey

KEY = RunKey("sap_b1_to_peakflo", "default", "contacts", "run-1")
RESULTS = [
    {"type": "expect_column_values_to_be_unique", "columns": ["externalId"], "severity": "critical", "success": True,
     "status": "passed", "evaluated": 5, "unexpected": 0, "offending_keys": []},
    {"type": "expect_column_values_to_not_be_null", "columns": ["email"], "severity": "warning", "success": False,
     "status": "failed", "evaluated": 5, "unexpected": 1, "offending_keys": ["9"]},
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose ledger has one judged batch."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", url)
    with Ledger.open(url, migrate=True) as ledger:
        ledger.begin_run(KEY, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
        ledger.event(
            integration=KEY.integration, instance=KEY.instance, entity=KEY.entity, run_id=KEY.run_id, what="quality",
            detail={"entity": "contacts", "results": RESULTS},
        )  # fmt: skip
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([], ["email"]), (["--all"], ["externalId", "email"]), (["--entity", "invoices"], [])],
    ids=["missed", "all", "another entity"],
)
def test_what_batches_missed(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: list[str]
) -> None:
    assert main(["quality", "--json", *arguments]) == 0

    rows = json.loads(capsys.readouterr().out)
    assert [row["columns"] for row in rows] == [[name] for name in expected]
    assert all(row["run_id"] == "run-1" for row in rows)


def test_the_table_names_the_records(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quality"]) == 0

    assert "expect_column_values_to_not_be_null" in capsys.readouterr().out
