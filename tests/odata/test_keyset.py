"""Paging by key: nothing lost, nothing doubled, and servers that cheat are found out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.service_layer import select_rows
from tieout.errors import ContractBroken
from tieout.odata.keyset import KeyRange, KeysetQuery, KeysetWalk, last_key, split
from tieout.odata.query import KeyType, both, key_filters, literal, query_string

ORDERS = KeysetQuery("Orders", "DocEntry", KeyType.INTEGER)
PARTNERS = KeysetQuery("BusinessPartners", "CardCode", KeyType.TEXT)


class Rows:
    """A collection that answers page by page."""

    def __init__(self, keys: list[Any], name: str = "DocEntry", size: int = 3, link: str = "@odata.nextLink") -> None:
        self.rows = [{name: key, "Cancelled": "tNO"} for key in keys]
        self.name = name
        self.size = size
        self.link = link
        self.asked: list[dict[str, str]] = []
        self.meanwhile: Callable[[int], None] = lambda page: None

    def __call__(self, params: Mapping[str, str]) -> bytes:
        self.asked.append(dict(params))
        found = select_rows(self.rows, self.name, dict(params))
        page = found[: min(self.size, int(params.get("$top", 10**9)))]
        body: dict[str, Any] = {"value": page}
        if len(page) == self.size:
            body[self.link] = "Orders?$skip=3"
        self.meanwhile(len(self.asked))
        return json.dumps(body).encode()


def keys_of(walk: KeysetWalk) -> list[Any]:
    return [key for page in walk for key in page.keys]


@pytest.mark.parametrize("link", ["odata.nextLink", "@odata.nextLink"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 6, 7])
def test_reads_all_in_order(number: int, link: str) -> None:
    rows = Rows(list(range(10, 10 + number)), link=link)

    assert keys_of(KeysetWalk(rows, ORDERS)) == list(range(10, 10 + number))


def test_a_full_last_page_has_a_link_and_an_empty_one_follows() -> None:
    rows = Rows([1, 2, 3])

    assert keys_of(KeysetWalk(rows, ORDERS)) == [1, 2, 3]
    assert [asked.get("$filter") for asked in rows.asked] == [None, "DocEntry gt 3"]


def test_never_skips_and_always_orders() -> None:
    rows = Rows(list(range(7)))
    query = KeysetQuery("Orders", "DocEntry", KeyType.INTEGER, "Cancelled eq 'tNO' or DocEntry eq 1", ("CardName",))

    rows.rows = [row | {"CardName": "x"} for row in rows.rows]
    assert keys_of(KeysetWalk(rows, query)) == list(range(7))
    assert rows.asked[1] == {
        "$filter": "(Cancelled eq 'tNO' or DocEntry eq 1) and DocEntry gt 2",
        "$orderby": "DocEntry",
        "$select": "DocEntry,CardName",
    }


def test_rows_inserted_and_deleted_meanwhile_shift_nothing() -> None:
    rows = Rows(list(range(0, 40, 2)))

    def change(page: int) -> None:
        if page == 2:
            rows.rows = [row for row in rows.rows if row["DocEntry"] not in (0, 2, 30)]
            rows.rows += [{"DocEntry": 1, "Cancelled": "tNO"}, {"DocEntry": 39, "Cancelled": "tNO"}]

    rows.meanwhile = change

    assert keys_of(KeysetWalk(rows, ORDERS)) == [*range(0, 30, 2), *range(32, 40, 2), 39]


def test_a_range_ends_with_its_last_key() -> None:
    rows = Rows(list(range(1, 30)))

    assert keys_of(KeysetWalk(rows, ORDERS, KeyRange(4, 10))) == [5, 6, 7, 8, 9, 10]
    assert len(rows.asked) == 2


def test_text_keys_in_the_servers_own_order() -> None:
    collation = ["_x", "a'b", "B", "é", "z", "日"]
    rows = Rows([], name="CardCode", size=2)

    def fetch(params: Mapping[str, str]) -> bytes:
        condition = params.get("$filter", "")
        start = 0
        if condition:
            start = collation.index(condition.removeprefix("CardCode gt '")[:-1].replace("''", "'")) + 1
        rows.rows = [{"CardCode": key} for key in collation[start:]]
        page = rows.rows[:2]
        return json.dumps({"value": page, "@odata.nextLink": "x"} if len(page) == 2 else {"value": page}).encode()

    assert keys_of(KeysetWalk(fetch, PARTNERS)) == collation


def page(*keys: Any, name: str = "DocEntry", more: bool = True) -> bytes:
    body: dict[str, Any] = {"value": [{name: key} for key in keys]}
    return json.dumps(body | ({"odata.nextLink": "x"} if more else {})).encode()


CHEATS = {
    "filter-lost": ([page(1, 2, 3), page(1, 2, 3)], ORDERS, "1 follows 3"),
    "order-lost": ([page(1, 3, 2)], ORDERS, "2 follows 3"),
    "doubled": ([page(1, 2, 2)], ORDERS, "2 follows 2"),
    "text-filter-lost": ([page("a", "b", name="CardCode")] * 2, PARTNERS, "repeats a record"),
    "text-shift": ([page("a", "b", name="CardCode"), page("b", "c", name="CardCode")], PARTNERS, "'b'"),
    "text-doubled": ([page("a", "a", name="CardCode")], PARTNERS, "same key twice"),
    "no-key": ([page(None)], ORDERS, "without its key DocEntry"),
    "empty-text-key": ([page("", name="CardCode")], PARTNERS, "without its key CardCode"),
    "wrong-key": ([page("x")], ORDERS, "an integer is expected"),
    "no-page": ([b'{"error":{}}'], ORDERS, "cannot be read as a collection"),
    "html": ([b"<html>"], ORDERS, "cannot be read as a collection"),
}


@pytest.mark.parametrize(("bodies", "query", "message"), CHEATS.values(), ids=CHEATS)
def test_a_server_that_cheats_is_found_out(bodies: list[bytes], query: KeysetQuery, message: str) -> None:
    answers = iter(bodies)

    with pytest.raises(ContractBroken, match=message) as caught:
        keys_of(KeysetWalk(lambda params: next(answers), query))

    assert query.entity in str(caught.value)


def test_beyond_the_range() -> None:
    with pytest.raises(ContractBroken, match="11 is greater than 10"):
        keys_of(KeysetWalk(lambda params: page(9, 11), ORDERS, KeyRange(8, 10)))


def test_last_key() -> None:
    rows = Rows([3, 9, 5])

    assert last_key(rows, ORDERS) == 9
    assert rows.asked == [{"$orderby": "DocEntry desc", "$select": "DocEntry", "$top": "1"}]
    assert last_key(Rows([]), ORDERS) is None


@given(st.integers(0, 100), st.integers(1, 10_000), st.integers(1, 3000), st.integers(1, 500), st.integers(1, 40))
def test_ranges_cover_all_keys_once(after: int, span: int, records: int, size: int, pieces: int) -> None:
    ranges = split(after, after + span, records, size, pieces)

    assert ranges[0].after == after
    assert ranges[-1].upto is None
    assert [each.upto for each in ranges[:-1]] == [each.after for each in ranges[1:]]
    bounds = [each.after for each in ranges]
    assert bounds == sorted(set(bounds))  # type: ignore[type-var]


def test_dense_keys_cost_no_extra_requests() -> None:
    rows = Rows(list(range(1, 101)), size=5)
    ranges = split(0, 100, 100, 5, 8)

    assert [key for each in ranges for key in keys_of(KeysetWalk(rows, ORDERS, each))] == list(range(1, 101))
    assert len(ranges) >= 6
    assert len(rows.asked) <= 21


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60), unique=True, max_size=60))
def test_key_filters_are_short_and_complete(keys: list[str]) -> None:
    chunks = list(key_filters("CardCode", keys, max_length=1500))

    assert [key for _, chunk in chunks for key in chunk] == keys
    for text, chunk in chunks:
        assert text == " or ".join(f"CardCode eq {literal(key)}" for key in chunk)
        assert len(query_string({"f": text})) <= 1500 or len(chunk) == 1


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [(None, None, None), ("a eq 1", None, "a eq 1"), (None, "b", "b"), ("a or b", "c", "(a or b) and c")],
)
def test_both(left: str | None, right: str | None, expected: str | None) -> None:
    assert both(left, right) == expected
