"""From what Airflow saw to an alert: a task that failed for good, a run that ended red, a deadline that passed.

Only the last failure of a task counts, and a cause is told once: what a failed step makes of the steps after it (a
tie-out that finds nothing to prove) is no alert of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tieout.alerts.model import Alert, Kind
from tieout.alerts.money import at_stake, imbalance
from tieout.alerts.raising import raise_alert
from tieout.alerts.writing import link_path
from tieout.config import dag_id_of
from tieout.errors import (
    ConfigurationInvalid,
    ContractBroken,
    CredentialsRejected,
    DoesNotTieOut,
    HostKeyMismatch,
    QualityFailed,
    ReceiverRefused,
    ReceiverUnavailable,
    SourceUnavailable,
    Superseded,
)
from tieout.ledger import Filters, Ledger, RunRow

_LONGEST = 2000
# What a run is triggered with to do something else than its turn: a part of it, or a former period once more.
_OF_A_PART = (
    "dry_run", "entities", "held_only", "held_ids", "period", "resend", "regenerate", "backfill_from", "backfill_to",
)  # fmt: skip
_AGAIN = "then trigger the DAG, or wait for its next run"
_ACTIONS: Sequence[tuple[type[Exception], str]] = (
    (CredentialsRejected, f"Correct user name and password in the Airflow connection, {_AGAIN}. Nothing is tried "
     "before the next run, so that the account is not locked."),
    (ReceiverRefused, f"Do what the sentence above asks for at the receiver, {_AGAIN}."),
    (ContractBroken, "The source does not keep to its interface. A data engineer compares its answer with the task's "
     "log; nothing was sent."),
    (ConfigurationInvalid, f"Correct the file that the sentence above names, {_AGAIN}."),
    (QualityFailed, "A data engineer looks at `bin/tieout quality` and at the source; nothing of that batch was sent."),
    (Superseded, "Another run does this work. Look whether it ends well."),
)  # fmt: skip
_LOOK = f"Open the task's log in Airflow: its last line says what is wrong. Correct it, {_AGAIN}."


@dataclass(frozen=True)
class FailedTask:
    """A task that failed and is not tried again.

    Attributes:
        title: The task as people see it, with the client or entity it was for.
        error: What ended it; None where its process ended without a word.
    """

    integration: str
    instance: str
    run_id: str
    task_id: str
    title: str
    error: BaseException | str | None

    @property
    def dag(self) -> str:
        """The DAG's id."""
        return dag_id_of(self.integration, self.instance)


def raise_task_failed(ledger: Ledger, failed: FailedTask) -> bool:
    """Raise what a task's last failure calls for; returns whether that is anything new."""
    if told_by_a_task_of_its_own(failed):
        return False
    rows = rows_of_run(ledger, failed.integration, failed.instance, failed.run_id)
    if any(row.dry_run for row in rows):
        return False
    if isinstance(failed.error, DoesNotTieOut):
        wrong = [row for row in rows if row.stage == "delivered" and row.ties_out is False]
        return bool(wrong) and raise_alert(ledger, _not_tied_out(failed, wrong))
    if isinstance(failed.error, Superseded):
        return False
    return raise_alert(ledger, _task_failed(failed, rows))


def told_by_a_task_of_its_own(failed: FailedTask) -> bool:
    """Whether the DAG itself tells of this: clients' servers by `tell_receivers`, refused files by their reader."""
    servers = (ReceiverUnavailable, HostKeyMismatch, CredentialsRejected, ReceiverRefused, ConfigurationInvalid)
    if failed.integration == "banqup_to_sftp" and failed.task_id == "deliver":
        return isinstance(failed.error, servers)
    return failed.task_id == "read_acknowledgements" and isinstance(failed.error, ReceiverRefused)


def raise_run_failed(ledger: Ledger, integration: str, instance: str, run_id: str) -> bool:
    """The net under all others: a red run of which nothing was told yet, such as one whose worker was killed."""
    rows = rows_of_run(ledger, integration, instance, run_id)
    if any(row.dry_run for row in rows) or ledger.alerted_of_run(integration, instance, run_id):
        return False
    if any(receiver.state == "down" for receiver in ledger.receivers(integration, instance).values()):
        return False  # that is why, and it is told in its own time
    why = [f"{row.entity}: {row.message}" for row in rows if row.message][:10]
    dag = dag_id_of(integration, instance)
    return raise_alert(
        ledger,
        Alert(
            kind="run_failed",
            integration=integration,
            instance=instance,
            subject="run",
            title=f"{dag}: the run failed",
            what=_cut("\n".join([f"The run {run_id} of {dag} ended red.", *why])),
            money=at_stake(rows),
            action="Open the run in Airflow and look at its first red task: its last log line says what is wrong.",
            link_path=_link(integration, instance, run_id),
            run_id=run_id,
            back_title=f"{dag}: runs succeed again",
        ),
    )


