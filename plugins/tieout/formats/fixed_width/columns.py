"""Columns of any fitting type as one of the two that fields are made from: text, and exact decimals."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ConfigurationInvalid
from tieout.formats.fixed_width.field_spec import FieldSpec

# Text with up to 28 digits before the point and 10 after it always fits decimal128(38, 10).
_PLAIN_NUMBER = r"^[+-]?[0-9]{1,28}(\.[0-9]{1,10})?$"


def as_text(values: pa.Array, field: FieldSpec, record: str) -> pa.Array:
    """Values as a string array, where there is one way only to write them.

    Raises:
        ConfigurationInvalid: The column is of another kind, a decimal for instance.
    """
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_dictionary(kind):
        return as_text(values.dictionary_decode(), field, record)
    textual = pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind)
    if textual or pa.types.is_date(kind) or (pa.types.is_integer(kind) and field.type == "text"):
        return values.cast(pa.string())
    _refuse(values, field, record)


def as_decimal(values: pa.Array, field: FieldSpec, record: str) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Values as a decimal128 array, and which of them are no numbers (null in the array).

    Text is taken where it is a plain number; empty text is no value.

    Raises:
        ConfigurationInvalid: The column is of another kind: a float is not exact.
    """
    kind = values.type
    good = np.zeros(len(values), np.bool_)
    if pa.types.is_decimal(kind) and kind.bit_width <= 128:
        return (values if kind.bit_width == 128 else values.cast(pa.decimal128(kind.precision, kind.scale))), good
    if pa.types.is_integer(kind):
        return values.cast(pa.decimal128(20, 0)), good
    if pa.types.is_dictionary(kind):
        return as_decimal(values.dictionary_decode(), field, record)
    if not (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    ):
        _refuse(values, field, record)
    texts = values.cast(pa.string())
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    plain = pc.fill_null(pc.match_substring_regex(texts, _PLAIN_NUMBER), True)
    bad = ~np.asarray(plain)
    if bad.any():
        texts = pc.if_else(plain, texts, None)
    scale = 10 if pc.any(pc.match_substring(texts, ".")).as_py() else 0
    return texts.cast(pa.decimal128(28 + scale, scale)), bad


def _refuse(values: pa.Array, field: FieldSpec, record: str) -> NoReturn:
    raise ConfigurationInvalid(
        f"Record {record!r}, field {field.name!r}: `{field.source}` is of type {values.type}, which cannot be written "
        f"as {field.type}. Correct the field's type in the record spec, or the column."
    )
