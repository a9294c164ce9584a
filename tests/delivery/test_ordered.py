"""Final names in the order of the files."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from sandbox.proxy import DelayProxy
from tests.delivery.helpers import Trail, names, noise, outgoing, sha256
from tests.support import asyncssh_server
from tests.support.asyncssh_server import AsyncSshServer
from tieout.delivery import DeliveryOptions, OutgoingFile, SftpSession, SftpTarget
from tieout.delivery.remote import Remote
from tieout.errors import ReceiverRefused, ReceiverUnavailable

ORDERED = DeliveryOptions(ordered=True)
EARLIER = b"what we delivered earlier"
LATENCY_MS = 10.0  # each way: a round trip takes 20 ms


def files_in(tmp_path: Path, folder: Path | str, count: int = 40) -> list[OutgoingFile]:
    """Files in an order that nothing but their order in the list tells, of sizes of one block and several."""
    numbers = random.Random(7).sample(range(count), count)
    return [
        outgoing(tmp_path / f"f{number:03}", f"{folder}/f{number:03}.xml", noise(100 + number * 997, number), file_id=i)
        for i, number in enumerate(numbers)
    ]


def with_earlier(files: list[OutgoingFile], folder: Path, *places: int) -> list[OutgoingFile]:
    """The same, but in these places our earlier bytes lie under the final name."""
    for place in places:
        (folder / Path(files[place].remote_path).name).write_bytes(EARLIER)
        files[place] = dataclasses.replace(files[place], may_replace=frozenset({sha256(EARLIER)}))
    return files


class Toucher(Trail):
    """Touches final names in the last moment, so that their bytes have to be proved once more, which takes a while."""

    def __init__(self, *paths: Path) -> None:
        super().__init__()
        self._paths = paths

    def verified(self, verification: Mapping[int, str]) -> None:
        for path in self._paths:
            os.utime(path, (1_000_000_000, 1_000_000_000))


def renamed(partner: AsyncSshServer) -> list[str]:
    """Final names in the order in which the server gave them."""
    return [line.split()[2] for line in partner.log if "rename " in line]


def paths(files: list[OutgoingFile]) -> list[str]:
    return [file.remote_path for file in files]


@pytest.fixture
def far(partner: AsyncSshServer, partner_target: SftpTarget) -> Iterator[SftpTarget]:
    """The partner's server, a long wire away."""
    with DelayProxy(partner.host, partner.port, latency_ms=LATENCY_MS) as proxy:
        yield dataclasses.replace(partner_target, host=proxy.host, port=proxy.port)


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many renames were without an answer whenever one more was sent."""
    seen: list[int] = []
    now = 0

    def counted(send: Any) -> Any:
        async def rename(self: Remote, old: str, new: str) -> None:
            nonlocal now
            now += 1
            seen.append(now)
            try:
                await send(self, old, new)
            finally:
                now -= 1

        return rename

    for name in ("rename", "rename_over"):
        monkeypatch.setattr(Remote, name, counted(getattr(Remote, name)))
    return seen


def test_new_files_far_away(partner: AsyncSshServer, far: SftpTarget, tmp_path: Path, under_way: list[int]) -> None:
    files = files_in(tmp_path, "/in")
    with SftpSession(far) as session:
        receipts = session.deliver(files, ORDERED, Trail())
    assert renamed(partner) == paths(files)
    assert [receipt.remote_path for receipt in receipts] == paths(files)
    assert max(under_way) == len(files)  # none waits for the answer to another


@pytest.mark.parametrize("place", [0, 20])
def test_a_name_that_takes_longer_is_not_overtaken(
    partner: AsyncSshServer, far: SftpTarget, tmp_path: Path, under_way: list[int], place: int
) -> None:
    files = with_earlier(files_in(tmp_path, "/in"), partner.root / "in", place, 30)
    slow = partner.root / files[place].remote_path.lstrip("/")
    with SftpSession(far) as session:
        receipts = session.deliver(files, ORDERED, Toucher(slow))
    assert renamed(partner) == paths(files)
    assert [i for i, receipt in enumerate(receipts) if receipt.outcome == "replaced"] == [place, 30]
    assert max(under_way) > 30


def test_more_files_than_requests_at_a_time(
    partner: AsyncSshServer, far: SftpTarget, tmp_path: Path, under_way: list[int]
) -> None:
    files = files_in(tmp_path, "/in", 300)
    with SftpSession(far) as session:
        session.deliver(files, ORDERED, Trail())
    assert renamed(partner) == paths(files)
    assert max(under_way) > 200


@pytest.mark.parametrize("earlier", [(), (0, 1, 5, 39), (3,), tuple(range(40))], ids=len)
def test_a_server_without_plain_rename(
    partner: AsyncSshServer, far: SftpTarget, tmp_path: Path, earlier: tuple[int, ...]
) -> None:
    partner.faults.refuse_plain_rename = True
    files = with_earlier(files_in(tmp_path, "/in"), partner.root / "in", *earlier)
    with SftpSession(far) as session:
        session.deliver(files, ORDERED, Trail())
    assert renamed(partner) == paths(files)


@pytest.fixture
def cut_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`cut_at(3)`: the connection is lost before the third rename; what had arrived behind it is not done either."""

    def cut(number: int) -> None:
        rename = asyncssh_server._Files._renamed
        lost: set[object] = set()
        asked = 0

        def counted(self: Any, *arguments: Any) -> None:
            nonlocal asked
            asked += 1
            if asked == number:
                lost.add(self)
                self.connection.abort()
            if self in lost:
                raise asyncssh.SFTPConnectionLost("cut")
            rename(self, *arguments)

        monkeypatch.setattr(asyncssh_server._Files, "_renamed", counted)

    return cut


