"""The page in a real browser, on Airflow's API server: what people see, and what they cannot do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from tests.console.conftest import Server, serving
from tests.console.page_story import (
    BULK,
    CONNECTIONS,
    EVIL,
    EVIL_JSON,
    FILES,
    HELD,
    KEPT_BYTES,
    KEPT_NAME,
    SOUTH,
    STAMPLI,
    tell,
)
from tests.support.browser import chromium, log_in
from tieout.console.pages import STATIC
from tieout.ledger import EntityOutcome, Filters, Ledger, Tally

pytestmark = pytest.mark.integration

CHECKS = (Path(__file__).parents[1] / "support" / "page_checks.js").read_text()
SOUTH_DAG = "sap_b1_to_peakflo__south"
VIEWS = {
    "overview": ("#/overview", "Overview"),
    "runs": ("#/runs", "Runs"),
    "files": ("#/files", "Files"),
    "held": ("#/held", "Held records"),
    "held record": ("#/held/1", "invoices 5008"),
    "trace": ("#/trace/6", "Trace a record"),
    "trace of a file": ("#/trace/payments_0001.csv", "Trace a record"),
    "nothing found": ("#/trace/nobody", "Trace a record"),
    "connections": ("#/connections", "Connections"),
}
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kept = tmp_path_factory.mktemp("kept")
    with serving(tmp_path_factory.mktemp("page"), lambda book: tell(book, kept)) as running:
        yield running


# Not for the whole session: Playwright's loop would be in the way of other tests' own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def logins(browser: Browser, shown: Server) -> dict[str, StorageState]:
    """What the browser keeps of each user's login."""
    kept: dict[str, StorageState] = {}
    for user in ("admin", "viewer"):
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{shown.url}/tieout/")
        page.get_by_role("link", name="Log in to Airflow").click()
        log_in(page, user, shown.password(user))
        kept[user] = context.storage_state()
        context.close()
    return kept


