"""Reads an X12 file: the envelope, then set by set in a stream, so that a million postings do not pile up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sandbox.legacy_erp.received import Reading
from sandbox.legacy_erp.x12.documents import Reader810, Reader832, Reader850
from sandbox.legacy_erp.x12.gl import Reader821, Reader830
from sandbox.legacy_erp.x12.interchange import ElementFault, Group, Interchange, SegmentFault, TransactionSet
from sandbox.legacy_erp.x12.rules import (
    FOLLOWERS,
    FUNCTIONAL_IDS,
    MANDATORY,
    SEGMENTS,
    check_elements,
    is_date,
)
from sandbox.legacy_erp.x12.sets import SetReader, element

_ISA_WIDTHS = (3, 2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_READERS: dict[str, type[SetReader]] = {
    "810": Reader810,
    "821": Reader821,
    "830": Reader830,
    "832": Reader832,
    "850": Reader850,
}
_TOLD = 10
"""Faulty segments of a set that are told in an acknowledgement."""


def read_x12(path: Path, reading: Reading) -> None:
    """Reads a file whose first three letters are ISA."""
    try:
        _read(path, reading)
    except UnicodeDecodeError as error:
        encoding = reading.settings.x12_encoding
        reading.unreadable(f"The bytes are not {encoding}: {error.reason} at position {error.start}.")


def _read(path: Path, reading: Reading) -> None:
    with path.open(encoding=reading.settings.x12_encoding, newline="") as file:
        isa = file.read(106)
        interchange = _interchange(isa, reading)
        if interchange is None:
            return
        reading.interchange = interchange
        reader = _InterchangeReader(reading, interchange)
        rest = ""
        while chunk := file.read(1 << 20):
            *whole, rest = (rest + chunk).split(interchange.terminator)
            for raw in whole:
                reader.take(raw.lstrip("\r\n"))
        reader.finish(rest.strip("\r\n"))


def _interchange(isa: str, reading: Reading) -> Interchange | None:
    """The envelope's first segment; None when not even its separators can be trusted."""
    parts = isa[:105].split(isa[3]) if len(isa) == 106 else []
    if [len(part) for part in parts] != list(_ISA_WIDTHS):
        reading.unreadable("The ISA does not have its 106 characters, each element at its fixed place.")
        return None
    component, terminator = isa[104], isa[105]
    if len({isa[3], component, terminator}) != 3 or any(one.isalnum() or one == " " for one in isa[3] + isa[104:]):
        reading.unreadable(f"The separators {isa[3]!r}, {component!r} and {terminator!r} cannot separate anything.")
        return None
    found = Interchange(
        element=isa[3], component=component, terminator=terminator,
        repetition="" if parts[12] == "00401" else parts[11],
        sender=(parts[5], parts[6].rstrip()), receiver=(parts[7], parts[8].rstrip()), date=parts[9], time=parts[10],
        version=parts[12], control=parts[13], ta1_asked=parts[14] == "1", test_indicator=parts[15],
    )  # fmt: skip
    for code, sentence in _envelope_faults(parts, reading):
        reading.findings.add(sentence)
        found.code = code
    return found


def _envelope_faults(parts: list[str], reading: Reading) -> Iterator[tuple[str, str]]:
    settings = reading.settings
    if parts[12] not in ("00401", "00501"):
        yield "017", f"ISA12 is {parts[12]!r}; this receiver takes 00401 and 00501."
    if (parts[11] == "U") != (parts[12] == "00401") or (parts[11] != "U" and parts[11].isalnum()):
        yield "026", f"ISA11 is {parts[11]!r}: U in 00401, the repetition separator in 00501."
    if parts[1] != "00" or parts[3] != "00" or parts[2].strip() or parts[4].strip():
        yield "010", "ISA01 to ISA04 must be 00 and blank: no passwords are agreed."
    if not is_date("20" + parts[9]):
        yield "014", f"ISA09 {parts[9]!r} is no date."
    if re.fullmatch(r"([01]\d|2[0-3])[0-5]\d", parts[10], re.ASCII) is None:
        yield "015", f"ISA10 {parts[10]!r} is no time."
    if re.fullmatch(r"\d{9}", parts[13], re.ASCII) is None or int(parts[13]) == 0:
        yield "018", f"ISA13 {parts[13]!r} is no control number of nine digits."
    if parts[14] not in ("0", "1"):
        yield "019", f"ISA14 is {parts[14]!r} and must be 0 or 1."
    wanted = settings.test_indicator
    if parts[15] not in ("T", "P") or (wanted is not None and parts[15] != wanted):
        yield "020", f"ISA15 is {parts[15]!r} and must be {wanted or 'T or P'}."
    for name, code, expected, found in (
        ("ISA06", "006", settings.sender, parts[6]),
        ("ISA08", "008", settings.receiver, parts[8]),
    ):
        if found.startswith(" ") or not found.strip() or (expected is not None and found.rstrip() != expected):
            yield code, f"{name} is {found!r} and must be {expected or 'an id'}, left-justified."


