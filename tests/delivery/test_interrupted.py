"""Crashes, resumed uploads, two attempts at once, and looking up what became of a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.proxy import DelayProxy
from tests.delivery.helpers import StallingFile, Trail, names, noise, outgoing, sha256
from tests.support.asyncssh_server import AsyncSshServer
from tests.support.sshd import SshServer
from tieout.delivery import DeliveryOptions, OutgoingFile, SftpSession, SftpTarget
from tieout.delivery.naming import void_path
from tieout.errors import ReceiverUnavailable, Superseded

DEFAULT = DeliveryOptions()
BIG = 12_000_000

UPLOADER = """
    import sys
    from pathlib import Path
    from tests.delivery.helpers import StallingFile, Trail, sha256
    from tieout.delivery import DeliveryOptions, OutgoingFile, SftpSession, SftpTarget

    host, port, user, key_file, host_key, local, remote, stall_at = sys.argv[1:]

    class Loud(StallingFile):
        def pause(self):
            print("stalled", flush=True)
            sys.stdin.read()

    data = Path(local).read_bytes()
    target = SftpTarget(host=host, port=int(port), username=user, key_file=key_file, host_keys=(host_key,))
    with SftpSession(target) as session:
        file = OutgoingFile(1, Loud(data, int(stall_at)), remote, len(data), sha256(data))
        session.deliver([file], DeliveryOptions(), Trail())
