"""The partner's folder of acknowledgements, on a real SSH server, with answers that another program writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.legacy_erp.acknowledgements import Acknowledger
from sandbox.legacy_erp.x12.interchange import ElementFault, Group, Interchange, SegmentFault, TransactionSet
from tests.support.sshd import SshServer, ssh_server
from tieout.delivery import SftpSession, SftpTarget
from tieout.errors import ReceiverRefused
from tieout.integrations.syspro_to_legacy_erp.acknowledgements import AckReport, collect_acknowledgements
from tieout.ledger import FileRecord, FileRow, Filters, Ledger, RunKey, Scope, Tally

KEY = RunKey("syspro_to_legacy_erp", "default", "invoices", "r1")
PARTNER = Scope("syspro_to_legacy_erp", "*", "legacy_erp_sftp")
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
PATTERNS = ("*.edi", "*.997")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def connected(server: SshServer) -> SftpSession:
    return SftpSession(
        SftpTarget(
            host=server.host,
            port=server.port,
            username=server.user,
            private_key=server.client_key_pem,
            host_keys=(server.host_key,),
        )
    )


@pytest.fixture
def session(sshd: SshServer) -> Iterator[SftpSession]:
    with connected(sshd) as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as opened:
        opened.begin_run(KEY, mode="scheduled", dry_run=False, interval_start=None, interval_end=None, window={})
        opened.record_extracted(KEY, Tally())
        nothing = Tally()
        opened.record_prepared(
            KEY, to_send=nothing, held=nothing, duplicate=nothing, excluded=nothing, mapping_version="1"
        )
        yield opened


@pytest.fixture
def acks(sshd: SshServer, tmp_path: Path) -> Path:
    """A folder of this test's own; its path is the remote path."""
    folder = sshd.root / tmp_path.parent.name / tmp_path.name
    folder.mkdir(parents=True)
    return folder


def prepared(ledger: Ledger, group: int = 101, *, name: str = "INV_000101.edi", due: datetime = NOON) -> FileRow:
    """A file of two invoices, each a set of its own."""
    file = ledger.prepare_file(
        KEY,
        file_name=name,
        remote_path=f"/inbound/{name}",
        local_uri="x",
        bytes=20,
        sha256=name,
        records=2,
        control_totals={},
        records_iter=[FileRecord("K1", "f", "INV-2", 10, 20), FileRecord("K2", "f", "INV-1", 0, 10)],
    )
    ledger.expect_acknowledgement(
        file.id, PARTNER, interchange=9000 + group, group=group, functional_id="IN", due_at=due
    )
    return file


def delivered(ledger: Ledger, group: int = 101, **fields: Any) -> FileRow:
    file = prepared(ledger, group, **fields)
    ledger.file_states([file.id], "sending")
    ledger.settle_delivered(file.id, verification="size", how="test")
    return file


def collect(session: SftpSession, ledger: Ledger, acks: Path, **fields: Any) -> AckReport:
    options: dict[str, Any] = {
        "folder": str(acks),
        "patterns": PATTERNS,
        "archive": f"{acks}/archive/{{year}}/{{month}}",
        "ledger": ledger,
        "partner": PARTNER,
        "now": NOON - timedelta(hours=1),
    }
    return collect_acknowledgements(session, **options | fields)


def ours(
    group: int = 101, *, version: str = "00401", faults: bool = False, ta1_asked: bool = False, code: str = "000"
) -> Interchange:
    """What the partner received."""
    sets = [TransactionSet("810", f"{number:04d}", second=["BIG", "20260131"]) for number in (1, 2)]
    if faults:
        wrong = ElementFault(1, "8", "20261305", "date")
        sets[1].faults.append(SegmentFault("BIG", 2, "8", (wrong,)))
        sets[1].fault("5")
    found = Interchange(
        element="*",
        component=">",
        terminator="~",
        repetition="" if version == "00401" else "^",
        sender=("ZZ", "SYSPROEDU1"),
        receiver=("ZZ", "LEGACYERP"),
        date="260131",
        time="0605",
        version=version,
        control=f"{9000 + group:09d}",
        ta1_asked=ta1_asked,
        test_indicator="T",
        code=code,
    )
    release = "004010" if version == "00401" else "005010"
    found.groups.append(Group("IN", "SYSPROEDU1", "LEGACYERP", str(group), release, sets))
    return found


def answer(acks: Path, interchange: Interchange, how: str = "auto", *, first_number: int = 1) -> Path:
    """Let the partner write its answer."""
    (written,) = Acknowledger(acks, lambda: NOON, lambda: "ascii", first_number).answer("INV.edi", interchange, how)
    return acks / written.name


