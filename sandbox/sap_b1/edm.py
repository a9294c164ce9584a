"""What an entity set is made of: keys, properties with their types, collections."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

TEXT, INTEGER, DOUBLE, DATE, TIME = "Edm.String", "Edm.Int32", "Edm.Double", "Edm.Date", "Edm.Time"


@dataclass(frozen=True)
class EntitySet:
    """One entity set of the Service Layer."""

    name: str
    type_name: str
    key: str
    key_type: str
    properties: dict[str, str]
    collections: dict[str, dict[str, str]] = field(default_factory=dict)
    has_etag: bool = False
    created_property: str | None = None
    change_columns: tuple[str, ...] = ()

    @cached_property
    def date_properties(self) -> frozenset[str]:
        """Header properties of type date."""
        return frozenset(name for name, kind in self.properties.items() if kind == DATE)

    @cached_property
    def collection_dates(self) -> dict[str, frozenset[str]]:
        """Collection → its members of type date."""
        return {
            name: frozenset(member for member, kind in members.items() if kind == DATE)
            for name, members in self.collections.items()
        }

    def knows(self, name: str) -> bool:
        """Whether `$select` may name it: a header property or a whole collection."""
        return name in self.properties or name in self.collections

    def blank(self) -> dict[str, Any]:
        """A record with every property null and every collection empty, in the order of the metadata."""
        record: dict[str, Any] = dict.fromkeys(self.properties)
        record.update({name: [] for name in self.collections})
        return record

    def member_type(self, collection: str) -> str:
        """The name of a collection's complex type: `JournalEntryLine` for `JournalEntryLines`."""
        name = collection.removesuffix("Collection")
        return name[:-2] if name.endswith("sses") else name.removesuffix("s")

    def blank_member(self, collection: str) -> dict[str, Any]:
        """A member of a collection with every property null."""
        return dict.fromkeys(self.collections[collection])


def typed(kind: str, names: str) -> dict[str, str]:
    """Names, separated by blanks → their common type."""
    return dict.fromkeys(names.split(), kind)


def merged(*parts: dict[str, str]) -> dict[str, str]:
    """All properties in the order of the parts."""
    properties: dict[str, str] = {}
    for part in parts:
        properties.update(part)
    return properties


YES_NO = "BoYesNoEnum"
