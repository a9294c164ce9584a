"""One row per integration and instance: its last run, what it sent of late, what it holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tieout.console.instances import Pair, facts_of
from tieout.ledger import LastRun, Ledger, OpenHeld, Sent, Tally, totals_text
from tieout.ledger.columns import iso_z
from tieout.ledger.database import utc_now
from tieout.replays import dag_id_of

if TYPE_CHECKING:
    from tieout.console.dags import DagState

NO_DAGS: Mapping[str, DagState] = MappingProxyType({})
DAYS = 30
"""Days in the row's course, today included."""


@dataclass
class _Course:
    """What an instance sent and newly held, by the days of its own time zone."""

    zone: ZoneInfo
    delivered: Counter[date] = field(default_factory=Counter)
    posted: Counter[date] = field(default_factory=Counter)
    held: Counter[date] = field(default_factory=Counter)
    money: defaultdict[date, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def add_sent(self, sent: Sent) -> None:
        day = self.day(sent.started_at)
        self.delivered[day] += sent.delivered
        self.posted[day] += sent.posted
        self.money[day] += Tally(0, dict(sent.totals))

    def day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def sums(self, since: date) -> dict[str, Any]:
        """What was sent from a day on: a run counts on the day it began."""
        money = sum((tally for day, tally in self.money.items() if day >= since), Tally())
        return {
            "delivered": sum(number for day, number in self.delivered.items() if day >= since),
            "posted": sum(number for day, number in self.posted.items() if day >= since),
            "totals": totals_text(money.totals),
        }

    def days(self, today: date) -> list[dict[str, Any]]:
        """The last days, the oldest first; `held` are those first held on the day."""
        listed = [today - timedelta(days=back) for back in reversed(range(DAYS))]
        return [
            {
                "day": day.isoformat(),
                "delivered": self.delivered[day],
                "posted": self.posted[day],
                "held": self.held[day],
            }
            for day in listed
        ]


def overview_rows(
    ledger: Ledger | None,
    visible: frozenset[Pair],
    dags: Mapping[str, DagState] = NO_DAGS,
    now: datetime | None = None,
) -> list[dict[str, Any]]:
    """The overview's rows, in order of integration and instance.

    Args:
        ledger: The book of record; None where nothing has run yet.
        visible: The instances to tell of, also those that never ran.
        dags: What Airflow knows of their DAGs.
        now: The moment that is today; by default the clock's.
    """
    at = now or utc_now()
    courses = {pair: _Course(facts_of(*pair).timezone) for pair in sorted(visible)}
    if ledger is None:
        return [_row(pair, course, at, dags, {}, {}) for pair, course in courses.items()]
    # Two days more than any zone needs: days are counted in the instance's own.
    since = at - timedelta(days=max(DAYS, at.day) + 2)
    for sent in ledger.sent_since(since):
        if course := courses.get((sent.integration, sent.instance)):
            course.add_sent(sent)
    for pair, first_seen in ledger.held_since(since):
        if course := courses.get(pair):
            course.held[course.day(first_seen)] += 1
    last, still_held = ledger.last_runs(), ledger.open_held_by_instance()
    return [_row(pair, course, at, dags, last, still_held) for pair, course in courses.items()]


def _row(
    pair: Pair,
    course: _Course,
    now: datetime,
    dags: Mapping[str, DagState],
    last: Mapping[Pair, LastRun],
    still_held: Mapping[Pair, OpenHeld],
) -> dict[str, Any]:
    today, run, held, dag = course.day(now), last.get(pair), still_held.get(pair), dags.get(dag_id_of(*pair))
    return {
        "integration": pair[0],
        "instance": pair[1],
        "dag_id": dag_id_of(*pair),
        "timezone": course.zone.key,
        "last_run": run.as_json() if run else None,
        "next_run": iso_z(dag.next_run) if dag else None,
        "paused": dag.paused if dag else None,
        "today": course.sums(today),
        "month": course.sums(today.replace(day=1)),
        "held": held.number if held else 0,
        "oldest_held": {"id": held.oldest_id, "first_seen": iso_z(held.oldest_since)} if held else None,
        "days": course.days(today),
    }
