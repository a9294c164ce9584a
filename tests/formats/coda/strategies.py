"""Random books of statements."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import strategies as st

from tests.formats.coda.records import Book, Info, Move, check_digits_97, iban

# What windows-1252 has as text; a field's own blanks are not part of its value.
_CHARACTERS = [
    bytes([byte]).decode("cp1252")
    for byte in (*range(0x20, 0x7F), 0x80, *range(0x82, 0x8D), 0x8E, *range(0x91, 0x9D), *range(0x9E, 0x100))
]

days = st.dates(date(2006, 1, 1), date(2060, 12, 31))
thousandths = st.one_of(st.integers(-2000, 2000), st.integers(-(10**13), 10**13))
_DETAIL_TYPES = {"1": "5", "2": "67", "3": "8"}


def words(size: int) -> st.SearchStrategy[str]:
    """Short texts of any characters, and one that fills its field."""
    short = st.text(st.sampled_from(_CHARACTERS), max_size=min(size, 6)).map(str.strip)
    return st.one_of(short, st.just(("Café Noël, " * 12)[: size - 1] + "€"))


infos = st.lists(words(70), min_size=1, max_size=3).map(lambda texts: Info(tuple(texts)))


@st.composite
def moves(draw: st.DrawFn, types: str = "0123") -> Move:
    kind = draw(st.sampled_from(types))
    details = draw(st.lists(moves(types=_DETAIL_TYPES[kind]), max_size=3)) if kind in _DETAIL_TYPES else []
    return Move(
        thousandths=draw(thousandths),
        code=kind + draw(st.sampled_from(["0150000", "4137000", "9999999"])),
        value_date=draw(days),
        entry_date=draw(days),
        communication=draw(st.sampled_from(["0", "1101010806817183"])) + draw(words(30)),
        continued=draw(st.none() | words(53)),
        counterparty=draw(st.none() | words(35)),
        infos=tuple(draw(st.lists(infos, max_size=2))),
        details=tuple(details),
    )


@st.composite
def accounts(draw: st.DrawFn) -> tuple[str, str]:
    structure = draw(st.sampled_from("0123"))
    digits = f"{draw(st.integers(0, 10**12 - 1)):012d}"
    return structure, {
        "0": digits,
        "1": f"LU{digits}",
        "2": iban("BE", digits),
        "3": iban("NL", f"ABNA{digits[:10]}"),
    }[structure]


@st.composite
def books(draw: st.DrawFn) -> Book:
    structure, account = draw(accounts())
    old_date, new_date = sorted([draw(days), draw(days)])
    moved = tuple(draw(st.lists(moves(), max_size=4)))
    return Book(
        structure=structure,
        account=account,
        currency=draw(st.sampled_from(["EUR", "USD", "JPY"])),
        sequence=draw(st.integers(0, 366)),
        paper=f"{draw(st.integers(0, 999)):03d}",
        created=draw(days),
        duplicate=draw(st.booleans()),
        old=draw(thousandths),
        old_date=old_date,
        new_date=new_date,
        holder=draw(words(26)),
        enterprise="0" + check_digits_97(f"{draw(st.integers(1, 19_999_999)):08d}"),
        moves=moved,
        messages=tuple(draw(st.lists(words(80), max_size=2))),
        leave_out_closing=draw(st.booleans()) if not moved else False,
    )


@st.composite
def files(draw: st.DrawFn) -> list[Book]:
    """Statements of different accounts, or of one account day after day."""
    drawn = draw(st.lists(books(), min_size=1, max_size=4, unique_by=lambda book: (book.account, book.currency)))
    if draw(st.booleans()):
        return drawn
    following = [replace(drawn[0], sequence=1)]
    for book in drawn[1:]:
        before = following[-1]
        following.append(
            replace(
                before,
                old=before.new,
                old_date=before.new_date,
                sequence=before.sequence + 1,
                moves=book.moves,
                messages=book.messages,
                leave_out_closing=book.leave_out_closing,
            )
        )
    return following
