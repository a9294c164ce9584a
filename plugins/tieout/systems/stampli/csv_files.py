"""CSV files: one row per line of a record, the header's values repeated on each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tieout.systems.stampli.assembling import (
    BAD_ROW,
    INVALID_ENCODING,
    Extent,
    RawRecord,
    Texts,
    assemble,
    key_of,
)
from tieout.systems.stampli.content_types import CSV, DELIMITERS, LineRange, Origin
from tieout.systems.stampli.encodings import AUTO, UTF_8, Encoding, csv_encoding, decode
from tieout.systems.stampli.layout import Layout
from tieout.systems.stampli.records import (
    CORRECT_THE_LAYOUT,
    EMPTY_FILE,
    MISSING_COLUMN,
    SourceRecord,
    UnreadableFile,
)
from tieout.systems.stampli.sources import Piece, Runs, Source, gathered, pieces
from tieout.systems.stampli.splitting import Row, RowReader, is_blank, line_breaks, split_cells, split_rows
from tieout.systems.stampli.values import BLANKS

# Spreadsheets write this line before the header row, to tell each other the delimiter.
_SEPARATOR_HINT = re.compile(rb"sep=([,;|\t])(\r\n|\n|\r)", re.IGNORECASE)
_NAME_OF = {mark: name for name, mark in DELIMITERS.items()}


@dataclass(frozen=True)
class HeaderRow:
    """The first row: which column stands where.

    Attributes:
        data: Its bytes, as they are split.
        delimiter: The byte between values.
        width: How many columns the file has, unknown ones too.
        positions: Canonical column → position.
        names: Canonical column → its name in this file.
    """

    data: bytes
    delimiter: bytes
    width: int
    positions: Mapping[str, int]
    names: Mapping[str, str]

    @property
    def mark(self) -> str:
        """The delimiter as text."""
        return self.delimiter.decode("ascii")


def read_csv(source: Source, layout: Layout) -> Iterator[SourceRecord]:
    """Checks a file's structure from beginning to end, then reads its records.

    Returns:
        The records, in the order of their last rows.

    Raises:
        UnreadableFile: At once, before there is any record.
    """
    encoding = csv_encoding(source.first_bytes(), layout.encoding)
    header, runs = _scan(source, layout, encoding)
    return _records(source, layout, encoding, header, runs)


def read_csv_payload(data: bytes, layout: Layout, origin: Origin) -> SourceRecord:
    """One record from its payload: header row, then the record's rows.

    Raises:
        UnreadableFile: The header row lacks a column that the layout asks for.
    """
    encoding = csv_encoding(b"", origin.charset or AUTO)
    text = data.decode(encoding.charset).encode(UTF_8) if encoding.as_utf_8 else data
    delimiter = DELIMITERS.get(origin.delimiter, b",")
    first = next(_rows_of(text, delimiter), b"")
    header = _header(first, delimiter, layout, encoding, origin.name, 1)
    rows = list(_numbered(text[len(first) :], delimiter, origin.lines))
    return _record(layout, header, rows, encoding, origin, Extent(data, 0, len(data)))


def _rows_of(text: bytes, delimiter: bytes) -> Iterator[bytes]:
    return (row for _, row in split_rows(text, delimiter))


def _numbered(rows: bytes, delimiter: bytes, ranges: Sequence[LineRange]) -> Iterator[tuple[int, bytes]]:
    """Rows with their lines in the file, which may lie in several places."""
    ranges = ranges or ((2, 2),)
    index, passed = 0, 0
    for line, row in split_rows(rows, delimiter, 0):
        while index + 1 < len(ranges) and line - passed > ranges[index][1] - ranges[index][0]:
            passed += ranges[index][1] - ranges[index][0] + 1
            index += 1
        yield ranges[index][0] + line - passed, row


def _scan(source: Source, layout: Layout, encoding: Encoding) -> tuple[HeaderRow, Runs]:
    """The first reading: every row is looked at, and it is noted where records begin and end."""
    reader = RowReader(source.chunks(encoding), source.name, source.limits)
    header = _read_header(reader, layout, encoding, source.name)
    # Key columns in the order of the file, as that is how a row's cells come.
    columns = sorted(layout.key, key=lambda column: header.positions[column])
    wanted = [header.positions[column] for column in columns]
    scan = _Scan(Runs(source.limits, source.name))
    raw: tuple[bytes, ...] | None = None
    key = ""
    for row in reader.rows(header.delimiter, wanted):
        if is_blank(row.data, header.delimiter):
            scan.runs.count_rows(1, row.line)
            continue
        if row.cells is None:
            raw, key = None, ""
        elif row.cells != raw:
            raw, key = row.cells, _raw_key(layout, columns, row.cells, header, encoding)
        scan.add(row, key)
    scan.close()
    return header, scan.runs


class _Scan:
    """Puts adjacent rows of one record together."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self._key = ""
        self._start = self._end = self._line = self._rows = 0

    def add(self, row: Row, key: str) -> None:
        """Takes the next row; rows without key are records of their own."""
        if not self._rows or not key or key != self._key:
            self.close()
            self._key, self._start, self._line, self._rows = key, row.start, row.line, 0
        self._end = row.start + len(row.data)
        self._rows += 1
        self.runs.check_record(self._start, self._end, self._line, self._rows)

    def close(self) -> None:
        """Enters what has been put together."""
        if self._rows:
            self.runs.add(self._start, self._end, self._line, self._rows, self._key or ("", self._line))
        self._rows = 0


