"""A finished CSV as data frames of text, a chunk at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from tieout.errors import QualityFailed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BLOCK_BYTES = 1024 * 1024
_SHAPE = re.compile(r"(Row #\d+: )?Expected \d+ columns, got \d+")


class ReadablePath(Protocol):
    """A local path or an object-storage path."""

    @property
    def name(self) -> str:
        """Last part of the path."""
        ...

    def open(self, mode: str, /) -> IO[Any]:
        """Open for reading bytes."""
        ...


def read_header(path: ReadablePath) -> list[str]:
    """Column names of the file, in its order.

    Raises:
        QualityFailed: The file is empty or its first rows are not CSV.
    """
    with path.open("rb") as file:
        return list(_open(path, file, None, BLOCK_BYTES).schema.names)


def read_chunks(path: ReadablePath, columns: Sequence[str], *, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """Stream some columns of the file as text; an empty field is a missing value.

    Args:
        path: A CSV, UTF-8, with a header row, RFC 4180.
        columns: Which columns, all present in the header, at least one.
        chunk_rows: Rows per frame; the last one may have fewer. A file without rows yields one empty frame.

    Raises:
        QualityFailed: The file breaks off being CSV somewhere; says where, without quoting the row.
    """
    import pyarrow as pa

    pending: list[pa.RecordBatch] = []
    rows = 0
    yielded = False
    with path.open("rb") as file:
        reader = _open(path, file, columns, BLOCK_BYTES)
        for batch in _batches(path, reader):
            for piece in _pieces(batch, chunk_rows, rows):
                pending.append(piece)
                rows += piece.num_rows
                if rows == chunk_rows:
                    yield pa.Table.from_batches(pending).to_pandas()
                    yielded, pending, rows = True, [], 0
        if pending or not yielded:
            yield pa.Table.from_batches(pending, schema=reader.schema).to_pandas()


def _pieces(batch: pa.RecordBatch, chunk_rows: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Cut a batch where chunks end, given the rows that the current chunk already has."""
    start = 0
    room = chunk_rows - rows
    while start < batch.num_rows:
        piece = batch.slice(start, room)
        yield piece
        start += piece.num_rows
        room = chunk_rows


def _open(path: ReadablePath, file: IO[Any], columns: Sequence[str] | None, block_size: int) -> pa.CSVStreamingReader:
    import pyarrow as pa
    from pyarrow import csv

    convert = csv.ConvertOptions(null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True)
    if columns is not None:
        convert.include_columns = list(columns)
        convert.column_types = {name: pa.string() for name in columns}
    try:
        return csv.open_csv(
            file,
            read_options=csv.ReadOptions(block_size=block_size, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
    except pa.ArrowInvalid as error:
        raise _unreadable(path, error) from None


def _batches(path: ReadablePath, reader: pa.CSVStreamingReader) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from reader
    except pa.ArrowInvalid as error:
        raise _unreadable(path, error) from None


def _unreadable(path: ReadablePath, error: Exception) -> QualityFailed:
    # Arrow quotes the row it stumbled over; a task log is no place for customers' data.
    shape = _SHAPE.search(str(error))
    detail = shape.group(0) if shape else "it is empty, or not UTF-8 text in columns"
    return QualityFailed(
        f"{path.name} cannot be read as CSV ({detail}). Nothing of it was sent; "
        "look at the mapping's delimiter and quoting, and run again."
    )
