"""Texts of a file as amounts, dates, numbers and flags. No float is ever involved, no date ever shifted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

MAX_DECIMALS = 6
MAX_DIGITS = 18

BLANKS = " \t\r\n\v\f\u00a0\u202f\ufeff"
"""What is trimmed from every value."""

_FIRST_YEAR = 1900
_SPACES = "[ \u00a0\u202f]"
_TIME_OF_DAY = re.compile(
    r"[Tt ]([01][0-9]|2[0-3]):([0-5][0-9])(:([0-5][0-9]|60)([.,][0-9]{1,9})?)?\s*([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?"
)


class InvalidValue(ValueError):
    """A text that is not what its column asks for; `str(error)` completes "the value is …, which "."""


class AmountReader:
    """Reads amounts written with one decimal mark and, perhaps, a thousands separator.

    A minus sign may stand before or behind; parentheses mean negative, as accountants write it.

    Args:
        decimal_mark: `.` or `,`.
        thousands_separator: `,`, `.`, `'`, a space (also a no-break space), or nothing.
    """

    def __init__(self, decimal_mark: str = ".", thousands_separator: str = "") -> None:
        mark = re.escape(decimal_mark)
        separator = _SPACES if thousands_separator == " " else re.escape(thousands_separator)
        grouped = f"[0-9]{{1,3}}(?:{separator}[0-9]{{3}})+|" if thousands_separator else ""
        self._number = re.compile(f"({grouped}[0-9]+)(?:{mark}([0-9]+))?|(){mark}([0-9]+)")
        self._not_digits = re.compile("[^0-9]")
        self.example = f"1{thousands_separator}234{decimal_mark}56"

    def read(self, text: str) -> Decimal:
        """The amount.

        Raises:
            InvalidValue: It is none, has more than six decimals or more than eighteen digits before them.
        """
        negative, digits = _sign(text)
        found = self._number.fullmatch(digits)
        if found is None:
            raise InvalidValue(f"is not an amount such as {self.example}")
        whole = self._not_digits.sub("", found[1] or "") or "0"
        decimals = found[2] or found[4] or ""
        if len(decimals) > MAX_DECIMALS:
            raise InvalidValue(f"has more than {MAX_DECIMALS} decimals")
        if len(whole.lstrip("0")) > MAX_DIGITS:
            raise InvalidValue(f"has more than {MAX_DIGITS} digits before the decimal mark")
        amount = Decimal(f"{whole}.{decimals}" if decimals else whole)
        return -amount if negative else amount


def _sign(text: str) -> tuple[bool, str]:
    """Whether a number is negative, and the number without what says so."""
    text = text.replace("\u2212", "-")
    if text.startswith("(") and text.endswith(")"):
        return True, text[1:-1].strip(BLANKS)
    if text.endswith("-"):
        return True, text[:-1].rstrip(BLANKS)
    if text.startswith(("-", "+")):
        return text[0] == "-", text[1:].lstrip(BLANKS)
    return False, text


class DateReader:
    """Reads dates written in one of several formats of `%Y` (or `%y`: 2000 to 2099), `%m` and `%d`.

    Args:
        formats: The first that fits is taken.

    Raises:
        ValueError: A format is none, or two of them read the same text as different days.
    """

    def __init__(self, formats: Sequence[str]) -> None:
        self._patterns = [_date_pattern(pattern) for pattern in formats]
        self._shown = " or ".join(_shown(pattern) for pattern in formats)
        self._refuse_ambiguity(formats)

    def read(self, text: str) -> str:
        """The date as `YYYY-MM-DD`.

        Raises:
            InvalidValue: It is none, or before 1900.
        """
        for pattern in self._patterns:
            found = pattern.fullmatch(text)
            if found is not None and (day := _iso(found)):
                return day
        raise InvalidValue(f"is not a date written {self._shown}")

    def read_timestamp(self, text: str) -> str:
        """The calendar date of a timestamp as it is written (`YYYY-MM-DD`), whatever its time and zone.

        Raises:
            InvalidValue: It is neither a date in one of the formats nor ISO 8601.
        """
        found = re.match(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?=[Tt ])", text)
        if found is None:
            return self.read(text)
        if _TIME_OF_DAY.fullmatch(text, found.end()) is None:
            raise InvalidValue("is not a timestamp such as 2026-11-21T08:00:00Z")
        try:
            return date.fromisoformat(found[1]).isoformat()
        except ValueError:
            raise InvalidValue("is not a timestamp such as 2026-11-21T08:00:00Z") from None

    def _refuse_ambiguity(self, formats: Sequence[str]) -> None:
        """3 February and 2 March must not be written alike."""
        for pattern in formats:
            for text in (date(2001, 2, 3).strftime(pattern), date(2003, 2, 1).strftime(pattern)):
                readings = {day for one in self._patterns if (found := one.fullmatch(text)) and (day := _iso(found))}
                if len(readings) > 1:
                    raise ValueError("two date formats read the same text as different days; keep one of them.")


def _date_pattern(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"%(.?)", pattern)
    if sorted(part.lower() for part in parts) != ["d", "m", "y"] or {"D", "M"} & set(parts):
        raise ValueError("a date format has %Y (or %y), %m and %d once each, such as %Y-%m-%d or %d.%m.%Y.")
    # Where parts touch, only their full width tells them apart.
    touching = re.search(r"%.%", pattern) is not None
    short = "[0-9]{2}" if touching else "[0-9]{1,2}"
    text = re.escape(pattern)
    for letter, width in (("Y", "[0-9]{4}"), ("y", "[0-9]{2}"), ("m", short), ("d", short)):
        text = text.replace(f"%{letter}", f"(?P<{letter}>{width})")
    return re.compile(text)


def _iso(found: re.Match[str]) -> str | None:
    parts = found.groupdict()
    year = int(parts["Y"]) if "Y" in parts else 2000 + int(parts["y"])
    try:
        day = date(year, int(parts["m"]), int(parts["d"]))
    except ValueError:
        return None
    return day.isoformat() if year >= _FIRST_YEAR else None


def _shown(pattern: str) -> str:
    for part, letters in (("%Y", "YYYY"), ("%y", "YY"), ("%m", "MM"), ("%d", "DD")):
        pattern = pattern.replace(part, letters)
    return pattern


class FlagReader:
    """Reads yes and no, in whatever words a customer's files have for them (capitals do not matter)."""

    def __init__(self, yes: Iterable[str], no: Iterable[str]) -> None:
        self._words = {word.casefold(): "false" for word in no} | {word.casefold(): "true" for word in yes}

    def read(self, text: str) -> str:
        """`true` or `false`.

        Raises:
            InvalidValue: It is neither.
        """
        try:
            return self._words[text.casefold()]
        except KeyError:
            raise InvalidValue("is neither yes nor no") from None


def read_integer(text: str) -> int:
    """A whole number, zero or more.

    Raises:
        InvalidValue: It is none.
    """
    if re.fullmatch(r"[0-9]{1,9}", text) is None:
        raise InvalidValue("is not a whole number")
    return int(text)
