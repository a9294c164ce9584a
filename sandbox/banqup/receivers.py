"""The clients' SFTP servers: some have one of their own, the others share one; each has its own user and folder."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.sftp import SftpSandbox, SftpUser


@dataclass(frozen=True)
class ReceivedFile:
    """A file that lies at a client's.

    Attributes:
        path: As the client sees it, from `/`.
        mode: Permission bits.
        modified: Time of modification, in nanoseconds.
    """

    path: str
    data: bytes = field(repr=False)
    mode: int
    modified: int

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.path.rpartition("/")[2]

    @property
    def sha256(self) -> str:
        """Of its bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def document_id(self) -> str:
        """What stands between the last underscore and the ending: the document's id in a name of ours."""
        return self.name.rpartition(".")[0].rpartition("_")[2]


class ReceiverServer:
    """An SFTP server that can be taken down and comes back on the same port with the same key.

    Args:
        root: Folder with one folder per user.
    """

    def __init__(self, root: Path, users: list[SftpUser]) -> None:
        self.sftp = SftpSandbox(root, users)
        self._placeholder: socket.socket | None = None
        self._running = False

    @property
    def is_up(self) -> bool:
        """Whether clients can connect."""
        return self._running

    def up(self) -> None:
        """Starts serving, again on the port that it had; harmless when it runs."""
        if self._running:
            return
        self._release_port()
        self.sftp.start()
        self._running = True

    def down(self, *, silent: bool = False) -> None:
        """Refuses connections from now on, or with `silent` takes them and never says a word.

        The port stays taken meanwhile, so that nobody else gets it.
        """
        self.stop()
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind((self.sftp.host, self.sftp.port))
        if silent:
            self._placeholder.listen(16)

    def stop(self) -> None:
        """Stops for good; harmless when not running."""
        self._running = False
        self.sftp.stop()
        self._release_port()

    def _release_port(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None


@dataclass(frozen=True)
class Receiver:
    """Where one client's files go.

    Attributes:
        conn_id: Id of the Airflow connection.
    """

    external_id: str
    conn_id: str
    server: ReceiverServer
    user: SftpUser

    @property
    def folder(self) -> Path:
        """What the user sees as `/`."""
        return self.server.sftp.root / self.user.folder

    def connection(self) -> dict[str, object]:
        """The Airflow connection, host key pinned."""
        sftp = self.server.sftp
        return {
            "conn_type": "sftp", "host": sftp.host, "port": sftp.port, "login": self.user.name,
            "password": self.user.password, "extra": {"host_key": sftp.host_key},
        }  # fmt: skip

    def environment(self) -> dict[str, str]:
        """`AIRFLOW_CONN_<CONN_ID>`."""
        return {f"AIRFLOW_CONN_{self.conn_id.upper()}": json.dumps(self.connection())}


def make_receivers(root: Path, clients: Iterable[tuple[str, str]], *, own_servers: int) -> dict[str, Receiver]:
    """Receivers by external id: the first with servers of their own, the rest on one.

    Args:
        root: Folder with one folder per server and client.
        clients: External id and connection id of each.
        own_servers: How many clients have a server of their own.
    """
    users = [
        (external_id, conn_id, SftpUser(external_id.lower(), f"{external_id} & key 1", folder=external_id))
        for external_id, conn_id in clients
    ]
    alone, together = users[:own_servers], users[own_servers:]
    servers = [ReceiverServer(root / user.folder, [user]) for _, _, user in alone]
    if together:
        servers.append(ReceiverServer(root / "shared", [user for _, _, user in together]))
    return {
        external_id: Receiver(external_id, conn_id, servers[min(index, own_servers)], user)
        for index, (external_id, conn_id, user) in enumerate(users)
    }


def received(receiver: Receiver) -> list[ReceivedFile]:
    """All files at a client's, unfinished ones too, by path."""
    found = []
    for folder, _, names in os.walk(receiver.folder):
        for path in (Path(folder) / name for name in names):
            # A file may be renamed while one looks.
            with suppress(FileNotFoundError):
                data, status = path.read_bytes(), path.stat()
                shown = f"/{path.relative_to(receiver.folder).as_posix()}"
                found.append(ReceivedFile(shown, data, stat.S_IMODE(status.st_mode), status.st_mtime_ns))
    return sorted(found, key=lambda file: file.path)
