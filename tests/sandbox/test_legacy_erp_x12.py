"""The legacy ERP's X12 reader: what is planted in the samples' envelopes, segments and contents is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from legacy_erp_files import SAMPLES, new_inbox, put, put_sample, received, x12

Changes = list[tuple[str, str]]
NEW = [("*U*00401*", "*^*00501*"), ("*X*004010", "*X*005010")]
GS_830 = "GS*PS*SYSPROEDU1*LEGACYERP*20260131*0605*103*X*004010"


@pytest.mark.parametrize("name", ["830", "821", "810", "850", "832"])
@pytest.mark.parametrize(
    "kind", ["005010", "no line breaks", "crlf", "other separators", "line break as terminator", "ebcdic"]
)
def test_every_way_to_write_the_samples(tmp_path: Path, name: str, kind: str) -> None:
    sample = SAMPLES[name]
    text = sample.content.decode()
    encoding = "cp037" if kind == "ebcdic" else "ascii"
    match kind:
        case "005010":
            text = sample.changed(*NEW).decode()
        case "no line breaks":
            text = text.replace("\n", "")
        case "crlf":
            text = text.replace("\n", "\r\n")
        case "other separators":
            text = text.replace("*", "|").replace("~", "\x1e").replace(">", ":")
        case "line break as terminator":
            text = text.replace("~", "")
    inbox = new_inbox(tmp_path, x12_encoding=encoding)
    put_sample(inbox, sample, text.encode(encoding))
    assert (received(inbox).records, inbox.problems) == (sample.records, [])


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    put_sample(inbox, SAMPLES["830"])
    assert received(inbox).detail == {
        "purpose": "00", "reference": "EDU1-GL-202601", "period_start": "20260101", "period_end": "20260131",
        "generated": "20260201", "currency": "USD", "batch": "GL202601-0001",
        "party_FR": {"name": "EDU1 MANUFACTURING", "code": "EDU1"},
        "party_TO": {"name": "LEGACY ERP", "code": "LEGACY"}, "hash_total": "0",
    }  # fmt: skip


ENVELOPE: dict[str, tuple[Changes, str]] = {
    "ISA too short": ([("SYSPROEDU1     *", "SYSPROEDU1    *")], "does not have its 106 characters"),
    "ISA right-justified": ([("*SYSPROEDU1     *", "*     SYSPROEDU1*")], "ISA06 is '     SYSPROEDU1'"),
    "password": ([("ISA*00*          ", "ISA*01*SECRET    ")], "ISA01 to ISA04 must be 00 and blank"),
    "ISA date": ([("*260131*", "*261331*")], "ISA09 '261331' is no date"),
    "ISA time": ([("*0605*U", "*2505*U")], "ISA10 '2505' is no time"),
    "ISA11": ([("*U*00401", "*^*00401")], "ISA11 is '^'"),
    "ISA12": ([("*U*00401", "*U*00400")], "ISA12 is '00400'"),
    "ISA13": ([("*000000103*0", "*00000010X*0")], "ISA13 '00000010X' is no control number"),
    "ISA14": ([("103*0*T", "103*2*T")], "ISA14 is '2'"),
    "production": ([("*T*>", "*P*>")], "ISA15 is 'P' and must be T"),
    "separator is a letter": ([("*T*>", "*T*X")], "cannot separate anything"),
    "separator in data": ([("OFFICE SUP", "OFFICE>SUP")], "PID05 'OFFICE>SUPPLIES' has the character '>'"),
    "repetition separator in data": ([*NEW, ("OFFICE S", "OFFICE^S")], "has the character '^'"),
    "control character": ([("OFFICE S", "OFFICE\nS")], "has a control character"),
    "not ascii": ([("OFFICE", "OFFÎCE")], "The bytes are not ascii"),
    "version": ([("*X*004010", "*X*005010")], "the last of them X and 004010"),
    "GS date": ([("*20260131*0605*103*", "*20261331*0605*103*")], "GS04 '20261331'"),
    "GS control number": ([("*103*X", "*0103*X"), ("GE*1*103", "GE*1*0103")], "GS06 '0103' is no control number"),
    "GS receiver": ([("GS*PS*SYSPROEDU1*LEGACYERP", "GS*PS*SYSPROEDU1*L")], "GS02 and GS03 must have 2 to 15"),
    "group of another set": ([("GS*PS", "GS*IN")], "The set 830 stands in a group 'IN'"),
    "SE01": ([("SE*20*", "SE*19*")], "SE01 says 19 segments and there are 20"),
    "SE02": ([("SE*20*0001", "SE*20*0002")], "SE02 is '0002' and ST02 '0001'"),
    "ST02": ([("ST*830*0001", "ST*830*001"), ("SE*20*0001", "SE*20*001")], "ST02 '001' is shorter than 4"),
    "GE01": ([("GE*1*", "GE*2*")], "GE01 says 2 sets and the group has 1"),
    "GE02": ([("GE*1*103", "GE*1*104")], "GE02 is '104' and GS06 '103'"),
    "IEA01": ([("IEA*1*", "IEA*2*")], "IEA01 says 2 groups and there are 1"),
    "IEA02": ([("IEA*1*000000103", "IEA*1*000000104")], "IEA02 is '000000104' and ISA13 '000000103'"),
    "no IEA": ([("IEA*1*000000103~\n", "")], "There is no IEA: the file is cut off"),
    "cut off within a segment": ([("IEA*1*000000103~\n", "IEA*1*0000")], "ends in 'IEA*1*0000'"),
    "no GE": ([("GE*1*103~\n", "")], "There is no GE"),
    "no SE": ([("SE*20*0001~\n", "")], "the set has no SE"),
    "no SE and no GE": ([("SE*20*0001~\nGE*1*103~\n", "")], "the set has no SE"),
    "no SE before a GS": ([("SE*20*0001~\n", f"{GS_830}~\n")], "the set has no SE"),
    "no SE before an ST": (
        [("SE*20*0001~\n", "ST*830*0002~\nSE*2*0002~\n")],
        "Set 0001, segment 19: the set has no SE",
    ),
    "GS before the GE": ([("GE*1*103~\n", f"{GS_830}~\nGE*0*103~\n")], "A GS comes before the GE of the group"),
    "GE without GS": ([("GE*1*103~\n", "GE*1*103~\nGE*1*103~\n")], "A GE comes without its GS"),
    "no GS": ([(f"{GS_830}~\n", "")], "The set 0001 stands in no group"),
    "segment outside": ([("GE*1*103", "REF*BT*X~\nGE*1*103")], "'REF*BT*X' stands in no set"),
    "after the end": ([("IEA*1*000000103~", "IEA*1*000000103~\nREF*BT*X~")], "'REF*BT*X' comes after the IEA"),
    "unknown set": ([("ST*830", "ST*831")], "The set 831 is not taken here"),
}


@pytest.mark.parametrize(("changes", "problem"), ENVELOPE.values(), ids=ENVELOPE)
def test_envelope_problems(tmp_path: Path, changes: Changes, problem: str) -> None:
    assert_found(tmp_path, "830", changes, problem)


CONTENTS: dict[str, tuple[str, Changes, str]] = {
    "unknown segment": ("830", [("UIT*ZZ", "UIX*ZZ")], "the segment 'UIX*ZZ' is not known"),
    "segment missing": ("830", [("UIT*ZZ~\n", ""), ("SE*20", "SE*19")], "PID may not follow LIN"),
    "mandatory segment": ("810", [("TDS*25000~\n", ""), ("SE*18", "SE*17")], "the mandatory segment TDS is missing"),
    "order without lines": (
        "850",
        [("PO1*1*10*EA*12.5**BP*A100*VP*ACM-A100~\nPID*F****BRACKET, LEFT~\nPO1*2*4*EA*31.25**BP*B200~\n", "")],
        "CTT may not follow N1",
    ),
    "LIN01": ("830", [("LIN*2", "LIN*3")], "LIN01 is '3' and should be 2"),
    "account": ("830", [("LIN*1*ZZ*20*ZZ*4000-20-100", "LIN*1*ZZ*20")], "LIN05, the account, is missing"),
    "account of the REF": ("830", [("REF*GZ*2100", "REF*GZ*2101")], "REF*GZ says '2101-30-000' and the LIN"),
    "cost centre of the REF": ("830", [("REF*CA*30", "REF*CA*31")], "REF*CA says '31' and the LIN '30'"),
    "account twice": (
        "830",
        [("LIN*2*ZZ*30*ZZ*2100-30-000", "LIN*2*ZZ*20*ZZ*4000-20-100")],
        "account '4000-20-100' of cost centre '20' came before",
    ),
    "grouping": ("830", [("LIN*1*ZZ*20", "LIN*1*ZZ*40")], "cost centre '30' comes after '40'"),
    "date": ("830", [("20260120****VV", "20260230****VV")], "FST04 '20260230' is no date"),
    "date of seven digits": ("830", [("20260120****VV", "2026012****VV")], "FST04 '2026012' is no date"),
    "account without lines": (
        "821",
        [("FIR*ZZ*APIN*209.50*20260120*****C~\nREF*VV*202601-0000012360~\nSE", "SE")],
        "SE may not follow CUR",
    ),
    "exponent": ("830", [("FST*250*", "FST*2.5E2*")], "FST01 '2.5E2' is no decimal number"),
    "thousands": ("830", [("FST*250*", "FST*1,250*")], "FST01 '1,250' is no decimal number"),
    "too many digits": ("830", [("FST*250*", "FST*1234567890123456*")], "FST01 '1234567890123456' is longer than 15"),
    "voucher": ("830", [("VV*202601-0000012345", "VV*12345")], "the voucher '12345' is not of the form"),
    "amount too large": ("830", [("FST*250*", "FST*1234567890123*")], "'1234567890123' has over twelve digits"),
    "amount too large in 821": ("821", [("*250.00*", "*1234567890123*")], "'1234567890123' has over twelve digits"),
    "voucher in 821": ("821", [("VV*202601-0000012345", "VV*12345")], "the voucher '12345' is not of the form"),
    "date in 821": ("821", [("*20260115*", "*20260230*")], "FIR04 '20260230' is no date"),
    "reference too long": (
        "830", [("VV*202601-0000012345", "VV*202601-000001234500000000000000")], "is longer than 30",
    ),
    "pair": ("830", [("****VV*202601-0000012345", "****VV")], "FST09 '' is missing beside [8]"),
    "one element too many": ("830", [("UIT*ZZ", "UIT*ZZ*1")], "UIT02 '1' is one element too many"),
    "trailing separators": ("830", [("CUR*FR*USD", "CUR*FR*USD*")], "must be left out"),
    "trailing blank": ("830", [("N1*FR*EDU1 MANUFACTURING*", "N1*FR*EDU1 *")], "N102 'EDU1 ' ends in a space"),
    "purpose": ("830", [("BFR*00", "BFR*99")], "BFR01 '99' is none of 00, 01, 04, 05"),
    "CTT01": ("830", [("CTT*2", "CTT*3")], "CTT01 says 3 and there are 2 LIN"),
    "CTT02": ("830", [("CTT*2*0", "CTT*2*10")], "CTT02 says 10 and the amounts add up to 0.00"),
    "CTT missing": ("830", [("CTT*2*0~\n", ""), ("SE*20", "SE*19")], "there is no CTT"),
    "a changed amount": ("830", [("FST*250*", "FST*251*")], "the amounts add up to 1.00"),
    "a changed amount in 821": ("821", [("APIN*250.00", "APIN*251.00")], "debit is 250.00 and the file gives 251.00"),
    "another side": ("821", [("*****D", "*****C")], "credit is 250.00 and the file gives 500.00"),
    "side missing": ("821", [("*****D", "")], "FIR09 must say C or D"),
    "side unknown": ("821", [("*****D", "*****X")], "FIR09 'X' is none of C, D"),
    "negative amount": ("821", [("APIN*250.00", "APIN*-250.00")], "the side says the sign"),
    "FIR without voucher": (
        "821", [("REF*VV*202601-0000012345~\n", ""), ("SE*21", "SE*20")], "the FIR before has no REF*VV",
    ),
    "FIR without voucher before one without date": (
        "821",
        [("REF*VV*202601-0000012345~\n", ""), ("40.50*20260120", "40.50*"), ("SE*21", "SE*20")],
        "segment 13: the FIR before has no REF*VV",
    ),
    "FIR without voucher before ENT": (
        "821", [("REF*VV*202601-0000012360~\nENT*2", "ENT*2")], "segment 15: the FIR before has no REF*VV",
    ),
    "FIR without voucher before ACT": (
        "821",
        [("REF*VV*202601-0000012360~\nENT*2*DV*92*30~\n", "")],
        "segment 15: the FIR before has no REF*VV",
    ),
    "last FIR without voucher": (
        "821",
        [("209.50*20260120*****C~\nREF*VV*202601-0000012360~\n", "209.50*20260120*****C~\n")],
        "the FIR before has no REF*VV",
    ),
    "ENT01": ("821", [("ENT*2", "ENT*5")], "ENT01 is '5' and should be 2"),
    "ENT group": ("821", [("ENT*2*DV*92*30", "ENT*2*DV*92")], "ENT04 '' is missing beside [2, 3]"),
    "account twice in 821": (
        "821", [("ENT*2*DV*92*30~\nACT*2100-30-000", "ACT*4000-20-100")], "account '4000-20-100' of cost centre '20'",
    ),
    "source too long": ("821", [("APIN*250", "A" * 31 + "*250")], "is longer than 30"),
    "invoice date": ("810", [("BIG*20260115", "BIG*20261315")], "BIG01 '20261315' is no date"),
    "invoice number too long": ("810", [("*INV-1001*", "*INV-100100000000000000000*")], "BIG02"),
    "total": ("810", [("TDS*25000", "TDS*25100")], "amount USD is 250.00 and the file gives 251.00"),
    "credit with a sign": ("810", [("***DI", "***CR"), ("TDS*", "TDS*-")], "TDS01 of a credit memo (CR) must be"),
    "total with point": ("810", [("TDS*25000", "TDS*250.00")], "TDS01 '250.00' is no whole number"),
    "line count": ("810", [("CTT*2", "CTT*1")], "CTT01 says 1 and there are 2 IT1"),
    "leading zero": ("810", [("IT1*1*10*", "IT1*1*010*")], "IT102 '010' is no decimal number"),
    "quantity without price": ("810", [("IT1*1*10*EA*12.5*", "IT1*1*10*EA**")], "IT104 '' is missing beside [2, 3]"),
    "item without code": ("810", [("BP*B200", "BP")], "IT107 '' is missing beside [6]"),
    "name without code": ("810", [("N1*SU*ACME PARTS LTD*92*ACM001", "N1*SU")], "N102 '' or 3 must be there"),
    "code too short": ("810", [("92*ACM001", "92*A")], "N104 'A' is shorter than 2"),
    "order date": ("850", [("**20260105~", "**20260532~")], "BEG05 '20260532' is no date"),
    "order number too long": ("850", [("SA*000000000150802", "SA*00000000000000000150802")], "BEG03"),
    "order type": ("850", [("BEG*00*SA", "BEG*00*XX")], "BEG02 'XX' is none of SA"),
    "order number missing": ("850", [("SA*000000000150802", "SA*")], "BEG03 '' is missing"),
    "unit without quantity": ("850", [("PO1*2*4*EA", "PO1*2**EA")], "PO102 '' is missing beside 3"),
    "order's line": ("850", [("PO1*2*4*EA", "PO1*2*5*EA")], "amount USD is 250.00 and the file gives 281.25"),
    "minus zero": ("850", [("PO1*2*4*EA", "PO1*2*-0*EA")], "PO102 '-0' is a negative zero"),
    "item twice": ("832", [("BP*B200", "BP*A100")], "'A100' came before in this file"),
    "catalogue count": ("832", [("CTT*2", "CTT*9")], "CTT01 says 9 and there are 2 LIN"),
    "catalogue line": ("832", [("LIN*2", "LIN*1")], "LIN01 is '1' and should be 2"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "problem"), CONTENTS.values(), ids=CONTENTS)
def test_problems_of_contents(tmp_path: Path, name: str, changes: Changes, problem: str) -> None:
    assert_found(tmp_path, name, changes, problem)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"sender": "OTHER"}, "ISA06 is 'SYSPROEDU1     ' and must be OTHER"),
        ({"receiver": "LEGACY"}, "must be LEGACY,"),
    ],
    ids=["sender", "receiver"],
)
def test_agreed_parties(tmp_path: Path, settings: dict[str, str], problem: str) -> None:
    assert_found(tmp_path, "830", [], problem, **settings)


def test_a_credit_memo_lowers_the_total(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    sample = SAMPLES["810"]
    put(inbox, sample.name, sample.changed(("***DI", "***CR")), 1, {"amount": {"USD": "-250.00"}})
    assert (received(inbox).records, inbox.problems) == (1, [])


def test_sets_of_one_group(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    head, _, rest = x12("850").decode().partition("ST*")
    body, _, _ = rest.partition("GE*")
    one = f"ST*{body}"
    other = one.replace("000000000150802", "150803").replace("*0001", "*0002")
    tail = "GE*2*102~\nIEA*1*000000102~\n"
    put(inbox, "PO_EDU1_202601_000001.edi", (head + one + other + tail).encode(), 2, {"amount": {"USD": "500"}})
    assert (received(inbox).records, inbox.problems) == (2, [])
    again = (head + one + one + tail).replace("*102", "*112").replace("000000102", "000000112")
    put(inbox, "PO_EDU1_202601_000002.edi", again.encode(), 2, {"amount": {"USD": "500"}})
    problems = received(inbox).problems
    assert any("ST02 '0001' stands in the group twice" in one for one in problems), problems
    assert any("'000000000150802' came before in this file" in one for one in problems), problems


def test_an_acknowledgement_is_not_taken_for_data(tmp_path: Path) -> None:
    inbox = new_inbox(tmp_path)
    content = x12("850").decode().replace("GS*PO", "GS*FA").replace("ST*850", "ST*997")
    put(inbox, "PO_EDU1_202601_000001.edi", content.encode())
    assert "The set 997 is not taken here." in received(inbox).problems
    assert inbox.answers == []


def assert_found(root: Path, name: str, changes: Changes, problem: str, **settings: str) -> None:
    inbox = new_inbox(root, **settings)
    put_sample(inbox, SAMPLES[name], SAMPLES[name].changed(*changes))
    file = received(inbox)
    assert any(problem in one for one in file.problems), file.problems
