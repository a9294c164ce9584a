"""Runs: one row per run and entity, from its beginning to its tie-out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from tieout.ledger.columns import iso_z, plain_json
from tieout.ledger.database import Database, utc_now
from tieout.ledger.events import add_event
from tieout.ledger.filters import by_key, narrowed
from tieout.ledger.models import file_records, files, runs
from tieout.ledger.rows import Filters, RunKey, RunRow
from tieout.ledger.tally import Tally, totals_text

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "running": frozenset({"extracted", "failed"}),
    "extracted": frozenset({"extracted", "prepared", "failed"}),
    "prepared": frozenset({"extracted", "prepared", "delivered", "dry_run", "failed"}),
    "delivered": frozenset({"delivered", "success", "failed"}),
    # One task of a finished run may be cleared and run again by itself.
    "success": frozenset({"delivered", "success", "failed"}),
    "dry_run": frozenset({"extracted", "prepared", "dry_run", "failed"}),
}
"""What may follow what. A failed run that is retried goes on from the stage it had reached."""

_STAGES = frozenset({"running", "extracted", "prepared", "delivered"})


class RunStore(Database):
    """The runs in the ledger."""

    def begin_run(
        self,
        key: RunKey,
        *,
        mode: str,
        dry_run: bool,
        interval_start: datetime | None,
        interval_end: datetime | None,
        window: Mapping[str, Any],
    ) -> None:
        """Enter a run, or start it afresh when it was cleared or retried.

        The figures of an earlier attempt move into the audit trail. Its files that were prepared but never sent are
        abandoned; those whose effect is unknown stay as they are, to be looked up (`unsettled_files`).

        Args:
            key: The run.
            mode: What kind of run it is, such as scheduled, backfill or replay.
            dry_run: Whether it stops before any effect.
            interval_start: Aware; start of the data interval, if it has one.
            interval_end: Aware; end of the data interval, if it has one.
            window: What is read from the source; JSON values.
        """
        now = utc_now()
        fresh: dict[str, Any] = {
            "mode": mode,
            "dry_run": dry_run,
            "interval_start": interval_start,
            "interval_end": interval_end,
            "window": plain_json(window),
            "started_at": now,
        }
        with self._writing() as connection:
            earlier = _lock_run(connection, key)
            if earlier is None:
                values = _identity(key) | _nothing_yet() | fresh | {"attempt": 1}
                inserted = connection.execute(self._insert(runs).values(values).on_conflict_do_nothing())
                # Another process was faster: then this is one more attempt.
                earlier = None if inserted.rowcount == 1 else _lock_run(connection, key)
            if earlier is not None:
                add_event(connection, key, "run begun again", detail=_figures(earlier))
                values = _nothing_yet() | fresh | {"attempt": earlier.attempt + 1}
                connection.execute(update(runs).where(runs.c.id == earlier.id).values(values))
            if not dry_run:
                _drop_unsent(connection, key, now)
            add_event(connection, key, "run begun", detail={"mode": mode, "dry_run": dry_run, "window": window})

    def record_extracted(self, key: RunKey, tally: Tally) -> None:
        """Note what was read from the source."""
        self._move(key, "extracted", {"extracted": tally.count, "source_totals": tally.totals})

    def record_prepared(
        self, key: RunKey, *, to_send: Tally, held: Tally, duplicate: Tally, excluded: Tally, mapping_version: str
    ) -> None:
        """Note where the extracted records go. In a dry run `to_send` is what would have been sent."""
        values: dict[str, Any] = {"mapping_version": mapping_version}
        tallies = {"to_send": to_send, "held": held, "duplicate": duplicate, "excluded": excluded}
        for place, tally in tallies.items():
            values |= {place: tally.count, f"{place}_totals": tally.totals}
        self._move(key, "prepared", values)

    def fail_run(self, key: RunKey, message: str) -> None:
        """Mark a run as failed, with a sentence that says why."""
        self._move(key, "failed", {"message": message, "ended_at": utc_now()})

    def finish_run(self, key: RunKey, *, ties_out: bool, message: str = "") -> None:
        """Close a run after its tie-out: `success`, or `dry_run` for a dry run, or `failed` if it does not tie out."""
        values = {"ties_out": ties_out, "message": message, "ended_at": utc_now()}
        with self._writing() as connection:
            good = "dry_run" if _find_run(connection, key, lock=True).dry_run else "success"
            move_run(connection, key, good if ties_out else "failed", values)

    def get_run(self, key: RunKey) -> RunRow | None:
        """A run's row, or None if it was never begun."""
        with self._reading() as connection:
            row = connection.execute(select(runs).where(*by_key(runs, key))).one_or_none()
        return None if row is None else RunRow(**row._mapping)

    def runs(self, filters: Filters, limit: int | None = None, offset: int = 0) -> list[RunRow]:
        """Runs, the last begun first."""
        query = _narrow(select(runs), filters).order_by(runs.c.started_at.desc(), runs.c.id.desc())
        with self._reading() as connection:
            return [RunRow(**row._mapping) for row in connection.execute(query.limit(limit).offset(offset))]

    def count_runs(self, filters: Filters) -> int:
        """How many runs there are."""
        with self._reading() as connection:
            return connection.execute(_narrow(select(func.count()).select_from(runs), filters)).scalar_one()

    def _move(self, key: RunKey, status: str, values: Mapping[str, Any]) -> None:
        with self._writing() as connection:
            move_run(connection, key, status, values)


