"""OpenLineage under real Airflow: what all four integrations tell, held against schemas, mappings and ledger."""

from __future__ import annotations

import fnmatch
import json
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_services import ROOT, AirflowServices
from sandbox.sap_b1.data import Sizes
from sandbox.stampli import DropSizes
from sandbox.world import Sandbox
from tests.integration.support import UNHURRIED, until
from tests.lineage.official import facets_of, problems
from tieout.ledger import Filters, Ledger, RunRow
from tieout.mapping.lineage import Kind

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
PATIENCE = 600
SAP_B1, SYSPRO, STAMPLI, BANQUP = "sap_b1_to_peakflo", "syspro_to_legacy_erp", "stampli_to_sap_b1", "banqup_to_sftp"
DAGS = (SAP_B1, SYSPRO, STAMPLI, BANQUP)
SMALL = Sizes(customers=6, suppliers=6, leads=1, items=4, invoices=12, credit_notes=3)
PREFIXES = {"gl_postings": "GL", "invoices": "INV", "purchase_orders": "PO", "suppliers": "SUP", "items": "ITEM"}
Event = dict[str, Any]
Field = tuple[str, str, str]
"""Namespace and name of a dataset, and one of its columns."""

FORMS = {
    (SYSPRO, "gl_postings"): "fixed_width gl_fixed_width",
    (SYSPRO, "invoices"): "x12 810",
    (SYSPRO, "purchase_orders"): "x12 850",
    (SYSPRO, "items"): "x12 832",
}
"""What is written besides CSV, by the configuration of this test."""


@dataclass
class Told:
    """What was told of one run of each integration."""

    events: list[Event]
    sent: list[Event]
    rows: dict[str, dict[str, RunRow]]
    tasks: Counter[str]
    sandbox_env: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)

    def completed(self, job: str) -> list[Event]:
        return [each for each in self.events if each["job"]["name"] == job and each["eventType"] == "COMPLETE"]


class Receiver(BaseHTTPRequestHandler):
    """The endpoint that Marquez has."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""


@contextmanager
def receiver() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def include(folder: Path) -> Path:
    """The project's configuration: documents of SYSPRO as X12, purchase orders to Stampli, two clients of Banqup's."""
    copy = folder / "include"
    shutil.copytree(ROOT / "include", copy)
    for dag_id, old, new in (
        (SYSPRO, "{format: csv, prefix: INV}", "{format: x12, prefix: INV}"),
        (SYSPRO, "{format: csv, prefix: PO}", "{format: x12, prefix: PO}"),
        (SYSPRO, "{format: csv, prefix: ITEM}", "{format: x12, prefix: ITEM}"),
        (STAMPLI, "purchase_orders: false", "purchase_orders: true"),
        (STAMPLI, "settle_seconds: 3", "settle_seconds: 1"),
        (BANQUP, "delivery:\n", "validation: {workers: 1}\ndelivery:\n"),
    ):
        instance = copy / "integrations" / dag_id / "default.yaml"
        text = instance.read_text(encoding="utf-8")
        assert old in text, (dag_id, old)
        instance.write_text(text.replace(old, new), encoding="utf-8")
    for dag_id in DAGS:
        # No clock may start a second run in the middle.
        instance = copy / "integrations" / dag_id / "default.yaml"
        lines = [line for line in instance.read_text(encoding="utf-8").splitlines() if not line.startswith("schedule:")]
        instance.write_text("\n".join(["schedule: null", *lines, ""]), encoding="utf-8")
    banqup = copy / "integrations" / BANQUP / "default.yaml"
    head, *clients = banqup.read_text(encoding="utf-8").split("  - external_id: ")
    banqup.write_text("  - external_id: ".join([head, *clients[:2]]), encoding="utf-8")
    return copy


def run_all(folder: Path) -> Told:
    """One run of each integration, with its events in the default file and at an HTTP receiver."""
    home = folder / "home"
    with Sandbox(size=SMALL, folder=folder / "sandbox") as sandbox, receiver() as http:
        sandbox.stampli.mixed_drop(sizes=DropSizes(invoices=12, files=2))
        file = {"type": "tieout.lineage.event_file.EventFile", "path": str(home / "lineage" / "events.jsonl")}
        url = f"http://127.0.0.1:{http.server_address[1]}"
        both = {"type": "composite", "transports": {"file": file, "marquez": {"type": "http", "url": url}}}
        env = {
            **UNHURRIED,
            **sandbox.env,
            "TIEOUT_INCLUDE": str(include(folder)),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(both),
            "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": str(PATIENCE),
        }
        with AirflowServices(home, env) as airflow:
            airflow.wait_healthy()
            runs = {dag_id: airflow.trigger(dag_id) for dag_id in DAGS}
            states = {dag_id: airflow.wait_run(dag_id, run_id, PATIENCE)["state"] for dag_id, run_id in runs.items()}
            assert states == dict.fromkeys(DAGS, "success")
            tasks = Counter(
                f"{dag_id}.{task['task_id']}" for dag_id in DAGS for task in airflow.tasks(dag_id, runs[dag_id])
            )
            # The scheduler tells of the runs themselves in a process of its own, after their end.
            until(lambda: set(DAGS) <= completed(read_events(home)), "the runs' ends in the file")
            until(lambda: set(DAGS) <= completed(sent_to(http)), "the runs' ends at the receiver")
            warnings = lineage_warnings(home)
        with Ledger.open(f"sqlite:///{home / 'ledger.db'}") as ledger:
            rows = {
                dag_id: {row.entity: row for row in ledger.runs(Filters(run_id=run_id, integration=dag_id))}
                for dag_id, run_id in runs.items()
            }
        assert {path for path, _ in http.received} == {"/api/v1/lineage"}  # type: ignore[attr-defined]
        return Told(ours(read_events(home)), ours(sent_to(http)), rows, tasks, sandbox.env, warnings)


def ours(events: list[Event]) -> list[Event]:
    """Those of the four integrations; other DAGs may run beside them."""
    return [event for event in events if event["job"]["name"].partition(".")[0] in DAGS]


def read_events(home: Path) -> list[Event]:
    """The events so far; a line that is still being written is none yet."""
    text = (home / "lineage" / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.rpartition("\n")[0].split("\n")]


def sent_to(server: ThreadingHTTPServer) -> list[Event]:
    return [event for _, event in list(server.received)]  # type: ignore[attr-defined]


def completed(events: list[Event]) -> set[str]:
    return {event["job"]["name"] for event in events if event["eventType"] == "COMPLETE"}


def lineage_warnings(home: Path) -> list[str]:
    """What tasks' logs say of lineage that could not be told."""
    lines = (line for path in home.rglob("attempt=*.log") for line in path.read_text(encoding="utf-8").splitlines())
    return [line[:500] for line in lines if "could not be told" in line or "OpenLineage method failed" in line]


