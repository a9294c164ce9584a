"""The WHERE clauses that all lists share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, and_, func, or_, select, tuple_

from tieout.ledger.database import KEYS_PER_QUERY, chunks
from tieout.ledger.rows import Filters, RunKey, Scope

FEW = 1_000
"""Rows that are quickly named one by one."""

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
    query: Select[Any],
    table: Table,
    filters: Filters,
    *,
    since: ColumnElement[Any],
    status: ColumnElement[str],
    walked: Collection[str] = (),
) -> Select[Any]:
    """Narrow a list by what the filters name.

    Args:
        query: The list.
        table: Has the columns integration, instance, entity and run_id.
        filters: What to narrow by.
        since: The column that `filters.since` is about.
        status: The column that `filters.status` is about.
        walked: What no index is to be chosen by: an index in the list's order then tells of each row whether it is
            one, and nothing is sorted.
    """
    for name in ("integration", "instance", "entity", "run_id"):
        value = getattr(filters, name)
        if value is not None:
            query = query.where((table.c[name].concat("") if name in walked else table.c[name]) == value)
    if filters.within is not None:
        query = query.where(tuple_(table.c.integration, table.c.instance).in_(sorted(filters.within)))
    if filters.since is not None:
        query = query.where(since >= filters.since)
    if filters.status is not None:
        query = query.where(status == filters.status)
    return query


def page(
    connection: Connection, query: Select[Any], table: Table, limit: int | None, offset: int
) -> Iterator[RowMapping]:
    """The rows of one page of a list, in its order.

    First only their ids, which an index alone tells, however far back the page is; then the rows themselves.

    Args:
        connection: The caller's transaction.
        query: The whole list, in its order.
        table: The table whose `id` is the rows' own.
        limit: The page's size; None takes all there is from the offset on.
        offset: How many rows to pass over.
    """
    if limit is None:
        yield from connection.execute(query.offset(offset or None)).mappings()
        return
    ids = connection.execute(query.with_only_columns(table.c.id).limit(limit).offset(offset)).scalars().all()
    columns = list(query.selected_columns)
    for some in chunks(ids, KEYS_PER_QUERY):
        rows = connection.execute(select(*columns).where(table.c.id.in_(some))).mappings()
        by_id = {row["id"]: row for row in rows}
        yield from (by_id[row_id] for row_id in some)


def called(
    connection: Connection, table: Table, names: Sequence[str], text: str, *, postgres: bool
) -> ColumnElement[bool]:
    """Rows of which one of these columns begins with a text, letter case included.

    Few are looked up here and named by their ids. Of many, which the databases would collect and sort, a list is read
    faster in its own order: then the condition is one that no index fits.

    Args:
        connection: The caller's transaction.
        table: The table.
        names: The columns; each has an index of its own.
        text: What people typed.
        postgres: Whether the database is PostgreSQL.
    """
    found: set[int] = set()
    for name in names:
        beginning = _begins_with(table.c[name], text, postgres=postgres)
        found.update(connection.execute(select(table.c.id).where(beginning).limit(FEW + 1)).scalars())
        if len(found) > FEW:
            return or_(*(func.substr(table.c[column], 1, len(text)) == text for column in names))
    return table.c.id.in_(sorted(found))


def _begins_with(column: ColumnElement[str], text: str, *, postgres: bool) -> ColumnElement[bool]:
    """Values that begin with a text, in words that let the database use the column's index.

    SQLite's LIKE takes `a` for `A` and therefore no index; a range over its binary order does. PostgreSQL's order
    follows a language, in which a range is no prefix; its LIKE is exact.
    """
    if postgres:
        return column.startswith(text, autoescape=True)
    return and_(column >= text, column < text + _LAST_CHARACTER)
