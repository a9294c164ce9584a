"""Reads what a partner's system says of the files it got: 997 (004010), 999 (005010) and TA1.

A reader of its own, by the file's own separators: what a partner sends is not limited by what we write. A file that is
not complete, or whose counts and control numbers do not agree, is refused as a whole: half an acknowledgement could
make a rejected set look accepted. Source of the structure: X12 997, 999 and TA1; see `acknowledgement_codes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tieout.errors import ContractBroken
from tieout.formats.x12.acknowledgement_codes import (
    ELEMENT_ERRORS,
    GROUP_ERRORS,
    INTERCHANGE_ERRORS,
    INTERCHANGE_STATUSES,
    SEGMENT_ERRORS,
    SET_ERRORS,
    STATUSES,
    words,
)

Kind = Literal["997", "999", "TA1"]
Verdict = Literal["accepted", "accepted_with_errors", "partially_accepted", "rejected"]

_VERDICTS: Mapping[str, Verdict] = {"A": "accepted", "E": "accepted_with_errors", "P": "partially_accepted"}
_ISA_ELEMENTS = 16
_LONGEST_ISA = 300  # 106 characters where it is as it should be; some do not pad
_BETWEEN_SEGMENTS = "\r\n\t "
_AFTER_THE_END = "\r\n\t \x00\x1a"
_EBCDIC_ISA = "ISA".encode("cp037")


@dataclass(frozen=True)
class ErrorNote:
    """One thing that is wrong with a set.

    Attributes:
        segment: Its id; empty where the note is about the whole set.
        position: Of the segment in the set, ST being 1.
        element: Position of the element in the segment; None where the note is about the segment.
        component: Position in a composite element.
        code: The standard's code, of a list that depends on what the note is about.
        words: What it means.
        value: The wrong value, as far as the partner gives it back.
    """

    segment: str
    position: int | None
    element: int | None
    component: int | None
    code: str
    words: str
    value: str = ""

    def __str__(self) -> str:
        where = ""
        if self.segment:
            where = self.segment if self.element is None else f"{self.segment}{self.element:02d}"
            where += f"-{self.component}" if self.component is not None else ""
            where += f" (segment {self.position} of the set)" if self.position is not None else ""
            where += ": "
        value = f": {self.value!r}" if self.value else ""
        return f"{where}{self.words} (code {self.code}){value}"


@dataclass(frozen=True)
class SetAnswer:
    """What was said of one set.

    Attributes:
        set_id: Such as `810`.
        control: ST02 as it was sent.
        status: `A`, `E`, `R`, `M`, `W` or `X`.
        notes: What is wrong with it.
    """

    set_id: str
    control: str
    status: str
    notes: tuple[ErrorNote, ...] = ()

    @property
    def is_rejected(self) -> bool:
        """Whether the partner did not take the set."""
        return self.status not in _VERDICTS


@dataclass(frozen=True)
class Acknowledgement:
    """What was said of one group (997, 999) or of one interchange (TA1).

    Attributes:
        kind: Which of them it is.
        sender: Who says so (ISA06 of the acknowledgement).
        interchange: TA101: the interchange it answers; None for a group.
        functional_id: AK101, such as `IN`; empty for an interchange.
        group: AK102: the control number of the group it answers; None for an interchange.
        status: `A`, `E`, `P`, `R`, `M`, `W` or `X`.
        included: Sets that the group's trailer announced; None for an interchange, as are the next two.
        received: Sets that came.
        accepted: Sets that were accepted.
        sets: The sets that were answered one by one.
        notes: What is wrong with the group or the interchange as such.
    """

    kind: Kind
    sender: str
    interchange: int | None
    functional_id: str
    group: int | None
    status: str
    included: int | None = None
    received: int | None = None
    accepted: int | None = None
    sets: tuple[SetAnswer, ...] = ()
    notes: tuple[ErrorNote, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The status as a word, taken together with those of the sets: a rejected set is never passed over."""
        said = _VERDICTS.get(self.status, "rejected")
        if said in ("accepted", "accepted_with_errors") and any(one.is_rejected for one in self.sets):
            return "rejected" if self.accepted == 0 else "partially_accepted"
        return said

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words: the group or interchange first, then set by set."""
        found = [str(note) for note in self.notes]
        for one in self.sets:
            if one.is_rejected or one.notes:
                found.append(f"set {one.set_id} {one.control} was {STATUSES[one.status]}")
                found += [f"set {one.set_id} {one.control}, {note}" for note in one.notes]
        return found

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return asdict(self)


def read_acknowledgements(data: bytes) -> list[Acknowledgement]:
    """All acknowledgements of a file, in their order.

    Args:
        data: The whole file; one or several interchanges. ASCII or a superset of it, or EBCDIC (cp037).

    Raises:
        ContractBroken: It is no acknowledgement, not complete, or its parts do not agree; says where.
    """
    found: list[Acknowledgement] = []
    for interchange in _interchanges(_text(data)):
        found += _read_interchange(interchange)
    return found


@dataclass(frozen=True)
class _Segment:
    """A segment and where it is.

    Attributes:
        number: Its place in the file, from 1.
    """

    id: str
    elements: Sequence[str]
    number: int

    def at(self, position: int) -> str:
        """An element by its position in the standard, without blanks around it; empty where there is none."""
        return self.elements[position - 1].strip() if position <= len(self.elements) else ""

    def digits(self, position: int) -> int:
        """An element that must be a number without sign.

        Raises:
            ContractBroken: It is none.
        """
        text = self.at(position)
        if not (text.isascii() and text.isdecimal()):
            raise self.broken(f"element {position} must be a number, and is {text!r}")
        return int(text)

    def number_or_none(self, position: int) -> int | None:
        """A number that may be missing."""
        return self.digits(position) if self.at(position) else None

    def broken(self, what: str) -> ContractBroken:
        """The error of a segment that cannot be right."""
        return ContractBroken(f"Segment {self.number} ({self.id}) is wrong: {what}.")


@dataclass(frozen=True)
class _Interchange:
    header: _Segment
    body: Sequence[_Segment]
    component: str


def _text(data: bytes) -> str:
    raw = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    text = raw.decode("cp037" if raw.startswith(_EBCDIC_ISA) else "latin-1")
    if not text.startswith("ISA"):
        begins = f"begins with {text[:20]!r}" if text else "is empty"
        raise ContractBroken(f"It is no X12 file: it {begins} instead of ISA.")
    return text


def _interchanges(text: str) -> Iterator[_Interchange]:
    """Cut a file into interchanges; each names its own separators in its ISA."""
    position, number = 0, 1
    while position < len(text):
        isa = text[position : position + _LONGEST_ISA]
        separator = isa[3:4]
        parts = isa.split(separator, _ISA_ELEMENTS) if separator else []
        if not isa.startswith("ISA") or len(parts) <= _ISA_ELEMENTS or len(parts[-1]) < 2:
            raise ContractBroken(f"Segment {number} should be a complete ISA, and begins with {isa[:20]!r}.")
        component, terminator = parts[-1][0], parts[-1][1]
        if terminator.isalnum() or terminator in (separator, component):
            raise ContractBroken(f"Segment {number} (ISA) names {terminator!r} as its terminator, which ends nothing.")
        header = _Segment("ISA", [*parts[1:_ISA_ELEMENTS], component], number)
        position += len(isa) - len(parts[-1]) + 2
        body: list[_Segment] = []
        while not body or body[-1].id != "IEA":
            end = text.find(terminator, position)
            if end < 0:
                raise ContractBroken(f"It is not complete: it ends after segment {number}, before IEA.")
            number += 1
            segment_id, *elements = text[position:end].strip(_BETWEEN_SEGMENTS).split(separator)
            body.append(_Segment(segment_id, elements, number))
            position = end + 1
        yield _Interchange(header, body, component)
        number += 1
        while position < len(text) and text[position] in _AFTER_THE_END:
            position += 1


def _read_interchange(interchange: _Interchange) -> Iterator[Acknowledgement]:
    header, trailer = interchange.header, interchange.body[-1]
    _same(trailer, 2, header.digits(13), "the control number of ISA")
    sender = header.at(6)
    groups = envelopes = 0
    segments = iter(interchange.body[:-1])
    for first in segments:
        if first.id == "TA1":
            envelopes += 1
            yield _envelope_answer(first, sender)
        elif first.id == "GS":
            groups += 1
            yield from _read_group(first, _until(segments, first, "GE"), sender, interchange.component)
        else:
            raise first.broken("GS or TA1 should stand here")
    _same(trailer, 1, groups, "the number of groups")
    if not groups + envelopes:
        raise trailer.broken("the interchange is empty")


def _read_group(first: _Segment, group: Sequence[_Segment], sender: str, component: str) -> Iterator[Acknowledgement]:
    if first.at(1) != "FA":
        raise ContractBroken(
            f"It is no acknowledgement: its group (segment {first.number}) is {first.at(1) or 'nameless'} and not FA."
        )
    sets = 0
    segments = iter(group[:-1])
    for opening in segments:
        if opening.id != "ST":
            raise opening.broken("ST should stand here")
        sets += 1
        yield _group_answer(opening, _until(segments, opening, "SE"), sender, component)
    _same(group[-1], 1, sets, "the number of sets")
    _same(group[-1], 2, first.digits(6), "the control number of GS")


def _group_answer(opening: _Segment, segments: Sequence[_Segment], sender: str, component: str) -> Acknowledgement:
    """One 997 or 999: AK1, per set AK2 to AK5 (IK5), AK9."""
    kind = opening.at(1)
    if kind not in ("997", "999"):
        raise opening.broken(f"the set is {kind!r}, and acknowledgements are 997 or 999")
    *body, trailer = segments
    _same(trailer, 1, len(body) + 2, "the number of segments")
    if trailer.at(2) != opening.at(2):
        raise trailer.broken(f"its control number is {trailer.at(2)!r}, that of ST is {opening.at(2)!r}")
    if len(body) < 2 or body[0].id != "AK1" or body[-1].id != "AK9":
        raise opening.broken(f"a {kind} must begin with AK1 and end with AK9")
    group, *answers, total = body
    return Acknowledgement(
        kind="997" if kind == "997" else "999",
        sender=sender,
        interchange=None,
        functional_id=group.at(1),
        group=group.digits(2),
        status=_status(total, 1, STATUSES),
        included=total.digits(2),
        received=total.digits(3),
        accepted=total.digits(4),
        sets=tuple(_set_answers(answers, component)),
        notes=tuple(_codes(total, range(5, 10), GROUP_ERRORS)),
    )


def _set_answers(segments: Sequence[_Segment], component: str) -> Iterator[SetAnswer]:
    opening: _Segment | None = None
    notes: list[ErrorNote] = []
    at: _Segment | None = None
    for segment in segments:
        match segment.id:
            case "AK2" if opening is None:
                opening, notes, at = segment, [], None
            case "AK3" | "IK3" if opening is not None:
                at = segment
                code = segment.at(4)
                notes.append(_segment_note(segment, code))
            case "AK4" | "IK4" if at is not None:
                notes.append(_element_note(at, segment, component))
            case "AK5" | "IK5" if opening is not None:
                status = _status(segment, 1, {code: text for code, text in STATUSES.items() if code != "P"})
                codes = _codes(segment, range(2, 7), SET_ERRORS)
                yield SetAnswer(opening.at(1), opening.at(2), status, (*notes, *codes))
                opening = at = None
            case "CTX" if opening is not None:
                pass  # which rule of a guide was broken; the code has said that one was
            case _:
                raise segment.broken("it is out of place")
    if opening is not None:
        raise opening.broken("its set has no AK5 or IK5")


def _segment_note(segment: _Segment, code: str) -> ErrorNote:
    meaning = words(SEGMENT_ERRORS, code) if code else "an error"
    return ErrorNote(segment.at(1), segment.number_or_none(2), None, None, code, meaning)


def _element_note(at: _Segment, segment: _Segment, component: str) -> ErrorNote:
    element, _, rest = segment.at(1).partition(component)
    inner = rest.partition(component)[0]
    for text in (element, inner):
        if text and not (text.isascii() and text.isdecimal()):
            raise segment.broken(f"element 1 must be a position, and is {segment.at(1)!r}")
    code = segment.at(3)
    return ErrorNote(
        segment=at.at(1),
        position=at.number_or_none(2),
        element=int(element) if element else None,
        component=int(inner) if inner else None,
        code=code,
        words=words(ELEMENT_ERRORS, code),
        value=segment.at(4),
    )


def _envelope_answer(segment: _Segment, sender: str) -> Acknowledgement:
    code = segment.at(5)
    is_error = code not in ("", "000")
    return Acknowledgement(
        kind="TA1",
        sender=sender,
        interchange=segment.digits(1),
        functional_id="",
        group=None,
        status=_status(segment, 4, INTERCHANGE_STATUSES),
        notes=(ErrorNote("", None, None, None, code, words(INTERCHANGE_ERRORS, code)),) if is_error else (),
    )


def _codes(segment: _Segment, positions: range, meanings: Mapping[str, str]) -> Iterator[ErrorNote]:
    for position in positions:
        code = segment.at(position)
        if code:
            yield ErrorNote("", None, None, None, code, words(meanings, code))


def _status(segment: _Segment, position: int, allowed: Mapping[str, str]) -> str:
    status = segment.at(position)
    if status not in allowed:
        raise segment.broken(f"the status {status!r} is none of {', '.join(allowed)}")
    return status


def _until(segments: Iterator[_Segment], first: _Segment, last: str) -> list[_Segment]:
    """The segments up to and with a trailer."""
    found: list[_Segment] = []
    for segment in segments:
        found.append(segment)
        if segment.id == last:
            return found
    raise first.broken(f"it has no trailer ({last})")


def _same(segment: _Segment, position: int, expected: int, what: str) -> None:
    if segment.digits(position) != expected:
        raise segment.broken(f"element {position} is {segment.at(position)}, and {what} is {expected}")
