"""Airflow's deadline alerts, for runs that are not done in time. Light: DAG files import this."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from tieout.config import Instance, IntegrationConfig


def run_deadline(instance: Instance[Any]) -> list[DeadlineAlert] | None:
    """The deadline of an instance's runs, counted from when a run was queued; None where it has none."""
    config: IntegrationConfig = instance.config
    if config.deadline is None:
        return None
    enabled: Iterable[str] = getattr(config, "enabled_entities", getattr(config, "enabled_clients", tuple))()
    callback = AsyncCallback(
        deadline_missed,
        kwargs={"integration": instance.integration, "instance": instance.name, "entities": list(enabled)},
    )
    interval = timedelta(hours=config.deadline.hours)
    return [
        DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=interval, callback=callback, name="done in time"
        )
    ]


async def deadline_missed(
    integration: str, instance: str, entities: list[str], context: Mapping[str, Any] | None = None
) -> str:
    """What Airflow's triggerer does when a run is not done in time: an alert, which the DAG `alerts` sends.

    Args:
        integration: Whose run.
        instance: Whose run.
        entities: What it has to deliver.
        context: Airflow's: the run as its API gives it, and the deadline.
    """
    # In a thread: the ledger is asked, and finding it may ask Airflow's API.
    return await asyncio.to_thread(_raise, integration, instance, entities, context or {})


def _raise(integration: str, instance: str, entities: list[str], context: Mapping[str, Any]) -> str:
    from tieout.alerts.occasions import raise_deadline_missed
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url

    run, deadline = context["dag_run"], context["deadline"]
    conf = run.get("conf") or {}
    if conf.get("dry_run"):
        return "a dry run has no deadline"
    wanted = [name for name in entities if name in (conf.get("entities") or entities)]
    with Ledger.open(ledger_url()) as ledger:
        raise_deadline_missed(
            ledger,
            integration,
            instance,
            run["dag_run_id"],
            wanted,
            _minute(deadline["deadline_time"]),
            _period(conf, run.get("data_interval_start"), run.get("data_interval_end")),
        )
    return "raised"


def _period(conf: Mapping[str, Any], start: object, end: object) -> str:
    if conf.get("period"):
        return f"period {conf['period']}"
    return f"{_minute(start)} to {_minute(end)}" if start and end else "its interval"


def _minute(moment: object) -> str:
    parsed = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    return f"{parsed.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
