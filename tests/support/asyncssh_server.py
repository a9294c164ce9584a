"""An SFTP server in a thread, with passwords, interactive prompts, and faults that OpenSSH cannot be talked into."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncssh
import asyncssh.sftp as sftp_module
from asyncssh.constants import FXP_EXTENDED_REPLY
from asyncssh.packet import SSHPacket, String


@dataclass
class Faults:
    """What the server does wrong; may be changed while it runs."""

    disk_full_after: int | None = None
    """Bytes written in all, after which writes fail with OpenSSH's bare "Failure"."""
    lost_rename_replies: int = 0
    """So many renames are done, and the connection cut before the reply."""
    lost_before_rename: int = 0
    """So many renames are not done, and the connection cut."""
    sweep: bool = False
    """A receiver that takes each file the moment it gets its final name."""
    refuse_writes_in: str = ""
    """Opening for writing under this folder is denied."""
    refuse_reads: bool = False
    refuse_chmod: bool = False
    refuse_plain_rename: bool = False
    """The server knows no plain rename."""
    overwriting_rename: bool = False
    """Plain rename overwrites, against the protocol."""
    flip_written_bytes: bool = False
    """What is stored differs from what was sent."""
    check_file: bool = False
    """Offer the check-file extension."""
    wrong_check_file: bool = False
    """…and give wrong hashes."""
    without_extensions: tuple[bytes, ...] = ()
    """Extensions not offered; `(b"*",)`: none."""


@dataclass
class Account:
    """How the one user logs in, and how often that was tried."""

    username: str = "partner"
    password: str | None = None
    prompts: Sequence[tuple[str, str]] = ()
    """Keyboard-interactive: prompt and right answer, asked one round each or all at once."""
    one_by_one: bool = False
    authorized_key: str | None = None
    password_attempts: int = 0
    interactive_attempts: int = 0
    key_attempts: int = 0


@dataclass
class _Digest:
    """The reply of check-file."""

    value: bytes

    def encode(self, _version: int) -> bytes:
        return String(b"check-file") + String(b"sha256") + self.value