@pytest.fixture
def open_page(browser: Browser, shown: Server, logins: dict[str, StorageState]) -> Iterator[Open]:
    """`open_page("#/runs", user="viewer", width=360, color_scheme="dark")`; no page may have errors in its console."""
    contexts = []
    errors: list[str] = []

    def opened(
        address: str = "", *, user: str = "admin", width: int = 1280, path: str = "/tieout/", **options: Any
    ) -> Page:
        context = browser.new_context(storage_state=logins[user], viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
        page.goto(f"{shown.url}{path}{address}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def ledger(shown: Server) -> Iterator[Ledger]:
    with Ledger.open(shown.ledger_url) as opened:
        yield opened


def settled(page: Page, heading: str | re.Pattern[str]) -> Page:
    """The page when its heading is there and nothing is being asked for."""
    expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    return page


def row(page: Page, words: str) -> Locator:
    return page.locator("main").get_by_role("row").filter(has_text=words)


# ---- Who may see it


def test_the_page_asks_early_for_all_modules_and_for_nothing_elsewhere() -> None:
    index = (STATIC / "index.html").read_text()
    asked = set(re.findall(r'(?:src|href)="([^"#][^"]*)"', index)) - {"data:,"}
    modules = {f"static/{path.name}" for path in STATIC.iterdir() if path.suffix in (".js", ".css")}
    assert asked == modules


@pytest.mark.parametrize("path", ["/tieout/", "/tieout/?dag_id=a&run_id=b"])
def test_without_a_login_the_page_leads_to_airflows(shown: Server, path: str) -> None:
    answer = httpx.get(f"{shown.url}{path}", timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "not logged in" in answer.text
    (link,) = re.findall(r'href="([^"]+)"', answer.text)
    asked = httpx.URL(f"{shown.url}/tieout/").join(link.replace("&amp;", "&"))
    assert (asked.path, asked.params["next"]) == ("/auth/login", path)
    assert answer.headers.get_list("cache-control") == ["no-store"]
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.iterdir()))
def test_scripts_and_styles_need_a_login(shown: Server, name: str) -> None:
    path = f"{shown.url}/tieout/static/{name}"
    assert httpx.get(path, timeout=60).status_code == 401
    answer = httpx.get(path, headers={"authorization": f"Bearer {shown.token('viewer')}"}, timeout=60)
    if name == "index.html":
        assert answer.status_code == 404
        return
    kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    assert answer.content == (STATIC / name).read_bytes()


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpages.py", "%2e%2e%2fpages.py", ""])
def test_nothing_else_is_served(shown: Server, name: str) -> None:
    headers = {"authorization": f"Bearer {shown.token('viewer')}"}
    assert httpx.get(f"{shown.url}/tieout/static/{name}", headers=headers, timeout=60).status_code == 404


def test_after_the_login_it_is_the_view_that_was_asked_for(browser: Browser, shown: Server) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{shown.url}/tieout/#/held?status=held")
        expect(page.get_by_role("heading", name="Log in to see Tieout")).to_be_visible()
        page.get_by_role("link", name="Log in to Airflow").click()
        log_in(page, "viewer", shown.password("viewer"))
        settled(page, "Held records")
        assert page.url.endswith("/tieout/#/held?status=held")
        context.clear_cookies()
        page.get_by_role("button", name="Refresh").click()
        expect(page.get_by_text("You are logged out")).to_be_visible()
        expect(page.get_by_role("link", name="Log in to Airflow again")).to_be_visible()


# ---- What each view shows


def test_overview(open_page: Open) -> None:
    page = settled(open_page(user="viewer"), "Overview")
    expect(row(page, "Peakflo (default)")).to_contain_text("✘ Does not tie out")
    south = row(page, "Peakflo (south)")
    expect(south).to_contain_text("EUR 12,345,678.90")
    expect(south).to_contain_text("JPY 5,000")
    expect(south).to_contain_text("paused")
    expect(row(page, "Stampli")).to_contain_text("✔ Ties out")
    expect(row(page, "Peakflo (north)")).to_contain_text("Airflow has no such DAG")
    expect(south.get_by_role("img")).to_have_accessible_name(
        re.compile(r"The last 30 days: 120 records sent, most on \d{4}-\d\d-\d\d \(120\); \d+ newly held\.")
    )
    south.get_by_role("link", name=re.compile(r"^1\d\d$")).click()
    settled(page, "Held records")
    assert "#/held?integration=sap_b1_to_peakflo&instance=south&status=held" in page.url


def test_runs_say_what_is_missing(open_page: Open) -> None:
    page = settled(open_page("#/runs?instance=default&integration=sap_b1_to_peakflo"), "Runs")
    payments = row(page, "payments")
    for words in (
        "EUR 300.30", "EUR 200.10", "✘ Does not tie out", "1 record of those extracted ended nowhere.",
        "EUR 100.20 of what was extracted is missing.", "USD 1.00 more than was extracted.",
        "One payment is missing in the file.",
    ):  # fmt: skip
        expect(payments).to_contain_text(words)
    expect(row(page, "invoices")).to_contain_text("✔ Ties out")
    page.get_by_label("Only what does not tie out").check()
    expect(row(page, "invoices")).to_have_count(0)
    expect(payments).to_be_visible()
    page.get_by_text("Task logs").click()
    expect(page.get_by_text("Airflow does not know this run any more")).to_be_visible()
    expect(page.get_by_role("link", name="Run in Airflow")).to_have_attribute(
        "href", re.compile("/dags/sap_b1_to_peakflo/runs/manual__red$")
    )


def test_files_are_paged_and_searched(open_page: Open) -> None:
    page = settled(open_page("#/files?instance=south"), "Files")
    expect(page.locator(".range").first).to_have_text(f"1–50 of {FILES}")
    expect(row(page, "payments_0119.csv")).to_contain_text("Size only")
    page.get_by_role("link", name="Last").first.click()
    expect(page.locator(".range").first).to_have_text(f"101–{FILES} of {FILES}")
    expect(row(page, "payments_0000.csv")).to_be_visible()
    page.locator("h1").focus()
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("payments_0007")
    page.keyboard.press("Enter")
    expect(row(page, "payments_0007.csv")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_label("Instance")).to_have_value("south")
    page.go_back()
    expect(page.locator(".range").first).to_have_text(f"101–{FILES} of {FILES}")
    expect(page.get_by_label("Search")).to_have_value("")


def test_a_file_is_downloaded_byte_for_byte(open_page: Open, tmp_path: Path) -> None:
    page = settled(open_page(f"#/files?q={KEPT_NAME}"), "Files")
    link = row(page, KEPT_NAME).get_by_role("link", name=f"Download {KEPT_NAME}")
    expect(link).to_have_text("Download")
    with page.expect_download() as waiting:
        link.click()
    waiting.value.save_as(tmp_path / "downloaded")
    assert waiting.value.suggested_filename == KEPT_NAME
    assert (tmp_path / "downloaded").read_bytes() == KEPT_BYTES


def test_a_viewer_is_offered_no_bytes(open_page: Open) -> None:
    page = settled(open_page(f"#/files?q={KEPT_NAME}", user="viewer"), "Files")
    expect(row(page, KEPT_NAME).get_by_role("link", name="Trace")).to_be_visible()
    expect(page.get_by_role("main")).not_to_contain_text("Download")


BROKEN_WORDS = """
(cells) => cells.flatMap((cell) => {
  const broken = [];
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    for (const word of text.textContent.matchAll(/[^\\s._\\/-]+/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((part) => part.top)).size > 1) broken.push(word[0]);
    }
  }
  return broken;
})
"""


@pytest.mark.parametrize(
    ("address", "heading", "cells", "width"),
    [
        (f"#/files?q={KEPT_NAME}", "Files", "tbody td", 1290),
        (f"#/files?q={KEPT_NAME}", "Files", "td.partner", 1024),
        ("#/files?instance=south", "Files", "tbody th, tbody td", 1290),
        ("#/trace/INV-S1", "Trace a record", "table:has(th.from) :is(tbody th, tbody td)", 1290),
    ],
)
def test_no_word_is_broken_on_a_desk(open_page: Open, address: str, heading: str, cells: str, width: int) -> None:
    page = settled(open_page(address, width=width), heading)
    found = page.locator(f"main :is({cells})")
    expect(found.first).to_be_visible()
    assert found.evaluate_all(BROKEN_WORDS) == []


def test_a_mappings_columns_have_room_for_what_is_in_them(open_page: Open) -> None:
    page = settled(open_page("#/trace/INV-S1", width=1290), "Trace a record")
    headers = page.get_by_role("table", name="Mapping, column by column").get_by_role("columnheader")
    widths = headers.evaluate_all("(all) => all.map((each) => each.getBoundingClientRect().width)")
    assert headers.all_inner_texts() == ["Column or position", "Value", "From", "How"]
    assert min(widths) == widths[1] > 200


def test_a_digest_is_copied_whole(open_page: Open, shown: Server) -> None:
    page = settled(open_page("#/files?q=payments_0003", permissions=["clipboard-read", "clipboard-write"]), "Files")
    page.get_by_role("button", name="Copy the digest").click()
    expect(page.locator("#announcements")).to_have_text("Copied.")
    assert page.evaluate("() => navigator.clipboard.readText()") == "cd" * 32


def test_a_held_record(open_page: Open) -> None:
    page = settled(open_page("#/held?q=8&status=held"), "Held records")
    expect(row(page, "5008")).to_contain_text("EUR 12.30")
    page.get_by_role("link", name="5008").click()
    settled(page, "invoices 5008")
    for words in ("The lines do not add up to the total.", "Correct the document in SAP.", "EUR 12.30", "Müller"):
        expect(page.locator("main")).to_contain_text(words)
    expect(page.get_by_role("table", name="History")).to_contain_text("held")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_the_trace_of_what_was_posted(open_page: Open) -> None:
    page = settled(open_page("#/trace"), "Trace a record")
    page.get_by_label("Record or file").fill("INV-S1")
    page.keyboard.press("Enter")
    story = page.get_by_role("article")
    for words in (
        "posted",
        "journal entry 5711",
        "TO1-S1-1",
        "EUR 10.00",
        STAMPLI.run_id,
        "JournalEntries.Memo",
    ):
        expect(story).to_contain_text(words)
    page.get_by_text("The whole audit trail").click()
    expect(page.get_by_role("table", name="History")).to_contain_text("posting sending")


def test_the_trace_of_what_was_delivered(open_page: Open) -> None:
    page = settled(open_page("#/trace/5007"), "Trace a record")
    story = page.get_by_role("article")
    for words in ("delivered", "invoices.csv", "bytes 100 to 200", "Read back", "Passed all checks"):
        expect(story).to_contain_text(words)


def test_the_run_of_a_dag_runs_tab(open_page: Open) -> None:
    run_id = str(httpx.QueryParams({"run_id": BULK.run_id}))
    page = settled(open_page(path=f"/tieout/?dag_id={SOUTH_DAG}&{run_id}"), "Runs")
    expect(page.get_by_role("heading", level=2)).to_have_count(1)
    expect(page.get_by_role("heading", level=2)).to_contain_text(BULK.run_id)
    expect(row(page, "payments")).to_contain_text("EUR 13,013.00")


def test_connections_the_worst_first(open_page: Open) -> None:
    page = settled(open_page("#/connections", user="viewer"), "Connections")
    rows = page.get_by_role("table", name="Connections").get_by_role("row")
    expect(rows).to_have_count(1 + len(CONNECTIONS))
    for number, words in enumerate(
        [
            ("b_locked", "Failed", "Log-in: failed The server refuses the password of tieout; correct the connection.",
             "Password: failed The password is 400 days old", "(south)", "Not checked: reachable, readable"),
            ("d_due", "Warning", "Key: warning The private key is 360 days old", "OK: reachable, log-in", "Stampli"),
            ("e_hostile", "Warning", f"{EVIL}@example.com:22", f"The folder {EVIL} is missing."),
            ("c_never", "Not checked", "SYSPRO"),
            ("a_banqup", "OK", "in 99 days"),
        ],
        start=1,
    ):  # fmt: skip
        for word in words:
            expect(rows.nth(number)).to_contain_text(word)
    expect(rows.nth(1).get_by_role("time")).to_have_count(1)
    expect(rows.nth(1).get_by_role("link").last).to_have_attribute("href", re.compile(f"/dags/{SOUTH_DAG}$"))
    assert page.locator("main img").count() == 0


def test_the_overview_leads_to_connections_that_need_a_look(open_page: Open) -> None:
    page = settled(open_page(user="viewer"), "Overview")
    tile = page.get_by_role("listitem").filter(has_text="connections need a look; 1 failed")
    link = tile.get_by_role("link", name="3", exact=True)
    tab_to(page, link)
    page.keyboard.press("Enter")
    settled(page, "Connections")
    expect(page.get_by_role("link", name="Connections", exact=True)).to_have_attribute("aria-current", "page")


def answering(page: Page, status: int, document: dict[str, Any]) -> Page:
    """The page, asked for again, with a server that says this of the connections."""
    page.route("**/tieout/api/health", lambda route: route.fulfill(status=status, json=document))
    page.reload()
    return page


def test_connections_that_nobody_has_looked_at(open_page: Open) -> None:
    page = settled(answering(open_page("#/connections"), 200, {"items": [], "total": 0}), "Connections")
    expect(page.get_by_role("heading", name="No connection was looked at yet")).to_be_visible()
    link = page.get_by_role("link", name="Open it in Airflow")
    expect(link).to_have_attribute("href", re.compile("/dags/connection_health$"))
    page.get_by_role("link", name="Overview").click()
    settled(page, "Overview")
    expect(page.get_by_text("records sent today")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("listitem").filter(has_text="connection")).to_have_count(0)


def test_connections_are_not_for_everyone(open_page: Open) -> None:
    sentence = "Connections belong to all integrations; you may not read the runs of some."
    page = settled(answering(open_page("#/connections"), 403, {"detail": sentence}), "Connections")
    expect(page.get_by_text(sentence).first).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page.get_by_role("link", name="Overview").click()
    settled(page, "Overview")
    expect(row(page, "Stampli")).to_contain_text("✔ Ties out")


def test_an_address_that_is_none(open_page: Open) -> None:
    expect(open_page("#/nowhere").get_by_text("There is no such page")).to_be_visible()


# ---- Replay and discard


def test_a_viewer_has_no_buttons(open_page: Open) -> None:
    for address, heading in (("#/held", "Held records"), ("#/held/1", "invoices 5008")):
        page = settled(open_page(address, user="viewer"), heading)
        expect(page.get_by_text("You may read this, but not replay or discard")).to_be_visible()
        expect(page.get_by_role("checkbox")).to_have_count(0)
        expect(page.get_by_role("button", name=re.compile("Replay|Discard"))).to_have_count(0)


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Go on with Tab until the target has the focus."""
    expect(target).to_be_visible()
    for _ in range(60):
        page.keyboard.press(key)
        if target.evaluate("(element) => element === document.activeElement"):
            return
    pytest.fail(f"{key} does not lead there.")


def test_replay_by_keyboard_until_it_is_settled(open_page: Open, shown: Server, ledger: Ledger) -> None:
    page = settled(open_page("#/held?run_id=manual__K1"), "Held records")
    tab_to(page, page.get_by_role("checkbox", name="Choose 500K1 of invoices"))
    page.keyboard.press("Space")
    expect(page.locator(".chosen")).to_have_text("1 chosen")
    replay = page.get_by_role("button", name="Replay …")
    tab_to(page, replay, "Shift+Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Replay 1 held record")
    expect(dialog).to_contain_text(f"1 record of SAP Business One → Peakflo (south) (EUR 12.30): a run of {SOUTH_DAG}.")
    expect(dialog).to_contain_text("This DAG is paused")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(replay).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, dialog.get_by_role("button", name="Replay"))
    page.keyboard.press("Enter")
    told = page.get_by_role("status", name="Messages")
    expect(told).to_contain_text("1 record will be sent again by the run")
    run_id = told.get_by_role("link").inner_text()
    _let_the_run_settle(shown, ledger, run_id)
    expect(told).to_contain_text("has ended well: 1 duplicate.", timeout=60_000)
    expect(row(page, "500K1")).to_contain_text("settled")


def _let_the_run_settle(shown: Server, ledger: Ledger, run_id: str) -> None:
    """What scheduler and worker would do, which do not run here: the record is settled, the run ends."""
    key = replace(SOUTH, run_id=run_id)
    one = Tally(1, {"EUR": Decimal("12.30")})
    ledger.begin_run(key, mode="held_only", dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.record_extracted(key, one)
    ledger.record_prepared(
        key, to_send=Tally(), held=Tally(), duplicate=one, excluded=Tally(), mapping_version="0123456789ab"
    )
    with ledger.acquire(key.scope, "test") as lease:
        version = ledger.entity_version(key.scope)
        ledger.commit_entity(key, token=lease.token, base_version=version, outcome=EntityOutcome(settled=["K1"]))
    ledger.finish_run(key, ties_out=True)
    headers = {"authorization": f"Bearer {shown.token('admin')}"}
    run = f"{shown.url}/api/v2/dags/{SOUTH_DAG}/dagRuns/{httpx.URL('/' + run_id).raw_path.decode()[1:]}"
    answer = httpx.patch(run, json={"state": "success"}, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


def test_discard_needs_a_reason(open_page: Open, ledger: Ledger) -> None:
    page = settled(open_page("#/held?run_id=manual__W1"), "Held records")
    page.get_by_role("checkbox", name="Choose 500W1 of invoices").check()
    page.get_by_role("button", name="Discard …").click()
    dialog = page.get_by_role("dialog", name="Discard 1 held record")
    expect(dialog.get_by_role("table")).to_contain_text("500W1")
    confirm = dialog.get_by_role("button", name="Discard")
    confirm.click()
    expect(dialog.get_by_role("alert")).to_have_text("Say why: the reason goes to the audit trail.")
    expect(dialog.get_by_label("Why (required)")).to_be_focused()
    assert ledger.count_held(Filters(run_id="manual__W1", status="held")) == 1
    page.keyboard.type("A test of the supplier's.")
    confirm.click()
    expect(row(page, "500W1")).to_contain_text("discarded")
    expect(page.get_by_role("status", name="Messages")).to_contain_text("1 record discarded.")
    (record,) = ledger.held(Filters(run_id="manual__W1"))
    assert (record.closed_by, record.closed_why) == ("admin", "A test of the supplier's.")


def test_all_of_a_filter(open_page: Open) -> None:
    page = settled(open_page("#/held?instance=south&entity=payments&status=held"), "Held records")
    page.get_by_label("All of this page").check()
    expect(page.locator(".chosen")).to_have_text("50 chosen")
    page.get_by_role("link", name="Next").first.click()
    expect(page.locator(".range").first).to_have_text(f"51–100 of {HELD}")
    expect(page.locator(".chosen")).to_have_text("50 chosen")
    page.get_by_role("button", name=f"Choose all {HELD} of this filter").click()
    expect(page.locator(".chosen")).to_have_text(f"All {HELD} open records of this filter are chosen")
    page.get_by_role("button", name="Replay …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{HELD} records of SAP Business One → Peakflo (south) (EUR 13,013.00)")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Discard …").click()
    expect(dialog).to_contain_text(f"{HELD} records (EUR 13,013.00) will never be sent")
    expect(dialog).to_contain_text(f"and {HELD - 20} more.")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Choose none").click()
    expect(page.locator(".chosen")).to_have_text("0 chosen")
    expect(page.get_by_role("button", name="Replay …")).to_be_disabled()


def test_what_the_server_refuses_is_said_in_the_dialog(open_page: Open) -> None:
    page = settled(open_page("#/held?instance=north"), "Held records")
    page.get_by_role("checkbox", name="Choose 500C9 of customers").check()
    page.get_by_role("button", name="Replay …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("Airflow has no DAG sap_b1_to_peakflo__north")
    expect(dialog.get_by_role("button", name="Replay")).to_be_disabled()


# ---- What comes from outside is text


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("#/files?integration=banqup_to_sftp", f"{EVIL}.xml"),
        ("#/held?integration=banqup_to_sftp", f"Name {EVIL} is wrong."),
        ("#/runs?integration=banqup_to_sftp", "manual__<b>2026</b>"),
        (f"#/trace/{httpx.URL('/' + EVIL).raw_path.decode()[1:].replace('#', '%23')}", EVIL),
        ("#/held?q=<img src=x onerror=1>", "No record is like this"),
        ("#/trace/%3Cimg src=x onerror=1%3E", "Nothing is known of “<img src=x onerror=1>”"),
    ],
)
def test_hostile_names_are_text(open_page: Open, address: str, words: str) -> None:
    page = open_page(address)
    expect(page.locator("main")).to_contain_text(words)
    assert page.locator("main img, main b, main script").count() == 0
    assert page.title() != "owned"


def test_a_hostile_payload_is_text_and_its_numbers_are_whole(open_page: Open, ledger: Ledger) -> None:
    (record,) = ledger.held(Filters("banqup_to_sftp"))
    page = settled(open_page(f"#/held/{record.id}"), re.compile("Evil"))
    shown_payload = page.locator("pre").inner_text()
    assert "".join(shown_payload.split()) == "".join(EVIL_JSON.split())
    assert '"DocTotal": 1234.3700000000001' in shown_payload
    assert page.title() != "owned"


# ---- For every window and everyone's eyes and hands


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_is_well_made(open_page: Open, name: str) -> None:
    address, heading = VIEWS[name]
    page = settled(open_page(address), heading)
    wrong = {}
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            wrong[width, scheme] = page.evaluate(CHECKS)
    assert {shape: found for shape, found in wrong.items() if found} == {}


def test_the_dialogs_are_well_made(open_page: Open) -> None:
    page = settled(open_page("#/held?run_id=manual__P1", width=360), "Held records")
    page.get_by_role("checkbox", name="Choose 500P1 of invoices").check()
    for name in ("Replay …", "Discard …"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog").locator("[aria-busy]")).to_have_count(0)
        assert page.evaluate(CHECKS) == []
        page.keyboard.press("Escape")


def test_filters_are_folded_away_on_a_phone(open_page: Open) -> None:
    page = settled(open_page("#/held?status=held", width=360), "Held records")
    expect(page.get_by_label("Search")).to_be_visible()
    expect(page.get_by_label("Instance")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Instance").select_option("north")
    expect(row(page, "500C9")).to_be_visible()
    expect(page.get_by_label("Instance")).to_be_visible()
    expect(page.get_by_label("Status")).to_have_value("held")


@pytest.mark.parametrize(
    ("chosen", "system", "dark"),
    [
        ("dark", "light", True), ("light", "dark", False), ("system", "dark", True), (None, "dark", True),
        (None, "light", False),
    ],
)  # fmt: skip
def test_airflows_choice_of_light_or_dark(open_page: Open, chosen: str | None, system: str, dark: bool) -> None:
    page = settled(open_page("#/overview", color_scheme=system), "Overview")
    if chosen:
        page.evaluate("(chosen) => localStorage.setItem('theme', chosen)", chosen)
        page.reload()
        settled(page, "Overview")
    ground = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    red = int(re.findall(r"\d+", ground)[0])
    assert (red < 128) is dark


def test_the_skip_link_leads_past_the_navigation(open_page: Open) -> None:
    page = settled(open_page("#/runs"), "Runs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert page.url.endswith("#/runs")


def test_only_what_can_be_used_shows_that_it_has_the_focus(open_page: Open) -> None:
    page = settled(open_page("#/runs"), "Runs")
    outline = "(element) => getComputedStyle(element).outlineStyle"
    link = page.get_by_role("link", name="Connections", exact=True)
    tab_to(page, link)
    assert link.evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    heading = settled(page, "Connections").get_by_role("heading", level=1)
    expect(heading).to_be_focused()
    assert heading.evaluate(outline) == "none"


# ---- Inside Airflow


def test_in_airflows_frame(open_page: Open) -> None:
    page = open_page(path="/plugin/tieout#/held/1")
    frame = page.frame_locator("iframe[title=Tieout]")
    expect(frame.get_by_role("heading", level=1, name="invoices 5008")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/plugin/tieout/tieout/#/held/1$"))
    frame.get_by_role("link", name="Runs").click()
    expect(page).to_have_url(re.compile(r"/plugin/tieout/tieout/#/runs$"))
    page.reload()
    expect(frame.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    frame.get_by_role("link", name="Run in Airflow").first.click()
    expect(page).to_have_url(re.compile(r"^[^#]*:\d+/dags/[^/]+/runs/[^/]+$"))


def test_in_the_tab_of_a_dag_run(open_page: Open, shown: Server) -> None:
    run_id = "manual__2026-03-01T00:00:00+00:00"
    headers = {"authorization": f"Bearer {shown.token('admin')}"}
    body = {"dag_run_id": run_id, "logical_date": None}
    answer = httpx.post(f"{shown.url}/api/v2/dags/{SOUTH_DAG}/dagRuns", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    page = open_page(path=f"/dags/{SOUTH_DAG}/runs/{run_id.replace('+', '%2B')}/plugin/tie-out")
    frame = page.frame_locator("iframe[title=Tie-out]")
    expect(frame.get_by_text("No run is like this.")).to_be_visible()
    expect(frame.get_by_label("Instance")).to_have_value("south")
    expect(frame.get_by_label("Run", exact=True)).to_have_value(run_id)
    expect(page).to_have_url(re.compile("/plugin/tie-out$"))


# ---- Figures


def imported(page: Page, module: str, call: str, *arguments: Any) -> Any:
    """What a function of one of the page's modules answers."""
    script = "async ([address, name, given]) => (await import(address))[name](...given)"
    return page.evaluate(script, [f"/tieout/static/{module}", call, list(arguments)])


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("amount", ("1234.5", "EUR"), "1,234.50"),
        ("amount", ("-1234567", "EUR"), "-1,234,567.00"),
        ("amount", ("0", "EUR"), "0.00"),
        ("amount", ("999", "JPY"), "999"),
        ("amount", ("1.2345", "EUR"), "1.2345"),
        ("amount", ("1.5", "BHD"), "1.500"),
        ("amount", ("12345678901234567890.10", "EUR"), "12,345,678,901,234,567,890.10"),
        ("amount", ("1E+3", "EUR"), "1E+3"),
        ("amount", ("5", "?"), "5.00"),
        ("sumOf", (["0.1", "0.2"],), "0.3"),
        ("sumOf", (["-0.05", "0"],), "-0.05"),
        ("sumOf", (["12345678901234567890.10", "-0.1"],), "12345678901234567890.00"),
        ("sumOf", ([],), "0"),
        ("counted", (1, "record"), "1 record"),
        ("counted", (1234567, "record"), "1,234,567 records"),
        ("bytes", (999,), "999 bytes"),
        ("bytes", (1_234_567,), "1.2 MB"),
        ("span", (3 * 86_400_000,), "3 days"),
        ("span", (59_000,), "less than a minute"),
        ("span", (60_000,), "1 minute"),
        ("span", (3_600_000,), "60 minutes"),
    ],
)
def test_figures(figures: Page, call: str, arguments: tuple[Any, ...], expected: str) -> None:
    assert imported(figures, "format.js", call, *arguments) == expected


