"""Stampli's end of the folder: puts files for collection, whole or in pieces, and looks at what became of them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sandbox.stampli.csv_files import CsvStyle, csv_file
from sandbox.stampli.text_records import TextRecord
from sandbox.stampli.xml_files import XmlStyle, xml_file


def file_name(entity: str, company_id: str, moment: datetime, extension: str) -> str:
    """`<entity>_<companyId>_<YYYYMMDDTHHMMSSZ>.<extension>`; the moment is aware."""
    return f"{entity}_{company_id}_{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}.{extension}"


def export_file(entity: str, records: list[TextRecord], style: CsvStyle | XmlStyle, *, company_id: str = "C1") -> bytes:
    """A file in the style's own format."""
    if isinstance(style, CsvStyle):
        return csv_file(entity, records, style)
    return xml_file(entity, records, style, company_id=company_id)


@dataclass
class _Upload:
    content: bytes
    sent: int = 0


@dataclass
class StampliDrop:
    """The folder that the SFTP server shows as `/`.

    Attributes:
        root: Holds `outbound/` (Stampli puts, others collect) and `inbound/purchase_orders/` (Stampli receives).
    """

    root: Path
    _uploads: dict[str, _Upload] = field(default_factory=dict, repr=False)

    @property
    def outbound(self) -> Path:
        """Where files wait for collection."""
        return self.root / "outbound"

    def prepare(self) -> None:
        """Makes the folders."""
        self.outbound.mkdir(parents=True, exist_ok=True)
        (self.root / "inbound" / "purchase_orders").mkdir(parents=True, exist_ok=True)

    def put(self, name: str, content: bytes, *, at: datetime | None = None) -> Path:
        """Puts a file whole: it gets its name when all of it is there. What had the name is replaced.

        Args:
            name: File name without a folder.
            content: All of it.
            at: The time the file bears; now by default.
        """
        self.prepare()
        target = self._path(name)
        temporary = target.with_name(f".{name}.uploading")
        temporary.write_bytes(content)
        if at is not None:
            os.utime(temporary, (at.timestamp(), at.timestamp()))
        os.replace(temporary, target)
        return target

    def begin_upload(self, name: str, content: bytes, first: int = 0) -> Path:
        """Begins to write a file under its final name, so that everybody sees half of it: `first` bytes for now."""
        self.prepare()
        path = self._path(name)
        path.write_bytes(b"")
        self._uploads[name] = _Upload(content)
        self.continue_upload(name, first)
        return path

    def continue_upload(self, name: str, count: int) -> int:
        """Writes `count` more bytes and returns how many are still to come. Raises KeyError for no such upload."""
        upload = self._uploads[name]
        piece = upload.content[upload.sent : upload.sent + count]
        with self._path(name).open("ab") as file:
            file.write(piece)
        upload.sent += len(piece)
        return len(upload.content) - upload.sent

    def finish_upload(self, name: str) -> Path:
        """Writes the rest. Raises KeyError for no such upload."""
        self.continue_upload(name, len(self._uploads[name].content))
        del self._uploads[name]
        return self._path(name)

    def remove(self, name: str) -> None:
        """Takes a file back. Raises KeyError when it is not there."""
        if not self._path(name).is_file():
            raise KeyError(name)
        self._path(name).unlink()

    def waiting(self) -> list[str]:
        """Names of the files in the folder, as clients see them, by name."""
        if not self.outbound.is_dir():
            return []
        return sorted(path.name for path in self.outbound.iterdir() if stat.S_ISREG(path.stat().st_mode))

    def archived(self) -> list[str]:
        """Files in the archive: `YYYY/MM/<name>`."""
        archive = self.outbound / "archive"
        return sorted(path.relative_to(archive).as_posix() for path in archive.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        """A file's bytes: by its name while it waits, by `archive/YYYY/MM/<name>` later. Raises KeyError."""
        path = self.outbound / name
        if not path.is_file():
            raise KeyError(name)
        return path.read_bytes()

    def _path(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise ValueError(f"{name!r} is no plain file name.")
        return self.outbound / name
