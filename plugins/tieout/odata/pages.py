"""One JSON page of an OData collection to an Arrow table in the staged layout, with exact numbers.

Two ways lead to the same table. The fast one, `tieout.odata.decoding`, takes whole columns, numbers from their JSON
text. It refuses what it cannot do exactly (a number where text is declared, more than 20 decimals, values of mixed
kinds); such a page goes the slow way, value by value, in `tieout.odata.exact`. No amount ever is a float in either.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from tieout.errors import ContractBroken
from tieout.odata.custom_fields import Discovered, discover, mentions
from tieout.odata.decoding import NotFast, PageDecoder
from tieout.odata.exact import NotAsDeclared, exact_columns
from tieout.odata.layout import RAW, staged_schema
from tieout.odata.schema import RecordSchema

_BOM = b"\xef\xbb\xbf"
_DECODERS = 32


@dataclass(frozen=True)
class ParsedPage:
    """A page's records.

    Attributes:
        table: In the layout of `tieout.odata.layout.staged_schema`.
        custom_fields: Custom field names found, by level, sorted; a level without any is absent.
    """

    table: pa.Table
    custom_fields: dict[str, tuple[str, ...]]


class PageReader:
    """Reads pages of one entity. Not for several threads at once: give each its own.

    Args:
        schema: What is wanted of a record.
        entity: Name of the entity, for messages.
        key: Property that identifies a record.
        record_path: Name of a collection whose elements are the records; the members of `value` are their parents.
    """

    def __init__(self, schema: RecordSchema, *, entity: str, key: str, record_path: str | None = None) -> None:
        self._schema = schema
        self._entity = entity
        self._key = key
        self._record_path = record_path
        self._raw_records: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_raw_page_type(record_path))
        self._known: Discovered | None = None
        self._decoders: OrderedDict[object, PageDecoder] = OrderedDict()

    def read(self, page: bytes, label: str = "") -> ParsedPage:
        """Parses a page.

        Args:
            page: The body, `{"value": [...], ...}`; other members are ignored.
            label: Which page this is, for messages, such as `page 3, after DocEntry 1500`.

        Raises:
            ContractBroken: The page is not readable JSON, has no `value`, or has a value that cannot be staged as
                its declared type. The message names entity, page, key and property.
        """
        page = page.removeprefix(_BOM)
        raw = self._split(page, label)
        if not raw:
            return ParsedPage(staged_schema(self._schema).empty_table(), {})
        columns, custom = self._fast_or_exact(page, label)
        custom = {level: names for level, names in custom.items() if names}
        columns[RAW] = pa.array(raw, pa.binary())
        layout = staged_schema(self._schema, custom)
        return ParsedPage(pa.table([columns[name] for name in layout.names], schema=layout), custom)

    def _split(self, page: bytes, label: str) -> list[bytes]:
        try:
            _check_utf8(page)
            value = self._raw_records.decode(page).value
        except msgspec.ValidationError as error:
            raise self._broken(
                label, f"is not a collection as expected ({error}); it begins with {_begin(page)}"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._broken(label, f"is not readable JSON ({error}); it begins with {_begin(page)}") from None
        if self._record_path is not None:
            return [bytes(record) for parent in value for record in parent.elements or ()]
        return [bytes(record) for record in value]

    def _broken(self, label: str, what: str) -> ContractBroken:
        where = f"{self._entity}, {label}" if label else self._entity
        return ContractBroken(f"A page of {where}, {what}.")

    # -- the fast way ---------------------------------------------------------------------------------------------

    def _fast_or_exact(self, page: bytes, label: str) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
        if not self._schema.custom_levels():
            return self._first_fit(page, Discovered({}), label)
        # Most pages have the custom fields of the page before: then there is no need to look for them.
        known = self._known
        if known is not None:
            with suppress(NotFast):
                columns, custom, seen = self._decoder(known).decode(page)
                # Where levels that are not wanted have some too, the number does not tell.
                if seen == mentions(page) or known == discover(page):
                    return columns, custom
        self._known = discover(page)
        return self._first_fit(page, self._known, label)

    def _first_fit(self, page: bytes, found: Discovered, label: str) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            return self._fast(page, found)
        except NotFast:
            return self._exact(page, label)

    def _fast(self, page: bytes, found: Discovered) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
        columns, custom, _ = self._decoder(found).decode(page)
        return columns, custom

    def _decoder(self, found: Discovered) -> PageDecoder:
        key = tuple((name, found.kinds[name]) for name in found.names)
        decoder = self._decoders.get(key)
        if decoder is None:
            decoder = PageDecoder(self._schema, self._key, self._record_path, found)
            self._decoders[key] = decoder
            if len(self._decoders) > _DECODERS:
                self._decoders.popitem(last=False)
        return decoder

    # -- the exact way --------------------------------------------------------------------------------------------

    def _exact(self, page: bytes, label: str) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
        try:
            return exact_columns(page, self._schema, self._key, self._record_path)
        except NotAsDeclared as error:
            raise self._broken(label, f"has {error}") from None
        except msgspec.DecodeError as error:
            raise self._broken(label, f"is not readable JSON ({error}); it begins with {_begin(page)}") from None


def _raw_page_type(record_path: str | None) -> type[msgspec.Struct]:
    member: Any = msgspec.Raw
    if record_path is not None:
        elements: list[Any] = [("elements", list[msgspec.Raw] | None, None)]
        member = msgspec.defstruct("Parent", elements, rename={"elements": record_path}, gc=False)
    return msgspec.defstruct("Page", [("value", list[member])], gc=False)


def _check_utf8(page: bytes) -> None:
    """Arrow tells much sooner than Python whether all is well, but not where it is not."""
    ends = pa.py_buffer(np.array([0, len(page)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(page)).validate(full=True)
    except pa.ArrowInvalid:
        page.decode("utf-8")
        raise


def _begin(page: bytes) -> str:
    return repr(page[:80].decode("utf-8", "replace"))
