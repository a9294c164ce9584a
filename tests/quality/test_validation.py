"""Streaming a file through a suite: chunks, missing columns, broken files, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.quality.samples import DEFECTS, good_row, planted, suite_of, write_csv
from tieout.errors import ConfigurationInvalid, QualityFailed
from tieout.quality import (
    ExpectationSpec,
    QualityReport,
    QualitySuite,
    Severity,
    validate_file,
)
from tieout.quality.expectations import ROW_NUMBER, Validator


def _mixed_file(folder: Path) -> Path:
    """Payments without, and invoices with, defects far apart: a repeated line's twin comes at the very end."""
    rows = [good_row("invoices", number) for number in range(1, 40)]
    for position, defect in enumerate(d for d in DEFECTS if d.entity == "invoices"):
        rows.insert(position * 2, planted(defect, 100 + position * 10)[0])
    rows.append(dict(rows[3]))
    return write_csv(folder / "invoices.csv", rows)


@pytest.mark.parametrize("chunk_rows", [20, 38])
def test_chunks_give_the_result_of_one_batch(tmp_path: Path, chunk_rows: int) -> None:
    file = _mixed_file(tmp_path)
    whole = validate_file(suite_of("invoices"), file)
    assert validate_file(suite_of("invoices"), file, chunk_rows=chunk_rows) == whole
    assert len(whole.critical_failures) > 20


def test_equal_keys_in_different_chunks_are_found(tmp_path: Path) -> None:
    rows = [good_row("customers", number) for number in (1, 2, 3, 4, 2, 5, 1)]
    report = validate_file(suite_of("customers"), write_csv(tmp_path / "c.csv", rows), chunk_rows=2)
    (failure,) = report.critical_failures
    assert (failure.evaluated, failure.unexpected) == (7, 4)
    assert set(failure.offending_keys) == {"K00001", "K00002"}


def test_tolerance_counts_over_the_whole_file(tmp_path: Path) -> None:
    """All failures in one chunk, few in the file."""
    spec = ExpectationSpec(
        type="expect_column_values_to_not_be_null",
        kwargs={"column": "b", "mostly": 0.7},
        severity=Severity.CRITICAL,
        meaning="Most rows have a value.",
    )
    suite = QualitySuite(entity="x", key="a", columns=("a", "b"), expectations=(spec,))
    rows = [{"a": str(n), "b": "" if n < 3 else "v"} for n in range(10)]
    assert validate_file(suite, write_csv(tmp_path / "x.csv", rows), chunk_rows=3).success
    rows[9]["b"] = ""
    assert not validate_file(suite, write_csv(tmp_path / "x.csv", rows), chunk_rows=3).success


@pytest.mark.parametrize("column", ["status", "externalId"])
def test_a_missing_column_is_an_error_not_a_failure(tmp_path: Path, column: str) -> None:
    row = good_row("invoices", 1)
    del row[column]
    report = validate_file(suite_of("invoices"), write_csv(tmp_path / "invoices.csv", [row]))
    by_status = {r.type: r.status for r in report.results if column in r.columns}
    assert by_status.pop("expect_column_to_exist") == "failed"
    assert set(by_status.values()) == {"errored"}
    assert f"the file has no column {column}" in report.text()
    assert all(r.success for r in report.results if column not in r.columns)
    assert not report.success


def test_arguments_that_great_expectations_refuses_are_a_mistake_in_the_suite(tmp_path: Path) -> None:
    spec = ExpectationSpec(
        type="expect_column_pair_values_a_to_be_greater_than_b",
        kwargs={"column_A": "a", "column_B": "b", "ignore_row_if": "on_full_moon"},
        severity=Severity.WARNING,
        meaning="An argument that is not one.",
    )
    suite = QualitySuite(entity="x", key="a", columns=("a", "b"), expectations=(spec,))
    with pytest.raises(ConfigurationInvalid, match=r"greater_than_b on a, b has kwargs"):
        validate_file(suite, write_csv(tmp_path / "x.csv", [{"a": "1", "b": "2"}]))


