"""The SFTP sandbox over real SSH: who gets in, and what goes wrong when told to."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from sandbox.sftp import SftpSandbox, SftpUser

USER_KEY = paramiko.ECDSAKey.generate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpSandbox]:
    users = [
        SftpUser("plain", password="right"),
        SftpUser("keyed", public_keys=(f"{USER_KEY.get_name()} {USER_KEY.get_base64()}",)),
        SftpUser("asked", answers=("first", "second")),
    ]
    with SftpSandbox(tmp_path / "root", users) as running:
        (running.root / "inbound").mkdir()
        yield running


@pytest.fixture
def transport(server: SftpSandbox) -> Iterator[paramiko.Transport]:
    with paramiko.Transport((server.host, server.port)) as connection:
        connection.start_client(timeout=10)
        yield connection


@pytest.fixture
def sftp(transport: paramiko.Transport) -> paramiko.SFTPClient:
    transport.auth_password("plain", "right")
    client = paramiko.SFTPClient.from_transport(transport)
    assert client is not None
    return client


def test_the_pinned_key_is_the_servers(server: SftpSandbox, transport: paramiko.Transport) -> None:
    key = transport.get_remote_server_key()
    assert server.host_key == f"{key.get_name()} {key.get_base64()}"


def test_key_login(server: SftpSandbox, transport: paramiko.Transport) -> None:
    transport.auth_publickey("keyed", USER_KEY)
    client = paramiko.SFTPClient.from_transport(transport)
    assert client is not None
    assert client.listdir("/") == ["inbound"]
    assert server.statistics.logins == 1


def test_an_unknown_key_is_refused(server: SftpSandbox, transport: paramiko.Transport) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("keyed", paramiko.ECDSAKey.generate())
    assert server.statistics.logins == 0


def test_keyboard_interactive_login(transport: paramiko.Transport) -> None:
    transport.auth_interactive("asked", lambda title, instructions, prompts: ["first", "second"])
    assert transport.is_authenticated()


@pytest.mark.parametrize(("user", "password"), [("plain", "wrong"), ("nobody", "right"), ("keyed", "right")])
def test_refused_passwords_are_counted(
    server: SftpSandbox, transport: paramiko.Transport, user: str, password: str
) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_password(user, password)
    assert (server.statistics.refused_logins, server.statistics.logins) == (1, 0)


def test_upload_rename_and_chroot(server: SftpSandbox, sftp: paramiko.SFTPClient) -> None:
    sftp.putfo(io.BytesIO(b"abc" * 50_000), "/inbound/.a.csv.part")
    sftp.rename("/inbound/.a.csv.part", "/inbound/a.csv")
    assert (server.root / "inbound" / "a.csv").read_bytes() == b"abc" * 50_000
    assert server.statistics.bytes_received == 150_000
    sftp.putfo(io.BytesIO(b"new"), "/inbound/.b")
    with pytest.raises(OSError):
        sftp.rename("/inbound/.b", "/inbound/a.csv")
    sftp.posix_rename("/inbound/.b", "/inbound/a.csv")
    assert (server.root / "inbound" / "a.csv").read_bytes() == b"new"
    assert sftp.normalize("/../../etc") == "/etc"


def test_disk_full(server: SftpSandbox, sftp: paramiko.SFTPClient) -> None:
    server.configure(disk_full_after=100_000)
    with sftp.open("/inbound/.big", "wb") as file, pytest.raises(OSError):
        file.write(bytes(200_000))
    server.heal()
    sftp.putfo(io.BytesIO(bytes(200_000)), "/inbound/.big")


def test_read_only(server: SftpSandbox, sftp: paramiko.SFTPClient) -> None:
    (server.root / "inbound" / "there.csv").write_bytes(b"x")
    server.configure(read_only=True)
    for attempt in (
        lambda: sftp.putfo(io.BytesIO(b"x"), "/inbound/.a"),
        lambda: sftp.mkdir("/inbound/new"),
        lambda: sftp.rename("/inbound/there.csv", "/inbound/else.csv"),
        lambda: sftp.remove("/inbound/there.csv"),
    ):
        with pytest.raises(PermissionError):
            attempt()
    assert sftp.listdir("/inbound") == ["there.csv"]


def test_drop_in_the_middle_of_an_upload(server: SftpSandbox, sftp: paramiko.SFTPClient) -> None:
    server.configure(drop_after=100_000)
    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        sftp.putfo(io.BytesIO(bytes(400_000)), "/inbound/.big")
    assert 0 < (server.root / "inbound" / ".big").stat().st_size <= 100_000


def test_rename_whose_reply_never_comes(server: SftpSandbox, sftp: paramiko.SFTPClient) -> None:
    sftp.putfo(io.BytesIO(b"x"), "/inbound/.a")
    server.configure(drop_after_rename=True)
    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        sftp.rename("/inbound/.a", "/inbound/a")
    assert (server.root / "inbound" / "a").exists()


def test_sweeping_receiver(server: SftpSandbox, sftp: paramiko.SFTPClient) -> None:
    server.configure(sweep=True)
    sftp.putfo(io.BytesIO(b"gone"), "/inbound/.a")
    sftp.rename("/inbound/.a", "/inbound/a.csv")
    with pytest.raises(FileNotFoundError):
        sftp.stat("/inbound/a.csv")
    assert (server.swept_to / "inbound" / "a.csv").read_bytes() == b"gone"


def test_unknown_fault_is_told(server: SftpSandbox) -> None:
    with pytest.raises(ValueError, match="Unknown SFTP fault full"):
        server.configure(full=True)
