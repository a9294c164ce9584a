"""Lineage of what stands around an X12 set: ISA and GS before it, GE and IEA after it. Nothing of it is a record's."""

from __future__ import annotations

from collections.abc import Sequence

from tieout.formats.x12.tables import FUNCTIONAL_GROUPS
from tieout.mapping.lineage import CONSTANT, GENERATED, ColumnLineage, Kind

_DAY = (GENERATED, "the run's day by the partner's clock", Kind.GENERATED)
_TIME = (GENERATED, "the run's time by the partner's clock", Kind.GENERATED)
_INTERCHANGE = (GENERATED, "the interchange's control number", Kind.GENERATED)
_GROUP = (GENERATED, "the group's control number", Kind.GENERATED)

_Element = tuple[str, str, Kind]
"""Source, transformation, kind."""


def _constant(value: str) -> _Element:
    return (CONSTANT, f"constant {value}" if value else "filler", Kind.CONSTANT)


def _setting(name: str, words: str = "setting") -> _Element:
    return (f"${{partner.x12.{name}}}", words, Kind.SETTING)


_ISA: Sequence[_Element] = (
    _constant("00"),
    _constant(""),
    _constant("00"),
    _constant(""),
    _setting("sender.qualifier"),
    _setting("sender.id"),
    _setting("receiver.qualifier"),
    _setting("receiver.id"),
    _DAY,
    _TIME,
    _setting("version", "U for 004010, else the repetition separator"),
    _setting("version", "its first five digits"),
    _INTERCHANGE,
    _setting("acknowledgment_requested", "1 or 0"),
    _setting("test_indicator"),
    _setting("component_separator"),
)
_CLOSING: Sequence[tuple[str, _Element]] = (
    ("GE01", (GENERATED, "counts the sets", Kind.GENERATED)),
    ("GE02", _GROUP),
    ("IEA01", _constant("1")),
    ("IEA02", _INTERCHANGE),
)


def enveloped(set_id: str, rows: Sequence[ColumnLineage]) -> list[ColumnLineage]:
    """A set's elements with those of the interchange and the group around them, in the order of the file."""
    group = (
        _constant(FUNCTIONAL_GROUPS[set_id]),
        _setting("sender.application", "setting, or the sender's id"),
        _setting("receiver.application", "setting, or the receiver's id"),
        _DAY,
        _TIME,
        _GROUP,
        _constant("X"),
        _setting("version"),
    )
    opening = [
        (f"{segment}{position:02d}", element)
        for segment, elements in (("ISA", _ISA), ("GS", group))
        for position, element in enumerate(elements, start=1)
    ]
    return [*map(_row, opening), *rows, *map(_row, _CLOSING)]


def _row(element: tuple[str, _Element]) -> ColumnLineage:
    target, (source, words, kind) = element
    return ColumnLineage(source, "", target, words, kind)
