"""Held records in figures, for those who are told of them: how many, how much money, the oldest and the largest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from heapq import nlargest
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, literal_column, select

from tieout.ledger.database import Database
from tieout.ledger.models import events, held
from tieout.ledger.rows import HeldRow
from tieout.ledger.tally import Tally

_ROWS_AT_A_TIME = 1_000
_COLUMNS = [column for column in held.c if column.name != "payload"]

Kind = Literal["new", "old", "settled"]


@dataclass
class HeldSummary:
    """Held records of one kind.

    Attributes:
        tally: How many, and their money per currency.
        oldest: Ids of those held longest.
        largest: Ids of those with the largest amounts. Without exchange rates amounts compare as mere numbers.
    """

    tally: Tally = field(default_factory=Tally)
    oldest: list[int] = field(default_factory=list)
    largest: list[int] = field(default_factory=list)


class SummaryStore(Database):
    """Figures over the held records; they are read as a stream, however many there are."""

    def summarize_held(
        self, integration: str, instance: str, entities: Sequence[str], run_id: str, kind: Kind, most: int
    ) -> HeldSummary:
        """Count, sum and choose in one pass.

        Args:
            integration: Whose records.
            instance: Whose records.
            entities: Whose records.
            run_id: The run to judge by.
            kind: `new`: open and first held by this run; `old`: open since earlier ones; `settled`: by this run.
            most: So many ids in each list.
        """
        summary = HeldSummary()
        query = _figures(integration, instance, entities, run_id, kind)

        def passed() -> Iterator[tuple[Decimal, int]]:
            for row in connection.execute(query.execution_options(yield_per=_ROWS_AT_A_TIME)):
                summary.tally.add_record(row.currency, row.amount)
                if len(summary.oldest) < most:
                    summary.oldest.append(row.id)
                yield abs(row.amount or Decimal(0)), -row.id

        with self._reading() as connection:
            summary.largest = [-minus_id for _, minus_id in nlargest(most, passed())]
        return summary

    def held_rows(self, ids: Sequence[int]) -> list[HeldRow]:
        """The records of these ids, in the ids' order, without payloads."""
        query = select(*_COLUMNS).where(held.c.id.in_(ids))
        with self._reading() as connection:
            found = {row.id: HeldRow(**row._mapping) for row in connection.execute(query)}
        return [found[held_id] for held_id in ids if held_id in found]

    def noted(self, integration: str, instance: str, what: str, since: datetime) -> list[tuple[str, datetime]]:
        """Run and moment of events that concern no single entity, such as a mail that was sent."""
        query = select(events.c.run_id, events.c.at).where(
            events.c.integration == integration,
            events.c.instance == instance,
            events.c.entity == "",
            events.c.what == what,
            events.c.at >= since,
        )
        with self._reading() as connection:
            return [(row.run_id, row.at) for row in connection.execute(query)]


def _figures(integration: str, instance: str, entities: Sequence[str], run_id: str, kind: Kind) -> Select[Any]:
    query = select(held.c.id, held.c.currency, held.c.amount).order_by(held.c.id)
    if kind == "settled":
        # Found by the run's events: the settled records of all times are many, those of a run have an index.
        settled = (events.c.run_id == run_id, events.c.what == "settled")
        return query.where(*_of(events, integration, instance, entities), *settled).join(
            events, events.c.held_id == held.c.id
        )
    is_new = held.c.first_run_id == run_id
    is_open = held.c.status == literal_column("'held'")
    return query.where(*_of(held, integration, instance, entities), is_open, is_new if kind == "new" else ~is_new)


def _of(table: Any, integration: str, instance: str, entities: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return (table.c.integration == integration, table.c.instance == instance, table.c.entity.in_(entities))
