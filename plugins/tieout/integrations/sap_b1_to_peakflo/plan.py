"""What a run reads of each entity: from the watermark, from Airflow's interval, whole, or only what is held."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from tieout.config import ExportedEntity, SapB1Export
from tieout.errors import ConfigurationInvalid
from tieout.integrations.held_again import allowed, is_limited
from tieout.integrations.run import EntityPlan, Run, wanted
from tieout.ledger import Ledger

# Entities whose source has no change date: new ones are found by key, changed ones by reading a window again.
APPEND_ONLY = frozenset({"payments"})


def plan_run(run: Run, config: SapB1Export, ledger: Ledger) -> list[EntityPlan]:
    """What to read, in the order of delivery; entities with nothing to do are left out.

    Raises:
        ConfigurationInvalid: `conf` names an entity that the instance does not have, or held records that are not open.
    """
    entities = config.enabled_entities()
    names = wanted(run, list(entities))
    plans = [_plan_entity(run, config, name, entities[name], ledger) for name in names]
    permitted = [_with_held_allowed(run, config, plan, ledger) for plan in plans if plan is not None]
    return [plan for plan in permitted if plan is not None]


def _with_held_allowed(run: Run, config: SapB1Export, plan: EntityPlan, ledger: Ledger) -> EntityPlan | None:
    """The plan without the held records for which a second person is needed; None where nothing else was left."""
    if not plan.with_held or not is_limited(run, config.second_person):
        return plan
    rows = ledger.open_held(run.scope(plan.entity))
    if plan.held_keys:
        rows = [row for row in rows if row.source_key in set(plan.held_keys)]
    taken = allowed(run, config.second_person, ledger, rows)
    if len(taken) == len(rows):
        return plan
    if not taken and plan.read == "held":
        return None
    return replace(plan, held_keys=tuple(row.source_key for row in taken), with_held=bool(taken))


def _plan_entity(run: Run, config: SapB1Export, name: str, entity: ExportedEntity, ledger: Ledger) -> EntityPlan | None:
    if run.mode == "held_only":
        return _plan_held(run, name, ledger)
    resend = name in run.full_refresh
    if run.mode == "backfill":
        return _plan_backfill(run, config, name, entity, resend)
    if resend:
        return EntityPlan(name, "all", resend=True)
    watermark = ledger.watermark(run.scope(name))
    if watermark is None:
        return EntityPlan(name, "all")
    if entity.mode == "once":
        return EntityPlan(name, "held", moves_watermark=False) if ledger.open_held_keys(run.scope(name), 1) else None
    return _plan_since(config, name, watermark)


def _plan_since(config: SapB1Export, name: str, watermark: dict[str, object]) -> EntityPlan:
    """From the last committed watermark, minus the lookback."""
    day = watermark.get("changed")
    if day is None:
        return EntityPlan(name, "all")
    back = config.source.payment_window_days if name in APPEND_ONLY else config.source.lookback_days
    key = watermark.get("key")
    return EntityPlan(
        name,
        "window",
        since=(date.fromisoformat(str(day)) - timedelta(days=back)).isoformat(),
        after_key=int(str(key)) if name in APPEND_ONLY and key is not None else None,
    )


def _plan_backfill(run: Run, config: SapB1Export, name: str, entity: ExportedEntity, resend: bool) -> EntityPlan | None:
    """Exactly the interval's days. What is sent once has no days, so a backfill leaves it out unless asked."""
    if entity.mode == "once":
        return EntityPlan(name, "all", resend=True, with_held=False, moves_watermark=False) if resend else None
    first, after_last = run.days(config.timezone)
    return EntityPlan(
        name,
        "window",
        since=first.isoformat(),
        until=after_last.isoformat(),
        with_held=False,
        resend=resend,
        moves_watermark=False,
    )


def _plan_held(run: Run, name: str, ledger: Ledger) -> EntityPlan | None:
    scope = run.scope(name)
    if not run.held_ids:
        return EntityPlan(name, "held", moves_watermark=False) if ledger.open_held_keys(scope, 1) else None
    keys = []
    for held_id in run.held_ids:
        row = ledger.get_held(held_id)
        if row is None or (row.integration, row.instance) != (run.integration, run.instance):
            raise ConfigurationInvalid(
                f"conf.held_ids names {held_id}, but {run.integration}/{run.instance} holds no such record; "
                "`bin/tieout held` lists them."
            )
        if row.entity == name and row.status == "held":
            keys.append(row.source_key)
    return EntityPlan(name, "held", held_keys=tuple(keys), moves_watermark=False) if keys else None
