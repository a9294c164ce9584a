"""CSV files: G/L lines in the agreed columns, and records of any other kind as rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path

from sandbox.legacy_erp.money import millionths
from sandbox.legacy_erp.received import Reading

csv.field_size_limit(16 * 1024 * 1024)
_NEEDED = ("cost_centre", "account", "year", "period", "journal", "entry", "debit", "credit")


class _Unreadable(Exception):
    """The file cannot be read on; the message says why."""


def read_csv(path: Path, reading: Reading) -> None:
    """Reads a file; what it holds is known by the beginning of its name, or by the columns of G/L lines."""
    settings = reading.settings
    try:
        # Only what is agreed ends a line: any other line break in an unquoted value is refused by the csv module.
        with path.open(encoding=settings.encoding, newline=settings.line_end) as file:
            lines = _ended(file, settings.line_end)
            rows = csv.reader(lines, delimiter=settings.delimiter, strict=True)
            columns = _columns(rows, reading)
            if reading.entity == "gl_postings":
                _GlRows(reading, columns).read(rows)
            else:
                width = len(columns)
                reading.take_documents(dict(zip(columns, row, strict=True)) for row in _even(rows, width, reading))
    except UnicodeDecodeError as error:
        reading.unreadable(f"The bytes are not {settings.encoding}: {error.reason} at position {error.start}.")
    except csv.Error as error:
        reading.unreadable(f"The file is no CSV as agreed (lines end in {settings.line_end!r}): {error}.")
    except _Unreadable as error:
        reading.unreadable(str(error))


def _ended(lines: Iterator[str], line_end: str) -> Iterator[str]:
    """Lines, each of which must end as agreed."""
    for number, line in enumerate(lines, start=1):
        if not line.endswith(line_end):
            raise _Unreadable(f"Line {number} is the last and does not end in {line_end!r}: the file is cut off.")
        if line_end == "\n" and line.endswith("\r\n"):
            raise _Unreadable(f"Line {number} ends in '\\r\\n' instead of '\\n'.")
        yield line


def _columns(rows: Iterator[list[str]], reading: Reading) -> list[str]:
    """The header's columns, or the agreed ones where the file has no header."""
    settings = reading.settings
    if not settings.header:
        if reading.entity != "gl_postings":
            raise _Unreadable("Without a header only G/L lines can be read, whose columns are agreed.")
        return list(settings.gl_columns)
    columns = next(rows, [])
    if not columns:
        raise _Unreadable("The file is empty: not even a header row.")
    if reading.entity is None and set(_NEEDED) <= set(columns):
        reading.entity = "gl_postings"
    if len(set(columns)) != len(columns) or not all(columns):
        raise _Unreadable(f"The header has a column twice, or one without a name: {', '.join(columns)}.")
    if reading.entity == "gl_postings" and tuple(columns) != settings.gl_columns:
        reading.findings.add(f"The columns are {', '.join(columns)}; agreed are {', '.join(settings.gl_columns)}.")
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise _Unreadable(f"Columns are missing: {', '.join(missing)}.")
    return columns


def _even(rows: Iterator[list[str]], width: int, reading: Reading) -> Iterator[list[str]]:
    """Rows of the right length."""
    for number, row in enumerate(rows, start=1):
        if len(row) == width:
            yield row
        else:
            reading.findings.add(f"Row {number} has {len(row)} values and the header {width}.")


class _GlRows:
    """Takes G/L rows."""

    def __init__(self, reading: Reading, columns: list[str]) -> None:
        self._reading = reading
        self._columns = columns
        self._mark = reading.settings.decimal_mark
        self._row = 0

    def read(self, rows: Iterator[list[str]]) -> None:
        """Takes all rows."""
        position = {name: at for at, name in enumerate(self._columns)}
        optional = ("source_gl_code", "source", "reference", "description")
        texts = [position.get(name) for name in ("cost_centre", "account", *optional)]
        numbers = [position[name] for name in ("year", "period", "journal", "entry")]
        day, debit, credit = position.get("date"), position["debit"], position["credit"]
        add = self._reading.lines.add
        for row in _even(rows, len(self._columns), self._reading):
            self._row += 1
            year, period, journal, entry = [self._whole(row[at], at) for at in numbers]
            value = self._amount(row[debit], row[credit])
            if not row[position["account"]]:
                self._say("the account is empty")
            on = self._day(row[day]) if day is not None else 0
            cost_centre, account, *rest = ["" if at is None else row[at] for at in texts]
            add((year, period, journal, entry, on, value), (cost_centre, account, *rest))

    def _whole(self, text: str, at: int) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 10:
            return int(text)
        self._say(f"{self._columns[at]} {text!r} is no whole number")
        return 0

    def _amount(self, debit: str, credit: str) -> int:
        """Debit less credit: at most one of them is other than zero, neither is negative."""
        values = []
        for name, text in (("debit", debit), ("credit", credit)):
            value = millionths(text, self._mark) if text else 0
            if value is None or value < 0:
                self._say(f"{name} {text!r} is no amount of zero or more with {self._mark!r} before its decimals")
            values.append(value or 0)
        if values[0] and values[1]:
            self._say(f"debit {debit} and credit {credit} stand on one line")
        if not debit and not credit:
            self._say("there is neither debit nor credit")
        return values[0] - values[1]

    def _day(self, text: str) -> int:
        day = _day(text)
        if day is None:
            self._say(f"date {text!r} is no date YYYY-MM-DD")
        return day or 0

    def _say(self, what: str) -> None:
        self._reading.findings.add(f"Row {self._row}: {what}.")


@lru_cache(maxsize=4096)
def _day(text: str) -> int | None:
    """YYYYMMDD; 0 for none, None for no date."""
    if not text:
        return 0
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return int(found.strftime("%Y%m%d")) if found.isoformat() == text else None
