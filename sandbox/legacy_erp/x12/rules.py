"""What X12 asks of segments and elements, from the published 004010 tables; 005010 where it allows more.

Elements are written as in the standard: type, least and greatest length, `!` mandatory, then the codes that are allowed
where the agreement knows only those. `R` is a decimal whose sign and point do not count, `N` a whole number with or
without implied decimals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sandbox.legacy_erp.x12.interchange import ElementFault

_ITEM = "ID2:BP,VP,ZZ AN1/48 "
_PURPOSE = "ID2:00,01,04,05"
_TABLE = {
    "ST": "ID3! AN4/9! AN1/35",
    "SE": "N1/10! AN4/9!",
    "BIG": f"DT8! AN1/22! DT8 AN1/22 AN1/30 AN1/8 ID2:DI,CR {_PURPOSE}",
    "BEG": f"{_PURPOSE}! ID2:SA! AN1/22! AN1/30 DT8!",
    "BFR": f"{_PURPOSE}! AN1/30 AN1/30 ID2:AD,AS,BB,DL,JS,KB,PD,PR,PS,SH,ZZ! ID1:A,C,D,R! DT8! DT8 DT8! DT8 AN1/30"
    " AN1/22",
    "BCT": f"ID2! AN1/15 AN1/15 AN1/6 ID2 AN1/15 AN1/15 AN1/6 AN1/80 {_PURPOSE}",
    "B2A": f"{_PURPOSE}! ID2",
    "CUR": "ID2/3:FR,TO,BY,SU! ID3!",
    "REF": "ID2/3:GZ,CA,79,DP,BT,VV! AN1/30 AN1/80",
    "DTM": "ID3:193,194,011,002! DT8 TM4/8",
    "TRN": "ID1/2:1! AN1/30! AN10 AN1/30",
    "N1": "ID2/3:FR,TO,BY,SU,DV! AN1/60 ID1/2:91,92 AN2/80",
    "N3": "AN1/55! AN1/55",
    "N4": "AN2/30 ID2 ID3/15 ID2/3",
    "PER": "ID2! AN1/60 ID2 AN1/80",
    "ITD": "ID2 ID1/2 R1/6 DT8 N1/3 DT8 N1/3",
    "FA1": "ID2!",
    "FA2": "ID2:H1,H3,F1,ZZ! AN1/80!",
    "IT1": "AN1/20 R1/10 ID2 R1/17 ID2 " + _ITEM * 10,
    "PO1": "AN1/20 R1/15 ID2 R1/17 ID2 " + _ITEM * 10,
    "PID": "ID1:F! ID2/3 ID2 AN1/12 AN1/80",
    "LIN": "AN1/20 ID2:BP,VP,ZZ! AN1/48! " + _ITEM * 10,
    "UIT": "ID2!",
    "CTP": "ID2 ID3 R1/17 R1/15 ID2",
    "FST": "R1/15! ID1:C,D,Z! ID1:D,W,M,F,T,Z! DT8! DT8 ID3 TM4/8 ID2/3 AN1/30",
    "ENT": "N1/6 ID2/3:DV ID1/2:91,92 AN2/80",
    "ACT": "AN1/35! AN1/60 ID1/2 AN1/35",
    "FIR": "ID1/3:ZZ! AN1/30! R1/18! DT8 TM4/8 ID2 R1/15 R1/15 ID1:C,D ID2 ID3 R1/18",
    "TDS": "N1/15! N1/15 N1/15 N1/15",
    "SAC": "ID1! ID4 ID2 AN1/10 N1/15",
    "TXI": "ID2! R1/18",
    "CTT": "N1/6! R1/10",
}
_LONGER_IN_005010 = {
    ("REF", 2): 50, ("TRN", 2): 50, ("TRN", 4): 50, ("BFR", 2): 50, ("BFR", 3): 50, ("FST", 9): 50, ("IT1", 2): 15,
}  # fmt: skip
_ITEM_PAIRS: list[tuple[int, ...]] = [(position, position + 1) for position in range(6, 26, 2)]
_TOGETHER: dict[str, list[tuple[int, ...]]] = {
    "N1": [(3, 4)],
    "PER": [(3, 4)],
    "FST": [(6, 7), (8, 9)],
    "ENT": [(2, 3, 4)],
    "ACT": [(3, 4)],
    "LIN": [(position, position + 1) for position in range(4, 24, 2)],
    "IT1": [(2, 3, 4), *_ITEM_PAIRS],
    "PO1": _ITEM_PAIRS,
}
_AT_LEAST_ONE = {"N1": (2, 3), "REF": (2, 3), "DTM": (2, 3), "BFR": (2, 3)}
_NEEDS = {"PO1": [(3, 2), (5, 4)]}

FUNCTIONAL_IDS = {"810": "IN", "850": "PO", "830": "PS", "832": "SC", "821": "FR"}
NEXT = {
    "830": {
        "ST": "BFR", "BFR": "CUR REF DTM N1 LIN", "CUR": "REF DTM N1 LIN", "DTM": "DTM N1 LIN",
        "N1": "N1 N3 N4 REF PER LIN", "N3": "N3 N4 N1 LIN", "N4": "N1 REF PER LIN", "PER": "PER N1 LIN", "LIN": "UIT",
        "UIT": "PID REF FST", "PID": "PID REF FST", "REF": "REF DTM N1 LIN FST", "FST": "FST LIN CTT SE", "CTT": "SE",
    },
    "821": {
        "ST": "B2A", "B2A": "DTM", "DTM": "DTM TRN", "TRN": "TRN N1 REF ENT", "N1": "N1 N3 N4 REF ENT",
        "N3": "N3 N4 N1 REF ENT", "N4": "N1 REF ENT", "REF": "REF FIR ACT ENT SE", "ENT": "ACT", "ACT": "CUR FIR",
        "CUR": "FIR", "FIR": "REF FIR ACT ENT SE",
    },
    "810": {
        "ST": "BIG", "BIG": "CUR REF PER N1 ITD DTM FA1 IT1 TDS", "CUR": "REF PER N1 ITD DTM FA1 IT1 TDS",
        "REF": "REF PER N1 ITD DTM FA1 IT1 TDS", "PER": "PER N1 ITD DTM FA1 IT1 TDS",
        "N1": "N1 N3 N4 REF PER ITD DTM FA1 IT1 TDS", "N3": "N3 N4 N1 ITD DTM FA1 IT1 TDS",
        "N4": "N1 ITD DTM FA1 IT1 TDS", "ITD": "ITD DTM FA1 IT1 TDS", "DTM": "DTM FA1 IT1 TDS", "FA1": "FA2",
        "FA2": "FA2 FA1 IT1 TDS", "IT1": "PID REF IT1 TDS", "PID": "PID REF IT1 TDS", "TDS": "TXI SAC CTT SE",
        "TXI": "TXI SAC CTT SE", "SAC": "SAC CTT SE", "CTT": "SE",
    },
    "850": {
        "ST": "BEG", "BEG": "CUR REF PER DTM N1 PO1", "CUR": "REF PER DTM N1 PO1", "PER": "PER DTM N1 PO1",
        "REF": "REF PER DTM N1 PO1 CTT SE", "DTM": "DTM N1 PO1", "N1": "N1 N3 N4 PO1", "N3": "N3 N4 N1 PO1",
        "N4": "N1 PO1", "PO1": "PID REF PO1 CTT SE", "PID": "PID REF PO1 CTT SE", "CTT": "SE",
    },
    "832": {
        "ST": "BCT", "BCT": "REF DTM CUR N1 LIN CTT SE", "DTM": "DTM CUR N1 LIN CTT SE", "CUR": "CUR N1 LIN CTT SE",
        "REF": "REF DTM CUR N1 PID CTP LIN CTT SE", "N1": "N1 N3 N4 LIN CTT SE", "N3": "N3 N4 N1 LIN CTT SE",
        "N4": "N1 LIN CTT SE", "LIN": "REF PID CTP LIN CTT SE", "PID": "PID CTP LIN CTT SE",
        "CTP": "CTP LIN CTT SE", "CTT": "SE",
    },
}  # fmt: skip
"""Set → segment → the segments that may follow it."""
FOLLOWERS = {
    name: {segment: frozenset(followers.split()) for segment, followers in table.items()}
    for name, table in NEXT.items()
}
MANDATORY = {
    "810": ("BIG", "TDS"), "850": ("BEG", "PO1"), "830": ("BFR", "LIN"), "832": ("BCT",),
    "821": ("B2A", "DTM", "TRN", "ENT"),
}  # fmt: skip


@dataclass(frozen=True)
class Element:
    """What one element may be."""

    kind: str
    least: int
    most: int
    is_mandatory: bool
    codes: frozenset[str]


def _element(text: str) -> Element:
    found = re.fullmatch(r"([A-Z]+?)(\d+)(?:/(\d+))?(?::([^!]+))?(!?)", text)
    assert found is not None, text
    kind, least, most, codes, mandatory = found.groups()
    return Element(kind, int(least), int(most or least), bool(mandatory), frozenset((codes or "").split(",")) - {""})


SEGMENTS = {name: tuple(_element(word) for word in text.split()) for name, text in _TABLE.items()}


def check_elements(parts: list[str], *, is_new: bool) -> list[ElementFault]:
    """What is wrong with a known segment's elements.

    Args:
        parts: Its id, then its elements.
        is_new: Whether 005010's lengths hold.
    """
    name, *values = parts
    elements = SEGMENTS[name]
    faults = []
    for position, value in enumerate(values[len(elements) :], start=len(elements) + 1):
        faults.append(ElementFault(position, "3", value, "is one element too many"))
    for position, element in enumerate(elements, start=1):
        value = values[position - 1] if position <= len(values) else ""
        if value:
            most = _LONGER_IN_005010.get((name, position), element.most) if is_new else element.most
            faults += [ElementFault(position, code, value, what) for code, what in _value_faults(value, element, most)]
        elif element.is_mandatory:
            faults.append(ElementFault(position, "1", "", "is missing"))
    if values and not values[-1]:
        faults.append(ElementFault(len(values), "3", "", "is empty and the last: such elements must be left out"))
    return faults + _dependencies(name, values)


def _dependencies(name: str, values: list[str]) -> list[ElementFault]:
    has = {position for position, value in enumerate(values, start=1) if value}
    faults = []
    for together in _TOGETHER.get(name, []):
        missing = set(together) - has
        if missing and len(missing) < len(together):
            faults.append(ElementFault(min(missing), "2", "", f"is missing beside {sorted(set(together) & has)}"))
    alternatives = _AT_LEAST_ONE.get(name, ())
    if alternatives and not has & set(alternatives):
        faults.append(ElementFault(alternatives[0], "2", "", f"or {alternatives[1]} must be there"))
    for position, needed in _NEEDS.get(name, []):
        if position in has and needed not in has:
            faults.append(ElementFault(needed, "2", "", f"is missing beside {position}"))
    return faults


def _value_faults(value: str, element: Element, most: int) -> list[tuple[str, str]]:
    bad = _KINDS[element.kind](value)
    if bad is not None:
        return [bad]
    length = sum(character.isdigit() for character in value) if element.kind in "RN" else len(value)
    if length < element.least:
        return [("4", f"is shorter than {element.least}")]
    if length > most:
        return [("5", f"is longer than {most}")]
    if element.codes and value not in element.codes:
        return [("7", f"is none of {', '.join(sorted(element.codes))}")]
    return []


def _text(value: str) -> tuple[str, str] | None:
    if not value.isprintable():
        return ("6", "has a control character")
    return ("6", "ends in a space") if value.endswith(" ") else None


def _decimal(value: str) -> tuple[str, str] | None:
    if re.fullmatch(r"-?(0|[1-9]\d*)?(\.\d+)?", value, re.ASCII) is None or not value.strip("-."):
        return ("6", "is no decimal number")
    return ("6", "is a negative zero") if re.fullmatch(r"-[0.]*", value) else None


def _whole(value: str) -> tuple[str, str] | None:
    return None if re.fullmatch(r"0|-?[1-9]\d*", value, re.ASCII) else ("6", "is no whole number")


@lru_cache(maxsize=4096)
def is_date(value: str) -> bool:
    """Whether a text is a date CCYYMMDD."""
    if re.fullmatch(r"\d{8}", value, re.ASCII) is None:
        return False
    try:
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        return False
    return True


def _date(value: str) -> tuple[str, str] | None:
    return None if is_date(value) else ("8", "is no date")


def _time(value: str) -> tuple[str, str] | None:
    clock = r"([01]\d|2[0-3])[0-5]\d([0-5]\d(\d\d?)?)?"
    return None if re.fullmatch(clock, value, re.ASCII) else ("9", "is no time")


_KINDS: dict[str, Callable[[str], tuple[str, str] | None]] = {
    "AN": _text,
    "ID": _text,
    "R": _decimal,
    "N": _whole,
    "DT": _date,
    "TM": _time,
}
