"""Belgian numbers with their check digits: enterprise numbers, structured communications, IBANs."""

from __future__ import annotations

IBAN_LETTERS_BE00 = 111400
"""`BE00` as the IBAN check reads it: letters as numbers (B 11, E 14), check digits still zero."""


def enterprise_number(body: int) -> str:
    """Ten digits of the Crossroads Bank for Enterprises from the first eight, of which the leading one is 0 or 1."""
    if not 0 <= body <= 19_999_999:
        raise ValueError(f"{body} is no body of an enterprise number: eight digits of which the first is 0 or 1.")
    return f"{body:08d}{97 - body % 97:02d}"


def ogm(body: int) -> str:
    """A structured communication, as printed: `+++ddd/dddd/ddddd+++`."""
    digits = ogm_digits(body)
    return f"+++{digits[:3]}/{digits[3:7]}/{digits[7:]}+++"


def ogm_digits(body: int) -> str:
    """The twelve digits of a structured communication from its first ten."""
    return f"{body % 10**10:010d}{body % 10**10 % 97 or 97:02d}"


def iban(bank: int, account: int) -> str:
    """A Belgian IBAN from a bank's three digits and an account's seven, without blanks."""
    body = f"{bank:03d}{account:07d}"
    bban = f"{body}{int(body) % 97 or 97:02d}"
    return f"BE{98 - (int(bban) * 10**6 + IBAN_LETTERS_BE00) % 97:02d}{bban}"
