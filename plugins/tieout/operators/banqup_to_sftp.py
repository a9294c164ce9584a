"""The steps of Banqup → clients' SFTP servers as Airflow tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule

from tieout.operators.assets import announce
from tieout.operators.base import InstanceOperator

if TYPE_CHECKING:
    from tieout.integrations.banqup_to_sftp.plan import ClientPlan
    from tieout.lineage.banqup_delivery import BanqupFlows
    from tieout.lineage.datasets import Locate
    from tieout.lineage.flow import Flow

# A client's server that does not answer is tried by the next runs, not by this one again: the run ends and says so.
# What is tried again at once is a task that was killed.
RETRY_WHAT_WAS_KILLED = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="tieout.errors.TieoutError",
            action=RetryAction.FAIL,
            reason="what was not delivered waits for the next runs",
        )
    ]
)


class OpenRun(InstanceOperator):
    """Read the configuration, and decide what to read of each client."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The plans, one per client.

        Raises:
            ConfigurationInvalid: the instance's YAML, a suite or `conf` is wrong; nothing was read.
        """
        from tieout.integrations.banqup_to_sftp import steps
        from tieout.integrations.banqup_to_sftp.plan import Asked

        run, config, params = self.run_of(context), self.load_config(), context["params"]
        asked = Asked.read(params.get("backfill_from"), params.get("backfill_to"), config.timezone)
        with self.ledger() as ledger:
            plans = steps.open_run(run, asked, config, ledger)
        waiting = [plan.client for plan in plans if plan.waits]
        self.log.info("%s clients to read, %s wait for their servers.", len(plans) - len(waiting), len(waiting))
        return [plan.to_json() for plan in plans]


class RunOperator(InstanceOperator):
    """A step over the clients that `open_run` planned."""

    def plans(self, context: Context) -> list[ClientPlan]:
        """What the run reads of each client; empty when the run never got so far."""
        from tieout.integrations.banqup_to_sftp.plan import ClientPlan

        plans = context["ti"].xcom_pull(task_ids="open_run")
        return [ClientPlan.from_json(plan) for plan in plans or []]

    def flows(self, context: Context) -> BanqupFlows:
        """The run's lineage, with Banqup's address."""
        from tieout.hooks.connections import banqup_settings
        from tieout.lineage.banqup_delivery import BanqupFlows
        from tieout.lineage.datasets import web

        run = self.run_of(context)
        banqup = web("banqup", banqup_settings(self.load_config().connections.source).base_url)
        return BanqupFlows(run, self.staging(run), banqup, self.staged_dataset)

    def counts(self, context: Context) -> dict[str, int]:
        """What this task has returned; nothing when it failed."""
        return context["ti"].xcom_pull(task_ids=self.task_id) or {}


class Collect(RunOperator):
    """List what is new in Banqup, client by client, and fetch it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pool="banqup", **kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        """Figures over all clients.

        Raises:
            SourceUnavailable: Banqup does not answer; Airflow tries again.
            CredentialsRejected: Banqup refused the application, or no business has whitelisted it.
        """
        from tieout.hooks.connections import banqup_settings
        from tieout.integrations.banqup_to_sftp.collecting import collect
        from tieout.systems.banqup import BanqupClient

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger, BanqupClient(banqup_settings(config.connections.source)) as client:
            found = collect(run, config, self.plans(context), ledger, self.staging(run), client)
        documents = sum(each.documents for each in found.values())
        fetched = sum(each.fetched for each in found.values())
        self.log.info("%s documents of %s clients listed, %s fetched.", documents, len(found), fetched)
        return {"clients": len(found), "documents": documents, "fetched": fetched}

    def flow(self, context: Context) -> Flow:
        """Banqup's documents → staging."""
        counts = self.counts(context)
        return self.flows(context).collected(counts.get("documents", 0), counts.get("fetched", 0))


class Validate(RunOperator):
    """Check every fetched document: UBL schema, EN 16931, Peppol BIS; CODA structure, balances and totals."""

    def execute(self, context: Context) -> dict[str, int]:
        """How many documents were checked, and how many are invalid.

        Raises:
            ValidatorFailed: the checking itself failed, which says nothing about the documents.
        """
        from tieout.integrations.banqup_to_sftp.validating import validate

        clients = [plan.client for plan in self.plans(context)]
        return validate(self.load_config(), clients, self.staging(self.run_of(context)))

    def flow(self, context: Context) -> Flow:
        """Documents → verdicts."""
        return self.flows(context).validated(self.counts(context).get("documents", 0))


