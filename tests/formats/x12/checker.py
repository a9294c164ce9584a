"""An element-level checker and reader of X12 files, written from published tables and apart from the writer's own.

It knows nothing of the writer: it takes the separators from the ISA's fixed positions, the lengths, codes and pairs
from its own tables, and the order of segments from its own expressions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

# element: (type, least, most); a segment's elements from 01 on, "!" marks those that it must have.
E: dict[str, tuple[str, int, int]] = {
    "date": ("DT", 8, 8),
    "invoice": ("AN", 1, 22),
    "po": ("AN", 1, 22),
    "release": ("AN", 1, 30),
    "seq": ("AN", 1, 8),
    "id1": ("ID", 1, 1),
    "id2": ("ID", 2, 2),
    "id3": ("ID", 3, 3),
    "id12": ("ID", 1, 2),
    "id23": ("ID", 2, 3),
    "id13": ("ID", 1, 3),
    "line": ("AN", 1, 20),
    "item": ("AN", 1, 48),
    "ref": ("AN", 1, 30),
    "text80": ("AN", 1, 80),
    "name": ("AN", 1, 60),
    "code": ("AN", 2, 80),
    "price": ("R", 1, 17),
    "q10": ("R", 1, 10),
    "q15": ("R", 1, 15),
    "m18": ("R", 1, 18),
    "pct": ("R", 1, 6),
    "count": ("N", 1, 6),
    "n10": ("N", 1, 10),
    "days": ("N", 1, 3),
    "money": ("N", 1, 15),
    "control": ("AN", 4, 9),
    "time": ("TM", 4, 8),
    "catalog": ("AN", 1, 15),
    "revision": ("AN", 1, 6),
    "char12": ("AN", 1, 12),
    "account": ("AN", 1, 35),
    "ten": ("AN", 10, 10),
}
PAIRS = "id2 item " * 10
SEGMENTS = {
    "ST": "id3! control!",
    "SE": "n10! control!",
    "BIG": "date! invoice! date po release seq id2 id2",
    "BEG": "id2! id2! po! release date!",
    "BFR": "id2! ref ref id2! id1! date! date date! date ref po",
    "BCT": "id2! catalog catalog revision id2 catalog catalog revision text80 id2",
    "B2A": "id2! id2",
    "TRN": "id12! ref! ten ref",
    "CUR": "id23! id3!",
    "REF": "id23! ref text80",
    "DTM": "id3! date time",
    "N1": "id23! name id12 code",
    "ITD": "id2 id12 pct date days date days",
    "FA1": "id2!",
    "FA2": "id2! text80!",
    "IT1": "line q10 id2 price id2 " + PAIRS,
    "PO1": "line q15 id2 price id2 " + PAIRS,
    "PID": "id1! id23 id2 char12 text80",
    "LIN": "line id2! item! " + PAIRS,
    "UIT": "id2!",
    "CTP": "id2 id3 price q15 id2",
    "FST": "q15! id1! id1! date! date id3 time id23 ref",
    "ENT": "count id23 id12 code",
    "ACT": "account! name id12 account",
    "FIR": "id13! ref! m18! date time id2 q15 q15 id1 id2 id3 m18",
    "TDS": "money! money money money",
    "CTT": "count! q10",
}
LONGER_IN_005010 = {"REF02": 50, "TRN02": 50, "TRN04": 50, "BFR02": 50, "FST09": 50, "IT102": 15}
CODES = {
    "BIG07": {"DI", "CR"},
    "BIG08": {"00", "01", "04", "05"},
    "BEG01": {"00", "01", "04", "05"},
    "BEG02": {"SA"},
    "BFR01": {"00", "01", "04", "05"},
    "BFR04": {"AD", "AS", "BB", "DL", "JS", "KB", "PD", "PR", "PS", "SH", "ZZ"},
    "BFR05": {"A", "C", "D", "R"},
    "BCT10": {"00", "01", "04", "05"},
    "B2A01": {"00", "01", "04", "05"},
    "REF01": {"GZ", "CA", "79", "DP", "BT", "VV"},
    "FST08": {"VV"},
    "FST02": {"C", "D", "Z"},
    "FST03": {"D", "W", "M", "F", "T", "Z"},
    "DTM01": {"193", "194", "011", "002"},
    "N101": {"FR", "TO", "BY", "SU", "DV"},
    "N103": {"91", "92"},
    "ENT02": {"DV"},
    "ENT03": {"91", "92"},
    "FIR01": {"ZZ"},
    "FIR09": {"C", "D"},
    "PID01": {"F"},
    "FA101": {"ZZ"},
    "FA201": {"H1", "H3", "F1", "ZZ"},
    **{f"{name}{at:02d}": {"BP", "VP", "ZZ"} for name, at in [("LIN", 2), ("LIN", 4)]},
    **{f"{name}{at:02d}": {"BP", "VP", "ZZ"} for name in ("IT1", "PO1") for at in range(6, 26, 2)},
}
# All or none; at least one; the second needed by the first.
ALL_OR_NONE = {
    "N1": [(3, 4)],
    "FST": [(6, 7), (8, 9)],
    "ENT": [(2, 3, 4)],
    "ACT": [(3, 4)],
    "CTP": [(4, 5)],
    "LIN": [(at, at + 1) for at in range(4, 24, 2)],
    "IT1": [(2, 3, 4), *((at, at + 1) for at in range(6, 26, 2))],
    "PO1": [(at, at + 1) for at in range(6, 26, 2)],
}
ONE_OF = {"N1": (2, 3), "REF": (2, 3), "DTM": (2, 3), "BFR": (2, 3)}
NEEDS = {"PO1": [(3, 2), (5, 4)]}
ORDER = {
    "810": "ST BIG (CUR )?(REF )*(N1 )*(ITD )*(DTM )*(FA1 (FA2 )+)*(IT1 (PID )*(REF )*)*TDS (CTT )?SE ",
    "850": "ST BEG (CUR )?(REF )*(DTM )*(N1 )*(PO1 (PID )*(REF )*)+(CTT )?SE ",
    "830": "ST BFR (CUR )?(REF )*(N1 )*(LIN (UIT )(PID )?(REF )*(FST )+)+(CTT )?SE ",
    "821": "ST B2A (DTM ){1,4}(TRN ){1,2}(N1 ){0,2}(REF )*(ENT (ACT (CUR )?(FIR (REF )*)+)+)+SE ",
    "832": "ST BCT (REF )*(DTM )*(CUR )*(N1 )*(LIN (REF )*(PID )*(CTP )*)*(CTT )?SE ",
}
GROUPS = {"810": "IN", "850": "PO", "830": "PS", "832": "SC", "821": "FR"}


@dataclass(frozen=True)
class Interchange:
    isa: list[str]
    group: list[str]
    sets: list[list[list[str]]]
    """Per set its segments, each a list of its id and elements."""


def read(text: str) -> Interchange:
    """A file's segments, after every check that this module knows; raises AssertionError with what is wrong."""
    assert text[:3] == "ISA", "no ISA"
    separator, component, terminator = text[3], text[104], text[105]
    assert len(text) > 106 and text.index(terminator) == 105, "the ISA does not have 106 characters"
    rest = text[106:]
    line_break = next(end for end in ("\r\n", "\n", "") if rest.startswith(end))
    assert text.endswith(terminator + line_break)
    segments = [one.split(separator) for one in text.split(terminator + line_break)[:-1]]
    new = segments[0][12] == "00501"
    forbidden = {component} | ({segments[0][11]} if new else set())
    check_envelope(segments, new)
    sets: list[list[list[str]]] = []
    for segment in segments[2:-2]:
        if segment[0] == "ST":
            sets.append([])
        sets[-1].append(segment)
        check_segment(segment, new, forbidden)
    for one in sets:
        check_set(one, segments[1])
    assert segments[-2][1] == str(len(sets)), "GE01"
    controls = [one[0][2] for one in sets]
    assert len(set(controls)) == len(controls), "ST02 twice"
    return Interchange(segments[0], segments[1], sets)


