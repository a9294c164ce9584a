"""CSV rows (RFC 4180) as bytes: where each begins and ends, so that a record keeps the bytes it came with.

A quote counts only at the beginning of a value; inside quotes, delimiters and line breaks are text and a quote is
written twice. Rows end with CRLF, LF or CR. The same rules as those of Python's csv module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tieout.systems.stampli.records import FILE_TOO_LARGE, Limits, UnreadableFile

_PEEK_BYTES = 64 * 1024
_AROUND_A_VALUE = 4  # quotes, and a delimiter or line end
_LINE_END = rb"(?:\r\n|\n|\r(?=[\s\S]))"


@dataclass(frozen=True)
class Row:
    """One row with its line end.

    Attributes:
        data: Its bytes.
        start: Position of the first one.
        line: Its first line, from 1.
        cells: The raw cells that were asked for, or None when the row has too few.
    """

    data: bytes
    start: int
    line: int
    cells: tuple[bytes, ...] | None


def _field(delimiter: bytes) -> bytes:
    other = rb"[^" + re.escape(delimiter) + rb"\r\n]*+"
    first = rb'[^"' + re.escape(delimiter) + rb"\r\n]"
    quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
    empty = rb"(?=[" + re.escape(delimiter) + rb"\r\n])"
    return rb"(?>" + quoted + other + rb"|" + first + other + rb"|" + empty + rb")"


@lru_cache(maxsize=64)
def _field_and_delimiter(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(_field(delimiter) + re.escape(delimiter))


@lru_cache(maxsize=64)
def _row(delimiter: bytes, wanted: tuple[int, ...]) -> re.Pattern[bytes]:
    """One row; with groups for the cells at the wanted positions (ascending), where it has as many."""
    value, mark = _field(delimiter), re.escape(delimiter)
    rest = rb"(?:" + mark + value + rb")*+" + _LINE_END
    any_row = value + rest
    if not wanted:
        return re.compile(any_row)
    with_cells, position = b"", 0
    for number, column in enumerate(wanted):
        between = column - position - (1 if number else 0)
        with_cells += (mark if number else b"") + rb"(?:" + value + mark + rb"){%d}" % between + rb"(" + value + rb")"
        position = column
    return re.compile(rb"(?>" + with_cells + rest + rb"|" + any_row + rb")")


class RowReader:
    """Reads rows from a stream.

    Args:
        name: The file's name, for messages.
        limits: The longest value, and the longest row (as long as a record may be).
    """

    def __init__(self, chunks: Iterable[bytes], name: str, limits: Limits) -> None:
        self._chunks = iter(chunks)
        self._name = name
        self._limits = limits
        self._buffer = b""
        self._offset = 0  # where in the buffer the next row begins
        self._position = 0  # of the buffer's first byte in the stream
        self._line = 1
        self._ended = False
        self._completed = False  # a line end was added that the file does not have
        self._more()

    def peek(self) -> bytes:
        """The beginning of what comes next, enough for a header row."""
        while len(self._buffer) - self._offset < _PEEK_BYTES and self._more():
            pass
        return self._buffer[self._offset :]

    def skip(self, count: int, lines: int) -> None:
        """Goes over bytes that are no row."""
        self._offset += count
        self._line += lines

    def rows(self, delimiter: bytes, wanted: Sequence[int] = ()) -> Iterator[Row]:
        """The rows from here on.

        Args:
            delimiter: One byte.
            wanted: Ascending positions of the cells to give along.

        Raises:
            UnreadableFile: A quote is never closed, a value is too long, or there is a NUL byte.
        """
        pattern = _row(delimiter, tuple(wanted))
        while True:
            found = pattern.match(self._buffer, self._offset)
            if found is not None:
                yield self._taken(found, delimiter, wanted)
                continue
            if len(self._buffer) - self._offset > self._limits.max_field_bytes:
                self._check_open_row(delimiter)
            if not self._grow():
                if self._offset < len(self._buffer):
                    raise self._endless(delimiter)
                return

    def _taken(self, found: re.Match[bytes], delimiter: bytes, wanted: Sequence[int]) -> Row:
        data = found[0]
        if self._completed and found.end() == len(self._buffer):
            data = data[:-1]
        if len(data) > self._limits.max_field_bytes:
            self._check_values(data, delimiter)
        cells = found.groups() if wanted and found[1] is not None else None
        row = Row(data, self._position + self._offset, self._line, cells)
        self._offset = found.end()
        self._line += line_breaks(data)
        return row

    def _grow(self) -> bool:
        """Reads on until there is twice as much: a long row is then looked at a few times, not once per chunk."""
        wanted = 2 * (len(self._buffer) - self._offset)
        grown = False
        while self._more():
            grown = True
            if len(self._buffer) - self._offset >= wanted:
                break
        return grown

    def _more(self) -> bool:
        """Reads on; at the end, a last row without line end gets one, which `_taken` takes off again."""
        if self._ended:
            return False
        chunk = next(self._chunks, None)
        while chunk == b"":
            chunk = next(self._chunks, None)
        if chunk is None:
            self._ended = True
            rest = self._buffer[self._offset :]
            if not rest or rest.endswith(b"\n"):
                return False
            chunk, self._completed = b"\n", True
        elif b"\0" in chunk:
            line = self._line + line_breaks(self._buffer[self._offset :] + chunk[: chunk.index(b"\0")])
            raise UnreadableFile(
                f"{self._name}, line {line}: there is a NUL byte, so this is not CSV text. If the file is UTF-16 "
                "without byte order mark, set `encoding: utf-16` in the layout file.",
                line,
            )
        self._position += self._offset
        self._buffer = self._buffer[self._offset :] + chunk
        self._offset = 0
        return True

    def _open_value(self, delimiter: bytes) -> int:
        """Where in the buffer the value begins that has no end yet."""
        pattern = _field_and_delimiter(delimiter)
        position = self._offset
        while found := pattern.match(self._buffer, position):
            position = found.end()
        return position

    def _check_open_row(self, delimiter: bytes) -> None:
        """Stops at a value or row that grows beyond its limit: mostly a quote that is never closed."""
        if len(self._buffer) - self._offset > self._limits.max_record_bytes:
            raise UnreadableFile(
                f"{self._name}, line {self._line}: the row that begins here is longer than "
                f"{self._limits.max_record_bytes} bytes. Probably this is not CSV.",
                self._line,
                FILE_TOO_LARGE,
            )
        begin = self._open_value(delimiter)
        if len(self._buffer) - begin > self._limits.max_field_bytes + _AROUND_A_VALUE:
            raise self._too_long(self._line + line_breaks(self._buffer[self._offset : begin]))

    def _check_values(self, row: bytes, delimiter: bytes) -> None:
        position = 0
        pattern = _field_and_delimiter(delimiter)
        while True:
            found = pattern.match(row, position)
            end = found.end() if found else len(row)
            if end - position > self._limits.max_field_bytes + _AROUND_A_VALUE:
                raise self._too_long(self._line + line_breaks(row[:position]))
            if found is None:
                return
            position = end

    def _too_long(self, line: int) -> UnreadableFile:
        return UnreadableFile(
            f"{self._name}, line {line}: a value that begins here is longer than {self._limits.max_field_bytes} bytes. "
            "Probably a quote is opened here and never closed.",
            line,
            FILE_TOO_LARGE,
        )

    def _endless(self, delimiter: bytes) -> UnreadableFile:
        begin = self._open_value(delimiter)
        line = self._line + line_breaks(self._buffer[self._offset : begin])
        return UnreadableFile(
            f"{self._name}, line {line}: a quote is opened here and not closed until the end of the file. The file is "
            "incomplete, or a quote inside a value is not written twice.",
            line,
        )


def line_breaks(data: bytes) -> int:
    """Line breaks in a text: CRLF counts once."""
    if b"\r" not in data:
        return data.count(b"\n")
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def is_blank(row: bytes, delimiter: bytes) -> bool:
    """Whether a row has no value at all: an empty line, or one of delimiters only as spreadsheets write them."""
    return not row.strip(b" \t\r\n" + delimiter)


def split_rows(data: bytes, delimiter: bytes, first_line: int = 1) -> Iterator[tuple[int, bytes]]:
    """(line, row) of complete rows; blank ones are left out."""
    line = first_line
    complete = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    # The pattern asks for a byte behind a lone CR, to be sure that no LF follows.
    for found in _row(delimiter, ()).finditer(complete + b"\n" if complete.endswith(b"\r") else complete):
        row = data[found.start() : found.end()]
        if not is_blank(row, delimiter):
            yield line, row
        line += line_breaks(row)


@lru_cache(maxsize=16)
def _cell(delimiter: str) -> re.Pattern[str]:
    mark = re.escape(delimiter)
    return re.compile(rf'(?:"([^"]*+(?:""[^"]*+)*+)"([^{mark}\r\n]*+)|([^{mark}\r\n]*+))(?:({mark})|\Z)')


def split_cells(row: str, delimiter: str) -> tuple[list[str], bool]:
    """The cells of one row.

    Returns:
        The cells, and whether all quotes were right: False where text follows a closing quote.
    """
    if row.endswith(("\n", "\r")):
        row = row[:-2] if row.endswith("\r\n") else row[:-1]
    if '"' not in row:
        return row.split(delimiter), True
    cells: list[str] = []
    right = True
    position = 0
    match = _cell(delimiter).match
    while found := match(row, position):
        quoted, after, plain, more = found.groups()
        if quoted is None:
            cells.append(plain)
        else:
            cells.append(quoted.replace('""', '"') + after)
            right = right and not after.strip()
        if more is None:
            return cells, right
        position = found.end()
    # A line break outside quotes: this is not one row.
    return [*cells, row[position:]], False