def move_run(connection: Connection, key: RunKey, status: str, values: Mapping[str, Any]) -> None:
    """Give a run its next status inside the caller's transaction.

    Raises:
        ValueError: There is no such run, or the status may not follow the present one.
    """
    row = _find_run(connection, key, lock=True)
    _check_transition(row, key, status)
    # A run that goes on after a failure has not ended, and its old message no longer holds.
    changes: dict[str, Any] = {"ended_at": None, "ties_out": None, "message": ""} | dict(values) | {"status": status}
    if status in _STAGES:
        changes["stage"] = status
    connection.execute(update(runs).where(runs.c.id == row.id).values(changes))
    detail = {name: value for name, value in values.items() if name != "ended_at"}
    add_event(connection, key, f"run {status}", detail=detail)


def require_real_run(connection: Connection, key: RunKey) -> None:
    """Check that a run exists and may have effects.

    Raises:
        ValueError: There is no such run, or it is a dry run.
    """
    if _find_run(connection, key).dry_run:
        raise ValueError(f"The {key} is a dry run: it prepares and delivers nothing in the ledger.")


def _check_transition(row: Row[Any], key: RunKey, status: str) -> None:
    present = row.stage if row.status == "failed" else row.status
    allowed = TRANSITIONS[present] | ({"failed"} if row.status == "failed" else frozenset())
    if status not in allowed:
        kind = "dry run" if row.dry_run else "run"
        raise ValueError(
            f"The {key} is {row.status}"
            + (f" (it had got as far as {row.stage})" if row.status == "failed" else "")
            + f"; a {kind} cannot become {status} from there. Clear the run from its first task to start it afresh."
        )


def _find_run(connection: Connection, key: RunKey, *, lock: bool = False) -> Row[Any]:
    row = _lock_run(connection, key) if lock else connection.execute(select(runs).where(*by_key(runs, key))).first()
    if row is None:
        raise ValueError(f"The ledger has no {key}; it must be begun first (begin_run).")
    return row


def _lock_run(connection: Connection, key: RunKey) -> Row[Any] | None:
    return connection.execute(select(runs).where(*by_key(runs, key)).with_for_update()).first()


def _identity(key: RunKey) -> dict[str, Any]:
    return {
        "integration": key.integration,
        "instance": key.instance,
        "entity": key.entity,
        "run_id": key.run_id,
    }


def _nothing_yet() -> dict[str, Any]:
    counts = dict.fromkeys(("extracted", "to_send", "delivered", "posted", "held", "duplicate", "excluded"), 0)
    places = ("source", "to_send", "target", "held", "duplicate", "excluded")
    totals: dict[str, Any] = {f"{place}_totals": {} for place in places}
    open_end = {"ended_at": None, "ties_out": None, "message": "", "mapping_version": ""}
    return counts | totals | open_end | {"status": "running", "stage": "running"}


def _figures(row: Row[Any]) -> dict[str, Any]:
    """The figures of an attempt, for the audit trail."""
    names = (
        "attempt",
        "status",
        "message",
        "extracted",
        "to_send",
        "delivered",
        "posted",
        "held",
        "duplicate",
        "excluded",
    )
    figures: dict[str, Any] = {name: getattr(row, name) for name in names}
    figures["source_totals"] = totals_text(row.source_totals)
    figures["target_totals"] = totals_text(row.target_totals)
    figures["started_at"] = iso_z(row.started_at)
    return figures


def _drop_unsent(connection: Connection, key: RunKey, now: datetime) -> None:
    """Files of an earlier attempt that never left must not be sent by the new one."""
    mine = by_key(files, key)
    unfinished = select(files.c.id).where(*mine, files.c.state == "preparing")
    connection.execute(file_records.delete().where(file_records.c.file_id.in_(unfinished)))
    connection.execute(files.delete().where(*mine, files.c.state == "preparing"))
    values = {"state": "abandoned", "message": "The run was begun again.", "updated_at": now}
    abandoned = connection.execute(
        update(files).where(*mine, files.c.state.in_(("prepared", "refused"))).values(values).returning(files.c.id)
    )
    for file_id in abandoned.scalars().all():
        add_event(connection, key, "file abandoned", file_id=file_id, detail={"message": values["message"]})


def _narrow(query: Select[Any], filters: Filters) -> Select[Any]:
    return narrowed(query, runs, filters, since=runs.c.started_at, status=runs.c.status)
