"""A file of statements: checked as a whole, or read one by one."""

from __future__ import annotations

from collections.abc import Iterator

from tieout.errors import BadRecord
from tieout.formats.coda.chain import statement_chain
from tieout.formats.coda.checker import StatementChecker
from tieout.formats.coda.fields import text
from tieout.formats.coda.lines import records
from tieout.formats.coda.reports import Findings
from tieout.formats.coda.statement import CodaResult, Statement
from tieout.formats.findings import Finding

_ANOTHER_FOLLOWS = b"1"
_LAST = b"2"


def check_file(data: bytes) -> CodaResult:
    """Reads a file's statements and checks them by the standard's rules.

    Args:
        data: The file, in windows-1252, its lines ended by LF or CRLF.

    Returns:
        The statements and all findings: fatal where sums, counts, order or fields are wrong, warnings where banks are
        known to do otherwise and receivers take it.
    """
    findings = Findings()
    statements = tuple(_statements(data, findings))
    findings.extend(_continuity(statements))
    return CodaResult(statements, findings.all())


def read_statements(data: bytes) -> Iterator[Statement]:
    """A file's statements, each as soon as its trailer is read.

    Raises:
        BadRecord: The file is fatally wrong up to here; the message says where.
    """
    findings = Findings()
    for statement in _statements(data, findings):
        _refuse(findings)
        yield statement
    _refuse(findings)


def _statements(data: bytes, findings: Findings) -> Iterator[Statement]:
    checker: StatementChecker | None = None
    multiple_code, number = b"", 0
    lost = False  # between statements, in lines that belong to none
    for number, line in records(data, findings):
        kind = line[:1]
        if kind == b"0":
            if checker is not None and checker.readable:
                checker.break_off(number)
            _compare_multiple_code(multiple_code, number, findings)
            checker, multiple_code, lost = StatementChecker(number, line, findings), b"", False
        elif checker is None:
            lost = _report_stray(number, line, findings, told=lost)
        elif kind != b"9":
            if checker.readable:
                checker.take(number, line)
        else:
            statement = checker.finish(number, line) if checker.readable else None
            multiple_code, checker = checker.multiple_code, None
            if statement is not None:
                yield statement
    if checker is not None and checker.readable:
        checker.break_off(number + 1)
    if number == 0:
        findings.fatal("CODA-HEADER", 1, "The file is empty; expected is a header (record 0).")
    elif multiple_code and multiple_code != _LAST:
        findings.warn(
            "CODA-TRAILER",
            number,
            f"The last trailer has {text(multiple_code)!r} in position 128, expected is 2: no statement follows.",
        )


def _compare_multiple_code(code: bytes, number: int, findings: Findings) -> None:
    if code and code != _ANOTHER_FOLLOWS:
        findings.warn(
            "CODA-TRAILER",
            number,
            f"The trailer before this header has {text(code)!r} in position 128, expected is 1: a statement follows.",
        )


def _report_stray(number: int, line: bytes, findings: Findings, *, told: bool) -> bool:
    if not line:
        findings.warn("CODA-LENGTH", number, "The line between two statements is empty.")
        return told
    if not told:
        findings.fatal(
            "CODA-HEADER",
            number,
            f"The line begins with {text(line[:2])!r}; expected is a header (record 0). "
            "What comes before the next header is not read.",
        )
    return True


def _continuity(statements: tuple[Statement, ...]) -> Iterator[Finding]:
    last: dict[tuple[str, str, str], Statement] = {}
    for statement in statements:
        book = (statement.account, statement.currency, statement.separate_application)
        if book in last:
            yield from statement_chain(last[book], statement)
        last[book] = statement


def _refuse(findings: Findings) -> None:
    finding = findings.first_fatal()
    if finding is not None:
        raise BadRecord(
            f"The CODA file is wrong. {finding.sentence()}",
            reason_code=finding.rule.replace("-", "_"),
            fix_hint="Ask the sender of the file for a correct one.",
        )
