"""Whether the outside systems can be used: reachable, authenticated, pinned, writable, on time.

Functions over `systems` and `delivery` that know no Airflow: the command line and a monitoring DAG both use them.
Nothing is left behind on the other side but a log-in in its log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tieout.errors import (
    ConfigurationInvalid,
    ContractBroken,
    CredentialsRejected,
    HostKeyMismatch,
    ReceiverRefused,
    ReceiverUnavailable,
    SourceUnavailable,
)
from tieout.yaml_file import load_yaml

if TYPE_CHECKING:
    from tieout.delivery import FolderCheck, SftpTarget
    from tieout.systems.sap_b1.settings import SapB1Settings

REACHABLE = "reachable"
AUTHENTICATED = "authenticated"
HOST_KEY = "host_key_pinned"
WRITABLE = "writable"
CLOCK = "clock_skew"
SECRET = "secret_age"
CHECKS = (REACHABLE, AUTHENTICATED, HOST_KEY, WRITABLE, CLOCK, SECRET)

# SAP keeps change dates, not times, and runs read with a lookback: a few minutes do no harm, but somebody should know.
SKEW_WARNING = timedelta(seconds=60)
SKEW_FAILURE = timedelta(minutes=5)
ROTATE_AFTER_DAYS = 365
ROTATION_NOTICE = timedelta(days=14)

# CONTRACT: the connections of an instance whose file names none.
_DEFAULT_CONNECTIONS: Mapping[str, Mapping[str, str]] = {
    "sap_b1_to_peakflo": {"source": "sap_b1", "target": "peakflo_sftp"},
    "syspro_to_legacy_erp": {"source": "syspro", "target": "legacy_erp_sftp"},
    "stampli_to_sap_b1": {"source": "stampli_sftp", "target": "sap_b1"},
    "banqup_to_sftp": {"source": "banqup"},
}
_DEFAULT_FOLDERS = {"source": "/outbound", "target": "/inbound"}


class Status(StrEnum):
    """The outcome of one check. Only `failed` needs somebody to act now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    message: str = ""


