"""Which runs a replay of held records needs; who asks for them, and how, is the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tieout.errors import TieoutError

if TYPE_CHECKING:
    from tieout.ledger import Filters, HeldRow, Ledger


@dataclass(frozen=True)
class Replay:
    """One run to ask for.

    Attributes:
        records: How many held records it is about.
        held_ids: Their ids; empty stands for everything that the entities hold when the run begins.
        entities: What to run; empty is everything.
    """

    integration: str
    instance: str
    records: int
    held_ids: tuple[int, ...] = ()
    entities: tuple[str, ...] = ()

    @property
    def dag_id(self) -> str:
        """The DAG of the instance."""
        return dag_id_of(self.integration, self.instance)

    @property
    def conf(self) -> dict[str, Any]:
        """The run's `conf`."""
        conf: dict[str, Any] = {"held_only": True, "held_ids": list(self.held_ids)}
        if self.entities:
            conf["entities"] = list(self.entities)
        return conf

    def as_json(self, run_id: str | None, status: str) -> dict[str, Any]:
        """The replay and what became of it, as `bin/tieout replay --json` prints it."""
        return {
            "integration": self.integration,
            "instance": self.instance,
            "dag_id": self.dag_id,
            "run_id": run_id,
            "records": self.records,
            "conf": self.conf,
            "status": status,
        }


def dag_id_of(integration: str, instance: str) -> str:
    """The DAG of an instance."""
    return integration if instance == "default" else f"{integration}__{instance}"


def chosen(ledger: Ledger, held_ids: Iterable[int], narrow: Filters) -> list[Replay]:
    """Runs for records given by id, one per instance; the filters must not contradict them.

    Raises:
        TieoutError: There is no such held record, it is not open any more, or it is not one that the filters leave.
    """
    rows = open_rows(ledger, held_ids)
    for row in rows:
        for name in ("integration", "instance", "entity"):
            wanted = getattr(narrow, name)
            if wanted and getattr(row, name) != wanted:
                raise TieoutError(f"Held record {row.id} is of {name} {getattr(row, name)}, not of {wanted}.")
    return _by_instance(rows)


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
    """Runs for all open records that the filters leave, one per instance."""
    by_id = _by_instance(ledger.held(replace(narrow, status="held")))
    if narrow.run_id or narrow.since:
        return by_id
    # A whole entity needs no list of ids, which for thousands of records would not fit into a run's conf.
    entities = (narrow.entity,) if narrow.entity else ()
    return [replace(item, held_ids=(), entities=entities) for item in by_id]


def _by_instance(rows: Iterable[HeldRow]) -> list[Replay]:
    groups: dict[tuple[str, str], list[HeldRow]] = {}
    for row in rows:
        groups.setdefault((row.integration, row.instance), []).append(row)
    return [_replay_of(*instance, group) for instance, group in sorted(groups.items())]


def _replay_of(integration: str, instance: str, rows: Sequence[HeldRow]) -> Replay:
    return Replay(integration, instance, len(rows), held_ids=tuple(sorted(row.id for row in rows)))
