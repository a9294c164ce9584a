"""Rows on stdout: as JSON for programs, as an aligned table for people."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def print_json(document: object) -> None:
    """One JSON document and a line end."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """An aligned table with a header line; numbers to the right.

    Args:
        rows: What to show; a missing value is shown as nothing.
        columns: Which values, in order.
    """
    cells = [[cell(row.get(name)) for name in columns] for row in rows]
    header = [name.replace("_", " ") for name in columns]
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(columns))]
    numeric = [any(_is_number(row.get(name)) for row in rows) for name in columns]
    for line in [header, *cells]:
        aligned = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(aligned).rstrip())


def cell(value: object) -> str:
    """A value on one line: control characters of a record must not move the terminal's cursor."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_within(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value)
    return "".join(char if char.isprintable() else " " for char in str(value))


def _within(value: object) -> str:
    """A table within a cell is told by its size only; JSON has all of it."""
    if isinstance(value, Mapping) and any(isinstance(item, Mapping) for item in value.values()):
        return f"({len(value)})"
    return cell(value)


@contextlib.contextmanager
def stdout_for_the_answer() -> Iterator[None]:
    """What others print inside the block, such as Airflow's log lines, goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def note(sentence: str) -> None:
    """Something people should know that is not part of the answer: on stderr."""
    print(sentence, file=sys.stderr)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
