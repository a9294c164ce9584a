"""The steps of SAP Business One → Peakflo as Airflow tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout.operators.assets import announce
from tieout.operators.base import InstanceOperator
from tieout.operators.sessions import sap_b1_own_session, sap_b1_session

if TYPE_CHECKING:
    from tieout.config import SapB1ToPeakflo
    from tieout.integrations.run import EntityPlan, Run
    from tieout.lineage.flow import Flow
    from tieout.lineage.sap_b1_export import SapB1Flows
    from tieout.staging import Folder


def flows_of(operator: InstanceOperator, context: Context) -> SapB1Flows:
    """The run's lineage, with the names of SAP's company and of the receiver."""
    from tieout.hooks.connections import sap_b1_settings, sftp_target
    from tieout.lineage.datasets import sftp, web
    from tieout.lineage.places import Places
    from tieout.lineage.sap_b1_export import SapB1Flows

    run, config = operator.run_of(context), operator.load_config()
    sap, to = sap_b1_settings(config.connections.source), sftp_target(config.connections.target)
    places = Places(
        web("sapb1", sap.base_url, sap.company_db),
        operator.staged_dataset,
        lambda path: sftp(to.host, to.port, path),
    )
    return SapB1Flows(run, config, operator.staging(run), places)


class OpenRun(InstanceOperator):
    """Read the configuration and decide what each entity reads."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The plans, one per entity, in the order of delivery.

        Raises:
            ConfigurationInvalid: the instance's YAML, a mapping or `conf` is wrong; nothing was read.
        """
        from tieout.integrations.sap_b1_to_peakflo import plan, steps

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger:
            steps.load_mappings(run, config)
            plans = plan.plan_run(run, config, ledger)
            for each in plans:
                steps.begin(run, each, ledger)
        for each in plans:
            self.log.info("%s: reads %s", each.entity, each.window())
        if not plans:
            self.log.info("Nothing to read.")
        return [each.to_json() for each in plans]


class EntityOperator(InstanceOperator):
    """A step for one entity, mapped over the plans of the run."""

    template_fields = ("plan",)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        kwargs.setdefault("map_index_template", "{{ task.instance }} · {{ task.plan['entity'] }}")
        super().__init__(**kwargs)
        self.plan = plan

    def entity_plan(self) -> EntityPlan:
        """What this task reads."""
        from tieout.integrations.run import EntityPlan

        return EntityPlan.from_json(self.plan)


class Extract(EntityOperator):
    """Read an entity from SAP into staging, page by page."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"pool": "sap_b1", **kwargs})

    def execute(self, context: Context) -> dict[str, Any]:
        """Counts and digests of what was staged.

        Raises:
            SourceUnavailable: SAP does not answer; Airflow tries again.
            CredentialsRejected: SAP refused the login; nothing is tried again.
            ContractBroken: SAP does not keep to its interface.
        """
        from tieout.integrations.outcome import tell_entity
        from tieout.integrations.sap_b1_to_peakflo import steps

        run, config, plan = self.run_of(context), self.load_config(), self.entity_plan()
        with (
            self.ledger() as ledger,
            tell_entity(ledger, run, [plan.entity]),
            sap_b1_session(ledger, run, config.connections.source) as client,
        ):
            return steps.extract(run, config, plan, ledger, self.staging(run), client)

    def flow(self, context: Context) -> Flow:
        """SAP's entity sets → staged records."""
        return flows_of(self, context).extracted(self.entity_plan().entity)


