"""# Stampli → SAP Business One

Approved invoices, vendors and payments that Stampli exports as CSV or XML become suppliers and balanced journal entries
in SAP Business One. What SAP refuses is held, finance is told, and it is tried again by the next runs.

**Nothing is posted twice**: every entry carries its key in SAP (`Reference3`), and what is unknown is looked up
there before anything is sent again.

| step | what happens |
|---|---|
| `open_run` | reads the configuration, the layouts and the cross-references |
| `wait_for_files` | waits without a worker until the files in Stampli's folder are complete |
| `collect` | fetches and parses them, and adds held records that are due |
| `login` / `logout` | one SAP session for the whole run, closed also after a failure; none without work |
| `prepare` | reads what SAP has, checks each record, maps it to its entry |
| `quality_gate` | Great Expectations on every batch about to be posted |
| `post` | suppliers, then invoices, then payments; entries in batches, each in a change set of its own |
| `archive` | moves the files whose records are all settled or held |
| `export_purchase_orders` | where the instance says so: open purchase orders, as a file for Stampli |
| `read_back` | asks SAP's own books for what was posted |
| `finance_digest` | one mail: newly held, settled, still open |
| `tie_out` | proves counts and money, entity by entity |

**Trigger with** `dry_run` to see what would be posted, `entities` to run some, `held_only` to retry held records now.
`full_refresh` means purchase orders only: entries are never posted again.

**When it is red**: the task's last log line says what is wrong and what to do. An outage cures itself with a later run;
a rejected password, a changed host key or a mapping error waits for you. Nothing is lost meanwhile: a file leaves
Stampli's folder only when each of its records is posted or held.
"""

from __future__ import annotations

from airflow.sdk import TriggerRule

from tieout.config import BrokenInstance, Instance, StampliToSapB1, instances
from tieout.operators.dags import broken_dag, integration_dag
from tieout.operators.inbox import WaitForFiles
from tieout.operators.sessions import SapB1Logout
from tieout.operators.stampli_to_sap_b1 import (
    Archive,
    Collect,
    ExportPurchaseOrders,
    FinanceDigest,
    Login,
    OpenRun,
    Post,
    Prepare,
    QualityGate,
    ReadBack,
    TieOut,
)


def stampli_to_sap_b1(instance: Instance[StampliToSapB1]) -> None:
    """One DAG for one company."""
    with integration_dag(instance, entities=instance.config.enabled_entities(), doc_md=__doc__):
        open_run = OpenRun(task_id="open_run", instance=instance)
        wait = WaitForFiles(task_id="wait_for_files", instance=instance)
        collect = Collect(task_id="collect", instance=instance, files=wait.output)
        login = Login(task_id="login", instance=instance, conn_role="target").as_setup()
        logout = SapB1Logout(task_id="logout", instance=instance, conn_role="target").as_teardown(setups=login)
        prepare = Prepare(task_id="prepare", instance=instance)
        check = QualityGate(task_id="quality_gate", instance=instance)
        post = Post(task_id="post", instance=instance)
        archive = Archive(task_id="archive", instance=instance)
        read_back = ReadBack(task_id="read_back", instance=instance)
        digest = FinanceDigest(task_id="finance_digest", instance=instance, trigger_rule=TriggerRule.ALL_DONE)
        tie_out = TieOut(task_id="tie_out", instance=instance, trigger_rule=TriggerRule.ALL_DONE)

        open_run >> wait >> collect >> login >> prepare >> check >> post >> [archive, read_back]
        read_back >> logout
        if instance.config.purchase_orders:
            orders = ExportPurchaseOrders(task_id="export_purchase_orders", instance=instance)
            login >> orders >> [logout, digest]
        [archive, read_back] >> digest >> tie_out


for each in instances("stampli_to_sap_b1", StampliToSapB1):
    if isinstance(each, BrokenInstance):
        broken_dag(each)
    else:
        stampli_to_sap_b1(each)
