from __future__ import annotations

import json
from pathlib import Path

import pytest

from tieout.errors import ContractBroken
from tieout.formats.x12.acknowledgements import Acknowledgement, ErrorNote, SetAnswer, read_acknowledgements

SAMPLE = (Path(__file__).parent / "samples" / "997_004010_accept.edi").read_bytes()

REJECTED_997 = """AK1*IN*101~AK2*810*0001~AK5*A~AK2*810*0002~AK3*BIG*2**8~AK4*1*373*8*20261305~AK4*2*76*5~
AK3*TDS*9**3~AK5*R*5*4~AK9*P*2*2*1*5~"""
REJECTED_999 = """AK1*PO*77*004010~AK2*850*0007*GUIDE~IK3*PO1*4*LOOP*8~CTX*SITUATIONAL TRIGGER*PO1*4**3~
IK4*6>2>1*234*I12*ABC~CTX*PO106~IK5*R*I5~AK9*R*1*1*0~"""


def interchange(*groups: str, envelopes: str = "", version: str = "00401", count: int | None = None) -> str:
    nothing = f"00*{' ' * 10}*"
    isa = f"ISA*{nothing * 2}ZZ*LEGACYERP      *ZZ*SYSPROEDU1     *260131*0605*U*{version}*000009001*0*T*>~"
    return isa + envelopes + "".join(groups) + f"IEA*{len(groups) if count is None else count}*000009001~"


def group(*sets: str, functional_id: str = "FA") -> str:
    return f"GS*{functional_id}*LEGACYERP*SYSPROEDU1*20260131*0605*9001*X*004010~{''.join(sets)}GE*{len(sets)}*9001~"


def one(body: str, kind: str = "997", control: str = "0001") -> str:
    return f"ST*{kind}*{control}~{body}SE*{body.count('~') + 2}*{control}~"


def read(text: str) -> list[Acknowledgement]:
    return read_acknowledgements(text.encode("ascii"))


def test_the_reference_sample() -> None:
    (found,) = read_acknowledgements(SAMPLE)
    assert found == Acknowledgement(
        "997", "SYSPROEDU1", None, "IN", 101, "A", 1, 1, 1, sets=(SetAnswer("810", "0001", "A"),)
    )
    assert (found.verdict, found.problems) == ("accepted", [])


def test_a_997_that_rejects_a_set() -> None:
    (found,) = read(interchange(group(one(REJECTED_997))))
    assert (found.kind, found.functional_id, found.group, found.verdict) == ("997", "IN", 101, "partially_accepted")
    assert (found.included, found.received, found.accepted) == (2, 2, 1)
    assert [answer.status for answer in found.sets] == ["A", "R"]
    assert found.sets[1].notes == (
        ErrorNote("BIG", 2, None, None, "8", "the segment has wrong elements"),
        ErrorNote("BIG", 2, 1, None, "8", "the date is invalid", "20261305"),
        ErrorNote("BIG", 2, 2, None, "5", "the element is too long"),
        ErrorNote("TDS", 9, None, None, "3", "a mandatory segment is missing"),
        ErrorNote("", None, None, None, "5", "one or more segments are in error"),
        ErrorNote("", None, None, None, "4", "the number of segments is not what SE says"),
    )
    assert found.problems[:4] == [
        "the number of sets is not what GE says (code 5)",
        "set 810 0002 was rejected",
        "set 810 0002, BIG (segment 2 of the set): the segment has wrong elements (code 8)",
        "set 810 0002, BIG01 (segment 2 of the set): the date is invalid (code 8): '20261305'",
    ]
    assert json.loads(json.dumps(found.to_json()))["sets"][1]["notes"][1]["value"] == "20261305"


def test_a_999_with_the_partners_guide() -> None:
    (found,) = read(interchange(group(one(REJECTED_999, "999")), version="00501"))
    assert (found.kind, found.functional_id, found.group, found.verdict) == ("999", "PO", 77, "rejected")
    assert found.sets[0].notes[1] == ErrorNote(
        "PO1", 4, 6, 2, "I12", "the element does not have the form that the partner's guide asks for", "ABC"
    )
    assert "PO106-2 (segment 4 of the set)" in found.problems[2]


