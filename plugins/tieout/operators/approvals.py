"""The companion DAG that asks a second person: the question, the proof that it is a second one, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Context, Param
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from tieout import approvals
from tieout.config import Instance, SecondPerson
from tieout.errors import ConfigurationInvalid, TieoutError
from tieout.operators.base import InstanceOperator
from tieout.operators.dags import OWNER, RETRY_BY_ERROR_CLASS

if TYPE_CHECKING:
    from tieout.ledger import HeldRow, Ledger

_LISTED = 50
"""Records that the question shows one by one; of more, the sums."""


class _OfRequest(InstanceOperator):
    """A step of one request to a second person."""

    def rule(self) -> SecondPerson:
        """The instance's rule as it stands now.

        Raises:
            ConfigurationInvalid: The file has none any more.
        """
        rule = self.load_config().second_person
        if not isinstance(rule, SecondPerson):
            raise ConfigurationInvalid(
                f"The instance {self.instance} of {self.integration} has no section second_person any more: one "
                "person decides. Ask again for what is to be done."
            )
        return rule

    def asked_for(self, context: Context, ledger: Ledger) -> list[HeldRow]:
        """The records of the request that are still held."""
        return approvals.open_among(ledger, self.integration, self.instance, context["params"]["held_ids"])

    def asked_by(self, context: Context) -> str:
        """Who asked, as Airflow knows them; what `conf` says would prove nothing.

        Raises:
            TieoutError: Airflow does not know.
        """
        name = str(context["dag_run"].triggering_user_name or "").strip()
        if not name:
            raise TieoutError(
                "Airflow does not know who asked, so nobody can tell who a second person would be. Ask on the Tieout "
                "page or with `bin/tieout`; nothing was done."
            )
        return name

    def acting_run(self, context: Context) -> str:
        """The run that the agreement is for: the integration's, or this one where it discards."""
        run_id = context["dag_run"].run_id
        return approvals.run_agreed_to(run_id) if context["params"]["action"] == "replay" else run_id


class AskSecondPerson(_OfRequest, ApprovalOperator):
    """Wait for a person's answer in Airflow's UI; only one who did not ask can agree."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Held records need a second person", **{"retries": 0, **kwargs})

    def execute(self, context: Context) -> Any:
        """Show the records and wait.

        Raises:
            TieoutError: Airflow does not know who asked, or nobody said why to discard.
            AirflowSkipException: None of the records is held any more.
        """
        rule, by = self.rule(), self.asked_by(context)
        if context["params"]["action"] == "discard" and not context["params"]["why"].strip():
            raise TieoutError("To discard, say why: the reason goes to the audit trail. Nothing was done; ask again.")
        with self.ledger() as ledger:
            rows = self.asked_for(context, ledger)
            if not rows:
                raise AirflowSkipException("None of the records is held any more: there is nothing to decide.")
            detail = {"action": context["params"]["action"], "why": context["params"]["why"], "by": by}
            ledger.note_held(approvals.ASKED, rows, context["dag_run"].run_id, detail)
        self.subject, self.body = _question(self.dag_id, rows, rule, detail)
        self.response_timeout = timedelta(hours=rule.answer_within_hours)
        self.log.info("%s\n%s", self.subject, self.body)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Enter the answer into the ledger.

        The event is Airflow's own record of the answer. Results of tasks are not: whoever may edit XComs could write
        another name into them.

        Raises:
            TieoutError: Nobody answered in time, or it was the person who asked; nothing was done.
        """
        with self.ledger() as ledger:
            rows = self.asked_for(context, ledger)
            if "error" in event:
                self._note(ledger, approvals.NO_ANSWER, rows, context)
                raise TieoutError(
                    "No second person answered in time, so nothing was done and the records stay held. Ask again on "
                    "the Tieout page or with `bin/tieout`."
                )
            asked, answered = self.asked_by(context), _name_of(event)
            if list(event["chosen_options"]) != [self.APPROVE]:
                self._note(ledger, approvals.DECLINED, rows, context, by=answered, asked_by=asked)
                self.log.info("%s declined; nothing was done and the records stay held.", answered)
            elif approvals.is_same_person(asked, answered):
                self._note(ledger, approvals.SAME_PERSON, rows, context, by=answered, asked_by=asked)
                raise TieoutError(
                    f"{answered} asked and answered: a second person is another one. Nothing was done; ask again, and "
                    "let somebody else answer."
                )
            else:
                self._agree(ledger, rows, context, answered)
        return super().execute_complete(context, event)

    def _agree(self, ledger: Ledger, rows: Sequence[HeldRow], context: Context, by: str) -> None:
        shown = ledger.held_events(approvals.ASKED, context["dag_run"].run_id, [row.id for row in rows])
        same = [row for row in rows if row.id in shown and approvals.is_unchanged(row, shown[row.id].detail)]
        if not same:
            raise TieoutError(
                "None of the records is held any more as it was shown: each was settled, discarded or changed since. "
                "Nothing was done; ask again about those that are still held."
            )
        if len(same) < len(rows):
            self.log.warning("%s records changed since they were shown; they stay held.", len(rows) - len(same))
        asked = self.asked_by(context)
        action, why = context["params"]["action"], context["params"]["why"]
        detail = {"action": action, "why": why, "by": by, "asked_by": asked, "request": context["dag_run"].run_id}
        ledger.note_held(approvals.AGREED, same, self.acting_run(context), detail)
        self.log.info("%s agreed to what %s asked: %s %s records.", by, asked, action, len(same))

    def _note(self, ledger: Ledger, what: str, rows: Sequence[HeldRow], context: Context, **detail: str) -> None:
        action = context["params"]["action"]
        ledger.note_held(what, rows, context["dag_run"].run_id, {"action": action, **detail})


