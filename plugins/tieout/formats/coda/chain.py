"""Whether one statement of an account follows another."""

from __future__ import annotations

from tieout.formats.coda.statement import Statement
from tieout.formats.findings import Finding


def statement_chain(previous: Statement, statement: Statement) -> list[Finding]:
    """What speaks against `statement` being the one that comes next after `previous`.

    The number of coded statements is one more than the last one's, or starts again at 1 in a new year; the old balance
    is the last one's new balance. A file made in January may still carry the old year's number, so that a new year
    does not forbid to count on. All are warnings: banks skip numbers, and services deliver the same day twice.

    Args:
        previous: The account's last statement so far.
        statement: The one after it, of the same account and currency.

    Returns:
        `CODA-REPEAT` for a number that was there already, `CODA-GAP` for numbers left out, `CODA-CHAIN` for balances
        that do not join or another account.
    """
    if _book(previous) != _book(statement):
        return [
            _warning(
                statement,
                "CODA-CHAIN",
                f"The statement is of account {_book(statement)}, the one before it of {_book(previous)}.",
            )
        ]
    if _repeats(previous, statement):
        return [_repeat(previous, statement)]
    findings = []
    expected = _expected(previous, statement)
    if statement.coda_sequence not in expected:
        wanted = " or ".join(f"{number:03d}" for number in sorted(expected))
        findings.append(
            _warning(
                statement,
                "CODA-GAP",
                f"Account {statement.account} has statement {statement.coda_sequence:03d} of {_year(statement)} after "
                f"{previous.coda_sequence:03d} of {_year(previous)}; expected was {wanted}.",
            )
        )
    if previous.new_balance != statement.old_balance:
        findings.append(
            _warning(
                statement,
                "CODA-CHAIN",
                f"The old balance of account {statement.account} is {statement.old_balance}; the statement before it "
                f"ends at {previous.new_balance}.",
            )
        )
    return findings


def _book(statement: Statement) -> str:
    """What is numbered and balanced by itself, in words."""
    kind = statement.separate_application
    return f"{statement.account} in {statement.currency}" + (f", application {kind}" if kind else "")


def _repeats(previous: Statement, statement: Statement) -> bool:
    if 0 in (previous.coda_sequence, statement.coda_sequence):  # the bank does not number them
        return False
    if _in_later_year(previous, statement):
        return False
    return _in_later_year(statement, previous) or statement.coda_sequence <= previous.coda_sequence


def _in_later_year(one: Statement, other: Statement) -> bool:
    """Whether the other is of a later year, by its balance or by its making: banks number by either."""
    return _year(other) > _year(one) or other.creation_date[:4] > one.creation_date[:4]


def _repeat(previous: Statement, statement: Statement) -> Finding:
    mark = " The bank marks it as a duplicate." if statement.duplicate else ""
    return _warning(
        statement,
        "CODA-REPEAT",
        f"Account {statement.account} has statement {statement.coda_sequence:03d} of {_year(statement)} after "
        f"{previous.coda_sequence:03d} of {_year(previous)}: it is sent again, or late.{mark}",
    )


def _expected(previous: Statement, statement: Statement) -> set[int]:
    if 0 in (previous.coda_sequence, statement.coda_sequence):
        return {statement.coda_sequence}
    return {previous.coda_sequence + 1} | ({1} if _in_later_year(previous, statement) else set())


def _year(statement: Statement) -> str:
    return (statement.new_date or statement.old_date or statement.creation_date)[:4]


def _warning(statement: Statement, rule: str, message: str) -> Finding:
    return Finding(rule, "CODA", "warning", message, line=statement.first_line)
