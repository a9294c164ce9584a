"""Runs: one row per run and entity, from its beginning to its tie-out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from tieout.ledger.columns import iso_z, plain_json
from tieout.ledger.database import KEYS_PER_QUERY, Database, chunks, update_rows, utc_now
from tieout.ledger.events import add_events, add_file_events, event_values
from tieout.ledger.filters import by_key, by_keys, narrowed, page
from tieout.ledger.models import file_records, files, runs
from tieout.ledger.rows import Filters, Places, RunKey, RunRow, RunVerdict
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
        self.begin_runs(
            {key: window}, mode=mode, dry_run=dry_run, interval_start=interval_start, interval_end=interval_end
        )

    def begin_runs(
        self,
        windows: Mapping[RunKey, Mapping[str, Any]],
        *,
        mode: str,
        dry_run: bool,
        interval_start: datetime | None,
        interval_end: datetime | None,
    ) -> None:
        """Begin many runs at once, all or none; each as by `begin_run`.

        Args:
            windows: What each run reads from the source; JSON values.
            mode: What kind of runs they are.
            dry_run: Whether they stop before any effect.
            interval_start: Aware; start of the data interval, if it has one.
            interval_end: Aware; end of the data interval, if it has one.
        """
        now = utc_now()
        common: dict[str, Any] = {
            "mode": mode,
            "dry_run": dry_run,
            "interval_start": interval_start,
            "interval_end": interval_end,
            "started_at": now,
        }
        fresh = {key: {"window": plain_json(window)} for key, window in windows.items()}
        with self._writing() as connection:
            earlier = lock_runs(connection, windows)
            new = {key: values for key, values in fresh.items() if key not in earlier}
            entered = self._enter_runs(connection, nothing_yet() | common, new)
            # Another process was faster: then this is one more attempt.
            earlier |= lock_runs(connection, new.keys() - entered)
            add_events(connection, earlier_figures(earlier, now))
            changes = [fresh[key] | {"id": row.id, "attempt": row.attempt + 1} for key, row in earlier.items()]
            update_rows(connection, runs, nothing_yet() | common, changes)
            if not dry_run:
                drop_unsent(connection, windows, now)
            begun = {"mode": mode, "dry_run": dry_run}
            details = ((key, begun | {"window": window}) for key, window in windows.items())
            add_events(connection, (event_values(key, "run begun", now, detail) for key, detail in details))

    def record_extracted(self, key: RunKey, tally: Tally) -> None:
        """Note what was read from the source."""
        self.record_extracted_many({key: tally})

    def record_extracted_many(self, tallies: Mapping[RunKey, Tally]) -> None:
        """Note for many runs what was read from the source, all or none."""
        self._move_all(
            "extracted",
            {key: {"extracted": tally.count, "source_totals": tally.totals} for key, tally in tallies.items()},
        )

    def record_prepared(
        self, key: RunKey, *, to_send: Tally, held: Tally, duplicate: Tally, excluded: Tally, mapping_version: str
    ) -> None:
        """Note where the extracted records go. In a dry run `to_send` is what would have been sent."""
        places = Places(to_send=to_send, held=held, duplicate=duplicate, excluded=excluded)
        self.record_prepared_many({key: places}, mapping_version=mapping_version)

    def record_prepared_many(self, places: Mapping[RunKey, Places], *, mapping_version: str) -> None:
        """Note for many runs where the extracted records go, all or none."""
        self._move_all(
            "prepared", {key: {"mapping_version": mapping_version} | _figured(some) for key, some in places.items()}
        )

    def fail_run(self, key: RunKey, message: str) -> None:
        """Mark a run as failed, with a sentence that says why."""
        self._move_all("failed", {key: {"message": message, "ended_at": utc_now()}})

    def finish_run(self, key: RunKey, *, ties_out: bool, message: str = "") -> None:
        """Close a run after its tie-out: `success`, or `dry_run` for a dry run, or `failed` if it does not tie out."""
        self.finish_runs({key: RunVerdict(ties_out, message)})

    def finish_runs(self, verdicts: Mapping[RunKey, RunVerdict]) -> None:
        """Close many runs after their tie-out, all or none; each as by `finish_run`."""
        now = utc_now()
        with self._writing() as connection:
            ends: dict[str, dict[RunKey, dict[str, Any]]] = {"failed": {}, "success": {}, "dry_run": {}}
            for key, row in _find_runs(connection, verdicts).items():
                ties_out, message = verdicts[key]
                good = "dry_run" if row.dry_run else "success"
                values = {"ties_out": ties_out, "message": message, "ended_at": now}
                ends[good if ties_out else "failed"][key] = values
            for status, values_by_key in ends.items():
                move_runs(connection, status, values_by_key)

    def get_run(self, key: RunKey) -> RunRow | None:
        """A run's row, or None if it was never begun."""
        with self._reading() as connection:
            row = connection.execute(select(runs).where(*by_key(runs, key))).one_or_none()
        return None if row is None else RunRow(**row._mapping)

    def runs(self, filters: Filters, limit: int | None = None, offset: int = 0) -> list[RunRow]:
        """Runs, the last begun first."""
        query = _narrow(select(runs), filters).order_by(runs.c.started_at.desc(), runs.c.id.desc())
        with self._reading() as connection:
            return [RunRow(**row) for row in page(connection, query, runs, limit, offset)]

    def count_runs(self, filters: Filters) -> int:
        """How many runs there are."""
        with self._reading() as connection:
            return connection.execute(_narrow(select(func.count()).select_from(runs), filters)).scalar_one()

    def _move_all(self, status: str, values: Mapping[RunKey, Mapping[str, Any]]) -> None:
        with self._writing() as connection:
            move_runs(connection, status, values)

    def _enter_runs(
        self, connection: Connection, common: Mapping[str, Any], own: Mapping[RunKey, Mapping[str, Any]]
    ) -> set[RunKey]:
        """Enter runs of which there is no row yet; returns those of which indeed there was none."""
        if not own:
            return set()
        rows = [_identity(key) | dict(common) | dict(values) | {"attempt": 1} for key, values in own.items()]
        names = (runs.c.integration, runs.c.instance, runs.c.entity, runs.c.run_id)
        statement = self._insert(runs).on_conflict_do_nothing().returning(*names)
        return {RunKey(*row) for row in connection.execute(statement, rows)}


