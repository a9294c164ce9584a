"""Each kind of defect is reported by its rule, in its line, and by no other rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from tests.formats.coda.records import ENCODING, Book, Info, Move, file_of, lines_of, to_bytes
from tieout.errors import BadRecord
from tieout.formats.coda import CodaResult, check_file, read_statements, trailer_turnover
from tieout.formats.coda.checker import StatementChecker
from tieout.formats.coda.reports import Findings

FIRST = Book(
    account="BE68539007547034",
    old=1_000_000,
    moves=(
        Move(121_000, continued="INVOICE 2026/1", counterparty="DE SMET", infos=(Info(("001DE SMET", "STREET")),)),
        Move(
            -60_500,
            code="10107000",
            details=(Move(-20_500, code="50107000"), Move(-40_000, code="50107000", continued="WAGES")),
        ),
        Move(5_000, continued="INTEREST"),
    ),
    messages=("OFFICES ARE CLOSED", "ON MONDAY"),
)
SECOND = replace(FIRST.next(Move(-1_000)), messages=())
# Line numbers, from 1, of what the defects are planted in.
HEADER, OPENING, M1, M1_2, M1_3, I1, I1_2, M2, D1, D2, D2_2, M3, M3_2, CLOSING, MESSAGE, _, TRAILER = range(1, 18)
HEADER_2, OPENING_2, N1, CLOSING_2, TRAILER_2 = range(18, 23)

Found = set[tuple[str, int | None]]
Plant = Callable[[list[str]], list[str]]


def sound() -> list[str]:
    return file_of(FIRST, SECOND)


def put(line: int, first: int, value: str) -> Plant:
    """Writes over a line from a position on."""

    def plant(lines: list[str]) -> list[str]:
        before = lines[line - 1]
        lines[line - 1] = before[: first - 1] + value + before[first - 1 + len(value) :]
        assert lines[line - 1] != before
        return lines

    return plant


def drop(line: int) -> Plant:
    return lambda lines: lines[: line - 1] + lines[line:]


def insert(line: int, text: str) -> Plant:
    return lambda lines: [*lines[: line - 1], text, *lines[line - 1 :]]


def swap(line: int) -> Plant:
    return lambda lines: [*lines[: line - 1], lines[line], lines[line - 1], *lines[line + 1 :]]


def found(result: CodaResult, severity: str) -> Found:
    return {(finding.rule, finding.line) for finding in result.findings if finding.severity == severity}


def test_the_sound_file_is_sound() -> None:
    result = check_file(to_bytes(sound()))
    assert result.findings == ()
    assert [(statement.first_line, statement.last_line) for statement in result.statements] == [(1, 17), (18, 22)]
    assert [statement.movements for statement in result.statements] == [3, 1]


FATAL: dict[str, tuple[Plant, Found]] = {
    "short line": (lambda lines: [*lines[: M3_2 - 1], lines[M3_2 - 1][:127], *lines[M3_2:]], {("CODA-LENGTH", M3_2)}),
    "long line": (lambda lines: [*lines[: M3 - 1], lines[M3 - 1] + " ", *lines[M3:]], {("CODA-LENGTH", M3)}),
    "short header": (lambda lines: [lines[0][:40], *lines[1:]], {("CODA-LENGTH", HEADER)}),
    "short old balance": (lambda lines: [lines[0], lines[1][:60], *lines[2:]], {("CODA-LENGTH", OPENING)}),
    "short trailer": (lambda lines: [*lines[:-1], lines[-1][:60]], {("CODA-LENGTH", TRAILER_2)}),
    "empty line within a statement": (insert(M2, ""), {("CODA-LENGTH", M2)}),
    "version 1": (put(HEADER, 128, "1"), {("CODA-VERSION", HEADER)}),
    "version blank": (put(HEADER_2, 128, " "), {("CODA-VERSION", HEADER_2)}),
    "no header": (drop(HEADER), {("CODA-HEADER", 1)}),
    "no second header": (drop(HEADER_2), {("CODA-HEADER", HEADER_2)}),
    "text before the header": (insert(1, "Dear customer"), {("CODA-HEADER", 1)}),
    "record after the last trailer": (insert(TRAILER_2 + 1, "4".ljust(128)), {("CODA-HEADER", TRAILER_2 + 1)}),
    "no trailer": (drop(TRAILER), {("CODA-TRAILER", HEADER)}),
    "no last trailer": (drop(TRAILER_2), {("CODA-TRAILER", HEADER_2)}),
    "no old balance": (drop(OPENING), {("CODA-ORDER", OPENING), ("CODA-COUNT", TRAILER - 1)}),
    "no new balance": (drop(CLOSING), {("CODA-ORDER", TRAILER - 1), ("CODA-COUNT", TRAILER - 1)}),
    "old balance after a movement": (swap(OPENING), {("CODA-ORDER", OPENING)}),
    "movement after the new balance": (swap(N1), {("CODA-ORDER", N1 + 1)}),
    "part 3 before part 2": (swap(M1_2), {("CODA-ORDER", M1_3)}),
    "information before the first movement": (
        lambda lines: [*lines[:2], *lines[5:7], *lines[2:5], *lines[7:]],
        {("CODA-ORDER", M1)},
    ),
    "part 2 without part 1": (
        drop(M3),
        {("CODA-ORDER", M3), ("CODA-SEQUENCE", M3), ("CODA-BALANCE", CLOSING - 1)}
        | {(rule, TRAILER - 1) for rule in ("CODA-COUNT", "CODA-TOTALS")},
    ),
    "part 4": (put(M1_3, 2, "4"), {("CODA-ORDER", M1_3)}),
    "letter for a type": (insert(M2, "X".ljust(128)), {("CODA-ORDER", M2)}),
    "new balance": (put(CLOSING, 57, "1"), {("CODA-BALANCE", CLOSING)}),
    "sign of the new balance": (put(CLOSING, 42, "1"), {("CODA-BALANCE", CLOSING)}),
    "total debit": (put(TRAILER, 37, "7"), {("CODA-TOTALS", TRAILER)}),
    "total credit": (put(TRAILER, 52, "7"), {("CODA-TOTALS", TRAILER)}),
    "amount": (put(M1, 47, "7"), {("CODA-TOTALS", TRAILER), ("CODA-BALANCE", CLOSING)}),
    "sign of an amount": (put(M1, 32, "1"), {("CODA-TOTALS", TRAILER), ("CODA-BALANCE", CLOSING)}),
    "detail that is booked": (put(D1, 54, "1"), {("CODA-TOTALS", TRAILER), ("CODA-BALANCE", CLOSING)}),
    "first digit of the total debit": (put(TRAILER, 23, "9"), {("CODA-TOTALS", TRAILER)}),
    "first digit of the total credit": (put(TRAILER, 38, "9"), {("CODA-TOTALS", TRAILER)}),
    "first digit of an amount": (put(M2, 33, "9"), {("CODA-TOTALS", TRAILER), ("CODA-BALANCE", CLOSING)}),
    "first digit of the old balance": (put(OPENING, 44, "9"), {("CODA-BALANCE", CLOSING)}),
    "first digit of the new balance": (put(CLOSING, 43, "9"), {("CODA-BALANCE", CLOSING)}),
    "first digit of the record count": (put(TRAILER, 17, "9"), {("CODA-COUNT", TRAILER)}),
    "record count": (put(TRAILER, 22, "9"), {("CODA-COUNT", TRAILER)}),
    "record count no digits": (put(TRAILER, 17, "      "), {("CODA-COUNT", TRAILER)}),
    "amount no digits": (put(M1, 40, " "), {("CODA-AMOUNT", M1)}),
    "amount with a point": (put(M3, 44, "."), {("CODA-AMOUNT", M3)}),
    "detail's amount no digits": (put(D1, 40, "X"), {("CODA-AMOUNT", D1)}),
    "sign no digit": (put(M1, 32, "-"), {("CODA-AMOUNT", M1)}),
    "old balance no digits": (put(OPENING, 50, "x"), {("CODA-AMOUNT", OPENING)}),
    "new balance no digits": (put(CLOSING, 50, "x"), {("CODA-AMOUNT", CLOSING)}),
    "total no digits": (put(TRAILER, 30, "x"), {("CODA-AMOUNT", TRAILER)}),
    "another account": (put(CLOSING, 5, "BE71096123456769"), {("CODA-ACCOUNT", CLOSING)}),
    "another currency": (put(CLOSING, 39, "USD"), {("CODA-ACCOUNT", CLOSING)}),
    "no account": (put(OPENING, 6, " " * 34), {("CODA-ACCOUNT", OPENING)}),
    "currency that is none": (put(OPENING, 40, "E1R"), {("CODA-ACCOUNT", OPENING)}),
    "structure that is none": (put(OPENING, 2, "7"), {("CODA-ACCOUNT", OPENING)}),
    "date of creation": (put(HEADER, 6, "310226"), {("CODA-DATE", HEADER)}),
    "no date of creation": (put(HEADER, 6, "000000"), {("CODA-DATE", HEADER)}),
    "old date": (put(OPENING, 59, "320126"), {("CODA-DATE", OPENING)}),
    "new date": (put(CLOSING, 58, "0501 6"), {("CODA-DATE", CLOSING)}),
    "value date": (put(M1, 48, "290226"), {("CODA-DATE", M1)}),
    "entry date": (put(M1, 116, "130026"), {("CODA-DATE", M1)}),
    "number of part 2": (put(M1_2, 6, "2"), {("CODA-SEQUENCE", M1_2)}),
    "detail number of an information's part 2": (put(I1_2, 10, "7"), {("CODA-SEQUENCE", I1_2)}),
    "movement's number no digits": (put(N1, 3, "00A1"), {("CODA-SEQUENCE", N1)}),
    "sequence goes back": (
        lambda lines: put(M3_2, 3, "0001")(put(M3, 3, "0001")(lines)),
        {("CODA-SEQUENCE", M3)},
    ),
    "detail number again": (
        lambda lines: put(D2_2, 10, "1")(put(D2, 10, "1")(lines)),
        {("CODA-SEQUENCE", D2)},
    ),
}


@pytest.mark.parametrize(("plant", "expected"), FATAL.values(), ids=FATAL)
def test_what_makes_a_file_unusable(plant: Plant, expected: Found) -> None:
    data = to_bytes(plant(sound()))
    result = check_file(data)
    assert found(result, "fatal") == expected
    assert not result.valid
    with pytest.raises(BadRecord) as caught:
        list(read_statements(data))
    rules = {rule.replace("-", "_") for rule, _ in expected}
    assert caught.value.reason_code in rules
    assert " in line " in str(caught.value)


WARNINGS: dict[str, tuple[Plant, Found]] = {
    "value date unknown": (put(M1, 48, "000000"), set()),
    "entry date unknown": (put(M1, 116, "000000"), {("CODA-DATE", M1)}),
    "old date unknown": (put(OPENING, 59, "000000"), {("CODA-DATE", OPENING)}),
    "new date unknown": (put(CLOSING_2, 58, "000000"), {("CODA-DATE", CLOSING_2)}),
    "old date after the new": (put(OPENING_2, 59, "060126"), {("CODA-DATE", CLOSING_2)}),
    "next code": (put(M1, 126, "0"), {("CODA-LINK", M1)}),
    "next code of the last part": (put(M1_3, 126, "1"), {("CODA-LINK", M1_3)}),
    "link code": (put(M1_3, 128, "0"), {("CODA-LINK", M1_3)}),
    "link code without information": (put(M3_2, 128, "1"), {("CODA-LINK", M3_2)}),
    "link code of the new balance": (put(CLOSING, 128, "0"), {("CODA-LINK", CLOSING)}),
    "link code of a message": (put(MESSAGE, 128, "0"), {("CODA-LINK", MESSAGE)}),
    "link code blank": (put(M2, 128, " "), {("CODA-LINK", M2)}),
    "message lost": (drop(MESSAGE), set()),
    "message before the new balance": (swap(CLOSING), {("CODA-ORDER", MESSAGE), ("CODA-LINK", CLOSING)}),
    "type 5": (insert(N1, "5".ljust(128)), {("CODA-ORDER", N1)}),
    "type 6": (insert(N1, "6".ljust(128)), {("CODA-ORDER", N1)}),
    "type 7": (insert(N1, "7".ljust(128)), {("CODA-ORDER", N1)}),
    "sequence number left out": (put(N1, 6, "2"), {("CODA-SEQUENCE", N1)}),
    "information on another movement": (
        lambda lines: put(I1_2, 6, "9")(put(I1, 6, "9")(lines)),
        {("CODA-SEQUENCE", I1)},
    ),
    "transaction type unknown": (put(D1, 54, "4"), {("CODA-CODE", D1)}),
    "trailer says that no statement follows": (put(TRAILER, 128, "2"), {("CODA-TRAILER", HEADER_2)}),
    "last trailer says that one follows": (put(TRAILER_2, 128, "1"), {("CODA-TRAILER", TRAILER_2)}),
    "application": (put(HEADER, 15, "00"), {("CODA-HEADER", HEADER)}),
    "mark of a duplicate": (put(HEADER, 17, "X"), {("CODA-HEADER", HEADER)}),
    "enterprise number": (put(HEADER, 82, "3"), {("CODA-ENTERPRISE", HEADER)}),
    "enterprise number zeros": (put(HEADER, 72, "0" * 11), set()),
    "enterprise number blank": (put(HEADER, 72, " " * 11), set()),
    "number of the statement no digits": (put(OPENING_2, 126, "A02"), {("CODA-SEQUENCE", OPENING_2)}),
    "number of the statement zeros": (put(OPENING_2, 126, "000"), set()),
    "empty line between statements": (insert(HEADER_2, ""), {("CODA-LENGTH", HEADER_2)}),
    "empty lines at the end": (lambda lines: [*lines, "", "  ", ""], set()),
    "byte that is no text": (put(MESSAGE, 40, "\t"), {("CODA-ENCODING", MESSAGE)}),
    "statement left out": (lambda lines: put(OPENING_2, 128, "4")(lines), {("CODA-GAP", HEADER_2)}),
    "statement again": (lambda lines: put(OPENING_2, 128, "1")(lines), {("CODA-REPEAT", HEADER_2)}),
}


@pytest.mark.parametrize(("plant", "expected"), WARNINGS.values(), ids=WARNINGS)
def test_what_banks_do_and_receivers_take(plant: Plant, expected: Found) -> None:
    data = to_bytes(plant(sound()))
    result = check_file(data)
    assert found(result, "fatal") == set()
    assert found(result, "warning") == expected
    assert result.turnover == trailer_turnover(data)
    assert len(list(read_statements(data))) == 2


def test_sentences_say_what_where_and_what_was_expected() -> None:
    result = check_file(to_bytes(put(CLOSING, 57, "1")(put(M1, 128, "7")(sound()))))
    assert [finding.sentence() for finding in result.findings] == [
        "CODA-LINK in line 3: The movement record 2.1 has '1' and '7' in positions 126 and 128; expected is '1' and "
        "'0', as the movement record 2.2 comes next.",
        "CODA-BALANCE in line 14: The new balance is 1065.501; the old balance 1000.000 less 60.500 debit plus "
        "126.000 credit is 1065.500.",
        "CODA-CHAIN in line 18: The old balance of account BE68539007547034 is 1065.500; the statement before it ends "
        "at 1065.501.",
    ]
    assert {finding.layer for finding in result.findings} == {"CODA"}
    header = check_file(to_bytes(put(HEADER, 72, "X")(put(HEADER, 17, "X")(put(HEADER, 15, "07")(sound()))))).findings
    assert [finding.message for finding in header] == [
        "The application in positions 15-16 is '07', expected is 05.",
        "The mark in position 17 is 'X'; expected is D for a duplicate, or a blank.",
        "The holder's number in positions 72-82 is 'X0739484052'; expected is 0 and a valid enterprise number.",
    ]


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (put(M1, 32, "X"), "The amount in positions 32-47 is 'X000000000121000'; expected are a sign, 0 or 1, and 15 "),
        (put(M1, 48, "999999"), "The value date in positions 48-53 is '999999', which is no date as DDMMYY."),
        (put(M1, 116, "000000"), "The entry date in positions 116-121 is 000000: there is none."),
        (put(M1_2, 3, "7"), "The movement record 2.2 has the number 70010000; the part before it has 00010000."),
        (put(N1, 3, "A"), "The movement's number in positions 3-10 is 'A0010000', expected are eight digits."),
        (put(I1, 6, "9"), "The information is on movement 0009 and stands after movement 0001."),
        (
            put(N1, 54, "4"),
            "The transaction type in position 54 is '4', expected is 0 to 3 or 5 to 9; the amount is not ",
        ),
        (put(TRAILER, 17, "X"), "The number of records in positions 17-22 is 'X00013', expected is 000013."),
        (put(TRAILER, 17, "9"), "The trailer counts 900013 records of types 1, 2, 3 and 8; there are 13."),
        (put(TRAILER, 23, "X"), "The total debit in positions 23-37 is 'X00000000060500'; expected are 15 digits."),
        (put(OPENING, 2, "7"), "The account's structure in position 2 is '7'; expected is 0 to 3."),
        (put(OPENING, 126, "X"), "The statement's number in positions 126-128 is 'X01', expected are digits."),
        (put(HEADER, 128, "1"), "The version in position 128 is '1', expected is 2; the rest of the statement is not "),
    ],
)
def test_sentences_quote_what_is_written(plant: Plant, message: str) -> None:
    first = check_file(to_bytes(plant(sound()))).findings[0]
    assert first.message.startswith(message)


def test_findings_come_in_the_order_of_the_file() -> None:
    plants = (put(M1, 47, "7"), put(M2, 126, "1"), put(HEADER, 15, "07"), put(TRAILER_2, 128, "1"), drop(TRAILER))
    lines = sound()
    for plant in plants:
        lines = plant(lines)
    places = [finding.line or 0 for finding in check_file(to_bytes(lines)).findings]
    assert places == sorted(places)
    assert len(places) > 3


@pytest.mark.parametrize(
    "book",
    [
        pytest.param(Book(structure="2", account="BE69539007547034"), id="Belgian"),
        pytest.param(Book(structure="2", account="NL91ABNA0417164300"), id="not Belgian"),
        pytest.param(Book(structure="3", account="NL92ABNA0417164300"), id="foreign"),
    ],
)
def test_wrong_ibans(book: Book) -> None:
    result = check_file(to_bytes(file_of(book)))
    assert found(result, "fatal") == {("CODA-IBAN", 2)}
    (finding,) = result.findings
    wanted = "a Belgian IBAN" if book.structure == "2" else "an IBAN"
    assert finding.message == f"The account {book.account!r} is not {wanted} with correct check digits."
    assert result.statements[0].iban_ok is False


def test_an_account_of_zeros_is_odd() -> None:
    result = check_file(to_bytes(file_of(Book(structure="2", account="BE00000000000000"))))
    assert result.valid
    assert found(result, "warning") == {("CODA-IBAN", 2)}


@pytest.mark.parametrize(
    ("book", "iban_ok"),
    [
        pytest.param(Book(structure="0", account="539007547034"), None, id="Belgian number"),
        pytest.param(Book(structure="1", account="LU-1234/X"), None, id="foreign number"),
        pytest.param(Book(structure="3", account="MT84MALT011000012345MTLCAST001S"), True, id="foreign IBAN"),
    ],
)
def test_accounts(book: Book, iban_ok: bool | None) -> None:
    result = check_file(to_bytes(file_of(book)))
    assert result.findings == ()
    statement = result.statements[0]
    assert (statement.account, statement.account_structure, statement.iban_ok) == (
        book.account,
        book.structure,
        iban_ok,
    )


@pytest.mark.parametrize(
    "book", [Book(structure="2"), Book(structure="0", account="539007547034")], ids=["IBAN", "Belgian number"]
)
def test_a_blank_structure_is_told_from_the_account(book: Book) -> None:
    result = check_file(to_bytes(put(2, 2, " ")(file_of(book))))
    assert found(result, "warning") == {("CODA-ACCOUNT", 2)}
    assert result.valid
    assert [(statement.account, statement.currency) for statement in result.statements] == [(book.account, "EUR")]


def test_an_account_without_currency_is_in_euro() -> None:
    data = to_bytes(file_of(Book(structure="0", account="539007547034", currency="   ", moves=(Move(5),))))
    result = check_file(data)
    assert found(result, "warning") == {("CODA-ACCOUNT", 2)}
    assert result.valid
    assert result.turnover == trailer_turnover(data) == {"EUR": result.statements[0].credit}


def test_balances_of_a_separate_application_are_its_own() -> None:
    lines = file_of(replace(FIRST, application="00001"))
    result = check_file(to_bytes(put(CLOSING, 57, "1")(lines)))
    assert result.valid
    assert found(result, "warning") == {("CODA-BALANCE", CLOSING)}
    assert result.statements[0].separate_application == "00001"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", [b"", b"\x1a", b"\r\n\x1a", b"\n\n", b"\r\n \r\n\x1a\x1a"])
def test_ends_of_lines_and_of_the_file(end: str, tail: bytes) -> None:
    data = to_bytes(sound(), end).rstrip() + tail
    result = check_file(data)
    assert result.findings == ()
    assert len(result.statements) == 2
    assert result.turnover == trailer_turnover(data)


def test_files_joined_with_their_marks_of_the_end() -> None:
    data = to_bytes(lines_of(FIRST, last=False)) + b"\x1a" + to_bytes(lines_of(SECOND))
    assert check_file(data).findings == ()


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\x1a", b" \n \n"])
def test_an_empty_file(data: bytes) -> None:
    result = check_file(data)
    assert found(result, "fatal") == {("CODA-HEADER", 1)}
    assert len(result.findings) == 1


@pytest.mark.parametrize(
    "data",
    [b"%PDF-1.4\n1 0 obj\n<<>>\n", b"<?xml version='1.0'?>\n<Document/>\n", "0".encode("utf-16"), b":940:X\n"],
)
def test_another_kind_of_file(data: bytes) -> None:
    result = check_file(data)
    assert [finding.rule for finding in result.findings if finding.fatal] == ["CODA-HEADER"]
    assert result.statements == ()


def test_characters_of_windows_1252() -> None:
    book = replace(FIRST, holder="CAFÉ NOËL € ŒUVRE", moves=(Move(1, communication="0Ÿ–Ž"),))
    result = check_file(to_bytes(file_of(book)))
    assert result.findings == ()
    assert result.statements[0].holder == "CAFÉ NOËL € ŒUVRE"


def test_utf_8_is_named_and_the_rest_checked_all_the_same() -> None:
    lines = file_of(replace(FIRST, holder="CAFÉ NOËL €"))
    data = "".join(line + "\r\n" for line in lines).encode()
    result = check_file(data)
    assert found(result, "fatal") == {("CODA-ENCODING", OPENING)}
    assert [statement.holder for statement in result.statements] == ["CAFÉ NOËL €"]
    marked = check_file("".join(line + "\r\n" for line in sound()).encode("utf-8-sig"))
    assert found(marked, "fatal") == {("CODA-ENCODING", HEADER)}


def test_numbers_start_over_after_9999() -> None:
    moves = tuple(Move(1) for _ in range(10_003))
    details = tuple(Move(1, code="50150000") for _ in range(10_003))
    assert check_file(to_bytes(file_of(FIRST.next(*moves)))).findings == ()
    assert check_file(to_bytes(file_of(FIRST.next(Move(1, code="10150000", details=details))))).findings == ()
    lines = file_of(FIRST.next(*moves))
    skipping_zero = [
        f"{line[:2]}{(at - 2) % 9999 + 1:04d}{line[6:]}" if line[0] == "2" else line for at, line in enumerate(lines)
    ]
    assert check_file(to_bytes(skipping_zero)).findings == ()


def test_the_count_of_records_starts_over_after_a_million() -> None:
    findings = Findings()
    header, *others, trailer = (line.encode(ENCODING) for line in lines_of(FIRST))
    checker = StatementChecker(1, header, findings)
    for number, line in enumerate(others, 2):
        checker.take(number, line)
    checker._records += 1_000_000  # a million lines would take seconds
    statement = checker.finish(TRAILER, trailer)
    assert findings.all() == ()
    assert statement is not None
    assert statement.records == 1_000_013


def test_a_wholly_wrong_file_is_not_told_line_by_line() -> None:
    moves = tuple(Move(1, value_date=None) for _ in range(500))
    lines = [put(1, 48, "999999")([line])[0] if line[:2] == "21" else line for line in file_of(FIRST.next(*moves))]
    findings = check_file(to_bytes(lines)).findings
    assert [finding.line for finding in findings] == [*range(3, 23), None]
    assert findings[-1].sentence() == "CODA-DATE: 480 more findings by this rule are not listed."
    assert findings[-1].fatal


def test_what_comes_before_a_defect_is_read() -> None:
    statements = read_statements(to_bytes(put(CLOSING_2, 57, "1")(sound())))
    assert next(statements).account == FIRST.account
    with pytest.raises(BadRecord, match=r"CODA-BALANCE in line 21: The new balance is"):
        next(statements)


def test_trailers_that_cannot_be_counted() -> None:
    lines = sound()
    with pytest.raises(BadRecord, match="The totals in line 17"):
        trailer_turnover(to_bytes(put(TRAILER, 30, "x")(lines)))
    with pytest.raises(BadRecord, match="The totals in line 16"):
        trailer_turnover(to_bytes(drop(OPENING)(sound())))


def test_texts_come_without_the_blanks_around_them() -> None:
    statement = check_file(to_bytes(file_of(replace(FIRST, holder="")))).statements[0]
    assert (statement.holder, statement.bic) == ("ADDRESSEE", "KREDBEBB")
    assert statement.enterprise_number == "0739484052"
    assert not statement.duplicate
    assert check_file(to_bytes(file_of(replace(FIRST, duplicate=True)))).statements[0].duplicate


def test_a_line_is_bytes_not_characters() -> None:
    line = sound()[MESSAGE - 1].encode(ENCODING)
    assert len(line) == 128


def test_dates_are_of_their_century() -> None:
    book = replace(FIRST, created=date(2026, 1, 6), old_date=date(1999, 12, 31))
    statement = check_file(to_bytes(file_of(book))).statements[0]
    assert (statement.creation_date, statement.old_date, statement.new_date) == (
        "2026-01-06",
        "1999-12-31",
        "2026-01-05",
    )
