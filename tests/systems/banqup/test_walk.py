"""Reading a list that changes: no document is lost, none comes twice, and it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.systems.banqup.changing_list import COMPARISONS, START, Change, ChangingList, document
from tieout.errors import ContractBroken, SourceUnavailable
from tieout.systems.banqup.answers import Page
from tieout.systems.banqup.model import DocumentQuery
from tieout.systems.banqup.walk import DocumentWalk

MILLISECOND = timedelta(milliseconds=1)


def spaced(count: int, gap: timedelta) -> list[datetime]:
    return [START + gap * index for index in range(count)]


def names(found: Sequence[Any]) -> list[str]:
    return [row.id for row in found]


# Random lists, servers and changes

_GAPS = st.sampled_from([timedelta(), timedelta(microseconds=300), MILLISECOND, timedelta(milliseconds=400),
                         timedelta(seconds=1), timedelta(seconds=5)])  # fmt: skip
_NUMBERS = st.lists(st.integers(0, 400), min_size=1, max_size=30)


def _touch(numbers: list[int], later: timedelta) -> Change:
    return lambda listed: listed.touch(numbers, later)


def _remove(numbers: list[int]) -> Change:
    return lambda listed: listed.remove(numbers)


def _add(how_many: int, later: timedelta) -> Change:
    return lambda listed: listed.add(how_many, later)


def _list_twice(numbers: list[int]) -> Change:
    def change(listed: ChangingList) -> None:
        listed.twice = listed.some(numbers)

    return change


def _nothing(listed: ChangingList) -> None:
    """No change."""


_CHANGES = st.lists(
    st.one_of(
        st.just(_nothing),
        st.builds(_touch, _NUMBERS, _GAPS),
        st.builds(_remove, _NUMBERS),
        st.builds(_add, st.integers(1, 60), _GAPS),
        st.builds(_list_twice, _NUMBERS),
    ),
    max_size=25,
)


@st.composite
def _times(draw: st.DrawFn) -> list[datetime]:
    moment, times = START, []
    for gap, count in draw(st.lists(st.tuples(_GAPS, st.integers(1, 70)), max_size=8)):
        for _ in range(count):
            times.append(moment)
            moment += gap
        moment += draw(_GAPS)
    return times


@given(
    times=_times(),
    changes=_CHANGES,
    compare=st.sampled_from(sorted(COMPARISONS)),
    shown=st.sampled_from([1, 1000]),
    tells_pages=st.booleans(),
    cap=st.sampled_from([None, 20, 30]),
    page_size=st.sampled_from([1, 2, 3, 7, 20, 50]),
)
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost_nothing_comes_twice(
    times: list[datetime],
    changes: list[Change],
    compare: str,
    shown: int,
    tells_pages: bool,
    cap: int | None,
    page_size: int,
) -> None:
    listed = ChangingList(
        times, changes, compare=COMPARISONS[compare], shown=shown, tells_pages=tells_pages, cap=cap
    )  # fmt: skip
    before = set(listed.rows)
    found = names(listed.walk(page_size))
    assert len(found) == len(set(found))
    # What stayed on the list all along, changed or not, was found.
    assert before & set(listed.rows) <= set(found)


# How it asks


def test_one_request_for_a_short_list_and_one_per_page_for_a_long_one() -> None:
    short = ChangingList(spaced(20, timedelta(minutes=1)))
    assert len(short.walk(50)) == 20
    assert len(short.asked) == 1
    long = ChangingList(spaced(500, timedelta(minutes=1)))
    assert len(long.walk(50)) == 500
    # Every page repeats one row of the page before.
    assert len(long.asked) == 11
    assert {page for _, page, _ in long.asked} == {0}


def test_documents_of_one_moment_are_read_by_overlapping_pages() -> None:
    listed = ChangingList([START] * 1000)
    assert len(listed.walk(50)) == 1000
    pages = [(page * size, page * size + size) for _, page, size in listed.asked]
    assert all(begin < end_before < end for (_, end_before), (begin, end) in pairwise(pages))
    assert len(pages) < 35
    assert max(size for _, _, size in listed.asked) <= 50


def test_a_server_that_leaves_out_the_moment_itself_is_learnt() -> None:
    listed = ChangingList(spaced(500, timedelta(minutes=1)), compare=COMPARISONS["exclusive"])
    assert len(listed.walk(50)) == 500
    assert len(listed.asked) == 12


def test_rows_before_the_last_one_vanish_between_two_pages_of_one_moment() -> None:
    listed = ChangingList([START] * 150, [_nothing, _remove(list(range(40)))])
    before = set(listed.rows)
    found = set(names(listed.walk(50)))
    assert before & set(listed.rows) <= found


def test_a_document_that_changes_is_given_once_as_it_was_first_seen() -> None:
    listed = ChangingList(spaced(60, timedelta(minutes=1)), [_touch([0], timedelta(hours=1))])
    first = listed.names()[0]
    found = listed.walk(50)
    assert names(found).count(first) == 1
    assert next(row for row in found if row.id == first).updated_at == START
    # A document that changes before it was seen is given with its new time.
    listed = ChangingList(spaced(60, timedelta(minutes=1)), [_touch([59], timedelta(hours=1))])
    assert listed.walk(50)[-1].updated_at == START + timedelta(minutes=59, hours=1)


def test_an_empty_list() -> None:
    assert ChangingList([]).walk(50) == []


def test_what_was_changed_long_before_is_not_asked_for() -> None:
    listed = ChangingList(spaced(100, timedelta(minutes=1)))
    assert len(listed.walk(50, since=START + timedelta(minutes=90))) == 10


# Servers that do not keep to it


def walk(pages: Sequence[Page] | Page, page_size: int = 3) -> list[str]:
    """The walk over answers that are the same whatever is asked for."""
    answers = iter([pages] * 10_000 if isinstance(pages, Page) else pages)
    query = DocumentQuery("SALES", "INVOICE", "SENT", START)
    return names(list(DocumentWalk(lambda *asked: next(answers), query, page_size, "The list")))


def page(*minutes: float, pages: int | None = 1) -> Page:
    return Page(tuple(document(f"d{minute}", START + timedelta(minutes=minute)) for minute in minutes), None, pages)


def test_a_list_that_is_not_sorted() -> None:
    with pytest.raises(ContractBroken, match=r"not sorted by updatedAt: document d1 .* follows document d2"):
        walk(page(0, 2, 1))


def test_a_list_sorted_the_other_way() -> None:
    with pytest.raises(ContractBroken, match="not sorted"):
        walk(page(9, 8, 7, pages=5))


def test_a_server_that_ignores_updated_from() -> None:
    with pytest.raises(ContractBroken, match=r"updatedFrom = 2026-03-01T08:59:58\.000Z .* ignores updatedFrom"):
        walk(page(-60, 1, 2))
    # With nothing old on its first page it shows only at the second.
    with pytest.raises(ContractBroken, match="ignores updatedFrom"):
        walk(page(0, 1, 2, pages=5))


def test_a_server_that_ignores_page() -> None:
    same = Page(tuple(document(f"d{number}", START) for number in range(50)), None, 3)
    with pytest.raises(ContractBroken, match="ignores page"):
        walk(same, page_size=50)


def test_a_list_that_changes_faster_than_it_can_be_read() -> None:
    def everything(listed: ChangingList) -> None:
        listed.touch(range(200), MILLISECOND)

    listed = ChangingList(spaced(200, MILLISECOND), [everything] * 10_000)
    with pytest.raises(SourceUnavailable, match="change faster than they can be read"):
        listed.walk(50)
    assert len(listed.asked) < 100


def test_a_row_that_is_listed_twice_may_stand_anywhere() -> None:
    first = page(0, 1, 2, pages=2)
    second = Page((*page(2, 3).rows, *page(2).rows), None, 1)
    assert walk([first, second]) == ["d0", "d1", "d2", "d3"]


def test_a_window_that_ends() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        DocumentQuery("SALES", "INVOICE", "SENT", START, datetime(2026, 3, 2))
