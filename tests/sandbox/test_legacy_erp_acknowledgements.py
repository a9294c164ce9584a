"""The legacy ERP's answers to X12 files: 997, 999 and TA1."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from legacy_erp_files import SAMPLES, put, put_sample, x12

from sandbox.legacy_erp import LegacyErpInbox

x12file = pytest.importorskip("pyx12.x12file")

NEW = [("*U*00401*", "*^*00501*"), ("*X*004010", "*X*005010")]


@pytest.fixture
def inbox(tmp_path: Path) -> LegacyErpInbox:
    inbox = LegacyErpInbox(tmp_path, now=lambda: datetime(2026, 2, 1, 6, 30, tzinfo=UTC))
    inbox.start()
    return inbox


def answers(inbox: LegacyErpInbox) -> list[str]:
    """The texts of all answers, in order; each of them an interchange without fault."""
    texts = [path.read_text() for path in sorted(inbox.acks.iterdir(), key=lambda path: path.name[-13:])]
    for text in texts:
        reader = x12file.X12Reader(io.StringIO(text))
        found = [error for _ in reader for error in reader.pop_errors()]
        reader.cleanup()
        assert found + reader.pop_errors() == []
    return texts


def body(text: str) -> list[str]:
    """The segments between ST and SE."""
    segments = text.replace("\n", "").split("~")
    first = next(at for at, segment in enumerate(segments) if segment.startswith("ST*"))
    last = next(at for at, segment in enumerate(segments) if segment.startswith("SE*"))
    return segments[first + 1 : last]


def test_a_997_byte_for_byte(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, SAMPLES["810"])
    inbox.load()
    assert answers(inbox) == [
        "ISA*00*          *00*          *ZZ*LEGACYERP      *ZZ*SYSPROEDU1     *260201*0630*U*00401*000009001*0*T*>~\n"
        "GS*FA*LEGACYERP*SYSPROEDU1*20260201*0630*9001*X*004010~\n"
        "ST*997*0001~\nAK1*IN*101~\nAK2*810*0001~\nAK5*A~\nAK9*A*1*1*1~\nSE*6*0001~\nGE*1*9001~\nIEA*1*000009001~\n"
    ]
    assert [path.name for path in inbox.acks.iterdir()] == ["997_000009001.edi"]
    (answer,) = inbox.answers
    assert (answer.file, answer.interchange, answer.group, answer.answer) == (
        SAMPLES["810"].name,
        "000000101",
        "101",
        "A",
    )


TOLD: dict[str, tuple[str, list[str]]] = {
    "A": ("A", ["AK1*PS*103", "AK2*830*0001", "AK5*A", "AK9*A*1*1*1"]),
    "E": ("E", ["AK1*PS*103", "AK2*830*0001", "AK3*BFR*2**8", "AK4*1**7*00", "AK5*E*5", "AK9*E*1*1*1"]),
    "R": ("R", ["AK1*PS*103", "AK2*830*0001", "AK3*BFR*2**8", "AK4*1**7*00", "AK5*R*5", "AK9*R*1*1*0"]),
    "P": ("P", ["AK1*PS*103", "AK2*830*0001", "AK3*BFR*2**8", "AK4*1**7*00", "AK5*R*5", "AK9*P*1*1*0"]),
}


@pytest.mark.parametrize("is_new", [False, True], ids=["997", "999"])
@pytest.mark.parametrize(("answer", "expected"), TOLD.values(), ids=TOLD)
def test_answers_that_are_told(inbox: LegacyErpInbox, answer: str, expected: list[str], is_new: bool) -> None:
    inbox.settings.configure(answer=answer)
    put_sample(inbox, SAMPLES["830"], SAMPLES["830"].changed(*NEW) if is_new else None)
    inbox.load()
    (text,) = answers(inbox)
    if is_new:
        expected = [line.replace("AK3", "IK3").replace("AK4", "IK4").replace("AK5", "IK5") for line in expected]
        expected[0] += "*005010"
        assert "*^*00501*" in text and "*X*005010~" in text and "ST*999*" in text
    assert body(text) == expected
    assert inbox.problems == []


def test_some_sets_accepted(inbox: LegacyErpInbox) -> None:
    inbox.settings.configure(answer="P")
    head, _, rest = x12("850").decode().partition("ST*")
    one = "ST*" + rest.partition("GE*")[0]
    other = one.replace("000000000150802", "150803").replace("*0001", "*0002")
    content = (head + one + other + "GE*2*102~\nIEA*1*000000102~\n").encode()
    put(inbox, "PO_EDU1_202601_000001.edi", content, 2, {"amount": {"USD": "500"}})
    inbox.load()
    assert body(answers(inbox)[0]) == [
        "AK1*PO*102", "AK2*850*0001", "AK5*A", "AK2*850*0002", "AK3*BEG*2**8", "AK4*1**7*00", "AK5*R*5", "AK9*P*2*2*1",
    ]  # fmt: skip


def test_a_set_number_that_came_before(inbox: LegacyErpInbox) -> None:
    head, _, rest = x12("850").decode().partition("ST*")
    one = "ST*" + rest.partition("GE*")[0]
    put(inbox, "PO_EDU1_202601_000001.edi", (head + one + one + "GE*2*102~\nIEA*1*000000102~\n").encode())
    inbox.load()
    assert body(answers(inbox)[0])[2:] == ["AK5*A", "AK2*850*0001", "AK5*R*7", "AK9*P*2*2*1"]


FOUND: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "element": (
        [("20260120****VV", "20260230****VV")],
        ["AK3*FST*13**8", "AK4*4**8*20260230", "AK5*R*5", "AK9*R*1*1*0"],
    ),
    "unknown segment": ([("UIT*ZZ", "UIX*ZZ")], ["AK3*UIX*8**1", "AK3*PID*9**7", "AK5*R*5", "AK9*R*1*1*0"]),
    "count": ([("SE*20*", "SE*19*")], ["AK5*R*4", "AK9*R*1*1*0"]),
    "set control": ([("SE*20*0001", "SE*20*0002")], ["AK5*R*3", "AK9*R*1*1*0"]),
    "group control": ([("GE*1*103", "GE*1*104")], ["AK5*A", "AK9*R*1*1*0*4"]),
    "group of another set": ([("GS*PS", "GS*IN")], ["AK5*R*6", "AK9*R*1*1*0"]),
    "group count": ([("GE*1*", "GE*2*")], ["AK5*A", "AK9*R*1*1*0*5"]),
    "group without end": ([("GE*1*103~\n", "")], ["AK5*A", "AK9*R*1*1*0*3"]),
    "set without end": ([("SE*20*0001~\n", "")], ["AK5*R*2", "AK9*R*1*1*0"]),
    "unknown set": ([("ST*830", "ST*831")], ["AK5*R*1", "AK9*R*1*1*0"]),
}


@pytest.mark.parametrize(("changes", "expected"), FOUND.values(), ids=FOUND)
def test_what_is_really_wrong_is_told(
    inbox: LegacyErpInbox, changes: list[tuple[str, str]], expected: list[str]
) -> None:
    put_sample(inbox, SAMPLES["830"], SAMPLES["830"].changed(*changes))
    inbox.load()
    (text,) = answers(inbox)
    assert body(text)[2:] == expected


def test_contents_are_no_matter_of_syntax(inbox: LegacyErpInbox) -> None:
    """A control total that is wrong is the receiver's problem, and the syntax is accepted all the same."""
    put_sample(inbox, SAMPLES["830"], SAMPLES["830"].changed(("CTT*2*0", "CTT*2*10")))
    inbox.load()
    assert body(answers(inbox)[0])[-1] == "AK9*A*1*1*1"
    assert inbox.problems != []


