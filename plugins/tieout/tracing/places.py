"""Where in a file a record stands, and what stands there, as far as the file's bytes are still kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tieout.ledger import FileRow, Ledger
from tieout.tracing.kept import NotKept, kept_path, lies_locally, may_be_kept, open_kept, reading

LARGEST_FILE = 32 * 1024 * 1024
"""Bytes; of a larger file only the record is read, without the digest and without counting lines."""
LARGEST_RECORD = 256 * 1024
"""Bytes of a record that are looked at."""
LARGEST_EXCERPT = 2_000
MOST_SEGMENTS = 50
_X12 = b"ISA"
_ISA_LENGTH = 106  # X12.5: the header's fields have fixed lengths; the last character ends a segment


@dataclass(frozen=True)
class Place:
    """A record in a file.

    Attributes:
        file: The file's facts, with the record's byte range.
        head: The file's first bytes, at most `LARGEST_RECORD`; empty where they are not kept.
        content: The record's bytes; empty where they are not kept.
        first_line: Of the whole file, from 1; None where it was not counted.
        segments_before: Of an X12 file, how many segments stand before it.
    """

    file: Mapping[str, Any]
    head: bytes = b""
    content: bytes = b""
    first_line: int | None = None
    segments_before: int | None = None

    @property
    def is_x12(self) -> bool:
        """Whether the file is an X12 interchange."""
        return self.head.startswith(_X12) and len(self.head) >= _ISA_LENGTH

    def segments(self) -> list[list[str]]:
        """The record's X12 segments, each as its elements with the segment's id first."""
        if not self.is_x12:
            return []
        element, end = chr(self.head[3]), chr(self.head[_ISA_LENGTH - 1])
        parts = self.content.decode("utf-8", "replace").split(end)
        return [part.strip("\r\n").split(element) for part in parts if part.strip("\r\n ")]

    def as_json(self) -> dict[str, Any]:
        """The position for the page and the command."""
        lines = self.content.rstrip(b"\r\n").count(b"\n") if self.content else 0
        text = self.content.decode("utf-8", "replace")
        return {
            **{name: self.file[name] for name in ("file_id", "file_name", "remote_path", "byte_start", "byte_end")},
            "first_line": self.first_line,
            "last_line": None if self.first_line is None else self.first_line + lines,
            "segments": self._numbered() if self.is_x12 else None,
            "excerpt": text[:LARGEST_EXCERPT] or None,
        }

    def _numbered(self) -> list[dict[str, Any]]:
        before = self.segments_before
        return [
            {"number": None if before is None else before + number, "id": segment[0]}
            for number, segment in enumerate(self.segments()[:MOST_SEGMENTS], start=1)
        ]


class Places:
    """Looks records up in the files of one story; a file that has several of them is read once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows: dict[int, FileRow | None] = {}
        self._whole: tuple[int, bytes] = (0, b"")

    def kept(self, file: Mapping[str, Any]) -> bool | None:
        """Whether a file's bytes are there; None for an object store, which is not asked."""
        row = self._row(file["file_id"])
        if row is None:
            return False
        return may_be_kept(row) if lies_locally(row) else None

    def of(self, file: Mapping[str, Any]) -> Place:
        """The place in a file of a record whose byte range its facts name."""
        row = self._row(file["file_id"])
        if row is None or not may_be_kept(row):
            return Place(file)
        start, end = file["byte_start"], min(file["byte_end"], file["byte_start"] + LARGEST_RECORD)
        try:
            if row.bytes > LARGEST_FILE:
                return _in_large_file(file, row, start, end)
            whole = self._bytes(row)
        except NotKept:
            return Place(file)
        before = whole[:start]
        place = Place(file, whole[:LARGEST_RECORD], whole[start:end], before.count(b"\n") + 1)
        if not place.is_x12:
            return place
        passed = before.count(whole[_ISA_LENGTH - 1 : _ISA_LENGTH])
        return Place(file, place.head, place.content, place.first_line, passed)

    def _row(self, file_id: int) -> FileRow | None:
        if file_id not in self._rows:
            self._rows[file_id] = self._ledger.get_file(file_id)
        return self._rows[file_id]

    def _bytes(self, row: FileRow) -> bytes:
        """The whole file, its digest checked."""
        if self._whole[0] != row.id:
            with reading(row), open_kept(row) as file:
                self._whole = (row.id, file.read())
        return self._whole[1]


def _in_large_file(file: Mapping[str, Any], row: FileRow, start: int, end: int) -> Place:
    with reading(row), kept_path(row.local_uri).open("rb") as opened:
        head = opened.read(LARGEST_RECORD)
        opened.seek(start)
        return Place(file, head, opened.read(end - start))