class Prepare(EntityOperator):
    """Map, check and sort an entity's records; write the file that would go."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"pool": "sap_b1", **kwargs})

    def execute(self, context: Context) -> dict[str, Any]:
        """Where every record went, and the file."""
        from tieout.hooks.connections import sftp_target
        from tieout.integrations.outcome import tell_entity
        from tieout.integrations.sap_b1_to_peakflo import steps

        run, config, plan = self.run_of(context), self.load_config(), self.entity_plan()
        with (
            self.ledger() as ledger,
            tell_entity(ledger, run, [plan.entity]),
            sap_b1_session(ledger, run, config.connections.source) as client,
        ):
            return steps.prepare(
                run,
                config,
                plan,
                ledger,
                self.staging(run),
                client,
                lambda: sftp_target(config.connections.target),
            )

    def flow(self, context: Context) -> Flow:
        """Staged records → the file that would go."""
        return flows_of(self, context).prepared(self.entity_plan().entity)


class RunOperator(InstanceOperator):
    """A step over all entities of the run."""

    def plans(self, context: Context) -> list[EntityPlan]:
        """What the run reads; empty when the run never got so far."""
        from tieout.integrations.run import EntityPlan

        plans = context["ti"].xcom_pull(task_ids="open_run")
        return [EntityPlan.from_json(plan) for plan in plans or []]

    def state(self, context: Context) -> tuple[Run, SapB1ToPeakflo, Folder]:
        """The run, its configuration and its staging folder."""
        run = self.run_of(context)
        return run, self.load_config(), self.staging(run)


class QualityGate(RunOperator):
    """Great Expectations on every file about to go. A bad batch is not sent; the others are."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → whether its batch may go, and what was found."""
        from tieout.integrations.sap_b1_to_peakflo.gate import check_quality

        run, _, staging = self.state(context)
        with self.ledger() as ledger:
            return check_quality(run, self.plans(context), ledger, staging)

    def flow(self, context: Context) -> Flow:
        """The files that were judged, with what was found."""
        return flows_of(self, context).checked(plan.entity for plan in self.plans(context))


class Deliver(RunOperator):
    """Put the files in place, verified, and record it: one ledger transaction per entity."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sftp", **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → what was delivered.

        Raises:
            ReceiverUnavailable: the receiver does not answer; Airflow tries again, what went is not sent twice.
            HostKeyMismatch: the server is not the pinned one; nothing was sent.
            CredentialsRejected: the login was refused; nothing is tried again.
            ReceiverRefused: the receiver would not take a file.
        """
        from tieout.hooks.connections import sftp_target
        from tieout.integrations.sap_b1_to_peakflo import steps

        run, config, staging = self.state(context)
        verdicts = context["ti"].xcom_pull(task_ids="quality_gate") or {}
        with (
            self.ledger() as ledger,
            sap_b1_own_session(config.connections.source) as client,
        ):
            done = steps.deliver(
                run,
                config,
                self.plans(context),
                verdicts,
                ledger,
                staging,
                client,
                lambda: sftp_target(config.connections.target),
            )
            announce(self, context, ledger, run)
            return done

    def flow(self, context: Context) -> Flow:
        """Files → the partner's folder."""
        entities = [plan.entity for plan in self.plans(context)]
        with self.ledger() as ledger:
            return flows_of(self, context).delivered(entities, ledger)


class TieOut(RunOperator):
    """Prove counts and money; the run is red when they do not agree."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"retries": 0, **kwargs})

    def execute(self, context: Context) -> str:
        """The conservation table.

        Raises:
            DoesNotTieOut: names each entity that does not tie out, and why.
        """
        from tieout.integrations.tie_out import raise_unless_all_tie_out, report, tie_out

        run = self.run_of(context)
        plans = context["ti"].xcom_pull(task_ids="open_run")
        if plans is None:
            from tieout.errors import DoesNotTieOut

            raise DoesNotTieOut("The run does not tie out: it stopped in open_run, before anything was read.")
        with self.ledger() as ledger:
            verdicts = tie_out(run, [plan["entity"] for plan in plans], ledger)
        table = report(verdicts)
        self.log.info("Tie-out of %s %s\n%s", self.dag_id, run.run_id, table)
        raise_unless_all_tie_out(verdicts)
        return table

    def flow(self, context: Context) -> Flow:
        """Nothing is read or written: the proof itself."""
        return self.conservation(context)
