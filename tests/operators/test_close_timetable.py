"""The close timetable as Airflow uses it: serialised, scheduled, backfilled, run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_home import ROOT, airflow_environment

PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
from tieout.operators.close_timetable import CloseTimetable


class Timetables(AirflowPlugin):
    name = "close_timetable"
    timetables = [CloseTimetable]
"""

CALENDAR = """
timezone: Europe/Brussels
periods: {kind: monthly}
close: {business_days: 3, at: "06:00", holidays: {every_year: ["01-01"]}}
"""

TABLE = """
timezone: Europe/Brussels
periods:
  kind: table
  first_day: 2025-11-01
  ends: {2025-11: 2025-11-30, 2025-12: 2025-12-31, 2026-01: 2026-01-31, 2026-02: 2026-02-28, 2026-03: 2026-03-31}
  adjustments: {2025-13: 2025-12-31}
close: {business_days: 3, at: "06:00", holidays: {every_year: ["01-01"]}, on: {2025-13: 2026-02-20}}
"""

RETAIL = """
timezone: America/New_York
periods: {kind: 4-5-4, year_ends: {weekday: saturday, month: 1, rule: nearest}, year_named_after: start}
close: {business_days: 4, at: "06:00"}
"""

# One process, many questions: each answers with JSON what Airflow's own classes make of the timetable.
SERVICE = """
import json, sys
from datetime import datetime
from unittest import mock
import pendulum
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.serialization.encoders import encode_timetable
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.utils.types import DagRunType
from tieout.calendars import Calendar, CalendarFile
from tieout.operators import close_timetable
from tieout.yaml_file import parse_yaml

def moment(text):
    return text and pendulum.instance(datetime.fromisoformat(text))

def interval(pair):
    return pair and DataInterval(moment(pair[0]), moment(pair[1]))

def show(info):
    return info and [moment.isoformat() for moment in (*info.data_interval, info.run_after)]

def timetable(text):
    calendar = Calendar(parse_yaml(text, "calendar.yaml").validate(CalendarFile), "ours")
    return close_timetable.CloseTimetable(calendar)

def dag_of(question, catchup=False):
    start = question.get("start_date")
    with DAG("closing", schedule=timetable(question["calendar"]), start_date=moment(start), catchup=catchup) as dag:
        EmptyOperator(task_id="close")
    return DagSerialization.deserialize_dag(json.loads(json.dumps(DagSerialization.serialize_dag(dag))))

def next_runs(question):
    table = decode_timetable(json.loads(json.dumps(encode_timetable(timetable(question["calendar"])))))
    restriction = TimeRestriction(moment(question.get("earliest")), moment(question.get("latest")), question["catchup"])
    last, found = interval(question.get("last")), []
    with mock.patch.object(close_timetable, "datetime") as clock:
        clock.now.return_value = moment(question.get("now"))
        while len(found) < question["count"]:
            info = table.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
            found.append(show(info))
            if info is None:
                break
            last = info.data_interval
    return found

def backfill(question):
    dag = dag_of(question)
    return [show(info) for info in dag.iter_dagrun_infos_between(moment(question["from"]), moment(question["to"]))]

def manual(question):
    table = dag_of(question).timetable
    after = moment(question["run_after"])
    found = table.infer_manual_data_interval(run_after=after)
    run_id = table.generate_run_id(run_type=DagRunType.MANUAL, run_after=after, data_interval=found)
    return [found.start.isoformat(), found.end.isoformat(), run_id]

def describe(question):
    table = dag_of(question).timetable
    first, second = (json.dumps(DagSerialization.serialize_dag(DAG("d", schedule=timetable(question["calendar"]))))
                     for _ in range(2))
    return [table.summary, table.description, table.type_name, table.periodic, first == second]

answers = {"next": next_runs, "backfill": backfill, "manual": manual, "describe": describe}
for line in sys.stdin:
    question = json.loads(line)
    print("ANSWER" + json.dumps(answers[question["ask"]](question)), flush=True)
"""


