"""# Connections' health

Looks once an hour at every connection that an enabled instance uses, side by side: can its server be reached, does the
log-in work, is the host key the pinned one, may files be written, is its clock right, how long does a session live,
when does its certificate end, and are password, private key and passphrase due for a change. Nothing is sent or
changed: in an SFTP folder a tiny hidden file is made and removed, and SYSPRO's one session is left to the run that has
it.

| step | what happens |
|---|---|
| `check_connections` | looks at all connections, keeps what it found, raises and ends alerts |

**Green** means that nobody has to do anything now. What the log calls a warning can wait for office hours: a password
that is due in two weeks, a certificate near its end. A server that does not answer is given a second look, an hour
later, before anybody is troubled.

**Red** means that somebody must act: the task's last log lines say on which connection, what is wrong, and what to do.
It stays red until that is done; the alert comes once, and another one when it is over. After a log-in was refused it is
**not tried again** until the connection is changed or a day has passed, so that a check never locks an account.

**Trigger with** `also_refused` to try such log-ins all the same, for instance after the receiver has unlocked the
account. `bin/tieout check` does the same from the command line, and `bin/tieout check --last` shows the last look.

When and by which rules: `include/health.yaml`. Every answer, and how to change passwords, keys and host keys without an
outage: `docs/health.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from tieout.config import BrokenInstance
from tieout.errors import ConfigurationInvalid
from tieout.health.policy import HealthConfig, load_health
from tieout.operators.connection_health import CheckConnections
from tieout.operators.dags import OWNER, broken_dag

DAG_ID = "connection_health"


def connection_health(config: HealthConfig) -> None:
    """The DAG."""
    with DAG(
        dag_id=DAG_ID,
        description="Whether every connection can be used, and for how long yet",
        schedule=CronDataIntervalTimetable(config.schedule, timezone=config.timezone) if config.schedule else None,
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        doc_md=__doc__,
        tags=["tieout", "health"],
        params={
            "also_refused": Param(
                False,
                type="boolean",
                title="Also refused log-ins",
                description="Try log-ins again that were refused. Each attempt counts towards locking the account.",
            )
        },
        default_args={"owner": OWNER, "retries": 0},
    ):
        CheckConnections(task_id="check_connections", execution_timeout=timedelta(minutes=30))


try:
    connection_health(load_health())
except ConfigurationInvalid as error:
    broken_dag(BrokenInstance(DAG_ID, "default", error))
