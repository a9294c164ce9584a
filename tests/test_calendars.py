"""Close calendars: periods tile the days, years of 53 weeks are where companies had them, closes keep to their rule."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.calendars import Calendar, CalendarFile, Close, Period, load_calendar
from tieout.calendars.business_days import BusinessDays, easter
from tieout.calendars.model import WEEKDAYS, CloseRule
from tieout.errors import ConfigurationInvalid
from tieout.yaml_file import parse_yaml

ROOT = Path(__file__).resolve().parents[1]
ZONES = ("UTC", "Europe/Brussels", "America/New_York", "America/Sao_Paulo", "Pacific/Auckland", "Asia/Kathmandu")


def calendar(periods: dict[str, Any], zone: str = "UTC", **close: Any) -> Calendar:
    return Calendar(CalendarFile.model_validate({"timezone": zone, "periods": periods, "close": close}), "test")


def weeks(kind: str, weekday: str, month: int, rule: str, **more: Any) -> Calendar:
    return calendar({"kind": kind, "year_ends": {"weekday": weekday, "month": month, "rule": rule}, **more})


def from_text(text: str) -> Calendar:
    return Calendar(parse_yaml(text, "calendar.yaml").validate(CalendarFile), "test")


def year_of(found: Calendar, year: int) -> list[Period]:
    periods = [found.period(f"{year}-01")]
    while (after := found.after(periods[-1])) and after.year == year:
        periods.append(after)
    return periods


TABLE = """
timezone: Europe/Brussels
periods:
  kind: table
  first_day: 2025-11-30
  ends: {2025-12: 2025-12-31, 2026-01: 2026-01-28, 2026-02: 2026-02-25, 2026-03: 2026-03-31}
  adjustments: {2025-13: 2025-12-31, 2025-14: 2025-12-31}