@pytest.fixture(scope="module")
def figures(browser: Browser, shown: Server, logins: dict[str, StorageState]) -> Iterator[Page]:
    """A page whose modules are called directly."""
    with browser.new_context(storage_state=logins["viewer"]) as context:
        page = context.new_page()
        page.goto(f"{shown.url}/tieout/#/trace")
        yield page


@pytest.mark.parametrize(
    ("payload", "content_type", "expected"),
    [
        ('{"a":1.10,"b":[1,{"c":null}],"d":{},"e":[]}', "application/json",
         '{\n  "a": 1.10,\n  "b": [\n    1,\n    {\n      "c": null\n    }\n  ],\n  "d": {},\n  "e": []\n}'),
        ('{"a": "x, {y}: \\"z\\""}', "application/json", '{\n  "a": "x, {y}: \\"z\\""\n}'),
        ('{"a": 12345678901234567890123}', "application/json", '{\n  "a": 12345678901234567890123\n}'),
        ('{"a": ', "application/json", '{"a": '),
        ("<a>1</a>", "application/xml", "<a>1</a>"),
    ],
)  # fmt: skip
def test_payloads(figures: Page, payload: str, content_type: str, expected: str) -> None:
    assert imported(figures, "payload.js", "pretty", payload, content_type) == expected
