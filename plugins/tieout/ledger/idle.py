"""Runs that found nothing to do: of hundreds of scopes most are idle at most times, and all are closed at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from tieout.ledger.columns import plain_json
from tieout.ledger.database import KEYS_PER_QUERY, chunks, update_rows, utc_now
from tieout.ledger.events import add_event, add_events
from tieout.ledger.models import runs, scopes
from tieout.ledger.rows import IdleRun, RunKey
from tieout.ledger.runs import RunStore, drop_unsent, earlier_figures, lock_runs, nothing_yet
from tieout.ledger.scopes import ScopeStore

_COUNTS = ("extracted", "to_send", "delivered", "posted", "held", "duplicate", "excluded")


class IdleStore(RunStore, ScopeStore):
    """Closes idle runs."""

    def finish_idle_runs(
        self,
        integration: str,
        instance: str,
        run_id: str,
        entities: Mapping[str, IdleRun],
        *,
        mode: str,
        interval_start: datetime | None,
        interval_end: datetime | None,
        started_at: datetime | None = None,
        dry_run: bool = False,
    ) -> None:
        """Close the runs of entities in which there was nothing to do: all or none, each a success that sent nothing.

        A watermark moves only where it is still what the run had read; another run may have moved it meanwhile. The
        scopes' versions stay, as nothing was delivered. One event tells of all of them.

        Done a second time, it changes nothing. A row of this run that is there already is closed in the same way, but
        for one that has records and was delivered or has failed: that one, and its scope's watermark, stay as they
        are. Records that an attempt had read and not delivered, and that are not there any more, are noted in the
        audit trail; its files that never left are abandoned.

        Args:
            integration: Whose runs.
            instance: Whose runs.
            run_id: Their run.
            entities: What each has read.
            mode: What kind of runs they are.
            interval_start: Aware; start of the data interval, if it has one.
            interval_end: Aware; end of the data interval, if it has one.
            started_at: Aware; when the runs were begun; now, where that is not said.
            dry_run: They stop before any effect: no watermark moves.
        """
        if not entities:
            return
        now = utc_now()
        idle = {RunKey(integration, instance, entity, run_id): run for entity, run in entities.items()}
        common = nothing_yet() | {
            "mode": mode,
            "dry_run": dry_run,
            "status": "dry_run" if dry_run else "success",
            "stage": "prepared" if dry_run else "delivered",
            "ties_out": True,
            "interval_start": interval_start,
            "interval_end": interval_end,
            "started_at": started_at or now,
            "ended_at": now,
        }
        with self._writing() as connection:
            # Scopes first, runs then, as in a commit: two that wait for each other would be stuck.
            marked = {} if dry_run else {key.entity: run for key, run in idle.items() if run.watermark is not None}
            scope_rows = self._lock_scopes(connection, integration, instance, list(marked))
            left = self._close(connection, idle, common, now)
            moved = [
                {"id": row.id, "watermark": plain_json(marked[row.entity].watermark)}
                for row in scope_rows
                if row.entity not in left and row.watermark == plain_json(marked[row.entity].base)
            ]
            update_rows(connection, scopes, {"watermark_run_id": run_id, "watermark_at": now}, moved)
            detail = {"runs": len(idle) - len(left), "left_as_they_were": sorted(left), "watermarks_moved": len(moved)}
            all_of_them = RunKey(integration, instance, "", run_id)
            add_event(connection, all_of_them, "idle runs finished", detail=detail)

    def _close(
        self, connection: Connection, idle: Mapping[RunKey, IdleRun], common: Mapping[str, Any], now: datetime
    ) -> set[str]:
        """Write the rows; returns the entities whose rows were left as they were."""
        own = {
            key: {
                "window": plain_json(run.window),
                "extracted": run.duplicate + run.excluded,
                "duplicate": run.duplicate,
                "excluded": run.excluded,
            }
            for key, run in idle.items()
        }
        earlier = lock_runs(connection, own)
        new = {key: values for key, values in own.items() if key not in earlier}
        entered = self._enter_runs(connection, common, new)
        # Where another process was faster, it was an attempt of the same run.
        earlier |= lock_runs(connection, new.keys() - entered)
        closed = {key: row for key, row in earlier.items() if not _is_settled(row)}
        changes = [own[key] | {"id": row.id} for key, row in closed.items()]
        given_up = {key: row for key, row in closed.items() if _has_records(row)}
        add_events(connection, earlier_figures(given_up, now))
        if not common["dry_run"]:
            drop_unsent(connection, closed, now)
        update_rows(connection, runs, common, changes)
        return {key.entity for key in earlier.keys() - closed.keys()}

    def _lock_scopes(
        self, connection: Connection, integration: str, instance: str, entities: Sequence[str]
    ) -> list[Row[Any]]:
        """The scopes' rows, made where there are none, locked until the commit."""
        here = (scopes.c.integration == integration, scopes.c.instance == instance)
        known = {row.entity for row in _scopes(connection, here, entities)}
        missing = [
            {"integration": integration, "instance": instance, "entity": entity, "version": 0}
            for entity in sorted(set(entities) - known)
        ]
        if missing:
            connection.execute(self._insert(scopes).on_conflict_do_nothing(), missing)
        return _scopes(connection, here, entities, lock=True)


def _scopes(
    connection: Connection, here: Sequence[ColumnElement[bool]], entities: Sequence[str], *, lock: bool = False
) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for some in chunks(entities, KEYS_PER_QUERY):
        query = select(scopes.c.id, scopes.c.entity, scopes.c.watermark).where(*here, scopes.c.entity.in_(some))
        found += connection.execute(query.order_by(scopes.c.id).with_for_update() if lock else query)
    return found


def _has_records(row: Row[Any]) -> bool:
    return any(getattr(row, name) for name in _COUNTS)


def _is_settled(row: Row[Any]) -> bool:
    """Whether a row says something that must not be overwritten: records were delivered, or have to be looked at."""
    return _has_records(row) and (row.status == "failed" or row.stage == "delivered")
