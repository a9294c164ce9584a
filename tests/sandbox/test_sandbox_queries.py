"""Filters, order and paging of the simulated Service Layer, compared with plain Python over the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from sandbox_client import Client

from sandbox.sap_b1 import Company, ServiceLayer

Row = dict[str, Any]


def day(row: Row) -> str:
    return row["UpdateDate"] or ""


CASES: list[tuple[str, str, Callable[[Row], bool]]] = [
    ("Invoices", "DocEntry gt 10", lambda r: r["DocEntry"] > 10),
    ("Invoices", "DocEntry ge 10 and DocEntry le 12", lambda r: 10 <= r["DocEntry"] <= 12),
    ("Invoices", "DocEntry eq 3 or DocEntry eq 5", lambda r: r["DocEntry"] in (3, 5)),
    ("Invoices", "not (DocEntry gt 10)", lambda r: r["DocEntry"] <= 10),
    ("Invoices", "(DocTotal lt 500.5) and DocEntry gt 2", lambda r: r["DocTotal"] < 500.5 and r["DocEntry"] > 2),
    ("Invoices", "DocTotal ge 1e3", lambda r: r["DocTotal"] >= 1000),
    ("Invoices", "UpdateDate ge '2024-08-01'", lambda r: day(r) >= "2024-08-01"),
    ("Invoices", "UpdateDate ge '20240801'", lambda r: day(r) >= "2024-08-01"),
    ("Invoices", "UpdateDate ge datetime'2024-08-01'", lambda r: day(r) >= "2024-08-01"),
    ("Invoices", "UpdateDate gt '2024-08-01T23:59:59'", lambda r: day(r) > "2024-08-01"),
    (
        "Invoices",
        "(UpdateDate ge '2024-08-01' or CreationDate ge '2024-08-01') and DocEntry gt 4",
        lambda r: (day(r) >= "2024-08-01" or r["CreationDate"] >= "2024-08-01") and r["DocEntry"] > 4,
    ),
    ("Invoices", "UpdateDate eq null", lambda r: r["UpdateDate"] is None),
    ("Invoices", "UpdateDate ne null", lambda r: r["UpdateDate"] is not None),
    ("Invoices", "UpdateTime ge '12:30'", lambda r: (r["UpdateTime"] or "")[:5] >= "12:30"),
    ("Invoices", "UpdateTime ge '1230'", lambda r: (r["UpdateTime"] or "")[:5] >= "12:30"),
    ("Invoices", "DocumentStatus eq 'bost_Close'", lambda r: r["DocumentStatus"] == "bost_Close"),
    ("Invoices", "DocumentStatus eq 'C'", lambda r: r["DocumentStatus"] == "bost_Close"),
    ("Invoices", "Cancelled eq 'tYES'", lambda r: r["Cancelled"] == "tYES"),
    ("Invoices", "Cancelled ne 'Y'", lambda r: r["Cancelled"] != "tYES"),
    ("Invoices", "U_Region eq '東'", lambda r: r["U_Region"] == "東"),
    ("Invoices", "U_Priority gt 1", lambda r: (r["U_Priority"] or 0) > 1),
    ("Invoices", "startswith(CardCode,'C000')", lambda r: r["CardCode"].startswith("C000")),
    ("BusinessPartners", "CardType eq 'cCustomer'", lambda r: r["CardType"] == "cCustomer"),
    ("BusinessPartners", "CardType eq 'S'", lambda r: r["CardType"] == "cSupplier"),
    ("BusinessPartners", "CardCode gt 'C00005'", lambda r: r["CardCode"] > "C00005"),
    ("BusinessPartners", "contains(CardName,'Müller & Söhne')", lambda r: "Müller & Söhne" in r["CardName"]),
    ("BusinessPartners", "substringof('Neill',CardName)", lambda r: "Neill" in r["CardName"]),
    ("BusinessPartners", "CardName eq 'O''Neill & Daughters'", lambda r: r["CardName"] == "O'Neill & Daughters"),
    ("BusinessPartners", "endswith(CardName,'A/S')", lambda r: r["CardName"].endswith("A/S")),
    (
        "BusinessPartners",
        "not startswith(CardCode,'C') and (Currency eq 'EUR' or Currency eq '##')",
        lambda r: not r["CardCode"].startswith("C") and r["Currency"] in ("EUR", "##"),
    ),
]


@pytest.mark.parametrize(("entity_set", "condition", "wanted"), CASES, ids=[case[1] for case in CASES])
def test_filter(
    client: Client, company: Company, entity_set: str, condition: str, wanted: Callable[[Row], bool]
) -> None:
    rows, key = company.rows(entity_set), company.tables[entity_set].entity.key
    expected = [row[key] for row in rows if wanted(row)]
    assert 0 < len(expected) < len(rows), "the case must split the rows"
    assert client.filtered(entity_set, condition, select=key) == expected


def test_time_to_the_second_is_a_switch(client: Client, server: ServiceLayer, company: Company) -> None:
    key = company.tables["Invoices"].keys[-1]
    company.update("Invoices", key, {})
    assert company.get("Invoices", key)["UpdateTime"] == "09:30:15"
    condition = f"DocEntry eq {key} and UpdateTime gt '09:30:10'"
    assert client.filtered("Invoices", condition) == []
    server.faults.configure(time_filters_to_the_second=True)
    assert client.filtered("Invoices", condition) == [key]


def test_case_insensitive_on_request(client: Client) -> None:
    condition = quote("contains(CardName,'MÜLLER')")
    path = f"BusinessPartners/$count?$filter={condition}"
    assert client.get(path).data == b"0"
    assert client.request("GET", path, headers={"B1S-CaseInsensitive": "true"}).data == b"1"


@pytest.mark.parametrize(
    "condition",
    ["Cancelled eq 'maybe'", "DocEntry gt 'x'", "CardCode gt 5", "UpdateDate ge '2024-13-01'", "(DocEntry gt 1",
     "DocEntry gt 1)",
     "contains(DocEntry,'1')", "UpdateDate gt null", "DocEntry", ""],
)  # fmt: skip
def test_unreadable_filters(client: Client, condition: str) -> None:
    reply = client.get(f"Invoices?$filter={quote(condition)}")
    assert reply.status == 400
    assert reply.json()["error"]["message"] == "Query string error - Invalid filter condition"


def test_order_and_select(client: Client, company: Company) -> None:
    rows = client.rows("Invoices?$orderby=CardCode%20desc,DocEntry&$select=CardCode,DocEntry,DocumentLines")
    expected = sorted(company.rows("Invoices"), key=lambda row: row["DocEntry"])
    expected.sort(key=lambda row: row["CardCode"], reverse=True)
    assert [row["DocEntry"] for row in rows] == [row["DocEntry"] for row in expected]
    assert [name for name in rows[0] if not name.startswith("@")] == ["CardCode", "DocEntry", "DocumentLines"]
    last = client.rows("Invoices?$orderby=DocEntry%20desc&$top=1&$select=DocEntry")
    assert last[0]["DocEntry"] == company.tables["Invoices"].keys[-1]


def walk(client: Client, path: str, **headers: str) -> tuple[list[list[int]], list[str]]:
    """Pages of keys and the links that led to them, following nextLink."""
    pages, links = [], []
    name = "odata.nextLink" if client.version == "v1" else "@odata.nextLink"
    link: str | None = path
    while link is not None:
        body = client.get(link, **headers).json()
        pages.append([row["DocEntry"] for row in body["value"]])
        link = body.get(name)
        if link is not None:
            links.append(link)
    return pages, links


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_default_page_is_20_and_prefer_must_be_repeated(client: Client, version: str) -> None:
    client = client.on(version)
    first = client.get("Invoices", Prefer="odata.maxpagesize=5")
    assert len(first.json()["value"]) == 5
    assert first.headers["Preference-Applied"] == "odata.maxpagesize=5"
    link = first.json()["odata.nextLink" if version == "v1" else "@odata.nextLink"]
    assert link == "Invoices?$skip=5"
    assert len(client.get(link).json()["value"]) == 20
    assert len(client.get("Invoices", B1S_PageSize="7").json()["value"]) == 7
    assert "Preference-Applied" not in client.get("Invoices").headers
    assert len(client.get("Invoices", Prefer="odata.maxpagesize=0").json()["value"]) > 40


def test_a_full_last_page_is_followed_by_an_empty_one(client: Client, company: Company) -> None:
    keys = company.tables["Invoices"].keys
    condition = quote(f"DocEntry le {keys[29]}")
    pages, links = walk(
        client, f"Invoices?$filter={condition}&$select=DocEntry&$orderby=DocEntry", Prefer="odata.maxpagesize=10"
    )
    assert [len(page) for page in pages] == [10, 10, 10, 0]
    assert [key for page in pages for key in page] == keys[:30]
    assert links[1] == f"Invoices?$filter={condition}&$select=DocEntry&$orderby=DocEntry&$skip=20"


def test_top_counts_down_over_the_pages(client: Client) -> None:
    pages, links = walk(client, "Invoices?$top=25&$select=DocEntry", Prefer="odata.maxpagesize=10")
    assert [len(page) for page in pages] == [10, 10, 5]
    assert links == ["Invoices?$select=DocEntry&$top=15&$skip=10", "Invoices?$select=DocEntry&$top=5&$skip=20"]
    assert "@odata.nextLink" not in client.get("Invoices?$top=20").json()


@pytest.mark.parametrize(("form", "start"), [("path", "/b1s/v2/Invoices?"), ("absolute", "http://127.0.0.1:")])
def test_other_forms_of_the_next_link(client: Client, server: ServiceLayer, form: str, start: str) -> None:
    server.faults.configure(next_link_form=form)
    assert client.get("Invoices").json()["@odata.nextLink"].startswith(start)


def test_skip_doubles_a_row_after_an_insert_and_loses_one_after_a_delete(
    client: Client, server: ServiceLayer, company: Company
) -> None:
    keys = list(company.tables["Invoices"].keys)
    server.faults.after_page("Invoices", 1, lambda: company.delete("Invoices", keys[0]))
    pages, _ = walk(client, "Invoices?$orderby=DocEntry&$select=DocEntry", Prefer="odata.maxpagesize=10")
    seen = [key for page in pages for key in page]
    assert sorted(set(keys) - set(seen)) == [keys[10]]
    removed = company.get("Invoices", keys[1])
    company.delete("Invoices", keys[1])
    server.faults.after_page("Invoices", 2, lambda: company.insert("Invoices", removed))
    pages, _ = walk(client, "Invoices?$orderby=DocEntry&$select=DocEntry", Prefer="odata.maxpagesize=10")
    seen = [key for page in pages for key in page]
    assert len(seen) - len(set(seen)) == 1


def test_a_walk_by_key_is_exact_under_the_same_changes(client: Client, server: ServiceLayer, company: Company) -> None:
    keys = list(company.tables["Invoices"].keys)
    server.faults.after_page("Invoices", 1, lambda: company.delete("Invoices", keys[0]))
    seen: list[int] = []
    while rows := client.rows(f"Invoices?$filter=DocEntry%20gt%20{seen[-1] if seen else 0}&$orderby=DocEntry", size=10):
        seen += [row["DocEntry"] for row in rows]
    assert seen == keys


def test_changes_are_seen_at_once(client: Client, company: Company) -> None:
    condition = "Comments eq 'fresh'"
    assert client.filtered("Invoices", condition) == []
    key = company.tables["Invoices"].keys[5]
    before = client.rows(f"Invoices?$filter=DocEntry%20eq%20{key}&$select=Comments")
    company.update("Invoices", key, {"Comments": "fresh"})
    assert client.filtered("Invoices", condition) == [key]
    after = client.rows(f"Invoices?$filter=DocEntry%20eq%20{key}&$select=Comments")
    assert before[0]["Comments"] != after[0]["Comments"] == "fresh"
