"""What people see of a run in Airflow's own pages: assets, links, names of mapped tasks, the form, the navigation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from airflow_services import AirflowServices
from sandbox.sap_b1.data import Sizes
from sandbox.world import Sandbox
from tests.integration.support import DAG_ID, airflow_with, quick_include
from tieout.ledger import Ledger, Scope

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
SMALL = Sizes(customers=6, suppliers=2, leads=1, items=4, invoices=8, credit_notes=2)
ENTITIES = ("customers", "invoices", "taxes")


@dataclass(frozen=True)
class Told:
    """Airflow with three runs: the first sends all, the second finds one customer changed, the third only looks."""

    airflow: AirflowServices
    runs: tuple[str, str, str]
    home: Path

    def events(self, run_id: str) -> dict[str, Any]:
        """Asset name → the event's extra, of one run."""
        found = self.airflow.get(f"/api/v2/assets/events?source_run_id={quote(run_id, safe='')}")["asset_events"]
        return {event["name"]: event["extra"] for event in found}

    def links(self, run_id: str, task_id: str, map_index: int = -1) -> dict[str, str]:
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/links"
        answer: dict[str, str] = self.airflow.get(f"{path}?map_index={map_index}")["extra_links"]
        return answer


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    include = quick_include(folder, *ENTITIES, **{'schedule: "0 0 * * *"': "schedule: null"})
    with (
        Sandbox(size=SMALL, folder=folder / "sandbox") as sandbox,
        airflow_with(folder / "home", sandbox.env, include) as airflow,
    ):
        airflow.unpause(DAG_ID)

        def run(run_id: str, **conf: Any) -> str:
            body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
            status, answer = airflow.request("POST", f"/api/v2/dags/{DAG_ID}/dagRuns", body)
            assert status == 200, answer
            assert airflow.wait_run(DAG_ID, run_id)["state"] == "success"
            return run_id

        first = run("manual__2026-11-20T08:00:00+00:00")
        customer = next(row for row in sandbox.company.rows("BusinessPartners") if row["CardType"] == "cCustomer")
        sandbox.company.update("BusinessPartners", customer["CardCode"], {"CardName": "Another name"})
        looked = run("look", dry_run=True)
        yield Told(airflow, (first, run("second+1"), looked), folder / "home")


def feed(entity: str) -> str:
    return f"{DAG_ID}/default/{entity}"


def test_an_asset_event_for_each_feed_that_got_something_and_for_no_other(told: Told) -> None:
    first, second, looked = told.runs

    assert set(told.events(first)) == {feed(entity) for entity in ENTITIES}
    assert told.events(second) == {feed("customers"): {"run_id": second, "files": 1, "records": 1, "totals": {}}}
    assert told.events(looked) == {}
    invoices = told.events(first)[feed("invoices")]
    assert invoices["records"] > 1 and all("." in amount for amount in invoices["totals"].values())
    assert invoices["totals"]


def test_the_assets_have_stable_uris_and_show_the_ledgers_watermark(told: Told) -> None:
    assets = {asset["uri"]: asset for asset in told.airflow.get(f"/api/v2/assets?dag_ids={DAG_ID}")["assets"]}

    assert set(assets) == {f"tieout://{feed(entity)}" for entity in ENTITIES}
    asset = assets[f"tieout://{feed('customers')}"]
    assert asset["group"] == DAG_ID
    stored = told.airflow.get(f"/api/v2/assets/{asset['id']}/state-store")
    with Ledger.open(f"sqlite:///{told.home / 'ledger.db'}") as ledger:
        watermark = ledger.watermark(Scope(DAG_ID, "default", "customers"))
    assert watermark and watermark["read_by"] == told.runs[1]
    assert told.runs[1] in str(stored), "the UI's copy is that of the last real run"


@pytest.mark.parametrize(
    ("task_id", "map_index", "names"),
    [
        ("entity.extract", 1, {"Tie-out"}),
        ("entity.prepare", 0, {"Tie-out", "Held records"}),
        ("deliver", -1, {"Tie-out", "Files", "Held records"}),
        ("tie_out", -1, {"Tie-out", "Files", "Held records"}),
    ],
)
def test_links_from_a_task_to_what_the_page_knows_of_its_run(
    told: Told, task_id: str, map_index: int, names: set[str]
) -> None:
    run_id = told.runs[0]
    links = told.links(run_id, task_id, map_index)

    pages = {"Tie-out": "runs", "Files": "files", "Held records": "held"}
    assert set(links) == names
    for name, url in links.items():
        parts = urlsplit(url)
        page, _, filters = parts.fragment.partition("?")
        assert (f"{parts.scheme}://{parts.netloc}", parts.path) == (told.airflow.url, "/tieout/")
        assert page == f"/{pages[name]}"
        assert parse_qs(filters) == {"integration": [DAG_ID], "instance": ["default"], "run_id": [run_id]}


def test_the_note_of_a_run_leads_to_its_table(told: Told) -> None:
    run_id = told.runs[0]
    note = told.airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}")["note"]

    assert re.match(r"Ties out: \d+ delivered, 0 held\.\n\n\| entity", note)
    link = re.search(r"\]\(/tieout/#/runs\?(.*)\)$", note)
    assert link and parse_qs(link.group(1))["run_id"] == [run_id]


def test_mapped_tasks_are_named_by_tenant_and_entity(told: Told) -> None:
    tasks = told.airflow.tasks(DAG_ID, told.runs[0])
    named = {task["rendered_map_index"] for task in tasks if task["task_id"] == "entity.extract"}

    assert named == {f"default · {entity}" for entity in ENTITIES}


def test_the_dag_as_airflow_shows_it(told: Told) -> None:
    dag = told.airflow.get(f"/api/v2/dags/{DAG_ID}/details")

    assert dag["dag_display_name"] == "SAP Business One → Peakflo"
    assert dag["description"].startswith("Customers, invoices")
    assert {tag["name"] for tag in dag["tags"]} == {
        "tieout", DAG_ID, "from SAP Business One", "to Peakflo", "outbound",
    }  # fmt: skip
    assert dag["owners"] == ["tieout"]
    link = f"/tieout/#/held?integration={DAG_ID}&instance=default"
    assert f"]({link})" in dag["doc_md"]
    entities = dag["params"]["entities"]
    assert entities["schema"]["examples"] == entities["schema"]["items"]["enum"] == list(ENTITIES)
    assert dag["params"]["held_ids"]["schema"]["section"] == "Held records"


def test_every_task_says_what_it_does(told: Told) -> None:
    tasks = told.airflow.get(f"/api/v2/dags/{DAG_ID}/tasks")["tasks"]
    assert {task["task_id"] for task in tasks if not task["doc_md"]} == set()


def test_the_page_is_in_the_navigation_and_beside_each_run(told: Told) -> None:
    plugins = told.airflow.get("/api/v2/plugins")["plugins"]
    views = {
        view["name"]: view for plugin in plugins if plugin["name"] == "tieout" for view in plugin["external_views"]
    }

    assert (views["Tieout"]["destination"], views["Tieout"]["href"]) == ("nav", "/tieout/")
    assert views["Tieout"]["nav_top_level"] is True
    assert views["Tie-out"]["destination"] == "dag_run"
    assert views["Tie-out"]["href"] == "/tieout/?dag_id={DAG_ID}&run_id={RUN_ID}"
    for icon in ("icon", "icon_dark_mode"):
        status, _ = told.airflow.request("GET", views["Tieout"][icon])
        assert status == 200
