"""Delivering files that do not depend on each other: a refused one does not keep back the others."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.delivery.helpers import StallingFile, Trail, names, noise, outgoing, sha256
from tests.support import asyncssh_server
from tests.support.asyncssh_server import AsyncSshServer
from tieout.delivery import DeliveryOptions, OutgoingFile, Receipt, SftpSession, SftpTarget
from tieout.delivery.remote import _Handler
from tieout.errors import ConfigurationInvalid, DoesNotTieOut, ReceiverRefused, ReceiverUnavailable, Superseded

DEFAULT = DeliveryOptions()
BAD = 7


def some_files(tmp_path: Path, folder: Path | str, count: int = 20) -> list[OutgoingFile]:
    return [
        outgoing(tmp_path / f"f{i}", f"{folder}/f{i}", noise(100 + 40_000 * (i % 3), i), file_id=i)
        for i in range(count)
    ]


def each(
    target: SftpTarget, files: list[OutgoingFile], options: DeliveryOptions = DEFAULT, trail: Trail | None = None
) -> list[Receipt | ReceiverRefused]:
    with SftpSession(target) as session:
        return session.deliver_each(files, options, trail or Trail())


def outcomes(results: list[Receipt | ReceiverRefused]) -> list[str]:
    return [result.outcome if isinstance(result, Receipt) else "refused" for result in results]


def all_but(bad: int, count: int = 20) -> list[str]:
    return ["refused" if place == bad else "delivered" for place in range(count)]


Spoil = Callable[[OutgoingFile, Path], OutgoingFile]


def taken(file: OutgoingFile, inbox: Path) -> OutgoingFile:
    Path(file.remote_path).write_bytes(b"x" * file.size)
    return file


def taken_by_another_size(file: OutgoingFile, inbox: Path) -> OutgoingFile:
    Path(file.remote_path).write_bytes(b"theirs")
    return dataclasses.replace(file, may_replace=frozenset({sha256(b"ours")}))


def folder_in_the_way(file: OutgoingFile, inbox: Path) -> OutgoingFile:
    Path(file.remote_path).mkdir()
    return file


def link_under_the_temporary_name(file: OutgoingFile, inbox: Path) -> OutgoingFile:
    (inbox / "victim").write_bytes(b"precious")
    Path(file.temp_path).symlink_to(inbox / "victim")
    return file


def name_too_long(file: OutgoingFile, inbox: Path) -> OutgoingFile:
    return dataclasses.replace(file, remote_path=f"{inbox}/{'n' * 300}.xml")


def below_a_file(file: OutgoingFile, inbox: Path) -> OutgoingFile:
    (inbox / "file").write_bytes(b"x")
    return dataclasses.replace(file, remote_path=f"{inbox}/file/below/f.xml")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (taken, r"with other bytes .*nothing was overwritten"),
        (taken_by_another_size, r"with other bytes .*nothing was overwritten"),
        (folder_in_the_way, "no ordinary file"),
        (link_under_the_temporary_name, "no ordinary file"),
        (name_too_long, r"could not look at /.*/n{300}\.xml"),
        (below_a_file, "could not make the folder"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("ordered", [False, True])
def test_one_is_refused(
    target: SftpTarget, inbox: Path, tmp_path: Path, spoil: Spoil, sentence: str, ordered: bool
) -> None:
    files = some_files(tmp_path, inbox)
    files[BAD] = spoil(files[BAD], inbox)
    there = {path: path.read_bytes() for path in inbox.iterdir() if path.is_file()}
    trail = Trail()
    results = each(target, files, DeliveryOptions(ordered=ordered), trail)
    assert outcomes(results) == all_but(BAD)
    refusal = results[BAD]
    assert isinstance(refusal, ReceiverRefused)
    with pytest.raises(ReceiverRefused, match=sentence):
        raise refusal
    assert set(trail.events[-1][1]) == {file.file_id for file in files if file.file_id != BAD}
    for file in files[:BAD] + files[BAD + 1 :]:
        assert sha256(Path(file.remote_path).read_bytes()) == file.sha256
    for path, data in there.items():
        assert not path.exists() or path.read_bytes() == data
    assert not [name for name in names(inbox) if name.startswith(".")]


def test_nothing_is_wrong(target: SftpTarget, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts, journal and requests to the server are those of `deliver`."""
    requests: list[object] = []
    send = _Handler._send_request

    def counted(self: _Handler, kind: Any, args: Any, waiter: Any) -> None:
        requests.append(kind)
        send(self, kind, args, waiter)

    monkeypatch.setattr(_Handler, "_send_request", counted)
    seen: list[Any] = []
    for way in ("deliver", "deliver_each"):
        (inbox / way).mkdir()
        files = some_files(tmp_path, inbox / way)
        trail = Trail()
        requests.clear()
        with SftpSession(target) as session:
            receipts = getattr(session, way)(files, DEFAULT, trail)
        events = [(what, sorted(news)) for what, news in trail.events]
        told = [(receipt.file_id, receipt.sha256, receipt.verification, receipt.outcome) for receipt in receipts]
        seen.append((told, events, sorted(map(str, requests)), names(inbox / way)))
    assert seen[0] == seen[1]