class QualityGate(RunOperator):
    """Great Expectations on the index of all documents: repetitions, gaps in statements, dates, totals."""

    def execute(self, context: Context) -> dict[str, Any]:
        """What was found.

        Raises:
            QualityFailed: an expectation failed that cannot name the documents; nothing is delivered.
        """
        from tieout.integrations.banqup_to_sftp.index import check_index

        run = self.run_of(context)
        with self.ledger() as ledger:
            return check_index(run, self.plans(context), ledger, self.staging(run))

    def flow(self, context: Context) -> Flow:
        """Documents → their index, with what was found in it."""
        return self.flows(context).checked()


class PlanDeliveries(RunOperator):
    """Give every document its place, and share the clients that get something out among tasks."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The clients of each delivering task, with a name for people."""
        from tieout.integrations.banqup_to_sftp.steps import plan_deliveries

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger:
            shares = plan_deliveries(run, config, self.plans(context), ledger, self.staging(run))
        titles = {name: client.title for name, client in config.enabled_clients().items()}
        return [{"clients": names, "title": _title([titles[name] for name in names])} for names in shares]

    def flow(self, context: Context) -> Flow:
        """What decides where documents go."""
        return self.flows(context).placed()


def _title(titles: Sequence[str]) -> str:
    """`1042 Bakkerij Peeters`, or the first of several and how many more."""
    return titles[0] if len(titles) == 1 else f"{titles[0]} and {len(titles) - 1} more"


DELIVER_DOC = """Deliver to one client, or to a few side by side.

A server that takes nothing fails this task alone: its documents wait, and the next runs try again, oldest first.
"""


class Deliver(RunOperator):
    """Deliver to one client, or to a few side by side."""

    template_fields = ("share",)

    settings: ClassVar[dict[str, Any]] = {
        "pool": "sftp",
        "retry_policy": RETRY_WHAT_WAS_KILLED,
        "map_index_template": "{{ task.share['title'] }}",
        "doc_md": DELIVER_DOC,
    }
    """For `partial`, which does not ask the class."""

    def __init__(self, *, share: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def execute(self, context: Context) -> dict[str, Any]:
        """Client → what was delivered.

        Raises:
            ReceiverUnavailable: a client's server does not answer; its documents wait for the next runs.
            HostKeyMismatch: a server is not the pinned one; nothing was sent to it.
            CredentialsRejected: a log-in was refused.
            ReceiverRefused: a server takes nothing.
        """
        from tieout.hooks.connections import sftp_target
        from tieout.integrations.banqup_to_sftp.sending import deliver

        run, config = self.run_of(context), self.load_config()
        plans = {plan.client: plan for plan in self.plans(context)}
        with self.ledger() as ledger:
            done = deliver(run, config, plans, self.share["clients"], ledger, self.staging(run), sftp_target)
            announce(self, context, ledger, run, self.share["clients"])
            return done

    def flow(self, context: Context) -> Flow:
        """Documents → the clients' folders."""
        with self.ledger() as ledger:
            return self.flows(context).delivered(self.share["clients"], ledger, self._server)

    def _server(self, client: str) -> Locate:
        """Where a client's folders are."""
        from tieout.hooks.connections import sftp_target
        from tieout.integrations.banqup_to_sftp.sending import target_of
        from tieout.lineage.datasets import sftp

        config = self.load_config()
        to = target_of(config.enabled_clients()[client], config.delivery, sftp_target)
        return lambda path: sftp(to.host, to.port, path)


class TellReceivers(RunOperator):
    """One alert when a client's documents wait too long, and one when its server is back."""

    def execute(self, context: Context) -> list[str]:
        """What was told."""
        from tieout.integrations.banqup_to_sftp.alerts import tell
        from tieout.operators.alerts import tell_now

        run, config = self.run_of(context), self.load_config()
        if run.dry_run:
            return []
        with self.ledger() as ledger:
            told = tell(run, config, ledger)
            for title in told:
                self.log.warning("%s", title)
            tell_now(ledger)
        return told


class TieOut(RunOperator):
    """Prove counts and money, client by client; the run is red when they do not agree, or when documents wait."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"retries": 0, **kwargs})

    def execute(self, context: Context) -> str:
        """The conservation table.

        Raises:
            DoesNotTieOut: names each client that does not tie out, and why.
        """
        from tieout.errors import DoesNotTieOut
        from tieout.integrations.tie_out import raise_unless_all_tie_out, report, tie_out

        run = self.run_of(context)
        if context["ti"].xcom_pull(task_ids="open_run") is None:
            raise DoesNotTieOut("The run does not tie out: it stopped in open_run, before anything was read.")
        with self.ledger() as ledger:
            verdicts = tie_out(run, [plan.client for plan in self.plans(context)], ledger)
        table = report(verdicts)
        self.log.info("Tie-out of %s %s\n%s", self.dag_id, run.run_id, table)
        raise_unless_all_tie_out(verdicts)
        return table

    def flow(self, context: Context) -> Flow:
        """Nothing is read or written: the proof itself."""
        return self.conservation(context)