@pytest.mark.parametrize(
    ("ta1", "verdict", "problems"),
    [
        ("TA1*000009003*260131*0605*A*000~", "accepted", []),
        ("TA1*000009003*260131*0605*A~", "accepted", []),
        ("TA1*000009003*260131*0605*E*014~", "accepted_with_errors", ["the date (ISA09) is invalid (code 014)"]),
        (
            "TA1*000009003*260131*0605*R*025~",
            "rejected",
            ["the control number (ISA13) was received before (code 025)"],
        ),
    ],
)
def test_what_is_said_of_an_interchange(ta1: str, verdict: str, problems: list[str]) -> None:
    (found,) = read(interchange(envelopes=ta1))
    assert (found.kind, found.interchange, found.group, found.functional_id) == ("TA1", 9003, None, "")
    assert (found.verdict, found.problems) == (verdict, problems)


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("AK1*IN*1~AK9*A*3*3*3~", "accepted"),
        ("AK1*IN*1~AK2*810*1~AK5*E*5~AK9*E*1*1*1~", "accepted_with_errors"),
        ("AK1*IN*1~AK9*P*3*3*2~", "partially_accepted"),
        *[(f"AK1*IN*1~AK9*{status}*3*3*0~", "rejected") for status in "RMWX"],
        # The group's status says less than its sets do.
        ("AK1*IN*1~AK2*810*1~AK5*R~AK9*A*2*2*1~", "partially_accepted"),
        ("AK1*IN*1~AK2*810*1~AK5*X~AK9*E*1*1*0~", "rejected"),
    ],
)
def test_statuses(body: str, verdict: str) -> None:
    (found,) = read(interchange(group(one(body))))
    assert found.verdict == verdict


def test_all_that_a_file_may_hold() -> None:
    sets = [one(f"AK1*IN*{number}~AK9*A*1*1*1~", control=f"{number:04d}") for number in range(1, 4)]
    text = interchange(group(sets[0]), group(*sets[1:]), envelopes="TA1*000000007*260131*0605*A*000~")
    text += "\r\n" + interchange(group(sets[0])) + "\n\x1a"
    assert [(found.kind, found.group) for found in read(text)] == [
        ("TA1", None), ("997", 1), ("997", 2), ("997", 3), ("997", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("element", "component", "terminator", "line_break"),
    [
        ("*", ">", "~", ""),
        ("*", ">", "~", "\r\n"),
        ("|", "<", "\n", ""),
        ("\x1d", "\x1f", "\x1c", ""),
        ("+", ":", "'", "\n"),
        ("^", "&", "\r", "\n"),
    ],
)
def test_separators_are_the_files_own(element: str, component: str, terminator: str, line_break: str) -> None:
    text = interchange(group(one(REJECTED_999.replace("\n", ""), "999")))
    table = {"*": element, ">": component, "~": terminator + line_break}
    assert read(text.translate(str.maketrans(table))) == read(text)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SAMPLE.decode().encode("cp037"), id="EBCDIC"),
        pytest.param(b"\xef\xbb\xbf" + SAMPLE, id="byte order mark"),
        pytest.param(b"\n  " + SAMPLE, id="blanks before"),
        pytest.param(SAMPLE.replace(b"LEGACYERP      *260131", b"LEGACYERP*260131"), id="an ISA without padding"),
        pytest.param(SAMPLE.replace(b"AK5*A~", b"AK5*A**~"), id="empty elements"),
    ],
)
def test_other_ways_to_write_the_same(data: bytes) -> None:
    assert read_acknowledgements(data) == read_acknowledgements(SAMPLE)


def test_codes_of_the_partners_own() -> None:
    (found,) = read(interchange(group(one("AK1*IN*1~AK2*810*1~AK3*BIG***511~AK5*R*99~AK9*R*1*1*0~"))))
    assert [note.words for note in found.sets[0].notes] == ["a code of the partner's own"] * 2
    assert found.sets[0].notes[0].position is None


GOOD = interchange(group(one(REJECTED_997.replace("\n", ""))))

