"""What to read of one entity set, and where its pages come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from tieout.odata.keyset import KeysetQuery
from tieout.odata.query import Key, KeyType
from tieout.odata.schema import FieldType, RecordSchema


class Source(Protocol):
    """Where pages come from."""

    def get_page(self, entity_set: str, params: Mapping[str, str]) -> bytes:
        """One page of a collection."""
        ...

    def count(self, entity_set: str, filter: str | None = None) -> int:
        """How many records meet the filter."""
        ...


@dataclass(frozen=True)
class EntityRead:
    """What to read of one entity set.

    Attributes:
        entity_set: Its name.
        key: Its key property, by which it is walked.
        key_type: Type of the key.
        schema: The wanted properties of a record.
        filter: OData condition, or None for all.
        select: Properties to ask the server for, or None for all (needed when custom fields are wanted).
        change_columns: Date properties whose greatest value is reported, such as `UpdateDate`.
        record_path: A collection whose elements are the records; the rows of the entity set are their parents.
        record_key: Key of a record, where that is not `key` (with `record_path`).
        extra_keys: Keys (of the entity set) that are read too, whether or not they meet the filter; no record is
            staged twice.
    """

    entity_set: str
    key: str
    key_type: KeyType
    schema: RecordSchema
    filter: str | None = None
    select: tuple[str, ...] | None = None
    change_columns: tuple[str, ...] = ()
    record_path: str | None = None
    record_key: str | None = None
    extra_keys: tuple[Key, ...] = ()

    def query(self) -> KeysetQuery:
        """The walk over the entity set."""
        return KeysetQuery(self.entity_set, self.key, self.key_type, self.filter, self.select)

    def staged(self) -> RecordSchema:
        """The schema with the change columns in it."""
        present = self.schema.fields if self.record_path is None else self.schema.parent_fields
        added = {name: FieldType.DATE for name in self.change_columns if name not in present}
        if not added:
            return self.schema
        if self.record_path is None:
            return replace(self.schema, fields={**present, **added})
        return replace(self.schema, parent_fields={**present, **added})
