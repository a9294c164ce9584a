"""# SAP Business One → Peakflo

Customers, contacts, invoices with custom fields, invoice PDFs, payments and credit notes flow from the SAP Business One
Service Layer to Peakflo's SFTP inbox; taxes, chart of accounts and inventory go once.

**Every run ties out**: each record that SAP gave is delivered, held, a duplicate or excluded, and the money agrees, or
the run is red.

| step | what happens |
|---|---|
| `open_run` | looks up what an interrupted run left open, decides what each entity reads |
| `login` / `logout` | one SAP session for the whole run, closed also after a failure |
| `extract` | reads what changed, page by page, into staging |
| `prepare` | maps, checks each record, holds the bad ones, drops what was already sent |
| `quality_gate` | Great Expectations on every file about to go |
| `deliver` | puts complete, verified files in place and moves the watermark |
| `tie_out` | proves counts and money, entity by entity |

**Trigger with** `dry_run` to see what would go, `entities` to run some, `full_refresh` to send an entity whole again,
`held_only` to retry held records. **Backfill** sends what changed in past days and leaves the watermark alone.

**When it is red**: the task's last log line says what is wrong and what to do. An outage cures itself with a later run;
a rejected password, a changed host key or a mapping error waits for you. Nothing is lost meanwhile: the watermark
moves only with a delivery.
"""

from __future__ import annotations

from airflow.sdk import TaskGroup, TriggerRule, task_group

from tieout.config import BrokenInstance, Instance, SapB1ToPeakflo, instances
from tieout.operators.assets import feeds
from tieout.operators.dags import Route, broken_dag, integration_dag
from tieout.operators.sap_b1_to_peakflo import Deliver, Extract, OpenRun, Prepare, QualityGate, TieOut
from tieout.operators.sessions import SapB1Login, SapB1Logout

ROUTE = Route(
    source="SAP Business One",
    target="Peakflo",
    direction="outbound",
    description="Customers, invoices with their PDFs, payments and credit notes, as files in Peakflo's inbox.",
)


def sap_b1_to_peakflo(instance: Instance[SapB1ToPeakflo]) -> None:
    """One DAG for one company."""
    entities = tuple(instance.config.enabled_entities())
    with integration_dag(instance, route=ROUTE, entities=entities, doc_md=__doc__):
        with TaskGroup(
            "read",
            group_display_name="Read from SAP Business One",
            tooltip="What changed, entity by entity: extracted, mapped, each record checked",
            prefix_group_id=False,
        ):
            open_run = OpenRun(task_id="open_run", instance=instance)
            login = SapB1Login(task_id="login", instance=instance).as_setup()
            logout = SapB1Logout(task_id="logout", instance=instance).as_teardown(setups=login)

            @task_group(group_id="entity", group_display_name="Each entity", tooltip="Extract, then map and check")
            def entity(plan: dict) -> None:
                extract = Extract(task_id="extract", instance=instance, plan=plan)
                extract >> Prepare(task_id="prepare", instance=instance, plan=plan)

            read = entity.expand(plan=open_run.output)
        with TaskGroup(
            "send",
            group_display_name="Check and send to Peakflo",
            tooltip="Great Expectations on every file, then complete and verified files",
            prefix_group_id=False,
        ):
            check = QualityGate(task_id="quality_gate", instance=instance, trigger_rule=TriggerRule.ALL_DONE)
            deliver = Deliver(task_id="deliver", instance=instance, outlets=feeds(instance, entities))
        tie_out = TieOut(task_id="tie_out", instance=instance, trigger_rule=TriggerRule.ALL_DONE)

        open_run >> login >> read >> check >> deliver >> tie_out
        read >> logout


for each in instances("sap_b1_to_peakflo", SapB1ToPeakflo):
    if isinstance(each, BrokenInstance):
        broken_dag(each)
    else:
        sap_b1_to_peakflo(each)
