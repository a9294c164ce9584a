"""# Alerts

Tells people what happened, what it means for the money, and what to do: by mail and webhook, each message once.

| step | what happens |
|---|---|
| `write_held_digest` | once a day: which records are held, what is wrong with each, where to correct it |
| `send_alerts` | sends what is due; what came up in quiet hours waits for their end |

Who is told of what is in `include/alerts.yaml`. Most alerts are sent at once by the task that failed; this DAG
sends those that nobody could: a worker was killed, a mail server was down, a deadline passed.

**When it is red**: its last log line says which mail server or webhook takes nothing, and why. Nothing is lost:
messages are tried again for a week.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, TriggerRule

from tieout.operators.alerts import SendAlerts, WriteHeldDigest
from tieout.operators.dags import OWNER

with DAG(
    dag_id="alerts",
    dag_display_name="Alerts",
    description="Sends by mail and webhook what people have to know",
    schedule=CronDataIntervalTimetable("*/5 * * * *", timezone="UTC"),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # Silence must not depend on somebody having found the switch; without recipients it sends nothing.
    is_paused_upon_creation=False,
    doc_md=__doc__,
    tags=["tieout"],
    default_args={"owner": OWNER, "retries": 0},
):
    digest = WriteHeldDigest(task_id="write_held_digest")
    digest >> SendAlerts(task_id="send_alerts", trigger_rule=TriggerRule.ALL_DONE)
