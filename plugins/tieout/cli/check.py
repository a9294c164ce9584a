"""`tieout check`: each connection that the instances use."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tieout.cli.airflow_home import use_airflow
from tieout.cli.output import note, print_json, print_table, stdout_for_the_answer
from tieout.config import include_folder
from tieout.errors import ConfigurationInvalid, Superseded
from tieout.health import (
    CHECKS,
    REACHABLE,
    Check,
    ConnectionHealth,
    ConnectionInUse,
    Server,
    Status,
    check_banqup,
    check_http,
    check_ledger,
    check_sap_b1,
    check_secret,
    check_sftp,
    check_syspro,
    check_syspro_in_use,
    connections_in_use,
)
from tieout.health.usage import BANQUP, SAP_B1, SYSPRO
from tieout.ledger_url import CONN_ID, ledger_url

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tieout.delivery import SftpTarget
    from tieout.systems.syspro.client import SysproClient
    from tieout.systems.syspro.settings import SysproSettings

Probe = Callable[[], ConnectionHealth]

OPERATOR_WAIT = 5.0
"""Seconds to wait for a run that reads from SYSPRO just now."""


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
        shown = [row | {"connection": health.label} for row, health in zip(rows, found, strict=True)]
        print_table(shown, ("connection", "type", *CHECKS, "used_by"))
        _print_sentences(found)
    return 0 if all(health.ok for health in found) else 1


def _print_sentences(found: list[ConnectionHealth]) -> None:
    for health in found:
        for item in health.checks:
            if item.message:
                print(f"{health.label}, {item.name.replace('_', ' ')}, {item.status.value}: {item.message}")


def _probe(use: ConnectionInUse) -> Probe:
    """Read the connection now, on the main thread; talk to the system later."""
    from tieout.hooks.connections import connection

    try:
        found = connection(use.conn_id)
        server = _other_server(use.server, found)
        talk = _conversation(use, found)
    except ConfigurationInvalid as error:
        failed = Check(REACHABLE, Status.FAILED, str(error))
        return lambda: ConnectionHealth(use.conn_id, "", use.used_by, (failed,))
    secret = check_secret(found.extra_dejson, datetime.now(UTC).date())

    def look() -> ConnectionHealth:
        try:
            found_out = talk()
        except ConfigurationInvalid as error:
            found_out = [Check(REACHABLE, Status.FAILED, str(error))]
        return ConnectionHealth(use.conn_id, found.conn_type or "", use.used_by, (*found_out, secret), server)

    return look


def _other_server(server: Server, found: Connection) -> str:
    """Where an instance leads elsewhere than its connection; empty where it does not."""
    if server.own:
        return ""
    return f"{server.user or found.login}@{server.host or found.host}:{server.port or found.port or 22}"


def _target(server: Server) -> SftpTarget:
    from tieout.hooks.connections import sftp_target

    own = sftp_target(server.conn_id)
    return replace(
        own, host=server.host or own.host, port=server.port or own.port, username=server.user or own.username
    )


def _conversation(use: ConnectionInUse, found: Connection) -> Callable[[], list[Check]]:
    from tieout.hooks.connections import banqup_settings, sap_b1_settings, syspro_settings

    if found.conn_type == "sftp":
        target = _target(use.server)
        return lambda: check_sftp(target, use.folders, use.collected, use.created)
    if BANQUP in (found.conn_type, use.system):
        banqup = banqup_settings(use.conn_id)
        return lambda: check_banqup(banqup, use.spaces)
    if SAP_B1 in (found.conn_type, use.system):
        sap = sap_b1_settings(use.conn_id)
        return lambda: check_sap_b1(sap)
    if SYSPRO in (found.conn_type, use.system):
        return _syspro_conversation(use.conn_id, syspro_settings(use.conn_id))
    url = _base_url(found)
    return lambda: check_http(url)


def _syspro_conversation(conn_id: str, settings: SysproSettings) -> Callable[[], list[Check]]:
    """SYSPRO has one session per operator: a run that has one keeps it."""
    ledger_at = _ledger_url_if_any()

    def talk() -> list[Check]:
        try:
            with _syspro_client(conn_id, settings, ledger_at) as client:
                return check_syspro(client)
        except Superseded as error:
            return check_syspro_in_use(settings, str(error))

    return talk


@contextmanager
def _syspro_client(conn_id: str, settings: SysproSettings, ledger_at: str | None) -> Iterator[SysproClient]:
    """On the session of a run, where there is one; without a ledger there is no run that could have one."""
    from tieout.hooks.syspro_session import visiting_session
    from tieout.ledger import Ledger
    from tieout.systems.syspro.client import SysproClient

    if ledger_at is None or any(check.status is Status.FAILED for check in check_ledger(ledger_at)):
        with SysproClient(settings) as client:
            yield client
        return
    with (
        Ledger.open(ledger_at) as ledger,
        visiting_session(ledger, conn_id, settings, "`check`", wait=OPERATOR_WAIT) as client,
    ):
        yield client


def _ledger_url_if_any() -> str | None:
    try:
        return ledger_url()
    except ConfigurationInvalid:
        return None


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
