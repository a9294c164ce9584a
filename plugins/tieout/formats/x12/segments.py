"""Segments of whole columns: which column goes to which element, and the rows of text that come of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.x12.columns import Encoder, Target
from tieout.formats.x12.misfits import Mask, Misfits, Place
from tieout.formats.x12.profile import X12Profile
from tieout.formats.x12.tables import Element, SyntaxRule, segment

Frame = Mapping[str, pa.Array]


@dataclass(frozen=True)
class Const:
    """The same code in every row; with `beside`, only where the element at that position has a value."""

    value: str
    beside: int | None = None


@dataclass(frozen=True)
class Column:
    """A column's values.

    Attributes:
        name: Of the column; one that the data do not have is empty.
        free_text: A name or a description: may be cleaned and, where the profile says so, cut. Keys never are.
        required: Must have a value although the standard does not ask for it.
        decimals: Decimals that a number always shows.
    """

    name: str
    free_text: bool = False
    required: bool = False
    decimals: int = 0


@dataclass(frozen=True)
class SegmentLayout:
    """One segment of a set.

    Attributes:
        id: Segment id.
        elements: Position → what stands there.
        when: The segment is written only in rows where one of these columns has a value; always where empty.
    """

    id: str
    elements: Mapping[int, Const | Column]
    when: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rendered:
    """A segment in every row: its text with terminator, and whether it is there at all."""

    text: pa.Array
    present: Mask


class SegmentWriter:
    """Renders segments by the tables of a release and the rules of a profile."""

    def __init__(self, profile: X12Profile) -> None:
        self._profile = profile
        self._encoder = Encoder(profile)

    def render(
        self,
        layout: SegmentLayout,
        frame: Frame,
        rows: int,
        place: Place,
        misfits: Misfits,
        replaced: Counter[str],
    ) -> Rendered:
        """One segment for every row.

        Args:
            layout: The segment.
            frame: Columns, each with `rows` values.
            rows: How many.
            place: Where the rows come from, for messages.
            misfits: Takes every value that does not fit.
            replaced: Takes the number of replaced characters per element.
        """
        definition = segment(layout.id, self._profile.version)
        present = self.present(layout, frame, rows)
        cells: dict[int, Any] = {}
        for position, source in layout.elements.items():
            if isinstance(source, Column) and source.name in frame:
                target = Target(
                    f"{layout.id}{position:02d}",
                    definition.elements[position - 1],
                    source.free_text,
                    source.decimals,
                )
                cells[position] = self._encoder.encode(frame[source.name], target, present, place, misfits, replaced)
        has = {position: _has_value(text) for position, text in cells.items()}
        nothing = np.zeros(rows, bool)
        for position, source in layout.elements.items():
            if isinstance(source, Const):
                cells[position], has[position] = _constant(source, has, rows)
        for position, element in enumerate(definition.elements, start=1):
            source_ = layout.elements.get(position)
            if element.mandatory or (isinstance(source_, Column) and source_.required):
                missing = ~has.get(position, nothing) & present
                if missing.any():
                    misfits.add(missing, place, f"{layout.id}{position:02d}", None, "X12_MISSING", "must have a value")
        for rule in definition.rules:
            broken = _broken(rule, has, nothing) & present
            if broken.any():
                misfits.add(broken, place, f"{layout.id} {rule}", None, "X12_INCOMPLETE", _explained(rule))
        return Rendered(self._joined(layout.id, cells, present), present)

    def present(self, layout: SegmentLayout, frame: Frame, rows: int) -> Mask:
        """In which rows a segment is written."""
        if not layout.when:
            return np.ones(rows, bool)
        present = np.zeros(rows, bool)
        for name in layout.when:
            if name in frame:
                present |= _filled(frame[name])
        return present

    def _joined(self, segment_id: str, cells: Mapping[int, Any], present: Mask) -> pa.Array:
        """Elements with their separators, trailing empty ones stripped, and the terminator."""
        separator = self._profile.element_separator
        parts = [segment_id, *(cells.get(position, "") for position in range(1, max(cells) + 1))]
        if not any(isinstance(part, pa.Array) for part in parts):
            parts[0] = pa.repeat(segment_id, len(present))
        joined = pc.binary_join_element_wise(*parts, separator)
        text = pc.binary_join_element_wise(pc.utf8_rtrim(joined, characters=separator), self._profile.segment_end, "")
        return text if present.all() else pc.if_else(pa.array(present), text, "")


def check_layout(layout: SegmentLayout) -> None:
    """Refuses a layout that the tables do not allow, before any data.

    Raises:
        ValueError: A segment, position or code that the tables do not have.
    """
    for version in ("004010", "005010"):
        definition = segment(layout.id, version)
        for position, source in layout.elements.items():
            if not 1 <= position <= len(definition.elements):
                raise ValueError(f"{layout.id} has no element {position:02d}.")
            if isinstance(source, Const):
                _check_constant(f"{layout.id}{position:02d}", definition.elements[position - 1], source.value)
        unfilled = [
            f"{layout.id}{position:02d}"
            for position, element in enumerate(definition.elements, start=1)
            if element.mandatory and position not in layout.elements
        ]
        if unfilled:
            raise ValueError(f"{', '.join(unfilled)} must be filled.")


def _check_constant(name: str, element: Element, value: str) -> None:
    if not element.minimum <= len(value) <= element.maximum:
        raise ValueError(f"{name} {value!r} has not {element.minimum} to {element.maximum} characters.")
    if element.codes and value not in element.codes:
        raise ValueError(f"{name} {value!r} is none of {', '.join(sorted(element.codes))}.")


def _filled(values: pa.Array) -> Mask:
    """Where a column of the data has a value; blanks are none."""
    if pa.types.is_string(values.type):
        return _has_value(pc.utf8_rtrim(pc.fill_null(values, ""), characters=" "))
    return np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False), dtype=bool)


def _has_value(text: pa.Array) -> Mask:
    return np.asarray(pc.binary_length(text)) > 0


def _constant(source: Const, has: Mapping[int, Mask], rows: int) -> tuple[Any, Mask]:
    if source.beside is None:
        return source.value, np.ones(rows, bool)
    beside = has.get(source.beside, np.zeros(rows, bool))
    if beside.all():
        return source.value, beside
    return pc.if_else(pa.array(beside), source.value, ""), beside


def _broken(rule: SyntaxRule, has: Mapping[int, Mask], nothing: Mask) -> Mask:
    filled = [has.get(position, nothing) for position in rule.positions]
    if rule.rule == "R":
        return ~np.logical_or.reduce(filled)
    if rule.rule == "C":
        return filled[0] & ~np.logical_and.reduce(filled[1:])
    return np.asarray(np.logical_or.reduce(filled) & ~np.logical_and.reduce(filled))


def _explained(rule: SyntaxRule) -> str:
    names = ", ".join(f"{position:02d}" for position in rule.positions)
    return {
        "P": f"needs all of the elements {names}, or none",
        "R": f"needs at least one of the elements {names}",
        "C": f"needs all of the elements {names} once it has the first",
    }[rule.rule]
