"""Partner profiles, control numbers, and the ISA that comes of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.formats.x12.data import CREATED, profile
from tieout.formats.x12 import ControlNumbers, Participant
from tieout.formats.x12.envelope import Envelope
from tieout.formats.x12.segments import Column, Const, SegmentLayout, check_layout


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"element_separator": "A"}, "cannot separate"),
        ({"element_separator": "-"}, "cannot separate"),
        ({"component_separator": "."}, "cannot separate"),
        ({"element_separator": ">"}, "must all differ"),
        ({"version": "005010", "repetition_separator": "*"}, "must all differ"),
        ({"element_separator": "\n"}, "can end segments"),
        ({"segment_terminator": "\n", "line_break": "\n"}, "is a line break already"),
        ({"element_separator": "**"}, "at most 1 character"),
        ({"charset": "basic"}, "capitals only"),
        ({"substitute": "~"}, "substitute"),
        ({"replacements": {"é": "*"}}, "replacement"),
        ({"truncate": ("PID5",)}, "no element"),
        ({"pad_short_codes": "*"}, "pattern"),
        ({"test_indicator": "X"}, "'T' or 'P'"),
        ({"version": "003040"}, "004010"),
        ({"unknown": 1}, "Extra inputs"),
        ({"sender": {"id": "A~B"}}, "separator"),
        ({"sender": {"id": "X" * 16}}, "15 characters"),
        ({"sender": {"id": "X"}}, "too short for a group"),
        ({"sender": {"id": " AB"}}, "spaces at its ends"),
        ({"sender": {"id": "AB", "qualifier": "Z"}}, "pattern"),
    ],
)
def test_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        profile(**changes)


def test_test_indicator_has_no_default() -> None:
    with pytest.raises(ValidationError, match="test_indicator"):
        profile(test_indicator=None)


@pytest.mark.parametrize(
    ("changes", "repetition", "version"),
    [
        ({}, "U", "00401"),
        ({"version": "005010"}, "^", "00501"),
        ({"version": "005010", "repetition_separator": "!"}, "!", "00501"),
        ({"sender": Participant(id="1", qualifier="01", application="AB"), "segment_terminator": "\x1c"}, "U", "00401"),
        ({"sender": Participant(id="ABCDEFGHIJKLMNO"), "acknowledgment_requested": True}, "U", "00401"),
    ],
)
@pytest.mark.parametrize("interchange", [1, 999_999_999])
def test_isa_positions(changes: dict[str, Any], repetition: str, version: str, interchange: int) -> None:
    """Readers take the separators from fixed places: 3, 104 and 105, and 82 for the repetition."""
    chosen = profile(**changes)
    opening = Envelope(chosen, "830", ControlNumbers(interchange, 1), CREATED).opening()
    isa = opening[:106]
    assert (isa[3], isa[104], isa[105]) == ("*", ">", chosen.segment_terminator)
    assert opening[106 : 106 + 4] == "\nGS*"
    assert isa[82] == repetition and isa[84:89] == version
    assert isa[90:99] == f"{interchange:09d}"
    assert isa[100] == ("1" if chosen.acknowledgment_requested else "0")
    assert isa[102] == "T"
    assert isa[35:50] == f"{chosen.sender.id:<15}" and len(isa.split("*")) == 17


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 1_000_000_000, 1), (1, 1, 0)])
def test_control_numbers_have_nine_digits(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="control number must be within"):
        ControlNumbers(*numbers)


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        (SegmentLayout("FA1", {1: Const("ZZ"), 9: Const("ZZ")}), "no element 09"),
        (SegmentLayout("REF", {1: Const("QQ"), 2: Column("x")}), "none of"),
        (SegmentLayout("REF", {1: Const("ABCD")}), "2 to 3 characters"),
        (SegmentLayout("BIG", {1: Column("x")}), "BIG02 must be filled"),
    ],
)
def test_layouts_keep_to_the_tables(layout: SegmentLayout, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_layout(layout)
