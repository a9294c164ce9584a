"""Writes CODA files for tests, record by record, from a table of positions of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date

ENCODING = "cp1252"


def record(kind: str, **fields: tuple[int, int, str]) -> str:
    """128 characters: each field is (first position from 1, last position, text), padded with blanks."""
    line = list(kind.ljust(128))
    for name, (first, last, value) in fields.items():
        width = last - first + 1
        assert len(value) <= width, name
        line[first - 1 : last] = value.ljust(width)
    return "".join(line)


def day(value: date | None) -> str:
    return f"{value:%d%m%y}" if value else "000000"


def amount(thousandths: int) -> str:
    """Without its sign."""
    return f"{abs(thousandths):015d}"


def sign(thousandths: int) -> str:
    return "1" if thousandths < 0 else "0"


def check_digits_97(digits: str) -> str:
    """Enterprise number from its first eight digits."""
    return f"{digits}{97 - int(digits) % 97:02d}"


def iban(country: str, rest: str) -> str:
    """With its check digits: 98 less the remainder of the number with 00 in their place."""
    spelt = "".join(str(ord(c) - 55) if c.isalpha() else c for c in rest + country + "00")
    return f"{country}{98 - int(spelt) % 97:02d}{rest}"


@dataclass(frozen=True)
class Info:
    """An information record: 3.1, and as many further parts as there are texts left."""

    texts: tuple[str, ...] = ("001SUPPLIER",)


@dataclass(frozen=True)
class Move:
    """A movement: thousandths are negative for a debit. `details` have the same sequence number."""

    thousandths: int
    code: str = "00150000"
    value_date: date | None = date(2026, 1, 5)
    entry_date: date | None = date(2026, 1, 5)
    communication: str = "0INVOICE"
    continued: str | None = None
    counterparty: str | None = None
    infos: tuple[Info, ...] = ()
    details: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Book:
    """One statement."""

    structure: str = "2"
    account: str = "BE68539007547034"
    currency: str = "EUR"
    sequence: int = 1
    paper: str = "001"
    created: date = date(2026, 1, 6)
    duplicate: bool = False
    old: int = 0
    old_date: date | None = date(2026, 1, 4)
    new_date: date | None = date(2026, 1, 5)
    holder: str = "BAKKERIJ DE SMET"
    enterprise: str = "00739484052"
    application: str = "00000"
    moves: tuple[Move, ...] = ()
    messages: tuple[str, ...] = ()
    leave_out_closing: bool = False

    @property
    def debit(self) -> int:
        return -sum(move.thousandths for move in self.moves if move.thousandths < 0)

    @property
    def credit(self) -> int:
        return sum(move.thousandths for move in self.moves if move.thousandths > 0)

    @property
    def new(self) -> int:
        return self.old + self.credit - self.debit

    def next(self, *moves: Move) -> Book:
        """The account's next statement."""
        return replace(self, old=self.new, sequence=self.sequence + 1, moves=moves)


@dataclass
class _Numbers:
    sequence: int = 0
    detail: int = 0
    lines: list[str] = field(default_factory=list)


def account_field(book: Book) -> str:
    if book.structure == "0":
        return f"{book.account:<12} {book.currency}0BE".ljust(37)
    return f"{book.account:<34}{book.currency}"


def lines_of(book: Book, last: bool = True) -> list[str]:
    """The statement's records."""
    lines = [_header(book), _opening(book)]
    numbers = _Numbers()
    for move in book.moves:
        numbers.sequence, numbers.detail = (numbers.sequence + 1) % 10000, -1
        _movement(move, numbers)
        for detail in move.details:
            _movement(detail, numbers)
    lines += numbers.lines
    if not book.leave_out_closing:
        lines.append(_closing(book))
    count = len(lines) - 1
    for number, text in enumerate(book.messages, 1):
        more = "1" if number < len(book.messages) else "0"
        lines.append(record("4", number=(3, 10, f"{number:04d}0000"), text=(33, 112, text), link=(128, 128, more)))
    totals = f"{count % 10**6:06d}{amount(book.debit)}{amount(book.credit)}"
    return [*lines, record("9", totals=(17, 52, totals), multiple=(128, 128, "2" if last else "1"))]


