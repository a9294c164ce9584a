"""Lists of documents: the parameters, the rows, the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

from sandbox.banqup.documents import CATEGORIES, FOLDERS, STATUSES, Document
from sandbox.banqup.faults import Settings

PARAMETERS = ("folder", "category", "documentStatus", "updatedFrom", "updatedTo", "page", "size")
DEFAULT_SIZE = 20
_CHOICES = {"folder": FOLDERS, "category": CATEGORIES, "documentStatus": STATUSES}
_BRUSSELS_WINTER = timezone(timedelta(hours=1))


class BadRequest(Exception):
    """A request the service refuses with 400; the text is its message."""


@dataclass(frozen=True)
class Query:
    """What is asked for; None does not restrict."""

    folder: str | None
    category: str | None
    status: str | None
    updated_from: datetime | None
    updated_to: datetime | None
    page: int
    size: int


def parameters(query: str, known: tuple[str, ...] = ()) -> dict[str, str]:
    """The query's parameters. Raises BadRequest for an unknown one and for one that comes twice."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise BadRequest(f"Unknown parameter '{name}'")
        if name in found:
            raise BadRequest(f"Parameter '{name}' is given twice")
        found[name] = value
    return found


def parse(query: str, most: int) -> Query:
    """The query of a list. Raises BadRequest."""
    given = parameters(query, PARAMETERS)
    for name, choices in _CHOICES.items():
        if name in given and given[name] not in choices:
            raise BadRequest(f"'{given[name]}' is no {name}; choose one of {', '.join(choices)}")
    size = _number(given, "size", DEFAULT_SIZE, 1)
    if size > most:
        raise BadRequest(f"size must be between 1 and {most}")
    return Query(
        given.get("folder"), given.get("category"), given.get("documentStatus"), _moment(given, "updatedFrom"),
        _moment(given, "updatedTo"), _number(given, "page", 0, 0), size,
    )  # fmt: skip


def _number(given: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = given.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise BadRequest(f"{name} must be a whole number of {least} or more")
    return int(text)


def _moment(given: Mapping[str, str], name: str) -> datetime | None:
    if name not in given:
        return None
    try:
        moment = datetime.fromisoformat(given[name])
    except ValueError:
        raise BadRequest(f"{name} is no ISO 8601 date and time") from None
    if moment.tzinfo is None:
        raise BadRequest(f"{name} has no time zone")
    return moment


def select(documents: list[Document], query: Query, settings: Settings) -> list[Document]:
    """The rows of the whole list, in its order."""
    rows = [document for document in documents if _matches(document, query, settings)]
    rows.sort(key=lambda row: (row.updated_at, row.id) if settings.order == "updated" else row.id)
    if settings.rows_twice_every:
        rows = [
            row for index, row in enumerate(rows, 1) for row in [row] * (1 + (index % settings.rows_twice_every == 0))
        ]
    return rows


def _matches(document: Document, query: Query, settings: Settings) -> bool:
    wanted = ((query.folder, document.folder), (query.category, document.category), (query.status, document.status))
    if any(value not in (None, actual) for value, actual in wanted):
        return False
    if query.updated_to is not None and document.updated_at > query.updated_to:
        return False
    if query.updated_from is None or settings.updated_from == "ignored":
        return True
    if settings.updated_from == "exclusive":
        return document.updated_at > query.updated_from
    return document.updated_at >= query.updated_from


def page(rows: list[Document], query: Query, settings: Settings, space_name: str) -> dict[str, Any]:
    """One page of a list."""
    start = query.page * query.size
    return {
        "content": [row_of(row, settings, space_name) for row in rows[start : start + query.size]],
        "page": query.page,
        "size": query.size,
        "totalElements": len(rows),
        "totalPages": -(-len(rows) // query.size),
    }


def row_of(document: Document, settings: Settings, space_name: str) -> dict[str, Any]:
    """A document as the API gives it."""
    role = "SUPPLIER" if document.folder == "PURCHASES" else "CUSTOMER"
    other = {"displayName": document.counterparty, "relationType": role, "id": _connection_id(document)}
    own = {"displayName": space_name, "relationType": "OWNER", "id": document.space_id}
    return {
        "id": document.id,
        "folder": document.folder,
        "category": document.category,
        "status": {"pay": document.pay, "delivery": document.delivery, "document": document.status},
        "statusDates": {
            "document": timestamp(document.status_at, settings),
            "pay": timestamp(document.pay_at, settings),
        },
        "fileId": document.file_id,
        "documentNumber": document.number,
        "issueDate": document.issue_date,
        "createdAt": timestamp(document.created_at, settings),
        "updatedAt": timestamp(document.updated_at, settings),
        "connections": [other, own] if document.counterparty else [own],
    }


def _connection_id(document: Document) -> str:
    """Some stable id of the other party."""
    return f"{document.space_id[:24]}{sum(document.counterparty.encode()):012d}"


def timestamp(moment: datetime | None, settings: Settings) -> str | None:
    """A moment in the service's form, cut off (not rounded) to its precision."""
    if moment is None:
        return None
    shown = moment.astimezone(_BRUSSELS_WINTER) if settings.zone == "offset" else moment
    whole, fraction = shown.strftime("%Y-%m-%dT%H:%M:%S"), f"{shown.microsecond:06d}"
    digits = {"milliseconds": fraction[:3], "microseconds": fraction, "nanoseconds": f"{fraction}000", "seconds": ""}
    text = f"{whole}.{digits[settings.timestamps]}".rstrip(".")
    return text + {"z": "Z", "offset": "+01:00", "none": ""}[settings.zone]
