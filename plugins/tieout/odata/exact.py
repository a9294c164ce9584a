"""The slow way from a JSON page to staged columns: through Python objects, one value at a time, always exact.

It takes what real servers send besides the rule: numbers as strings, numbers or booleans where text is declared,
exponents, more than 20 decimals, values of mixed kinds in one column.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec
import pyarrow as pa

from tieout.odata.layout import DECIMALS, KEY, MONEY, PARENT, arrow_type
from tieout.odata.schema import HEADER, FieldType, RecordSchema

_CUSTOM_PREFIX = "U_"
_STEP = Decimal(1).scaleb(-DECIMALS)
_WORKING = decimal.Context(prec=400, rounding=ROUND_HALF_UP, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
_MONEY_LIMIT = Decimal(10) ** (MONEY.precision - MONEY.scale)
_LONGEST_PLAIN = 310
_INT64 = range(-(2**63), 2**63)

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class NotAsDeclared(ValueError):
    """A value that cannot be staged as its declared type; the text names key, property and value."""


def exact_columns(
    page: bytes, schema: RecordSchema, key: str, record_path: str | None
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """The staged columns of a page except `_raw`, and the custom field names by level.

    Raises:
        NotAsDeclared: A value contradicts its declared type.
        msgspec.DecodeError: The page is not JSON.
    """
    records, parents = _records(_decoder.decode(page), record_path)
    keys = [_key_text(record, key, position) for position, record in enumerate(records)]
    columns: dict[str, Any] = {KEY: pa.array(keys, pa.string())}
    for name, kind in schema.parent_fields.items():
        columns[PARENT + name] = _column(parents, name, kind, keys)
    for name, kind in schema.fields.items():
        columns[name] = _column(records, name, kind, keys)
    custom: dict[str, tuple[str, ...]] = {}
    if schema.custom_fields:
        custom[HEADER] = _custom_names(records)
        for name in custom[HEADER]:
            if name not in columns:
                columns[name] = _column(records, name, None, keys)
    for name, fields in schema.collections.items():
        lines = [_collection(record, name, label) for record, label in zip(records, keys, strict=True)]
        wanted = name in schema.custom_line_fields
        custom[name] = _custom_names([line for group in lines for line in group or () if line]) if wanted else ()
        columns[name] = _line_column(lines, name, fields, custom[name], keys)
    return columns, custom


def number_text(number: Decimal | int) -> str:
    """A number as plain text: rounded to 6 decimals, half away from zero, without trailing zeros.

    >>> number_text(Decimal("1234.3700000000001"))
    '1234.37'
    """
    exact = Decimal(number)
    if exact.adjusted() > _LONGEST_PLAIN:
        return str(exact)
    rounded = exact.quantize(_STEP, context=_WORKING)
    if not rounded:
        return "0"
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".")


def _records(page: Any, record_path: str | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    parents = page["value"]
    for position, parent in enumerate(parents):
        if not isinstance(parent, dict):
            raise NotAsDeclared(f"record {position + 1} which is {_show(parent)} instead of an object")
    if record_path is None:
        return parents, parents
    pairs = [(element, parent) for parent in parents for element in parent.get(record_path) or ()]
    for element, _ in pairs:
        if not isinstance(element, dict):
            raise NotAsDeclared(f"an element of {record_path} which is {_show(element)} instead of an object")
    return [element for element, _ in pairs], [parent for _, parent in pairs]


def _key_text(record: Mapping[str, Any], key: str, position: int) -> str:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise NotAsDeclared(f"record {position + 1} whose key {key} is {_show(value)}, neither text nor integer")
    return str(value)


def _custom_names(records: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({name for record in records for name in record if name.startswith(_CUSTOM_PREFIX)}))


def _collection(record: Mapping[str, Any], name: str, key: str) -> list[dict[str, Any] | None] | None:
    lines = record.get(name)
    if lines is None:
        return None
    if not isinstance(lines, list) or any(line is not None and not isinstance(line, dict) for line in lines):
        raise NotAsDeclared(f"record {key} whose {name} is {_show(lines)} instead of a list of objects")
    return lines


def _column(records: Sequence[Mapping[str, Any]], name: str, kind: FieldType | None, keys: Sequence[str]) -> pa.Array:
    convert = _text if kind is None else _CONVERT[kind]
    values = []
    for record, key in zip(records, keys, strict=True):
        values.append(_converted(record.get(name), convert, name, key))
    return pa.array(values, pa.string() if kind is None else arrow_type(kind))


def _line_column(
    groups: Sequence[list[dict[str, Any] | None] | None],
    collection: str,
    fields: Mapping[str, FieldType],
    custom: Sequence[str],
    keys: Sequence[str],
) -> pa.Array:
    converters: dict[str, Callable[[Any], Any]] = {name: _CONVERT[kind] for name, kind in fields.items()}
    members = [pa.field(name, arrow_type(kind)) for name, kind in fields.items()]
    for name in custom:
        if name not in converters:
            converters[name] = _text
            members.append(pa.field(name, pa.string()))

    def line_values(line: Mapping[str, Any] | None, key: str) -> dict[str, Any] | None:
        if line is None:
            return None
        return {
            name: _converted(line.get(name), convert, f"{collection}.{name}", key)
            for name, convert in converters.items()
        }

    rows = [
        None if lines is None else [line_values(line, key) for line in lines]
        for lines, key in zip(groups, keys, strict=True)
    ]
    return pa.array(rows, pa.list_(pa.struct(members)))


def _converted(value: Any, convert: Callable[[Any], Any], name: str, key: str) -> Any:
    if value is None:
        return None
    try:
        return convert(value)
    except ValueError as error:
        raise NotAsDeclared(f"record {key} whose {name} is {_show(value)}: {error}") from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return number_text(value)
    return _encoder.encode(value).decode()


def _date(value: Any) -> str:
    return _text(value)[:10]


def _number(value: Any) -> Decimal | None:
    exact = _decimal(value)
    if exact is None:
        return None
    if exact.copy_abs() >= _MONEY_LIMIT:
        raise ValueError(f"numbers may have up to {MONEY.precision - MONEY.scale} digits before the decimal point")
    rounded = exact.quantize(_STEP, context=_WORKING)
    if rounded.copy_abs() >= _MONEY_LIMIT:
        raise ValueError(f"numbers may have up to {MONEY.precision - MONEY.scale} digits before the decimal point")
    return rounded


def _integer(value: Any) -> int | None:
    exact = _decimal(value)
    if exact is None:
        return None
    if exact.adjusted() > 20 or exact != exact.to_integral_value():
        raise ValueError("an integer of at most 64 bits is declared")
    whole = int(exact)
    if whole not in _INT64:
        raise ValueError("an integer of at most 64 bits is declared")
    return whole


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError("a number is declared")
    if isinstance(value, str) and not value.strip():
        return None
    try:
        exact = Decimal(value)
    except decimal.InvalidOperation:
        raise ValueError("a number is declared") from None
    if not exact.is_finite():
        raise ValueError("a number is declared")
    return exact


def _show(value: Any) -> str:
    shown = _encoder.encode(value).decode()
    return shown if len(shown) <= 60 else shown[:57] + "..."


_CONVERT: dict[FieldType, Callable[[Any], Any]] = {
    FieldType.TEXT: _text,
    FieldType.DATE: _date,
    FieldType.NUMBER: _number,
    FieldType.INTEGER: _integer,
}
