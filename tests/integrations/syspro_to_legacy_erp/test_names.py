"""Names at the partner, and the files beside the data."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from sandbox import sftp
from tests.integrations.syspro_to_legacy_erp.rehearsal import GL, Rehearsal
from tieout.errors import ConfigurationInvalid
from tieout.ledger import Filters


@pytest.mark.parametrize(
    ("partner", "name"),
    [
        ({"company": "edu/../1"}, "GL_edu_.._1_202601_000001.dat"),
        ({"company": "../../etc/passwd"}, "GL_etc_passwd_202601_000001.dat"),
        ({"company": "Müller & Söhne"}, "GL_M_ller_S_hne_202601_000001.dat"),
        ({"upper_case": True, "company": "edu"}, "GL_EDU_202601_000001.DAT"),
        ({"file_name": "{entity}-{instance}-{year}{month}-{date}{time}-{seq:04d}.{ext}"},
         "gl_postings-default-202601-20260210010000-0001.dat"),
        ({"file_name": "{prefix}{seq}.txt", "time_zone": "America/New_York"}, "GL1.txt"),
    ],
    ids=["a path", "another path", "a name", "capitals", "all placeholders", "a short one"],
)  # fmt: skip
def test_names(rehearsal: Rehearsal, partner: dict[str, Any], name: str) -> None:
    rehearsal.send_only(gl_postings={"format": "csv", "ext": "dat"})
    rehearsal.configure(partner=partner)
    outcome = rehearsal.go()
    assert outcome.ties_out, outcome.error or outcome.problems
    assert list(outcome.data) == [name]
    cased = ".MANIFEST.JSON" if partner.get("upper_case") else ".manifest.json"
    assert set(outcome.files) == {name, name + cased}
    assert json.loads(outcome.files[name + cased])["file"] == name
    assert list(rehearsal.sandbox.legacy_erp.inbox.root.rglob("*passwd*")) == [
        path for path in rehearsal.inbound.iterdir() if "passwd" in path.name
    ]


def test_prefix_and_ending_of_an_entity(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={"prefix": "LEDGER", "ext": "txt"})
    assert list(rehearsal.go().data) == ["LEDGER_EDU1_202601_000001.txt"]


@pytest.mark.parametrize(
    ("partner", "says"),
    [
        ({"max_name_length": 20}, "is longer than the 20 characters"),
        ({"max_name_length": 28, "checksum_suffix": ".sha256"}, "suffixes included"),
        ({"file_name": "{prefix}_{journal}.csv"}, "unknown placeholder '{journal}'"),
        ({"file_name": "{prefix}/{seq}.csv"}, "no plain file name"),
        ({"resend_name": "{again}"}, "unknown placeholder '{again}'"),
    ],
    ids=["too long", "too long with its checksum's", "unknown placeholder", "a folder", "names of what is sent again"],
)
def test_a_name_that_cannot_be_is_found_before_anything_is_read(
    rehearsal: Rehearsal, partner: dict[str, Any], says: str
) -> None:
    rehearsal.configure(partner=partner)
    failed = rehearsal.go()
    assert isinstance(failed.error, ConfigurationInvalid) and says in str(failed.error)
    assert rehearsal.numbers() == [], "nothing is numbered that has no name"
    assert rehearsal.sandbox.syspro.server.statistics()["requests"] == {}
    assert rehearsal.received() == {}


def test_data_checksum_manifest_trigger(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal.send_only(gl_postings={}, suppliers={})
    rehearsal.configure(partner={"checksum_suffix": ".sha256", "trigger_suffix": ".done"})
    rehearsal.go(period="2025-12", entities=(GL,))
    rehearsal.post(2025, 12, ("4000-20-100", "5"), ("1100-10-000", "-5"))
    renamed: list[str] = []
    server = rehearsal.sandbox.legacy_erp.server
    rename = sftp._FaultySftp._rename

    def noted(self: Any, how: Any, old: bytes, new: bytes) -> Any:
        renamed.append(new.decode().rpartition("/")[2])
        return rename(self, how, old, new)

    monkeypatch.setattr(sftp._FaultySftp, "_rename", noted)
    outcome = rehearsal.go(entities=(GL,))
    assert outcome.ties_out and server.statistics.refused_logins == 0
    names = ["GL_EDU1_202601_000002.dat", "GL_EDU1_202512_000003.dat"]
    expected = [[f"{name}{suffix}" for name in names] for suffix in ("", ".sha256", ".manifest.json", ".done")]
    kinds = [sorted(renamed[at : at + 2]) for at in range(0, 8, 2)]
    assert kinds == [sorted(each) for each in expected], "all of a kind before any of the next"
    for name in names:
        digest = hashlib.sha256(outcome.files[name]).hexdigest()
        assert outcome.files[f"{name}.sha256"] == f"{digest}  {name}\n".encode()
        assert outcome.files[f"{name}.done"] == b""
        assert outcome.manifest(name)["sha256"] == digest
    kinds_of = {
        row.file_name: (row.kind, row.records) for row in rehearsal.ledger.files(Filters(run_id=outcome.run.run_id))
    }
    assert kinds_of[names[0]] == ("data", 4) and kinds_of[f"{names[0]}.manifest.json"] == ("manifest", 4)
    assert kinds_of[f"{names[0]}.sha256"] == ("checksum", 0) and kinds_of[f"{names[0]}.done"] == ("trigger", 0)
    rehearsal.sandbox.legacy_erp.inbox.settings.configure(checksum="required", trigger="required")
    assert rehearsal.load() == []


def test_other_suffixes(rehearsal: Rehearsal) -> None:
    rehearsal.configure(partner={"manifest_suffix": ".ctl", "trigger_suffix": ".ok", "upper_case": True})
    outcome = rehearsal.go()
    name = "GL_EDU1_202601_000001.DAT"
    assert set(outcome.files) == {name, f"{name}.CTL", f"{name}.OK"}


def test_real_data_are_not_sent_as_tests_are(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={"format": "x12", "gl_set": "821"})
    rehearsal.configure(partner={"x12": {"test_indicator": "P"}})
    failed = rehearsal.go()
    assert isinstance(failed.error, ConfigurationInvalid) and "test" in str(failed.error)
    rehearsal.test_content = False
    assert b"*P*>~" in rehearsal.go().one