def _raw_key(
    layout: Layout, columns: Sequence[str], cells: Sequence[bytes], header: HeaderRow, encoding: Encoding
) -> str:
    texts = {}
    for column, cell in zip(columns, cells, strict=True):
        texts[column] = split_cells(decode(cell, encoding.split_charset)[0], header.mark)[0][0]
    return key_of(layout, texts)


def _read_header(reader: RowReader, layout: Layout, encoding: Encoding, name: str) -> HeaderRow:
    """The header row, with the delimiter that splits it into the most known columns."""
    hint = _SEPARATOR_HINT.match(reader.peek())
    if hint is not None:
        reader.skip(hint.end(), 1)
    delimiter = _delimiter(reader.peek(), layout, hint[1] if hint else None)
    for row in reader.rows(delimiter):
        if not is_blank(row.data, delimiter):
            return _header(row.data, delimiter, layout, encoding, name, row.line)
    raise UnreadableFile(f"{name} is empty: it has no header row.", reason_code=EMPTY_FILE)


def _delimiter(beginning: bytes, layout: Layout, hint: bytes | None) -> bytes:
    configured = layout.settings.csv.delimiter
    if configured != "auto":
        return DELIMITERS[configured]
    if hint is not None:
        return hint

    def known_columns(delimiter: bytes) -> int:
        row = decode(next(_rows_of(beginning, delimiter), b""), AUTO)[0]
        return sum(_tidy(cell) in layout.by_name for cell in split_cells(row, delimiter.decode("ascii"))[0])

    return max(DELIMITERS.values(), key=known_columns)


def _tidy(name: str) -> str:
    return name.strip(BLANKS).casefold()


def _header(data: bytes, delimiter: bytes, layout: Layout, encoding: Encoding, file_name: str, line: int) -> HeaderRow:
    """Finds the layout's columns in the header row.

    Raises:
        UnreadableFile: A required column is missing, or one is there twice.
    """
    charset = encoding.split_charset
    # Names are UTF-8 where they can be, also in a file whose records are in an older encoding.
    text, _, right = decode(data, UTF_8)
    if not right:
        text = decode(data, charset)[0]
    cells, _ = split_cells(text, delimiter.decode("ascii"))
    positions: dict[str, int] = {}
    names: dict[str, str] = {}
    for position, cell in enumerate(cells):
        column = layout.by_name.get(_tidy(cell))
        if column is None:
            continue
        if column in positions:
            raise UnreadableFile(
                f"{file_name}, line {line}: the columns {names[column]!r} and {cell.strip(BLANKS)!r} of the header row "
                f"both stand for {column}.",
                line,
                MISSING_COLUMN,
                CORRECT_THE_LAYOUT,
            )
        positions[column], names[column] = position, cell.strip(BLANKS)
    _check_required(layout, positions, cells, file_name, line)
    return HeaderRow(data, delimiter, len(cells), positions, names)


