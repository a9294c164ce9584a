"""What the answer to a write says about its effect, and where it names what was created."""

from __future__ import annotations

import doctest
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from tieout.systems.sap_b1 import writing
from tieout.systems.sap_b1.writing import Effect, Write, Written, entity_path, key_of_location, read_written

POST = Write("POST", "JournalEntries", b"{}")
PARTNER = Write("POST", "BusinessPartners", b"{}")
PATCH = Write("PATCH", "BusinessPartners('V1')", b"{}")
CANCEL = Write("POST", "JournalEntries(17)/Cancel")
ROOT = "https://b1:50000/b1s/v2/"


def test_examples() -> None:
    assert doctest.testmod(writing).failed == 0


DONE = [
    pytest.param(POST, 201, b'{"JdtNum":17,"Number":4}', "", "17", id="key in the body"),
    pytest.param(POST, 201, b'\xef\xbb\xbf{"JdtNum":17}', "", "17", id="byte order mark"),
    pytest.param(POST, 201, b'{"JdtNum":"17"}', "", "17", id="key as text"),
    pytest.param(POST, 201, b"", ROOT + "JournalEntries(17)", "17", id="empty 201"),
    pytest.param(POST, 204, b"", "/b1s/v1/JournalEntries(17)", "17", id="204, absolute path"),
    pytest.param(POST, 204, b"", "JournalEntries(17)", "17", id="relative"),
    pytest.param(POST, 200, b'{"JdtNum":17}', "", "17", id="200"),
    pytest.param(POST, 201, b"{}", "", None, id="no key anywhere"),
    pytest.param(PARTNER, 201, b'{"CardCode":"V100"}', "", "V100", id="text key"),
    pytest.param(PARTNER, 204, b"", ROOT + "BusinessPartners('c1')", "c1", id="quoted"),
    pytest.param(PARTNER, 204, b"", ROOT + "BusinessPartners('O''Neil')", "O'Neil", id="doubled quote"),
    pytest.param(PARTNER, 204, b"", ROOT + "BusinessPartners('%C3%96%2F(1)')", "Ö/(1)", id="percent-encoded"),
    pytest.param(PARTNER, 204, b"", ROOT + "BusinessPartners(%27c1%27)", "c1", id="encoded quotes"),
    pytest.param(Write("POST", "U_OWN", b"{}"), 204, b"", ROOT + "U_OWN('7')", "7", id="unknown entity set"),
    pytest.param(PATCH, 204, b"", "", None, id="change"),
    pytest.param(CANCEL, 204, b"", "", None, id="action"),
    pytest.param(CANCEL, 200, b"", "", None, id="action, 200"),
]


@pytest.mark.parametrize(("write", "status", "body", "location", "key"), DONE)
def test_done(write: Write, status: int, body: bytes, location: str, key: str | None) -> None:
    written = read_written(write, status, HTTPHeaderDict({"location": location}), body)

    assert (written.effect, written.status, written.key) == (Effect.DONE, status, key)


NOT_DONE = [
    pytest.param(POST, 400, b'{"error":{"code":-5002,"message":{"value":"no"}}}', Effect.REFUSED, "-5002", id="v1"),
    pytest.param(POST, 400, b'{"error":{"code":"-10","message":"no"}}', Effect.REFUSED, "-10", id="v2"),
    pytest.param(POST, 404, b"<html>", Effect.REFUSED, "", id="404 of a proxy"),
    pytest.param(POST, 413, b"<html>", Effect.REFUSED, "", id="too large"),
    pytest.param(PATCH, 412, b'{"error":{"code":-2039,"message":"no"}}', Effect.REFUSED, "-2039", id="changed"),
    pytest.param(PATCH, 412, b"", Effect.REFUSED, "-2039", id="changed, no body"),
    pytest.param(PATCH, 404, b'{"error":{"code":-2028,"message":"no"}}', Effect.REFUSED, "-2028", id="no such entity"),
    pytest.param(CANCEL, 404, b'{"error":{"code":-2028,"message":"no"}}', Effect.REFUSED, "-2028", id="no such entry"),
    pytest.param(POST, 400, b'{"error":{"code":-2028,"message":"no"}}', Effect.UNKNOWN, "-2028", id="maybe a draft"),
    pytest.param(POST, 408, b"", Effect.UNKNOWN, "", id="408"),
    pytest.param(POST, 500, b'{"error":{"code":305,"message":"x"}}', Effect.UNKNOWN, "305", id="500/305"),
    pytest.param(POST, 303, b"", Effect.UNKNOWN, "", id="redirect"),
    pytest.param(POST, 201, b"<html>", Effect.UNKNOWN, "", id="portal"),
    pytest.param(POST, 201, b'{"JdtNum":1', Effect.UNKNOWN, "", id="cut off"),
    pytest.param(POST, 201, b"[]", Effect.UNKNOWN, "", id="no entity"),
    pytest.param(POST, 202, b"", Effect.UNKNOWN, "", id="accepted"),
    pytest.param(POST, 200, b"", Effect.UNKNOWN, "", id="200 without a word"),
    pytest.param(PATCH, 200, b'{"error":{"code":-1,"message":"x"}}', Effect.UNKNOWN, "-1", id="error in a 200"),
]


@pytest.mark.parametrize(("write", "status", "body", "effect", "code"), NOT_DONE)
def test_not_done(write: Write, status: int, body: bytes, effect: Effect, code: str) -> None:
    written = read_written(write, status, HTTPHeaderDict(), body)

    assert (written.effect, written.status, written.code, written.key) == (effect, status, code, None)


def test_a_draft_in_its_place_is_unknown() -> None:
    written = read_written(POST, 201, HTTPHeaderDict({"Location": ROOT + "Drafts(5)"}), b'{"DocEntry":5}')

    assert (written.effect, written.key) == (Effect.UNKNOWN, None)
    assert "Drafts(5)" in written.message


def test_amounts_are_exact_and_collections_left_out() -> None:
    body = b'{"JdtNum":1,"Total":1234.3700000000001,"JournalEntryLines":[{}],"Address":{},"Memo":null}'

    entity = read_written(POST, 201, HTTPHeaderDict(), body).entity

    assert entity == {"JdtNum": 1, "Total": Decimal("1234.3700000000001"), "Memo": None}


@given(st.one_of(st.integers(0, 10**9), st.text(min_size=1, max_size=15)))
def test_a_path_leads_back_to_its_key(key: int | str) -> None:
    path = entity_path("BusinessPartners", key)

    assert path.isascii() and "?" not in path and "#" not in path
    assert key_of_location(ROOT + path) == ("BusinessPartners", str(key))


@pytest.mark.parametrize("location", [None, "", "https://b1", "JournalEntries", "JournalEntries()", "(17)"])
def test_no_key(location: str | None) -> None:
    assert key_of_location(location) is None


def test_bodies_are_not_shown() -> None:
    assert "12.34" not in repr(Write("POST", "JournalEntries", b'{"Debit":12.34}'))
    assert "12.34" not in repr(Written(Effect.DONE, entity={"Total": Decimal("12.34")}))
