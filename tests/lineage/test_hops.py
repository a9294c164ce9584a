"""The way of every mapped column, step by step: put together, the steps lead back to what the mapping names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tieout.lineage.banqup import banqup
from tieout.lineage.catalog import TargetLineage, file_lineage
from tieout.lineage.datasets import Dataset
from tieout.lineage.facets import assertions_facet, quality_metrics_facet, statistics_facet
from tieout.lineage.flow import Flow, Read, Written
from tieout.lineage.hops import facets, into_staging, out_of_staging, sources, targets, unchanged
from tieout.mapping.lineage import ColumnLineage, Kind

INCLUDE = Path(__file__).parents[2] / "include/mappings"
TARGETS = [target for path in sorted(INCLUDE.rglob("*.yaml")) for target in file_lineage(path)]
STAGED, FILE, THERE = (
    Dataset("file", "/staging/extract"),
    Dataset("file", "/staging/data"),
    Dataset("sftp://h:22", "/in"),
)


def source(first: str) -> Dataset:
    return Dataset("system://host:1", first)


def arrows(dataset: Dataset, facets: Any) -> dict[tuple[str, str, str], set[tuple[str, str, str]]]:
    return {
        (*dataset, column): {(each["namespace"], each["name"], each["field"]) for each in entry["inputFields"]}
        for column, entry in facets["columnLineage"]["fields"].items()
    }


@pytest.mark.parametrize("target", TARGETS, ids=lambda each: f"{each.integration}-{each.entity}-{each.form}")
def test_the_steps_of_every_target_lead_back_to_its_sources(target: TargetLineage) -> None:
    rows = target.rows
    staged = into_staging(rows, target.integration, target.entity)
    graph = {
        **(arrows(STAGED, facets(staged, source)) if staged else {}),
        **arrows(FILE, out_of_staging(rows, STAGED, source)),
        **arrows(THERE, unchanged(targets(rows), FILE)),
    }
    for row in rows:
        seen: set[tuple[str, str, str]] = set()
        waiting = [(*THERE, row.target)]
        assert waiting[0] in graph
        while waiting:
            new = graph.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        if row.kind.reads_source:
            first, _, rest = row.source.partition(".")
            assert (*source(first), rest or first) in seen, row


def test_what_a_step_adds_is_no_plain_copy() -> None:
    (invoices,) = [each for each in TARGETS if (each.entity, each.form) == ("invoices", "csv")][1:]
    by_column = {row.target: row for row in into_staging(invoices.rows, invoices.integration, invoices.entity)}
    assert by_column["SupplierName"].kind is Kind.LOOKUP
    assert by_column["InvoiceDate"].kind is Kind.IDENTITY


def test_what_is_not_staged_comes_from_the_source_itself() -> None:
    rows = [ColumnLineage("GenMaster.Description", "", "name", "lookup", Kind.LOOKUP)]
    assert into_staging(rows) == []
    assert sources(rows) == ["GenMaster"]
    (input_field,) = out_of_staging(rows, STAGED, source)["columnLineage"]["fields"]["name"]["inputFields"]
    assert (input_field["name"], input_field["field"]) == ("GenMaster", "Description")


def test_banqup_names_listing_documents_and_statements() -> None:
    every = [row for rows in banqup().values() for row in rows]
    assert set(sources(every)) == {"documents", "Invoice", "CODA"}


def test_flows_are_added_up() -> None:
    first = Flow((Read(STAGED),), (Written(FILE),), {"a": {"b": 1}})
    second = Flow((Read(STAGED), Read(FILE, checks={"dataQualityMetrics": {}})), (Written(THERE),), {"a": {"b": 2}})
    both = first + second
    assert [each.dataset for each in both.reads] == [STAGED, FILE]
    assert [each.dataset for each in both.writes] == [FILE, THERE]
    assert both.run_facets == {"a": {"b": 1}}


def test_figures_and_findings() -> None:
    assert statistics_facet(3) == {"rowCount": 3}
    assert statistics_facet(3, 0, 1) == {"rowCount": 3, "size": 0, "fileCount": 1}
    result = {
        "type": "expect_column_values_to_be_unique", "columns": ["a"], "severity": "critical", "success": False,
        "meaning": "No two are the same.", "evaluated": 9, "unexpected": 2, "error": None, "offending_keys": ["SECRET"],
    }  # fmt: skip
    broken = {**result, "columns": ["a", "b"], "error": "the file has no column b"}
    report = {"rows": 9, "results": [result, broken]}
    first, second = assertions_facet(report)["assertions"]
    assert (first["column"], first["success"], first["severity"]) == ("a", False, "critical")
    assert first["actual"] == "2 of 9 rows do not meet it"
    assert "column" not in second and second["name"] == "expect_column_values_to_be_unique(a, b)"
    assert second["actual"] == "the file has no column b"
    assert "SECRET" not in str(assertions_facet(report))
    assert quality_metrics_facet(report) == {"rowCount": 9, "columnMetrics": {}}
