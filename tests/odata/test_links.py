"""Following next links: the forms that servers use, and the ones that are refused."""

from __future__ import annotations

import json

import pytest

from tieout.errors import ContractBroken
from tieout.odata.links import LinkWalk

ROOT = "https://b1:50000/b1s/v1"
FILTER = {"$filter": "DocDate ge '2026-01-01' and CardCode eq 'A&B'"}
ENCODED = "DocDate%20ge%20'2026-01-01'%20and%20CardCode%20eq%20'A%26B'"


def walk(pages: dict[str, bytes], params: dict[str, str]) -> list[bytes]:
    return list(LinkWalk(pages.__getitem__, ROOT, "Orders", params))


@pytest.mark.parametrize(
    "link",
    [
        "Orders?$skip=20",
        "/b1s/v1/Orders?$skip=20",
        "https://b1:50000/b1s/v1/Orders?$skip=20",
        "HTTPS://B1:50000/b1s/v1/Orders?$skip=20",
    ],
)
@pytest.mark.parametrize("name", ["odata.nextLink", "@odata.nextLink"])
def test_relative_and_absolute_links(link: str, name: str) -> None:
    first = json.dumps({"value": [{}], name: link}).encode()
    pages = {f"{ROOT}/Orders": first, f"{ROOT}/Orders?$skip=20": b'{"value":[]}'}
    if link.startswith("HTTPS"):
        pages = pages | {link.replace("HTTPS", "https"): b'{"value":[]}'}

    assert len(walk(pages, {})) == 2


def test_the_filter_is_preserved() -> None:
    link = f"Orders?$filter={ENCODED}&$skip=20"
    pages = {f"{ROOT}/Orders?$filter={ENCODED}": json.dumps({"value": [], "odata.nextLink": link}).encode()}

    assert len(walk(pages | {f"{ROOT}/{link}": b'{"value":[]}'}, FILTER)) == 2


def test_an_opaque_token_may_hold_the_filter() -> None:
    link = "Orders?$skiptoken=abc"
    pages = {f"{ROOT}/Orders?$filter={ENCODED}": json.dumps({"value": [], "@odata.nextLink": link}).encode()}

    assert len(walk(pages | {f"{ROOT}/{link}": b'{"value":[]}'}, FILTER)) == 2


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("Orders?$skip=20", "lost or changed the filter"),
        ("Orders?$filter=DocDate%20ge%20'2026-01-01'&$skip=20", "lost or changed the filter"),
        ("https://evil/b1s/v1/Orders?$skip=20", "leads to evil, not to b1"),
        ("http://b1:50000/b1s/v1/Orders?$skip=20", "leads to b1"),
        ("https://b1:50001/b1s/v1/Orders?$skip=20", "leads to b1"),
        ("//evil/Orders", "leads to evil"),
        (f"Orders?$filter={ENCODED}", "was read already"),
        (7, "not a text"),
    ],
)
def test_links_that_are_not_followed(link: object, message: str) -> None:
    pages = {f"{ROOT}/Orders?$filter={ENCODED}": json.dumps({"value": [], "odata.nextLink": link}).encode()}

    with pytest.raises(ContractBroken, match=message):
        walk(pages, FILTER)
