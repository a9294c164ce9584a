"""The layout of staged records as Arrow types: what `tieout.odata.pages` produces and the mapping consumes.

`_key` (text), `_raw` (the record's original JSON bytes), `parent.*`, the wanted properties under the source's own
names, the custom fields as text; collections are lists of structs built by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tieout.odata.schema import HEADER, FieldType, RecordSchema

MONEY = pa.decimal128(28, 6)
"""Type of every staged number. Doubles such as 1234.3700000000001 are rounded to it, half away from zero."""

DECIMALS = 6

KEY = "_key"
RAW = "_raw"
PARENT = "parent."

CustomFields = Mapping[str, Sequence[str]]
"""Custom field names by level (`header` or a collection's name), sorted."""

_TYPES: dict[FieldType, pa.DataType] = {
    FieldType.TEXT: pa.string(),
    FieldType.DATE: pa.string(),
    FieldType.NUMBER: MONEY,
    FieldType.INTEGER: pa.int64(),
}


def arrow_type(field_type: FieldType) -> pa.DataType:
    """The Arrow type in which a property of this type is staged."""
    return _TYPES[field_type]


def member_fields(fields: Mapping[str, FieldType], custom: Sequence[str] = ()) -> list[pa.Field]:
    """The Arrow fields of one level: declared properties in their order, then custom fields as text."""
    declared = [pa.field(name, arrow_type(kind)) for name, kind in fields.items()]
    return declared + [pa.field(name, pa.string()) for name in custom if name not in fields]


def staged_schema(schema: RecordSchema, custom: CustomFields | None = None) -> pa.Schema:
    """The Arrow schema of staged records.

    Args:
        schema: What is wanted.
        custom: The custom fields found per level, e.g. of an extraction's manifest.
    """
    found = custom or {}
    columns = [pa.field(KEY, pa.string()), pa.field(RAW, pa.binary())]
    columns += [pa.field(PARENT + name, arrow_type(kind)) for name, kind in schema.parent_fields.items()]
    columns += member_fields(schema.fields)
    for name, fields in schema.collections.items():
        columns.append(pa.field(name, pa.list_(pa.struct(member_fields(fields, found.get(name, ()))))))
    columns += [pa.field(name, pa.string()) for name in found.get(HEADER, ()) if name not in schema.fields]
    return pa.schema(columns)
