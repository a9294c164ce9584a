"""A table as columns: numbers in NumPy arrays, texts by formula or as objects. A million rows are no Python objects.

Rows are in key order. A row that a test adds or changes keeps its texts apart, by the row's own number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

TEXT, INTEGER, DECIMAL, DATE, BINARY = "text", "integer", "decimal", "date", "binary"
NO_DATE = -1
SCALE = 1_000_000
"""Decimals are kept as integers of millionths."""

Formula = Callable[[np.ndarray], Sequence[str]]
"""Texts of rows by their numbers."""


@dataclass(frozen=True)
class Column:
    """A column; `places` are the decimals that SYSPRO shows, `width` is that of a fixed character column."""

    name: str
    kind: str = TEXT
    places: int = 0
    width: int = 0


def to_stored(value: Any, kind: str) -> Any:
    """A Python value as it is kept."""
    if kind == DECIMAL:
        scaled = Decimal(str(value or 0)) * SCALE
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{value} has more than six decimals.")
        return int(scaled)
    if kind == INTEGER:
        return int(value or 0)
    if kind == DATE:
        if not value:
            return NO_DATE
        day = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        return day.toordinal()
    return "" if value is None else str(value)


def to_python(value: Any, column: Column) -> Any:
    """A kept value as int, Decimal, `YYYY-MM-DD` or text."""
    if column.kind == DECIMAL:
        exact = Decimal(int(value)) / SCALE
        return exact if exact != round(exact, column.places) else round(exact, column.places)
    if column.kind == INTEGER:
        return int(value)
    if column.kind == DATE:
        return None if value == NO_DATE else date.fromordinal(int(value)).isoformat()
    return str(value)


class Table:
    """One table.

    Args:
        name: Its name.
        key: Columns of its primary key, in order.
        columns: All columns.
        stored: Arrays by column; all of one length. Texts as object arrays.
        formulas: Texts of the other columns, by row number (0 to length - 1 for the rows given here).
    """

    def __init__(
        self,
        name: str,
        key: tuple[str, ...],
        columns: Sequence[Column],
        stored: Mapping[str, np.ndarray],
        formulas: Mapping[str, Formula] | None = None,
    ) -> None:
        self.name = name
        self.key = key
        self.columns = {column.name: column for column in columns}
        self.version = 0
        self._formulas = dict(formulas or {})
        self._stored = {column: np.asarray(values) for column, values in stored.items()}
        self._numbers = np.arange(len(next(iter(self._stored.values()))), dtype=np.int64)
        self._next_number = len(self._numbers)
        self._own: dict[int, dict[str, str]] = {}
        self._lock = threading.RLock()
        self._sort()

    def __len__(self) -> int:
        return len(self._numbers)

    def array(self, name: str) -> np.ndarray:
        """A whole column as kept; texts that a formula gives are made for it."""
        if name in self._stored:
            return self._stored[name]
        return np.array(self.texts(name, np.arange(len(self))), dtype=object)

    def texts(self, name: str, rows: np.ndarray) -> list[str]:
        """Texts of a column in the given rows."""
        if name in self._stored:
            return list(self._stored[name][rows])
        numbers = self._numbers[rows]
        found = list(self._formulas[name](numbers))
        if self._own:
            for position, number in enumerate(numbers.tolist()):
                own = self._own.get(number)
                if own is not None and name in own:
                    found[position] = own[name]
        return found

    def row(self, position: int) -> dict[str, Any]:
        """One row as Python values."""
        index = np.array([position])
        values = {}
        for name, column in self.columns.items():
            texty = column.kind in (TEXT, BINARY)
            kept = self.texts(name, index)[0] if texty else self._stored[name][position]
            values[name] = to_python(kept, column)
        return values

    def find(self, key: Sequence[Any]) -> int:
        """The position of a row. Raises KeyError when there is none."""
        mask = np.ones(len(self), dtype=bool)
        for name, value in zip(self.key, key, strict=True):
            mask &= self.array(name) == to_stored(value, self.columns[name].kind)
        found = np.flatnonzero(mask)
        if not len(found):
            raise KeyError("|".join(map(str, key)))
        return int(found[0])

    # -- changes ------------------------------------------------------------------------------------------------------

    def insert(self, *rows: Mapping[str, Any]) -> None:
        """Adds rows. Raises ValueError for an unknown column or a key that is there already."""
        with self._lock:
            for values in rows:
                self._check(values)
                try:
                    self.find([values[name] for name in self.key])
                except KeyError:
                    continue
                raise ValueError(f"{self.name} has that key already: {[values[name] for name in self.key]}.")
            numbers = np.arange(self._next_number, self._next_number + len(rows), dtype=np.int64)
            self._next_number += len(rows)
            for name, kept in list(self._stored.items()):
                kind = self.columns[name].kind
                added = np.array([to_stored(values.get(name), kind) for values in rows], dtype=kept.dtype)
                self._stored[name] = np.concatenate([kept, added])
            for number, values in zip(numbers.tolist(), rows, strict=True):
                self._own[number] = {name: to_stored(values.get(name), TEXT) for name in self._formulas}
            self._numbers = np.concatenate([self._numbers, numbers])
            self._sort()
            self.version += 1

    def update(self, key: Sequence[Any], values: Mapping[str, Any]) -> None:
        """Changes a row in place; no date moves by itself, as in SYSPRO."""
        with self._lock:
            self._check(values)
            position = self.find(key)
            for name, value in values.items():
                kept = to_stored(value, self.columns[name].kind)
                if name in self._stored:
                    changed = self._stored[name].copy()
                    changed[position] = kept
                    self._stored[name] = changed
                else:
                    self._own.setdefault(int(self._numbers[position]), {})[name] = kept
            self._sort()
            self.version += 1

    def delete(self, key: Sequence[Any]) -> None:
        """Removes a row."""
        with self._lock:
            position = self.find(key)
            self._numbers = np.delete(self._numbers, position)
            self._stored = {name: np.delete(kept, position) for name, kept in self._stored.items()}
            self.version += 1

    def _check(self, values: Mapping[str, Any]) -> None:
        unknown = [name for name in values if name not in self.columns]
        if unknown:
            raise ValueError(f"{self.name} has no column {', '.join(unknown)}.")

    def _sort(self) -> None:
        order = np.lexsort([self.array(name) for name in reversed(self.key)])
        if not np.array_equal(order, np.arange(len(order))):
            self._numbers = self._numbers[order]
            self._stored = {name: kept[order] for name, kept in self._stored.items()}


def day(value: date) -> int:
    """A date as it is kept."""
    return value.toordinal()


def days_after(value: date, days: int) -> date:
    """So many days later."""
    return value + timedelta(days=days)
