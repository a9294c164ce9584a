"""A page of an OData table to columns: one typed decode; numbers stay the digits that the server sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
from msgspec.structs import astuple

from tieout.errors import ContractBroken
from tieout.odata.schema import FieldType
from tieout.systems.syspro.columns import build_batch
from tieout.systems.syspro.errors import Unreadable
from tieout.systems.syspro.tables import TableRead

_BOM = b"\xef\xbb\xbf"
_NULL = msgspec.Raw(b"null")
_exact: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)

KeyValues = tuple[str | int, ...]


@dataclass(frozen=True)
class Page:
    """A decoded page.

    Attributes:
        rows: Number of rows.
        values: Per column, see `tieout.systems.syspro.columns.build_batch`.
        first_key: Key of the first row, texts as the server wrote them; empty for an empty page.
        last_key: Key of the last row.
        count: `@odata.count`, if it was sent.
        next_link: `@odata.nextLink`, if it was sent.
        body: The page itself.
        skipped: How many of its rows are left out at its beginning.
    """

    rows: int
    values: dict[str, Sequence[Any]]
    first_key: KeyValues
    last_key: KeyValues
    count: int | None
    next_link: str | None
    body: bytes
    skipped: int = 0


class JsonPages:
    """Decodes the pages of one read."""

    def __init__(self, read: TableRead) -> None:
        self._read = read
        kinds = read.table.columns
        fields: list[Any] = []
        for number, name in enumerate(read.names):
            if kinds[name] in (FieldType.NUMBER, FieldType.INTEGER):
                fields.append((f"f{number}", msgspec.Raw, _NULL))
            else:
                fields.append((f"f{number}", str | None, None))
        rename = {f"f{number}": name for number, name in enumerate(read.names)}
        row = msgspec.defstruct("Row", fields, rename=rename, gc=False)
        page: list[Any] = [("value", list[row]), ("count", Any, None), ("link", Any, None)]  # type: ignore[valid-type]
        links = {"count": "@odata.count", "link": "@odata.nextLink"}
        self._rows: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("Page", page, rename=links, gc=False)
        )
        self._raw: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("RawPage", [("value", list[msgspec.Raw])], gc=False)
        )

    def decode(self, body: bytes) -> Page:
        """Reads a page.

        Raises:
            Unreadable: It is cut short, or no collection at all.
        """
        body = _as_utf8(body.removeprefix(_BOM))
        try:
            page = self._rows.decode(body)
        except msgspec.ValidationError:
            return self._decode_mixed(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreadable(_what_it_is(body)) from None
        columns = list(zip(*map(astuple, page.value), strict=True)) or [()] * len(self._read.names)
        values: dict[str, Sequence[Any]] = dict(zip(self._read.names, columns, strict=True))
        return self._page(values, len(page.value), page.count, page.link, body)

    def batch(self, page: Page, label: str) -> pa.RecordBatch:
        """The page's records that meet the conditions of the read.

        Raises:
            ContractBroken: A value is not of its column's type.
        """
        raw: list[bytes] = []
        if self._read.raw:
            raw = [bytes(record) for record in self._raw.decode(page.body).value[page.skipped :]]
        return build_batch(self._read, page.values, raw, label)

    def keys(self, page: Page) -> list[KeyValues]:
        """The keys of all rows."""
        return [self._key(page.values, position) for position in range(page.rows)]

    def _decode_mixed(self, body: bytes) -> Page:
        """Numbers where texts are declared, or the other way round: value by value."""
        try:
            page = _exact.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreadable(_what_it_is(body)) from None
        rows = page.get("value") if isinstance(page, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Unreadable("no collection of records")
        values = {name: [_as_text(row.get(name)) for row in rows] for name in self._read.names}
        return self._page(values, len(rows), page.get("@odata.count"), page.get("@odata.nextLink"), body)

    def _page(self, values: Mapping[str, Sequence[Any]], rows: int, count: Any, link: Any, body: bytes) -> Page:
        first, last = (self._key(values, 0), self._key(values, rows - 1)) if rows else ((), ())
        known = int(count) if isinstance(count, int | str) and str(count).isdigit() else None
        return Page(rows, dict(values), first, last, known, link if isinstance(link, str) and link else None, body)

    def _key(self, values: Mapping[str, Sequence[Any]], position: int) -> KeyValues:
        table = self._read.table
        return tuple(self._key_part(name, values[name][position], table.columns[name]) for name in table.key)

    def _key_part(self, name: str, value: Any, kind: FieldType) -> str | int:
        if kind is FieldType.TEXT:
            return value or ""
        text = value if isinstance(value, str) else bytes(value or b"null").decode()
        try:
            number = Decimal(text.strip('" '))
            if number == number.to_integral_value():
                return int(number)
        except ArithmeticError:
            pass
        raise ContractBroken(
            f"A page of {self._read.table.name} has a record with the key {name} = {text[:40]} where an integer is "
            f"expected; it cannot be told apart."
        )


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return msgspec.json.encode(value).decode()


def _as_utf8(body: bytes) -> bytes:
    """JSON is UTF-8, but a web server in between may have thought of Windows-1252."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace").encode()
    return body


def _what_it_is(body: bytes) -> str:
    if body[:64].lstrip().startswith(b"<"):
        return "a web page instead of data"
    return "the answer broke off" if body else "an empty answer"