def test_all_are_refused(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    files = [taken(file, inbox) for file in some_files(tmp_path, inbox, 3)]
    trail = Trail()
    assert outcomes(each(target, files, trail=trail)) == ["refused"] * 3
    assert trail.events == []
    assert each(target, []) == []


def test_a_folder_that_may_not_be_made_concerns_all_files_in_it(
    target: SftpTarget, inbox: Path, tmp_path: Path
) -> None:
    files = some_files(tmp_path, inbox, 2) + some_files(tmp_path, inbox / "new", 2)
    results = each(target, files, DeliveryOptions(create_directories=False))
    assert outcomes(results) == ["delivered", "delivered", "refused", "refused"]
    assert f"{inbox}/new does not exist" in str(results[2])


def test_one_that_may_not_be_written(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.refuse_writes_in = f"/in/.f{BAD}."
    trail = Trail()
    results = each(partner_target, some_files(tmp_path, "/in"), trail=trail)
    assert outcomes(results) == all_but(BAD)
    assert "'partner' needs write permission in the folder /in" in str(results[BAD])
    assert set(trail.events[0][1]) == set(range(20)) and set(trail.events[1][1]) == set(range(20)) - {BAD}


@pytest.mark.parametrize("verification", ["auto", "server_hash"])
def test_nothing_may_be_read_back(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path, verification: str
) -> None:
    """All are refused, each with its own sentence; what was uploaded is taken away again."""
    partner.faults.refuse_reads = True
    trail = Trail()
    options = DeliveryOptions(verification=verification)  # type: ignore[arg-type]
    results = each(partner_target, some_files(tmp_path, "/in", 3), options, trail)
    assert outcomes(results) == ["refused"] * 3
    assert all(f"/in/.f{place}." in str(result) for place, result in enumerate(results))
    assert names(partner.root / "in") == []
    assert [what for what, _ in trail.events] == ["sending"]


def test_a_name_that_is_taken_by_what_may_not_be_read(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    """They may be our bytes, from an attempt that nobody remembers."""
    partner.faults.refuse_reads = True
    files = some_files(tmp_path, "/in", 2)
    (partner.root / "in" / "f0").write_bytes(noise(100, 0))
    results = each(partner_target, files, DeliveryOptions(verification="size"))
    assert outcomes(results) == ["refused", "delivered"]
    assert "does not let us read back /in/f0" in str(results[0])


@pytest.mark.parametrize("ordered", [False, True])
def test_a_name_taken_after_the_first_look(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path, ordered: bool
) -> None:
    final = partner.root / "in" / f"f{BAD}"

    class Intruder(Trail):
        def verified(self, verification: Mapping[int, str]) -> None:
            final.write_bytes(b"theirs")

    results = each(partner_target, some_files(tmp_path, "/in"), DeliveryOptions(ordered=ordered), Intruder())
    assert outcomes(results) == all_but(BAD)
    assert final.read_bytes() == b"theirs"


@pytest.mark.parametrize("ordered", [False, True])
def test_a_connection_lost_while_renaming(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path, ordered: bool
) -> None:
    partner.faults.lost_rename_replies = 1
    (partner.root / "in" / f"f{BAD}").write_bytes(b"theirs")
    results = each(partner_target, some_files(tmp_path, "/in"), DeliveryOptions(ordered=ordered))
    assert outcomes(results) == all_but(BAD)


def test_a_name_that_cannot_be_looked_at_once_it_is_given_is_given(
    partner: AsyncSshServer,
    partner_target: SftpTarget,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    look = asyncssh.SFTPServer.lstat

    def lstat(self: Any, path: bytes) -> Any:
        if path == b"/in/f1" and (partner.root / "in" / "f1").exists():
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        return look(self, path)

    monkeypatch.setattr(asyncssh_server._Files, "lstat", lstat, raising=False)
    with caplog.at_level(logging.WARNING):
        results = each(partner_target, some_files(tmp_path, "/in", 3))
    assert outcomes(results) == ["delivered"] * 3
    assert "/in/f1 cannot be looked at after its rename: Permission denied" in caplog.text


# What concerns all of them


def test_a_full_disk(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.disk_full_after = 100_000
    (partner.root / "in" / "f0").write_bytes(b"theirs")
    with pytest.raises(ReceiverUnavailable, match="disk is probably full"):
        each(partner_target, some_files(tmp_path, "/in"))
    assert names(partner.root / "in") == ["f0"]


def test_a_connection_that_stays_away(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    partner.faults.lost_before_rename = 1_000
    (partner.root / "in" / "f0").write_bytes(b"theirs")
    with pytest.raises(ReceiverUnavailable, match="lost"):
        each(partner_target, some_files(tmp_path, "/in"))


def test_a_newer_attempt(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    files = some_files(tmp_path, "/in", 3)

    class Newer(Trail):
        def verified(self, verification: Mapping[int, str]) -> None:
            (partner.root / files[1].temp_path.lstrip("/")).unlink()

    with pytest.raises(Superseded, match="newer attempt"):
        each(partner_target, files, trail=Newer())


def test_a_staged_file_that_changed(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    files = some_files(tmp_path, inbox, 3)
    changed = OutgoingFile(9, StallingFile(b"changed!", 99), str(inbox / "f9"), 8, sha256(b"original"))
    with pytest.raises(DoesNotTieOut, match="staged file"):
        each(target, [*files, changed])
    assert names(inbox) == []


def test_the_same_final_name_twice(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    file = some_files(tmp_path, inbox, 1)[0]
    with pytest.raises(ConfigurationInvalid, match="same final name"):
        each(target, [file, file])


def test_use_outside_of_the_block(target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="outside of its 'with' block"):
        SftpSession(target).deliver_each(some_files(tmp_path, inbox, 1), DEFAULT, Trail())
