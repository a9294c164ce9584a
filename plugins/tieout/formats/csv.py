"""CSV by RFC 4180, whole columns at a time.

Text is written as it is: a value that begins with `=`, `+`, `-` or `@` is not altered, although spreadsheets may take
it for a formula, because a file for a system must say what the source says.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class CsvDialect:
    """How a file is written.

    Attributes:
        delimiter: One character between values.
        line_end: After every row, the last one too.
        quoting: `needed` quotes values with delimiter, quote or line break in them, `all` quotes every value.
        header: Whether the first row names the columns.
    """

    delimiter: str = ","
    line_end: str = "\r\n"
    quoting: Literal["needed", "all"] = "needed"
    header: bool = True

    def __post_init__(self) -> None:
        """Refuses a dialect that cannot be read back.

        Raises:
            ValueError: The delimiter is not one plain character, or the line end is no line break.
        """
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ValueError("The delimiter must be one character other than a quote or a line break.")
        if self.line_end not in ("\r\n", "\n"):
            raise ValueError(r"The line end must be \r\n or \n.")


RFC_4180 = CsvDialect()


def quote(values: pa.Array, dialect: CsvDialect = RFC_4180) -> pa.Array:
    """Values as they stand in a file: quoted where they must be, quotes doubled, null as nothing.

    Args:
        values: A string array.
        dialect: How the file is written.
    """
    values = pc.fill_null(values, "")
    if dialect.quoting == "all":
        return _quoted(values)
    special = f'"\r\n{dialect.delimiter}'
    if not has_any(values, special):
        return values
    special = pc.match_substring_regex(values, f"[{re.escape(special)}]")
    return pc.replace_with_mask(values, special, _quoted(values.filter(special)))


def has_any(values: pa.Array, characters: str) -> bool:
    """Whether any of these characters occurs in a string array; much sooner told than in which of the values.

    Values that are null may count, if there are bytes behind them.
    """
    data = bytes(content(values))
    return any(character.encode() in data for character in characters)


def join(columns: Sequence[pa.Array], dialect: CsvDialect = RFC_4180) -> pa.Array:
    """Columns that are quoted already, as one string per row (without line end)."""
    if len(columns) == 1:
        return columns[0]
    return pc.binary_join_element_wise(*columns, dialect.delimiter)


def end_lines(rows: pa.Array, dialect: CsvDialect = RFC_4180) -> pa.Array:
    """Rows with their line ends: the array's bytes are the file's."""
    return pc.binary_join_element_wise(rows, dialect.line_end, "")


def header_line(names: Sequence[str], dialect: CsvDialect = RFC_4180) -> bytes:
    """The first row, UTF-8, with its line end; nothing when the dialect has no header."""
    if not dialect.header:
        return b""
    line: str = join([quote(pa.array([name], pa.string()), dialect) for name in names], dialect)[0].as_py()
    return (line + dialect.line_end).encode()


def content(rows: pa.Array) -> memoryview:
    """The bytes of a string array's values, without a copy."""
    _, offsets, data = rows.buffers()
    if data is None or len(rows) == 0:
        return memoryview(b"")
    width = 8 if pa.types.is_large_string(rows.type) else 4
    view = memoryview(offsets).cast("B").cast("q" if width == 8 else "i")
    return memoryview(data)[view[rows.offset] : view[rows.offset + len(rows)]]


def read_batches(
    source: Any, dialect: CsvDialect = RFC_4180, *, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """A finished file's rows, every column as text, a few megabytes at a time.

    Args:
        source: A path, or anything with `open("rb")` such as a staged path.
        dialect: How it was written; it must have a header.
        columns: Only these columns, in this order.

    Raises:
        pyarrow.ArrowInvalid: The file is not CSV of one width.
    """
    with source.open("rb") if hasattr(source, "open") else open(source, "rb") as stream:
        names = header_names(stream, dialect)
        stream.seek(0)
        yield from pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                delimiter=dialect.delimiter, newlines_in_values=True, ignore_empty_lines=False
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=list(columns) if columns is not None else None,
                strings_can_be_null=False,
            ),
        )


def header_names(stream: BinaryIO, dialect: CsvDialect = RFC_4180) -> list[str]:
    """The names in a file's first row."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        return next(csv.reader(iter(text.readline, ""), delimiter=dialect.delimiter), [])
    finally:
        text.detach()


def _quoted(values: pa.Array) -> pa.Array:
    doubled = pc.replace_substring(values, '"', '""')
    return pc.binary_join_element_wise('"', doubled, '"', "")
