"""OpenLineage's schemas as JSON Schema, to hold events against.

OpenLineage's Python client is generated from the official JSON schemas, class by class, with each schema's address,
and has no copy of them. So they are made again from its classes: properties, types, enumerations, what is required, and
that nothing is null. What the classes do not carry stands here: formats, and that every facet has its two addresses
(`OpenLineage.json` 2-0-2, `BaseFacet`). `test_official.py` compares the outcome with what the specification says.
"""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import attr
import jsonschema  # type: ignore[import-untyped]
import openlineage.client.generated as generated
from openlineage.client.generated.base import (
    BaseFacet,
    DatasetFacet,
    InputDatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunEvent,
    RunFacet,
)

FORMATS = {
    "eventTime": "date-time", "nominalStartTime": "date-time", "nominalEndTime": "date-time", "runId": "uuid",
    "producer": "uri", "schemaURL": "uri", "_producer": "uri", "_schemaURL": "uri", "uri": "uri",
}  # fmt: skip
OF_AIRFLOW = {"airflow", "airflowDagRun", "airflowState", "airflow_mappedTask", "airflow_dependencies", "debug"}
OURS = {"tieout_conservation"}
"""Facets that name the base schema: it allows any property."""

NAMES = {
    "ColumnLineageDatasetFacet": "columnLineage", "DatasourceDatasetFacet": "dataSource",
    "SchemaDatasetFacet": "schema", "DataQualityAssertionsDatasetFacet": "dataQualityAssertions",
    "DataQualityMetricsInputDatasetFacet": "dataQualityMetrics",
    "OutputStatisticsOutputDatasetFacet": "outputStatistics", "DocumentationJobFacet": "documentation",
    "JobTypeJobFacet": "jobType", "OwnershipJobFacet": "ownership", "TagsJobFacet": "tags",
    "ErrorMessageRunFacet": "errorMessage", "NominalTimeRunFacet": "nominalTime", "ParentRunFacet": "parent",
    "ProcessingEngineRunFacet": "processing_engine", "TagsRunFacet": "tags",
}  # fmt: skip
"""The key under which a facet stands, by the one property of its schema's file."""
PLACES = {
    "run.facets": RunFacet, "job.facets": JobFacet, "inputs.facets": DatasetFacet, "outputs.facets": DatasetFacet,
    "inputs.inputFacets": InputDatasetFacet, "outputs.outputFacets": OutputDatasetFacet,
}  # fmt: skip

_FACETS = ("run", "job", "inputs", "outputs")
_CHECKER = jsonschema.FormatChecker(formats=())
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


@_CHECKER.checks("uri")
def _is_uri(value: object) -> bool:
    return isinstance(value, str) and bool(urlsplit(value).scheme) and bool(urlsplit(value).netloc)


@_CHECKER.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return str(uuid.UUID(str(value))) == value


@_CHECKER.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


def problems(event: Mapping[str, Any]) -> list[str]:
    """What of an event is not as its schemas say."""
    found = _against(RunEvent, event, "event")
    for place, name, facet in facets_of(event):
        cls = facet_classes().get(facet.get("_schemaURL", ""))
        where = f"{place}.{name}"
        if cls is None:
            found.append(f"{where}: no such schema: {facet.get('_schemaURL')}")
            continue
        if place not in PLACES or not issubclass(cls, PLACES[place]):
            found.append(f"{where}: {cls.__name__} does not belong there")
        if cls in PLACES.values():
            if name not in OF_AIRFLOW | OURS:
                found.append(f"{where}: a facet without a schema of its own")
        elif NAMES.get(cls.__name__) != name:
            found.append(f"{where}: {cls.__name__} does not have that name")
        found += _against(cls, facet, where)
    return found


def facets_of(event: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Where, name and content of every facet."""
    for part in _FACETS:
        items = event.get(part) or []
        for item in items if isinstance(items, list) else [items]:
            for group in ("facets", "inputFacets", "outputFacets"):
                for name, facet in (item.get(group) or {}).items():
                    yield f"{part}.{group}", name, facet


@cache
def facet_classes() -> dict[str, type]:
    """Address of a schema → the class that was generated from it."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for value in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, BaseFacet):
                found[value._get_schema()] = value
    return found


@cache
def schema_of(cls: type) -> dict[str, Any]:
    """The JSON schema that a class was generated from, with those that it refers to."""
    definitions: dict[str, Any] = {}
    _define(cls, definitions)
    return {**definitions[_name(cls)], "$defs": definitions}


def _define(cls: type, definitions: dict[str, Any]) -> None:
    """Add a class's schema to the definitions, and those of the classes that its fields are of."""
    hints = typing.get_type_hints(cls)
    fields = attr.fields(cls)
    required = [field.name for field in fields if field.default is attr.NOTHING]
    if issubclass(cls, BaseFacet):
        required += ["_producer", "_schemaURL"]
    if cls is RunEvent:
        required += ["producer", "schemaURL"]
    properties: dict[str, Any] = {}
    definitions[_name(cls)] = {"type": "object", "properties": properties, "required": sorted(set(required))}
    properties.update({field.name: _type(hints[field.name], definitions, field.name) for field in fields})


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def _type(hint: Any, definitions: dict[str, Any], name: str = "") -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kinds = [_type(each, definitions, name) for each in arguments if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if origin is list:
        return {"type": "array", "items": _type(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1], definitions)}
    if hint in _SCALARS:
        return {"type": _SCALARS[hint], **({"format": FORMATS[name]} if name in FORMATS else {})}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    if not (isinstance(hint, type) and attr.has(hint)):
        return {}
    if _name(hint) not in definitions:
        _define(hint, definitions)
    return {"$ref": f"#/$defs/{_name(hint)}"}


def _against(cls: type, content: Mapping[str, Any], where: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema_of(cls), format_checker=_CHECKER)
    return [
        f"{where}{error.json_path.removeprefix('$')}: {error.message[:200]}" for error in validator.iter_errors(content)
    ]
