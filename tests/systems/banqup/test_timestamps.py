"""Moments as services write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tieout.systems.banqup.surface import timestamp
from tieout.systems.banqup.timestamps import parse_moment


def at(hour: int, microsecond: int = 0) -> datetime:
    return datetime(2026, 3, 1, hour, 30, 0, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T09:30:00Z", at(9)),
        ("2026-03-01t09:30:00z", at(9)),
        ("2026-03-01T09:30Z", at(9)),
        (" 2026-03-01 09:30:00 ", at(9)),
        ("2026-03-01T09:30:00.5Z", at(9, 500_000)),
        ("2026-03-01T09:30:00,000001Z", at(9, 1)),
        ("2026-03-01T09:30:00.123456999Z", at(9, 123_456)),
        ("2026-03-01T10:30:00+01:00", at(9)),
        ("2026-03-01T10:30:00+0100", at(9)),
        ("2026-03-01T04:00:00.5-05:30", at(9, 500_000)),
        ("2026-03-01T04:30:00 -05", at(9)),
    ],
)
def test_a_moment(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment
    assert parse_moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "2026-03-01", "yesterday", "2026-02-30T00:00:00Z", "2026-03-01T25:00:00Z", "1767225600",
             "0001-01-01T00:00:00+14:00", "2026-03-01T09:30:00.1234567890Z", "2026-03-01T09:30:00+25:00"],
)  # fmt: skip
def test_no_moment(text: str) -> None:
    with pytest.raises(ValueError):
        parse_moment(text)


def test_a_moment_as_the_service_takes_it() -> None:
    assert timestamp(at(9, 999_999).astimezone(timezone(timedelta(hours=-3)))) == "2026-03-01T09:30:00.999Z"
    assert timestamp(at(9)) == "2026-03-01T09:30:00.000Z"
