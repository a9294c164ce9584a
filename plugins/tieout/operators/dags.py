"""What all DAGs of Tieout have in common: timetable, retries by error class, the form of `conf`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    BaseOperator,
    Context,
    CronDataIntervalTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
)

from tieout.config import BrokenInstance, Instance, IntegrationConfig
from tieout.errors import ConfigurationInvalid
from tieout.operators.close_timetable import CloseTimetable

OWNER = "tieout"

RETRY_BY_ERROR_CLASS = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=["tieout.errors.SourceUnavailable", "tieout.errors.ReceiverUnavailable"],
            action=RetryAction.DEFAULT,
            reason="an outage: back off and try again",
        ),
        RetryRule(
            exception="tieout.errors.TieoutError",
            action=RetryAction.FAIL,
            reason="trying again cannot cure this: it waits for a person",
        ),
    ]
)


def _params(entities: tuple[str, ...]) -> dict[str, Param]:
    names = {"type": "string", "enum": list(entities)}
    return {
        "dry_run": Param(False, type="boolean", title="Dry run", description="Show what would be sent; send nothing."),
        "entities": Param(
            [], type=["array", "null"], items=names, title="Entities", description="Run only these; empty runs all."
        ),
        "full_refresh": Param(
            [],
            type=["array", "null"],
            items=names,
            title="Full refresh",
            description="Read and send these whole, also what was delivered before.",
        ),
        "held_only": Param(
            False, type="boolean", title="Held only", description="Retry held records and nothing else."
        ),
        "held_ids": Param(
            [],
            type=["array", "null"],
            items={"type": "integer"},
            title="Held records",
            description="With held only: the ids of the records to retry; empty retries all.",
        ),
    }


def integration_dag(
    instance: Instance[Any],
    *,
    entities: tuple[str, ...],
    doc_md: str | None,
    params: dict[str, Param] | None = None,
    timetable: CloseTimetable | None = None,
) -> DAG:
    """The DAG of one instance: an interval timetable, one run at a time, retries by error class.

    Args:
        instance: The instance.
        entities: What `conf` may name.
        doc_md: What operators read.
        params: What `conf` takes besides the ordinary.
        timetable: Instead of the cron expression of `schedule`.
    """
    config: IntegrationConfig = instance.config
    schedule: Any = timetable
    start = datetime.combine(config.start_date, datetime.min.time(), tzinfo=UTC)
    if timetable is not None:
        start = timetable.start_of(config.start_date)
    elif config.schedule:
        schedule = CronDataIntervalTimetable(config.schedule, timezone=config.timezone)
    return DAG(
        dag_id=instance.dag_id,
        schedule=schedule,
        start_date=start,
        catchup=False,
        max_active_runs=1,
        doc_md=doc_md,
        params={**_params(entities), **(params or {})},
        tags=["tieout", instance.integration, *config.tags],
        default_args=_default_args(config),
    )


def companion_dag(instance: Instance[Any], name: str, *, schedule: str, doc_md: str) -> DAG:
    """A DAG beside an instance's own, for work that comes at other times; its id is `<dag_id>_<name>`."""
    config: IntegrationConfig = instance.config
    return DAG(
        dag_id=f"{instance.dag_id}_{name}",
        schedule=CronDataIntervalTimetable(schedule, timezone=config.timezone),
        start_date=datetime.combine(config.start_date, datetime.min.time(), tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        doc_md=doc_md,
        tags=["tieout", instance.integration, *config.tags],
        default_args=_default_args(config),
    )


def _default_args(config: IntegrationConfig) -> dict[str, Any]:
    retries = config.retries
    return {
        "owner": OWNER,
        "retries": retries.count,
        "retry_delay": timedelta(seconds=retries.first_delay_seconds),
        "retry_exponential_backoff": retries.multiplier,
        "max_retry_delay": timedelta(seconds=retries.max_delay_seconds),
        "retry_policy": RETRY_BY_ERROR_CLASS,
    }


class ReadConfiguration(BaseOperator):
    """The only task of an instance whose YAML file is wrong: it fails and says why."""

    def __init__(self, *, message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Context) -> None:
        """Say what is wrong.

        Raises:
            ConfigurationInvalid: always.
        """
        raise ConfigurationInvalid(self.message)


def broken_dag(broken: BrokenInstance) -> DAG:
    """A DAG for an instance whose file cannot be read, so that it is seen where operators look."""
    with DAG(
        dag_id=broken.dag_id,
        schedule=None,
        catchup=False,
        tags=["tieout", broken.integration, "configuration error"],
        doc_md=f"**This instance's configuration cannot be read.**\n\n{broken.error}",
        default_args={"owner": OWNER, "retries": 0},
    ) as dag:
        ReadConfiguration(task_id="read_configuration", message=str(broken.error))
    return dag