def ta1(text: str) -> str:
    return next(segment for segment in text.replace("\n", "").split("~") if segment.startswith("TA1*"))


def test_ta1_where_it_is_asked_for(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, SAMPLES["830"], SAMPLES["830"].changed(("000000103*0*T", "000000103*1*T")))
    inbox.load()
    (path,) = inbox.acks.iterdir()
    text = path.read_text()
    assert ta1(text) == "TA1*000000103*260131*0605*A*000"
    assert text.index("TA1*") < text.index("GS*") and "AK9*A" in text


@pytest.mark.parametrize(
    ("changes", "code"),
    [([("*T*>", "*P*>")], "020"), ([("IEA*1*000000103", "IEA*1*000000104")], "001"), ([("IEA*1", "IEA*2")], "021"),
     ([("IEA*1*000000103~\n", "")], "023")],
    ids=["production", "control numbers", "groups", "cut off"],
)  # fmt: skip
def test_a_wrong_envelope_is_rejected_as_such(inbox: LegacyErpInbox, changes: list[tuple[str, str]], code: str) -> None:
    put_sample(inbox, SAMPLES["830"], SAMPLES["830"].changed(*changes))
    inbox.load()
    (path,) = inbox.acks.iterdir()
    assert path.name == "TA1_000009001.edi"
    assert ta1(path.read_text()) == f"TA1*000000103*260131*0605*R*{code}"
    assert "IEA*0*000009001~" in path.read_text()


