"""A list of documents that changes while it is read, as a service might keep it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from tieout.systems.banqup.answers import Page
from tieout.systems.banqup.model import Document, DocumentQuery
from tieout.systems.banqup.surface import timestamp
from tieout.systems.banqup.timestamps import parse_moment
from tieout.systems.banqup.walk import DocumentWalk

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

Change = Callable[["ChangingList"], None]


def document(document_id: str, updated_at: datetime) -> Document:
    return Document(
        id=document_id, folder="PURCHASES", category="INVOICE", status="APPROVED", pay_status="UNPAID",
        status_at=START, file_id="f", number=document_id, issue_date="2026-02-28", created_at=START,
        updated_at=updated_at, raw={},
    )  # fmt: skip


def cut(moment: datetime, microseconds: int) -> datetime:
    return moment.replace(microsecond=moment.microsecond // microseconds * microseconds)


INCLUSIVE: Callable[[datetime, datetime], bool] = lambda updated, since: updated >= since  # noqa: E731
COMPARISONS: dict[str, Callable[[datetime, datetime], bool]] = {
    "inclusive": INCLUSIVE,
    "exclusive": lambda updated, since: updated > since,
    "from the whole second": lambda updated, since: updated >= cut(since, 1_000_000),
    "whole seconds, exclusive": lambda updated, since: cut(updated, 1_000_000) > cut(since, 1_000_000),
    "whole milliseconds, exclusive": lambda updated, since: cut(updated, 1000) > cut(since, 1000),
    "to the nearest second": lambda updated, since: (
        updated >= cut(since + timedelta(milliseconds=500), 1_000_000)
    ),
}  # fmt: skip


class ChangingList:
    """Answers pages; after each answer, the next change is made.

    Attributes:
        rows: Time of change by id.
        now: When the latest change was.
        twice: Ids that the next answer lists twice.
        asked: Every request: since, page, size.
    """

    def __init__(
        self,
        times: Sequence[datetime],
        changes: Sequence[Change] = (),
        *,
        compare: Callable[[datetime, datetime], bool] = INCLUSIVE,
        shown: int = 1,
        tells_pages: bool = True,
        cap: int | None = None,
    ) -> None:
        # Ids in an order of their own, so that among equal times it is not the order of their making.
        self.rows = {f"{index * 7919 % 1000:03d}-{index}": time for index, time in enumerate(times)}
        self.now = max(times, default=START)
        self.twice: set[str] = set()
        self.asked: list[tuple[datetime, int, int]] = []
        self._changes = list(changes)
        self._compare = compare
        self._shown = shown
        self._tells_pages = tells_pages
        self._cap = cap

    def ask(self, since: datetime, page: int, size: int) -> Page:
        self.asked.append((since, page, size))
        since = parse_moment(timestamp(since))
        given = min(size, self._cap or size)
        rows = sorted((time, name) for name, time in self.rows.items() if self._compare(time, since))
        listed = [row for row in rows for _ in range(1 + (row[1] in self.twice))]
        self.twice = set()
        part = listed[page * given : (page + 1) * given]
        if self._changes:
            self._changes.pop(0)(self)
        documents = tuple(document(name, cut(time, self._shown)) for time, name in part)
        pages = -(-len(listed) // given)
        return Page(documents, given if self._cap else None, pages if self._tells_pages else None)

    def walk(self, page_size: int, since: datetime = START) -> list[Document]:
        query = DocumentQuery("PURCHASES", "INVOICE", "APPROVED", since)
        return list(DocumentWalk(self.ask, query, page_size, "The list"))

    # Changes

    def names(self) -> list[str]:
        """The ids in the order of the list."""
        return sorted(self.rows, key=lambda name: (self.rows[name], name))

    def some(self, numbers: Sequence[int]) -> set[str]:
        """Documents that are on the list, by their numbers in it."""
        names = self.names()
        return {names[number % len(names)] for number in numbers} if names else set()

    def touch(self, numbers: Sequence[int], later: timedelta) -> None:
        """Documents change, all at the same moment."""
        self.now += later
        for name in self.some(numbers):
            self.rows[name] = self.now

    def remove(self, numbers: Sequence[int]) -> None:
        for name in self.some(numbers):
            del self.rows[name]

    def add(self, how_many: int, later: timedelta) -> None:
        self.now += later
        for _ in range(how_many):
            self.rows[f"new-{len(self.rows)}-{self.now.isoformat()}"] = self.now