def check_envelope(segments: list[list[str]], new: bool) -> None:
    isa, gs, ge, iea = segments[0], segments[1], segments[-2], segments[-1]
    widths = [3, 2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1]
    assert [len(element) for element in isa] == widths, "ISA widths"
    assert isa[1] == isa[3] == "00" and not isa[2].strip() and not isa[4].strip()
    datetime.strptime(isa[9] + isa[10], "%y%m%d%H%M")
    assert isa[12] in ("00401", "00501") and (new or isa[11] == "U") and isa[13].isdigit()
    assert isa[14] in "01" and isa[15] in "TP"
    assert gs[0] == "GS" and len(gs) == 9 and gs[7] == "X" and gs[8] == ("005010" if new else "004010")
    assert 2 <= len(gs[2]) <= 15 and 2 <= len(gs[3]) <= 15
    datetime.strptime(gs[4] + gs[5], "%Y%m%d%H%M")
    assert gs[6].isdigit() and 1 <= len(gs[6]) <= 9
    assert ge[0] == "GE" and ge[2] == gs[6], "GE02"
    assert iea == ["IEA", "1", isa[13]], "IEA"


def check_segment(segment: list[str], new: bool, forbidden: set[str]) -> None:
    name, *elements = segment
    allowed = SEGMENTS[name].split()
    assert len(elements) <= len(allowed), f"{segment} has too many elements"
    assert elements and elements[-1] != "", f"{segment} ends in empty elements"
    has = {position for position, value in enumerate(elements, start=1) if value}
    for position, wanted in enumerate(allowed, start=1):
        value = elements[position - 1] if position <= len(elements) else ""
        reference = f"{name}{position:02d}"
        assert value or not wanted.endswith("!"), f"{reference} is missing in {segment}"
        if value:
            kind, least, most = E[wanted.rstrip("!")]
            most = LONGER_IN_005010.get(reference, most) if new else most
            check_value(reference, value, kind, least, most)
            assert not set(value) & forbidden, f"{reference} {value!r} has a separator"
            assert reference not in CODES or value in CODES[reference], f"{reference} {value!r} is no code"
    for together in ALL_OR_NONE.get(name, []):
        assert len(has & set(together)) in (0, len(together)), f"{segment}: {together} all or none"
    if name in ONE_OF:
        assert has & set(ONE_OF[name]), f"{segment}: one of {ONE_OF[name]}"
    for first, second in NEEDS.get(name, []):
        assert first not in has or second in has, f"{segment}: {first} needs {second}"


