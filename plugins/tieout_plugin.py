"""What Tieout adds to Airflow itself. The only file in this folder that Airflow loads as a plugin."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from tieout import listeners
from tieout.console.mount import ConsoleApp
from tieout.operators.close_timetable import CloseTimetable
from tieout.operators.links import LINKS, PREFIX, page_root

# Behind a proxy, Airflow may be served under a path of its own; the browser needs it in front of ours.
PAGE = page_root()
ICONS = {"icon": f"{PAGE}static/nav-light.svg", "icon_dark_mode": f"{PAGE}static/nav-dark.svg"}


class TieoutPlugin(AirflowPlugin):
    """Registers Tieout with Airflow."""

    name = "tieout"
    listeners = [listeners]  # noqa: RUF012 - the form that Airflow asks for
    timetables = [CloseTimetable]  # noqa: RUF012
    fastapi_apps = [{"app": ConsoleApp(), "url_prefix": PREFIX, "name": "Tieout"}]  # noqa: RUF012
    operator_extra_links = list(LINKS)  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Tieout",
            "href": PAGE,
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "tieout",
            **ICONS,
        },
        {
            # Airflow puts the ids in as `encodeURIComponent` has them: `+` and `:` of a run's id arrive as they are.
            "name": "Tie-out",
            "href": f"{PAGE}?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "tie-out",
            **ICONS,
        },
    ]
