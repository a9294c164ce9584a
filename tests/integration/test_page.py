"""`make start` as its users see it: a real browser, Airflow's own login, the Tieout page, a record that is repaired.

The screenshots of the documentation come from here: with TIEOUT_IMAGES they go to that folder (`make images`).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from airflow_services import ROOT, free_port
from tests.integration.support import hourly_from_now
from tests.support.browser import chromium, log_in
from tests.support.processes import is_alive

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

INVOICE = "10000046"
REASON = "SAP Business One has no G/L account 999999"
LOGIN = re.compile(r"^ +(admin|viewer) +(\S+)$", re.M)
PATIENCE = 120_000
"""Milliseconds for a replay: a run of the scheduler's on two busy cores."""

VIEWS = {
    "overview": "#/overview",
    "runs": "#/runs?integration=syspro_to_legacy_erp",
    "files": "#/files?integration=banqup_to_sftp",
    "held": "#/held?status=held&integration=stampli_to_sap_b1",
    "trace": f"#/trace/{INVOICE}",
    "connections": "#/connections",
}


@dataclass(frozen=True)
class Started:
    """A running `make start`.

    Attributes:
        repair: The command it printed, in words.
    """

    url: str
    passwords: dict[str, str]
    repair: list[str]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder, port = tmp_path_factory.mktemp("start"), free_port()
    include = shutil.copytree(ROOT / "include", folder / "include")
    stampli = include / "integrations" / "stampli_to_sap_b1" / "default.yaml"
    # The schedule's own retry must not be quicker than the button.
    stampli.write_text(stampli.read_text().replace("*/15 * * * *", hourly_from_now()))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TIEOUT"))}
    env = {
        **kept, "AIRFLOW_HOME": str(folder / "home"), "AIRFLOW__API__PORT": str(port), "TIEOUT_INCLUDE": str(include)
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "scripts" / "start.py")]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        try:
            for line in process.stdout:
                said += line
                if "press Replay" in line:
                    break
            assert said.count(" success") == 4, said
            repair = next(line for line in said.splitlines() if line.strip().startswith("curl"))
            yield Started(f"http://localhost:{port}", dict(LOGIN.findall(said)), shlex.split(repair))
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert process.returncode == 0
        assert len(children) >= 5
        assert [child for child in children if is_alive(child)] == [], "Ctrl-C was to stop everything"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def open_as(browser: Browser, started: Started, user: str, *, dark: bool = False) -> Page:
    """Airflow with the Tieout page in it, as somebody who logged in through Airflow's own form sees it."""
    context = browser.new_context(viewport={"width": 1360, "height": 850}, color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.goto(f"{started.url}/plugin/tieout")
    log_in(page, user, started.passwords[user])
    page.goto(f"{started.url}/plugin/tieout")
    expect(inside(page).get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
    return page


def inside(page: Page) -> FrameLocator:
    """The Tieout page in Airflow's frame."""
    return page.frame_locator("iframe")


def go(page: Page, view: str) -> None:
    """Open a view by its address, as a link in a mail does."""
    frame = inside(page).locator(":root")
    frame.evaluate("(_root, hash) => { location.hash = hash }", VIEWS[view])
    expect(inside(page).get_by_role("link", name=view.capitalize(), exact=True)).to_have_attribute(
        "aria-current", "page"
    )


def held_row(page: Page) -> Locator:
    """The row of the invoice that SAP has no account for."""
    return inside(page).get_by_role("row").filter(has=inside(page).get_by_text(f"key {INVOICE}"))


def repair(started: Started) -> None:
    """What the printed command does, without needing curl."""
    assert started.repair[:3] == ["curl", "-X", "POST"] and started.repair[4] == "-d"
    httpx.post(started.repair[3], content=started.repair[5], timeout=30).raise_for_status()


def held_invoice_is_repaired_replayed_and_settled(browser: Browser, started: Started) -> None:
    page = open_as(browser, started, "admin")
    go(page, "held")
    row = held_row(page)
    expect(row).to_contain_text(REASON)
    expect(row).to_contain_text("create the account")

    repair(started)
    row.get_by_role("checkbox").check()
    inside(page).get_by_role("button", name="Replay …").click()
    dialog = inside(page).get_by_role("dialog")
    expect(dialog).to_contain_text("1 record of")
    expect(dialog).to_contain_text("a run of stampli_to_sap_b1")
    dialog.get_by_role("button", name="Replay", exact=True).click()
    expect(inside(page).get_by_role("status", name="Messages")).to_contain_text(
        "has ended well: 1 posted", timeout=PATIENCE
    )
    expect(held_row(page)).to_have_count(0)

    go(page, "trace")
    story = inside(page).get_by_role("article")
    expect(story.get_by_role("heading", level=2)).to_contain_text("posted")
    expect(story).to_contain_text("Every attempt")
    page.context.close()


def who_may_not_trigger_runs_reads_only(browser: Browser, started: Started) -> None:
    page = open_as(browser, started, "viewer")
    go(page, "held")
    expect(inside(page).get_by_text("that needs the right to trigger")).to_be_visible()
    expect(inside(page).get_by_role("row").nth(1)).to_be_visible()
    assert inside(page).get_by_role("button", name=re.compile("Replay|Discard")).count() == 0
    assert inside(page).get_by_role("checkbox").count() == 0
    answer = page.request.post(
        f"{started.url}/tieout/api/held/replay",
        data={"all": True},
        headers={"Origin": started.url, "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status == 403
    page.context.close()


def nothing_without_a_login(browser: Browser, started: Started) -> None:
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(f"{started.url}/tieout/")
    assert answer is not None and answer.status == 401
    expect(page.get_by_role("link", name="Log in to Airflow")).to_be_visible()
    assert context.request.get(f"{started.url}/tieout/api/overview").status == 401
    context.close()


def pictures_of_each_page(browser: Browser, started: Started, folder: Path, *, dark: bool) -> None:
    page = open_as(browser, started, "admin", dark=dark)
    for view in VIEWS:
        go(page, view)
        expect(inside(page).get_by_role("heading", level=1)).to_contain_text(view.capitalize())
        expect(inside(page).locator("main table, main article").first).to_be_visible()
        expect(inside(page).locator("main [aria-busy=true]")).to_have_count(0)
        wide = inside(page).locator(":root").evaluate("root => root.scrollWidth - root.clientWidth")
        assert wide <= 0, f"{view} is {wide} px too wide"
        picture = page.screenshot(path=folder / f"{view}{'-dark' if dark else ''}.png", animations="disabled")
        assert len(picture) > 20_000
    page.context.close()


def test_the_page_as_its_users_see_it(browser: Browser, started: Started, tmp_path: Path) -> None:
    # One test, so that no second worker starts all of it once more.
    held_invoice_is_repaired_replayed_and_settled(browser, started)
    who_may_not_trigger_runs_reads_only(browser, started)
    nothing_without_a_login(browser, started)
    folder = Path(os.environ.get("TIEOUT_IMAGES") or tmp_path)
    pictures_of_each_page(browser, started, folder, dark=False)
    pictures_of_each_page(browser, started, folder, dark=True)
