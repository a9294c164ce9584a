"""An SFTP server over a local folder, with the troubles that receivers of files know.

Real SSH by asyncssh: password, public key and keyboard-interactive users, host key made at start, plain and
`posix-rename@openssh.com` renames as asyncssh gives them. Runs on a thread of its own.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import asyncssh

WRITE_FLAGS = asyncssh.FXF_WRITE | asyncssh.FXF_APPEND | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC
_WRITE_ACCESS_V5 = 0x2 | 0x4
"""ACE4_WRITE_DATA and ACE4_APPEND_DATA, by which SFTP v5 and later ask for writing."""


@dataclass(frozen=True)
class SftpUser:
    """Who may log in, and how.

    Attributes:
        password: None refuses password logins.
        public_keys: OpenSSH public key lines.
        answers: Expected answers to keyboard-interactive prompts; empty refuses that method.
        folder: Folder below the server's root that this user sees as `/`; empty: the root itself.
    """

    name: str
    password: str | None = field(default=None, repr=False)
    public_keys: tuple[str, ...] = ()
    answers: tuple[str, ...] = field(default=(), repr=False)
    folder: str = ""


@dataclass
class SftpFaults:
    """What goes wrong until told otherwise.

    Attributes:
        disk_full_after: Bytes that still fit over all uploads; then every write fails like a full disk. None: no limit.
        drop_after: Bytes received until the connection is cut without a word, once; None: never.
        drop_after_rename: The next rename happens but its reply never comes: the connection is cut instead.
        read_only: Opening for writing, renaming, removing and making folders are refused.
        sweep: A file vanishes from its folder the moment it gets a name without a leading dot.
        refuse_logins: Every log-in is refused.
        no_rename: The account may not rename.
        no_mkdir: The account may not make folders.
        locked: Names of files that somebody else holds open: reading, renaming and removing them are refused.
        remove_mid_read: Bytes that may still be read; then the file being read is removed and reading it fails, once.
        lock_mid_read: Bytes that may still be read; then the file being read is locked and reading it fails, once.
        drop_mid_read: Bytes that may still be read; then the connection is cut without a word, once.
    """

    disk_full_after: int | None = None
    drop_after: int | None = None
    drop_after_rename: bool = False
    read_only: bool = False
    sweep: bool = False
    refuse_logins: bool = False
    no_rename: bool = False
    no_mkdir: bool = False
    locked: list[str] = field(default_factory=list)
    remove_mid_read: int | None = None
    lock_mid_read: int | None = None
    drop_mid_read: int | None = None


@dataclass
class SftpStatistics:
    """What clients did."""

    logins: int = 0
    refused_logins: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    swept: list[str] = field(default_factory=list)


class SftpSandbox:
    """The SFTP server.

    Args:
        root: Folder that clients see as `/`.
        users: Who may log in; a user `tieout` with password `tie-out-1` by default.
        host: Address to bind.
        port: 0 takes a free one.
        swept_to: Where swept files go; beside the root by default, so that no byte is lost.
        host_key: A private key in OpenSSH form, to keep one identity over restarts; a new Ed25519 key by default.
    """

    def __init__(
        self,
        root: Path,
        users: list[SftpUser] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        swept_to: Path | None = None,
        host_key: str | None = None,
    ) -> None:
        self.root = root
        self.host = host
        self.port = port
        self.faults = SftpFaults()
        self.statistics = SftpStatistics()
        self.users = {user.name: user for user in users or [SftpUser("tieout", "tie-out-1")]}
        self.swept_to = swept_to or root.with_name(root.name + ".swept")
        self._key = asyncssh.import_private_key(host_key) if host_key else asyncssh.generate_private_key("ssh-ed25519")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def host_key(self) -> str:
        """The public host key to pin: type and base64."""
        return " ".join(self._key.export_public_key().decode().split()[:2])

    def start(self) -> None:
        """Binds the port and starts serving."""
        for user in self.users.values():
            (self.root / user.folder).mkdir(parents=True, exist_ok=True)
        listening = threading.Event()
        problem: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(listening, problem), name="sandbox-sftp", daemon=True)
        self._thread.start()
        listening.wait()
        if problem:
            raise problem[0]

    def _run(self, listening: threading.Event, problem: list[BaseException]) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        try:
            acceptor = loop.run_until_complete(self._listen())
            self.port = acceptor.get_port()
        except BaseException as error:
            problem.append(error)
            return
        finally:
            listening.set()
        try:
            loop.run_forever()
        finally:
            acceptor.close()
            for connection in list(self._connections):
                connection.abort()
            loop.run_until_complete(asyncio.sleep(0))
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            lambda: _Authentication(self), self.host, self.port, server_host_keys=[self._key], allow_scp=False,
            sftp_factory=lambda channel: _FaultySftp(channel, self), login_timeout=20,
        )  # fmt: skip

    def stop(self) -> None:
        """Closes every connection and ends the thread; harmless when already stopped."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
        thread.join(timeout=10)

    def __enter__(self) -> SftpSandbox:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Changes faults and returns all of them. Raises ValueError for an unknown name."""
        known = {f.name for f in fields(SftpFaults)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"Unknown SFTP fault {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
        for name, value in changes.items():
            setattr(self.faults, name, value)
        return asdict(self.faults)

    def heal(self) -> None:
        """Takes back every fault."""
        self.faults = SftpFaults()


class _Authentication(asyncssh.SSHServer):
    """Checks log-ins against the sandbox's users."""

    def __init__(self, sandbox: SftpSandbox) -> None:
        self._sandbox = sandbox

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._sandbox._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._sandbox._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def auth_completed(self) -> None:
        self._sandbox.statistics.logins += 1

    def password_auth_supported(self) -> bool:
        return any(user.password is not None for user in self._sandbox.users.values())

    def validate_password(self, username: str, password: str) -> bool:
        user = self._sandbox.users.get(username)
        return self._counted(user is not None and user.password is not None and user.password == password)

    def public_key_auth_supported(self) -> bool:
        return any(user.public_keys for user in self._sandbox.users.values())

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        user = self._sandbox.users.get(username)
        known = [asyncssh.import_public_key(line) for line in user.public_keys] if user is not None else []
        return not self._sandbox.faults.refuse_logins and key in known

    def kbdint_auth_supported(self) -> bool:
        return any(user.answers for user in self._sandbox.users.values())

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        user = self._sandbox.users.get(username)
        if user is None or not user.answers:
            return False
        prompts = [("Password: " if number == 0 else f"Code {number}: ", False) for number in range(len(user.answers))]
        return ("Tieout sandbox", "Please answer", "en-US", prompts)

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        user = self._sandbox.users.get(username)
        return self._counted(user is not None and bool(user.answers) and tuple(responses) == user.answers)

    def _counted(self, accepted: bool) -> bool:
        accepted = accepted and not self._sandbox.faults.refuse_logins
        if not accepted:
            self._sandbox.statistics.refused_logins += 1
        return accepted