def _check_required(
    layout: Layout, positions: Mapping[str, int], cells: Sequence[str], file_name: str, line: int
) -> None:
    missing = [
        column
        for column in layout.kind.columns
        if column in layout.required and column not in positions and column not in layout.settings.defaults
    ]
    if not missing:
        return
    wanted = ", ".join(" or ".join(repr(name) for name in layout.names[column]) or column for column in missing)
    found = ", ".join(cell.strip(BLANKS) for cell in cells)
    raise UnreadableFile(
        f"{file_name}, line {line}: the header row lacks {wanted}. It has: {found[:500] or 'nothing'}.",
        line,
        MISSING_COLUMN,
        CORRECT_THE_LAYOUT,
    )


def _records(
    source: Source, layout: Layout, encoding: Encoding, header: HeaderRow, runs: Runs
) -> Iterator[SourceRecord]:
    """The second reading."""

    def piece_key(piece: Piece) -> str:
        raw = _raw(layout, header, [(piece.line, next(_rows_of(piece.data, header.delimiter)))], encoding)[0]
        return key_of(layout, raw.headers[0].values if raw.headers else raw.key_texts)

    original_header = encoding.original(header.data)
    for found in gathered(pieces(source, encoding, runs), runs, piece_key):
        rows = [row for piece in found for row in split_rows(piece.data, header.delimiter, piece.line)]
        data = b"".join(piece.data for piece in found)
        origin = Origin(CSV, source.name, encoding.charset, _NAME_OF[header.delimiter], tuple(map(_lines, found)))
        extent = Extent(original_header + encoding.original(data), found[0].byte_start, found[-1].byte_end)
        yield _record(layout, header, rows, encoding, origin, extent)


def _lines(piece: Piece) -> LineRange:
    """First and last line; the line end of the last row belongs to it."""
    breaks = line_breaks(piece.data) - piece.data.endswith((b"\n", b"\r"))
    return piece.line, piece.line + breaks


def _record(
    layout: Layout,
    header: HeaderRow,
    rows: Sequence[tuple[int, bytes]],
    encoding: Encoding,
    origin: Origin,
    extent: Extent,
) -> SourceRecord:
    raw, charset = _raw(layout, header, rows, encoding)
    told = origin if encoding.as_utf_8 else Origin(**{**vars(origin), "charset": charset})
    return assemble(layout, raw, told, extent)


def _raw(
    layout: Layout, header: HeaderRow, rows: Sequence[tuple[int, bytes]], encoding: Encoding
) -> tuple[RawRecord, str]:
    """The texts of a record's rows, and the encoding they are in."""
    _, charset, right = decode(b"".join(row for _, row in rows), encoding.split_charset)
    raw = RawRecord([], [], header.names)
    if not right:
        raw.problems.append((INVALID_ENCODING, f"the text has bytes that are not in the encoding {charset}."))
    for line, row in rows:
        cells, quotes_right = split_cells(decode(row, charset)[0], header.mark)
        problem = _row_problem(cells, quotes_right, header)
        if problem:
            raw.problems.append((BAD_ROW, f"line {line} {problem}."))
            raw.key_texts = raw.key_texts or _key_texts(layout, header, cells)
            continue
        texts = Texts(line, {column: cells[position] for column, position in header.positions.items()})
        raw.headers.append(texts)
        raw.lines.append(texts)
    return raw, charset


def _row_problem(cells: Sequence[str], quotes_right: bool, header: HeaderRow) -> str:
    if not quotes_right:
        return "has text behind a closing quote; a quote inside a value must be written twice"
    if len(cells) < header.width or any(cell.strip() for cell in cells[header.width :]):
        return f"has {len(cells)} values where the header row has {header.width} columns"
    return ""


def _key_texts(layout: Layout, header: HeaderRow, cells: Sequence[str]) -> dict[str, str]:
    """The key of a row whose other values cannot be trusted."""
    positions = {column: header.positions[column] for column in layout.key}
    return {column: cells[position] for column, position in positions.items() if position < len(cells)}
