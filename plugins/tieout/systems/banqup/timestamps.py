"""Moments as services write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d{1,9}))? ?(?:([Zz])|([+-])(\d{2})(?::?(\d{2}))?)?"
)


def parse_moment(text: str) -> datetime:
    """An ISO 8601 moment, in UTC; without a zone it is UTC, and what is finer than a microsecond is cut off.

    >>> parse_moment("2026-03-01T10:30:00.1234567+01:00")
    datetime.datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=datetime.timezone.utc)

    Raises:
        ValueError: This is no moment.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no ISO 8601 moment")
    day, clock, fraction, _, sign, hours, minutes = found.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(microsecond=int((fraction or "0")[:6].ljust(6, "0")))
    if sign is None:
        return moment.replace(tzinfo=UTC)
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    try:
        return moment.replace(tzinfo=timezone(-offset if sign == "-" else offset)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def to_milliseconds(moment: datetime) -> datetime:
    """The moment in UTC, what is finer than a millisecond cut off."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
