"""Which connections the instances use, and for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tieout.yaml_file import load_yaml

SAP_B1, SYSPRO = "sap_b1", "syspro"

# CONTRACT: the connections of an instance whose file names none.
_DEFAULT_CONNECTIONS: Mapping[str, Mapping[str, str]] = {
    "sap_b1_to_peakflo": {"source": "sap_b1", "target": "peakflo_sftp"},
    "syspro_to_legacy_erp": {"source": "syspro", "target": "legacy_erp_sftp"},
    "stampli_to_sap_b1": {"source": "stampli_sftp", "target": "sap_b1"},
    "banqup_to_sftp": {"source": "banqup"},
}
_DEFAULT_FOLDERS = {"source": "/outbound", "target": "/inbound"}
_DEFAULT_ACKNOWLEDGEMENTS = "/outbound/acks"
_SYSTEMS = {
    ("sap_b1_to_peakflo", "source"): SAP_B1,
    ("stampli_to_sap_b1", "target"): SAP_B1,
    ("syspro_to_legacy_erp", "source"): SYSPRO,
}


@dataclass(frozen=True)
class ConnectionInUse:
    """A connection that instances name.

    Attributes:
        conn_id: Airflow's connection id.
        used_by: DAG ids.
        folders: Folders that must be writable, where it is an SFTP server.
        collected: Folders that files are taken from: without the right to write, files cannot be archived there.
        system: What is behind it whatever its type says, `sap_b1` or `syspro`; empty for all others.
    """

    conn_id: str
    used_by: tuple[str, ...]
    folders: tuple[str, ...] = ()
    collected: tuple[str, ...] = ()
    system: str = ""


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
    systems: dict[str, str] = {}
    for path in sorted((include / "integrations").glob(f"{integration or '*'}/{instance or '*'}.yaml")):
        content = load_yaml(path).content
        if not isinstance(content, dict) or content.get("enabled") is False:
            continue
        name = path.parent.name
        dag_id = name if path.stem == "default" else f"{name}__{path.stem}"
        for use in _named(name, content):
            users.setdefault(use.conn_id, {})[dag_id] = None
            systems.setdefault(use.conn_id, use.system)
            if use.folder:
                (collected if use.taken else folders).setdefault(use.conn_id, {})[use.folder] = None
    return [
        ConnectionInUse(
            conn_id,
            tuple(users[conn_id]),
            tuple(folders.get(conn_id, ())),
            tuple(collected.get(conn_id, ())),
            systems[conn_id],
        )
        for conn_id in sorted(users)
    ]


@dataclass(frozen=True)
class _Use:
    """One use of a connection: the system behind it, and a folder that files are put into or taken from."""

    conn_id: str
    folder: str = ""
    taken: bool = False
    system: str = ""


def _named(integration: str, content: Mapping[str, Any]) -> Iterator[_Use]:
    """What one instance's file uses."""
    named = {**_DEFAULT_CONNECTIONS.get(integration, {}), **(content.get("connections") or {})}
    for role, conn_id in named.items():
        folder = _folder(content, role) or _DEFAULT_FOLDERS.get(role, "")
        yield _Use(str(conn_id), folder, role == "source", _SYSTEMS.get((integration, role), ""))
    if integration == "stampli_to_sap_b1" and content.get("purchase_orders") is True:
        folder = _section(content, "purchase_order_folder").get("root") or _DEFAULT_FOLDERS["target"]
        yield _Use(str(named["source"]), str(folder))
    if integration == "syspro_to_legacy_erp" and isinstance(content.get("acknowledgements"), dict):
        folder = _section(content, "acknowledgements").get("folder") or _DEFAULT_ACKNOWLEDGEMENTS
        yield _Use(str(named["target"]), str(folder), taken=True)
    for client in content.get("clients") or []:
        if isinstance(client, dict) and client.get("conn_id"):
            path = str(client.get("invoice_path") or content.get("invoice_path") or "")
            yield _Use(str(client["conn_id"]), path.partition("[")[0])


def _folder(content: Mapping[str, Any], role: str) -> str:
    """The folder that an instance's file names for a role; empty where it names none."""
    section, key = ("collect", "folder") if role == "source" else (role, "root")
    return str(_section(content, section).get(key) or "")


def _section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}
