"""Statements as CODA 2 records of 128 characters. Positions in comments are counted from 1, as the standard does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from sandbox.banqup.coda.model import Movement, Statement

WIDTH = 128


def render(statements: Iterable[Statement], *, line_end: str = "\r\n") -> bytes:
    """One file of one or more statements, in Windows-1252."""
    blocks = [statement_lines(statement) for statement in statements]
    for block in blocks[:-1]:
        block[-1] = block[-1][:-1] + "1"
    return "".join(line + line_end for block in blocks for line in block).encode("cp1252", "replace")


def statement_lines(statement: Statement) -> list[str]:
    """The records of one statement, the trailer as that of the last in its file."""
    account = f"{statement.account:<34}{statement.currency}"
    number = f"{statement.number:03d}"
    lines = [_header(statement), _old_balance(statement, account, number)]
    for sequence, movement in enumerate(statement.movements, start=1):
        lines += _movement(movement, sequence, statement.day, number)
    if statement.with_new_balance:
        lines.append(_new_balance(statement, account, number))
    for position, text in enumerate(statement.free_messages, start=1):
        more = position < len(statement.free_messages)
        lines.append(_record(f"4 {position:04d}{0:04d}", (33, text, 80), (128, str(int(more)), 1)))
    counted = sum(line[0] in "1238" for line in lines)
    lines.append(
        _record("9", (17, f"{counted:06d}", 6), (23, _digits(statement.debit), 15), (38, _digits(statement.credit), 15),
                (128, "2", 1))
    )  # fmt: skip
    return lines


def _record(start: str, *fields: tuple[int, str, int]) -> str:
    """A record from its first characters and fields of (position, text, width)."""
    record = list(start.ljust(WIDTH))
    for position, text, width in fields:
        record[position - 1 : position - 1 + width] = text[:width].ljust(width)
    return "".join(record)


def _digits(amount: Decimal) -> str:
    """12 digits and 3 decimals."""
    return f"{int(abs(amount).scaleb(3)):015d}"


def _signed(amount: Decimal) -> str:
    return ("1" if amount < 0 else "0") + _digits(amount)


def _day(day: date | None) -> str:
    return "000000" if day is None else f"{day:%d%m%y}"


def _header(statement: Statement) -> str:
    holder = f"0{statement.enterprise_number}" if statement.enterprise_number else "0" * 11
    return _record(
        "00000", (6, _day(statement.day), 6), (12, f"{statement.bank:03d}05", 5), (17, "D" * statement.duplicate, 1),
        (25, f"{statement.number:010d}", 10), (35, statement.holder, 26), (61, statement.bic, 11), (72, holder, 11),
        (84, "00000", 5), (128, "2", 1),
    )  # fmt: skip


def _old_balance(statement: Statement, account: str, number: str) -> str:
    structure = "2" if statement.account.startswith("BE") else "3"
    return _record(
        f"1{structure}{number}{account}", (43, _signed(statement.old_balance), 16), (59, _day(statement.old_day), 6),
        (65, statement.holder, 26), (91, "Zichtrekening", 35), (126, number, 3),
    )  # fmt: skip


def _new_balance(statement: Statement, account: str, number: str) -> str:
    messages = "1" if statement.free_messages else "0"
    return _record(
        f"8{number}{account}",
        (42, _signed(statement.new_balance), 16),
        (58, _day(statement.day), 6),
        (128, messages, 1),
    )


def _movement(movement: Movement, sequence: int, entered: date, number: str) -> list[str]:
    """Records 2 of a movement and of its details, each with its information records, numbered through."""
    lines, detail = _parts(movement, sequence, 0, entered, number, "1" if movement.details else "0")
    for position, entry in enumerate(movement.details, start=1):
        # The first and the last amount of a globalisation carry its level, those between them none.
        level = "1" if position == len(movement.details) else "0"
        more, detail = _parts(entry, sequence, detail, entered, number, level)
        lines += more
    return lines


def _parts(
    movement: Movement, sequence: int, detail: int, entered: date, number: str, level: str
) -> tuple[list[str], int]:
    """Records of one amount from detail number `detail`, and the detail number that comes next."""
    key = f"{sequence:04d}{detail:04d}"
    text = movement.structured or movement.communication
    # A free communication goes over the three records: 53, 53 and 43 characters.
    first, second, third = text[:53], text[53:106], text[106:149]
    has_third = bool(movement.counterparty or movement.counterparty_name or third)
    has_second = has_third or bool(second or movement.customer_reference or movement.counterparty_bic)
    reference = movement.bank_reference or f"TIE{sequence:04d}{detail:04d}"
    first_record = _record(
        f"21{key}", (11, reference, 21), (32, _signed(movement.amount), 16), (48, _day(movement.value_date), 6),
        (54, movement.code, 8), (62, "1" if movement.structured else "0", 1), (63, first, 53),
        (116, _day(entered), 6), (122, number, 3), (125, f"{level}{int(has_second)} 0", 4),
    )  # fmt: skip
    second_record = _record(
        f"22{key}", (11, second, 53), (64, movement.customer_reference, 35), (99, movement.counterparty_bic, 11),
        (126, f"{int(has_third)} 0", 3),
    )  # fmt: skip
    lines = [first_record, second_record] if has_second else [first_record]
    if has_third:
        account = f"{movement.counterparty:<34}EUR" if movement.counterparty else ""
        lines.append(
            _record(
                f"23{key}", (11, account, 37), (48, movement.counterparty_name, 35), (83, third, 43), (126, "0 0", 3)
            )
        )
    if movement.information:
        lines[-1] = lines[-1][:-1] + "1"
    for position, text in enumerate(movement.information, start=1):
        detail += 1
        more = position < len(movement.information)
        lines += _information(text, f"{sequence:04d}{detail:04d}", reference, movement.code, more=more)
    return lines, detail + 1


def _information(text: str, key: str, reference: str, code: str, *, more: bool) -> list[str]:
    """Records 3 with a free text of up to 268 characters."""
    pieces = [piece for piece in (text[:73], text[73:178], text[178:268]) if piece]
    lines = []
    for index, piece in enumerate(pieces):
        following = index + 1 < len(pieces)
        ending = (126, f"{int(following)} {int(more and not following)}", 3)
        if index == 0:
            head = _record(f"31{key}", (11, reference, 21), (32, code, 8), (40, "0", 1), (41, piece, 73), ending)
            lines.append(head)
        else:
            lines.append(_record(f"3{index + 1}{key}", (11, piece, 105 if index == 1 else 90), ending))
    return lines
