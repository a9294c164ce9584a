"""A close calendar: periods, their days as moments, and their closes in order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

from tieout.calendars.business_days import BusinessDays
from tieout.calendars.model import CalendarFile, parse_label
from tieout.calendars.periods import ONE_DAY, Period, periods_of
from tieout.config import INSTANCE_NAME, include_folder
from tieout.errors import ConfigurationInvalid
from tieout.yaml_file import display_name, load_yaml


@dataclass(frozen=True, order=True)
class Close:
    """The close of one period. Closes sort by time, those of the same moment by the start of their interval.

    Attributes:
        at: Moment of the close, UTC.
        start: Start of the period's interval, UTC.
        end: End of the period's interval, UTC, exclusive; never after `at`.
        period: The period.
    """

    at: datetime
    start: datetime
    end: datetime
    period: Period


class Calendar:
    """Periods and closes by one `include/calendars/<name>.yaml`.

    Args:
        file: What the YAML says.
        name: How messages and Airflow's UI call it.

    Raises:
        ConfigurationInvalid: `close.on` names a period that is not there, or a day within it.
    """

    def __init__(self, file: CalendarFile, name: str = "calendar") -> None:
        self.file = file
        self.name = name
        self.zone = ZoneInfo(file.timezone)
        self._periods = periods_of(file.periods)
        self._business_days = BusinessDays(file.close)
        self._close_days = self._checked_close_days()
        # One second apart: Airflow tells runs apart by the start of their interval, and these share a day.
        self._offsets = {
            period: timedelta(seconds=second) for second, period in enumerate(self._periods.adjustments, start=1)
        }

    @property
    def first_day(self) -> date:
        """The first day that the calendar knows."""
        return self._periods.first_day

    @property
    def last_day(self) -> date:
        """The last day that the calendar knows; a table has to be continued before it."""
        return self._periods.last_day

    def period_of(self, day: date) -> Period:
        """The period that has `day`, never an adjustment period.

        Raises:
            ConfigurationInvalid: The calendar does not reach that day.
        """
        if not self.first_day <= day <= self.last_day:
            raise ConfigurationInvalid(
                f"The calendar {self.name!r} goes from {self.first_day} to {self.last_day} and has no period with "
                f"{day}. Continue its table, or correct the date."
            )
        return self._periods.of(day)

    def period(self, label: str) -> Period:
        """The period with this name, written `2026-01` or `202601`.

        Raises:
            ConfigurationInvalid: It is no period's name, or the calendar has no such period.
        """
        try:
            year, number = parse_label(label)
        except ValueError as error:
            raise ConfigurationInvalid(f"The calendar {self.name!r}: {error}.") from None
        found = self._periods.named(year, number)
        if found is None:
            raise ConfigurationInvalid(
                f"The calendar {self.name!r} has no period {year:04d}-{number:02d}. "
                "Correct the period, or add it to the calendar's table."
            )
        return found

    def has_period(self, year: int, number: int) -> bool:
        """Whether there is a period of this number in a fiscal year."""
        return self._periods.named(year, number) is not None

    def before(self, period: Period) -> Period | None:
        """The period whose days come right before; None at the calendar's beginning."""
        day = period.first_day - ONE_DAY
        return self._periods.of(day) if day >= self.first_day else None

    def after(self, period: Period) -> Period | None:
        """The period whose days come right after; None at the calendar's end."""
        day = period.last_day + ONE_DAY
        return self._periods.of(day) if day <= self.last_day else None

    def start_of(self, day: date) -> datetime:
        """The first moment of `day` in the calendar's time zone, UTC."""
        return self._moment(day, time(0, 0))

    def close_of(self, period: Period) -> Close:
        """When the period closes, and its days as an interval from first to last moment.

        The interval of an adjustment period is the day on which its postings are dated, but for the first seconds:
        no two periods' intervals start at the same moment.
        """
        day = self._close_days.get(period)
        if day is None:
            day = self._business_days.after(period.last_day, self.file.close.business_days)
        start = self.start_of(period.first_day) + self._offsets.get(period, timedelta())
        return Close(self._moment(day, self.file.close.at), start, self.start_of(period.last_day + ONE_DAY), period)

    def period_starting(self, moment: datetime) -> Period | None:
        """The period whose interval starts at `moment`, adjustment periods too; None where none does."""
        day = moment.astimezone(self.zone).date()
        if not self.first_day <= day <= self.last_day:
            return None
        candidates = (self._periods.of(day), *self._periods.adjustments)
        return next((period for period in candidates if self.close_of(period).start == moment), None)

    def closes_from(self, moment: datetime) -> Iterator[Close]:
        """Every close at `moment` or later, in order, to the end of the calendar."""
        irregular = [close for close in self._irregular if close.at >= moment]
        return heapq.merge(self._regular_from(moment), irregular)

    def closes_between(self, start: datetime, end: datetime) -> list[Close]:
        """The closes from `start` on and before `end`, in order. Both are aware."""
        return list(takewhile(lambda close: close.at < end, self.closes_from(start)))

    def next_close(self, after: datetime) -> Close | None:
        """The first close later than `after` (aware); None after a table's last."""
        return next((close for close in self.closes_from(after) if close.at > after), None)

    def last_close(self, moment: datetime) -> Close | None:
        """The latest close at `moment` (aware) or before it; None before the first."""
        closed = [close for close in self._irregular if close.at <= moment]
        regular: Period | None = self._around(moment)
        while regular is not None:
            close = self.close_of(regular)
            if close.at <= moment and regular not in self._irregular_periods:
                closed.append(close)
                break
            regular = self.before(regular)
        return max(closed, default=None)

    def last_irregular_close(self) -> datetime | None:
        """After this moment closes come in the order of their periods."""
        return self._irregular[-1].at if self._irregular else None

    @cached_property
    def _irregular(self) -> list[Close]:
        """Closes that may come out of the order of the periods, sorted."""
        return sorted(self.close_of(period) for period in self._irregular_periods)

    @cached_property
    def _irregular_periods(self) -> frozenset[Period]:
        return frozenset((*self._close_days, *self._periods.adjustments))

    def _regular_from(self, moment: datetime) -> Iterator[Close]:
        """By one rule, so the later period never closes earlier; but several may close at the same moment."""
        period: Period | None = self._around(moment)
        while period is not None:
            before = self.before(period)
            if before is None or self._rule_close(before) < moment:
                break
            period = before
        while period is not None:
            if period not in self._irregular_periods:
                close = self.close_of(period)
                if close.at >= moment:
                    yield close
            period = self.after(period)

    def _rule_close(self, period: Period) -> datetime:
        """The close by the rule alone, whatever `close.on` says."""
        day = self._business_days.after(period.last_day, self.file.close.business_days)
        return self._moment(day, self.file.close.at)

    def _around(self, moment: datetime) -> Period:
        """The period with that moment, else the calendar's first or last."""
        day = moment.astimezone(self.zone).date()
        return self._periods.of(min(max(day, self.first_day), self.last_day))

    def _moment(self, day: date, at: time) -> datetime:
        # fold=0 is the first of two equal times in autumn, and in spring the skipped time by the old offset.
        return datetime.combine(day, at, tzinfo=self.zone).astimezone(UTC)

    def _checked_close_days(self) -> dict[Period, date]:
        days = {self.period(label): day for label, day in self.file.close.on.items()}
        for period, day in days.items():
            if day <= period.last_day:
                raise ConfigurationInvalid(
                    f"The calendar {self.name!r}: close.on has {period.label} close on {day}, but its last day is "
                    f"{period.last_day}. Write a later day."
                )
        return days


def load_calendar(name: str) -> Calendar:
    """The calendar `include/calendars/<name>.yaml`.

    Raises:
        ConfigurationInvalid: The file is missing or wrong; says file, line and key.
    """
    if not INSTANCE_NAME.fullmatch(name):
        raise ConfigurationInvalid(
            f"{name!r} is no calendar's name: it is the name of a file in include/calendars without .yaml, of a-z, "
            "0-9 and _."
        )
    path: Path = include_folder() / "calendars" / f"{name}.yaml"
    if not path.exists():
        there = ", ".join(sorted(other.stem for other in path.parent.glob("*.yaml"))) or "none"
        raise ConfigurationInvalid(
            f"{display_name(path)} does not exist. Create it, or name another calendar; there are: {there}."
        )
    return Calendar(load_yaml(path).validate(CalendarFile), name)
