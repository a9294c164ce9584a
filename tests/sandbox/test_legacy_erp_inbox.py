"""What lies beside the files, their names and numbers, and what arrives again."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from legacy_erp_files import GL_TOTALS, SAMPLES, manifest, new_inbox, put, put_sample, received, x12

from sandbox.legacy_erp import LegacyErpInbox

FIXED = SAMPLES["fixed width"]
NAME = FIXED.name


@pytest.fixture
def inbox(tmp_path: Path) -> LegacyErpInbox:
    return new_inbox(tmp_path)


def totals(**changes: Any) -> dict[str, Any]:
    return {**GL_TOTALS, **changes}


BY_COST_CENTRE = GL_TOTALS["by_cost_centre"]
MANIFESTS: dict[str, tuple[dict[str, Any], str]] = {
    "another file": ({"file": "X"}, "manifest's file is 'X'"),
    "bytes": ({"bytes": 524}, "bytes is 524 and the file's is 525"),
    "bytes as text": ({"bytes": "525"}, "bytes is '525'"),
    "digest": ({"sha256": "0" * 64}, "manifest's sha256 is '000"),
    "records": ({"records": 5}, "records is 5 and the file's is 3"),
    "records as a truth value": ({"records": True}, "records is True"),
    "period": ({"period": "202602"}, "period is 202602 and the file's name says 202601"),
    "period as a number": ({"period": 202601}, "is no text of year and period"),
    "no totals": ({"control_totals": {}}, "control_totals lack debit; the file gives 250.00"),
    "totals are no object": ({"control_totals": "250.00"}, "control_totals is no JSON object"),
    "debit": ({"control_totals": totals(debit="250.01")}, "debit is 250.01 and the file gives 250.00"),
    "credit as a number": ({"control_totals": totals(credit=250.0)}, "credit is 250.0, which is no decimal text"),
    "credit in words": ({"control_totals": totals(credit="1e2")}, "credit is '1e2', which is no decimal text"),
    "cost centre missing": (
        {"control_totals": totals(by_cost_centre={"20": BY_COST_CENTRE["20"]})},
        "lack by_cost_centre 30 credit; the file gives 209.50",
    ),
    "cost centre too many": (
        {"control_totals": totals(by_cost_centre={**BY_COST_CENTRE, "40": {"debit": "1", "credit": "0"}})},
        "have by_cost_centre 40 debit '1', which the file does not give",
    ),
    "cost centre differs": (
        {"control_totals": totals(by_cost_centre={**BY_COST_CENTRE, "30": {"debit": "0", "credit": "210"}})},
        "by_cost_centre 30 credit is 210 and the file gives 209.50",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("said", "problem"), MANIFESTS.values(), ids=MANIFESTS)
def test_wrong_manifests(inbox: LegacyErpInbox, said: dict[str, Any], problem: str) -> None:
    put(inbox, NAME, FIXED.content, 3, GL_TOTALS, **said)
    assert [one for one in received(inbox).problems if problem in one], inbox.problems


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "is no JSON"),
        (b"[]", "is no JSON object"),
        (b"\xff", "is no JSON"),
        (b"{}", "says nothing of file, bytes"),
    ],
    ids=["cut", "list", "bytes", "empty"],
)
def test_broken_manifests(inbox: LegacyErpInbox, content: bytes, problem: str) -> None:
    put_sample(inbox, FIXED)
    (inbox.inbound / f"{NAME}.manifest.json").write_bytes(content)
    assert problem in received(inbox).problems[0]


def test_a_missing_key_is_one_problem(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, FIXED)
    path = inbox.inbound / f"{NAME}.manifest.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "period"}))
    assert received(inbox).problems == ["The manifest says nothing of period."]


def test_nothing_is_compared_with_what_could_not_be_read(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, FIXED, FIXED.content[:-1])
    assert received(inbox).problems == ["The last record (byte 420) has 104 bytes instead of 105."]


def test_a_file_waits_for_its_manifest_and_misses_it(inbox: LegacyErpInbox) -> None:
    (inbox.inbound / NAME).write_bytes(FIXED.content)
    assert inbox.load() == []
    assert inbox.waiting == {NAME: ["manifest"]}
    assert inbox.problems == [f"{NAME}: there is no manifest."]
    said = manifest(NAME, FIXED.content, 3, GL_TOTALS)
    (inbox.inbound / f"{NAME}.manifest.json").write_bytes(said)
    assert received(inbox).records == 3
    assert (inbox.waiting, inbox.problems) == ({}, [])


def test_a_partner_without_manifests(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path, manifest="optional")
    (inbox.inbound / NAME).write_bytes(FIXED.content)
    assert (received(inbox).records, inbox.problems) == (3, [])


def test_a_manifest_that_comes_before_its_file(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, FIXED)
    data = inbox.inbound / NAME
    os.utime(data)
    first = (inbox.inbound / f"{NAME}.manifest.json").stat().st_ctime_ns
    # The clock of a file system ticks every few milliseconds: renamed until the data is really the later one.
    while data.stat().st_ctime_ns <= first:
        data = data.rename(data.with_suffix(".later")).rename(inbox.inbound / NAME)
    assert received(inbox).problems == ["The manifest came before the data and must come after it."]


def test_what_belongs_to_no_file(inbox: LegacyErpInbox) -> None:
    (inbox.inbound / "X.dat.manifest.json").write_bytes(b"{}")
    (inbox.inbound / "Y.dat.done").write_bytes(b"")
    assert inbox.load() == []
    assert inbox.problems == [
        "X.dat.manifest.json: there is no file of that name without the ending.",
        "Y.dat.done: there is no file of that name without the ending.",
    ]


@pytest.mark.parametrize(
    ("checksum", "problem"),
    [
        ("{digest}", None),
        ("{digest}\n", None),
        ("{digest}  {name}\n", None),
        ("{digest} *{name}\n", None),
        ("{digest}  other.dat\n", "names 'other.dat'"),
        ("{wrong}\n", "The checksum says 000"),
        ("{digest} {name} x y\n", "is no SHA-256"),
        ("", "is no SHA-256"),
    ],
)
def test_checksums(inbox: LegacyErpInbox, checksum: str, problem: str | None) -> None:
    digest = hashlib.sha256(FIXED.content).hexdigest()
    text = checksum.format(digest=digest, name=NAME, wrong="0" * 64)
    (inbox.inbound / NAME).write_bytes(FIXED.content)
    (inbox.inbound / f"{NAME}.sha256").write_text(text)
    (inbox.inbound / f"{NAME}.manifest.json").write_bytes(manifest(NAME, FIXED.content, 3, GL_TOTALS))
    problems = received(inbox).problems
    assert problems == [] if problem is None else problem in problems[0]


def test_required_checksum_and_trigger_under_other_names(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path, checksum="required", trigger="required", trigger_suffix=".ok", checksum_suffix=".sum")
    put_sample(inbox, FIXED)
    assert inbox.load() == []
    assert inbox.waiting == {NAME: ["checksum", "trigger"]}
    (inbox.inbound / f"{NAME}.sum").write_text(hashlib.sha256(FIXED.content).hexdigest())
    assert inbox.problems == [f"{NAME}: there is no trigger."]
    (inbox.inbound / f"{NAME}.ok").write_bytes(b"x")
    assert "The trigger must be empty." in received(inbox).problems


def test_names_in_capitals(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    name = NAME.upper()
    (inbox.inbound / name).write_bytes(FIXED.content)
    (inbox.inbound / f"{name}.MANIFEST.JSON").write_bytes(manifest(name, FIXED.content, 3, GL_TOTALS))
    assert (received(inbox).entity, inbox.problems) == ("gl_postings", [])


@pytest.mark.parametrize("name", [".GL_EDU1_202601_000001.dat.part", "GL_EDU1_202601_000001.dat.part", ".hidden"])
def test_unfinished_files_are_left_alone(inbox: LegacyErpInbox, name: str) -> None:
    (inbox.inbound / name).write_bytes(FIXED.content)
    assert (inbox.load(), inbox.problems) == ([], [])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("GL_EDU1_000001.dat", "does not follow the agreed pattern"),
        ("GL EDU1_202601_000001.dat", "characters other than"),
        (f"GL_{'E' * 50}_202601_000001.dat", "The name has 71 characters; 64 are agreed"),
        ("AB_EDU1_202601_000001.dat", "The prefix 'AB' is none of GL, INV"),
        ("INV_EDU1_202601_000001.dat", "No fixed-width records are agreed for invoices"),
    ],
)
def test_names(inbox: LegacyErpInbox, name: str, problem: str) -> None:
    put_sample(inbox, FIXED, name=name)
    assert [one for one in received(inbox).problems if problem in one], inbox.problems


@pytest.mark.parametrize(
    ("name", "sample", "problem"),
    [
        ("INV_EDU1_202601_000001.edi", "850", "The name says invoices and the file holds purchase_orders"),
        ("INV_EDU1_202601_000001.edi", "830", "The name says invoices and the file holds gl_postings"),
        ("GL_EDU1_202601_000001.csv", "invoices", "Columns are missing: cost_centre"),
    ],
)
def test_names_and_contents(inbox: LegacyErpInbox, name: str, sample: str, problem: str) -> None:
    put_sample(inbox, SAMPLES[sample], name=name)
    assert [one for one in received(inbox).problems if problem in one], inbox.problems


def numbered(inbox: LegacyErpInbox, *names: str) -> list[str]:
    """Puts a supplier list under each name, every one of other content; gives the problems."""
    for position, name in enumerate(names):
        put(inbox, name, f"supplier,name\r\nS{name}{position},x\r\n".encode(), 1)
    inbox.load()
    return inbox.problems


def test_sequence_numbers_without_gaps(inbox: LegacyErpInbox) -> None:
    assert numbered(inbox, "SUP_EDU1_202601_000003.csv", "SUP_EDU1_202601_000006.csv") == [
        "Sequence numbers of files are missing: 4, 5."
    ]
    inbox.numbers.voided.add(4)
    assert inbox.problems == ["Sequence numbers of files are missing: 5."]
    assert numbered(inbox, "SUP_EDU1_202601_000005.csv") == []
    inbox.settings.configure(first_number=1)
    assert inbox.problems == ["Sequence numbers of files are missing: 1, 2."]


def test_a_void_number_must_not_come(inbox: LegacyErpInbox) -> None:
    inbox.numbers.voided.add(1)
    assert numbered(inbox, "SUP_EDU1_202601_000001.csv") == [
        "SUP_EDU1_202601_000001.csv: The sequence number 1 was declared void."
    ]


@pytest.mark.parametrize("numbering", ["partner", "prefix"])
def test_a_number_used_twice(inbox: LegacyErpInbox, numbering: str) -> None:
    inbox.settings.configure(numbering=numbering)
    put(inbox, "ITEM_EDU1_202601_000001.csv", b"stock_code\r\nA\r\n", 1)
    twice = "SUP_EDU1_202601_000001.csv: The sequence number 1 was used before, by ITEM_EDU1_202601_000001.csv."
    assert numbered(inbox, "SUP_EDU1_202601_000001.csv") == ([twice] if numbering == "partner" else [])
    assert len(numbered(inbox, "SUP_EDU2_202601_000001.csv")) == (2 if numbering == "partner" else 1)


def test_a_name_used_twice_with_other_bytes(inbox: LegacyErpInbox) -> None:
    assert numbered(inbox, "SUP_EDU1_202601_000001.csv") == []
    put(inbox, "SUP_EDU1_202601_000001.csv", b"supplier,name\r\nOTHER,y\r\n", 1)
    inbox.load()
    assert inbox.problems == ["SUP_EDU1_202601_000001.csv: The name was used before, by other bytes."]


@pytest.mark.parametrize("again", [NAME, "GL_EDU1_202601_000001_R1.dat"])
def test_the_same_bytes_again(inbox: LegacyErpInbox, again: str) -> None:
    put_sample(inbox, FIXED)
    first = received(inbox)
    (inbox.inbound / NAME).unlink()
    put_sample(inbox, FIXED, name=again)
    file = received(inbox)
    assert (file.status, file.of, file.name, file.records) == ("resent", NAME, again, 3)
    assert (inbox.problems, len(inbox.postings), first.status) == ([], 3, "read")


def test_the_same_bytes_again_with_a_wrong_manifest(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, FIXED)
    inbox.load()
    put(inbox, "R1.dat", FIXED.content, 4, GL_TOTALS)
    assert received(inbox).problems == ["The manifest's records is 4 and the file's is 3."]


def test_a_broken_file_is_still_broken_when_it_comes_again(inbox: LegacyErpInbox) -> None:
    for name in (NAME, "R1.dat"):
        put_sample(inbox, FIXED, FIXED.content[:-1], name)
    assert [file.status for file in inbox.load()] == ["unreadable", "unreadable"]


def test_control_numbers_used_twice(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, SAMPLES["830"])
    inbox.load()
    other = x12("830").replace(b"OFFICE", b"OTHER!")
    put_sample(inbox, SAMPLES["830"], other, "GL_EDU1_202601_000002.edi")
    assert received(inbox).problems == [
        "The interchange control number 000000103 was used before, by GL_EDU1_202601_000001.edi.",
        "The group control number 103 was used before, by GL_EDU1_202601_000001.edi.",
    ]
    elsewhere = other.replace(b"*LEGACYERP      *", b"*LEGACYERP2     *")
    put_sample(inbox, SAMPLES["830"], elsewhere, "GL_EDU1_202601_000003.edi")
    assert received(inbox).problems == []


def test_many_problems_are_few_sentences(inbox: LegacyErpInbox) -> None:
    rows = "".join("1,2\r\n" for _ in range(1000))
    put(inbox, "SUP_EDU1_202601_000001.csv", f"supplier\r\n{rows}".encode())
    problems = received(inbox).problems
    assert (len(problems), problems[-1]) == (26, "And 975 more like these.")


def test_the_summary_is_json(inbox: LegacyErpInbox) -> None:
    for sample in (FIXED, SAMPLES["invoices"]):
        put_sample(inbox, sample, name=sample.name.replace("000001", "000002") if sample is not FIXED else None)
    inbox.load()
    summary = json.loads(json.dumps(inbox.summary()))
    assert summary["postings"] == {"lines": 3, "debit": "250.00", "credit": "250.00"}
    assert summary["documents"] == {"invoices": 3}
    assert [(file["name"], file["format"], file["records"]) for file in summary["files"]] == [
        (NAME, "fixed_width", 3),
        ("INV_EDU1_202601_000002.csv", "csv", 3),
    ]
    assert (summary["problems"], summary["unchecked"], summary["waiting"]) == ([], [], {})


def test_it_loads_by_itself(tmp_path: Path) -> None:
    loaded = threading.Event()

    class Watched(LegacyErpInbox):
        def load(self) -> list[Any]:
            found = super().load()
            if found:
                loaded.set()
            return found

    inbox = Watched(tmp_path, poll_seconds=0.01)
    inbox.inbound.mkdir()
    put_sample(inbox, FIXED)
    inbox.start()
    try:
        assert loaded.wait(20)
        assert inbox.problems == []
    finally:
        inbox.stop()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "Unknown setting colour"),
        ({"answer": "yes"}, "answer is 'yes'; it must be one of 'auto', 'A'"),
        ({"numbering": "file"}, "numbering is 'file'"),
        ({"manifest": False}, "manifest is False"),
        ({"name_pattern": "("}, "is no regular expression"),
        ({"name_pattern": ".*"}, "must have the groups 'prefix' and 'seq'"),
        ({"documents": {"invoices": {"keys": ["a"]}}}, "The rules of documents have no keys"),
    ],
)
def test_settings_that_make_no_sense(inbox: LegacyErpInbox, changes: dict[str, Any], message: str) -> None:
    before = inbox.settings.as_dict()
    with pytest.raises(ValueError, match=message):
        inbox.settings.configure(encoding="cp1252", **changes)
    assert inbox.settings.as_dict() == before


def test_other_columns_can_be_agreed(inbox: LegacyErpInbox) -> None:
    columns = ["account", "cost_centre", "year", "period", "journal", "entry", "debit", "credit"]
    inbox.settings.configure(gl_columns=columns)
    content = (",".join(columns) + "\r\n4000,20,2026,1,1,1,1.00,\r\n").encode()
    by_cost_centre = {"20": {"debit": "1.00", "credit": "0"}}
    said = {"debit": "1.00", "credit": "0.00", "by_cost_centre": by_cost_centre}
    put(inbox, "GL_EDU1_202601_000001.csv", content, 1, said)
    assert (received(inbox).records, inbox.problems) == (1, [])


def test_rules_of_documents_can_be_set(inbox: LegacyErpInbox) -> None:
    inbox.settings.configure(documents={"invoices": {"key": ["number"], "factors": ["pieces", "price"]}})
    content = b"number,currency,pieces,price\r\n1,USD,2,1.005\r\n1,USD,1,1\r\n"
    put(inbox, "INV_EDU1_202601_000001.csv", content, 1, {"amount": {"USD": "3.01"}})
    assert (received(inbox).records, inbox.problems) == (1, [])
