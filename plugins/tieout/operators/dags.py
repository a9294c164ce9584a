"""What all DAGs of Tieout have in common: names, timetable, retries by error class, the form of `conf`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

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
from tieout.operators.deadlines import run_deadline
from tieout.operators.links import page_path

OWNER = "tieout"
ON_THE_PAGE = "**On the Tieout page**"
"""What follows this in a DAG's documentation leads somewhere only in Airflow's UI."""


@dataclass(frozen=True)
class Route:
    """Between which systems an integration goes, in words for people.

    Attributes:
        source: The system that is read.
        target: The system that gets something.
        direction: `outbound`: files for a partner. `inbound`: a partner's files become entries in the ERP.
        description: One sentence about what goes.
    """

    source: str
    target: str
    direction: Literal["inbound", "outbound"]
    description: str

    def title(self, instance: str) -> str:
        """What Airflow's UI calls the DAG of an instance."""
        title = f"{self.source} → {self.target}"
        return title if instance == "default" else f"{title} ({instance})"

    def tags(self) -> tuple[str, ...]:
        """For the filter of Airflow's list of DAGs."""
        return f"from {self.source}", f"to {self.target}", self.direction


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


HELD = "Held records"
"""A section of the form; it has to be opened, while params without one are there at once."""


def several(values: Iterable[str], *, title: str, description: str, names: Mapping[str, str] | None = None) -> Param:
    """A param that takes some of these values; in the UI's form, a list to choose from.

    Args:
        values: What may be chosen.
        title: Its name in the form.
        description: What it does.
        names: What the form shows for a value, where that is not the value itself.
    """
    listed = list(values)
    schema: dict[str, Any] = {
        "type": ["array", "null"],
        "items": {"type": "string", "enum": listed},
        # What the form offers.
        "examples": listed,
        "title": title,
    }
    if names:
        schema["values_display"] = dict(names)
    return Param([], description=description, schema=schema)


def _params(entities: tuple[str, ...], names: Mapping[str, str] | None) -> dict[str, Param]:
    return {
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Show what would be sent; send nothing.",
        ),
        "entities": several(entities, title="Entities", description="Run only these; empty runs all.", names=names),
        "full_refresh": several(
            entities,
            title="Full refresh",
            description="Read and send these whole, also what was delivered before.",
            names=names,
        ),
        "held_only": Param(
            False,
            type="boolean",
            title="Held only",
            description="Retry held records and nothing else.",
            section=HELD,
        ),
        "held_ids": Param(
            [],
            type=["array", "null"],
            items={"type": "integer"},
            title="Held records",
            description="With held only: the ids of the records to retry; empty retries all.",
            section=HELD,
        ),
    }


def integration_dag(
    instance: Instance[Any],
    *,
    route: Route,
    entities: tuple[str, ...],
    doc_md: str | None,
    params: dict[str, Param] | None = None,
    names: Mapping[str, str] | None = None,
    timetable: CloseTimetable | None = None,
) -> DAG:
    """The DAG of one instance: an interval timetable, one run at a time, retries by error class.

    Args:
        instance: The instance.
        route: From where to where.
        entities: What `conf` may name.
        doc_md: What operators read.
        params: What `conf` takes besides the ordinary.
        names: What the form of `conf` calls an entity, where that is not its name.
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
        dag_display_name=route.title(instance.name),
        description=route.description,
        doc_md=f"{(doc_md or '').rstrip()}\n\n{_where_to_look(instance)}",
        params={**_params(entities, names), **(params or {})},
        tags=["tieout", instance.integration, *route.tags(), *config.tags],
        default_args=_default_args(config),
        deadline=run_deadline(instance),
    )


def _where_to_look(instance: Instance[Any]) -> str:
    """The end of what operators read: links to the Tieout page."""
    pages = {"its runs and how they tie out": "runs", "its files": "files", "what is held, and why": "held"}
    links = ", ".join(
        f"[{words}]({page_path(page, integration=instance.integration, instance=instance.name)})"
        for words, page in pages.items()
    )
    return f"{ON_THE_PAGE}: {links}. What each alert means, and what to do: `docs/operator.md`."


def companion_dag(
    instance: Instance[Any], name: str, *, route: Route, description: str, schedule: str, doc_md: str
) -> DAG:
    """A DAG beside an instance's own, for work that comes at other times; its id is `<dag_id>_<name>`."""
    config: IntegrationConfig = instance.config
    return DAG(
        dag_id=f"{instance.dag_id}_{name}",
        schedule=CronDataIntervalTimetable(schedule, timezone=config.timezone),
        start_date=datetime.combine(config.start_date, datetime.min.time(), tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dag_display_name=f"{route.title(instance.name)}: {name.replace('_', ' ')}",
        description=description,
        doc_md=doc_md,
        tags=["tieout", instance.integration, *route.tags(), *config.tags],
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
