"""Looking at a sender's folder and fetching files that change, vanish, are locked, or whose server goes away."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from sandbox.proxy import DelayProxy
from tests.delivery.collect_helpers import Outsider, outsider_server
from tests.delivery.helpers import noise, sha256
from tests.support import asyncssh_server
from tests.support.asyncssh_server import AsyncSshServer
from tests.support.sshd import SshServer
from tieout.delivery import (
    FileChanged,
    FileGone,
    FileLocked,
    FileTooLarge,
    NotCollected,
    RemoteFile,
    SftpSession,
    SftpTarget,
    as_source,
)
from tieout.delivery.remote import FileInfo
from tieout.errors import ConfigurationInvalid, ReceiverRefused, SourceUnavailable

BIG = 12_000_000
LIMIT = 100_000_000


@pytest.fixture(scope="module")
def outsider() -> Iterator[Outsider]:
    with outsider_server() as account:
        yield account


class Sink:
    """Keeps what it gets; does something once, when the first block has arrived."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.data = bytearray()
        self._then = then

    def __call__(self, block: bytes) -> None:
        first = not self.data
        self.data += block
        if first:
            self._then()


def fetch(target: SftpTarget, path: Path, sink: Callable[[bytes], object], **fields: Any) -> Any:
    with SftpSession(target) as session:
        return session.download(str(path), sink, **{"max_bytes": LIMIT, **fields})


def seen(target: SftpTarget, folder: Path) -> list[RemoteFile]:
    with SftpSession(target) as session:
        return session.list_folder(str(folder))


# Listing


def test_files_by_time_and_name_and_nothing_else(target: SftpTarget, inbox: Path) -> None:
    for name, mtime in (("b.csv", 1_700_000_000), ("a.csv", 1_700_000_001), ("c.csv", 1_700_000_000)):
        (inbox / name).write_bytes(name.encode())
        os.utime(inbox / name, (1, mtime))
    (inbox / ".a.csv.part").write_bytes(b"x")
    (inbox / "folder.csv").mkdir()
    (inbox / "link.csv").symlink_to(inbox / "a.csv")
    os.mkfifo(inbox / "pipe.csv")
    assert seen(target, inbox) == [
        RemoteFile(f"{inbox}/b.csv", "b.csv", 5, 1_700_000_000),
        RemoteFile(f"{inbox}/c.csv", "c.csv", 5, 1_700_000_000),
        RemoteFile(f"{inbox}/a.csv", "a.csv", 5, 1_700_000_001),
    ]


def test_a_folder_with_more_files_than_one_reply_holds(target: SftpTarget, inbox: Path) -> None:
    for number in range(700):
        (inbox / f"{number:04d}.csv").touch()
    assert len(seen(target, inbox)) == 700
    assert seen(target, Path(f"{inbox}/")) == seen(target, inbox)


