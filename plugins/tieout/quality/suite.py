"""The typed form of a quality suite's YAML file.

A suite names the columns a file must have and the Great Expectations that its rows must meet:

    entity: contacts
    key: externalId
    columns: [externalId, customerRef, email]
    expectations:
      - type: expect_column_values_to_not_be_null
        kwargs: {column: email}
        severity: warning
        meaning: A contact without an e-mail address receives no reminders.

`severity: critical` stops the entity before anything of it is sent; `warning` is reported and sent.
Only expectations whose result over a whole file can be added up from its chunks are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tieout.yaml_file import KeyPath, load_yaml


class Severity(StrEnum):
    """What a failed expectation means for the file."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True)
class ExpectationKind:
    """Which arguments an expectation type takes.

    Attributes:
        columns: Arguments that name one column each; all are required.
        column_lists: Arguments that name a list of columns; all are required.
        required: Other arguments that must be there.
        optional: Arguments that may be there.
        whole_file: True when chunks cannot be judged one by one (uniqueness).
    """

    columns: tuple[str, ...] = ("column",)
    column_lists: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ("mostly",)
    whole_file: bool = False

    @property
    def mandatory(self) -> tuple[str, ...]:
        """Every argument that must be given."""
        return self.columns + self.column_lists + self.required


_PAIR = ("column_A", "column_B")
KINDS: Mapping[str, ExpectationKind] = {
    "expect_column_to_exist": ExpectationKind(optional=()),
    "expect_column_values_to_not_be_null": ExpectationKind(),
    "expect_column_values_to_be_null": ExpectationKind(),
    "expect_column_values_to_be_in_set": ExpectationKind(required=("value_set",)),
    "expect_column_values_to_not_be_in_set": ExpectationKind(required=("value_set",)),
    "expect_column_values_to_match_regex": ExpectationKind(required=("regex",)),
    "expect_column_values_to_not_match_regex": ExpectationKind(required=("regex",)),
    "expect_column_value_lengths_to_be_between": ExpectationKind(optional=("min_value", "max_value", "mostly")),
    "expect_column_pair_values_to_be_equal": ExpectationKind(_PAIR, optional=("ignore_row_if", "mostly")),
    "expect_column_pair_values_a_to_be_greater_than_b": ExpectationKind(
        _PAIR, optional=("or_equal", "ignore_row_if", "mostly")
    ),
    "expect_column_values_to_be_unique": ExpectationKind(optional=(), whole_file=True),
    "expect_compound_columns_to_be_unique": ExpectationKind(
        columns=(), column_lists=("column_list",), optional=(), whole_file=True
    ),
}


class ExpectationSpec(BaseModel):
    """One expectation of a suite, as written in YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    kwargs: dict[str, Any]
    severity: Severity
    meaning: Annotated[str, Field(min_length=10)]

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"{value!r} is not an expectation that can be used here; use one of: {', '.join(KINDS)}")
        return value

    @model_validator(mode="after")
    def _arguments_fit(self) -> ExpectationSpec:
        kind = KINDS[self.type]
        missing = [name for name in kind.mandatory if name not in self.kwargs]
        if missing:
            raise ValueError(f"kwargs of {self.type} lack {', '.join(missing)}")
        unknown = sorted(set(self.kwargs) - set(kind.mandatory) - set(kind.optional))
        if unknown:
            allowed = ", ".join(kind.mandatory + kind.optional)
            raise ValueError(f"{self.type} does not take the kwargs {', '.join(unknown)}; it takes {allowed}")
        self._check_values(kind)
        return self

    def _check_values(self, kind: ExpectationKind) -> None:
        for name in kind.columns:
            if not isinstance(self.kwargs[name], str) or not self.kwargs[name]:
                raise ValueError(f"kwargs.{name} must be a column name")
        for name in kind.column_lists:
            if not _is_text_list(self.kwargs[name]) or len(self.kwargs[name]) < 2:
                raise ValueError(f"kwargs.{name} must be a list of at least two column names")
        if "regex" in self.kwargs:
            _check_regex(self.kwargs["regex"])
        if "value_set" in self.kwargs and not _is_text_list(self.kwargs["value_set"]):
            # The CSV is read as text, so `true` or `1` without quotes would never be met.
            raise ValueError("kwargs.value_set must be a list of texts; put numbers, true and false in quotes")
        mostly = self.kwargs.get("mostly", 1)
        if isinstance(mostly, bool) or not isinstance(mostly, (int, float)) or not 0 < mostly <= 1:
            raise ValueError("kwargs.mostly must be a number above 0 and up to 1")

    @property
    def kind(self) -> ExpectationKind:
        """The arguments this type takes and how it is evaluated."""
        return KINDS[self.type]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the expectation looks at."""
        single = [str(self.kwargs[name]) for name in self.kind.columns]
        listed = [str(column) for name in self.kind.column_lists for column in self.kwargs[name]]
        return tuple(single + listed)

    @property
    def mostly(self) -> float:
        """Share of the evaluated rows that must meet the expectation, 1.0 for all."""
        return float(self.kwargs.get("mostly", 1))


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _check_regex(pattern: object) -> None:
    if not isinstance(pattern, str):
        raise ValueError("kwargs.regex must be a text")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"kwargs.regex is not a regular expression: {error}") from None


class QualitySuite(BaseModel):
    """All that is expected of one entity's file.

    Attributes:
        entity: Entity, the same as the file's name.
        key: Column whose values name a record in reports.
        columns: Columns the file must have; a missing one is a critical failure. More are welcome (`U_*`).
        expectations: What the rows must meet.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entity: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    expectations: Annotated[tuple[ExpectationSpec, ...], Field(min_length=1)]

    def all_expectations(self) -> tuple[ExpectationSpec, ...]:
        """The suite with one `expect_column_to_exist` per declared column in front."""
        existing = (
            ExpectationSpec(
                type="expect_column_to_exist",
                kwargs={"column": name},
                severity=Severity.CRITICAL,
                meaning=f"The receiver relies on a column {name}.",
            )
            for name in self.columns
        )
        return (*existing, *self.expectations)


def load_suite(path: Path) -> QualitySuite:
    """Read and check one suite.

    Args:
        path: `include/quality/<dag_id>/<entity>.yaml`.

    Raises:
        ConfigurationInvalid: The file is missing, is not YAML or does not fit; names file, line and key.
    """
    file = load_yaml(path)
    suite = file.validate(QualitySuite)
    for position, message in _contradictions(suite, path.stem):
        raise file.problem(position, message)
    return suite


def _contradictions(suite: QualitySuite, stem: str) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong between keys that are each right by themselves."""
    if suite.entity != stem:
        yield ("entity",), f"the file is named {stem}.yaml; name it {suite.entity}.yaml or correct the entity."
    for index, name in enumerate(suite.columns):
        if name in suite.columns[:index]:
            yield ("columns", index), f"the column {name!r} is already listed. Keep it once."
    if suite.key not in suite.columns:
        yield ("key",), f"{suite.key!r} is not among columns. Add it there or choose another key."
    for index, spec in enumerate(suite.expectations):
        for name in spec.columns:
            if name not in suite.columns:
                yield ("expectations", index, "kwargs"), f"{name!r} is not among columns. Add it there or correct it."
