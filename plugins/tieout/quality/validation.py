"""Stream a finished CSV through its quality suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tieout.quality.csv_chunks import ReadablePath, read_chunks, read_header
from tieout.quality.report import ExpectationResult, QualityReport
from tieout.quality.suite import ExpectationSpec, QualitySuite

if TYPE_CHECKING:
    import pandas as pd

    from tieout.quality.expectations import Outcome
    from tieout.quality.uniqueness import RepeatFinder

EXAMPLES = 5
"""Keys that a report shows."""

KEPT = 1_000
"""Keys that are kept to hold their records; a batch with more bad rows than this is not a matter of single records."""


@dataclass
class _Sum:
    """One expectation's outcomes, added up over the chunks of a file."""

    spec: ExpectationSpec
    evaluated: int = 0
    unexpected: int = 0
    exists: bool = True
    error: str | None = None
    keys: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.evaluated += outcome.evaluated
        self.unexpected += outcome.unexpected
        self.error = self.error or outcome.error
        if self.spec.type == "expect_column_to_exist":
            self.exists = self.exists and outcome.success
        self.keys += outcome.keys[: KEPT - len(self.keys)]

    def result(self) -> ExpectationResult:
        return ExpectationResult(
            type=self.spec.type,
            columns=self.spec.columns,
            severity=self.spec.severity,
            meaning=self.spec.meaning,
            evaluated=self.evaluated,
            unexpected=self.unexpected,
            success=self.error is None and self.exists and self._enough(),
            error=self.error,
            offending_keys=tuple(self.keys[:EXAMPLES]),
            records=self._records(),
        )

    def _records(self) -> frozenset[str] | None:
        if self.error is not None or (self.spec.kind.whole_file and not self.keys) or len(self.keys) != self.unexpected:
            return None
        return None if any(key.startswith("(row ") for key in self.keys) else frozenset(self.keys)

    def _enough(self) -> bool:
        if self.unexpected == 0:
            return True
        return (self.evaluated - self.unexpected) / self.evaluated >= self.spec.mostly


def validate_file(suite: QualitySuite, csv_path: ReadablePath, *, chunk_rows: int = 100_000) -> QualityReport:
    """Judge a file by its suite.

    The file is read in chunks, so memory depends on `chunk_rows` and not on the file; the result does not depend
    on `chunk_rows`. Great Expectations is imported here (seconds, the first time in a process).

    Args:
        suite: What is expected.
        csv_path: The finished CSV: UTF-8, comma, RFC 4180, header row.
        chunk_rows: Rows judged at a time.

    Raises:
        QualityFailed: The file cannot be read as CSV at all. Unmet expectations are in the report instead.
    """
    from tieout.quality.expectations import Validator

    header = read_header(csv_path)
    key = suite.key if suite.key in header else None
    sums = [_Sum(spec) for spec in suite.all_expectations()]
    _refuse_missing_columns(sums, header)
    by_chunk = [s for s in sums if not s.spec.kind.whole_file and s.error is None]
    by_file = [s for s in sums if s.spec.kind.whole_file and s.error is None]
    wanted = {*suite.columns, *(name for s in sums for name in s.spec.columns)}
    columns = [name for name in header if name in wanted] or header[:1]
    validator = Validator([s.spec for s in by_chunk], key=key, examples=KEPT)
    with ExitStack() as stack:
        finders = [stack.enter_context(_finder(s.spec)) for s in by_file]
        rows = 0
        for frame in _numbered(csv_path, columns, chunk_rows):
            rows += len(frame)
            for total, outcome in zip(by_chunk, validator.run(frame), strict=True):
                total.add(outcome)
            for finder in finders:
                finder.add(frame)
        for total, finder in zip(by_file, finders, strict=True):
            _judge_uniqueness(total, finder, csv_path, key, chunk_rows)
    return QualityReport(suite.entity, csv_path.name, rows, tuple(total.result() for total in sums))


def _refuse_missing_columns(sums: Sequence[_Sum], header: Sequence[str]) -> None:
    """An expectation on a column that is not there is an error of its own, said in our words."""
    for total in sums:
        missing = [name for name in total.spec.columns if name not in header]
        if missing and total.spec.type != "expect_column_to_exist":
            total.error = f"the file has no column {', '.join(missing)}"


def _finder(spec: ExpectationSpec) -> RepeatFinder:
    from tieout.quality.uniqueness import RepeatFinder

    return RepeatFinder(spec.columns)


def _numbered(path: ReadablePath, columns: Sequence[str], chunk_rows: int) -> Iterator[pd.DataFrame]:
    """Chunks with each row's number in the file; the first row after the header is 1."""
    from tieout.quality.expectations import ROW_NUMBER

    first = 1
    for frame in read_chunks(path, columns, chunk_rows=chunk_rows):
        frame[ROW_NUMBER] = range(first, first + len(frame))
        first += len(frame)
        yield frame


def _judge_uniqueness(total: _Sum, finder: RepeatFinder, path: ReadablePath, key: str | None, chunk_rows: int) -> None:
    """Read the rows with a repeated digest again and let Great Expectations judge those together."""
    from tieout.quality.expectations import Validator

    repeated = finder.repeated()
    columns = list(dict.fromkeys([*finder.columns, *([key] if key else [])]))
    if repeated.parts:
        validator = Validator([total.spec], key=key, examples=KEPT)
        for part in range(repeated.parts):
            frames = _numbered(path, columns, chunk_rows)
            total.add(validator.run(finder.candidates(frames, repeated, part))[0])
    # Rows that nothing repeats were judged too, by their digests.
    total.evaluated = finder.evaluated
