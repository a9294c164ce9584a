"""The steps of SYSPRO → legacy ERP as Airflow tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout.config import is_production
from tieout.operators.assets import announce
from tieout.operators.base import InstanceOperator, staging_root
from tieout.operators.sessions import SYSPRO_POOL, syspro_session

if TYPE_CHECKING:
    from tieout.config import FinanceDigest
    from tieout.delivery import SftpTarget
    from tieout.integrations.syspro_to_legacy_erp.plan import Plan
    from tieout.integrations.syspro_to_legacy_erp.setup import Setup
    from tieout.lineage.flow import Flow
    from tieout.lineage.syspro_export import SysproFlows
    from tieout.staging import Folder


class LegacyErpOperator(InstanceOperator):
    """A step of one instance's run."""

    def setup_of(self, context: Context) -> Setup:
        """What holds for the whole run.

        Raises:
            ConfigurationInvalid: The instance's YAML, its calendar or its connection is wrong.
        """
        from tieout.hooks.connections import syspro_settings
        from tieout.integrations.syspro_to_legacy_erp.setup import Setup

        config = self.load_config()
        company = config.partner.company or syspro_settings(config.connections.source).company_id
        return Setup.of(self.run_of(context), config, company, test_content=not is_production())

    def archive(self) -> Folder:
        """Where the exact bytes of what went are kept."""
        found: Folder = staging_root() / "archive" / self.integration / self.instance
        return found

    def target(self) -> SftpTarget:
        """Where to deliver."""
        from tieout.hooks.connections import sftp_target

        return sftp_target(self.load_config().connections.target)

    def plans(self, context: Context) -> list[Plan]:
        """What the run reads; empty when the run never got so far."""
        from tieout.integrations.syspro_to_legacy_erp.plan import Plan

        plans = context["ti"].xcom_pull(task_ids="open_run")
        return [Plan.from_json(plan) for plan in plans or []]

    def flows(self, context: Context) -> SysproFlows:
        """The run's lineage, with the names of SYSPRO's company and of the receiver."""
        from tieout.hooks.connections import syspro_settings
        from tieout.lineage.datasets import sftp, web
        from tieout.lineage.places import Places
        from tieout.lineage.syspro_export import SysproFlows

        setup, to = self.setup_of(context), self.target()
        source = syspro_settings(setup.config.connections.source)
        places = Places(
            web("syspro", source.base_url, source.company_id),
            self.staged_dataset,
            lambda path: sftp(to.host, to.port, path),
        )
        return SysproFlows(setup, self.staging(setup.run), places)


class OpenRun(LegacyErpOperator):
    """Read the configuration and decide what each entity reads."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The plans, one per entity, in the order of delivery.

        Raises:
            ConfigurationInvalid: The instance's YAML, a mapping or `conf` is wrong; nothing was read.
        """
        from tieout.integrations.syspro_to_legacy_erp import steps
        from tieout.integrations.syspro_to_legacy_erp.plan import Asked

        setup = self.setup_of(context)
        with self.ledger() as ledger:
            plans = steps.open_run(setup, Asked.of(context["params"]), ledger, self.archive())
        for plan in plans:
            self.log.info("%s: reads %s", plan.entity, plan.window())
        if not plans:
            self.log.info("Nothing to read.")
        return [plan.to_json() for plan in plans]


class EntityOperator(LegacyErpOperator):
    """A step for one entity, mapped over the plans of the run."""

    template_fields = ("plan",)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        kwargs.setdefault("map_index_template", "{{ task.instance }} · {{ task.plan['entity'] }}")
        super().__init__(**kwargs)
        self.plan = plan

    def entity_plan(self) -> Plan:
        """What this task reads."""
        from tieout.integrations.syspro_to_legacy_erp.plan import Plan

        return Plan.from_json(self.plan)


class Extract(EntityOperator):
    """Read an entity from SYSPRO into staging, page by page; one at a time, on the operator's one session."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool=SYSPRO_POOL, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Counts of what was staged.

        Raises:
            SourceUnavailable: SYSPRO does not answer; Airflow tries again.
            CredentialsRejected: SYSPRO refused the login; nothing is tried again.
            ContractBroken: SYSPRO does not keep to its interface.
        """
        from tieout.integrations.outcome import tell_entity
        from tieout.integrations.syspro_to_legacy_erp import steps

        setup, plan = self.setup_of(context), self.entity_plan()
        with (
            self.ledger() as ledger,
            tell_entity(ledger, setup.run, [plan.entity]),
            syspro_session(ledger, setup.run, setup.config.connections.source) as client,
        ):
            return steps.extract(setup, plan, ledger, self.staging(setup.run), client)

    def flow(self, context: Context) -> Flow:
        """SYSPRO's tables → staged records."""
        return self.flows(context).extracted(self.entity_plan())


class Prepare(EntityOperator):
    """Judge an entity's records and write the files that would go."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Where every record went, and how many files."""
        from tieout.integrations.outcome import tell_entity
        from tieout.integrations.syspro_to_legacy_erp import steps

        setup, plan = self.setup_of(context), self.entity_plan()
        with self.ledger() as ledger, tell_entity(ledger, setup.run, [plan.entity]):
            return steps.prepare(setup, plan, ledger, self.staging(setup.run), self.archive(), self.target)

    def flow(self, context: Context) -> Flow:
        """Staged records → the files that would go."""
        return self.flows(context).prepared(self.entity_plan())


