"""The DAGs as Airflow reads them: light to import, shaped like the business process, retried by error class."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_home import airflow_environment

ROOT = Path(__file__).resolve().parents[2]

# What a DAG file may bring into memory beyond `airflow.sdk`: pydantic and PyYAML come with Airflow itself, asgiref with
# its own human-in-the-loop operators.
ALLOWED = {"tieout", "airflow", "asgiref"}
HEAVY = ("pandas", "pyarrow", "numpy", "great_expectations", "lxml", "asyncssh", "urllib3", "msgspec", "paramiko")

IMPORT_DAG = """
import json, sys
import airflow.sdk
import airflow.triggers.base
import airflow.configuration
from airflow.sdk import DAG, Asset, BaseOperator, BaseOperatorLink, CronDataIntervalTimetable, ExceptionRetryPolicy
from airflow.sdk import Param, RetryRule, TaskGroup, TriggerRule, task_group
Asset("any", uri="sftp://partner/inbox")  # has Airflow load the handlers of all providers
before = set(sys.modules)
import runpy
runpy.run_path(sys.argv[1])
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(new - set(sys.stdlib_module_names))))
"""

DESCRIBE = """
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1], bundle_path=sys.argv[1], bundle_name="dags-folder")
found = {}
for dag_id, dag in bag.dags.items():
    found[dag_id] = {
        "tasks": {
            task.task_id: {
                "upstream": sorted(task.upstream_task_ids),
                "is_setup": task.is_setup,
                "is_teardown": task.is_teardown,
                "pool": task.pool,
                "retries": task.retries,
                "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
                "is_mapped": task.is_mapped,
                "map_index_template": getattr(task, "map_index_template", None),
                "group": task.task_group.group_display_name,
                "outlets": [asset.uri for asset in task.outlets],
                "doc_md": task.doc_md,
            }
            for task in dag.tasks
        },
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "timetable": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "doc_md": dag.doc_md,
        "display_name": dag.dag_display_name,
    }
