"""Airflow's schedule for what runs at a period's close: one run and one data interval per period.

A timetable of our own has to be listed in `plugins/tieout_plugin.py`. The whole calendar travels in the serialised
DAG: the scheduler reads no file of ours, and a changed calendar makes a new version of the DAG.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

from tieout.calendars import Calendar, CalendarFile, Close

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction
    from airflow.utils.types import DagRunType
    from pendulum import DateTime


class CloseTimetable(Timetable):
    """Runs at each close of a calendar; the data interval has the period's days in the calendar's time zone.

    Without catchup, the first run (and the first after a pause) is for the period closed last; with catchup, for
    every one from the DAG's `start_date` on. A manual run is for the period closed last.

    A DAG's `start_date` should be `start_of` its first day: Airflow runs no tasks for periods that start before it.
    In a backfill, and with catchup, a bound at midnight UTC means that day in the calendar's time zone, so that
    `--from-date 2026-01-01` begins with January in Brussels too, where January begins an hour before.

    Args:
        calendar: Which periods there are and when they close.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        close = calendar.file.close
        when = "the day after its last day"
        if close.business_days:
            when = f"{close.business_days} business day{'s' * (close.business_days > 1)} after its last day"
        self.description = (
            f"Each {calendar.file.periods.kind} period of the calendar {calendar.name}, {when}, "
            f"at {close.at:%H:%M} {calendar.file.timezone}"
        )

    @property
    def summary(self) -> str:
        """What the list of DAGs shows."""
        close = self.calendar.file.close
        return f"{self.calendar.name} close +{close.business_days}, {close.at:%H:%M} {self.calendar.file.timezone}"

    def start_of(self, day: date) -> datetime:
        """The `start_date` for a DAG whose first period has, or follows, this day."""
        return self.calendar.start_of(day)

    def serialize(self) -> dict[str, Any]:
        """The calendar, as JSON; keys that have their default are left out, so that a new key changes nothing."""
        return {
            "name": self.calendar.name,
            "calendar": self.calendar.file.model_dump(mode="json", exclude_defaults=True),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        """The timetable out of `serialize`."""
        return cls(Calendar(CalendarFile.model_validate(data["calendar"]), data["name"]))

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """The period closed last; before the first close an empty interval, which is no period's."""
        close = self.calendar.last_close(run_after)
        return DataInterval.exact(run_after) if close is None else _interval(close)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The run after the last one, in the order of the closes; None at the end of a table."""
        earliest: datetime | None = restriction.earliest
        latest: datetime | None = restriction.latest
        if restriction.catchup:
            earliest, latest = self._first_moment(earliest), self._last_moment(latest)
            if last_automated_data_interval is None and earliest is None:
                return None
        for close in self._candidates(last_automated_data_interval, earliest, catchup=restriction.catchup):
            if earliest is not None and close.start < earliest:
                continue
            if latest is None or close.start <= latest:
                return DagRunInfo(run_after=pendulum.instance(close.at), data_interval=_interval(close))
            if self._in_order_from(close):
                return None
        return None

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """With the period's name: people see it, and two periods that close at the same moment stay two runs."""
        run_id = super().generate_run_id(run_type=run_type, run_after=run_after, data_interval=data_interval, **extra)
        period = self.calendar.period_starting(data_interval.start) if data_interval else None
        return f"{run_id}__{period.label}" if period else run_id

    def _candidates(self, last: DataInterval | None, earliest: datetime | None, *, catchup: bool) -> Iterator[Close]:
        """Closes that may come next, in order."""
        floor = None if catchup else self.calendar.last_close(datetime.now(UTC))
        moment = self.calendar.start_of(self.calendar.first_day)
        if last is not None:
            moment = last.start
        elif earliest is not None:
            moment = earliest
        if floor is not None:
            moment = max(moment, floor.at)
        for close in self.calendar.closes_from(moment):
            if (floor is None or close >= floor) and (last is None or self._follows(close, last)):
                yield close

    def _follows(self, close: Close, last: DataInterval) -> bool:
        """Whether a period's run comes after the last one, also where that was by another schedule.

        After another schedule it goes on with the period in which the last interval ended: no day is left out, and no
        interval starts where one did already.
        """
        period = self.calendar.period_starting(last.start)
        if period is not None and (last_close := self.calendar.close_of(period)).end == last.end:
            return close > last_close
        return close.start > last.start and close.end > last.end

    def _in_order_from(self, close: Close) -> bool:
        irregular = self.calendar.last_irregular_close()
        return irregular is None or close.at >= irregular

    def _first_moment(self, bound: datetime | None) -> datetime | None:
        return self.calendar.start_of(bound.date()) if bound is not None and _is_a_day(bound) else bound

    def _last_moment(self, bound: datetime | None) -> datetime | None:
        if bound is None or not _is_a_day(bound):
            return bound
        return self.calendar.start_of(bound.date() + timedelta(days=1)) - timedelta(microseconds=1)


def _is_a_day(bound: datetime) -> bool:
    """Whether a bound is a date that somebody typed: Airflow makes it midnight UTC."""
    return bound.utcoffset() == timedelta() and bound.time() == time(0, 0)


def _interval(close: Close) -> DataInterval:
    return DataInterval(start=pendulum.instance(close.start), end=pendulum.instance(close.end))