def raise_deadline_missed(
    ledger: Ledger, integration: str, instance: str, run_id: str, entities: Sequence[str], deadline: str, period: str
) -> bool:
    """A run is not done by the time it was promised for.

    Args:
        ledger: The book of record.
        integration: Whose run.
        instance: Whose run.
        run_id: The run.
        entities: What it has to deliver.
        deadline: When it should have been done, in words.
        period: Which period it is for, in words.
    """
    rows = rows_of_run(ledger, integration, instance, run_id)
    done = {row.entity for row in rows if row.status in ("delivered", "success")}
    missing = [name for name in entities if name not in done]
    dag = dag_id_of(integration, instance)
    lacking = f" Not delivered: {', '.join(missing)}." if missing else " All was delivered, but the proof is missing."
    return raise_alert(
        ledger,
        Alert(
            kind="deadline_missed",
            integration=integration,
            instance=instance,
            subject=run_id,
            title=f"{dag}: the deadline has passed for {period}",
            what=f"The run {run_id} of {dag} for {period} should have been done by {deadline}, and is not.{lacking}",
            money=at_stake(rows),
            action="Tell the receiver that its figures come late. Open the run in Airflow: a red task says what is "
            "wrong, a running one how far it is.",
            link_path=_link(integration, instance, run_id),
            run_id=run_id,
            back_title=f"{dag}: done, after its deadline",
        ),
    )


def rows_of_run(ledger: Ledger, integration: str, instance: str, run_id: str) -> list[RunRow]:
    """What the ledger knows of a run, by entity."""
    rows = ledger.runs(Filters(integration=integration, instance=instance, run_id=run_id))
    return sorted(rows, key=lambda row: row.entity)


# --- the alerts


def _task_failed(failed: FailedTask, rows: Sequence[RunRow]) -> Alert:
    kind, headline, back = _kind(failed)
    cause = type(failed.error).__name__ if isinstance(failed.error, BaseException) else "killed"
    # An outage is one, whichever step meets it first.
    subject = kind if kind in ("receiver_unreachable", "source_unreachable") else f"{failed.title}: {cause}"
    return Alert(
        kind=kind,
        integration=failed.integration,
        instance=failed.instance,
        subject=subject,
        title=f"{failed.dag}: {headline}",
        what=_cut(
            f"The task {failed.title} of the run {failed.run_id} failed and is not tried again.\n{_said(failed)}"
        ),
        money=at_stake(rows),
        action=_action(failed),
        link_path=_link(failed.integration, failed.instance, failed.run_id),
        run_id=failed.run_id,
        back_title=f"{failed.dag}: {back}",
    )


def _kind(failed: FailedTask) -> tuple[Kind, str, str]:
    """What an error is an alert of, and the headlines of its beginning and its end."""
    again = f"{failed.title} works again"
    if isinstance(failed.error, HostKeyMismatch):
        return "host_key_changed", "the receiver's host key is not the known one", "the host key is a known one again"
    if isinstance(failed.error, ReceiverUnavailable):
        return "receiver_unreachable", "the receiver cannot be reached", "the receiver is back"
    if isinstance(failed.error, SourceUnavailable):
        return "source_unreachable", "the source cannot be reached", "the source is back"
    return "task_failed", f"{failed.title} failed", again


def _said(failed: FailedTask) -> str:
    if failed.error is None or isinstance(failed.error, str):
        return "Its process was killed, or the machine it ran on was lost: it left no message."
    # A line of its own, for the message of a foreign library may be long; never its traceback, which has arguments.
    text = str(failed.error).strip().partition("\n")[0]
    name = type(failed.error).__name__
    if type(failed.error).__module__ == "tieout.errors":
        return text or name
    return f"It was an error that nobody had foreseen ({name}); the task's log has all of it."


def _action(failed: FailedTask) -> str:
    if isinstance(failed.error, HostKeyMismatch):
        return HOST_KEY_ACTION
    if isinstance(failed.error, ReceiverUnavailable | SourceUnavailable):
        side = "receiver" if isinstance(failed.error, ReceiverUnavailable) else "source"
        return (
            f"Ask whoever runs the {side} whether it is up, and whether its address, account or firewall has changed. "
            "When it is up again nothing is to be done: the next run takes up what waits."
        )
    return next((words for kind, words in _ACTIONS if isinstance(failed.error, kind)), _LOOK)


HOST_KEY_ACTION = (
    "Do not accept the new key before the partner has confirmed it, by telephone or another way that is not the "
    "server itself: a changed key is either an announced rotation or somebody in between. Once the fingerprint is "
    "confirmed, put the key into the connection's extra `host_key`."
)


def _not_tied_out(failed: FailedTask, wrong: Sequence[RunRow]) -> Alert:
    entities = ", ".join(row.entity for row in wrong[:12])
    return Alert(
        kind="not_tied_out",
        integration=failed.integration,
        instance=failed.instance,
        subject=_cut(entities, 200),
        title=f"{failed.dag}: the run does not tie out ({_cut(entities, 80)})",
        what=_cut(
            "\n".join(
                [
                    f"The run {failed.run_id} ended, but its figures do not agree.",
                    *(f"{row.entity}: {row.message}" for row in wrong[:12]),
                ]
            )
        ),
        money=imbalance(wrong[:12]),
        action="Do not send or book anything by hand. A data engineer follows the records with `bin/tieout trace` and "
        "`bin/tieout runs`; finance does not close the period on these figures until the difference is explained.",
        link_path=_link(failed.integration, failed.instance, failed.run_id),
        run_id=failed.run_id,
        back_title=f"{failed.dag}: a later run ties out ({_cut(entities, 80)})",
        back=f"A later run ties out. What did not agree in the run {failed.run_id} stays to be explained.",
    )


def _link(integration: str, instance: str, run_id: str) -> str:
    return link_path("runs", integration=integration, instance=instance, run_id=run_id)


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def is_whole_run(conf: Mapping[str, object]) -> bool:
    """Whether a run did all there is to do, so that its success proves that things work again."""
    return not any(conf.get(name) for name in _OF_A_PART)
