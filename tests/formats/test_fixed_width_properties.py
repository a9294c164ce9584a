"""Random postings in random layouts: a reader that knows nothing of the writer gets the same values back.

The reader slices by a description of its own, as a copybook has it: offset from 0, length, picture. It decodes signs by
tables written out here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.formats.fixed_width import FixedWidthSpec, FixedWidthWriter

# Zoned decimals: what a last digit says, by its byte.
ASCII_ZONED = {
    **{byte: (digit, 1) for digit, byte in enumerate(b"{ABCDEFGHI")},
    **{byte: (digit, -1) for digit, byte in enumerate(b"}JKLMNOPQR")},
}
EBCDIC_ZONED = {0xC0 + digit: (digit, 1) for digit in range(10)} | {0xD0 + digit: (digit, -1) for digit in range(10)}
EBCDIC = ("cp037", "cp500", "cp1140", "cp273")


@dataclass(frozen=True)
class Slice:
    """One item of the reader's copybook."""

    offset: int
    length: int
    read: Callable[[bytes], Any]


def zoned(encoding: str, decimals: int) -> Callable[[bytes], Decimal]:
    table = EBCDIC_ZONED if encoding in EBCDIC else ASCII_ZONED

    def read(data: bytes) -> Decimal:
        digit, sign = table[data[-1]]
        return sign * Decimal(int(data[:-1].decode(encoding) + str(digit))).scaleb(-decimals)

    return read


def picture(encoding: str, decimals: int, sign: str) -> Callable[[bytes], Decimal]:
    def read(data: bytes) -> Decimal:
        text = data.decode(encoding)
        negative = text.endswith("-") if sign == "trailing" else text.strip().startswith("-")
        digits = text.strip(" +-")
        if "." in digits:
            assert len(digits.partition(".")[2]) == decimals
        value = Decimal(int(digits.replace(".", ""))).scaleb(-decimals)
        return -value if negative else value

    return read


@dataclass(frozen=True)
class Layout:
    """How amounts stand in the file: what the writer is told, and what the reader knows."""

    width: int
    keys: dict[str, Any]
    read: Callable[[str], Callable[[bytes], Decimal]]
    unsigned: bool = False


def layouts() -> dict[str, Layout]:
    found = {
        "overpunch": Layout(16, {"sign": "overpunch"}, lambda encoding: zoned(encoding, 2)),
        "jde": Layout(32, {"sign": "jde"}, lambda encoding: picture(encoding, 10, "leading")),
        "unsigned": Layout(15, {}, lambda encoding: picture(encoding, 2, "leading"), unsigned=True),
    }
    for sign in ("trailing", "leading"):
        for name, keys in {
            "zeros": {},
            "plus": {"plus": "+"},
            "spaces": {"pad": " "},
            "left": {"pad": " ", "justify": "left"},
            "point": {"point": "."},
            "spaces and point": {"pad": " ", "point": "."},
        }.items():

            def reader(encoding: str, sign: str = sign, left: bool = name == "left") -> Callable[[bytes], Decimal]:
                read = picture(encoding, 2, sign)
                return (lambda data: read(data.rstrip(" ".encode(encoding)))) if left else read

            found[f"{sign} {name}"] = Layout(18, {"sign": sign, **keys}, reader)
    return found


LAYOUTS = layouts()
ENCODINGS = ["cp1252", "latin-1", "utf-8", "cp932", *EBCDIC]

# 13 digits before the point: beyond what six decimals leave of 64 bits.
cents = st.one_of(st.integers(-1000, 1000), st.integers(-(10**15) + 1, 10**15 - 1))
words = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]), max_size=10)
days = st.one_of(st.none(), st.dates(date(1900, 1, 1), date(2099, 12, 31)))


def fits(text: str, encoding: str, width: int) -> bool:
    try:
        encoded = text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return len(encoded) <= width and encoded.decode(encoding) == text


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_independent_reader_gets_the_same_records_back(data: st.DataObject) -> None:
    encoding = data.draw(st.sampled_from(ENCODINGS))
    layout = LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))]
    separator = data.draw(st.sampled_from(["\r\n", "\n", ""]))
    rows = data.draw(st.lists(st.tuples(words, cents, days, st.integers(0, 10**10 - 1)), max_size=12))
    rows = [
        (text if fits(text, encoding, 12) else "x", abs(amount) if layout.unsigned else amount, day, journal)
        for text, amount, day, journal in rows
    ]
    size = data.draw(st.integers(1, 5))
    writer = FixedWidthWriter(spec(layout, encoding, separator))
    header = writer.header({"company": "EDU1"})
    written = [writer.details(batch(rows[at : at + size])).data for at in range(0, len(rows), size)]
    trailer = writer.trailer()
    amount_end = 22 + layout.width
    book = {
        "line": Slice(1, 9, lambda raw: int(raw.decode(encoding))),
        "text": Slice(10, 12, lambda raw: raw.decode(encoding).rstrip(" ")),
        "amount": Slice(22, layout.width, layout.read(encoding)),
        "day": Slice(amount_end, 8, lambda raw: raw.decode(encoding)),
        "side": Slice(amount_end + 8, 1, lambda raw: raw.decode(encoding)),
        "journal": Slice(amount_end + 9, 10, lambda raw: int(raw.decode(encoding))),
    }
    end = separator.encode(encoding)
    length = amount_end + 19 + len(end)
    whole = header + b"".join(written) + trailer
    assert len(whole) == length * (len(rows) + 2)
    records = [whole[at : at + length] for at in range(0, len(whole), length)]
    assert all(record.endswith(end) for record in records)
    for line, (record, (text, amount, day, journal)) in enumerate(zip(records[1:-1], rows, strict=True), 1):
        read = {name: item.read(record[item.offset : item.offset + item.length]) for name, item in book.items()}
        assert record[:1].decode(encoding) == "D"
        assert read == {
            "line": line,
            "text": text.rstrip(" "),
            "amount": Decimal(amount).scaleb(-2),
            "day": day.strftime("%d%m%Y") if day else "00000000",
            "side": "C" if amount < 0 else "D",
            "journal": journal,
        }
    closing = records[-1].decode(encoding)
    assert closing[0] == "T"
    assert int(closing[1:10]) == len(rows)
    assert int(closing[10:30]) == sum(amount for _, amount, _, _ in rows if amount > 0)
    assert int(closing[30:40]) == sum(journal for *_, journal in rows) % 10**10