class _FaultySftp(asyncssh.SFTPServer):
    """The file operations, each of which may be made to fail."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], sandbox: SftpSandbox) -> None:
        user = sandbox.users[channel.get_extra_info("username")]
        super().__init__(channel, chroot=os.fsencode(sandbox.root / user.folder))
        self._sandbox = sandbox
        self._is_cut = False
        self._lost: dict[int, asyncssh.SFTPError] = {}
        """Open files that can no longer be read, by their descriptor."""

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        self._refuse_when_locked(path)
        if pflags & WRITE_FLAGS:
            self._refuse_when_read_only()
        return super().open(path, pflags, attrs)

    def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        self._refuse_when_locked(path)
        if desired_access & _WRITE_ACCESS_V5:
            self._refuse_when_read_only()
        return super().open56(path, desired_access, flags, attrs)

    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        faults, statistics = self._sandbox.faults, self._sandbox.statistics
        if self._is_cut:
            # Writes that were under way when the connection was cut must not arrive either.
            raise asyncssh.SFTPConnectionLost("Connection cut by the sandbox")
        if faults.drop_after is not None:
            faults.drop_after -= len(data)
            if faults.drop_after < 0:
                faults.drop_after = None
                self._cut()
        if faults.disk_full_after is not None:
            if len(data) > faults.disk_full_after:
                faults.disk_full_after = 0
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            faults.disk_full_after -= len(data)
        written = super().write(file_obj, offset, data)
        statistics.bytes_received += len(data)
        return written

    def read(self, file_obj: Any, offset: int, size: int) -> Any:
        """A file that was lost mid-read stays unreadable until it is opened again, also for reads already asked for."""
        if self._is_cut:
            raise asyncssh.SFTPConnectionLost("Connection cut by the sandbox")
        if file_obj.fileno() in self._lost:
            raise self._lost[file_obj.fileno()]
        data = cast("bytes", super().read(file_obj, offset, size))
        self._lose(file_obj, len(data))
        self._sandbox.statistics.bytes_sent += len(data)
        return data

    def close(self, file_obj: Any) -> Any:
        self._lost.pop(file_obj.fileno(), None)
        return super().close(file_obj)

    def _lose(self, file_obj: Any, count: int) -> None:
        """Carries out the faults that wait for so many bytes, in place of handing out the last of them."""
        faults, path = self._sandbox.faults, Path(os.fsdecode(file_obj.name))
        for name in ("remove_mid_read", "lock_mid_read", "drop_mid_read"):
            left = getattr(faults, name)
            if left is None or count <= left:
                setattr(faults, name, None if left is None else left - count)
                continue
            setattr(faults, name, None)
            if name == "drop_mid_read":
                self._cut()
            if name == "remove_mid_read":
                path.unlink(missing_ok=True)
                error: asyncssh.SFTPError = asyncssh.SFTPNoSuchFile("The file is gone")
            else:
                faults.locked.append(path.name)
                error = asyncssh.SFTPPermissionDenied("The file is locked by another process")
            self._lost[file_obj.fileno()] = error
            raise error

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        return self._rename(super().rename, oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        return self._rename(super().posix_rename, oldpath, newpath)

    def _rename(self, rename: Callable[[bytes, bytes], Any], oldpath: bytes, newpath: bytes) -> Any:
        self._refuse_when_read_only()
        self._refuse_when_locked(oldpath)
        if self._sandbox.faults.no_rename:
            raise asyncssh.SFTPPermissionDenied("This account may not rename")
        result = rename(oldpath, newpath)
        if self._sandbox.faults.sweep:
            self._sweep(Path(os.fsdecode(self.map_path(newpath))))
        if self._sandbox.faults.drop_after_rename:
            self._sandbox.faults.drop_after_rename = False
            self._cut()
        return result

    def _sweep(self, path: Path) -> None:
        if path.name.startswith(".") or not path.is_file():
            return
        target = self._sandbox.swept_to / path.relative_to(self._sandbox.root.resolve())
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        self._sandbox.statistics.swept.append(target.as_posix())

    def remove(self, path: bytes) -> Any:
        self._refuse_when_read_only()
        self._refuse_when_locked(path)
        return super().remove(path)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> Any:
        self._refuse_when_read_only()
        if self._sandbox.faults.no_mkdir:
            raise asyncssh.SFTPPermissionDenied("This account may not make folders")
        return super().mkdir(path, attrs)

    def rmdir(self, path: bytes) -> Any:
        self._refuse_when_read_only()
        return super().rmdir(path)

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> Any:
        self._refuse_when_read_only()
        return super().setstat(path, attrs)

    def _refuse_when_read_only(self) -> None:
        if self._sandbox.faults.read_only:
            raise asyncssh.SFTPPermissionDenied("The folder is read-only")

    def _refuse_when_locked(self, path: bytes) -> None:
        if os.path.basename(os.fsdecode(path)) in self._sandbox.faults.locked:
            raise asyncssh.SFTPPermissionDenied("The file is locked by another process")

    def _cut(self) -> None:
        self._is_cut = True
        self.connection.abort()
        raise asyncssh.SFTPConnectionLost("Connection cut by the sandbox")
