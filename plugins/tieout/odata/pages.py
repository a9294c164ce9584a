"""One JSON page of an OData collection to an Arrow table in the staged layout, with exact numbers.

Two ways lead to the same table. The fast one lets Arrow parse the page straight into columns, numbers into
decimal128(38, 20) from their JSON text. It refuses what it cannot do exactly (a number where text is declared, more
than 20 decimals, values of mixed kinds); such a page goes the slow way, through Python objects, in
`tieout.odata.exact`. No float is involved in either.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from tieout.errors import ContractBroken
from tieout.odata.custom_fields import Discovered, Skimmer, discover
from tieout.odata.exact import NotAsDeclared, exact_columns
from tieout.odata.layout import DECIMALS, KEY, MONEY, PARENT, RAW, staged_schema
from tieout.odata.schema import HEADER, FieldType, RecordSchema
from tieout.staging import map_elements

# Arrow compares the digits of a JSON number with the declared precision, but then scales without a check: 20 integer
# digits wrap around to another amount. With 18 digits declared, what passes always fits into 38 digits when scaled by
# 20, and longer numbers are refused.
_PARSED = pa.decimal128(18, 20)
_WIDE = pa.decimal128(38, 20)
_BOM = b"\xef\xbb\xbf"


class _NotFast(Exception):
    """The page has something that the fast way cannot stage exactly."""


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
        self._skimmer = Skimmer(schema, key, record_path)

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
        found = discover(page) if self._schema.custom_levels() else Discovered({})
        try:
            columns, custom = self._fast(page, found)
        except (_NotFast, msgspec.ValidationError, pa.ArrowInvalid):
            columns, custom = self._exact(page, label)
        custom = {level: names for level, names in custom.items() if names}
        columns[RAW] = pa.array(raw, pa.binary())
        layout = staged_schema(self._schema, custom)
        return ParsedPage(pa.table([columns[name] for name in layout.names], schema=layout), custom)

    def _split(self, page: bytes, label: str) -> list[bytes]:
        try:
            page.decode("utf-8")
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

    def _fast(self, page: bytes, found: Discovered) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
        keys, custom = self._skimmer.skim(page, found.names)
        if None in keys:
            raise _NotFast
        fields = {
            level: _wide_fields(self._fields_of(level), custom.get(level, ()), found)
            for level in (HEADER, *self._schema.collections)
        }
        members = list(fields[HEADER])
        members += [pa.field(name, pa.list_(pa.struct(fields[name]))) for name in self._schema.collections]
        records, parents = self._parse(page, members)
        columns: dict[str, Any] = {KEY: pa.array([str(key) for key in keys], pa.string())}
        for entry, values in zip(records.type, records.flatten(), strict=True):
            if entry.name in self._schema.collections:
                columns[entry.name] = map_elements(values, partial(self._lines, level=entry.name))
            else:
                columns[entry.name] = _settle(values, self._schema.fields.get(entry.name))
        for name, kind in self._schema.parent_fields.items():
            columns[PARENT + name] = _settle(parents.field(name), kind)
        return columns, custom

    def _fields_of(self, level: str) -> Mapping[str, FieldType]:
        return self._schema.fields if level == HEADER else self._schema.collections[level]

    def _lines(self, lines: pa.StructArray, level: str) -> pa.StructArray:
        declared = self._fields_of(level)
        names = [entry.name for entry in lines.type]
        values = [_settle(value, declared.get(name)) for name, value in zip(names, lines.flatten(), strict=True)]
        fields = [pa.field(name, value.type) for name, value in zip(names, values, strict=True)]
        return pa.StructArray.from_arrays(values, fields=fields, mask=lines.is_null())

    def _parse(self, page: bytes, members: list[pa.Field]) -> tuple[pa.StructArray, pa.StructArray]:
        """The records as a struct array, and the parent of each (the record itself without `record_path`)."""
        if self._record_path is None:
            records = _read_json(page, members)
            return records, records
        parent_fields = _wide_fields(self._schema.parent_fields, (), Discovered({}))
        parents = _read_json(page, [*parent_fields, pa.field(self._record_path, pa.list_(pa.struct(members)))])
        elements = parents.field(self._record_path)
        return elements.flatten(), parents.take(pc.list_parent_indices(elements))

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


def _begin(page: bytes) -> str:
    return repr(page[:80].decode("utf-8", "replace"))


def _wide_fields(declared: Mapping[str, FieldType], custom: tuple[str, ...], found: Discovered) -> list[pa.Field]:
    types = {FieldType.NUMBER: _PARSED, FieldType.INTEGER: pa.int64()}
    fields = [pa.field(name, types.get(kind, pa.string())) for name, kind in declared.items()]
    return fields + [pa.field(name, _custom_type(found.kinds[name])) for name in custom if name not in declared]


def _custom_type(kinds: frozenset[str]) -> pa.DataType:
    present = kinds - {"null"}
    if present in (frozenset(), {"string"}):
        return pa.string()
    if present == {"number"}:
        return _PARSED
    if present == {"boolean"}:
        return pa.bool_()
    raise _NotFast


def _read_json(page: bytes, members: list[pa.Field]) -> pa.StructArray:
    table = pj.read_json(
        io.BytesIO(page),
        read_options=pj.ReadOptions(block_size=len(page) + 1024, use_threads=False),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema([pa.field("value", pa.list_(pa.struct(members)))]),
            unexpected_field_behavior="ignore",
        ),
    )
    return table["value"].combine_chunks().flatten()


def _settle(values: pa.Array, declared: FieldType | None) -> pa.Array:
    """A parsed column in its staged type; `declared` is None for a custom field, which becomes text."""
    if values.type.equals(_PARSED):
        rounded = _round(values)
        return rounded if declared is FieldType.NUMBER else _plain_text(rounded)
    if pa.types.is_boolean(values.type):
        return values.cast(pa.string())
    if declared is FieldType.DATE:
        return pc.utf8_slice_codeunits(values, 0, 10)
    return values


def _round(values: pa.Array) -> pa.Array:
    return pc.round(values.view(_WIDE), DECIMALS, "half_towards_infinity").cast(MONEY)


def _plain_text(numbers: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(numbers.cast(pa.string()), r"\.?0+$", "")
