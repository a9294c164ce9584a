"""The receiver's answers to X12 files: 997 for release 004010, 999 for 005010, and TA1 where it is due.

Sender and receiver change places; interchange, group and set numbers are the receiver's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sandbox.legacy_erp.x12.interchange import ElementFault, Group, Interchange, SegmentFault, TransactionSet

Segments = list[list[str]]


@dataclass(frozen=True)
class Acknowledgement:
    """An answer that was written.

    Attributes:
        answer: `A`, `E`, `P` or `R` for the group; `TA1` where only the envelope was answered.
        group: GS06 of the group it answers; None for the envelope.
    """

    name: str
    file: str
    interchange: str
    group: str | None
    answer: str


class Acknowledger:
    """Writes answers into a folder.

    Args:
        folder: Where the partner looks for them.
        now: The time that they bear.
        encoding: Gives the encoding that is agreed for X12.
        first_number: The first control number.
    """

    def __init__(
        self, folder: Path, now: Callable[[], datetime], encoding: Callable[[], str], first_number: int = 9001
    ) -> None:
        self._folder = folder
        self._now = now
        self._encoding = encoding
        self._next = first_number

    def answer(self, file: str, interchange: Interchange, answer: str) -> list[Acknowledgement]:
        """Answers every group, and the envelope where TA1 was asked for or the envelope is wrong.

        Args:
            file: The file that is answered.
            interchange: What it is.
            answer: One of `settings.ANSWERS`; `silent` writes nothing.
        """
        if answer == "silent":
            return []
        ta1 = _ta1(interchange) if interchange.ta1_asked or interchange.code != "000" else []
        groups = [group for group in interchange.groups if group.functional_id != "FA"]
        if (interchange.code != "000" and answer == "auto") or not groups:
            if not ta1:
                return []
            name = self._write(interchange, "TA1", ta1, None)
            return [Acknowledgement(name, file, interchange.control, None, "TA1")]
        written = []
        for group in groups:
            body, code = _body(group, interchange.is_new, answer)
            name = self._write(interchange, "999" if interchange.is_new else "997", ta1, (group, body))
            written.append(Acknowledgement(name, file, interchange.control, group.control, code))
            ta1 = []
        return written

    def _write(self, of: Interchange, kind: str, ta1: Segments, group: tuple[Group, Segments] | None) -> str:
        number, self._next = self._next, self._next + 1
        now = self._now()
        segments: Segments = [*ta1]
        if group is not None:
            segments += _group(group[0], kind, group[1], number, now)
        segments.append(["IEA", "0" if group is None else "1", f"{number:09d}"])
        isa = [
            "ISA", "00", " " * 10, "00", " " * 10, of.receiver[0], f"{of.receiver[1]:<15}", of.sender[0],
            f"{of.sender[1]:<15}", f"{now:%y%m%d}", f"{now:%H%M}", of.repetition or "U", of.version, f"{number:09d}",
            "0", of.test_indicator, of.component,
        ]  # fmt: skip
        line_break = "" if of.terminator in "\r\n" else "\n"
        text = "".join(of.element.join(one) + of.terminator + line_break for one in (isa, *segments))
        name = f"{kind}_{number:09d}.edi"
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{name}.part"
        temporary.write_bytes(text.encode(self._encoding()))
        os.replace(temporary, self._folder / name)
        return name


def _ta1(of: Interchange) -> Segments:
    return [["TA1", of.control, of.date, of.time, "A" if of.code == "000" else "R", of.code]]


def _group(of: Group, kind: str, body: Segments, number: int, now: datetime) -> Segments:
    control = f"{1:04d}"
    return [
        ["GS", "FA", of.receiver, of.sender, f"{now:%Y%m%d}", f"{now:%H%M}", str(number), "X", of.version],
        ["ST", kind, control],
        *body,
        ["SE", str(len(body) + 2), control],
        ["GE", "1", str(number)],
    ]


def _body(group: Group, is_new: bool, answer: str) -> tuple[Segments, str]:
    """AK1 to AK9, and what AK9 says."""
    prefix = "IK" if is_new else "AK"
    segments: Segments = [["AK1", group.functional_id, group.control, *([group.version] if is_new else [])]]
    accepted = 0
    statuses = []
    for position, one in enumerate(group.sets, start=1):
        status = _status(one, answer, is_last=position == len(group.sets))
        statuses.append(status)
        accepted += status in ("A", "E")
        faults = one.faults or ([] if status == "A" or answer == "auto" else [_told_fault(one)])
        segments.append(["AK2", one.id, one.control])
        segments += [line for fault in faults for line in _fault(fault, prefix)]
        codes = one.codes[:5] or ([] if status == "A" else ["5"])
        segments.append([f"{prefix}5", status, *codes])
    code = _group_status(group, statuses, answer)
    if code == "R":
        accepted = 0
    count = str(len(group.sets))
    segments.append(["AK9", code, count, count, str(accepted), *group.codes[:5]])
    return segments, code


def _status(one: TransactionSet, answer: str, *, is_last: bool) -> str:
    match answer:
        case "auto":
            return "A" if one.is_sound else "R"
        case "P":
            return "R" if is_last else "A"
    return answer


def _group_status(group: Group, statuses: list[str], answer: str) -> str:
    if answer != "auto":
        return answer
    if group.codes or not any(status == "A" for status in statuses):
        return "R"
    return "A" if all(status == "A" for status in statuses) else "P"


def _told_fault(one: TransactionSet) -> SegmentFault:
    """What a rejection that was only told points at: a code in the set's second segment."""
    value = one.second[1] if len(one.second) > 1 else ""
    return SegmentFault(one.second[0] if one.second else "ST", 2, "8", (ElementFault(1, "7", value, ""),))


def _fault(fault: SegmentFault, prefix: str) -> Iterator[list[str]]:
    """AK3 or IK3: segment, position, loop, error; per element AK4 or IK4: position, dictionary number, error, copy."""
    yield [f"{prefix}3", fault.segment, str(fault.position), "", fault.code]
    for one in fault.elements:
        copy = "".join(character for character in one.value if character.isascii() and character.isalnum())[:99]
        yield [f"{prefix}4", str(one.position), "", one.code, *([copy] if copy else [])]
