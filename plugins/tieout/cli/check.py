"""`tieout check`: each connection that the instances use."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tieout.cli.airflow_home import use_airflow
from tieout.cli.output import note, print_json, print_table, stdout_for_the_answer
from tieout.config import include_folder
from tieout.errors import ConfigurationInvalid
from tieout.health import (
    CHECKS,
    REACHABLE,
    Check,
    ConnectionHealth,
    ConnectionInUse,
    Status,
    check_http,
    check_ledger,
    check_sap_b1,
    check_secret,
    check_sftp,
    connections_in_use,
)
from tieout.ledger_url import CONN_ID, ledger_url

if TYPE_CHECKING:
    from airflow.sdk import Connection

Probe = Callable[[], ConnectionHealth]


def check(arguments: argparse.Namespace) -> int:
    """Look at every connection at once, each on its own thread; 1 if anything failed."""
    used = connections_in_use(include_folder(), integration=arguments.integration, instance=arguments.instance)
    if not used:
        note(f"No enabled instance in {include_folder() / 'integrations'} fits; only the ledger is checked.")
    with stdout_for_the_answer():
        use_airflow()
        probes = [_ledger_probe(), *(_probe(use) for use in used)]
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = list(pool.map(lambda probe: probe(), probes))
    rows = [health.as_json() for health in found]
    if arguments.json:
        print_json(rows)
    else:
        print_table(rows, ("connection", "type", *CHECKS, "used_by"))
        _print_sentences(found)
    return 0 if all(health.ok for health in found) else 1


def _print_sentences(found: list[ConnectionHealth]) -> None:
    for health in found:
        for item in health.checks:
            if item.message:
                print(f"{health.conn_id}, {item.name.replace('_', ' ')}, {item.status.value}: {item.message}")


def _probe(use: ConnectionInUse) -> Probe:
    """Read the connection now, on the main thread; talk to the system later."""
    from tieout.hooks.connections import connection

    try:
        found = connection(use.conn_id)
        talk = _conversation(use, found)
    except ConfigurationInvalid as error:
        failed = Check(REACHABLE, Status.FAILED, str(error))
        return lambda: ConnectionHealth(use.conn_id, "", use.used_by, (failed,))
    secret = check_secret(found.extra_dejson, datetime.now(UTC).date())
    return lambda: ConnectionHealth(use.conn_id, found.conn_type or "", use.used_by, (*talk(), secret))


def _conversation(use: ConnectionInUse, found: Connection) -> Callable[[], list[Check]]:
    from tieout.hooks.connections import sap_b1_settings, sftp_target

    if found.conn_type == "sftp":
        target = sftp_target(use.conn_id)
        return lambda: check_sftp(target, use.folders, use.collected)
    if found.conn_type == "sap_b1" or "company_db" in found.extra_dejson:
        settings = sap_b1_settings(use.conn_id)
        return lambda: check_sap_b1(settings)
    url = _base_url(found)
    return lambda: check_http(url)


def _base_url(found: Connection) -> str:
    """An Airflow HTTP connection has its scheme in `host`, or apart in `schema`."""
    host = found.host or ""
    if "://" in host:
        return host
    port = f":{found.port}" if found.port else ""
    return f"{found.schema or 'https'}://{host}{port}"


def _ledger_probe() -> Probe:
    try:
        url = ledger_url()
    except ConfigurationInvalid as error:
        failed = Check(REACHABLE, Status.FAILED, str(error))
        return lambda: ConnectionHealth(CONN_ID, "", (), (failed,))
    return lambda: ConnectionHealth(CONN_ID, url.partition(":")[0].partition("+")[0], (), tuple(check_ledger(url)))
