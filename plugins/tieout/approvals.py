"""Held records of large amounts: what one person may not decide alone, and what a second one has agreed to.

A request is a run of the companion DAG `<dag_id>_second_person`. Who asks is whoever Airflow knows to have triggered
it, who answers is whoever Airflow knows to have answered. An agreement is an event of the ledger for each record: for
one run, for the record as it was shown, and for a limited time. See docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel

from tieout.config import SecondPerson, dag_id_of, include_folder
from tieout.currencies import minor_units
from tieout.errors import TieoutError
from tieout.yaml_file import load_yaml

if TYPE_CHECKING:
    from tieout.ledger import EventRow, HeldRow, Ledger

Action = Literal["replay", "discard"]

COMPANION = "second_person"
ASK_TASK = "ask_second_person"
RUN_PREFIX = "second_person__"

ASKED = "second person asked"
AGREED = "second person agreed"
DECLINED = "second person declined"
SAME_PERSON = "second person was the one who asked"
NO_ANSWER = "no second person answered"
NEEDED = "waits for a second person"

MOST_RECORDS = 1_000
"""Records that a second person is asked about at once."""


class _Section(BaseModel):
    """The one section of an instance's file that is read here; the rest is the integration's own."""

    second_person: SecondPerson | None = None


def rule_of(integration: str, instance: str) -> SecondPerson | None:
    """What the instance says about second persons; None where it says nothing, or its file is gone.

    Raises:
        ConfigurationInvalid: The file or the section is wrong; says file, line and key.
    """
    path = include_folder() / "integrations" / integration / f"{instance}.yaml"
    if not path.exists():
        return None
    return load_yaml(path).validate(_Section).second_person


def open_among(ledger: Ledger, integration: str, instance: str, held_ids: Iterable[int]) -> list[HeldRow]:
    """The records of these ids that are the instance's and still held, by id."""
    rows = ledger.held_rows(list(dict.fromkeys(held_ids)))
    own = [row for row in rows if (row.integration, row.instance) == (integration, instance) and row.status == "held"]
    return sorted(own, key=lambda row: row.id)


def amounts_of(rows: Iterable[HeldRow]) -> dict[str, Decimal]:
    """The sum of the records' amounts per currency, those of unknown amount left out."""
    from tieout.ledger import Tally  # a DAG file imports this module, and needs no database for that

    tally = Tally()
    for row in rows:
        tally.add_record(row.currency, row.amount)
    return dict(sorted(tally.totals.items()))


def amounts_as_json(rows: Iterable[HeldRow]) -> dict[str, str]:
    """The same as text."""
    return {currency: money_text(amount, currency) for currency, amount in amounts_of(rows).items()}


def limits_as_json(rule: SecondPerson | None) -> dict[str, str] | None:
    """Currency (or `*`) → limit as text; None where one person decides everything."""
    return None if rule is None else {currency: money_text(limit, currency) for currency, limit in rule.above.items()}


def money_text(amount: Decimal, currency: str | None) -> str:
    """The exact amount with the currency's decimals, or as many as it takes; the ledger keeps more zeros than that."""
    whole, _, decimals = f"{amount:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(minor_units(currency or ""), "0")
    return f"{whole}.{decimals}" if decimals else whole


@dataclass(frozen=True)
class Request:
    """What a second person is to be asked.

    Attributes:
        rows: The records, all of this instance and above the limit.
        why: The reason that was given; empty for a replay.
        rule: The instance's rule.
    """

    integration: str
    instance: str
    action: Action
    rows: tuple[HeldRow, ...] = field(repr=False)
    why: str
    rule: SecondPerson

    @property
    def dag_id(self) -> str:
        """The companion DAG."""
        return companion_of(self.integration, self.instance)

    @property
    def conf(self) -> dict[str, Any]:
        """The `conf` of its run."""
        return {"action": self.action, "held_ids": sorted(row.id for row in self.rows), "why": self.why}

    def as_json(self, run_id: str | None, status: str, approval_url: str | None = None) -> dict[str, Any]:
        """The request and what became of it, as the Tieout page and `bin/tieout` answer it."""
        return {
            "integration": self.integration,
            "instance": self.instance,
            "dag_id": self.dag_id,
            "run_id": run_id,
            "records": len(self.rows),
            "amounts": amounts_as_json(self.rows),
            "needs_second_person": len(self.rows),
            "limit": limits_as_json(self.rule),
            "approval_url": approval_url,
            "status": status,
        }


def request_for(rows: Iterable[HeldRow], action: Action, why: str, rule: SecondPerson | None) -> Request | None:
    """The question about those of an instance's records that one person may not decide alone; None without any.

    Raises:
        TieoutError: More records than a person can be asked about at once.
    """
    above = tuple(row for row in rows if rule and rule.is_needed(action, row.currency, row.amount))
    if rule is None or not above:
        return None
    if len(above) > MOST_RECORDS:
        raise TieoutError(
            f"{len(above)} records of {dag_id_of(above[0].integration, above[0].instance)} need a second person, who "
            f"is asked about {MOST_RECORDS} at once: choose fewer, by id or by filters."
        )
    return Request(above[0].integration, above[0].instance, action, above, why, rule)


def companion_of(integration: str, instance: str) -> str:
    """The DAG that asks second persons about an instance's records."""
    return f"{dag_id_of(integration, instance)}_{COMPANION}"


def approval_url(base_url: str, dag_id: str, run_id: str) -> str:
    """Where in Airflow the second person answers."""
    place = f"dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}/tasks/{ASK_TASK}/required_actions"
    return f"{base_url.rstrip('/')}/{place}"


def run_agreed_to(request_run_id: str) -> str:
    """The run of the integration that a request leads to. Agreements name it and hold for no other run."""
    return f"{RUN_PREFIX}{request_run_id}"


def is_same_person(one: str, other: str) -> bool:
    """Whether two of Airflow's user names are one person's."""
    return one.strip().casefold() == other.strip().casefold()


def agreed(
    ledger: Ledger, run_id: str, rows: Sequence[HeldRow], rule: SecondPerson, now: datetime
) -> dict[int, EventRow]:
    """Which of the records a second person has agreed to for this run: held id → the agreement.

    Args:
        ledger: The book of record.
        run_id: The run that is to act.
        rows: The records as they are now.
        rule: How long an agreement is good for.
        now: Aware.
    """
    known = ledger.held_events(AGREED, run_id, [row.id for row in rows])
    since = now - timedelta(hours=rule.valid_hours)
    return {
        row.id: known[row.id]
        for row in rows
        if row.id in known and known[row.id].at >= since and is_unchanged(row, known[row.id].detail)
    }


def is_unchanged(row: HeldRow, detail: Mapping[str, Any]) -> bool:
    """Whether a record is still what an event says that it was."""
    return detail.get("payload_sha256") == row.payload_sha256
