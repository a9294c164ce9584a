"""Custom fields (`U_*`) of a page: which there are, on which level, and of which JSON kind.

Their names are not known in advance, so they are looked for in the bytes: inside a JSON string every quote is escaped,
hence `"U_name" :` can only be a property. Which level a property belongs to is then told by a decode that looks at
nothing else. A field belongs to a level when it is present there at all, even when it is null everywhere.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from tieout.odata.schema import HEADER, RecordSchema

_PROPERTY = re.compile(rb'"(U_[^"\\]+)"\s*:\s*(.)', re.DOTALL)

_KINDS = {ord('"'): "string", ord("t"): "boolean", ord("f"): "boolean", ord("n"): "null", ord("["): "nested"}
_KINDS[ord("{")] = "nested"

_CACHE_SIZE = 32


@dataclass(frozen=True)
class Discovered:
    """Custom fields that occur anywhere in a page: their names, sorted, and the JSON kinds of their values."""

    kinds: dict[str, frozenset[str]]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted; among them ones of levels that are not wanted."""
        return tuple(sorted(self.kinds))


def discover(page: bytes) -> Discovered:
    """Finds the custom fields of a page of valid JSON."""
    kinds: dict[str, set[str]] = {}
    for name, first in set(_PROPERTY.findall(page)):
        kinds.setdefault(name.decode(), set()).add(_KINDS.get(first[0], "number"))
    return Discovered({name: frozenset(found) for name, found in kinds.items()})


class Skimmer:
    """Decodes only keys and custom fields of the records of a page."""

    def __init__(self, schema: RecordSchema, key: str, record_path: str | None) -> None:
        self._schema = schema
        self._key = key
        self._record_path = record_path
        self._decoders: OrderedDict[tuple[str, ...], msgspec.json.Decoder[Any]] = OrderedDict()

    def skim(self, page: bytes, names: tuple[str, ...]) -> tuple[list[str | int | None], dict[str, tuple[str, ...]]]:
        """Reads keys and levels.

        Args:
            page: The page.
            names: The custom fields that occur in it.

        Returns:
            The key of each record (None where missing), and the names present per wanted level, sorted.

        Raises:
            msgspec.ValidationError: The page has another shape than the schema says.
        """
        records = self._decoder(names).decode(page).value
        if self._record_path is not None:
            records = [record for parent in records for record in parent.elements or ()]
        keys = [None if record.key is msgspec.UNSET else record.key for record in records]
        levels = {level: self._present(level, records, names) for level in self._schema.custom_levels()}
        return keys, levels

    def _present(self, level: str, records: list[Any], names: tuple[str, ...]) -> tuple[str, ...]:
        if level != HEADER:
            attribute = f"c{self._schema.custom_line_fields.index(level)}"
            records = [line for record in records for line in getattr(record, attribute) or () if line is not None]
        unset = msgspec.UNSET
        return tuple(
            name
            for position, name in enumerate(names)
            if any(getattr(record, f"f{position}") is not unset for record in records)
        )

    def _decoder(self, names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
        decoder = self._decoders.get(names)
        if decoder is None:
            decoder = self._decoders[names] = msgspec.json.Decoder(self._page_type(names))
            if len(self._decoders) > _CACHE_SIZE:
                self._decoders.popitem(last=False)
        return decoder

    def _page_type(self, names: tuple[str, ...]) -> type[msgspec.Struct]:
        raw = msgspec.Raw | msgspec.UnsetType
        custom: list[Any] = [(f"f{position}", raw, msgspec.UNSET) for position in range(len(names))]
        rename = {f"f{position}": name for position, name in enumerate(names)}
        members: list[Any] = [("key", str | int | None | msgspec.UnsetType, msgspec.UNSET)]
        if self._schema.custom_fields:
            members += custom
        line = msgspec.defstruct("Line", custom, rename=rename, gc=False)
        line_names = {f"c{position}": name for position, name in enumerate(self._schema.custom_line_fields)}
        members += [(attribute, list[line | None] | None, None) for attribute in line_names]  # type: ignore[valid-type]
        header_names = {"key": self._key, **rename, **line_names}
        record = msgspec.defstruct("Record", members, rename=header_names, gc=False)
        if self._record_path is not None:
            elements: list[Any] = [("elements", list[record] | None, None)]  # type: ignore[valid-type]
            record = msgspec.defstruct("Parent", elements, rename={"elements": self._record_path}, gc=False)
        return msgspec.defstruct("Page", [("value", list[record])], gc=False)  # type: ignore[valid-type]
