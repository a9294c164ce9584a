"""What a run reads of each client: what changed since the last one, what was asked for, what is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tieout.errors import ConfigurationInvalid
from tieout.integrations.backing_off import due
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig, BanqupToSftp, DocumentKind
from tieout.integrations.held_again import allowed
from tieout.integrations.run import Run, wanted
from tieout.ledger import HeldRow, Ledger
from tieout.systems.banqup import surface

LONGEST_BACKFILL_DAYS = 366


@dataclass(frozen=True)
class Query:
    """One list of documents that Banqup is asked for.

    Attributes:
        name: Its name in the watermark.
        status: The status that makes a document of this list ours to deliver.
    """

    name: str
    kind: DocumentKind
    folder: str
    category: str
    status: str


QUERIES: tuple[Query, ...] = (
    Query("purchase_invoices", "purchases", surface.PURCHASES, surface.INVOICE, surface.APPROVED),
    Query("purchase_credit_notes", "purchases", surface.PURCHASES, surface.CREDIT_NOTE, surface.APPROVED),
    Query("sales_invoices", "sales", surface.SALES, surface.INVOICE, surface.SENT),
    Query("sales_credit_notes", "sales", surface.SALES, surface.CREDIT_NOTE, surface.SENT),
    Query("statements", "statements", surface.BANK, surface.ENRICHED_MOVEMENT_REPORT, surface.APPROVED),
)
"""Purchases when they are approved, sales when they are sent, statements; credit notes by their direction."""


@dataclass(frozen=True)
class Asked:
    """What `conf` asks for beyond what every integration takes: a bounded back-fill.

    Attributes:
        since: Documents approved or sent from this moment on, aware; None without a back-fill.
        until: And before this one.
    """

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def read(cls, conf_from: str | None, conf_to: str | None, time_zone: str) -> Asked:
        """From `conf.backfill_from` and `conf.backfill_to`.

        Raises:
            ConfigurationInvalid: Only one of them is given, one is no date, or they are too far apart.
        """
        if not conf_from and not conf_to:
            return cls()
        if not conf_from or not conf_to:
            raise ConfigurationInvalid(
                "A back-fill is bounded: give both conf.backfill_from and conf.backfill_to, such as 2026-01-01 and "
                "2026-02-01 (the second day is not included)."
            )
        since, until = _moment("backfill_from", conf_from, time_zone), _moment("backfill_to", conf_to, time_zone)
        if not since < until <= since + timedelta(days=LONGEST_BACKFILL_DAYS):
            raise ConfigurationInvalid(
                f"conf.backfill_to {conf_to!r} must be after conf.backfill_from {conf_from!r}, by at most "
                f"{LONGEST_BACKFILL_DAYS} days; ask for a longer time in parts."
            )
        return cls(since, until)


def _moment(name: str, text: str, time_zone: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationInvalid(f"conf.{name} is {text!r}; write a date such as 2026-01-31.") from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(time_zone))


@dataclass(frozen=True)
class ClientPlan:
    """What a run reads of one client. Small and JSON-ready: it travels through XCom.

    Attributes:
        client: The client's external id.
        read: `changed` documents by the watermark, an `interval` of changes, a `backfill` by the moment of approval
            or sending, or only the `held` ones.
        since: Query → documents changed from this moment on, ISO 8601, UTC.
        until: Documents changed before this moment; None is open.
        after: Documents approved or sent after this moment, and no others.
        before: And before this one; None is open.
        held_keys: Held documents that are looked at again.
        resend: Deliver again what was delivered before (`full_refresh`).
        moves_watermark: Whether the next run goes on from where this one ends.
        watermark: As it was when the plan was made.
        waits: Why the client's turn has not come: its server could not be reached; empty where it has.
    """

    client: str
    read: Literal["changed", "interval", "backfill", "held"]
    since: Mapping[str, str] = field(default_factory=dict)
    until: str | None = None
    after: str = ""
    before: str | None = None
    held_keys: tuple[str, ...] = ()
    resend: bool = False
    moves_watermark: bool = True
    watermark: Mapping[str, Any] = field(default_factory=dict)
    waits: str = ""

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return {**asdict(self), "held_keys": list(self.held_keys)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClientPlan:
        """From XCom."""
        return cls(**{**data, "held_keys": tuple(data.get("held_keys", ()))})

    def window(self) -> dict[str, Any]:
        """For the ledger: what was read, in words of the source."""
        told = {"read": self.read, "after": self.after, "before": self.before, "until": self.until}
        return {name: value for name, value in told.items() if value} | (
            {"since": min(self.since.values())} if self.since else {}
        )


def plan_run(run: Run, asked: Asked, config: BanqupToSftp, ledger: Ledger) -> list[ClientPlan]:
    """What to read of each client.

    Raises:
        ConfigurationInvalid: `conf` names a client that the instance does not have, or what it asks for makes no
            sense together.
    """
    clients = config.enabled_clients()
    if asked.since and (run.full_refresh or run.mode != "incremental"):
        raise ConfigurationInvalid(
            "conf.backfill_from asks for a back-fill by itself; leave full_refresh and held_only out of it."
        )
    watermarks = ledger.watermarks(run.integration, run.instance)
    held = ledger.open_held_of(run.integration, run.instance)
    receivers = ledger.receivers(run.integration, run.instance)
    now = datetime.now(UTC)
    by_interval = bool(asked.since) or run.mode == "backfill"  # exactly that, without what is held
    plans = []
    for name in wanted(run, list(clients)):
        down = receivers.get(name)
        waits = ""
        if (
            run.by_schedule
            and down is not None
            and down.state == "down"
            and down.next_try_at
            and down.next_try_at > now
        ):
            waits = f"{down.last_error} The next try is due at {_iso(down.next_try_at)}."
        again = [] if by_interval else _held_again(run, config, ledger, held.get(name, ()), now)
        plans.append(_plan(run, asked, config, clients[name], watermarks.get(name) or {}, again, waits))
    return plans


def _plan(
    run: Run,
    asked: Asked,
    config: BanqupToSftp,
    client: BanqupClientConfig,
    watermark: Mapping[str, Any],
    again: Sequence[str],
    waits: str,
) -> ClientPlan:
    name, after = client.external_id, _iso(client.activated_at)
    if run.mode == "held_only":
        return ClientPlan(name, "held", after=after, held_keys=tuple(again), moves_watermark=False, watermark=watermark)
    if asked.since and asked.until:
        since = dict.fromkeys((query.name for query in QUERIES), _iso(asked.since))
        # The first moment counts, so the one before it is what documents must be after.
        begin = _iso(asked.since - timedelta(microseconds=1))
        return ClientPlan(
            name, "backfill", since, after=begin, before=_iso(asked.until), moves_watermark=False, watermark=watermark
        )
    if run.mode == "backfill":
        start, end = _interval(run)
        since = dict.fromkeys((query.name for query in QUERIES), _iso(start))
        return ClientPlan(
            name, "interval", since, until=_iso(end), after=after, moves_watermark=False, watermark=watermark
        )
    resend = name in run.full_refresh
    lookback = timedelta(minutes=config.source.lookback_minutes)
    seen = watermark.get("seen", {})
    since = {}
    for query in QUERIES:
        last = None if resend else seen.get(query.name)
        begin_at = datetime.fromisoformat(last) - lookback if last else client.activated_at
        since[query.name] = _iso(max(begin_at, client.activated_at))
    return ClientPlan(
        name,
        "changed",
        since,
        after=after,
        held_keys=tuple(again),
        resend=resend,
        watermark=watermark,
        waits=waits,
    )


def _held_again(run: Run, config: BanqupToSftp, ledger: Ledger, rows: Sequence[HeldRow], now: datetime) -> list[str]:
    """The held documents that this run looks at again."""
    wanted = [
        row
        for row in rows
        if (not run.held_ids or row.id in run.held_ids) and (not run.by_schedule or due(row, config.held, now))
    ]
    return [row.source_key for row in allowed(run, config.second_person, ledger, wanted)]


def _interval(run: Run) -> tuple[datetime, datetime]:
    if run.interval_start is None or run.interval_end is None:
        raise ConfigurationInvalid(
            f"The backfill run {run.run_id} has no data interval, so nobody knows which changes to read; give the DAG "
            "a schedule with intervals, such as a cron expression in the instance's YAML."
        )
    return run.interval_start, run.interval_end


def year_of(run: Run, config: BanqupToSftp) -> str:
    """`[year]`: the year of the run, by the instance's clock."""
    return str(_local(run, config).year)


def day_of(run: Run, config: BanqupToSftp) -> str:
    """The day in file names, `YYYYMMDD`: that of the run, by the instance's clock."""
    return _local(run, config).strftime("%Y%m%d")


def _local(run: Run, config: BanqupToSftp) -> datetime:
    return run.stamp.astimezone(ZoneInfo(config.timezone))


def _iso(moment: datetime) -> str:
    """ISO 8601 in UTC, with milliseconds as Banqup has them."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")
