"""G/L postings as fixed-width records: one header, the details, one trailer; read column by column.

Positions count from 1 and are those of a detail whose line number has nine digits:
type 1 `D` · line number 2-10 · cost centre 11-20 · account 21-55 · year 56-59 · period 60-61 · journal 62-71 ·
date 72-79 (CCYYMMDD, zeros or blanks for none) · amount 80-93 (two decimals, sign overpunched on the last digit) ·
reference 94-103. Header: `H` · company 2-5 · run date 6-13 · batch 14-19. Trailer: `T` · details 2-10 · debits 11-25 ·
credits 26-40 (two decimals, no sign) · sum of the journals' numbers modulo 10^10 41-50. The rest is blank.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from sandbox.legacy_erp.money import SCALE, amount, exact_sum
from sandbox.legacy_erp.postings import NUMBERS, TEXTS, PostingBlock
from sandbox.legacy_erp.received import Reading
from sandbox.legacy_erp.settings import Settings

_AT_ONCE = 100_000
_CENTS = SCALE // 100
_WITHOUT_LINE_NUMBER = 94
_OVERPUNCH = "{ABCDEFGHI}JKLMNOPQR"
"""The last digit with its sign: +0 to +9, then -0 to -9."""


def record_length(settings: Settings) -> int:
    """Bytes of a record, without what ends it."""
    return _WITHOUT_LINE_NUMBER + settings.line_number_digits


def read_fixed_width(path: Path, reading: Reading) -> None:
    """Reads a file of G/L postings."""
    if reading.entity not in (None, "gl_postings"):
        reading.unreadable(f"No fixed-width records are agreed for {reading.entity}.")
        return
    reading.entity = "gl_postings"
    settings = reading.settings
    length, end = record_length(settings), settings.record_separator.encode(settings.fixed_width_encoding)
    if path.stat().st_size == 0:
        reading.unreadable("The file is empty.")
        return
    content = np.memmap(path, dtype=np.uint8, mode="r")
    misfit = _first_misfit(content, length, end)
    if misfit is not None:
        reading.unreadable(misfit)
        return
    records = content.reshape(-1, length + len(end))[:, :length]
    if len(records) < 2:
        reading.unreadable("There is only one record; there must be a header and a trailer.")
        return
    _Reader(reading, records).read()


def _first_misfit(content: np.ndarray, length: int, end: bytes) -> str | None:
    """Where the records' lengths go wrong; None when they do not."""
    width = length + len(end)
    whole = len(content) // width
    if end:
        ends = content[: whole * width].reshape(whole, width)[:, length:]
        wrong = np.flatnonzero((ends != np.frombuffer(end, dtype=np.uint8)).any(axis=1))
        if len(wrong):
            number = int(wrong[0])
            return f"Record {number + 1} (byte {number * width}) does not have {length} bytes and {end!r} after them."
    if len(content) % width:
        return f"The last record (byte {whole * width}) has {len(content) % width} bytes instead of {width}."
    return None