class _InterchangeReader:
    """Takes the segments after the ISA, one by one."""

    def __init__(self, reading: Reading, interchange: Interchange) -> None:
        self._reading = reading
        self._interchange = interchange
        self._group: Group | None = None
        self._set: TransactionSet | None = None
        self._reader: SetReader | None = None
        self._previous = "ST"
        self._seen: set[str] = set()
        self._controls: set[str] = set()
        self._is_over = False
        self._bad = re.compile(r"[\x00-\x1f\x7f]|" + "|".join(map(re.escape, self._forbidden())))

    def _forbidden(self) -> list[str]:
        return [one for one in (self._interchange.component, self._interchange.repetition) if one]

    def take(self, raw: str) -> None:
        """Takes a segment without its terminator."""
        if self._set is not None and self._take_fast(raw):
            return
        parts = raw.split(self._interchange.element)
        envelope = {"GS": self._open_group, "GE": self._close_group, "IEA": self._close, "ST": self._open_set}
        if self._is_over:
            self._say(f"{raw[:40]!r} comes after the IEA.")
        elif parts[0] in envelope:
            envelope[parts[0]](parts)
        elif self._set is None:
            self._say(f"The segment {raw[:40]!r} stands in no set.")
        elif parts[0] == "SE":
            self._close_set(parts)
        else:
            self._take_slowly(raw, parts)

    def finish(self, rest: str) -> None:
        """The file is over."""
        if rest:
            self._say(f"The file ends in {rest[:40]!r}, which no segment terminator ends.")
        if not self._is_over:
            self._say("There is no IEA: the file is cut off.")
            self._interchange.code = "023"

    def _take_fast(self, raw: str) -> bool:
        reader, current = self._reader, self._set
        if reader is None or current is None:
            return False
        segment = reader.fast(raw)
        if segment is None:
            return False
        current.segments += 1
        self._check_order(segment)
        return True

    def _take_slowly(self, raw: str, parts: list[str]) -> None:
        current = self._set
        assert current is not None
        current.segments += 1
        current.second = current.second or parts
        name = parts[0]
        if self._reader is None:
            return
        if name not in SEGMENTS:
            self._fault(name, "1", f"the segment {raw[:40]!r} is not known")
            return
        self._check_order(name)
        faults = check_elements(parts, is_new=self._interchange.is_new)
        found = self._bad.search(raw)
        if found is not None:
            at = raw.count(self._interchange.element, 0, found.start())
            faults.append(ElementFault(at, "6", element(parts, at), f"has the character {found[0]!r}"))
        if faults:
            self._element_faults(name, faults)
        else:
            self._reader.segment(parts)

    def _check_order(self, name: str) -> None:
        current = self._set
        assert current is not None
        if name not in FOLLOWERS[current.id].get(self._previous, frozenset()):
            self._fault(name, "7", f"{name} may not follow {self._previous}")
        self._previous = name
        self._seen.add(name)

    def _element_faults(self, name: str, faults: list[ElementFault]) -> None:
        for fault in faults:
            self._place(f"{name}{fault.position:02d} {fault.value!r} {fault.what}")
        self._note(SegmentFault(name, self._count(), "8", tuple(faults)))

    def _fault(self, name: str, code: str, what: str) -> None:
        self._place(what)
        self._note(SegmentFault(name, self._count(), code))

    def _note(self, fault: SegmentFault) -> None:
        if self._set is not None:
            self._set.fault("5")
            if len(self._set.faults) < _TOLD:
                self._set.faults.append(fault)

    def _count(self) -> int:
        return self._set.segments if self._set is not None else 0

    def _place(self, what: str) -> None:
        control = self._set.control if self._set is not None else "?"
        self._say(f"Set {control}, segment {self._count()}: {what}.")

    def _say(self, sentence: str) -> None:
        self._reading.findings.add(sentence)

    # -- envelope -----------------------------------------------------------------------------------------------------

    def _open_group(self, parts: list[str]) -> None:
        if self._group is not None:
            self._abandon_set()
            self._say("A GS comes before the GE of the group before.")
        values = [element(parts, position) for position in range(9)]
        self._group = Group(values[1], values[2], values[3], values[6], values[8])
        self._interchange.groups.append(self._group)
        self._controls = set()
        versions = {"00401": "004010", "00501": "005010"}
        expected = versions.get(self._interchange.version, "")
        if len(parts) != 9 or values[7] != "X" or values[8] != expected:
            self._say(f"The GS must have eight elements, the last of them X and {expected}; it is {parts}.")
        if not (2 <= len(values[2]) <= 15 and 2 <= len(values[3]) <= 15):
            self._say("GS02 and GS03 must have 2 to 15 characters.")
        if not is_date(values[4]) or re.fullmatch(r"([01]\d|2[0-3])[0-5]\d([0-5]\d)?", values[5], re.ASCII) is None:
            self._say(f"GS04 {values[4]!r} and GS05 {values[5]!r} are no date and time.")
        if re.fullmatch(r"[1-9]\d{0,8}", values[6], re.ASCII) is None:
            self._say(f"GS06 {values[6]!r} is no control number of one to nine digits.")

    def _close_group(self, parts: list[str]) -> None:
        group = self._group
        if group is None:
            self._say("A GE comes without its GS.")
            return
        if self._set is not None:
            self._abandon_set()
        if element(parts, 1) != str(len(group.sets)):
            self._say(f"GE01 says {element(parts, 1)} sets and the group has {len(group.sets)}.")
            group.codes.append("5")
        if element(parts, 2) != group.control:
            self._say(f"GE02 is {element(parts, 2)!r} and GS06 {group.control!r}.")
            group.codes.append("4")
        self._group = None

    def _close(self, parts: list[str]) -> None:
        interchange = self._interchange
        if self._group is not None:
            self._say("There is no GE: the last group is cut off.")
            self._group.codes.append("3")
            self._abandon_set()
        if element(parts, 1) != str(len(interchange.groups)):
            self._say(f"IEA01 says {element(parts, 1)} groups and there are {len(interchange.groups)}.")
            interchange.code = "021"
        if element(parts, 2) != interchange.control:
            self._say(f"IEA02 is {element(parts, 2)!r} and ISA13 {interchange.control!r}.")
            interchange.code = "001"
        self._is_over = True

    # -- sets ---------------------------------------------------------------------------------------------------------

    def _open_set(self, parts: list[str]) -> None:
        if self._set is not None:
            self._abandon_set()
        current = TransactionSet(element(parts, 1), element(parts, 2))
        if self._group is None:
            self._say(f"The set {current.control} stands in no group.")
            return
        if current.control in self._controls:
            self._say(f"ST02 {current.control!r} stands in the group twice.")
            current.fault("7")
        self._controls.add(current.control)
        self._group.sets.append(current)
        self._set, self._previous, self._seen = current, "ST", {"ST"}
        faults = check_elements(parts, is_new=self._interchange.is_new)
        if faults:
            self._element_faults("ST", faults)
        make = _READERS.get(current.id)
        if make is None:
            self._say(f"The set {current.id} is not taken here.")
            current.fault("1")
        elif FUNCTIONAL_IDS[current.id] != self._group.functional_id:
            self._say(f"The set {current.id} stands in a group {self._group.functional_id!r}.")
            current.fault("6")
        self._reader = make(self._reading, self._interchange, current) if make is not None else None

    def _abandon_set(self) -> None:
        if self._set is not None:
            self._place("the set has no SE")
            self._set.fault("2")
        self._set = self._reader = None

    def _close_set(self, parts: list[str]) -> None:
        current, reader = self._set, self._reader
        assert current is not None
        current.segments += 1
        if reader is not None:
            self._check_order("SE")
            for name in MANDATORY[current.id]:
                if name not in self._seen:
                    self._fault(name, "3", f"the mandatory segment {name} is missing")
            reader.finish()
        if element(parts, 1) != str(current.segments):
            self._place(f"SE01 says {element(parts, 1)} segments and there are {current.segments}")
            current.fault("4")
        if element(parts, 2) != current.control:
            self._place(f"SE02 is {element(parts, 2)!r} and ST02 {current.control!r}")
            current.fault("3")
        self._set = self._reader = None
