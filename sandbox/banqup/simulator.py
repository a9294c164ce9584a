"""Banqup and its clients' SFTP servers as a simulator of the sandbox: environment and control paths."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sandbox.banqup.access import Application
from sandbox.banqup.clients import ACTIVATED_AT, CONNECTION, make_clients
from sandbox.banqup.documents import Document, DocumentStore
from sandbox.banqup.faults import Faults
from sandbox.banqup.receivers import Receiver, make_receivers, received
from sandbox.banqup.scenario import DEFECTS, Expected, Mixture, Scenario, generate
from sandbox.banqup.server import BanqupServer
from sandbox.clock import SandboxClock
from sandbox.simulator import NotHandled

SIZES = {
    "small": Mixture(documents=120, max_lines=4),
    "demo": Mixture(documents=240),
    "large": Mixture(documents=2_000, same_moment=120),
}
"""Sizes by the sandbox's own names."""
PLANTED: dict[str, Any] = {"defects": len(DEFECTS), "troubles": True}
"""What a sandbox with planted records has on top: every kind of bad file once, and a file in trouble of each kind."""
_ACTIONS = (
    "approve", "refuse", "send", "pay", "touch", "remove", "repair", "lose_file", "await_upload", "damage_file",
)  # fmt: skip
"""Names of the store's methods that take a document's id alone, as control paths."""