@pytest.mark.parametrize("number", [1, 10, 40])
def test_a_connection_lost_meanwhile(
    partner: AsyncSshServer, far: SftpTarget, tmp_path: Path, cut_at: Callable[[int], None], number: int
) -> None:
    cut_at(number)
    files = with_earlier(files_in(tmp_path, "/in"), partner.root / "in", 12, 25)
    slow = partner.root / files[25].remote_path.lstrip("/")
    with SftpSession(far) as session:
        receipts = session.deliver(files, ORDERED, Toucher(slow))
    assert renamed(partner) == paths(files)
    assert [receipt.remote_path for receipt in receipts] == paths(files)


def test_a_lost_answer(partner: AsyncSshServer, far: SftpTarget, tmp_path: Path) -> None:
    partner.faults.lost_rename_replies = 1
    files = files_in(tmp_path, "/in")
    with SftpSession(far) as session:
        session.deliver(files, ORDERED, Trail())
    assert renamed(partner) == paths(files)


def test_a_connection_that_stays_away(partner: AsyncSshServer, far: SftpTarget, tmp_path: Path) -> None:
    partner.faults.lost_before_rename = 1_000
    with SftpSession(far) as session, pytest.raises(ReceiverUnavailable, match="lost"):
        session.deliver(files_in(tmp_path, "/in"), ORDERED, Trail())


def test_a_name_that_fails_does_not_hold_up_the_others(
    partner: AsyncSshServer, far: SftpTarget, tmp_path: Path
) -> None:
    files = files_in(tmp_path, "/in")
    taken = partner.root / files[11].remote_path.lstrip("/")

    class Intruder(Trail):
        def verified(self, verification: Mapping[int, str]) -> None:
            taken.write_bytes(b"theirs")

    with SftpSession(far) as session, pytest.raises(ReceiverRefused, match="other bytes"):
        session.deliver(files, ORDERED, Intruder())
    assert renamed(partner) == paths(files[:11] + files[12:])
    assert taken.read_bytes() == b"theirs"


@pytest.mark.parametrize("concurrency", [128, 4])
def test_uploads_begin_in_that_order(
    partner: AsyncSshServer, far: SftpTarget, tmp_path: Path, concurrency: int
) -> None:
    files = files_in(tmp_path, "/in")
    with SftpSession(far) as session:
        session.deliver(files, DeliveryOptions(ordered=True, concurrency=concurrency), Trail())
    begun = [line.split()[1] for line in partner.log if line.startswith("write ")]
    assert begun == [file.temp_path for file in files]


# A real OpenSSH server, watched by the kernel

_CREATED, _MOVED_TO = 0x100, 0x80  # IN_CREATE, IN_MOVED_TO of <sys/inotify.h>
_EVENT = struct.Struct("iIII")


@contextmanager
def names_given(folder: Path) -> Iterator[list[str]]:
    """Names without a dot first in the order in which they appear in a folder; the list is filled at the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, os.fsencode(folder), _CREATED | _MOVED_TO) >= 0
    given: list[str] = []
    try:
        yield given
        data = os.read(watch, 1_000_000)
        while data:
            length = _EVENT.unpack_from(data)[3]
            name = os.fsdecode(data[_EVENT.size : _EVENT.size + length].rstrip(b"\0"))
            data = data[_EVENT.size + length :]
            if not name.startswith("."):
                given.append(name)
    finally:
        os.close(watch)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize("latency_ms", [0.0, LATENCY_MS])
def test_openssh(target: SftpTarget, inbox: Path, tmp_path: Path, latency_ms: float) -> None:
    files = with_earlier(files_in(tmp_path, inbox), inbox, 0, 17)
    with DelayProxy(target.host, target.port, latency_ms=latency_ms) as proxy, names_given(inbox) as given:
        through = dataclasses.replace(target, host=proxy.host, port=proxy.port)
        with SftpSession(through) as session:
            session.deliver(files, ORDERED, Toucher(Path(files[0].remote_path), Path(files[17].remote_path)))
    assert given == [Path(path).name for path in paths(files)]
    assert names(inbox) == sorted(given)


def test_modification_times_keep_the_order(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    """Receivers that take the oldest file first see by it which that is."""
    files = files_in(tmp_path, inbox, 200)
    with SftpSession(target) as session:
        session.deliver(files, ORDERED, Trail())
    times = [os.stat(path).st_mtime_ns for path in paths(files)]
    assert times == sorted(times)