def test_what_great_expectations_cannot_evaluate_is_an_error() -> None:
    spec = suite_of("taxes").expectations[0]
    frame = pd.DataFrame({"another": ["x"], ROW_NUMBER: [1]})
    (outcome,) = Validator([spec], key=None, examples=5).run(frame)
    assert not outcome.success
    assert outcome.error is not None
    assert "externalId" in outcome.error


def test_a_header_without_rows_passes(tmp_path: Path) -> None:
    file = tmp_path / "invoices.csv"
    file.write_text(",".join(good_row("invoices", 1)) + "\r\n")
    report = validate_file(suite_of("invoices"), file)
    assert (report.rows, report.success) == (0, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"externalId,name\r\nsecret one,2,3\r\n", "Expected 2 columns, got 3"),
        (b"externalId,name\r\n\xff\xfe,2\r\n", "UTF-8"),
    ],
    ids=["empty", "ragged", "latin-1"],
)
def test_a_file_that_is_no_csv_is_refused_without_quoting_it(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "taxes.csv"
    file.write_bytes(content)
    with pytest.raises(QualityFailed, match=words) as caught:
        validate_file(suite_of("taxes"), file)
    assert "taxes.csv" in str(caught.value)
    assert "secret" not in str(caught.value)


def _bad_contacts(folder: Path) -> QualityReport:
    rows = [
        {**good_row("contacts", n), "email": "", "isMainContact": "perhaps", "lastName": "Lovelace"} for n in (1, 2)
    ]
    return validate_file(suite_of("contacts"), write_csv(folder / "contacts.csv", rows))


def test_reports_carry_keys_and_never_rows(tmp_path: Path) -> None:
    report = _bad_contacts(tmp_path)
    for text in (report.text(), report.to_json()):
        assert "00001, 00002" in text or '["00001", "00002"]' in text
        assert "Lovelace" not in text
        assert "perhaps" not in text


def test_the_text_names_failures_before_what_passed(tmp_path: Path) -> None:
    head, columns, *lines = _bad_contacts(tmp_path).text().splitlines()
    assert head == "contacts: contacts.csv, 2 rows, 1 critical, 1 warnings"
    assert columns.split() == ["result", "severity", "expectation", "columns", "evaluated", "unexpected"]
    assert lines[0].split() == ["failed", "critical", "expect_column_values_to_be_in_set", "isMainContact", "2", "2"]
    assert lines[1].startswith("failed  warning")
    assert lines[-1].startswith("- warning: email: 2 of 2 rows do not meet")


def test_the_json_is_complete(tmp_path: Path) -> None:
    report = _bad_contacts(tmp_path)
    document = json.loads(report.to_json())
    assert (document["success"], document["rows"]) == (False, 2)
    assert len(document["results"]) == len(suite_of("contacts").all_expectations())


_MEASURE = """
import resource, sys
from pathlib import Path
from tests.quality.samples import suite_of
from tieout.quality import validate_file
suite = suite_of("taxes")
def run(rows):
    file = Path(sys.argv[1]) / "taxes.csv"
    with file.open("w") as out:
        out.write("externalId,name,rate,category,active\\n")
        out.writelines(f"S{n},{'x' * 60},21.5,c,true\\n" for n in range(rows))
    assert validate_file(suite, file, chunk_rows=20_000).success
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
small = run(200_000)
print(run(600_000) - small)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """400,000 rows more (33 MB of CSV), in a process of its own."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path)],
        cwd=root,
        env={"PYTHONPATH": f"{root / 'plugins'}:{root}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 40


def test_importing_the_package_loads_neither_pandas_nor_great_expectations() -> None:
    code = "import sys, tieout.quality; print({'pandas', 'great_expectations', 'pyarrow'} & set(sys.modules))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(root / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