"""


@contextmanager
def watching(path: Path, size: int) -> Iterator[list[int]]:
    """Look at `path` all the time; the list gets every size that is not `size`."""
    wrong: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.0005):
            try:
                seen = path.stat().st_size
            except FileNotFoundError:
                continue
            if seen != size:
                wrong.append(seen)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        thread.join()


def test_killed_while_uploading(sshd: SshServer, target: SftpTarget, inbox: Path, tmp_path: Path) -> None:
    data = noise(BIG)
    local = tmp_path / "big.csv"
    local.write_bytes(data)
    final = inbox / "big.csv"
    arguments = [sshd.host, str(sshd.port), sshd.user, str(sshd.client_key_file), sshd.host_key]
    repository = Path(__file__).parents[2]
    with watching(final, BIG) as partial_sizes_seen:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(UPLOADER), *arguments, str(local), str(final), "8000000"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=repository,
            env=os.environ | {"PYTHONPATH": f"{repository / 'plugins'}:{repository}"},
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"stalled\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stdin.close()
        assert not final.exists()
        file = outgoing(local, final)
        assert names(inbox) == [Path(file.temp_path).name]
        with SftpSession(target) as session:
            [receipt] = session.deliver([file], DEFAULT, Trail())
    assert receipt.outcome == "delivered"
    assert final.read_bytes() == data
    assert names(inbox) == ["big.csv"]
    assert partial_sizes_seen == []


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("our prefix", noise(BIG)[:9_000_000]),
        ("other bytes from the middle", noise(BIG)[:5_000_000] + b"x" * 4_000_000),
        ("other bytes", b"x" * 9_000_000),
        ("longer than ours", noise(BIG) + b"tail"),
        ("complete", noise(BIG)),
        ("small", b"x" * 1000),
        ("a hole", noise(BIG)[:4_500_000] + bytes(1_000_000) + noise(BIG)[5_500_000:9_000_000]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_partial_temporary_file(
    target: SftpTarget, inbox: Path, tmp_path: Path, name: str, there: bytes, resume: bool
) -> None:
    file = outgoing(tmp_path / "big", inbox / "big", noise(BIG))
    Path(file.temp_path).write_bytes(there)
    with SftpSession(target) as session:
        session.deliver([file], DeliveryOptions(resume=resume), Trail())
    assert (inbox / "big").read_bytes() == noise(BIG)
    assert names(inbox) == ["big"]


def test_only_what_is_missing_is_sent(partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path) -> None:
    data = noise(BIG)
    file = outgoing(tmp_path / "big", "/in/big", data)
    temporary = partner.root / file.temp_path.lstrip("/")
    temporary.write_bytes(data[:9_000_000])
    with SftpSession(partner_target) as session:
        session.deliver([file], DEFAULT, Trail())
    assert partner.written == 3_000_000
    assert (partner.root / "in" / "big").read_bytes() == data


def test_a_dropped_connection_keeps_the_large_partial_file(
    sshd: SshServer, target: SftpTarget, inbox: Path, tmp_path: Path
) -> None:
    data = noise(BIG)
    file = outgoing(tmp_path / "big", inbox / "big", data)
    with DelayProxy(sshd.host, sshd.port, drop_after=8_000_000, drops=1) as proxy:
        through = SftpTarget(
            host=proxy.host,
            port=proxy.port,
            username=target.username,
            private_key=target.private_key,
            host_keys=target.host_keys,
        )
        with SftpSession(through) as session, pytest.raises(ReceiverUnavailable, match="lost"):
            session.deliver([file], DEFAULT, Trail())
        assert names(inbox) == [Path(file.temp_path).name]
        with SftpSession(through) as session:
            session.deliver([file], DEFAULT, Trail())
    assert (inbox / "big").read_bytes() == data


def test_an_interrupted_caller_leaves_no_small_temporary_file(target: SftpTarget, inbox: Path) -> None:
    data = noise(600_000)
    slow = StallingFile(data, 300_000)
    file = OutgoingFile(1, slow, str(inbox / "a"), len(data), sha256(data))

    def interrupt() -> None:
        slow.stalled.wait(30)
        os.kill(os.getpid(), signal.SIGUSR1)

    def terminated(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, terminated)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with SftpSession(target) as session, pytest.raises(KeyboardInterrupt):
            session.deliver([file], DEFAULT, Trail())
    finally:
        slow.go_on.set()
        signal.signal(signal.SIGUSR1, before)
        thread.join()
    assert names(inbox) == []


@pytest.mark.parametrize("swept", [False, True])
def test_a_stalled_attempt_and_its_retry_at_once(
    partner: AsyncSshServer, partner_target: SftpTarget, swept: bool
) -> None:
    data = noise(9_000_000)
    partner.faults.sweep = swept
    stalling = StallingFile(data, 5_000_000)
    zombie = OutgoingFile(1, stalling, "/in/a.csv", len(data), sha256(data))
    retry = OutgoingFile(1, StallingFile(data, sys.maxsize), "/in/a.csv", len(data), sha256(data))

    def attempt(file: OutgoingFile) -> str:
        with SftpSession(partner_target) as session:
            return session.deliver([file], DEFAULT, Trail())[0].outcome

    with ThreadPoolExecutor(1) as pool, watching(partner.root / "in" / "a.csv", len(data)) as partial_sizes_seen:
        first = pool.submit(attempt, zombie)
        assert stalling.stalled.wait(30)
        assert attempt(retry) == "delivered"
        stalling.go_on.set()
        if swept:
            with pytest.raises(Superseded, match="newer attempt"):
                first.result(60)
        else:
            assert first.result(60) == "already_there"
    assert partial_sizes_seen == []
    delivered = partner.received["/in/a.csv"] if swept else (partner.root / "in" / "a.csv").read_bytes()
    assert delivered == data
    assert len([line for line in partner.log if line.startswith("rename")]) == 1


def test_an_attempt_that_lost_one_file_to_a_newer_one_leaves_the_others_alone(
    partner: AsyncSshServer, partner_target: SftpTarget, tmp_path: Path
) -> None:
    """They are the newer attempt's by now."""
    taken = outgoing(tmp_path / "taken", "/in/taken", noise(100), file_id=1)
    taken_there = partner.root / taken.temp_path.lstrip("/")

    class Taker(StallingFile):
        def pause(self) -> None:
            if self.stalled.is_set():
                return
            self.stalled.set()
            while not (taken_there.exists() and taken_there.stat().st_size == 100):
                threading.Event().wait(0.005)
            taken_there.unlink()

    data = noise(5000, 2)
    other = OutgoingFile(2, Taker(data, 0), "/in/other", len(data), sha256(data))
    with SftpSession(partner_target) as session, pytest.raises(Superseded):
        session.deliver([taken, other], DEFAULT, Trail())
    assert names(partner.root / "in") == [Path(other.temp_path).name]


