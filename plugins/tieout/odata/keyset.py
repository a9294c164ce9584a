"""Paging by key: `$filter=Key gt <last>` with `$orderby=Key`.

Rows that are inserted or deleted while the walk goes on are neither lost nor doubled, as they are with `$skip`.
Whether there is more is told by the presence of a next link; the link itself is not followed. A walk trusts nothing:
keys that do not ascend, or that were there before, mean that the server lost the filter or the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tieout.errors import ContractBroken
from tieout.odata.query import Key, KeyType, both, literal

Fetch = Callable[[Mapping[str, str]], bytes]
"""Reads one page of a collection: query options in, body out. How many rows a page has is the fetcher's business."""


@dataclass(frozen=True)
class KeysetQuery:
    """What is read.

    Attributes:
        entity: Name of the entity set, for messages.
        key: Its key property.
        key_type: Type of the key.
        filter: Condition that every record meets, or None.
        select: Properties to ask for, or None for all; the key is always asked for.
    """

    entity: str
    key: str
    key_type: KeyType
    filter: str | None = None
    select: tuple[str, ...] | None = None

    def options(self, condition: str | None, *, descending: bool = False, keys_only: bool = False) -> dict[str, str]:
        """Query options for the records that also meet `condition`, ordered by key."""
        options = {}
        combined = both(self.filter, condition)
        if combined:
            options["$filter"] = combined
        options["$orderby"] = f"{self.key} desc" if descending else self.key
        if keys_only:
            options["$select"] = self.key
        elif self.select is not None:
            options["$select"] = ",".join(self.select if self.key in self.select else (self.key, *self.select))
        return options


@dataclass(frozen=True)
class KeyRange:
    """Keys greater than `after`, up to and including `upto`; None is open."""

    after: Key | None = None
    upto: Key | None = None

    def condition(self, key: str) -> str | None:
        """As an OData condition."""
        lower = f"{key} gt {literal(self.after)}" if self.after is not None else None
        upper = f"{key} le {literal(self.upto)}" if self.upto is not None else None
        return f"{lower} and {upper}" if lower and upper else lower or upper


@dataclass(frozen=True)
class WalkedPage:
    """One page: its body, its keys in order, whether the server has more, and a label for messages."""

    body: bytes
    keys: list[Key]
    more: bool
    label: str


