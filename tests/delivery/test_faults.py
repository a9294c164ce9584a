"""Receivers that misbehave."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from tests.delivery.helpers import Trail, names, noise, outgoing, sha256
from tests.support.asyncssh_server import AsyncSshServer
from tieout.delivery import DeliveryOptions, Receipt, SftpSession, SftpTarget
from tieout.errors import ReceiverRefused, ReceiverUnavailable

DEFAULT = DeliveryOptions()


def deliver(target: SftpTarget, tmp_path: Path, data: bytes = b"data", **fields: object) -> Receipt:
    file = outgoing(tmp_path / "a", "/in/a.csv", data, **fields)
    with SftpSession(target) as session:
        return session.deliver([file], DEFAULT, Trail())[0]


def test_check_file_is_the_first_rung(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.check_file = True
    assert deliver(partner_target, tmp_path).verification == "server_hash"
    assert not [line for line in partner.log if line.startswith("read")]


def test_a_server_hash_that_does_not_agree(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.check_file = partner.faults.wrong_check_file = True
    with pytest.raises(ReceiverUnavailable, match="other bytes"):
        deliver(partner_target, tmp_path)
    assert names(partner.root / "in") == []


def test_no_check_file_falls_to_read_back(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    assert deliver(partner_target, tmp_path).verification == "read_back"


def test_check_file_offered_but_failing_falls_to_read_back(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    with SftpSession(partner_target) as session:
        believed = dataclasses.replace(session.probe(), check_file=True)
    with SftpSession(partner_target, capabilities=believed) as session:
        [receipt] = session.deliver([outgoing(tmp_path / "a", "/in/a", b"x")], DEFAULT, Trail())
    assert receipt.verification == "read_back"


def test_stored_bytes_that_differ_get_no_final_name(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    partner.faults.flip_written_bytes = True
    with pytest.raises(ReceiverUnavailable, match="other bytes"):
        deliver(partner_target, tmp_path)
    assert names(partner.root / "in") == []


def test_a_server_without_any_extension(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.without_extensions = (b"*",)
    data = noise(200_000)
    receipt = deliver(partner_target, tmp_path, data)
    assert (receipt.outcome, receipt.verification) == ("delivered", "read_back")
    assert (partner.root / "in" / "a.csv").read_bytes() == data


def test_no_posix_rename_means_no_replacing(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    partner.faults.without_extensions = (b"posix-rename@openssh.com",)
    (partner.root / "in" / "a.csv").write_bytes(b"v1")
    with pytest.raises(ReceiverRefused, match="in one step"):
        deliver(partner_target, tmp_path, b"v2", may_replace=frozenset({sha256(b"v1")}))
    assert (partner.root / "in" / "a.csv").read_bytes() == b"v1"


def test_no_plain_rename(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.refuse_plain_rename = True
    assert deliver(partner_target, tmp_path).outcome == "delivered"
    assert partner.log[-1].startswith("posix-rename")


def test_a_rename_that_overwrites_is_not_trusted(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    partner.faults.overwriting_rename = True

    class Intruder(Trail):
        def verified(self, verification: object) -> None:
            (partner.root / "in" / "a.csv").write_bytes(b"theirs")

    with SftpSession(partner_target) as session, pytest.raises(ReceiverRefused, match="other bytes"):
        session.deliver([outgoing(tmp_path / "a", "/in/a.csv", b"ours")], DEFAULT, Intruder())
    assert (partner.root / "in" / "a.csv").read_bytes() == b"theirs"


def test_a_receiver_that_sweeps_at_once(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.sweep = True
    assert deliver(partner_target, tmp_path).outcome == "delivered"
    assert partner.received == {"/in/a.csv": b"data"}
    assert names(partner.root / "in") == []


@pytest.mark.parametrize("sweep", [False, True])
@pytest.mark.parametrize("replacing", [False, True])
def test_a_lost_rename_reply(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path, sweep: bool, replacing: bool
) -> None:
    partner.faults.lost_rename_replies = 1
    partner.faults.sweep = sweep
    may_replace: frozenset[str] = frozenset()
    if replacing:
        (partner.root / "in" / "a.csv").write_bytes(b"v1")
        may_replace = frozenset({sha256(b"v1")})
    receipt = deliver(partner_target, tmp_path, b"v2", may_replace=may_replace)
    assert receipt.outcome == ("replaced" if replacing else "delivered")
    got = partner.received["/in/a.csv"] if sweep else (partner.root / "in" / "a.csv").read_bytes()
    assert got == b"v2"
    assert len([line for line in partner.log if "rename" in line]) == 1


def test_a_connection_lost_before_the_rename(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    partner.faults.lost_before_rename = 1
    files = [outgoing(tmp_path / f"f{i}", f"/in/f{i}", noise(100, i), file_id=i) for i in range(20)]
    with SftpSession(partner_target) as session:
        receipts = session.deliver(files, DEFAULT, Trail())
    assert {receipt.outcome for receipt in receipts} == {"delivered"}
    assert names(partner.root / "in") == sorted(f"f{i}" for i in range(20))


def test_a_connection_lost_twice_keeps_the_verified_file(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    """The journal says that it is complete, so a missing temporary file would mean "delivered"."""
    partner.faults.lost_before_rename = 2
    with pytest.raises(ReceiverUnavailable, match="lost"):
        deliver(partner_target, tmp_path)
    file = outgoing(tmp_path / "a", "/in/a.csv")
    assert names(partner.root / "in") == [Path(file.temp_path).name]
    with SftpSession(partner_target) as session:
        answer = session.look_up(
            "/in/a.csv", temp_path=file.temp_path, size=file.size, sha256=file.sha256, was_verified=True
        )
    assert answer == "not_sent"


@pytest.mark.parametrize("size", [300_000, 12_000_000])
def test_a_full_disk(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path, size: int) -> None:
    partner.faults.disk_full_after = size * 2 // 3
    with pytest.raises(ReceiverUnavailable, match="disk is probably full, or the quota"):
        deliver(partner_target, tmp_path, noise(size))
    assert names(partner.root / "in") == []


def test_a_folder_that_may_not_be_written(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.refuse_writes_in = "/in"
    with pytest.raises(ReceiverRefused) as caught:
        deliver(partner_target, tmp_path)
    assert "'partner' needs write permission in the folder /in" in str(caught.value)


def test_one_bad_file_stops_the_batch_and_leaves_nothing(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    partner.faults.refuse_writes_in = "/in/.f7"
    files = [outgoing(tmp_path / f"f{i}", f"/in/f{i}", noise(100, i), file_id=i) for i in range(20)]
    trail = Trail()
    with SftpSession(partner_target) as session, pytest.raises(ReceiverRefused):
        session.deliver(files, DEFAULT, trail)
    assert names(partner.root / "in") == []
    assert [event for event, _ in trail.events] == ["sending"]


def test_a_folder_that_may_not_be_read(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.refuse_reads = True
    with pytest.raises(ReceiverRefused, match="read back"):
        deliver(partner_target, tmp_path)
    file = outgoing(tmp_path / "a", "/in/a.csv", b"data")
    with SftpSession(partner_target) as session:
        [receipt] = session.deliver([file], DeliveryOptions(verification="size"), Trail())
    assert receipt.verification == "size"


@pytest.mark.parametrize(("temporary", "answer"), [(False, "done"), (True, None)])
def test_looking_up_where_nothing_may_be_read(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path, temporary: bool, answer: str | None
) -> None:
    partner.faults.refuse_reads = True
    file = outgoing(tmp_path / "a", "/in/a.csv", b"data")
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    if temporary:
        (partner.root / file.temp_path.lstrip("/")).write_bytes(b"data")
    with SftpSession(partner_target) as session:
        ask = {"temp_path": file.temp_path, "size": file.size, "sha256": file.sha256, "was_verified": True}
        if answer:
            assert session.look_up("/in/a.csv", **ask) == answer  # type: ignore[arg-type]
        else:
            with pytest.raises(ReceiverRefused, match="read back"):
                session.look_up("/in/a.csv", **ask)  # type: ignore[arg-type]


def test_a_mode_that_may_not_be_set_is_logged(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    partner.faults.refuse_chmod = True
    with caplog.at_level(logging.WARNING):
        assert deliver(partner_target, tmp_path).outcome == "delivered"
    assert "does not let us set mode 664" in caplog.text
