"""Tables by SYSPRO's OData service: whole, in key order, page by page.

What this service takes is documented in part only, so that a request it refuses (HTTP 400) is put another way: without
`$count`, without `$select`, with other date literals. Pages follow each other by key: rows that come and go meanwhile
are neither lost nor doubled. Where the server refuses such filters, pages follow its own links or `$skip`, each
overlapping the one before by a row, so that a shift is noticed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Protocol

import pyarrow as pa

from tieout.errors import ContractBroken, SourceUnavailable
from tieout.odata.query import both, literal
from tieout.odata.schema import FieldType
from tieout.systems.syspro.errors import SysproError
from tieout.systems.syspro.json_pages import JsonPages, KeyValues, Page
from tieout.systems.syspro.links import own_link
from tieout.systems.syspro.settings import SysproSettings
from tieout.systems.syspro.tables import Condition, TableRead

log = logging.getLogger(__name__)

_REFUSED = frozenset({400, 501})
_DATE_FORMS = ("{}T00:00:00Z", "{}", "{}T00:00:00")
_REWINDS = (1, 10, 100, 1_000)
"""How many rows a page overlaps the one before, more while the last row is not found."""


class Fetch(Protocol):
    """Asks the server until there is a whole answer."""

    def __call__(self, path: str, params: Mapping[str, str], parse: Callable[[bytes], Any]) -> Any:
        """What `parse` makes of the body of `path`; it is asked for again while `parse` finds it unreadable."""
        ...


@dataclass(frozen=True)
class Dialect:
    """How requests are put.

    Attributes:
        dates: Template of a date in a filter.
        select: Whether columns are named.
        count: Whether the first page shall tell how many rows there are.
    """

    dates: str = _DATE_FORMS[0]
    select: bool = True
    count: bool = True


class ODataReader:
    """Reads tables of one company.

    Args:
        fetch: Asks the server.
        settings: Paths, page size and the way of paging.
    """

    def __init__(self, fetch: Fetch, settings: SysproSettings) -> None:
        self._fetch = fetch
        self._settings = settings
        self._dialects: dict[str, Dialect] = {}

    def read(self, read: TableRead) -> Iterator[pa.RecordBatch]:
        """The table's records, in key order; see `tieout.systems.syspro.columns.batch_schema`.

        Raises:
            SysproError: The server refuses the request, however it is put.
            ContractBroken: The server contradicts itself, or a value is not of its column's type.
            SourceUnavailable: The server does not answer within the budget.
            CredentialsRejected: The server does not accept the credentials.
        """
        walk = _Walk(self._fetch, self._settings, read, self._dialects.get(read.table.name))
        yield from walk.batches()
        self._dialects[read.table.name] = walk.dialect

    def count(self, read: TableRead) -> int | None:
        """How many rows the server counts; None if it does not count. Date conditions are a day wider, either side."""
        walk = _Walk(self._fetch, self._settings, read, self._dialects.get(read.table.name))
        return walk.first_page(top=1).count

    def probe(self, read: TableRead) -> int:
        """Asks for one record; how many came. Errors as `read`."""
        return _Walk(self._fetch, self._settings, read, self._dialects.get(read.table.name)).probe()


class _Walk:
    """One walk over one table."""

    def __init__(self, fetch: Fetch, settings: SysproSettings, read: TableRead, dialect: Dialect | None) -> None:
        self._fetch = fetch
        self._settings = settings
        self._read = read
        self._pages = JsonPages(read)
        self._path = settings.table_path(read.table.name)
        self._by_key = settings.paging == "keyset"
        self._position = 0
        self.dialect = dialect or Dialect()

    # -- pages ----------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[pa.RecordBatch]:
        page = self.first_page(self._settings.page_size)
        counted, rows, number = page.count, 0, 1
        self._position = page.rows
        previous: KeyValues = ()
        with ThreadPoolExecutor(1, thread_name_prefix=self._read.table.name) as ahead:
            while page.rows:
                self._check_order(page, previous, number)
                rows += page.rows
                done = counted is not None and rows >= counted and not page.next_link
                # The next page is on its way while this one is converted and its records are used.
                coming: Future[Page] | None = None if done else ahead.submit(self._page_after, page)
                try:
                    batch = self._pages.batch(page, f"page {number}")
                    if batch.num_rows:
                        yield batch
                except BaseException:
                    if coming is not None:
                        coming.cancel()
                    raise
                if coming is None:
                    break
                previous, number = page.last_key, number + 1
                page = coming.result()
        self._check_count(counted, rows)

    def probe(self) -> int:
        """Reads the first record as a page of its own."""
        return int(self._pages.batch(self.first_page(top=1), "the first record").num_rows)

    def first_page(self, top: int) -> Page:
        """The first page, in whatever dialect the server understands."""
        refusal: SysproError | None = None
        for dialect in self._candidates():
            params = self._params(dialect, None, top)
            if dialect.count:
                params["$count"] = "true"
            try:
                page = self._get(params)
            except SysproError as error:
                if error.status not in _REFUSED:
                    raise
                refusal = refusal or error
                continue
            if dialect != self.dialect:
                log.info("%s: the server refused the first request (%s); it takes %s",
                         self._read.table.name, refusal, dialect)  # fmt: skip
            self.dialect = dialect
            self._check_key_columns(page, dialect)
            return page
        assert refusal is not None
        raise refusal

    def _candidates(self) -> Iterator[Dialect]:
        known = self.dialect
        yield known
        dated = any(self._kind(condition) is FieldType.DATE for condition in self._read.where)
        for form in _DATE_FORMS if dated else (known.dates,):
            for select in (True, False):
                for count in (True, False):
                    candidate = Dialect(form, select, count)
                    if candidate != known:
                        yield candidate

    def _page_after(self, page: Page) -> Page:
        if self._by_key:
            try:
                return self._get(self._params(self.dialect, page.last_key, self._settings.page_size))
            except SysproError as error:
                if error.status not in _REFUSED:
                    raise
                log.warning("%s: the server refuses to page by key (%s); rows are counted instead",
                            self._read.table.name, error)  # fmt: skip
                self._by_key = False
        link = own_link(page.next_link, self._settings.base_url, self._path) if page.next_link else None
        # A link that counts rows is no safer than counting them here, with an overlap.
        if link is not None and "$skip" not in link[1]:
            following: Page = self._fetch(*link, self._pages.decode)
            return following
        return self._page_by_skip(page.last_key)

    def _page_by_skip(self, last: KeyValues) -> Page:
        """The rows after `last`, wherever rows that came or went have shifted it."""
        for back in _REWINDS:
            start = max(0, self._position - back)
            page = self._get(self._params(self.dialect, None, self._settings.page_size) | {"$skip": str(start)})
            keys = self._pages.keys(page)
            if last in keys:
                read = keys.index(last) + 1
                if read == page.rows:
                    read, start = 0, start + page.rows
                    page = self._get(self._params(self.dialect, None, self._settings.page_size) | {"$skip": str(start)})
                self._position = start + page.rows
                return _without(page, read, keys)
        raise SourceUnavailable(
            f"{self._read.table.name} changes while it is read by row number (the row {_shown(last)} is gone). Nothing "
            f"of this read is used; run it again."
        )

    def _get(self, params: Mapping[str, str]) -> Page:
        page: Page = self._fetch(self._path, params, self._pages.decode)
        return page

    # -- checks ---------------------------------------------------------------------------------------------------

    def _check_order(self, page: Page, previous: KeyValues, number: int) -> None:
        """A page that begins where the one before ended, or earlier, means that the server lost filter or order."""
        if not previous:
            return
        kinds = [self._read.table.columns[name] for name in self._read.table.key]
        # How a server sorts texts is its own affair: only keys of integers can be compared here.
        ascending = all(kind is FieldType.INTEGER for kind in kinds)
        if previous in (page.first_key, page.last_key) or (ascending and page.first_key < previous):
            raise ContractBroken(
                f"Page {number} of {self._read.table.name} begins with {_shown(page.first_key)} although the one "
                f"before ended with {_shown(previous)}. The server has lost the filter or the order, so records could "
                f"be lost or doubled; nothing of this read is used."
            )

    def _check_key_columns(self, page: Page, dialect: Dialect) -> None:
        if dialect.select or not page.rows:
            return
        # A missing integer shows as soon as keys are read; of texts it shows here.
        absent = [name for name in self._read.table.key if all(value is None for value in page.values[name])]
        if absent:
            raise ContractBroken(
                f"{self._read.table.name} at SYSPRO, {self._settings.host}, has no column {', '.join(absent)}, by "
                f"which its records are told apart."
            )

    def _check_count(self, counted: int | None, rows: int) -> None:
        if counted is None or counted == rows:
            return
        # Rows may have come or gone: what the server counts now is the other end of what is right.
        now = self.first_page(top=1).count
        if now is None or min(counted, now) <= rows <= max(counted, now):
            return
        raise ContractBroken(
            f"The server counted {counted} records of {self._read.table.name} before the read and {now} after it, but "
            f"listed {rows}. Records are missing or doubled; nothing of this read is used."
        )

    # -- queries --------------------------------------------------------------------------------------------------

    def _params(self, dialect: Dialect, after: KeyValues | None, top: int) -> dict[str, str]:
        params = {}
        condition = both(self._filter(dialect), self._after(after)) if after else self._filter(dialect)
        if condition:
            params["$filter"] = condition
        params["$orderby"] = ",".join(self._read.table.key)
        if dialect.select:
            params["$select"] = ",".join(self._read.names)
        params["$top"] = str(top)
        return params

    def _filter(self, dialect: Dialect) -> str | None:
        terms = [self._term(condition, dialect) for condition in self._read.where]
        return " and ".join(terms) or None

    def _term(self, condition: Condition, dialect: Dialect) -> str:
        if self._kind(condition) is FieldType.DATE:
            return _date_term(condition, dialect.dates)
        return f"{condition.column} {condition.operator} {_literal(condition.value)}"

    def _after(self, key: Sequence[str | int]) -> str:
        """`(A gt 1 or (A eq 1 and B gt 2))`, without the columns that a condition fixes anyway."""
        fixed = {condition.column for condition in self._read.where if condition.operator == "eq"}
        parts = [(name, value) for name, value in zip(self._read.table.key, key, strict=True) if name not in fixed]
        if not parts:
            parts = [(self._read.table.key[-1], key[-1])]
        name, value = parts[-1]
        condition = f"{name} gt {_literal(value)}"
        for name, value in reversed(parts[:-1]):
            condition = f"{name} gt {_literal(value)} or ({name} eq {_literal(value)} and ({condition}))"
        return f"({condition})"

    def _kind(self, condition: Condition) -> FieldType:
        return self._read.table.columns[condition.column]


def _literal(value: Any) -> str:
    return literal(value) if isinstance(value, str | int) else f"{value:f}"


def _date_term(condition: Condition, form: str) -> str:
    """The condition a day wider, since a server's zone may move midnight; the exact one is applied to what comes."""
    day = condition.value
    assert isinstance(day, date)
    first, last = form.format(day - timedelta(days=1)), form.format(day + timedelta(days=2))
    name = condition.column
    match condition.operator:
        case "eq":
            return f"{name} ge {first} and {name} lt {last}"
        case "ge" | "gt":
            return f"{name} ge {first}"
        case "le" | "lt":
            return f"{name} lt {last}"
        case _:
            return f"{name} ne null"


def _without(page: Page, rows: int, keys: list[KeyValues]) -> Page:
    """The page without its first rows, which were read before."""
    if not rows:
        return page
    left = page.rows - rows
    return replace(
        page, rows=left, values={name: column[rows:] for name, column in page.values.items()}, skipped=rows,
        first_key=keys[rows] if left else (), last_key=page.last_key if left else (),
    )  # fmt: skip


def _shown(key: KeyValues) -> str:
    return "|".join(map(str, key))
