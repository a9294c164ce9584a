"""Figures over all instances, for those who look at the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, func, literal_column, select, text

from tieout.ledger.columns import iso_z
from tieout.ledger.database import Database
from tieout.ledger.models import held, runs
from tieout.ledger.tally import Totals

Pair = tuple[str, str]
"""Integration and instance."""

_ROWS_AT_A_TIME = 1_000
# Written out, not as parameters: only so do the databases see that the partial indexes fit.
_SENT_SOMETHING = text("(delivered > 0 OR posted > 0)")
_IS_OPEN = held.c.status == literal_column("'held'")


class LastRun(NamedTuple):
    """A run of all its entities together.

    Attributes:
        status: That of all entities where they agree; `failed` where one failed, else `running`.
        ties_out: All entities do; None while one has no verdict.
    """

    run_id: str
    mode: str
    started_at: datetime
    ended_at: datetime | None
    status: str
    ties_out: bool | None
    extracted: int
    delivered: int
    posted: int
    held: int

    def as_json(self) -> dict[str, Any]:
        """The run for the overview, under the names of `RunRow.as_json`."""
        times = {"started_at": iso_z(self.started_at), "ended_at": iso_z(self.ended_at)}
        return {**self._asdict(), **times, "ties_out": bool(self.ties_out)}


class OpenHeld(NamedTuple):
    """How many records are held now, and the one held longest."""

    number: int
    oldest_id: int
    oldest_since: datetime


class Sent(NamedTuple):
    """What one run of one entity delivered or posted."""

    integration: str
    instance: str
    started_at: datetime
    delivered: int
    posted: int
    totals: Totals


class OverviewStore(Database):
    """Figures of all instances at once."""

    def known_instances(self) -> list[Pair]:
        """Every integration and instance that ever began a run, in order."""
        first_integration = select(func.min(runs.c.integration))
        first_instance = select(func.min(runs.c.instance))
        found: list[Pair] = []
        with self._reading() as connection:
            # From each name to the next by the index: the instances are few, their runs are many.
            integration = connection.execute(first_integration).scalar_one()
            while integration is not None:
                of_this = first_instance.where(runs.c.integration == integration)
                instance = connection.execute(of_this).scalar_one()
                while instance is not None:
                    found.append((integration, instance))
                    instance = connection.execute(of_this.where(runs.c.instance > instance)).scalar_one()
                integration = connection.execute(first_integration.where(runs.c.integration > integration)).scalar_one()
        return found

    def last_runs(self) -> dict[Pair, LastRun]:
        """The run that each instance began last."""
        pairs = self.known_instances()
        with self._reading() as connection:
            return {pair: _last_run(connection, *pair) for pair in pairs}

    def sent_since(self, since: datetime) -> Iterator[Sent]:
        """What was delivered or posted by runs begun since then, a row per run and entity that sent something."""
        with self._reading() as connection:
            for row in connection.execute(_sent(since).execution_options(yield_per=_ROWS_AT_A_TIME)):
                yield Sent(*row)

    def held_since(self, since: datetime) -> Iterator[tuple[Pair, datetime]]:
        """Whose and when, of the records first held since then, the last one first."""
        query = _newest_held().execution_options(yield_per=_ROWS_AT_A_TIME)
        with self._reading() as connection:
            # The numbers rise with the time: the first older row ends the walk, and no index on the time is needed.
            for row in takewhile(lambda row: row.first_seen >= since, connection.execute(query)):
                yield (row.integration, row.instance), row.first_seen

    def open_held_by_instance(self) -> dict[Pair, OpenHeld]:
        """How many records each instance holds now; without those that hold none."""
        with self._reading() as connection:
            rows = list(connection.execute(_open_counts()))
            since = _first_seen(connection, [row.oldest for row in rows])
        return {(row.integration, row.instance): OpenHeld(row.number, row.oldest, since[row.oldest]) for row in rows}


def _last_run(connection: Connection, integration: str, instance: str) -> LastRun:
    of_instance = (runs.c.integration == integration, runs.c.instance == instance)
    newest = select(runs.c.run_id).where(*of_instance).order_by(runs.c.started_at.desc(), runs.c.id.desc())
    run_id = connection.execute(newest.limit(1)).scalar_one()
    names = ("mode", "started_at", "ended_at", "status", "ties_out", "extracted", "delivered", "posted", "held")
    rows = connection.execute(
        select(*(runs.c[name] for name in names)).where(runs.c.run_id == run_id, *of_instance)
    ).all()
    sums = {name: sum(getattr(row, name) for row in rows) for name in ("extracted", "delivered", "posted", "held")}
    ended = [row.ended_at for row in rows]
    return LastRun(
        run_id=run_id,
        mode=rows[0].mode,
        started_at=min(row.started_at for row in rows),
        ended_at=None if None in ended else max(ended),
        status=_status(Counter(row.status for row in rows)),
        ties_out=_ties_out(rows),
        **sums,
    )


def _status(statuses: Mapping[str, int]) -> str:
    if len(statuses) == 1:
        return next(iter(statuses))
    return "failed" if "failed" in statuses else "running"


def _ties_out(rows: Sequence[Row[Any]]) -> bool | None:
    verdicts = {row.ties_out for row in rows}
    return False if False in verdicts else None if None in verdicts else True


def _sent(since: datetime) -> Select[Any]:
    columns = ("integration", "instance", "started_at", "delivered", "posted", "target_totals")
    return select(*(runs.c[name] for name in columns)).where(runs.c.started_at >= since, _SENT_SOMETHING)


def _newest_held() -> Select[Any]:
    return select(held.c.integration, held.c.instance, held.c.first_seen).order_by(held.c.id.desc())


def _open_counts() -> Select[Any]:
    number, oldest = func.count().label("number"), func.min(held.c.id).label("oldest")
    query = select(held.c.integration, held.c.instance, number, oldest).where(_IS_OPEN)
    return query.group_by(held.c.integration, held.c.instance)


def _first_seen(connection: Connection, ids: list[int]) -> dict[int, datetime]:
    query = select(held.c.id, held.c.first_seen).where(held.c.id.in_(ids))
    return {row.id: row.first_seen for row in connection.execute(query)}