print("RESULT" + json.dumps({"errors": {str(k): v for k, v in bag.import_errors.items()}, "dags": found}))
"""


def python(code: str, *arguments: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def describe(env: dict[str, str]) -> dict[str, Any]:
    output = python(DESCRIBE, str(ROOT / "dags"), env=env)
    found: dict[str, Any] = json.loads(output.rpartition("RESULT")[2])
    return found


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return airflow_environment(tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("*.py")), ids=lambda path: path.stem)
def test_a_dag_file_imports_nothing_heavy(path: Path, env: dict[str, str]) -> None:
    new = set(json.loads(python(IMPORT_DAG, str(path), env=env).splitlines()[-1]))

    assert not new & set(HEAVY)
    assert new <= ALLOWED, f"{path.name} imports {sorted(new - ALLOWED)} beyond airflow.sdk"


def test_the_dag_reads_like_the_business_process(env: dict[str, str]) -> None:
    found = describe(env)
    assert found["errors"] == {}
    dag = found["dags"]["sap_b1_to_peakflo"]
    tasks = dag["tasks"]

    assert set(tasks) == {
        "open_run", "login", "entity.extract", "entity.prepare", "quality_gate", "deliver", "tie_out", "logout",
    }  # fmt: skip
    assert tasks["login"]["is_setup"] and tasks["logout"]["is_teardown"]
    assert tasks["entity.extract"]["pool"] == "sap_b1" and tasks["deliver"]["pool"] == "sftp"
    assert tasks["tie_out"]["trigger_rule"] == tasks["quality_gate"]["trigger_rule"] == "all_done"
    assert tasks["deliver"]["trigger_rule"] == "all_success"
    assert tasks["tie_out"]["upstream"] == ["deliver"]
    assert tasks["tie_out"]["retries"] == 0
    assert dag["timetable"] == "CronDataIntervalTimetable"
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert "tieout" in dag["tags"]
    assert "Every run ties out" in dag["doc_md"]


def test_stampli_reads_like_the_business_process(env: dict[str, str], tmp_path: Path) -> None:
    include = tmp_path / "include"
    shutil.copytree(ROOT / "include", include)
    default = include / "integrations" / "stampli_to_sap_b1" / "default.yaml"
    with_orders = default.read_text().replace("purchase_orders: false", "purchase_orders: true")
    default.with_name("orders.yaml").write_text(with_orders)
    dags = describe({**env, "TIEOUT_INCLUDE": str(include)})["dags"]
    tasks = dags["stampli_to_sap_b1"]["tasks"]

    assert set(tasks) == {
        "open_run", "wait_for_files", "collect", "login", "prepare", "quality_gate", "post", "archive", "read_back",
        "finance_digest", "tie_out", "logout",
    }  # fmt: skip
    assert tasks["login"]["is_setup"] and tasks["logout"]["is_teardown"]
    assert tasks["tie_out"]["trigger_rule"] == tasks["finance_digest"]["trigger_rule"] == "all_done"
    assert tasks["post"]["upstream"] == ["quality_gate"] and tasks["post"]["trigger_rule"] == "all_success"
    assert tasks["archive"]["upstream"] == ["post"], "a file is moved only after its records have their places"
    assert tasks["post"]["pool"] == "sap_b1" and tasks["collect"]["pool"] == "sftp"
    assert tasks["tie_out"]["retries"] == 0
    assert "Nothing is posted twice" in dags["stampli_to_sap_b1"]["doc_md"]
    orders = dags["stampli_to_sap_b1__orders"]["tasks"]
    assert orders["export_purchase_orders"]["upstream"] == ["login"]
    assert "export_purchase_orders" in orders["finance_digest"]["upstream"]


def test_syspro_reads_like_the_business_process(env: dict[str, str]) -> None:
    dag = describe(env)["dags"]["syspro_to_legacy_erp"]
    tasks = dag["tasks"]

    assert {
        "open_run", "login", "entity.extract", "entity.prepare", "quality_gate", "deliver", "tie_out", "logout",
    } <= set(tasks)  # fmt: skip
    assert tasks["login"]["is_setup"] and tasks["logout"]["is_teardown"]
    assert {tasks[name]["pool"] for name in ("login", "entity.extract", "logout")} == {"syspro"}
    assert tasks["deliver"]["pool"] == "sftp" and tasks["deliver"]["trigger_rule"] == "all_success"
    assert tasks["tie_out"]["trigger_rule"] == tasks["quality_gate"]["trigger_rule"] == "all_done"
    assert tasks["tie_out"]["retries"] == 0
    assert "entity.prepare" in tasks["logout"]["upstream"], "the session is of no use to what comes after"
    assert dag["timetable"] == "CloseTimetable"
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert "Every run ties out" in dag["doc_md"]
    params = dag["params"]
    assert {"dry_run", "entities", "full_refresh", "held_only", "period", "resend", "regenerate"} <= set(params)
    assert set(params["resend"]["type"]) == {"boolean", "string", "array", "null"}
    assert params["entities"]["items"]["enum"] == ["gl_postings", "invoices", "purchase_orders", "suppliers", "items"]


def test_banqup_reads_like_the_business_process(env: dict[str, str]) -> None:
    found = describe(env)
    assert found["errors"] == {}
    dag = found["dags"]["banqup_to_sftp"]
    tasks = dag["tasks"]

    steps = [
        "open_run", "collect", "validate", "quality_gate", "plan_deliveries", "deliver", "tell_receivers", "tie_out",
    ]  # fmt: skip
    assert set(tasks) == set(steps)
    for before, step in itertools.pairwise(steps):
        assert tasks[step]["upstream"] == [before]
    assert tasks["deliver"]["is_mapped"] and not tasks["collect"]["is_mapped"], "few tasks, whatever the clients"
    assert tasks["deliver"]["map_index_template"] == "{{ task.share['title'] }}"
    assert tasks["deliver"]["pool"] == "sftp" and tasks["collect"]["pool"] == "banqup"
    assert tasks["deliver"]["trigger_rule"] == "all_success"
    assert tasks["tell_receivers"]["trigger_rule"] == tasks["tie_out"]["trigger_rule"] == "all_done"
    assert tasks["tie_out"]["retries"] == 0 < tasks["deliver"]["retries"]
    assert dag["timetable"] == "CronDataIntervalTimetable"
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert "Every run ties out" in dag["doc_md"]
    params = dag["params"]
    assert {"dry_run", "entities", "full_refresh", "held_only", "backfill_from", "backfill_to"} <= set(params)
    assert params["entities"]["items"]["enum"] == [f"C100{number}" for number in range(1, 9)]
    assert set(params["backfill_from"]["type"]) == {"string", "null"}


def test_a_partner_whose_clients_share_a_folder_is_told_in_its_dag(env: dict[str, str], tmp_path: Path) -> None:
    include = tmp_path / "include"
    shutil.copytree(ROOT / "include", include)
    default = include / "integrations" / "banqup_to_sftp" / "default.yaml"
    shared = (
        default.read_text()
        .replace("conn_id: banqup_client_", "conn_id: one # ")
        .replace("[external_id]_[uen_number]", "x")
    )
    default.with_name("acme.yaml").write_text(shared)
    default.with_name("south.yaml").write_text(default.read_text().replace("external_id: C1002", "external_id: C2"))
    found = describe({**env, "TIEOUT_INCLUDE": str(include)})

    assert found["errors"] == {}
    broken = found["dags"]["banqup_to_sftp__acme"]
    assert list(broken["tasks"]) == ["read_configuration"]
    assert "client C1001 has the same folder" in broken["doc_md"]
    south = found["dags"]["banqup_to_sftp__south"]
    assert "C2" in south["params"]["entities"]["items"]["enum"] and "deliver" in south["tasks"]


def test_acknowledgements_have_a_dag_of_their_own(env: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include", tmp_path / "include")
    default = tmp_path / "include" / "integrations" / "syspro_to_legacy_erp" / "default.yaml"
    default.with_name("edi.yaml").write_text(
        f"{default.read_text()}\nacknowledgements: {{folder: /acks, every_minutes: 5}}\n"
    )
    dags = describe({**env, "TIEOUT_INCLUDE": str(tmp_path / "include")})["dags"]

    assert "syspro_to_legacy_erp_acknowledgements" not in dags, "the default instance is owed none"
    reader = dags["syspro_to_legacy_erp__edi_acknowledgements"]
    assert set(reader["tasks"]) == {"read_acknowledgements"}
    assert reader["tasks"]["read_acknowledgements"]["pool"] == "sftp"
    assert (reader["timetable"], reader["max_active_runs"]) == ("CronDataIntervalTimetable", 1)


@pytest.mark.parametrize(
    ("schedule", "timetable"), [("null", "NullTimetable"), ('"0 6 * * 1"', "CronDataIntervalTimetable")]
)
def test_syspro_by_another_schedule(env: dict[str, str], tmp_path: Path, schedule: str, timetable: str) -> None:
    folder = tmp_path / "include" / "integrations" / "syspro_to_legacy_erp"
    shutil.copytree(ROOT / "include", tmp_path / "include")
    (folder / "weekly.yaml").write_text(f"schedule: {schedule}\nentities: {{items: {{}}, suppliers: {{}}}}\n")
    dag = describe({**env, "TIEOUT_INCLUDE": str(tmp_path / "include")})["dags"]["syspro_to_legacy_erp__weekly"]

    assert dag["timetable"] == timetable
    assert dag["params"]["entities"]["items"]["enum"] == ["suppliers", "items"]


def test_a_calendar_that_is_missing_is_told_in_its_dag(env: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include", tmp_path / "include")
    instance = tmp_path / "include" / "integrations" / "syspro_to_legacy_erp" / "fiscal.yaml"
    instance.write_text("calendar: fiscal_2026\n")
    found = describe({**env, "TIEOUT_INCLUDE": str(tmp_path / "include")})

    assert found["errors"] == {}
    broken = found["dags"]["syspro_to_legacy_erp__fiscal"]
    assert list(broken["tasks"]) == ["read_configuration"]
    assert "fiscal_2026.yaml does not exist" in broken["doc_md"]


WHERE_TASKS_QUEUE = {
    "sap_b1_to_peakflo": {
        "sap_b1": {"login", "entity.extract", "entity.prepare", "logout"}, "sftp": {"deliver"},
    },
    "syspro_to_legacy_erp": {"syspro": {"login", "entity.extract", "logout"}, "sftp": {"deliver"}},
    "stampli_to_sap_b1": {
        "sap_b1": {"login", "prepare", "post", "read_back", "logout"}, "sftp": {"wait_for_files", "collect", "archive"},
    },
    "banqup_to_sftp": {"banqup": {"collect"}, "sftp": {"deliver"}},
}  # fmt: skip
BUSINESS_PROCESS = {
    "sap_b1_to_peakflo": ["Read from SAP Business One", "Each entity", "Check and send to Peakflo", ""],
    "syspro_to_legacy_erp": ["Read from SYSPRO", "Each entity", "Check and send to the legacy ERP", ""],
    "stampli_to_sap_b1": ["Read from Stampli", "Check", "Post to SAP Business One", "Prove and tell"],
    "banqup_to_sftp": ["Read from Banqup", "Check", "", "Prove and tell"],
}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The DAGs of the configuration as it is delivered."""
    found: dict[str, Any] = describe(airflow_environment(tmp_path_factory.mktemp("delivered")))["dags"]
    return found