def expect_every_task_and_run_to_begin_and_end_once(told: Told) -> None:
    assert told.warnings == []
    expected = {**told.tasks, **dict.fromkeys(DAGS, 1)}
    for kind in ("START", "COMPLETE"):
        assert Counter(each["job"]["name"] for each in told.events if each["eventType"] == kind) == expected
    assert {each["job"]["namespace"] for each in told.events} == {"tieout"}


def expect_every_event_as_the_official_schemas_say(told: Told) -> None:
    wrong = {each["job"]["name"]: found for each in told.events if (found := problems(each))}
    assert wrong == {}


def expect_the_same_events_at_the_http_receiver(told: Told) -> None:
    def order(events: list[Event]) -> list[str]:
        return sorted(json.dumps(each, sort_keys=True) for each in events)

    assert order(told.sent) == order(told.events)


def expect_no_secret_and_no_source_code(told: Told) -> None:
    text = json.dumps([told.events], ensure_ascii=False)
    secrets = secrets_of(told.sandbox_env)
    assert len(secrets) > 5
    assert [name for name, secret in secrets.items() if secret in text] == []
    assert "sourceCode" not in {name for each in told.events for _, name, _ in facets_of(each)}


def secrets_of(env: Mapping[str, str]) -> dict[str, str]:
    """Where each password of the connections stands, and what it is."""
    found: dict[str, str] = {}
    for variable, text in env.items():
        if not variable.startswith("AIRFLOW_CONN_"):
            continue
        connection = json.loads(text)
        extra = connection.get("extra") or {}
        fields = {**(json.loads(extra) if isinstance(extra, str) else extra), "password": connection.get("password")}
        for name in ("password", "company_password", "private_key", "private_key_passphrase", "basic_password"):
            if fields.get(name):
                found[f"{variable}.{name}"] = str(fields[name])
    return found


# --- columns


def column_graph(events: list[Event]) -> dict[Field, set[Field]]:
    """Column → the columns that the step which wrote it has made it of."""
    graph: dict[Field, set[Field]] = {}
    for event in events:
        for output in event["outputs"]:
            lineage = output["facets"].get("columnLineage", {"fields": {}})
            for column, entry in lineage["fields"].items():
                key = (output["namespace"], output["name"], column)
                inputs = {(each["namespace"], each["name"], each["field"]) for each in entry["inputFields"]}
                graph.setdefault(key, set()).update(inputs)
    return graph


