"""Numbers as fields of bytes, a whole column at a time.

A value is taken apart into its sign and its digits; how they stand in the field (zeros or spaces before them, sign in
the last digit or beside them, point written or implied) is put together from there, for all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tieout.formats.fixed_width.charset import Bytes, Charset
from tieout.formats.fixed_width.columns import as_decimal
from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.formats.fixed_width.misfits import Report, shown

Mask = npt.NDArray[np.bool_]
Magnitudes = npt.NDArray[np.uint64]

# Every number of four digits, a row each: digits are looked up four at a time.
_FOUR = np.array([list(f"{number:04d}".encode()) for number in range(10_000)], np.uint8) - ord("0")
_FOUR_DIGITS = _FOUR.view(np.uint32).ravel()
_POWERS = np.array([10**power for power in range(19)], np.uint64)
# Whatever is below this is handled in 64 bits; larger numbers are rare and handled one by one.
_SMALL = 10**18
_LOW_HALF = 2**64 - 1


@dataclass
class Unscaled:
    """Numbers as whole numbers of their last decimal.

    Attributes:
        magnitude: Without sign, 0 where there is no number or it is a large one.
        negative: Which are below zero.
        large: Row and magnitude of those that 64 bits do not hold.
    """

    magnitude: Magnitudes
    negative: Mask
    large: dict[int, int]

    def rescale(self, scale: int, wanted: int) -> Mask:
        """Go over to another number of decimals; returns the rows that would lose some."""
        if scale > wanted:
            return self._divide(10 ** (scale - wanted))
        self._multiply(10 ** (wanted - scale))
        return np.zeros(len(self.magnitude), np.bool_)

    def _divide(self, factor: int) -> Mask:
        lossy = np.zeros(len(self.magnitude), np.bool_)
        if factor < _SMALL:
            self.magnitude, rest = np.divmod(self.magnitude, np.uint64(factor))
            lossy = rest != 0
        else:
            lossy = self.magnitude != 0
        for row, magnitude in self.large.items():
            self.large[row], rest_of_row = divmod(magnitude, factor)
            lossy[row] = rest_of_row != 0
        return lossy

    def _multiply(self, factor: int) -> None:
        if factor == 1:
            return
        self.large = {row: magnitude * factor for row, magnitude in self.large.items()}
        for row in np.flatnonzero(self.magnitude >= _SMALL // factor):
            if self.magnitude[row]:
                self.large[int(row)] = int(self.magnitude[row]) * factor
                self.magnitude[row] = 0
        self.magnitude = self.magnitude * np.uint64(min(factor, _SMALL))

    def digits(self, width: int) -> tuple[Bytes, npt.NDArray[np.int64], Mask]:
        """The last `width` digits of each, how many are significant (at least one), and which have more."""
        rows = len(self.magnitude)
        chunks = -(-width // 4)
        table = np.empty((rows, chunks), np.uint32)
        rest = self.magnitude
        for chunk in reversed(range(chunks)):
            rest, last = np.divmod(rest, np.uint64(10_000))
            table[:, chunk] = _FOUR_DIGITS[last]
        digits: Bytes = table.view(np.uint8).reshape(rows, 4 * chunks)[:, 4 * chunks - width :]
        count = np.searchsorted(_POWERS, self.magnitude, side="right").astype(np.int64)
        for row, magnitude in self.large.items():
            text = str(magnitude)
            count[row] = len(text) if magnitude else 0
            digits[row] = np.frombuffer(text.rjust(width, "0")[-width:].encode(), np.uint8) - ord("0")
        return digits, np.maximum(count, 1), count > width


class NumberField:
    """A number with implied or written decimals and any of the signs."""

    def __init__(self, field: FieldSpec, charset: Charset) -> None:
        self._field = field
        self._zero = charset.zero
        self._space = charset.space
        self._overpunch = charset.overpunch() if field.sign == "overpunch" else None
        self._point = charset.byte(field.written_point) if field.written_point else None
        self._minus = charset.byte("-")
        self._plus = charset.byte(
            "0" if field.sign == "jde" else field.plus or ("+" if field.sign == "leading" else " ")
        )

    def encode(self, values: pa.Array, report: Report) -> Bytes:
        """The field's bytes, one row per value."""
        decimals, bad = as_decimal(values, self._field, report.record)
        numbers = unscaled(decimals)
        lossy = numbers.rescale(decimals.type.scale, self._field.decimals)
        self._report(values, decimals, numbers, bad, lossy, report)
        numbers.rescale(self._field.decimals, self._field.places)
        digits, significant, wide = numbers.digits(self._field.digits)
        if wide.any():
            self._report_wide(values, np.flatnonzero(wide), report)
        result = self._laid_out(digits, significant, numbers.negative)
        if self._field.when_null == "spaces" and decimals.null_count:
            result[np.asarray(decimals.is_null())] = self._space
        return result

    def _report(
        self, values: pa.Array, decimals: pa.Array, numbers: Unscaled, bad: Mask, lossy: Mask, report: Report
    ) -> None:
        field = self._field

        def tell(rows: Mask, code: str, problem: str, hint: str) -> None:
            if rows.any():
                report.misfit(np.flatnonzero(rows), field, code, _sentence(values, problem), hint)

        hint = "Correct the value at its source."
        tell(bad, "NOT_A_NUMBER", "is no plain number of up to 28 digits and 10 decimals.", hint)
        tell(
            lossy,
            "TOO_MANY_DECIMALS",
            f"has more decimals than the field's {field.decimals}, and nothing is rounded.",
            "Round the amount at its source, or raise `scale` in the record spec.",
        )
        if field.sign == "unsigned":
            tell(
                numbers.negative,
                "NEGATIVE_NOT_ALLOWED",
                "is negative, and the field is unsigned.",
                "Correct the value at its source, or give the field a `sign` in the record spec.",
            )
        if field.when_null == "error" and decimals.null_count:
            report.missing(np.flatnonzero(np.asarray(decimals.is_null()) & ~bad), field)

    def _report_wide(self, values: pa.Array, rows: npt.NDArray[np.intp], report: Report) -> None:
        field = self._field
        room = f"has more digits than the field's {field.digits}"
        problem = f"{room}, of which {field.places} are decimals." if field.places else f"{room}."
        hint = "Correct the value at its source, or widen the field in the record spec; a number is never cut."
        report.misfit(rows, field, "VALUE_TOO_WIDE", _sentence(values, problem), hint)

    def _laid_out(self, digits: Bytes, significant: npt.NDArray[np.int64], negative: Mask) -> Bytes:
        """Digits in the field's bytes: sign, point, and what stands before the first digit."""
        body = digits + np.uint8(self._zero)
        if self._overpunch is not None:
            body[:, -1] = self._overpunch[negative.astype(np.intp), digits[:, -1]]
        blanks = None
        if self._field.pad == " ":
            shortest = self._field.places + 1 if self._point is not None else 1
            blanks = digits.shape[1] - np.maximum(significant, shortest)
            body[np.arange(digits.shape[1]) < blanks[:, None]] = self._space
        if self._point is not None:
            at = digits.shape[1] - self._field.places
            body = np.insert(body, at, self._point, axis=1)
        body = self._signed(body, negative, blanks)
        if blanks is not None and self._field.justify == "left":
            body = self._moved_left(body, blanks)
        return body

    def _signed(self, body: Bytes, negative: Mask, blanks: npt.NDArray[np.int64] | None) -> Bytes:
        if self._field.sign not in ("trailing", "leading", "jde"):
            return body
        signs = np.where(negative, np.uint8(self._minus), np.uint8(self._plus))
        if self._field.sign == "trailing":
            return np.column_stack((body, signs))
        if blanks is None:
            return np.column_stack((signs, body))
        # Among spaces the sign stands right before the first digit.
        body = np.column_stack((np.full(len(body), self._space, np.uint8), body))
        body[np.arange(len(body)), blanks] = signs
        return body

    def _moved_left(self, body: Bytes, blanks: npt.NDArray[np.int64]) -> Bytes:
        result = np.full_like(body, self._space)
        columns = np.arange(body.shape[1])
        result[columns < (body.shape[1] - blanks)[:, None]] = body[columns >= blanks[:, None]]
        return result


