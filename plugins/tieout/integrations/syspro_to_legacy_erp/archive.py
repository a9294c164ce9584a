"""The exact bytes of everything that went, kept for sending them again.

<archive>/<first 16 of the SHA-256>/<file name>
<archive>/<first 16 of the SHA-256>/<file name>.json    a data file's manifest, which says what period it is of
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tieout.errors import ConfigurationInvalid, DoesNotTieOut
from tieout.ledger import FileRow, Filters, Ledger, Scope
from tieout.staging import Folder, StagedPath, local_path, write_bytes_atomically


def archived(archive: Folder, sha256: str, file_name: str) -> StagedPath:
    """Where the bytes of a file are."""
    return archive / sha256[:16] / file_name


def keep(archive: Folder, source: StagedPath, sha256: str, file_name: str) -> StagedPath:
    """Keep a prepared file; returns where."""
    target = archived(archive, sha256, file_name)
    folder = archive / sha256[:16]
    folder.mkdir(parents=True, exist_ok=True)
    local_source, local_target = local_path(source), local_path(target)
    if local_source is not None and local_target is not None:
        # A second name for the same bytes where the disk allows it: they are never changed in place.
        temporary = local_target.with_name(f".{local_target.name}.new")
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(local_source)
        except OSError:
            shutil.copyfile(local_source, temporary)
        temporary.replace(local_target)
        return target
    with source.open("rb") as file:
        write_bytes_atomically(target, iter(lambda: file.read(1024 * 1024), b""))
    return target


def keep_bytes(archive: Folder, content: bytes, sha256: str, file_name: str) -> StagedPath:
    """Keep a small file beside the data file whose digest it is filed under; returns where."""
    folder = archive / sha256[:16]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file_name
    write_bytes_atomically(target, [content])
    return target


def manifest_name(file_name: str) -> str:
    """What a data file's manifest is called in the archive, whatever the partner calls it."""
    return f"{file_name}.json"


def manifest_of(archive: Folder, file: FileRow) -> Mapping[str, Any]:
    """What the manifest of a delivered data file said; empty where the archive does not know it."""
    path = archived(archive, file.sha256, manifest_name(file.file_name))
    if not path.exists():
        return {}
    with path.open("rb") as stream:
        found: dict[str, Any] = json.loads(stream.read())
    return found


def files_to_resend(ledger: Ledger, archive: Folder, scope: Scope, period: str, names: Sequence[str]) -> list[FileRow]:
    """Delivered data files that are asked for again, the oldest first; each name once.

    Args:
        ledger: Knows what was delivered.
        archive: Has the bytes.
        scope: Whose files.
        period: Only files of this period, YYYYPP; empty for any.
        names: Names of files or entities; `all` stands for every entity.
    """
    delivered = ledger.files(Filters(scope.integration, scope.instance, scope.entity, status="delivered"))
    found: dict[str, FileRow] = {}
    for file in reversed(delivered):
        named = file.file_name in names
        whole = "all" in names or scope.entity in names
        if file.kind == "data" and (named or whole) and (not period or _period_of(ledger, archive, file) == period):
            found.setdefault(file.sha256, file)
    return list(found.values())


def _period_of(ledger: Ledger, archive: Folder, file: FileRow) -> str:
    """YYYYPP; its run's, where the archive has lost the file: that is for `check_archived` to say."""
    run = None if (told := manifest_of(archive, file)) else ledger.get_run(file.key)
    return str(run.window.get("period") if run else told.get("period"))


def check_archived(archive: Folder, files: Iterable[FileRow]) -> None:
    """See that the bytes are there and what they were.

    Raises:
        ConfigurationInvalid: They are not in the archive any more.
        DoesNotTieOut: They are other bytes than those that went.
    """
    for file in files:
        path = archived(archive, file.sha256, file.file_name)
        if not path.exists():
            raise ConfigurationInvalid(
                f"The archive has no {file.file_name} any more ({path}), so it cannot be sent again byte for byte. "
                "Restore the archive, or use `regenerate`."
            )
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1024 * 1024), b""):
                digest.update(chunk)
        if digest.hexdigest() != file.sha256:
            raise DoesNotTieOut(
                f"The archived {file.file_name} is not what was sent: its SHA-256 differs. Restore the archive, or use "
                "`regenerate`; nothing was sent."
            )
