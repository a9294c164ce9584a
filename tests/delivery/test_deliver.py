"""Delivery to a real OpenSSH server."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
import os
import stat
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import pytest

from tests.delivery.helpers import StallingFile, Trail, names, noise, outgoing, sha256
from tests.support.sshd import ssh_server
from tieout.delivery import Capabilities, DeliveryOptions, OutgoingFile, SftpSession, SftpTarget
from tieout.errors import ConfigurationInvalid, DoesNotTieOut, ReceiverRefused, Superseded

DEFAULT = DeliveryOptions()


@pytest.mark.parametrize("size", [0, 1, 20_000, 261_120, 261_121, 3_000_000])
@pytest.mark.parametrize("verification", ["auto", "size", "read_back"])
def test_bytes_and_receipt(target: SftpTarget, inbox: Path, tmp_path: Path, size: int, verification: str) -> None:
    data = noise(size)
    file = outgoing(tmp_path / "a", inbox / "a.csv", data, file_id=7)
    trail = Trail()
    before = datetime.now(UTC)
    with SftpSession(target) as session:
        [receipt] = session.deliver([file], DeliveryOptions(verification=verification), trail)  # type: ignore[arg-type]
    rung = "size" if verification == "size" else "read_back"
    assert (inbox / "a.csv").read_bytes() == data
    assert names(inbox) == ["a.csv"]
    assert (receipt.file_id, receipt.bytes, receipt.sha256) == (7, size, sha256(data))
    assert (receipt.verification, receipt.outcome) == (rung, "delivered")
    assert before <= receipt.delivered_at <= datetime.now(UTC)
    assert trail.events == [("sending", {7: file.temp_path}), ("verified", {7: rung})]


def test_two_hundred_small_files(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    contents = {f"f{i:03}.csv": noise(20_000, i) for i in range(200)}
    files = [
        outgoing(tmp_path / name, inbox / "new" / name, data, file_id=i)
        for i, (name, data) in enumerate(contents.items())
    ]
    with SftpSession(target) as session:
        receipts = session.deliver(files, DEFAULT, Trail())
    assert [receipt.file_id for receipt in receipts] == list(range(200))
    assert {name: (inbox / "new" / name).read_bytes() for name in names(inbox / "new")} == contents


def test_server_hash_by_command_where_allowed(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    files = [outgoing(tmp_path / f"f{i}", inbox / f"it's \\ odd {i}.csv", noise(500, i), file_id=i) for i in range(3)]
    allowed = dataclasses.replace(target, exec_allowed=True)
    with SftpSession(allowed) as session:
        assert session.probe().exec_sha256 is True
        receipts = session.deliver(files, DEFAULT, Trail())
    assert {receipt.verification for receipt in receipts} == {"server_hash"}


def test_a_server_without_commands_is_read_back(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "sshd", sftp_only=True) as server:
        target = SftpTarget(
            host=server.host,
            port=server.port,
            username=server.user,
            private_key=server.client_key_pem,
            host_keys=(server.host_key,),
            exec_allowed=True,
        )
        with SftpSession(target) as session:
            assert session.probe().exec_sha256 is False
            [receipt] = session.deliver([outgoing(tmp_path / "a", server.root / "a", b"x")], DEFAULT, Trail())
    assert receipt.verification == "read_back"


def test_server_hash_asked_for_but_not_to_be_had(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    file = outgoing(tmp_path / "a", inbox / "a", b"x")
    with SftpSession(target) as session, pytest.raises(ReceiverRefused, match="check-file"):
        session.deliver([file], DeliveryOptions(verification="server_hash"), Trail())
    assert names(inbox) == []


@pytest.mark.parametrize("mode", [0o664, 0o600, 0o640])
def test_mode_whatever_the_servers_umask(tmp_path: Path, mode: int) -> None:
    with ssh_server(tmp_path / "sshd", sftp_options="-u 0077") as server:
        target = SftpTarget(
            host=server.host,
            port=server.port,
            username=server.user,
            private_key=server.client_key_pem,
            host_keys=(server.host_key,),
        )
        final = server.root / "sub" / "a.xml"
        with SftpSession(target) as session:
            session.deliver([outgoing(tmp_path / "a", final, b"x", mode=mode)], DEFAULT, Trail())
        assert stat.S_IMODE(final.stat().st_mode) == mode
        assert stat.S_IMODE(final.parent.stat().st_mode) == 0o755


class Zeros(io.RawIOBase):
    """So many zero bytes that are nowhere in memory."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


