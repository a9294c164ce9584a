"""What the page takes from the instances' files, also where they are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tieout.console.instances import configured, facts_of
from tieout.console.rows import partner_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    made = tmp_path / "integrations" / "banqup_to_sftp"
    made.mkdir(parents=True)
    return made


def test_enabled_ones_and_broken_ones_are_configured(folder: Path) -> None:
    (folder / "default.yaml").write_text("timezone: Europe/Brussels\n")
    (folder / "off.yaml").write_text("enabled: false\n")
    (folder / "broken.yaml").write_text("enabled: [\n")
    (folder / "No Name.yaml").write_text("enabled: true\n")
    (folder / "notes.txt").write_text("nothing")
    assert configured() == [("banqup_to_sftp", "broken"), ("banqup_to_sftp", "default")]
    assert facts_of("banqup_to_sftp", "default").timezone.key == "Europe/Brussels"
    assert facts_of("banqup_to_sftp", "broken").timezone.key == "UTC"


def test_a_file_that_has_changed_is_read_again(folder: Path) -> None:
    path = folder / "default.yaml"
    path.write_text("enabled: false\n")
    assert configured() == []
    path.write_text("enabled: true\n")
    os.utime(path, ns=(1, 1))
    assert configured() == [("banqup_to_sftp", "default")]


def test_partners(folder: Path) -> None:
    clients = "clients:\n- {external_id: C1, name: Bakkerij BV}\n- {external_id: 2}\n- nonsense\n"
    (folder / "default.yaml").write_text(clients)
    legacy = folder.with_name("syspro_to_legacy_erp")
    legacy.mkdir()
    (legacy / "acme.yaml").write_text("partner: {partner_name: ACME CORP}\n")
    assert partner_of("banqup_to_sftp", "default", "C1") == "C1 Bakkerij BV"
    assert partner_of("banqup_to_sftp", "default", "2") == "2"
    assert partner_of("banqup_to_sftp", "default", "gone") == "default"
    assert partner_of("syspro_to_legacy_erp", "acme", "items") == "ACME CORP"
    assert partner_of("syspro_to_legacy_erp", "default", "items") == "Legacy ERP"
    assert partner_of("sap_b1_to_peakflo", "../../etc\x00", "invoices") == "Peakflo"
