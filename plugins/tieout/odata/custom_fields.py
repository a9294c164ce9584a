"""Custom fields (`U_*`) of a page: which there are, and of which JSON kind.

Their names are not known in advance, so they are looked for in the bytes: inside a JSON string every quote is escaped,
hence `"U_name" :` can only be a property. Which level a property belongs to is told by `tieout.odata.decoding`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_PROPERTY = re.compile(rb'"(U_[^"\\]+)"\s*:\s*(.)', re.DOTALL)

_KINDS = {ord('"'): "string", ord("t"): "boolean", ord("f"): "boolean", ord("["): "nested"}
_KINDS[ord("{")] = "nested"

_QUOTE, _U, _UNDERSCORE = b'"U_'


@dataclass(frozen=True)
class Discovered:
    """Custom fields that occur anywhere in a page: their names and the JSON kinds of their values.

    Null is no kind: a field that is null everywhere has none.
    """

    kinds: dict[str, frozenset[str]]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted; among them ones of levels that are not wanted."""
        return tuple(sorted(self.kinds))


def discover(page: bytes) -> Discovered:
    """Finds the custom fields of a page of valid JSON."""
    kinds: dict[str, set[str]] = {}
    for name, first in set(_PROPERTY.findall(page)):
        known = kinds.setdefault(name.decode(), set())
        if first != b"n":
            known.add(_KINDS.get(first[0], "number"))
    return Discovered({name: frozenset(found) for name, found in kinds.items()})


def mentions(page: bytes) -> int:
    """How many JSON strings in a page begin with `U_`: never fewer than it has custom fields, on whatever level.

    A page that decodes into as many known custom fields has no unknown ones; this is told sooner than `discover`.
    """
    if len(page) < 3:
        return 0
    data = np.frombuffer(page, np.uint8)
    found = np.flatnonzero(data[1:-1] == _U)
    return int(np.count_nonzero((data[found] == _QUOTE) & (data[found + 2] == _UNDERSCORE)))