def test_a_control_number_that_came_before_is_rejected(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, SAMPLES["830"])
    other = SAMPLES["830"].changed(("OFFICE", "OTHER!"))
    put_sample(inbox, SAMPLES["830"], other, "GL_EDU1_202601_000002.edi")
    inbox.load()
    assert [(answer.answer, answer.group) for answer in inbox.answers] == [("A", "103"), ("TA1", None)]
    assert ta1((inbox.acks / inbox.answers[1].name).read_text()).endswith("*R*025")


def test_silence_and_a_late_answer(inbox: LegacyErpInbox) -> None:
    inbox.settings.configure(answer="silent")
    sample = SAMPLES["830"]
    put_sample(inbox, sample)
    put_sample(inbox, SAMPLES["suppliers"], name="SUP_EDU1_202601_000002.csv")
    inbox.load()
    assert (inbox.answers, list(inbox.acks.iterdir())) == ([], [])
    inbox.answer(sample.name, "A")
    inbox.answer(sample.name, "R")
    assert [body(text)[-1] for text in answers(inbox)] == ["AK9*A*1*1*1", "AK9*R*1*1*0"]
    assert [answer.name for answer in inbox.answers] == ["997_000009001.edi", "997_000009002.edi"]


@pytest.mark.parametrize(
    ("name", "answer", "error", "message"),
    [
        (SAMPLES["830"].name, "yes", ValueError, "answer is 'yes'"),
        ("SUP_EDU1_202601_000002.csv", "A", ValueError, "is no X12 file"),
        ("nothing.edi", "A", KeyError, "nothing.edi"),
    ],
)
def test_what_cannot_be_answered(inbox: LegacyErpInbox, name: str, answer: str, error: Any, message: str) -> None:
    put_sample(inbox, SAMPLES["830"])
    put_sample(inbox, SAMPLES["suppliers"], name="SUP_EDU1_202601_000002.csv")
    inbox.load()
    with pytest.raises(error, match=message):
        inbox.answer(name, answer)


def test_a_file_that_is_sent_again_is_answered_again(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, SAMPLES["830"])
    inbox.load()
    put_sample(inbox, SAMPLES["830"], name="GL_EDU1_202601_000001_R1.edi")
    inbox.load()
    assert [answer.file for answer in inbox.answers] == [SAMPLES["830"].name, "GL_EDU1_202601_000001_R1.edi"]
    assert len(answers(inbox)) == 2


def test_an_answer_in_ebcdic(inbox: LegacyErpInbox) -> None:
    inbox.settings.configure(x12_encoding="cp037")
    put_sample(inbox, SAMPLES["830"], SAMPLES["830"].content.decode().encode("cp037"))
    inbox.load()
    (path,) = inbox.acks.iterdir()
    assert body(path.read_text(encoding="cp037"))[-1] == "AK9*A*1*1*1"


def test_a_file_of_which_nothing_can_be_trusted_is_not_answered(inbox: LegacyErpInbox) -> None:
    put_sample(inbox, SAMPLES["830"], SAMPLES["830"].content[:80])
    inbox.load()
    assert inbox.answers == []
