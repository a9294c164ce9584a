"""Files to deliver and a journal that remembers."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tieout.delivery import OutgoingFile

PARTNER = "partner"
PASSWORD = "s3cret-Pa55"


class Trail:
    """A journal in memory."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[int, str]]] = []

    def sending(self, temp_paths: Mapping[int, str]) -> None:
        self.events.append(("sending", dict(temp_paths)))

    def verified(self, verification: Mapping[int, str]) -> None:
        self.events.append(("verified", dict(verification)))


class StallingFile:
    """A local file whose reading stops after some bytes until it is told to go on, or fails there."""

    def __init__(self, data: bytes, stall_at: int, error: Exception | None = None) -> None:
        self._data, self._stall_at, self._error = data, stall_at, error
        self.stalled = threading.Event()
        self.go_on = threading.Event()

    def open(self, mode: str = "rb") -> IO[Any]:
        return _StallingReader(self, self._data)

    def pause(self) -> None:
        self.stalled.set()
        if self._error:
            raise self._error
        self.go_on.wait(60)

    @property
    def stall_at(self) -> int:
        return self._stall_at


class _StallingReader(io.BytesIO):
    def __init__(self, owner: StallingFile, data: bytes) -> None:
        super().__init__(data)
        self._owner = owner

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= self._owner.stall_at:
            self._owner.pause()
        return super().read(size)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that repeat from run to run and compress badly."""
    return random.Random(seed).randbytes(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def outgoing(local: Path, remote_path: str | Path, data: bytes | None = None, **fields: Any) -> OutgoingFile:
    """Write `data` to `local` (or take what is there) and describe it."""
    if data is not None:
        local.write_bytes(data)
    content = local.read_bytes()
    return OutgoingFile(fields.pop("file_id", 1), local, str(remote_path), len(content), sha256(content), **fields)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