class AsyncSshServer:
    """Use as a context manager; `port` and `host_key` are valid inside."""

    def __init__(self, root: Path, account: Account, faults: Faults | None = None) -> None:
        self.root, self.account, self.faults = root, account, faults or Faults()
        self.host = "127.0.0.1"
        self.port = 0
        self.received: dict[str, bytes] = {}
        self.written = 0
        self.log: list[str] = []
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = " ".join(self._key.export_public_key().decode().split()[:2])
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asyncssh-server", daemon=True)

    def __enter__(self) -> AsyncSshServer:
        self._thread.start()
        self._ready.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        sftp_module.SFTPServerHandler = _FaultyHandler  # type: ignore[misc, assignment]  # the one way to choose extensions
        acceptor = await asyncssh.listen(
            self.host,
            0,
            server_factory=lambda: _Login(self.account),
            server_host_keys=[self._key],
            sftp_factory=lambda channel: _Files(channel, self),
        )
        self.port = acceptor.get_port()
        self._ready.set()
        await self._stopping.wait()
        acceptor.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Login(asyncssh.SSHServer):
    def __init__(self, account: Account) -> None:
        self._account = account
        self._asked = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        if self._account.authorized_key:
            keys = asyncssh.import_authorized_keys(self._account.authorized_key)
            self._connection.set_authorized_keys(keys)
        return True

    def public_key_auth_supported(self) -> bool:
        return self._account.authorized_key is not None

    def password_auth_supported(self) -> bool:
        return self._account.password is not None

    def validate_password(self, username: str, password: str) -> bool:
        self._account.password_attempts += 1
        return username == self._account.username and password == self._account.password

    def kbdint_auth_supported(self) -> bool:
        return bool(self._account.prompts)

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        self._account.interactive_attempts += 1
        return self._challenge()

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> Any:
        wanted = [answer for _, answer in self._round()]
        if list(responses) != wanted:
            return False
        self._asked += len(wanted)
        return True if self._asked == len(self._account.prompts) else self._challenge()

    def _round(self) -> Sequence[tuple[str, str]]:
        rest = self._account.prompts[self._asked :]
        return rest[:1] if self._account.one_by_one else rest

    def _challenge(self) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [(prompt, False) for prompt, _ in self._round()]


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: Any, owner: AsyncSshServer) -> None:
        super().__init__(channel, chroot=os.fsencode(owner.root))
        self.owner, self.faults = owner, owner.faults

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        writing = bool(pflags & asyncssh.FXF_WRITE)
        self.owner.log.append(f"{'write' if writing else 'read'} {path.decode()}")
        if self.faults.refuse_writes_in and writing and path.decode().startswith(self.faults.refuse_writes_in):
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        if self.faults.refuse_reads and not writing:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        return super().open(path, pflags, attrs)

    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        self.owner.written += len(data)
        if self.faults.disk_full_after is not None and self.owner.written > self.faults.disk_full_after:
            raise asyncssh.SFTPFailure("Failure")
        if self.faults.flip_written_bytes:
            data = bytes(byte ^ 1 for byte in data)
        return super().write(file_obj, offset, data)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> Any:
        if self.faults.refuse_chmod and attrs.permissions is not None:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        return super().fsetstat(file_obj, attrs)

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if self.faults.refuse_plain_rename:
            raise asyncssh.SFTPOpUnsupported("no rename")
        if self.faults.overwriting_rename:
            return self._renamed("rename", oldpath, newpath, super().posix_rename)
        return self._renamed("rename", oldpath, newpath, super().rename)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        return self._renamed("posix-rename", oldpath, newpath, super().posix_rename)

    def _renamed(self, kind: str, old: bytes, new: bytes, rename: Any) -> None:
        self.owner.log.append(f"{kind} {old.decode()} {new.decode()}")
        if self.faults.lost_before_rename > 0:
            self.faults.lost_before_rename -= 1
            self.connection.abort()
            raise asyncssh.SFTPConnectionLost("cut")
        rename(old, new)
        if self.faults.sweep and not new.endswith(b".void"):
            final = self.owner.root / new.decode().lstrip("/")
            self.owner.received[new.decode()] = final.read_bytes()
            final.unlink()
        if self.faults.lost_rename_replies > 0:
            self.faults.lost_rename_replies -= 1
            self.connection.abort()

    def hash_of(self, path: bytes) -> bytes:
        digest = hashlib.sha256((self.owner.root / path.decode().lstrip("/")).read_bytes()).digest()
        return digest[::-1] if self.faults.wrong_check_file else digest


class _FaultyHandler(sftp_module.SFTPServerHandler):
    """Chooses the extensions, and knows check-file."""

    def __init__(self, server: Any, *args: Any) -> None:
        super().__init__(server, *args)
        faults = getattr(server, "faults", Faults())
        offered = [(name, data) for name, data in self._extensions if name not in faults.without_extensions]
        if b"*" in faults.without_extensions:
            offered = []
        if faults.check_file:
            offered.append((b"check-file", b""))
        self._extensions = offered

    async def _process_check_file(self, packet: SSHPacket) -> _Digest:
        server: Any = self._server
        if not server.faults.check_file:
            raise asyncssh.SFTPOpUnsupported("check-file")
        return _Digest(server.hash_of(packet.get_string()))

    _packet_handlers = {  # noqa: RUF012
        **sftp_module.SFTPServerHandler._packet_handlers,
        b"check-file-name": _process_check_file,  # type: ignore[dict-item]
    }
    _return_types = {  # noqa: RUF012
        **sftp_module.SFTPServerHandler._return_types,
        b"check-file-name": FXP_EXTENDED_REPLY,
    }
