"""When people are not to be disturbed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from tieout.alerts.model import Kind
from tieout.config import Strict, TimeZone

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def clock_time(value: object) -> object:
    """`HH:MM`; written with quotes, for a person to read."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and len(value) == 5:
        try:
            return time.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError('a time of day is written as "07:30", with quotes')


class QuietHours(Strict):
    """Hours in which nothing is sent; it waits for their end.

    Attributes:
        begin: Time of day, `from` in the file.
        end: Time of day, `to` in the file; earlier than `from` means on the next day.
        timezone: Whose clock.
        days: Days that are quiet as a whole.
        except_: Kinds that are sent all the same, `except` in the file.
    """

    begin: time | None = Field(default=None, alias="from")
    end: time | None = Field(default=None, alias="to")
    timezone: TimeZone = "UTC"
    days: tuple[Day, ...] = Field(default=(), max_length=6)
    except_: tuple[Kind, ...] = Field(default=(), alias="except")

    @field_validator("begin", "end", mode="before")
    @classmethod
    def _read_time(cls, value: object) -> object:
        return None if value is None else clock_time(value)

    @model_validator(mode="after")
    def _are_whole(self) -> QuietHours:
        if (self.begin is None) != (self.end is None):
            raise ValueError("quiet hours need both `from` and `to`")
        if self.begin is not None and self.begin == self.end:
            raise ValueError("quiet hours from and to the same time would never end, or never begin; write another")
        return self

    def end_of(self, moment: datetime, kind: str) -> datetime:
        """The first moment from this one on that is not quiet, UTC; the moment itself where it is not quiet."""
        moment = moment.astimezone(UTC)
        if kind in self.except_:
            return moment
        zone = ZoneInfo(self.timezone)
        # Quiet days and nights follow one another: at most a week of both.
        for _ in range(16):
            after = self._end_of_window(moment.astimezone(zone), zone)
            if after is None or after <= moment:
                return moment
            moment = after
        return moment

    def _end_of_window(self, local: datetime, zone: ZoneInfo) -> datetime | None:
        today, clock = local.date(), local.time()
        if _DAYS[local.weekday()] in self.days:
            return _at(today + timedelta(days=1), time.min, zone)
        if self.begin is None or self.end is None:
            return None
        if self.begin < self.end:
            return _at(today, self.end, zone) if self.begin <= clock < self.end else None
        if clock >= self.begin:
            return _at(today + timedelta(days=1), self.end, zone)
        return _at(today, self.end, zone) if clock < self.end else None


def _at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
