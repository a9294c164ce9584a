"""An environment in which Airflow's modules can be imported without touching anybody's home."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def airflow_environment(folder: Path, **variables: str) -> dict[str, str]:
    """Variables for a child process: an own AIRFLOW_HOME in `folder`, nothing inherited that points elsewhere."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TIEOUT", "OPENLINEAGE"))
    }
    return {
        **inherited,
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}",
        **variables,
    }
