"""Suites that are wrong say file, line, key and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.quality import Severity, load_suite

GOOD = """\
entity: taxes
key: externalId
columns: [externalId, rate]
expectations:
  - type: expect_column_values_to_match_regex
    kwargs: {column: rate, regex: '^[0-9]+$'}
    severity: warning
    meaning: A rate is a number.
"""


def _written(folder: Path, text: str) -> Path:
    path = folder / "taxes.yaml"
    path.write_text(text)
    return path


def test_a_good_suite(tmp_path: Path) -> None:
    suite = load_suite(_written(tmp_path, GOOD))
    assert (suite.entity, suite.key, suite.columns) == ("taxes", "externalId", ("externalId", "rate"))
    assert [(spec.columns, spec.severity) for spec in suite.expectations] == [(("rate",), Severity.WARNING)]
    assert [spec.type for spec in suite.all_expectations()][:2] == ["expect_column_to_exist"] * 2


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("entity: taxes", "entity: tax", 1, "the file is named taxes.yaml"),
        ("key: externalId", "key: id", 2, "'id' is not among columns"),
        ("[externalId, rate]", "[externalId, rate, rate]", 3, "already listed"),
        ("column: rate", "column: rat", 6, "'rat' is not among columns"),
        ("match_regex", "match_rexeg", 5, "is not an expectation that can be used here"),
        ("expect_column_values_to_match_regex", "expect_column_mean_to_be_between", 5, "can be used here"),
        ("regex: ", "pattern: ", 6, "lack regex"),
        ("column: rate,", "column: rate, mostley: 0.9,", 6, "mostley"),
        ("column: rate,", "column: rate, mostly: 0,", 6, "mostly"),
        ("^[0-9]+$", "^[0-9+$", 6, "not a regular expression"),
        ("severity: warning", "severity: fatal", 7, "severity"),
        ("meaning: A rate is a number.", "meaning: x", 8, "meaning"),
        ("severity: warning", "severety: warning", 7, "severety"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    path = _written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigurationInvalid, match=r"taxes\.yaml") as caught:
        load_suite(path)
    assert words in str(caught.value)
    assert f"line {line}," in str(caught.value) or f"line {line - 1}," in str(caught.value)


def test_a_value_set_of_numbers_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("match_regex", "be_in_set").replace("regex: '^[0-9]+$'", "value_set: [6, 21]")
    with pytest.raises(ConfigurationInvalid, match="in quotes"):
        load_suite(_written(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"nothing\.yaml"):
        load_suite(tmp_path / "nothing.yaml")
