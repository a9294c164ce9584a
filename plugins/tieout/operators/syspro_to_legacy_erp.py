"""The steps of SYSPRO → legacy ERP as Airflow tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout.config import is_production
from tieout.operators.base import InstanceOperator, staging_root
from tieout.operators.sessions import SYSPRO_POOL, syspro_session

if TYPE_CHECKING:
    from tieout.config import FinanceDigest
    from tieout.delivery import SftpTarget
    from tieout.integrations.syspro_to_legacy_erp.plan import Plan
    from tieout.integrations.syspro_to_legacy_erp.setup import Setup
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
        kwargs.setdefault("map_index_template", "{{ task.plan['entity'] }}")
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


class Prepare(EntityOperator):
    """Judge an entity's records and write the files that would go."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Where every record went, and how many files."""
        from tieout.integrations.outcome import tell_entity
        from tieout.integrations.syspro_to_legacy_erp import steps

        setup, plan = self.setup_of(context), self.entity_plan()
        with self.ledger() as ledger, tell_entity(ledger, setup.run, [plan.entity]):
            return steps.prepare(setup, plan, ledger, self.staging(setup.run), self.archive(), self.target)


class QualityGate(LegacyErpOperator):
    """Great Expectations on everything about to go. A bad batch is not sent; the others are."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → whether its batch may go, and what was found."""
        from tieout.integrations.syspro_to_legacy_erp import steps

        setup = self.setup_of(context)
        with self.ledger() as ledger:
            return steps.check_quality(setup, self.plans(context), ledger, self.staging(setup.run))


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
            return sending.deliver(setup, self.plans(context), verdicts, ledger, places, self.target)


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
            self._tell(asked.alert, urgent)
            raise ReceiverRefused(" | ".join(urgent))
        return dict(report.answers)

    def _tell(self, alert: FinanceDigest, sentences: list[str]) -> None:
        """One mail with everything that somebody has to act on; a mail server that is down must not hide it."""
        if not alert.to:
            return
        from html import escape

        from tieout.errors import TieoutError
        from tieout.hooks.mail import send

        subject = f"Tieout {self.dag_id}: {len(sentences)} files refused or without an answer"
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        try:
            send(alert.connection, alert.sender, alert.to, subject, "\n\n".join(sentences), f"<ul>{items}</ul>")
        except TieoutError as error:
            self.log.error("The mail could not be sent: %s", error)


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
