"""Moving files into an archive on their server: nothing is overwritten, nothing is lost, every refusal has a reason."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from sandbox.proxy import DelayProxy
from tests.delivery.collect_helpers import Outsider, outsider_server
from tests.support import asyncssh_server
from tests.support.asyncssh_server import AsyncSshServer
from tests.support.sshd import SshServer
from tieout.delivery import Moved, RemoteFile, SftpSession, SftpTarget
from tieout.errors import SourceUnavailable


@pytest.fixture(scope="module")
def outsider() -> Iterator[Outsider]:
    with outsider_server() as account:
        yield account


def move(target: SftpTarget, path: Path | str, to: Path | str, **options: Any) -> Moved:
    with SftpSession(target) as session:
        return session.move(str(path), str(to), **options)


def test_into_a_folder_that_is_made(target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(b"data")
    os.utime(inbox / "a.csv", (1, 1_700_000_000))
    to = inbox / "archive" / "2026" / "11" / "a.csv"
    assert move(target, inbox / "a.csv", to, directory_mode=0o750) == Moved("moved")
    assert to.read_bytes() == b"data"
    assert to.stat().st_mtime == 1_700_000_000
    assert not (inbox / "a.csv").exists()
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (to.parent, to.parents[1], to.parents[2])} == {0o750}


def test_without_the_folder(target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").touch()
    moved = move(target, inbox / "a.csv", inbox / "archive" / "a.csv", create_directories=False)
    assert moved.outcome == "refused"
    assert f"{inbox}/archive does not exist" in moved.reason
    assert [path.name for path in inbox.iterdir()] == ["a.csv"]


def test_a_name_that_is_taken(target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(b"new")
    (inbox / "b.csv").write_bytes(b"old")
    moved = move(target, inbox / "a.csv", inbox / "b.csv")
    assert moved.outcome == "taken" and "b.csv" in moved.reason
    assert (inbox / "a.csv").read_bytes() == b"new" and (inbox / "b.csv").read_bytes() == b"old"


@pytest.mark.parametrize("overwriting", [False, True])
def test_a_name_that_is_taken_on_a_server_whose_rename_overwrites(
    partner: AsyncSshServer, partner_target: SftpTarget, overwriting: bool
) -> None:
    partner.faults.overwriting_rename = overwriting
    (partner.root / "in" / "a.csv").write_bytes(b"new")
    (partner.root / "in" / "b.csv").write_bytes(b"old")
    assert move(partner_target, "/in/a.csv", "/in/b.csv").outcome == "taken"
    assert (partner.root / "in" / "b.csv").read_bytes() == b"old"
    assert not [line for line in partner.log if "rename" in line]


def test_a_name_that_is_taken_in_the_last_moment(
    partner: AsyncSshServer, partner_target: SftpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tieout.delivery.remote import Remote

    (partner.root / "in" / "a.csv").write_bytes(b"new")
    rename = Remote.rename

    async def overtaken(remote: Remote, old: str, new: str) -> None:
        (partner.root / "in" / "b.csv").write_bytes(b"old")
        await rename(remote, old, new)

    monkeypatch.setattr(Remote, "rename", overtaken)
    assert move(partner_target, "/in/a.csv", "/in/b.csv").outcome == "taken"
    assert (partner.root / "in" / "b.csv").read_bytes() == b"old"


def test_a_file_that_is_gone(target: SftpTarget, inbox: Path) -> None:
    assert move(target, inbox / "a.csv", inbox / "archive" / "a.csv") == Moved("gone")
    assert list(inbox.iterdir()) == []


@pytest.mark.parametrize(
    ("expect", "outcome"),
    [((4, 1_700_000_000), "moved"), ((5, 1_700_000_000), "gone"), ((4, 1_700_000_001), "gone"), (None, "gone")],
)
def test_a_file_that_an_earlier_attempt_has_moved(
    target: SftpTarget, inbox: Path, expect: tuple[int, int] | None, outcome: str
) -> None:
    (inbox / "b.csv").write_bytes(b"data")
    os.utime(inbox / "b.csv", (1, 1_700_000_000))
    file = RemoteFile(str(inbox / "a.csv"), "a.csv", *expect) if expect else None
    assert move(target, inbox / "a.csv", inbox / "b.csv", expect=file).outcome == outcome


@pytest.mark.parametrize(("size", "mtime"), [(5, 1_700_000_000), (4, 1_700_000_001)])
def test_a_file_that_has_taken_the_place_of_the_collected_one(
    target: SftpTarget, inbox: Path, size: int, mtime: int
) -> None:
    (inbox / "a.csv").write_bytes(b"data")
    os.utime(inbox / "a.csv", (1, 1_700_000_000))
    collected = RemoteFile(str(inbox / "a.csv"), "a.csv", size, mtime)
    moved = move(target, inbox / "a.csv", inbox / "b.csv", expect=collected)
    assert moved.outcome == "refused" and "no longer the file that was collected" in moved.reason
    assert [path.name for path in inbox.iterdir()] == ["a.csv"]


def test_the_collected_file_itself(target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(b"data")
    with SftpSession(target) as session:
        [collected] = session.list_folder(str(inbox))
        assert session.move(collected.path, str(inbox / "b.csv"), expect=collected) == Moved("moved")


# Refusals


def test_a_folder_that_we_may_not_change(outsider: Outsider) -> None:
    folder = outsider.folder / "read_only"
    folder.mkdir()
    (folder / "a.csv").write_bytes(b"data")
    outsider.owns(folder / "a.csv")
    outsider.owns(folder).chmod(0o500)
    moved = move(outsider.target, folder / "a.csv", outsider.folder / "elsewhere" / "a.csv")
    assert moved.outcome == "refused"
    assert f"needs write permission in {folder} and in {outsider.folder}/elsewhere" in moved.reason
    assert (folder / "a.csv").read_bytes() == b"data"
    assert not (outsider.folder / "elsewhere" / "a.csv").exists()


@pytest.mark.parametrize("inner", ["a.csv", "2026/11/a.csv"])
def test_an_archive_that_we_may_not_change(outsider: Outsider, inner: str) -> None:
    file, archive = outsider.folder / "b.csv", outsider.folder / f"archive_{inner.count('/')}"
    file.write_bytes(b"data")
    outsider.owns(file)
    archive.mkdir()
    outsider.owns(archive).chmod(0o500)
    moved = move(outsider.target, file, archive / inner)
    assert moved.outcome == "refused" and "write permission" in moved.reason
    assert file.read_bytes() == b"data"


def test_a_refusal_that_leaves_a_second_name_behind(
    partner: AsyncSshServer, partner_target: SftpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSH renames by a link and a removal. `taken` would ask for one more name, and so on."""

    class HalfWay(asyncssh_server._Files):
        def rename(self, oldpath: bytes, newpath: bytes) -> None:
            os.link(partner.root / oldpath.decode().lstrip("/"), partner.root / newpath.decode().lstrip("/"))
            raise asyncssh.SFTPPermissionDenied("Permission denied")

    monkeypatch.setattr(asyncssh_server, "_Files", HalfWay)
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    assert move(partner_target, "/in/a.csv", "/in/b.csv").outcome == "refused"
    assert (partner.root / "in" / "a.csv").read_bytes() == b"data"


