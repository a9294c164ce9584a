"""One run of one integration: what it was asked to do, and where it may write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tieout.errors import ConfigurationInvalid
from tieout.ledger import RunKey, Scope

Mode = Literal["incremental", "backfill", "held_only"]


@dataclass(frozen=True)
class Run:
    """A run of one instance.

    Attributes:
        mode: `incremental` (from the watermark), `backfill` (exactly the data interval) or `held_only`.
        interval_start: Start of Airflow's data interval, UTC; None where the run has none.
        interval_end: End of it, exclusive.
        stamp: The time that file names carry, UTC: the end of the interval of a scheduled or backfilled run, else
            when the run was asked for. It is the same on every retry.
        dry_run: Do everything up to the effect, write nothing outside.
        entities: What to read; empty means all.
        full_refresh: Entities to read and send whole, whatever was delivered before.
        held_ids: Held records to replay; empty means all, read only when the mode is `held_only`.
        by_schedule: Nobody asked for this run: the schedule made it.
    """

    integration: str
    instance: str
    run_id: str
    mode: Mode
    interval_start: datetime | None
    interval_end: datetime | None
    stamp: datetime
    dry_run: bool = False
    entities: tuple[str, ...] = ()
    full_refresh: tuple[str, ...] = ()
    held_ids: tuple[int, ...] = ()
    by_schedule: bool = False

    def key(self, entity: str) -> RunKey:
        """The ledger's key of this run's part for one entity."""
        return RunKey(self.integration, self.instance, entity, self.run_id)

    def scope(self, entity: str) -> Scope:
        """What is kept from run to run for one entity: watermark, fingerprints, held records."""
        return Scope(self.integration, self.instance, entity)

    @property
    def folder_name(self) -> str:
        """The run's id as a folder name that every file and object store takes."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.run_id)

    @property
    def timestamp(self) -> str:
        """`YYYYMMDDTHHMMSSZ` for file names, UTC."""
        return self.stamp.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")

    def days(self, time_zone: str) -> tuple[date, date]:
        """The interval as days of the source's calendar, the second one exclusive.

        SAP keeps the day of a change and not its time, so an interval within one day stands for that whole day, and a
        longer one for the days that begin in it.

        Raises:
            ConfigurationInvalid: the run has no interval.
        """
        if self.interval_start is None or self.interval_end is None:
            raise ConfigurationInvalid(
                f"The backfill run {self.run_id} has no data interval, so nobody knows which days to read; "
                "give the DAG a schedule with intervals, such as a cron expression in the instance's YAML."
            )
        zone = ZoneInfo(time_zone)
        first = self.interval_start.astimezone(zone).date()
        last = self.interval_end.astimezone(zone).date()
        return first, max(last, first + timedelta(days=1))


@dataclass(frozen=True)
class EntityPlan:
    """What a run reads of one entity. Small and JSON-ready: it travels through XCom.

    Attributes:
        read: `all` records, those of a `window`, or only the `held` ones.
        since: First day of the window, `YYYY-MM-DD`, the company's calendar; None is open.
        until: The day after the last one; None is open.
        after_key: For entities without a change date: keys above this one are new.
        with_held: Whether the open held records are read again too.
        held_keys: Which held records, when only some are replayed; empty means all that are open.
        resend: Send again what was delivered before (`full_refresh`).
        moves_watermark: Whether the run's end is where the next one starts.
    """

    entity: str
    read: Literal["all", "window", "held"]
    since: str | None = None
    until: str | None = None
    after_key: int | None = None
    with_held: bool = True
    held_keys: tuple[str, ...] = field(default=())
    resend: bool = False
    moves_watermark: bool = True

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return {**asdict(self), "held_keys": list(self.held_keys)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EntityPlan:
        """From XCom."""
        return cls(**{**data, "held_keys": tuple(data.get("held_keys", ()))})

    def window(self) -> dict[str, Any]:
        """For the ledger: what was read, in words of the source."""
        return {
            name: value
            for name, value in self.to_json().items()
            if name in ("read", "since", "until", "after_key") and value is not None
        }


def wanted(run: Run, entities: Sequence[str]) -> list[str]:
    """The entities that this run reads, in the configuration's order.

    Raises:
        ConfigurationInvalid: the run's `conf` names one that the instance does not have.
    """
    for option, names in (("entities", run.entities), ("full_refresh", run.full_refresh)):
        for name in names:
            if name not in entities:
                raise ConfigurationInvalid(
                    f"conf.{option} names {name!r}, which {run.integration}/{run.instance} does not have; "
                    f"it has {', '.join(entities)}."
                )
    if run.entities:
        return [name for name in entities if name in run.entities]
    return list(entities)
