"""Belgian numbers: enterprise numbers (KBO/BCE), structured communications (OGM/VCS), and IBANs of any country."""

from __future__ import annotations

import re

_ENTERPRISE = re.compile(r"(?:BE)?(0?[0-9]{9}|1[0-9]{9})", re.IGNORECASE)
_OGM = re.compile(r"(?P<mark>\+{3}|\*{3})?(\d{3})/?(\d{4})/?(\d{5})(?(mark)(?P=mark))", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BELGIAN_IBAN = re.compile(r"BE[0-9]{14}")
_SEPARATORS = str.maketrans("", "", ". \t\u00a0")


def enterprise_number(text: str) -> str | None:
    """The ten digits of a valid enterprise number, as the Crossroads Bank for Enterprises writes it.

    The last two digits are 97 less the remainder of the first eight divided by 97; the first is 0 or 1. A number of
    nine digits is an old one and gets its leading 0.

    Args:
        text: With or without `BE`, dots and blanks: `BE 0739.484.052`, `0739484052`, `739484052`.

    Returns:
        Ten digits, or None when this is no enterprise number.
    """
    match = _ENTERPRISE.fullmatch(text.translate(_SEPARATORS))
    if match is None:
        return None
    digits = match[1].zfill(10)
    return digits if 97 - int(digits[:8]) % 97 == int(digits[8:]) else None


def is_enterprise_number(text: str) -> bool:
    """Whether this is a valid enterprise number, in any of the spellings `enterprise_number` reads."""
    return enterprise_number(text) is not None


def digits_of_enterprise_number(text: str) -> str:
    """The number as somebody wrote it, without `BE`, dots and blanks; nothing is checked and no 0 is added."""
    return re.sub("^BE", "", text.translate(_SEPARATORS), flags=re.IGNORECASE)


def is_ogm(text: str) -> bool:
    """Whether this is a structured communication: ten digits and two that are their remainder by 97 (97 for 0).

    Args:
        text: `+++010/8068/17183+++`, the same between `***`, or the twelve digits alone as CODA has them.
    """
    match = _OGM.fullmatch(text.replace(" ", ""))
    if match is None:
        return False
    digits = "".join(match.group(2, 3, 4))
    return (int(digits[:10]) % 97 or 97) == int(digits[10:])


def is_iban(text: str) -> bool:
    """Whether this is an IBAN by ISO 13616: its remainder by 97 is 1, and a Belgian one has 16 characters.

    Args:
        text: In capitals, with or without blanks between the groups.
    """
    iban = text.replace(" ", "")
    if not _IBAN.fullmatch(iban) or (iban.startswith("BE") and not _BELGIAN_IBAN.fullmatch(iban)):
        return False
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1
