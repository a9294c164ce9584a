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

from airflow.sdk import TaskGroup, TriggerRule

from tieout.config import BrokenInstance, Instance, StampliToSapB1, instances
from tieout.operators.assets import feed, feeds
from tieout.operators.dags import Route, broken_dag, integration_dag, several
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

PURCHASE_ORDERS = "purchase_orders"
FULL_REFRESH = "Purchase orders only: send all open ones. Of the others nothing is ever posted again."
ROUTE = Route(
    source="Stampli",
    target="SAP Business One",
    direction="inbound",
    description="Approved invoices, vendors and payments become suppliers and balanced journal entries.",
)


def stampli_to_sap_b1(instance: Instance[StampliToSapB1]) -> None:
    """One DAG for one company."""
    entities = instance.config.enabled_entities()
    params = {"full_refresh": several(entities, title="Full refresh", description=FULL_REFRESH)}
    with integration_dag(instance, route=ROUTE, entities=entities, doc_md=__doc__, params=params):
        with TaskGroup(
            "read",
            group_display_name="Read from Stampli",
            tooltip="Complete files only; each is fetched and parsed",
            prefix_group_id=False,
        ):
            open_run = OpenRun(task_id="open_run", instance=instance)
            wait = WaitForFiles(task_id="wait_for_files", instance=instance)
            collect = Collect(task_id="collect", instance=instance, files=wait.output)
        with TaskGroup(
            "check",
            group_display_name="Check",
            tooltip="What SAP has, what each record becomes, and whether the batch may be posted",
            prefix_group_id=False,
        ):
            login = Login(task_id="login", instance=instance, conn_role="target").as_setup()
            prepare = Prepare(task_id="prepare", instance=instance)
            check = QualityGate(task_id="quality_gate", instance=instance)
        with TaskGroup(
            "send",
            group_display_name="Post to SAP Business One",
            tooltip="Each entry exactly once; then the files are moved to Stampli's archive",
            prefix_group_id=False,
        ):
            posted = [entity for entity in entities if entity != PURCHASE_ORDERS]
            post = Post(task_id="post", instance=instance, outlets=feeds(instance, posted))
            archive = Archive(task_id="archive", instance=instance)
        with TaskGroup(
            "prove",
            group_display_name="Prove and tell",
            tooltip="What SAP's books say, the mail to finance, and the tie-out",
            prefix_group_id=False,
        ):
            read_back = ReadBack(task_id="read_back", instance=instance)
            logout = SapB1Logout(task_id="logout", instance=instance, conn_role="target").as_teardown(setups=login)
            digest = FinanceDigest(task_id="finance_digest", instance=instance, trigger_rule=TriggerRule.ALL_DONE)
            tie_out = TieOut(task_id="tie_out", instance=instance, trigger_rule=TriggerRule.ALL_DONE)

        open_run >> wait >> collect >> login >> prepare >> check >> post >> [archive, read_back]
        read_back >> logout
        if instance.config.purchase_orders:
            orders = ExportPurchaseOrders(
                task_id="export_purchase_orders", instance=instance, outlets=[feed(instance, PURCHASE_ORDERS)]
            )
            login >> orders >> [logout, digest]
        [archive, read_back] >> digest >> tie_out


for each in instances("stampli_to_sap_b1", StampliToSapB1):
    if isinstance(each, BrokenInstance):
        broken_dag(each)
    else:
        stampli_to_sap_b1(each)
