"""Which files are complete: the same in two looks, or with their trigger file."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.proxy import DelayProxy
from tests.support.sshd import SshServer
from tieout.delivery import Inbox, SftpTarget, complete_files
from tieout.errors import CredentialsRejected, HostKeyMismatch, ReceiverRefused, SourceUnavailable


class Pauses:
    """What happens between the looks: the n-th step in the n-th pause, then nothing more."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.steps = steps
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) <= len(self.steps):
            self.steps[len(self.seconds) - 1]()


def look(target: SftpTarget, folder: Path, pauses: Pauses | None = None, **options: Any) -> Inbox:
    settings = {"settle_seconds": 0.5, "patience_seconds": 60, "pause": pauses or Pauses(), **options}
    return asyncio.run(complete_files(target, str(folder), **settings))


def names(inbox: Inbox) -> tuple[list[str], list[str]]:
    return [file.name for file in inbox.complete], [file.name for file in inbox.growing]


def append(path: Path) -> Callable[[], object]:
    def act() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    return act


def touch(path: Path, mtime: int = 1_700_000_000) -> None:
    path.touch()
    os.utime(path, (1, mtime))


def nothing() -> None:
    """A pause in which the sender does nothing."""


def test_no_files_are_told_at_once(target: SftpTarget, inbox: Path) -> None:
    (inbox / "archive").mkdir()
    pauses = Pauses()
    assert look(target, inbox, pauses) == Inbox((), ())
    assert pauses.seconds == []


def test_two_looks_however_old_a_file_is(target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "a.csv", 1_000_000_000)
    pauses = Pauses()
    assert names(look(target, inbox, pauses)) == (["a.csv"], [])
    assert pauses.seconds == [0.5]


def test_looking_goes_on_until_nothing_grows(target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "old.csv")
    touch(inbox / "new.csv")
    grow = append(inbox / "new.csv")
    pauses = Pauses(grow, grow, nothing)
    found = look(target, inbox, pauses)
    assert names(found) == (["old.csv", "new.csv"], [])
    assert found.complete[1].size == 8
    assert len(pauses.seconds) == 3


def test_what_still_grows_when_patience_ends_is_told_apart(target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "old.csv")
    touch(inbox / "new.csv")
    pauses = Pauses(append(inbox / "new.csv"))
    assert names(look(target, inbox, pauses, patience_seconds=0)) == (["old.csv"], ["new.csv"])
    assert len(pauses.seconds) == 1


def test_patience_counts_from_the_first_growing_file(target: SftpTarget, inbox: Path) -> None:
    """Waiting for a first file does not use it up."""
    pauses = Pauses(nothing, nothing, lambda: touch(inbox / "a.csv"))
    assert names(look(target, inbox, pauses, wait_seconds=60, patience_seconds=0)) == (["a.csv"], [])
    assert len(pauses.seconds) == 4


@pytest.mark.parametrize(
    "act",
    [
        lambda path: os.utime(path, (1, 1_700_000_001)),
        lambda path: path.write_bytes(b"longer"),
        lambda path: touch(path.with_name("b.csv")),
    ],
    ids=["another time", "another size", "another file"],
)
def test_a_change_between_two_looks(target: SftpTarget, inbox: Path, act: Callable[[Path], object]) -> None:
    touch(inbox / "a.csv")
    pauses = Pauses(lambda: act(inbox / "a.csv"))
    assert look(target, inbox, pauses).growing == ()
    assert len(pauses.seconds) == 2


def test_a_file_that_is_what_it_was_some_looks_ago_is_not_settled(target: SftpTarget, inbox: Path) -> None:
    def write(data: bytes) -> Callable[[], object]:
        def act() -> None:
            (inbox / "a.csv").write_bytes(data)
            os.utime(inbox / "a.csv", (1, 1_700_000_000))

        return act

    write(b"1234")()
    pauses = Pauses(write(b"12345678"), write(b"1234"))
    assert look(target, inbox, pauses).growing == ()
    assert len(pauses.seconds) == 3


def test_a_file_that_is_removed_between_two_looks(target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "a.csv")
    touch(inbox / "b.csv")
    assert names(look(target, inbox, Pauses((inbox / "a.csv").unlink))) == (["b.csv"], [])