def environment(folder: Path) -> dict[str, str]:
    """Airflow with a plugins folder that has nothing but the timetable."""
    plugins = folder / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "timetables.py").write_text(PLUGIN, encoding="utf-8")
    return airflow_environment(folder, AIRFLOW__CORE__PLUGINS_FOLDER=str(plugins))


class Airflow:
    """Airflow in a process of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVICE], env=env, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, ask: str, calendar: str = CALENDAR, **question: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"ask": ask, "calendar": calendar, **question}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("ANSWER"):
                return json.loads(line.removeprefix("ANSWER"))
        raise AssertionError(f"the process ended with {self._process.wait()}; its error is above")

    def close(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    service = Airflow(environment(tmp_path_factory.mktemp("airflow")))
    yield service
    service.close()


# Months in Brussels: start, end, close. The clock changes on 29 March.
DECEMBER = ["2025-11-30T23:00:00+00:00", "2025-12-31T23:00:00+00:00", "2026-01-06T05:00:00+00:00"]
JANUARY = ["2025-12-31T23:00:00+00:00", "2026-01-31T23:00:00+00:00", "2026-02-04T05:00:00+00:00"]
FEBRUARY = ["2026-01-31T23:00:00+00:00", "2026-02-28T23:00:00+00:00", "2026-03-04T05:00:00+00:00"]
MARCH = ["2026-02-28T23:00:00+00:00", "2026-03-31T22:00:00+00:00", "2026-04-03T04:00:00+00:00"]
APRIL = ["2026-03-31T22:00:00+00:00", "2026-04-30T22:00:00+00:00", "2026-05-05T04:00:00+00:00"]
PERIOD_13 = ["2025-12-30T23:00:01+00:00", "2025-12-31T23:00:00+00:00", "2026-02-20T05:00:00+00:00"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        pytest.param({"now": "2026-02-10T12:00:00+00:00"}, [JANUARY, FEBRUARY, MARCH, APRIL], id="the one closed last"),
        pytest.param({"now": "2026-02-04T05:00:00+00:00"}, [JANUARY, FEBRUARY], id="at the very moment of a close"),
        pytest.param({"now": "2026-02-04T04:59:59+00:00"}, [DECEMBER, JANUARY], id="over but not yet closed"),
        pytest.param({"now": "2026-04-10T00:00:00+00:00", "last": DECEMBER[:2]}, [MARCH, APRIL], id="after a pause"),
        pytest.param({"now": "2026-02-10T00:00:00+00:00", "last": JANUARY[:2]}, [FEBRUARY, MARCH], id="after the last"),
        pytest.param(
            {"now": "2026-02-10T00:00:00+00:00", "earliest": "2026-02-10T00:00:00+00:00"}, [MARCH],
            id="start within a period",
        ),
        pytest.param(
            {"now": "2026-02-10T00:00:00+00:00", "latest": "2026-02-27T23:00:00+00:00"}, [JANUARY, FEBRUARY, None],
            id="end date",
        ),
        pytest.param(
            {"catchup": True, "now": "2026-09-01T00:00:00+00:00", "earliest": "2025-11-30T23:00:00+00:00"},
            [DECEMBER, JANUARY, FEBRUARY], id="catchup",
        ),
        pytest.param({"catchup": True, "now": "2026-09-01T00:00:00+00:00"}, [None], id="catchup without a start"),
        pytest.param(
            # A daily DAG before: its last day lies in February, which is run whole.
            {"now": "2026-02-10T00:00:00+00:00", "last": ["2026-02-09T00:00:00+00:00", "2026-02-10T00:00:00+00:00"]},
            [MARCH], id="after another schedule, logical dates never go back",
        ),
        pytest.param(
            {"now": "2026-02-10T00:00:00+00:00", "last": ["2025-12-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"]},
            [JANUARY, FEBRUARY], id="after months in UTC",
        ),
    ],
)  # fmt: skip
def test_what_runs_next(airflow: Airflow, question: dict[str, Any], expected: list[Any]) -> None:
    found = airflow.ask("next", **{"catchup": False, "count": len(expected), **question})
    assert found == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        pytest.param(
            {"now": "2026-01-20T00:00:00+00:00"}, [DECEMBER, JANUARY, PERIOD_13, FEBRUARY, MARCH, None],
            id="in order of close",
        ),
        pytest.param({"now": "2026-02-25T00:00:00+00:00"}, [PERIOD_13, FEBRUARY], id="an adjustment closed last"),
        pytest.param(
            {"now": "2025-06-01T00:00:00+00:00", "earliest": "2025-12-30T00:00:00+00:00"}, [JANUARY, PERIOD_13],
            id="before the table",
        ),
        pytest.param({"now": "2027-06-01T00:00:00+00:00", "last": MARCH[:2]}, [None], id="after the table"),
        pytest.param({"now": "2027-06-01T00:00:00+00:00"}, [MARCH, None], id="the table's last"),
    ],
)  # fmt: skip
def test_what_runs_next_by_a_table(airflow: Airflow, question: dict[str, Any], expected: list[Any]) -> None:
    assert airflow.ask("next", TABLE, catchup=False, count=len(expected), **question) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-01-01T00:00:00+00:00", "2026-03-31T00:00:00+00:00", [JANUARY, FEBRUARY, MARCH]),
        ("2026-01-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00", [JANUARY, FEBRUARY, MARCH]),
        ("2025-12-31T23:00:00+00:00", "2026-01-31T22:59:59+00:00", [JANUARY]),
        ("2025-12-31T23:00:01+00:00", "2026-02-01T01:00:00+00:00", [FEBRUARY]),
        ("2026-01-02T00:00:00+00:00", "2026-01-31T00:00:00+00:00", []),
    ],
)
def test_a_backfill_of_past_periods(airflow: Airflow, first: str, last: str, expected: list[Any]) -> None:
    answer = airflow.ask("backfill", **{"from": first, "to": last, "start_date": "2026-06-01T00:00:00+00:00"})
    assert answer == expected


def test_a_backfill_with_an_adjustment_period(airflow: Airflow) -> None:
    bounds = {"from": "2025-12-01T00:00:00+00:00", "to": "2025-12-31T00:00:00+00:00"}
    assert airflow.ask("backfill", TABLE, **bounds) == [DECEMBER, PERIOD_13]


def test_a_backfill_west_of_greenwich(airflow: Airflow) -> None:
    # The retail months February and March 2026: 1-28 February, 1 March - 4 April.
    bounds = {"from": "2026-02-01T00:00:00+00:00", "to": "2026-03-01T00:00:00+00:00"}
    assert airflow.ask("backfill", RETAIL, **bounds) == [
        ["2026-02-01T05:00:00+00:00", "2026-03-01T05:00:00+00:00", "2026-03-05T11:00:00+00:00"],
        ["2026-03-01T05:00:00+00:00", "2026-04-05T04:00:00+00:00", "2026-04-09T10:00:00+00:00"],
    ]


@pytest.mark.parametrize(
    ("calendar", "run_after", "expected"),
    [
        (CALENDAR, "2026-02-10T12:00:00+00:00", [*JANUARY[:2], "manual__2026-02-10T12:00:00+00:00__2026-01"]),
        (CALENDAR, "2026-02-04T04:00:00+00:00", [*DECEMBER[:2], "manual__2026-02-04T04:00:00+00:00__2025-12"]),
        (TABLE, "2026-02-21T00:00:00+00:00", [*PERIOD_13[:2], "manual__2026-02-21T00:00:00+00:00__2025-13"]),
        (TABLE, "2025-11-15T00:00:00+00:00", ["2025-11-15T00:00:00+00:00"] * 2 + ["manual__2025-11-15T00:00:00+00:00"]),
    ],
)  # fmt: skip
def test_a_run_by_hand_is_for_the_period_closed_last(
    airflow: Airflow, calendar: str, run_after: str, expected: list[str]
) -> None:
    assert airflow.ask("manual", calendar, run_after=run_after) == expected


def test_what_the_ui_shows(airflow: Airflow) -> None:
    assert airflow.ask("describe") == [
        "ours close +3, 06:00 Europe/Brussels",
        "Each monthly period of the calendar ours, 3 business days after its last day, at 06:00 Europe/Brussels",
        "tieout.operators.close_timetable.CloseTimetable",
        True,
        True,
    ]


DAG_FILE = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from tieout.calendars import load_calendar
from tieout.operators.close_timetable import CloseTimetable
from datetime import date

timetable = CloseTimetable(load_calendar("ours"))
with DAG("closing", schedule=timetable, start_date=timetable.start_of(date(2020, 1, 1)), catchup=False):
    EmptyOperator(task_id="close")
"""

