"""The fast way from a JSON page to staged columns: one typed decode of just the wanted properties.

Numbers stay the digits that the server sent, and Arrow turns all those of a page into decimals at once. What this way
cannot stage exactly (a number where text is declared, more than 20 decimals, values of mixed kinds) it refuses with
`NotFast`; such a page goes the slow way, `tieout.odata.exact`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from itertools import chain, repeat
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET
from msgspec.structs import astuple

from tieout.odata.custom_fields import Discovered
from tieout.odata.layout import DECIMALS, KEY, MONEY, PARENT
from tieout.odata.schema import HEADER, FieldType, RecordSchema

_WIDE = pa.decimal128(38, 20)
# Arrow scales without a check, so that too large a number would wrap around to another amount. Below this limit
# whatever is scaled by 20 decimals fits into 38 digits.
_LIMIT = 1e18
# Nor does it notice more digits than a decimal128 holds, if an exponent makes a small number of them.
_LONGEST = 38
_NULL = msgspec.Raw(b"null")


class NotFast(Exception):
    """The page has something that the fast way cannot stage exactly."""


class _Form(Enum):
    """How a property is decoded and staged; the last two are custom fields, which become text."""

    TEXT = auto()
    DATE = auto()
    INTEGER = auto()
    NUMBER = auto()
    NUMBER_AS_TEXT = auto()
    BOOLEAN_AS_TEXT = auto()


_DECLARED = {
    FieldType.TEXT: _Form.TEXT,
    FieldType.DATE: _Form.DATE,
    FieldType.INTEGER: _Form.INTEGER,
    FieldType.NUMBER: _Form.NUMBER,
}
_NUMERIC = (_Form.NUMBER, _Form.NUMBER_AS_TEXT)
_JSON_TYPES: dict[_Form, Any] = {
    _Form.TEXT: str | None,
    _Form.DATE: str | None,
    _Form.INTEGER: int | None,
    _Form.NUMBER: msgspec.Raw,
    _Form.NUMBER_AS_TEXT: msgspec.Raw,
    _Form.BOOLEAN_AS_TEXT: bool | None,
}


class _Level:
    """One level of a record: its wanted properties, and the type that its objects are decoded into.

    Args:
        declared: The wanted properties.
        custom: The custom fields that occur in the page; empty where they are not wanted.
        more: Further members of the objects, with their types; null where absent.
    """

    def __init__(self, declared: Mapping[str, FieldType], custom: Discovered, more: Mapping[str, Any]) -> None:
        self.declared = declared
        self.custom = custom.names
        self.more = tuple(more)
        self.forms = {name: _DECLARED[kind] for name, kind in declared.items()}
        self.forms |= {name: _custom_form(custom.kinds[name]) for name in custom.names if name not in declared}
        members = [self._member(name, form) for name, form in self.forms.items()]
        members += [(kind, None) for kind in more.values()]
        names = {f"f{position}": name for position, name in enumerate((*self.forms, *more))}
        fields: list[Any] = [(attribute, *member) for attribute, member in zip(names, members, strict=True)]
        self.type: Any = msgspec.defstruct("Level", fields, rename=names, gc=False)

    def _member(self, name: str, form: _Form) -> tuple[Any, Any]:
        kind = _JSON_TYPES[form]
        if name in self.custom:
            return kind | msgspec.UnsetType, UNSET
        return kind, _NULL if form in _NUMERIC else None


def _custom_form(kinds: frozenset[str]) -> _Form:
    if kinds in (frozenset(), {"string"}):
        return _Form.TEXT
    if kinds == {"number"}:
        return _Form.NUMBER_AS_TEXT
    if kinds == {"boolean"}:
        return _Form.BOOLEAN_AS_TEXT
    raise NotFast


class _Rows:
    """The decoded values of the objects of a level, column by column.

    Attributes:
        more: The values of the level's further members, by name.
        custom: Names of the custom fields that are present at all, even if null everywhere; sorted.
        seen: How often custom fields are present.
    """

    def __init__(self, level: _Level, objects: Sequence[Any]) -> None:
        self._level = level
        names = (*level.forms, *level.more)
        columns = zip(*map(astuple, objects), strict=True) if objects else repeat(())
        self._values: dict[str, Sequence[Any]] = dict(zip(names, columns, strict=False))
        self.more = {name: self._values[name] for name in level.more}
        counts = {name: self._fill(name) for name in level.custom}
        self.custom = tuple(name for name, count in counts.items() if count)
        self.seen = sum(counts.values())

    def _fill(self, name: str) -> int:
        """How often a custom field is present; where it is not, it is null from now on."""
        values = self._values[name]
        present = len(values) - values.count(UNSET)
        if present < len(values):
            null = _NULL if self._level.forms[name] in _NUMERIC else None
            self._values[name] = [null if value is UNSET else value for value in values]
        return present

    def numbers(self) -> Iterator[Sequence[Any]]:
        """The columns of numbers as the JSON has them."""
        return (self._values[name] for name, form in self._level.forms.items() if form in _NUMERIC)

    def keys(self, name: str) -> list[str]:
        """The key of each object as text."""
        values = self._values[name]
        if None in values or self._level.forms.get(name) in _NUMERIC:
            raise NotFast
        return list(map(str, values))

    def columns(self, parsed: Iterator[pa.Array]) -> dict[str, pa.Array]:
        """The staged columns; `parsed` gives those of `numbers` as decimals."""
        staged = {}
        for name, form in self._level.forms.items():
            column = _staged(next(parsed) if form in _NUMERIC else self._values[name], form)
            if name in self._level.declared or name in self.custom:
                staged[name] = column
        return staged


def _staged(values: Any, form: _Form) -> pa.Array:
    match form:
        case _Form.NUMBER:
            return values
        case _Form.NUMBER_AS_TEXT:
            return pc.ascii_rtrim(pc.ascii_rtrim(values.cast(pa.string()), "0"), ".")
        case _Form.BOOLEAN_AS_TEXT:
            return pa.array(values, pa.bool_()).cast(pa.string())
        case _Form.INTEGER:
            return pa.array(values, pa.int64())
        case _Form.DATE:
            return pc.utf8_slice_codeunits(pa.array(values, pa.string()), 0, 10)
        case _Form.TEXT:
            return pa.array(values, pa.string())


def _decimals(columns: Sequence[Sequence[Any]]) -> Iterator[pa.Array]:
    """Columns of JSON numbers as decimal128(28, 6), all in one go, rounded half away from zero."""
    total = sum(map(len, columns))
    if not total:
        return (pa.nulls(0, MONEY) for _ in columns)
    # No JSON number has a line feed in it. Where something else has, the count tells.
    text = pa.array([b"\n".join(chain.from_iterable(columns))], pa.string())
    digits = pc.split_pattern(text, "\n").values
    if len(digits) != total:
        raise NotFast
    digits = pc.if_else(pc.equal(digits, "null"), pa.scalar(None, pa.string()), digits)
    return _cut(_exact_decimals(digits), [len(column) for column in columns])


def _exact_decimals(digits: pa.StringArray) -> pa.Array:
    if (pc.max(pc.binary_length(digits)).as_py() or 0) > _LONGEST:
        raise NotFast
    size = pc.min_max(digits.cast(pa.float64()))
    least, most = size["min"].as_py(), size["max"].as_py()
    if least is not None and not (-_LIMIT < least <= most < _LIMIT):
        raise NotFast
    try:
        return digits.cast(MONEY)
    except pa.ArrowInvalid:
        # More than 6 decimals somewhere, as doubles have: 1234.3700000000001.
        return pc.round(digits.cast(_WIDE), DECIMALS, "half_towards_infinity").cast(MONEY)


def _cut(values: pa.Array, lengths: Sequence[int]) -> Iterator[pa.Array]:
    start = 0
    for length in lengths:
        yield values.slice(start, length)
        start += length


class PageDecoder:
    """Decodes pages whose custom fields are known into staged columns.

    Args:
        schema: What is wanted of a record.
        key: Property that identifies a record.
        record_path: Name of a collection whose elements are the records; the members of `value` are their parents.
        custom: The custom fields that occur in the pages.

    Raises:
        NotFast: A custom field has values of mixed kinds, or a record without a parent wants properties of it.
    """

    def __init__(self, schema: RecordSchema, key: str, record_path: str | None, custom: Discovered) -> None:
        if schema.parent_fields and record_path is None:
            raise NotFast
        self._schema = schema
        self._key = key
        self._record_path = record_path
        nothing = Discovered({})
        self._lines = {
            name: _Level(fields, custom if name in schema.custom_line_fields else nothing, {})
            for name, fields in schema.collections.items()
        }
        more: dict[str, Any] = {
            name: list[level.type | None] | None  # type: ignore[name-defined]
            for name, level in self._lines.items()
        }
        if key not in schema.fields and not (schema.custom_fields and key in custom.kinds):
            more[key] = str | int | None
        self._record = _Level(schema.fields, custom if schema.custom_fields else nothing, more)
        member = self._record.type
        self._parent: _Level | None = None
        if record_path is not None:
            self._parent = _Level(schema.parent_fields, nothing, {record_path: list[member] | None})  # type: ignore[valid-type]
            member = self._parent.type
        page: list[Any] = [("value", list[member])]  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(msgspec.defstruct("Page", page, gc=False))

    def decode(self, page: bytes) -> tuple[dict[str, pa.Array], dict[str, tuple[str, ...]], int]:
        """Decodes a page.

        Returns:
            The staged columns except `_raw`; the custom fields that are present, by wanted level; and how often
            custom fields are present in all.

        Raises:
            NotFast: It has something that cannot be staged exactly this way.
        """
        try:
            return self._decode(page)
        except (msgspec.ValidationError, pa.ArrowInvalid, OverflowError):
            raise NotFast from None

    def _decode(self, page: bytes) -> tuple[dict[str, pa.Array], dict[str, tuple[str, ...]], int]:
        objects = self._decoder.decode(page).value
        levels: list[_Rows] = []
        owners: list[int] = []
        if self._parent is not None and self._record_path is not None:
            levels.append(_Rows(self._parent, objects))
            groups = levels[0].more[self._record_path]
            owners = [position for position, group in enumerate(groups) for _ in group or ()]
            objects = [record for group in groups for record in group or ()]
        records = _Rows(self._record, objects)
        lines = {name: _Lines(level, records.more[name]) for name, level in self._lines.items()}
        levels += [records, *(group.rows for group in lines.values())]
        numbers = [list(level.numbers()) for level in levels]
        parsed = _decimals(list(chain.from_iterable(numbers)))
        columns: dict[str, pa.Array] = {KEY: pa.array(records.keys(self._key), pa.string())}
        if self._parent is not None:
            parents = levels[0].columns(parsed)
            columns |= {PARENT + name: values.take(pa.array(owners, pa.int64())) for name, values in parents.items()}
        columns |= records.columns(parsed)
        for name, group in lines.items():
            columns[name] = group.lists(parsed)
        rows = {HEADER: records} | {name: group.rows for name, group in lines.items()}
        custom = {level: rows[level].custom for level in self._schema.custom_levels()}
        return columns, custom, sum(level.seen for level in levels)


class _Lines:
    """The elements of one collection of all records, end to end."""

    def __init__(self, level: _Level, groups: Sequence[list[Any] | None]) -> None:
        self._groups = groups
        lines = list(chain.from_iterable(filter(None, groups)))
        self._absent: pa.Array | None = None
        if None in lines:
            self._absent = pa.array([line is None for line in lines], pa.bool_())
            blank = level.type()
            lines = [blank if line is None else line for line in lines]
        self.rows = _Rows(level, lines)

    def lists(self, parsed: Iterator[pa.Array]) -> pa.ListArray:
        """The collection as one list of structs per record."""
        members = self.rows.columns(parsed)
        fields = [pa.field(name, values.type) for name, values in members.items()]
        structs = pa.StructArray.from_arrays(list(members.values()), fields=fields, mask=self._absent)
        lengths = [len(group) if group else 0 for group in self._groups]
        offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int32)), dtype=np.int32)
        null = [group is None for group in self._groups]
        return pa.ListArray.from_arrays(pa.array(offsets), structs, mask=pa.array(null) if any(null) else None)