class CarryOut(_OfRequest):
    """Do what was agreed to: trigger the integration's run, or discard. What nobody agreed to is left."""

    def execute(self, context: Context) -> list[int] | None:
        """Ids of the discarded records; a replay ends by asking Airflow for the run.

        Raises:
            TieoutError: No second person has agreed to any of the records.
        """
        run_id = self.acting_run(context)
        with self.ledger() as ledger:
            rows = self.asked_for(context, ledger)
            agreed = approvals.agreed(ledger, run_id, rows, self.rule(), datetime.now(UTC))
            if not agreed:
                raise TieoutError(
                    "There is no agreement of a second person to any of these records that is still good and of which "
                    "the record has not changed. Nothing was done; ask again."
                )
            if context["params"]["action"] == "discard":
                return self._discard(ledger, rows, agreed, context)
        dag_id = self.dag_id.removesuffix(f"_{approvals.COMPANION}")
        self.log.info("%s takes up %s records in the run %s.", dag_id, len(agreed), run_id)
        raise DagRunTriggerException(
            trigger_dag_id=dag_id,
            dag_run_id=run_id,
            conf={"held_only": True, "held_ids": sorted(agreed)},
            logical_date=None,
            reset_dag_run=False,
            skip_when_already_exists=True,
            wait_for_completion=False,
            allowed_states=["success"],
            failed_states=["failed"],
            poke_interval=60,
            deferrable=False,
        )

    def _discard(self, ledger: Ledger, rows: Sequence[HeldRow], agreed: dict[int, Any], context: Context) -> list[int]:
        why, done = context["params"]["why"], []
        for row in rows:
            if row.id not in agreed:
                continue
            detail = agreed[row.id].detail
            try:
                ledger.discard_held(row.id, why, f"{detail['asked_by']}, with {detail['by']} as second person")
            except ValueError as error:  # somebody else closed it meanwhile
                self.log.warning("%s", error)
                continue
            done.append(row.id)
        self.log.info("%s records are discarded: %s", len(done), why)
        return done


