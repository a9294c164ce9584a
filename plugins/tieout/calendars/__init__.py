"""Close calendars: which days a period has, and when it closes. Knows nothing of Airflow."""

from tieout.calendars.calendar import Calendar, Close, load_calendar
from tieout.calendars.model import CalendarFile, parse_label
from tieout.calendars.periods import Period

__all__ = ["Calendar", "CalendarFile", "Close", "Period", "load_calendar", "parse_label"]
