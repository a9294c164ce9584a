"""Which runs a replay of held records needs; who asks for them, and how, is the caller's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tieout import approvals
from tieout.config import SecondPerson
from tieout.config import dag_id_of as dag_id_of
from tieout.errors import TieoutError

if TYPE_CHECKING:
    from tieout.ledger import Filters, HeldRow, Ledger


@dataclass(frozen=True)
class Replay:
    """One run to ask for, or two: what is above the limit of one person is asked of a second one.

    Attributes:
        rows: The held records that it is about.
        whole: It is about everything that the entities hold when the run begins, so that no list of ids is needed.
        entities: What to run; empty is everything.
        rule: The instance's rule about second persons.
    """

    integration: str
    instance: str
    rows: tuple[HeldRow, ...] = field(repr=False)
    whole: bool = False
    entities: tuple[str, ...] = ()
    rule: SecondPerson | None = None

    @property
    def dag_id(self) -> str:
        """The DAG of the instance."""
        return dag_id_of(self.integration, self.instance)

    @property
    def held_ids(self) -> tuple[int, ...]:
        """The records' ids; empty where it is about everything."""
        return () if self.whole else tuple(sorted(row.id for row in self.rows))

    @property
    def conf(self) -> dict[str, Any]:
        """The run's `conf`."""
        conf: dict[str, Any] = {"held_only": True, "held_ids": list(self.held_ids)}
        if self.entities:
            conf["entities"] = list(self.entities)
        return conf

    def request(self) -> approvals.Request | None:
        """What a second person is to be asked; None where one person decides all of it.

        Raises:
            TieoutError: More records than a person can be asked about at once.
        """
        return approvals.request_for(self.rows, "replay", "", self.rule)

    def at_once(self) -> Replay | None:
        """What needs nobody else; None where that is nothing."""
        request = self.request()
        if request is None:
            return self
        above = {row.id for row in request.rows}
        rows = tuple(row for row in self.rows if row.id not in above)
        return replace(self, rows=rows) if rows else None

    def as_json(self, run_id: str | None, status: str) -> dict[str, Any]:
        """The replay and what became of it, as `bin/tieout replay --json` prints it."""
        request = self.request()
        return {
            "integration": self.integration,
            "instance": self.instance,
            "dag_id": self.dag_id,
            "run_id": run_id,
            "records": len(self.rows),
            "amounts": approvals.amounts_as_json(self.rows),
            "needs_second_person": len(request.rows) if request else 0,
            "limit": approvals.limits_as_json(self.rule),
            "conf": self.conf,
            "status": status,
        }


def chosen(ledger: Ledger, held_ids: Iterable[int], narrow: Filters) -> list[Replay]:
    """Runs for records given by id, one per instance; the filters must not contradict them.

    Raises:
        TieoutError: There is no such held record, it is not open any more, or it is not one that the filters leave.
        ConfigurationInvalid: An instance's rule about second persons cannot be read.
    """
    rows = open_rows(ledger, held_ids)
    for row in rows:
        for name in ("integration", "instance", "entity"):
            wanted = getattr(narrow, name)
            if wanted and getattr(row, name) != wanted:
                raise TieoutError(f"Held record {row.id} is of {name} {getattr(row, name)}, not of {wanted}.")
    return [
        Replay(*pair, tuple(group), rule=approvals.rule_of(*pair)) for pair, group in sorted(by_instance(rows).items())
    ]


def open_rows(ledger: Ledger, held_ids: Iterable[int], verb: str = "replayed") -> list[HeldRow]:
    """The held records of these ids, each once, all of them open.

    Args:
        ledger: The book of record.
        held_ids: Which.
        verb: What is to be done with them, for the error's sentence.

    Raises:
        TieoutError: There is no such held record, or it is not open any more.
    """
    wanted = list(dict.fromkeys(held_ids))
    rows = {row.id: row for row in ledger.held_rows(wanted)}
    for held_id in wanted:
        if held_id not in rows:
            raise TieoutError(f"There is no held record {held_id}. `tieout held` lists the ones there are.")
        if rows[held_id].status != "held":
            raise TieoutError(
                f"Held record {held_id} is {rows[held_id].status} already; only an open one can be {verb}."
            )
    return [rows[held_id] for held_id in wanted]


def everything(ledger: Ledger, narrow: Filters) -> list[Replay]:
    """Runs for all open records that the filters leave, one per instance.

    Raises:
        ConfigurationInvalid: An instance's rule about second persons cannot be read.
    """
    # A whole entity needs no list of ids, which for thousands of records would not fit into a run's conf.
    whole = not (narrow.run_id or narrow.since or narrow.search)
    entities = (narrow.entity,) if whole and narrow.entity else ()
    groups = by_instance(ledger.held(replace(narrow, status="held")))
    return [
        Replay(*pair, tuple(group), whole, entities, approvals.rule_of(*pair)) for pair, group in sorted(groups.items())
    ]


def by_instance(rows: Iterable[HeldRow]) -> dict[tuple[str, str], list[HeldRow]]:
    """The records by integration and instance."""
    groups: dict[tuple[str, str], list[HeldRow]] = {}
    for row in rows:
        groups.setdefault((row.integration, row.instance), []).append(row)
    return groups
