"""Which connections the instances use, and for what."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig, BanqupToSftp, DocumentKind
from tieout.yaml_file import load_yaml

SAP_B1, SYSPRO, BANQUP = "sap_b1", "syspro", "banqup"
_BANQUP_TO_SFTP = "banqup_to_sftp"

# CONTRACT: the connections of an instance whose file names none.
_DEFAULT_CONNECTIONS: Mapping[str, Mapping[str, str]] = {
    "sap_b1_to_peakflo": {"source": "sap_b1", "target": "peakflo_sftp"},
    "syspro_to_legacy_erp": {"source": "syspro", "target": "legacy_erp_sftp"},
    "stampli_to_sap_b1": {"source": "stampli_sftp", "target": "sap_b1"},
}
_DEFAULT_FOLDERS = {"source": "/outbound", "target": "/inbound"}
_DEFAULT_ACKNOWLEDGEMENTS = "/outbound/acks"
_SYSTEMS = {
    ("sap_b1_to_peakflo", "source"): SAP_B1,
    ("stampli_to_sap_b1", "target"): SAP_B1,
    ("syspro_to_legacy_erp", "source"): SYSPRO,
}


@dataclass(frozen=True)
class Server:
    """A connection, and what an instance says instead of its own host, port or user.

    Attributes:
        conn_id: Airflow's connection id.
        host: Instead of the connection's host.
        port: Instead of its port.
        user: Instead of its login.
    """

    conn_id: str
    host: str | None = None
    port: int | None = None
    user: str | None = None

    @property
    def own(self) -> bool:
        """Whether the connection is used as it is."""
        return (self.host, self.port, self.user) == (None, None, None)


@dataclass(frozen=True)
class ConnectionInUse:
    """A connection that instances name.

    Attributes:
        server: The connection, and what is different from it.
        used_by: DAG ids.
        folders: Folders that must be writable, where it is an SFTP server.
        created: Folders that the first delivery makes where they are missing: what is there of them must be writable.
        collected: Folders that files are taken from: without the right to write, files cannot be archived there.
        system: What is behind it whatever its type says, `sap_b1`, `syspro` or `banqup`; empty for all others.
        spaces: Spaces of Banqup that are read, and whose each is.
    """

    server: Server
    used_by: tuple[str, ...]
    folders: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    collected: tuple[str, ...] = ()
    system: str = ""
    spaces: Mapping[str, str] = field(default_factory=dict)

    @property
    def conn_id(self) -> str:
        """Airflow's connection id."""
        return self.server.conn_id


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
    uses: dict[Server, list[tuple[str, _Use]]] = {}
    for path in sorted((include / "integrations").glob(f"{integration or '*'}/{instance or '*'}.yaml")):
        file = load_yaml(path)
        if not isinstance(file.content, dict) or file.content.get("enabled") is False:
            continue
        name = path.parent.name
        dag_id = name if path.stem == "default" else f"{name}__{path.stem}"
        named = _of_banqup(file.validate(BanqupToSftp)) if name == _BANQUP_TO_SFTP else _named(name, file.content)
        for use in named:
            uses.setdefault(use.server, []).append((dag_id, use))
    return [_together(server, uses[server]) for server in sorted(uses, key=_order)]


def _order(server: Server) -> tuple[str, str, int, str]:
    return server.conn_id, server.host or "", server.port or 0, server.user or ""


def _together(server: Server, uses: list[tuple[str, _Use]]) -> ConnectionInUse:
    folders: dict[str, dict[str, None]] = {"put": {}, "created": {}, "taken": {}}
    spaces: dict[str, str] = {}
    for _, use in uses:
        if use.folder:
            folders[use.how][use.folder] = None
        spaces.update(use.spaces)
    return ConnectionInUse(
        server=server,
        used_by=tuple(dict.fromkeys(dag_id for dag_id, _ in uses)),
        folders=tuple(folders["put"]),
        created=tuple(folders["created"]),
        collected=tuple(folders["taken"]),
        system=uses[0][1].system,
        spaces=spaces,
    )


@dataclass(frozen=True)
class _Use:
    """One use of a connection: the system behind it, and a folder that files are `put` into, or `taken` from."""

    server: Server
    folder: str = ""
    how: str = "put"
    system: str = ""
    spaces: Mapping[str, str] = field(default_factory=dict)


def _named(integration: str, content: Mapping[str, Any]) -> Iterator[_Use]:
    """What one instance's file uses."""
    named = {**_DEFAULT_CONNECTIONS.get(integration, {}), **(content.get("connections") or {})}
    for role, conn_id in named.items():
        folder = _folder(content, role) or _DEFAULT_FOLDERS.get(role, "")
        how = "taken" if role == "source" else "put"
        yield _Use(Server(str(conn_id)), folder, how, _SYSTEMS.get((integration, role), ""))
    if integration == "stampli_to_sap_b1" and content.get("purchase_orders") is True:
        folder = _section(content, "purchase_order_folder").get("root") or _DEFAULT_FOLDERS["target"]
        yield _Use(Server(str(named["source"])), str(folder))
    if integration == "syspro_to_legacy_erp" and isinstance(content.get("acknowledgements"), dict):
        folder = _section(content, "acknowledgements").get("folder") or _DEFAULT_ACKNOWLEDGEMENTS
        yield _Use(Server(str(named["target"])), str(folder), "taken")


def _of_banqup(config: BanqupToSftp) -> Iterator[_Use]:
    """What a partner's file uses: Banqup, and the clients' servers with every folder of each."""
    clients = config.enabled_clients()
    spaces = {client.space_id: client.title for client in clients.values()}
    yield _Use(Server(config.connections.source), system=BANQUP, spaces=spaces)
    how = "created" if config.delivery.create_directories else "put"
    for client in clients.values():
        server = Server(client.conn_id, client.host, client.port, client.user)
        for folder in _constant_folders(client):
            yield _Use(server, folder, how)


def _constant_folders(client: BanqupClientConfig) -> dict[str, None]:
    """A client's folders as far as they are the same in every year."""
    folders: dict[str, None] = {}
    for kind in get_args(DocumentKind):
        constant, bracket, _ = client.folder(kind, "[year]").partition("[")
        folders[posixpath.dirname(f"{constant}year") if bracket else constant] = None
    return folders


def _folder(content: Mapping[str, Any], role: str) -> str:
    """The folder that an instance's file names for a role; empty where it names none."""
    section, key = ("collect", "folder") if role == "source" else (role, "root")
    return str(_section(content, section).get(key) or "")


def _section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}
