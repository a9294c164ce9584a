"""Whether a statement follows another, over the year's end too."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tests.formats.coda.records import Book, Move, file_of, to_bytes
from tieout.formats.coda import Statement, check_file, statement_chain

DECEMBER = Book(
    sequence=250,
    created=date(2025, 12, 31),
    old_date=date(2025, 12, 29),
    new_date=date(2025, 12, 30),
    old=100_000,
    moves=(Move(5_000),),
)
NEXT = replace(DECEMBER.next(Move(-1_000)), old_date=date(2025, 12, 30), new_date=date(2025, 12, 31))


def statement(book: Book) -> Statement:
    result = check_file(to_bytes(file_of(book)))
    assert result.valid
    return result.statements[0]


NEW_YEAR: dict[str, Any] = {"created": date(2026, 1, 3), "new_date": date(2026, 1, 2)}


@pytest.mark.parametrize(
    ("previous", "following", "rules"),
    [
        pytest.param(DECEMBER, NEXT, [], id="one after the other"),
        pytest.param(DECEMBER, replace(NEXT, sequence=252), ["CODA-GAP"], id="number left out"),
        pytest.param(DECEMBER, replace(NEXT, sequence=252, old=1), ["CODA-GAP", "CODA-CHAIN"], id="statement left out"),
        pytest.param(DECEMBER, replace(NEXT, old=1), ["CODA-CHAIN"], id="balance does not join"),
        pytest.param(DECEMBER, DECEMBER, ["CODA-REPEAT"], id="again"),
        pytest.param(DECEMBER, replace(DECEMBER, duplicate=True), ["CODA-REPEAT"], id="duplicate"),
        pytest.param(NEXT, DECEMBER, ["CODA-REPEAT"], id="earlier number"),
        pytest.param(NEXT, replace(NEXT.next(), sequence=1, **NEW_YEAR), [], id="new year"),
        pytest.param(NEXT, replace(NEXT.next(), sequence=252, **NEW_YEAR), [], id="counts on in a new year"),
        pytest.param(NEXT, replace(NEXT.next(), sequence=2, **NEW_YEAR), ["CODA-GAP"], id="new year begins at 2"),
        pytest.param(NEXT, replace(NEXT.next(), sequence=1), ["CODA-REPEAT"], id="starts over within the year"),
        pytest.param(
            DECEMBER, replace(NEXT, created=date(2026, 1, 1)), [], id="old year's last statement, made in the new"
        ),
        pytest.param(
            DECEMBER, replace(NEXT, sequence=1, created=date(2026, 1, 1)), [], id="numbered by the year it is made in"
        ),
        pytest.param(
            replace(DECEMBER, sequence=1, **NEW_YEAR), replace(NEXT, sequence=251), ["CODA-REPEAT"], id="last year's"
        ),
        pytest.param(
            DECEMBER, replace(NEXT, moves=(), leave_out_closing=True), [], id="nothing moved and no new balance"
        ),
        pytest.param(replace(DECEMBER, sequence=0), replace(NEXT, sequence=7), [], id="before it, not numbered"),
        pytest.param(DECEMBER, replace(NEXT, sequence=0), [], id="not numbered"),
        pytest.param(
            replace(DECEMBER, sequence=0), replace(NEXT, sequence=0, old=1), ["CODA-CHAIN"], id="not numbered, apart"
        ),
        pytest.param(DECEMBER, replace(NEXT, account="BE71096123456769"), ["CODA-CHAIN"], id="another account"),
        pytest.param(DECEMBER, replace(NEXT, currency="USD"), ["CODA-CHAIN"], id="another currency"),
        pytest.param(DECEMBER, replace(NEXT, application="00001"), ["CODA-CHAIN"], id="separate application"),
    ],
)
def test_chains(previous: Book, following: Book, rules: list[str]) -> None:
    findings = statement_chain(statement(previous), statement(following))
    assert [finding.rule for finding in findings] == rules
    assert not any(finding.fatal for finding in findings)


def test_sentences() -> None:
    (gap, chain) = statement_chain(statement(DECEMBER), statement(replace(NEXT, sequence=253, old=1)))
    assert gap.message == ("Account BE68539007547034 has statement 253 of 2025 after 250 of 2025; expected was 251.")
    assert chain.message == (
        "The old balance of account BE68539007547034 is 0.001; the statement before it ends at 105.000."
    )
    (repeat,) = statement_chain(statement(DECEMBER), statement(replace(DECEMBER, duplicate=True)))
    (other,) = statement_chain(statement(DECEMBER), statement(replace(NEXT, application="00001")))
    assert other.message == (
        "The statement is of account BE68539007547034 in EUR, application 00001, the one before it of "
        "BE68539007547034 in EUR."
    )
    assert repeat.message.endswith("it is sent again, or late. The bank marks it as a duplicate.")


def test_accounts_in_one_file_are_chained_each_by_itself() -> None:
    other = replace(DECEMBER, account="BE71096123456769", sequence=9)
    data = to_bytes(file_of(DECEMBER, other, NEXT, replace(other.next(), sequence=12)))
    assert [(finding.rule, finding.line) for finding in check_file(data).findings] == [("CODA-GAP", 16)]
