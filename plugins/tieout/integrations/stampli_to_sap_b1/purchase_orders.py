"""Purchase orders, SAP Business One → Stampli, for three-way matching: the way back of this integration.

The steps are those of SAP Business One → Peakflo, with SAP as the source and Stampli's server as the receiver. Open
orders go; one that is closed or cancelled goes once more if Stampli was sent it before, and is excluded if not: the
mapping's rule, which asks the ledger (`delivered_before`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tieout.config import ExportedEntity, SapB1Export, SourceAndTarget, StampliToSapB1
from tieout.delivery import SftpTarget
from tieout.integrations.outcome import tell_entity
from tieout.integrations.run import EntityPlan, Run
from tieout.integrations.sap_b1_to_peakflo import gate, steps
from tieout.integrations.sap_b1_to_peakflo.plan import plan_run
from tieout.ledger import Ledger
from tieout.staging import Folder
from tieout.systems.sap_b1.client import SapB1Client

ENTITY = "purchase_orders"


def load_mapping(run: Run, config: StampliToSapB1) -> None:
    """Read the mapping and the quality suite before anything else, so that a mistake shows before SAP is asked.

    Raises:
        ConfigurationInvalid: one of them is missing or wrong; says file, line and key.
    """
    steps.load_mappings(run, as_export(config))


def plan(run: Run, config: StampliToSapB1, ledger: Ledger) -> EntityPlan | None:
    """What this run reads of SAP's purchase orders; None when it reads none, and has no row in the ledger then.

    Raises:
        ConfigurationInvalid: `conf.held_ids` names held records that are not there, or a backfill has no interval.
    """
    if not config.purchase_orders or (run.entities and ENTITY not in run.entities):
        return None
    own = replace(run, entities=(), full_refresh=(ENTITY,) if ENTITY in run.full_refresh else ())
    return next(iter(plan_run(own, as_export(config), ledger)), None)


def export(
    run: Run,
    config: StampliToSapB1,
    ledger: Ledger,
    staging: Folder,
    client: SapB1Client,
    target: Callable[[], SftpTarget],
) -> dict[str, Any]:
    """Read, sort, check and deliver what the plan says; the tie-out judges it like any other entity.

    An attempt that is repeated reads anew: what an interrupted one brought to Stampli is looked up and counts as
    duplicate.

    Args:
        run: What the DAG run was asked to do.
        config: The instance.
        ledger: The book of record.
        staging: This run's staging folder.
        client: A session with SAP.
        target: Stampli's SFTP server; asked for only when there is something to send or to look up.

    Returns:
        Counts, the file's name and the failed expectations, for Airflow's page; empty when there is nothing to do.

    Raises:
        SourceUnavailable, CredentialsRejected, ContractBroken: as SAP's client says.
        ReceiverUnavailable, ReceiverRefused, HostKeyMismatch: as the delivery engine says.
        ConfigurationInvalid: the mapping, the suite or `conf` is wrong.
    """
    what = plan(run, config, ledger)
    if what is None:
        return {}
    export_config = as_export(config)
    steps.begin(run, what, ledger)
    with tell_entity(ledger, run, [ENTITY]):
        extracted = steps.extract(run, export_config, what, ledger, staging, client)
        steps.prepare(run, export_config, what, ledger, staging, client, target)
        verdicts = gate.check_quality(run, [what], ledger, staging)
        done = steps.deliver(run, export_config, [what], verdicts, ledger, staging, lambda: client, target)
    failures = verdicts.get(ENTITY, {}).get("failures", [])
    return {**extracted, **done.get(ENTITY, {}), **({"failures": failures} if failures else {})}


def as_export(config: StampliToSapB1) -> SapB1Export:
    """The same instance seen the other way round: SAP is the source, Stampli's server the target."""
    return SapB1Export(
        timezone=config.timezone,
        connections=SourceAndTarget(source=config.connections.target, target=config.connections.source),
        source=config.purchase_order_source,
        target=config.purchase_order_folder,
        second_person=config.second_person,
        entities={ENTITY: ExportedEntity()},
    )
