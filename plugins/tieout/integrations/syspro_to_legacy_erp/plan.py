"""What a run reads of each entity: a closed period's postings, documents by date, masters whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from tieout.calendars import Calendar, Period, load_calendar, parse_label
from tieout.config import LegacyErpEntity, SysproToLegacyErp
from tieout.errors import ConfigurationInvalid
from tieout.integrations.held_again import allowed, is_limited
from tieout.integrations.run import Run, wanted
from tieout.integrations.syspro_to_legacy_erp.archive import files_to_resend
from tieout.ledger import Ledger
from tieout.staging import Folder

GL_POSTINGS = "gl_postings"
DATED = ("invoices", "purchase_orders")
MOST_PERIODS = 15
"""SYSPRO's tables have room for so many; the one after the calendar's last is for adjustments."""

Read = Literal["period", "window", "all", "held", "archive"]


@dataclass(frozen=True)
class Asked:
    """What a person asked for beyond the ordinary, from the run's `conf`.

    Attributes:
        period: The period, `2026-01` or `202601`; empty: the run's own.
        resend: Entities or file names to send again byte for byte; `("all",)` for every entity.
        regenerate: Entities to make anew with new numbers; `("all",)` for every entity.
    """

    period: str = ""
    resend: tuple[str, ...] = ()
    regenerate: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Asked:
        """From a run's params; `true` stands for everything."""
        return cls(
            str(params.get("period") or "").strip(),
            _names(params.get("resend")),
            _names(params.get("regenerate")),
        )


def _names(value: object) -> tuple[str, ...]:
    if value is True:
        return ("all",)
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else ()


@dataclass(frozen=True)
class Plan:
    """What a run reads of one entity. Small and JSON-ready: it travels through XCom.

    Attributes:
        entity: The entity.
        read: A `period` of postings, documents of a `window`, `all` of them, only the `held` ones, or the files of
            the `archive` that are sent again.
        period: The run's period, YYYYPP, for names.
        periods: For postings: the periods to read, YYYYPP, the run's own first; the others only for late postings.
        since: First day of the window, YYYY-MM-DD, the company's calendar; None is open.
        until: The day after the last; None is open.
        resend: Send again what was sent before.
        replaces: The files replace earlier ones (X12 purpose 05).
        files: With `archive`: which files; empty means all of the period.
        moves_watermark: Whether the newest date seen is where the next run starts.
        held_keys: Which held records, when only some are replayed; empty means all that are open.
    """

    entity: str
    read: Read
    period: str
    periods: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    resend: bool = False
    replaces: bool = False
    files: tuple[str, ...] = ()
    moves_watermark: bool = True
    held_keys: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """From XCom."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return cls(**values)

    def window(self) -> dict[str, Any]:
        """For the ledger: what was read, in words of the source."""
        told = ("read", "period", "periods", "since", "until", "replaces", "files")
        return {name: value for name, value in self.to_json().items() if name in told and value}


def run_period(run: Run, asked: Asked, calendar: Calendar) -> Period:
    """The period that a run is for: the one asked for, the one of its interval, else the one closed last.

    Raises:
        ConfigurationInvalid: The calendar does not have it, or no period has closed yet.
    """
    if asked.period:
        return named_period(asked.period, calendar)
    started = calendar.period_starting(run.interval_start) if run.interval_start is not None else None
    if started is not None and (run.mode == "backfill" or run.by_schedule):
        return started
    close = calendar.last_close(run.stamp)
    if close is None:
        raise ConfigurationInvalid(
            f'No period of the calendar {calendar.name!r} has closed yet. Name one: conf {{"period": "2026-01"}}.'
        )
    return close.period


def named_period(label: str, calendar: Calendar) -> Period:
    """A period by its name, `2026-01` or `202601`; or an adjustment period that no rule lists."""
    try:
        year, number = parse_label(label)
    except ValueError as error:
        raise ConfigurationInvalid(f"conf.period: {error}.") from None
    regular = [each for each in range(1, MOST_PERIODS + 1) if calendar.has_period(year, each)]
    if regular and number == regular[-1] + 1 <= MOST_PERIODS:
        last = calendar.period(f"{year:04d}-{regular[-1]:02d}").last_day
        return Period(year, number, last, last, adjustment=True)
    return calendar.period(label)


def is_closed(period: Period, calendar: Calendar, moment: datetime) -> bool:
    """Whether the books of a period are closed at a moment (aware); those of an adjustment period with its year's."""
    regular = calendar.period_of(period.last_day) if period.adjustment else period
    return calendar.close_of(regular).at <= moment


