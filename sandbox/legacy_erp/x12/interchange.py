"""An interchange as the receiver understood it: envelope, groups, sets, and what is wrong with each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ElementFault:
    """A wrong element, as AK4 and IK4 tell it.

    Attributes:
        position: From 1.
        code: Data element syntax error: 1 missing, 2 missing with another, 3 too many, 4 short, 5 long, 6 character,
            7 code, 8 date, 9 time.
    """

    position: int
    code: str
    value: str
    what: str


@dataclass(frozen=True)
class SegmentFault:
    """A wrong segment, as AK3 and IK3 tell it.

    Attributes:
        position: In the set, ST being 1.
        code: Segment syntax error: 1 unknown, 2 unexpected, 3 missing, 5 too many times, 7 out of place, 8 has wrong
            elements.
    """

    segment: str
    position: int
    code: str
    elements: tuple[ElementFault, ...] = ()


@dataclass
class TransactionSet:
    """One set.

    Attributes:
        id: ST01.
        control: ST02.
        faults: Segments that break the standard, at most a few.
        codes: Set syntax errors (AK502): 1 set not supported, 3 control number, 4 count, 5 segments in error.
        second: Its second segment, which a told rejection points at.
    """

    id: str
    control: str
    segments: int = 1
    faults: list[SegmentFault] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    second: list[str] = field(default_factory=list)

    def fault(self, code: str) -> None:
        """Notes a set syntax error once."""
        if code not in self.codes:
            self.codes.append(code)

    @property
    def is_sound(self) -> bool:
        """Whether nothing breaks the standard."""
        return not self.codes


@dataclass
class Group:
    """A functional group.

    Attributes:
        codes: Group syntax errors (AK905): 3 trailer missing, 4 control number, 5 count.
    """

    functional_id: str
    sender: str
    receiver: str
    control: str
    version: str
    sets: list[TransactionSet] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)


@dataclass
class Interchange:
    """The envelope.

    Attributes:
        sender, receiver: Qualifier and id, without the padding.
        control: ISA13, nine digits.
        code: What TA1 says of it: 000, or the note of its fault: 001 control numbers differ, 006 or 008 sender or
            receiver, 020 ISA15, 021 count of groups, 023 cut off, 025 number used before.
    """

    element: str
    component: str
    terminator: str
    repetition: str
    sender: tuple[str, str]
    receiver: tuple[str, str]
    date: str
    time: str
    version: str
    control: str
    ta1_asked: bool
    test_indicator: str
    groups: list[Group] = field(default_factory=list)
    code: str = "000"

    @property
    def is_new(self) -> bool:
        """Release 005010, whose answer is a 999."""
        return self.version == "00501"

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {
            "control": self.control, "sender": self.sender[1], "receiver": self.receiver[1], "version": self.version,
            "test_indicator": self.test_indicator, "ta1": self.code,
            "groups": [
                {
                    "functional_id": group.functional_id, "control": group.control, "version": group.version,
                    "sets": [{"id": one.id, "control": one.control, "segments": one.segments} for one in group.sets],
                }
                for group in self.groups
            ],
        }  # fmt: skip
