"""`$filter` and COMFND's `<Where>` over a table's columns, whole columns at a time."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from sandbox.syspro.table import BINARY, DATE, DECIMAL, INTEGER, NO_DATE, SCALE, Table

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith, "endswith": str.endswith, "contains": operator.contains,
}  # fmt: skip
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<moment>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)"
    r"|(?P<date>\d{4}-\d{2}-\d{2})|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_]\w*)|(?P<mark>[(),]))"
)
_MINUTES = 24 * 60


class BadQuery(Exception):
    """A query the service refuses (HTTP 400); the text is its message."""


@dataclass(frozen=True)
class DateRules:
    """How the service compares dates: its zone's minutes east of UTC, and which literals it takes."""

    offset: int = 0
    literals: str = "any"


class Filter:
    """A parsed `$filter`. Raises BadQuery for what the service refuses."""

    def __init__(self, text: str, table: Table, rules: DateRules, *, only_equality: bool = False) -> None:
        self._table = table
        self._rules = rules
        self._only_equality = only_equality
        self._tokens = _tokens(text)
        self._position = 0
        self.mask = self._either()
        if self._position != len(self._tokens):
            raise BadQuery(f"Syntax error at position {self._position} in '{text}'.")

    def _either(self) -> np.ndarray:
        mask = self._both()
        while self._take("word", "or"):
            if self._only_equality:
                raise BadQuery("The query is too complex for this service.")
            mask = mask | self._both()
        return mask

    def _both(self) -> np.ndarray:
        mask = self._one()
        while self._take("word", "and"):
            mask = mask & self._one()
        return mask

    def _one(self) -> np.ndarray:
        if self._take("word", "not"):
            return ~self._one()
        if self._take("mark", "("):
            mask = self._either()
            if not self._take("mark", ")"):
                raise BadQuery("A closing parenthesis is missing.")
            return mask
        name = self._next("word")
        if name in _FUNCTIONS and self._take("mark", "("):
            return self._function(name)
        word = self._next("word")
        if word not in COMPARE:
            raise BadQuery(f"'{word}' is no operator.")
        kind, literal = self._tokens[self._position] if self._position < len(self._tokens) else ("", "")
        self._position += 1
        return compare(self._table, name, word, kind, literal, self._rules)

    def _function(self, name: str) -> np.ndarray:
        column = self._next("word")
        if not self._take("mark", ","):
            raise BadQuery("A comma is missing.")
        part = self._next("string")
        if not self._take("mark", ")"):
            raise BadQuery("A closing parenthesis is missing.")
        test = _FUNCTIONS[name]
        return np.array([bool(test(value, part)) for value in _column(self._table, column)], dtype=bool)

    def _take(self, kind: str, text: str) -> bool:
        if self._position < len(self._tokens) and self._tokens[self._position] == (kind, text):
            self._position += 1
            return True
        return False

    def _next(self, kind: str) -> str:
        if self._position >= len(self._tokens) or self._tokens[self._position][0] != kind:
            raise BadQuery(f"Syntax error: a {kind} is expected at term {self._position + 1}.")
        self._position += 1
        return self._tokens[self._position - 1][1]


def compare(table: Table, name: str, word: str, kind: str, literal: str, rules: DateRules) -> np.ndarray:
    """Rows in which a column stands in the relation to a literal of a kind (string, number, date, moment, word)."""
    column = table.columns.get(name)
    if column is None:
        raise BadQuery(f"Could not find a property named '{name}' on type 'SYSPRO.{table.name}'.")
    test = COMPARE[word]
    if column.kind == BINARY:
        if word not in ("eq", "ne"):
            raise BadQuery(f"The binary operator '{word}' is not supported for type Edm.Binary.")
        return np.asarray(test(_column(table, name), literal), dtype=bool)
    if (kind, literal) == ("word", "null"):
        null = _column(table, name) == NO_DATE if column.kind == DATE else np.zeros(len(table), dtype=bool)
        return null if word == "eq" else ~null
    if column.kind in (INTEGER, DECIMAL):
        if kind != "number":
            raise BadQuery(f"Incompatible types: '{name}' is a number.")
        wanted = Decimal(literal) * (SCALE if column.kind == DECIMAL else 1)
        return np.asarray(test(_column(table, name), int(wanted) if wanted == int(wanted) else float(wanted)))
    if column.kind == DATE:
        return _compare_dates(_column(table, name), test, kind, literal, rules)
    if kind != "string":
        raise BadQuery(f"Incompatible types: '{name}' is Edm.String.")
    # SQL Server pads the shorter text, so that trailing spaces never matter.
    return np.asarray(test(_column(table, name), literal.rstrip(" ")), dtype=bool)


def _compare_dates(kept: np.ndarray, test: Callable[[Any, Any], Any], kind: str, literal: str, rules: DateRules) -> Any:
    if kind not in ("date", "moment") or (rules.literals == "date" and kind == "moment"):
        raise BadQuery("A binary operator with incompatible types was detected: Edm.DateTimeOffset.")
    if rules.literals == "moment" and not re.search(r"T.*(Z|[+-]\d{2}:\d{2})$", literal):
        raise BadQuery("A binary operator with incompatible types was detected: Edm.DateTimeOffset and Edm.Date.")
    moment = datetime.fromisoformat(literal)
    offset = moment.utcoffset()
    east = rules.offset if offset is None else int(offset.total_seconds() // 60)
    wanted = moment.toordinal() * _MINUTES + moment.hour * 60 + moment.minute - east
    return (kept != NO_DATE) & test(kept.astype(np.int64) * _MINUTES - rules.offset, wanted)


def _column(table: Table, name: str) -> np.ndarray:
    if name not in table.columns:
        raise BadQuery(f"Could not find a property named '{name}' on type 'SYSPRO.{table.name}'.")
    return table.array(name)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadQuery(f"Syntax error at position {position} in '{text}'.")
        value = match[match.lastgroup]
        tokens.append((match.lastgroup, value[1:-1].replace("''", "'") if match.lastgroup == "string" else value))
        position = match.end()
    return tokens
