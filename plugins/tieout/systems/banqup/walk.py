"""Reading a whole list of documents while it changes.

The service has page numbers only, over a list sorted by `updatedAt`. Rows come, go and move to the end while the list
is read, so that the second page need not begin where the first one ended. The walk therefore asks by time: after each
page it asks again for what changed since the last row of it, first page. Where too many rows have about the same time
for that, it goes on by page number, with pages cut so that each overlaps what was read before.

A page counts only if it is *joined* to what was read: it shows a row that was read before, unchanged. As a page is one
piece of the sorted list, nothing lies between that row and the page's end that is not on it, so that nothing is lost.
A page that is not joined is thrown away, and the walk asks from a little before the last row's time. That page
counts in any case: it begins before the place up to which everything was read, also on servers that leave out the
moment itself, or that compare whole seconds only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from tieout.errors import ContractBroken, SourceUnavailable
from tieout.systems.banqup import surface
from tieout.systems.banqup.answers import Page
from tieout.systems.banqup.model import Document, DocumentQuery
from tieout.systems.banqup.timestamps import to_milliseconds

Ask = Callable[[datetime, int, int], Page]
"""Reads one page: changed from, number of the page, rows per page."""

_MARGIN = timedelta(seconds=2)
_NO_MARGIN = timedelta()
_OVERLAP = 5
_IDLE_PAGES = 20


class DocumentWalk:
    """All documents of a list, in the order of their change; each once.

    A document that changes while the list is read may be on it twice, with two times; it is given as it was first
    seen. Its newer state is for the next walk, if that begins no later than this one did. Documents of up to two
    seconds before `updated_from` may be given too, since servers differ in what they compare.

    Args:
        ask: Reads one page.
        query: Which documents.
        page_size: Rows per page; where pages have to overlap, up to the largest that the service gives are asked for.
        where: The list, for messages.
    """

    def __init__(self, ask: Ask, query: DocumentQuery, page_size: int, where: str) -> None:
        self._ask = ask
        self._size = page_size
        self._largest = surface.LARGEST_PAGE
        self._where = where
        self._known: dict[str, datetime] = {}
        self._read_to = query.updated_from.astimezone(UTC)
        self._margin = _NO_MARGIN
        self._idle = 0

    def __iter__(self) -> Iterator[Document]:
        """The documents.

        Raises:
            ContractBroken: The service does not sort, or ignores `updatedFrom` or `page`.
            SourceUnavailable: The list changes faster than it can be read.
        """
        window = _Window(self._moment(_MARGIN), certain=True)
        while True:
            number, size = self._next_page(window.covered)
            page = self._ask(window.begin, number, size)
            self._check(page, window.begin)
            if number and window.begins_with(page):
                raise ContractBroken(
                    f"{self._where} has the same documents on page {number} as on page 0. The service ignores "
                    f"{surface.PAGE}, so that documents could be lost; nothing of this read is used."
                )
            if not window.certain and not self._is_joined(page):
                window = _Window(self._moment(_MARGIN), certain=True, after=window)
                self._note_progress(0)
                continue
            if any(self._is_known(row) and window.was_missing(row) for row in page.rows):
                # This server leaves out the moment itself that is asked from.
                self._margin = _MARGIN
            new = self._take_in(page)
            yield from new
            size = self._given(page, size)
            if not page.rows or not self._has_more(page, number, size, new):
                return
            self._note_progress(len(new))
            window.add(page, number * size)
            window = self._moved_on(window)

    def _moment(self, margin: timedelta) -> datetime:
        return to_milliseconds(self._read_to - margin)

    def _next_page(self, covered: int) -> tuple[int, int]:
        """Number and size of the page that leads furthest, of those that overlap the rows covered already."""
        if not covered:
            return 0, min(self._size, self._largest)
        start = max(0, covered - max(1, min(_OVERLAP, self._largest // 4)))
        size = max(range(1, self._largest + 1), key=lambda rows: (start // rows + 1) * rows)
        return start // size, size

    def _given(self, page: Page, size: int) -> int:
        """Rows per page that the service really gives, where it gives fewer than it was asked for."""
        if page.size and page.size < size:
            self._largest = page.size
            return page.size
        return size

    def _is_known(self, row: Document) -> bool:
        return self._known.get(row.id) == row.updated_at

    def _is_joined(self, page: Page) -> bool:
        return any(self._is_known(row) for row in page.rows)

    def _has_more(self, page: Page, number: int, size: int, new: list[Document]) -> bool:
        if page.pages is not None:
            return number + 1 < page.pages
        # Where nobody says how many pages there are, only a page without anything new is certainly the last.
        return bool(new) or len(page.rows) >= size

    def _take_in(self, page: Page) -> list[Document]:
        """The documents that have not been given yet."""
        new = []
        for row in page.rows:
            if row.id not in self._known:
                new.append(row)
            self._known[row.id] = row.updated_at
            self._read_to = max(self._read_to, row.updated_at)
        return new

    def _moved_on(self, window: _Window) -> _Window:
        """Asking by time where that repeats little; else the same window, by page number."""
        begin = self._moment(self._margin)
        repeated = window.rows_from(begin)
        if begin > window.begin and window.reaches(self._read_to) and 2 * repeated <= max(self._size, 2):
            return _Window(begin, certain=self._margin == _MARGIN)
        return window

    def _note_progress(self, new: int) -> None:
        """A walk ends: rows that change all the time, or pages that are always the same, do not hold it for ever."""
        self._idle = 0 if new else self._idle + 1
        if self._idle > _IDLE_PAGES + 4 * len(self._known) // min(self._size, self._largest):
            raise SourceUnavailable(
                f"{self._where} does not come to an end: the last {self._idle} pages held nothing new. Its documents "
                f"change faster than they can be read. Nothing of this read is used; the next run reads it again."
            )

    def _check(self, page: Page, begin: datetime) -> None:
        """Filter and order, which the walk relies on. A row that is listed again may stand anywhere."""
        before: Document | None = None
        seen: set[str] = set()
        for row in page.rows:
            if row.updated_at < begin - _MARGIN:
                raise ContractBroken(
                    f"{self._where} was asked for with {surface.UPDATED_FROM} = {surface.timestamp(begin)} and holds "
                    f"document {row.id} with {surface.UPDATED_AT} = {row.updated_at.isoformat()}. The service ignores "
                    f"{surface.UPDATED_FROM}, so that documents could be lost; nothing of this read is used."
                )
            if row.id in seen or self._is_known(row):
                continue
            if before is not None and row.updated_at < before.updated_at:
                raise ContractBroken(
                    f"{self._where} is not sorted by {surface.UPDATED_AT}: document {row.id} of "
                    f"{row.updated_at.isoformat()} follows document {before.id} of {before.updated_at.isoformat()}. "
                    f"Documents could be lost; nothing of this read is used."
                )
            seen.add(row.id)
            before = row


class _Window:
    """A list from one moment on, read page by page.

    Args:
        begin: The moment.
        certain: Its first page needs no row that is known: it begins early enough in any case.
        after: The window that was given up, where its page was not joined.

    Attributes:
        covered: How many of its rows were read.
    """

    def __init__(self, begin: datetime, *, certain: bool, after: _Window | None = None) -> None:
        self.begin = begin
        self.certain = certain
        self.covered = 0
        self._times: list[datetime] = []
        self._first: list[str] = []
        self._missing_from = after.begin if after is not None and not after.covered else None

    def add(self, page: Page, first_row: int) -> None:
        """Takes note of a page whose first row has this number in the list."""
        if not first_row:
            self._first = [row.id for row in page.rows]
        self._times = [*self._times[:first_row], *(row.updated_at for row in page.rows)]
        self.covered = first_row + len(page.rows)
        self.certain = False

    def begins_with(self, page: Page) -> bool:
        """Whether a later page has the first rows; one alone may be listed twice."""
        both = [row.id for row in page.rows[:2]]
        return len(both) > 1 and both == self._first[:2]

    def was_missing(self, row: Document) -> bool:
        """Whether the window that was given up should have begun with this row."""
        return self._missing_from is not None and row.updated_at >= self._missing_from

    def reaches(self, moment: datetime) -> bool:
        """Whether rows up to this moment were read in it."""
        return any(time >= moment for time in self._times)

    def rows_from(self, moment: datetime) -> int:
        """How many of the rows that were read changed at or after a moment."""
        return sum(time >= moment for time in self._times)