class PageHead:
    """Reads keys and the presence of a next link from a page, and nothing else."""

    def __init__(self, query: KeysetQuery) -> None:
        self._query = query
        members: list[Any] = [("key", int | str | None, None)]
        record = msgspec.defstruct("Record", members, rename={"key": query.key}, gc=False)
        page: list[Any] = [("value", list[record]), ("v3", Any, None), ("v4", Any, None)]  # type: ignore[valid-type]
        links = {"v3": "odata.nextLink", "v4": "@odata.nextLink"}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("Page", page, rename=links, gc=False)
        )

    def read(self, body: bytes, label: str) -> tuple[list[Key], bool]:
        """The keys of a page and whether it has a next link.

        Raises:
            ContractBroken: Not a collection, or a record without a key of the right type.
        """
        where = f"A page of {self._query.entity}, {label},"
        try:
            page = self._decoder.decode(body.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            begin = body[:80].decode("utf-8", "replace")
            raise ContractBroken(
                f"{where} cannot be read as a collection ({error}); it begins with {begin!r}."
            ) from None
        keys = [self._key(record.key, where) for record in page.value]
        return keys, bool(page.v3 or page.v4)

    def _key(self, value: int | str | None, where: str) -> Key:
        if value is None or (value == "" and self._query.key_type is KeyType.TEXT):
            raise ContractBroken(f"{where} has a record without its key {self._query.key}; it cannot be told apart.")
        if self._query.key_type is KeyType.TEXT:
            return str(value)
        try:
            return int(value)
        except ValueError:
            raise ContractBroken(
                f"{where} has the key {self._query.key} = {value!r} where an integer is expected."
            ) from None


class KeysetWalk:
    """Walks the records of a key range, page by page, in key order.

    Args:
        fetch: Reads one page.
        query: What to read.
        bounds: Which keys; by default all.
        keys_only: Read nothing but the keys.
    """

    def __init__(
        self, fetch: Fetch, query: KeysetQuery, bounds: KeyRange | None = None, *, keys_only: bool = False
    ) -> None:
        self._fetch = fetch
        self._query = query
        self._bounds = bounds or KeyRange()
        self._keys_only = keys_only
        self._head = PageHead(query)

    def __iter__(self) -> Iterator[WalkedPage]:
        """The non-empty pages.

        Raises:
            ContractBroken: The server does not keep to filter or order; the message names entity and keys.
        """
        last, upto = self._bounds.after, self._bounds.upto
        previous: list[Key] = []
        number = 0
        while True:
            number += 1
            label = f"page {number}" if last is None else f"page {number}, after {self._query.key} {last}"
            condition = KeyRange(last, upto).condition(self._query.key)
            body = self._fetch(self._query.options(condition, keys_only=self._keys_only))
            keys, more = self._head.read(body, label)
            if not keys:
                return
            self._check(keys, last, upto, previous, label)
            yield WalkedPage(body, keys, more, label)
            last, previous = keys[-1], keys
            if not more or last == upto:
                return

    def _check(self, keys: list[Key], last: Key | None, upto: Key | None, previous: list[Key], label: str) -> None:
        if self._query.key_type is KeyType.INTEGER:
            self._check_integers(keys, last, upto, label)
        repeated = set(previous).intersection(keys)
        if len(set(keys)) != len(keys):
            raise self._broken(label, "holds the same key twice", f"keys {keys[0]!r} to {keys[-1]!r}")
        if repeated or (last is not None and keys[-1] == last):
            shown = min(map(str, repeated or keys[-1:]))
            raise self._broken(label, "repeats a record of the page before", f"key {shown!r}")

    def _check_integers(self, keys: list[Key], last: Key | None, upto: Key | None, label: str) -> None:
        before = last
        for key in keys:
            if before is not None and key <= before:  # type: ignore[operator]
                raise self._broken(label, "is not in ascending order of its key", f"{key} follows {before}")
            before = key
        if upto is not None and keys[-1] > upto:  # type: ignore[operator]
            raise self._broken(label, "goes beyond the range that was asked for", f"{keys[-1]} is greater than {upto}")

    def _broken(self, label: str, what: str, keys: str) -> ContractBroken:
        return ContractBroken(
            f"A page of {self._query.entity}, {label}, {what} ({self._query.key}: {keys}). The server has lost the "
            f"filter or the order, so records could be lost or doubled; nothing of this read is used."
        )


def last_key(fetch: Fetch, query: KeysetQuery) -> Key | None:
    """The greatest key that meets the filter, or None when there is none."""
    options = query.options(None, descending=True, keys_only=True) | {"$top": "1"}
    keys, _ = PageHead(query).read(fetch(options), "the one with the greatest key")
    return keys[0] if keys else None


def split(after: int, last: int, records: int, page_size: int, pieces: int) -> list[KeyRange]:
    """Splits the integer keys greater than `after` into ranges that can be read side by side.

    Ranges hold a whole number of pages where keys are dense, so that splitting costs no extra requests. The last one
    is open: records that are added meanwhile are read with it.

    Args:
        after: Keys up to this one are read already.
        last: The greatest key now.
        records: How many records are expected.
        page_size: Records per page.
        pieces: About how many ranges are wanted.
    """
    span = last - after
    pages = -(-records // page_size)
    if span <= 0 or pages <= 1 or pieces <= 1:
        return [KeyRange(after)]
    pages_per_range = -(-pages // pieces)
    width = max(1, -(-pages_per_range * page_size * span // records))
    starts = list(range(after, last, width))
    uptos: list[int | None] = [*starts[1:], None]
    return [KeyRange(start, upto) for start, upto in zip(starts, uptos, strict=True)]