IN_THE_DATABASE = """
import json, os
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.backfill import ReprocessBehavior, _create_backfill
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import func, select

initdb()
with create_session() as session:
    session.add(DagBundleModel(name="test"))
bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"], bundle_path=None, bundle_name="test")
assert not bag.import_errors, bag.import_errors
sync_bag_to_db(bag, bundle_name="test", bundle_version=None)

def rows(session):
    runs = session.scalars(select(DagRun).order_by(DagRun.logical_date))
    count = lambda run: session.scalar(select(func.count()).select_from(TaskInstance).where(
        TaskInstance.run_id == run.run_id))
    show = lambda run: [run.data_interval_start.isoformat(), run.data_interval_end.isoformat()]
    return [[run.run_type, run.run_id, *show(run), count(run)] for run in runs]

_create_backfill(
    dag_id="closing", from_date=datetime(2026, 1, 1, tzinfo=UTC), to_date=datetime(2026, 3, 31, tzinfo=UTC),
    max_active_runs=1, reverse=False, dag_run_conf={}, triggering_user_name="admin",
    reprocess_behavior=ReprocessBehavior.NONE,
)
with create_session() as session:
    backfilled = rows(session)
    dag_model = session.get(DagModel, "closing")
    planned = [dag_model.next_dagrun.isoformat(), dag_model.next_dagrun_data_interval.end.isoformat(),
               dag_model.next_dagrun_create_after.isoformat()]
    runner = SchedulerJobRunner(job=Job())
    runner._create_dag_runs([dag_model], session)
    session.flush()
    scheduled = [row for row in rows(session) if row[0] == "scheduled"]
    after = [dag_model.next_dagrun.isoformat(), dag_model.next_dagrun_data_interval.end.isoformat(),
             dag_model.next_dagrun_create_after.isoformat()]
print("RESULT" + json.dumps([backfilled, planned, scheduled, after]))
"""


