"""From Airflow's connections to probes: what `bin/tieout check` and the DAG `connection_health` look with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.fernet import InvalidToken

from tieout.config import is_production
from tieout.errors import ConfigurationInvalid, Superseded
from tieout.health import (
    REACHABLE,
    Check,
    ConnectionInUse,
    Held,
    Looking,
    Probe,
    Rotation,
    Server,
    Status,
    check_ages,
    check_banqup,
    check_certificate,
    check_http,
    check_key,
    check_ledger,
    check_sap_b1,
    check_sftp,
    check_syspro,
    check_syspro_in_use,
    failed_by,
    failed_unforeseen,
)
from tieout.health.policy import HealthConfig
from tieout.health.rotation import NOTES
from tieout.health.usage import BANQUP, SAP_B1, SYSPRO
from tieout.hooks.connections import banqup_settings, connection, sap_b1_settings, sftp_target, syspro_settings
from tieout.ledger_url import CONN_ID, ledger_url

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tieout.delivery import SftpTarget
    from tieout.systems.banqup.settings import BanqupSettings
    from tieout.systems.sap_b1.settings import SapB1Settings
    from tieout.systems.syspro.client import SysproClient
    from tieout.systems.syspro.settings import SysproSettings

    WebSettings = BanqupSettings | SapB1Settings | SysproSettings

Talk = Callable[[], Sequence[Check]]

OPERATOR_WAIT = 5.0
"""Seconds to wait for a run that reads from SYSPRO just now."""


def probe_of(use: ConnectionInUse, config: HealthConfig) -> Probe:
    """A probe of a connection that instances use.

    The connection is read now, on the caller's thread: Airflow gives connections to the task's own thread only.
    """
    try:
        found = connection(use.conn_id)
        server = _other_server(use.server, found)
        talk, own = _conversation(use, found), _without_log_in(use, found, config)
    except ConfigurationInvalid as error:
        return _broken(use.conn_id, use.used_by, failed_by(REACHABLE, error))
    except Exception as error:
        return _broken(use.conn_id, use.used_by, failed_unforeseen(error))
    return Probe(use.conn_id, found.conn_type or "", use.used_by, server, own, _told(talk), _fingerprint(found))


def _broken(conn_id: str, used_by: tuple[str, ...], failed: Check) -> Probe:
    """Of a connection that cannot even be looked at."""
    return Probe(conn_id, "", used_by, "", tuple, lambda: (failed,))


def ledger_probe() -> Probe:
    """A probe of the ledger's database."""
    try:
        url = ledger_url()
    except ConfigurationInvalid as error:
        return _broken(CONN_ID, (), failed_by(REACHABLE, error))
    except Exception as error:
        return _broken(CONN_ID, (), failed_unforeseen(error))
    kind = url.partition(":")[0].partition("+")[0]
    return Probe(CONN_ID, kind, (), "", tuple, lambda: check_ledger(url))


def looking(config: HealthConfig, *, also_refused: bool) -> Looking:
    """How to look now; fingerprints are kept encrypted with Airflow's Fernet key, or not at all."""
    return Looking(
        now=datetime.now(UTC),
        retry_refused=timedelta(hours=config.retry_refused_hours),
        seal=_seal,
        opens=_opens,
        also_refused=also_refused,
    )


def _seal(fingerprint: str) -> str:
    from tieout.hooks.session_store import airflow_cipher

    try:
        return airflow_cipher().encrypt(fingerprint.encode("ascii")).decode("ascii")
    except ConfigurationInvalid:
        return ""


def _opens(sealed: str) -> str:
    from tieout.hooks.session_store import airflow_cipher

    try:
        return airflow_cipher().decrypt(sealed.encode("ascii")).decode("ascii")
    except (ConfigurationInvalid, InvalidToken):
        return ""


def _told(talk: Talk) -> Talk:
    """What is wrong with a connection's own fields is a finding, not an end."""

    def look() -> Sequence[Check]:
        try:
            return talk()
        except ConfigurationInvalid as error:
            return [failed_by(REACHABLE, error)]

    return look


def _fingerprint(found: Connection) -> str:
    """Of all that a log-in needs, the contents of a key file included; not of dates that somebody notes.

    Where an instance leads elsewhere, that is another connection with a memory of its own.
    """
    extra = {name: value for name, value in found.extra_dejson.items() if name not in NOTES}
    fields = [found.conn_type, found.host, found.port, found.schema, found.login, found.password, extra]
    text = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8") + _key_file(extra.get("key_file"))).hexdigest()


def _key_file(path: object) -> bytes:
    try:
        return Path(str(path)).expanduser().read_bytes() if path else b""
    except OSError:
        return b""


def _other_server(server: Server, found: Connection) -> str:
    """Where an instance leads elsewhere than its connection; empty where it does not."""
    if server.own:
        return ""
    return f"{server.user or found.login}@{server.host or found.host}:{server.port or found.port or 22}"


def _target(server: Server) -> SftpTarget:
    own = sftp_target(server.conn_id)
    return replace(
        own, host=server.host or own.host, port=server.port or own.port, username=server.user or own.username
    )


def _without_log_in(use: ConnectionInUse, found: Connection, config: HealthConfig) -> Talk:
    """The checks of a connection's secrets and of its server's certificate."""
    extra, kind = found.extra_dejson, found.conn_type or ""
    rules = config.rotation.of(use.conn_id, kind)
    held = Held.by(found.password, extra)
    further = _key_checks(use.server, rules) if kind == "sftp" else _certificate_checks(use, found, config)

    def look() -> Sequence[Check]:
        return [*check_ages(held, extra, rules, datetime.now(UTC).date()), *further()]

    return look


def _key_checks(server: Server, rules: Rotation) -> Talk:
    target = _target(server)
    return lambda: [check_key(target, passphrase_required=rules.passphrase_required)]


def _certificate_checks(use: ConnectionInUse, found: Connection, config: HealthConfig) -> Talk:
    url, verify = _address(use, found)
    days, production = config.certificate_notice_days, is_production()
    return lambda: [
        check_certificate(url, notice_days=days, now=datetime.now(UTC), verify=verify, production=production)
    ]


def _address(use: ConnectionInUse, found: Connection) -> tuple[str, bool | str]:
    """A system's base URL, and how its certificate is verified."""
    readers: dict[str, Callable[[str], WebSettings]] = {
        BANQUP: banqup_settings, SAP_B1: sap_b1_settings, SYSPRO: syspro_settings,
    }  # fmt: skip
    for system, read in readers.items():
        if system in (found.conn_type, use.system):
            settings = read(use.conn_id)
            return settings.base_url, settings.verify
    return _base_url(found), True


def _conversation(use: ConnectionInUse, found: Connection) -> Talk:
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


def _syspro_conversation(conn_id: str, settings: SysproSettings) -> Talk:
    """SYSPRO has one session per operator: a run that has one keeps it."""
    ledger_at = _ledger_url_if_any()

    def talk() -> Sequence[Check]:
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
        visiting_session(ledger, conn_id, settings, "a check of connections", wait=OPERATOR_WAIT) as client,
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
