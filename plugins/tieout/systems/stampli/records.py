"""What a file is read into: one `SourceRecord` per invoice, vendor or payment, with the bytes it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tieout.errors import BadRecord

UNREADABLE_FILE = "UNREADABLE_FILE"
EMPTY_FILE = "EMPTY_FILE"
FILE_TOO_LARGE = "FILE_TOO_LARGE"
MISSING_COLUMN = "MISSING_COLUMN"
NO_LAYOUT = "NO_LAYOUT"

EXPORT_AGAIN = "Export the file again from Stampli, or correct its export template; the file itself is kept."
CORRECT_THE_LAYOUT = (
    "Correct the layout file in include/mappings, or the export template in Stampli; then replay the held file."
)


@dataclass(frozen=True)
class RecordProblem:
    """Why a record that can be told apart is not right.

    Attributes:
        reason_code: Stable upper-case name of the first problem, such as `HEADER_MISMATCH`.
        message: All problems of the record, with file and lines.
        fix_hint: Where and how to repair it.
        owner: Who does that: `finance` or `data engineer`.
    """

    reason_code: str
    message: str
    fix_hint: str
    owner: str = "finance"


@dataclass(frozen=True)
class SourceRecord:
    """One record of a file.

    Attributes:
        entity: `invoices`, `vendors` or `payments`.
        source_key: Its id in Stampli; `<file name>#<line>` where it has none; `file:<name>:<digest>` for a whole file.
        label: By what people know it: invoice number, vendor name, payment reference.
        payload: The original bytes, enough to be read again alone: CSV header row and the record's rows, or the
            record's XML element.
        content_type: What the payload is, for `read_payload`: encoding, delimiter, lines, key and file name.
        header: Every canonical header column → text, `Decimal`, int, or None; dates as `YYYY-MM-DD`.
        lines: The same per line.
        where: File and lines, for messages.
        byte_start: The first byte of the record's first row in its file.
        byte_end: The byte after its last row.
        problem: What is not right with it; None for a good record.
    """

    entity: str
    source_key: str
    label: str
    payload: bytes = field(repr=False)
    content_type: str
    header: Mapping[str, Any]
    lines: tuple[Mapping[str, Any], ...]
    where: str
    byte_start: int
    byte_end: int
    problem: RecordProblem | None = None


class UnreadableFile(BadRecord):
    """A file as a whole cannot be read: nothing of it was used, it is held with its bytes.

    Attributes:
        line: The line it went wrong in, from 1, where that is known.
    """

    def __init__(
        self,
        message: str,
        line: int | None = None,
        reason_code: str = UNREADABLE_FILE,
        fix_hint: str = EXPORT_AGAIN,
    ) -> None:
        super().__init__(message, reason_code=reason_code, fix_hint=fix_hint)
        self.line = line


@dataclass(frozen=True)
class Limits:
    """How large a file and its parts may be; what is larger is an `UnreadableFile`.

    Attributes:
        max_bytes: Of a file.
        max_rows: Rows of a CSV file (blank ones too), or lines of all records of an XML file.
        max_rows_per_record: Rows, or lines, of one record.
        max_record_bytes: Bytes of one record: what is held in memory at a time.
        max_field_bytes: Bytes of one value.
    """

    max_bytes: int = 200_000_000
    max_rows: int = 1_000_000
    max_rows_per_record: int = 10_000
    max_record_bytes: int = 32_000_000
    max_field_bytes: int = 100_000
