"""The steps of Stampli → SAP Business One as Airflow tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout.operators.assets import announce
from tieout.operators.base import InstanceOperator
from tieout.operators.sessions import SapB1Login, sap_b1_session

if TYPE_CHECKING:
    from tieout.integrations.run import Run
    from tieout.ledger import Ledger
    from tieout.lineage.flow import Flow
    from tieout.lineage.stampli_posting import StampliFlows
    from tieout.systems.sap_b1.client import SapB1Client


class OpenRun(InstanceOperator):
    """Read the configuration, the layouts and the mappings, and open the run in the ledger."""

    def execute(self, context: Context) -> list[str]:
        """The entities of the run, in order.

        Raises:
            ConfigurationInvalid: the instance's YAML, a layout, a mapping or `conf` is wrong; nothing was read.
        """
        from tieout.integrations.stampli_to_sap_b1 import steps

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger:
            return steps.begin(run, config, ledger)


class StampliOperator(InstanceOperator):
    """A step over the entities that `open_run` named."""

    def entities(self, context: Context) -> list[str]:
        """The entities of the run; empty when it never got so far."""
        return list(context["ti"].xcom_pull(task_ids="open_run") or [])

    @contextmanager
    def told(self, ledger: Ledger, context: Context) -> Iterator[None]:
        """A failure inside the block goes to the rows of those entities that are not done yet."""
        from tieout.integrations.outcome import tell_entity

        run = self.run_of(context)
        rows = {entity: ledger.get_run(run.key(entity)) for entity in self.entities(context)}
        open_ones = [
            entity for entity, row in rows.items() if row is None or row.status not in ("delivered", "success")
        ]
        with tell_entity(ledger, run, open_ones):
            yield

    def flows(self, context: Context) -> StampliFlows:
        """The run's lineage, with the names of Stampli's server and of SAP's company."""
        from tieout.hooks.connections import sap_b1_settings, sftp_target
        from tieout.lineage.datasets import sftp, web
        from tieout.lineage.places import Places
        from tieout.lineage.stampli_posting import StampliFlows

        run, config = self.run_of(context), self.load_config()
        stampli, sap = sftp_target(config.connections.source), sap_b1_settings(config.connections.target)
        places = Places(
            web("sapb1", sap.base_url, sap.company_db),
            self.staged_dataset,
            lambda path: sftp(stampli.host, stampli.port, path),
        )
        return StampliFlows(run, config, self.staging(run), places)


class Collect(StampliOperator):
    """Fetch the complete files, parse them, and add the held records that are due."""

    def __init__(self, *, files: Any, **kwargs: Any) -> None:
        super().__init__(pool="sftp", **kwargs)
        self.files = files

    template_fields = ("files",)

    def execute(self, context: Context) -> dict[str, int]:
        """Entity → how many records there are to work on.

        Raises:
            SourceUnavailable: Stampli's server does not answer; Airflow tries again.
        """
        from tieout.delivery.collecting import RemoteFile
        from tieout.hooks.connections import sftp_target
        from tieout.integrations.stampli_to_sap_b1.collecting import collect

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger, self.told(ledger, context):
            return collect(
                run,
                config,
                self.entities(context),
                ledger,
                self.staging(run),
                lambda: sftp_target(config.connections.source),
                [RemoteFile(**file) for file in self.files or []],
            )

    def flow(self, context: Context) -> Flow:
        """Stampli's files → staged records."""
        return self.flows(context).collected(self.entities(context))


class Login(SapB1Login):
    """One login for the whole run; none when there is nothing to do in SAP."""

    def execute(self, context: Context) -> None:
        """Log in, unless no record was collected and nothing is exported.

        Raises:
            CredentialsRejected: SAP refused the user, the password or the company.
            SourceUnavailable: SAP does not answer.
        """
        counts = context["ti"].xcom_pull(task_ids="collect") or {}
        if any(counts.values()) or self.load_config().purchase_orders:
            super().execute(context)
        else:
            self.log.info("No records, so no login.")