@pytest.mark.parametrize("dag_id", WHERE_TASKS_QUEUE)
def test_tasks_that_talk_to_a_system_queue_in_its_pool(delivered: dict[str, Any], dag_id: str) -> None:
    from load_settings import SETTINGS, read_settings

    pools: dict[str, set[str]] = {}
    for name, task in delivered[dag_id]["tasks"].items():
        pools.setdefault(task["pool"], set()).add(name)
    assert {pool: tasks for pool, tasks in pools.items() if pool != "default_pool"} == WHERE_TASKS_QUEUE[dag_id]
    assert set(WHERE_TASKS_QUEUE[dag_id]) <= {pool["pool_name"] for pool in read_settings(SETTINGS, {}).pools}


@pytest.mark.parametrize("dag_id", BUSINESS_PROCESS)
def test_groups_read_like_the_business_process_and_leave_the_ids_of_tasks_alone(
    delivered: dict[str, Any], dag_id: str
) -> None:
    tasks = delivered[dag_id]["tasks"]

    assert list(dict.fromkeys(task["group"] for task in tasks.values())) == BUSINESS_PROCESS[dag_id]
    assert {name.partition(".")[0] for name in tasks if "." in name} <= {"entity"}
    assert all(task["doc_md"] for task in tasks.values())


