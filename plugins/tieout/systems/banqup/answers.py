"""Banqup's answers: bytes in, typed values out. The names are those of `surface`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from tieout.errors import ContractBroken
from tieout.systems.banqup import surface
from tieout.systems.banqup.errors import Unreadable
from tieout.systems.banqup.model import Document, FileDetails, Space
from tieout.systems.banqup.timestamps import parse_moment

_LONGEST_MESSAGE = 300
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True)
class Page:
    """One page of a list of documents.

    Attributes:
        rows: As they came.
        size: Rows per page that the service says it gives; None where it does not say.
        pages: How many pages there are; None where it does not say.
    """

    rows: tuple[Document, ...]
    size: int | None
    pages: int | None


@dataclass(frozen=True)
class Token:
    """An access token.

    Attributes:
        text: The token itself.
        seconds: How long it is valid; None where the service does not say.
    """

    text: str = field(repr=False)
    seconds: float | None


def read_token(body: bytes) -> Token | None:
    """The token of a 200; None where there is none in it."""
    found = _decoded(body)
    text = found.get(surface.ACCESS_TOKEN) if isinstance(found, dict) else None
    if not isinstance(text, str) or not text.strip() or not text.strip().isascii() or not text.strip().isprintable():
        return None
    try:
        seconds = float(str(found.get(surface.EXPIRES_IN)))
    except ValueError:
        return Token(text.strip(), None)
    return Token(text.strip(), seconds if 0 < seconds < float("inf") else None)


def read_spaces(body: bytes, where: str) -> tuple[list[Space], int]:
    """Spaces, and how many pages of them there are.

    Raises:
        ContractBroken: This is no list of spaces.
    """
    answer = _mapping(body, where)
    spaces = []
    for row in _rows(answer, (surface.SPACES, surface.CONTENT), where):
        space_id = _identity(row, where)
        spaces.append(Space(space_id, _text(row, surface.SPACE_NAME), _text(row, surface.SPACE_TYPE)))
    return spaces, _number(answer, surface.TOTAL_PAGES) or 1


def read_page(body: bytes, where: str) -> Page:
    """One page of a list of documents.

    Raises:
        ContractBroken: This is no such list, or a row has no id or no time of change.
    """
    answer = _mapping(body, where)
    rows = tuple(_document(row, where) for row in _rows(answer, (surface.CONTENT,), where))
    return Page(rows, _number(answer, surface.SIZE), _number(answer, surface.TOTAL_PAGES))


def read_document(body: bytes, where: str) -> Document:
    """One document.

    Raises:
        ContractBroken: This is none, or it has no id or no time of change.
    """
    return _document(_mapping(body, where), where)


def read_file(body: bytes, file_id: str, where: str) -> FileDetails:
    """What is said of a file.

    Raises:
        ContractBroken: This is no description of a file.
    """
    row = _mapping(body, where)
    return FileDetails(
        id=file_id,
        name=_text(row, surface.FILE_NAME),
        content_type=_text(row, surface.CONTENT_TYPE),
        size=_number(row, surface.FILE_SIZE),
        status=_text(row, surface.FILE_STATUS),
        url=_text(row, surface.DOWNLOAD_URL),
    )


def read_error(body: bytes) -> str:
    """The sentence of an error's body, on one line and not too long; empty where it has none."""
    found = _decoded(body)
    values = [found.get(name) for name in surface.ERROR_FIELDS] if isinstance(found, dict) else []
    for value in values:
        if isinstance(value, dict):
            value = value.get(surface.ERROR_FIELDS[0])
        if isinstance(value, str) and value.strip():
            text = " ".join(value.split())
            return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "..."
    return ""


def read_error_code(body: bytes) -> str:
    """OAuth's word for a refusal, such as `invalid_client`; empty where there is none."""
    found = _decoded(body)
    code = found.get("error") if isinstance(found, dict) else None
    return code if isinstance(code, str) and len(code) <= 60 and " " not in code else ""


def _document(row: Mapping[str, Any], where: str) -> Document:
    document_id = _identity(row, where)
    at = f"{where}, document {document_id},"
    updated_at = _moment(row, surface.UPDATED_AT, at)
    if updated_at is None:
        raise ContractBroken(f"{at} has no {surface.UPDATED_AT}; without it nobody knows how far the list was read.")
    status = _section(row, surface.STATUS)
    return Document(
        id=document_id,
        folder=_text(row, surface.FOLDER),
        category=_text(row, surface.CATEGORY),
        status=_text(status, surface.OF_DOCUMENT),
        pay_status=_text(status, surface.OF_PAYMENT),
        status_at=_moment(_section(row, surface.STATUS_DATES), surface.OF_DOCUMENT, at),
        file_id=_text(row, surface.FILE_ID) or None,
        number=_text(row, surface.NUMBER),
        issue_date=_text(row, surface.ISSUE_DATE)[:10] or None,
        created_at=_moment(row, surface.CREATED_AT, at),
        updated_at=updated_at,
        raw=row,
    )


def _decoded(body: bytes) -> Any:
    try:
        return _DECODER.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _mapping(body: bytes, where: str) -> Mapping[str, Any]:
    found = _decoded(body)
    if found is None:
        raise Unreadable(f"{where} is not JSON. Check that the connection's host is Banqup's API.")
    if not isinstance(found, dict):
        raise ContractBroken(f"{where} is no JSON object. Check that the connection's host is Banqup's API.")
    return found


def _rows(answer: Mapping[str, Any], names: tuple[str, ...], where: str) -> list[Mapping[str, Any]]:
    rows = next((answer[name] for name in names if name in answer), None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ContractBroken(f"{where} has no list {names[0]!r}; Banqup's interface has changed.")
    return rows


def _identity(row: Mapping[str, Any], where: str) -> str:
    found = _text(row, surface.ID)
    if not found:
        raise ContractBroken(f"{where} has an entry without {surface.ID}; it cannot be told apart from others.")
    return found


def _section(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""


def _number(row: Mapping[str, Any], name: str) -> int | None:
    text = _text(row, name)
    return int(text) if text.isascii() and text.isdigit() else None


def _moment(row: Mapping[str, Any], name: str, at: str) -> datetime | None:
    text = _text(row, name)
    if not text:
        return None
    try:
        return parse_moment(text)
    except ValueError:
        raise ContractBroken(
            f"{at} has {name} = {text[:40]!r}, which is no ISO 8601 moment; Banqup's interface has changed."
        ) from None
