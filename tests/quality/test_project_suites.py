"""The suites of sap_b1_to_peakflo: good data passes, and every expectation notices its own defect."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest

from tests.quality.samples import DEFECTS, GOOD, SUITES, Defect, good_row, planted, suite_of, write_csv
from tieout.mapping.loader import load_mapping
from tieout.quality import ExpectationResult, QualityReport, Severity, validate_file

ROWS_PER_DEFECT = 10
FIRST_DEFECT = 10_000


def test_every_entity_has_a_suite() -> None:
    assert {path.stem for path in SUITES.glob("*.yaml")} == set(GOOD)


@pytest.mark.parametrize("entity", GOOD)
def test_good_data_passes(entity: str, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "good.csv", [good_row(entity, number) for number in range(1, 4)])
    report = validate_file(suite_of(entity), file)
    assert [result.sentence() for result in report.results if not result.success] == []
    assert report.success
    assert report.rows == 3


@pytest.mark.parametrize("entity", GOOD)
def test_every_expectation_has_a_defect_that_it_must_notice(entity: str) -> None:
    declared = {(spec.type, spec.columns) for spec in suite_of(entity).expectations}
    assert {(d.type, d.columns) for d in DEFECTS if d.entity == entity} == declared


@pytest.mark.parametrize("entity", GOOD)
def test_a_suite_expects_the_columns_that_the_mapping_writes(entity: str) -> None:
    mapping = load_mapping(SUITES.parents[1] / "mappings" / "sap_b1_to_peakflo" / f"{entity}.yaml")
    assert suite_of(entity).columns == tuple(column.name for column in mapping.columns)


@functools.cache
def _report_on_all_defects(entity: str) -> QualityReport:
    """Good rows, and all defects of the entity among them, each with keys of its own."""
    rows = [good_row(entity, number) for number in range(1, 6)]
    for position, defect in enumerate(d for d in DEFECTS if d.entity == entity):
        rows += planted(defect, FIRST_DEFECT + position * ROWS_PER_DEFECT)
    with tempfile.TemporaryDirectory() as folder:
        return validate_file(suite_of(entity), write_csv(Path(folder) / "bad.csv", rows))


def _result(defect: Defect) -> ExpectationResult:
    report = _report_on_all_defects(defect.entity)
    return next(r for r in report.results if (r.type, r.columns) == (defect.type, defect.columns))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.id)
def test_a_planted_defect_is_found_with_its_key(defect: Defect) -> None:
    result = _result(defect)
    siblings = [d for d in DEFECTS if d.entity == defect.entity]
    first = planted(defect, FIRST_DEFECT + siblings.index(defect) * ROWS_PER_DEFECT)[0]
    assert result.status == "failed"
    if first["externalId"]:
        assert first["externalId"] in result.offending_keys
    else:
        assert result.offending_keys[0].startswith("(row ")


@pytest.mark.parametrize("entity", GOOD)
def test_good_rows_are_never_blamed(entity: str) -> None:
    good = {good_row(entity, number)["externalId"] for number in range(1, 6)}
    for result in _report_on_all_defects(entity).results:
        assert good.isdisjoint(result.offending_keys), result.sentence()


@pytest.mark.parametrize("entity", ["customers", "contacts"])
def test_what_only_bothers_people_is_a_warning(entity: str, tmp_path: Path) -> None:
    row = {**good_row(entity, 1), "email": "nobody"}
    report = validate_file(suite_of(entity), write_csv(tmp_path / "file.csv", [row]))
    assert report.success
    assert [(r.columns, r.severity) for r in report.warnings] == [(("email",), Severity.WARNING)]


def test_a_contact_without_an_email_address_is_sent_with_a_warning(tmp_path: Path) -> None:
    row = {**good_row("contacts", 1), "email": ""}
    report = validate_file(suite_of("contacts"), write_csv(tmp_path / "contacts.csv", [row]))
    assert report.success
    assert [r.offending_keys for r in report.warnings] == [("00001",)]


def test_a_value_that_only_starts_well_is_refused(tmp_path: Path) -> None:
    """`$` in a pattern would let a line end pass."""
    row = {**good_row("invoices", 1), "issueDate": "2026-01-31\n"}
    report = validate_file(suite_of("invoices"), write_csv(tmp_path / "invoices.csv", [row]))
    assert [r.columns for r in report.critical_failures] == [("issueDate",)]