def test_a_name_that_is_no_text_is_told_and_left_alone(
    target: SftpTarget, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (inbox / "Müller.csv").touch()
    for name in (b"m\xfcller.csv", b"two\nlines.csv"):
        Path(os.fsdecode(os.fsencode(inbox) + b"/" + name)).touch()
    with caplog.at_level(logging.WARNING):
        assert [file.name for file in seen(target, inbox)] == ["Müller.csv"]
    assert "m\\xfcller.csv" in caplog.text and "two\\nlines.csv" in caplog.text


def test_a_server_that_lists_bare_names(
    partner: AsyncSshServer, partner_target: SftpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BareNames(asyncssh_server._Files):
        async def scandir(self, path: bytes) -> Any:
            for name in sorted(os.listdir(partner.root / "in")):
                yield asyncssh.SFTPName(name.encode())

    monkeypatch.setattr(asyncssh_server, "_Files", BareNames)
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    (partner.root / "in" / "folder.csv").mkdir()
    [file] = seen(partner_target, Path("/in"))
    assert (file.name, file.size) == ("a.csv", 4)
    assert file.mtime == int((partner.root / "in" / "a.csv").stat().st_mtime)


def test_no_such_folder(target: SftpTarget, inbox: Path) -> None:
    with pytest.raises(ReceiverRefused, match=f"no folder {inbox}/outbound on .*ask the sender"):
        seen(target, inbox / "outbound")


def test_a_folder_that_we_may_not_read(outsider: Outsider) -> None:
    folder = outsider.folder / "closed"
    folder.mkdir(mode=0o000)
    outsider.owns(folder)
    with pytest.raises(ReceiverRefused, match=f"list the folder {folder} .*Permission denied"):
        seen(outsider.target, folder)


@pytest.mark.parametrize("path", ["outbound", "/out/../etc", "/out\nbound"])
def test_a_path_that_is_not_plain(target: SftpTarget, path: str) -> None:
    with SftpSession(target) as session:
        with pytest.raises(ConfigurationInvalid):
            session.list_folder(path)
        with pytest.raises(ConfigurationInvalid):
            session.download(path, bytes, max_bytes=1)
        with pytest.raises(ConfigurationInvalid):
            session.move(path, "/elsewhere")


def test_an_outage_of_a_source_is_called_so(target: SftpTarget, changed: Callable[..., SftpTarget]) -> None:
    with pytest.raises(SourceUnavailable, match="refuses connections"), as_source(), SftpSession(changed(port=1)):
        pass


# Fetching


@pytest.mark.parametrize("size", [0, 1, 32_768, 300_001, BIG])
def test_the_bytes_their_digest_and_their_time(target: SftpTarget, inbox: Path, size: int) -> None:
    file, data, sink = inbox / "a.csv", noise(size), Sink()
    file.write_bytes(data)
    os.utime(file, (1, 1_700_000_000))
    got = fetch(target, file, sink, expect=seen(target, inbox)[0])
    assert sink.data == data
    assert dataclasses.astuple(got) == (size, sha256(data), size, 1_700_000_000)


def test_many_reads_are_under_way_at_once(sshd: SshServer, target: SftpTarget, inbox: Path) -> None:
    """One block after another would take 92 round trips; the replies come in bunches instead."""
    (inbox / "a.csv").write_bytes(noise(3_000_000))
    with AsyncPeak() as peak, SftpSession(target) as session:
        session.download(str(inbox / "a.csv"), bytes, max_bytes=LIMIT)
    assert peak.most > 8


class AsyncPeak:
    """How many read requests wait for their answer at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __enter__(self) -> AsyncPeak:
        from tieout.delivery.remote import _Handler

        self._handler, self._read = _Handler, _Handler.read
        read, peak = self._read, self

        async def counted(handler: Any, *arguments: Any) -> Any:
            peak.now += 1
            peak.most = max(peak.most, peak.now)
            try:
                return await read(handler, *arguments)
            finally:
                peak.now -= 1

        _Handler.read = counted  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        self._handler.read = self._read  # type: ignore[method-assign]


def replace(path: Path) -> None:
    other = path.with_name(".new")
    other.write_bytes(noise(BIG + 1))
    other.rename(path)


def rewrite_with_the_same_size(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, (1, 1_700_000_009))


MEANWHILE: dict[str, tuple[Callable[[Path], object], type[NotCollected]]] = {
    "grows": (lambda path: path.open("ab").write(b"more"), FileChanged),
    "is cut": (lambda path: os.truncate(path, 100), FileChanged),
    "is emptied": (lambda path: os.truncate(path, 0), FileChanged),
    "is replaced": (replace, FileChanged),
    "is rewritten": (rewrite_with_the_same_size, FileChanged),
    "is removed": (Path.unlink, FileGone),
    "is renamed": (lambda path: path.rename(path.with_suffix(".old")), FileGone),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_a_file_that_changes_while_it_is_read(target: SftpTarget, inbox: Path, what: str) -> None:
    file = inbox / "a.csv"
    file.write_bytes(noise(BIG))
    os.utime(file, (1, 1_700_000_000))
    act, error = MEANWHILE[what]
    with SftpSession(target) as session:
        with pytest.raises(error, match=f"{file} ") as caught:
            session.download(str(file), Sink(lambda: act(file)), max_bytes=LIMIT)
        assert caught.value.reason == ("gone" if error is FileGone else "changed")
        (inbox / "next.csv").write_bytes(b"next")
        assert session.download(str(inbox / "next.csv"), bytes, max_bytes=LIMIT).bytes == 4


@pytest.mark.parametrize(
    ("expect", "error"),
    [((5, 1_700_000_000), None), ((5, 0), None), ((6, 1_700_000_000), FileChanged), ((5, 1_700_000_001), FileChanged)],
)
def test_a_file_that_is_not_what_was_seen(
    target: SftpTarget, inbox: Path, expect: tuple[int, int], error: type[NotCollected] | None
) -> None:
    file, sink = inbox / "a.csv", Sink()
    file.write_bytes(b"12345")
    os.utime(file, (1, 1_700_000_000))
    before = RemoteFile(str(file), "a.csv", *expect)
    if error is None:
        fetch(target, file, sink, expect=before)
        assert sink.data == b"12345"
        return
    with pytest.raises(error, match="has changed since it was seen complete"):
        fetch(target, file, sink, expect=before)
    assert not sink.data


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: None, FileGone),
        (lambda path: path.mkdir(), FileChanged),
        (lambda path: path.symlink_to("/etc/passwd"), FileChanged),
        (os.mkfifo, FileChanged),
    ],
    ids=["nothing", "a folder", "a link", "a pipe"],
)
def test_no_ordinary_file(
    target: SftpTarget, inbox: Path, make: Callable[[Path], object], error: type[NotCollected]
) -> None:
    make(inbox / "a.csv")
    with pytest.raises(error):
        fetch(target, inbox / "a.csv", bytes)


def test_a_file_that_we_may_not_read(outsider: Outsider) -> None:
    file = outsider.folder / "locked.csv"
    file.write_bytes(b"data")
    outsider.owns(file).chmod(0o000)
    with pytest.raises(FileLocked, match=r"locked\.csv \(Permission denied\).*ask the sender for read permission"):
        fetch(outsider.target, file, bytes)


def test_a_file_that_is_too_large(target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(b"12345")
    assert fetch(target, inbox / "a.csv", bytes, max_bytes=5).bytes == 5
    sink = Sink()
    with pytest.raises(FileTooLarge, match="has 5 bytes, more than the 4 that are allowed"):
        fetch(target, inbox / "a.csv", sink, max_bytes=4)
    assert not sink.data


@pytest.mark.parametrize("error", [OSError("no space left"), ConnectionResetError("the object store"), EOFError()])
def test_what_the_sink_raises_is_not_the_servers_doing(target: SftpTarget, inbox: Path, error: Exception) -> None:
    (inbox / "a.csv").write_bytes(noise(BIG))

    def fail() -> None:
        raise error

    with SftpSession(target) as session:
        with pytest.raises(type(error)) as caught:
            session.download(str(inbox / "a.csv"), Sink(fail), max_bytes=LIMIT)
        assert caught.value is error
        assert session.download(str(inbox / "a.csv"), bytes, max_bytes=LIMIT).bytes == BIG


def test_a_connection_that_is_lost_while_reading(sshd: SshServer, target: SftpTarget, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(noise(BIG))
    with DelayProxy(sshd.host, sshd.port, drop_reply_after=4_000_000) as proxy:
        through = dataclasses.replace(target, host=proxy.host, port=proxy.port)
        with SftpSession(through) as session:
            with pytest.raises(SourceUnavailable, match=r"was lost .*next attempt"):
                session.download(str(inbox / "a.csv"), bytes, max_bytes=LIMIT)
            with pytest.raises(SourceUnavailable, match="was lost"):
                session.list_folder(str(inbox))


def test_a_server_that_announces_more_than_it_has(
    partner: AsyncSshServer, partner_target: SftpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As servers do that convert line ends on the way."""

    class Boasting(asyncssh_server._Files):
        def lstat(self, path: bytes) -> Any:
            found = os.lstat(partner.root / path.decode().lstrip("/"))
            return asyncssh.SFTPAttrs(size=found.st_size + 2, permissions=found.st_mode, mtime=0, atime=0)

    monkeypatch.setattr(asyncssh_server, "_Files", Boasting)
    (partner.root / "in" / "a.csv").write_bytes(b"data")
    with pytest.raises(FileChanged):
        fetch(partner_target, Path("/in/a.csv"), bytes)


@pytest.mark.parametrize(
    ("size", "mtime", "mode", "still"),
    [
        (5, 7, 0o100644, True),
        (5, None, None, True),
        (5, 8, 0o100644, False),
        (6, 7, None, False),
        (5, 7, 0o40755, False),
    ],
)
def test_the_same_file(size: int, mtime: int | None, mode: int | None, still: bool) -> None:
    assert RemoteFile("/a", "a", 5, 7).is_still(FileInfo(size, mtime, mode)) is still


def test_a_file_through_xcom() -> None:
    file = RemoteFile("/out/a.csv", "a.csv", 5, 7)
    assert file.to_json() == {"path": "/out/a.csv", "name": "a.csv", "size": 5, "mtime": 7}
    assert RemoteFile.from_json(file.to_json()) == file
