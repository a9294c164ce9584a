"""The WHERE clauses that all lists share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, tuple_

from tieout.ledger.database import KEYS_PER_QUERY, chunks
from tieout.ledger.rows import Filters, RunKey, Scope

_LAST_CHARACTER = "\U0010ffff"


def by_scope(table: Table, scope: Scope) -> tuple[ColumnElement[bool], ...]:
    """Rows of one scope."""
    return (
        table.c.integration == scope.integration,
        table.c.instance == scope.instance,
        table.c.entity == scope.entity,
    )


def by_key(table: Table, key: RunKey) -> tuple[ColumnElement[bool], ...]:
    """Rows of one run."""
    return (*by_scope(table, key.scope), table.c.run_id == key.run_id)


def by_keys(table: Table, keys: Iterable[RunKey]) -> Iterator[tuple[ColumnElement[bool], ...]]:
    """Rows of many runs, in several conditions: each has as many values as go into one query."""

    def run_of(key: RunKey) -> tuple[str, str, str]:
        return key.integration, key.instance, key.run_id

    for (integration, instance, run_id), group in groupby(sorted(keys, key=run_of), run_of):
        for entities in chunks((key.entity for key in group), KEYS_PER_QUERY):
            yield (
                table.c.integration == integration,
                table.c.instance == instance,
                table.c.run_id == run_id,
                table.c.entity.in_(entities),
            )


def narrowed(
    query: Select[Any], table: Table, filters: Filters, *, since: ColumnElement[Any], status: ColumnElement[str]
) -> Select[Any]:
    """Narrow a list by what the filters name.

    Args:
        query: The list.
        table: Has the columns integration, instance, entity and run_id.
        filters: What to narrow by.
        since: The column that `filters.since` is about.
        status: The column that `filters.status` is about.
    """
    for name in ("integration", "instance", "entity", "run_id"):
        value = getattr(filters, name)
        if value is not None:
            query = query.where(table.c[name] == value)
    if filters.within is not None:
        query = query.where(tuple_(table.c.integration, table.c.instance).in_(sorted(filters.within)))
    if filters.since is not None:
        query = query.where(since >= filters.since)
    if filters.status is not None:
        query = query.where(status == filters.status)
    return query


def begins_with(column: ColumnElement[str], text: str, *, postgres: bool) -> ColumnElement[bool]:
    """Values that begin with a text, letter case included, in words that let the database use the column's index.

    SQLite's LIKE takes `a` for `A` and therefore no index; a range over its binary order does. PostgreSQL's order
    follows a language, in which a range is no prefix; its LIKE is exact.
    """
    if postgres:
        return column.startswith(text, autoescape=True)
    return and_(column >= text, column < text + _LAST_CHARACTER)
