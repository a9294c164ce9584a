"""OpenLineage's facets of a dataset, as plain dictionaries.

What is returned are the fields of `ColumnLineageDatasetFacet` 1-2-0 and `SchemaDatasetFacet` 1-2-0, without the
`_producer` and `_schemaURL` that the client's classes add. Sources: the facets' JSON schemas at openlineage.io/spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tieout.mapping.catalog import Catalog
from tieout.mapping.lineage import ColumnLineage, Kind
from tieout.mapping.model import LINE_PREFIX, EntityMapping
from tieout.odata.schema import FieldType

Facet = dict[str, Any]
Locate = Callable[[str], tuple[str, str]]
"""Entity set, table or file (the first part of a source) → namespace and name of its dataset."""

_DIRECT: Mapping[Kind, str] = {
    Kind.IDENTITY: "IDENTITY",
    Kind.CONVERSION: "TRANSFORMATION",
    Kind.LOOKUP: "TRANSFORMATION",
    Kind.CHOICE: "TRANSFORMATION",
    Kind.CALCULATION: "TRANSFORMATION",
    Kind.AGGREGATION: "AGGREGATION",
}
_TYPES: Mapping[FieldType, str] = {
    FieldType.TEXT: "text",
    FieldType.INTEGER: "integer",
    FieldType.NUMBER: "decimal",
    FieldType.DATE: "date",
}


def column_lineage_facet(rows: Iterable[ColumnLineage], locate: Locate) -> Facet:
    """The facet `columnLineage` of a target.

    A constant, a setting and what the run makes itself have no input field; their columns are there, with none.

    Args:
        rows: The target's.
        locate: Where the inputs are.

    Returns:
        `{"fields": {target: {"inputFields": [{"namespace", "name", "field", "transformations"}]}}}`.
    """
    fields: dict[str, dict[str, Any]] = {}
    for row in rows:
        inputs = fields.setdefault(row.target, {"inputFields": []})["inputFields"]
        if row.kind.reads_source:
            _add_input(inputs, row, locate)
    return {"fields": fields}


def _add_input(inputs: list[dict[str, Any]], row: ColumnLineage, locate: Locate) -> None:
    """One input per field; a field that is used twice has two transformations."""
    first, _, field = row.source.partition(".")
    namespace, name = locate(first)
    key = {"namespace": namespace, "name": name, "field": field or first}
    known = next((each for each in inputs if key.items() <= each.items()), None)
    if known is None:
        known = {**key, "transformations": []}
        inputs.append(known)
    transformation = _transformation(row)
    if transformation not in known["transformations"]:
        known["transformations"].append(transformation)


def _transformation(row: ColumnLineage) -> dict[str, Any]:
    direct = _DIRECT.get(row.kind)
    return {
        "type": "DIRECT" if direct else "INDIRECT",
        "subtype": direct or "CONDITIONAL",
        "description": row.transformation,
        "masking": False,
    }


def schema_facet(columns: Iterable[tuple[str, str]]) -> Facet:
    """The facet `schema` of a dataset.

    Args:
        columns: Name and type of each column, in order; an empty type is left out.
    """
    return {
        "fields": [
            {"name": name, **({"type": kind} if kind else {}), "ordinal_position": position}
            for position, (name, kind) in enumerate(columns, start=1)
        ]
    }


def file_schema(mapping: EntityMapping, custom_columns: Sequence[str] = ()) -> Facet:
    """The facet `schema` of a mapping's file: what its texts stand for, `text`, `integer`, `decimal` or `date`.

    Args:
        mapping: The mapping.
        custom_columns: The custom columns of the compiled mapping.
    """
    catalog = Catalog(mapping)
    named = [(column.name, _TYPES.get(catalog.expression_type(column), "text")) for column in mapping.columns]
    return schema_facet([*named, *((name, "") for name in custom_columns)])


def source_schema(mapping: EntityMapping, custom_columns: Sequence[str] = ()) -> Facet:
    """The facet `schema` of the entity set that a mapping reads: the properties that are read, nested ones by path.

    Args:
        mapping: The mapping.
        custom_columns: The custom columns of the compiled mapping.
    """
    source = mapping.source
    own = f"{source.record_path}." if source.record_path else ""
    columns = [(name, _TYPES.get(kind, "text")) for name, kind in source.parent.items()]
    columns += [(own + name, _TYPES.get(kind, "text")) for name, kind in source.fields.items()]
    for collection, members in source.collections.items():
        columns += [(f"{own}{collection}.{name}", _TYPES.get(kind, "text")) for name, kind in members.items()]
    for name in custom_columns:
        line = name.startswith(LINE_PREFIX)
        path = f"{source.lines}.{name.removeprefix(LINE_PREFIX)}" if line else name
        columns.append((own + path, ""))
    return schema_facet(columns)