def plan_run(
    run: Run, asked: Asked, config: SysproToLegacyErp, calendar: Calendar, ledger: Ledger, archive: Folder
) -> list[Plan]:
    """What to read, in the order of delivery; entities with nothing to do are left out.

    Raises:
        ConfigurationInvalid: `conf` names an entity, a period, a file or a held record that is not there.
    """
    entities = config.enabled_entities()
    _check_names(asked, entities)
    period = run_period(run, asked, calendar)
    plans = []
    for name in wanted(run, list(entities)):
        if asked.resend:
            plan = _plan_resend(run, asked, name, period, ledger, archive)
        elif run.mode == "held_only":
            plan = _plan_held(run, config, name, period, ledger)
        elif name == GL_POSTINGS:
            plan = _plan_postings(run, asked, config, period, ledger)
        else:
            plan = _plan_documents(run, asked, config, name, entities[name], period, ledger)
        if plan is not None:
            plans.append(plan)
    if asked.resend and not plans:
        raise ConfigurationInvalid(
            f"conf.resend asks for {', '.join(asked.resend)} of {period.label}, but nothing of that was delivered. "
            "`bin/tieout files` lists what was; name a file, or another period."
        )
    _check_resent(asked, entities, plans)
    return plans


def _check_names(asked: Asked, entities: Mapping[str, LegacyErpEntity]) -> None:
    for name in asked.regenerate:
        if name != "all" and name not in entities:
            raise ConfigurationInvalid(
                f"conf.regenerate names {name!r}; it takes entities of this instance: {', '.join(entities)}."
            )


def _check_resent(asked: Asked, entities: Mapping[str, LegacyErpEntity], plans: Sequence[Plan]) -> None:
    """Every name under `resend` is an entity or a file that was found."""
    found = {"all", *entities, *(file for plan in plans for file in plan.files)}
    unknown = [name for name in asked.resend if name not in found]
    if unknown:
        raise ConfigurationInvalid(
            f"conf.resend names {', '.join(unknown)}, which is no entity of this instance and no file that was "
            "delivered, or not one of the period asked for. `bin/tieout files` lists what was; nothing was sent."
        )


def _asked_for(names: tuple[str, ...], entity: str) -> bool:
    return "all" in names or entity in names


def _plan_resend(run: Run, asked: Asked, name: str, period: Period, ledger: Ledger, archive: Folder) -> Plan | None:
    """The files of a period, or the files that are named."""
    code = period.code if asked.period or not _names_files(asked) else ""
    found = files_to_resend(ledger, archive, run.scope(name), code, asked.resend)
    if not found:
        return None
    files = tuple(file.file_name for file in found)
    return Plan(name, "archive", period.code, files=files, resend=True, moves_watermark=False)


def _names_files(asked: Asked) -> bool:
    return any("." in name for name in asked.resend)


def _plan_postings(run: Run, asked: Asked, config: SysproToLegacyErp, period: Period, ledger: Ledger) -> Plan:
    """The run's period, and the periods before it that were sent: late postings go in files of their own."""
    replaces = _asked_for(asked.regenerate, GL_POSTINGS)
    resend = replaces or GL_POSTINGS in run.full_refresh
    periods = [period.code]
    if run.mode != "backfill" and not resend:
        sent = sorted(
            period_of_key(f"{partition}|0|0") for partition in ledger.packed_partitions(run.scope(GL_POSTINGS))
        )
        earlier = [code for code in sent if code < period.code]
        periods += earlier[-config.source.late_periods :] if config.source.late_periods else []
        periods += [code for code in _held_periods(run, config, ledger) if code not in periods]
    return Plan(
        GL_POSTINGS,
        "period",
        period.code,
        tuple(periods),
        resend=resend,
        replaces=replaces,
        moves_watermark=False,
    )


def _held_periods(run: Run, config: SysproToLegacyErp, ledger: Ledger) -> list[str]:
    """Periods of the postings that are held: they are tried again."""
    return sorted({period_of_key(key) for key in held_again(run, config, GL_POSTINGS, ledger)} - {""})


