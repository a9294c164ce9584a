"""Rows of one entity set, sorted by key, with their JSON encoded once per root and selection."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from typing import Any

from sandbox.sap_b1.filters import CompiledFilter
from sandbox.sap_b1.schema import EntitySet

Key = int | str
Record = dict[str, Any]

_MAX_VARIANTS = 8
_MAX_QUERIES = 32


def etag(data_version: int) -> str:
    """`W/"<SHA1 of DataVersion in decimal>"`, as the manual derives it."""
    return f'W/"{hashlib.sha1(str(data_version).encode(), usedforsecurity=False).hexdigest().upper()}"'


def copy_of(record: Record) -> Record:
    """An independent copy: records are flat but for collections of flat members."""
    return {
        name: [dict(member) for member in value] if type(value) is list else value for name, value in record.items()
    }


def to_wire(record: Record, entity: EntitySet, version: str) -> Record:
    """The record with dates in a root's form: v1 `2020-02-14`, v2 `2020-02-14T00:00:00Z` (whose Z is fake)."""
    if version == "v1":
        return record
    wire = dict(record)
    for name in entity.date_properties & wire.keys():
        if wire[name] is not None:
            wire[name] += "T00:00:00Z"
    for collection, dates in entity.collection_dates.items():
        if dates and wire.get(collection):
            wire[collection] = [
                {name: _midnight(value) if name in dates else value for name, value in member.items()}
                for member in wire[collection]
            ]
    return wire


def _midnight(value: str | None) -> str | None:
    return None if value is None else value + "T00:00:00Z"


class Table:
    """One entity set's rows. Not thread-safe by itself: callers hold the company's lock."""

    def __init__(self, entity: EntitySet) -> None:
        self.entity = entity
        self.rows: dict[Key, Record] = {}
        self.version = 0
        self._keys: list[Any] = []
        self._encoded: OrderedDict[tuple[str, tuple[str, ...] | None], dict[Key, bytes]] = OrderedDict()
        self._queries: OrderedDict[tuple[str, str], tuple[int, list[Any]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> list[Any]:
        """All keys, ascending."""
        return self._keys

    def put(self, record: Record) -> Key:
        """Inserts or replaces a row by its key."""
        key: Key = record[self.entity.key]
        if key not in self.rows:
            if not self._keys or key > self._keys[-1]:
                self._keys.append(key)
            else:
                insort(self._keys, key)
        self.rows[key] = record
        self._forget(key)
        return key

    def delete(self, key: Key) -> None:
        """Removes a row. Raises KeyError when there is none."""
        del self.rows[key]
        del self._keys[bisect_left(self._keys, key)]
        self._forget(key)

    def _forget(self, key: Key) -> None:
        self.version += 1
        for variant in self._encoded.values():
            variant.pop(key, None)

    def snapshot(self) -> tuple[dict[Key, Record], list[Any]]:
        """What `restore` brings back. Rows are replaced when they change, never changed in place."""
        return dict(self.rows), list(self._keys)

    def restore(self, snapshot: tuple[dict[Key, Record], list[Any]]) -> None:
        """Takes back every change since the snapshot."""
        self.rows, self._keys = snapshot
        self.version += 1
        self._encoded.clear()

    def next_key(self) -> int:
        """The next free integer key."""
        return int(self._keys[-1]) + 1 if self._keys else 1

    def matching(self, condition: CompiledFilter | None, order: tuple[tuple[str, bool], ...]) -> list[Any]:
        """Keys of the rows that meet the condition, in order.

        Args:
            condition: None takes every row.
            order: (property, descending) pairs; empty means by key.
        """
        keys = self._filtered(condition)
        descending_key = order == ((self.entity.key, True),)
        if condition is not None and condition.bounds:
            keys = self._within_bounds(keys, condition)
        if not order or order == ((self.entity.key, False),):
            return keys
        if descending_key:
            return keys[::-1]
        return self._ordered(keys, condition, order)

    def _filtered(self, condition: CompiledFilter | None) -> list[Any]:
        if condition is None or not condition.rest:
            return self._keys
        cache_key = (condition.rest_text, "")
        cached = self._queries.get(cache_key)
        if cached is not None and cached[0] == self.version:
            self._queries.move_to_end(cache_key)
            return cached[1]
        rows, rest = self.rows, condition.rest
        keys = [key for key in self._keys if all(test(rows[key]) for test in rest)]
        self._remember(cache_key, keys)
        return keys

    def _remember(self, cache_key: tuple[str, str], keys: list[Any]) -> None:
        self._queries[cache_key] = (self.version, keys)
        if len(self._queries) > _MAX_QUERIES:
            self._queries.popitem(last=False)

    def _within_bounds(self, keys: list[Any], condition: CompiledFilter) -> list[Any]:
        low, high = 0, len(keys)
        for bound in condition.bounds:
            if bound.comparison in ("gt", "ge", "eq"):
                cut = bisect_right if bound.comparison == "gt" else bisect_left
                low = max(low, cut(keys, bound.value))
            if bound.comparison in ("lt", "le", "eq"):
                cut = bisect_left if bound.comparison == "lt" else bisect_right
                high = min(high, cut(keys, bound.value))
        return keys[low:high]

    def _ordered(
        self, keys: list[Any], condition: CompiledFilter | None, order: tuple[tuple[str, bool], ...]
    ) -> list[Any]:
        text = repr((condition.bounds, condition.rest_text)) if condition is not None else ""
        cache_key = (text, repr(order))
        cached = self._queries.get(cache_key)
        if cached is not None and cached[0] == self.version:
            return cached[1]
        ordered = list(keys)
        for name, descending in reversed(order):
            ordered.sort(key=lambda key: _null_first(self.rows[key][name]), reverse=descending)
        self._remember(cache_key, ordered)
        return ordered

    def encoded(self, keys: list[Any], version: str, select: tuple[str, ...] | None) -> list[bytes]:
        """JSON of the rows, from the cache where it was encoded before."""
        cache = self._variant(version, select)
        found = []
        for key in keys:
            raw = cache.get(key)
            if raw is None:
                raw = cache[key] = self._encode(self.rows[key], version, select)
            found.append(raw)
        return found

    def _variant(self, version: str, select: tuple[str, ...] | None) -> dict[Key, bytes]:
        name = (version, select)
        if name not in self._encoded:
            self._encoded[name] = {}
            if len(self._encoded) > _MAX_VARIANTS:
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(name)
        return self._encoded[name]

    def _encode(self, record: Record, version: str, select: tuple[str, ...] | None) -> bytes:
        shown = record if select is None else {name: record[name] for name in select}
        wire = to_wire(shown, self.entity, version)
        if self.entity.has_etag:
            # Without DataVersion in the selection the real server derives the tag from version 1.
            data_version = shown.get("DataVersion", 1)
            wire = {("odata.etag" if version == "v1" else "@odata.etag"): etag(data_version), **wire}
        return json.dumps(wire, ensure_ascii=False, separators=(",\n\t\t\t", " : ")).encode()


def _null_first(value: Any) -> tuple[bool, Any]:
    return (value is not None, 0 if value is None else value)
