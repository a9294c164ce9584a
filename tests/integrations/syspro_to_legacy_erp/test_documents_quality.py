"""The suites of the documents: good files pass, and every expectation notices its own defect."""

from __future__ import annotations

import csv
import functools
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.syspro_to_legacy_erp.documents_support import ENTITIES, INCLUDE, mapped, project
from tests.integrations.syspro_to_legacy_erp.test_conversion import invoice, order
from tieout.quality import QualityReport, load_suite, validate_file
from tieout.quality.suite import ExpectationSpec, QualitySuite

Row = dict[str, str]

GOOD: dict[str, list[dict[str, Any]]] = {
    "invoices": [
        invoice(f"I{at}", amount, DueDate="2026-04-05", OrigDiscValue=None, InvoiceYear=2026, InvoiceMonth=3)
        for at, amount in enumerate(["10.50", "-3.25", "0"])
    ],
    "purchase_orders": [
        order(f"P{at}", ("1", "2"), ("2", "0.125"), SupplierName="Acme", OrderStatus=code)
        for at, code in enumerate("14*")
    ],
    "suppliers": [{"Supplier": f"S{at}", "SupplierName": "Acme", "OnHold": "N"} for at in range(3)],
    "items": [{"StockCode": f"A{at}", "Description": "Nut", "StockUom": "EA", "DateStkAdded": "2020-02-29"}
              for at in range(3)],
}  # fmt: skip


def suite_of(entity: str) -> QualitySuite:
    return load_suite(INCLUDE / f"quality/syspro_to_legacy_erp/{entity}.yaml")


def good_rows(entity: str) -> list[Row]:
    compiled, batch = mapped(project(entity), GOOD[entity])
    text = (bytes(compiled.header_line()) + bytes(batch.csv_bytes())).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def spoiled(suite: QualitySuite, spec: ExpectationSpec, key: str) -> list[Row]:
    """Rows of a key of their own with the defect that the expectation is for."""
    row = {**good_rows(suite.entity)[0], suite.key: key}
    match spec.type:
        case "expect_column_values_to_not_be_null":
            return [{**row, spec.columns[0]: ""}]
        case "expect_column_values_to_match_regex":
            return [{**row, spec.columns[0]: "1x"}]
        case "expect_column_values_to_be_in_set":
            return [{**row, spec.columns[0]: "?"}]
        case "expect_column_value_lengths_to_be_between":
            return [{**row, spec.columns[0]: key.ljust(spec.kwargs["max_value"] + 1, "X")}]
        case "expect_column_pair_values_a_to_be_greater_than_b":
            return [{**row, spec.columns[0]: "2026-01-01", spec.columns[1]: "2026-01-02"}]
        case "expect_column_values_to_be_unique" | "expect_compound_columns_to_be_unique":
            return [row, dict(row)]
    raise AssertionError(f"no defect for {spec.type}")


@functools.cache
def report_on_good(entity: str) -> QualityReport:
    with tempfile.TemporaryDirectory() as folder:
        return validate_file(suite_of(entity), write(Path(folder) / "good.csv", good_rows(entity)))


@pytest.mark.parametrize("entity", ENTITIES)
def test_good_files_pass(entity: str) -> None:
    report = report_on_good(entity)
    assert [result.sentence() for result in report.results if not result.success] == []
    assert report.rows == len(good_rows(entity))


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_suite_expects_the_columns_that_the_mapping_writes(entity: str) -> None:
    mapping, suite = project(entity), suite_of(entity)
    assert suite.columns == tuple(column.name for column in mapping.columns)
    assert suite.key == mapping.key_name


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_expectation_notices_its_defect(entity: str, tmp_path: Path) -> None:
    suite = suite_of(entity)
    bad = [spoiled(suite, spec, f"BAD{at:02d}") for at, spec in enumerate(suite.expectations)]
    rows = [*good_rows(entity), *(row for rows in bad for row in rows)]
    report = validate_file(suite, write(tmp_path / "bad.csv", rows))
    found = {(result.type, result.columns): result for result in report.results}
    good = {row[suite.key] for row in good_rows(entity)}
    for spec, defect in zip(suite.expectations, bad, strict=True):
        result = found[spec.type, spec.columns]
        assert not result.success, spec
        blamed = set(result.offending_keys)
        assert blamed.isdisjoint(good), result.sentence()
        wanted = defect[0][suite.key]
        assert wanted in blamed if wanted else any(key.startswith("(row ") for key in blamed), spec
