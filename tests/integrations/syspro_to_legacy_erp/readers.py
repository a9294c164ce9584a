"""Readers of the partner's files that share nothing with the writers: the csv module, slices by hand, pyx12."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

x12file = pytest.importorskip("pyx12.x12file")

COPYBOOK = {
    "record": 1, "line": 9, "cost_centre": 10, "account": 35, "year": 4, "period": 2, "journal": 10, "date": 8,
    "amount": 14, "reference": 10,
}  # fmt: skip
"""The shipped detail record as a partner's copybook has it: names and widths, one after another."""
TRAILER = {"record": 1, "count": 9, "debit": 15, "credit": 15, "hash": 10, "filler": 53}


@dataclass(frozen=True)
class Line:
    """A posting as a receiver reads it; what a format does not tell is empty."""

    cost_centre: str
    account: str
    journal: str
    date: str
    amount: Decimal
    entry: str = ""
    source: str = ""
    reference: str = ""
    description: str = ""


@dataclass
class Read:
    """A file's postings and what it says of itself."""

    lines: list[Line] = field(default_factory=list)
    head: dict[str, str] = field(default_factory=dict)
    tail: dict[str, str] = field(default_factory=dict)


def read_csv(
    data: bytes, *, encoding: str = "utf-8", delimiter: str = ",", line_end: str = "\r\n", mark: str = "."
) -> Read:
    """A CSV file with the shipped columns and a header row."""
    text = data.decode(encoding)
    assert text.endswith(line_end)
    found = Read()
    for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
        debit, credit = (Decimal(row[side].replace(mark, ".")) for side in ("debit", "credit"))
        assert debit >= 0 and credit >= 0 and not (debit and credit)
        found.lines.append(
            Line(
                row["cost_centre"],
                row["account"],
                row["journal"],
                row["date"],
                debit - credit,
                row["entry"],
                row["source"],
                row["reference"],
                row["description"],
            )
        )
    return found


def read_fixed(data: bytes, *, encoding: str = "cp1252", separator: str = "\r\n") -> Read:
    """A file of the shipped record spec."""
    found = Read()
    for text in records(data, 103, encoding=encoding, separator=separator):
        if text[0] == "H":
            found.head = {"company": text[1:5].strip(), "run_date": text[5:13], "batch": text[13:19]}
        elif text[0] == "T":
            found.tail = sliced(text, TRAILER)
        else:
            values = sliced(text, COPYBOOK)
            assert values["record"] == "D"
            assert int(values["line"]) == len(found.lines) + 1
            day = values["date"]
            found.lines.append(
                Line(
                    values["cost_centre"].rstrip(),
                    values["account"].rstrip(),
                    str(int(values["journal"])),
                    "" if day == "0" * 8 else f"{day[:4]}-{day[4:6]}-{day[6:]}",
                    overpunched(values["amount"]),
                    reference=values["reference"].rstrip(),
                )
            )
    return found


def records(data: bytes, length: int, *, encoding: str, separator: str) -> list[str]:
    """Records of one length, each with its separator."""
    step = length + len(separator)
    assert len(data) % step == 0
    found = []
    for start in range(0, len(data), step):
        text = data[start : start + step].decode(encoding)
        assert text[length:] == separator
        found.append(text[:length])
    return found


def sliced(text: str, widths: dict[str, int]) -> dict[str, str]:
    """A record's fields."""
    assert len(text) == sum(widths.values())
    values, at = {}, 0
    for name, width in widths.items():
        values[name] = text[at : at + width]
        at += width
    return values


def overpunched(text: str) -> Decimal:
    """Digits with two implied decimals whose last one carries the sign."""
    last = text[-1]
    is_negative = last in "}JKLMNOPQR"
    digit = ("}JKLMNOPQR" if is_negative else "{ABCDEFGHI").index(last)
    amount = Decimal(int(text[:-1] + str(digit))).scaleb(-2)
    return -amount if is_negative else amount


def segments(data: bytes) -> list[list[str]]:
    """An X12 file's segments by pyx12, which must find nothing wrong with its envelope."""
    reader = x12file.X12Reader(io.StringIO(data.decode("ascii")))
    found, errors = [], []
    for segment in reader:
        errors += reader.pop_errors()
        name = segment.get_seg_id()
        found.append([name, *(segment.get_value(f"{name}{at:02d}") or "" for at in range(1, len(segment) + 1))])
    reader.cleanup()
    assert errors + reader.pop_errors() == []
    return found


def read_x12(data: bytes) -> Read:
    """An 830 or an 821."""
    found = segments(data)
    kind = next(each[1] for each in found if each[0] == "ST")
    read = Read()
    for name, *values in found:
        value = dict(enumerate(values, 1))
        if name in ("ISA", "GS", "BFR", "B2A", "TRN"):
            read.head |= {f"{name}{at:02d}": text for at, text in value.items()}
        if name == "CTT":
            read.tail = {"groups": value[1], "hash": value[2]}
    read.lines = list(_lines_830(found) if kind == "830" else _lines_821(found))
    return read


def _lines_830(found: list[list[str]]) -> Iterator[Line]:
    group = ("", "")
    for each in found:
        if each[0] == "LIN":
            assert (each[2], each[4]) == ("ZZ", "ZZ")
            group = each[3], each[5]
        elif each[0] == "FST":
            assert each[8] == "VV"
            yield Line(*group, _journal(each[9]), _day(each[4]), Decimal(each[1]))


def _lines_821(found: list[list[str]]) -> Iterator[Line]:
    centre = account = ""
    for at, each in enumerate(found):
        match each[0]:
            case "ENT":
                centre = each[4]
            case "ACT":
                account = each[1]
            case "FIR":
                voucher = found[at + 1]
                assert voucher[:2] == ["REF", "VV"]
                amount = Decimal(each[3])
                assert amount >= 0
                signed = amount if each[9] == "D" else -amount
                yield Line(centre, account, _journal(voucher[2]), _day(each[4]), signed, source=each[2])


def _journal(voucher: str) -> str:
    assert voucher[:7] == "202601-" and len(voucher) == 17
    return str(int(voucher[7:]))


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text else ""