@pytest.mark.parametrize("verification", ["size", "read_back"])
def test_memory_does_not_grow_with_the_file(target: SftpTarget, inbox: Path, verification: str) -> None:
    size = 96_000_000

    class Large:
        def open(self, mode: str, /) -> IO[Any]:
            return cast(IO[Any], Zeros(size))

    digest = hashlib.sha256()
    for _ in range(96):
        digest.update(bytes(1_000_000))
    file = OutgoingFile(1, Large(), str(inbox / "large"), size, digest.hexdigest())
    with SftpSession(target) as session:
        tracemalloc.start()
        try:
            session.deliver([file], DeliveryOptions(verification=verification), Trail())  # type: ignore[arg-type]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (inbox / "large").stat().st_size == size
    (inbox / "large").unlink()
    assert peak < 48_000_000


def test_folders_are_made(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    files = [
        outgoing(tmp_path / f"f{i}", inbox / "2026" / f"AP{i}" / "deep" / "a.xml", noise(10, i), file_id=i)
        for i in range(5)
    ]
    with SftpSession(target) as session:
        session.deliver(files, DEFAULT, Trail())
    assert all(Path(file.remote_path).exists() for file in files)


def test_folders_are_not_made_when_not_allowed(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    file = outgoing(tmp_path / "a", inbox / "new" / "a", b"x")
    with SftpSession(target) as session, pytest.raises(ReceiverRefused, match=f"{inbox}/new does not exist"):
        session.deliver([file], DeliveryOptions(create_directories=False), Trail())
    assert names(inbox) == []


def test_same_bytes_again(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    file = outgoing(tmp_path / "a", inbox / "a.csv", noise(50_000))
    trail = Trail()
    with SftpSession(target) as session:
        session.deliver([file], DEFAULT, Trail())
        inode = (inbox / "a.csv").stat().st_ino
        [receipt] = session.deliver([file], DEFAULT, trail)
    assert (receipt.outcome, receipt.verification) == ("already_there", "read_back")
    assert trail.events == []
    assert (inbox / "a.csv").stat().st_ino == inode


@pytest.mark.parametrize("there", [b"other", b"same length!", b""])
def test_other_bytes_are_never_overwritten(target: SftpTarget, inbox: Path, tmp_path: Path, there: bytes) -> None:
    (inbox / "b.csv").write_bytes(there)
    files = [
        outgoing(tmp_path / "a", inbox / "a.csv", b"a", file_id=1),
        outgoing(tmp_path / "b", inbox / "b.csv", b"SAME LENGTH!", file_id=2, may_replace=frozenset({"0" * 64})),
    ]
    trail = Trail()
    with SftpSession(target) as session, pytest.raises(ReceiverRefused, match=r"b\.csv with other bytes.*nothing was"):
        session.deliver(files, DEFAULT, trail)
    assert (inbox / "b.csv").read_bytes() == there
    assert names(inbox) == ["b.csv"]
    assert trail.events == []


def test_our_earlier_bytes_are_replaced(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    (inbox / "a.csv").write_bytes(b"our earlier version")
    file = outgoing(tmp_path / "a", inbox / "a.csv", b"v2", may_replace=frozenset({sha256(b"our earlier version")}))
    with SftpSession(target) as session:
        [receipt] = session.deliver([file], DEFAULT, Trail())
    assert receipt.outcome == "replaced"
    assert (inbox / "a.csv").read_bytes() == b"v2"
    assert names(inbox) == ["a.csv"]


def test_a_folder_or_link_in_the_way(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    (inbox / "folder.csv").mkdir()
    (inbox / "elsewhere").write_bytes(b"x")
    (inbox / "link.csv").symlink_to(inbox / "elsewhere")
    with SftpSession(target) as session:
        for name in ("folder.csv", "link.csv"):
            with pytest.raises(ReceiverRefused, match="no ordinary file"):
                session.deliver([outgoing(tmp_path / "a", inbox / name, b"x")], DEFAULT, Trail())


def test_a_link_under_the_temporary_name_is_not_followed(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    victim = inbox / "victim"
    victim.write_bytes(b"precious")
    file = outgoing(tmp_path / "a", inbox / "a.csv", b"x")
    os.symlink(victim, file.temp_path)
    with SftpSession(target) as session, pytest.raises(ReceiverRefused, match="no ordinary file"):
        session.deliver([file], DEFAULT, Trail())
    assert victim.read_bytes() == b"precious"


def test_a_name_taken_after_the_first_look(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    """Somebody else's file appears between upload and rename."""

    class Intruder(Trail):
        def verified(self, verification: Mapping[int, str]) -> None:
            (inbox / "a.csv").write_bytes(b"theirs")

    with SftpSession(target) as session, pytest.raises(ReceiverRefused, match="other bytes"):
        session.deliver([outgoing(tmp_path / "a", inbox / "a.csv", b"ours")], DEFAULT, Intruder())
    assert (inbox / "a.csv").read_bytes() == b"theirs"


def test_nothing_is_renamed_before_all_are_verified(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    class Watcher(Trail):
        def sending(self, temp_paths: Mapping[int, str]) -> None:
            seen.append(names(inbox))

        def verified(self, verification: Mapping[int, str]) -> None:
            seen.append(names(inbox))

    files = [outgoing(tmp_path / f"f{i}", inbox / f"f{i}", noise(100, i), file_id=i) for i in range(3)]
    with SftpSession(target) as session:
        session.deliver(files, DEFAULT, Watcher())
    assert seen == [[], sorted(Path(file.temp_path).name for file in files)]


def test_a_superseded_attempt_renames_nothing(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    class Fenced(Trail):
        def verified(self, verification: Mapping[int, str]) -> None:
            raise Superseded("a newer attempt holds the token")

    file = outgoing(tmp_path / "a", inbox / "a.csv", b"x")
    with SftpSession(target) as session, pytest.raises(Superseded, match="token"):
        session.deliver([file], DEFAULT, Fenced())
    assert names(inbox) == [Path(file.temp_path).name]  # it may be the newer attempt's by now


def test_a_staged_file_that_changed(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    good = outgoing(tmp_path / "good", inbox / "good", b"x", file_id=1)
    for content in (b"changed!", b"short", b"grown beyond it"):
        file = outgoing(tmp_path / "a", inbox / "a.csv", b"original", file_id=2)
        (tmp_path / "a").write_bytes(content)
        with SftpSession(target) as session, pytest.raises(DoesNotTieOut, match="staged file"):
            session.deliver([good, file], DEFAULT, Trail())
        assert names(inbox) == []


def test_a_staged_file_that_cannot_be_read_to_the_end(target: SftpTarget, inbox: Path) -> None:
    data = noise(600_000)
    file = OutgoingFile(1, StallingFile(data, 300_000, OSError("disk gone")), str(inbox / "a"), len(data), sha256(data))
    with SftpSession(target) as session, pytest.raises(Exception, match="disk gone"):
        session.deliver([file], DEFAULT, Trail())
    assert names(inbox) == []


@pytest.mark.parametrize("path", ["a.csv", "/in/../a.csv", "/", "/in//a", "/in/", "/in/a\0"])
def test_paths_that_are_not_plain(target: SftpTarget, tmp_path: Path, path: str) -> None:
    with SftpSession(target) as session, pytest.raises(ConfigurationInvalid):
        session.deliver([outgoing(tmp_path / "a", path, b"x")], DEFAULT, Trail())


def test_the_same_final_name_twice(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    files = [outgoing(tmp_path / f"f{i}", inbox / "a", noise(10, i), file_id=i) for i in range(2)]
    with SftpSession(target) as session, pytest.raises(ConfigurationInvalid, match="same final name"):
        session.deliver(files, DEFAULT, Trail())


def test_a_read_only_server(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "sshd", sftp_options="-R") as server:
        target = SftpTarget(
            host=server.host,
            port=server.port,
            username=server.user,
            private_key=server.client_key_pem,
            host_keys=(server.host_key,),
        )
        with SftpSession(target) as session:
            with pytest.raises(ReceiverRefused) as caught:
                session.deliver([outgoing(tmp_path / "a", server.root / "a", b"x")], DEFAULT, Trail())
            check = session.check_folder(str(server.root))
    assert str(server.root) in str(caught.value)
    assert repr(server.user) in str(caught.value)
    assert (check.exists, check.writable) == (True, False)
    assert "cannot be written" in check.problem


def test_check_folder(target: SftpTarget, inbox: Path) -> None:
    with SftpSession(target) as session:
        good = session.check_folder(str(inbox))
        missing = session.check_folder(str(inbox / "nope"))
    assert (good.exists, good.writable, good.problem) == (True, True, "")
    assert good.clock_skew_seconds is not None
    assert abs(good.clock_skew_seconds) < 5
    assert names(inbox) == []
    assert (missing.exists, missing.writable) == (False, False)
    assert "does not exist" in missing.problem


def test_capabilities_can_be_given_back_in(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    with SftpSession(target) as session:
        able = session.probe()
    assert able.posix_rename
    assert able.fsync
    assert able.max_write > 200_000
    assert not able.check_file
    again = Capabilities.from_json(able.to_json() | {"unknown": 1})
    assert again == able
    with SftpSession(target, capabilities=again) as session:
        assert session.probe() is again
        session.deliver([outgoing(tmp_path / "a", inbox / "a", b"x")], DEFAULT, Trail())


def test_an_empty_batch_and_use_outside_of_the_block(target: SftpTarget) -> None:
    session = SftpSession(target)
    with session:
        assert session.deliver([], DEFAULT, Trail()) == []
    with pytest.raises(RuntimeError):
        session.probe()


def test_from_within_a_running_event_loop(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    async def caller() -> str:
        with SftpSession(target) as session:
            return session.deliver([outgoing(tmp_path / "a", inbox / "a", b"x")], DEFAULT, Trail())[0].outcome

    assert asyncio.run(caller()) == "delivered"
