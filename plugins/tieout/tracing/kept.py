"""The bytes of the ledger's files, where they are still kept: each integration's staging, or its archive there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tieout.errors import TieoutError
from tieout.ledger import FileRow

if TYPE_CHECKING:
    from tieout.staging import StagedPath

PIECE = 1024 * 1024
"""Bytes at a time."""


class NotKept(TieoutError):
    """The bytes are not there any more, or are not those that the ledger has the digest of; says which."""


def kept_path(local_uri: str) -> StagedPath:
    """Where the ledger says that a file's bytes are: a plain path, or one in an object store."""
    local = _local(local_uri)
    if local is not None:
        return local
    from airflow.sdk import ObjectStoragePath

    found: StagedPath = ObjectStoragePath(local_uri)
    return found


def lies_locally(row: FileRow) -> bool:
    """Whether a file's bytes are, or were, on a disk of this machine."""
    return _local(row.local_uri) is not None


def may_be_kept(row: FileRow) -> bool:
    """Whether a file's bytes are there; of an object store, which is slow to ask, whether they may be."""
    path = _local(row.local_uri)
    try:
        return path is None or path.stat().st_size == row.bytes
    except (OSError, ValueError):
        return False


def open_kept(row: FileRow) -> IO[bytes]:
    """A file's bytes, at their beginning; all of them are checked against the ledger's digest before.

    The caller closes the file.

    Raises:
        NotKept: They are gone, cannot be read, or are others.
    """
    with reading(row):
        file: IO[bytes] = kept_path(row.local_uri).open("rb")
        try:
            _check(file, row)
        except BaseException:
            file.close()
            raise
        return file


@contextmanager
def reading(row: FileRow) -> Iterator[None]:
    """Around whatever reads a file's bytes.

    Raises:
        NotKept: They are gone or cannot be read.
    """
    try:
        yield
    except NotKept:
        raise
    except FileNotFoundError:
        raise NotKept(
            f"The bytes of {row.file_name} are not kept any more: its run's staging was cleared, or lies on another "
            "machine. The ledger has their SHA-256, the receiver the file."
        ) from None
    except Exception as error:
        # A bucket's library, or Airflow looking for its connection, raises errors of kinds of its own.
        if not isinstance(error, (OSError, ValueError)) and lies_locally(row):
            raise
        raise NotKept(
            f"The bytes of {row.file_name} cannot be read in staging now ({type(error).__name__}); try again, or ask "
            "the administrator whether this server may read TIEOUT_STAGING and, where that is a bucket, has its "
            "library and its connection."
        ) from None


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of an open file, which is closed in the end."""
    with file:
        while piece := file.read(PIECE):
            yield piece


def _local(local_uri: str) -> Path | None:
    parts = urlsplit(local_uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in local_uri else Path(local_uri)


def _check(file: IO[bytes], row: FileRow) -> None:
    """Compare everything with the digest, and go back to the beginning of the same open file.

    Raises:
        NotKept: It is another.
    """
    digest, size = hashlib.sha256(), 0
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
    if (digest.hexdigest(), size) != (row.sha256, row.bytes):
        raise NotKept(
            f"What is kept of {row.file_name} is not what the ledger has the SHA-256 of ({size} bytes instead of "
            f"{row.bytes}, or others): a later attempt of its run has replaced it. Nothing is given out."
        )
    file.seek(0)
