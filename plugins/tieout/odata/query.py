"""OData literals, filters and query strings that both V3 and V4 services understand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from urllib.parse import quote

MAX_FILTER_LENGTH = 1_500
"""Longest percent-encoded filter in a URL that is put together from keys; proxies cut or refuse much longer ones."""

_PLAIN = "$'(),:/"

Key = int | str


class KeyType(StrEnum):
    """Type of an entity's key. The order of TEXT keys is the server's collation, which is not known here."""

    INTEGER = "integer"
    TEXT = "text"


def literal(value: Key) -> str:
    """A key as an OData literal.

    >>> literal("O'Neil")
    "'O''Neil'"
    """
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("'", "''") + "'"


def both(left: str | None, right: str | None) -> str | None:
    """Two conditions that shall both hold; either may be absent.

    >>> both("A eq 1 or B eq 2", "DocEntry gt 7")
    '(A eq 1 or B eq 2) and DocEntry gt 7'
    """
    if left and right:
        return f"({left}) and {right}"
    return left or right


def query_string(params: Mapping[str, str]) -> str:
    """Percent-encoded options; spaces as `%20`, since not every service takes `+`.

    >>> query_string({"$filter": "CardCode gt 'C 1'"})
    "$filter=CardCode%20gt%20'C%201'"
    """
    return "&".join(f"{quote(name, safe='$@')}={quote(value, safe=_PLAIN)}" for name, value in params.items())


def key_filters(key: str, keys: Iterable[Key], max_length: int = MAX_FILTER_LENGTH) -> Iterator[tuple[str, list[Key]]]:
    """Filters `Key eq 1 or Key eq 2 ...` over all keys, each short enough for a URL, with the keys in each.

    >>> [text for text, _ in key_filters("N", [1, 2, 3], max_length=30)]
    ['N eq 1 or N eq 2', 'N eq 3']
    """
    terms: list[str] = []
    chunk: list[Key] = []
    length = 0
    for value in keys:
        term = f"{key} eq {literal(value)}"
        size = len(quote(term, safe="'")) + len("%20or%20")
        if chunk and length + size > max_length:
            yield " or ".join(terms), chunk
            terms, chunk, length = [], [], 0
        terms.append(term)
        chunk.append(value)
        length += size
    if chunk:
        yield " or ".join(terms), chunk
