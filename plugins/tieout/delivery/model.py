"""What goes into a delivery and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import IO, Any, Literal, Protocol

from tieout.delivery.naming import temporary_path
from tieout.errors import ReceiverRefused

Verification = Literal["size", "server_hash", "read_back"]
Outcome = Literal["delivered", "already_there", "replaced"]


class NameTaken(ReceiverRefused):
    """The final name is that of something else already; nothing was overwritten. Concerns this one file alone."""


class LocalFile(Protocol):
    """A staged file: `pathlib.Path`, `UPath` or `ObjectStoragePath`."""

    def open(self, mode: Literal["rb"], /) -> IO[Any]:
        """Opens the file for reading bytes."""
        ...


@dataclass(frozen=True)
class OutgoingFile:
    """One file to deliver.

    Attributes:
        file_id: The ledger's number, handed back in journal and receipt.
        local: Where the bytes are.
        remote_path: Absolute POSIX path of the final name.
        size: Bytes.
        sha256: Of the bytes, lower-case hex.
        mode: Permission bits that the file ends with.
        may_replace: SHA-256s that we delivered under this name earlier; only those may be replaced.
    """

    file_id: int
    local: LocalFile
    remote_path: str
    size: int
    sha256: str
    mode: int = 0o664
    may_replace: frozenset[str] = frozenset()

    @property
    def temp_path(self) -> str:
        """The temporary name in the same folder, the same for every attempt at the same bytes."""
        return temporary_path(self.remote_path, self.sha256)


@dataclass(frozen=True)
class DeliveryOptions:
    """How to deliver.

    Attributes:
        verification: The rung of the ladder: `auto` is the server's own hash where it has one, else read-back;
            `size` compares sizes only and has to be asked for.
        create_directories: Make missing folders.
        directory_mode: Permission bits of folders we make.
        concurrency: Files in flight on the one connection.
        resume: Go on with a partial temporary file whose bytes are proved to be ours.
        ordered: Give the final names in the order of the files: the request for one leaves after those before it have
            left, without waiting for their answers, and servers such as OpenSSH do one after the other. Uploads begin
            in that order, too. A name that fails does not hold up those behind it.
    """

    verification: Literal["auto", "size", "server_hash", "read_back"] = "auto"
    create_directories: bool = True
    directory_mode: int = 0o755
    concurrency: int = 128
    resume: bool = True
    ordered: bool = False


@dataclass(frozen=True)
class Receipt:
    """What was proved of one file.

    Attributes:
        file_id: As given.
        remote_path: The final name.
        bytes: Size.
        sha256: Of the bytes.
        verification: The rung that was reached, under the temporary name before the rename.
        outcome: `delivered` (new), `already_there` (same bytes were there) or `replaced` (over our earlier bytes).
        delivered_at: When, in UTC.
    """

    file_id: int
    remote_path: str
    bytes: int
    sha256: str
    verification: Verification
    outcome: Outcome
    delivered_at: datetime


class Journal(Protocol):
    """Told before a step happens, so that a crash leaves a truthful trail.

    Called from a worker thread, in batches; may block on a database. What it raises stops the delivery:
    a journal that raises `Superseded` in `verified` keeps an outdated attempt from renaming anything.
    """

    def sending(self, temp_paths: Mapping[int, str]) -> None:
        """These files (id → temporary path) are about to be written."""
        ...

    def verified(self, verification: Mapping[int, str]) -> None:
        """These (id → rung) are complete under their temporary names and about to be renamed."""
        ...


@dataclass(frozen=True)
class Capabilities:
    """What a server can do. Only `exec_sha256` costs a question; the rest comes with the session's start.

    Attributes:
        server_version: The server's own identification.
        posix_rename: Atomic rename over an existing file.
        fsync: Flush to disk on request.
        statvfs: Tells free space.
        check_file: Hashes a file by the `check-file` extension.
        exec_sha256: Runs `sha256sum` on request; None: not asked, as the connection does not allow commands.
        max_read: Largest read request in bytes.
        max_write: Largest write request in bytes.
        max_open_files: Handles at a time; 0: not told.
    """

    server_version: str = ""
    posix_rename: bool = False
    fsync: bool = False
    statvfs: bool = False
    check_file: bool = False
    exec_sha256: bool | None = None
    max_read: int = 16384
    max_write: int = 16384
    max_open_files: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values, for storing."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Capabilities:
        """The inverse of `to_json`; unknown names are ignored."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


@dataclass(frozen=True)
class FolderCheck:
    """Whether a folder can take files.

    Attributes:
        path: The folder.
        exists: It is there and is a folder.
        writable: A temporary file could be made and removed.
        clock_skew_seconds: Server's clock minus ours, to about a second; None when it could not be seen.
        problem: What is wrong, in a sentence; empty when all is well.
    """

    path: str
    exists: bool
    writable: bool
    clock_skew_seconds: float | None = None
    problem: str = ""
