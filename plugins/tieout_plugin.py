"""What Tieout adds to Airflow itself. The only file in this folder that Airflow loads as a plugin."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from tieout import listeners
from tieout.console.mount import ConsoleApp
from tieout.operators.close_timetable import CloseTimetable


class TieoutPlugin(AirflowPlugin):
    """Registers Tieout with Airflow."""

    name = "tieout"
    listeners = [listeners]  # noqa: RUF012 - the form that Airflow asks for
    timetables = [CloseTimetable]  # noqa: RUF012
    fastapi_apps = [{"app": ConsoleApp(), "url_prefix": "/tieout", "name": "Tieout"}]  # noqa: RUF012