class _Reader:
    """Reads records whose lengths are right."""

    def __init__(self, reading: Reading, records: np.ndarray) -> None:
        self._reading = reading
        self._records = records
        self._encoding = reading.settings.fixed_width_encoding
        self._digits = reading.settings.line_number_digits
        # In EBCDIC digits and signs are other bytes: each byte is looked up as the Latin-1 character it stands for.
        text = bytes(range(256)).decode(self._encoding, errors="replace")
        self._characters = np.array([ord(one) if ord(one) < 256 else 0 for one in text], dtype=np.uint8)
        self._column = 0
        self._rows = slice(0, 0)

    def read(self) -> None:
        """Header, details, trailer."""
        self._say_types()
        self._header(self._text(0, 1, record_length(self._reading.settings)))
        columns = self._details()
        texts = self._reading.lines.texts
        block = self._reading.block = PostingBlock(self._reading.file, "", columns, texts)
        self._trailer(self._text(len(self._records) - 1, 1, record_length(self._reading.settings)), block)

    def _say_types(self) -> None:
        types = self._characters[self._records[:, 0]]
        expected = np.full(len(types), ord("D"), dtype=np.uint8)
        expected[0], expected[-1] = ord("H"), ord("T")
        wrong = np.flatnonzero(types != expected)
        if len(wrong):
            row = int(wrong[0])
            message = f"Record {row + 1} begins with {chr(types[row])!r} and should with {chr(expected[row])!r}."
            self._reading.findings.add_all(message, len(wrong))

    def _text(self, row: int, start: int, stop: int) -> str:
        """A piece of a record, from position `start` to `stop`."""
        return self._decode(bytes(self._records[row, start - 1 : stop]))

    def _decode(self, value: bytes) -> str:
        try:
            return value.decode(self._encoding)
        except UnicodeDecodeError:
            self._reading.findings.add(f"The bytes {value!r} are not {self._encoding}.")
            return value.decode(self._encoding, errors="replace")

    def _header(self, record: str) -> None:
        company, run_date, batch, filler = record[1:5], record[5:13], record[13:19], record[19:]
        if not company.strip():
            self._reading.findings.add("The header names no company.")
        if not _is_date(run_date):
            self._reading.findings.add(f"The header's run date {run_date!r} is no date.")
        if not batch.isdigit() or filler.strip():
            self._reading.findings.add("The header must end in a batch number of six digits, and blanks.")
        self._reading.detail |= {"company": company.rstrip(), "run_date": run_date, "batch": batch}

    def _trailer(self, record: str, block: PostingBlock) -> None:
        amounts = block.columns["amount"]
        found = {
            "count": (record[1:10], len(block)),
            "debits": (record[10:25], exact_sum(np.maximum(amounts, 0))),
            "credits": (record[25:40], exact_sum(np.maximum(-amounts, 0))),
            "journal hash": (record[40:50], int(block.columns["journal"].sum()) % 10**10),
        }
        for name, (said, counted) in found.items():
            is_money = name in ("debits", "credits")
            if not (said.isascii() and said.isdigit()):
                self._reading.findings.add(f"The trailer's {name} {said!r} is no number.")
            elif int(said) * (_CENTS if is_money else 1) != counted:
                shown = amount(counted) if is_money else counted
                self._reading.findings.add(f"The trailer's {name} is {said} and the details give {shown}.")
            self._reading.detail[name.replace(" ", "_")] = said
        if record[50:].strip():
            self._reading.findings.add("The trailer must end in blanks.")

    # -- details ------------------------------------------------------------------------------------------------------

    def _details(self) -> dict[str, np.ndarray]:
        last = len(self._records) - 1
        pieces: dict[str, list[np.ndarray]] = {}
        for start in range(1, last, _AT_ONCE):
            self._rows = slice(start, min(start + _AT_ONCE, last))
            for name, column in self._piece():
                pieces.setdefault(name, []).append(column)
        columns = {name: np.concatenate(arrays) for name, arrays in pieces.items()}
        numbers = columns.pop("number", np.zeros(0, dtype=np.int64))
        wrong = np.flatnonzero(numbers != np.arange(1, len(numbers) + 1))
        if len(wrong):
            row = int(wrong[0])
            self._reading.findings.add_all(
                f"Record {row + 2}: the line number is {numbers[row]} and should be {row + 1}.", len(wrong)
            )
        size = last - 1
        return {
            name: columns.get(name, np.zeros(size, dtype=np.int64 if name in NUMBERS else np.int32))
            for name in (*NUMBERS, *TEXTS)
        }

    def _piece(self) -> Iterator[tuple[str, np.ndarray]]:
        """The columns of some details, one after the other as they stand in the record."""
        self._column = 1
        yield "number", self._integers("line number", self._digits)
        yield "cost_centre", self._texts(10)
        yield "account", self._texts(35, "account")
        yield "year", self._integers("year", 4)
        yield "period", self._integers("period", 2, within=(1, 15))
        yield "journal", self._integers("journal", 10)
        yield "date", self._dates()
        yield "amount", self._amounts()
        yield "reference", self._texts(10)

    def _take(self, width: int) -> np.ndarray:
        taken = self._records[self._rows, self._column : self._column + width]
        self._column += width
        return taken

    def _integers(self, name: str, width: int, within: tuple[int, int] | None = None) -> np.ndarray:
        digits = self._characters[self._take(width)] - np.uint8(ord("0"))
        values, bad = _whole(digits)
        if within is not None:
            bad |= (values < within[0]) | (values > within[1])
        self._complain(bad, width, name)
        return values

    def _amounts(self) -> np.ndarray:
        characters = self._characters[self._take(14)]
        digits = characters - np.uint8(ord("0"))
        order = np.full(256, 255, dtype=np.uint8)
        order[[ord(one) for one in _OVERPUNCH]] = np.arange(20)
        last = order[characters[:, -1]]
        digits[:, -1] = np.where(last < 20, last % 10, 255)
        values, bad = _whole(digits)
        self._complain(bad, 14, "amount")
        return np.where(bad, 0, values) * np.where(last >= 10, -_CENTS, _CENTS)

    def _dates(self) -> np.ndarray:
        characters = self._characters[self._take(8)]
        blank = (characters == ord(" ")).all(axis=1)
        values, bad = _whole(characters - np.uint8(ord("0")))
        bad &= ~blank
        values[bad | blank] = 0
        days, inverse = np.unique(values, return_inverse=True)
        no_dates = np.array([day != 0 and not _is_date(f"{day:08d}") for day in days.tolist()], dtype=bool)
        self._complain(bad | no_dates[inverse], 8, "date")
        return values

    def _texts(self, width: int, required: str | None = None) -> np.ndarray:
        taken = np.ascontiguousarray(self._take(width)).view(f"S{width}").ravel()
        values, inverse = np.unique(taken, return_inverse=True)
        blank = " ".encode(self._encoding)
        # Numpy takes zero bytes from the end of a text; they belong to it and are no blanks.
        codes = [self._code(value.ljust(width, b"\0").rstrip(blank)) for value in values.tolist()]
        found = np.array(codes, dtype=np.int32)[inverse]
        if required is not None:
            self._complain(found == 0, width, required)
        return found

    def _code(self, value: bytes) -> int:
        text = self._decode(value)
        if not text.isprintable() or text[:1] == " ":
            self._reading.findings.add(f"The text {text!r} is not printable characters, left-justified.")
        return self._reading.lines.texts.code(text)

    def _complain(self, bad: np.ndarray, width: int, name: str) -> None:
        wrong = np.flatnonzero(bad)
        if len(wrong):
            row = self._rows.start + int(wrong[0])
            stop = self._column
            value = self._text(row, stop - width + 1, stop)
            self._reading.findings.add_all(f"Record {row + 1}: {value!r} is no {name}.", len(wrong))


def _whole(digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of digits as numbers, and which rows have something else; those are zero."""
    bad: np.ndarray = np.any(digits > 9, axis=1)
    values = np.zeros(len(digits), dtype=np.int64)
    for column in range(digits.shape[1]):
        values = values * 10 + digits[:, column]
    values[bad] = 0
    return values, bad


def _is_date(text: str) -> bool:
    try:
        return text.isascii() and text.isdigit() and bool(datetime.strptime(text, "%Y%m%d"))
    except ValueError:
        return False
