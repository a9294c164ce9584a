"""Random files: febelfin-coda, which shares nothing with our reader, reads the same in them."""

from __future__ import annotations

import io
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import coda as febelfin  # type: ignore[import-untyped]
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.formats.coda.records import Book, file_of, to_bytes
from tests.formats.coda.strategies import files
from tieout.errors import BadRecord
from tieout.formats.coda import Statement, check_file, read_statements, trailer_turnover

SAMPLES = Path(febelfin.__file__).parent


def by_febelfin(data: bytes) -> list[febelfin.Statement]:
    return febelfin.CODA(io.TextIOWrapper(io.BytesIO(data), encoding="windows-1252")).statements


def assert_same(ours: Statement, theirs: febelfin.Statement) -> None:
    assert ours.account == theirs.account
    assert ours.account_structure == theirs._account_structure
    assert ours.currency == theirs.account_currency
    assert ours.statement_number == theirs.old_sequence
    assert f"{ours.coda_sequence:03d}" == theirs.coda_sequence
    assert ours.creation_date == theirs.creation_date.isoformat()
    assert ours.duplicate == theirs.duplicate
    assert (ours.old_balance, ours.old_date) == (theirs.old_balance, theirs.old_balance_date.isoformat())
    assert ours.new_balance == theirs.new_balance
    # Where the record is left out, febelfin-coda repeats the old balance's date.
    assert (ours.new_date or ours.old_date) == theirs.new_balance_date.isoformat()
    assert ours.movements == len(theirs.moves)
    assert ours.debit == theirs.total_debit == -sum(move.amount for move in theirs.moves if move.amount < 0)
    assert ours.credit == theirs.total_credit == sum(move.amount for move in theirs.moves if move.amount > 0)
    assert ours.records == theirs.number_records
    assert ours.holder == (theirs.account_holder_name or theirs.address)
    assert ours.bic == theirs.bic


@settings(max_examples=60, deadline=None)
@given(files(), st.sampled_from(["\n", "\r\n"]))
def test_febelfin_coda_reads_the_same(written: list[Book], end: str) -> None:
    data = to_bytes(file_of(*written), end)
    result = check_file(data)
    assert result.findings == ()
    assert list(read_statements(data)) == list(result.statements)
    assert len(result.statements) == len(written)
    for ours, theirs, book in zip(result.statements, by_febelfin(data), written, strict=True):
        assert_same(ours, theirs)
        assert ours.enterprise_number == book.enterprise[1:]
        assert ours.iban_ok is (True if book.structure in "23" else None)
        assert (ours.debit, ours.credit) == (Decimal(book.debit) / 1000, Decimal(book.credit) / 1000)


@settings(max_examples=20, deadline=None)
@given(files())
def test_money_is_the_same_by_movements_and_by_trailers(written: list[Book]) -> None:
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for book in written:
        expected[book.currency] += Decimal(sum(abs(move.thousandths) for move in book.moves)).scaleb(-3)
    data = to_bytes(file_of(*written))
    assert check_file(data).turnover == trailer_turnover(data) == expected


@settings(max_examples=20, deadline=None)
@given(files())
def test_lines_lie_where_the_statement_says(written: list[Book]) -> None:
    lines = file_of(*written)
    statements = check_file(to_bytes(lines)).statements
    assert [statement.first_line for statement in statements] == [
        at for at, line in enumerate(lines, 1) if line[0] == "0"
    ]
    assert [statement.last_line for statement in statements] == [
        at for at, line in enumerate(lines, 1) if line[0] == "9"
    ]


@pytest.mark.parametrize("name", ["CODA.txt", "CODA-empty.txt"])
def test_samples_of_febelfin_coda(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    result = check_file(data)
    assert result.valid
    (ours,), (theirs,) = result.statements, by_febelfin(data)
    assert_same(ours, theirs)
    assert result.turnover == trailer_turnover(data)


def test_what_is_known_of_the_large_sample() -> None:
    result = check_file((SAMPLES / "CODA.txt").read_bytes())
    assert result.findings == ()
    assert [(statement.records, statement.movements) for statement in result.statements] == [(260, 59)]
    assert result.turnover == {"EUR": Decimal("15577040.190")}


@settings(max_examples=30, deadline=None)
@given(files(), st.data())
def test_a_record_that_is_lost_is_noticed(written: list[Book], data: st.DataObject) -> None:
    lines = file_of(*written)
    at = data.draw(st.sampled_from([at for at, line in enumerate(lines) if line[0] != "4"]))
    assert not check_file(to_bytes(lines[:at] + lines[at + 1 :])).valid


@settings(max_examples=30, deadline=None)
@given(files(), st.data())
def test_a_record_that_comes_twice_is_noticed(written: list[Book], data: st.DataObject) -> None:
    lines = file_of(*written)
    at = data.draw(st.sampled_from([at for at, line in enumerate(lines) if line[0] != "4"]))
    assert not check_file(to_bytes(lines[:at] + lines[at:][:1] + lines[at:])).valid


@settings(max_examples=30, deadline=None)
@given(files(), st.data())
def test_a_file_that_is_cut_within_a_statement_is_noticed(written: list[Book], data: st.DataObject) -> None:
    lines = file_of(*written)
    content = to_bytes(lines)
    at = data.draw(st.integers(1, len(content) - 3))
    assume(not lines[at // 130].startswith("0") or at % 130)  # between two statements
    assume(at % 130 < 128 or not lines[at // 130].startswith("9"))
    cut = content[:at]
    assert not check_file(cut).valid
    with pytest.raises(BadRecord):
        list(read_statements(cut))


@settings(max_examples=30, deadline=None)
@given(files(), st.data())
def test_no_digit_of_the_money_changes_unnoticed(written: list[Book], data: st.DataObject) -> None:
    lines = file_of(*written)
    places = {"1": (43, 58), "21": (32, 47), "8": (42, 57), "9": (17, 52)}
    candidates = [
        at
        for at, line in enumerate(lines)
        if (line[:2] == "21" and line[53] in "0123") or line[0] in "89" or (line[0] == "1" and lines[at + 1][0] in "28")
    ]
    at = data.draw(st.sampled_from(candidates))
    line = lines[at]
    first, last = places[line[:2] if line[0] == "2" else line[0]]
    position = data.draw(st.integers(first, last))
    # A sign is 0 or 1; turned round, it says nothing of an amount of zero.
    is_sign = line[0] in "128" and position == first
    assume(not is_sign or int(line[first:last]))
    digit = data.draw(st.sampled_from("01" if is_sign else "0123456789"))
    assume(digit != line[position - 1])
    lines[at] = line[: position - 1] + digit + line[position:]
    assert not check_file(to_bytes(lines)).valid


@settings(max_examples=30, deadline=None)
@given(st.one_of(st.binary(max_size=600), files().map(lambda written: to_bytes(file_of(*written)))), st.data())
def test_any_bytes_are_answered(content: bytes, data: st.DataObject) -> None:
    broken = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4)) if content else 0):
        broken[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    result = check_file(bytes(broken))
    if result.valid:
        assert list(read_statements(bytes(broken))) == list(result.statements)
        assert result.turnover == trailer_turnover(bytes(broken))
    else:
        with pytest.raises(BadRecord):
            list(read_statements(bytes(broken)))
