"""Rows as the services write them: values of whole columns as text, then rows by a template."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from xml.sax.saxutils import escape

import numpy as np

from sandbox.syspro.faults import Settings
from sandbox.syspro.table import DATE, DECIMAL, INTEGER, NO_DATE, SCALE, Column, Table

_quoted: Callable[[str], str] = json.encoder.encode_basestring
_MOMENTS = {"z": "T00:00:00Z", "offset": "T00:00:00+02:00", "west": "T00:00:00-05:00", "none": "T00:00:00"}


@lru_cache(maxsize=20_000)
def iso(day: int) -> str:
    """A kept date as `YYYY-MM-DD`."""
    return date.fromordinal(day).isoformat()


def decimal_text(value: int, places: int) -> str:
    """A kept decimal with its column's places, or as many more as it has."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, rest = divmod(value, SCALE)
    digits = f"{rest:06d}"
    shown = digits[:places] + digits[places:].rstrip("0")
    return f"{sign}{whole}.{shown}" if shown else f"{sign}{whole}"


def json_rows(table: Table, rows: np.ndarray, names: Sequence[str], settings: Settings) -> bytes:
    """The rows as JSON objects, separated by commas."""
    columns = [_json_column(table, table.columns[name], rows, settings) for name in names]
    template = "{" + ",".join(f"{json.dumps(name)}:%s".replace("%%", "%") for name in names) + "}"
    return ",".join([template % row for row in zip(*columns, strict=True)]).encode()


def _json_column(table: Table, column: Column, rows: np.ndarray, settings: Settings) -> list[str]:
    quote = '"' if settings.numbers == "string" else ""
    if column.kind == INTEGER:
        return [f"{quote}{value}{quote}" for value in table.array(column.name)[rows].tolist()]
    if column.kind == DECIMAL:
        return [f"{quote}{text}{quote}" for text in _decimal_texts(table.array(column.name)[rows], column.places)]
    if column.kind == DATE:
        ending = _MOMENTS[settings.dates]
        days, positions = np.unique(table.array(column.name)[rows], return_inverse=True)
        shown = ["null" if day == NO_DATE else f'"{iso(day)}{ending}"' for day in days.tolist()]
        return [shown[position] for position in positions.tolist()]
    texts = table.texts(column.name, rows)
    padded = column.kind == "text" and settings.padding
    # SYSPRO's texts are never null: blank ones are a single space. Most columns repeat a few texts.
    known = {text: _quoted((text.ljust(column.width) or " ") if padded else text) for text in set(texts)}
    return [known[text] for text in texts]


def _decimal_texts(kept: np.ndarray, places: int) -> list[str]:
    cents, rest = np.divmod(kept, SCALE // 100)
    if places != 2 or rest.any():
        return [decimal_text(value, places) for value in kept.tolist()]
    whole, part = np.divmod(np.abs(cents), 100)
    signs = np.where(cents < 0, "-", "").tolist()
    return ["%s%d.%02d" % row for row in zip(signs, whole.tolist(), part.tolist(), strict=True)]  # noqa: UP031


def xml_answer(table: Table, rows: np.ndarray, names: Sequence[str]) -> bytes:
    """COMFND's answer, in Windows-1252."""
    columns = [_xml_column(table, table.columns[name], rows) for name in names]
    parts = [
        "<Row>" + "".join(f"<{n}>{v}</{n}>" if v else f"<{n}/>" for n, v in zip(names, row, strict=True)) + "</Row>"
        for row in zip(*columns, strict=True)
    ]
    head = (
        f"<?xml version=\"1.0\" encoding=\"Windows-1252\"?>\n<{table.name} Language='05' Language2='EN' CssStyle='' "
        f"DecFormat='1' DateFormat='01' Role='' Version='8.0.001' OperatorPrimaryRole=''>"
        f"<HeaderDetails><TableName>{table.name}</TableName></HeaderDetails>"
    )
    tail = f"<RowsReturned>{len(rows):7d}</RowsReturned></{table.name}>"
    return (head + "".join(parts) + tail).encode("cp1252", "xmlcharrefreplace")


def _xml_column(table: Table, column: Column, rows: np.ndarray) -> list[str]:
    if column.kind == INTEGER:
        return [f"{value:10d}" for value in table.array(column.name)[rows].tolist()]
    if column.kind == DECIMAL:
        kept = table.array(column.name)[rows].tolist()
        return [f"{decimal_text(value, 6):>20}" for value in kept]
    if column.kind == DATE:
        return ["" if value == NO_DATE else iso(value) for value in table.array(column.name)[rows].tolist()]
    return [escape(text) for text in table.texts(column.name, rows)]
