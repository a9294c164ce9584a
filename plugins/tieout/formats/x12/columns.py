"""Whole columns of values as X12 elements: text, codes, numbers, dates. Nothing is rounded, cut or guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.x12.characters import Characters
from tieout.formats.x12.misfits import Mask, Misfits, Place
from tieout.formats.x12.profile import X12Profile
from tieout.formats.x12.tables import Element

AMOUNT = pa.decimal128(28, 6)
_WIDE = pa.decimal128(38, 6)


@dataclass(frozen=True)
class Target:
    """The element that a column goes to.

    Attributes:
        name: Segment and position, such as `REF02`.
        element: Its type and lengths.
        free_text: Whether it holds a name or a description rather than a key.
        decimals: For `R`: decimals that are always written.
    """

    name: str
    element: Element
    free_text: bool = False
    decimals: int = 0


class Encoder:
    """Turns columns into elements by a profile's rules, and counts the characters it replaced."""

    def __init__(self, profile: X12Profile) -> None:
        self._profile = profile
        self._characters = Characters(profile)

    def encode(
        self, values: pa.Array, target: Target, present: Mask, place: Place, misfits: Misfits, replaced: Counter[str]
    ) -> pa.Array:
        """A column as it stands in the file; empty where there is no value.

        Args:
            values: Text, whole numbers, decimals or dates, as the element needs; null is no value.
            target: The element.
            present: Rows in which the segment is written at all; no other row can be a misfit.
            place: Where the rows come from.
            misfits: Takes what does not fit.
            replaced: Takes the number of replaced characters per element.

        Raises:
            TypeError: The column's type cannot be written as this element; floats never are.
        """
        cell = _Cell(target, values, present, place, misfits)
        kind = target.element.kind
        if kind in ("AN", "ID"):
            return self._text(cell, replaced)
        if kind == "DT":
            return _date(cell)
        if kind == "TM":
            return self._text(cell, replaced)
        return _length(self._number(cell), cell, digits_only=True)

    def _text(self, cell: _Cell, replaced: Counter[str]) -> pa.Array:
        text = pc.utf8_rtrim(pc.fill_null(_as_text(cell), ""), characters=" ")
        if self._profile.upper_case:
            text = pc.utf8_upper(text)
        text = self._safe(text, cell, replaced)
        element = cell.target.element
        if element.kind == "ID" and element.codes:
            known = pc.is_in(text, pa.array(sorted({*element.codes, ""}), pa.string()))
            cell.refuse(~_mask(known), "X12_CODE", f"is none of {', '.join(sorted(element.codes))}")
        return self._fitted(text, cell)

    def _safe(self, text: pa.Array, cell: _Cell, replaced: Counter[str]) -> pa.Array:
        """Text without characters that may not stand in data."""
        unsafe = self._characters.unsafe(text)
        if unsafe is None:
            return text
        policy = self._profile.unsafe_texts if cell.target.free_text else self._profile.unsafe_keys
        cleaned = text.to_pylist()
        failed = np.zeros(len(cleaned), bool)
        for index in np.flatnonzero(_mask(unsafe)):
            clean = self._characters.clean(cleaned[index])
            if clean.unknown is not None or (policy == "fail" and clean.replaced):
                failed[index] = True
                continue
            cleaned[index] = clean.text.rstrip(" ")
            if cell.present[index]:
                replaced[cell.target.name] += clean.replaced
        cell.refuse(failed, "X12_CHARACTER", "has a separator, or a character that the partner's character set lacks")
        return pa.array(cleaned, pa.string())

    def _fitted(self, text: pa.Array, cell: _Cell) -> pa.Array:
        """Text of an allowed length: padded or cut only where the profile says so."""
        element = cell.target.element
        pad = self._profile.pad_short_codes
        if pad is not None and element.minimum > 1 and not cell.target.free_text and element.kind == "AN":
            short = pc.and_(pc.greater(pc.binary_length(text), 0), pc.less(pc.utf8_length(text), element.minimum))
            text = pc.if_else(short, pc.utf8_lpad(text, width=element.minimum, padding=pad), text)
        if cell.target.free_text and cell.target.name in self._profile.truncate:
            cut = pc.utf8_slice_codeunits(text, start=0, stop=element.maximum)
            text = pc.utf8_rtrim(cut, characters=" ")
        return _length(text, cell)

    def _number(self, cell: _Cell) -> pa.Array:
        if cell.target.element.kind == "N0":
            return _scaled(cell, 0)
        if cell.target.element.kind == "N2":
            return _scaled(cell, 2)
        fixed = _fixed(cell)
        kept = cell.target.decimals
        head = pc.utf8_slice_codeunits(fixed, start=0, stop=kept - 6) if kept else fixed
        text = pc.binary_join_element_wise(head, pc.ascii_rtrim(_tail(fixed, 6 - kept), "0"), "") if kept else head
        if not kept:
            text = pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), ".")
        if not self._profile.zero_before_point:
            text = pc.replace_substring_regex(text, r"^(-?)0\.", r"\1.")
        return text