def check_value(reference: str, value: str, kind: str, least: int, most: int) -> None:
    assert value.isprintable(), f"{reference} {value!r} has a control character"
    length = len(value)
    if kind == "R":
        assert re.fullmatch(r"-?(0|[1-9]\d*)?(\.\d+)?", value) and value.strip("-."), f"{reference} {value!r} is no R"
        assert not re.fullmatch(r"-[0.]*", value), f"{reference} {value!r} is minus zero"
        length = sum(character.isdigit() for character in value)
    elif kind == "N":
        assert re.fullmatch(r"0|-?[1-9]\d*", value), f"{reference} {value!r} is no N"
        length = len(value.lstrip("-"))
    elif kind == "DT":
        datetime.strptime(value, "%Y%m%d")
    elif kind == "TM":
        datetime.strptime(value[:4], "%H%M")
    else:
        assert value == value.rstrip(" "), f"{reference} {value!r} has blanks at its end"
    assert least <= length <= most, f"{reference} {value!r} must have {least} to {most}"


def check_set(segments: list[list[str]], group: list[str]) -> None:
    start, end = segments[0], segments[-1]
    assert GROUPS[start[1]] == group[1], f"{start[1]} in group {group[1]}"
    names = "".join(segment[0] + " " for segment in segments)
    assert re.fullmatch(ORDER[start[1]], names), f"{start[1]}: order {names}"
    assert end[1] == str(len(segments)), f"SE01 {end[1]} for {len(segments)} segments"
    assert end[2] == start[2], "SE02"
    detail = {"810": "IT1", "850": "PO1", "830": "LIN", "832": "LIN"}.get(start[1])
    for segment in segments:
        if segment[0] == "CTT":
            assert int(segment[1]) == sum(one[0] == detail for one in segments), "CTT01"
            if start[1] == "830" and len(segment) > 2:
                assert Decimal(segment[2]) == sum(Decimal(one[1]) for one in segments if one[0] == "FST"), "CTT02"
    numbers = [one[1] for one in segments if one[0] in ("LIN", "ENT")]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)], "LIN01/ENT01"


def element(segment: list[str], position: int) -> str | None:
    return (segment[position] or None) if position < len(segment) else None


def gl_lines(one: list[list[str]]) -> list[dict[str, Any]]:
    """The G/L lines of an 830 or an 821."""
    cost_centre = account = None
    lines: list[dict[str, Any]] = []
    for segment in one:
        if segment[0] == "LIN":
            cost_centre, account = segment[3], segment[5]
        elif segment[0] == "ENT":
            cost_centre = segment[4]
        elif segment[0] == "ACT":
            account = segment[1]
        elif segment[0] == "FST":
            amount, day, voucher = Decimal(segment[1]), segment[4], segment[9]
            lines.append(_line(cost_centre, account, amount, day, voucher, None))
        elif segment[0] == "FIR":
            amount = Decimal(segment[3]) * (1 if segment[9] == "D" else -1)
            lines.append(_line(cost_centre, account, amount, element(segment, 4), "", segment[2]))
        elif segment[0] == "REF" and segment[1] == "VV":
            lines[-1]["voucher"] = segment[2]
    return lines


def _line(
    cost_centre: str | None, account: str | None, amount: Decimal, day: str | None, voucher: str, source: str | None
) -> dict[str, Any]:
    return {
        "cost_centre": cost_centre,
        "account": account,
        "amount": amount,
        "day": day,
        "voucher": voucher,
        "source": source,
    }