def file_of(*books: Book) -> list[str]:
    """The lines of a file with these statements."""
    return [line for at, book in enumerate(books, 1) for line in lines_of(book, last=at == len(books))]


def to_bytes(lines: Iterable[str], end: str = "\r\n") -> bytes:
    return "".join(line + end for line in lines).encode(ENCODING)


def _header(book: Book) -> str:
    return record(
        "00000",
        created=(6, 11, day(book.created)),
        bank=(12, 14, "725"),
        application=(15, 16, "05"),
        duplicate=(17, 17, "D" if book.duplicate else " "),
        reference=(25, 34, "00099449"),
        addressee=(35, 60, "ADDRESSEE"),
        bic=(61, 71, "KREDBEBB"),
        enterprise=(72, 82, book.enterprise),
        separate=(84, 88, book.application),
        version=(128, 128, "2"),
    )


def _opening(book: Book) -> str:
    return record(
        "1",
        structure=(2, 2, book.structure),
        paper=(3, 5, book.paper),
        account=(6, 42, account_field(book)),
        balance=(43, 58, sign(book.old) + amount(book.old)),
        date=(59, 64, day(book.old_date)),
        holder=(65, 90, book.holder),
        description=(91, 125, "ACCOUNT"),
        sequence=(126, 128, f"{book.sequence:03d}"),
    )


def _closing(book: Book) -> str:
    return record(
        "8",
        paper=(2, 4, book.paper),
        account=(5, 41, account_field(book)),
        balance=(42, 57, sign(book.new) + amount(book.new)),
        date=(58, 63, day(book.new_date)),
        link=(128, 128, "1" if book.messages else "0"),
    )


def _movement(move: Move, numbers: _Numbers) -> None:
    numbers.detail = (numbers.detail + 1) % 10000
    number = f"{numbers.sequence:04d}{numbers.detail:04d}"
    parts: list[Callable[[str, str], str]] = [
        lambda more, link: record(
            f"21{number}",
            reference=(11, 31, "BANKREFERENCE"),
            amount=(32, 47, sign(move.thousandths) + amount(move.thousandths)),
            value_date=(48, 53, day(move.value_date)),
            code=(54, 61, move.code),
            communication=(62, 115, move.communication),
            entry_date=(116, 121, day(move.entry_date)),
            paper=(122, 124, "001"),
            globalisation=(125, 125, "1" if move.details else "0"),
            codes=(126, 128, f"{more} {link}"),
        )
    ]
    if move.continued is not None:
        parts.append(
            lambda more, link: record(
                f"22{number}",
                communication=(11, 63, move.continued or ""),
                bic=(99, 109, "BBRUBEBB"),
                codes=(126, 128, f"{more} {link}"),
            )
        )
    if move.counterparty is not None:
        parts.append(
            lambda more, link: record(
                f"23{number}",
                account=(11, 47, "BE68539007547034"),
                name=(48, 82, move.counterparty or ""),
                codes=(126, 128, f"{more} {link}"),
            )
        )
    _write(numbers, parts, informed=bool(move.infos))
    for at, info in enumerate(move.infos, 1):
        numbers.detail = (numbers.detail + 1) % 10000
        _information(info, numbers, move.code, informed=at < len(move.infos))


def _information(info: Info, numbers: _Numbers, code: str, informed: bool) -> None:
    number = f"{numbers.sequence:04d}{numbers.detail:04d}"

    def part(at: int, text: str) -> Callable[[str, str], str]:
        if at == 1:
            return lambda more, link: record(
                f"31{number}",
                reference=(11, 31, "BANKREFERENCE"),
                code=(32, 39, code),
                text=(40, 113, f"1{text}"),
                codes=(126, 128, f"{more} {link}"),
            )
        last = 115 if at == 2 else 100
        return lambda more, link: record(f"3{at}{number}", text=(11, last, text), codes=(126, 128, f"{more} {link}"))

    _write(numbers, [part(at, text) for at, text in enumerate(info.texts, 1)], informed=informed)


def _write(numbers: _Numbers, parts: list[Callable[[str, str], str]], *, informed: bool) -> None:
    for at, part in enumerate(parts, 1):
        more = at < len(parts)
        numbers.lines.append(part("1" if more else "0", "1" if informed and not more else "0"))