@pytest.mark.integration
def test_airflow_creates_one_run_per_period(tmp_path: Path) -> None:
    """In Airflow's own database: a backfill of three periods, the scheduled run, and the one planned after it."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "closing.py").write_text(DAG_FILE, encoding="utf-8")
    (tmp_path / "include" / "calendars").mkdir(parents=True)
    (tmp_path / "include" / "calendars" / "ours.yaml").write_text(CALENDAR, encoding="utf-8")
    env = environment(tmp_path) | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "TIEOUT_INCLUDE": str(tmp_path / "include"),
    }
    done = subprocess.run([sys.executable, "-c", IN_THE_DATABASE], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    backfilled, planned, scheduled, after = json.loads(done.stdout.rpartition("RESULT")[2])

    assert [[row[0], row[2], row[3]] for row in backfilled] == [
        ["backfill", *JANUARY[:2]], ["backfill", *FEBRUARY[:2]], ["backfill", *MARCH[:2]],
    ]  # fmt: skip
    # What was planned is the period closed last by now, and it runs with its tasks.
    now = datetime.now(UTC)
    assert datetime.fromisoformat(planned[2]) <= now
    period = datetime.fromisoformat(planned[1]).strftime("%Y-%m")  # the interval ends on the evening before, in UTC
    assert [row[2:] for row in scheduled] == [[*planned[:2], 1]]
    assert scheduled[0][1] == f"scheduled__{planned[2]}__{period}"
    assert after[0] == planned[1] and datetime.fromisoformat(after[2]) > now


def test_the_timetable_is_light_to_import(tmp_path: Path) -> None:
    code = (
        "import json, sys, airflow.sdk\nfrom airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable\n"
        "before = set(sys.modules)\nimport tieout.operators.close_timetable\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(new - set(sys.stdlib_module_names))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(json.loads(done.stdout.splitlines()[-1])) <= {"airflow", "tieout"}