BROKEN: dict[str, tuple[str, str]] = {
    "nothing": ("", "it is empty instead of ISA"),
    "no X12": ("Dear customer,", "begins with 'Dear customer,' instead of ISA"),
    "EDIFACT": ("UNA:+.? 'UNB+", "instead of ISA"),
    "another set": (interchange(group(one("BEG*00~", "850"), functional_id="PO")), "is PO and not FA"),
    "a set that is none": (interchange(group(one("AK1*IN*1~AK9*A*1*1*1~", "850"))), "acknowledgements are 997 or 999"),
    "an empty interchange": (interchange(), r"Segment 2 \(IEA\) is wrong: the interchange is empty"),
    "half an ISA": (GOOD[:60], "should be a complete ISA"),
    "an ISA without a terminator": (GOOD.replace(">~", ">AB", 1), "'A' as its terminator"),
    "rubbish behind": (GOOD + "x", "Segment 17 should be a complete ISA, and begins with 'x'"),
    "another IEA": (GOOD.replace("IEA*1*000009001", "IEA*1*000009002"), r"Segment 16 \(IEA\) is wrong: element 2"),
    "another GE": (GOOD.replace("GE*1*9001", "GE*1*9002"), r"\(GE\) is wrong: element 2 is 9002"),
    "another SE": (GOOD.replace("SE*12*0001", "SE*12*0002"), "'0002', that of ST is '0001'"),
    "too few segments": (GOOD.replace("SE*12", "SE*13"), "element 1 is 13, and the number of segments is 12"),
    "too few sets": (GOOD.replace("GE*1", "GE*2"), "the number of sets is 1"),
    "too few groups": (interchange(group(one("AK1*IN*1~AK9*A*1*1*1~")), count=2), "the number of groups is 1"),
    "a segment between groups": (interchange(envelopes="N1*X~"), "GS or TA1 should stand here"),
    "a segment between sets": (interchange(group("N1*X~")), "ST should stand here"),
    "no AK9": (interchange(group(one("AK1*IN*1~AK2*810*1~AK5*A~"))), "must begin with AK1 and end with AK9"),
    "no AK5": (interchange(group(one("AK1*IN*1~AK2*810*1~AK9*A*1*1*1~"))), "its set has no AK5"),
    "AK4 without AK3": (interchange(group(one("AK1*IN*1~AK2*810*1~AK4*1**8~AK5*R~AK9*R*1*1*0~"))), "out of place"),
    "AK4 after AK5": (
        interchange(group(one("AK1*IN*1~AK2*8*1~AK3*BIG*2~AK5*R~AK4*1**8~AK9*R*1*1*0~"))),
        "out of place",
    ),
    "AK5 without AK2": (interchange(group(one("AK1*IN*1~AK5*A~AK9*A*1*1*1~"))), "out of place"),
    "AK2 in AK2": (interchange(group(one("AK1*IN*1~AK2*8*1~AK2*8*2~AK5*A~AK9*A*1*1*1~"))), "out of place"),
    "an unknown status": (interchange(group(one("AK1*IN*1~AK9*Z*1*1*1~"))), "the status 'Z' is none of A, E, P"),
    "P for a set": (interchange(group(one("AK1*IN*1~AK2*810*1~AK5*P~AK9*P*1*1*1~"))), "the status 'P' is none of"),
    "no group number": (interchange(group(one("AK1*IN*x1~AK9*A*1*1*1~"))), "element 2 must be a number, and is 'x1'"),
    "a position that is none": (
        interchange(group(one("AK1*IN*1~AK2*8*1~AK3*BIG*2~AK4*x~AK5*R~AK9*R*1*1*0~"))),
        "must be a position, and is 'x'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_acknowledgement(case: str) -> None:
    text, sentence = BROKEN[case]
    with pytest.raises(ContractBroken, match=sentence):
        read(text)


def test_a_file_cut_short_anywhere_is_refused() -> None:
    read(GOOD)
    for end in range(len(GOOD)):
        with pytest.raises(ContractBroken):
            read(GOOD[:end])


def test_a_lost_or_doubled_segment_is_noticed() -> None:
    segments = GOOD.split("~")[:-1]
    for place in range(len(segments)):
        for damaged in (
            segments[:place] + segments[place + 1 :],
            segments[: place + 1] + segments[place:],
        ):
            with pytest.raises(ContractBroken):
                read("~".join(damaged) + "~")


def test_many_sets_in_one_file() -> None:
    sets = [one(f"AK1*IN*{number}~AK9*A*1*1*1~") for number in range(1, 5_001)]
    assert len(read(interchange(group(*sets)))) == 5_000