@pytest.mark.parametrize("dag_id", BUSINESS_PROCESS)
def test_feeds_are_the_entities_that_a_run_may_send(delivered: dict[str, Any], dag_id: str) -> None:
    dag = delivered[dag_id]
    outlets = [uri for task in dag["tasks"].values() for uri in task["outlets"]]
    entities = dag["params"]["entities"]["items"]["enum"]

    assert outlets == [f"tieout://{dag_id}/default/{entity}" for entity in entities]
    assert dag["params"]["entities"]["examples"] == entities, "the form offers them"


def test_a_feed_keeps_its_uri_whatever_is_configured(env: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include", tmp_path / "include")
    instance = tmp_path / "include" / "integrations" / "sap_b1_to_peakflo" / "default.yaml"
    text = instance.read_text()
    for old, new in {"peakflo_sftp": "elsewhere", "/inbound": "/in", "UTC": "Europe/Oslo", "{timestamp}_": ""}.items():
        assert old in text
        text = text.replace(old, new)
    instance.write_text(text)
    tasks = describe({**env, "TIEOUT_INCLUDE": str(tmp_path / "include")})["dags"]["sap_b1_to_peakflo"]["tasks"]

    assert tasks["deliver"]["outlets"][0] == "tieout://sap_b1_to_peakflo/default/customers"


def test_a_further_instance_is_named_so_that_people_tell_them_apart(env: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include", tmp_path / "include")
    folder = tmp_path / "include" / "integrations" / "sap_b1_to_peakflo"
    shutil.copy(folder / "default.yaml", folder / "berlin.yaml")
    dags = describe({**env, "TIEOUT_INCLUDE": str(tmp_path / "include")})["dags"]

    berlin = dags["sap_b1_to_peakflo__berlin"]
    assert berlin["display_name"] == f"{dags['sap_b1_to_peakflo']['display_name']} (berlin)"
    assert "/tieout/#/runs?integration=sap_b1_to_peakflo&instance=berlin" in berlin["doc_md"]
    assert berlin["tasks"]["entity.extract"]["map_index_template"] == "{{ task.instance }} · {{ task.plan['entity'] }}"


RESOLVE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError
bag = DagBag(dag_folder=sys.argv[1], bundle_path=sys.argv[1], bundle_name="dags-folder")
verdicts = []
for dag_id, name, value in json.loads(sys.argv[2]):
    try:
        bag.dags[dag_id].params.get_param(name).resolve(value)
        verdicts.append(True)
    except ParamValidationError:
        verdicts.append(False)
print("RESULT" + json.dumps(verdicts))
"""
SYSPRO, BANQUP = "syspro_to_legacy_erp", "banqup_to_sftp"
CONF = [
    (SYSPRO, "period", "2026-10", True),
    (SYSPRO, "period", "202610", True),
    (SYSPRO, "period", "", True),
    (SYSPRO, "period", None, True),
    (SYSPRO, "period", "October", False),
    (SYSPRO, "resend", True, True),
    (SYSPRO, "resend", "invoices", True),
    (SYSPRO, "resend", ["invoices"], True),
    (SYSPRO, "entities", ["invoices"], True),
    (SYSPRO, "entities", None, True),
    (SYSPRO, "entities", ["customers"], False),
    (BANQUP, "backfill_from", "2026-01-31", True),
    (BANQUP, "backfill_from", None, True),
    (BANQUP, "backfill_from", "31.1.2026", False),
    (BANQUP, "held_ids", [3, 4], True),
    (BANQUP, "held_ids", ["C1001"], False),
]


def test_what_the_form_takes(env: dict[str, str]) -> None:
    asked = json.dumps([case[:3] for case in CONF])
    verdicts = json.loads(python(RESOLVE, str(ROOT / "dags"), asked, env=env).rpartition("RESULT")[2])

    assert list(zip([case[:3] for case in CONF], verdicts, strict=True)) == [(case[:3], case[3]) for case in CONF]


def test_the_form_of_conf(env: dict[str, str]) -> None:
    params = describe(env)["dags"]["sap_b1_to_peakflo"]["params"]

    assert {"dry_run", "entities", "full_refresh", "held_only"} <= set(params)
    assert params["dry_run"]["type"] == params["held_only"]["type"] == "boolean"
    assert params["entities"]["items"]["enum"] == [
        "customers", "contacts", "invoices", "invoice_pdfs", "payments", "credit_notes", "taxes", "chart_of_accounts",
        "inventory",
    ]  # fmt: skip


def test_each_instance_is_a_dag_and_a_broken_one_says_so(tmp_path: Path, env: dict[str, str]) -> None:
    include = tmp_path / "include"
    folder = include / "integrations" / "sap_b1_to_peakflo"
    folder.mkdir(parents=True)
    default = (ROOT / "include/integrations/sap_b1_to_peakflo/default.yaml").read_text()
    (folder / "default.yaml").write_text(default)
    (folder / "berlin.yaml").write_text(default.replace("source: sap_b1\n", "source: sap_b1_berlin\n"))
    (folder / "off.yaml").write_text(default + "\nenabled: false\n")
    (folder / "oslo.yaml").write_text(default.replace("lookback_days: 3", "lookback_days: soon"))

    found = describe({**env, "TIEOUT_INCLUDE": str(include)})

    assert found["errors"] == {}
    assert {dag_id for dag_id in found["dags"] if dag_id.startswith("sap_b1_to_peakflo")} == {
        "sap_b1_to_peakflo", "sap_b1_to_peakflo__berlin", "sap_b1_to_peakflo__oslo",
    }  # fmt: skip
    broken = found["dags"]["sap_b1_to_peakflo__oslo"]
    assert list(broken["tasks"]) == ["read_configuration"]
    assert "oslo.yaml, line 13, source.lookback_days" in broken["doc_md"]


RETRY = """
import json
from tieout import errors
from tieout.operators.dags import RETRY_BY_ERROR_CLASS as policy
decide = lambda error: policy.evaluate(error, 1, 3).action.value
held = {"reason_code": "X", "fix_hint": ""}
cases = {
    "SourceUnavailable": errors.SourceUnavailable(""), "ReceiverUnavailable": errors.ReceiverUnavailable(""),
    "CredentialsRejected": errors.CredentialsRejected(""), "HostKeyMismatch": errors.HostKeyMismatch(""),
    "ConfigurationInvalid": errors.ConfigurationInvalid(""), "BadRecord": errors.BadRecord("", **held),
    "DoesNotTieOut": errors.DoesNotTieOut(""), "ContractBroken": errors.ContractBroken(""), "OSError": OSError(),
}
print("RESULT" + json.dumps({name: decide(error) for name, error in cases.items()}))
"""


def test_only_outages_are_tried_again(env: dict[str, str]) -> None:
    decisions = json.loads(python(RETRY, env=env).rpartition("RESULT")[2])

    assert {name for name, action in decisions.items() if action == "default"} == {
        "SourceUnavailable", "ReceiverUnavailable", "OSError",
    }  # fmt: skip
    assert {action for name, action in decisions.items() if action != "default"} == {"fail"}


RETRY_DELIVERY = """
import json
from tieout import errors
from tieout.operators.banqup_to_sftp import RETRY_WHAT_WAS_KILLED as policy
decide = lambda error: policy.evaluate(error, 1, 3).action.value
cases = {
    "ReceiverUnavailable": errors.ReceiverUnavailable(""), "CredentialsRejected": errors.CredentialsRejected(""),
    "HostKeyMismatch": errors.HostKeyMismatch(""), "ReceiverRefused": errors.ReceiverRefused(""),
    "Superseded": errors.Superseded(""), "ConfigurationInvalid": errors.ConfigurationInvalid(""),
    "OSError": OSError(), "KeyError": KeyError(),
}
print("RESULT" + json.dumps({name: decide(error) for name, error in cases.items()}))
"""


def test_a_clients_server_is_tried_again_by_the_next_run_only(env: dict[str, str]) -> None:
    decisions = json.loads(python(RETRY_DELIVERY, env=env).rpartition("RESULT")[2])

    assert {name for name, action in decisions.items() if action == "default"} == {"OSError", "KeyError"}
    assert {action for name, action in decisions.items() if action != "default"} == {"fail"}


def test_the_provider_is_known_to_airflow(env: dict[str, str]) -> None:
    code = (
        "from airflow.providers_manager import ProvidersManager\n"
        "manager = ProvidersManager()\n"
        "print('RESULT', 'sap_b1' in manager.hooks, manager.hooks['sap_b1'].hook_name)"
    )

    assert "RESULT True SAP Business One Service Layer" in python(code, env=env)
    assert os.environ.get("AIRFLOW_HOME") != env["AIRFLOW_HOME"]