@dataclass(frozen=True)
class ConnectionInUse:
    """A connection that instances name.

    Attributes:
        conn_id: Airflow's connection id.
        used_by: DAG ids.
        folders: Folders that must be writable, where it is an SFTP server.
        collected: Folders that files are taken from: without the right to write, files cannot be archived there.
    """

    conn_id: str
    used_by: tuple[str, ...]
    folders: tuple[str, ...] = ()
    collected: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConnectionHealth:
    """All checks of one connection."""

    conn_id: str
    conn_type: str
    used_by: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return all(check.status is not Status.FAILED for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """One row: each check's status under its name, and the sentences there are."""
        found = {check.name: check for check in self.checks}
        statuses = {name: found[name].status.value if name in found else Status.UNKNOWN.value for name in CHECKS}
        messages = {check.name: check.message for check in self.checks if check.message}
        return {
            "connection": self.conn_id,
            "type": self.conn_type,
            "used_by": list(self.used_by),
            **statuses,
            "ok": self.ok,
            "messages": messages,
        }


def connections_in_use(
    include: Path, *, integration: str | None = None, instance: str | None = None
) -> list[ConnectionInUse]:
    """The connections that the enabled instances name, each once, by id.

    Args:
        include: The folder that has `integrations/<dag_id>/<instance>.yaml`.
        integration: Only this integration.
        instance: Only this instance.

    Raises:
        ConfigurationInvalid: An instance's file cannot be read.
    """
    users: dict[str, dict[str, None]] = {}
    folders: dict[str, dict[str, None]] = {}
    collected: dict[str, dict[str, None]] = {}
    for path in sorted((include / "integrations").glob(f"{integration or '*'}/{instance or '*'}.yaml")):
        content = load_yaml(path).content
        if not isinstance(content, dict) or content.get("enabled") is False:
            continue
        name = path.parent.name
        dag_id = name if path.stem == "default" else f"{name}__{path.stem}"
        for role, conn_id, folder in _named(name, content):
            users.setdefault(conn_id, {})[dag_id] = None
            (collected if role == "source" else folders).setdefault(conn_id, {})[folder] = None
    return [
        ConnectionInUse(
            conn_id,
            tuple(users[conn_id]),
            tuple(folder for folder in folders.get(conn_id, ()) if folder),
            tuple(folder for folder in collected.get(conn_id, ()) if folder),
        )
        for conn_id in sorted(users)
    ]


def _named(integration: str, content: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Role, connection id and the folder used over it, from one instance's file."""
    named = content.get("connections") or {}
    for role, conn_id in {**_DEFAULT_CONNECTIONS.get(integration, {}), **named}.items():
        yield role, str(conn_id), _folder(content, role) or _DEFAULT_FOLDERS.get(role, "")
    if integration == "stampli_to_sap_b1" and content.get("purchase_orders") is True:
        source = named.get("source") or _DEFAULT_CONNECTIONS[integration]["source"]
        yield "target", str(source), _folder(content, "purchase_order_folder") or _DEFAULT_FOLDERS["target"]
    for client in content.get("clients") or []:
        if isinstance(client, dict) and client.get("conn_id"):
            path = str(client.get("invoice_path") or content.get("invoice_path") or "")
            yield "target", str(client["conn_id"]), path.partition("[")[0]


def _folder(content: Mapping[str, Any], role: str) -> str:
    """The folder that a section of an instance's file names; empty where it names none."""
    for section, key in (("collect", "folder"),) if role == "source" else ((role, "root"),):
        found = content.get(section)
        if isinstance(found, dict) and found.get(key):
            return str(found[key])
    return ""


def check_sftp(target: SftpTarget, folders: Sequence[str], collected: Sequence[str] = ()) -> list[Check]:
    """Log in to an SFTP server, and write and remove a small file in each folder.

    Args:
        target: The server.
        folders: Where files are put.
        collected: Where files are taken from; one that cannot be written is worth a warning only.
    """
    from tieout.delivery import SftpSession

    pinned = _pinned(target)
    try:
        with SftpSession(target) as session:
            found = [session.check_folder(folder) for folder in folders]
            taken = [session.check_folder(folder) for folder in collected]
    except ReceiverUnavailable as error:
        return [Check(REACHABLE, Status.FAILED, str(error)), *_unknown(AUTHENTICATED, WRITABLE, CLOCK), pinned]
    except HostKeyMismatch as error:
        failed = Check(HOST_KEY, Status.FAILED, str(error))
        return [Check(REACHABLE, Status.OK), failed, *_unknown(AUTHENTICATED, WRITABLE, CLOCK)]
    except CredentialsRejected as error:
        failed = Check(AUTHENTICATED, Status.FAILED, str(error))
        return [Check(REACHABLE, Status.OK), failed, pinned, *_unknown(WRITABLE, CLOCK)]
    except (ReceiverRefused, ConfigurationInvalid) as error:
        return [Check(REACHABLE, Status.FAILED, str(error)), *_unknown(AUTHENTICATED, WRITABLE, CLOCK), pinned]
    writable = _writable(found, taken)
    skews = [f.clock_skew_seconds for f in (*found, *taken) if f.clock_skew_seconds is not None]
    clock = check_skew(timedelta(seconds=skews[0])) if skews else Check(CLOCK, Status.UNKNOWN)
    return [Check(REACHABLE, Status.OK), Check(AUTHENTICATED, Status.OK), pinned, writable, clock]


def _writable(found: Sequence[FolderCheck], taken: Sequence[FolderCheck]) -> Check:
    problems = [folder.problem or f"{folder.path} is not writable." for folder in found if not folder.writable]
    problems += [folder.problem for folder in taken if not folder.exists]
    if problems:
        return Check(WRITABLE, Status.FAILED, " ".join(problems))
    fixed = [folder.problem for folder in taken if not folder.writable]
    if fixed:
        stay = "Files taken from there cannot be archived: they stay, and are remembered."
        return Check(WRITABLE, Status.WARNING, " ".join((*fixed, stay)))
    return Check(WRITABLE, Status.OK if found or taken else Status.UNKNOWN)


def _pinned(target: SftpTarget) -> Check:
    if target.host_keys:
        return Check(HOST_KEY, Status.OK)
    status = Status.FAILED if target.production else Status.WARNING
    return Check(HOST_KEY, status, f"No host key is pinned for {target.label}; add `host_key` to the connection.")


def check_sap_b1(settings: SapB1Settings) -> list[Check]:
    """Log in to a Service Layer and out again."""
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.sap_b1.sessions import MemorySessionStore

    not_ssh = [Check(HOST_KEY, Status.NOT_APPLICABLE), Check(WRITABLE, Status.NOT_APPLICABLE)]
    client = SapB1Client(settings, MemorySessionStore())
    try:
        client.login()
        now, server_time = datetime.now(UTC), client.server_time()
    except SourceUnavailable as error:
        return [Check(REACHABLE, Status.FAILED, str(error)), *_unknown(AUTHENTICATED, CLOCK), *not_ssh]
    except (CredentialsRejected, ContractBroken) as error:
        failed = Check(AUTHENTICATED, Status.FAILED, str(error))
        return [Check(REACHABLE, Status.OK), failed, *_unknown(CLOCK), *not_ssh]
    client.logout()
    clock = check_skew(server_time - now) if server_time else Check(CLOCK, Status.UNKNOWN)
    return [Check(REACHABLE, Status.OK), Check(AUTHENTICATED, Status.OK), *not_ssh, clock]


def check_http(url: str) -> list[Check]:
    """Whether a web server answers at all; log-in and clock of systems without a client of ours stay unknown.

    Args:
        url: Base URL with scheme.
    """
    import urllib3

    unknown = _unknown(AUTHENTICATED, CLOCK)
    not_ssh = [Check(HOST_KEY, Status.NOT_APPLICABLE), Check(WRITABLE, Status.NOT_APPLICABLE)]
    try:
        with urllib3.PoolManager(timeout=10.0, retries=False) as http:
            http.request("HEAD", url, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        host = urlsplit(url).hostname or "the host"
        sentence = f"{host} does not answer ({type(error).__name__}). Check its address and the network."
        return [Check(REACHABLE, Status.FAILED, sentence), *unknown, *not_ssh]
    return [Check(REACHABLE, Status.OK), *unknown, *not_ssh]


def check_skew(skew: timedelta) -> Check:
    """Judge the difference between another system's clock and ours; positive when the other one is ahead."""
    seconds = round(skew.total_seconds())
    if abs(skew) <= SKEW_WARNING:
        return Check(CLOCK, Status.OK)
    status = Status.FAILED if abs(skew) > SKEW_FAILURE else Status.WARNING
    side = "ahead of" if seconds > 0 else "behind"
    return Check(CLOCK, status, f"Its clock is {abs(seconds)} s {side} ours; synchronise both with a time server.")


def check_secret(extra: Mapping[str, Any], today: date) -> Check:
    """Judge a secret's age, where the connection says when it was last changed.

    Args:
        extra: The connection's extras: `rotated_on` (ISO date), `rotate_after_days` (by default a year).
        today: The day to judge by.
    """
    noted = extra.get("rotated_on")
    if not noted:
        return Check(SECRET, Status.UNKNOWN)
    try:
        rotated = date.fromisoformat(str(noted))
        due = rotated + timedelta(days=int(extra.get("rotate_after_days") or ROTATE_AFTER_DAYS))
    except (ValueError, OverflowError):
        return Check(
            SECRET,
            Status.FAILED,
            "The extras rotated_on and rotate_after_days must be an ISO date and a number of days.",
        )
    age = f"The secret is {(today - rotated).days} days old"
    if today >= due:
        return Check(SECRET, Status.FAILED, f"{age}; its rotation was due on {due}.")
    if today >= due - ROTATION_NOTICE:
        return Check(SECRET, Status.WARNING, f"{age}; its rotation is due on {due}.")
    return Check(SECRET, Status.OK, f"{age}; its rotation is due on {due}.")


def check_ledger(url: str) -> list[Check]:
    """Whether the ledger's database answers and has the tables of this version."""
    from sqlalchemy.exc import SQLAlchemyError

    from tieout.ledger import Filters, Ledger

    rest = [Check(HOST_KEY, Status.NOT_APPLICABLE), *_unknown(CLOCK)]
    try:
        with Ledger.open(url) as ledger:
            ledger.count_runs(Filters())
    except SQLAlchemyError as error:
        sentence = f"The ledger's database does not answer ({type(error).__name__}); start it or correct its address."
        return [Check(REACHABLE, Status.FAILED, sentence), *_unknown(AUTHENTICATED, WRITABLE), *rest]
    except ConfigurationInvalid as error:
        return [Check(REACHABLE, Status.FAILED, str(error)), *_unknown(AUTHENTICATED, WRITABLE), *rest]
    return [Check(REACHABLE, Status.OK), Check(AUTHENTICATED, Status.OK), *_unknown(WRITABLE), *rest]


def _unknown(*names: str) -> list[Check]:
    return [Check(name, Status.UNKNOWN) for name in names]
