"""Business days: which days count, and the nth one after a day."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from tieout.calendars.model import WEEKDAYS, CloseRule


class BusinessDays:
    """The business days of one calendar."""

    def __init__(self, rule: CloseRule) -> None:
        self._weekend = frozenset(WEEKDAYS.index(day) for day in rule.weekend)
        self._dates = frozenset(rule.holidays.dates)
        self._every_year = frozenset(rule.holidays.every_year)
        self._around_easter = frozenset(rule.holidays.around_easter)

    def is_business_day(self, day: date) -> bool:
        """Whether `day` is neither weekend nor holiday."""
        return not (
            day.weekday() in self._weekend
            or day in self._dates
            or f"{day:%m-%d}" in self._every_year
            or (self._around_easter and self._is_around_easter(day))
        )

    def after(self, day: date, count: int) -> date:
        """The `count`th business day after `day`; with 0 the next day, whichever it is."""
        day += timedelta(days=1)
        if count == 0:
            return day
        count -= self.is_business_day(day)
        while count:
            day += timedelta(days=1)
            count -= self.is_business_day(day)
        return day

    def _is_around_easter(self, day: date) -> bool:
        return any(day == easter(day.year) + timedelta(days=offset) for offset in self._around_easter)


@lru_cache(maxsize=512)
def easter(year: int) -> date:
    """Easter Sunday by the Gregorian calendar (the anonymous algorithm of 1876, Meeus/Jones/Butcher)."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    moon_drift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon_drift + 15) % 30
    leaps, leap_rest = divmod(of_century, 4)
    to_sunday = (32 + 2 * century_rest + 2 * leaps - epact - leap_rest) % 7
    correction = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * correction + 114, 31)
    return date(year, month, day + 1)