close: {business_days: 5, at: "18:00", on: {2025-13: 2026-02-20, 2025-14: 2026-02-20, 2026-02: 2026-04-30}}
"""

MONTHS = st.builds(
    lambda first, named: {"kind": "monthly", "first_month": first, "year_named_after": named},
    st.integers(1, 12),
    st.sampled_from(["start", "end"]),
)
WEEKS = st.builds(
    lambda kind, weekday, month, rule, named: {
        "kind": kind,
        "year_ends": {"weekday": weekday, "month": month, "rule": rule},
        "year_named_after": named,
    },
    st.sampled_from(["4-4-5", "4-5-4", "5-4-4", "13x4", "weekly"]),
    st.sampled_from(WEEKDAYS),
    st.integers(1, 12),
    st.sampled_from(["last", "nearest"]),
    st.sampled_from(["start", "end"]),
)
DAYS = st.dates(date(1910, 1, 1), date(2180, 12, 31))


# Periods


@given(rule=MONTHS | WEEKS, day=DAYS, zone=st.sampled_from(ZONES))
def test_periods_tile_time(rule: dict[str, Any], day: date, zone: str) -> None:
    found = calendar(rule, zone)
    period = found.period_of(day)
    before, after = found.before(period), found.after(period)
    assert before and after

    assert period.first_day <= day <= period.last_day
    assert before.last_day + timedelta(days=1) == period.first_day
    assert found.close_of(before).end == found.close_of(period).start
    assert found.close_of(period).end == found.close_of(after).start
    assert found.period_of(period.first_day) == found.period_of(period.last_day) == period
    assert found.period(period.label) == found.period(period.code) == period
    assert found.period_starting(found.close_of(period).start) == period
    assert (after.year, after.number) in ((period.year, period.number + 1), (period.year + 1, 1))


@given(rule=WEEKS, year=st.integers(1950, 2150))
def test_years_of_weeks_end_as_their_rule_says(rule: dict[str, Any], year: int) -> None:
    found = calendar(rule)
    periods = year_of(found, year)
    last = periods[-1].last_day
    ends = rule["year_ends"]
    # The last day of the month, found by walking: the day before the first of the next one.
    anchor = date(year + (rule["year_named_after"] == "start"), ends["month"], 28)
    while (anchor + timedelta(days=1)).month == ends["month"]:
        anchor += timedelta(days=1)

    assert f"{last:%A}".lower() == ends["weekday"]
    if ends["rule"] == "last":
        assert last.month == ends["month"] and (last + timedelta(days=7)).month != ends["month"]
    else:
        assert abs(last - anchor) <= timedelta(days=3)
    assert sum(period.days for period in periods) in (52 * 7, 53 * 7)


# Years of 53 weeks that companies reported. Sources: annual reports (10-K) and the National Retail Federation's
# published 4-5-4 calendars.
NRF = weeks("4-5-4", "saturday", 1, "nearest", year_named_after="start")
APPLE = weeks("4-4-5", "saturday", 9, "last", week_53_in=3)
CISCO = weeks("4-4-5", "saturday", 7, "last")
INTEL = weeks("4-4-5", "saturday", 12, "last")
JOHNSON = weeks("13x4", "sunday", 12, "nearest")
ISO = weeks("weekly", "sunday", 12, "nearest")


@pytest.mark.parametrize(
    ("found", "first", "last", "long_years"),
    [
        pytest.param(NRF, 2001, 2027, {2006, 2012, 2017, 2023}, id="NRF"),
        pytest.param(APPLE, 2001, 2024, {2006, 2012, 2017, 2023}, id="Apple"),
        pytest.param(CISCO, 2006, 2025, {2010, 2016, 2021}, id="Cisco"),
        pytest.param(INTEL, 2001, 2024, {2005, 2011, 2016, 2022}, id="Intel"),
        pytest.param(JOHNSON, 2005, 2025, {2009, 2015, 2020}, id="Johnson & Johnson"),
        pytest.param(ISO, 1999, 2032, {2004, 2009, 2015, 2020, 2026, 2032}, id="ISO 8601"),
    ],
)
def test_the_53rd_week_is_where_it_was(found: Calendar, first: int, last: int, long_years: set[int]) -> None:
    lengths = {year: sum(period.days for period in year_of(found, year)) for year in range(first, last + 1)}
    assert {year for year, days in lengths.items() if days == 53 * 7} == long_years


@pytest.mark.parametrize(
    ("found", "year", "first_day", "last_day"),
    [
        (NRF, 2023, date(2023, 1, 29), date(2024, 2, 3)),
        (NRF, 2024, date(2024, 2, 4), date(2025, 2, 1)),
        (APPLE, 2023, date(2022, 9, 25), date(2023, 9, 30)),
        (CISCO, 2021, date(2020, 7, 26), date(2021, 7, 31)),
        (INTEL, 2022, date(2021, 12, 26), date(2022, 12, 31)),
        (JOHNSON, 2020, date(2019, 12, 30), date(2021, 1, 3)),
    ],
)
def test_known_fiscal_years(found: Calendar, year: int, first_day: date, last_day: date) -> None:
    periods = year_of(found, year)
    assert (periods[0].first_day, periods[-1].last_day) == (first_day, last_day)


@pytest.mark.parametrize(
    ("found", "year", "expected"),
    [
        (NRF, 2022, (4, 5, 4) * 4),
        (NRF, 2023, (4, 5, 4, 4, 5, 4, 4, 5, 4, 4, 5, 5)),
        (APPLE, 2023, (4, 4, 6, 4, 4, 5, 4, 4, 5, 4, 4, 5)),
        (weeks("5-4-4", "friday", 6, "last"), 2025, (5, 4, 4) * 4),
        (JOHNSON, 2020, (4,) * 12 + (5,)),
        (ISO, 2026, (1,) * 53),
        (ISO, 2025, (1,) * 52),
    ],
)
def test_weeks_of_the_periods(found: Calendar, year: int, expected: tuple[int, ...]) -> None:
    assert tuple(period.days / 7 for period in year_of(found, year)) == expected


@given(DAYS)
def test_a_weekly_calendar_can_be_that_of_iso_8601(day: date) -> None:
    period = ISO.period_of(day)
    assert (period.year, period.number) == day.isocalendar()[:2]


@pytest.mark.parametrize(
    ("first_month", "named_after", "day", "label"),
    [
        (1, "end", date(2026, 1, 31), "2026-01"),
        (1, "start", date(2026, 12, 1), "2026-12"),
        (7, "end", date(2025, 7, 1), "2026-01"),
        (7, "end", date(2026, 6, 30), "2026-12"),
        (7, "start", date(2025, 7, 1), "2025-01"),
        (7, "start", date(2026, 6, 30), "2025-12"),
        (12, "end", date(2025, 12, 5), "2026-01"),
        (2, "end", date(2026, 1, 5), "2026-12"),
    ],
)
def test_fiscal_months(first_month: int, named_after: str, day: date, label: str) -> None:
    found = calendar({"kind": "monthly", "first_month": first_month, "year_named_after": named_after})
    assert found.period_of(day).label == label
    assert day in found.period(label)


# Closes


@pytest.mark.parametrize(
    ("last_day", "count", "expected"),
    [
        (date(2026, 1, 31), 0, date(2026, 2, 1)),
        (date(2026, 1, 31), 1, date(2026, 2, 2)),
        (date(2026, 1, 31), 5, date(2026, 2, 6)),
        (date(2026, 12, 31), 1, date(2027, 1, 4)),
        (date(2026, 12, 31), 2, date(2027, 1, 6)),
        (date(2026, 4, 2), 1, date(2026, 4, 7)),
        (date(2025, 12, 24), 1, date(2025, 12, 29)),
    ],
)
def test_business_days(last_day: date, count: int, expected: date) -> None:
    days = BusinessDays(
        CloseRule.model_validate(
            {
                "holidays": {
                    "dates": ["2027-01-05"],
                    "every_year": ["01-01", "12-25", "12-26"],
                    "around_easter": [-2, 1],
                }
            }
        )
    )
    assert days.after(last_day, count) == expected


def test_the_weekend_is_configurable() -> None:
    found = calendar({"kind": "monthly"}, "Asia/Riyadh", business_days=1, weekend=["friday", "saturday"])
    assert found.close_of(found.period("2026-04")).at == datetime(2026, 5, 2, 21, tzinfo=UTC)  # Sunday 3 May


@pytest.mark.parametrize(
    ("year", "month", "day"),
    [(1961, 4, 2), (2000, 4, 23), (2008, 3, 23), (2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2038, 4, 25)],
)  # fmt: skip
def test_easter(year: int, month: int, day: int) -> None:
    assert easter(year) == date(year, month, day)


@pytest.mark.parametrize(
    ("zone", "at", "label", "expected"),
    [
        ("UTC", "06:00", "2026-01", datetime(2026, 2, 2, 6, tzinfo=UTC)),
        ("Europe/Brussels", "06:00", "2026-01", datetime(2026, 2, 2, 5, tzinfo=UTC)),
        ("Europe/Brussels", "06:00", "2026-06", datetime(2026, 7, 1, 4, tzinfo=UTC)),
        ("Pacific/Auckland", "06:00", "2026-01", datetime(2026, 2, 1, 17, tzinfo=UTC)),
        ("America/New_York", "00:00", "2026-02", datetime(2026, 3, 2, 5, tzinfo=UTC)),
    ],
)
def test_the_close_is_local_time(zone: str, at: str, label: str, expected: datetime) -> None:
    found = calendar({"kind": "monthly"}, zone, business_days=1, at=at)
    assert found.close_of(found.period(label)).at == expected


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        # In Brussels, 02:00 of 29 March 2026 becomes 03:00, and 03:00 of 25 October becomes 02:00.
        ("2026-03-29", "02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2026-03-29", "03:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2026-10-25", "02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25", "03:30", datetime(2026, 10, 25, 2, 30, tzinfo=UTC)),
    ],
)
def test_clock_changes(day: str, at: str, expected: datetime) -> None:
    found = calendar({"kind": "monthly"}, "Europe/Brussels", at=at, on={"2026-01": day})
    assert found.close_of(found.period("2026-01")).at == expected


def test_intervals_follow_the_clock_and_midnights_that_do_not_exist() -> None:
    brussels = calendar({"kind": "monthly"}, "Europe/Brussels")
    march = brussels.close_of(brussels.period("2026-03"))
    assert (march.start, march.end) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 31, 22, tzinfo=UTC),
    )
    # In São Paulo, 4 November 2018 began at 01:00.
    weekly = calendar({"kind": "weekly", "year_ends": {"weekday": "saturday", "month": 12, "rule": "last"}},
                      "America/Sao_Paulo")  # fmt: skip
    week = weekly.close_of(weekly.period_of(date(2018, 11, 4)))
    assert week.start == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert week.start.astimezone(ZoneInfo("America/Sao_Paulo")).date() == date(2018, 11, 4)


CLOSE_RULES = st.builds(
    lambda days, hour, every_year: {
        "business_days": days,
        "at": f"{hour:02d}:30",
        "holidays": {"every_year": sorted(every_year)},
    },
    st.integers(0, 12),
    st.integers(0, 23),
    st.sets(st.dates(date(2000, 1, 1), date(2000, 12, 31)).map(lambda day: f"{day:%m-%d}"), max_size=8),
)


RECENT_DAYS = st.dates(date(2000, 1, 1), date(2060, 1, 1))


@given(rule=MONTHS | WEEKS, close=CLOSE_RULES, zone=st.sampled_from(ZONES), day=RECENT_DAYS)
def test_closes_come_in_order_each_once(rule: dict[str, Any], close: dict[str, Any], zone: str, day: date) -> None:
    found = calendar(rule, zone, **close)
    start = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    end = start + timedelta(days=200)
    closes = found.closes_between(start, end)

    # The same by brute force over every period around.
    period = found.period_of(day - timedelta(days=150))
    every = []
    while period.first_day < end.date():
        every.append(found.close_of(period))
        following = found.after(period)
        assert following
        period = following
    assert closes == [each for each in every if start <= each.at < end]
    assert all(each.at >= each.end for each in every)
    assert closes == sorted(closes)

    after = found.next_close(start)
    assert after == next(each for each in every if each.at > start)
    assert found.last_close(start) == [each for each in every if each.at <= start][-1]
    assert found.last_close(after.at) == [each for each in every if each.at <= after.at][-1]


def test_a_table_with_adjustment_periods_and_closes_of_their_own() -> None:
    found = from_text(TABLE)
    closes = found.closes_between(datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    assert [(close.period.label, close.at.isoformat()) for close in closes] == [
        ("2025-12", "2026-01-07T17:00:00+00:00"),
        ("2026-01", "2026-02-04T17:00:00+00:00"),
        ("2025-13", "2026-02-20T17:00:00+00:00"),
        ("2025-14", "2026-02-20T17:00:00+00:00"),
        ("2026-03", "2026-04-07T16:00:00+00:00"),
        ("2026-02", "2026-04-30T16:00:00+00:00"),
    ]
    assert len({close.start for close in closes}) == len(closes)
    assert all(found.period_starting(close.start) == close.period for close in closes)
    assert found.period("202513").adjustment and found.period("202513").last_day == date(2025, 12, 31)
    assert found.period_of(date(2025, 12, 31)).label == "2025-12"
    assert found.last_close(datetime(2026, 3, 1, tzinfo=UTC)) == closes[3]
    assert found.last_close(closes[0].at - timedelta(seconds=1)) is None
    assert found.next_close(closes[-1].at) is None
    assert (found.before(found.period("2025-12")), found.after(found.period("2026-03"))) == (None, None)
    assert (found.first_day, found.last_day) == (date(2025, 11, 30), date(2026, 3, 31))


@given(st.data())
@settings(max_examples=50)
def test_any_table_tiles_and_closes_everything_once(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    day, ends = date(2026, 1, 1) - timedelta(days=1), {}
    for number, length in enumerate(lengths, start=1):
        day += timedelta(days=length)
        ends[f"2026-{number:02d}"] = day.isoformat()
    moved = data.draw(st.dictionaries(st.sampled_from(sorted(ends)), st.integers(1, 90)))
    on = {label: (date.fromisoformat(ends[label]) + timedelta(days=late)).isoformat() for label, late in moved.items()}
    found = calendar(
        {"kind": "table", "first_day": "2026-01-01", "ends": ends, "adjustments": {"2026-13": day.isoformat()}},
        data.draw(st.sampled_from(ZONES)), business_days=data.draw(st.integers(0, 40)), on=on,
    )  # fmt: skip
    closes = list(found.closes_from(datetime(2025, 1, 1, tzinfo=UTC)))

    assert sorted(close.period.label for close in closes) == sorted([*ends, "2026-13"])
    assert closes == sorted(closes)
    tiles = sorted((close for close in closes if not close.period.adjustment), key=lambda close: close.start)
    assert all(one.end == other.start for one, other in pairwise(tiles))
    for close in closes:
        latest = max(each for each in closes if each.at <= close.at)
        assert found.last_close(close.at) == latest


@pytest.mark.parametrize(("day", "label"), [(31, "2026-01"), (1, "2026-03"), (23, "2026-03"), (24, "2026-02")])
def test_a_period_may_close_before_an_earlier_one(day: int, label: str) -> None:
    found = calendar({"kind": "monthly"}, business_days=40, on={"2026-03": "2026-04-01"})
    moment = datetime(2026, 3 if day == 31 else 4, day, tzinfo=UTC)
    last = found.last_close(moment)
    assert last and last.period.label == label


# Files


@pytest.mark.parametrize("path", sorted((ROOT / "include" / "calendars").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_calendars_that_come_along(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(ROOT / "include"))
    found = load_calendar(path.stem)
    closes = found.closes_between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
    assert closes and all(timedelta() < close.at - close.end < timedelta(days=10) for close in closes)


@pytest.mark.parametrize(
    ("name", "label", "closes_at"),
    [
        ("calendar_months", "2026-01", "2026-02-04T06:00:00+00:00"),
        ("calendar_months", "2026-03", "2026-04-07T06:00:00+00:00"),  # Good Friday and Easter Monday on the way
        ("retail_445", "2026-01", "2026-03-05T11:00:00+00:00"),
        ("thirteen_by_four", "2026-13", "2026-12-30T06:00:00+00:00"),
        ("weekly", "2026-53", "2027-01-04T06:00:00+00:00"),
    ],
)
def test_closes_of_the_calendars_that_come_along(
    name: str, label: str, closes_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(ROOT / "include"))
    found = load_calendar(name)
    assert found.close_of(found.period(label)).at.isoformat() == closes_at


def test_the_documented_table_is_right() -> None:
    text = (ROOT / "include" / "calendars" / "README.md").read_text(encoding="utf-8")
    found = from_text(text.split("```yaml\n")[1].split("```")[0])
    assert found.close_of(found.period("2026-13")).at == datetime(2027, 2, 26, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kind: table", "kind: lunar"), "line 3, periods: 'lunar' is no kind of calendar. Write one of monthly,"),
        (("kind: table", "kinds: table"), "line 3, periods: the key `kind` is missing. Write one of"),
        (("timezone: Europe/Brussels", "timezone: Brussels"), "line 2, timezone: 'Brussels' is no time zone"),
        (("2026-01: 2026-01-28", "2026-01: 20260128"), "periods.ends.2026-01: 20260128 is no date. Write"),
        (("2026-01: 2026-01-28", "202601: 2026-01-28"), "write the period as 2026-01"),
        (("2026-01: 2026-01-28", "2026-1: 2026-01-28"), "'2026-1' is no period. Write the fiscal year"),
        (("2026-01: 2026-01-28", "2026-01: 2025-12-31"), "2026-01 ends on 2025-12-31, before it begins"),
        (("2026-01: 2026-01-28", "2025-11: 2026-01-28"), "2025-11 stands after 2025-12. Put the periods in order"),
        (("2025-13: 2025-12-31", "2025-13: 2025-12-30"), "no period ends on 2025-12-30"),
        (("2025-13: 2025-12-31", "2026-01: 2025-12-31"), "2026-01 stands in `ends` too"),
        (('at: "18:00"', "at: 1800"), 'no time of day. Write hours and minutes in quotes, such as "06:00"'),
        (('at: "18:00"', 'at: "24:30"'), "close.at"),
        (("business_days: 5", "buisness_days: 5"), "Did you mean `business_days`?"),
        (("business_days: 5", "business_days: -1"), "close.business_days"),
        (("2026-02: 2026-04-30", "2026-02: 2026-02-25"), "2026-02 close on 2026-02-25, but its last day is 2026-02-25"),
        (("2026-02: 2026-04-30", "2026-09: 2026-04-30"), "has no period 2026-09"),
    ],
)  # fmt: skip
def test_a_wrong_calendar_is_refused_in_words(change: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=re.escape(message)):
        from_text(TABLE.replace(*change, 1))


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        ({"kind": "weekly", "week_53_in": 12}, "in a weekly calendar the 53rd week is period 53"),
        ({"kind": "4-4-5", "week_53_in": 13}, "4-4-5 has no period 13"),
    ],
)
def test_a_53rd_week_without_a_period_is_refused(periods: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calendar({**periods, "year_ends": {"weekday": "sunday", "month": 12, "rule": "last"}})


@pytest.mark.parametrize("label", ["2026", "2026-00", "2026-1", "26-01", "2026-13", "202613", "1066-01", "January", ""])
def test_an_unknown_period_is_refused(label: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="period"):
        calendar({"kind": "monthly"}).period(label)


def test_a_day_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ConfigurationInvalid, match="goes from 2025-11-30 to 2026-03-31"):
        from_text(TABLE).period_of(date(2026, 4, 1))
    assert from_text(TABLE).period_starting(datetime(2026, 4, 1, tzinfo=UTC)) is None


def test_a_calendar_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "ours.yaml").write_text(TABLE, encoding="utf-8")
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))

    assert load_calendar("ours").period("2025-13").adjustment
    with pytest.raises(ConfigurationInvalid, match=r"theirs\.yaml does not exist.*there are: ours\."):
        load_calendar("theirs")
    with pytest.raises(ConfigurationInvalid, match="is no calendar's name"):
        load_calendar("../ours")


def test_closes_sort_by_moment_then_interval() -> None:
    closes: list[Close] = list(from_text(TABLE).closes_from(datetime(2026, 2, 20, tzinfo=UTC)))
    assert [close.period.label for close in closes[:2]] == ["2025-13", "2025-14"]
