"""`tieout mapping validate` and `lineage` over files of every kind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tieout.cli import main

MAPPINGS = Path(__file__).parents[2] / "include/mappings/stampli_to_sap_b1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the mappings from Stampli to SAP."""
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    copy = tmp_path / "mappings/stampli_to_sap_b1"
    shutil.copytree(MAPPINGS, copy)
    return copy


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = main(["mapping", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_every_kind_is_valid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = run(capsys, "validate")
    assert code == 0
    kinds = {row["entity"]: row["kind"] for row in rows}
    assert kinds["accounts"] == kinds["payment_methods"] == "cross-reference"
    assert kinds["journal_entries"] == kinds["business_partners"] == "rules"
    assert kinds["purchase_orders"] == "mapping"
    assert kinds["invoices"] == kinds["vendors"] == kinds["payments"] == "layout"
    assert len(rows) == len(list(folder.iterdir()))


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("accounts", "cross_reference: accounts\notherwise: drop\n", "accounts.yaml, line 2, otherwise: "),
        ("journal_entries", "rules: journal_entries\ninvoice: {}\n", "line 2, invoice: this key is not known here"),
        ("business_partners", "rules: business_partners\n", "line 1, owned: this key is missing"),
        ("journal_entries", "rules: [journal_entries]\n", "line 1, rules: "),
        ("projects", "{}\n", "entity: this key is missing"),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, problem: str
) -> None:
    (folder / f"{file}.yaml").write_text(text)
    code, rows = run(capsys, "validate")
    assert code == 2
    wrong = [row for row in rows if not row["valid"]]
    assert [row["file"].rpartition("/")[2] for row in wrong] == [f"{file}.yaml"]
    assert problem in wrong[0]["problem"]


def test_lineage_of_entries_and_partners(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = run(capsys, "lineage")
    assert code == 0
    found = {(row["source"], row["column"], row["operation"]) for row in rows}
    line = "JournalEntries.JournalEntryLines"
    assert {
        ("invoices.lines.gl_account", f"{line}.AccountCode", "cross-reference accounts"),
        ("invoices.lines.cost_center", f"{line}.CostingCode", "cross-reference cost_centres"),
        ("payments.method", f"{line}.AccountCode", "cross-reference payment_methods"),
        ("invoices.vendor_name", "JournalEntries.Memo", "template"),
        ("vendors.state", "BusinessPartners.BPAddresses.County", "rename"),
        ("vendors.active", "BusinessPartners.Frozen", "not active"),
    } <= found
    assert {"ReferenceDate", "Reference", "Reference2", "Reference3"} <= {row["column"].split(".")[-1] for row in rows}


def test_lineage_follows_the_rules(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "journal_entries.yaml"
    path.write_text("rules: journal_entries\ninvoices: {memo: fixed, line_memo: '{invoice_number} {gl_account}'}\n")
    _, rows = run(capsys, "lineage", str(path))
    found = {(row["source"], row["column"]) for row in rows}
    assert ("(constant)", "JournalEntries.Memo") in found
    assert ("invoices.lines.gl_account", "JournalEntries.JournalEntryLines.LineMemo") in found