class DebitCreditField:
    """One letter for a debit (not negative) or a credit (negative)."""

    def __init__(self, field: FieldSpec, charset: Charset) -> None:
        self._field = field
        self._space = charset.space
        self._letters = np.array([charset.byte(letter) for letter in field.format or "DC"], np.uint8)

    def encode(self, values: pa.Array, report: Report) -> Bytes:
        """The field's bytes, one row per value. What is no number, the amount's own field reports."""
        decimals, bad = as_decimal(values, self._field, report.record)
        letters = self._letters[unscaled(decimals).negative.astype(np.intp)]
        null = np.asarray(decimals.is_null())
        if self._field.when_null == "error" and null.any():
            report.missing(np.flatnonzero(null & ~bad), self._field)
        return np.where(null, np.uint8(self._space), letters).reshape(-1, 1)


def unscaled(decimals: pa.Array) -> Unscaled:
    """A decimal128 array's numbers, without their point; what is null counts as 0."""
    rows = len(decimals)
    buffer = decimals.buffers()[1]
    halves = np.frombuffer(buffer, "<i8", count=2 * rows, offset=16 * decimals.offset).reshape(rows, 2)
    low, high = halves[:, 0], halves[:, 1]
    small = (high == (low >> 63)) & (low > -_SMALL) & (low < _SMALL)
    null = np.asarray(decimals.is_null())
    magnitude = np.where(small & ~null, np.abs(low), 0).astype(np.uint64)
    large = {
        int(row): abs((int(high[row]) << 64) | (int(low[row]) & _LOW_HALF)) for row in np.flatnonzero(~small & ~null)
    }
    return Unscaled(magnitude, (high < 0) & ~null, large)


def _sentence(values: pa.Array, problem: str) -> Callable[[int], str]:
    return lambda row: f"{shown(_text(values[row].as_py()))} {problem}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else format(value, "f") if hasattr(value, "as_tuple") else str(value)
