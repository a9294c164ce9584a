"""What `tieout mapping lineage` prints: a table, JSON rows, a picture; of all files, of some, of one entity."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from tieout.cli import main
from tieout.cli.mapping import lineage
from tieout.config import include_folder

KEYS = {
    "integration", "entity", "form", "file", "source", "staged", "target", "transformation", "kind", "column",
    "operation",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIEOUT_INCLUDE", raising=False)


def path_of(name: str) -> str:
    return str(include_folder() / "mappings" / name)


def rows(capsys: pytest.CaptureFixture[str], *files: str, **options: Any) -> list[dict[str, Any]]:
    given = {"files": list(files), "json": True, **options}
    assert lineage(argparse.Namespace(**given)) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_json_rows_of_everything(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys)
    assert all(set(row) == KEYS for row in found)
    assert all(row["column"] == row["target"] and row["operation"] == row["transformation"] for row in found)
    assert {row["integration"] for row in found} == {
        "sap_b1_to_peakflo", "syspro_to_legacy_erp", "stampli_to_sap_b1", "banqup_to_sftp",
    }  # fmt: skip
    files = {Path(row["file"]).name for row in found if row["file"]}
    assert {"invoices.yaml", "gl_fixed_width.yaml", "journal_entries.yaml"} <= files
    assert {row["file"] for row in found if row["integration"] == "banqup_to_sftp"} == {None}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"integration": "stampli_to_sap_b1", "entity": "vendors"}, {("stampli_to_sap_b1", "vendors")}),
        ({"entity": "statements"}, {("banqup_to_sftp", "statements")}),
        ({"integration": "sap_b1_to_peakflo", "entity": "gl_postings"}, set()),
        ({"integration": None, "entity": "taxes"}, {("sap_b1_to_peakflo", "taxes")}),
    ],
)
def test_filters(capsys: pytest.CaptureFixture[str], options: dict[str, str], left: set[tuple[str, str]]) -> None:
    assert {(row["integration"], row["entity"]) for row in rows(capsys, **options)} == left


def test_files_that_are_named_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, path_of("sap_b1_to_peakflo/taxes.yaml"))
    assert {(row["integration"], row["entity"], row["form"]) for row in found} == {
        ("sap_b1_to_peakflo", "taxes", "csv")
    }
    assert {row["source"].partition(".")[0] for row in found} == {"VatGroups", "SalesTaxCodes"}


def test_the_table_has_a_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    path = path_of("sap_b1_to_peakflo/taxes.yaml")
    count = len(rows(capsys, path))
    assert main(["mapping", "lineage", path]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    names = ["integration", "entity", "form", "target", "source", "staged", "transformation", "kind"]
    assert header.split() == names
    assert len(lines) == count
    assert any(line.split()[3:] == ["name", "VatGroups.Name", "Name", "rename", "identity"] for line in lines)


def test_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    given = argparse.Namespace(files=[path_of("sap_b1_to_peakflo/taxes.yaml")], json=False, picture=True)
    assert lineage(given) == 0
    out, err = capsys.readouterr()
    assert out.startswith("flowchart LR\n  subgraph target1[")
    assert '"VatGroups.Name"' in out
    assert err == ""


def test_a_picture_that_is_too_large_is_drawn_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert lineage(argparse.Namespace(files=[], json=False, picture=True)) == 0
    out, err = capsys.readouterr()
    assert out.startswith("flowchart LR\n")
    assert "arrows, and Mermaid draws 500" in err


def test_a_wrong_file_is_told_by_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "things.yaml"
    path.write_text("entity: things\n")
    assert main(["mapping", "lineage", str(path)]) == 2
    assert "things.yaml, line 1, source: this key is missing" in capsys.readouterr().err


def test_the_options_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    narrow = ["mapping", "lineage", "--integration", "sap_b1_to_peakflo", "--entity", "taxes"]
    assert main([*narrow, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(row["integration"], row["entity"]) for row in found} == {("sap_b1_to_peakflo", "taxes")}
    assert main([*narrow, "--picture"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")
    assert main([*narrow, "--picture", "--json"]) == 2