class SapStep(StampliOperator):
    """A step that may need SAP: the run's session is opened when it is first asked for."""

    @contextmanager
    def sap(self, ledger: Ledger, run: Run) -> Iterator[Callable[[], SapB1Client]]:
        """A client on the run's one session."""
        with sap_b1_session(ledger, run, self.load_config().connections.target) as client:
            yield lambda: client


class Prepare(SapStep):
    """Read what SAP has, and work out what each record becomes: an entry, a supplier, a held record."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sap_b1", **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → where its records would go."""
        from tieout.integrations.stampli_to_sap_b1 import steps

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger, self.told(ledger, context), self.sap(ledger, run) as client:
            return steps.prepare(run, config, self.entities(context), ledger, self.staging(run), client)

    def flow(self, context: Context) -> Flow:
        """Staged records → what each would become in SAP."""
        return self.flows(context).prepared(self.entities(context))


class QualityGate(StampliOperator):
    """Great Expectations on every batch about to be posted."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → whether its batch may go, and what was found."""
        from tieout.integrations.stampli_to_sap_b1 import steps

        run = self.run_of(context)
        with self.ledger() as ledger, self.told(ledger, context):
            return steps.check_quality(run, self.entities(context), ledger, self.staging(run))

    def flow(self, context: Context) -> Flow:
        """What was judged, and what was found."""
        return self.flows(context).checked(self.entities(context))


class Post(SapStep):
    """Post to SAP, each record exactly once: suppliers, then invoices, then payments."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sap_b1", **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → what became of its records.

        Raises:
            SourceUnavailable: SAP cannot serve, or did not reply; what is unknown is looked up before anything is
                posted again.
            Superseded: another run has taken over.
        """
        from tieout.hooks.connections import sap_b1_settings
        from tieout.integrations.stampli_to_sap_b1 import steps

        run, config = self.run_of(context), self.load_config()
        verdicts = context["ti"].xcom_pull(task_ids="quality_gate") or {}
        with self.ledger() as ledger, self.told(ledger, context), self.sap(ledger, run) as client:
            company = sap_b1_settings(config.connections.target).company_db
            entities, staging = self.entities(context), self.staging(run)
            done = steps.post(run, config, entities, verdicts, ledger, staging, client, company)
            announce(self, context, ledger, run)
            return done

    def flow(self, context: Context) -> Flow:
        """Drafts → suppliers and journal entries in SAP."""
        with self.ledger() as ledger:
            return self.flows(context).posted(self.entities(context), ledger)


class Archive(StampliOperator):
    """Move the files whose records are all settled or held."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sftp", **kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        """How many files were moved, and how many had to stay.

        Raises:
            SourceUnavailable: Stampli's server does not answer; Airflow tries again.
        """
        from tieout.hooks.connections import sftp_target
        from tieout.integrations.stampli_to_sap_b1 import steps

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger:
            return steps.archive(run, config, ledger, lambda: sftp_target(config.connections.source))

    def flow(self, context: Context) -> Flow:
        """The folder → its archive."""
        done = context["ti"].xcom_pull(task_ids=self.task_id) or {}
        return self.flows(context).archived(done.get("archived", 0))


class ReadBack(SapStep):
    """Ask SAP's own books for what the run posted."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sap_b1", **kwargs)

    def execute(self, context: Context) -> dict[str, str]:
        """Entity → what does not agree; empty when all does."""
        from tieout.integrations.stampli_to_sap_b1 import steps

        run = self.run_of(context)
        with self.ledger() as ledger, self.sap(ledger, run) as client:
            return steps.read_back(run, self.entities(context), ledger, client)

    def flow(self, context: Context) -> Flow:
        """SAP's journal."""
        return self.flows(context).read_back(self.entities(context))


