"""What is read from Banqup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Space:
    """A business, or a partner, that lets the application in.

    Attributes:
        id: UUID.
        name: As Banqup has it.
        type: `BUSINESS` or another of Banqup's words.
    """

    id: str
    name: str
    type: str


@dataclass(frozen=True)
class DocumentQuery:
    """One list of documents; folder, category and status in Banqup's words (`tieout.systems.banqup.surface`).

    Attributes:
        folder: `PURCHASES`, `SALES` or `BANK`.
        category: `INVOICE`, `CREDIT_NOTE` or `ENRICHED_MOVEMENT_REPORT`.
        status: The document's state, such as `APPROVED`.
        updated_from: Changed from this moment on, aware.
        updated_to: Changed up to this moment, aware; None: up to now. Whether the moment itself belongs to it is the
            service's own affair.
    """

    folder: str
    category: str
    status: str
    updated_from: datetime
    updated_to: datetime | None = None

    def __post_init__(self) -> None:
        """Moments without a zone would be read in the zone of whatever machine this is."""
        for moment in (self.updated_from, self.updated_to):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{moment.isoformat()} has no time zone")

    def __str__(self) -> str:
        """For messages."""
        return f"{self.folder}/{self.category}/{self.status}"


@dataclass(frozen=True)
class Document:
    """A document as the list has it.

    Attributes:
        id: UUID.
        folder: `PURCHASES`, `SALES` or `BANK`; empty where the row does not say.
        category: `INVOICE`, `CREDIT_NOTE` or `ENRICHED_MOVEMENT_REPORT`; empty where the row does not say.
        status: State of the document, such as `APPROVED`; empty where the row does not say.
        pay_status: State of its payment, such as `UNPAID`; empty where the row does not say.
        status_at: Moment of the last document status: of approval or sending. Aware UTC.
        file_id: Its file; None where it has none.
        number: Document number; may be empty.
        issue_date: Business date, `YYYY-MM-DD`, never shifted between zones.
        created_at: Aware UTC.
        updated_at: Aware UTC, cut to microseconds; a payment moves it, too.
        raw: The whole row; numbers with a decimal point are `Decimal`.
    """

    id: str
    folder: str
    category: str
    status: str
    pay_status: str
    status_at: datetime | None
    file_id: str | None
    number: str
    issue_date: str | None
    created_at: datetime | None
    updated_at: datetime
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class FileDetails:
    """What Banqup says of a file.

    Attributes:
        id: UUID.
        name: File name; may be empty.
        content_type: Media type; may be empty.
        size: Bytes, where it says so.
        status: `AVAILABLE`, or why it cannot be had.
        url: Signed, hence as good as a password; may be relative to the base URL, and empty.
    """

    id: str
    name: str
    content_type: str
    size: int | None
    status: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Downloaded:
    """A file.

    Attributes:
        data: Its bytes, untouched.
        sha256: Of the bytes, lower-case hex.
        file_name: As Banqup names it; may be empty.
        content_type: Media type as Banqup names it; may be empty.
    """

    data: bytes = field(repr=False)
    sha256: str
    file_name: str
    content_type: str