def origins(graph: Mapping[Field, set[Field]], start: Field) -> set[Field]:
    """Everything that a column comes from, over all steps."""
    seen: set[Field] = set()
    waiting = [start]
    while waiting:
        for each in graph.get(waiting.pop(), ()):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return seen


def mapped_rows() -> list[dict[str, Any]]:
    """Everything that `bin/tieout mapping lineage` lists and that was written in these runs."""
    command = [str(ROOT / "bin" / "tieout"), "mapping", "lineage", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return [
        row
        for row in rows
        if row["integration"] != SYSPRO
        or row["form"] == FORMS.get((SYSPRO, row["entity"]))
        or (row["form"] == "csv" and row["entity"] != "gl_postings")
    ]


def written_as(row: Mapping[str, Any]) -> tuple[str, str]:
    """The dataset in which a target is, as patterns: at the receiver; what goes to none, in staging."""
    integration, entity, form = row["integration"], row["entity"], row["form"]
    if form == "staged":
        return "file", f"*/{integration}/{entity}/collected"
    if form == "index":
        return "file", f"*/{integration}/index_{entity}.csv"
    if form == "file":
        return "sftp://*", "/invoice_import/*/cod/*" if entity == "statements" else "/invoice_import/*/A[PR]"
    if form == "sap_b1":
        return "sapb1://*", f"*.{row['target'].partition('.')[0]}"
    if integration != SYSPRO:
        return "sftp://*", f"/inbound/{entity}"
    if form == "csv" and entity != "suppliers":
        return "file", f"*/{integration}/{entity}/prepared/data.csv"
    return "sftp://*", f"/inbound/{PREFIXES[entity]}_*"


def places_of(row: Mapping[str, Any], graph: Mapping[Field, set[Field]]) -> list[Field]:
    """The columns in which a target is: one, or of `U_*` all custom fields that there were."""
    space, name = written_as(row)
    target = row["target"].partition(".")[2] if row["form"] == "sap_b1" else row["target"]
    return [
        each
        for each in graph
        if fnmatch.fnmatchcase(each[0], space)
        and fnmatch.fnmatchcase(each[1], name)
        and (each[2] == target or ("U_*" in target and fnmatch.fnmatchcase(each[2], target)))
    ]


def is_source(name: str, first: str) -> bool:
    """Whether a dataset is the entity set, table or kind of file of that name."""
    return name.rpartition(".")[2] == first or name == f"/outbound/{first}_*"


def leads_to(row: Mapping[str, Any], places: list[Field], graph: Mapping[Field, set[Field]]) -> bool:
    """Whether the way back of every column that a target is in comes to the row's source."""
    first, _, column = row["source"].partition(".")
    return all(
        any(
            is_source(name, first) and fnmatch.fnmatchcase(found, column or first)
            for _, name, found in origins(graph, place)
        )
        for place in places
    )


def expect_columns_to_lead_back_to_every_source_of_the_mappings(told: Told) -> None:
    graph = column_graph(told.events)
    read = {each["name"] for event in told.events for each in event["inputs"]}
    missing: list[tuple[str, ...]] = []
    unread: set[str] = set()
    rows = mapped_rows()
    for row in rows:
        places = places_of(row, graph)
        first = row["source"].partition(".")[0]
        if not places:
            missing.append(tuple(row[name] for name in ("integration", "entity", "form", "target")))
        elif Kind(row["kind"]).reads_source and not any(is_source(name, first) for name in read):
            unread.add(first)
        elif Kind(row["kind"]).reads_source and not leads_to(row, places, graph):
            missing.append(tuple(row[name] for name in ("integration", "entity", "form", "target", "source")))
    assert missing == []
    assert unread == {"SalesTaxCodes"}, "a European company's taxes are VatGroups"
    assert len(rows) > 600


def expect_columns_at_every_receiver(told: Told) -> None:
    graph = column_graph(told.events)
    targets = {(space.partition(":")[0], name) for space, name, _ in graph if space != "file"}
    assert {name for kind, name in targets if kind == "sapb1"} >= {
        f"{company_of(told)}.JournalEntries",
        f"{company_of(told)}.BusinessPartners",
    }
    folders = {name for kind, name in targets if kind == "sftp"}
    assert folders >= {
        "/inbound/customers", "/inbound/invoices", "/inbound/invoice_pdfs", "/inbound/payments", "/inbound/taxes",
        "/inbound/purchase_orders",
    }  # fmt: skip
    assert len([name for name in folders if fnmatch.fnmatchcase(name, "/inbound/GL_*_*_*.dat")]) == 1
    assert len([name for name in folders if fnmatch.fnmatchcase(name, "/inbound/INV_*_*_*.edi")]) == 1
    assert any(name.startswith("/invoice_import/C1001_") for name in folders)


def company_of(told: Told) -> str:
    extra = json.loads(told.sandbox_env["AIRFLOW_CONN_SAP_B1"])["extra"]
    return str((json.loads(extra) if isinstance(extra, str) else extra)["company_db"])


# --- figures and findings


def written(told: Told, job: str) -> dict[str, dict[str, int]]:
    """Dataset → its output statistics."""
    return {
        output["name"]: output["outputFacets"]["outputStatistics"]
        for event in told.completed(job)
        for output in event["outputs"]
        if "outputStatistics" in output["outputFacets"]
    }


def expect_the_figures_of_the_ledger(told: Told) -> None:
    sap = told.rows[SAP_B1]
    delivered = written(told, f"{SAP_B1}.deliver")
    assert {name.rpartition("/")[2]: each["rowCount"] for name, each in delivered.items()} == {
        entity: row.delivered for entity, row in sap.items() if row.delivered
    }
    assert all(each["size"] > 0 and each["fileCount"] >= 1 for each in delivered.values())
    extracted = {name.split("/")[-2]: each for name, each in written(told, f"{SAP_B1}.entity.extract").items()}
    assert {entity: each["rowCount"] for entity, each in extracted.items()} == {
        entity: row.extracted for entity, row in sap.items()
    }
    gone = {name.split("/")[-1].split("_")[0]: each for name, each in written(told, f"{SYSPRO}.deliver").items()}
    assert {prefix: each["rowCount"] for prefix, each in gone.items()} == {
        PREFIXES[entity]: row.delivered for entity, row in told.rows[SYSPRO].items()
    }
    stampli = told.rows[STAMPLI]
    assert {name.rpartition(".")[2]: each["rowCount"] for name, each in written(told, f"{STAMPLI}.post").items()} == {
        "BusinessPartners": stampli["vendors"].posted,
        "JournalEntries": stampli["invoices"].posted + stampli["payments"].posted,
    }
    folders = written(told, f"{BANQUP}.deliver")
    assert sum(each["rowCount"] for each in folders.values()) == sum(
        row.delivered for row in told.rows[BANQUP].values()
    )
    assert sum(each["fileCount"] for each in folders.values()) > 8
    assert len(folders) >= 4


def expect_the_findings_of_great_expectations(told: Told) -> None:
    for dag_id in DAGS:
        (event,) = told.completed(f"{dag_id}.quality_gate")
        judged = {each["name"]: each["inputFacets"] for each in event["inputs"] if each["inputFacets"]}
        assert len(judged) >= 2, dag_id
        for facets in judged.values():
            assertions = facets["dataQualityAssertions"]["assertions"]
            assert all(each["assertion"].startswith("expect_") for each in assertions)
            assert {each["severity"] for each in assertions} <= {"critical", "warning"}
            assert any(each.get("column") for each in assertions)
            assert all(each["success"] for each in assertions if each["severity"] == "critical")
            assert facets["dataQualityMetrics"]["rowCount"] > 0


def expect_the_proof_of_each_run(told: Told) -> None:
    for dag_id in DAGS:
        expect_the_proof_of(dag_id, told)


def expect_the_proof_of(dag_id: str, told: Told) -> None:
    (event,) = told.completed(f"{dag_id}.tie_out")
    proof = event["run"]["facets"]["tieout_conservation"]
    rows = told.rows[dag_id].values()
    assert proof["tiesOut"] is True
    for place in ("extracted", "delivered", "posted", "held", "duplicate", "excluded"):
        assert proof[place] == sum(getattr(row, place) for row in rows)
    assert proof["extracted"] == sum(proof[place] for place in ("delivered", "posted", "held", "duplicate", "excluded"))
    assert len(proof["entities"]) == len(told.rows[dag_id])


def test_what_four_integrations_tell_of_a_run(tmp_path: Path) -> None:
    told = run_all(tmp_path)
    expect_every_task_and_run_to_begin_and_end_once(told)
    expect_every_event_as_the_official_schemas_say(told)
    expect_the_same_events_at_the_http_receiver(told)
    expect_no_secret_and_no_source_code(told)
    expect_columns_to_lead_back_to_every_source_of_the_mappings(told)
    expect_columns_at_every_receiver(told)
    expect_the_figures_of_the_ledger(told)
    expect_the_findings_of_great_expectations(told)
    expect_the_proof_of_each_run(told)
