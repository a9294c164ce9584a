"""Record 0, the header: who made the statement, when, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

from tieout.formats.belgian import enterprise_number
from tieout.formats.coda import checked_fields
from tieout.formats.coda.fields import text
from tieout.formats.coda.reports import Findings

VERSION = b"2"
_APPLICATION = b"05"
_NO_SEPARATE_APPLICATION = ("", "00000")


@dataclass(frozen=True, slots=True)
class Header:
    """What record 0 says; the attributes are the statement's."""

    creation_date: str
    duplicate: bool
    addressee: str
    bic: str
    enterprise_number: str | None
    separate_application: str


def is_known_version(number: int, line: bytes, findings: Findings) -> bool:
    """Whether the statement is laid out as version 2; version 1 has other fields in other places."""
    if line[127:128] == VERSION:
        return True
    findings.fatal(
        "CODA-VERSION",
        number,
        f"The version in position 128 is {text(line[127:128])!r}, expected is 2; "
        "the rest of the statement is not read.",
    )
    return False


def read_header(number: int, line: bytes, findings: Findings) -> Header | None:
    """The header, or None when the statement has no date of creation."""
    if line[14:16] != _APPLICATION:
        findings.warn(
            "CODA-HEADER", number, f"The application in positions 15-16 is {text(line[14:16])!r}, expected is 05."
        )
    if line[16:17] not in (b"D", b" "):
        findings.warn(
            "CODA-HEADER",
            number,
            f"The mark in position 17 is {text(line[16:17])!r}; expected is D for a duplicate, or a blank.",
        )
    holder = _enterprise_number(number, text(line[71:82]), findings)
    created = checked_fields.date(findings, number, line[5:11], "date of creation in positions 6-11", zeros="fatal")
    if created is None:
        return None
    application = text(line[83:88])
    return Header(
        creation_date=created,
        duplicate=line[16:17] == b"D",
        addressee=text(line[34:60]),
        bic=text(line[60:71]),
        enterprise_number=holder,
        separate_application="" if application in _NO_SEPARATE_APPLICATION else application,
    )


def _enterprise_number(number: int, written: str, findings: Findings) -> str | None:
    if not written.strip("0"):
        return None
    found = enterprise_number(written[1:]) if len(written) == 11 and written[0] == "0" else None
    if found is None:
        findings.warn(
            "CODA-ENTERPRISE",
            number,
            f"The holder's number in positions 72-82 is {written!r}; expected is 0 and a valid enterprise number.",
        )
    return found