class ExportPurchaseOrders(SapStep):
    """Open purchase orders of SAP, as a file for Stampli."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="sap_b1", **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """What was delivered.

        Raises:
            SourceUnavailable, ReceiverUnavailable: SAP or Stampli's server does not answer; Airflow tries again.
        """
        from tieout.hooks.connections import sftp_target
        from tieout.integrations.stampli_to_sap_b1.purchase_orders import export

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger, self.sap(ledger, run) as client:
            target = config.connections.source
            done = export(run, config, ledger, self.staging(run), client(), lambda: sftp_target(target))
            announce(self, context, ledger, run)
            return done

    def flow(self, context: Context) -> Flow:
        """SAP's purchase orders → staging → Stampli's folder."""
        from tieout.integrations.stampli_to_sap_b1.purchase_orders import ENTITY, as_export
        from tieout.lineage.flow import NOTHING
        from tieout.lineage.sap_b1_export import SapB1Flows

        stampli = self.flows(context)
        run = stampli.run
        with self.ledger() as ledger:
            if ledger.get_run(run.key(ENTITY)) is None:
                return NOTHING
            flows = SapB1Flows(run, as_export(stampli.config), self.staging(run), stampli.places)
            return flows.exported(ENTITY, ledger)


class TieOut(StampliOperator):
    """Prove counts and money, in the ledger and in SAP's books; the run is red when they do not agree."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"retries": 0, **kwargs})

    def execute(self, context: Context) -> str:
        """The conservation table.

        Raises:
            DoesNotTieOut: names each entity that does not tie out, and why.
        """
        from tieout.errors import DoesNotTieOut
        from tieout.integrations.tie_out import raise_unless_all_tie_out, report, tie_out

        run, ti = self.run_of(context), context["ti"]
        entities = self.entities(context)
        if not entities and not self.load_config().purchase_orders:
            raise DoesNotTieOut("The run does not tie out: it stopped in open_run, before anything was read.")
        read_back = ti.xcom_pull(task_ids="read_back")
        with self.ledger() as ledger:
            found = dict(read_back or {})
            if read_back is None:
                found = {entity: "SAP's books could not be read back; see the task read_back" for entity in entities}
            if self.load_config().purchase_orders and ledger.get_run(run.key("purchase_orders")) is not None:
                entities.append("purchase_orders")
            verdicts = tie_out(run, entities, ledger, found)
        table = report(verdicts)
        self.log.info("Tie-out of %s %s\n%s", self.dag_id, run.run_id, table)
        raise_unless_all_tie_out(verdicts)
        return table

    def flow(self, context: Context) -> Flow:
        """Nothing is read or written: the proof itself."""
        return self.conservation(context)


class FinanceDigest(StampliOperator):
    """One mail per run for finance: what is newly held, what was settled, what is still open."""

    def execute(self, context: Context) -> str:
        """What was told, in one line."""
        from tieout.alerts import MailTo, announce
        from tieout.alerts.channels import airflow_base_url
        from tieout.alerts.writing import link_path
        from tieout.integrations.stampli_to_sap_b1.digest import compose, note_sent
        from tieout.operators.alerts import tell_now

        run, config = self.run_of(context), self.load_config()
        finance, entities = config.finance, config.enabled_entities()
        base_url = finance.base_url or airflow_base_url()
        with self.ledger() as ledger:
            digest = None
            if not run.dry_run:
                digest = compose(ledger, run, entities, base_url=base_url, time_zone=config.timezone)
            if digest is None:
                return "nothing to tell"
            self.log.info("%s\n%s", digest.subject, digest.text)
            announce(
                ledger,
                digest.key,
                "held_digest",
                run.integration,
                run.instance,
                title=digest.subject,
                what=digest.summary,
                text=digest.text,
                html=digest.html,
                link_path=link_path("held", integration=run.integration, instance=run.instance),
                mail_to=MailTo(finance.connection, finance.to, finance.sender),
                base_url=finance.base_url,
            )
            note_sent(ledger, run, digest)
            tell_now(ledger)
            return digest.subject