class BanqupSimulator:
    """Banqup with a partner's clients, and the servers that the clients' documents go to.

    Args:
        folder: Where the clients' folders lie.
        mixture: How many clients and documents.
        seed: Same seed and clock, same documents.
        clock: The sandbox's clock.
        activated_at: Since when the clients want their documents.
        own_servers: How many of the clients have an SFTP server of their own; the rest share one.
        latency_ms: Added to every reply of the API.
    """

    name = "banqup"

    def __init__(
        self,
        folder: Path,
        mixture: Mixture | None = None,
        *,
        seed: int = 1,
        clock: SandboxClock | None = None,
        activated_at: datetime = ACTIVATED_AT,
        own_servers: int = 2,
        latency_ms: float = 0.0,
    ) -> None:
        self._mixture = mixture or SIZES["small"]
        self._seed = seed
        self._clock = clock or SandboxClock()
        self._activated_at = activated_at
        self._latency_ms = latency_ms
        self.application = Application()
        clients = make_clients(self._mixture.clients, activated_at)
        self.receivers: dict[str, Receiver] = make_receivers(
            folder, [(client.external_id, client.conn_id) for client in clients], own_servers=own_servers
        )
        """External id → where the client's files go."""

    @cached_property
    def scenario(self) -> Scenario:
        """The clients and their documents; made when first asked for."""
        return generate(self._mixture, seed=self._seed, clock=self._clock, activated_at=self._activated_at)

    @cached_property
    def server(self) -> BanqupServer:
        """The API."""
        server = BanqupServer(self.scenario.store, applications=(self.application,))
        server.faults.settings.latency_ms = self._latency_ms
        return server

    @property
    def documents(self) -> DocumentStore:
        """What Banqup holds: `add_document`, `approve`, `pay`, `repair`, …"""
        return self.scenario.store

    @property
    def faults(self) -> Faults:
        """The API's faults and settings."""
        return self.server.faults

    def truth(self) -> dict[str, list[Expected]]:
        """Client → what must reach it or be held as things are now, in the order of approval or sending."""
        return self.scenario.truth()

    def instance_yaml(self) -> str:
        """An instance file of `banqup_to_sftp` for the clients."""
        return self.scenario.instance_yaml()

    def withdraw(self, external_id: str) -> None:
        """The client takes the application off its whitelist."""
        self.server.access.withdraw(self.application.client_id, self.scenario.client(external_id).space_id)

    def whitelist(self, external_id: str) -> None:
        """The client lets the application in again."""
        self.server.access.whitelist(self.application.client_id, self.scenario.client(external_id).space_id)

    def start(self) -> None:
        """Starts serving; a server that was taken down comes up."""
        self.server.start()
        for receiver in self.receivers.values():
            receiver.server.up()

    def stop(self) -> None:
        """Stops serving."""
        if "server" in self.__dict__:
            self.server.stop()
        for receiver in self.receivers.values():
            receiver.server.stop()

    def environment(self) -> dict[str, str]:
        """`AIRFLOW_CONN_BANQUP`, and `AIRFLOW_CONN_BANQUP_CLIENT_<n>` for each client."""
        connection = {
            "conn_type": "banqup", "host": self.server.url, "login": self.application.client_id,
            "password": self.application.client_secret,
        }  # fmt: skip
        variables = {f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps(connection)}
        for receiver in self.receivers.values():
            variables.update(receiver.environment())
        return variables

    def state(self) -> dict[str, Any]:
        """Requests, what is expected, servers, faults and settings."""
        expected = self.truth()
        return {
            "url": self.server.url,
            "statistics": self.server.summary(),
            "documents": len(self.documents.documents()),
            "expected": {client: len(entries) for client, entries in expected.items()},
            "receivers": {client: _receiver(receiver) for client, receiver in self.receivers.items()},
            "faults": self.faults.active(),
            "settings": self.faults.configure(),
        }

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control paths.

        `faults`, `faults/<id>`; `settings`; `tokens`; `documents`, `documents/<id>`, `documents/<id>/<action>`;
        `truth`; `instance`; `second_day`; `whitelist/<client>`;
        `receivers/<client>`, `receivers/<client>/up`, `…/down`, `…/faults`.
        """
        match method, path:
            case "GET", []:
                return self.state()
            case _, ["faults" | "settings" | "tokens", *rest]:
                return self._service(method, path[0], rest, body)
            case _, ["documents", *rest]:
                return self._documents(method, rest, dict(body or {}))
            case "GET", ["truth"]:
                return {client: [_expected(entry) for entry in entries] for client, entries in self.truth().items()}
            case "GET", ["instance"]:
                return {"yaml": self.instance_yaml()}
            case "POST", ["second_day"]:
                return self.scenario.second_day()
            case "POST" | "DELETE", ["whitelist", external_id]:
                (self.whitelist if method == "POST" else self.withdraw)(external_id)
                return {"whitelisted": method == "POST"}
            case _, ["receivers", external_id, *rest]:
                return self._receiver(method, self.receivers[external_id], rest, dict(body or {}))
        raise NotHandled

    def _service(self, method: str, what: str, rest: list[str], body: Any) -> Any:
        match method, what, rest:
            case "POST", "faults", []:
                return self._add_fault(dict(body))
            case "GET", "faults", []:
                return self.faults.active()
            case "DELETE", "faults", []:
                self.faults.clear()
                return {}
            case "DELETE", "faults", [number]:
                return {"removed": self.faults.remove(int(number))}
            case "GET" | "PATCH", "settings", []:
                return self.faults.configure(**(body or {}))
            case "DELETE", "tokens", []:
                return {"ended": self.server.access.forget()}
        raise NotHandled

    def _add_fault(self, options: dict[str, Any]) -> dict[str, Any]:
        """A fault; or, with `document`, a change of it (`approve`, `pay`, `remove`, …) after a page of a list."""
        if "document" in options:
            return self._change_after_page(**options)
        try:
            return self.faults.add(**options).as_dict()
        except TypeError as error:
            raise ValueError(str(error)) from None

    def _change_after_page(self, kind: str, document: str, after_page: int = 1, where: str = "") -> dict[str, Any]:
        self.documents.get(document)
        if kind not in _ACTIONS:
            raise ValueError(f"Unknown change {kind!r}; known are {', '.join(_ACTIONS)}.")
        self.faults.after_page(after_page, lambda: getattr(self.documents, kind)(document), where=where)
        return {"kind": kind, "document": document, "after_page": after_page}

    def _documents(self, method: str, rest: list[str], body: dict[str, Any]) -> Any:
        match method, rest:
            case "GET", []:
                space_id = self.scenario.client(body["client"]).space_id if "client" in body else None
                return [_document(document) for document in self.documents.documents(space_id)]
            case "GET", [document_id]:
                return _document(self.documents.get(document_id))
            case "DELETE", [document_id]:
                self.documents.remove(document_id)
                return {}
            case "POST", [document_id, action] if action in _ACTIONS:
                self.documents.get(document_id)
                getattr(self.documents, action)(document_id)
                return {} if action == "remove" else _document(self.documents.get(document_id))
        raise NotHandled

    def _receiver(self, method: str, receiver: Receiver, rest: list[str], body: dict[str, Any]) -> Any:
        sftp = receiver.server.sftp
        match method, rest:
            case "GET", []:
                return _receiver(receiver)
            case "POST", ["up"]:
                receiver.server.up()
            case "POST", ["down"]:
                receiver.server.down(silent=bool(body.get("silent", False)))
            case "GET" | "PATCH", ["faults"]:
                return sftp.configure(**body)
            case "DELETE", ["faults"]:
                sftp.heal()
                return {}
            case _:
                raise NotHandled
        return {"up": receiver.server.is_up}


def _receiver(receiver: Receiver) -> dict[str, Any]:
    files = [
        {"path": file.path, "bytes": len(file.data), "mode": f"{file.mode:o}", "sha256": file.sha256}
        for file in received(receiver)
    ]
    return {
        "conn_id": receiver.conn_id, "port": receiver.server.sftp.port, "up": receiver.server.is_up,
        "folder": str(receiver.folder), "files": files,
    }  # fmt: skip


def _expected(entry: Expected) -> dict[str, Any]:
    return {
        "document_id": entry.document_id, "kind": entry.kind, "folder": entry.folder, "number": entry.number,
        "issue_date": entry.issue_date, "bytes": len(entry.data), "sha256": entry.sha256, "rule": entry.rule,
        "status_at": entry.status_at.isoformat(),
    }  # fmt: skip


def _document(document: Document) -> dict[str, Any]:
    shown = {name: value for name, value in vars(document).items() if name != "repaired"}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in shown.items()}
