"""The generated account statements, read by an independent parser."""

from __future__ import annotations

import io
import itertools
from datetime import date, timedelta
from decimal import Decimal

import pytest
from coda import CODA

from sandbox.banqup import coda
from sandbox.banqup.belgian import enterprise_number, iban, ogm
from sandbox.banqup.coda.model import Movement

FIRST = date(2025, 12, 26)


def book(seed: int, days: int = 12) -> list[coda.Statement]:
    """Statements of an account over a new year's night."""
    account = coda.account(seed, last_day=FIRST - timedelta(days=1))
    return [coda.statement(f"{seed} {day}", account, FIRST + timedelta(days=day)) for day in range(days)]


def lines(data: bytes) -> list[str]:
    return data.decode("cp1252").splitlines()


def parsed(data: bytes) -> CODA:
    """By febelfin-coda, which cannot read an unknown value date: the entry date stands in for it."""
    known = [
        line[:47] + line[115:121] + line[53:] if line.startswith("21") and line[47:53] == "000000" else line
        for line in lines(data)
    ]
    return CODA(io.StringIO("\n".join(known)))


@pytest.mark.parametrize("seed", range(10))
def test_an_independent_parser_reads_the_same(seed: int) -> None:
    statements = book(seed)
    data = coda.render(statements)

    assert {len(line) for line in lines(data)} == {128}
    for made, read in zip(statements, parsed(data).statements, strict=True):
        assert (read.account, read.account_currency) == (made.account, made.currency)
        assert (read.old_balance, read.new_balance) == (made.old_balance, made.new_balance)
        assert (read.coda_sequence, read.creation_date) == (f"{made.number:03d}", made.day)
        assert [move.amount for move in read.moves] == [entry.amount for entry in made.movements]
        for move, entry in zip(read.moves, made.movements, strict=True):
            assert [detail.amount for detail in move.moves] == [detail.amount for detail in entry.details]
            assert move.communication == (entry.structured[3:] or entry.communication)
            assert (move.counterparty_name or "") == entry.counterparty_name


def test_statements_follow_on_one_another() -> None:
    statements = book(3)

    assert [statement.number for statement in statements] == [*range(1, 7), *range(1, 7)]
    assert {(statement.day.year, statement.number) for statement in statements} >= {(2025, 6), (2026, 1)}
    for before, after in itertools.pairwise(statements):
        assert (after.old_balance, after.old_day) == (before.new_balance, before.day)


def test_every_kind_of_record_occurs() -> None:
    found = [line for seed in range(10) for line in lines(coda.render(book(seed)))]

    assert {line[:2] for line in found if line[0] in "23"} == {"21", "22", "23", "31"}
    assert {line[53] for line in found if line.startswith("21")} == set("01358")
    assert {line[127] for line in found if line.startswith("9")} == {"1", "2"}
    assert any(line.startswith("4") for line in found)
    days = sum(line.startswith("1") for line in found)
    assert 0 < days - sum(line.startswith("8") for line in found) < days / 3


def test_links_between_records() -> None:
    movement = Movement(Decimal(5), communication="x" * 120, information=("a" * 180, "b"))
    account = coda.Account("BE68539007547034")

    data = coda.render([account.statement(date(2026, 1, 2), (movement,))])

    ends = [(line[:2], line[125:128]) for line in lines(data)[2:-2]]
    assert ends == [
        ("21", "1 0"),
        ("22", "1 0"),
        ("23", "0 1"),
        ("31", "1 0"),
        ("32", "1 0"),
        ("33", "0 1"),
        ("31", "0 0"),
    ]
    assert int(lines(data)[-1][16:22]) == 9


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert coda.render(book(1)) == coda.render(book(1)) != coda.render(book(2))


@pytest.mark.parametrize("defect", coda.DEFECTS)
def test_a_defect_is_one_change_that_shows(defect: str) -> None:
    account = coda.account(1)
    sound = coda.render([account.statement(date(2026, 1, 5), coda.movements(1, date(2026, 1, 5), 4))])

    bad = coda.spoil(sound, defect)

    before, after = lines(sound), lines(bad)
    assert parsed(sound).statements
    if defect == "no_trailer":
        assert after == before[:-1]
    else:
        assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    if defect not in ("no_trailer", "long_line", "short_line"):
        with pytest.raises((AssertionError, ValueError, ArithmeticError)):
            parsed(bad)


def test_what_cannot_be_spoilt_is_told() -> None:
    empty = coda.render([coda.account(1).statement(date(2026, 1, 5), with_new_balance=False)])

    with pytest.raises(ValueError, match="no record 8"):
        coda.spoil(empty, "wrong_balance")
    with pytest.raises(ValueError, match="Unknown defect"):
        coda.spoil(empty, "nonsense")


def test_belgian_numbers() -> None:
    assert enterprise_number(7394840) + enterprise_number(4798997) == "0739484052" + "0479899778"
    assert ogm(108068171) == "+++010/8068/17183+++"
    assert ogm(97) == "+++000/0000/09797+++"
    assert iban(539, 75470) == "BE68539007547034"
    with pytest.raises(ValueError, match="no body"):
        enterprise_number(20_000_000)
