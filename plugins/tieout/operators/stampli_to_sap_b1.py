"""The steps of Stampli → SAP Business One as Airflow tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from tieout.operators.base import InstanceOperator
from tieout.operators.sessions import SapB1Login, sap_b1_session

if TYPE_CHECKING:
    from tieout.integrations.run import Run
    from tieout.ledger import Ledger
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


class QualityGate(StampliOperator):
    """Great Expectations on every batch about to be posted."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Entity → whether its batch may go, and what was found."""
        from tieout.integrations.stampli_to_sap_b1 import steps

        run = self.run_of(context)
        with self.ledger() as ledger, self.told(ledger, context):
            return steps.check_quality(run, self.entities(context), ledger, self.staging(run))


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
            return steps.post(run, config, entities, verdicts, ledger, staging, client, company)


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
            return export(run, config, ledger, self.staging(run), client(), lambda: sftp_target(target))


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


class FinanceDigest(StampliOperator):
    """One mail per run for finance: what is newly held, what was settled, what is still open."""

    def execute(self, context: Context) -> str:
        """What was told, in one line.

        Raises:
            ReceiverUnavailable: the mail server does not answer; Airflow tries again.
        """
        from tieout.hooks.mail import send
        from tieout.integrations.stampli_to_sap_b1.digest import compose, note_sent

        run, config = self.run_of(context), self.load_config()
        finance, entities = config.finance, config.enabled_entities()
        with self.ledger() as ledger:
            digest = None
            if not run.dry_run:
                digest = compose(ledger, run, entities, base_url=finance.base_url, time_zone=config.timezone)
            if digest is None:
                return "nothing to tell"
            self.log.info("%s\n%s", digest.subject, digest.text)
            if finance.to:
                send(finance.connection, finance.sender, finance.to, digest.subject, digest.text, digest.html)
            note_sent(ledger, run, digest)
            return digest.subject
