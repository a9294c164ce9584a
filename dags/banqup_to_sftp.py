"""# Banqup → clients' SFTP servers

A partner's (accountant's) clients: their approved purchase invoices, sent sales invoices, credit notes and Enriched
Movement Reports go from Banqup, as Peppol BIS 3.0 UBL and CODA files, to each client's own server and folder, from the
day of the client's activation on. The originals stay in Banqup, untouched.

**Every run ties out**, client by client: each document that Banqup listed is delivered, held, a duplicate or excluded,
and the money agrees, or the run is red.

| step | what happens |
|---|---|
| `open_run` | reads the list of clients, decides what to read of each |
| `collect` | lists what is new, client by client, and fetches it |
| `validate` | the official rules on every document: UBL schema, EN 16931, Peppol BIS; CODA balances and totals |
| `quality_gate` | Great Expectations on all documents together: repetitions, gaps in statements, dates |
| `plan_deliveries` | gives every document its place; invalid ones are held, or go with a warning, as the client wants |
| `deliver` | client by client, each to its own server: complete, verified files; a dead server delays nobody else |
| `tell_receivers` | one mail when a client's documents wait too long, one when its server is back |
| `tie_out` | proves counts and money, client by client |

**Trigger with** `entities` to run some clients (their external ids), `held_only` to look at held documents again,
`full_refresh` to deliver everything of a client again since its activation, `dry_run` to see what would go. Documents
from before the activation go only by a bounded back-fill: `backfill_from` and `backfill_to`.

**When it is red**: a client's server takes nothing, and its documents wait; they go by themselves, oldest first, once
it is back. The red `deliver` task has the client's name, and its last log line says what to do. All others have theirs.
"""

from __future__ import annotations

from airflow.sdk import Param, TaskGroup, TriggerRule

from tieout.config import BrokenInstance, Instance, instances
from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
from tieout.operators.assets import feeds
from tieout.operators.banqup_to_sftp import (
    Collect,
    Deliver,
    OpenRun,
    PlanDeliveries,
    QualityGate,
    TellReceivers,
    TieOut,
    Validate,
)
from tieout.operators.dags import Route, broken_dag, integration_dag

ROUTE = Route(
    source="Banqup",
    target="clients' SFTP servers",
    direction="outbound",
    description="Approved and sent invoices and bank statements of a partner's clients, each to its own server.",
)
BACKFILL_SECTION = "Documents from before the activation"
BACKFILL = {
    "backfill_from": Param(
        None,
        type=["string", "null"],
        format="date",
        title="Back-fill from",
        description="Deliver documents approved or sent from this day on, also from before the activation.",
        section=BACKFILL_SECTION,
    ),
    "backfill_to": Param(
        None,
        type=["string", "null"],
        format="date",
        title="Back-fill to",
        description="And before this day. Both are needed; at most 366 days.",
        section=BACKFILL_SECTION,
    ),
}


def banqup_to_sftp(instance: Instance[BanqupToSftp]) -> None:
    """One DAG for one partner."""
    titles = {name: client.title for name, client in instance.config.enabled_clients().items()}
    clients = tuple(titles)
    with integration_dag(instance, route=ROUTE, entities=clients, names=titles, doc_md=__doc__, params=BACKFILL):
        with TaskGroup(
            "read",
            group_display_name="Read from Banqup",
            tooltip="What is new, client by client",
            prefix_group_id=False,
        ):
            open_run = OpenRun(task_id="open_run", instance=instance)
            collect = Collect(task_id="collect", instance=instance)
        with TaskGroup(
            "check",
            group_display_name="Check",
            tooltip="The official rules on every document, then its place at the client's",
            prefix_group_id=False,
        ):
            validate = Validate(task_id="validate", instance=instance)
            check = QualityGate(task_id="quality_gate", instance=instance)
            plan = PlanDeliveries(task_id="plan_deliveries", instance=instance)
        deliver = Deliver.partial(
            task_id="deliver", instance=instance, outlets=feeds(instance, clients), **Deliver.settings
        ).expand(share=plan.output)
        with TaskGroup(
            "prove",
            group_display_name="Prove and tell",
            tooltip="Mails about servers that take nothing, and the tie-out",
            prefix_group_id=False,
        ):
            tell = TellReceivers(task_id="tell_receivers", instance=instance, trigger_rule=TriggerRule.ALL_DONE)
            tie_out = TieOut(task_id="tie_out", instance=instance, trigger_rule=TriggerRule.ALL_DONE)

        open_run >> collect >> validate >> check >> plan >> deliver >> tell >> tie_out


for each in instances("banqup_to_sftp", BanqupToSftp):
    if isinstance(each, BrokenInstance):
        broken_dag(each)
    else:
        banqup_to_sftp(each)
