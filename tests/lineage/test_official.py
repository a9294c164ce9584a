"""The schemas that events are held against: what the specification requires, and that wrong events are found wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from openlineage.client.generated.base import Job, RunEvent

from tests.lineage.official import facet_classes, problems, schema_of

SPEC = "https://openlineage.io/spec"
TIME = "2026-01-31T00:00:00+00:00"
ADDRESSES = {
    "_producer": "https://example.com/producer",
    "_schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet",
}
BASE = {"_producer", "_schemaURL"}
REQUIRED = {
    "ColumnLineageDatasetFacet": {"fields"},
    "DataQualityAssertionsDatasetFacet": {"assertions"},
    "DatasourceDatasetFacet": set(),
    "DocumentationJobFacet": {"description"},
    "ErrorMessageRunFacet": {"message", "programmingLanguage"},
    "JobTypeJobFacet": {"processingType", "integration"},
    "NominalTimeRunFacet": {"nominalStartTime"},
    "OutputStatisticsOutputDatasetFacet": set(),
    "ParentRunFacet": {"run", "job"},
    "ProcessingEngineRunFacet": {"version"},
    "SchemaDatasetFacet": set(),
}
"""As the specification's files of these names say, beyond the two addresses."""


def event(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "eventTime": TIME,
        "eventType": "COMPLETE",
        "producer": "https://example.com/producer",
        "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "01a1f640-bc00-7bb8-9c2b-9bdda5acdcf4", "facets": {"tieout_conservation": dict(ADDRESSES)}},
        "job": {"namespace": "tieout", "name": "a.b", "facets": {}},
        "inputs": [],
        "outputs": [{"namespace": "sftp://host:22", "name": "/inbound", "facets": {}, "outputFacets": {}}],
    }
    return {**found, **changes}


@pytest.mark.parametrize("name", REQUIRED)
def test_what_a_facet_requires(name: str) -> None:
    (cls,) = [each for each in facet_classes().values() if each.__name__ == name]
    assert set(schema_of(cls)["required"]) == REQUIRED[name] | BASE


def test_what_an_event_requires() -> None:
    schema = schema_of(RunEvent)
    assert set(schema["required"]) == {"eventTime", "producer", "schemaURL", "run", "job"}
    assert set(schema["properties"]["eventType"]["enum"]) == {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}
    assert schema_of(Job)["required"] == ["name", "namespace"]
    assert problems(event()) == []


STATISTICS = {
    "_producer": "https://example.com/producer",
    "_schemaURL": f"{SPEC}/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json"
    "#/$defs/OutputStatisticsOutputDatasetFacet",
    "rowCount": 3,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(("eventType",), "DONE", id="unknown type of event"),
        pytest.param(("eventTime",), "2026-01-31T00:00:00", id="time without a zone"),
        pytest.param(("run", "runId"), "7", id="run id is no UUID"),
        pytest.param(("job", "name"), None, id="null"),
        pytest.param(("producer",), "tieout", id="producer is no address"),
        pytest.param(("run", "facets", "mine"), dict(ADDRESSES), id="facet without a schema of its own"),
        pytest.param(("run", "facets", "tieout_conservation"), {}, id="facet without addresses"),
        pytest.param(("outputs", 0, "namespace"), 7, id="namespace is no text"),
        pytest.param(
            ("outputs", 0, "outputFacets", "outputStatistics"), {**STATISTICS, "rowCount": "3"}, id="rows are text"
        ),
        pytest.param(
            ("outputs", 0, "outputFacets", "outputStatistics"),
            {**STATISTICS, "_schemaURL": f"{SPEC}/facets/9-9-9/Other.json"},
            id="schema that does not exist",
        ),
        pytest.param(("outputs", 0, "outputFacets", "statistics"), STATISTICS, id="facet under another name"),
        pytest.param(("outputs", 0, "facets", "outputStatistics"), STATISTICS, id="facet in another place"),
    ],
)
def test_a_wrong_event_is_found(path: tuple[str | int, ...], value: object) -> None:
    wrong = copy.deepcopy(event())
    place: Any = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert problems(wrong)


def test_a_facet_that_is_right_is_no_problem() -> None:
    right = event()
    right["outputs"][0]["outputFacets"]["outputStatistics"] = STATISTICS
    assert problems(right) == []
