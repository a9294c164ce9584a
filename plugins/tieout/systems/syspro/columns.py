"""Columns of values as SYSPRO writes them, to Arrow: exact numbers, dates as written, texts without padding.

Both readers end here, so that the same row gives the same record whichever of them read it: trailing spaces are
padding, and nothing but spaces is null, since SYSPRO's columns default to a single space and e.net shows neither.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ContractBroken
from tieout.odata.layout import DECIMALS, KEY, MONEY, RAW, arrow_type
from tieout.odata.schema import FieldType
from tieout.systems.syspro.tables import Condition, TableRead

_LIMIT = Decimal(10) ** (MONEY.precision - MONEY.scale)
_STEP = Decimal(1).scaleb(-DECIMALS)
_WORKING = decimal.Context(prec=400, rounding=ROUND_HALF_UP)
# Digits and at most six decimals, few enough that Arrow's own conversion holds them all.
_PLAIN = rf"^[+-]?\d{{1,{MONEY.precision - MONEY.scale - 1}}}(\.\d{{0,{DECIMALS}}})?$"
_DATE = r"^\d{4}[-/]\d{2}[-/]\d{2}([T ].*)?$"
_NO_TEXT = pa.scalar(None, pa.string())


def batch_schema(read: TableRead) -> pa.Schema:
    """The layout of a read's batches: `_key` (the key's values joined by `|`), `_raw` if wanted, then the columns."""
    fields = [pa.field(KEY, pa.string())] + ([pa.field(RAW, pa.binary())] if read.raw else [])
    kinds = read.table.columns
    return pa.schema(fields + [pa.field(name, arrow_type(kinds[name])) for name in read.names])


def build_batch(
    read: TableRead, values: Mapping[str, Sequence[Any]], raw: Sequence[bytes], label: str
) -> pa.RecordBatch:
    """A batch of the rows that meet the read's conditions.

    Args:
        read: What is read.
        values: Per column: texts or None; for numbers and integers also JSON bytes.
        raw: The rows' original bytes; empty where they are not wanted.
        label: Which page this is, for messages.

    Raises:
        ContractBroken: A value is not of its column's type, or a key is missing.
    """
    columns = {}
    for name in read.names:
        columns[name] = _convert(values[name], read.table.columns[name], f"{read.table.name}, {label}: {name}")
    for name in read.table.key:
        # A text key may be blank: a table of the whole company has no company in its key.
        if columns[name].null_count and read.table.columns[name] is not FieldType.TEXT:
            raise ContractBroken(f"{read.table.name}, {label}: a record has no {name}, which is part of its key.")
    key = pc.binary_join_element_wise(
        *(pc.fill_null(columns[name].cast(pa.string()), "") for name in read.table.key), "|"
    )
    arrays = [key, *([pa.array(raw, pa.binary())] if read.raw else []), *columns.values()]
    batch = pa.RecordBatch.from_arrays(arrays, schema=batch_schema(read))
    return _matching(batch, read.where)


def _matching(batch: pa.RecordBatch, where: Sequence[Condition]) -> pa.RecordBatch:
    """The rows that meet the conditions; the server was asked for a day more at either side of dates."""
    for condition in where:
        compare = getattr(pc, _COMPARE[condition.operator])
        column = batch[condition.column]
        mask = pc.fill_null(compare(column, pa.scalar(_comparable(condition.value)).cast(column.type)), False)
        if not pc.all(mask).as_py():
            batch = batch.filter(mask)
    return batch


_COMPARE = {
    "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal",
}  # fmt: skip


def _comparable(value: Any) -> Any:
    if isinstance(value, str | int):
        return value
    return value if isinstance(value, Decimal) else value.isoformat()


def _convert(values: Sequence[Any], kind: FieldType, what: str) -> pa.Array:
    if kind is FieldType.TEXT:
        return _text(pa.array(values, pa.string()))
    if kind is FieldType.DATE:
        return _dates(_text(pa.array(values, pa.string())), what)
    numbers = _numbers(_number_texts(values, what), what)
    if kind is FieldType.NUMBER:
        return numbers
    try:
        return numbers.cast(pa.int64())
    except pa.ArrowInvalid:
        raise ContractBroken(f"{what} has a fraction where an integer is declared.") from None


def _text(values: pa.Array) -> pa.Array:
    trimmed = pc.utf8_rtrim(values, " ")
    return pc.if_else(pc.equal(trimmed, ""), _NO_TEXT, trimmed)


def _dates(values: pa.Array, what: str) -> pa.Array:
    """The date part as written: SYSPRO's dates are the company's, so a zone's offset never moves them."""
    wrong = pc.invert(pc.match_substring_regex(values, _DATE))
    if pc.any(wrong).as_py():
        shown = values.filter(pc.fill_null(wrong, False))[0].as_py()
        raise ContractBroken(f"{what} is {shown[:40]!r} where a date (YYYY-MM-DD…) is declared.")
    return pc.replace_substring(pc.utf8_slice_codeunits(values, 0, 10), "/", "-")


def _number_texts(values: Sequence[Any], what: str) -> pa.Array:
    """Numbers as their digits, JSON quotes and padding taken off; blank and null are null."""
    if not len(values):
        return pa.nulls(0, pa.string())
    if values[0] is None or isinstance(values[0], str):
        digits = pa.array(values, pa.string())
    else:
        # One long text instead of a million small ones. A line feed cannot be within a JSON number.
        whole = pa.array([b"\n".join(values)], pa.string())
        digits = pc.split_pattern(whole, "\n").values
        if len(digits) != len(values):
            raise ContractBroken(f"{what} has something else than a number where a number is declared.")
    digits = pc.utf8_trim(digits, '" ')
    empty = pc.or_(pc.equal(digits, "null"), pc.equal(digits, ""))
    return pc.if_else(empty, _NO_TEXT, digits)


def _numbers(digits: pa.Array, what: str) -> pa.Array:
    if pc.all(pc.match_substring_regex(digits, _PLAIN)).as_py() is not False:
        return digits.cast(MONEY)
    try:
        return pa.array([None if text is None else _exact(text) for text in digits.to_pylist()], MONEY)
    except ValueError as error:
        raise ContractBroken(f"{what} {error}.") from None


def _exact(text: str) -> Decimal:
    """One number: also with an exponent, more decimals than six (rounded half away from zero), or a trailing minus."""
    plain = f"-{text[:-1]}" if text.endswith("-") else text
    try:
        number = Decimal(plain.strip())
    except decimal.InvalidOperation:
        raise ValueError(f"is {text[:40]!r} where a number is declared") from None
    if not number.is_finite() or number.copy_abs() >= _LIMIT:
        raise ValueError(f"is {text[:40]!r}, too large for a number of {MONEY.precision - MONEY.scale} digits")
    return number.quantize(_STEP, context=_WORKING)
