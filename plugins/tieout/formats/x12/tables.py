"""What X12 allows: element types, lengths, code lists and syntax rules of the segments that we write.

One table for release 004010, and what 005010 changes in it. Only segments, elements and codes that a layout may use
are listed; an unknown one is a mistake of the layout and is refused when the layout is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

Version = Literal["004010", "005010"]
Kind = Literal["AN", "ID", "R", "N0", "N2", "DT", "TM"]
Rule = Literal["P", "R", "C"]

FUNCTIONAL_GROUPS: Mapping[str, str] = {"810": "IN", "850": "PO", "830": "PS", "832": "SC", "821": "FR"}
"""Transaction set → functional identifier (GS01); sets of different groups never share one."""

COUNT_LIMIT = 999_999
"""What CTT01 and ENT01 (N0, six digits) can say."""


@dataclass(frozen=True)
class Element:
    """One data element in its place.

    Attributes:
        kind: `AN` text, `ID` code, `R` decimal with its point, `N0` and `N2` integers with 0 and 2 implied decimals,
            `DT` date CCYYMMDD, `TM` time HHMM.
        minimum: Least length; a number's sign and point do not count.
        maximum: Greatest length.
        mandatory: Whether the segment may not be without it.
        codes: The codes that are allowed; empty where any code of the right length is.
    """

    kind: Kind
    minimum: int
    maximum: int
    mandatory: bool = False
    codes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SyntaxRule:
    """How elements depend on one another.

    `P`: all or none. `R`: at least one. `C`: where the first is, the others must be.
    """

    rule: Rule
    positions: tuple[int, ...]

    def __str__(self) -> str:
        return self.rule + "".join(f"{position:02d}" for position in self.positions)


@dataclass(frozen=True)
class Segment:
    """A segment's elements, the first at position 1, and its syntax rules."""

    id: str
    elements: tuple[Element, ...]
    rules: tuple[SyntaxRule, ...] = ()


_CODES: Mapping[str, frozenset[str]] = {
    name: frozenset(codes.split())
    for name, codes in {
        "set": "810 821 830 832 850 997 999",
        "purpose": "00 01 04 05",
        "order_type": "SA",
        "invoice_type": "DI CR",
        "reference": "GZ CA 79 DP BT VV",
        "party": "FR TO BY SU",
        "party_code": "91 92",
        "entity": "DV",
        "schedule_type": "AD AS BB DL JS KB PD PR PS SH ZZ",
        "schedule_quantity": "A C D R",
        "forecast": "C D Z",
        "timing": "D W M F T Z",
        "date": "193 194 011 002",
        "credit_debit": "C D",
        "item": "BP VP ZZ",
        "list": "ZZ",
        "agency": "ZZ",
        "account": "H1 H3 F1 ZZ",
        "description": "F",
        "buyer_seller": "BY SU FR TO",
        "trace": "1",
    }.items()
}

_NOTATION = re.compile(r"(?P<m>M )?(?P<kind>AN|ID|R|N0|N2|DT|TM)(?P<min>\d+)(/(?P<max>\d+))?( @(?P<codes>\w+))?")

_ITEM_PAIRS = ("ID2 @item", "AN1/48") * 10
_ITEM_RULES = tuple(f"P{position:02d}{position + 1:02d}" for position in range(6, 26, 2))

