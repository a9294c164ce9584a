"""Tables by e.net's query object COMFND, in key order, page by page.

COMFND knows no paging. The rows after a key are asked for by plain conditions that all hold, one query per column of
the key: same year and journal and a later entry; then same year and a later journal; then a later year. No query needs
an `or`, or brackets within brackets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Protocol
from xml.sax.saxutils import escape

import pyarrow as pa

from tieout.errors import ContractBroken
from tieout.odata.schema import FieldType
from tieout.systems.syspro.columns import build_batch
from tieout.systems.syspro.errors import SysproError
from tieout.systems.syspro.settings import SysproSettings
from tieout.systems.syspro.tables import Condition, Operator, TableRead, Value
from tieout.systems.syspro.xml_rows import XmlRows, read_rows

log = logging.getLogger(__name__)

BUSINESS_OBJECT = "COMFND"


class Query(Protocol):
    """Asks an e.net query object until there is a whole answer."""

    def __call__(self, business_object: str, xml_in: str, parse: Callable[[bytes], Any]) -> Any:
        """What `parse` makes of the answer; it is asked for again while `parse` finds it unreadable."""
        ...


class ComfndReader:
    """Reads tables of the company that the session is logged on to.

    Args:
        query: Asks e.net.
        settings: The page size.
    """

    def __init__(self, query: Query, settings: SysproSettings) -> None:
        self._query = query
        self._settings = settings
        self._whole: set[str] = set()

    def read(self, read: TableRead) -> Iterator[pa.RecordBatch]:
        """The table's records, in key order; see `tieout.systems.syspro.columns.batch_schema`.

        Raises:
            SysproError: e.net refuses the query.
            ContractBroken: A value is not of its column's type, or the server loses conditions or order.
            SourceUnavailable: The server does not answer within the budget.
            CredentialsRejected: A new log-on was needed and refused.
        """
        number, last = 0, None
        pending: list[tuple[Condition, ...]] = [()]
        while pending:
            page = self._page(read, pending[-1], self._settings.page_size)
            if not page.rows:
                pending.pop()
                continue
            number += 1
            batch = build_batch(read, page.values, page.raw if read.raw else (), f"page {number}")
            key = _last_key(read, page)
            if key == last:
                raise ContractBroken(
                    f"{read.table.name}: COMFND repeats the record {'|'.join(map(str, key))} of the page before. It "
                    f"has lost the conditions or the order; nothing of this read is used."
                )
            last = key
            pending = _after(read, key)
            if batch.num_rows:
                yield batch

    def probe(self, read: TableRead) -> int:
        """Asks for one record; how many came. Errors as `read`."""
        page = self._page(read, (), 1)
        return int(build_batch(read, page.values, page.raw if read.raw else (), "the first record").num_rows)

    def _page(self, read: TableRead, after: Sequence[Condition], rows: int) -> XmlRows:
        where = (*read.where, *after)
        if read.table.name not in self._whole:
            try:
                return self._answer(read, where, read.names, rows)
            except SysproError as error:
                if error.status != 200:
                    raise
                # Which column this site does not have is not to be told from the message: all of them, then.
                page = self._answer(read, where, (), rows)
                log.info("%s: COMFND refuses the columns (%s); it is asked for all", read.table.name, error)
                self._whole.add(read.table.name)
                return page
        return self._answer(read, where, (), rows)

    def _answer(self, read: TableRead, where: Sequence[Condition], names: Sequence[str], rows: int) -> XmlRows:
        xml_in = query_xml(read, where, names, rows)
        page: XmlRows = self._query(BUSINESS_OBJECT, xml_in, lambda body: read_rows(body, read.table.name, read.names))
        return page


def _after(read: TableRead, key: Sequence[Value]) -> list[tuple[Condition, ...]]:
    """Conditions for the rows after a key; the last is to be asked first."""
    fixed = {condition.column for condition in read.where if condition.operator == "eq"}
    parts = [(name, value) for name, value in zip(read.table.key, key, strict=True) if name not in fixed]
    levels = []
    for depth, (name, value) in enumerate(parts):
        same = tuple(Condition(column, "eq", known) for column, known in parts[:depth])
        levels.append((*same, Condition(name, "gt", value)))
    return levels


def _last_key(read: TableRead, page: XmlRows) -> tuple[Value, ...]:
    key: list[Value] = []
    for name in read.table.key:
        text = page.values[name][-1]
        if read.table.columns[name] is FieldType.TEXT:
            key.append(text or "")
            continue
        try:
            key.append(int(Decimal((text or "").strip())))
        except ArithmeticError:
            raise ContractBroken(
                f"{read.table.name}: COMFND answers a record whose key {name} is {text!r}, not an integer."
            ) from None
    return tuple(key)


_CONDITIONS: dict[Operator, str] = {"eq": "EQ", "ne": "NE", "gt": "GT", "ge": "GE", "lt": "LT", "le": "LE"}


def query_xml(read: TableRead, where: Sequence[Condition], names: Sequence[str], rows: int) -> str:
    """The `XmlIn` of a query for the first rows that meet all conditions, in key order; without names, whole rows."""
    columns = "".join(f"<Column>{name}</Column>" for name in names)
    order = "".join(f"<Column>{name}</Column>" for name in read.table.key)
    conditions = "".join(
        f"<Expression><OpenBracket>(</OpenBracket><AndOr>and</AndOr><Column>{condition.column}</Column>"
        f"<Condition>{_CONDITIONS[condition.operator]}</Condition><Value>{escape(_text(condition.value))}</Value>"
        f"<CloseBracket>)</CloseBracket></Expression>"
        for condition in where
    )
    return (
        f"<Query><TableName>{read.table.name}</TableName><ReturnRows>{rows}</ReturnRows>"
        + (f"<Columns>{columns}</Columns>" if columns else "")
        + (f"<Where>{conditions}</Where>" if conditions else "")
        + f"<OrderBy>{order}</OrderBy></Query>"
    )


def _text(value: Value) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else f"{value:f}" if not isinstance(value, int) else str(value)
