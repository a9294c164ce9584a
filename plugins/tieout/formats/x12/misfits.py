"""Values that X12 has no room for, each named by row, segment and element."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tieout.errors import BadRecord

SHOWN = 60

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_HINTS = {
    "X12_TOO_LONG": "Shorten the value in SYSPRO, or map it to a shorter one; nothing is cut that is not declared.",
    "X12_TOO_SHORT": "Map the value to a longer one, or set `pad_short_codes` in the partner's profile.",
    "X12_MISSING": "Fill the value in SYSPRO, or give the mapping a default for it.",
    "X12_CODE": "Map the value to one of the codes that X12 knows here.",
    "X12_CHARACTER": "Change the value in SYSPRO, map it, or say in the partner's profile what replaces the character.",
    "X12_NUMBER": "Correct the number in SYSPRO, or round it by a rule in the mapping.",
    "X12_DATE": "Correct the date in SYSPRO, or map it; it is written YYYY-MM-DD.",
    "X12_INCOMPLETE": "Fill the missing one of the values that belong together, or leave out all of them.",
}


class X12Misfit(BadRecord):
    """A value of the data does not fit its element, so its record cannot be written as it is.

    Attributes:
        row: Row of the batch, the first is 0.
        rows: All rows of the batch that fall with it: those of the same document, or of the same account.
        element: Segment and position, such as `REF02`, or a segment with its syntax rule, such as `N1 P0304`.
        value: The value as it came.
    """

    def __init__(self, sentence: str, *, reason_code: str, row: int, rows: range, element: str, value: str) -> None:
        super().__init__(sentence, reason_code=reason_code, fix_hint=_HINTS[reason_code])
        self.row = row
        self.rows = rows
        self.element = element
        self.value = value


class Misfits:
    """Collects what does not fit while a batch is rendered.

    Args:
        limit: After so many the rest is only counted: the first suffices to refuse a batch.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.found: list[X12Misfit] = []
        self._limit = limit

    def __bool__(self) -> bool:
        return bool(self.found)

    def __iter__(self) -> Iterator[X12Misfit]:
        return iter(self.found)

    def add(
        self, at: Mask, place: Place, element: str, values: pa.Array | None, reason_code: str, problem: str
    ) -> None:
        """Notes every marked value.

        Args:
            at: Which of the rendered rows.
            place: Where the rendered rows come from.
            element: Segment and position.
            values: The rendered rows' values as they came, for the message.
            reason_code: One of the codes that have a hint.
            problem: The rest of the sentence after "row 17: REF02 ".
        """
        for index in np.flatnonzero(at):
            if self._limit is not None and len(self.found) >= self._limit:
                return
            value = "" if values is None else _shown(values[int(index)].as_py())
            row, rows = place.rows_of(int(index))
            described = f" {value!r}" if value else ""
            where = "" if row < 0 else f"Row {row + 1} of the batch: "
            self.found.append(
                X12Misfit(
                    f"{where}{element}{described} {problem}.",
                    reason_code=reason_code,
                    row=row,
                    rows=rows,
                    element=element,
                    value=value,
                )
            )


class Place:
    """Where rendered rows come from: the batch's own rows, or the first rows of its groups.

    Args:
        starts: Per rendered row: its row in the batch.
        ends: Per rendered row: the row after the last one that falls with it; the next row where absent.
        falls: Per row of the batch: start and end of the rows that fall with it, where a row's group falls with it.
    """

    def __init__(self, starts: Rows, ends: Rows | None = None, falls: tuple[Rows, Rows] | None = None) -> None:
        self._starts = starts
        self._ends = ends
        self._falls = falls

    def rows_of(self, index: int) -> tuple[int, range]:
        """The row in the batch, and the rows that fall with it."""
        row = int(self._starts[index])
        if self._falls is not None:
            return row, range(int(self._falls[0][row]), int(self._falls[1][row]))
        end = row + 1 if self._ends is None else int(self._ends[index])
        return row, range(row, end)


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
