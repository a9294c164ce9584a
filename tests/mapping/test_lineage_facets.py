"""OpenLineage's facets, held against the classes of its own client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.facet_v2 import column_lineage_dataset, schema_dataset
from openlineage.client.serde import Serde

from tieout.lineage.catalog import TargetLineage, file_lineage
from tieout.lineage.facets import column_lineage_facet, file_schema, schema_facet, source_schema
from tieout.mapping.lineage import ColumnLineage, Kind
from tieout.mapping.loader import load_mapping

INCLUDE = Path(__file__).parents[2] / "include/mappings"
TARGETS = [target for path in sorted(INCLUDE.rglob("*.yaml")) for target in file_lineage(path)]
SUBTYPES = {
    "DIRECT": {"IDENTITY", "TRANSFORMATION", "AGGREGATION"},
    "INDIRECT": {"JOIN", "GROUP_BY", "FILTER", "SORT", "WINDOW", "CONDITIONAL"},
}
"""What the specification of the facet lists."""


def locate(first: str) -> tuple[str, str]:
    return "sap_b1://b1:50000", f"SBODemo.{first}"


def as_client(facet: dict[str, Any]) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    """The client's own objects; a key or a type that they do not have is an error."""
    module = column_lineage_dataset
    fields = {}
    for column, field in facet["fields"].items():
        inputs = [
            module.InputField(
                **{**each, "transformations": [module.Transformation(**t) for t in each["transformations"]]}
            )
            for each in field["inputFields"]
        ]
        fields[column] = module.Fields(**{**field, "inputFields": inputs})
    return module.ColumnLineageDatasetFacet(fields=fields)


@pytest.mark.parametrize("target", TARGETS, ids=lambda each: f"{each.file.stem}-{each.entity}-{each.form}")
def test_the_client_takes_every_facet(target: TargetLineage) -> None:
    facet = column_lineage_facet(target.rows, locate)
    assert list(facet["fields"]) == list(dict.fromkeys(row.target for row in target.rows))
    sent = json.loads(Serde.to_json(as_client(facet)))
    # What the client sends is what we said, and where it is specified.
    assert sent["_schemaURL"].endswith("ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet")
    for column, field in facet["fields"].items():
        assert sent["fields"][column]["inputFields"] == field["inputFields"]
        for each in field["inputFields"]:
            assert each["field"] and each["transformations"]
            assert all(t["subtype"] in SUBTYPES[t["type"]] for t in each["transformations"])


def test_values_are_direct_and_conditions_are_not() -> None:
    facet = column_lineage_facet(
        [
            ColumnLineage("Invoices.DocTotal", "DocTotal", "total", "rename", Kind.IDENTITY),
            ColumnLineage("Invoices.Lines.Amount", "Lines.Amount", "total", "sum", Kind.AGGREGATION),
            ColumnLineage("Invoices.Currency", "Currency", "total", "decides", Kind.CONDITION),
            ColumnLineage("Invoices.DocTotal", "DocTotal", "total", "decides", Kind.CONDITION),
            ColumnLineage("(constant)", "", "type", "constant X", Kind.CONSTANT),
        ],
        locate,
    )
    assert facet["fields"]["type"] == {"inputFields": []}
    inputs = facet["fields"]["total"]["inputFields"]
    assert [(each["field"], [(t["type"], t["subtype"]) for t in each["transformations"]]) for each in inputs] == [
        ("DocTotal", [("DIRECT", "IDENTITY"), ("INDIRECT", "CONDITIONAL")]),
        ("Lines.Amount", [("DIRECT", "AGGREGATION")]),
        ("Currency", [("INDIRECT", "CONDITIONAL")]),
    ]
    assert {(each["namespace"], each["name"]) for each in inputs} == {("sap_b1://b1:50000", "SBODemo.Invoices")}


def schema_of(facet: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Names and types, once the client has taken the facet."""
    fields = [schema_dataset.SchemaDatasetFacetFields(**field) for field in facet["fields"]]
    sent = json.loads(Serde.to_json(schema_dataset.SchemaDatasetFacet(fields=fields)))
    assert [field["ordinal_position"] for field in sent["fields"]] == list(range(1, len(fields) + 1))
    return [(field["name"], field.get("type")) for field in sent["fields"]]


def test_schema_of_a_file() -> None:
    found = schema_of(
        file_schema(load_mapping(INCLUDE / "sap_b1_to_peakflo/invoices.yaml"), ["U_Region", "line.U_Lot"])
    )
    types = dict(found)
    assert [name for name, _ in found][:2] == ["externalId", "invoiceNumber"]
    assert (types["externalId"], types["issueDate"], types["totalAmount"], types["status"]) == (
        "integer", "date", "decimal", "text",
    )  # fmt: skip
    assert [name for name, _ in found][-2:] == ["U_Region", "line.U_Lot"]
    assert types["line.U_Lot"] is None


def test_schema_of_a_source() -> None:
    invoices = schema_of(source_schema(load_mapping(INCLUDE / "sap_b1_to_peakflo/invoices.yaml"), ["line.U_Lot"]))
    assert ("DocTotal", "decimal") in invoices
    assert ("DocumentLines.LineTotal", "decimal") in invoices
    assert invoices[-1] == ("DocumentLines.U_Lot", None)
    contacts = schema_of(source_schema(load_mapping(INCLUDE / "sap_b1_to_peakflo/contacts.yaml")))
    assert ("CardCode", "text") in contacts
    assert ("ContactEmployees.InternalCode", "integer") in contacts


def test_the_fields_of_the_lineage_are_in_the_source_schema() -> None:
    path = INCLUDE / "sap_b1_to_peakflo/contacts.yaml"
    known = {name for name, _ in schema_of(source_schema(load_mapping(path)))}
    facet = column_lineage_facet(file_lineage(path)[0].rows, locate)
    assert {each["field"] for field in facet["fields"].values() for each in field["inputFields"]} <= known


def test_an_empty_type_is_left_out() -> None:
    assert schema_facet([("a", "text"), ("b", "")]) == {
        "fields": [
            {"name": "a", "type": "text", "ordinal_position": 1},
            {"name": "b", "ordinal_position": 2},
        ]
    }