def spec(layout: Layout, encoding: str, separator: str) -> FixedWidthSpec:
    at = 23 + layout.width
    length = at + 18

    def record(*fields: dict[str, Any]) -> dict[str, Any]:
        return {"length": length, "fields": list(fields)}

    def filler(start: int) -> dict[str, Any]:
        return {"name": "filler", "start": start, "width": length - start + 1, "const": ""}

    amount = {"name": "amount", "start": 23, "width": layout.width, "from": "amount", "type": "num", **layout.keys}
    if layout.keys.get("sign") != "jde":
        amount["scale"] = 2
    return FixedWidthSpec.model_validate(
        {
            "file": {"encoding": encoding, "record_separator": separator},
            "totals": {
                "count": {"count": "details"},
                "debit": {"sum": "amount", "side": "debit"},
                "hash": {"sum": "journal", "modulo": 10**10},
            },
            "records": {
                "header": record(
                    {"name": "kind", "start": 1, "width": 1, "const": "H"},
                    {"name": "company", "start": 2, "width": 4, "from": "company"},
                    filler(6),
                ),
                "detail": record(
                    {"name": "kind", "start": 1, "width": 1, "const": "D"},
                    {"name": "line", "start": 2, "width": 9, "type": "sequence"},
                    {"name": "text", "start": 11, "width": 12, "from": "text"},
                    amount,
                    {"name": "day", "start": at, "width": 8, "from": "day", "type": "date", "format": "%d%m%Y"}
                    | {"null": "zeros"},
                    {"name": "side", "start": at + 8, "width": 1, "from": "amount", "type": "dc"},
                    {"name": "journal", "start": at + 9, "width": 10, "from": "journal", "type": "integer"},
                ),
                "trailer": record(
                    {"name": "kind", "start": 1, "width": 1, "const": "T"},
                    {"name": "count", "start": 2, "width": 9, "from": "count", "type": "integer"},
                    {"name": "debit", "start": 11, "width": 20, "from": "debit", "type": "decimal", "scale": 2},
                    {"name": "hash", "start": 31, "width": 10, "from": "hash", "type": "integer"},
                    *([filler(41)] if length > 40 else []),
                ),
            },
        }
    )


def batch(rows: list[tuple[str, int, date | None, int]]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "text": pa.array([row[0] for row in rows], pa.string()),
            "amount": pa.array([Decimal(row[1]).scaleb(-2) for row in rows], pa.decimal128(28, 6)),
            "day": pa.array([row[2].isoformat() if row[2] else None for row in rows], pa.string()),
            "journal": pa.array([row[3] for row in rows], pa.int64()),
        }
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=10),
    st.sampled_from(["cp1252", "cp037", "utf-8", "ascii", "cp932", "shift_jis"]),
)
def test_any_text_is_written_as_it_is_or_reported(values: list[str | None], encoding: str) -> None:
    field = {"name": "text", "start": 1, "width": 6, "from": "text"}
    writer = FixedWidthWriter(
        FixedWidthSpec.model_validate(
            {"file": {"encoding": encoding}, "records": {"detail": {"length": 6, "fields": [field]}}}
        )
    )
    texts = pa.record_batch({"text": pa.array(values, pa.string())})
    misfits = {misfit.row for misfit in writer.check(texts)}
    end = "\r\n".encode(encoding)
    for row, value in enumerate(values):
        text = value or ""
        sound = all(ord(character) >= 0x20 and not 0x7F <= ord(character) <= 0x9F for character in text)
        sound = sound and "\u2028" not in text and "\u2029" not in text
        assert (row in misfits) == (not sound or not fits(text, encoding, 6))
        if row not in misfits:
            data = writer.details(texts.slice(row, 1)).data
            assert data == text.encode(encoding) + " ".encode(encoding) * (6 - len(text.encode(encoding))) + end
