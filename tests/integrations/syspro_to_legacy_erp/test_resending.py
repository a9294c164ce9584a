"""Sending again: the same bytes, or a period made anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integrations.syspro_to_legacy_erp.readers import read_fixed, read_x12
from tests.integrations.syspro_to_legacy_erp.rehearsal import GL, Rehearsal
from tieout.errors import ConfigurationInvalid, DoesNotTieOut

FROM, TO = "4000-20-100", "1100-10-000"
FIRST = "GL_EDU1_202601_000001.dat"


def sweep(rehearsal: Rehearsal) -> None:
    """The receiver takes everything away."""
    for path in rehearsal.inbound.iterdir():
        path.unlink()


@pytest.mark.parametrize("swept", [True, False], ids=["taken away by the receiver", "still there"])
def test_the_same_bytes_under_the_same_names(rehearsal: Rehearsal, swept: bool) -> None:
    first = rehearsal.go()
    rehearsal.load()
    if swept:
        sweep(rehearsal)
    rehearsal.post(2026, 1, (FROM, "5"), (TO, "-5"))
    again = rehearsal.go(resend=True)
    assert again.ties_out, again.problems
    assert again.files == (first.files if swept else {})
    assert rehearsal.received() == first.files
    assert (again.counts(), again.rows[GL].mode) == ((4, 0, 0, 0), "resend")
    assert rehearsal.states() == {1: "used"}, "numbers are those that the file has"
    assert rehearsal.load() == []
    assert rehearsal.go().counts() == (2, 0, 4, 0), "what was posted since still is to be sent"


def test_a_partner_may_want_other_names_for_what_comes_again(rehearsal: Rehearsal) -> None:
    rehearsal.configure(partner={"resend_name": "{stem}_R{resend}.{ext}"})
    first = rehearsal.go()
    for times in (1, 2):
        again = rehearsal.go(resend=True)
        name = f"GL_EDU1_202601_000001_R{times}.dat"
        assert again.ties_out and again.data == {name: first.one}
        assert again.manifest(name) == first.manifest(FIRST) | {"file": name}
    by_its_new_name = rehearsal.go(resend=["GL_EDU1_202601_000001_R1.dat"])
    assert by_its_new_name.ties_out, by_its_new_name.error
    assert list(by_its_new_name.data.values()) == [first.one]


def test_all_files_of_a_period(rehearsal: Rehearsal) -> None:
    rehearsal.go(period="2025-12")
    sent = rehearsal.go().files
    rehearsal.post(2026, 1, (FROM, "5"), (TO, "-5"))
    sent |= rehearsal.go().files
    sweep(rehearsal)
    again = rehearsal.go(resend="all", period="202601")
    assert again.ties_out and again.files == sent
    sweep(rehearsal)
    older = rehearsal.go(resend=True, period="2025-12")
    assert list(older.data) == ["GL_EDU1_202512_000001.dat"]


@pytest.mark.parametrize("late", [False, True], ids=["of another period", "supplementary"])
def test_a_file_by_its_name(rehearsal: Rehearsal, late: bool) -> None:
    sent = rehearsal.go(period="2025-12")
    if late:
        rehearsal.post(2025, 12, (FROM, "5"), (TO, "-5"))
        sent = rehearsal.go(period="2025-12")
    rehearsal.go()
    sweep(rehearsal)
    again = rehearsal.go(resend=list(sent.data))
    assert again.ties_out and again.files == sent.files, "its manifest is the same, too"


def test_an_entity_by_its_name(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={}, suppliers={}, items={})
    sent = rehearsal.go().data
    sweep(rehearsal)
    again = rehearsal.go(resend="suppliers, gl_postings")
    assert again.ties_out
    assert again.data == {name: data for name, data in sent.items() if not name.startswith("ITEM")}


def test_files_of_equal_content_are_told_apart(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(items={})
    one = rehearsal.go()
    rehearsal.at = rehearsal.at.replace(month=3)
    two = rehearsal.go(full_refresh=("items",))
    assert one.one == two.one and set(one.data) != set(two.data)
    for sent, period in ((one, "2026-01"), (two, "2026-02")):
        sweep(rehearsal)
        again = rehearsal.go(resend=True, period=period)
        assert again.files == sent.files
        sweep(rehearsal)
        assert rehearsal.go(resend=list(sent.data)).files == sent.files


@pytest.mark.parametrize(
    "resend", [["GL_EDU1_202601_000009.dat"], [FIRST, "GL_EDU1_202601_000009.dat"], "journals, gl_postings"],
    ids=["only it", "beside one that is there", "no such entity"],
)  # fmt: skip
def test_what_was_never_sent_cannot_be_sent_again(rehearsal: Rehearsal, resend: Any) -> None:
    rehearsal.go()
    failed = rehearsal.go(resend=resend)
    assert isinstance(failed.error, ConfigurationInvalid)
    assert "conf.resend" in str(failed.error) and ("000009" in str(failed.error) or "journals" in str(failed.error))
    assert FIRST not in str(failed.error)


def test_a_period_that_was_never_sent(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    failed = rehearsal.go(resend=True, period="2025-10")
    assert isinstance(failed.error, ConfigurationInvalid) and "2025-10" in str(failed.error)


def test_a_damaged_archive(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    (kept,) = rehearsal.archive.rglob(FIRST)
    content = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(content.replace(b"EDU1", b"EDU9"))
    damaged = rehearsal.go(resend=True)
    assert isinstance(damaged.error, DoesNotTieOut) and FIRST in str(damaged.error)
    kept.unlink()
    gone = rehearsal.go(resend=True)
    assert isinstance(gone.error, ConfigurationInvalid) and "regenerate" in str(gone.error)
    assert rehearsal.received()[FIRST] == content


def test_the_archive_outlives_staging(rehearsal: Rehearsal) -> None:
    first = rehearsal.go()
    staged = rehearsal.staging(first.run) / GL / "prepared" / "202601" / "data"
    staged.write_bytes(b"")  # in place, as a careless tool might
    staged.unlink()
    (kept,) = rehearsal.archive.rglob(FIRST)
    kept.unlink()
    kept.write_bytes(first.one)
    sweep(rehearsal)
    assert rehearsal.go(resend=True).files == first.files


def test_regenerate_makes_all_of_a_period_anew(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    rehearsal.post(2026, 1, (FROM, "5"), (TO, "-5"))
    rehearsal.go()
    rehearsal.post(2026, 1, (FROM, "6"), (TO, "-6"))
    rehearsal.post(2026, 1, ("SUSPENSE", "6"), (TO, "-6"))
    anew = rehearsal.go(regenerate=True)
    assert anew.ties_out and anew.counts() == (8, 2, 0, 0) and anew.rows[GL].mode == "regenerate"
    assert list(anew.data) == ["GL_EDU1_202601_000003.dat"]
    assert read_fixed(anew.one).head["batch"] == "000003"
    assert "supplementary" not in anew.manifest("GL_EDU1_202601_000003.dat")
    assert rehearsal.go().counts() == (0, 2, 8, 0)


def test_regenerated_x12_says_that_it_replaces(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={"format": "x12", "gl_set": "830"})
    first = rehearsal.go()
    anew = rehearsal.go(regenerate=[GL])
    heads = [read_x12(outcome.one).head for outcome in (first, anew)]
    assert [(head["BFR01"], head["ISA13"], head["GS06"]) for head in heads] == [
        ("00", "000000001", "1"), ("05", "000000002", "2"),
    ]  # fmt: skip
    assert read_x12(anew.one).lines == read_x12(first.one).lines
    rehearsal.send_only(gl_postings={"format": "x12", "gl_set": "821"})
    assert read_x12(rehearsal.go(regenerate=True).one).head["B2A01"] == "05"


def test_regenerate_takes_what_changed(rehearsal: Rehearsal) -> None:
    number = rehearsal.post(2026, 1, (FROM, "5"), (TO, "-5"))
    rehearsal.go()
    for entry, value in ((1, "6"), (2, "-6")):
        rehearsal.books.tables["GenJournalDetail"].update((2026, 1, number, entry), {"EntryValue": value})
    rehearsal.books.tables["GenJournalCtl"].update((2026, 1, number), {"DebitAmount": "6", "CreditAmount": "6"})
    assert len(rehearsal.held()) == 0 and rehearsal.go().counts() == (0, 2, 4, 0)
    anew = rehearsal.go(regenerate=True)
    assert anew.ties_out and anew.counts() == (6, 0, 0, 0) and rehearsal.held() == {}
    assert rehearsal.go().counts() == (0, 0, 6, 0), "the newest file says what the receiver has"


def test_the_archive_has_every_file_and_its_manifest(rehearsal: Rehearsal) -> None:
    rehearsal.configure(partner={"checksum_suffix": ".sha256", "trigger_suffix": ".done"})
    outcome = rehearsal.go()
    (row,) = rehearsal.data_files()
    folder = rehearsal.archive / row.sha256[:16]
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: kept[name] for name in outcome.files} == outcome.files
    assert json.loads(kept[f"{FIRST}.manifest.json"])["period"] == "202601"
