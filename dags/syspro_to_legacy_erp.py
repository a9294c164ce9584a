"""# SYSPRO → legacy ERP

At each close, SYSPRO's G/L postings of the period, grouped by cost centre, and its supplier invoices, purchase orders,
suppliers and items go to the parent company's legacy ERP as fixed-width, CSV or X12 files, each with a manifest of
control totals.

**Every run ties out**: each record that SYSPRO gave is delivered, held, a duplicate or excluded (not posted), debits
and credits agree at every hop, or the run is red.

| step | what happens |
|---|---|
| `open_run` | checks mappings and record specs, decides which periods and documents are read |
| `login` / `logout` | one SYSPRO session for the whole run, ended also after a failure |
| `extract` | reads journals and documents, page by page, into staging; nothing is ever written to SYSPRO |
| `prepare` | translates codes, checks each journal, holds the bad ones, drops what was already sent, writes the files |
| `quality_gate` | Great Expectations on everything about to go |
| `deliver` | takes sequence and control numbers, sends data, then checksum, manifest and trigger |
| `tie_out` | proves counts and money, entity by entity |

A run is for the period that closed last. Postings that come later into a period that was sent go in a *supplementary*
file of their own; a file that went is never rewritten.

**Trigger with** `period` (2026-10) for another period, `dry_run` to see what would go, `entities` to run some,
`full_refresh` to send an entity whole again, `resend` to send the same bytes again, `regenerate` to make a period's
file anew with new numbers, `held_only` to retry held records. **Backfill** sends the periods of those days.

**When it is red**: the task's last log line says what is wrong and what to do. An outage cures itself with a later run;
a rejected password, a changed host key or a mapping error waits for you. Nothing is lost meanwhile.
"""

from __future__ import annotations

from airflow.sdk import Param, TaskGroup, TriggerRule, task_group

from tieout.calendars import load_calendar
from tieout.config import AckFolder, BrokenInstance, Instance, SysproToLegacyErp, instances
from tieout.errors import TieoutError
from tieout.operators.assets import feeds
from tieout.operators.close_timetable import CloseTimetable
from tieout.operators.dags import Route, broken_dag, companion_dag, integration_dag
from tieout.operators.sessions import SysproLogin, SysproLogout
from tieout.operators.syspro_to_legacy_erp import (
    Deliver,
    Extract,
    OpenRun,
    Prepare,
    QualityGate,
    ReadAcknowledgements,
    TieOut,
)

ROUTE = Route(
    source="SYSPRO",
    target="legacy ERP",
    direction="outbound",
    description="At each close: G/L postings by cost centre, invoices, purchase orders, suppliers and items, as files.",
)
PERIOD = Param(
    None,
    type=["string", "null"],
    pattern=r"^\s*([0-9]{4}-?[0-9]{2})?\s*$",
    title="Period",
    description="2026-10 or 202610; empty is the one closed last.",
)
RESEND = "Send again byte for byte: all files of the period, or those of some entities. In JSON also names of files."
REGENERATE = "Make the period's files anew, with new numbers: all, or those of some entities."


def again(entities: tuple[str, ...], *, title: str, description: str) -> Param:
    """A param that takes `true`, or names; the form offers the entities."""
    schema = {
        "type": ["array", "string", "boolean", "null"],
        "examples": ["all", *entities],
        "title": title,
        "section": "Send a period again",
    }
    return Param(None, description=description, schema=schema)


ACKNOWLEDGEMENTS = """# Acknowledgements

Reads what the partner answers to X12 files (997, 999, TA1) from its folder, enters it in the ledger, and is red when a
file was refused or has just become overdue: the task's last log line says which file, why, and what to do.
"""


def syspro_to_legacy_erp(instance: Instance[SysproToLegacyErp]) -> None:
    """One DAG for one company and partner."""
    config = instance.config
    at_close = CloseTimetable(load_calendar(config.calendar)) if config.schedule == "close" else None
    entities = tuple(config.enabled_entities())
    params = {
        "period": PERIOD,
        "resend": again(entities, title="Resend", description=RESEND),
        "regenerate": again(entities, title="Regenerate", description=REGENERATE),
    }
    with integration_dag(instance, route=ROUTE, entities=entities, doc_md=__doc__, params=params, timetable=at_close):
        with TaskGroup(
            "read",
            group_display_name="Read from SYSPRO",
            tooltip="Journals and documents, entity by entity: extracted, translated, each checked",
            prefix_group_id=False,
        ):
            open_run = OpenRun(task_id="open_run", instance=instance)
            login = SysproLogin(task_id="login", instance=instance).as_setup()
            logout = SysproLogout(task_id="logout", instance=instance).as_teardown(setups=login)

            @task_group(
                group_id="entity", group_display_name="Each entity", tooltip="Extract, then translate and check"
            )
            def entity(plan: dict) -> None:
                extract = Extract(task_id="extract", instance=instance, plan=plan)
                extract >> Prepare(task_id="prepare", instance=instance, plan=plan)

            read = entity.expand(plan=open_run.output)
        with TaskGroup(
            "send",
            group_display_name="Check and send to the legacy ERP",
            tooltip="Great Expectations on everything, then data, checksum, manifest and trigger",
            prefix_group_id=False,
        ):
            check = QualityGate(task_id="quality_gate", instance=instance, trigger_rule=TriggerRule.ALL_DONE)
            deliver = Deliver(task_id="deliver", instance=instance, outlets=feeds(instance, entities))
        tie_out = TieOut(task_id="tie_out", instance=instance, trigger_rule=TriggerRule.ALL_DONE)

        open_run >> login >> read >> check >> deliver >> tie_out
        read >> logout
    if config.acknowledgements is not None:
        acknowledgements(instance, config.acknowledgements)


def acknowledgements(instance: Instance[SysproToLegacyErp], folder: AckFolder) -> None:
    """The partner's answers come long after a run has ended, so a DAG of its own looks for them."""
    every = f"*/{folder.every_minutes} * * * *" if folder.every_minutes < 60 else "0 * * * *"
    with companion_dag(
        instance,
        "acknowledgements",
        route=ROUTE,
        description="What the partner answers to the files it got.",
        schedule=every,
        doc_md=ACKNOWLEDGEMENTS,
    ):
        ReadAcknowledgements(task_id="read_acknowledgements", instance=instance)


for each in instances("syspro_to_legacy_erp", SysproToLegacyErp):
    if isinstance(each, BrokenInstance):
        broken_dag(each)
        continue
    try:
        syspro_to_legacy_erp(each)
    except TieoutError as error:
        broken_dag(BrokenInstance(each.integration, each.name, error))