def test_a_server_without_plain_rename(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    """posix-rename would do, and would overwrite."""
    partner.faults.refuse_plain_rename = True
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    moved = move(partner_target, "/in/a.csv", "/in/archive/a.csv")
    assert moved.outcome == "refused" and "no rename that leaves other files alone" in moved.reason
    assert (partner.root / "in" / "a.csv").exists()


def test_a_file_in_the_place_of_a_folder(target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").touch()
    (inbox / "archive").touch()
    moved = move(target, inbox / "a.csv", inbox / "archive" / "a.csv")
    assert moved.outcome == "refused" and moved.reason
    assert (inbox / "a.csv").exists()


# Lost replies


def test_a_reply_that_is_lost_is_looked_up(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    partner.faults.lost_rename_replies = 1
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    with SftpSession(partner_target) as session:
        assert session.move("/in/a.csv", "/in/archive/a.csv") == Moved("moved")
        assert [file.name for file in session.list_folder("/in/archive")] == ["a.csv"]
    assert len([line for line in partner.log if line.startswith("rename")]) == 1


def test_a_request_that_is_lost_is_repeated(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    partner.faults.lost_before_rename = 1
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    assert move(partner_target, "/in/a.csv", "/in/archive/a.csv") == Moved("moved")
    assert (partner.root / "in" / "archive" / "a.csv").read_bytes() == b"data"
    assert not [line for line in partner.log if line.startswith("posix-rename")]


def test_a_request_that_is_lost_twice(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    partner.faults.lost_before_rename = 2
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    with pytest.raises(SourceUnavailable, match="was lost"):
        move(partner_target, "/in/a.csv", "/in/archive/a.csv")
    assert (partner.root / "in" / "a.csv").exists()


def test_a_server_that_stays_away(sshd: SshServer, target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").touch()
    with DelayProxy(sshd.host, sshd.port) as proxy:
        through = dataclasses.replace(target, host=proxy.host, port=proxy.port)
        session = SftpSession(through)
        session.__enter__()
    try:
        with pytest.raises(SourceUnavailable, match="refuses connections"):
            session.move(str(inbox / "a.csv"), str(inbox / "b.csv"))
    finally:
        session.__exit__(None, None, None)
    assert (inbox / "a.csv").exists()