class QualityGate(LegacyErpOperator):
    """Great Expectations on everything about to go. A bad batch is not sent; the others are."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → whether its batch may go, and what was found."""
        from tieout.integrations.syspro_to_legacy_erp import steps

        setup = self.setup_of(context)
        with self.ledger() as ledger:
            return steps.check_quality(setup, self.plans(context), ledger, self.staging(setup.run))

    def flow(self, context: Context) -> Flow:
        """The files that were judged, with what was found."""
        return self.flows(context).checked(self.plans(context))


class Deliver(LegacyErpOperator):
    """Put the files in place, verified, and record it: one ledger transaction per entity."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sftp", **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → what was delivered.

        Raises:
            ReceiverUnavailable: The receiver does not answer; Airflow tries again, what went is not sent twice.
            HostKeyMismatch: The server is not the pinned one; nothing was sent.
            CredentialsRejected: The login was refused; nothing is tried again.
            ReceiverRefused: The receiver would not take a file.
        """
        from tieout.integrations.syspro_to_legacy_erp import sending

        setup = self.setup_of(context)
        verdicts = context["ti"].xcom_pull(task_ids="quality_gate") or {}
        places = sending.Places(self.staging(setup.run), self.archive())
        with self.ledger() as ledger:
            done = sending.deliver(setup, self.plans(context), verdicts, ledger, places, self.target)
            announce(self, context, ledger, setup.run)
            return done

    def flow(self, context: Context) -> Flow:
        """Files → the partner's folder."""
        with self.ledger() as ledger:
            return self.flows(context).delivered(self.plans(context), ledger)


class ReadAcknowledgements(LegacyErpOperator):
    """Read the partner's answers (997, 999, TA1) to the X12 files it got, and tell of those refused or overdue.

    A refused file makes the task red, and so does one that has just become overdue: somebody has to act, and the run
    that sent it has long ended. What was told once is not told again.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sftp", **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """State → how many files were given it now.

        Raises:
            ReceiverRefused: The partner refused a file, or owes an answer since now; names each and says what to do.
            SourceUnavailable: The partner's server does not answer; Airflow tries again.
        """
        from datetime import UTC, datetime

        from tieout.delivery import SftpSession
        from tieout.errors import ReceiverRefused
        from tieout.integrations.syspro_to_legacy_erp.acknowledgements import collect_acknowledgements

        setup = self.setup_of(context)
        asked = setup.config.acknowledgements
        if asked is None or setup.run.dry_run:
            return {}
        with self.ledger() as ledger, SftpSession(self.target()) as session:
            report = collect_acknowledgements(
                session,
                folder=asked.folder,
                patterns=asked.patterns,
                archive=asked.archive,
                ledger=ledger,
                partner=setup.partner,
                now=datetime.now(UTC),
            )
        self.log.info("%s files read: %s", report.files, report.answers or "no answers")
        for warning in report.warnings:
            self.log.warning("%s", warning)
        urgent = [*report.rejected, *report.newly_overdue]
        if urgent:
            self._tell(asked.alert, context["dag_run"].run_id, urgent)
            raise ReceiverRefused(" | ".join(urgent))
        return dict(report.answers)

    def flow(self, context: Context) -> Flow:
        """The folder with the partner's answers."""
        from tieout.lineage.flow import NOTHING, Flow, Read

        setup = self.setup_of(context)
        asked = setup.config.acknowledgements
        if asked is None or setup.run.dry_run:
            return NOTHING
        return Flow((Read(self.flows(context).places.target(asked.folder)),))

    def _tell(self, alert: FinanceDigest, run_id: str, sentences: list[str]) -> None:
        """One message with everything that somebody has to act on."""
        from tieout.alerts import MailTo, announce
        from tieout.alerts.writing import link_path
        from tieout.operators.alerts import tell_now

        money = "A refused file is not in the receiver's books, nor may one be that nobody has acknowledged: do not "
        money += "count its amounts as received before the partner has answered."
        with self.ledger() as ledger:
            announce(
                ledger,
                f"files refused {self.dag_id} {run_id}",
                "files_refused",
                self.integration,
                self.instance,
                title=f"Tieout {self.dag_id}: {len(sentences)} files refused or without an answer",
                what="\n".join(sentences),
                money=money,
                action="Ask the partner for the reason, correct the cause, and send the file again: trigger "
                f"{self.integration} with `resend` or `regenerate`.",
                link_path=link_path("files", integration=self.integration, instance=self.instance),
                mail_to=MailTo(alert.connection, alert.to, alert.sender),
                base_url=alert.base_url,
            )
            tell_now(ledger)


class TieOut(LegacyErpOperator):
    """Prove counts and money; the run is red when they do not agree."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"retries": 0, **kwargs})

    def execute(self, context: Context) -> str:
        """The conservation table.

        Raises:
            DoesNotTieOut: Names each entity that does not tie out, and why.
        """
        from tieout.errors import DoesNotTieOut
        from tieout.integrations.syspro_to_legacy_erp.steps import gone_from_source
        from tieout.integrations.tie_out import raise_unless_all_tie_out, report, tie_out

        run = self.run_of(context)
        if context["ti"].xcom_pull(task_ids="open_run") is None:
            raise DoesNotTieOut("The run does not tie out: it stopped in open_run, before anything was read.")
        plans = self.plans(context)
        found = gone_from_source(plans, self.staging(run))
        with self.ledger() as ledger:
            verdicts = tie_out(run, [plan.entity for plan in plans], ledger, found=found)
        table = report(verdicts)
        self.log.info("Tie-out of %s %s\n%s", self.dag_id, run.run_id, table)
        raise_unless_all_tie_out(verdicts)
        return table

    def flow(self, context: Context) -> Flow:
        """Nothing is read or written: the proof itself."""
        return self.conservation(context)
