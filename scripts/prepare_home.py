"""Prepare an AIRFLOW_HOME: folders, metadata database, ledger, settings. Called by bin/airflow, once per home.

Several processes may find a home unprepared at once: a file lock lets one do it, the others find its stamp.

    prepare_home.py KEY        KEY is what bin/_env.sh computed; it becomes the first line of `.prepared`
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from pathlib import Path

from load_settings import SETTINGS, SettingsInvalid, apply_settings, read_settings


def is_prepared(stamp: Path, key: str) -> bool:
    """Whether the stamp carries this key and the database files that it names still exist."""
    try:
        first, *files = stamp.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ValueError):
        return False
    return first == key and all(Path(name).is_file() for name in files)


def sqlite_file(url: str) -> str | None:
    """Path of a SQLite URL's file; None for any other database."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    return parsed.database if parsed.get_backend_name() == "sqlite" else None


def prepare(home: Path) -> list[str]:
    """Bring both databases to their newest schema and load the settings.

    Returns:
        The SQLite files that now hold them, which must stay where they are.
    """
    settings = read_settings(SETTINGS, os.environ)  # first: a mistake in it must not leave a half-prepared home
    (home / "lineage").mkdir(exist_ok=True)
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"

    from airflow.configuration import conf
    from airflow.utils.db import upgradedb

    logging.disable(logging.INFO)
    upgradedb()
    apply_settings(settings)
    for name in settings.skipped:
        print(f"airflow_settings.yaml, left out: {name}")

    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url

    ledger = ledger_url()
    Ledger.open(ledger, migrate=True).close()
    files = (sqlite_file(conf.get_mandatory_value("database", "sql_alchemy_conn")), sqlite_file(ledger))
    return [name for name in files if name]


def main(key: str) -> int:
    """Prepare the home under its lock, unless somebody else just has."""
    home = Path(os.environ["AIRFLOW_HOME"])
    stamp = home / ".prepared"
    with open(home / ".prepare.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_prepared(stamp, key):
            return 0
        print(f"Preparing {home}", flush=True)
        try:
            files = prepare(home)
        except SettingsInvalid as error:
            print(error)
            return 1
        draft = stamp.with_suffix(".new")
        draft.write_text("\n".join([key, *files]) + "\n", encoding="utf-8")
        draft.replace(stamp)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
