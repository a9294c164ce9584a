"""What a validation found: for the task log, for people, and as JSON for the ledger and for lineage."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tieout.quality.suite import Severity


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation over a whole file.

    Attributes:
        type: Great Expectations' name of it.
        columns: The columns it looks at.
        severity: What its failure means.
        meaning: The suite's sentence on why it is there.
        evaluated: Rows it judged: empty values are left out where the expectation leaves them out.
        unexpected: Rows that do not meet it.
        success: Met, with the suite's tolerance (`mostly`).
        error: Why it could not be evaluated at all; None when it was.
        offending_keys: A few record keys, never row contents; `(row 7)` where the row has no key.
        records: The keys of all rows that do not meet it; None when they are too many to list or have no key.
    """

    type: str
    columns: tuple[str, ...]
    severity: Severity
    meaning: str
    evaluated: int
    unexpected: int
    success: bool
    error: str | None
    offending_keys: tuple[str, ...]
    records: frozenset[str] | None = None

    @property
    def status(self) -> str:
        """`passed`, `failed` or `errored`."""
        if self.error is not None:
            return "errored"
        return "passed" if self.success else "failed"

    def sentence(self) -> str:
        """One sentence on a result that did not pass."""
        where = ", ".join(self.columns)
        if self.error is not None:
            return f"{self.type} on {where} could not be evaluated: {self.error} ({self.meaning})"
        if self.type == "expect_column_to_exist":
            return f"The file has no column {where}. {self.meaning}"
        examples = f", such as {', '.join(self.offending_keys)}" if self.offending_keys else ""
        return f"{where}: {self.unexpected} of {self.evaluated} rows do not meet {self.type}{examples}. {self.meaning}"

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "type": self.type,
            "columns": list(self.columns),
            "severity": self.severity.value,
            "meaning": self.meaning,
            "status": self.status,
            "success": self.success,
            "evaluated": self.evaluated,
            "unexpected": self.unexpected,
            "error": self.error,
            "offending_keys": list(self.offending_keys),
        }


@dataclass(frozen=True)
class QualityReport:
    """All results for one file, in the suite's order.

    Attributes:
        entity: Entity of the suite.
        file_name: Name of the file that was read.
        rows: Data rows in it, without the header.
        results: One per expectation.
    """

    entity: str
    file_name: str
    rows: int
    results: tuple[ExpectationResult, ...]

    @property
    def success(self) -> bool:
        """True when nothing critical failed: the file may be sent."""
        return not self.critical_failures

    @property
    def critical_failures(self) -> tuple[ExpectationResult, ...]:
        """Critical expectations that were not met or could not be evaluated."""
        return tuple(r for r in self.results if not r.success and r.severity is Severity.CRITICAL)

    @property
    def warnings(self) -> tuple[ExpectationResult, ...]:
        """Expectations of severity warning that were not met or could not be evaluated."""
        return tuple(r for r in self.results if not r.success and r.severity is Severity.WARNING)

    def to_json(self) -> str:
        """The report as one JSON document."""
        document = {
            "entity": self.entity,
            "file_name": self.file_name,
            "rows": self.rows,
            "success": self.success,
            "results": [result.as_json() for result in self.results],
        }
        return json.dumps(document, ensure_ascii=False)

    def text(self) -> str:
        """A table for the task log, failures first, then a sentence for each failure."""
        head = (
            f"{self.entity}: {self.file_name}, {self.rows} rows, "
            f"{len(self.critical_failures)} critical, {len(self.warnings)} warnings"
        )
        lines = [head, *_table(self._table_rows())]
        lines += [f"- {r.severity.value}: {r.sentence()}" for r in self.critical_failures + self.warnings]
        return "\n".join(lines)

    def _table_rows(self) -> list[tuple[str, ...]]:
        # Dozens of columns that exist, as they always do, would bury the rows worth reading.
        shown = [r for r in self.results if r.type != "expect_column_to_exist" or not r.success]
        shown.sort(key=lambda r: (r.success, r.severity is not Severity.CRITICAL))
        rows: list[tuple[str, ...]] = [("result", "severity", "expectation", "columns", "evaluated", "unexpected")]
        for r in shown:
            rows.append((r.status, r.severity.value, r.type, ", ".join(r.columns), str(r.evaluated), str(r.unexpected)))
        return rows


def _table(rows: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
