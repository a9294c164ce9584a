"""Which days each period has: calendar months, years of 52 and 53 weeks, tables."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Protocol

from tieout.calendars.model import FIRST_YEAR, LAST_YEAR, WEEKDAYS, WEEKS, Months, Table, Weeks, parse_label

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """A fiscal period.

    Attributes:
        year: Fiscal year.
        number: Number within the year, from 1.
        first_day: First day, inclusive.
        last_day: Last day, inclusive.
        adjustment: An adjustment period has no days of its own: its postings are dated on the last day of another one.
    """

    year: int
    number: int
    first_day: date
    last_day: date
    adjustment: bool = False

    @property
    def label(self) -> str:
        """`2026-01`."""
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def code(self) -> str:
        """As SYSPRO writes it: `202601`."""
        return f"{self.year:04d}{self.number:02d}"

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last_day - self.first_day).days + 1

    def __contains__(self, day: date) -> bool:
        return self.first_day <= day <= self.last_day


class Periods(Protocol):
    """The periods of a calendar. They tile the days from `first_day` to `last_day`; adjustments come on top."""

    first_day: date
    last_day: date
    adjustments: tuple[Period, ...]

    def of(self, day: date) -> Period:
        """The period that has this day, which lies between `first_day` and `last_day`."""

    def named(self, year: int, number: int) -> Period | None:
        """The period with this name, if there is one."""


class MonthlyPeriods:
    """Calendar months."""

    adjustments: tuple[Period, ...] = ()

    def __init__(self, rule: Months) -> None:
        self._first_month = rule.first_month
        # A year that starts in January starts and ends in the year of its name.
        self._named_after_end = rule.year_named_after == "end" and rule.first_month > 1
        self.first_day = self._period(FIRST_YEAR, 1).first_day
        self.last_day = self._period(LAST_YEAR, 12).last_day

    def of(self, day: date) -> Period:
        """See `Periods`."""
        months = day.year * 12 + day.month - self._first_month
        return self._period(months // 12 + self._named_after_end, months % 12 + 1)

    def named(self, year: int, number: int) -> Period | None:
        """See `Periods`."""
        return self._period(year, number) if 1 <= number <= 12 else None

    def _period(self, fiscal_year: int, number: int) -> Period:
        months = (fiscal_year - self._named_after_end) * 12 + self._first_month - 1 + number - 1
        first = date(months // 12, months % 12 + 1, 1)
        last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        return Period(fiscal_year, number, first, last)


class WeekPeriods:
    """Years of 52 weeks with a 53rd now and then."""

    adjustments: tuple[Period, ...] = ()

    def __init__(self, rule: Weeks) -> None:
        self._rule = rule
        self._year = lru_cache(maxsize=512)(self._build_year)
        self.first_day = self._year(FIRST_YEAR)[0].first_day
        self.last_day = self._year(LAST_YEAR)[-1].last_day

    def of(self, day: date) -> Period:
        """See `Periods`."""
        for year in range(max(day.year - 2, FIRST_YEAR), min(day.year + 1, LAST_YEAR) + 1):
            if self._year(year)[-1].last_day >= day:
                return next(period for period in self._year(year) if day in period)
        raise ValueError(f"{day} is outside the calendar")

    def named(self, year: int, number: int) -> Period | None:
        """See `Periods`."""
        periods = self._year(year)
        return periods[number - 1] if 1 <= number <= len(periods) else None

    def _build_year(self, year: int) -> tuple[Period, ...]:
        before, last_day = self._last_day(year - 1), self._last_day(year)
        ends = accumulate(self._weeks((last_day - before).days // 7), initial=0)
        return tuple(
            Period(year, number, before + timedelta(weeks=start, days=1), before + timedelta(weeks=end))
            for number, (start, end) in enumerate(pairwise(ends), start=1)
        )

    def _weeks(self, in_year: int) -> tuple[int, ...]:
        weeks = list(WEEKS[self._rule.kind])
        if in_year == 53 and self._rule.kind == "weekly":
            weeks.append(1)
        elif in_year == 53:
            weeks[(self._rule.week_53_in or len(weeks)) - 1] += 1
        return tuple(weeks)

    def _last_day(self, fiscal_year: int) -> date:
        ends = self._rule.year_ends
        year = fiscal_year + (self._rule.year_named_after == "start")
        month_end = date(year, ends.month, calendar.monthrange(year, ends.month)[1])
        back = (month_end.weekday() - WEEKDAYS.index(ends.weekday)) % 7
        if ends.rule == "nearest" and back > 3:
            back -= 7
        return month_end - timedelta(days=back)


class TablePeriods:
    """Periods as a table lists them."""

    def __init__(self, table: Table) -> None:
        starts = [table.first_day, *(end + ONE_DAY for end in table.ends.values())]
        self._regular = [
            Period(*parse_label(label), first_day=start, last_day=end)
            for (label, end), start in zip(table.ends.items(), starts, strict=False)
        ]
        self.adjustments = tuple(
            Period(*parse_label(label), first_day=day, last_day=day, adjustment=True)
            for label, day in sorted(table.adjustments.items())
        )
        self._named: Mapping[tuple[int, int], Period] = {
            (period.year, period.number): period for period in (*self._regular, *self.adjustments)
        }
        self.first_day = table.first_day
        self.last_day = self._regular[-1].last_day

    def of(self, day: date) -> Period:
        """See `Periods`."""
        return next(period for period in self._regular if day in period)

    def named(self, year: int, number: int) -> Period | None:
        """See `Periods`."""
        return self._named.get((year, number))


def periods_of(rule: Months | Weeks | Table) -> Periods:
    """The periods that a calendar's rule describes."""
    if isinstance(rule, Months):
        return MonthlyPeriods(rule)
    return WeekPeriods(rule) if isinstance(rule, Weeks) else TablePeriods(rule)
