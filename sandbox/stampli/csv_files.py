"""Stampli's CSV files, written by Python's csv module."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sandbox.stampli.columns import AMOUNTS, DATES, HEADER_COLUMNS, LINE_COLUMNS
from sandbox.stampli.text_records import TextRecord


@dataclass(frozen=True)
class CsvStyle:
    """How a customer's template writes CSV.

    Attributes:
        encoding: A Python codec, such as utf-8, cp1252, utf-16-le.
        bom: Starts with the encoding's byte order mark; for UTF encodings.
        date_format: As for `strftime`.
        quote_all: Every cell in quotes.
        extra_columns: Columns nobody asked for, behind the others, with the same text on every row.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    bom: bool = False
    newline: str = "\r\n"
    date_format: str = "%Y-%m-%d"
    decimal_mark: str = "."
    quote_all: bool = False
    extra_columns: tuple[tuple[str, str], ...] = ()


def csv_file(entity: str, records: Iterable[TextRecord], style: CsvStyle | None = None) -> bytes:
    """The file with its header row. Raises UnicodeEncodeError for text that the encoding cannot carry."""
    chosen = style or CsvStyle()
    columns = (*HEADER_COLUMNS[entity], *LINE_COLUMNS[entity])
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=chosen.delimiter,
        lineterminator=chosen.newline,
        quoting=csv.QUOTE_ALL if chosen.quote_all else csv.QUOTE_MINIMAL,
    )
    extra = [value for _, value in chosen.extra_columns]
    writer.writerow([*columns, *(name for name, _ in chosen.extra_columns)])
    for record in records:
        rows = [[_cell(name, row.get(name, ""), chosen) for name in columns] + extra for row in record.rows()]
        if record.extra_cells < 0:
            rows[-1] = rows[-1][: record.extra_cells]
        rows[-1] += ["?"] * max(record.extra_cells, 0)
        writer.writerows(rows)
    mark = _BYTE_ORDER_MARKS[chosen.encoding] if chosen.bom else b""
    return mark + text.getvalue().encode(chosen.encoding)


_BYTE_ORDER_MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


def _cell(column: str, text: str, style: CsvStyle) -> str:
    """The text in the template's own form; what is no date stays as it is."""
    if column in AMOUNTS:
        return text.replace(".", style.decimal_mark)
    if column in DATES:
        try:
            return date.fromisoformat(text).strftime(style.date_format)
        except ValueError:
            return text
    return text