# Looking up


@pytest.fixture
def file(inbox: Path, tmp_path: Path) -> OutgoingFile:
    return outgoing(tmp_path / "a", inbox / "a.csv", noise(1000))


def look_up(target: SftpTarget, file: OutgoingFile, was_verified: bool) -> str:
    with SftpSession(target) as session:
        return session.look_up(
            file.remote_path,
            temp_path=file.temp_path,
            size=file.size,
            sha256=file.sha256,
            was_verified=was_verified,
        )


@pytest.mark.parametrize(
    ("final", "temporary", "was_verified", "answer"),
    [
        (noise(1000), None, True, "done"),
        (noise(1000), None, False, "done"),
        (None, None, True, "done"),  # renamed, then swept by the receiver
        (None, None, False, "not_sent"),
        (None, noise(1000), True, "not_sent"),
        (None, noise(1000)[:500], False, "not_sent"),
        (noise(1000, 2), noise(1000), True, "not_sent"),
        (noise(1000, 2), None, False, "not_sent"),
        (b"", None, False, "not_sent"),
    ],
)
def test_look_up(
    target: SftpTarget,
    inbox: Path,
    file: OutgoingFile,
    final: bytes | None,
    temporary: bytes | None,
    was_verified: bool,
    answer: str,
) -> None:
    if final is not None:
        Path(file.remote_path).write_bytes(final)
    if temporary is not None:
        Path(file.temp_path).write_bytes(temporary)
    assert look_up(target, file, was_verified) == answer
    assert not Path(file.temp_path).exists()


def test_a_look_up_that_was_not_written_down_is_repeated_with_the_same_answer(
    target: SftpTarget, inbox: Path, file: OutgoingFile
) -> None:
    Path(file.temp_path).write_bytes(noise(1000))
    assert [look_up(target, file, was_verified=True) for _ in range(3)] == ["not_sent"] * 3
    with SftpSession(target) as session:
        assert session.deliver([file], DEFAULT, Trail())[0].outcome == "delivered"
    assert names(inbox) == ["a.csv"]


def test_what_a_look_up_put_aside_goes_when_the_file_is_there_after_all(
    target: SftpTarget, inbox: Path, file: OutgoingFile
) -> None:
    Path(file.temp_path).write_bytes(noise(1000))
    assert look_up(target, file, was_verified=True) == "not_sent"
    (inbox / "a.csv").write_bytes(noise(1000))
    with SftpSession(target) as session:
        assert session.deliver([file], DEFAULT, Trail())[0].outcome == "already_there"
    assert names(inbox) == ["a.csv"]


def test_a_look_up_fences_the_attempt_that_is_still_running(target: SftpTarget, file: OutgoingFile) -> None:
    """The attempt has verified its file and is slow to rename it."""

    class Slow(Trail):
        def verified(self, verification: object) -> None:
            assert look_up(target, file, was_verified=True) == "not_sent"

    with SftpSession(target) as session, pytest.raises(Superseded):
        session.deliver([file], DEFAULT, Slow())
    assert not Path(file.remote_path).exists()
    assert Path(void_path(file.temp_path)).exists()


def test_looking_up_while_the_receiver_is_away(sshd: SshServer, target: SftpTarget, file: OutgoingFile) -> None:
    with DelayProxy(sshd.host, sshd.port) as proxy:
        through = SftpTarget(
            host=proxy.host,
            port=proxy.port,
            username=target.username,
            private_key=target.private_key,
            host_keys=target.host_keys,
        )
        with SftpSession(through) as session:
            proxy.drop_all()
            with pytest.raises(ReceiverUnavailable):
                session.look_up(
                    file.remote_path, temp_path=file.temp_path, size=file.size, sha256=file.sha256, was_verified=True
                )