@dataclass(frozen=True)
class _Cell:
    """A column on its way into an element."""

    target: Target
    values: pa.Array
    present: Mask
    place: Place
    misfits: Misfits

    def refuse(self, at: Any, reason_code: str, problem: str) -> None:
        marked = at & self.present
        if marked.any():
            self.misfits.add(marked, self.place, self.target.name, self.values, reason_code, problem)


def _mask(values: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)


def _as_text(cell: _Cell) -> pa.Array:
    kind = cell.values.type
    if pa.types.is_string(kind):
        return cell.values
    if pa.types.is_large_string(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return cell.values.cast(pa.string())
    if pa.types.is_dictionary(kind):
        return cell.values.cast(kind.value_type).cast(pa.string())
    raise TypeError(f"{cell.target.name} needs text or whole numbers; its column is {kind}.")


def _date(cell: _Cell) -> pa.Array:
    """CCYYMMDD of dates, or of text YYYY-MM-DD."""
    kind = cell.values.type
    if pa.types.is_date(kind):
        days = cell.values.cast(pa.date32())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        days = _days(cell)
    else:
        raise TypeError(f"{cell.target.name} needs dates, or text YYYY-MM-DD; its column is {kind}.")
    text = pc.fill_null(days.cast(pa.string()), "")
    compact = pc.replace_substring(text, "-", "")
    cell.refuse(~_mask(pc.is_in(pc.utf8_length(compact), pa.array([0, 8], pa.int32()))), "X12_DATE", "is no date")
    return compact


def _days(cell: _Cell) -> pa.Array:
    text = cell.values.cast(pa.string())
    text = pc.if_else(pc.equal(text, ""), None, text)
    try:
        return text.cast(pa.date32())
    except pa.ArrowInvalid:
        days = [_day(value) for value in text.to_pylist()]
        parsed = pa.array(days, pa.date32())
        cell.refuse(_mask(pc.and_(pc.is_null(parsed), pc.is_valid(text))), "X12_DATE", "is no date YYYY-MM-DD")
        return parsed


def _day(value: str | None) -> Any:
    try:
        return None if value is None else pa.scalar(value).cast(pa.date32()).as_py()
    except pa.ArrowInvalid:
        return None


def _fixed(cell: _Cell) -> pa.Array:
    """Numbers as text with exactly six decimals, such as `-40.500000`; empty for null."""
    kind = cell.values.type
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        numbers = cell.values.cast(pa.int64()).cast(_WIDE)
    elif pa.types.is_decimal(kind):
        numbers = cell.values if kind in (AMOUNT, _WIDE) else _widened(cell)
    else:
        raise TypeError(f"{cell.target.name} needs decimals or whole numbers, and never floats; its column is {kind}.")
    return pc.fill_null(numbers.cast(pa.string()), "")


def _widened(cell: _Cell) -> pa.Array:
    try:
        return cell.values.cast(_WIDE)
    except pa.ArrowInvalid:
        limit = 10**32
        exact = [
            value is None or ((value.as_tuple().exponent >= -6 or value == round(value, 6)) and abs(value) < limit)
            for value in cell.values.to_pylist()
        ]
        cell.refuse(~np.array(exact, bool), "X12_NUMBER", "has more than six decimals")
        return pc.if_else(pa.array(exact), cell.values, None).cast(_WIDE)


def _tail(fixed: pa.Array, count: int) -> pa.Array:
    return pc.utf8_slice_codeunits(fixed, start=-count)


def _scaled(cell: _Cell, decimals: int) -> pa.Array:
    """Numbers as integers with implied decimals; more decimals than that are a misfit, never rounded away."""
    fixed = _fixed(cell)
    spare = _tail(fixed, 6 - decimals)
    zeros = pa.array(["0" * (6 - decimals), ""], pa.string())
    room = f"has more than {decimals} decimals" if decimals else "is no whole number"
    cell.refuse(~_mask(pc.is_in(spare, zeros)), "X12_NUMBER", room)
    units = pc.replace_substring(pc.utf8_slice_codeunits(fixed, start=0, stop=decimals - 6), ".", "")
    digits = pc.ascii_ltrim(pc.ascii_ltrim(units, "-"), "0")
    digits = pc.if_else(pc.and_(pc.equal(digits, ""), pc.not_equal(fixed, "")), "0", digits)
    negative = pc.and_(pc.starts_with(fixed, "-"), pc.not_equal(digits, "0"))
    return pc.if_else(negative, pc.binary_join_element_wise("-", digits, ""), digits)


def _length(text: pa.Array, cell: _Cell, *, digits_only: bool = False) -> pa.Array:
    """The same column, once all its values are known to have an allowed length."""
    element = cell.target.element
    lengths = np.asarray(pc.utf8_length(text))
    if digits_only:
        lengths = lengths - np.asarray(pc.count_substring(text, "-")) - np.asarray(pc.count_substring(text, "."))
    over = lengths > element.maximum
    unit = "digits" if digits_only else "characters"
    if over.any():
        cell.refuse(over, "X12_TOO_LONG", f"is longer than the {element.maximum} {unit} that it may have")
    under = (lengths < element.minimum) & (lengths > 0)
    if under.any():
        cell.refuse(under, "X12_TOO_SHORT", f"is shorter than the {element.minimum} {unit} that it must have")
    return text