def test_patterns(target: SftpTarget, inbox: Path) -> None:
    for name in ("a.csv", "B.CSV", "c.xml", "d.txt", "e.csv.done", ".f.csv"):
        touch(inbox / name)
    assert names(look(target, inbox, patterns=["*.csv", "*.xml"]))[0] == ["B.CSV", "a.csv", "c.xml"]


def test_a_growing_file_that_is_none_of_ours_is_not_waited_for(target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "a.log")
    pauses = Pauses(append(inbox / "a.log"))
    assert look(target, inbox, pauses, patterns=["*.csv"]) == Inbox((), ())
    assert pauses.seconds == []


BY_TRIGGER = {"complete_when": "trigger_file", "trigger_suffix": ".ready"}


def test_a_trigger_file_makes_its_file_complete_at_once(target: SftpTarget, inbox: Path) -> None:
    for name in ("a.csv", "a.csv.ready"):
        touch(inbox / name)
    pauses = Pauses()
    assert names(look(target, inbox, pauses, **BY_TRIGGER)) == (["a.csv"], [])
    assert pauses.seconds == []


def test_a_stable_file_without_its_trigger_file_is_not_complete(target: SftpTarget, inbox: Path) -> None:
    for name in ("a.csv", "a.csv.ready", "b.csv", "b.csv.done"):
        touch(inbox / name)
    pauses = Pauses()
    found = look(target, inbox, pauses, patience_seconds=0, patterns=["*.csv"], **BY_TRIGGER)
    assert names(found) == (["a.csv"], ["b.csv"])
    late = Pauses(nothing, lambda: touch(inbox / "b.csv.ready"))
    assert names(look(target, inbox, late, patterns=["*.csv"], **BY_TRIGGER)) == (["a.csv", "b.csv"], [])


def test_waiting_for_a_first_file(target: SftpTarget, inbox: Path) -> None:
    pauses = Pauses(nothing, nothing, lambda: touch(inbox / "a.csv"))
    assert names(look(target, inbox, pauses, wait_seconds=60)) == (["a.csv"], [])
    assert len(pauses.seconds) == 4


def test_one_connection_for_all_looks(sshd: SshServer, target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "a.csv")
    grow = append(inbox / "a.csv")
    with DelayProxy(sshd.host, sshd.port) as proxy:
        through = dataclasses.replace(target, host=proxy.host, port=proxy.port)
        look(through, inbox, Pauses(grow, grow, grow))
        assert proxy.connections == 1


def test_a_connection_that_is_lost_between_two_looks(sshd: SshServer, target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "a.csv")
    with DelayProxy(sshd.host, sshd.port) as proxy:
        through = dataclasses.replace(target, host=proxy.host, port=proxy.port)
        with pytest.raises(SourceUnavailable, match="was lost"):
            look(through, inbox, Pauses(proxy.drop_all))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"port": 1}, SourceUnavailable),
        ({"private_key": None, "password": "wrong"}, CredentialsRejected),
        ({"host_keys": ()}, HostKeyMismatch),
    ],
    ids=["nobody listens", "no log-in", "no host key"],
)
def test_no_connection(
    changed: Callable[..., SftpTarget], inbox: Path, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        look(changed(**fields), inbox)


def test_no_such_folder(target: SftpTarget, inbox: Path) -> None:
    with pytest.raises(ReceiverRefused, match="no folder"):
        look(target, inbox / "outbound")


def test_looking_can_be_cancelled_and_leaves_no_connection(sshd: SshServer, target: SftpTarget, inbox: Path) -> None:
    touch(inbox / "a.csv")

    def connections() -> int:
        found = psutil.Process().net_connections(kind="tcp")
        return len([each for each in found if each.raddr and each.raddr.port == sshd.port])

    async def cancelled() -> None:
        looking = asyncio.Event()

        async def pause(_: float) -> None:
            looking.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(complete_files(target, str(inbox), pause=pause))
        await looking.wait()
        assert connections() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = connections()
    asyncio.run(cancelled())
    assert connections() == before == 0