def state_of(ledger: Ledger, file: FileRow) -> str | None:
    row = ledger.get_file(file.id)
    assert row is not None
    return row.acknowledgement


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize("version", ["00401", "00501"])
def test_an_accepted_file(session: SftpSession, ledger: Ledger, acks: Path, version: str) -> None:
    file = delivered(ledger)
    name = answer(acks, ours(version=version)).name
    report = collect(session, ledger, acks)
    assert report == AckReport(files=1, answers={"accepted": 1}, archived=1)
    assert state_of(ledger, file) == "accepted"
    assert left_in(acks) == [] and left_in(acks / "archive" / "2026" / "02") == [name]
    row = ledger.get_acknowledgement(file.id)
    assert row is not None and (row.ack_file, row.answered_at) == (f"{acks}/{name}", NOON - timedelta(hours=1))
    assert row.detail["sets"] == [] and row.detail["received"] == 2


def test_one_rejected_invoice(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = delivered(ledger)
    path = answer(acks, ours(faults=True))
    report = collect(session, ledger, acks)
    assert state_of(ledger, file) == "partially_accepted" and report.answers == {"partially_accepted": 1}
    assert report.rejected == [
        "legacy_erp_sftp took only a part of INV_000101.edi (invoices, group 101, 1 of 2 sets accepted; "
        f"997 in {path}): INV-2 (set 810 0002) was rejected: BIG (segment 2 of the set): the segment has wrong "
        "elements (code 8); "
        "BIG01 (segment 2 of the set): the date is invalid (code 8): '20261305'; one or more segments are in error "
        "(code 5). What was rejected is not in its books, although the file was delivered. Correct what is named, in "
        "SYSPRO, in the mapping or in the partner's X12 profile, then send it anew with new control numbers "
        "(`regenerate`); the same bytes (`resend`) would be rejected again."
    ]
    row = ledger.get_acknowledgement(file.id)
    assert row is not None and [one["control"] for one in row.detail["sets"]] == ["0002"]


@pytest.mark.parametrize("version", ["00401", "00501"])
@pytest.mark.parametrize(
    ("how", "state"), [("R", "rejected"), ("E", "accepted_with_errors"), ("P", "partially_accepted")]
)
def test_what_the_partner_may_answer(
    session: SftpSession, ledger: Ledger, acks: Path, version: str, how: str, state: str
) -> None:
    file = delivered(ledger)
    answer(acks, ours(version=version), how)
    report = collect(session, ledger, acks)
    assert state_of(ledger, file) == state and report.answers == {state: 1}
    assert len(report.rejected) == (0 if how == "E" else 1)
    if how == "E":
        (warning,) = report.warnings
        assert warning.startswith("legacy_erp_sftp accepted INV_000101.edi and noted errors: INV-1 (set 810 0001)")
    if how == "R":
        assert "Nothing of it is in its books" in report.rejected[0]
    row = ledger.get_file(file.id)
    assert row is not None and row.state == "delivered"


def test_a_rejected_envelope(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = delivered(ledger)
    answer(acks, ours(code="025"))
    (sentence,) = collect(session, ledger, acks).rejected
    assert "rejected INV_000101.edi (invoices, interchange 000009101; TA1 in" in sentence
    assert "the control number (ISA13) was received before (code 025)" in sentence
    assert state_of(ledger, file) == "rejected"


def test_an_accepted_envelope_alone_is_no_answer(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = delivered(ledger)
    envelope = ours(ta1_asked=True)
    envelope.groups.clear()
    answer(acks, envelope)
    assert collect(session, ledger, acks) == AckReport(files=1, archived=1)
    assert state_of(ledger, file) == "sent"


def test_envelope_and_group_in_one_file(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = delivered(ledger)
    answer(acks, ours(ta1_asked=True))
    assert collect(session, ledger, acks) == AckReport(files=1, answers={"accepted": 1}, archived=1)
    assert state_of(ledger, file) == "accepted"


def test_reading_again_changes_nothing(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    delivered(ledger)
    path = answer(acks, ours(), "R")
    data = path.read_bytes()
    assert collect(session, ledger, acks).files == 1
    before = ledger.events_of_run(KEY)
    path.write_bytes(data)  # the partner sends the same answer once more, or the move was undone
    report = collect(session, ledger, acks)
    assert report == AckReport(archived=1) and ledger.events_of_run(KEY) == before
    archived = left_in(acks / "archive" / "2026" / "02")
    assert len(archived) == 2 and all(name.startswith("997_000000001.") for name in archived)


def test_an_attempt_that_is_interrupted(
    session: SftpSession, ledger: Ledger, acks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = delivered(ledger)
    answer(acks, ours())

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(session, "move", dies)
        collect(session, ledger, acks)
    assert state_of(ledger, file) == "accepted"
    assert collect(session, ledger, acks) == AckReport(files=1, answers={"accepted": 1}, archived=1)
    assert [event.what for event in ledger.events_of_run(KEY)].count("acknowledgement accepted") == 1


@pytest.mark.parametrize("times", ["told", "unknown"])
def test_where_nothing_may_be_moved(ledger: Ledger, tmp_path: Path, times: str) -> None:
    with ssh_server(tmp_path / "readonly", sftp_options="-R") as server, connected(server) as session:
        file = delivered(ledger)
        path = answer(server.root, ours())
        if times == "unknown":
            os.utime(path, (0, 0))
        assert collect(session, ledger, server.root) == AckReport(files=1, answers={"accepted": 1}, left=1)
        report = collect(session, ledger, server.root)
        assert report == (AckReport() if times == "told" else AckReport(left=1))
        # Another answer under the same name is read.
        path.write_bytes(answer(tmp_path / "other", ours(faults=True)).read_bytes())
        os.utime(path, (0, 1_800_000_000))
        assert collect(session, ledger, server.root).answers == {"partially_accepted": 1}
        assert state_of(ledger, file) == "partially_accepted"


def test_without_an_archive_they_are_left(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    delivered(ledger)
    name = answer(acks, ours()).name
    assert collect(session, ledger, acks, archive=None).left == 1
    assert collect(session, ledger, acks, archive=None) == AckReport()
    assert left_in(acks) == [name]


def test_an_answer_that_comes_before_we_know_of_the_delivery(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = prepared(ledger)
    ledger.file_states([file.id], "sending")
    answer(acks, ours())
    report = collect(session, ledger, acks)
    assert (report.waiting, report.warnings, report.files, len(left_in(acks))) == (1, [], 0, 1)
    ledger.settle_delivered(file.id, verification="size", how="test")
    assert collect(session, ledger, acks).answers == {"accepted": 1}
    assert state_of(ledger, file) == "accepted"


def test_an_answer_to_nothing_that_we_know(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = delivered(ledger)
    path = answer(acks, ours(group=102))
    report = collect(session, ledger, acks)
    assert report.warnings == [
        f"{path} says of group 102 (IN) that it is accepted, and no delivered file has that number: ask the partner "
        "whose file it means."
    ]
    assert state_of(ledger, file) == "sent" and report.archived == 1
    assert collect(session, ledger, acks) == AckReport()


def test_files_that_are_no_acknowledgements(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = delivered(ledger)
    whole = answer(acks, ours()).read_bytes()
    (acks / "997_000000001.edi").unlink()
    (acks / "cut.edi").write_bytes(whole[:-20])
    (acks / "letter.997").write_text("Dear customer,")
    (acks / "notes.txt").write_text("no acknowledgement by its name")
    report = collect(session, ledger, acks)
    assert sorted(warning.partition(". It stays")[0] for warning in report.warnings) == [
        f"{acks}/cut.edi cannot be read as an acknowledgement. It is not complete: it ends after segment 10, before "
        "IEA",
        f"{acks}/letter.997 cannot be read as an acknowledgement. It is no X12 file: it begins with 'Dear customer,' "
        "instead of ISA",
    ]
    assert state_of(ledger, file) == "sent" and len(left_in(acks)) == 3
    (acks / "cut.edi").write_bytes(whole)  # it was still being written
    assert collect(session, ledger, acks).answers == {"accepted": 1}


def test_what_is_overdue(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    file = delivered(ledger)
    delivered(ledger, 102, name="INV_000102.edi")
    answer(acks, ours(group=102))
    assert collect(session, ledger, acks).overdue == []
    report = collect(session, ledger, acks, now=NOON)
    assert report.overdue == report.newly_overdue and len(report.overdue) == 1
    assert report.overdue[0].startswith("INV_000101.edi (invoices, group 101) was delivered on ")
    assert "should have acknowledged it by 2026-02-01 12:00 UTC" in report.overdue[0]
    assert "resend" in report.overdue[0] and state_of(ledger, file) == "overdue"
    again = collect(session, ledger, acks, now=NOON)
    assert (again.overdue, again.newly_overdue) == (report.overdue, [])
    answer(acks, ours(), first_number=2)
    assert collect(session, ledger, acks, now=NOON).overdue == [] and state_of(ledger, file) == "accepted"


def test_an_answer_that_is_there_is_never_overdue(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    delivered(ledger)
    answer(acks, ours())
    report = collect(session, ledger, acks, now=NOON + timedelta(days=9))
    assert report.answers == {"accepted": 1} and report.overdue == []


def test_no_such_folder(session: SftpSession, ledger: Ledger, acks: Path) -> None:
    delivered(ledger)
    with pytest.raises(ReceiverRefused, match="There is no folder"):
        collect(session, ledger, acks / "missing", now=NOON)
    assert [file.acknowledgement for file in ledger.files(Filters())] == ["sent"]