_004010: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # Envelope of a set. GS, GE, ISA and IEA are written by `envelope`.
    "ST": (("M ID3 @set", "M AN4/9"), ()),
    "SE": (("M N01/10", "M AN4/9"), ()),
    # Headings.
    "BIG": (
        (
            "M DT8",
            "M AN1/22",
            "DT8",
            "AN1/22",
            "AN1/30",
            "AN1/8",
            "ID2 @invoice_type",
            "ID2 @purpose",
        ),
        (),
    ),
    "BEG": (("M ID2 @purpose", "M ID2 @order_type", "M AN1/22", "AN1/30", "M DT8"), ()),
    "BFR": (
        (
            "M ID2 @purpose",
            "AN1/30",
            "AN1/30",
            "M ID2 @schedule_type",
            "M ID1 @schedule_quantity",
            "M DT8",
            "DT8",
            "M DT8",
            "DT8",
            "AN1/30",
            "AN1/22",
        ),
        ("R0203",),
    ),
    "BCT": (
        (
            "M ID2",
            "AN1/15",
            "AN1/15",
            "AN1/6",
            "ID2",
            "AN1/15",
            "AN1/15",
            "AN1/6",
            "AN1/80",
            "ID2 @purpose",
        ),
        (),
    ),
    "B2A": (("M ID2 @purpose", "ID2"), ()),
    "TRN": (("M ID1/2 @trace", "M AN1/30", "AN10", "AN1/30"), ()),
    "CUR": (("M ID2/3 @buyer_seller", "M ID3"), ()),
    "REF": (("M ID2/3 @reference", "AN1/30", "AN1/80"), ("R0203",)),
    "DTM": (("M ID3 @date", "DT8", "TM4/8"), ("R0203",)),
    "N1": (("M ID2/3 @party", "AN1/60", "ID1/2 @party_code", "AN2/80"), ("R0203", "P0304")),
    "ITD": (("ID2", "ID1/2", "R1/6", "DT8", "N01/3", "DT8", "N01/3"), ()),
    "FA1": (("M ID2 @agency",), ()),
    "FA2": (("M ID2 @account", "M AN1/80"), ()),
    # Details.
    "IT1": (("AN1/20", "R1/10", "ID2", "R1/17", "ID2", *_ITEM_PAIRS), ("P020304", *_ITEM_RULES)),
    "PO1": (("AN1/20", "R1/15", "ID2", "R1/17", "ID2", *_ITEM_PAIRS), ("C0302", "C0504", *_ITEM_RULES)),
    "PID": (("M ID1 @description", "ID2/3", "ID2", "AN1/12", "AN1/80"), ()),
    "LIN": (
        ("AN1/20", "M ID2 @item", "M AN1/48", *(("ID2 @item", "AN1/48") * 14)),
        tuple(f"P{position:02d}{position + 1:02d}" for position in range(4, 32, 2)),
    ),
    "UIT": (("M ID2",), ()),
    "CTP": (("ID2", "ID3", "R1/17", "R1/15", "ID2"), ("P0405",)),
    "FST": (
        (
            "M R1/15",
            "M ID1 @forecast",
            "M ID1 @timing",
            "M DT8",
            "DT8",
            "ID3",
            "TM4/8",
            "ID2/3 @reference",
            "AN1/30",
        ),
        ("P0607", "P0809"),
    ),
    "ENT": (("N01/6", "ID2/3 @entity", "ID1/2 @party_code", "AN2/80"), ("P020304",)),
    "ACT": (("M AN1/35", "AN1/60", "ID1/2", "AN1/35"), ("P0304",)),
    "FIR": (
        (
            "M ID1/3 @list",
            "M AN1/30",
            "M R1/18",
            "DT8",
            "TM4/8",
            "ID2",
            "R1/15",
            "R1/15",
            "ID1 @credit_debit",
            "ID2",
            "ID3",
            "R1/18",
        ),
        (),
    ),
    # Summary.
    "TDS": (("M N21/15", "N21/15", "N21/15", "N21/15"), ()),
    "CTT": (("M N01/6", "R1/10"), ()),
}

_LONGER_IN_005010: Mapping[tuple[str, int], int] = {
    # Reference identifications (element 127) grew from 30 to 50, quantity invoiced (358) from 10 to 15.
    ("REF", 2): 50,
    ("TRN", 2): 50,
    ("TRN", 4): 50,
    ("BFR", 2): 50,
    ("FST", 9): 50,
    ("IT1", 2): 15,
}


def _element(notation: str) -> Element:
    match = _NOTATION.fullmatch(notation)
    if match is None:
        raise ValueError(f"{notation!r} is no element notation")
    codes = match["codes"]
    return Element(
        kind=match["kind"],  # type: ignore[arg-type]
        minimum=int(match["min"]),
        maximum=int(match["max"] or match["min"]),
        mandatory=match["m"] is not None,
        codes=_CODES[codes] if codes else frozenset(),
    )


def _rule(notation: str) -> SyntaxRule:
    positions = tuple(int(notation[at : at + 2]) for at in range(1, len(notation), 2))
    return SyntaxRule(notation[0], positions)  # type: ignore[arg-type]


@cache
def segment(segment_id: str, version: Version) -> Segment:
    """A segment as a release defines it.

    Raises:
        KeyError: The tables do not have it.
    """
    elements, rules = _004010[segment_id]
    parsed = [_element(notation) for notation in elements]
    if version == "005010":
        for (name, position), maximum in _LONGER_IN_005010.items():
            if name == segment_id:
                parsed[position - 1] = replace(parsed[position - 1], maximum=maximum)
    return Segment(segment_id, tuple(parsed), tuple(_rule(rule) for rule in rules))


def segment_ids() -> frozenset[str]:
    """Every segment that the tables have."""
    return frozenset(_004010)