def second_person_dag(instance: Instance[Any], doc_md: str | None) -> DAG:
    """The DAG `<dag_id>_second_person` of an instance; each request is a run of it."""
    with DAG(
        dag_id=approvals.companion_of(instance.integration, instance.name),
        schedule=None,
        catchup=False,
        max_active_runs=100,
        is_paused_upon_creation=False,
        doc_md=doc_md,
        tags=["tieout", instance.integration, *instance.config.tags],
        params={
            "action": Param("replay", type="string", enum=["replay", "discard"], title="What is asked for"),
            "held_ids": Param(
                [],
                type="array",
                items={"type": "integer", "minimum": 1},
                maxItems=approvals.MOST_RECORDS,
                title="Held records",
                description="Their ids, as the Tieout page and `bin/tieout held` list them.",
            ),
            "why": Param("", type="string", title="Why", description="Needed to discard; kept in the audit trail."),
        },
        default_args={
            "owner": OWNER,
            "retries": instance.config.retries.count,
            "retry_delay": timedelta(seconds=instance.config.retries.first_delay_seconds),
            "retry_policy": RETRY_BY_ERROR_CLASS,
        },
    ) as dag:
        ask = AskSecondPerson(task_id=approvals.ASK_TASK, instance=instance)
        ask >> CarryOut(task_id="carry_out", instance=instance)
    return dag


def _name_of(event: dict[str, Any]) -> str:
    """Who answered.

    Raises:
        TieoutError: Airflow does not know.
    """
    user = event.get("responded_by_user") or {}
    name = str(user.get("name") or user.get("id") or "").strip()
    if not name:
        raise TieoutError("Airflow does not know who answered, so nothing was done. Ask again.")
    return name


_AS_IT_IS_THEN = (
    "What is read from SAP, SYSPRO or Banqup is read anew: it goes as it is there then, with what was repaired."
)


def _question(dag_id: str, rows: Sequence[HeldRow], rule: SecondPerson, detail: dict[str, str]) -> tuple[str, str]:
    """Subject and body (Markdown) of the question."""
    many = "1 held record" if len(rows) == 1 else f"{len(rows)} held records"
    subject = f"{detail['action'].capitalize()} {many} of {dag_id.removesuffix(f'_{approvals.COMPANION}')}?"
    sums = [_money(amount, currency) for currency, amount in approvals.amounts_of(rows).items()]
    unknown = sum(row.amount is None for row in rows)
    if unknown:
        sums.append(f"{unknown} of unknown amount")
    others = "in any currency" if set(rule.above) == {"*"} else "in any other currency"
    limits = ", ".join(_money(limit, others if name == "*" else name) for name, limit in rule.above.items())
    what = "sent or posted again" if detail["action"] == "replay" else "given up: they will never be sent as they are"
    lines = [
        f"**{_plain(detail['by'])}** asks that {many} be {what}. Together: {', '.join(sums)}.",
        f"One person decides up to {limits}. You answer as the second person; whoever asked cannot.",
        *([_AS_IT_IS_THEN] if detail["action"] == "replay" else []),
        *([f"Reason given: {_plain(detail['why'])}"] if detail["why"] else []),
        "\n".join(
            [
                "| id | record | amount | why it is held |",
                "| --- | --- | ---: | --- |",
                *(_line(row) for row in rows[:_LISTED]),
            ]
        ),
    ]
    if len(rows) > _LISTED:
        lines.append(f"… and {len(rows) - _LISTED} more; their ids are in the run's configuration.")
    return subject, "\n\n".join(lines)


def _line(row: HeldRow) -> str:
    amount = "unknown" if row.amount is None else _money(row.amount, row.currency or "")
    name = row.source_key if row.label in ("", row.source_key) else f"{row.label} ({row.source_key})"
    return f"| {row.id} | {row.entity} {_plain(name)} | {amount} | {_plain(row.message)} |"


def _money(amount: Decimal, currency: str) -> str:
    return f"{Decimal(approvals.money_text(amount, currency)):,f} {currency}".rstrip()


def _plain(text: str) -> str:
    """Text of outside systems, which must not be read as Markdown."""
    escaped = "".join(f"\\{char}" if char in "\\`*_{}[]()<>#+-.!|~" else char for char in text)
    return " ".join(escaped.split())
