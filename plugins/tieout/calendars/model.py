"""`include/calendars/<name>.yaml`, typed. Light imports only: DAG files load calendars."""

from __future__ import annotations

import re
from datetime import date, time
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tieout.config import Strict, TimeZone

FIRST_YEAR, LAST_YEAR = 1900, 2199
"""Fiscal years that calendars know. Beyond them a year is a typing mistake."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

WeekPattern = Literal["4-4-5", "4-5-4", "5-4-4", "13x4", "weekly"]
WEEKS: dict[str, tuple[int, ...]] = {
    "4-4-5": (4, 4, 5) * 4,
    "4-5-4": (4, 5, 4) * 4,
    "5-4-4": (5, 4, 4) * 4,
    "13x4": (4,) * 13,
    "weekly": (1,) * 52,
}
"""Weeks of each period in a year of 52."""

_LABEL = re.compile(r"([0-9]{4})-?([0-9]{2})")


def parse_label(text: str) -> tuple[int, int]:
    """`2026-01`, or SYSPRO's `202601`, as `(fiscal year, period)`.

    Raises:
        ValueError: It is neither; says what to write.
    """
    match = _LABEL.fullmatch(text.strip())
    if match is None or match[2] == "00" or not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
        raise ValueError(
            f"{text!r} is no period. Write the fiscal year and the period's two-digit number, such as 2026-01 or 202601"
        )
    return int(match[1]), int(match[2])


def _day(value: object) -> object:
    """Only whole dates: pydantic alone would read the number 20260131 as seconds since 1970."""
    if isinstance(value, date) or (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return value
    raise ValueError(f"{value!r} is no date. Write it as YYYY-MM-DD, such as 2026-01-31")


def _time_of_day(value: object) -> object:
    if isinstance(value, time) or (isinstance(value, str) and re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", value)):
        return value
    raise ValueError(f'{value!r} is no time of day. Write hours and minutes in quotes, such as "06:00"')


def _month_and_day(value: str) -> str:
    try:
        date.fromisoformat(f"2000-{value}")
    except ValueError:
        raise ValueError(f'{value!r} is no day of a year. Write month and day in quotes, such as "12-25"') from None
    return value


def _label(value: str) -> str:
    """Keys have one spelling only: two of the same period would hide one another."""
    year, number = parse_label(value)
    if value != (label := f"{year:04d}-{number:02d}"):
        raise ValueError(f"write the period as {label}")
    return value


def _known_kind(value: object) -> object:
    kinds = ("monthly", *WEEKS, "table")
    if isinstance(value, dict) and value.get("kind") not in kinds:
        found = f"{value['kind']!r} is no kind of calendar" if "kind" in value else "the key `kind` is missing"
        raise ValueError(f"{found}. Write one of {', '.join(kinds)}")
    return value


Day = Annotated[date, BeforeValidator(_day)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
MonthAndDay = Annotated[str, AfterValidator(_month_and_day)]
Label = Annotated[str, AfterValidator(_label)]
YearNamedAfter = Literal["start", "end"]


class Months(Strict):
    """Twelve calendar months; the fiscal year may start in any of them.

    Attributes:
        first_month: The month that is period 1.
        year_named_after: A fiscal year July 2025 - June 2026 is 2026 by its `end`, 2025 by its `start`.
    """

    kind: Literal["monthly"]
    first_month: int = Field(default=1, ge=1, le=12)
    year_named_after: YearNamedAfter = "end"


class YearEnds(Strict):
    """The last day of a fiscal year of whole weeks.

    Attributes:
        weekday: The day on which every week of the calendar ends.
        month: The month around whose last day the year ends.
        rule: `last`: the last such weekday of that month. `nearest`: the one nearest to the month's last day, which
            may fall into the next month.
    """

    weekday: Weekday
    month: int = Field(ge=1, le=12)
    rule: Literal["last", "nearest"]


class Weeks(Strict):
    """A fiscal year of 52 weeks, and of 53 where `year_ends` makes it so (every five or six years).

    Attributes:
        kind: The weeks of each quarter's periods, thirteen periods of four weeks, or every week a period.
        year_ends: The last day of the year.
        year_named_after: By its `end` a year has the name of the calendar year of `year_ends.month`, also where the
            last day falls into the January after; by its `start`, of the year before that.
        week_53_in: The period that takes the 53rd week, by default the last one. A weekly calendar has it as period 53.
    """

    kind: WeekPattern
    year_ends: YearEnds
    year_named_after: YearNamedAfter = "end"
    week_53_in: int | None = Field(default=None, ge=1, le=13)

    @model_validator(mode="after")
    def _the_53rd_week_has_a_period(self) -> Weeks:
        if self.week_53_in is None:
            return self
        if self.kind == "weekly":
            raise ValueError("week_53_in: in a weekly calendar the 53rd week is period 53. Remove the key")
        if self.week_53_in > len(WEEKS[self.kind]):
            raise ValueError(f"week_53_in: {self.kind} has no period {self.week_53_in}. Write 1 to 12, or remove it")
        return self


class Table(Strict):
    """Periods as the books have them, by the last day of each.

    Attributes:
        first_day: The first day of the first period.
        ends: Period → its last day; each begins on the day after the one before.
        adjustments: Adjustment periods, such as 2026-13 → the year's last day on which their postings are dated. They
            have no days of their own.
    """

    kind: Literal["table"]
    first_day: Day
    ends: dict[Label, Day] = Field(min_length=1)
    adjustments: dict[Label, Day] = Field(default={})

    @model_validator(mode="after")
    def _periods_follow_each_other(self) -> Table:
        before, label_before = self.first_day, ""
        for label, end in self.ends.items():
            if label <= label_before:
                raise ValueError(f"ends: {label} stands after {label_before}. Put the periods in order")
            if end < before or (label_before and end == before):
                raise ValueError(f"ends: {label} ends on {end}, before it begins. Correct this date or the one above")
            before, label_before = end, label
        for label, day in self.adjustments.items():
            if label in self.ends:
                raise ValueError(f"adjustments: {label} stands in `ends` too. Remove one of them")
            if day not in self.ends.values():
                raise ValueError(f"adjustments: no period ends on {day}, the day of {label}. Write a period's last day")
        return self


class Holidays(Strict):
    """Days that are no business days, besides the weekend.

    Attributes:
        dates: Single days.
        every_year: Month and day, such as "12-25".
        around_easter: Days from Easter Sunday (Gregorian): -2 is Good Friday, 1 Easter Monday.
    """

    dates: tuple[Day, ...] = ()
    every_year: tuple[MonthAndDay, ...] = Field(default=(), max_length=60)
    around_easter: tuple[int, ...] = Field(default=(), max_length=20)


class CloseRule(Strict):
    """When a period closes.

    Attributes:
        business_days: The close is on so many business days after the period's last day; 0 is the calendar day
            right after it, whichever day that is.
        at: Time of day in the calendar's time zone. A time that the clock skips in spring counts from the hour before,
            one that comes twice in autumn is the first.
        weekend: Days of the week that are no business days.
        holidays: Further days that are none.
        on: Period → the day of its close, for periods that do not keep to the rule.
    """

    business_days: int = Field(default=0, ge=0, le=250)
    at: TimeOfDay = time(0, 0)
    weekend: tuple[Weekday, ...] = Field(default=("saturday", "sunday"), max_length=6)
    holidays: Holidays = Holidays()
    on: dict[Label, Day] = Field(default={})


class CalendarFile(Strict):
    """One close calendar.

    Attributes:
        timezone: Where the periods' days begin and end, and the time of the close is meant.
        periods: Which days each period has.
        close: When a period's books are closed.
    """

    timezone: TimeZone
    periods: Annotated[Months | Weeks | Table, Field(discriminator="kind"), BeforeValidator(_known_kind)]
    close: CloseRule = CloseRule()
