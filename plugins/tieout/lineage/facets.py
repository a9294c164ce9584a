"""OpenLineage's facets of a dataset, as plain dictionaries.

What is returned are the fields of `ColumnLineageDatasetFacet` 1-2-0, `SchemaDatasetFacet` 1-2-0,
`OutputStatisticsOutputDatasetFacet` 1-0-2, `DataQualityAssertionsDatasetFacet` 1-1-0 and
`DataQualityMetricsInputDatasetFacet` 1-0-3, without the `_producer` and `_schemaURL` that the client's classes add.
Sources: the facets' JSON schemas at openlineage.io/spec.
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


def statistics_facet(rows: int, size: int | None = None, files: int | None = None) -> Facet:
    """The facet `outputStatistics`.

    Args:
        rows: Source records: a document is one, however many lines it has, as everywhere in the ledger.
        size: Bytes; None where nobody counts them.
        files: How many files they are in; None where they are in none.
    """
    figures = {"rowCount": rows, "size": size, "fileCount": files}
    return {name: value for name, value in figures.items() if value is not None}


def quality_facets(report: Mapping[str, Any]) -> dict[str, Facet]:
    """The facets of a file that was judged: `dataQualityAssertions` and `dataQualityMetrics`.

    Args:
        report: `QualityReport.to_json`, read.
    """
    return {"dataQualityAssertions": assertions_facet(report), "dataQualityMetrics": quality_metrics_facet(report)}


def assertions_facet(report: Mapping[str, Any]) -> Facet:
    """The facet `dataQualityAssertions`: what Great Expectations found.

    Keys of records stay out of it: the ledger has them.

    Args:
        report: `QualityReport.to_json`, read.
    """
    return {"assertions": [_assertion(result) for result in report["results"]]}


def quality_metrics_facet(report: Mapping[str, Any]) -> Facet:
    """The facet `dataQualityMetrics` of a file that was judged; single columns are not measured."""
    return {"rowCount": report["rows"], "columnMetrics": {}}


def _assertion(result: Mapping[str, Any]) -> dict[str, Any]:
    columns = result["columns"]
    found = f"{result['unexpected']} of {result['evaluated']} rows do not meet it"
    return {
        "assertion": result["type"],
        "success": result["success"],
        # OpenLineage: an assertion without a column is one on the whole dataset.
        **({"column": columns[0]} if len(columns) == 1 else {}),
        "severity": result["severity"],
        "name": f"{result['type']}({', '.join(columns)})",
        "description": result["meaning"],
        "actual": result["error"] or found,
    }