def held_again(
    run: Run, config: SysproToLegacyErp, name: str, ledger: Ledger, among: Collection[str] | None = None
) -> list[str]:
    """Source keys of the held records that the run may take up again.

    A journal goes whole or not at all: one posting that waits for a second person keeps its journal's others back.

    Args:
        run: The run.
        config: The instance.
        name: The entity.
        ledger: The book of record.
        among: Only these source keys; None means all that are open.
    """
    scope = run.scope(name)
    if not is_limited(run, config.second_person):
        keys = ledger.open_held_keys(scope)
        return keys if among is None else [key for key in keys if key in among]
    whole = _journal_of if name == GL_POSTINGS else str
    named = None if among is None else {whole(key) for key in among}
    rows = [row for row in ledger.open_held(scope) if named is None or whole(row.source_key) in named]
    taken = {row.source_key for row in allowed(run, config.second_person, ledger, rows)}
    waiting = {whole(row.source_key) for row in rows if row.source_key not in taken}
    return [
        row.source_key
        for row in rows
        if (among is None or row.source_key in among) and whole(row.source_key) not in waiting
    ]


def _journal_of(key: str) -> str:
    """`2026|1|12345` of a posting's key `2026|1|12345|2`: year, period and journal."""
    return key.rpartition("|")[0]


def period_of_key(key: str) -> str:
    """`202601` of a posting's key `2026|1|12345|2`; empty where it is none."""
    parts = key.split("|")
    if len(parts) != 4 or not all(part.isdigit() for part in parts[:2]):
        return ""
    return f"{int(parts[0]):04d}{int(parts[1]):02d}"


def _plan_documents(
    run: Run,
    asked: Asked,
    config: SysproToLegacyErp,
    name: str,
    entity: LegacyErpEntity,
    period: Period,
    ledger: Ledger,
) -> Plan | None:
    code = period.code
    replaces = _asked_for(asked.regenerate, name)
    resend = replaces or name in run.full_refresh
    if run.mode == "backfill":
        return _plan_interval(run, config, name, code, resend)
    if resend:
        return Plan(name, "all", code, resend=True, replaces=replaces)
    since: date | None = config.start_date if name in DATED and "start_date" in config.model_fields_set else None
    if entity.read == "window":
        seen = (ledger.watermark(run.scope(name)) or {}).get("seen")
        if seen:
            since = date.fromisoformat(str(seen)) - timedelta(days=config.source.overlap_days)
    return Plan(name, "window" if since else "all", code, since=since.isoformat() if since else None)


def _plan_interval(run: Run, config: SysproToLegacyErp, name: str, code: str, resend: bool) -> Plan | None:
    """Exactly the interval's days. Masters have no days, so a backfill leaves them out unless asked."""
    if name not in DATED:
        return Plan(name, "all", code, resend=True, moves_watermark=False) if resend else None
    first, after_last = run.days(load_calendar(config.calendar).file.timezone)
    return Plan(
        name,
        "window",
        code,
        since=first.isoformat(),
        until=after_last.isoformat(),
        resend=resend,
        moves_watermark=False,
    )


def _plan_held(run: Run, config: SysproToLegacyErp, name: str, period: Period, ledger: Ledger) -> Plan | None:
    """The held records, or those of them that are named."""
    among: set[str] | None = None
    if run.held_ids:
        rows = [(held_id, ledger.get_held(held_id)) for held_id in run.held_ids]
        for held_id, row in rows:
            if row is None or (row.integration, row.instance) != (run.integration, run.instance):
                raise ConfigurationInvalid(
                    f"conf.held_ids names {held_id}, but {run.integration}/{run.instance} holds no such record; "
                    "`bin/tieout held` lists them."
                )
        among = {row.source_key for _, row in rows if row and row.entity == name and row.status == "held"}
    keys = held_again(run, config, name, ledger, among)
    if not keys:
        return None
    named = bool(run.held_ids) or is_limited(run, config.second_person)
    periods = tuple(sorted({period_of_key(key) for key in keys} - {""})) if name == GL_POSTINGS else ()
    return Plan(name, "held", period.code, periods, moves_watermark=False, held_keys=tuple(keys) if named else ())