def move_run(connection: Connection, key: RunKey, status: str, values: Mapping[str, Any]) -> None:
    """Give a run its next status inside the caller's transaction; as `move_runs`."""
    move_runs(connection, status, {key: values})


def move_runs(connection: Connection, status: str, values: Mapping[RunKey, Mapping[str, Any]]) -> None:
    """Give many runs their next status inside the caller's transaction.

    Args:
        connection: The caller's transaction.
        status: The status.
        values: What else changes in each; the same columns in all of them.

    Raises:
        ValueError: There is no such run, or the status may not follow the present one.
    """
    rows = _find_runs(connection, values)
    for key, row in rows.items():
        _check_transition(row, key, status)
    # A run that goes on after a failure has not ended, and its old message no longer holds.
    common: dict[str, Any] = {"ended_at": None, "ties_out": None, "message": ""} | {"status": status}
    if status in _STAGES:
        common["stage"] = status
    update_rows(connection, runs, common, [{"id": row.id} | dict(values[key]) for key, row in rows.items()])
    now = utc_now()
    add_events(connection, (_moved(key, status, values[key], now) for key in values))


def require_real_run(connection: Connection, key: RunKey) -> None:
    """Check that a run exists and may have effects.

    Raises:
        ValueError: There is no such run, or it is a dry run.
    """
    row = connection.execute(select(runs.c.dry_run).where(*by_key(runs, key))).one_or_none()
    if row is None:
        raise _never_begun(key)
    if row.dry_run:
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


def lock_runs(connection: Connection, keys: Iterable[RunKey]) -> dict[RunKey, Row[Any]]:
    """The rows of those runs that there are, locked until the commit; always in the same order."""
    found: dict[RunKey, Row[Any]] = {}
    for conditions in by_keys(runs, keys):
        for row in connection.execute(select(runs).where(*conditions).order_by(runs.c.id).with_for_update()):
            found[RunKey(row.integration, row.instance, row.entity, row.run_id)] = row
    return found


def _find_runs(connection: Connection, keys: Iterable[RunKey]) -> dict[RunKey, Row[Any]]:
    """The rows of all these runs, in the order of the keys, locked until the commit.

    Raises:
        ValueError: One of them was never begun.
    """
    found = lock_runs(connection, keys)
    for key in keys:
        if key not in found:
            raise _never_begun(key)
    return {key: found[key] for key in keys}


def _never_begun(key: RunKey) -> ValueError:
    return ValueError(f"The ledger has no {key}; it must be begun first (begin_run).")


def _moved(key: RunKey, status: str, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    detail = {name: value for name, value in values.items() if name != "ended_at"}
    return event_values(key, f"run {status}", at, detail)


def _figured(places: Places) -> dict[str, Any]:
    tallies = {
        "to_send": places.to_send,
        "held": places.held,
        "duplicate": places.duplicate,
        "excluded": places.excluded,
    }
    counts = {place: tally.count for place, tally in tallies.items()}
    return counts | {f"{place}_totals": tally.totals for place, tally in tallies.items()}


def _identity(key: RunKey) -> dict[str, Any]:
    return {
        "integration": key.integration,
        "instance": key.instance,
        "entity": key.entity,
        "run_id": key.run_id,
    }


def nothing_yet() -> dict[str, Any]:
    """The columns of a run that has just begun, without its identity and its beginning."""
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


def earlier_figures(rows: Mapping[RunKey, Row[Any]], now: datetime) -> Iterator[dict[str, Any]]:
    """Events that keep the figures of earlier attempts."""
    return (event_values(key, "run begun again", now, _figures(row)) for key, row in rows.items())


def drop_unsent(connection: Connection, keys: Collection[RunKey], now: datetime) -> None:
    """Files of an earlier attempt that never left must not be sent by the new one."""
    unfinished: list[int] = []
    unsent: list[int] = []
    for conditions in by_keys(files, keys):
        never_left = files.c.state.in_(("preparing", "prepared", "refused"))
        query = select(files.c.id, files.c.state).where(*conditions, never_left).order_by(files.c.id)
        for row in connection.execute(query.with_for_update()):
            (unfinished if row.state == "preparing" else unsent).append(row.id)
    for ids in chunks(unfinished, KEYS_PER_QUERY):
        connection.execute(file_records.delete().where(file_records.c.file_id.in_(ids)))
        connection.execute(files.delete().where(files.c.id.in_(ids)))
    why = "The run was begun again."
    common = {"state": "abandoned", "message": why, "updated_at": now}
    update_rows(connection, files, common, [{"id": file_id} for file_id in unsent])
    add_file_events(connection, unsent, "file abandoned", now, {"message": why})


def _narrow(query: Select[Any], filters: Filters) -> Select[Any]:
    walked = () if filters.instance else ("integration",)
    narrow = narrowed(query, runs, filters, since=runs.c.started_at, status=runs.c.status, walked=walked)
    if filters.mode is not None:
        narrow = narrow.where(runs.c.mode == filters.mode)
    if filters.ties_out is not None:
        tied = runs.c.ties_out.is_(True)
        narrow = narrow.where(tied if filters.ties_out else ~tied)
    return narrow
